"""Losses of class ids whose classes have weights, and of probabilities of the classes: plain Tensor arithmetic."""

from typing import Any

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.tensor import Tensor
from nn.foreign import array_beside
from nn.functional.arguments import reduced, reduction_of, same_shape
from nn.functional.embedding import as_ids, check_ids
from nn.functional.softmax import log_softmax


def nll_loss(
    input: Tensor, target: Any, weight: Any = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Minus the log-probability of each target: `cross_entropy` is this after `log_softmax`.

        l_n = -w_t x_nt,   t = target_n

    "mean" divides their sum by that of the weights w_t, those of the targets that are not ignored.

    Shapes    input (V,), (N, V) or (N, V, ...), target integers, the same without V; weight (V,) or None
              -> a scalar, or like target for reduction="none"
    Units     nats
    Source    `torch.nn.functional.nll_loss`
    """
    reduction = reduction_of("nll_loss", size_average, reduce, reduction)
    logp, ids, shape = rows_of_classes("nll_loss", input, target)
    weight = class_weights("nll_loss", input, weight)
    losses, total = picked_losses("nll_loss", logp, ids, weight, ignore_index)
    return reduced(losses.reshape(shape), reduction, total)


def rows_of_classes(where: str, input: Tensor, target: Any) -> tuple[Tensor, Any, tuple[int, ...]]:
    """Return input as (rows, V), the ids as (rows,), and the shape of the targets.

    Raises    ValueError for shapes that do not fit; TypeError for targets that are no integers.
    """
    target = as_ids(where, target, input)
    shape = (input.shape[0], *input.shape[2:]) if input.ndim > 1 else ()
    if input.ndim == 0 or tuple(target.shape) != shape:
        expected = f"target {shape} for input {tuple(input.shape)}"
        hint = "flatten (B, T, V) logits to (B*T, V) and targets to (B*T,)"
        raise value_error(where, expected, f"target {tuple(target.shape)}", hint)
    if input.ndim > 2:
        input = input.permute(0, *range(2, input.ndim), 1)
    rows = input if input.ndim == 2 else input.reshape(target.size, input.shape[-1])
    return rows, target.reshape(-1), shape


def class_weights(where: str, input: Tensor, weight: Any) -> Any:
    """Return the weight of each class as an array (V,) like input, or None."""
    if weight is None:
        return None
    weight, V = array_beside(input, weight), input.shape[1 if input.ndim > 1 else 0]
    if tuple(weight.shape) != (V,):
        raise value_error(where, f"weight ({V},), one for each class", tuple(weight.shape))
    return weight.astype(input.dtype)


def picked_losses(
    where: str, logp: Tensor, ids: Any, weight: Any, ignore_index: int, label_smoothing: float = 0.0
) -> tuple[Tensor, float]:
    """Return (the loss of each row, the sum of the rows' weights), ignored rows being 0.

        l_n = (1 - s) w_t (-x_nt) + s / V sum_v w_v (-x_nv)

    Shapes    logp (N, V), ids (N,), weight (V,) or None -> (N,)
    """
    xp, (N, V) = namespace(logp._data), logp.shape
    used = ids != ignore_index
    safe = xp.where(used, ids, 0)
    check_ids(where, safe, V)
    of_class = xp.ones(V, logp.dtype) if weight is None else weight
    of_row = xp.where(used, of_class[safe], 0.0).astype(logp.dtype)
    losses = logp[xp.arange(N), safe] * -of_row * (1.0 - label_smoothing)
    if label_smoothing:
        losses = losses + (logp * -of_class).sum(-1) * (label_smoothing / V)
    return losses.masked_fill(~used, 0.0), float(of_row.sum())


def holds_floats(target: Any) -> bool:
    """Are these probabilities of the classes, not their ids?"""
    dtype = getattr(target, "dtype", None)
    return "float" in str(dtype)


def soft_losses(where: str, input: Tensor, target: Any, weight: Any, label_smoothing: float) -> Tensor:
    """Return the cross-entropy of each row of logits with probabilities of the classes.

        l_n = -sum_v w_v ((1 - s) q_nv + s / V) log p_nv

    Shapes    input and target (V,), (N, V) or (N, V, ...) -> without V
    """
    q, axis = same_shape(where, input, target), 1 if input.ndim > 1 else 0
    if label_smoothing:
        q = q * (1.0 - label_smoothing) + label_smoothing / input.shape[axis]
    if weight is not None:
        w = class_weights(where, input, weight)
        q = q * w.reshape(-1, *[1] * (input.ndim - 1 - axis))
    return -(log_softmax(input, axis=axis) * q).sum(axis)
