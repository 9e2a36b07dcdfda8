"""Numerical derivatives that know how wrong they may be."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import value_error

Curve = Callable[[float], np.ndarray]  # t -> Y(t), float64

RATIO = 4.0  # each step is a quarter of the one before
LEVELS = 12  # steps from h to h / 4**11
SETTLED = 1e-9  # of the slope: neighbours that agree so far need no third
MOVED = 1 + 2.0**-20  # what float32 tells apart from 1
ROUGH = 2  # the level from which on steps are small
LASTING = 6  # steps, each 4 times the one before, over which a slope must hold
FINEST = 2.0**-45  # of a number: what it has some digits for
NOISE_POINTS, NOISE_ORDER = 8, 4


class Ladder:
    """Central differences of a curve Y(t) at t = 0 on a ladder of steps, each computed when asked for.

        central_k = (Y(h_k) - Y(-h_k)) / (2 h_k),   h_k = h / 4^k

    has the error c2 h_k^2 + c4 h_k^4 + ..., so two neighbours cancel the first term (Richardson):

        refined_k = (16 central_k - central_(k-1)) / 15.

    A large step loses to curvature, a small one to rounding; where two neighbours agree best, both
    are small, and their difference is a measure of the error that is left. But a curve may be straight
    over a large step and yet turn near 0. So a level counts only as far as no finer one contradicts it.

    Units     h, in units of t
    Source    Richardson 1911, Phil. Trans. R. Soc. A 210; Ridders 1982, Adv. Eng. Software 4(2)
    """

    def __init__(self, curve: Curve, h: float, refine: bool = True, levels: int = LEVELS) -> None:
        self.curve, self.h, self.refine, self.last = curve, h, refine, levels - 1
        self.tiny = min(self.last, 7)  # the level at which kinks are looked for
        self.finest = FINEST  # the smallest step that means something
        self.at = functools.cache(curve)

    def step(self, k: int) -> float:
        """Return h_k."""
        return self.h / RATIO**k

    def central(self, k: int) -> np.ndarray:
        """Return the central difference with step h_k."""
        h = self.step(k)
        return (self.at(h) - self.at(-h)) / (2 * h)

    def estimate(self, k: int) -> np.ndarray:
        """Return the derivative as levels k-1 and k see it (k from 1)."""
        if not self.refine:
            return self.central(k)
        return (RATIO**2 * self.central(k) - self.central(k - 1)) / (RATIO**2 - 1)

    def confirms(self, slope: Any, noise: Any, share: float = 1e-3) -> bool:
        """Are the finest difference, and the finest that noise leaves a share of, that slope?"""
        shown = 30 * noise / np.where(slope == 0, math.inf, share * abs(slope))  # smaller steps show noise
        least = float(np.max(shown, initial=0.0))
        telling = int(math.log(self.h, RATIO) - math.log(least, RATIO)) if 0 < least < self.h else self.last
        return all(self._is(slope, k, noise, share) for k in {min(telling, self.last), self.last})

    def _is(self, slope: Any, k: int, noise: Any, share: float) -> bool:
        """Is the difference with step h_k that slope, up to a share of it and to what `noise` makes of it?"""
        return bool((abs(self.central(k) - slope) <= share * abs(slope) + 30 * noise / self.step(k)).all())

    def best(self, noise: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return (derivative, error), per element of Y the level whose error looks smallest.

        The error is the larger difference to the neighbouring levels, what `noise`, the rounding error
        of Y, makes of the quotient, and what finer levels say against it; inf if none has settled. The
        levels end where two agree to 1e-9 or to the noise, if the finest confirms them.
        """
        k = 2
        with np.errstate(all="ignore"):
            while k < self.last and not self.settled(k, noise):
                k += 1
            k = k if k == self.last or self.confirms(self.estimate(k), noise) else self.last
            estimates = np.stack([self.estimate(j) for j in range(1, k + 1)])
            gaps = abs(np.diff(estimates, axis=0))
            gaps = np.maximum(np.concatenate([gaps[:1], gaps]), np.concatenate([gaps, gaps[-1:]]))
            gaps = np.where(np.isfinite(gaps), gaps, math.inf)
            steps = np.array([self.step(j) for j in range(1, k + 1)]).reshape(-1, *[1] * (gaps.ndim - 1))
            rounding = 3 * np.asarray(noise) / steps
            estimates = np.where(np.isfinite(estimates), estimates, 0.0)
            wild = abs(estimates) * steps > 0.1 * self.span()  # that is no rounding
            blur = 3 * np.where(wild, 1e-3 * abs(estimates), gaps) + 10 * rounding
            high = np.minimum.accumulate((estimates + blur)[::-1])[::-1]
            low = np.maximum.accumulate((estimates - blur)[::-1])[::-1]
            errors = gaps + rounding + np.maximum(estimates - high, low - estimates).clip(0)
            errors[errors > 1e-3 * abs(estimates) + 10 * rounding] = math.inf
        where = errors.argmin(axis=0)[None]
        pick = functools.partial(np.take_along_axis, indices=where, axis=0)
        return pick(estimates)[0], pick(errors)[0]

    def settled(self, k: int, noise: Any) -> bool:
        """Do the estimates k-1 and k agree to 1e-9 or to the noise?"""
        one, two = self.estimate(k - 1), self.estimate(k)
        return bool((abs(two - one) <= SETTLED * abs(two) + 3 * noise / self.step(k)).all())

    def kinks(self, noise: Any) -> np.ndarray:
        """Return where the slopes to the left and right differ, at a tiny step as at one 16 times larger.

        On a smooth curve the difference shrinks with the step; where it is rounding alone, it grows.
        """
        k = self.tiny
        left, right = self.sides(k)
        jump = abs(right - left)
        differ = ~(jump <= 0.02 * np.maximum(abs(left), abs(right)) + 10 * np.asarray(noise) / self.step(k))
        if differ.any():
            left, right = self.sides(k - 2)
            before = abs(right - left)
            differ &= ~((jump < 0.4 * before) | (jump > 2.5 * before))  # NaN is a kink
        return differ

    def sides(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the slopes to the left and to the right of t = 0."""
        return self.slopes(self.step(k))

    def slopes(self, h: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the slopes to the left and to the right of t = 0, as a step h sees them."""
        middle = self.at(0.0)
        return (middle - self.at(-h)) / h, (self.at(h) - middle) / h

    def span(self) -> np.ndarray:
        """Return how far Y moves over the largest step."""
        return np.maximum(abs(self.at(self.h)), abs(self.at(-self.h)))

    def roughness(self) -> np.ndarray:
        """Return how far the levels of small steps are apart, as a movement of Y: what is not smooth there, at most."""
        levels = range(ROUGH, self.last)
        return np.max([self.step(k + 1) * abs(self.central(k + 1) - self.central(k)) for k in levels], axis=0)

    def rest(self, noise: float, n: int = 0) -> float:
        """Return the largest step over which Y[n] moves by no more than its noise, in quarters down to the finest."""

        def rests(h: float) -> bool:
            return h < self.h and max(abs(self.at(h)[n]), abs(self.at(-h)[n])) <= 4 * noise

        steps = (self.finest * RATIO**k for k in itertools.count())
        return max(itertools.takewhile(rests, steps), default=0.0)

    def shows(self, claimed: float, measured: float, noise: float, n: int = 0) -> bool:
        """Is Y[n]'s slope at the smallest steps that can tell both apart the claimed one, if on one side alone?

        Then the curve turns nearer to t = 0 than the steps of the ladder see. Two steps must show it, over
        which Y moves: where it rests, it may be for want of digits.
        """
        gap = abs(claimed - measured)
        h = self._smallest(160 * noise, gap)
        if not 2 * h <= self.h:
            return False
        sides = np.array([[side[n] for side in self.slopes(step)] for step in (h, 2 * h)])
        shown = np.column_stack([sides, sides.mean(axis=1)])
        return bool(sides.any() and (abs(shown - claimed) <= 0.25 * gap).all(axis=0).any())

    def settles_on(self, claimed: float, noise: float, off: float, n: int = 0) -> bool:
        """Is Y[n]'s slope the claimed one, up to `off`, at as many of the smallest steps as can tell as LASTING?

        Then the function has a scale of its own that the steps of the ladder miss, not stairs of float32.
        """
        h = self._smallest(40 * noise, off)
        steps = [h * RATIO**k for k in range(LASTING)]
        if not steps[-1] <= self.h:
            return False
        sides = np.array([[side[n] for side in self.slopes(step)] for step in steps])
        return bool(sides.any() and (abs(sides.mean(axis=1) - claimed) <= 2 * off).all())

    def _smallest(self, noise: float, off: float) -> float:
        """Return the smallest step, a power of 2, at which `noise` makes no more of a slope than `off`; inf if none."""
        if not (0 < off < math.inf and noise < math.inf):
            return math.inf
        return max(self.finest, 2.0 ** math.ceil(math.log2(noise / off + 1e-300)))


def step_dtype(forward: Callable[[list[Any]], list[Any]], arrays: list[Any]) -> str:
    """Return "float64" where a function can run in it, does the same there, and has all its digits."""
    there, exact = forward(arrays), [a.astype(np.float64) for a in arrays]
    try:
        outputs = forward(exact)
    except (TypeError, ValueError, RuntimeError):
        return str(arrays[0].dtype)
    # what float32 cannot tell apart is the same to it, and what it can is not: it has float32's digits
    between = [a * (1 + 2.0**-30) for a in exact]
    rounded, moved = [a.astype(np.float32).astype(np.float64) for a in between], [a * MOVED for a in exact]
    changed = [(y != z).mean() for y, z in zip(forward(moved), outputs) if y.size]
    few_digits = max(changed, default=0) > 0.5 and all(
        map(np.array_equal, forward(rounded), forward(between))
    )
    # random numbers are others in float64, in PyTorch and JAX
    near = [np.allclose(y, z, 0, 1e-3 * abs(z).max(initial=0), True) for y, z in zip(outputs, there)]
    every = all(near) and all(y.dtype == np.float64 for y in outputs) and not few_digits
    return "float64" if every else "float32"


def noise_floor(curve: Curve, spacing: float) -> np.ndarray:
    """Return the rounding error of Y(0): the standard deviation of what is not smooth in it.

    Differences of high order remove every smooth part from equally spaced values and leave the
    noise, magnified by the square root of the binomial coefficient (2n, n).

    Units     spacing, in units of t: so small that only rounding varies between neighbours
    Source    Moré and Wild 2011, Estimating computational noise, SIAM J. Sci. Comput. 33(3)
    """
    with np.errstate(all="ignore"):
        values = np.stack([curve(spacing * (i - NOISE_POINTS // 2)) for i in range(NOISE_POINTS)])
        rough = np.diff(values, n=NOISE_ORDER, axis=0) / math.sqrt(math.comb(2 * NOISE_ORDER, NOISE_ORDER))
        return np.sqrt((rough * rough).mean(axis=0))


def complex_step(fn: Callable[[Any], Any], x: Any, direction: Any, h: float = 1e-30) -> np.ndarray:
    """Return the derivative of fn at `x` along `direction` by one complex evaluation.

        fn(x + i h u) = fn(x) + i h fn'(x) u - ...,   so fn'(x) u = imag(fn(x + i h u)) / h

    Nothing is subtracted, so nothing is lost: the result is exact to rounding. It needs a plain
    NumPy function without abs, max, comparisons or conjugates, which are not complex-differentiable.

    Raises    ValueError if the result is real, which says that fn took the real part.
    Source    Squire and Trapp 1998, SIAM Review 40(1)
    """
    y = np.asarray(fn(np.asarray(x, np.float64) + 1j * h * np.asarray(direction)))
    if not np.iscomplexobj(y):
        hint = 'fn drops the imaginary part (abs, real, a float buffer), so use method="richardson"'
        raise value_error("complex_step", "a complex result", "a real one", hint)
    return y.imag / h


def private_generator(seed: int) -> np.random.Generator:
    """Return NumPy's generator for cotangents and directions, unlike `default_rng(seed)`.

    A cotangent equal to the data hides mistakes, and tests often draw theirs from `default_rng(0)`.
    """
    return np.random.default_rng([seed, 20240229])
