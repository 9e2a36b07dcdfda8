"""PyTorch's losses between numbers and numbers, each in Tensor arithmetic, and under its signatures."""

from typing import Any

from minigrad.errors import value_error
from minigrad.functions import where
from minigrad.tensor import Tensor
from nn.foreign import array_beside
from nn.functional.arguments import broadcast, reduced, reduction_of, same_shape
from nn.functional.binary import log_losses
from nn.functional.softplus import log_sigmoid


def mse_loss(
    input: Tensor, target: Any, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Any = None,
) -> Tensor:  # fmt: skip
    """The mean (or "sum", or "none") of the squared differences.

    With a weight for each element, "mean" divides by the sum of the weights.

    Shapes    input, target and weight alike; others are broadcast, with a warning: that often hides a mistake
    Raises    ValueError if the shapes do not broadcast, or weight has another than the differences.
    Source    `torch.nn.functional.mse_loss`
    """
    reduction = reduction_of("mse_loss", size_average, reduce, reduction)
    input, target = broadcast("mse_loss", input, target)
    return _weighted("mse_loss", (input - target) ** 2, weight, reduction)


def l1_loss(
    input: Tensor, target: Any, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Any = None,
) -> Tensor:  # fmt: skip
    """The mean (or "sum", or "none") of the absolute differences; shapes and weight as `mse_loss`."""
    reduction = reduction_of("l1_loss", size_average, reduce, reduction)
    input, target = broadcast("l1_loss", input, target)
    return _weighted("l1_loss", (input - target).abs(), weight, reduction)


def smooth_l1_loss(
    input: Tensor, target: Any, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """d^2 / (2 beta) for differences below beta, |d| - beta / 2 above: squares near 0, never steep.

    Source    Girshick 2015, arXiv:1504.08083, equation 3; `torch.nn.functional.smooth_l1_loss`
    """
    reduction = reduction_of("smooth_l1_loss", size_average, reduce, reduction)
    if beta < 0:
        raise value_error("smooth_l1_loss", "beta >= 0", beta)
    input, target = broadcast("smooth_l1_loss", input, target)
    distance = (input - target).abs()
    if beta > 0:
        square = distance * distance * (0.5 / beta)
        distance = where(distance._data < beta, square, distance - 0.5 * beta)
    return reduced(distance, reduction)


def huber_loss(
    input: Tensor, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Tensor:
    """d^2 / 2 for differences up to delta, delta (|d| - delta / 2) above: `smooth_l1_loss` times delta.

    With a weight for each element, "mean" divides by the number of elements, as PyTorch's does here alone.

    Source    Huber 1964; `torch.nn.functional.huber_loss`
    """
    reduction = reduction_of("huber_loss", None, None, reduction)
    if delta <= 0:
        raise value_error("huber_loss", "delta > 0", delta)
    input, target = broadcast("huber_loss", input, target)
    distance = (input - target).abs()
    losses = where(distance._data <= delta, distance * distance * 0.5, (distance - 0.5 * delta) * delta)
    return reduced(losses if weight is None else _times("huber_loss", losses, weight)[0], reduction)


def kl_div(
    input: Tensor, target: Any, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """The divergence of the distribution `input`, given as logarithms, from `target`.

        l = t (log t - x), 0 where t = 0;   with log_target, t is given as its logarithm

    "mean" divides by the number of elements; the divergence itself is "batchmean", divided by the rows.

    Shapes    input and target broadcast together
    Units     nats
    Source    `torch.nn.functional.kl_div`
    """
    batchmean = reduction == "batchmean"
    reduction = reduction_of("kl_div", size_average, reduce, "sum" if batchmean else reduction)
    rows = input.shape[0] if input.ndim else 1
    input, target = broadcast("kl_div", input, target, warn=False)
    if log_target:
        losses = target.exp() * (target - input)
    else:
        zero = target._data == 0
        logs = target.masked_fill(zero, 1.0).log()
        losses = target * logs - target * input
    loss = reduced(losses, reduction)
    return loss / rows if batchmean else loss


def binary_cross_entropy(
    input: Tensor, target: Any, weight: Any = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Cross-entropy between the probabilities `input` and the targets; see `log_losses`.

    Shapes    input, target, both within 0..1, alike; weight broadcasts to them
    Units     nats
    Raises    ValueError for a probability outside 0..1, or shapes that differ.
    Source    `torch.nn.functional.binary_cross_entropy`
    """
    name = "binary_cross_entropy"
    reduction = reduction_of(name, size_average, reduce, reduction)
    losses = log_losses(input, same_shape(name, input, target))
    return reduced(losses if weight is None else losses * _operand(input, weight), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Any, weight: Any = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Any = None,
) -> Tensor:  # fmt: skip
    """Cross-entropy between the probabilities sigmoid(input) and the targets, finite at any size of input.

        l = -w (q t log s(x) + (1 - t) log s(-x)),   log s(-x) = log s(x) - x,   q = pos_weight

    Shapes    input and target alike; weight and pos_weight broadcast to them
    Units     nats
    Source    `torch.nn.functional.binary_cross_entropy_with_logits`
    """
    name = "binary_cross_entropy_with_logits"
    reduction = reduction_of(name, size_average, reduce, reduction)
    t, log_s = same_shape(name, input, target), log_sigmoid(input)
    if pos_weight is None:
        losses = input * (1.0 - t) - log_s
    else:
        losses = input * (1.0 - t) - log_s * ((_operand(input, pos_weight) - 1.0) * t + 1.0)
    return reduced(losses if weight is None else losses * _operand(input, weight), reduction)


def _operand(input: Tensor, value: Any) -> Any:
    """Return a Tensor as it is, anything else as an array of input's dtype."""
    return value if isinstance(value, Tensor) else array_beside(input, value).astype(input.dtype)


def _weighted(name: str, losses: Tensor, weight: Any, reduction: str) -> Tensor:
    """Return the losses, each times its weight; a mean is over the weights."""
    if weight is None:
        return reduced(losses, reduction)
    losses, weight = _times(name, losses, weight)
    return reduced(losses, reduction, float(weight.sum()))


def _times(name: str, losses: Tensor, weight: Any) -> tuple[Tensor, Any]:
    """Return (the losses, each times its weight; the weights)."""
    weight = _operand(losses, weight)
    if tuple(weight.shape) != tuple(losses.shape):
        raise value_error(name, f"weight {tuple(losses.shape)}", tuple(weight.shape))
    return losses * weight, weight
