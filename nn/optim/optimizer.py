"""The base of the optimisers."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.errors import value_error
from minigrad.tensor import Tensor
from nn.optim.flat import FlatBuffer


class Optimizer:
    """Base of the optimisers: parameter groups, gradients to None, state by parameter name.

    `params` is an iterable of Parameters, of (name, Parameter) pairs such as
    `model.named_parameters()`, or a list of groups: dicts with "params" and any setting of its own.
    A setting may be changed between steps: `optimizer.param_groups[0]["lr"] = 1e-4`.

    The parameters of a group move into one flat buffer, of which each keeps its shape as a view. An
    update then is a few passes over pieces that fit the cache, and not a dozen small calls for each
    parameter: 2.0 instead of 2.2 ms for AdamW on 0.8 M elements in 52 parameters. Parameters without
    a gradient are left alone, and count no step.

    Raises    ValueError for no parameters, one parameter twice, several dtypes in a group, or a
              setting out of range; TypeError for what is no leaf Tensor.
    """

    slots: tuple[str, ...] = ()  # the running averages kept for each element

    def __init__(self, params: Iterable[Any], **defaults: Any) -> None:
        where = type(self).__name__
        groups = [] if isinstance(params, Tensor) else list(params)
        if not groups:
            got = "one Tensor" if isinstance(params, Tensor) else "none"
            raise value_error(where, "a list of parameters or of groups", got)
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        self.param_groups = [{**defaults, **group} for group in groups]
        self._buffers: list[FlatBuffer] = []
        names: list[str] = []
        seen: set[int] = set()
        for group in self.param_groups:
            self._check(group)
            given = [group["params"]] if isinstance(group["params"], Tensor) else group["params"]
            pairs = [item if isinstance(item, tuple) else (None, item) for item in given]
            named = [(str(len(names) + i) if n is None else n, p) for i, (n, p) in enumerate(pairs)]
            names += [n for n, _ in named]
            if len(seen.union(id(p) for _, p in named)) < len(names) or len(set(names)) < len(names):
                raise value_error(where, "each parameter and name once", "one of them twice")
            seen.update(id(p) for _, p in named)
            group["params"] = [p for _, p in named]
            self._buffers.append(FlatBuffer(where, named, self.slots))

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

    def state_dict(self) -> dict[str, Any]:
        """Return {"state": {name: {"step": n, slot: array}}, "param_groups": [settings]}, copies all."""
        settings = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        return {"state": {n: s for flat in self._buffers for n, s in flat.saved()}, "param_groups": settings}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned: the steps that follow are those that would have followed.

        Raises    ValueError if names or shapes differ; then nothing was changed.
        """
        mine = {name: arrays for flat in self._buffers for name, arrays in flat.saved()}
        theirs = state["state"]
        wrong = sorted(mine.keys() ^ theirs.keys())
        wrong += [n for n in mine if n in theirs and _shapes(mine[n]) != _shapes(theirs[n])]
        if wrong or len(state["param_groups"]) != len(self.param_groups):
            got = f"others for {', '.join(wrong)}" if wrong else f"{len(state['param_groups'])} groups"
            raise value_error(
                f"{type(self).__name__}.load_state_dict", "the same parameters, shapes and groups", got
            )
        for flat in self._buffers:
            flat.restore(theirs)
        for group, settings in zip(self.param_groups, state["param_groups"]):
            group.update({k: v for k, v in settings.items() if k != "params"})


def _shapes(arrays: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(a) for name, a in arrays.items()}
