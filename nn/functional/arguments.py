"""What PyTorch's signatures have beside the numbers: arguments of the past, what is refused, how losses are reduced."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import value_error
from minigrad.methods.in_place import become, check_writable
from minigrad.tensor import Tensor, wrap
from nn.foreign import array_beside


def refuse(where: str, hint: str, **given: Any) -> None:
    """Raise NotImplementedError if one of the arguments, which PyTorch has, is more than None or False."""
    for name, value in given.items():
        if value is not None and value is not False:
            raise NotImplementedError(
                f"{where}: expected {name} to be left out, which minigrad lacks; got {value!r}; {hint}"
            )


def applied(where: str, compute: Callable[[Tensor], Tensor], input: Tensor, inplace: bool) -> Tensor:
    """Return compute(input), or, with PyTorch's `inplace`, input itself after it has become that.

    Raises    RuntimeError where input must not be written to; see minigrad/methods/in_place.py.
    """
    if not inplace:
        return compute(input)
    check_writable(where, input)
    return become(where, input, compute(input))


def reduction_of(where: str, size_average: Any, reduce: Any, reduction: str) -> str:
    """Return "mean", "sum" or "none": `reduction`, or what PyTorch's older arguments say instead of it.

    Raises    ValueError for another word.
    """
    if size_average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    if reduction not in ("mean", "sum", "none"):
        raise value_error(where, '"mean", "sum" or "none" for reduction', repr(reduction))
    return reduction


def reduced(losses: Tensor, reduction: str, count: float | None = None) -> Tensor:
    """Return the losses, their sum, or their sum divided by `count`: how many there are, unless it is given."""
    if reduction == "none":
        return losses
    count = losses.numel() if count is None else count
    return losses.sum() / (count or math.nan) if reduction == "mean" else losses.sum()


def broadcast(where: str, input: Tensor, target: Any, warn: bool = True) -> tuple[Tensor, Tensor]:
    """Return both in the shape that they have together, with PyTorch's warning if that is not their own.

    Raises    ValueError if they have none.
    """
    target = target if isinstance(target, Tensor) else wrap(array_beside(input, target))
    if target.shape == input.shape:
        return input, target
    got = f"input {tuple(input.shape)} and target {tuple(target.shape)}"
    try:
        shape = np.broadcast_shapes(input.array.shape, target.array.shape)
    except ValueError:
        raise value_error(where, "shapes that broadcast", got) from None
    if warn:
        warnings.warn(
            f"{where}: expected equal shapes; got {got}, and broadcast them, as PyTorch does", stacklevel=3
        )
    return input.expand(shape), target.expand(shape)


def same_shape(where: str, input: Any, target: Any) -> Tensor:
    """Return `target` as an operand beside `input`.

    Raises    ValueError if the shapes differ, where broadcasting would hide a mistake.
    """
    target = target if isinstance(target, Tensor) else array_beside(input, target)
    if tuple(target.shape) != tuple(input.shape):
        raise value_error(where, f"target {tuple(input.shape)}", tuple(target.shape))
    return target
