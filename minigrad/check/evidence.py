"""What is known about one input whose gradient is wrong, and what can be asked of it."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

EXPLAINED = 0.01  # a candidate explains an error if it leaves no more than this share of it
ALIKE = 0.1  # how far two elements may be apart, of both
NOISE = 0.3  # the share of an error that noise may be; beyond it, all patterns fit or none
TINY = 1e-6  # of the largest: what counts as zero

Candidates = Iterator[tuple[np.ndarray, str]]  # what a vjp may have returned, and how that came about


@dataclass(frozen=True)
class Grid:
    """Which elements of an array are examined: some indices of each axis, in all combinations."""

    shape: tuple[int, ...]  # of the whole array
    axes: tuple[np.ndarray, ...]
    sought: tuple[np.ndarray, ...] = ()  # which of them were not drawn at random, for each axis

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> "Grid":
        """Return the grid of all elements."""
        return cls(shape, tuple(np.arange(n) for n in shape))

    @classmethod
    def around(
        cls, shape: tuple[int, ...], found: Sequence[int], budget: int, rng: np.random.Generator
    ) -> "Grid":
        """Return a grid of at most about `budget` elements with the `found` ones (flat indices) among them.

        Axes of equal lengths take the same indices, so that exchanging them can still be told.
        """
        sides, left = {}, float(budget)
        for count, n in zip(range(len(shape), 0, -1), sorted(shape)):
            sides[n] = min(n, max(2, int(left ** (1 / count))))
            left /= sides[n]
        chosen, sought = {}, {}
        for n, side in sides.items():
            wanted = [i for i, m in zip(np.unravel_index(np.array(found, int), shape), shape) if m == n]
            pinned = list(dict.fromkeys(int(i) for axis in zip(*wanted) for i in axis))[:side]
            drawn = [int(i) for i in rng.permutation(n) if i not in pinned][: side - len(pinned)]
            chosen[n] = np.sort(np.array(pinned + drawn))
            sought[n] = np.isin(chosen[n], pinned) & (side < n)
        return cls(shape, tuple(chosen[n] for n in shape), tuple(sought[n] for n in shape))

    @property
    def complete(self) -> bool:
        """Is every element examined?"""
        return all(len(axis) == n for axis, n in zip(self.axes, self.shape))

    @property
    def picked(self) -> np.ndarray:
        """The flat indices of the examined elements."""
        return self.take(np.arange(math.prod(self.shape)).reshape(self.shape)).ravel()

    @property
    def drawn(self) -> np.ndarray:
        """Which of the examined elements were drawn at random: they stand for the whole."""
        return functools.reduce(np.logical_and.outer, [~sought for sought in self.sought], np.asarray(True))

    def take(self, a: np.ndarray) -> np.ndarray:
        """Return the examined elements of an array of the whole shape."""
        return a[np.ix_(*self.axes)] if self.axes else a

    def index(self, position: int) -> tuple[int, ...]:
        """Return the index in the whole array of the examined element at this flat position."""
        where = np.unravel_index(position, [len(axis) for axis in self.axes])
        return tuple(int(axis[i]) for axis, i in zip(self.axes, where))


@dataclass(frozen=True)
class Entries:
    """The right Jacobian and that of the vjp, entry by entry, at the elements that are sure (else 0 in both).

    Shapes    (outputs, elements)
    """

    right: np.ndarray
    claimed: np.ndarray
    has: np.ndarray  # where the right one is not 0
    gets: np.ndarray  # where that of the vjp is not
    wrong: np.ndarray
    missing: np.ndarray  # of these, where the vjp has 0 and should not
    spurious: np.ndarray  # where it should have 0 and has not
    off: np.ndarray  # where both are not 0, and differ
    kept: np.ndarray  # where the vjp is right, and not 0


@dataclass(frozen=True)
class Evidence:
    """What is known about one input whose gradient is wrong.

    Shapes    x, claimed, measured, error as the examined elements of the input; y and dout as the
              output; the Jacobians (y.size, x.size), or None if they were too large to measure
    """

    x: np.ndarray
    y: np.ndarray
    dout: np.ndarray  # the cotangent that `claimed` belongs to
    claimed: np.ndarray  # the gradient by the vjp
    measured: np.ndarray  # the gradient by differences
    error: np.ndarray  # how wrong `measured` may be
    allowed: np.ndarray | float = 0.0  # how far apart both may be, by rounding and tolerance
    grid: Grid | None = None  # the examined elements, if not all
    kink: np.ndarray | None = None  # where the slopes to the left and right differ
    jacobian: np.ndarray | None = None  # by differences
    claimed_jacobian: np.ndarray | None = None  # by the vjp
    others: dict[str, np.ndarray] = field(default_factory=dict)  # the other inputs by name
    siblings: dict[str, np.ndarray] = field(default_factory=dict)  # their gradients by the vjp
    slopes: Sequence[tuple[float, float, float]] = ()  # (claimed, measured, its error) along directions
    elsewhere: Sequence[tuple[float, float, float]] = ()  # the same at another sample
    other_cotangent: np.ndarray | None = None  # the gradient by the vjp for another cotangent
    held: np.ndarray | None = None  # by differences that hold fixed what has no history in the graph
    cuts: Sequence[str] = ()  # the operations that read it

    @property
    def examined(self) -> Grid:
        """The elements that are examined."""
        return self.grid or Grid.whole(self.x.shape)

    @cached_property
    def sure(self) -> np.ndarray:
        """Where both gradients are finite and the measured one is good: not at a kink."""
        scale = abs(self.measured[np.isfinite(self.measured)]).max(initial=0.0)
        good = np.isfinite(self.claimed) & np.isfinite(self.measured)
        good &= self.error <= 1e-3 * scale + 1e-300
        return good if self.kink is None else good & ~self.kink

    @cached_property
    def missing(self) -> np.ndarray:
        """What has to be added to the claimed gradient, 0 where unsure."""
        with np.errstate(all="ignore"):
            return np.where(self.sure, self.measured - self.claimed, 0.0)

    @cached_property
    def wrong(self) -> np.ndarray:
        """Which elements are wrong, against the size of the largest error."""
        limit = np.maximum(self.allowed, 3 * self.error + TINY * abs(self.missing).max(initial=0.0))
        return abs(self.missing) > limit

    @cached_property
    def proves(self) -> bool:
        """Is an element surely wrong? NaN is no slope, at a kink either, and inf is none where it is finite."""
        smooth = np.isfinite(self.error) & (True if self.kink is None else ~self.kink)
        with np.errstate(all="ignore"):
            off = smooth & ~(abs(self.measured - self.claimed) <= self.allowed)
        return bool((off | np.isnan(self.claimed)).any())

    def outweighs(self, gap: float, reach: float) -> bool:
        """Would the elements, all of them measured, show a difference of `gap` along moves up to `reach`?"""
        return self.examined.complete and 10 * float(np.linalg.norm(self.error)) * reach <= gap

    @cached_property
    def entries(self) -> Entries | None:
        """Both Jacobians, entry by entry, if both are known."""
        if self.jacobian is None or self.claimed_jacobian is None:
            return None
        sure = self.sure.ravel()
        right, claimed = (np.where(sure, a, 0.0) for a in (self.jacobian, self.claimed_jacobian))
        off, scale = abs(claimed - right), abs(right).max(initial=0.0)
        noise = 10 * self.error.ravel() / max(float(abs(self.dout).sum()), 1e-300)
        wrong = off > np.maximum(noise, max(1e-3 * off.max(initial=0.0), 1e-8 * scale))
        has, gets = (abs(a) > np.maximum(noise, TINY * scale) for a in (right, claimed))
        parts = wrong & has & ~gets, wrong & gets & ~has, wrong & has & gets, has & ~wrong
        return Entries(right, claimed, has, gets, wrong, *parts)

    @cached_property
    def tied(self) -> list[tuple[int, int]]:
        """Axes (of the output, of the input) along which each index depends on its own alone."""
        if self.entries is None or not self.examined.complete:
            return []
        has = self.entries.has.reshape(self.y.shape + self.x.shape)
        found: list[tuple[int, int]] = []
        for a, b in itertools.product(range(self.y.ndim), range(self.x.ndim)):
            n, used = self.y.shape[a], [i for pair in found for i in (pair[0], self.y.ndim + pair[1])]
            if n == self.x.shape[b] and not {a, self.y.ndim + b} & {*used}:
                others = tuple(i for i in range(has.ndim) if i not in (a, self.y.ndim + b))
                found += [] if (has.any(axis=others) & ~np.eye(n, dtype=bool)).any() else [(a, b)]
        return found

    def tensor(self, jacobian: np.ndarray) -> np.ndarray:
        """Return a Jacobian as (index of the tied axes, other axes of the output, other axes of the input)."""
        tensor, ndim = jacobian.reshape(self.y.shape + self.x.shape), self.y.ndim
        outputs = [a for a, _ in self.tied]
        inputs = [ndim + b for _, b in self.tied]
        ends = [i for i in range(tensor.ndim) if i not in outputs + inputs]
        tensor = tensor.transpose(outputs + inputs + ends)
        count = math.prod(self.y.shape[a] for a in outputs)
        rest = tensor.shape[2 * len(outputs) :]
        return tensor.reshape(count, count, *rest)[np.arange(count), np.arange(count)]

    def blocks(self, jacobian: np.ndarray) -> np.ndarray:
        """Return a Jacobian as blocks: (index of the tied axes, outputs, elements)."""
        tensor = self.tensor(jacobian)
        outputs, elements = np.split(tensor.shape[1:], [self.y.ndim - len(self.tied)])
        return tensor.reshape(len(tensor), math.prod(outputs), math.prod(elements))

    @property
    def right(self) -> np.ndarray:
        """Which elements are surely right."""
        return self.sure & ~self.wrong

    @cached_property
    def noise(self) -> float:
        """The share of the error that may be the numerical side's own."""
        missing = float(np.linalg.norm(self.missing))
        return float(np.linalg.norm(self.error[self.sure])) / missing if missing else math.inf

    @property
    def same_shape(self) -> bool:
        """Does the output have the shape of the input?"""
        return self.y.shape == self.examined.shape

    def dout_here(self) -> list[np.ndarray]:
        """Return the cotangent in the shape of the input: as it is, spread over axes, or summed over them."""
        dout, ndim = self.dout, len(self.examined.shape)
        ways = itertools.combinations(range(max(ndim, dout.ndim)), abs(ndim - dout.ndim))
        of_same_ndim = (dout.sum(axis=w) if dout.ndim > ndim else np.expand_dims(dout, w) for w in ways)
        return [a for a in map(self.here, of_same_ndim) if a is not None]

    @property
    def own(self) -> np.ndarray:
        """Where the Jacobian has the derivatives of outputs by the element at their own place."""
        return np.arange(self.y.size)[:, None] == self.examined.picked

    def is_diagonal(self, jacobian: np.ndarray | None) -> bool:
        """Does each output depend on the element at its own place alone, as far as is known?"""
        if jacobian is None:
            return True
        across = np.where(self.own, 0.0, abs(jacobian))
        return bool((across <= TINY * abs(jacobian).max(initial=0.0)).all())

    @cached_property
    def elementwise(self) -> bool:
        """Is the function elementwise, as far as is known?"""
        return self.same_shape and self.is_diagonal(self.jacobian)

    def explained_by(self, candidate: np.ndarray) -> bool:
        """Is this what the vjp returned, as far as the error goes?"""
        if candidate.shape != self.claimed.shape or not np.isfinite(candidate[self.sure]).all():
            return False
        left, missing = abs(candidate - self.claimed), np.linalg.norm(self.missing)
        share = math.hypot(EXPLAINED, self.noise)
        fits = np.linalg.norm(left[self.sure]) <= share * missing
        # where single elements are far larger, the others have a say, too
        own = ALIKE * (abs(candidate) + abs(self.claimed)) + share * abs(self.missing) + self.allowed
        return bool(self.noise < NOISE and fits and (left <= own)[self.sure].all())

    def pulled(self, dout: np.ndarray, jacobian: Any) -> np.ndarray:
        """Return the gradient that a cotangent and a Jacobian give."""
        return (dout.ravel() @ jacobian.reshape(dout.size, self.x.size)).reshape(self.x.shape)

    def fits(self, jacobian: np.ndarray) -> bool:
        """Is this the Jacobian of the vjp? Judged by the whole of it if that is known, else by the gradient."""
        explained = self.explained_by(self.pulled(self.dout, jacobian))
        if not explained or self.claimed_jacobian is None or self.jacobian is None:
            return explained
        sure = self.sure.ravel()
        left = (jacobian.reshape(self.jacobian.shape) - self.claimed_jacobian)[:, sure]
        error = (self.jacobian - self.claimed_jacobian)[:, sure]
        return bool(np.linalg.norm(left) <= math.hypot(EXPLAINED, self.noise) * np.linalg.norm(error))

    def here(self, a: np.ndarray) -> np.ndarray | None:
        """Return `a`, of the input's shape or broadcast to it, at the examined elements; else None."""
        try:
            return None if a.size < 2 else self.placed(np.broadcast_to(a, self.examined.shape))
        except ValueError:  # it does not broadcast
            return None

    def placed(self, a: np.ndarray) -> np.ndarray:
        """Return `a`, of the input's shape, at the examined elements."""
        return self.examined.take(a).astype(np.float64)

    def values(self) -> dict[str, np.ndarray]:
        """Return what a gradient may be made of, at the examined elements: input, output, other inputs."""
        named = self.others | ({"the output": self.y} if self.same_shape else {})
        fitting = {name: self.here(a) for name, a in named.items()}
        return {"the input": self.x} | {name: a for name, a in fitting.items() if a is not None}

    def extent(self) -> str:
        """Say how many elements are wrong; of a large input, by those that were drawn at random."""
        grid, count = self.examined, int(self.wrong.sum())
        size = math.prod(grid.shape)
        if grid.complete:
            return f"{count} of {size} elements"
        share = float(self.wrong[grid.drawn].mean()) if grid.drawn.any() else 1.0
        if share == 0:
            return f"{count} of {self.x.size} elements examined, and few of all {size:,}"
        return f"about {'all' if share > 0.95 else f'{share:.0%}'} of {size:,} elements"

    def worst(self) -> tuple[int, ...]:
        """Return the index, in the whole input, of the largest error."""
        return self.examined.index(int(abs(self.missing).argmax()))


def first_that_fits(candidates: Callable[[Evidence], Candidates]) -> Callable[[Evidence], str]:
    """Turn a generator of candidates into an explanation: the text of the first that fits, or ""."""

    @functools.wraps(candidates)
    def explain(e: Evidence) -> str:
        return next((text for gradient, text in candidates(e) if e.explained_by(gradient)), "")

    return explain


def index_of(mask: np.ndarray) -> tuple[int, ...]:
    """Return the first index at which the mask holds."""
    return tuple(int(i) for i in np.argwhere(mask)[0])


def along(axis: int, mask: np.ndarray) -> Any:
    """Return at which indices of an axis the mask holds anywhere."""
    return mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis))
