"""How far apart two implementations may be by rounding alone, element by element."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from minigrad.check.differences import noise_floor, private_generator

NEARBY, REACH = 4, 1 / 8  # other samples, and how far they are, of each element of the inputs
STEPS = (1.0, 2.37)  # to measure noise by: two, as it may keep step with one
SCALES = [1 / 16, 1 / 4, *(2.0**k for k in range(2, 48, 4))]  # of inputs: where rounding may show
FEW = 16  # units in the last place, up to which nothing is looked into
MARGIN = 10.0  # how much larger than measured the rounding may be
AGREED = 0.02  # of an element's size: nearer than this, two are one function with rounding on it

Move = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of an array, with random signs of its shape
Mix = dict[int, float]  # a cotangent, as {seed of a random one: its weight}


@dataclass(frozen=True)
class Pair:
    """One array as both have it."""

    name: str
    mine: np.ndarray
    theirs: np.ndarray

    @functools.cached_property
    def gaps(self) -> np.ndarray:
        """The differences; inf where only one side is NaN or inf."""
        same = (self.mine == self.theirs) | (np.isnan(self.mine) & np.isnan(self.theirs))
        with np.errstate(all="ignore"):
            return np.where(same, 0.0, np.nan_to_num(abs(self.mine - self.theirs), nan=np.inf, posinf=np.inf))

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """The larger of the two sizes of each element; 0 for NaN or inf."""
        larger = np.maximum(abs(self.mine), abs(self.theirs)).astype(np.float64)
        return np.where(np.isfinite(larger), larger, 0.0)


@dataclass
class Closeness:
    """Tells a difference from rounding, in one dtype, with an allowance of its own for each element.

    `rerun(move, mix)` returns the same arrays at the inputs that `move` makes of each, for this cotangent.
    """

    rerun: Callable[[Callable[[np.ndarray], np.ndarray], Mix], list[Pair]]
    rtol: float
    eps: float  # of the dtype
    relative: dict[str, float] = field(default_factory=dict)  # by name, the largest of the elements
    found: dict[str, np.ndarray] = field(default_factory=dict)  # by name, where they differ

    def differ(self, pair: Pair) -> np.ndarray:
        """Return where two arrays differ by more than rounding explains.

        It explains `rtol` of an element: of its size here, or at samples nearby, since a sum may cancel at
        one; and ten times the noise that is measured. Each is asked for only where those before fall short.
        """
        name = pair.name
        if name in self.found:
            return self.found[name]
        sizes, noise = pair.sizes, np.zeros(pair.sizes.shape)
        if (pair.gaps > min(self.rtol, FEW * self.eps) * sizes).any():
            sizes = np.maximum(sizes, self.nearby.get(name, 0.0))
        differ = pair.gaps > self.rtol * sizes
        for measure in (self._noise, self._bend, self._lost):
            if differ.any():
                noise = np.maximum(noise, measure(name, differ))
                differ = pair.gaps > self.rtol * sizes + MARGIN * noise
        largest = np.where(differ, pair.sizes, np.maximum(sizes, noise / self.eps))
        self.relative[name] = float((pair.gaps / np.where(largest, largest, 1.0)).max(initial=0.0))
        self.found[name] = differ
        return differ

    @functools.cached_property
    def nearby(self) -> dict[str, np.ndarray]:
        """The largest size of each element at samples nearby, with other cotangents."""
        runs = [self._moved(lambda x, u: x * (1 + REACH * u), {k: 1.0}) for k in range(1, NEARBY + 1)]
        return _most((pair.name, pair.sizes) for run in runs for pair in run)

    @functools.cached_property
    def noise(self) -> dict[str, np.ndarray]:
        """The noise of each difference, which comes and goes as inputs move by units in the last place."""
        return {pair.name: noise for pair, noise in self._rough(1.0, 100 * self.eps)}

    @functools.cached_property
    @np.errstate(all="ignore")
    def bend(self) -> dict[str, np.ndarray]:
        """How far each gradient's difference is from linear in the cotangent, as all but rounding is.

        Rounding is the same for -2 times a cotangent, times -2. Where that is not so, it is not rounding that
        bends the gradient: 0.
        """
        runs = [self._moved(_stay, {k: 1.0}) for k in range(NEARBY)]
        sums = [self._moved(_stay, {k: 1.0, (k + 1) % NEARBY: 1.0}) for k in range(NEARBY)]
        doubled, found = self._moved(_stay, {0: -2.0}), []
        for k, run in enumerate(sums):
            for both, one, two, here, far in zip(run, runs[k], runs[(k + 1) % NEARBY], runs[0], doubled):
                bend = abs(_gap(both) - _gap(one) - _gap(two))
                off = [abs(far.mine + 2 * here.mine), abs(far.theirs + 2 * here.theirs)]
                linear = np.maximum(*off) <= 0.1 * bend
                found.append((both.name, np.where(linear, np.nan_to_num(bend, posinf=0.0), 0.0)))
        return _most(found)

    def _noise(self, name: str, _: np.ndarray) -> np.ndarray:
        return self.noise.get(name, np.zeros(()))

    def _bend(self, name: str, _: np.ndarray) -> np.ndarray:
        return self.bend.get(name, np.zeros(()))

    def _lost(self, name: str, differ: np.ndarray) -> np.ndarray:
        """Return the noise of differences that such moves do not change, as the result is so small: 1 - cos x near 0.

        It shows at larger or smaller inputs, where both agree well: the least that is more than the
        rounding of the result's own size, which has grown.
        """
        least = np.full(differ.shape, np.inf)
        for scale in SCALES:
            there = {pair.name: pair for pair in self._moved(functools.partial(_scaled, scale), {0: 1.0})}
            if name not in there or not (there[name].gaps <= AGREED * there[name].sizes)[differ].any():
                continue
            for pair, noise in self._rough(scale, self.eps**0.4):
                if pair.name == name:
                    shows = (noise > MARGIN * self.eps * pair.sizes) & (pair.gaps <= AGREED * pair.sizes)
                    least = np.where(shows, np.minimum(least, noise), least)
        return np.where(np.isinf(least), 0.0, least)

    def _rough(self, scale: float, spacing: float) -> list[tuple[Pair, np.ndarray]]:
        """Return the arrays at scaled inputs, each with the noise of its differences there, the larger of two."""
        met: list[list[Pair]] = []

        def curve(t: float) -> np.ndarray:
            met.append(self._moved(lambda x, u: x * scale * (1 + t * u), {0: 1.0}))
            return np.concatenate([_gap(pair).ravel() for pair in met[-1]] or [np.zeros(0)])

        try:
            noise = np.maximum(*(noise_floor(curve, spacing * step) for step in STEPS))
        except ValueError:  # at some of the points it cannot run
            return []
        noise = np.nan_to_num(noise, posinf=0.0)
        ends = np.cumsum([pair.mine.size for pair in met[0]])
        return [(p, part.reshape(p.mine.shape)) for p, part in zip(met[0], np.split(noise, ends[:-1]))]

    def _moved(self, move: Move, mix: Mix) -> list[Pair]:
        """Run both at moved inputs; nothing, where they cannot run there."""
        rng = private_generator(sum(mix))
        try:
            return self.rerun(lambda x: move(x, rng.choice([-1.0, 1.0], x.shape)).astype(x.dtype), mix)
        except (TypeError, ValueError, RuntimeError):
            return []


def _stay(x: np.ndarray, _: np.ndarray) -> np.ndarray:
    return x


def _scaled(scale: float, x: np.ndarray, _: np.ndarray) -> np.ndarray:
    return x * scale


def _gap(pair: Pair) -> np.ndarray:
    with np.errstate(all="ignore"):
        return pair.mine.astype(np.float64) - pair.theirs


def _most(found: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the largest of the arrays of each name, element by element."""
    most: dict[str, np.ndarray] = {}
    for name, a in found:
        most[name] = np.maximum(most.get(name, 0.0), a)
    return most
