"""Cross-entropy of probabilities, element by element."""

import numpy as np

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.functions import where
from minigrad.tensor import op

LEAST = -100.0  # of a logarithm
SMALL = float(np.float32(1e-12))  # of x (1 - x), by which the gradient is divided


def log_losses_reference(x, target):
    """The definition, in Tensor arithmetic: what `log_losses` must equal, and its gradients at 0 and 1."""
    at, edge = x.detach(), x._data * (1.0 - x._data) < SMALL
    inside = x.masked_fill(edge, 0.5)
    losses = -(target * inside.log() + (1.0 - target) * (1.0 - inside).log())
    yes, no = _logarithms(x._data)
    ends = (at - target) / SMALL * (x - at) - (target * yes + (1.0 - target) * no)
    return where(edge, ends, losses)


@op(reference=log_losses_reference)
def log_losses(x, target):
    """Minus the log-probability of a yes (target 1) or a no (0), if x is the probability of yes.

        l = -(t log x + (1 - t) log(1 - x)),   no logarithm being less than -100

    Shapes    x and target alike -> the same
    Units     nats
    Saves     x, target, yes, no
    Backward  dl/dx = -t / x + (1 - t) / (1 - x) = (x - t) / (x (1 - x)), where the denominator is at least
              1e-12, so that a certain mistake has a large gradient, not an infinite one;
              dl/dt = log(1 - x) - log x, with the same limit (PyTorch's is infinite at 0 and 1).
    Raises    ValueError if x is outside 0..1.
    Source    PyTorch's `binary_cross_entropy`, limits included
    """
    xp = namespace(x)
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        hint = "pass probabilities, sigmoid(logits), or use binary_cross_entropy_with_logits"
        raise value_error("binary_cross_entropy", "input in 0..1", f"{x.min()}..{x.max()}", hint)
    yes, no = _logarithms(x)

    def vjp(dl):
        return dl * (x - target) / xp.maximum(x * (1.0 - x), SMALL), dl * (no - yes)

    return (target - 1.0) * no - target * yes, vjp


def _logarithms(x):
    """Return (log x, log(1 - x)), both at least -100."""
    xp = namespace(x)
    with np.errstate(divide="ignore"):
        return xp.maximum(xp.log(x), LEAST), xp.maximum(xp.log1p(-x), LEAST)
