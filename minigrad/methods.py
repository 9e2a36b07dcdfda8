"""Methods of Tensors that are made of other operations, or that only look at the values.

`Tensor` (tensor.py) inherits them; functions.py offers those that are functions, too.
"""

import math
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import move, namespace, to_numpy
from minigrad.errors import check_shape, type_error, value_error
from minigrad.switches import state
from minigrad.tape import Node

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def axis_of(dim: Any, axis: Any) -> Any:
    """Return PyTorch's `dim` or NumPy's `axis`, whichever was given."""
    axis = axis if dim is None else dim
    return tuple(axis) if isinstance(axis, list) else axis


def values_of(x: Any) -> Any:
    """Return the array of a Tensor, and anything else as it is."""
    return x._data if isinstance(x, Methods) else x


class Methods:
    """What needs no operation of its own. Here `x` is the Tensor, as in a function."""

    __slots__ = ()
    _data: Any

    # --- reductions ---

    def var(
        x: Any,
        dim: Any = None,
        keepdim: bool = False,
        *,
        correction: int = 1,
        axis: Any = None,
        keepdims: bool = False,
    ) -> "Tensor":
        """The variance over `dim`: squares summed over n - correction, PyTorch's default of 1 (NumPy's is 0)."""
        axis = axis_of(dim, axis)
        centred = x - x.mean(axis, True)
        total = (centred * centred).sum(axis, keepdim or keepdims)
        return total / max(x.numel() // max(total.numel(), 1) - correction, 0)

    def std(x: Any, dim: Any = None, keepdim: bool = False, **options: Any) -> "Tensor":
        """The square root of `var`."""
        return x.var(dim, keepdim, **options).sqrt()

    def prod(
        x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False
    ) -> "Tensor":
        """The product over one axis, or over all elements, which are halved and multiplied until one is left.

        The gradient is exact at zeros, where the product divided by x would fail.
        """
        axis, keep = axis_of(dim, axis), keepdim or keepdims
        if axis is None:
            return x.reshape(-1).prod(0).reshape((1,) * x.ndim if keep else ())
        lead, odd = (slice(None),) * (axis % x.ndim), None
        while (n := x.shape[axis]) > 1:
            if n % 2:
                last = x[(*lead, slice(n - 1, n))]
                odd = last if odd is None else odd * last
            x = x[(*lead, slice(0, n // 2))] * x[(*lead, slice(n // 2, n - n % 2))]
        if not n:
            x = x.sum(axis, True) + 1.0
        x = x if odd is None else x * odd
        return x if keep else x.squeeze(axis)

    # --- shapes ---

    def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """Axes start_dim..end_dim as one."""
        start, end = start_dim % (x.ndim or 1), end_dim % (x.ndim or 1)
        return x.reshape(*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])

    def transpose(x: Any, *axes: Any) -> "Tensor":
        """Two ints swap these axes (PyTorch); a tuple or more ints permute them; none reverses (NumPy)."""
        axes = check_shape("transpose", axes, -x.ndim)
        return x.swapaxes(*axes) if len(axes) == 2 else x.permute(axes or range(x.ndim)[::-1])

    def swapaxes(x: Any, axis1: int, axis2: int) -> "Tensor":
        """x with two axes exchanged."""
        axes = list(range(x.ndim))
        axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
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
        """x without its axes of length 1, or without the given one if its length is 1."""
        axis = axis_of(dim, axis)
        drop = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis)]
        return x.reshape([n for i, n in enumerate(x.shape) if n != 1 or i not in drop])

    def unsqueeze(x: Any, dim: int) -> "Tensor":
        """x with a new axis of length 1 at `dim`."""
        shape = list(x.shape)
        shape.insert(dim % (x.ndim + 1), 1)
        return x.reshape(shape)

    def expand(x: Any, *shape: Any) -> "Tensor":
        """x repeated to `shape`; -1 keeps a length (PyTorch)."""
        wanted = check_shape("expand", shape, -1)
        own = (1,) * (len(wanted) - x.ndim) + x.shape
        return x.broadcast_to([m if n == -1 else n for n, m in zip(wanted, own, strict=True)])

    # --- parts ---

    def split(x: Any, size: Any, dim: int = 0, *, axis: int | None = None) -> "list[Tensor]":
        """Pieces of length `size` (the last may be shorter), or of the listed lengths, along an axis."""
        dim = dim if axis is None else axis
        n = x.shape[dim]
        lengths = [min(size, n - i) for i in range(0, n, size)] if isinstance(size, int) else list(size)
        if sum(lengths) != n:
            raise value_error("split", f"lengths that add up to {n}", lengths)
        lead, ends = (slice(None),) * (dim % x.ndim), np.cumsum(lengths).tolist()
        return [x[(*lead, slice(end - length, end))] for length, end in zip(lengths, ends)]

    def gather(x: Any, dim: int, index: Any) -> "Tensor":
        """out[i][j] = x[i][index[i][j]] for dim = 1, and so on; `index` is an integer array of x's rank."""
        xp = namespace(x._data)
        index = xp.asarray(index)
        if index.ndim != x.ndim or index.dtype.kind not in "iu":
            got = f"{index.dtype} {index.shape}"
            raise value_error("gather", f"an integer index of {x.ndim} axes", got)
        mesh = list(xp.ogrid[tuple(slice(0, n) for n in index.shape)])
        mesh[dim] = index
        return x[tuple(mesh)]

    def tril(x: Any, diagonal: int = 0) -> "Tensor":
        """x with zeros above the diagonal of its last two axes."""
        return x.masked_fill(~namespace(x._data).tri(*x.shape[-2:], k=diagonal, dtype=bool), 0.0)

    def triu(x: Any, diagonal: int = 0) -> "Tensor":
        """x with zeros below the diagonal of its last two axes."""
        return x.masked_fill(namespace(x._data).tri(*x.shape[-2:], k=diagonal - 1, dtype=bool), 0.0)

    # --- names that others have for the same ---

    def pow(x: Any, exponent: Any) -> "Tensor":
        """x ** exponent."""
        return x**exponent

    def clone(x: Any) -> "Tensor":
        """A copy that passes its gradient on."""
        return x.astype(x.dtype)

    def float(x: Any) -> "Tensor":
        """x in float32."""
        return x.astype(np.float32)

    def double(x: Any) -> "Tensor":
        """x in float64."""
        return x.astype(np.float64)

    def size(x: Any, dim: int | None = None) -> Any:
        """The shape, or the length of one axis (PyTorch's method; for a count see `numel`)."""
        return x.shape if dim is None else x.shape[dim]

    def dim(x: Any) -> int:
        """The number of axes."""
        return x.ndim

    # --- a leaf ---

    def requires_grad_(x: Any, requires_grad: bool = True) -> "Tensor":
        """Make a leaf collect a gradient (or stop it); return x."""
        if not x.is_leaf:
            raise RuntimeError("requires_grad_: only a leaf can change; use detach() to cut a graph")
        if requires_grad != x.requires_grad:
            x._node = Node("leaf", x.shape) if requires_grad else None
        return x

    def _in_place(x: Any, operation: Callable[[Any, Any], Any], other: Any) -> "Tensor":
        """`x += y`. A computed Tensor is rebound to a new one; a leaf is overwritten, under no_grad only."""
        if not (x.requires_grad and x.is_leaf):
            return operation(x, other)
        if state.recording:
            raise RuntimeError(
                "in-place arithmetic: expected `with no_grad():` around an update of a leaf that requires "
                "a gradient; to compute with it, write x = x + y"
            )
        x._data[...] = operation(x.detach(), other)._data
        x.mark_overwritten()
        return x

    def __iadd__(x: Any, other: Any) -> "Tensor":
        return x._in_place(type(x).__add__, other)

    def __isub__(x: Any, other: Any) -> "Tensor":
        return x._in_place(type(x).__sub__, other)

    def __imul__(x: Any, other: Any) -> "Tensor":
        return x._in_place(type(x).__mul__, other)

    def __itruediv__(x: Any, other: Any) -> "Tensor":
        return x._in_place(type(x).__truediv__, other)

    def __setitem__(x: Any, index: Any, value: Any) -> None:
        raise TypeError(
            "Tensor: expected no assignment to elements, which a gradient cannot follow; "
            "write y = where(mask, value, x) or x.masked_fill(mask, value)"
        )

    # --- comparisons and places, as plain arrays ---

    def __eq__(x: Any, other: object) -> Any:  # type: ignore[override]
        return x._data == values_of(other)

    def __ne__(x: Any, other: object) -> Any:  # type: ignore[override]
        return x._data != values_of(other)

    def __lt__(x: Any, other: Any) -> Any:
        return x._data < values_of(other)

    def __le__(x: Any, other: Any) -> Any:
        return x._data <= values_of(other)

    def __gt__(x: Any, other: Any) -> Any:
        return x._data > values_of(other)

    def __ge__(x: Any, other: Any) -> Any:
        return x._data >= values_of(other)

    __hash__ = object.__hash__

    def argmax(x: Any, dim: Any = None, *, axis: Any = None) -> Any:
        """The index of the largest element, as a plain integer array."""
        return x._data.argmax(axis=axis_of(dim, axis))

    def argmin(x: Any, dim: Any = None, *, axis: Any = None) -> Any:
        """The index of the smallest element, as a plain integer array."""
        return x._data.argmin(axis=axis_of(dim, axis))

    # --- the values, for others ---

    @property
    def device(x: Any) -> str:
        """Where the array lives: "cpu" or "cuda"."""
        return "cpu" if namespace(x._data) is np else "cuda"

    def to(x: Any, where: Any) -> "Tensor":
        """x in another dtype, or a leaf's array on another device ("cpu", "cuda")."""
        if not isinstance(where, str):
            return x.astype(where)
        if where == x.device:
            return x
        if not x.is_leaf:
            raise RuntimeError("to: expected a leaf; move data before computing with it")
        y = x.detach()
        y._data = move(x._data, where)
        return y.requires_grad_(x.requires_grad)

    def numpy(x: Any) -> np.ndarray:
        """The values as a NumPy array: the array itself on the CPU, a copy from the GPU."""
        return to_numpy(x._data)

    def tolist(x: Any) -> Any:
        """The values as nested lists of Python numbers."""
        return x._data.tolist()

    def __array__(x: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if x.requires_grad:
            hint = "minigrad.sin for numpy.sin, x.mean() for numpy.mean(x), or x.detach() to leave the graph"
            got = f"one of shape {x.shape}, whose history NumPy would lose"
            raise type_error("numpy", "a Tensor without a gradient", got, f"write {hint}")
        values = x.numpy()
        return values.astype(dtype) if dtype is not None else values.copy() if copy else values

    def __array_function__(x: Any, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """numpy.mean(x) and the like: on the array, or refused by `__array__`."""
        return function(*map(_as_arrays, args), **{name: _as_arrays(y) for name, y in kwargs.items()})

    def __tensor_namespace__(x: Any) -> Any:
        return sys.modules["minigrad.functions"]  # it imports this file, not the other way round

    def __len__(x: Any) -> int:
        if not x.ndim:
            raise TypeError("len: expected a Tensor with an axis; got shape ()")
        return x.shape[0]

    def __iter__(x: Any) -> "Iterator[Tensor]":
        return (x[i] for i in range(len(x)))

    def __bool__(x: Any) -> bool:
        return bool(x.item())

    def __float__(x: Any) -> Any:
        if state.transforming and x.requires_grad:
            raise type_error("float", "a constant", "a Tensor under grad", "write x.exp(), or x.item()")
        return x.item()

    def __format__(x: Any, spec: str) -> str:
        return format(x.item(), spec) if spec else repr(x)

    def __repr__(x: Any) -> str:
        values = np.array2string(x.numpy(), precision=4, separator=", ", prefix="tensor(")
        dtype = "" if x.dtype == np.float32 else f", dtype={x.dtype}"
        history = ", requires_grad=True" if x.is_leaf else f", op={x._node.name}"
        return f"tensor({values}{dtype}{history if x.requires_grad else ''})"

    def __reduce__(x: Any) -> Any:
        """Copies (copy.deepcopy) and pickles of a leaf are leaves of their own, gradient included."""
        if not x.is_leaf:
            raise RuntimeError("copy: expected a leaf; got a Tensor with a history; copy x.detach()")
        return _rebuild, (type(x), x._data, x.requires_grad, x.grad)


def _rebuild(kind: Any, data: Any, requires_grad: bool, grad: Any) -> Any:
    x = kind.__new__(kind)
    x._data, x._node = data, Node("leaf", data.shape) if requires_grad else None
    if requires_grad:
        x.grad = grad
    return x


def _as_arrays(x: Any) -> Any:
    """Return x with its Tensors, which may be in lists, as NumPy arrays."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(_as_arrays, x))
    return np.asarray(x) if isinstance(x, Methods) else x
