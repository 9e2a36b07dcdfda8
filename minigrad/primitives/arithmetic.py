"""Arithmetic, element by element.

Every operation of the house is an array function that returns (out, vjp): the result, and the function
that turns the gradient of the result, dout, into the gradients of the inputs (tape.py). Both share one
scope, so the vjp simply names what it needs of the forward pass. In the docstrings, "Saves" lists the
arrays that it keeps alive in this way, and "Backward" derives each of its lines: where that begins
with d(...), da is a small change of a, and what stands before it, times dout, is the gradient of a.

Operands are broadcast, and each operation undoes that in its gradients.
"""

from typing import Any


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


def negative(x):
    """-x.

    Shapes    x any
    Saves     nothing
    Backward  dx = -dout.
    """
    return -x, lambda dout: (-dout,)
