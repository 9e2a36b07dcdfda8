"""Methods of Tensors that only look at the values: comparisons, conversions, NumPy's protocols, printing."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import is_array, namespace, to_numpy
from minigrad.dtypes import result_type
from minigrad.errors import type_error, value_error
from minigrad.switches import state
from minigrad.tape import Node
from minigrad.torch_names.device import device
from minigrad.torch_names.grad_fn import grad_fn, grad_fn_name
from minigrad.torch_names.named import Named
from minigrad.torch_names.printing import show_tensor

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


CPU = device("cpu")


def values_of(x: Any) -> Any:
    """Return the array of a Tensor, and anything else as it is."""
    return x._data if isinstance(x, Values) else x


def _comparison(compare: str) -> Any:
    def method(x: Any, other: Any) -> Any:
        mine, other = x._data, values_of(other)
        xp = namespace(mine)
        if isinstance(other, (list, tuple)) and not any(isinstance(each, Values) for each in other):
            other = xp.asarray(other)
        elif not isinstance(other, (int, float, np.generic)) and not is_array(other):
            return NotImplemented  # so that x == None is False, and x < None an error, as for any object
        dtype = result_type(mine, other)
        mine, other = mine.astype(dtype, copy=False), xp.asarray(other).astype(dtype, copy=False)
        return x._wrap(xp.asarray(getattr(xp, compare)(mine, other)))

    return method


def _of_bits(name: str) -> Any:
    def method(x: Any, *other: Any) -> Any:
        xp, operands = namespace(x._data), [x._data, *map(values_of, other)]
        dtype = result_type(*operands)
        if dtype.kind == "f":
            raise type_error(name, "integers or booleans", dtype, "write x.bool() or x.long()")
        return x._wrap(xp.asarray(getattr(xp, name)(*(xp.asarray(a).astype(dtype) for a in operands))))

    return method


class Values(Named):
    """What looks at the array. Here `x` is the Tensor, as in a function."""

    __slots__ = ()
    _data: Any

    # --- comparisons: booleans without a history ---

    __eq__, __ne__ = _comparison("equal"), _comparison("not_equal")
    __lt__, __le__ = _comparison("less"), _comparison("less_equal")
    __gt__, __ge__ = _comparison("greater"), _comparison("greater_equal")
    __hash__ = object.__hash__

    __and__, __rand__ = _of_bits("bitwise_and"), _of_bits("bitwise_and")
    __or__, __ror__ = _of_bits("bitwise_or"), _of_bits("bitwise_or")
    __xor__, __rxor__ = _of_bits("bitwise_xor"), _of_bits("bitwise_xor")
    __lshift__, __rshift__ = _of_bits("left_shift"), _of_bits("right_shift")
    __invert__ = _of_bits("invert")

    # --- numbers ---

    def numel(x: Any) -> int:
        """The number of elements."""
        return x._data.size

    def item(x: Any) -> Any:
        """The one element as a Python number."""
        if x.numel() != 1:
            raise value_error("item", "one element", f"shape {x._data.shape}")
        return x._data.item()

    def tolist(x: Any) -> Any:
        """The values as nested lists of Python numbers."""
        return x._data.tolist()

    def __float__(x: Any) -> Any:
        if state.transforming and x.requires_grad:
            raise type_error("float", "a constant", "a Tensor under grad", "write x.exp(), or x.item()")
        return float(x.item())

    def __int__(x: Any) -> int:
        return int(x.item())

    def __index__(x: Any) -> int:
        if x._data.size != 1 or x._data.dtype.kind == "f":
            got = f"{x._data.dtype} {x._data.shape}"
            raise type_error("index", "one whole number", got)
        return int(x._data.item())

    def __bool__(x: Any) -> bool:
        if x._data.size != 1:
            hint = "write x.any() or x.all()"
            raise value_error("bool", "one element, true or false", f"shape {x._data.shape}", hint)
        return bool(x._data.item())

    def __len__(x: Any) -> int:
        if not x._data.ndim:
            raise TypeError("len: expected a Tensor with an axis; got shape ()")
        return x._data.shape[0]

    def __iter__(x: Any) -> "Iterator[Tensor]":
        return (x[i] for i in range(len(x)))

    def __contains__(x: Any, value: Any) -> bool:
        return bool((x == value)._data.any())

    # --- as arrays ---

    def numpy(x: Any, *, force: bool = False) -> np.ndarray:
        """The values as a NumPy array: the array itself on the CPU, a copy from the GPU.

        Raises    RuntimeError for a Tensor that wants a gradient, as in PyTorch, unless `force`.
        """
        if x.requires_grad and not force:
            raise RuntimeError(
                "numpy: expected a Tensor without a gradient; write x.detach().numpy(), or x.array"
            )
        return to_numpy(x._data)

    def __array__(x: Any, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if x.requires_grad:
            hint = "minigrad.sin for numpy.sin, x.mean() for numpy.mean(x), or x.detach() to leave the graph"
            got = f"one of shape {x._data.shape}, whose history NumPy would lose"
            raise type_error("numpy", "a Tensor without a gradient", got, f"write {hint}")
        values = to_numpy(x._data)
        return values.astype(dtype) if dtype is not None else values.copy() if copy else values

    def __array_function__(x: Any, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """numpy.mean(x) and the like: on the array, or refused by `__array__`."""
        return function(*map(_as_arrays, args), **{name: _as_arrays(y) for name, y in kwargs.items()})

    def __tensor_namespace__(x: Any) -> Any:
        return sys.modules["minigrad.functions"]  # it imports this file, not the other way round

    # --- where, and how it prints ---

    @property
    def device(x: Any) -> Any:
        """Where the array lives: device("cpu"), or "cuda", strings both."""
        return CPU if namespace(x._data) is np else device("cuda", x._data.device.id)

    def __format__(x: Any, spec: str) -> str:
        """A single number formats as it does in Python; f"{x}" shows all its digits, print(x) four."""
        return object.__format__(x, spec) if x._data.ndim else format(x.item(), spec)

    def __repr__(x: Any) -> str:
        history = None if x.is_leaf else grad_fn_name(x._node)
        return show_tensor(x._data, requires_grad=x.requires_grad, grad_fn=history)

    @property
    def grad_fn(x: Any) -> Any:
        """The operation that made a Tensor with a history, under PyTorch's name; None for a leaf."""
        return grad_fn(x)

    # --- copies and pickles ---

    def __reduce__(x: Any) -> Any:
        """Copies (copy.deepcopy) and pickles of a leaf are leaves of their own, gradient included."""
        if not x.is_leaf:
            raise RuntimeError("copy: expected a leaf; got a Tensor with a history; copy x.detach()")
        return _rebuild, (type(x), x._data, x.requires_grad, x._node and x._node.grad)


def _rebuild(kind: Any, data: Any, requires_grad: bool, grad: Any) -> Any:
    x = kind.__new__(kind)
    x._data, x._node = data, Node("leaf", data.shape) if requires_grad else None
    if requires_grad:
        x._node.grad = grad
    return x


def _as_arrays(x: Any) -> Any:
    """Return x with its Tensors, which may be in lists, as NumPy arrays."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(_as_arrays, x))
    return np.asarray(x) if isinstance(x, Values) else x
