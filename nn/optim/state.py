"""An optimiser's settings and averages, saved and loaded. Each function is a method of `Optimizer`."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import namespace, to_numpy
from minigrad.errors import value_error
from minigrad.methods import values_of
from minigrad.tensor import Tensor, wrap
from nn.foreign import array_beside
from nn.optim import setup

if TYPE_CHECKING:
    from nn.optim.optimizer import Buffers, Optimizer


HERE = np.empty(0)


def state(optimizer: "Optimizer") -> "defaultdict[Any, dict[str, Any]]":
    """{Parameter: {"step": Tensor, name: running average}} of those that were updated, which an optimiser of
    your own fills itself.

    The averages are the live ones: what is written into them counts.
    """
    for buffers, i, p in _every(optimizer):
        if buffers.steps[i] and buffers.state:
            step = {"step": _tensor(np.float32(buffers.steps[i]))} if optimizer.saves_step else {}
            averages = {s: _tensor(a[buffers.places[i]].reshape(p.shape)) for s, a in buffers.state.items()}
            optimizer._state[p].update(step | averages)
    return optimizer._state


def state_dict(optimizer: "Optimizer") -> dict[str, Any]:
    """Return {"state": {0: {"step": ..., name: average}}, "param_groups": [settings]}, copies all.

    As in PyTorch, parameters are numbered through all groups, and "params" of a group are its numbers.
    """
    entries, saved, groups, count = state(optimizer), {}, [], 0
    for group in optimizer.param_groups:
        numbers = list(range(count, count := count + len(group["params"])))
        for number, p in zip(numbers, group["params"]):
            if p in entries:
                saved[number] = {name: _copy(value) for name, value in entries[p].items()}
        groups.append({k: v for k, v in group.items() if k != "params"} | {"params": numbers})
    return {"state": saved, "param_groups": groups}


def load_state_dict(optimizer: "Optimizer", state_dict: Mapping[str, Any]) -> None:
    """Take over what `state_dict` returned, here or in PyTorch: the steps that follow are those that would have.

    The keys of "state" may also be numbers as strings, or the names that the parameters were given.

    Raises    ValueError if groups, names, shapes or kinds of settings differ; then nothing was changed.
    """
    where = f"{type(optimizer).__name__}.load_state_dict"
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
        raise value_error(
            where, "a dict with state and param_groups", f"a {type(state_dict).__name__} without"
        )
    groups = state_dict["param_groups"]
    mine = [len(group["params"]) for group in optimizer.param_groups]
    theirs = [len(group["params"]) if "params" in group else None for group in groups]
    if len(mine) != len(theirs) or any(b not in (None, a) for a, b in zip(mine, theirs)):
        raise value_error(where, f"{len(mine)} groups of {mine} parameters", f"{len(theirs)} of {theirs}")
    entries = _by_parameter(where, optimizer, state_dict["state"], groups)
    settings = [_settings(where, *pair) for pair in zip(optimizer.param_groups, groups)]
    if optimizer.slots:
        wrong = [f"{key}: {why}" for key, p, e in entries if (why := _misfit(optimizer, p, e, settings))]
        if wrong:
            raise value_error(where, "the same averages and shapes", "; ".join(wrong))
        own = {id(p): _converted(where, key, p, entry) for key, p, entry in entries}
        for buffers, i, p in _every(optimizer):
            _take(buffers, i, own.get(id(p), {}))
    kept = {} if optimizer.slots else {p: dict(entry) for _, p, entry in entries}
    optimizer._state.clear()
    optimizer._state.update(kept)
    for group, changed in zip(optimizer.param_groups, settings):
        group.update(changed)


def fits(held: Any, given: Any) -> bool:
    """Can this stand in the place of a setting: a number for a number, as many of them for several, a word for a word?

    What was None may become anything, and what is neither a number nor several may become None.
    """
    if held is None or isinstance(held, bool) and given is None:
        return True
    if isinstance(held, (list, tuple)):
        several = isinstance(given, (list, tuple)) and len(given) == len(held)
        return several and all(fits(*pair) for pair in zip(held, given))
    if isinstance(held, (int, float, np.number, Tensor)):
        value = np.asarray(None if isinstance(given, (list, tuple)) else values_of(given))
        return value.dtype.kind in "biuf" and value.size == 1 and not np.isnan(value).any()
    return isinstance(given, next((kind for kind in (str, Mapping) if isinstance(held, kind)), object))


def _settings(where: str, group: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a saved group, checked as those of a new one.

    Raises    ValueError for one that cannot be.
    """
    settings = {k: v for k, v in given.items() if k not in ("params", "param_names")}
    for name, value in settings.items():
        if name in group and not fits(group[name], value):
            raise value_error(where, f"{name} of the kind of {group[name]!r}", f"{value!r:.60}")
    setup.check(where, {**group, **settings})
    return settings


def _converted(where: str, key: Any, p: Any, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved entry as arrays of the parameter's dtype, and its steps as a whole number.

    Raises    ValueError for what is no number.
    """
    step = np.asarray(array_beside(HERE, entry.get("step", 1 if entry else 0)))
    if step.dtype.kind not in "biuf" or step.size != 1 or not 0 <= step < math.inf or step % 1:
        raise value_error(where, f"{key}: step, a whole number of 0 or more", f"{entry['step']!r:.60}")
    arrays = {n: array_beside(p, a) for n, a in entry.items() if n != "step" and a is not None}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise value_error(where, f"{key}: real numbers for {name}", array.dtype)
        arrays[name] = array.astype(p._data.dtype, copy=False)
    return {**arrays, "step": int(step.item())}


def _every(optimizer: "Optimizer") -> "Iterator[tuple[Buffers, int, Any]]":
    """Yield (buffers, index there, parameter) of every parameter."""
    for buffers in optimizer._buffers:
        for i, p in enumerate(buffers.params):
            yield buffers, i, p


def _by_parameter(
    where: str, optimizer: "Optimizer", saved: Mapping[Any, Any], groups: list[dict[str, Any]]
) -> list[tuple[Any, Any, Any]]:
    """Return [(key, parameter, its entry)] of what was saved."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    names = [name for group in optimizer.param_groups for name in group.get("param_names", ())]
    by_name = set(saved) and set(saved) <= set(names)
    keys: list[Any] = [key for group in groups for key in group.get("params", ())]
    if by_name:
        keys = names
    elif not all(isinstance(key, int) for key in keys) or not keys:
        keys = list(range(len(params)))
    if not by_name and not set(saved) <= set(keys):
        keys = [str(key) for key in keys]
    wrong = set(saved) - set(keys) | (set(keys) - set(saved) if by_name else set())
    if wrong:
        raise value_error(where, "the same parameters", f"others for {', '.join(sorted(map(str, wrong)))}")
    return [(key, p, saved[key]) for key, p in zip(keys, params) if key in saved]


def _misfit(optimizer: "Optimizer", p: Any, entry: Mapping[str, Any], settings: list[dict[str, Any]]) -> str:
    """Return what is wrong with a saved entry of parameter p, or nothing."""
    group, saved = next(
        (mine, theirs)
        for mine, theirs in zip(optimizer.param_groups, settings)
        if any(q is p for q in mine["params"])
    )
    asked = {s for s, on in optimizer.slots.items() if not on or {**group, **saved}[on]}
    asked |= {"step"} if optimizer.saves_step else set()
    if wrong := sorted(asked - set(entry)) + sorted(set(entry) - set(optimizer.slots) - {"step"}):
        return f"{', '.join(wrong)} {'missing' if wrong[0] in asked else 'unknown'}"
    shapes = {s: np.shape(values_of(a)) for s, a in entry.items() if s != "step" and a is not None}
    return ", ".join(
        f"{s} {shape}, not {tuple(p.shape)}" for s, shape in shapes.items() if shape != tuple(p.shape)
    )


def _take(buffers: "Buffers", i: int, entry: Mapping[str, Any]) -> None:
    """Copy a saved entry in; an empty one stands for a parameter that made no step."""
    buffers.steps[i] = entry.get("step", 0)
    for slot in buffers.slots:
        value = entry.get(slot)
        if value is not None:
            values = buffers.average(slot)
            values[buffers.places[i]] = value.reshape(-1)
        elif slot in buffers.state:
            buffers.state[slot][buffers.places[i]] = 0


def _tensor(array: Any) -> Tensor:
    return wrap(np.asarray(array) if namespace(array) is np else array)


def _copy(value: Any) -> Any:
    return wrap(to_numpy(value._data).copy()) if isinstance(value, Tensor) else value
