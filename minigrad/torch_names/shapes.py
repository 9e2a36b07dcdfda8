"""The same elements elsewhere: joined, cut, repeated, turned, on diagonals."""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from minigrad import functions
from minigrad.backend import is_array
from minigrad.creation import as_tensor
from minigrad.dtypes import Size, promote_types
from minigrad.errors import check_shape, given_shape, type_error, value_error
from minigrad.methods import check_dim, values_of
from minigrad.primitives import shapes as primitives
from minigrad.tensor import Tensor, apply

# --- joined ---


def cat(tensors: Sequence[Any], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The Tensors joined along an axis they have."""
    joined = functions.concatenate(tensors, dim, axis=axis)
    empty = [
        x.dtype for x in tensors if tuple(getattr(x, "shape", ())) == (0,)
    ]  # they join nothing but their dtype
    return joined.to(reduce(promote_types, empty, joined._data.dtype)) if empty else joined


concat = concatenate = cat


def stack(tensors: Sequence[Any], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The Tensors, all of one shape, joined along a new axis."""
    return functions.stack(tensors, dim, axis=axis)


def hstack(tensors: Sequence[Any]) -> Tensor:
    """Side by side: joined along axis 1, or axis 0 where that is the only one."""
    parts = [atleast_1d(x) for x in tensors]
    return functions.concatenate(parts, 0 if parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Tensor:
    """One below the other: joined along axis 0; a vector is a row."""
    return functions.concatenate([atleast_2d(x) for x in tensors], 0)


row_stack = vstack


def column_stack(tensors: Sequence[Any]) -> Tensor:
    """Side by side; a vector is a column."""
    return hstack([x if x.ndim > 1 else x.reshape(-1, 1) for x in map(as_tensor, tensors)])


def dstack(tensors: Sequence[Any]) -> Tensor:
    """Joined along axis 2, which a matrix gets."""
    parts = [atleast_2d(x) for x in tensors]
    return functions.concatenate([x if x.ndim > 2 else x.unsqueeze(2) for x in parts], 2)


def atleast_1d(input: Any) -> Tensor:
    """A single number as a vector; all else as it is."""
    x = as_tensor(input)
    return x if x.ndim else x.reshape(1)


def atleast_2d(input: Any) -> Tensor:
    """With at least two axes: a vector is a row."""
    x = atleast_1d(input)
    return x if x.ndim > 1 else x.unsqueeze(0)


# --- cut ---


def _part(x: Tensor, dim: int, part: Any) -> Tensor:
    return x[(*(slice(None),) * dim, part)]


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of one length; the last may be shorter."""
    if chunks < 1:
        raise value_error("chunk", "chunks of 1 or more", chunks)
    n = input.shape[check_dim("chunk", dim, input.ndim)]
    return input.split(math.ceil(n / chunks) if n else [0] * chunks, dim)


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """That many pieces of nearly one length, or pieces cut before the given places."""
    dim = check_dim("tensor_split", dim, input.ndim)
    n, given = input.shape[dim], values_of(indices_or_sections)
    if getattr(given, "dtype", np.dtype(np.int64)) != np.int64:
        raise type_error("tensor_split", "places in int64", given.dtype)
    if np.ndim(given) == 0:
        if given < 1:
            raise value_error("tensor_split", "1 section or more", given)
        given = np.cumsum([n // given + (i < n % given) for i in range(given)])[:-1]
    places = [0, *map(int, given), n]
    return tuple(_part(input, dim, slice(a, b)) for a, b in zip(places, places[1:]))


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without it."""
    dim = check_dim("unbind", dim, input.ndim)
    return tuple(_part(input, dim, i) for i in range(input.shape[dim]))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Slice number `index` of an axis, without it."""
    return _part(input, check_dim("select", dim, input.ndim), int(index))


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """The stretch of `length` from `start` on along an axis."""
    dim = check_dim("narrow", dim, input.ndim)
    n, start = input.shape[dim], int(start)
    first = start + n if start < 0 else start
    if not (0 <= first <= n and 0 <= length <= n - first):
        raise value_error("narrow", f"a stretch within the {n} of axis {dim}", (start, length))
    return _part(input, dim, slice(first, first + length))


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size`, `step` apart, along an axis; their elements are a new last axis."""
    dim = check_dim("unfold", dimension, self.ndim)
    if not (0 < size <= self.shape[dim] and step > 0):
        raise value_error("unfold", f"0 < size <= {self.shape[dim]} and step > 0", (size, step))
    starts = np.arange(0, self.shape[dim] - size + 1, step)
    return movedim(_part(self, dim, starts[:, None] + np.arange(size)), dim + 1, -1)


# --- in another shape ---


def ravel(input: Tensor) -> Tensor:
    """All elements in one axis."""
    return input.reshape(-1)


def view_as(self: Tensor, other: Tensor) -> Tensor:
    """In the shape of another."""
    return self.view(other.shape)


def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """In the shape of another."""
    return self.reshape(other.shape)


def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One axis as several."""
    dim = check_dim("unflatten", dim, input.ndim)
    if not input.ndim:
        raise value_error("unflatten", "at least one axis", "shape ()")
    return input.reshape(*input.shape[:dim], *check_shape("unflatten", (sizes,), -1), *input.shape[dim + 1 :])


def t(input: Tensor) -> Tensor:
    """A matrix with its axes exchanged; a vector as it is."""
    if input.ndim > 2:
        raise value_error(
            "t", "at most 2 axes", f"shape {input._data.shape}", "write x.mT or x.transpose(0, 1)"
        )
    return input.T


def _t(x: Tensor) -> Tensor:
    return x.mT


H = mH = property(_t, doc="x with its last two axes exchanged: of real numbers, the adjoint.")


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """With the axes `source` at the places `destination`; the others keep their order."""
    pairs = [(x,) if isinstance(x, int) else tuple(x) for x in (source, destination)]
    if len(pairs[0]) != len(pairs[1]):
        raise value_error("movedim", "as many destinations as sources", (source, destination))
    sources, places = ([check_dim("movedim", d, input.ndim) for d in each] for each in pairs)
    if len(set(sources)) < len(sources) or len(set(places)) < len(places):
        raise value_error("movedim", "each axis once", (source, destination))
    rest = iter([d for d in range(input.ndim) if d not in sources])
    taken = dict(zip(places, sources))
    return input.permute([taken[d] if d in taken else next(rest) for d in range(input.ndim)])


moveaxis = movedim


def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """Repeated to the shape of another."""
    return self.expand(other.shape)


def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """Repeated to `size`; -1 keeps a length."""
    return input.expand(size)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Each repeated to the shape that they have together."""
    if any(isinstance(x, (list, tuple)) for x in tensors):
        raise type_error("broadcast_tensors", "Tensors, one after the other", "a list of them")
    tensors = tuple(map(as_tensor, tensors))
    shape = np.broadcast_shapes(*(x._data.shape for x in tensors))
    return tuple(x.expand(shape) for x in tensors)


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that arrays of these shapes have together; a whole number is a shape of one axis."""
    return Size(np.broadcast_shapes(*shapes))


# --- repeated ---


def repeat(self: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """Copies side by side: so many times along each axis."""
    times = given_shape("repeat", sizes if repeats is None else (repeats,))
    if len(times) < self.ndim:
        raise value_error("repeat", f"at least {self.ndim} numbers", times)
    own = (1,) * (len(times) - self.ndim) + tuple(self.shape)
    apart = self.reshape([n for m in own for n in (1, m)]).expand(
        [n for pair in zip(times, own) for n in pair]
    )
    out = apart.reshape([k * n for k, n in zip(times, own)])
    return out.clone() if np.may_share_memory(out._data, self._data) else out


def tile(input: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    """As `repeat`; missing numbers are 1."""
    times = given_shape("tile", sizes if dims is None else (dims,))
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


def repeat_interleave(
    input: Tensor, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or slice along `dim`) so many times in a row."""
    if dim is None:
        input, dim = input.reshape(-1), 0
    dim = check_dim("repeat_interleave", dim, input.ndim)
    n, times = input.shape[dim], np.asarray(values_of(repeats))
    if times.shape not in ((), (1,), (n,)):
        raise value_error("repeat_interleave", f"repeats as one number, or {n}", times.shape)
    places = np.repeat(np.arange(n), times)
    if output_size not in (None, len(places)):
        raise value_error("repeat_interleave", f"output_size {len(places)}", output_size)
    return _part(input, dim, places)


# --- turned ---


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Moved along axes; what leaves at the end comes in at the start. Without `dims`, as if all were one axis."""
    if dims is None or dims == ():
        return roll(input.reshape(-1), shifts, 0).reshape(input.shape)
    shifts, dims = ((x,) if isinstance(x, int) else tuple(x) for x in (shifts, dims))
    if len(shifts) != len(dims):
        raise value_error("roll", "one shift for each of dims", (shifts, dims))
    for shift, given in zip(shifts, dims):
        dim = check_dim("roll", given, input.ndim)
        if n := input.shape[dim]:
            cut = -shift % n
            input = cat([_part(input, dim, slice(cut, n)), _part(input, dim, slice(cut))], dim)
    return input


def flip(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    """A copy in reverse order along each of `dims`."""
    dims = given_shape("flip", axes if dims is None else (dims,), -input.ndim - 1)
    turned = [check_dim("flip", dim, input.ndim) for dim in dims]
    if len(set(turned)) < len(turned):
        raise value_error("flip", "each dim once", dims)
    return input[tuple(slice(None, None, -1 if d in turned else 1) for d in range(input.ndim))].clone()


def fliplr(input: Tensor) -> Tensor:
    """A copy with its columns in reverse order."""
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """A copy with its rows in reverse order."""
    if not input.ndim:
        raise value_error("flipud", "at least one axis", "shape ()")
    return flip(input, 0)


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarters from the first of `dims` towards the second."""
    first, second = (check_dim("rot90", dim, input.ndim) for dim in dims)
    if input.ndim < 2 or first == second:
        raise value_error("rot90", "two different axes", f"{tuple(dims)} of {tuple(input.shape)}")
    if k % 4 == 2:
        return flip(input, first, second)
    if k % 2 == 0:
        return input.clone()
    return (
        flip(input, second).swapaxes(first, second)
        if k % 4 == 1
        else flip(input, first).swapaxes(first, second)
    )


# --- diagonals ---


def _last_diagonal(x, *, offset):
    """The diagonal of the last two axes, as a new last axis; of an array a view of its memory.

    Shapes    x (..., N, M) -> (..., the diagonal's length)
    Backward  what is off the diagonal has no part in it: zeros, with dout on the diagonal.
    """
    shape = x.shape
    n = max(min(shape[-2] + min(offset, 0), shape[-1] - max(offset, 0)), 0)
    i = np.arange(n)
    index = (..., i - min(offset, 0), i + max(offset, 0))
    if is_array(x):
        out = x.diagonal(offset, -2, -1)
        if isinstance(out, np.ndarray) and x.flags.writeable:
            out.flags.writeable = True
    else:
        out = x[index]
    return out, lambda dout: (primitives._scatter(dout, index=index, shape=shape),)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two axes, `offset` above the main one, as the last axis; a view."""
    first, second = (check_dim("diagonal", dim, input.ndim) for dim in (dim1, dim2))
    if first == second or input.ndim < 2:
        raise value_error("diagonal", "two different axes", (dim1, dim2))
    return apply(_last_diagonal, movedim(input, (first, second), (-2, -1)), offset=offset)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last axis on a diagonal, else zeros."""
    n = input.shape[-1]
    i, size = np.arange(n), n + abs(offset)
    index = (..., i - min(offset, 0), i + max(offset, 0))
    x = functions.scatter_add(input, index=index, shape=(*input.shape[:-1], size, size))
    return movedim(x, (-2, -1), (dim1, dim2))


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Of a vector the matrix with it on the diagonal, of a matrix its diagonal."""
    if input.ndim not in (1, 2):
        raise value_error("diag", "a vector or a matrix", f"shape {input._data.shape}")
    return (
        diag_embed(input, diagonal)
        if input.ndim == 1
        else apply(_last_diagonal, input, offset=diagonal).clone()
    )


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements on a diagonal."""
    return diag_embed(input.reshape(-1), offset)


def trace(input: Tensor) -> Tensor:
    """The sum over the diagonal of a matrix."""
    if input.ndim != 2:
        raise value_error("trace", "a matrix", f"shape {input._data.shape}")
    return diagonal(input).sum()


def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """With two axes exchanged."""
    return input.swapaxes(dim0, dim1)


def contiguous(self: Tensor, *, memory_format: Any = None) -> Tensor:
    """In memory in its own order: x itself if it is, else a copy."""
    return self if self._data.flags.c_contiguous else self.reshape(-1).reshape(self.shape)
