"""The Gaussian error linear unit, x times the chance that a standard normal is below x."""

import math

from minigrad import switches
from minigrad.backend import namespace, row_blocks
from minigrad.tensor import op

C0, C1 = math.sqrt(2 / math.pi), 0.044715


def gelu_tanh_reference(x):
    """The definition, in Tensor arithmetic: what `gelu_tanh` must equal."""
    return x * 0.5 * (1.0 + (C0 * (x + C1 * x**3)).tanh())


@op(reference=gelu_tanh_reference, gpu=True)
def gelu_tanh(x):
    """GELU with the normal distribution function approximated by a tanh, as GPT-2 uses it.

        y = x s,   s = (1 + tanh u) / 2,   u = c0 (x + c1 x^3),   c0 = sqrt(2 / pi),   c1 = 0.044715

    Shapes    x any -> the same
    Saves     slope
    Backward  d(tanh u) = (1 - tanh^2 u) du and tanh u = 2s - 1, so ds/dx = 2 s (1 - s) du/dx and
                  slope = dy/dx = s + 2 x s (1 - s) (c0 + 3 c0 c1 x^2),   dx = slope dy.
              Only x enters the slope, so it is computed in the forward pass, while x and s are in
              the cache, and saved in place of both; the backward is one multiplication.
    Source    Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2.
    """
    xp = namespace(x)
    y = xp.empty(x.shape, x.dtype)
    slope = xp.empty(x.shape, x.dtype) if switches.state.recording else None
    x_rows, y_rows = (a.reshape(-1, x.shape[-1] if x.size and x.ndim else 1) for a in (x, y))
    slope_rows = None if slope is None else slope.reshape(x_rows.shape)
    for rows in row_blocks(x_rows):
        xb, yb = x_rows[rows], y_rows[rows]
        square = xb * xb
        s = square * (C0 * C1)
        s += C0
        s *= xb  # u = c0 (x + c1 x^3)
        xp.tanh(s, out=s)
        s *= 0.5
        s += 0.5  # s = (1 + tanh u) / 2
        xp.multiply(xb, s, out=yb)  # y = x s
        if slope_rows is None:
            continue
        square *= 6 * C0 * C1
        square += 2 * C0
        square *= yb  # 2 x s (c0 + 3 c0 c1 x^2), as y = x s
        one_minus = 1.0 - s
        one_minus *= square
        xp.add(one_minus, s, out=slope_rows[rows])  # s + 2 x s (1 - s) (c0 + 3 c0 c1 x^2)
    return y, lambda dy: (dy * slope,)
