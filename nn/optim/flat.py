"""The parameters of an optimiser in one buffer, walked in pieces that fit the cache."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigrad.backend import CACHE_BYTES, namespace, to_numpy
from minigrad.errors import type_error, value_error
from minigrad.memory import shared_empty
from minigrad.tensor import Tensor


class FlatBuffer:
    """The parameters of one group, laid end to end in one buffer, with their running averages."""

    def __init__(self, where: str, named: list[tuple[str, Any]], slots: tuple[str, ...]) -> None:
        for name, p in named:
            if not isinstance(p, Tensor) or not p.is_leaf:
                got = "a Tensor with a history" if isinstance(p, Tensor) else type(p).__name__
                raise type_error(where, "Parameters or other leaf Tensors", f"{got} (parameter {name})")
        dtypes = {str(p.dtype) for _, p in named}
        if len(dtypes) > 1:
            raise value_error(where, "one dtype in a group", " and ".join(sorted(dtypes)))
        self.where, self.names, self.params = where, [n for n, _ in named], [p for _, p in named]
        ends = list(itertools.accumulate((p.numel() for p in self.params), initial=0))
        self.places = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.steps = [0] * len(named)
        xp = namespace(self.params[0].data) if named else np
        dtype = dtypes.pop() if named else np.float32
        self.values = shared_empty(ends[-1], dtype) if xp is np else xp.empty(ends[-1], dtype)
        self.state = {slot: xp.zeros(ends[-1], self.values.dtype) for slot in slots}  # no memory until used
        for p, place in zip(self.params, self.places):
            self._adopt(p, place)
        limit = CACHE_BYTES // self.values.itemsize if xp is np else ends[-1]
        self._plan = list(self._plan_pieces(max(limit, 1)))

    def _adopt(self, p: Tensor, place: slice) -> None:
        """Move a parameter whose array is no view of the buffer into it: at the start, and after p.data = ..."""
        if p.dtype != self.values.dtype or namespace(p.data) is not namespace(self.values):
            raise RuntimeError(
                f"{self.where}.step: expected parameters of {self.values.dtype} where they were; got "
                f"{p.dtype} on {p.device}; make the optimiser after model.to(...)"
            )
        self.values[place] = p.data.reshape(-1)
        p._data = self.values[place].reshape(p.shape)  # the same values, so no graph becomes stale

    def _plan_pieces(self, limit: int) -> Iterator[list[tuple[int, slice, slice]]]:
        """Yield lists of (index of a parameter, its elements, their place in the buffer), `limit` elements at most.

        Small parameters share a piece; a large one is cut.
        """
        piece: list[tuple[int, slice, slice]] = []
        for i, place in enumerate(self.places):
            if piece and place.stop - piece[0][2].start > limit:
                yield piece
                piece = []
            size = place.stop - place.start
            if size <= limit:
                piece.append((i, slice(0, size), place))
                continue
            for a in range(0, size, limit):
                b = min(a + limit, size)
                yield [(i, slice(a, b), slice(place.start + a, place.start + b))]
        if piece:
            yield piece

    def begin_step(self) -> list[Any]:
        """Count a step of each parameter that has a gradient, and return the gradients, flat, or None."""
        grads: list[Any] = [None] * len(self.params)
        for i, p in enumerate(self.params):
            if p.data.base is not self.values:
                self._adopt(p, self.places[i])
            if (grad := p.grad) is not None:
                grads[i] = grad.reshape(-1)
                self.steps[i] += 1
                p.mark_overwritten()
        return grads

    def pieces(self, grads: list[Any]) -> Iterator[tuple[slice, Any, int]]:
        """Yield (place in the buffer, its gradient, its step), leaving out parameters without a gradient."""
        for piece in self._plan:
            live = [part for part in piece if grads[part[0]] is not None]
            if len(live) == len(piece) > 1 and len({self.steps[i] for i, _, _ in live}) == 1:
                whole = namespace(self.values).concatenate([grads[i] for i, _, _ in live])
                yield slice(live[0][2].start, live[-1][2].stop), whole, self.steps[live[0][0]]
            else:
                yield from ((place, grads[i][own], self.steps[i]) for i, own, place in live)

    def saved(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (name, {"step": 0-d array, slot: array of the parameter's shape}), NumPy copies all."""
        for name, p, place, step in zip(self.names, self.params, self.places, self.steps):
            averages = {s: to_numpy(a[place]).reshape(p.shape).copy() for s, a in self.state.items()}
            yield name, {"step": np.array(step), **averages}

    def restore(self, saved: dict[str, dict[str, Any]]) -> None:
        """Take over what `saved` yielded."""
        for i, (name, place) in enumerate(zip(self.names, self.places)):
            self.steps[i] = int(saved[name]["step"])
            for slot, a in self.state.items():
                a[place] = namespace(a).asarray(saved[name][slot]).reshape(-1)
