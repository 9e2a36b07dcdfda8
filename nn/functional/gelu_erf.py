"""The exact Gaussian error linear unit."""

import math

from minigrad.backend import erf, namespace
from minigrad.functions import erf as tensor_erf
from minigrad.tensor import op


def gelu_erf_reference(x):
    """The definition, in Tensor arithmetic: what `gelu_erf` must equal."""
    return x * 0.5 * (1.0 + tensor_erf(x / math.sqrt(2)))


@op(reference=gelu_erf_reference)
def gelu_erf(x):
    """GELU with the exact normal distribution function; slow, since NumPy has no erf.

        y = x F(x),   F(x) = (1 + erf(x / sqrt 2)) / 2

    Shapes    x any -> the same
    Saves     slope
    Backward  F' is the normal density f(x) = e^(-x^2/2) / sqrt(2 pi), so dx = (F + x f) dy.
    Source    Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2.
    """
    xp = namespace(x)
    below = 0.5 * (1.0 + erf(x / math.sqrt(2)))
    slope = below + x * xp.exp(-0.5 * (x * x)) / math.sqrt(2 * math.pi)
    return x * below, lambda dy: (dy * slope,)
