"""Tensors: arrays that remember what they were computed from, and how an operation is made for them."""

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.backend import namespace
from minigrad.dtypes import OURS, Size, checked_dtype, result_type
from minigrad.errors import check_shape, given_shape, type_error, value_error
from minigrad.gpu import form
from minigrad.methods import Methods, axis_of, check_dim, plain_index, values_of
from minigrad.operands import (
    NUMBERS,
    as_operand,
    named,
    of_constructor,
    of_one_dtype,
    refuse_booleans,
    to_array,
    with_number,
)
from minigrad.primitives import arithmetic, by_number, elementwise, products, reductions, shapes, writing
from minigrad.switches import state
from minigrad.tape import Node

PLAIN = (int, slice, type(None), type(Ellipsis))  # indices that hold no Tensor


def apply(fn: Callable[..., Any], *inputs: Any, **constants: Any) -> "Tensor":
    """Run an array function on the inputs' arrays; record its vjp if any input wants a gradient.

    An input is a Tensor, or an array, number, list or None, which carries no gradient. Inputs of several dtypes are
    promoted as in PyTorch where it promotes them (operands.py).

    Raises    TypeError where they would mix in a product of matrices or a fused operation; ValueError,
              naming the operation and the shapes, if the arrays do not fit.
    """
    monitor = state.monitor
    arrays = [x._data if isinstance(x, Tensor) else x if x is None else as_operand(x) for x in inputs]
    try:
        run = fn if type(arrays[0]) is np.ndarray else form(fn, arrays)
        out, vjp = run(*arrays, **constants) if monitor is None else monitor.forward(run, arrays, constants)
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise named(error, fn, arrays) from error
    if isinstance(out, np.generic):
        out = np.asarray(out)
    dtype = out.dtype
    for x in arrays:  # looked at afterwards, since the common case then costs one comparison
        if x is not None and x.dtype is not dtype:  # equal dtypes may be two objects
            if x.dtype != dtype and fn is not elementwise.astype:
                return apply(fn, *of_one_dtype(fn, inputs, dtype), **constants)
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


def op(*, reference: Callable[..., "Tensor"], gpu: bool = False) -> Callable[..., Callable[..., "Tensor"]]:
    """Make a fused array function an operation on Tensors, and remember its plain definition.

    The contract, of every function that is given to `op` or `lift`:

    1. Positional arguments are arrays that may carry a gradient, or None; all else is keyword-only:
       shapes, axes, masks, ids.
    2. It returns (out, vjp). vjp(dout), with dout of out's shape and dtype, returns a tuple: for each
       positional argument the gradient, of its shape and dtype, or None.
    3. A gradient is dout itself, a view of dout, or a new array that stands once in the tuple: the walk writes to
       it. Two leaves would share the one array of `return g, g`; a saved array would change before a second walk.
    4. A vjp writes to nothing that it was given or that the forward pass saved.
    5. What a vjp names, its closure keeps alive until the walk: "Saves" in the docstring lists these
       arrays. Where a shape is all that it needs, the forward pass reads it into a name of its own.
    6. Broadcasting is undone by the operation that broadcast, with `unbroadcast`.
    7. Array functions come from `namespace(x)`, NumPy's or CuPy's; constants are Python floats, since
       a np.float64 would turn float32 arrays into float64.
    8. A function given to `lift` is run again on Tensors (higher.py): it works nowhere in place, and uses
       only functions that functions.py has. One given to `op` is free: its `reference` is run again.

    `gradcheck` refuses what breaks 2, 3 or 4. `reference`, a few lines of Tensor arithmetic, equals the function at
    every edge: its documentation, test, and second derivative. `.array` is the function as written; with gpu=True,
    minigrad/gpu has a third form.
    """

    def decorate(fn: Callable[..., Any]) -> Callable[..., "Tensor"]:
        on_tensors, fn.gpu = lift(fn), gpu  # type: ignore[attr-defined]
        on_tensors.reference = fn.reference = reference  # type: ignore[attr-defined]
        return on_tensors

    return decorate


def _of_floats(fn):
    """Lift a function of one array of floats; integers and booleans become float32 first."""

    @functools.wraps(fn)
    def on_tensors(input):
        x = input if isinstance(input, Tensor) else wrap(as_operand(input))
        return apply(fn, x if x._data.dtype.kind in "fc" else x.float())

    on_tensors.array = fn
    return on_tensors


def _reduction(fn):
    """Lift a reduction: `dim` and `keepdim` are PyTorch's names and places, `axis` and `keepdims` NumPy's."""

    def over(x, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
        x = x if dtype is None else x.astype(dtype)
        if fn is reductions.logsumexp:
            x = x.float() if values_of(x).dtype.kind != "f" else x
        return apply(fn, x, axis=axis_of(dim, axis, x, fn.__name__), keepdims=keepdim or keepdims)

    over.__name__, over.__qualname__, over.__doc__ = fn.__name__, fn.__qualname__, fn.__doc__
    return over


def wrap(array: Any, requires_grad: bool = False) -> "Tensor":
    """Return a Tensor of this array, shared and unchecked."""
    y = Tensor.__new__(Tensor)
    y._data, y._node = array, Node("leaf", array.shape) if requires_grad else None
    return y


def _operator(fn, by_number, reflected=False):
    """Return the method of an operator: `fn` between two Tensors, `by_number` with a Python number."""

    def method(x, other):
        if isinstance(other, NUMBERS):
            if x._data.dtype.kind in "fc":
                return apply(by_number, x, number=float(other))
            if fn is arithmetic.divide:
                return method(x.float(), other)
            if fn is arithmetic.subtract:
                refuse_booleans(x, other)
            x, other = with_number(x, other)
            return apply(by_number, x, number=other)
        other = other if isinstance(other, Tensor) else as_operand(other, x)
        return apply(fn, other, x) if reflected else apply(fn, x, other)

    return method


class Tensor(Methods):
    """An array and, if it was computed from floats that want a gradient, its history.

    It holds any dtype that NumPy and PyTorch share, from bool to float64. What is made of other
    operations, what writes in place, and what only shows the values, is in methods/. `Tensor(2, 3)` and
    `Tensor([1, 2])` are PyTorch's constructor; `tensor` (creation.py) is the better one.
    """

    __slots__ = ("__weakref__", "_data", "_node")
    __array_priority__ = 1000  # above NumPy's and CuPy's arrays, so that `array * tensor` is ours
    _wrap, _put = staticmethod(wrap), lift(writing.put)  # for the methods that are written elsewhere

    def __init__(self, *data: Any) -> None:
        self._data, self._node = of_constructor(data), None

    # --- what it holds ---

    @property
    def array(self) -> Any:
        """The array itself, NumPy's or CuPy's."""
        return self._data

    def mark_overwritten(self) -> None:
        """Say that the array was written to in place, which goes unnoticed otherwise: older graphs refuse a walk."""
        if self._node is not None:
            self._node.overwrite()

    @property
    def shape(self) -> Size:
        """The length of each axis."""
        return Size(self._data.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def dtype(self) -> Any:
        """What the elements are: `minigrad.float32`, ..., equal to NumPy's."""
        return OURS.get(self._data.dtype, self._data.dtype)

    # --- its history ---

    @property
    def requires_grad(self) -> bool:
        """Does backward reach this Tensor? Setting it is `requires_grad_`."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Was it made by the user, not computed from Tensors that want a gradient?"""
        return self._node is None or self._node.vjp is None

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this Tensor to `.grad` of every leaf it was computed from.

        Shapes    gradient, the cotangent, as this Tensor; may be left out for a single element (1)
        Raises    RuntimeError without a graph, for several elements without `gradient`, or if the
                  graph was already walked without `retain_graph=True`; ValueError for a wrong shape.
        """
        if self._node is None:
            raise RuntimeError(
                "backward: expected a Tensor with a history; got one that was not computed from a leaf with "
                "requires_grad=True, or under no_grad(), or was cut off by detach() or .data; compute it again without"
            )
        if create_graph or inputs is not None:
            hint = "write minigrad.autograd.grad(y, inputs, create_graph=...)"
            raise value_error("backward", "create_graph=False and inputs=None", (create_graph, inputs), hint)
        if gradient is None and self._data.size != 1:
            raise RuntimeError(
                f"backward: expected a single element; got shape {self._data.shape}; "
                "reduce it with .sum() or .mean(), or pass gradient="
            )
        xp = namespace(self._data)
        gradient = xp.ones(self._data.shape) if gradient is None else values_of(gradient)
        gradient = xp.asarray(gradient, dtype=self._data.dtype)
        if gradient.shape != self._data.shape:
            raise value_error("backward", f"gradient {self._data.shape}", gradient.shape)
        tape.backward(self._node, gradient, retain_graph=bool(retain_graph))

    # --- operators ---

    __add__ = __radd__ = _operator(arithmetic.add, by_number.shift)
    __sub__ = _operator(arithmetic.subtract, by_number.shift_down)
    __rsub__ = _operator(arithmetic.subtract, by_number.subtract_from, reflected=True)
    __mul__ = __rmul__ = _operator(arithmetic.multiply, by_number.scale)
    __truediv__ = _operator(arithmetic.divide, by_number.divide_by)
    __rtruediv__ = _operator(arithmetic.divide, by_number.divide_into, reflected=True)
    __neg__ = lift(arithmetic.negative)
    __abs__ = lift(elementwise.absolute)

    def __pow__(self, exponent: Any) -> "Tensor":
        if isinstance(exponent, NUMBERS):
            if exponent < 0 and self._data.dtype.kind not in "fc" and float(exponent).is_integer():
                raise value_error("**", "integers to powers of 0 or more", exponent, "write x.float() ** -n")
            x, exponent = with_number(self, exponent)
            return apply(elementwise.power, x, exponent=exponent)
        return apply(elementwise.raise_to, self, as_operand(exponent, self))

    def __rpow__(self, base: Any) -> "Tensor":
        return apply(elementwise.raise_to, as_operand(base, self), self)

    def __matmul__(self, other: Any) -> "Tensor":
        return apply(products.matmul, self, as_operand(other, self))

    def __rmatmul__(self, other: Any) -> "Tensor":
        return apply(products.matmul, as_operand(other, self), self)

    def __getitem__(self, index: Any) -> "Tensor":
        index = index if type(index) in PLAIN else plain_index(index, self._data)
        return apply(shapes.getitem, self, index=index)

    # --- operations; where functions.py offers one as a function, x.exp() and minigrad.exp(x) are one object ---

    abs = absolute = __abs__
    exp = _of_floats(elementwise.exp)
    log = _of_floats(elementwise.log)
    sqrt = _of_floats(elementwise.sqrt)
    tanh = _of_floats(elementwise.tanh)
    sin = _of_floats(elementwise.sin)
    cos = _of_floats(elementwise.cos)
    erf = _of_floats(elementwise.erf)
    sigmoid = _of_floats(elementwise.sigmoid)
    relu = lift(elementwise.relu)
    sum = _reduction(reductions.sum)
    mean = _reduction(reductions.mean)
    amax = _reduction(reductions.max)
    amin = _reduction(reductions.min)
    logsumexp = _reduction(reductions.logsumexp)

    def cumsum(x: Any, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> "Tensor":
        """The running sum along `dim`."""
        x = x if dtype is None else x.astype(dtype)
        axis = check_dim("cumsum", axis if dim is None else dim, x.ndim)
        return x.clone() if not x.ndim else apply(reductions.cumsum, x, axis=axis)

    def clip(x: Any, min: Any = None, max: Any = None) -> "Tensor":
        """x limited to min..max; one of them may be None."""
        if min is None and max is None:
            raise value_error("clamp", "min or max", "none of them")
        if values_of(x).dtype.kind != "f":
            x = x.astype(result_type(x._data, *(limit for limit in (min, max) if limit is not None)))
        return apply(elementwise.clip, x, low=min, high=max)

    def masked_fill(x: Any, mask: Any, value: Any) -> "Tensor":
        """`value` where the boolean `mask` (broadcast) holds, else x."""
        array, mask = to_array("masked_fill", x), values_of(mask)
        mask = mask if hasattr(mask, "dtype") else np.asarray(mask)
        if mask.dtype != np.bool_:
            raise type_error("masked_fill", "a boolean mask", mask.dtype, "write mask.bool() or mask == 0")
        if isinstance(value, Tensor) and value._data.size != 1:
            got = f"shape {value._data.shape}"
            raise value_error("masked_fill", "a number as value", got, "write where(...)")
        if isinstance(value, NUMBERS):
            value = namespace(array).asarray(value).astype(array.dtype)
        return apply(elementwise.where, value, x, condition=mask)

    def astype(x: Any, dtype: Any) -> "Tensor":
        """x in another dtype; one that is no float has no history."""
        dtype = checked_dtype("astype", dtype)
        if dtype.kind == "f":
            return apply(elementwise.astype, x, dtype=dtype)
        with np.errstate(invalid="ignore"):  # NaN as an integer: what C makes of it, as in PyTorch
            return wrap(x._data.astype(dtype))

    def reshape(x: Any, *shape: Any) -> "Tensor":
        """The same elements in another shape; one length may be -1."""
        return apply(shapes.reshape, x, shape=given_shape("reshape", shape, -1))

    view = reshape

    def permute(x: Any, *axes: Any, dims: Any = None) -> "Tensor":
        """Axis i of the result is axis axes[i] of x."""
        axes = check_shape("permute", axes if dims is None else (dims,), -x.ndim)
        return apply(shapes.transpose, x, axes=axes)

    def broadcast_to(x: Any, size: Any) -> "Tensor":
        """x repeated to `size` by NumPy's rules; -1 keeps a length."""
        wanted, own = check_shape("broadcast_to", (size,), -1), values_of(x).shape
        own = (-1,) * (len(wanted) - len(own)) + own
        shape = tuple(m if n == -1 else n for n, m in zip(wanted, own))
        return apply(shapes.broadcast_to, x, shape=shape if len(own) == len(wanted) else wanted)


for name, method in vars(Tensor).items():  # those made by `lift` too, so that pickles find them
    if isinstance(method, FunctionType):
        method.__module__, method.__qualname__ = __name__, f"Tensor.{name}"
