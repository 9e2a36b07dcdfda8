"""Softmax and its logarithm."""

from minigrad.backend import finite_max, namespace
from minigrad.tensor import op


def softmax_reference(x, *, axis=-1):
    """The definition, in Tensor arithmetic: what `softmax` must equal for finite x."""
    return (x - x.logsumexp(axis=axis, keepdims=True)).exp()


@op(reference=softmax_reference, gpu=True)
def softmax(x, *, axis=-1):
    """Turn scores into probabilities along `axis`.

        p_i = e^(x_i - m) / sum_j e^(x_j - m),   m = max x, which cancels and keeps exp finite

    A row of -inf alone, nothing being allowed, gives zeros and zero gradients, not NaN.

    Shapes    x any -> the same
    Saves     p
    Backward  dp_i/dx_j = p_i (1[i = j] - p_j), so dx = p * (dp - sum_j dp_j p_j).
    """
    xp = namespace(x)
    p = xp.exp(x - finite_max(x, axis))
    total = p.sum(axis=axis, keepdims=True)
    p /= total + (total == 0)

    def vjp(dp):
        dx = dp * p
        dx -= p * dx.sum(axis=axis, keepdims=True)
        return (dx,)

    return p, vjp


def log_softmax_reference(x, *, axis=-1):
    """The definition, in Tensor arithmetic: what `log_softmax` must equal for finite x."""
    return x - x.logsumexp(axis=axis, keepdims=True)


@op(reference=log_softmax_reference)
def log_softmax(x, *, axis=-1):
    """The logarithm of softmax, exact where the probability itself would round to zero.

        l_i = x_i - m - log sum_j e^(x_j - m),   m = max x

    Shapes    x any -> the same
    Saves     out
    Backward  dl_i/dx_j = 1[i = j] - p_j with p = e^l, so dx = dl - p * sum_j dl_j.
    """
    xp = namespace(x)
    out = x - finite_max(x, axis)
    total = xp.exp(out).sum(axis=axis, keepdims=True)
    out -= xp.log(total + (total == 0))

    def vjp(dl):
        return (dl - xp.exp(out) * dl.sum(axis=axis, keepdims=True),)

    return out, vjp
