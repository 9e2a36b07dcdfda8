"""Elements chosen by place, by mask or by value, and elements put there; counts of values."""

from typing import Any

import numpy as np

from minigrad import functions
from minigrad.backend import namespace, to_numpy
from minigrad.errors import type_error, value_error
from minigrad.methods import along_axis, check_dim, check_places, plain_index, values_of
from minigrad.operands import NUMBERS, as_operand
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names.arithmetic import pair
from minigrad.torch_names.returned import returned

UniqueResult = returned("unique", "output", "inverse_indices", "counts")
Histogram = returned("histogram", "hist", "bin_edges")


def _places(where: str, index: Any, n: int) -> np.ndarray:
    """Return places as an array, after checking that an axis of length n has them."""
    index = to_numpy(values_of(index))
    if index.dtype.kind not in "iu" and index.size:
        raise type_error(where, "an integer index", index.dtype)
    if index.ndim > 1:
        raise value_error(where, "an index of one axis", f"shape {index.shape}")
    if index.size and not (0 <= index.min() and index.max() < n):
        raise IndexError(*value_error(where, f"places in 0..{n - 1}", f"{index.min()}..{index.max()}").args)
    return index.astype(np.int64)


def _along(dim: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * dim, index)


# --- read ---


def index_select(input: Tensor, dim: int, index: Any) -> Tensor:
    """The slices at these places of an axis."""
    dim = check_dim("index_select", dim, input.ndim)
    index = _places("index_select", index, input.shape[dim] if input.ndim else 1)
    index = namespace(input._data).asarray(np.atleast_1d(index))
    return input[_along(dim, index)] if input.ndim else input.clone()


def take(input: Tensor, index: Any) -> Tensor:
    """Elements by their places among all, in the shape of `index`."""
    return input.reshape(-1)[values_of(index)]


def take_along_dim(input: Tensor, indices: Any, dim: int | None = None) -> Tensor:
    """As `gather`, where the other axes are broadcast; without `dim` among all elements."""
    index = np.asarray(values_of(indices))
    if dim is None:
        return input.reshape(-1)[index.ravel()]
    dim = check_dim("take_along_dim", dim, input.ndim)
    others = np.broadcast_shapes(*((*s[:dim], *s[dim + 1 :]) for s in (input.shape, index.shape)))
    before, behind = others[:dim], others[dim:]
    index = np.broadcast_to(index, (*before, index.shape[dim], *behind))
    return input.expand(*before, input.shape[dim], *behind).gather(dim, index)


def masked_select(input: Tensor, mask: Any) -> Tensor:
    """The elements where the boolean mask (broadcast) holds, in one axis."""
    mask = values_of(mask)
    if mask.dtype != np.bool_:
        raise type_error("masked_select", "a boolean mask", mask.dtype, "write mask.bool()")
    shape = np.broadcast_shapes(input._data.shape, mask.shape)
    return input.expand(shape)[np.broadcast_to(mask, shape)]


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places that are not 0: a row for each, or with `as_tuple` an index for each axis."""
    found = np.nonzero(np.atleast_1d(to_numpy(input._data)))
    if as_tuple:
        return tuple(map(wrap, found))
    return wrap(np.stack(found, 1) if input.ndim else np.zeros((len(found[0]), 0), np.int64))


def argwhere(input: Tensor) -> Tensor:
    """The places that are not 0, a row for each."""
    return nonzero(input)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, else `other`; of a condition alone, the places where it holds."""
    condition = condition if isinstance(condition, Tensor) else wrap(as_operand(condition))
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    condition = condition.bool() if condition._data.dtype == np.uint8 else condition
    if isinstance(input, NUMBERS) and isinstance(other, NUMBERS):
        input, other = wrap(as_operand(input)), wrap(as_operand(other))
    return functions.where(condition, *pair(input, other))


def place_where(self: Tensor, condition: Any, other: Any) -> Tensor:
    """x where `condition` holds, else `other`."""
    return where(condition, self, other)


# --- put: each returns a new Tensor; scatter_ and the like write into theirs ---


def _source(x: Tensor, src: Any, index: Any) -> Any:
    """Return what is put at the places of `index`: a number, or the part of a Tensor that index reaches."""
    if isinstance(src, NUMBERS):
        return wrap(np.full(index.shape, src, x._data.dtype))
    if src.dtype != x.dtype:
        raise type_error("scatter", f"values of {x._data.dtype}", src.dtype)
    src = src if isinstance(src, Tensor) else wrap(src)
    return src[tuple(slice(0, n) for n in index.shape)].reshape(index.shape)


def _index(where: str, x: Tensor, dim: int, index: Any) -> tuple[int, Any]:
    dim, index = check_dim(where, dim, x.ndim), np.asarray(values_of(index))
    index = index.reshape(()) if not x.ndim and index.shape == (1,) else index
    if index.ndim != x.ndim or index.dtype.kind not in "iu":
        raise value_error(where, f"an integer index of {x.ndim} axes", f"{index.dtype} {index.shape}")
    check_places(where, index, x._data.shape, dim)
    return dim, index


def scatter(
    input: Tensor, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None
) -> Tensor:
    """A copy with out[i][index[i][j]] = src[i][j] for dim = 1, and so on; `src` may be a number."""
    src = value if src is None else src
    if reduce == "add":
        return scatter_add(input, dim, index, src)
    if reduce is not None:
        raise value_error("scatter", 'reduce None or "add"', repr(reduce))
    dim, index = _index("scatter", input, dim, index)
    if not input.ndim:
        return _source(input, src, index)
    return input._put(_source(input, src, index), index=along_axis(np, index, dim))


def scatter_add(input: Tensor, dim: int, index: Any, src: Any) -> Tensor:
    """A copy to which out[i][index[i][j]] += src[i][j] was done for dim = 1, and so on."""
    dim, index = _index("scatter_add", input, dim, index)
    values = _source(input, src, index)
    if not input.ndim:
        return input + values
    return input + functions.scatter_add(values, index=along_axis(np, index, dim), shape=input._data.shape)


def index_add(input: Tensor, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
    """A copy with the slices of `source`, times alpha, added to the slices at these places of an axis."""
    dim = check_dim("index_add", dim, input.ndim)
    index = _places("index_add", index, input.shape[dim])
    wanted = (*input.shape[:dim], *index.shape, *input.shape[dim + 1 :])
    if tuple(source.shape) != wanted:
        raise value_error("index_add", f"a source {wanted}", tuple(source.shape))
    return input + functions.scatter_add(source * alpha, index=_along(dim, index), shape=input._data.shape)


def index_copy(input: Tensor, dim: int, index: Any, source: Any) -> Tensor:
    """A copy with the slices of `source` in the places of those at `index`."""
    dim = check_dim("index_copy", dim, input.ndim)
    if input.ndim and source.ndim != input.ndim:
        raise value_error("index_copy", f"a source of {input.ndim} axes", tuple(source.shape))
    return input._put(source, index=_along(dim, _places("index_copy", index, input.shape[dim])))


def index_fill(input: Tensor, dim: int, index: Any, value: Any) -> Tensor:
    """A copy with `value` in the slices at these places of an axis."""
    dim = check_dim("index_fill", dim, input.ndim)
    if not input.ndim:
        _places("index_fill", index, 1)
        return input.masked_fill(np.True_, value)
    mask = np.zeros(input._data.shape, bool)
    mask[_along(dim, _places("index_fill", index, input.shape[dim]))] = True
    return input.masked_fill(mask, value)


def index_put(input: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """A copy with x[indices] = values, or with `accumulate` x[indices] += values, repeats included."""
    index = plain_index(tuple(indices), values_of(input))
    values = values if isinstance(values, Tensor) else wrap(as_operand(values, input))
    if not accumulate:
        return input._put(values.astype(input.dtype), index=index)
    shape = input._data[index].shape
    return input + functions.scatter_add(values.broadcast_to(shape), index=index, shape=input._data.shape)


# --- values, counted ---


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different values in order, or slices along `dim`; with their places in it for each element, and how many."""
    axis = None if dim is None else check_dim("unique", dim, input.ndim)
    found = np.unique(to_numpy(input._data), return_inverse=True, return_counts=True, axis=axis)
    inverse = found[1].reshape(input._data.shape) if dim is None else found[1].ravel()
    parts = [wrap(found[0]), *([wrap(inverse)] * return_inverse), *([wrap(found[2])] * return_counts)]
    return parts[0] if len(parts) == 1 else tuple(parts)


def bincount(input: Tensor, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each whole number 0, 1, ... occurs, or the sum of the weights where it does."""
    if input.ndim != 1 or input._data.dtype.kind not in "iub" or (input.numel() and input._data.min() < 0):
        raise value_error("bincount", "one axis of integers >= 0", f"{input._data.dtype} {input._data.shape}")
    counts = np.bincount(
        to_numpy(input._data), None if weights is None else to_numpy(values_of(weights)), minlength
    )
    return wrap(counts if weights is None or weights.dtype != np.float32 else counts.astype(np.float32))


def _range(where: str, x: Any, low: float, high: float) -> tuple[float, float]:
    """Return the limits of the bins: as given, or those of x; a half on either side where they are one."""
    if x.dtype.kind != "f":
        raise type_error(where, "floats", x.dtype, "write x.float()")
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if not (np.isfinite([low, high]).all() and low <= high):
        raise value_error(where, "a finite range, min <= max", (low, high))
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements are in each of `bins` equal stretches of min..max, by default of all there are."""
    x = to_numpy(input._data)
    return wrap(np.histogram(x, bins, _range("histc", x, min, max))[0].astype(x.dtype))


def histogram(
    input: Tensor, bins: Any = 100, *, range: Any = None, weight: Any = None, density: bool = False
) -> Any:
    """(how many elements are in each bin, the edges of the bins); as a density, areas that sum to 1."""
    x, weight = to_numpy(input._data), None if weight is None else to_numpy(values_of(weight))
    if isinstance(bins, int):
        low, high = range or ((0.0, 0.0) if x.size else (0.0, 1.0))
        bins = np.linspace(*_range("histogram", x, low, high), bins + 1)
    edges = np.asarray(values_of(bins), x.dtype)
    counts = np.histogram(x, edges, weights=weight, density=density)[0]
    return Histogram(wrap(counts.astype(x.dtype)), wrap(edges))


def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: Any = None,
) -> Tensor:
    """Where each value would be put into the sorted last axis: before its equals, or with `right` after them."""
    rows, wanted = np.asarray(values_of(sorted_sequence)), np.asarray(values_of(input))
    side = side or ("right" if right else "left")
    if side not in ("left", "right"):
        raise value_error("searchsorted", 'side "left" or "right"', repr(side))
    if rows.ndim == 1:
        found = np.asarray(np.searchsorted(rows, wanted, side))
    else:
        if rows.shape[:-1] != wanted.shape[:-1]:
            raise value_error("searchsorted", f"rows as in {rows.shape}", wanted.shape)
        found = np.empty(wanted.shape, np.int64)
        for place in np.ndindex(*rows.shape[:-1]):
            found[place] = np.searchsorted(rows[place], wanted[place], side)
    return wrap(found.astype(np.int32 if out_int32 else np.int64))


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """In which of the stretches between the sorted boundaries each value is."""
    if np.ndim(values_of(boundaries)) != 1:
        raise value_error("bucketize", "boundaries of one axis", f"shape {np.shape(values_of(boundaries))}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
