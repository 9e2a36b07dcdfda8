"""The sigmoid linear unit, x times its sigmoid."""

import numpy as np

from minigrad import switches
from minigrad.backend import namespace, row_blocks
from minigrad.tensor import op


def times_sigmoid_reference(x):
    """The definition, in Tensor arithmetic: what `times_sigmoid` must equal."""
    return x * x.sigmoid()


@op(reference=times_sigmoid_reference, gpu=True)
def times_sigmoid(x):
    """x times its sigmoid, a switch that opens softly where x is positive.

        y = x s,   s = 1 / (1 + e^-x)

    Shapes    x any -> the same
    Saves     slope
    Backward  ds/dx = s (1 - s), so slope = dy/dx = s + x s (1 - s) = s + y (1 - s),   dx = slope dy.
              As in `gelu_tanh`, it is computed while x and s are in the cache, and saved in place of both.
    Source    Hendrycks and Gimpel 2016, arXiv:1606.08415, as "SiLU"; also known as swish
    """
    xp = namespace(x)
    y = xp.empty(x.shape, x.dtype)
    slope = xp.empty(x.shape, x.dtype) if switches.state.recording else None
    x_rows, y_rows = (a.reshape(-1, x.shape[-1] if x.size and x.ndim else 1) for a in (x, y))
    slope_rows = None if slope is None else slope.reshape(x_rows.shape)
    for rows in row_blocks(x_rows):
        xb, yb = x_rows[rows], y_rows[rows]
        s = -xb
        with np.errstate(over="ignore"):  # e^-x is infinite where s is 0 to all digits
            xp.exp(s, out=s)
        s += 1.0
        xp.divide(1.0, s, out=s)
        xp.multiply(xb, s, out=yb)
        if slope_rows is not None:
            one_minus = 1.0 - s
            one_minus *= yb
            xp.add(s, one_minus, out=slope_rows[rows])
    return y, lambda dy: (dy * slope,)
