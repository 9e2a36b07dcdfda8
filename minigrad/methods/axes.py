"""Axes by number, counted from either end, as PyTorch's `dim` and NumPy's `axis`."""

import operator
from typing import Any

from minigrad.errors import type_error, value_error


def check_dim(where: str, dim: Any, ndim: int) -> int:
    """Return an axis counted from the start.

    Raises    IndexError for one that an array of `ndim` axes has not (one of none counts as one); TypeError for no int.
    """
    ndim = max(ndim, 1)
    try:
        if isinstance(dim, bool):
            raise TypeError
        index = operator.index(dim)
    except TypeError:
        raise type_error(where, "dim as an integer", f"{dim!r:.60}") from None
    if not -ndim <= index < ndim:
        raise IndexError(*value_error(where, f"dim in {-ndim}..{ndim - 1}", dim).args)
    return index % ndim


def axis_of(dim: Any, axis: Any, x: Any, where: str) -> Any:
    """Return PyTorch's `dim` or NumPy's `axis`, whichever was given, counted from the start.

    Raises    IndexError for an axis that x has not; ValueError for one that is given twice.
    """
    axis = axis if dim is None else dim
    if axis is None or axis == () or axis == []:
        return None
    if isinstance(axis, (list, tuple)):
        axes = tuple(check_dim(where, each, x.ndim) for each in axis)
        if len(set(axes)) < len(axes):
            raise value_error(where, "each dim once", axis)
        return axes if x.ndim else None
    axis = check_dim(where, axis, x.ndim)
    return axis if x.ndim else None  # a single number has no axis, but PyTorch lets it count as one
