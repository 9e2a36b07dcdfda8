"""Elements in order: their gradients go to the places that they came from."""

import math
from typing import Any

import numpy as np

from minigrad import functions
from minigrad.backend import to_numpy
from minigrad.errors import type_error, value_error
from minigrad.methods import check_dim, values_of
from minigrad.random.ties import sort_order, topk_order
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names.returned import returned

TopK, Sort, Median = (returned(name, "values", "indices") for name in ("topk", "sort", "median"))
KthValue, Mode = (returned(name, "values", "indices") for name in ("kthvalue", "mode"))
CumMax, CumMin = (returned(name, "values", "indices") for name in ("cummax", "cummin"))


def _rows(x: Tensor, dim: int) -> np.ndarray:
    """Return the array with that axis last."""
    return np.moveaxis(np.atleast_1d(to_numpy(x._data)), dim, -1)


def _picked(kind: Any, x: Tensor, dim: int, order: np.ndarray, keepdim: bool = True) -> Any:
    """Return the pair of values and indices for places along the last axis of `_rows`."""
    if not x.ndim:
        return kind(x.clone(), wrap(np.zeros((), np.int64)))
    indices = np.ascontiguousarray(np.moveaxis(order, -1, dim))
    values = x.gather(dim, indices)
    if keepdim:
        return kind(values, wrap(indices))
    return kind(values.squeeze(dim), wrap(indices.squeeze(dim)))


def topk(input: Tensor, k: Any, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) along an axis, the first of them first: (values, indices)."""
    dim, k = check_dim("topk", dim, input.ndim), int(k)
    rows = _rows(input, dim)
    if not 0 <= k <= rows.shape[-1]:
        raise value_error("topk", f"k in 0..{rows.shape[-1]}, the length of axis {dim}", k)
    return _picked(TopK, input, dim, topk_order(rows, k, largest, sorted))


def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The elements in ascending (or descending) order along an axis: (values, indices)."""
    if isinstance(dim, bool):
        raise type_error("sort", "dim as an integer", dim, "write descending=True")
    dim = check_dim("sort", dim, input.ndim)
    return _picked(Sort, input, dim, sort_order(_rows(input, dim), descending, stable))


def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices that sort along an axis."""
    return sort(input, dim, descending, stable=stable).indices


def msort(input: Tensor) -> Tensor:
    """The elements in ascending order along the first axis."""
    return sort(input, 0).values


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest along an axis, counted from 1: (values, indices)."""
    dim = check_dim("kthvalue", dim, input.ndim)
    rows = _rows(input, dim)
    if not 1 <= k <= rows.shape[-1]:
        raise value_error("kthvalue", f"k in 1..{rows.shape[-1]}", k)
    return _picked(KthValue, input, dim, sort_order(rows, stable=True)[..., k - 1 : k], keepdim)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower of two; along `dim` a pair (values, indices). NaN if one is NaN."""
    if dim is None:
        if not input.numel():
            return input.sum() * math.nan
        value = median(input.reshape(-1), 0).values
        equals = input.reshape(-1)[input.detach().reshape(-1) == value.detach()]
        if not input.requires_grad or not equals.numel():
            return value
        mean = equals.mean()  # all equals share the gradient, as they do of max()
        return value.detach() + (mean - mean.detach())
    dim = check_dim("median", dim, input.ndim)
    rows = _rows(input, dim)
    order = sort_order(rows, stable=True)
    place = np.full((*rows.shape[:-1], 1), (rows.shape[-1] - 1) // 2)
    if rows.dtype.kind == "f":  # NaN is sorted to the end
        some = np.isnan(rows).any(-1, keepdims=True)
        place = np.where(some, rows.shape[-1] - np.isnan(rows).sum(-1, keepdims=True), place)
    return _picked(Median, input, dim, np.take_along_axis(order, place, -1), keepdim)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along an axis, the smallest of several, at its last place: (values, indices)."""
    dim = check_dim("mode", dim, input.ndim)
    rows = _rows(input, dim)
    places = np.empty((*rows.shape[:-1], 1), np.int64)
    for row, out in zip(rows.reshape(-1, rows.shape[-1]), places.reshape(-1, 1)):
        different, counts = np.unique(row, return_counts=True)
        out[0] = np.flatnonzero(row == different[counts.argmax()])[-1]
    return _picked(Mode, input, dim, places, keepdim)


def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The value below which the share q of the elements lies, between two of them by interpolation.

    Shapes    q one number, or several -> one more axis in front
    """
    if input._data.dtype.kind != "f" or not input.numel():
        raise value_error("quantile", "floats, at least one", f"{input._data.dtype} {input._data.shape}")
    shares = np.asarray(values_of(q), input._data.dtype)
    ends = {"linear": None, "lower": np.floor, "higher": np.ceil, "nearest": np.rint, "midpoint": None}
    if interpolation not in ends:
        raise value_error("quantile", f"interpolation of {', '.join(ends)}", repr(interpolation))
    if shares.ndim > 1:
        raise value_error("quantile", "q as a number, or several in one axis", f"shape {shares.shape}")
    if shares.size and not (0 <= shares.min() and shares.max() <= 1):
        raise value_error("quantile", "q in 0..1", q)
    axis = 0 if dim is None else check_dim("quantile", dim, input.ndim)
    whole = dim is None or not input.ndim
    ordered = sort(input.reshape(-1) if whole else input.swapaxes(axis, 0), 0).values
    ordered = ordered.masked_fill(np.isnan(ordered._data).any(0), math.nan)  # one makes NaN of all
    found = []
    for share in shares.ravel():
        rank = share * (len(ordered) - 1)
        end = ends[interpolation]
        rank = rank if end is None else end(rank)
        low, high = ordered[int(np.floor(rank))], ordered[int(np.ceil(rank))]
        weight = 0.5 if interpolation == "midpoint" else float(rank % 1)
        value = low + (high - low) * weight
        value = value.unsqueeze(0).swapaxes(0, axis)
        if dim is None:
            value = value.reshape((1,) * input.ndim if keepdim else ())
        found.append(value if keepdim or dim is None else value.squeeze(axis))
    return functions.stack(found) if shares.ndim else found[0]


def _running(kind: Any, input: Tensor, dim: int, better: Any) -> Any:
    axis = check_dim(kind.__name__, dim, input.ndim)
    if not input.ndim:
        return kind(input.clone(), wrap(np.zeros((), np.int64)))
    rows = _rows(input, axis)
    best = better.accumulate(rows, -1)
    places = np.where((rows == best) | np.isnan(rows), np.arange(rows.shape[-1]), 0)
    return _picked(kind, input, axis, np.maximum.accumulate(places, -1))


def cummax(input: Tensor, dim: int) -> Any:
    """The largest element so far along an axis, the last of equals: (values, indices)."""
    return _running(CumMax, input, dim, np.maximum)


def cummin(input: Tensor, dim: int) -> Any:
    """The smallest element so far along an axis, the last of equals: (values, indices)."""
    return _running(CumMin, input, dim, np.minimum)
