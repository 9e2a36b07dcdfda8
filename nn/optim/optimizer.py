"""The base of the optimisers: groups of parameters, each in one flat buffer, updated piece by piece."""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import CACHE_BYTES, namespace
from minigrad.errors import type_error, value_error
from minigrad.memory import shared_empty
from minigrad.tensor import Tensor
from nn.optim import state


class Optimizer:
    """Base of the optimisers: parameter groups, gradients to None, state by parameter name.

    `params` is an iterable of Parameters, of (name, Parameter) pairs such as
    `model.named_parameters()`, or a list of groups: dicts with "params" and any setting of its own.
    A setting may be changed between steps: `optimizer.param_groups[0]["lr"] = 1e-4`.

    The parameters of a group move into one flat buffer, of which each keeps its shape as a view. An
    update then is a few passes over pieces that fit the cache, and not a dozen small calls for each
    parameter: 2.0 instead of 2.2 ms for AdamW on 0.8 M elements in 52 parameters. Parameters without
    a gradient are left alone, and count no step. Make it after `model.to(...)`, which makes new arrays.

    Raises    ValueError for no parameters, one parameter twice, several dtypes in a group, or a
              setting out of range; TypeError for what is no leaf Tensor.
    """

    slots: tuple[str, ...] = ()  # the running averages kept for each element
    state_dict, load_state_dict = state.state_dict, state.load_state_dict

    def __init__(self, params: Iterable[Any], **defaults: Any) -> None:
        where = type(self).__name__
        groups = [] if isinstance(params, Tensor) else list(params)
        if not groups:
            got = "one Tensor" if isinstance(params, Tensor) else "none"
            raise value_error(where, "a list of parameters or of groups", got)
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.param_groups = [{**defaults, **group} for group in groups]
        named: list[list[tuple[str, Any]]] = []
        numbers = itertools.count()  # the names of parameters that were given none
        for group in self.param_groups:
            self._check(group)
            given = [group["params"]] if isinstance(group["params"], Tensor) else group["params"]
            pairs = [p if isinstance(p, tuple) else (str(i), p) for p, i in zip(given, numbers)]
            group["params"] = [p for _, p in pairs]
            named.append(pairs)
        every = [pair for pairs in named for pair in pairs]
        if min(len({name for name, _ in every}), len({id(p) for _, p in every})) < len(every):
            raise value_error(where, "each parameter and name once", "one of them twice")
        self._buffers = [FlatBuffer(where, pairs, self.slots) for pairs in named]

    def _check(self, group: dict[str, Any]) -> None:
        for name in ("lr", "weight_decay", "eps", "momentum"):
            if name in group and not 0 <= group[name] < math.inf:
                raise value_error(type(self).__name__, f"{name} of 0 or more, finite", group[name])
        if not all(0 <= b < 1 for b in group.get("betas", ())):
            raise value_error(type(self).__name__, "betas of 0 or more, below 1", group["betas"])

    def zero_grad(self) -> None:
        """Drop every gradient (to None)."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.requires_grad:
                    p.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group, flat in zip(self.param_groups, self._buffers):
            for where, grad, step in flat.pieces(flat.begin_step()):
                averages = [flat.state[slot][where] for slot in self.slots]
                self._update(group, flat.values[where], grad, step, *averages)

    def _update(self, group: dict[str, Any], p: Any, grad: Any, step: int, *averages: Any) -> None:
        """Update the piece `p` in place from its gradient (not to be written to) and its averages.

        `step` counts the updates of these parameters, this one included.
        """
        raise NotImplementedError


def clip_grad_norm_(parameters: Iterable[Any] | Tensor, max_norm: float) -> float:
    """Scale all gradients so that their norm, taken together, is at most `max_norm`; return the norm before.

    Raises    ValueError for a negative or NaN max_norm.
    Source    Pascanu et al. 2013, arXiv:1211.5063; `torch.nn.utils.clip_grad_norm_`
    """
    if not max_norm >= 0:
        raise value_error("clip_grad_norm_", "max_norm of 0 or more", max_norm)
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [grad for p in parameters if p.requires_grad and (grad := p._node.grad) is not None]
    norm = math.sqrt(sum(float(namespace(g).vdot(g, g)) for g in grads))
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # also for a NaN norm, so that it shows
        for g in grads:
            g *= factor
    return norm


class Part(NamedTuple):
    """A parameter, or a cut of a large one."""

    owner: int  # the index of the parameter
    own: slice  # its elements, among the parameter's
    place: slice  # the same, in the buffer


class FlatBuffer:
    """The parameters of one group, laid end to end in one buffer, with their running averages."""

    def __init__(self, where: str, named: list[tuple[str, Any]], slots: tuple[str, ...]) -> None:
        for name, p in named:
            if not isinstance(p, Tensor) or not p.is_leaf:
                got = "a Tensor with a history" if isinstance(p, Tensor) else type(p).__name__
                raise type_error(where, "Parameters or other leaf Tensors", f"{got} (parameter {name})")
        dtypes = {str(p.array.dtype) for _, p in named}
        if len(dtypes) > 1:
            raise value_error(where, "one dtype in a group", " and ".join(sorted(dtypes)))
        self.where, self.names, self.params = where, [n for n, _ in named], [p for _, p in named]
        ends = list(itertools.accumulate((p.numel() for p in self.params), initial=0))
        self.places = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.steps = [0] * len(named)
        xp = namespace(self.params[0].array) if named else np
        dtype = dtypes.pop() if named else np.float32
        self.values = shared_empty(ends[-1], dtype) if xp is np else xp.empty(ends[-1], dtype)
        self.state = {slot: xp.zeros(ends[-1], self.values.dtype) for slot in slots}  # no memory until used
        for p, place in zip(self.params, self.places):
            self._adopt(p, place)
        limit = CACHE_BYTES // self.values.itemsize if xp is np else ends[-1]
        self._plan = list(self._plan_pieces(max(limit, 1)))

    def _adopt(self, p: Tensor, place: slice) -> None:
        """Make a parameter a view of the buffer, with its values: at the start, and after p.data = ..."""
        if p.dtype != self.values.dtype or namespace(p.array) is not namespace(self.values):
            raise RuntimeError(
                f"{self.where}.step: expected parameters of {self.values.dtype} where they were; got "
                f"{p.dtype} on {p.device}; make the optimiser after model.to(...)"
            )
        self.values[place] = p.array.reshape(-1)
        p._data = self.values[place].reshape(p.shape)  # the same values, so no graph becomes stale

    def _plan_pieces(self, limit: int) -> Iterator[list[Part]]:
        """Yield lists of neighbours of at most `limit` elements: small ones share it, a large one is cut."""
        piece: list[Part] = []
        for i, place in enumerate(self.places):
            if piece and place.stop - piece[0].place.start > limit:
                yield piece
                piece = []
            size = place.stop - place.start
            if size <= limit:
                piece.append(Part(i, slice(0, size), place))
                continue
            for a in range(0, size, limit):
                b = min(a + limit, size)
                yield [Part(i, slice(a, b), slice(place.start + a, place.start + b))]
        if piece:
            yield piece

    def begin_step(self) -> list[Any]:
        """Count a step of each parameter that has a gradient, and return the gradients, flat, or None."""
        grads: list[Any] = [None] * len(self.params)
        for i, p in enumerate(self.params):
            if p.array.base is not self.values:
                self._adopt(p, self.places[i])
            if p.requires_grad and (grad := p._node.grad) is not None:
                grads[i] = grad.reshape(-1)
                self.steps[i] += 1
                p.mark_overwritten()
        return grads

    def pieces(self, grads: list[Any]) -> Iterator[tuple[slice, Any, int]]:
        """Yield (place in the buffer, its gradient, its step), leaving out parameters without a gradient."""
        for piece in self._plan:
            live = [part for part in piece if grads[part.owner] is not None]
            steps = [self.steps[part.owner] for part in live]
            if len(live) == len(piece) > 1 and len(set(steps)) == 1:  # all at once
                whole = namespace(self.values).concatenate([grads[part.owner] for part in live])
                yield slice(live[0].place.start, live[-1].place.stop), whole, steps[0]
            else:
                yield from ((part.place, grads[part.owner][part.own], t) for part, t in zip(live, steps))
