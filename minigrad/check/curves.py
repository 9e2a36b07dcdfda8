"""A subject at a point: how its outputs move along a direction, and how much of that is rounding."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from minigrad import random
from minigrad.check.differences import FINEST, LEVELS, RATIO, Ladder, complex_step, step_dtype
from minigrad.check.directions import SPREAD, cotangent, lengths, raised, signs
from minigrad.check.subjects import Subject
from minigrad.errors import value_error
from minigrad.random import Generator

RTOL = {"float64": 1e-6, "float32": 3e-4}  # of a typical element: a factor of 1.001 is well outside
FIRST_STEP = {"float64": 2.0**-7, "float32": 2.0**-3}  # of the length of an element
STEPS = {"float64": LEVELS, "float32": 6}  # levels of a ladder: as many as rounding leaves a use for
ELEMENT_STEPS = {"float64": 8, "float32": 6}  # the same, where one element moves
ASIDE = {"float64": 1e-3, "float32": 0.1}  # how far to step from a kink, of the length of an element
FURTHER = 1 / 64  # of its size, that an element is larger at another sample
MUCH = 10.0  # times the rounding error of the outputs as they are: what cancelled is looked for
FARTHEST = {"float64": 30, "float32": 0}  # powers of 2 that a small output is raised by: then rounding shows

Key = tuple[int, int]  # (output, cotangent)


@dataclass
class Sample:
    """A point at which to check: the arrays, and the gradients there for each (output, cotangent)."""

    arrays: list[np.ndarray]
    outputs: list[np.ndarray]
    pulls: dict[Key, list[np.ndarray]] = field(default_factory=dict)
    start: list[np.ndarray] = field(default_factory=list)  # the outputs in the dtype of the steps
    roundings: dict[tuple[Key, int], np.ndarray] = field(default_factory=dict)  # of each gradient


class Curves:
    """What one subject does along directions.

    `step_dtype` is the dtype in which it is differenced: float64 where a float32 function can run so.
    All steps are powers of 2 and all directions have few digits, so x + t u is exact.
    """

    def __init__(
        self, subject: Subject, rng: np.random.Generator, method: str, rtol: float | None, directions: int
    ) -> None:
        self.subject, self.rng, self.method, self.directions = subject, rng, method, max(directions, 2)
        self.dtype = str(subject.arrays[0].dtype)
        self.step_dtype = step_dtype(subject.forward, subject.arrays)
        self.eps = float(np.finfo(self.step_dtype).eps)
        self.rtol = RTOL[self.dtype] if rtol is None else rtol
        self.fine = max(1e-10, float(np.finfo(self.dtype).eps))  # agreement that needs no better step
        self.cotangents = self._draw()
        self.inside: dict[int, np.ndarray] = {}  # how many times the rounding of outputs is what it seems
        self.cancelled: dict[int, np.ndarray] = {}  # the same, where it is reckoned with

    @np.errstate(all="ignore")
    def _draw(self) -> dict[Key, np.ndarray]:
        """Return random cotangents, larger for those elements of an output that have small slopes."""
        base = [a.astype(self.step_dtype) for a in self.subject.arrays]
        moves = [signs(self.rng, a.shape) * lengths(a, self.eps)[0] for a in base]

        def slopes(h: float) -> list[np.ndarray]:
            sides = [[(a + t * u).astype(self.step_dtype) for a, u in zip(base, moves)] for t in (h, -h)]
            pairs = zip(*[[y.astype(np.float64) for y in self.subject.forward(xs)] for xs in sides])
            return [(high - low) / (2 * h) for high, low in pairs]

        cotangents, h = {}, FIRST_STEP[self.step_dtype]
        for o, (wide, slope) in enumerate(zip(slopes(h), slopes(h / RATIO))):
            steady = abs(wide - slope) <= 0.5 * abs(slope)  # else it is rounding, or far from smooth
            larger = raised(np.where(steady & (slope != 0), slope, math.nan), FARTHEST[self.dtype])
            for c in range(self.directions):
                cotangents[o, c] = cotangent(self.rng, slope.shape) * larger
        return cotangents

    def sample(self, arrays: Iterable[np.ndarray]) -> Sample:
        """Return the point `arrays`, with the gradients there."""
        arrays = list(arrays)
        sample = Sample(arrays, self.subject.forward(arrays))
        there = [a.astype(self.step_dtype) for a in arrays]
        same = self.step_dtype == self.dtype
        sample.start = [
            y.astype(np.float64) for y in (sample.outputs if same else self.subject.forward(there))
        ]
        for key, dout in self.cotangents.items():
            sample.pulls[key] = self._pull(sample, key[0], dout)
        return sample

    def aside(self, sample: Sample) -> Iterator[Sample]:
        """Yield samples a little further on, where no kink is but by accident: pairs on opposite sides.

        The second pair has all elements above, and all below: one of them is inside a domain that ends here.
        """
        reach = ASIDE[self.step_dtype]
        for which, least in ((-1, -1), (0, 0.1)):
            far = [lengths(a, self.eps)[which] for a in sample.arrays]
            steps = [reach * s * self.rng.uniform(least, 1, s.shape) for s in far]
            for sign in (1, -1):
                moved = [(a + sign * step).astype(a.dtype) for a, step in zip(sample.arrays, steps)]
                yield self.sample(moved)

    def _pull(self, sample: Sample, o: int, dout: np.ndarray) -> list[np.ndarray]:
        """Return the gradients of output `o` alone, so that a small one is not drowned by the others."""
        cotangents = [dout if j == o else np.zeros(y.shape) for j, y in enumerate(sample.outputs)]
        return self.subject.gradients(sample.arrays, cotangents)

    def jacobian(self, sample: Sample, i: int, o: int, picked: np.ndarray) -> np.ndarray:
        """Return the Jacobian of output `o` by the picked elements as the vjp has it, one pull per output."""
        y = sample.outputs[o]
        found = np.empty((y.size, len(picked)))
        for row in range(y.size):
            unit = np.zeros(y.size)
            unit[row] = 1.0
            found[row] = self._pull(sample, o, unit.reshape(y.shape))[i].ravel()[picked]
        return found

    def _curve(self, sample: Sample, i: int, direction: np.ndarray) -> Callable[[float], list[np.ndarray]]:
        """Return t -> all outputs, less those at the sample, with array i moved by t."""
        base = [a.astype(self.step_dtype, copy=False) for a in sample.arrays]

        def values(t: float) -> list[np.ndarray]:
            arrays = list(base)
            arrays[i] = (base[i] + t * direction).astype(self.step_dtype)
            return [y - y0 for y, y0 in zip(self.subject.forward(arrays), sample.start)]

        return values

    def _ladder(self, sample: Sample, i: int, direction: np.ndarray) -> tuple[Ladder, np.ndarray]:
        """Return the ladder of what each cotangent makes of the outputs, and the rounding error of that."""
        curve = self._curve(sample, i, direction)

        def sums(t: float) -> np.ndarray:
            moved = curve(t)
            return np.array([np.vdot(dout, moved[o]) for (o, _), dout in self.cotangents.items()])

        ladder = Ladder(
            sums, FIRST_STEP[self.step_dtype], self.method == "richardson", STEPS[self.step_dtype]
        )
        if self.method == "complex":
            self._take_complex_steps(sample, i, direction, ladder)
        self._inside(ladder)
        return ladder, self.noise(sample, ladder, self.cotangents)

    def _part_ladder(
        self, sample: Sample, i: int, u: np.ndarray, o: int, weights: np.ndarray | None
    ) -> Ladder:
        """Return the ladder of output `o`, or of its weighted sum, along a flat direction."""
        u = u.reshape(sample.arrays[i].shape)
        curve = self._curve(sample, i, u)
        part = (
            (lambda t: curve(t)[o].ravel()) if weights is None else (lambda t: weights @ curve(t)[o].ravel())
        )
        ladder = Ladder(
            lambda t: np.atleast_1d(part(t)),
            FIRST_STEP[self.step_dtype],
            True,
            ELEMENT_STEPS[self.step_dtype],
        )
        return self._inside(ladder)

    def _inside(self, ladder: Ladder) -> Ladder:
        """Lower the first step until both sides are inside the domain of the function."""
        for k in range(2 * LEVELS):
            h = ladder.h / RATIO**k
            if np.isfinite(ladder.at(h)).all() and np.isfinite(ladder.at(-h)).all():
                ladder.h = h
                break
        return ladder

    def _take_complex_steps(self, sample: Sample, i: int, direction: np.ndarray, ladder: Ladder) -> None:
        """Let every level of a ladder be the complex step, if differences agree with it."""
        base = [a.astype(np.complex128) for a in sample.arrays]
        wanted, hint = "complex-differentiable operations", 'use method="richardson"'

        def output(o: int, x: np.ndarray) -> np.ndarray:
            return self.subject.forward([*base[:i], x, *base[i + 1 :]])[o]

        try:
            outputs = [functools.partial(output, o) for o in range(len(sample.outputs))]
            slopes = [complex_step(fn, sample.arrays[i], direction) for fn in outputs]
        except (TypeError, ValueError) as error:
            raise value_error("gradcheck", wanted, error, hint) from error
        slope = np.array([np.vdot(dout, slopes[o]) for (o, _), dout in self.cotangents.items()])
        plain = Ladder(ladder.curve, ladder.h)
        measured, spread = plain.best(1e-15)
        if not np.allclose(slope, measured, rtol=1e-4, atol=float(10 * spread.max(initial=0.0)) + 1e-9):
            raise value_error("gradcheck", wanted, "one like abs or max", hint)
        ladder.estimate = ladder.central = lambda k: slope  # type: ignore[assignment,method-assign]

    def noise(self, sample: Sample, ladder: Ladder, keys: Iterable[Key]) -> np.ndarray:
        """Return the rounding error of what each cotangent makes of its output along a ladder."""
        sums = [(abs(self.cotangents[key]), key[0]) for key in keys]
        return self._seen(ladder, *np.transpose([self._rounding(sample, o, weights) for weights, o in sums]))

    def _rounding(self, sample: Sample, o: int, weights: np.ndarray) -> tuple[float, float]:
        """Return the rounding error of a weighted sum of an output by its size, and by what happens on the way."""
        sizes = weights * self._sizes(sample, o)
        inside = sizes * self.cancelled.get(o, 1.0)
        return self.eps * float(np.linalg.norm(sizes)), self.eps * float(np.linalg.norm(inside))

    @staticmethod
    def _seen(ladder: Ladder, least: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Return the rounding error up to `most` that a ladder shows: what moves further, and smoothly, has none of it."""
        if (most <= least).all():
            return least
        return np.where(ladder.span() <= most, most, np.clip(ladder.roughness(), least, most))

    def _sizes(self, sample: Sample, o: int) -> np.ndarray:
        """Return the sizes of the elements of an output, of which `eps` is rounding."""
        return abs(sample.outputs[o].astype(np.float64)) + self.subject.inner

    def looks_inside(self, sample: Sample) -> bool:
        """From now on reckon with what the rounding on the way does to the outputs; is it MUCH more than their own?"""
        if not self.inside:
            arrays = [a.astype(self.step_dtype) for a in sample.arrays]
            self.inside = {o: self._times(sample, arrays, o) for o in range(len(sample.outputs))}
        self.cancelled = self.inside
        return any((times > 1).any() for times in self.inside.values())

    def _times(self, sample: Sample, arrays: list[np.ndarray], o: int) -> np.ndarray:
        """Return how many times the rounding of each element of an output is its own, where it is MUCH more.

        Elements whose cotangents were raised alike are looked at together, as their slopes are.
        """
        dout, times = self.cotangents[o, 0], np.ones(sample.outputs[o].shape)
        groups = np.round(np.log2(abs(dout)) / SPREAD)
        for part in (groups == group for group in np.unique(groups)):
            seeds = [part * dout if p == o else np.zeros(y.shape) for p, y in enumerate(sample.outputs)]
            own = self.eps * float(np.linalg.norm(seeds[o] * self._sizes(sample, o)))
            with random.using(Generator(0)):  # a definition may draw
                ratio = self.subject.roundings(arrays, seeds) / (own or math.inf)
            times[part] = ratio if MUCH < ratio < math.inf else 1.0
        return times

    def elsewhere(self, sample: Sample) -> Sample:
        """Return a sample at which each element is larger by up to FURTHER: what changes with the values has changed."""
        more = [1 + FURTHER * self.rng.uniform(0.1, 1, a.shape) for a in sample.arrays]
        return self.sample((a * m).astype(a.dtype) for a, m in zip(sample.arrays, more))

    def finest(self, sample: Sample, i: int, u: np.ndarray, adds: np.ndarray) -> float:
        """Return the smallest step along u for which those elements have digits that add to the slope."""
        own, adds = lengths(sample.arrays[i], self.eps)[0], abs(adds)
        moved = (u != 0) & (adds >= 0.1 * self.rtol * adds.max(initial=0.0))
        return FINEST * 2.0 ** math.ceil(math.log2((own[moved] / abs(u[moved])).max(initial=1.0)))
