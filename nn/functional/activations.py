"""Activations that no GPT here needs: compositions, and the ELU."""

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.functions import where
from minigrad.tensor import Tensor, op
from nn.functional.arguments import applied
from nn.functional.silu import times_sigmoid
from nn.functional.softplus import softplus


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x times its sigmoid."""
    return applied("silu", times_sigmoid, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(log(1 + e^x)).

    Source    Misra 2019, arXiv:1908.08681
    """
    return applied("mish", lambda x: x * softplus(x).tanh(), input, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, else negative_slope times x."""
    slope = float(negative_slope)
    return applied("leaky_relu", lambda x: where(x._data > 0, x, x * slope), input, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to min_val..max_val; at the limits themselves the gradient is 0, as in PyTorch."""
    low, high = float(min_val), float(max_val)
    if low > high:
        raise value_error("hardtanh", "min_val <= max_val", (low, high))

    def limit(x: Tensor) -> Tensor:
        return x.masked_fill(x._data <= low, low).masked_fill(x._data >= high, high)

    return applied("hardtanh", limit, input, inplace)


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
    return applied("elu", lambda x: exponential_linear(x, alpha=float(alpha)), input, inplace)
