"""An index as PyTorch reads it, turned into one that NumPy reads in the same way."""

import math
from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from minigrad.backend import namespace
from minigrad.errors import type_error
from minigrad.methods.values import Values, values_of


def plain_index(index: Any, array: Any) -> Any:
    """Return an index of `array` with the arrays of the Tensors in it.

    Two rules are PyTorch's own. A list that holds lists, slices or Tensors counts as a tuple: x[[[0, 1], [1, 2]]] is
    x[[0, 1], [1, 2]]. And an integer is applied first, so that x[0, :, [0, 1]] is x[0][:, [0, 1]], where NumPy takes it
    for a third list and puts their common axis in front.

    Raises    TypeError for uint8, which PyTorch takes for a mask and NumPy for places.
    """
    if isinstance(index, list) and len(index) < 32 and any(isinstance(part, NESTED) for part in index):
        index = tuple(index)
    if not isinstance(index, tuple):
        return _plain(index)
    parts = tuple(map(_plain, index))
    chosen = [i for i, part in enumerate(parts) if _is_integer(part) or _is_list(part)]
    together = not chosen or chosen[-1] - chosen[0] < len(chosen)
    if together or not any(map(_is_integer, parts)) or not any(map(_is_list, parts)):
        return parts
    return _integers_first(parts, array)


NESTED = (list, tuple, slice, Values, NoneType, EllipsisType)


def _plain(index: Any) -> Any:
    if isinstance(index, Values) and index._data.dtype == np.uint8:
        hint = "write index.long() or index.bool()"
        raise type_error("index", "integers, or booleans as a mask", "uint8", hint)
    return values_of(index)


def _is_integer(part: Any) -> bool:
    if isinstance(part, (bool, np.bool_)):
        return False
    return isinstance(part, (int, np.integer)) or getattr(part, "ndim", None) == 0 and part.dtype.kind in "iu"


def _is_list(part: Any) -> bool:
    return isinstance(part, (list, tuple)) or getattr(part, "ndim", 0) > 0


def _integers_first(parts: tuple[Any, ...], array: Any) -> tuple[Any, ...]:
    """Return the places that x[integers][the rest] reads, one array for each axis of x."""
    xp, first, rest = namespace(array), [], []
    for part in parts:
        if _is_integer(part):
            first.append(part)
            continue
        rest.append(part)
        if part is Ellipsis:
            first.append(part)
        elif part is not None:
            part = np.asarray(part) if isinstance(part, list) else part
            is_mask = getattr(part, "dtype", None) == np.bool_
            first += [slice(None)] * (part.ndim if is_mask else 1)
    places = xp.arange(math.prod(array.shape)).reshape(array.shape)[tuple(first)][tuple(rest)]
    return tuple(xp.unravel_index(places, array.shape))
