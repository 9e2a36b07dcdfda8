"""Functions of each element that a GPT does not need, with their derivatives: see `element`."""

import math
from typing import Any

from minigrad.dtypes import result_type
from minigrad.errors import type_error
from minigrad.methods import values_of
from minigrad.operands import ELEMENTWISE
from minigrad.primitives.arithmetic import unbroadcast
from minigrad.tensor import Tensor, apply, lift
from minigrad.torch_names.elements import LIFTED, element, pair, values

# --- logarithms and exponentials ---


@element("log1p")
def log1p(x, out):
    """log(1 + x), exact for small x.

    Backward  d(log(1 + x)) = dx / (1 + x).
    """
    return 1.0 / (x + 1.0)


@element("expm1")
def expm1(x, out):
    """e^x - 1, exact for small x.

    Backward  d(e^x - 1) = e^x dx = (out + 1) dx.
    """
    return out + 1.0


@element("exp2")
def exp2(x, out):
    """2^x.

    Backward  2^x = e^(x log 2), so d(2^x) = log 2 2^x dx.
    """
    return out * math.log(2)


@element("log2")
def log2(x, out):
    """The logarithm to base 2.

    Backward  log2 x = log x / log 2, so d(log2 x) = dx / (x log 2).
    """
    return 1.0 / (x * math.log(2))


@element("log10")
def log10(x, out):
    """The logarithm to base 10.

    Backward  log10 x = log x / log 10, so d(log10 x) = dx / (x log 10).
    """
    return 1.0 / (x * math.log(10))


# --- angles, in radians ---


@element("tan")
def tan(x, out):
    """The tangent.

    Backward  tan = sin / cos, so d(tan x) = (cos^2 + sin^2) / cos^2 dx = (1 + tan^2 x) dx.
    """
    return out * out + 1.0


@element("arcsin")
def asin(x, out):
    """The inverse of the sine.

    Backward  x = sin y: dx = cos y dy, and cos y = sqrt(1 - x^2), so dy = dx / sqrt(1 - x^2).
    """
    return (1.0 - x * x) ** -0.5


@element("arccos")
def acos(x, out):
    """The inverse of the cosine.

    Backward  x = cos y: dx = -sin y dy, and sin y = sqrt(1 - x^2), so dy = -dx / sqrt(1 - x^2).
    """
    return -((1.0 - x * x) ** -0.5)


@element("arctan")
def atan(x, out):
    """The inverse of the tangent.

    Backward  x = tan y: dx = (1 + x^2) dy, so dy = dx / (1 + x^2).
    """
    return 1.0 / (x * x + 1.0)


@element("sinh")
def sinh(x, out):
    """The hyperbolic sine, (e^x - e^-x) / 2.

    Backward  d(sinh x) = cosh x dx.
    """
    return values("cosh", x)


@element("cosh")
def cosh(x, out):
    """The hyperbolic cosine, (e^x + e^-x) / 2.

    Backward  d(cosh x) = sinh x dx.
    """
    return values("sinh", x)


# --- roundings: constant between their steps ---


@element("floor", whole=True)
def floor(x, out):
    """The largest whole number that is not above x.

    Backward  piecewise constant: dx = 0.
    """
    return x * 0.0


@element("ceil", whole=True)
def ceil(x, out):
    """The smallest whole number that is not below x.

    Backward  piecewise constant: dx = 0.
    """
    return x * 0.0


@element("trunc", whole=True)
def trunc(x, out):
    """x without what stands behind the point.

    Backward  piecewise constant: dx = 0.
    """
    return x * 0.0


@element("rint", whole=True)
def _round(x, out):
    """The nearest whole number, of two the even one.

    Backward  piecewise constant: dx = 0.
    """
    return x * 0.0


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number of that many decimals; half-way between two, the even one."""
    if not decimals:
        return _round(input)
    if input._data.dtype.kind != "f":
        raise type_error("round", "floats for decimals", input._data.dtype)
    return _round(input * 10.0**decimals) / 10.0**decimals


# --- of two ---


def _arctan2(y, x):
    """The angle of the point (x, y), in -pi..pi.

    Shapes    y, x broadcast together
    Backward  of atan(y / x): dy = x / (x^2 + y^2) dout, dx = -y / (x^2 + y^2) dout.
    """
    out = values("arctan2", y, x)

    def vjp(dout):
        share = dout / (x * x + y * y)
        return unbroadcast(share * x, y.shape), unbroadcast(-share * y, x.shape)

    return out, vjp


def _remainder(x, y):
    """x - y floor(x / y), which has the sign of y.

    Shapes    x, y broadcast together
    Backward  floor(x / y) is constant between its steps: dx = dout, dy = -floor(x / y) dout.
    """

    def vjp(dout):
        return unbroadcast(dout, x.shape), unbroadcast(-dout * values("floor", x / y), y.shape)

    return values("remainder", x, y), vjp


def _fmod(x, y):
    """x - y trunc(x / y), which has the sign of x.

    Shapes    x, y broadcast together
    Backward  as `_remainder`, with trunc in the place of floor.
    """

    def vjp(dout):
        return unbroadcast(dout, x.shape), unbroadcast(-dout * values("trunc", x / y), y.shape)

    return values("fmod", x, y), vjp


def _floor_divide(x, y):
    """floor(x / y).

    Shapes    x, y broadcast together
    Backward  none, as in PyTorch: the walk says so.
    """

    def vjp(dout):
        hint = 'write torch.div(x, y, rounding_mode="floor"), whose gradient is 0'
        raise RuntimeError(f"floor_divide: it has no derivative, in PyTorch neither; {hint}")

    return values("floor_divide", x, y), vjp


for _name, _function in (
    ("arctan2", _arctan2),
    ("remainder", _remainder),
    ("fmod", _fmod),
    ("floor_divide", _floor_divide),
):
    _function.__name__ = _name
    ELEMENTWISE.add(_function)
    LIFTED[_name] = lift(_function)


def atan2(input: Any, other: Any) -> Tensor:
    """The angle of the point (other, input), in -pi..pi."""
    return apply(_arctan2, *pair(input, other))


def _dividing(where: str, input: Any, other: Any) -> tuple[Any, Any]:
    """Return both as operands; RuntimeError for integers by 0, which floats divide to inf or NaN."""
    a, b = (values_of(x) for x in pair(input, other))
    if result_type(a, b).kind in "iu" and bool((b == 0).any()):
        raise RuntimeError(f"{where}: ZeroDivisionError: expected integers other than 0 to divide by; got 0")
    return pair(input, other)


def remainder(input: Any, other: Any) -> Tensor:
    """input % other, with the sign of `other`, as Python's."""
    return apply(_remainder, *_dividing("remainder", input, other))


def fmod(input: Any, other: Any) -> Tensor:
    """What is left of input after taking whole `other`s away, with the sign of input, as C's."""
    return apply(_fmod, *_dividing("fmod", input, other))


def floor_divide(input: Any, other: Any) -> Tensor:
    """input // other, the largest whole number below the quotient."""
    return apply(_floor_divide, *_dividing("floor_divide", input, other))
