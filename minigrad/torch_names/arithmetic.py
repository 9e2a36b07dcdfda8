"""Arithmetic and logic, element by element: the operators under their names, and what is made of them."""

import importlib
from typing import Any

import numpy as np

from minigrad import functions
from minigrad.backend import namespace
from minigrad.errors import type_error, value_error
from minigrad.methods import check_dim, values_of
from minigrad.operands import NUMBERS, as_operand
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names.curves import floor, floor_divide, fmod, trunc
from minigrad.torch_names.elements import pair

# --- the operators ---


def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other."""
    return _tensor(input) + _times(other, alpha)


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other."""
    return _tensor(input) - _times(other, alpha)


subtract = sub


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    return _tensor(other) - _times(input, alpha)


def mul(input: Any, other: Any) -> Tensor:
    """input * other."""
    return _tensor(input) * other


multiply = mul


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, as it is, or rounded: towards 0 ("trunc") or down ("floor")."""
    if rounding_mode not in (None, "trunc", "floor"):
        raise value_error("div", 'rounding_mode None, "trunc" or "floor"', repr(rounding_mode))
    a, b = (wrap(x) if hasattr(x, "dtype") and not isinstance(x, Tensor) else x for x in pair(input, other))
    if rounding_mode is None:
        return a / b
    if (a.dtype.kind + b.dtype.kind).strip("iub"):
        return (trunc if rounding_mode == "trunc" else floor)(a / b)
    return floor_divide(a if rounding_mode == "floor" else a - fmod(a, b), b)


divide = div


def true_divide(input: Any, other: Any) -> Tensor:
    """input / other."""
    return div(input, other)


def neg(input: Tensor) -> Tensor:
    """-input."""
    return -input


negative = neg


def positive(input: Tensor) -> Tensor:
    """input itself."""
    return input


def square(input: Tensor) -> Tensor:
    """input ** 2."""
    return input**2


def reciprocal(input: Tensor) -> Tensor:
    """1 / input."""
    return 1.0 / input


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input)."""
    return 1.0 / input.sqrt()


def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent; either may be a number."""
    return input**exponent


def _tensor(x: Any) -> Any:
    """Return x, an array as a Tensor."""
    return x if isinstance(x, (Tensor, *NUMBERS)) else wrap(as_operand(x))


def _times(x: Any, alpha: Any) -> Any:
    return x if isinstance(alpha, int) and alpha == 1 else alpha * _tensor(x)


def _floats(where: str, x: Any) -> Any:
    """Return x, which must hold floats."""
    if x._data.dtype.kind != "f":
        raise type_error(where, "floats", x._data.dtype, "write x.float()")
    return x


# --- made of them ---


def lerp(input: Tensor, end: Any, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    _floats("lerp", input)
    return input + weight * (end - input)


def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return input + _times(tensor1, value) * tensor2


def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    _floats("addcdiv", input)
    return input + _times(tensor1, value) / tensor2


def frac(input: Tensor) -> Tensor:
    """What stands behind the point, with the sign of input."""
    return _floats("frac", input) - trunc(input)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input limited to min..max, numbers or Tensors that broadcast; one of them may be None."""
    if min is None and max is None:
        raise value_error("clamp", "at least one of min and max", "none")
    if not any(isinstance(limit, Tensor) or np.ndim(limit) for limit in (min, max) if limit is not None):
        limits = [float(limit) for limit in (min, max) if limit is not None]
        if input._data.dtype.kind != "f":
            xp, kind = namespace(input._data), input._data.dtype
            kind = kind if all(map(float.is_integer, limits)) else np.float32
            return wrap(xp.asarray(xp.clip(input._data, min, max), kind))
        return input.clip(min, max)
    for limit, near_to in ((min, "__ge__"), (max, "__le__")):
        if limit is not None:
            near = getattr(input, near_to)(limit)  # False where either is NaN, which stays
            input = functions.where(~(near | isnan(input)), limit, input)
    return input


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """input, but not below min."""
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """input, but not above max."""
    return clamp(input, max=max)


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two, or the one that is no NaN."""
    larger = functions.maximum(input, other)
    return functions.where(
        np.isnan(values_of(other)), input, functions.where(np.isnan(input._data), other, larger)
    )


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two, or the one that is no NaN."""
    less = functions.minimum(input, other)
    return functions.where(
        np.isnan(values_of(other)), input, functions.where(np.isnan(input._data), other, less)
    )


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """input with numbers in the places of NaN (0) and of the infinities (the largest floats)."""
    if input._data.dtype.kind != "f":
        return input.clone()
    largest = float(np.finfo(input._data.dtype).max)
    x = input.masked_fill(np.isnan(input._data), 0.0 if nan is None else nan)
    x = x.masked_fill(np.isposinf(input._data), largest if posinf is None else posinf)
    return x.masked_fill(np.isneginf(input._data), -largest if neginf is None else neginf)


def copysign(input: Tensor, other: Any) -> Tensor:
    """|input| with the signs of other."""
    negative = np.signbit(np.asarray(values_of(other), np.float64))  # of -0.0, too
    input = input if input._data.dtype.kind == "f" else input.float()
    return functions.where(np.signbit(input._data) != negative, -input, input)


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Probabilities along an axis: `nn.functional.softmax`."""
    dim = check_dim("softmax", dim, input.ndim)
    return importlib.import_module("nn.functional").softmax(input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithms of probabilities along an axis: `nn.functional.log_softmax`."""
    dim = check_dim("log_softmax", dim, input.ndim)
    return importlib.import_module("nn.functional").log_softmax(input, dim, dtype=dtype)


# --- comparisons: booleans ---


def eq(input: Tensor, other: Any) -> Tensor:
    """input == other."""
    return input == other


def ne(input: Tensor, other: Any) -> Tensor:
    """input != other."""
    return input != other


def lt(input: Tensor, other: Any) -> Tensor:
    """input < other."""
    return input < other


def le(input: Tensor, other: Any) -> Tensor:
    """input <= other."""
    return input <= other


def gt(input: Tensor, other: Any) -> Tensor:
    """input > other."""
    return input > other


def ge(input: Tensor, other: Any) -> Tensor:
    """input >= other."""
    return input >= other


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def isnan(input: Tensor) -> Tensor:
    """Which elements are NaN?"""
    xp = namespace(input._data)
    return wrap(xp.asarray(xp.isnan(input._data)))


def isinf(input: Tensor) -> Tensor:
    """Which elements are inf or -inf?"""
    xp = namespace(input._data)
    return wrap(xp.asarray(xp.isinf(input._data)))


def isfinite(input: Tensor) -> Tensor:
    """Which elements are neither NaN nor infinite?"""
    xp = namespace(input._data)
    return wrap(xp.asarray(xp.isfinite(input._data)))


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Where is |input - other| <= atol + rtol |other|, or both the same infinity?"""
    a, b = input._data, values_of(other)
    if a.dtype != b.dtype:
        raise type_error("isclose", "two Tensors of one dtype", f"{a.dtype} and {b.dtype}")
    if a.dtype.kind != "f":
        a, b = a.astype(np.float64), b.astype(np.float64)
    return wrap(np.asarray(np.isclose(a, b, rtol, atol, equal_nan)))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Is every element close? See `isclose`."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._data.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Are the shapes the same, and all elements?"""
    return bool(np.array_equal(input._data, values_of(other)))


# --- logic ---


def logical_and(input: Tensor, other: Any) -> Tensor:
    """Which elements of both are not 0?"""
    return input.bool() & _tensor(other).bool()


def logical_or(input: Tensor, other: Any) -> Tensor:
    """Which elements of one or both are not 0?"""
    return input.bool() | _tensor(other).bool()


def logical_xor(input: Tensor, other: Any) -> Tensor:
    """Which elements of exactly one are not 0?"""
    return input.bool() ^ _tensor(other).bool()


def logical_not(input: Tensor) -> Tensor:
    """Which elements are 0?"""
    return ~input.bool()


def bitwise_and(input: Any, other: Any) -> Tensor:
    """input & other, of booleans or integers."""
    return input & other


def bitwise_or(input: Any, other: Any) -> Tensor:
    """input | other, of booleans or integers."""
    return input | other


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """input ^ other, of booleans or integers."""
    return input ^ other


def bitwise_not(input: Tensor) -> Tensor:
    """~input, of booleans or integers."""
    return ~input


def bitwise_left_shift(input: Tensor, other: Any) -> Tensor:
    """input << other, of integers."""
    return input << other


def bitwise_right_shift(input: Tensor, other: Any) -> Tensor:
    """input >> other, of integers."""
    return input >> other
