"""Arithmetic, element by element: operands are broadcast, and each operation undoes it in its gradients."""

from typing import Any

from minigrad.backend import namespace


def unbroadcast(dout: Any, shape: tuple[int, ...]) -> Any:
    """Sum `dout` over the axes that broadcasting added to or stretched in an array of `shape`.

    A broadcast element is read many times, and its gradient is the sum over all its readers.
    """
    if dout.shape == shape:
        return dout
    added = dout.ndim - len(shape)
    stretched = (added + i for i, n in enumerate(shape) if n == 1 and dout.shape[added + i] != 1)
    return dout.sum(axis=(*range(added), *stretched)).reshape(shape)


def add(a, b):
    """a + b.

    Shapes    a, b broadcast together
    Saves     nothing
    Backward  d(a + b) = da + db: dout flows to both, summed over broadcast axes.
    """
    sa, sb = a.shape, b.shape
    return a + b, lambda dout: (unbroadcast(dout, sa), unbroadcast(dout, sb))


def subtract(a, b):
    """a - b.

    Shapes    a, b broadcast together
    Saves     nothing
    Backward  d(a - b) = da - db.
    """
    sa, sb = a.shape, b.shape
    return a - b, lambda dout: (unbroadcast(dout, sa), unbroadcast(-dout, sb))


def multiply(a, b):
    """a * b.

    Shapes    a, b broadcast together
    Saves     a, b
    Backward  d(ab) = b da + a db.
    """
    return a * b, lambda dout: (unbroadcast(dout * b, a.shape), unbroadcast(dout * a, b.shape))


def divide(a, b):
    """a / b.

    Shapes    a, b broadcast together
    Saves     a, b
    Backward  d(a / b) = da / b - (a / b) db / b.
    """

    def vjp(dout):
        da = dout / b
        return unbroadcast(da, a.shape), unbroadcast(-da * (a / b), b.shape)

    return a / b, vjp


def shift(x, *, number):
    """x + number.

    Shapes    x any
    Saves     nothing
    Backward  the number is a constant: dx = dout.
    """
    return x + number, lambda dout: (dout,)


def scale(x, *, number):
    """x * number.

    Shapes    x any
    Saves     nothing
    Backward  dx = number dout.
    """
    return x * number, lambda dout: (dout * number,)


def divide_by(x, *, number):
    """x / number: rounded as a division, not as a product with the reciprocal.

    Shapes    x any
    Saves     nothing
    Backward  dx = dout / number.
    """
    return x / number, lambda dout: (dout / number,)


def negative(x):
    """-x.

    Shapes    x any
    Saves     nothing
    Backward  dx = -dout.
    """
    return -x, lambda dout: (-dout,)


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
        return x * 1.0
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
