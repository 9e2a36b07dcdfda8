"""Cross-entropy of logits."""

import math

from minigrad.backend import finite_max, namespace, sum_rows
from minigrad.errors import type_error, value_error
from minigrad.tensor import Tensor, op
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


@op(reference=nll_reference)
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
    Raises    ValueError for targets outside 0..V-1 that are not ignore_index; TypeError if not integer.
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
        d = xp.where(used, dl / divisor, 0.0)
        dx = p * d[:, None]
        if label_smoothing:
            dx -= spread * d[:, None]
        dx[rows, safe] -= (1 - label_smoothing) * d  # dx_v = d (p_v - w_v)
        if count < n:
            dx[~used] = 0.0
        return (dx,)

    return loss if reduction == "none" else loss.sum() / divisor, vjp


def cross_entropy(
    input: Tensor, target, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy between logits and integer targets.

    "mean" divides the sum by the number of targets that are not ignored; with none left it is NaN,
    as in PyTorch.

    Shapes    input (V,), (N, V) or (N, V, ...), target the same without V -> a scalar, or like
              target for reduction="none"
    Units     nats per token
    Raises    ValueError for shapes that do not fit, targets outside 0..V-1, an unknown reduction;
              TypeError for targets that are not integers.
    Source    `torch.nn.functional.cross_entropy`
    """
    if not hasattr(target, "dtype"):
        target = namespace(input.array).asarray(target)
    if target.dtype.kind not in "iu":
        raise type_error("cross_entropy", "integer targets", target.dtype, "pass class ids")
    shape = (input.shape[0], *input.shape[2:]) if input.ndim > 1 else ()
    if input.ndim == 0 or tuple(target.shape) != shape:
        expected, got = f"target {shape} for input {input.shape}", f"target {target.shape}"
        hint = "flatten (B, T, V) logits to (B*T, V) and targets to (B*T,)"
        raise value_error("cross_entropy", expected, got, hint)
    if not 0 <= label_smoothing <= 1:
        raise value_error("cross_entropy", "0 <= label_smoothing <= 1", label_smoothing)
    if input.ndim > 2:
        input = input.permute(0, *range(2, input.ndim), 1)
    logits = input.reshape(-1, input.shape[-1]) if input.ndim != 2 else input
    options = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, "reduction": reduction}
    loss = nll(logits, targets=target.reshape(-1), **options)  # (N,), or a scalar
    return loss.reshape(shape) if reduction == "none" and loss.shape != shape else loss


def loss_divisor(where, reduction, count):
    """Return what the sum of the losses is divided by: their number for a mean (NaN for none), else 1."""
    if reduction not in ("mean", "sum", "none"):
        raise value_error(where, '"mean", "sum" or "none" for reduction', repr(reduction))
    return (count or math.nan) if reduction == "mean" else 1
