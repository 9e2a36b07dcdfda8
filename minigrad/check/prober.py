"""What a vjp claims along a direction against what a ladder of differences measures there."""

import functools
import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.check.differences import LEVELS, RATIO, Ladder, complex_step, noise_floor, step_dtype
from minigrad.check.directions import cotangent, directions, lengths, raised, signs
from minigrad.check.subjects import Subject
from minigrad.errors import value_error

RTOL = {"float64": 1e-6, "float32": 3e-4}  # of a typical element: a factor of 1.001 is well outside
FIRST_STEP = {"float64": 2.0**-7, "float32": 2.0**-3}  # of the length of an element
STEPS = {"float64": LEVELS, "float32": 6}  # levels of a ladder: as many as rounding leaves a use for
ELEMENT_STEPS = {"float64": 8, "float32": 6}  # the same, where one element moves
MARGIN = {"float64": 10.0, "float32": 3.0}  # how much larger than it looks the numerical error may be
LOCATED = 3  # elements of a large input that are searched for
ASIDE = {"float64": 1e-3, "float32": 0.1}  # how far to step from a kink, of the length of an element
FARTHEST = {
    "float64": 30,
    "float32": 0,
}  # powers of 2 that a small output is raised by at most: then rounding shows
MOVES = 4  # points, each a rounding error away, at which the rounding of a vjp shows


@dataclass(frozen=True)
class Slope:
    """One comparison: what the vjp claims along a direction, and what the ladder measures."""

    key: tuple[int, int]  # (output, cotangent)
    claimed: float
    measured: float
    scale: float  # the length of what was summed
    error: float  # how wrong `measured` may be; inf if nothing could be measured
    ok: bool  # do both agree, to `rtol` of a typical summand and the error?
    near: bool = True  # do they, to `rtol` of the scale, the error and the rounding of the vjp?
    reach: float = 0.0  # the largest element of the direction

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
    start: list[np.ndarray] = field(default_factory=list)  # the outputs in the dtype of the steps


class Prober:
    """Compares vjps and slopes of one subject.

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

    @np.errstate(all="ignore")
    def _draw(self) -> dict[tuple[int, int], np.ndarray]:
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

    @np.errstate(all="ignore")  # far steps may leave a function's domain
    def probe(self, sample: Sample, i: int) -> tuple[list[Slope], bool]:
        """Compare along the gradient itself and random directions; return (slopes, is there a kink?).

        Along its own direction a gradient that is off by a factor shows it in full. Where nothing can
        be measured with one length of the elements, it is with the other.
        """
        slopes, kink = [], False
        pulls = [[sample.pulls[o, c][i] for c in range(self.directions)] for o in range(len(sample.outputs))]
        tries = [directions(self.rng, pulls, s) for s in lengths(sample.arrays[i], self.eps)]
        for same in itertools.zip_longest(*tries):
            found = [self._compared(sample, i, u) for u in same if u is not None]
            for each in zip(*found):  # one key
                kept = [pair for pair in each if math.isfinite(pair[0].error)] or [each[0]]
                slopes += [slope for slope, _ in kept]
                kink = kink or any(at_kink for _, at_kink in kept)
        return slopes, kink

    def _compared(self, sample: Sample, i: int, u: np.ndarray) -> list[tuple[Slope, bool]]:
        """Return for each cotangent the slope along u, and whether it is off because of a kink."""
        ladder, noise = self._ladder(sample, i, u)
        slopes = [self._slope(sample, i, u, ladder, noise, n) for n in range(len(noise))]
        return [(s, not s.ok and self._at_kink(ladder, n, noise, s)) for n, s in enumerate(slopes)]

    @np.errstate(all="ignore")
    def columns(
        self, sample: Sample, i: int, o: int, picked: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the Jacobian of output `o` by the picked elements, its error, and where it has a kink.

        With `weights` the outputs are summed, so weighted, into one. Each element moves by its own
        size, by 1, or, if it is 0, by less and less, until the slope can be measured.

        Shapes    (outputs, picked), each
        """
        noise = self.eps * (abs(sample.outputs[o]).ravel().astype(np.float64) + self.subject.inner)
        noise = noise if weights is None else np.array([np.linalg.norm(weights * noise)])
        columns, errors = np.empty((2, noise.size, len(picked)))
        kinks = np.empty(columns.shape, bool)
        tries = lengths(sample.arrays[i], self.eps)
        for column, j in enumerate(picked):
            moves = [float(s.flat[j]) for s in tries]
            moves += [2.0**-24, 2.0**-48] if sample.arrays[i].flat[j] == 0 else []
            best = np.full(noise.size, math.inf)
            for n, length in enumerate(dict.fromkeys(moves)):
                unit = np.zeros(sample.arrays[i].size)
                unit[j] = length
                ladder = self._part_ladder(sample, i, unit, o, weights)
                slope, error = (part / length for part in ladder.best(noise))
                better = (error < best) | (n == 0)
                columns[better, column], best[better] = slope[better], error[better]
                kinks[better, column] = (ladder.kinks(noise) | ~np.isfinite(error))[better]
                enough = self.fine * abs(columns[:, column]) + 1e4 * noise / length
                if (best <= enough).all():
                    break
            errors[:, column] = best
        return columns, errors, kinks

    def _part_ladder(
        self, sample: Sample, i: int, u: np.ndarray, o: int, weights: np.ndarray | None
    ) -> Ladder:
        """Return the ladder of output `o`, or of its weighted sum, along a flat direction."""
        curve = self._curve(sample, i, u.reshape(sample.arrays[i].shape))
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

    @np.errstate(all="ignore")
    def locate(self, sample: Sample, i: int, key: tuple[int, int], count: int = LOCATED) -> list[int]:
        """Return the flat indices of the worst elements of a large input, found by halving.

        Along a random direction that is zero outside a range, vjp and slope differ only if an element
        of the range is wrong. The half that differs more is halved again: O(log n) slopes for each
        element found. The other halves wait for the search of the next.
        """
        gradient = sample.pulls[key][i].ravel()
        if not np.isfinite(gradient).all():
            return [int(j) for j in np.flatnonzero(~np.isfinite(gradient))[:count]]
        u = signs(self.rng, sample.arrays[i].shape)

        for length in lengths(sample.arrays[i], self.eps):
            move = (u * length).ravel()
            off, floor = self._off(sample, i, key, move, 0, gradient.size)
            if floor < math.inf:
                break
        waiting: list[Any] = [(-abs(off), off, 0, gradient.size)]
        found = list[int]()
        while waiting and len(found) < count:
            _, off, low, high = heapq.heappop(waiting)
            while high - low > 1:
                middle = (low + high) // 2
                first, floor = self._off(sample, i, key, move, low, middle)
                halves = [(abs(part) > floor, abs(part), part) for part in (first, off - first)]
                ends = ((low, middle), (middle, high))
                (_, _, off, low, high), (shows, size, rest, *other) = sorted(
                    ((*half, *end) for half, end in zip(halves, ends)), reverse=True
                )
                if shows:
                    heapq.heappush(waiting, (-size, rest, *other))
            found.append(low)
        return found

    def _off(
        self, sample: Sample, i: int, key: tuple[int, int], move: np.ndarray, low: int, high: int
    ) -> tuple[float, float]:
        """Return how far off the slope of a range is, and how much of that may be noise."""
        dout, gradient = self.cotangents[key].ravel(), sample.pulls[key][i].ravel()[low:high]
        noise = self.eps * np.linalg.norm(dout * (abs(sample.outputs[key[0]]).ravel() + self.subject.inner))
        masked = np.zeros(move.size)
        masked[low:high] = move[low:high]
        slope, error = self._part_ladder(sample, i, masked, key[0], dout).best(noise)
        adds = gradient.astype(np.float64) * move[low:high]
        floor = MARGIN[self.step_dtype] * error[0] + self.fine * np.linalg.norm(adds)
        return float(adds.sum() - slope[0]), float(floor)

    def jacobian(self, sample: Sample, i: int, o: int, picked: np.ndarray) -> np.ndarray:
        """Return the Jacobian of output `o` by the picked elements as the vjp has it, one pull per output."""
        y = sample.outputs[o]
        found = np.empty((y.size, len(picked)))
        for row in range(y.size):
            unit = np.zeros(y.size)
            unit[row] = 1.0
            found[row] = self._pull(sample, o, unit.reshape(y.shape))[i].ravel()[picked]
        return found

    def _pull(self, sample: Sample, o: int, dout: np.ndarray) -> list[np.ndarray]:
        """Return the gradients of output `o` alone, so that a small one is not drowned by the others."""
        cotangents = [dout if j == o else np.zeros(y.shape) for j, y in enumerate(sample.outputs)]
        return self.subject.gradients(sample.arrays, cotangents)

    @np.errstate(all="ignore")
    def rounding(self, sample: Sample, i: int, key: tuple[int, int]) -> np.ndarray:
        """Return the rounding error of each element of a gradient: how far points a rounding error away differ.

        They are compared with each other, so that a gradient which is wrong at the sample alone is not rounding.
        Beside that, what cancels leaves the rounding of the largest gradient on the way.
        """
        eps, start = float(np.finfo(self.dtype).eps), sample.pulls[key][i].astype(np.float64)
        total, squares = np.zeros((2, *start.shape))
        for _ in range(MOVES):
            moved = [
                (a * (1 + eps * self.rng.choice([-1, 1], a.shape))).astype(a.dtype) for a in sample.arrays
            ]
            off = self._pull(Sample(moved, sample.outputs), key[0], self.cotangents[key])[i] - start
            total, squares = total + off, squares + off * off
        spread = np.sqrt(((squares - total * total / MOVES) / (MOVES - 1)).clip(0))
        sizes = [self.subject.largest, *(float(abs(g).max(initial=0.0)) for g in sample.pulls[key])]
        largest = max(size for size in (*sizes, 0.0) if math.isfinite(size))
        return np.where(np.isfinite(spread), spread, 0.0) + eps * largest

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

        inner, keys = self.subject.inner, self.cotangents.items()
        sizes = [np.linalg.norm(dout * (abs(sample.outputs[o]) + inner)) for (o, _), dout in keys]
        ladder = Ladder(
            sums, FIRST_STEP[self.step_dtype], self.method == "richardson", STEPS[self.step_dtype]
        )
        if self.method == "complex":
            self._take_complex_steps(sample, i, direction, ladder)
        return self._inside(ladder), self.eps * np.array(sizes)

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

    def _slope(
        self, sample: Sample, i: int, u: np.ndarray, ladder: Ladder, noises: np.ndarray, n: int
    ) -> Slope:
        """Descend the ladder until vjp and difference agree; if they never do, take the best level.

        Agreement counts if the finest step shows it, too, as far as its noise lets it.
        """
        key, noise = [*self.cotangents][n], noises[n]
        adds = sample.pulls[key][i].astype(np.float64) * u
        claimed, length = float(adds.sum()), float(np.linalg.norm(adds))
        scale = abs(claimed) + length
        count = 1 if (adds >= 0).all() else np.count_nonzero(u)  # along itself, small errors of all add up
        allowed = self.rtol * length / math.sqrt(max(1, count))
        agreed: list[float] = []
        for k in range(1, ladder.last):
            if 3 * noise > allowed * ladder.step(k):
                break  # smaller steps show rounding alone
            measured = float(ladder.estimate(k)[n])
            if agreed or abs(measured - claimed) <= allowed:
                agreed.append(measured)
                closest = min(agreed, key=lambda m: abs(m - claimed))
                if abs(closest - claimed) <= self.fine * scale or len(agreed) == 3:
                    off = abs(ladder.central(ladder.last)[n] - claimed)
                    if not off <= 1e-3 * length + 30 * noise / ladder.step(ladder.last):
                        break
                    return Slope(key, claimed, closest, scale, self.rtol * scale, True)
            elif k > 1 and ladder.settled(k, noises):
                break  # on another slope
        best, errors = ladder.best(noises)
        if not abs(best[n] - claimed) > 1e-3 * scale:  # a small gap may be noise from inside the function
            best, errors = ladder.best(np.maximum(noise_floor(ladder.at, 100 * self.eps), noises))
        measured, error = float(best[n]), float(errors[n])
        gap, margin = abs(measured - claimed), MARGIN[self.step_dtype]
        ok = bool(gap <= allowed + margin * error and error < math.inf)
        near = ok
        if not ok and error < math.inf:
            own = float(np.linalg.norm(self.rounding(sample, i, key) * u))
            near = gap <= self.rtol * max(scale, abs(measured)) + margin * (error + own)
        scale, reach = max(scale, abs(measured)), float(abs(u).max(initial=0.0))
        return Slope(key, claimed, measured, scale, error, ok, near, reach)

    def _at_kink(self, ladder: Ladder, n: int, noise: np.ndarray, slope: Slope) -> bool:
        """Do the slopes to both sides differ, at tiny steps, by as much as the vjp is off?"""
        if slope.error == math.inf:
            return True
        left, right = ladder.sides(ladder.tiny)
        off = abs(slope.claimed - slope.measured)
        off = off if math.isfinite(off) else abs(right[n])
        return bool(ladder.kinks(noise)[n]) and not abs(right - left)[n] <= 0.05 * off
