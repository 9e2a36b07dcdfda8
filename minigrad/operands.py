"""What an operation makes of inputs that are no Tensors, or of several dtypes; and what it says if they do not fit."""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from minigrad.backend import is_array, namespace
from minigrad.dtypes import DEFAULT, OURS, Size, promote_types, result_type
from minigrad.errors import InvalidValue, check_shape, type_error, value_error
from minigrad.methods import Methods
from minigrad.primitives import arithmetic, by_number, elementwise, reductions, shapes

NUMBERS = (int, float, np.number, np.bool_)

# Functions of each element, and joins, promote their inputs; sums add integers in 64 bits. All others want one dtype.
ELEMENTWISE = {
    fn for module in (arithmetic, by_number, elementwise) for fn in vars(module).values() if callable(fn)
}
ELEMENTWISE |= {shapes.concatenate}
SUMS = {reductions.sum, reductions.cumsum}


def as_operand(x: Any, like: Any = None) -> Any:
    """Return `x` as an input of `apply`: a Tensor or array, a list or number as an array beside the Tensor `like`.

    Raises    TypeError for arrays of a dtype that is not ours: half precision, complex, objects; and for a list of
              Tensors, or the pair that x.max(dim) gives, which would lose their histories.
    """
    if isinstance(x, Methods) or (is_array(x) and x.dtype in OURS):
        return x
    if isinstance(x, (list, tuple)) and any(isinstance(leaf, Methods) for leaf in _leaves(x)):
        hint = "write stack(...), or max(dim).values and the like"
        raise type_error("operand", "a Tensor, an array or numbers", f"a {type(x).__name__} of Tensors", hint)
    array = to_array("operand", x)
    if like is None or is_array(x):
        return array
    dtype = result_type(like._data, array.dtype.type().item())  # lists count as numbers
    exact = to_array("operand", x, dtype)  # made anew: 0.1 has more digits in float64 than `array` kept
    return namespace(like._data).asarray(exact)


def to_array(where: str, data: Any, dtype: Any = None) -> Any:
    """Return numbers, lists, arrays or Tensors as an array of a dtype that is ours; Python's floats become float32.

    The array of an array, a Tensor, or what has `__array__`, is shared where its dtype stays.

    Raises    TypeError for another dtype, or what holds no numbers; ValueError for lists of unequal lengths.
    """
    if isinstance(data, Methods):
        data = data._data
    elif not hasattr(data, "__array__"):
        leaves = list(_leaves(data))
        if any(isinstance(x, Methods) for x in leaves):
            data, leaves = _with_items(data), []
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise value_error(where, "lists of equal lengths", f"{data!r:.60}") from error
        if array.dtype.kind in "uO" and leaves and all(type(x) is int for x in leaves):
            raise value_error(where, "integers of 64 bits", f"{data!r:.60}")
        if dtype is not None:
            refuse_overflow(where, array, np.dtype(dtype))
        guessed = dtype is None and (array.dtype == np.float64 or not array.size)
        data = array.astype(_listed_dtype(leaves)) if guessed else array
    library = namespace(data) if is_array(data) else np
    array = library.asarray(data, None if dtype is None else np.dtype(dtype))
    if array.dtype not in OURS:
        got = f"{array.dtype} {array.shape}" if is_array(data) else f"{data!r:.60}"
        hint = "compute in float32 or float64"
        raise type_error(where, "numbers of a dtype from bool and uint8 to float64", got, hint)
    return array


def refuse_overflow(where: str, array: Any, dtype: np.dtype) -> None:
    """Raise ValueError for integers that `dtype` cannot hold; negative ones wrap round in uint8, as in PyTorch."""
    if dtype.kind in "iu" and array.dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        if array.max() > limits.max or array.min() < (limits.min or -int(limits.max)):
            raise value_error(where, f"integers that {dtype} holds", f"{array.min()} to {array.max()}")


def of_constructor(data: tuple[Any, ...]) -> Any:
    """Return the array of PyTorch's `Tensor(2, 3)`, here zeros, or `Tensor([1, 2])`, always of float32; a Tensor's own.

    Raises    TypeError for a float, which is neither a shape nor a sequence.
    """
    if not data:
        return np.zeros(0, DEFAULT)
    if len(data) == 1 and isinstance(data[0], Methods):
        return data[0]._data
    if (
        len(data) == 1
        and (is_array(data[0]) or isinstance(data[0], (list, tuple)))
        and not isinstance(data[0], Size)
    ):
        return to_array("Tensor", data[0], DEFAULT)
    return np.zeros(check_shape("Tensor", data), DEFAULT)


def _leaves(data: Any) -> Iterator[Any]:
    for x in data if isinstance(data, (list, tuple)) else (data,):
        if isinstance(x, (list, tuple)):
            yield from _leaves(x)
        else:
            yield x


def _with_items(data: Any) -> Any:
    return (
        data.tolist()
        if isinstance(data, Methods)
        else list(map(_with_items, data))
        if isinstance(data, (list, tuple))
        else data
    )


def _listed_dtype(leaves: list[Any]) -> np.dtype:
    """Return the dtype of a list of floats: float32 for Python's own, that of NumPy's numbers otherwise."""
    found = {x.dtype for x in leaves if isinstance(x, (np.generic, np.ndarray))}
    return reduce(promote_types, found, DEFAULT)


def with_number(x: Any, number: Any) -> tuple[Any, Any]:
    """Return a Tensor and a number as PyTorch combines them: integers wrap round in x's dtype, floats make x one."""
    number = number.item() if isinstance(number, np.generic) else number
    dtype = result_type(x._data, number)
    number = float(number) if dtype.kind == "f" else np.asarray(number).astype(dtype).item()
    return (x if x._data.dtype == dtype else x.astype(dtype)), number


def refuse_booleans(*inputs: Any) -> None:
    """Raise TypeError for the difference of booleans."""
    if any(isinstance(x, bool) or getattr(x, "dtype", None) == np.bool_ for x in inputs):
        raise type_error("-", "numbers", "booleans", "write ~x for not x, or x.long()")


def of_one_dtype(fn: Callable[..., Any], inputs: Sequence[Any], out: np.dtype) -> list[Any]:
    """Return the inputs in the dtype in which PyTorch would compute, where `fn` made `out` of several or of another.

    Raises    TypeError, naming the operation, for float32 beside float64 in products of matrices and the like,
              and for integers where only floats can be.
    """
    given = [x for x in inputs if x is not None]
    if fn is arithmetic.subtract:
        refuse_booleans(*given)
    dtype: Any = result_type(*(x._data if isinstance(x, Methods) else x for x in given))
    if dtype.kind == "c":
        dtype = None
    elif fn in SUMS and dtype.kind != "f":
        dtype = np.dtype(np.int64)
    elif fn in ELEMENTWISE:
        dtype = DEFAULT if out.kind == "f" and dtype.kind != "f" else dtype
    else:
        shaped = {x.dtype for x in given if getattr(x, "ndim", 0)}
        dtype = shaped.pop() if len(shaped) == 1 else None
        if dtype is None or dtype.kind != "f":
            dtype = None
    if dtype is None or all(hasattr(x, "dtype") and x.dtype == dtype for x in given):
        got = " and ".join(f"{x.dtype.name} {tuple(x.shape)}" for x in given if hasattr(x, "dtype"))
        hint = "convert one of them, with x.float() or x.double()"
        raise type_error(fn.__name__, "inputs of one float dtype", got, hint)

    def convert(x: Any) -> Any:
        if x is None or (hasattr(x, "dtype") and x.dtype == dtype):
            return x
        return x.astype(dtype) if hasattr(x, "astype") else np.asarray(x, dtype)

    return [convert(x) for x in inputs]


def named(error: Exception, fn: Callable[..., Any], arrays: Sequence[Any]) -> Exception:
    """Return the error with the operation's name and shapes, unless it already bears the name."""
    if ": expected " in str(error):
        return error
    if isinstance(error, AttributeError | TypeError):
        absent = any(x is None for x in arrays)
        return type_error(fn.__name__, "Tensors, arrays or numbers", None) if absent else error
    got = " and ".join(str(x.shape) for x in arrays if x is not None)
    kind = InvalidValue if isinstance(error, ValueError) else type(error)
    return kind(f"{fn.__name__}: expected shapes that fit together; got {got} ({error})")
