"""What an operation makes of inputs that are no Tensors, or of several dtypes; and what it says if they do not fit."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.backend import is_array, namespace
from minigrad.errors import type_error
from minigrad.methods import Methods

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
NUMBERS = (int, float, np.number, np.bool_)


def as_operand(x: Any, like: Any = None) -> Any:
    """Return `x` as an input of `apply`: a Tensor or float array; lists, numbers, ids become floats.

    They get the dtype of the Tensor `like`, or float32.

    Raises    TypeError for arrays of other dtypes.
    """
    if x is None or isinstance(x, Methods) or (is_array(x) and x.dtype in FLOATS):
        return x
    dtype = np.dtype(np.float32) if like is None else like.dtype
    if is_array(x) and x.dtype != dtype:
        if x.dtype.kind not in "iub":
            expected = "an array of floats (32 or 64 bits), integers or booleans beside a Tensor"
            raise type_error("operand", expected, f"{x.dtype} {x.shape}", "convert it: x.astype(np.float32)")
        return x.astype(dtype)
    return (np if like is None else namespace(like.data)).asarray(x, dtype=dtype)


def of_one_dtype(fn: Callable[..., Any], inputs: Sequence[Any]) -> list[Any]:
    """Return numbers, lists and 0-d inputs in the dtype of the others.

    Raises    TypeError, naming the operation, for float32 beside float64.
    """
    shaped = {x.dtype for x in inputs if hasattr(x, "dtype") and x.ndim and x.dtype in FLOATS}
    if len(shaped) != 1:
        got = " and ".join(f"{x.dtype} {x.shape}" for x in inputs if hasattr(x, "dtype"))
        hint = "convert one of them: x.astype(np.float32) or x.astype(np.float64)"
        raise type_error(fn.__name__, "inputs of one float dtype", got, hint)
    dtype = shaped.pop()

    def convert(x: Any) -> Any:
        if x is None or (hasattr(x, "dtype") and x.dtype == dtype):
            return x
        return x.astype(dtype) if hasattr(x, "astype") else np.asarray(x, dtype)

    return [convert(x) for x in inputs]


def named(error: Exception, fn: Callable[..., Any], arrays: Sequence[Any]) -> Exception:
    """Return the error with the operation's name and shapes, unless it already bears the name."""
    if ": expected " in str(error):
        return error
    got = " and ".join(str(x.shape) for x in arrays if x is not None)
    return type(error)(f"{fn.__name__}: expected shapes that fit together; got {got} ({error})")
