"""Methods of Tensors that are made of other operations.

`Tensor` (tensor.py) inherits them, those that write (in_place.py), and those that look at the values
(values.py); functions.py offers those that are functions, too.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import namespace
from minigrad.errors import given_shape, type_error, value_error
from minigrad.gpu.device import move
from minigrad.methods.axes import axis_of, check_dim
from minigrad.methods.in_place import InPlace
from minigrad.methods.values import values_of
from minigrad.torch_names.device import TYPES
from minigrad.torch_names.returned import Max, Min

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class Methods(InPlace):
    """What needs no operation of its own. Here `x` is the Tensor, as in a function."""

    __slots__ = ()

    # --- reductions ---

    def var(
        x: Any,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: int | None = None,
        axis: Any = None,
        keepdims: bool = False,
    ) -> "Tensor":
        """The variance over `dim`: squares summed over n - correction, which is 1 if `unbiased` (NumPy's is 0)."""
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        axis = axis_of(dim, axis, x, "var")
        centred = x - x.mean(axis, True)
        total = (centred * centred).sum(axis, keepdim or keepdims)
        correction = int(unbiased) if correction is None else correction
        return total / max(x.numel() // max(total.numel(), 1) - correction, 0)

    def std(
        x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, **options: Any
    ) -> "Tensor":
        """The square root of `var`."""
        variance = x.var(dim, unbiased, keepdim, **options)
        zero = variance == 0  # there the slope of the root is infinite, and PyTorch's gradient 0
        return variance.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)

    def prod(
        x: Any,
        dim: Any = None,
        keepdim: bool = False,
        *,
        dtype: Any = None,
        axis: Any = None,
        keepdims: bool = False,
    ) -> "Tensor":
        """The product over one axis, or over all elements, which are halved and multiplied until one is left.

        The gradient is exact at zeros, where the product divided by x would fail.
        """
        axis, keep = axis_of(dim, axis, x, "prod"), keepdim or keepdims
        if dtype is not None or x._data.dtype.kind != "f":
            x = x.astype(dtype or np.int64)
        if axis is None:
            return x.reshape(-1).prod(0).reshape((1,) * x.ndim if keep else ()) if x.ndim else x.clone()
        lead, odd = (slice(None),) * axis, None
        while (n := x.shape[axis]) > 1:
            if n % 2:
                last = x[(*lead, slice(n - 1, n))]
                odd = last if odd is None else odd * last
            x = x[(*lead, slice(0, n // 2))] * x[(*lead, slice(n // 2, n - n % 2))]
        if not n:
            x = x.sum(axis, True) + 1
        x = x if odd is None else x * odd
        return x if keep else x.squeeze(axis)

    def max(
        x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
    ) -> Any:
        """The largest element; of each row along `dim` (PyTorch) a pair (values, indices), or along `axis` the values.

        The gradient goes to the element at that index; where there is no `dim`, equals share it, see `amax`.
        x.max(y) with another Tensor is `maximum(x, y)`.
        """
        return x._extreme(Max, dim, keepdim or keepdims, axis)

    def min(
        x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
    ) -> Any:
        """The smallest element; as `max`."""
        return x._extreme(Min, dim, keepdim or keepdims, axis)

    def _extreme(x: Any, pair: Any, dim: Any, keepdim: bool, axis: Any) -> Any:
        if isinstance(dim, Methods):
            return getattr(x.__tensor_namespace__(), f"{pair.__name__}imum")(x, dim)
        if dim is None:
            return getattr(x, f"a{pair.__name__}")(axis, keepdim)
        indices = x._place(f"arg{pair.__name__}", dim, True, None)
        values = x.gather(dim, indices)
        return pair(values, indices) if keepdim else pair(values.squeeze(dim), indices.squeeze(dim))

    def argmax(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> "Tensor":
        """The place of the largest element, of the first of equals."""
        return x._place("argmax", dim, keepdim, axis)

    def argmin(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> "Tensor":
        """The place of the smallest element, of the first of equals."""
        return x._place("argmin", dim, keepdim, axis)

    def _place(x: Any, name: str, dim: Any, keepdim: bool, axis: Any) -> "Tensor":
        axis = axis_of(dim, axis, x, name)
        if not (x._data.size if axis is None else x.shape[axis]):
            raise value_error(name, "at least one element", f"shape {x._data.shape}")
        places = getattr(x._data, name)(axis=axis, keepdims=keepdim)
        return x._wrap(namespace(x._data).asarray(places))

    def any(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> "Tensor":
        """Is any element true, or not 0?"""
        return x._question("any", dim, keepdim, axis)

    def all(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> "Tensor":
        """Are all elements true, or not 0?"""
        return x._question("all", dim, keepdim, axis)

    def _question(x: Any, name: str, dim: Any, keepdim: Any, axis: Any) -> "Tensor":
        answer = getattr(x._data != 0, name)(axis_of(dim, axis, x, name), keepdims=keepdim)
        kind = x._data.dtype if x._data.dtype == np.uint8 else np.bool_  # PyTorch's older way for uint8
        return x._wrap(namespace(x._data).asarray(answer, kind))

    # --- shapes ---

    def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """Axes start_dim..end_dim as one."""
        start, end = (check_dim("flatten", dim, x.ndim) for dim in (start_dim, end_dim))
        if start > end:
            raise value_error("flatten", "start_dim before end_dim", (start_dim, end_dim))
        return x.reshape(*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])

    def transpose(x: Any, *axes: Any, dim0: Any = None, dim1: Any = None) -> "Tensor":
        """Two ints swap these axes (PyTorch); a tuple or more ints permute them; none reverses (NumPy)."""
        axes += tuple(dim for dim in (dim0, dim1) if dim is not None)
        if len(axes) == 2:
            return x.swapaxes(*axes)
        return x.permute(*(axes or range(x.ndim)[::-1]))

    def swapaxes(x: Any, axis0: int, axis1: int) -> "Tensor":
        """x with two axes exchanged."""
        i, j = (check_dim("transpose", axis, x.ndim) for axis in (axis0, axis1))
        axes = list(range(x.ndim))
        if x.ndim:
            axes[i], axes[j] = axes[j], axes[i]
        return x.permute(axes)

    @property
    def T(x: Any) -> "Tensor":
        """x with all axes reversed."""
        return x.permute(range(x.ndim)[::-1])

    @property
    def mT(x: Any) -> "Tensor":
        """x with its last two axes exchanged."""
        return x.swapaxes(-1, -2)

    def squeeze(x: Any, dim: Any = None, *, axis: Any = None) -> "Tensor":
        """x without its axes of length 1, or without the given ones whose length is 1."""
        axis = axis_of(dim, axis, x, "squeeze")
        drop = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        return x.reshape([n for i, n in enumerate(x.shape) if n != 1 or i not in drop])

    def unsqueeze(x: Any, dim: int) -> "Tensor":
        """x with a new axis of length 1 at `dim`."""
        shape = list(x.shape)
        shape.insert(check_dim("unsqueeze", dim, x.ndim + 1), 1)
        return x.reshape(shape)

    def expand(x: Any, *sizes: Any, size: Any = None) -> "Tensor":
        """x repeated to `size`; -1 keeps a length (PyTorch)."""
        wanted = given_shape("expand", sizes if size is None else (size,), -1)
        if len(wanted) < x.ndim or -1 in wanted[: len(wanted) - x.ndim]:
            expected = f"at least {x.ndim} sizes for {tuple(x.shape)}, and -1 for its own axes alone"
            raise value_error("expand", expected, wanted)
        whole = wanted[: len(wanted) - x.ndim] + tuple(
            n if m == -1 else m for m, n in zip(wanted[len(wanted) - x.ndim :], x.shape)
        )
        return x[...] if whole == x.shape else x.broadcast_to(wanted)

    # --- parts ---

    def split(x: Any, split_size: Any, dim: int = 0, *, axis: int | None = None) -> "tuple[Tensor, ...]":
        """Pieces of length `split_size` (the last may be shorter), or of the listed lengths, along an axis."""
        dim = check_dim("split", dim if axis is None else axis, x.ndim)
        n = x.shape[dim]
        if isinstance(split_size, int):
            if split_size < 1:
                raise value_error("split", "a length of 1 or more", split_size)
            lengths = [min(split_size, n - i) for i in range(0, n, split_size)] or [0]
        else:
            lengths = list(split_size)
        if sum(lengths) != n or min(lengths, default=0) < 0:
            raise value_error("split", f"lengths that add up to {n}", lengths)
        lead, ends = (slice(None),) * dim, np.cumsum(lengths).tolist()
        return tuple(x[(*lead, slice(end - length, end))] for length, end in zip(lengths, ends))

    def gather(x: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> "Tensor":
        """out[i][j] = x[i][index[i][j]] for dim = 1, and so on; `index` is an integer array of x's rank.

        Raises    ValueError for an index of another rank, or longer than x on another axis; IndexError for one
                  outside 0..n-1.
        """
        xp, dim = namespace(x._data), check_dim("gather", dim, x.ndim)
        index = xp.asarray(values_of(index))
        if min(x.ndim, index.ndim) == 0 and max(x.ndim, index.ndim) < 2:  # a single number counts as one axis
            return x.reshape(-1).gather(0, index.reshape(-1)).reshape(index.shape)
        if index.ndim != x.ndim or index.dtype.kind not in "iu":
            got = f"{index.dtype} {index.shape}"
            raise value_error("gather", f"an integer index of {x.ndim} axes", got)
        check_places("gather", index, x._data.shape, dim)
        return x[along_axis(xp, index, dim)]

    def tril(x: Any, diagonal: int = 0) -> "Tensor":
        """x with zeros above the diagonal of its last two axes."""
        return x._triangle("tril", lambda xp: ~xp.tri(*x.shape[-2:], k=diagonal, dtype=bool))

    def triu(x: Any, diagonal: int = 0) -> "Tensor":
        """x with zeros below the diagonal of its last two axes."""
        return x._triangle("triu", lambda xp: xp.tri(*x.shape[-2:], k=diagonal - 1, dtype=bool))

    def _triangle(x: Any, where: str, dropped: Any) -> "Tensor":
        if x.ndim < 2:
            raise value_error(where, "at least 2 axes", f"shape {x._data.shape}")
        return x.masked_fill(dropped(namespace(x._data)), 0)

    # --- names that others have for the same ---

    def pow(x: Any, exponent: Any) -> "Tensor":
        """x ** exponent."""
        return x**exponent

    def clone(x: Any, *, memory_format: Any = None) -> "Tensor":
        """A copy that passes its gradient on."""
        return x.astype(x.dtype) if x._data.dtype.kind == "f" else x._wrap(x._data.copy())

    def size(x: Any, dim: int | None = None) -> Any:
        """The shape, or the length of one axis (PyTorch's method; for a count see `numel`)."""
        return x.shape if dim is None else x.shape[dim]

    def dim(x: Any) -> int:
        """The number of axes."""
        return x.ndim

    # --- in another dtype, or elsewhere ---

    def float(x: Any) -> "Tensor":
        """x in float32; x itself if it is."""
        return x if x._data.dtype == np.float32 else x.astype(np.float32)

    def double(x: Any) -> "Tensor":
        """x in float64; x itself if it is."""
        return x if x._data.dtype == np.float64 else x.astype(np.float64)

    def long(x: Any) -> "Tensor":
        """x in int64; x itself if it is."""
        return x if x._data.dtype == np.int64 else x.astype(np.int64)

    def int(x: Any) -> "Tensor":
        """x in int32; x itself if it is."""
        return x if x._data.dtype == np.int32 else x.astype(np.int32)

    def bool(x: Any) -> "Tensor":
        """x as booleans, what is not 0; x itself if it is."""
        return x if x._data.dtype == np.bool_ else x.astype(np.bool_)

    def to(
        x: Any,
        *args: Any,
        device: Any = None,
        dtype: Any = None,
        non_blocking: Any = False,
        copy: Any = False,
    ) -> "Tensor":
        """x in another dtype, or on another device ("cpu", "cuda"): to(device, dtype), to(dtype), to(other Tensor).

        x itself where nothing changes, unless `copy`.
        """
        first, *rest = args or (None,)
        if isinstance(first, InPlace):
            device, dtype = first.device, first.dtype
        elif (first is None and rest) or (isinstance(first, str) and first.partition(":")[0] in TYPES):
            device, dtype = first, rest.pop(0) if rest else dtype
        elif first is not None:
            dtype = first
        if len(rest) > 2 or not all(isinstance(each, (bool, int)) for each in rest):
            raise type_error("to", "a dtype, a device, or a Tensor, then non_blocking and copy", args)
        copy = rest[1] if len(rest) > 1 else copy
        y = x if dtype is None or x.dtype == dtype else x.astype(dtype)
        if device is None or str(device).partition(":")[0] == x.device.type:
            return y.clone() if copy and y is x else y
        if not y.is_leaf:
            raise RuntimeError("to: expected a leaf; move data before computing with it")
        return y._wrap(move(y._data, str(device).partition(":")[0]), y.requires_grad)


def along_axis(xp: Any, index: Any, dim: int) -> tuple[Any, ...]:
    """Return the index that reads, for each element of `index`, that place of axis `dim`, and its own of the others."""
    mesh = list(xp.ogrid[tuple(slice(0, n) for n in index.shape)])
    mesh[dim] = index
    return tuple(mesh)


def check_places(where: str, index: Any, shape: Sequence[Any], dim: Any) -> None:
    """Raise unless `index` fits an array of `shape` along axis `dim`: within it there, no longer than it elsewhere."""
    if not index.ndim:
        return
    if any(n > m for i, (n, m) in enumerate(zip(index.shape, shape)) if i != dim):
        raise value_error(where, f"an index no longer than {tuple(shape)}, but for axis {dim}", index.shape)
    if index.size and not (0 <= index.min() and index.max() < shape[dim]):
        raise IndexError(
            *value_error(where, f"an index in 0..{shape[dim] - 1}", f"{index.min()}..{index.max()}").args
        )
