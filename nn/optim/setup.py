"""How an optimiser takes its parameters in: groups, checks, the plan of its pieces. Some are methods of `Optimizer`."""

import itertools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad.backend import CACHE_BYTES, namespace
from minigrad.errors import check_type, type_error, value_error
from minigrad.switches import enable_grad
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from nn.optim.optimizer import Buffers, Optimizer

FLAGS = {"maximize": False, "foreach": None, "capturable": False, "differentiable": False, "fused": None}
SMALL_BYTES = 1 << 14  # parameters up to this size share a piece
AT_LEAST_0: tuple[str, ...] = ("lr", "weight_decay", "eps", "momentum", "alpha", "lr_decay", "rho")
AT_LEAST_0 += ("initial_accumulator_value",)


def flags(where: str, given: dict[str, Any], *without: str) -> dict[str, Any]:
    """Return PyTorch's settings that change no number here, with `maximize`, which does; its default for the others.

    `foreach`, `fused` and `capturable` say how a GPU should compute, and are kept but not obeyed.

    Raises    TypeError for another name; ValueError for differentiable=True.
    """
    known = {name: value for name, value in FLAGS.items() if name not in without}
    if strange := sorted(given.keys() - known.keys()):
        raise type_error(where, f"settings of PyTorch's ({', '.join(known)})", ", ".join(strange))
    if given.get("differentiable"):
        raise value_error(where, "differentiable=False", True, "derivatives of a step are not recorded")
    return known | given


def groups_of(where: str, params: Any) -> list[dict[str, Any]]:
    """Return the groups that the first argument of an optimiser names."""
    expected = "a list of parameters or of groups"
    groups = [] if isinstance(params, Tensor) else list(check_type(where, params, Iterable, expected))
    if not groups:
        got = "one Tensor" if isinstance(params, Tensor) else "none"
        raise value_error(where, expected, got)
    return groups if isinstance(groups[0], dict) else [{"params": groups}]


def prepare(optimizer: "Optimizer", param_group: dict[str, Any]) -> tuple[dict[str, Any], list[list[Tensor]]]:
    """Return the group with all its settings, and its parameters in lists of one dtype and library.

    Raises    ValueError or TypeError as the optimiser itself.
    """
    where = type(optimizer).__name__
    if not isinstance(param_group, dict):
        raise type_error(where, "a dict with params", type(param_group).__name__)
    given = param_group["params"]
    given = [given] if isinstance(given, Tensor) else given
    pairs = [p if isinstance(p, tuple) else ("", p) for p in given]
    params, names = [p for _, p in pairs], [name for name, _ in pairs]
    for i, (name, p) in enumerate(pairs):
        if not isinstance(p, Tensor) or not p.is_leaf:
            got = "a Tensor with a history" if isinstance(p, Tensor) else type(p).__name__
            raise type_error(where, "Parameters or other leaf Tensors", f"{got} (parameter {name or i})")
    every = [id(p) for group in optimizer.param_groups for p in group["params"]] + [id(p) for p in params]
    every_name = [n for group in optimizer.param_groups for n in group.get("param_names", ())] + [
        n for n in names if n
    ]
    if len(set(every)) < len(every) or len(set(every_name)) < len(every_name):
        raise value_error(where, "each parameter and name once", "one of them twice")
    group = {"params": params, **optimizer.defaults, **param_group} | {"params": params}
    if any(names):
        group["param_names"] = names
    check(where, group)
    alike: dict[Any, list[Tensor]] = {}
    for p in params:
        alike.setdefault((p._data.dtype, namespace(p._data)), []).append(p)
    return group, list(alike.values())


def check(where: str, group: dict[str, Any]) -> None:
    """Raise ValueError for a setting out of range; make numbers of Tensors."""
    for name in AT_LEAST_0:
        if name in group:
            group[name] = float(group[name]) if isinstance(group[name], Tensor) else group[name]
            if not hasattr(group[name], "__float__") or not 0 <= group[name] < math.inf:
                raise value_error(where, f"{name} of 0 or more, finite", group[name])
    betas = group.get("betas", (0, 0))
    if np.shape(betas) != (2,) or not all(hasattr(b, "__float__") and 0 <= b < 1 for b in betas):
        raise value_error(where, "two betas of 0 or more, below 1", betas)


def changed(buffers: "Buffers", array: Any) -> RuntimeError:
    """Return the error for a parameter's array that is of another dtype or library than its averages."""
    got, wanted = f"{array.dtype} in {namespace(array).__name__}", f"{buffers.dtype} in {buffers.xp.__name__}"
    hint = "make the optimiser after model.to(...)"
    return RuntimeError(*type_error(f"{buffers.where}.step", f"parameters of {wanted}", got, hint).args)


def evaluate(closure: Callable[[], Any]) -> Any:
    """Return what the closure of a step returns, the loss, with gradients recorded even under no_grad."""
    with enable_grad():
        return closure()


def show(optimizer: "Optimizer") -> str:
    """Return the settings of each group, as PyTorch prints them."""
    lines = []
    for i, group in enumerate(optimizer.param_groups):
        lines += [f"\nParameter Group {i}\n"]
        lines += [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
    return f"{type(optimizer).__name__} ({''.join(lines)})"


class Part(NamedTuple):
    """A parameter, or a cut of a large one."""

    owner: int  # the index of the parameter
    own: slice  # its elements, among the parameter's
    place: slice  # the same, among those of all


def plan(params: list[Tensor], xp: Any) -> tuple[list[slice], list[tuple[list[Part], Any, list[Any]]]]:
    """Return each parameter's place, and the pieces: (parts, an array for all of them, its cut for each).

    Small neighbours share a piece, which costs a copy there and back, but not a dozen calls for each; a
    large parameter is cut to pieces that fit the cache. On a GPU, where calls cost more, all are one piece.
    """
    ends = list(itertools.accumulate((p.numel() for p in params), initial=0))
    places = [slice(a, b) for a, b in itertools.pairwise(ends)]
    dtype = params[0]._data.dtype
    limit = max(CACHE_BYTES // dtype.itemsize if xp is np else ends[-1], 1)
    small = SMALL_BYTES // dtype.itemsize if xp is np else limit
    pieces: list[list[Part]] = [[]]
    for i, place in enumerate(places):
        size = place.stop - place.start
        if pieces[-1] and (size > small or place.stop - pieces[-1][0].place.start > limit):
            pieces.append([])
        if size <= min(small, limit):
            pieces[-1].append(Part(i, slice(0, size), place))
            continue
        cuts = [slice(a, min(a + limit, size)) for a in range(0, size, limit)]
        pieces[-1:] = [[Part(i, s, slice(place.start + s.start, place.start + s.stop))] for s in cuts] + [[]]
    return places, [(piece, *_room(piece, xp, dtype)) for piece in pieces if piece]


def _room(piece: list[Part], xp: Any, dtype: Any) -> tuple[Any, list[Any]]:
    """Return an array for all parts of a piece, and its cut for each; for a single one, which needs none, None."""
    if len(piece) == 1:
        return None, []
    start = piece[0].place.start
    together = xp.empty(piece[-1].place.stop - start, dtype)
    return together, [together[part.place.start - start : part.place.stop - start] for part in piece]
