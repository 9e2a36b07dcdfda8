"""The softplus, a smooth maximum of x and 0, and the logarithm of the sigmoid."""

from minigrad.backend import namespace
from minigrad.functions import stack, where, zeros_like
from minigrad.tensor import Tensor, op


def log_sigmoid_reference(x):
    """The definition, in Tensor arithmetic: what `log_sigmoid` must equal."""
    return -stack([zeros_like(x), -x]).logsumexp(0)


@op(reference=log_sigmoid_reference)
def log_sigmoid(x):
    """log(1 / (1 + e^-x)), finite at any size of x.

        y = min(x, 0) - log(1 + e^-|x|)

    Shapes    x any -> the same
    Saves     below
    Backward  dy/dx = 1 - s(x) = s(-x), the sigmoid of -x: with e = e^-|x|, 1 / (1 + e) for negative x and
              e / (1 + e) for others.
    """
    xp = namespace(x)
    e = xp.exp(-abs(x))
    below = xp.where(x < 0, xp.ones_like(e), e) / (1.0 + e)  # s(-x)
    return xp.minimum(x, 0.0) - xp.log1p(e), lambda dy: (dy * below,)


def smooth_relu_reference(x, *, beta=1.0, threshold=20.0):
    """The definition, in Tensor arithmetic: what `smooth_relu` must equal."""
    linear = x._data * beta > threshold
    scaled = x.masked_fill(linear, 0.0) * beta
    return where(linear, x, stack([zeros_like(x), scaled]).logsumexp(0) / beta)


@op(reference=smooth_relu_reference)
def smooth_relu(x, *, beta=1.0, threshold=20.0):
    """log(1 + e^(beta x)) / beta, and x itself where beta x is above the threshold.

    Shapes    x any -> the same
    Saves     slope
    Backward  dy/dx = e^(beta x) / (1 + e^(beta x)), the sigmoid of beta x; 1 above the threshold.
    Source    `torch.nn.functional.softplus`
    """
    xp = namespace(x)
    z, linear = x * beta, x * beta > threshold
    e = xp.exp(-abs(z))
    slope = xp.where(linear, xp.ones_like(e), xp.where(z < 0, e, xp.ones_like(e)) / (1.0 + e))
    return xp.where(linear, x, (xp.maximum(z, 0.0) + xp.log1p(e)) / beta), lambda dy: (dy * slope,)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + e^-x)), exact where the sigmoid itself would round to 0."""
    return log_sigmoid(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x itself where beta x is above the threshold."""
    return smooth_relu(input, beta=float(beta), threshold=float(threshold))
