"""What a vjp claims along a direction against what a ladder of differences measures there."""

import heapq
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.check.curves import Curves, Key, Sample
from minigrad.check.differences import Ladder
from minigrad.check.directions import directions, lengths, signs

MARGIN = {"float64": 10.0, "float32": 3.0}  # how much larger than it looks the numerical error may be
LOCATED = 3  # elements of a large input that are searched for
NEAR = 2.0**8  # times its own size: a move that needs no second one, if it measures well
PROOFS = 3  # elements that are surely wrong
MOVES = 4  # points, each a rounding error away, at which the rounding of a vjp shows


@dataclass(frozen=True)
class Slope:
    """One comparison: what the vjp claims along a direction, and what the ladder measures."""

    key: Key  # (output, cotangent)
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


@dataclass(frozen=True)
class Elements:
    """Some elements of a gradient.

    Shapes    (elements,); columns (outputs, elements), or (1, elements) if the outputs were summed
    """

    claimed: np.ndarray  # by the vjp
    measured: np.ndarray  # by differences
    error: np.ndarray  # how wrong `measured` may be
    allowed: np.ndarray  # how far apart both may be, by rounding and tolerance
    kink: np.ndarray  # where the slopes to the left and right differ, or no step tells them
    columns: np.ndarray  # their Jacobian by differences


class Prober(Curves):
    """Compares vjps and slopes of one subject."""

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

    def blind_to(self, slopes: list[Slope]) -> float:
        """Return which share of the gradients of some output no slope can tell from rounding."""
        shares: dict[int, float] = {}
        for s in slopes:
            share = MARGIN[self.step_dtype] * s.error / s.scale if s.scale else math.inf
            shares[s.key[0]] = min(share, shares.get(s.key[0], math.inf))
        return max(shares.values())

    def _compared(self, sample: Sample, i: int, u: np.ndarray) -> list[tuple[Slope, bool]]:
        """Return for each cotangent the slope along u, and whether it is off because of a kink."""
        ladder, noise = self._ladder(sample, i, u)
        slopes = [self._slope(sample, i, u, ladder, noise, n) for n in range(len(noise))]
        return [(s, not s.ok and self._at_kink(ladder, n, noise, s)) for n, s in enumerate(slopes)]

    def _slope(
        self, sample: Sample, i: int, u: np.ndarray, ladder: Ladder, noises: np.ndarray, n: int
    ) -> Slope:
        """Return what the first levels say that agree with the vjp; if none do, the best, and from closer up."""
        key = [*self.cotangents][n]
        adds = sample.pulls[key][i].astype(np.float64) * u
        claimed, length = float(adds.sum()), float(np.linalg.norm(adds))
        scale, reach = abs(claimed) + length, float(abs(u).max(initial=0.0))
        count = 1 if (adds >= 0).all() else np.count_nonzero(u)  # along itself, small errors of all add up
        allowed = self.rtol * length / math.sqrt(max(1, count))
        agreed = self._agreed(ladder, noises, n, claimed, length, allowed)
        if agreed is not None:
            return Slope(key, claimed, agreed, scale, self.rtol * scale, True)
        best, errors = ladder.best(noises)
        measured, error, noise = float(best[n]), float(errors[n]), float(noises[n])
        gap, margin = abs(measured - claimed), MARGIN[self.step_dtype]
        scale, ladder.finest = max(scale, abs(measured)), self.finest(sample, i, u, adds)
        ok = gap <= allowed + margin * error < math.inf or ladder.settles_on(claimed, noise, allowed, n)
        near = ok
        if not ok and error < math.inf:
            own = float(np.linalg.norm(self.rounding(sample, i, key) * u))
            own += self._unseen(sample, i, key, u, ladder.rest(noise, n))
            near = gap <= self.rtol * scale + margin * (error + own)
        return Slope(key, claimed, measured, scale, error, ok, near, reach)

    def _agreed(
        self, ladder: Ladder, noises: np.ndarray, n: int, claimed: float, length: float, allowed: float
    ) -> float | None:
        """Descend the ladder until its levels agree with what is claimed; return the closest, None if they do not.

        Agreement counts if the finest step shows it, too, as far as its noise lets it.
        """
        noise, agreed = noises[n], list[float]()
        for k in range(1, ladder.last):
            if 3 * noise > allowed * ladder.step(k):
                break  # smaller steps show rounding alone
            measured = float(ladder.estimate(k)[n])
            if agreed or abs(measured - claimed) <= allowed:
                agreed.append(measured)
                closest = min(agreed, key=lambda m: abs(m - claimed))
                if abs(closest - claimed) <= self.fine * (abs(claimed) + length) or len(agreed) == 3:
                    off = abs(ladder.central(ladder.last)[n] - claimed)
                    confirmed = off <= 1e-3 * length + 30 * noise / ladder.step(ladder.last)
                    return closest if confirmed else None
            elif k > 1 and ladder.settled(k, noises):
                break  # on another slope
        return None

    def _at_kink(self, ladder: Ladder, n: int, noise: np.ndarray, slope: Slope) -> bool:
        """Do the slopes to both sides differ, at tiny steps, by as much as the vjp is off, or turn to it nearer still?"""
        if slope.error == math.inf:
            return True
        if ladder.shows(slope.claimed, slope.measured, noise[n], n):
            return True
        left, right = ladder.sides(ladder.tiny)
        off = abs(slope.claimed - slope.measured)
        off = off if math.isfinite(off) else abs(right[n])
        return bool(ladder.kinks(noise)[n]) and not abs(right - left)[n] <= 0.05 * off

    @np.errstate(all="ignore")
    def columns(
        self, sample: Sample, i: int, o: int, picked: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the Jacobian of output `o` by the picked elements, its error, and where it has a kink.

        With `weights` the outputs are summed, so weighted, into one. Each element moves by 1 and by its own
        size, or, if it is 0, by less and less, until the slope can be measured. What float32
        inputs see over the larger moves is a kink.

        Shapes    (outputs, picked), each
        """
        least = self.eps * self._sizes(sample, o).ravel()
        most = least * np.ravel(self.cancelled.get(o, 1.0))
        if weights is not None:
            least, most = (np.array([np.linalg.norm(weights * noise)]) for noise in (least, most))
        columns, errors = np.empty((2, least.size, len(picked)))
        kinks = np.empty(columns.shape, bool)
        tries = lengths(sample.arrays[i], self.eps)
        for column, j in enumerate(picked):
            moves = [float(s.flat[j]) for s in tries]
            moves += [2.0**-24, 2.0**-48] if sample.arrays[i].flat[j] == 0 else []
            best, bent = np.full(least.size, math.inf), np.zeros(least.size, bool)
            for n, length in enumerate(sorted({*moves}, reverse=True)):
                unit = np.zeros(sample.arrays[i].size)
                unit[j] = length
                ladder = self._part_ladder(sample, i, unit, o, weights)
                noise = self._seen(ladder, least, most)
                slope, error = (part / length for part in ladder.best(noise))
                better, kink = (error < best) | (n == 0), ladder.kinks(noise)
                columns[better, column], best[better] = slope[better], error[better]
                kinks[better, column] = (kink | ~np.isfinite(error))[better]
                bent |= kink & (length >= 1)
                enough = self.fine * abs(columns[:, column]) + 1e4 * noise / length
                if length <= NEAR * moves[0] and (best <= enough).all():
                    break
            errors[:, column] = best
            kinks[:, column] |= bent & (self.dtype == "float32")
        return columns, errors, kinks

    @np.errstate(all="ignore")
    def elements(self, sample: Sample, i: int, key: Key, picked: np.ndarray, whole: bool) -> Elements:
        """Measure the picked elements of a gradient: of the `whole` Jacobian, or of the sum over the outputs alone.

        What looks wrong is looked at from closer up, until enough of it is PROOFS.
        """
        dout = self.cotangents[key].ravel()
        columns, errors, kinks = self.columns(sample, i, key[0], picked, None if whole else dout)
        weights, kink = dout if whole else np.ones(1), np.asarray(kinks.any(axis=0))
        claimed, measured = sample.pulls[key][i].ravel()[picked].astype(np.float64), weights @ columns
        error = np.sqrt(np.square(weights) @ np.square(errors))
        unsure = MARGIN[self.step_dtype] * (self.rounding(sample, i, key).ravel()[picked] + error)
        allowed = self.rtol * np.maximum(abs(claimed), abs(measured)) + unsure
        off, proofs, turned = np.where(kink, 0.0, abs(measured - claimed) / allowed), 0, list[int]()
        for n in off.argsort()[::-1]:
            if off[n] > 1 and proofs < PROOFS:
                settled = self._settles(sample, i, key, int(picked[n]), float(claimed[n]), float(measured[n]))
                turned, proofs = turned + [n] * (not settled), proofs + settled
        if len(turned) <= max(2, len(picked) // 2):  # else it is a part that rounds: kinks are not everywhere
            kink[turned] = True
        return Elements(claimed, measured, error, allowed, kink, columns)

    def _settles(self, sample: Sample, i: int, key: Key, j: int, claimed: float, measured: float) -> bool:
        """Do the steps of a ladder tell the slope of element j at the sample?

        Not if the function turns between them and the sample, nor if the gradients at what cannot be told
        from the sample are both slopes.
        """
        dout, shape = self.cotangents[key].ravel(), sample.arrays[i].shape
        for length in {float(s.flat[j]) for s in lengths(sample.arrays[i], self.eps)}:
            u = np.zeros(shape)
            u.flat[j] = length
            ladder = self._part_ladder(sample, i, u, key[0], dout)
            noise = float(self.noise(sample, ladder, [key])[0])
            ladder.finest, slopes = self.finest(sample, i, u, u), (claimed * length, measured * length)
            unseen = self._unseen(sample, i, key, u, ladder.rest(noise))
            if abs(slopes[0] - slopes[1]) <= unseen or ladder.shows(*slopes, noise):
                return False
        return True

    def _unseen(self, sample: Sample, i: int, key: Key, u: np.ndarray, rest: float) -> float:
        """Return how much the gradient along u varies over a step at which the output rests.

        Both ends are compared with each other: a gradient that is wrong at the sample alone is no rounding.
        """
        if rest == 0:
            return 0.0
        ends = []
        for step in (-rest, rest):
            arrays = list(sample.arrays)
            arrays[i] = (arrays[i] + step * u).astype(arrays[i].dtype)
            ends.append(self._pull(Sample(arrays, sample.outputs), key[0], self.cotangents[key])[i])
        return float(abs(((ends[1] - ends[0]) * u).sum()))

    @np.errstate(all="ignore")
    def rounding(self, sample: Sample, i: int, key: Key) -> np.ndarray:
        """Return the rounding error of each element of a gradient: how far points a rounding error away differ.

        They are compared with each other, so that a gradient which is wrong at the sample alone is not rounding.
        Beside that, what cancels leaves the rounding of the largest gradient on the way.
        """
        if (key, i) in sample.roundings:
            return sample.roundings[key, i]
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
        rounding = np.where(np.isfinite(spread), spread, 0.0) + eps * largest
        sample.roundings[key, i] = rounding
        return rounding

    @np.errstate(all="ignore")
    def locate(self, sample: Sample, i: int, key: Key, count: int = LOCATED) -> list[int]:
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
        self, sample: Sample, i: int, key: Key, move: np.ndarray, low: int, high: int
    ) -> tuple[float, float]:
        """Return how far off the slope of a range is, and how much of that may be noise."""
        dout, gradient = self.cotangents[key].ravel(), sample.pulls[key][i].ravel()[low:high]
        masked = np.zeros(move.size)
        masked[low:high] = move[low:high]
        ladder = self._part_ladder(sample, i, masked, key[0], dout)
        slope, error = ladder.best(self.noise(sample, ladder, [key]))
        adds = gradient.astype(np.float64) * move[low:high]
        floor = MARGIN[self.step_dtype] * error[0] + self.fine * np.linalg.norm(adds)
        return float(adds.sum() - slope[0]), float(floor)
