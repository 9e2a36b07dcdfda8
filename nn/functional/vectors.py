"""Lengths and angles of vectors, one-hot vectors, and padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.backend import namespace
from minigrad.errors import type_error, value_error
from minigrad.functions import concatenate
from minigrad.tensor import Tensor, wrap
from nn.functional.arguments import refuse
from nn.functional.embedding import as_ids, check_ids


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> Tensor:
    """The vectors along `dim`, each divided by its p-norm, or by eps if that is larger.

    Source    `torch.nn.functional.normalize`
    """
    refuse("normalize", "assign the result", out=out)
    return input / _lengths(input, p, dim).clip(min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between the vectors along `dim`; lengths below eps count as eps.

    Shapes    x1, x2 broadcast together -> without `dim`
    Source    `torch.nn.functional.cosine_similarity`
    """
    if dim is None:
        raise type_error("cosine_similarity", "dim as an integer", None)
    shape = np.broadcast_shapes(tuple(x1.shape), tuple(x2.shape))
    x1, x2 = (x if tuple(x.shape) == shape else x.broadcast_to(shape) for x in (x1, x2))
    a, b = (x / _lengths(x, 2.0, dim).clip(min=eps) for x in (x1, x2))
    return (a * b).sum(dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis.

    Shapes    x1, x2 (..., C) broadcast together -> (...), or (..., 1) with keepdim
    Source    `torch.nn.functional.pairwise_distance`
    """
    lengths = _lengths(x1 - x2 + eps, p, -1)
    return lengths if keepdim else lengths.squeeze(-1)


def _lengths(x: Tensor, p: float, dim: Any) -> Tensor:
    """Return the p-norms along `dim`, kept as an axis of length 1; their gradient at a vector of zeros is 0."""
    if p == np.inf:
        return x.abs().max(axis=dim, keepdims=True)
    if p == 0:  # how many are not 0
        return (x * 0.0 + (x._data != 0)).sum(dim, True)
    return _power((x * x if p == 2 else _power(x.abs(), float(p))).sum(dim, True), 1.0 / p)


def _power(x: Tensor, exponent: float) -> Tensor:
    """Return x ** exponent for x >= 0, whose gradient at 0 is 0."""
    zero = x._data == 0
    return (x.masked_fill(zero, 1.0) ** exponent).masked_fill(zero, 0.0)


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """1 at the place of each id, 0 elsewhere, as integers; -1 classes: as many as the largest id asks for.

    Shapes    tensor (...) integers -> (..., num_classes)
    Raises    ValueError for an id outside 0..num_classes-1.
    Source    `torch.nn.functional.one_hot`
    """
    ids = as_ids("one_hot", tensor, tensor if isinstance(tensor, Tensor) else wrap(np.empty(0)))
    if not ids.size and num_classes < 1:
        raise value_error("one_hot", "num_classes of 1 or more for no ids", num_classes)
    num_classes = int(ids.max()) + 1 if num_classes == -1 else num_classes
    check_ids("one_hot", ids, num_classes)
    return wrap((ids[..., None] == namespace(ids).arange(num_classes)).astype(np.int64))


MODES: dict[str, Any] = {
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}  # PyTorch's names, and NumPy's


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Longer axes: `pad` has (before, after) of the last axis, then of the one before it, and so on.

    "constant" puts `value` (0) there, and a negative length cuts off; "reflect" mirrors at the outermost
    elements, "replicate" repeats them, "circular" goes on at the other end.

    Shapes    input (..., L) -> (..., before + L + after)
    Raises    ValueError for an odd number of lengths, or too many; for a length beyond what "reflect" and
              "circular" have.
    Source    `torch.nn.functional.pad`
    """
    pairs = list(zip(pad[::2], pad[1::2]))
    if len(pad) % 2 or len(pairs) > input.ndim:
        raise value_error("pad", f"an even number of lengths, {2 * input.ndim} at most", tuple(pad))
    if mode != "constant" and mode not in MODES:
        raise value_error("pad", f"one of constant, {', '.join(MODES)} for mode", repr(mode))
    for axis, (before, after) in zip(reversed(range(input.ndim)), pairs):
        if mode == "constant":
            input = _extend(input, axis, before, after, float(value or 0.0))
        else:
            longest = input.shape[axis] - (mode == "reflect")
            if mode != "replicate" and max(before, after) > longest:
                raise value_error("pad", f"lengths up to {longest} for {mode}", (before, after))
            places = np.pad(np.arange(input.shape[axis]), (before, after), mode=MODES[mode])
            input = input[(*[slice(None)] * axis, namespace(input._data).asarray(places))]
    return input


def _extend(x: Tensor, axis: int, before: int, after: int, value: float) -> Tensor:
    """Return x with so many constants before and after it along one axis, or so many elements less."""
    xp, n = namespace(x._data), x.shape[axis]
    if n + min(before, 0) + min(after, 0) < 0:
        raise value_error("pad", "lengths that leave an axis", f"{before} and {after} of {n}")
    x = x[(*[slice(None)] * axis, slice(max(-before, 0), n - max(-after, 0)))]
    sides = [(*x.shape[:axis], max(count, 0), *x.shape[axis + 1 :]) for count in (before, after)]
    first, last = (xp.full(side, value, x.dtype) for side in sides)
    return concatenate([first, x, last], axis)
