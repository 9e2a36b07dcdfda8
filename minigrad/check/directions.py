"""Where to move: lengths of elements, random directions, and groups of elements that hide none of the others."""

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np

SPREAD = 10  # powers of 2 that outputs, or elements of an input, may lie apart and be compared in one sum
SMALLEST = 5  # the group of elements without a gradient: no other differs by more powers of 2**SPREAD

Random = np.random.Generator


def lengths(x: np.ndarray, eps: float) -> list[np.ndarray]:
    """Return how far each element may move, as powers of 2: its own size, and 1 as a second try.

    A function varies on the scale of 1, as tanh does, or on that of its input, as the logarithm. Where
    the sizes are near 1, one try is enough: the larger of the two.
    """
    own = np.ldexp(1.0, np.frexp(abs(x.astype(np.float64)))[1])  # 1 for 0
    if ((own >= 2.0**-8) & (own <= 2.0**8)).all():
        return [np.maximum(own, 1.0)]
    return [own, np.maximum(1.0, own * 2.0 ** round(math.log2(eps) / 3))]


def signs(rng: Random, shape: tuple[int, ...]) -> np.ndarray:
    """Return random numbers from -1.5..-0.5 and 0.5..1.5, in steps of 1/16: none hides what it multiplies."""
    return np.asarray(rng.choice([-1, 1], shape) * rng.integers(8, 25, shape) / 16)


def cotangent(rng: Random, shape: tuple[int, ...]) -> np.ndarray:
    """Return random numbers from the same ranges, of which no sum is 0."""
    return np.asarray(rng.choice([-1, 1], shape) * rng.uniform(0.5, 1.5, shape))


def directions(
    rng: Random, pulls: Sequence[Sequence[np.ndarray]], length: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the first gradient, random directions, and random ones of elements that are small beside others.

    `pulls` has the gradients of an input, for each output those of several cotangents. What an element
    adds to a slope, its gradient times its length, puts it into a group, as a power of 2**SPREAD: of
    elements in other groups, a sum would show the largest alone.
    """
    yield length * _aligned(rng, pulls[0][0] * length)
    for _ in pulls[0][1:]:
        yield length * signs(rng, length.shape)
    seen = set[bytes]()
    for gradients in pulls:
        group = _groups(gradients, length)
        for number in np.unique(group)[1:]:
            mask = group == number
            if mask.tobytes() not in seen:
                seen.add(mask.tobytes())
                yield length * signs(rng, length.shape) * mask


def _aligned(rng: Random, gradient: np.ndarray) -> np.ndarray:
    """Return the direction of a gradient in steps of 1/64 of its largest element; a random one if it has none."""
    top = abs(gradient).max(initial=0.0)
    return np.round(64 * gradient / top) / 64 if 0 < top < math.inf else signs(rng, gradient.shape)


@np.errstate(all="ignore")
def _groups(gradients: Sequence[np.ndarray], length: np.ndarray) -> np.ndarray:
    """Return the number of each element's group: 0 for the largest."""
    adds = functools.reduce(np.maximum, (abs(g * length) for g in gradients))
    apart = np.log2(adds.max(initial=0.0) / adds) / SPREAD
    return np.nan_to_num(apart, nan=0.0, posinf=SMALLEST).clip(0, SMALLEST).astype(np.int8)


@np.errstate(all="ignore")
def raised(slopes: np.ndarray, most: int) -> np.ndarray:
    """Return, as powers of 2**SPREAD up to 2**most, what makes slopes of outputs alike; 1 where they are NaN."""
    sizes = np.where(np.isfinite(slopes), abs(slopes), 0.0)
    apart = np.trunc(np.log2(sizes.max(initial=0.0) / sizes) / SPREAD) * SPREAD
    return np.exp2(np.nan_to_num(apart, nan=0.0, posinf=0.0).clip(0, most))
