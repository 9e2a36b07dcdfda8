"""What a vjp claims along a direction against what a ladder of differences measures there."""

import functools
import heapq
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from minigrad.check.differences import LEVELS, RATIO, Curve, Ladder, complex_step, noise_floor
from minigrad.check.subjects import Subject
from minigrad.errors import value_error

RTOL = {"float64": 1e-6, "float32": 3e-4}  # of the gradient's length: a factor of 1.001 is well outside
FIRST_STEP = {"float64": 2.0**-7, "float32": 2.0**-3}  # of the size of x, or of 1 if that is larger
MARGIN = {"float64": 10.0, "float32": 3.0}  # how much larger than it looks the numerical error may be
SIDES = {"float64": 7, "float32": 3}  # the level at which the slopes to both sides are compared
LOCATED = 3  # elements of a large input that are searched for
ASIDE = {"float64": 1e-3, "float32": 0.1}  # how far to step from a kink, of the same


@dataclass(frozen=True)
class Slope:
    """One comparison: what the vjp claims along a direction, and what the ladder measures."""

    key: tuple[int, int]  # (output, cotangent)
    claimed: float
    measured: float
    scale: float  # what the difference is relative to
    error: float  # how wrong `measured` may be
    ok: bool

    @property
    def excess(self) -> float:
        """How far apart the two are, of their scale."""
        gap = abs(self.claimed - self.measured)
        return gap / self.scale if self.scale else (0.0 if gap == 0 else math.inf)


@dataclass
class Sample:
    """A point at which to check: the arrays, and the gradients there for each (output, cotangent)."""

    arrays: list[np.ndarray]
    outputs: list[np.ndarray]
    pulls: dict[tuple[int, int], list[np.ndarray]] = field(default_factory=dict)


class Prober:
    """Compares vjps and slopes of one subject.

    `step_dtype` is the dtype in which it is differenced: float64 where a float32 function can run so.
    """

    def __init__(
        self, subject: Subject, rng: np.random.Generator, method: str, rtol: float | None, directions: int
    ) -> None:
        self.subject, self.rng, self.method, self.directions = subject, rng, method, max(directions, 2)
        self.dtype = str(subject.arrays[0].dtype)
        self.step_dtype = self._step_dtype()
        self.eps = float(np.finfo(self.step_dtype).eps)
        self.rtol = RTOL[self.dtype] if rtol is None else rtol
        self.fine = max(1e-10, float(np.finfo(self.dtype).eps))  # agreement that needs no better step
        outputs = subject.forward(subject.arrays)
        keys = itertools.product(range(len(outputs)), range(self.directions))
        self.cotangents = {key: self.like(outputs[key[0]]) for key in keys}

    def _step_dtype(self) -> str:
        """Return "float64" where the function can run in it."""
        try:
            outputs = self.subject.forward([a.astype(np.float64) for a in self.subject.arrays])
        except (TypeError, ValueError, RuntimeError):
            return self.dtype
        return "float64" if all(y.dtype == np.float64 for y in outputs) else "float32"

    def like(self, a: np.ndarray) -> np.ndarray:
        """Return normal random numbers of the shape of `a`."""
        return np.asarray(self.rng.standard_normal(a.shape))

    def sample(self, arrays: Iterable[np.ndarray]) -> Sample:
        """Return the point `arrays`, with the gradients there."""
        arrays = list(arrays)
        sample = Sample(arrays, self.subject.forward(arrays))
        for key, dout in self.cotangents.items():
            sample.pulls[key] = self._pull(sample, key[0], dout)
        return sample

    def aside(self, sample: Sample) -> Iterator[Sample]:
        """Yield samples a little further on, where no kink is but by accident: pairs on opposite sides."""
        reach = ASIDE[self.step_dtype]
        for _ in range(2):
            steps = [reach * _size(a) * self.rng.uniform(-1, 1, a.shape) for a in sample.arrays]
            for sign in (1, -1):
                moved = [(a + sign * step).astype(a.dtype) for a, step in zip(sample.arrays, steps)]
                yield self.sample(moved)

    @np.errstate(all="ignore")  # far steps may leave a function's domain
    def probe(self, sample: Sample, i: int) -> tuple[list[Slope], bool]:
        """Compare along the gradient itself and random directions; return (slopes, is there a kink?).

        Along its own direction a gradient that is off by a factor shows it in full.
        """
        slopes, kink = [], False
        for d in range(self.directions):
            claimed = sample.pulls[0, 0][i].astype(np.float64)
            length = np.linalg.norm(claimed)
            aligned = d == 0 and np.isfinite(length) and length > 0
            u = claimed / length * math.sqrt(claimed.size) if aligned else self.like(claimed)
            ladder = self._ladder(sample, i, u)
            found = [self._slope(sample, i, u, ladder, key) for key in self.cotangents]
            slopes += found
            kink = kink or any(not s.ok and self._at_kink(sample, ladder, s) for s in found)
        return slopes, kink

    @np.errstate(all="ignore")
    def columns(
        self, sample: Sample, i: int, o: int, picked: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the Jacobian of output `o` by the picked elements, its error, and where it has a kink.

        With `weights` the outputs are summed, so weighted, into one.

        Shapes    (outputs, picked), each
        """
        noise = self.eps * abs(sample.outputs[o]).ravel().astype(np.float64)
        noise = noise if weights is None else np.array([np.linalg.norm(weights * noise)])
        columns, errors, kinks = np.empty((3, noise.size, len(picked)))
        for column, j in enumerate(picked):
            unit = np.zeros(sample.arrays[i].size)
            unit[j] = 1.0
            ladder = self._part_ladder(sample, i, unit, o, weights)
            columns[:, column], errors[:, column] = ladder.best(noise, levels=8)
            kinks[:, column] = self._kinked(ladder, noise)
        return columns, errors, kinks.astype(bool)

    def _part_ladder(
        self, sample: Sample, i: int, u: np.ndarray, o: int, weights: np.ndarray | None
    ) -> Ladder:
        """Return the ladder of output `o`, or of its weighted sum, along a flat direction."""
        x = sample.arrays[i]
        curve = self._curve(sample, i, u.reshape(x.shape), self._part(sample, o))
        values = curve if weights is None else lambda t: np.array([weights @ curve(t)])
        return Ladder(values, self._inside(values, FIRST_STEP[self.step_dtype] * _size(x)))

    def _kinked(self, ladder: Ladder, noise: np.ndarray) -> np.ndarray:
        """Return which outputs have different slopes to the left and right, at a tiny step."""
        k = SIDES[self.step_dtype]
        left, right = ladder.sides(k)
        wider = abs(np.subtract(*ladder.sides(k - 1)))  # a bend is wider at a larger step, a kink is not
        allowed = 0.02 * np.maximum(abs(left), abs(right)) + 1e-5 * abs(right).max(initial=0.0)
        return ~(abs(right - left) <= np.maximum(allowed, 0.5 * wider) + 10 * noise / ladder.step(k))

    @np.errstate(all="ignore")
    def locate(self, sample: Sample, i: int, key: tuple[int, int], count: int = LOCATED) -> list[int]:
        """Return the flat indices of the worst elements of a large input, found by halving.

        Along a random direction that is zero outside a range, vjp and slope differ only if an element
        of the range is wrong. The half that differs more is halved again: O(log n) slopes for each
        element found. The other halves wait for the search of the next.
        """
        dout, gradient = self.cotangents[key].ravel(), sample.pulls[key][i].astype(np.float64).ravel()
        u = self.rng.choice([-1, 1], gradient.size) * self.rng.uniform(0.5, 1.5, gradient.size)
        noise = self.eps * np.linalg.norm(dout * sample.outputs[key[0]].ravel())

        def gap(low: int, high: int) -> float:
            masked = np.zeros(gradient.size)
            masked[low:high] = u[low:high]
            slope, error = self._part_ladder(sample, i, masked, key[0], dout).best(noise, levels=8)
            off = abs(float((gradient * masked)[low:high].sum() - slope[0]))
            floor = MARGIN[self.step_dtype] * error[0] + self.fine * np.linalg.norm(gradient[low:high])
            return 0.0 if off <= floor else off if math.isfinite(off) else math.inf

        waiting = [(-gap(0, gradient.size), 0, gradient.size)]
        found: list[int] = []
        while waiting and len(found) < count:
            size, low, high = heapq.heappop(waiting)
            while size and high - low > 1:
                middle = (low + high) // 2
                halves = [(-gap(*ends), *ends) for ends in ((low, middle), (middle, high))]
                (size, low, high), other = sorted(halves)
                heapq.heappush(waiting, other)
            found += [low] if size else []
        return found

    def jacobian(self, sample: Sample, i: int, o: int) -> np.ndarray:
        """Return the Jacobian of output `o` as the vjp has it, one pull per element: (outputs, inputs)."""
        y = sample.outputs[o]
        units = np.eye(y.size).reshape(-1, *y.shape)
        return np.stack([self._pull(sample, o, unit)[i].ravel().astype(np.float64) for unit in units])

    def _pull(self, sample: Sample, o: int, dout: np.ndarray) -> list[np.ndarray]:
        """Return the gradients of output `o` alone, so that a small one is not drowned by the others."""
        cotangents = [dout if j == o else np.zeros(y.shape) for j, y in enumerate(sample.outputs)]
        return self.subject.gradients(sample.arrays, cotangents)

    def _curve(self, sample: Sample, i: int, direction: np.ndarray, part: slice = slice(None)) -> Curve:
        """Return t -> all outputs, flat and side by side (or `part` of them), with array i moved by t."""
        base = [a.astype(self.step_dtype) for a in sample.arrays]

        def values(t: float) -> np.ndarray:
            arrays = list(base)
            arrays[i] = (base[i] + t * direction).astype(self.step_dtype)
            flat = [y.ravel() for y in self.subject.forward(arrays)]
            return np.concatenate(flat).astype(np.float64)[part]

        return values

    def _ladder(self, sample: Sample, i: int, direction: np.ndarray) -> Ladder:
        h = FIRST_STEP[self.step_dtype] * _size(sample.arrays[i])
        curve = self._curve(sample, i, direction)
        if self.method == "complex":
            return self._complex_ladder(sample, i, direction, curve, h)
        return Ladder(curve, self._inside(curve, h), refine=self.method == "richardson")

    def _inside(self, curve: Curve, h: float) -> float:
        """Return the first step, of h and its fractions, that stays inside the domain of the function."""
        for k in range(2 * LEVELS):
            if np.isfinite(curve(h / RATIO**k)).all() and np.isfinite(curve(-h / RATIO**k)).all():
                return h / RATIO**k
        return h

    def _complex_ladder(
        self, sample: Sample, i: int, direction: np.ndarray, curve: Curve, h: float
    ) -> Ladder:
        """Return a ladder that is the complex step at every level, if differences agree with it."""
        base = [a.astype(np.complex128) for a in sample.arrays]
        wanted, hint = "complex-differentiable operations", 'use method="richardson"'

        def output(o: int, x: np.ndarray) -> np.ndarray:
            return self.subject.forward([*base[:i], x, *base[i + 1 :]])[o].ravel()

        try:
            outputs = [functools.partial(output, o) for o in range(len(sample.outputs))]
            slope = np.concatenate([complex_step(fn, sample.arrays[i], direction) for fn in outputs])
        except (TypeError, ValueError) as error:
            raise value_error("gradcheck", wanted, error, hint) from error
        ladder = Ladder(curve, h)
        measured, spread = ladder.best(1e-15 * abs(curve(0.0)))
        if not np.allclose(slope, measured, rtol=1e-4, atol=float(10 * spread.max(initial=0.0)) + 1e-9):
            raise value_error("gradcheck", wanted, "one like abs or max", hint)
        ladder.estimate = lambda k: slope  # type: ignore[assignment]
        return ladder

    def _slope(self, sample: Sample, i: int, u: np.ndarray, ladder: Ladder, key: tuple[int, int]) -> Slope:
        """Descend the ladder until vjp and difference agree; if they never do, take the best level."""
        gradient = sample.pulls[key][i].astype(np.float64)
        claimed = float((gradient * u).sum())
        scale = abs(claimed) + float(np.linalg.norm(gradient))
        part, dout = self._part(sample, key[0]), self.cotangents[key].ravel()
        agreed: list[float] = []
        y = sample.outputs[key[0]]
        rounding = float(np.finfo(y.dtype).eps) * float(abs(dout) @ abs(y).ravel().astype(np.float64))
        for k in range(1, LEVELS):
            if rounding > self.rtol * scale * ladder.step(k):
                break  # smaller steps show rounding alone
            measured = float(dout @ ladder.estimate(k)[part])
            if agreed or abs(measured - claimed) <= self.rtol * scale:
                agreed.append(measured)
                closest = min(agreed, key=lambda m: abs(m - claimed))
                if abs(closest - claimed) <= self.fine * scale or len(agreed) == 3:
                    return Slope(key, claimed, closest, scale, self.rtol * scale, True)
        projected = Ladder(lambda t: np.asarray(dout @ ladder.at(t)[part]), ladder.h, ladder.refine)
        floor = noise_floor(ladder.at, 100 * self.eps * _size(sample.arrays[i]))
        noise = np.maximum(floor, self.eps * abs(ladder.at(0.0)))  # at least the rounding of its own size
        best, spread = projected.best(float(np.linalg.norm(dout * noise[part])))
        error = float(spread) + self._own_noise(sample, i, u, key)
        scale = max(scale, abs(float(best)))
        ok = bool(abs(best - claimed) <= self.rtol * scale + MARGIN[self.step_dtype] * error)
        return Slope(key, claimed, float(best), scale, error, ok)

    def _part(self, sample: Sample, o: int) -> slice:
        ends = np.cumsum([y.size for y in sample.outputs]).tolist()
        return slice(ends[o] - sample.outputs[o].size, ends[o])

    def _own_noise(self, sample: Sample, i: int, u: np.ndarray, key: tuple[int, int]) -> float:
        """Return the rounding error of the vjp's own slope.

        It is at least that of the largest gradient on the way, which may have cancelled, and as much
        as the slope moves if every input moves by a rounding error.
        """
        eps = float(np.finfo(self.dtype).eps)
        moved = [(a * (1 + eps * self.rng.choice([-1, 1], a.shape))).astype(a.dtype) for a in sample.arrays]
        there = self._pull(Sample(moved, sample.outputs), key[0], self.cotangents[key])[i]
        change = abs(float(((there - sample.pulls[key][i]).astype(np.float64) * u).sum()))
        return max(eps * self.subject.largest, change if math.isfinite(change) else 0.0)

    def _at_kink(self, sample: Sample, ladder: Ladder, slope: Slope) -> bool:
        """Do the slopes to the left and right, at a tiny step, differ by as much as the vjp is off?"""
        if self.step_dtype == "float32":
            return True  # no step is tiny enough to tell a kink from noise
        dout, part = self.cotangents[slope.key].ravel(), self._part(sample, slope.key[0])
        for k in (7, 8):
            left, right = ladder.sides(k)
            jump = float((abs(dout) * abs(right - left)[part]).sum())
            off = abs(slope.claimed - slope.measured)
            off = off if math.isfinite(off) else float((abs(dout) * abs(right)[part]).sum())
            if not jump <= 0.05 * off:
                return True
        return False


def _size(a: np.ndarray) -> float:
    """Return the typical size of an element, or 1 if that is larger: functions vary on the scale of 1."""
    return max(1.0, float(np.sqrt(np.square(a, dtype=np.float64).mean()))) if a.size else 1.0
