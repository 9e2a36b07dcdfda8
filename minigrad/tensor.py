"""Tensors: arrays that remember what they were computed from, and the functions on them."""

import builtins
import functools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad import primitives, tape
from minigrad.backend import is_array, move, namespace, to_numpy
from minigrad.errors import type_error, value_error
from minigrad.tape import Node

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
NUMBERS = (int, float, np.number, np.bool_)


def apply(fn: Callable[..., Any], *inputs: Any, **constants: Any) -> "Tensor":
    """Run an array function on the inputs' arrays; record its vjp if any input wants a gradient.

    An input is a Tensor, or an array, number, list or None, which carries no gradient.

    Raises    TypeError if float32 and float64 would mix; ValueError, naming the operation and the
              shapes, if the arrays do not fit.
    """
    state, monitor = tape.state, tape.state.monitor
    arrays = [x._data if isinstance(x, Tensor) else as_operand(x) for x in inputs]
    try:
        out, vjp = fn(*arrays, **constants) if monitor is None else monitor.forward(fn, arrays, constants)
    except (ValueError, IndexError) as error:
        raise _named(error, fn, arrays) from error
    if isinstance(out, np.generic):
        out = np.asarray(out)
    dtype = out.dtype
    for x in arrays:
        if x is not None and x.dtype is not dtype:  # the quick test; equal dtypes may be two objects
            if x.dtype != dtype and fn is not primitives.astype:
                return _apply_to_one_dtype(fn, inputs, constants)
    y = Tensor.__new__(Tensor)
    y._data, y._node = out, None
    if state.recording:
        parents = [x._node if isinstance(x, Tensor) else None for x in inputs]
        if any(parents):
            replay = (fn, inputs, constants) if state.keep_inputs else None
            y._node = Node(fn.__name__, out.shape, parents, vjp, replay)
    return y


def _named(error, fn, arrays):
    """Return the error with the operation's name and shapes, unless it already bears the name."""
    if ": expected " in str(error):
        return error
    shapes = " and ".join(str(x.shape) for x in arrays if x is not None)
    return type(error)(f"{fn.__name__}: expected shapes that fit together; got {shapes} ({error})")


def _apply_to_one_dtype(fn, inputs, constants):
    """Run `fn` with numbers, lists and 0-d inputs in the dtype of the others; refuse float32 beside float64."""
    shaped = {x.dtype for x in inputs if hasattr(x, "dtype") and x.ndim and x.dtype in FLOATS}
    if len(shaped) != 1:
        got = " and ".join(f"{x.dtype} {x.shape}" for x in inputs if hasattr(x, "dtype"))
        hint = "convert one of them: x.astype(np.float32) or x.astype(np.float64)"
        raise type_error(fn.__name__, "inputs of one float dtype", got, hint)
    dtype = shaped.pop()

    def convert(x):
        if x is None or getattr(x, "dtype", None) == dtype:
            return x
        return astype(x, dtype) if isinstance(x, Tensor) else np.asarray(x, dtype)

    return apply(fn, *map(convert, inputs), **constants)


def lift(fn: Callable[..., Any]) -> Callable[..., "Tensor"]:
    """Make an array function `fn(*arrays, **constants) -> (out, vjp)` work on Tensors."""

    @functools.wraps(fn)
    def on_tensors(*inputs: Any, **constants: Any) -> "Tensor":
        return apply(fn, *inputs, **constants)

    on_tensors.array = fn  # type: ignore[attr-defined]
    return on_tensors


def op(*, reference: Callable[..., "Tensor"]) -> Callable[[Callable[..., Any]], Callable[..., "Tensor"]]:
    """Lift a fused array function to Tensors and remember its plain definition.

    `.array` is the function as written, for tests and readers; `.reference` its definition in
    Tensor arithmetic, which serves as documentation, as test oracle and for second derivatives.
    """

    def decorate(fn: Callable[..., Any]) -> Callable[..., "Tensor"]:
        on_tensors = lift(fn)
        on_tensors.reference = fn.reference = reference  # type: ignore[attr-defined]
        return on_tensors

    return decorate


def as_operand(x: Any, like: "Tensor | None" = None) -> Any:
    """Return `x` as an input of `apply`: a Tensor or float array; lists, numbers, ids become floats."""
    if x is None or isinstance(x, Tensor):
        return x
    if is_array(x) and x.dtype in FLOATS:
        return x
    dtype = like.dtype if like is not None else np.dtype(np.float32)
    if is_array(x) and x.dtype.kind in "iub":
        return x.astype(dtype)
    return (np if like is None else namespace(like._data)).asarray(x, dtype=dtype)


class Tensor:
    """An array of float32 or float64 and, if it was computed from one that wants a gradient, its history.

    `Tensor(data, requires_grad=False)` keeps an array's dtype (the array is shared, not copied);
    lists and numbers become float32. Method names are NumPy's and PyTorch's; reductions take
    `axis`/`keepdims` and `dim`/`keepdim` alike. Comparisons return plain arrays.

    Raises    TypeError for integer, boolean, complex or half-precision arrays.
    """

    __slots__ = ("__weakref__", "_data", "_node")
    __array_priority__ = 1000  # above NumPy's and CuPy's arrays, so that `array * tensor` is ours

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        data = data._data if isinstance(data, Tensor) else data
        if not is_array(data) or (isinstance(data, np.generic) and data.dtype not in FLOATS):
            data = np.asarray(data, dtype=np.float32)
        if data.dtype not in FLOATS:
            hint = "convert it with x.astype(np.float32); ids and masks stay plain arrays"
            raise type_error("Tensor", "a float32 or float64 array", f"{data.dtype} {data.shape}", hint)
        self._data: Any = np.asarray(data) if isinstance(data, np.generic) else data
        self._node = Node("leaf", self._data.shape) if requires_grad else None

    # --- what it holds ---

    @property
    def data(self) -> Any:
        """The array itself. Assigning replaces it; graphs that read the old one become stale."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        value = value._data if isinstance(value, Tensor) else namespace(self._data).asarray(value)
        if value.shape != self.shape or value.dtype != self.dtype:
            wanted, got = f"{self.dtype} {self.shape}", f"{value.dtype} {value.shape}"
            raise value_error("Tensor.data", wanted, got, "make a new Tensor for another shape or dtype")
        self._data = value
        self.mark_overwritten()

    def mark_overwritten(self) -> None:
        """Say that the array was written to in place: older graphs that read it refuse a walk."""
        if self._node is not None:
            self._node.overwrite()

    @property
    def requires_grad(self) -> bool:
        """Does backward reach this Tensor?"""
        return self._node is not None

    @property
    def is_leaf(self) -> bool:
        """Was it made by the user, not computed from Tensors that want a gradient?"""
        return self._node is None or (self._node.vjp is None and not self._node.parents)

    @property
    def grad(self) -> Any:
        """The gradient collected by `backward`: an array of this shape, or None. Leaves only."""
        return None if self._node is None else self._node.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if self._node is None:
            raise RuntimeError("Tensor.grad: this Tensor does not require a gradient")
        if value is not None and value.shape != self.shape:
            raise value_error("Tensor.grad", f"an array {self.shape}", value.shape)
        self._node.grad = value

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self._data.dtype

    @property
    def device(self) -> str:
        """Where the array lives: "cpu" or "cuda"."""
        return "cpu" if namespace(self._data) is np else "cuda"

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis (PyTorch's method; for a count see `numel`)."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of axes."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self._data.size

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array: the array itself on the CPU, a copy from the GPU."""
        return to_numpy(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._node is not None:
            hint = "minigrad.sin for numpy.sin, x.mean() for numpy.mean(x), or x.detach() to leave the graph"
            got = f"one of shape {self.shape}, whose history NumPy would lose"
            raise type_error("numpy", "a Tensor without a gradient", got, f"write {hint}")
        values = self.numpy()
        return values.astype(dtype) if dtype is not None else values.copy() if copy else values

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """numpy.mean(x) and the like: on the array, or refused by `__array__`."""
        return function(*map(_as_arrays, args), **{name: _as_arrays(x) for name, x in kwargs.items()})

    def item(self) -> float:
        """The one element as a Python number."""
        if self.numel() != 1:
            raise value_error("item", "one element", f"shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._data.tolist()

    def detach(self) -> "Tensor":
        """The same array without its history."""
        return Tensor(self._data)

    def clone(self) -> "Tensor":
        """A copy that passes its gradient on."""
        return self.astype(self.dtype)

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Make a leaf collect a gradient (or stop it); return self."""
        if not self.is_leaf:
            raise RuntimeError("requires_grad_: only a leaf can change; use detach() to cut a graph")
        if requires_grad != self.requires_grad:
            self._node = Node("leaf", self.shape) if requires_grad else None
        return self

    def backward(self, gradient: Any = None, *, retain_graph: bool = False) -> None:
        """Add the gradient of this Tensor to `.grad` of every leaf it was computed from.

        Shapes    gradient, the cotangent, as this Tensor; may be left out for a single element (1)
        Raises    RuntimeError without a graph, for several elements without `gradient`, or if the
                  graph was already walked without `retain_graph=True`; ValueError for a wrong shape.
        """
        if self._node is None:
            raise RuntimeError(
                "backward: this Tensor was not computed from one with requires_grad=True, or under no_grad()"
            )
        xp = namespace(self._data)
        if gradient is None:
            if self.numel() != 1:
                raise RuntimeError(
                    f"backward: expected a single element; got shape {self.shape}; "
                    "reduce it with .sum() or .mean(), or pass gradient="
                )
            gradient = xp.ones(self.shape, self.dtype)
        gradient = gradient._data if isinstance(gradient, Tensor) else gradient
        gradient = xp.asarray(gradient, dtype=self.dtype)
        if gradient.shape != self.shape:
            raise value_error("backward", f"gradient {self.shape}", gradient.shape)
        tape.backward(self._node, gradient, retain_graph=retain_graph)

    # --- arithmetic ---

    def __add__(self, other: Any) -> "Tensor":
        if isinstance(other, NUMBERS):
            return apply(primitives.shift, self, number=float(other))
        return apply(primitives.add, self, as_operand(other, self))

    def __sub__(self, other: Any) -> "Tensor":
        if isinstance(other, NUMBERS):
            return apply(primitives.shift, self, number=-float(other))
        return apply(primitives.subtract, self, as_operand(other, self))

    def __rsub__(self, other: Any) -> "Tensor":
        return -self + other

    def __mul__(self, other: Any) -> "Tensor":
        if isinstance(other, NUMBERS):
            return apply(primitives.scale, self, number=float(other))
        return apply(primitives.multiply, self, as_operand(other, self))

    def __truediv__(self, other: Any) -> "Tensor":
        if isinstance(other, NUMBERS):
            return apply(primitives.divide_by, self, number=float(other))
        return apply(primitives.divide, self, as_operand(other, self))

    def __rtruediv__(self, other: Any) -> "Tensor":
        if isinstance(other, NUMBERS):
            return apply(primitives.power, self, exponent=-1.0) * other
        return apply(primitives.divide, as_operand(other, self), self)

    def __pow__(self, exponent: Any) -> "Tensor":
        if isinstance(exponent, NUMBERS):
            return apply(primitives.power, self, exponent=float(exponent))
        return apply(primitives.raise_to, self, as_operand(exponent, self))

    def __rpow__(self, base: Any) -> "Tensor":
        base = as_operand(base, self)
        return apply(primitives.raise_to, base, self)

    def __matmul__(self, other: Any) -> "Tensor":
        return matmul(self, as_operand(other, self))

    def __rmatmul__(self, other: Any) -> "Tensor":
        return matmul(as_operand(other, self), self)

    def __neg__(self) -> "Tensor":
        return apply(primitives.negative, self)

    __radd__ = __add__
    __rmul__ = __mul__

    def _in_place(self, operation: Callable[[Any, Any], Any], other: Any) -> "Tensor":
        """`x += y`. A computed Tensor is rebound to a new one; a leaf is overwritten, under no_grad only."""
        if self._node is None or not self.is_leaf:
            return operation(self, other)
        if tape.is_recording():
            raise RuntimeError(
                "in-place arithmetic: expected `with no_grad():` around an update of a leaf that requires "
                "a gradient; to compute with it, write x = x + y"
            )
        self._data[...] = operation(Tensor(self._data), other)._data
        self.mark_overwritten()
        return self

    def __iadd__(self, other: Any) -> "Tensor":
        return self._in_place(Tensor.__add__, other)

    def __isub__(self, other: Any) -> "Tensor":
        return self._in_place(Tensor.__sub__, other)

    def __imul__(self, other: Any) -> "Tensor":
        return self._in_place(Tensor.__mul__, other)

    def __itruediv__(self, other: Any) -> "Tensor":
        return self._in_place(Tensor.__truediv__, other)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "Tensor: expected no assignment to elements, which a gradient cannot follow; "
            "write y = where(mask, value, x) or x.masked_fill(mask, value)"
        )

    # --- comparisons, as plain arrays ---

    def __eq__(self, other: object) -> Any:  # type: ignore[override]
        return self._data == _values(other)

    def __ne__(self, other: object) -> Any:  # type: ignore[override]
        return self._data != _values(other)

    def __lt__(self, other: Any) -> Any:
        return self._data < _values(other)

    def __le__(self, other: Any) -> Any:
        return self._data <= _values(other)

    def __gt__(self, other: Any) -> Any:
        return self._data > _values(other)

    def __ge__(self, other: Any) -> Any:
        return self._data >= _values(other)

    __hash__ = object.__hash__

    def argmax(self, axis: Any = None, *, dim: Any = None) -> Any:
        """The index of the largest element, as a plain integer array."""
        return self._data.argmax(axis=_axis(axis, dim))

    def argmin(self, axis: Any = None, *, dim: Any = None) -> Any:
        """The index of the smallest element, as a plain integer array."""
        return self._data.argmin(axis=_axis(axis, dim))

    # --- elementwise functions ---

    def __abs__(self) -> "Tensor":
        return apply(primitives.absolute, self)

    def abs(self) -> "Tensor":
        """|x|."""
        return abs(self)

    def exp(self) -> "Tensor":
        """e^x."""
        return exp(self)

    def log(self) -> "Tensor":
        """The natural logarithm."""
        return log(self)

    def sqrt(self) -> "Tensor":
        """The square root."""
        return sqrt(self)

    def tanh(self) -> "Tensor":
        """The hyperbolic tangent."""
        return tanh(self)

    def sin(self) -> "Tensor":
        """The sine."""
        return sin(self)

    def cos(self) -> "Tensor":
        """The cosine."""
        return cos(self)

    def erf(self) -> "Tensor":
        """The error function."""
        return erf(self)

    def sigmoid(self) -> "Tensor":
        """1 / (1 + e^-x)."""
        return sigmoid(self)

    def relu(self) -> "Tensor":
        """max(x, 0)."""
        return relu(self)

    def pow(self, exponent: Any) -> "Tensor":
        """x ** exponent."""
        return self**exponent

    def clip(self, min: float | None = None, max: float | None = None) -> "Tensor":
        """x limited to min..max."""
        return clip(self, min, max)

    clamp = clip

    def masked_fill(self, mask: Any, value: float) -> "Tensor":
        """`value` where `mask` (broadcast) holds, else x."""
        return masked_fill(self, mask, value)

    def tril(self, diagonal: int = 0) -> "Tensor":
        """x with zeros above the diagonal of the last two axes."""
        return tril(self, diagonal)

    def triu(self, diagonal: int = 0) -> "Tensor":
        """x with zeros below the diagonal of the last two axes."""
        return triu(self, diagonal)

    def astype(self, dtype: Any) -> "Tensor":
        """x in another float dtype."""
        return astype(self, dtype)

    def float(self) -> "Tensor":
        """x in float32."""
        return self.astype(np.float32)

    def double(self) -> "Tensor":
        """x in float64."""
        return self.astype(np.float64)

    def to(self, where: Any) -> "Tensor":
        """x in another dtype, or a leaf's array on another device ("cpu", "cuda")."""
        if not isinstance(where, str):
            return self.astype(where)
        if where != self.device and not self.is_leaf:
            raise RuntimeError("to: expected a leaf; move data before computing with it")
        return self if where == self.device else Tensor(move(self._data, where), self.requires_grad)

    # --- reductions ---

    def sum(
        self, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False
    ) -> "Tensor":
        """The sum over `axis`: an int, a tuple, or None for all."""
        return apply(primitives.sum, self, axis=_axis(axis, dim), keepdims=keepdims or keepdim)

    def mean(
        self, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False
    ) -> "Tensor":
        """The mean over `axis`."""
        return apply(primitives.mean, self, axis=_axis(axis, dim), keepdims=keepdims or keepdim)

    def max(
        self, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False
    ) -> "Tensor":
        """The largest value along `axis` (torch.amax); for its place see `argmax`."""
        return apply(primitives.max, self, axis=_axis(axis, dim), keepdims=keepdims or keepdim)

    def min(
        self, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False
    ) -> "Tensor":
        """The smallest value along `axis` (torch.amin)."""
        return apply(primitives.min, self, axis=_axis(axis, dim), keepdims=keepdims or keepdim)

    def var(
        self,
        axis: Any = None,
        keepdims: bool = False,
        *,
        correction: int = 1,
        dim: Any = None,
        keepdim: bool = False,
    ) -> "Tensor":
        """The variance over `axis`: squares summed over n - correction, PyTorch's default of 1 (NumPy's is 0)."""
        axis, keepdims = _axis(axis, dim), keepdims or keepdim
        centred = self - self.mean(axis, keepdims=True)
        total = (centred * centred).sum(axis, keepdims=keepdims)
        return total / builtins.max(self.numel() // builtins.max(total.numel(), 1) - correction, 0)

    def std(self, axis: Any = None, keepdims: bool = False, **options: Any) -> "Tensor":
        """The square root of `var`."""
        return self.var(axis, keepdims, **options).sqrt()

    def prod(
        self, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False
    ) -> "Tensor":
        """The product over one axis, or over all elements."""
        return prod(self, _axis(axis, dim), keepdims or keepdim)

    def cumsum(self, axis: Any = None, *, dim: Any = None) -> "Tensor":
        """The running sum along `axis`."""
        return apply(primitives.cumsum, self, axis=_axis(axis, dim))

    def logsumexp(
        self, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False
    ) -> "Tensor":
        """log(sum(exp(x))) along `axis`, finite at any size of x."""
        return logsumexp(self, _axis(axis, dim), keepdims or keepdim)

    # --- shapes and indexing ---

    def reshape(self, *shape: Any) -> "Tensor":
        """The same elements in another shape; one length may be -1."""
        return apply(primitives.reshape, self, shape=_lengths(shape))

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> "Tensor":
        """Axes start_dim..end_dim as one."""
        start, end = start_dim % (self.ndim or 1), end_dim % (self.ndim or 1)
        together = math.prod(self.shape[start : end + 1])
        return self.reshape(*self.shape[:start], together, *self.shape[end + 1 :])

    def transpose(self, *axes: Any) -> "Tensor":
        """Two ints swap these axes (PyTorch); a tuple or more ints permute them; none reverses (NumPy)."""
        axes = _lengths(axes)
        if len(axes) == 2:
            return self.swapaxes(*axes)
        return self.permute(axes or tuple(range(self.ndim))[::-1])

    def permute(self, *axes: Any) -> "Tensor":
        """Axis i of the result is axis axes[i] of x."""
        return apply(primitives.transpose, self, axes=_lengths(axes))

    def swapaxes(self, axis1: int, axis2: int) -> "Tensor":
        """x with two axes exchanged."""
        axes = list(range(self.ndim))
        axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
        return self.permute(axes)

    @property
    def T(self) -> "Tensor":
        """x with all axes reversed."""
        return self.permute(tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> "Tensor":
        """x with its last two axes exchanged."""
        return self.swapaxes(-1, -2)

    def squeeze(self, axis: Any = None, *, dim: Any = None) -> "Tensor":
        """x without its axes of length 1, or without the given one if its length is 1."""
        axis = _axis(axis, dim)
        drop = range(self.ndim) if axis is None else [a % self.ndim for a in np.atleast_1d(axis)]
        return self.reshape([n for i, n in enumerate(self.shape) if n != 1 or i not in drop])

    def unsqueeze(self, dim: int) -> "Tensor":
        """x with a new axis of length 1 at `dim`."""
        shape = list(self.shape)
        shape.insert(dim % (self.ndim + 1), 1)
        return self.reshape(shape)

    def broadcast_to(self, shape: Sequence[int]) -> "Tensor":
        """x repeated to `shape` by NumPy's rules."""
        return broadcast_to(self, shape)

    def expand(self, *shape: Any) -> "Tensor":
        """x repeated to `shape`; -1 keeps a length (PyTorch)."""
        wanted = _lengths(shape)
        own = (1,) * (len(wanted) - self.ndim) + self.shape
        return broadcast_to(self, [m if n == -1 else n for n, m in zip(wanted, own, strict=True)])

    def split(self, size: Any, axis: int = 0, *, dim: int | None = None) -> list["Tensor"]:
        """Pieces of length `size` (or of the listed lengths) along an axis."""
        return split(self, size, axis if dim is None else dim)

    def gather(self, dim: int, index: Any) -> "Tensor":
        """Elements picked along `dim` by an integer array."""
        return gather(self, dim, index)

    def __getitem__(self, index: Any) -> "Tensor":
        return apply(primitives.getitem, self, index=index)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len: expected a Tensor with an axis; got shape ()")
        return self.shape[0]

    def __iter__(self) -> "Iterator[Tensor]":
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> builtins.float:
        if tape.state.transforming and self.requires_grad:
            raise type_error("float", "a constant", "a Tensor under grad", "write x.exp(), or x.item()")
        return builtins.float(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(), precision=4, separator=", ", prefix="tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        history = (
            ""
            if self._node is None
            else ", requires_grad=True"
            if self.is_leaf
            else f", op={self._node.name}"
        )
        return f"tensor({values}{dtype}{history})"

    def __reduce__(self) -> Any:
        """Copies (copy.deepcopy) and pickles of a leaf are leaves of their own, gradient included."""
        if not self.is_leaf:
            raise RuntimeError("copy: expected a leaf; got a Tensor with a history; copy x.detach()")
        return _rebuild, (type(self), self._data, self.requires_grad, self.grad)

    def __tensor_namespace__(self) -> Any:
        return sys.modules[__name__]


def _rebuild(kind: type[Tensor], data: Any, requires_grad: bool, grad: Any) -> Tensor:
    x = kind.__new__(kind)
    x._data, x._node = data, Node("leaf", data.shape) if requires_grad else None
    if requires_grad:
        x.grad = grad
    return x


def _values(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def _as_arrays(x: Any) -> Any:
    """Return x with its Tensors, which may be in lists, as NumPy arrays."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(_as_arrays, x))
    return np.asarray(x) if isinstance(x, Tensor) else x


def _axis(axis: Any, dim: Any) -> Any:
    """Return NumPy's `axis` or PyTorch's `dim`, whichever was given."""
    axis = axis if dim is None else dim
    return tuple(axis) if isinstance(axis, list) else axis


def _lengths(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Return (2, 3) for f(2, 3), f((2, 3)) and f([2, 3])."""
    return tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)) else shape


# --- functions with NumPy's names, on Tensors; an array function that gets Tensors finds these ---

matmul = lift(primitives.matmul)
absolute = lift(primitives.absolute)
sign = lift(primitives.sign)
exp = lift(primitives.exp)
log = lift(primitives.log)
sqrt = lift(primitives.sqrt)
tanh = lift(primitives.tanh)
sin = lift(primitives.sin)
cos = lift(primitives.cos)
sigmoid = lift(primitives.sigmoid)
relu = lift(primitives.relu)
erf = lift(primitives.erf)
scatter_add = lift(primitives.scatter_add)


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b, element by element; ties share the gradient."""
    return apply(primitives.maximum, *_pair(a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b, element by element; ties share the gradient."""
    return apply(primitives.minimum, *_pair(a, b))


def _pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both as operands, a number or list in the dtype of the Tensor beside it."""
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    return as_operand(a, like), as_operand(b, like)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """`a` where the boolean `condition` holds, else `b`."""
    return apply(primitives.where, *_pair(a, b), condition=_values(condition))


def clip(x: Tensor, min: float | None = None, max: float | None = None) -> Tensor:
    """x limited to min..max; either may be None."""
    return apply(primitives.clip, x, low=min, high=max)


def masked_fill(x: Tensor, mask: Any, value: float) -> Tensor:
    """`value` where the boolean `mask` (broadcast) holds, else x."""
    return where(mask, value, x)


def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """x with zeros above the diagonal of its last two axes."""
    return where(namespace(x.data).tri(*x.shape[-2:], k=diagonal, dtype=bool), x, 0.0)


def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """x with zeros below the diagonal of its last two axes."""
    return where(namespace(x.data).tri(*x.shape[-2:], k=diagonal - 1, dtype=bool), 0.0, x)


def astype(x: Any, dtype: Any) -> Tensor:
    """x in another float dtype."""
    if np.dtype(dtype) not in FLOATS:
        raise type_error(
            "astype", "float32 or float64", np.dtype(dtype), "for integers use x.data.astype(...)"
        )
    return apply(primitives.astype, x, dtype=np.dtype(dtype))


def prod(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The product along an axis, by halving: exact gradients at zeros, where dividing by x fails."""
    kept = primitives.kept_shape(x.shape, axis)
    x = x.reshape(-1) if axis is None else x
    lead = (slice(None),) * (0 if axis is None else axis % x.ndim)
    while (n := x.shape[len(lead)]) > 1:
        half = n // 2
        pairs = x[(*lead, slice(0, half))] * x[(*lead, slice(half, 2 * half))]
        x = concatenate([pairs, x[(*lead, slice(2 * half, n))]], axis=len(lead)) if n % 2 else pairs
    out = x if n else x.sum(len(lead), keepdims=True) + 1.0
    return out.reshape(kept) if keepdims else out.squeeze(len(lead))


def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) along `axis`, finite at any size of x."""
    return apply(primitives.logsumexp, x, axis=axis, keepdims=keepdims)


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x repeated to `shape` by NumPy's rules."""
    return apply(primitives.broadcast_to, x, shape=tuple(shape))


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The Tensors joined along an axis they have."""
    return apply(primitives.concatenate, *tensors, axis=axis)


def stack(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The Tensors, all of one shape, joined along a new axis."""
    return concatenate([x.unsqueeze(axis) for x in tensors], axis)


def split(x: Tensor, size: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Pieces of length `size` (the last may be shorter), or of the listed lengths, along an axis."""
    n = x.shape[axis]
    lengths = [builtins.min(size, n - i) for i in range(0, n, size)] if isinstance(size, int) else list(size)
    if builtins.sum(lengths) != n:
        raise value_error("split", f"lengths that add up to {n}", lengths)
    lead, ends = (slice(None),) * (axis % x.ndim), np.cumsum(lengths).tolist()
    return [x[(*lead, slice(end - length, end))] for length, end in zip(lengths, ends)]


def gather(x: Tensor, dim: int, index: Any) -> Tensor:
    """out[i][j] = x[i][index[i][j]] for dim = 1, and so on; `index` is an integer array of x's rank."""
    index = namespace(x.data).asarray(index)
    if index.ndim != x.ndim or index.dtype.kind not in "iu":
        raise value_error("gather", f"an integer index of {x.ndim} axes", f"{index.dtype} {index.shape}")
    mesh = list(namespace(x.data).ogrid[tuple(slice(0, n) for n in index.shape)])
    mesh[dim] = index
    return x[tuple(mesh)]


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """numpy.einsum with an explicit output: einsum("bi,ij->bj", x, w)."""
    return apply(primitives.einsum, *operands, subscripts=subscripts)


def zeros_like(x: Any) -> Tensor:
    """Zeros of x's shape and dtype."""
    return Tensor(
        namespace(x).zeros_like(x) if not isinstance(x, Tensor) else namespace(x.data).zeros_like(x.data)
    )


def ones_like(x: Any) -> Tensor:
    """Ones of x's shape and dtype."""
    return zeros_like(x) + 1.0
