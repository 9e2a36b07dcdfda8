"""Cross-entropy of logits."""

import math

from minigrad.backend import finite_max, namespace, sum_rows
from minigrad.errors import value_error
from minigrad.tensor import op
from nn.functional.embedding import check_ids


def nll_reference(logits, *, targets, ignore_index=-100, label_smoothing=0.0, reduction="none"):
    """The definition, in Tensor arithmetic: what `nll` must equal."""
    xp = namespace(logits.array)
    logp = logits - logits.logsumexp(axis=-1, keepdims=True)
    used = targets != ignore_index
    one_hot = xp.arange(logits.shape[-1]) == targets[:, None]
    wanted = (1 - label_smoothing) * one_hot + label_smoothing / logits.shape[-1]
    weighted = logp.masked_fill(wanted == 0, 0.0) * wanted.astype(logits.dtype)
    losses = (-weighted.sum(axis=-1)).masked_fill(~used, 0.0)
    return losses if reduction == "none" else losses.sum() / loss_divisor("nll", reduction, int(used.sum()))


@op(reference=nll_reference, gpu=True)
def nll(logits, *, targets, ignore_index=-100, label_smoothing=0.0, reduction="none"):
    """The loss of each row, minus the log-probability of its target; or their sum or mean.

        l = lse(x) - sum_v w_v x_v,   lse(x) = log sum_v e^(x_v),   w = (1 - s) onehot(target) + s / V

    with s the label smoothing; lse takes the maximum out first, so it is finite at any size of x.
    The mean is over the rows that are not ignored.

    Shapes    logits (N, V), targets (N,) integers -> l (N,), or a scalar for reduction="sum" or "mean"
    Units     nats per token
    Saves     p, used, rows, safe
    Backward  d(lse)/dx_v = p_v, the softmax, so dx_v = dl (p_v - w_v); 0 in rows that are ignored.
              A sum passes dl on to every row, a mean dl over their number.
    Raises    ValueError for targets outside 0..V-1 that are not ignore_index.
    """
    xp = namespace(logits)
    n, vocabulary = logits.shape
    used = targets != ignore_index
    count = int(xp.count_nonzero(used))
    safe = targets if count == n else xp.where(used, targets, 0)
    check_ids("cross_entropy", safe, vocabulary)
    rows, spread = xp.arange(n), label_smoothing / max(vocabulary, 1)
    divisor = loss_divisor("cross_entropy", reduction, count)

    p = logits - finite_max(logits)
    loss = -(1 - label_smoothing) * p[rows, safe]
    if label_smoothing:
        loss -= spread * sum_rows(p)  # - sum_v w_v (x_v - max x)
    xp.exp(p, out=p)
    total = sum_rows(p)
    loss += xp.log(total)  # lse(x) - max x
    p /= total[:, None]
    if count < n:
        loss[~used] = 0.0  # a product with 0 would be NaN where the loss is infinite

    def vjp(dl):
        d = xp.broadcast_to(dl / divisor, n)
        dx = p * d[:, None]
        if label_smoothing:
            dx -= spread * d[:, None]
        dx[rows, safe] -= (1 - label_smoothing) * d  # dx_v = d (p_v - w_v)
        if count < n:
            dx[~used] = 0.0
        return (dx,)

    return loss if reduction == "none" else loss.sum() / divisor, vjp


def loss_divisor(where, reduction, count):
    """Return what the sum of the losses is divided by: their number for a mean (NaN for none), else 1."""
    if reduction not in ("mean", "sum", "none"):
        raise value_error(where, '"mean", "sum" or "none" for reduction', repr(reduction))
    return (count or math.nan) if reduction == "mean" else 1
