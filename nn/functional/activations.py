"""Activations that no GPT here needs: compositions, and the ELU."""

from minigrad.backend import namespace
from minigrad.functions import where
from minigrad.tensor import Tensor, op
from nn.functional.arguments import refuse_inplace


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x times its sigmoid.

    Source    Hendrycks and Gimpel 2016, arXiv:1606.08415, as "SiLU"; also known as swish
    """
    refuse_inplace("silu", inplace)
    return input * input.sigmoid()


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, else negative_slope times x."""
    refuse_inplace("leaky_relu", inplace)
    return where(input._data > 0, input, input * float(negative_slope))


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to min_val..max_val; at the limits themselves the gradient is 0, as in PyTorch."""
    refuse_inplace("hardtanh", inplace)
    x = input._data
    return input.masked_fill(x <= min_val, float(min_val)).masked_fill(x >= max_val, float(max_val))


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x limited to 0..6."""
    return hardtanh(input, 0.0, 6.0, inplace)


def exponential_linear_reference(x, *, alpha=1.0):
    """The definition, in Tensor arithmetic: what `exponential_linear` must equal."""
    positive = x._data > 0
    return where(positive, x, (x.masked_fill(positive, 0.0).exp() - 1.0) * alpha)


@op(reference=exponential_linear_reference)
def exponential_linear(x, *, alpha=1.0):
    """x where it is positive, else alpha (e^x - 1), which goes to -alpha.

    Shapes    x any -> the same
    Saves     slope
    Backward  dy/dx = 1 where x > 0, else alpha e^x = y + alpha.
    Source    Clevert et al. 2015, arXiv:1511.07289
    """
    xp = namespace(x)
    below = xp.expm1(xp.minimum(x, 0.0)) * alpha
    slope = xp.where(x > 0, xp.ones_like(x), below + alpha)
    return xp.where(x > 0, x, below), lambda dy: (dy * slope,)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, else alpha (e^x - 1)."""
    refuse_inplace("elu", inplace)
    return exponential_linear(input, alpha=float(alpha))
