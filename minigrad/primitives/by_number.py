"""Arithmetic with a Python number, which is a constant."""


def shift(x, *, number):
    """x + number.

    Shapes    x any
    Saves     nothing
    Backward  the number is a constant: dx = dout.
    """
    return x + number, lambda dout: (dout,)


def shift_down(x, *, number):
    """x - number.

    Shapes    x any
    Saves     nothing
    Backward  dx = dout.
    """
    return x - number, lambda dout: (dout,)


def subtract_from(x, *, number):
    """number - x.

    Shapes    x any
    Saves     nothing
    Backward  dx = -dout.
    """
    return number - x, lambda dout: (-dout,)


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


def divide_into(x, *, number):
    """number / x: the reciprocal times the number, rounded twice, as PyTorch does.

    Shapes    x any
    Saves     reciprocal
    Backward  d(n / x) = -n / x^2 dx.
    """
    reciprocal = 1.0 / x
    return reciprocal * number, lambda dout: (dout * (reciprocal * reciprocal * -number),)
