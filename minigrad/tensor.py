"""Tensors: arrays that remember what they were computed from, and how an operation is made for them."""

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.backend import is_array, namespace
from minigrad.errors import check_shape, type_error, value_error
from minigrad.methods import Methods, axis_of, values_of
from minigrad.operands import FLOATS, NUMBERS, as_operand, named, of_one_dtype
from minigrad.primitives import arithmetic, elementwise, products, reductions, shapes
from minigrad.switches import state
from minigrad.tape import Node


def apply(fn: Callable[..., Any], *inputs: Any, **constants: Any) -> "Tensor":
    """Run an array function on the inputs' arrays; record its vjp if any input wants a gradient.

    An input is a Tensor, or an array, number, list or None, which carries no gradient.

    Raises    TypeError if float32 and float64 would mix; ValueError, naming the operation and the
              shapes, if the arrays do not fit.
    """
    monitor = state.monitor
    arrays = [x._data if isinstance(x, Tensor) else x if x is None else as_operand(x) for x in inputs]
    try:
        out, vjp = fn(*arrays, **constants) if monitor is None else monitor.forward(fn, arrays, constants)
    except (ValueError, IndexError) as error:
        raise named(error, fn, arrays) from error
    if isinstance(out, np.generic):
        out = np.asarray(out)
    dtype = out.dtype
    for x in arrays:  # looked at afterwards, since the common case then costs one comparison
        if x is not None and x.dtype is not dtype:  # equal dtypes may be two objects
            if x.dtype != dtype and fn is not elementwise.astype:
                return apply(fn, *of_one_dtype(fn, inputs), **constants)
    y = Tensor.__new__(Tensor)
    y._data, y._node = out, None
    if state.recording:
        parents = [x._node if isinstance(x, Tensor) else None for x in inputs]
        if any(parents):
            replay = (fn, inputs, constants) if state.keep_inputs else None
            y._node = Node(fn.__name__, out.shape, parents, vjp, replay)
    return y


def lift(fn: Callable[..., Any]) -> Callable[..., "Tensor"]:
    """Make an array function `fn(*arrays, **constants) -> (out, vjp)` work on Tensors; see `op`."""

    @functools.wraps(fn)
    def on_tensors(*inputs: Any, **constants: Any) -> "Tensor":
        return apply(fn, *inputs, **constants)

    on_tensors.array = fn  # type: ignore[attr-defined]
    return on_tensors


def op(*, reference: Callable[..., "Tensor"]) -> Callable[[Callable[..., Any]], Callable[..., "Tensor"]]:
    """Make a fused array function an operation on Tensors, and remember its plain definition.

    The contract, of every function that is given to `op` or `lift`:

    1. Positional arguments are arrays that may carry a gradient, or None; all else is keyword-only:
       shapes, axes, masks, ids.
    2. It returns (out, vjp). vjp(dout), with dout of out's shape and dtype, returns a tuple: for each
       positional argument the gradient, of its shape and dtype, or None.
    3. A gradient is dout itself, a view of dout, or a new array, and each new array stands once in the
       tuple: the walk writes to it. Two leaves would share the one array of `return g, g`, and a saved
       array would have been added into by the second walk.
    4. A vjp writes to nothing that it was given or that the forward pass saved.
    5. What a vjp names, its closure keeps alive until the walk: "Saves" in the docstring lists these
       arrays. Where a shape is all that it needs, the forward pass reads it into a name of its own.
    6. Broadcasting is undone by the operation that broadcast, with `unbroadcast`.
    7. Array functions come from `namespace(x)`, NumPy's or CuPy's; constants are Python floats, since
       a np.float64 would turn float32 arrays into float64.
    8. A function given to `lift` is run again on Tensors (higher.py): it works nowhere in place, and uses
       only functions that functions.py has. One given to `op` is free: its `reference` is run again.

    `gradcheck` refuses what breaks 2, 3 or 4. `reference`, in a few lines of Tensor arithmetic, equals
    the function at every edge: it is its documentation, its test, and its second derivative.
    `.array` is the function as written, `.reference` the definition.
    """

    def decorate(fn: Callable[..., Any]) -> Callable[..., "Tensor"]:
        on_tensors = lift(fn)
        on_tensors.reference = fn.reference = reference  # type: ignore[attr-defined]
        return on_tensors

    return decorate


def _reduction(fn):
    """Lift a reduction: `dim` and `keepdim` are PyTorch's names and places, `axis` and `keepdims` NumPy's."""

    def over(x, dim=None, keepdim=False, *, axis=None, keepdims=False):
        return apply(fn, x, axis=axis_of(dim, axis), keepdims=keepdim or keepdims)

    over.__name__, over.__qualname__, over.__doc__ = fn.__name__, fn.__qualname__, fn.__doc__
    return over


def _operator(fn, by_number):
    """Return the method of an operator: `fn` between two Tensors, `by_number` with a Python number."""

    def method(x, other):
        if isinstance(other, NUMBERS):
            return apply(by_number, x, number=float(other))
        return apply(fn, x, other if isinstance(other, Tensor) else as_operand(other, x))

    return method


class Tensor(Methods):
    """An array of float32 or float64 and, if it was computed from one that wants a gradient, its history.

    `Tensor(data, requires_grad=False)` keeps an array's dtype (the array is shared, not copied);
    lists and numbers become float32. What is made of other operations, and what only shows the values,
    is in methods.py. Comparisons return plain arrays.

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
        """Say that the array was written to in place, which goes unnoticed otherwise: older graphs refuse a walk."""
        if self._node is not None:
            self._node.overwrite()

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

    def numel(self) -> int:
        """The number of elements."""
        return self._data.size

    def item(self) -> float:
        """The one element as a Python number."""
        if self.numel() != 1:
            raise value_error("item", "one element", f"shape {self.shape}")
        return self._data.item()

    # --- its history ---

    @property
    def requires_grad(self) -> bool:
        """Does backward reach this Tensor?"""
        return self._node is not None

    @property
    def is_leaf(self) -> bool:
        """Was it made by the user, not computed from Tensors that want a gradient?"""
        return self._node is None or self._node.vjp is None

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
        if gradient is None and self.numel() != 1:
            raise RuntimeError(
                f"backward: expected a single element; got shape {self.shape}; "
                "reduce it with .sum() or .mean(), or pass gradient="
            )
        xp = namespace(self._data)
        gradient = xp.ones(self.shape) if gradient is None else values_of(gradient)
        gradient = xp.asarray(gradient, dtype=self.dtype)
        if gradient.shape != self.shape:
            raise value_error("backward", f"gradient {self.shape}", gradient.shape)
        tape.backward(self._node, gradient, retain_graph=retain_graph)

    def detach(self) -> "Tensor":
        """The same array without its history."""
        return Tensor(self._data)

    # --- operators ---

    __add__ = __radd__ = _operator(arithmetic.add, arithmetic.shift)
    __mul__ = __rmul__ = _operator(arithmetic.multiply, arithmetic.scale)
    __truediv__ = _operator(arithmetic.divide, arithmetic.divide_by)
    __neg__ = lift(arithmetic.negative)
    __abs__ = lift(elementwise.absolute)

    def __sub__(self, other: Any) -> "Tensor":
        return (
            self + -float(other)
            if isinstance(other, NUMBERS)
            else apply(arithmetic.subtract, self, as_operand(other, self))
        )

    def __rsub__(self, other: Any) -> "Tensor":
        return -self + other

    def __rtruediv__(self, other: Any) -> "Tensor":
        if isinstance(other, NUMBERS):
            return self**-1.0 * other
        return apply(arithmetic.divide, as_operand(other, self), self)

    def __pow__(self, exponent: Any) -> "Tensor":
        if isinstance(exponent, NUMBERS):
            return apply(elementwise.power, self, exponent=float(exponent))
        return apply(elementwise.raise_to, self, as_operand(exponent, self))

    def __rpow__(self, base: Any) -> "Tensor":
        return apply(elementwise.raise_to, as_operand(base, self), self)

    def __matmul__(self, other: Any) -> "Tensor":
        return apply(products.matmul, self, as_operand(other, self))

    def __rmatmul__(self, other: Any) -> "Tensor":
        return apply(products.matmul, as_operand(other, self), self)

    def __getitem__(self, index: Any) -> "Tensor":
        return apply(shapes.getitem, self, index=index)

    # --- operations; where functions.py offers one as a function, x.exp() and minigrad.exp(x) are one object ---

    abs = absolute = __abs__
    exp = lift(elementwise.exp)
    log = lift(elementwise.log)
    sqrt = lift(elementwise.sqrt)
    tanh = lift(elementwise.tanh)
    sin = lift(elementwise.sin)
    cos = lift(elementwise.cos)
    erf = lift(elementwise.erf)
    sigmoid = lift(elementwise.sigmoid)
    relu = lift(elementwise.relu)
    sum = _reduction(reductions.sum)
    mean = _reduction(reductions.mean)
    max = amax = _reduction(reductions.max)
    min = amin = _reduction(reductions.min)
    logsumexp = _reduction(reductions.logsumexp)

    def cumsum(x: Any, dim: int | None = None, *, axis: int | None = None) -> "Tensor":
        """The running sum along `dim`."""
        return apply(reductions.cumsum, x, axis=axis_of(dim, axis))

    def clip(x: Any, min: float | None = None, max: float | None = None) -> "Tensor":
        """x limited to min..max; either may be None."""
        return apply(elementwise.clip, x, low=min, high=max)

    clamp = clip

    def masked_fill(x: Any, mask: Any, value: Any) -> "Tensor":
        """`value` where the boolean `mask` (broadcast) holds, else x."""
        like = x if isinstance(x, Tensor) else None
        return apply(elementwise.where, as_operand(value, like), x, condition=values_of(mask))

    def astype(x: Any, dtype: Any) -> "Tensor":
        """x in another float dtype."""
        if np.dtype(dtype) not in FLOATS:
            hint = "for integers use x.data.astype(...)"
            raise type_error("astype", "float32 or float64", np.dtype(dtype), hint)
        return apply(elementwise.astype, x, dtype=np.dtype(dtype))

    def reshape(x: Any, *shape: Any) -> "Tensor":
        """The same elements in another shape; one length may be -1."""
        return apply(shapes.reshape, x, shape=check_shape("reshape", shape, -1))

    view = reshape

    def permute(x: Any, *axes: Any) -> "Tensor":
        """Axis i of the result is axis axes[i] of x."""
        return apply(shapes.transpose, x, axes=check_shape("permute", axes, -x.ndim))

    def broadcast_to(x: Any, shape: Any) -> "Tensor":
        """x repeated to `shape` by NumPy's rules."""
        return apply(shapes.broadcast_to, x, shape=tuple(shape))


for name, method in vars(Tensor).copy().items():  # those made by `lift` too, so that pickles find them
    if isinstance(method, FunctionType):
        method.__module__, method.__qualname__ = __name__, f"Tensor.{name}"
