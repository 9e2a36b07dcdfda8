"""Functions of each element, and choices between elements."""

import math

from minigrad import backend
from minigrad.backend import namespace
from minigrad.primitives.arithmetic import unbroadcast


def absolute(x):
    """|x|.

    Shapes    x any
    Saves     x
    Backward  dx = sign(x) dout, 0 at the kink x = 0.
    """
    sign = namespace(x).sign
    return abs(x), lambda dout: (dout * sign(x),)


def sign(x):
    """-1, 0 or 1 by the sign of x.

    Shapes    x any
    Saves     nothing
    Backward  piecewise constant: dx = 0.
    """
    return namespace(x).sign(x), lambda dout: (dout * 0.0,)


def power(x, *, exponent):
    """x ** exponent, for a Python number; small whole powers by multiplication.

    NumPy's float32 `x**3` takes 170 times `x * x * x`.

    Shapes    x any
    Saves     x
    Backward  d(x^n) = n x^(n-1) dx; for n = 0 the gradient is 0, at x = 0 too.
    """
    below = exponent - 1 if exponent else 0

    def vjp(dout):
        return (dout * (exponent * _power(x, below)),)

    return _power(x, exponent), vjp


def _power(x, exponent):
    if exponent == 1:
        return x * 1
    if exponent == 2:
        return x * x
    if exponent == 3:
        return x * x * x
    if exponent == 0.5:
        return namespace(x).sqrt(x)
    return x**exponent


def raise_to(x, y):
    """x ** y for an array of exponents; x must not be negative where y is not whole.

    Shapes    x, y broadcast together
    Saves     x, y, out
    Backward  dx = dout y x^(y-1);  dy = dout x^y log x, taken as 0 where x <= 0, where PyTorch
              too returns 0 at x = 0 and y >= 0.
    """
    xp = namespace(x)
    out = x**y

    def vjp(dout):
        dx = dout * (y * xp.where(y == 0, xp.ones_like(x), x) ** (y - 1.0))
        log = xp.log(xp.where(x > 0, x, xp.ones_like(x)))
        return unbroadcast(dx, x.shape), unbroadcast(dout * out * log, y.shape)

    return out, vjp


def exp(x):
    """e^x.

    Shapes    x any
    Saves     out
    Backward  d(e^x) = e^x dx.
    """
    out = namespace(x).exp(x)
    return out, lambda dout: (dout * out,)


def log(x):
    """The natural logarithm.

    Shapes    x any
    Saves     x
    Backward  d(log x) = dx / x.
    """
    return namespace(x).log(x), lambda dout: (dout / x,)


def sqrt(x):
    """The square root.

    Shapes    x any
    Saves     out
    Backward  d(sqrt x) = dx / (2 sqrt x).
    """
    out = namespace(x).sqrt(x)
    return out, lambda dout: (dout / (out * 2.0),)


def tanh(x):
    """The hyperbolic tangent.

    Shapes    x any
    Saves     out
    Backward  d(tanh x) = (1 - tanh^2 x) dx.
    """
    out = namespace(x).tanh(x)
    return out, lambda dout: (dout * (1.0 - out * out),)


def sin(x):
    """The sine.

    Shapes    x any, in radians
    Saves     x
    Backward  d(sin x) = cos x dx.
    """
    xp = namespace(x)
    return xp.sin(x), lambda dout: (dout * xp.cos(x),)


def cos(x):
    """The cosine.

    Shapes    x any, in radians
    Saves     x
    Backward  d(cos x) = -sin x dx.
    """
    xp = namespace(x)
    return xp.cos(x), lambda dout: (-dout * xp.sin(x),)


def sigmoid(x):
    """1 / (1 + e^-x); below 0 as e^x / (1 + e^x), so that exp cannot overflow and small values keep their digits.

    Shapes    x any
    Saves     out
    Backward  d(sigmoid x) = s (1 - s) dx.
    """
    xp, positive = namespace(x), x > 0
    e = xp.exp(xp.where(positive, -x, x))
    out = xp.where(positive, xp.ones_like(e), e) / (e + 1.0)
    return out, lambda dout: (dout * (out * (1.0 - out)),)


def relu(x):
    """max(x, 0).

    Shapes    x any
    Saves     positive
    Backward  dout where x > 0, else 0 (at the kink x = 0 too, as in PyTorch).
    """
    positive = (x > 0).astype(x.dtype)
    return namespace(x).maximum(x, 0), lambda dout: (dout * positive,)


def erf(x):
    """The error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x.

    Shapes    x any
    Saves     x
    Backward  d(erf x) = 2/sqrt(pi) e^(-x^2) dx.
    """
    xp = namespace(x)
    value = xp.erf(x) if hasattr(xp, "erf") else backend.erf(x)
    return value, lambda dout: (dout * (xp.exp(-(x * x)) * 1.1283791670955126),)


def maximum(a, b):
    """The larger of a and b, element by element.

    Shapes    a, b broadcast together
    Saves     share
    Backward  dout to the larger; at a tie half to each, as in PyTorch.
    """
    sa, sb, share = a.shape, b.shape, _share(a, b)
    out = namespace(a).maximum(a, b)
    return out, lambda dout: (unbroadcast(dout * share, sa), unbroadcast(dout * (1.0 - share), sb))


def minimum(a, b):
    """The smaller of a and b, element by element.

    Shapes    a, b broadcast together
    Saves     share
    Backward  dout to the smaller; at a tie half to each, as in PyTorch.
    """
    sa, sb, share = a.shape, b.shape, _share(b, a)
    out = namespace(a).minimum(a, b)
    return out, lambda dout: (unbroadcast(dout * share, sa), unbroadcast(dout * (1.0 - share), sb))


def _share(a, b):
    """Return 1 where a > b, 1/2 at ties, else 0."""
    return ((a > b).astype(a.dtype) + (a >= b).astype(a.dtype)) * 0.5


def clip(x, *, low, high):
    """x limited to low..high; either limit may be None.

    Shapes    x any
    Saves     inside
    Backward  dout where low <= x <= high, else 0 (at the limits dout, as in PyTorch).
    """
    least, most = -math.inf if low is None else low, math.inf if high is None else high
    inside = ((x >= least) & (x <= most)).astype(x.dtype)
    return namespace(x).clip(x, low, high), lambda dout: (dout * inside,)


def where(a, b, *, condition):
    """a where `condition` holds, else b.

    Shapes    condition, a, b broadcast together
    Saves     condition
    Backward  each element of dout goes to the one it was read from.
    """
    xp = namespace(a)
    sa, sb = a.shape, b.shape

    def vjp(dout):
        zero = xp.zeros_like(dout)
        da, db = xp.where(condition, dout, zero), xp.where(condition, zero, dout)
        return unbroadcast(da, sa), unbroadcast(db, sb)

    return xp.where(condition, a, b), vjp


def astype(x, *, dtype):
    """x in another float dtype.

    Shapes    x any
    Saves     nothing
    Backward  the gradient in x's own dtype.
    """
    before = x.dtype
    return x.astype(dtype), lambda dout: (dout.astype(before),)
