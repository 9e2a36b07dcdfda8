"""An optimiser's settings and averages, saved and loaded. Each function is a method of `Optimizer`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import namespace, to_numpy
from minigrad.errors import value_error

if TYPE_CHECKING:
    from nn.optim.optimizer import Optimizer


def state_dict(optimizer: "Optimizer") -> dict[str, Any]:
    """Return {"state": {name: {"step": n, slot: array}}, "param_groups": [settings]}, copies all."""
    saved: dict[str, dict[str, np.ndarray]] = {}
    for flat in optimizer._buffers:
        for name, p, place, step in zip(flat.names, flat.params, flat.places, flat.steps):
            averages = {s: to_numpy(a[place]).reshape(p.shape).copy() for s, a in flat.state.items()}
            saved[name] = {"step": np.array(step), **averages}
    settings = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    return {"state": saved, "param_groups": settings}


def load_state_dict(optimizer: "Optimizer", state: dict[str, Any]) -> None:
    """Take over what `state_dict` returned: the steps that follow are those that would have followed.

    Raises    ValueError if names or shapes differ; then nothing was changed.
    """
    mine, theirs, groups = state_dict(optimizer)["state"], state["state"], state["param_groups"]
    wrong = sorted(mine.keys() ^ theirs.keys())
    wrong += [n for n in mine if n in theirs and _shapes(mine[n]) != _shapes(theirs[n])]
    if wrong or len(groups) != len(optimizer.param_groups):
        where = f"{type(optimizer).__name__}.load_state_dict"
        got = f"others for {', '.join(wrong)}" if wrong else f"{len(groups)} groups"
        raise value_error(where, "the same parameters, shapes and groups", got)
    for flat in optimizer._buffers:
        for i, (name, place) in enumerate(zip(flat.names, flat.places)):
            flat.steps[i] = int(theirs[name]["step"])
            for slot, a in flat.state.items():
                a[place] = namespace(a).asarray(theirs[name][slot]).reshape(-1)
    for group, settings in zip(optimizer.param_groups, groups):
        group.update({k: v for k, v in settings.items() if k != "params"})


def _shapes(arrays: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(a) for name, a in arrays.items()}
