"""What is known about one input whose gradient is wrong, and what can be asked of it."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

EXPLAINED = 0.01  # a candidate explains an error if it leaves no more than this share of it
NOISE = 0.3  # the share of an error that noise may be; beyond it, all patterns fit or none
TINY = 1e-6  # of the largest: what counts as zero


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
        drawn = np.ones([len(axis) for axis in self.axes], bool)
        for axis, sought in enumerate(self.sought):
            drawn &= ~np.expand_dims(sought, [a for a in range(drawn.ndim) if a != axis])
        return drawn

    def take(self, a: np.ndarray) -> np.ndarray:
        """Return the examined elements of an array of the whole shape."""
        return a[np.ix_(*self.axes)] if self.axes else a

    def index(self, position: int) -> tuple[int, ...]:
        """Return the index in the whole array of the examined element at this flat position."""
        where = np.unravel_index(position, [len(axis) for axis in self.axes])
        return tuple(int(axis[i]) for axis, i in zip(self.axes, where))


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
        return abs(self.missing) > 3 * self.error + TINY * abs(self.missing).max(initial=0.0)

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
        dout, shape = self.dout, self.examined.shape
        more, fewer = len(shape) - dout.ndim, dout.ndim - len(shape)
        spread = [
            np.expand_dims(dout, axes) for axes in itertools.combinations(range(len(shape)), max(more, 0))
        ]
        summed = [dout.sum(axis=axes) for axes in itertools.combinations(range(dout.ndim), max(fewer, 0))]
        fitting = [self.here(a) for a in (spread if fewer <= 0 else summed)]
        return [a for a in fitting if a is not None]

    @cached_property
    def elementwise(self) -> bool:
        """Does each output depend on the element at its place alone, as far as is known?"""
        if not self.same_shape or self.jacobian is None:
            return self.same_shape
        rest = abs(self.jacobian)
        largest = rest.max(initial=0.0)
        rest[self.examined.picked, np.arange(self.x.size)] = 0.0
        return bool((rest <= TINY * largest).all())

    def explained_by(self, candidate: np.ndarray) -> bool:
        """Is this what the vjp returned, as far as the error goes?"""
        if candidate.shape != self.claimed.shape or not np.isfinite(candidate[self.sure]).all():
            return False
        left = np.linalg.norm((candidate - self.claimed)[self.sure])
        allowed = math.hypot(EXPLAINED, self.noise) * np.linalg.norm(self.missing)
        return bool(self.noise < NOISE and left <= allowed)

    def fits(self, jacobian: np.ndarray) -> bool:
        """Is this the Jacobian of the vjp? Judged by the whole of it if that is known, else by the gradient."""
        gradient = (self.dout.ravel() @ jacobian.reshape(self.y.size, -1)).reshape(self.x.shape)
        if not self.explained_by(gradient) or self.claimed_jacobian is None or self.jacobian is None:
            return self.explained_by(gradient)
        sure = self.sure.ravel()
        left = (jacobian.reshape(self.jacobian.shape) - self.claimed_jacobian)[:, sure]
        error = (self.jacobian - self.claimed_jacobian)[:, sure]
        return bool(np.linalg.norm(left) <= math.hypot(EXPLAINED, self.noise) * np.linalg.norm(error))

    def contributions(self) -> np.ndarray | None:
        """Return dout_o * dy_o/dx_j, (outputs, inputs): the gradient is its sum over the outputs."""
        return None if self.jacobian is None else self.dout.ravel()[:, None] * self.jacobian

    def here(self, a: np.ndarray) -> np.ndarray | None:
        """Return `a`, of the input's shape or broadcast to it, at the examined elements; else None."""
        shape = self.examined.shape
        if (
            a.size < 2
            or a.ndim > len(shape)
            or any(n not in (1, m) for n, m in zip(a.shape[::-1], shape[::-1]))
        ):
            return None
        return self.examined.take(np.broadcast_to(a, shape)).astype(np.float64)

    def placed(self, a: np.ndarray) -> np.ndarray:
        """Return `a`, of the input's shape, at the examined elements."""
        return self.examined.take(a).astype(np.float64)

    def values(self) -> dict[str, np.ndarray]:
        """Return what a gradient may be made of, at the examined elements: input, output, other inputs."""
        named = dict(self.others)
        if self.same_shape:
            named["the output"] = self.y
        fitting = {name: self.here(a) for name, a in named.items()}
        return {"the input": self.x, **{name: a for name, a in fitting.items() if a is not None}}

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


def index_of(mask: np.ndarray) -> tuple[int, ...]:
    """Return the first index at which the mask holds."""
    return tuple(int(i) for i in np.argwhere(mask)[0])
