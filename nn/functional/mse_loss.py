"""Mean squared error."""

from minigrad.errors import value_error
from minigrad.tensor import Tensor
from nn.functional.cross_entropy import loss_divisor


def mse_loss(input: Tensor, target, reduction: str = "mean") -> Tensor:
    """The mean (or "sum", or "none") of the squared differences.

    Shapes    input and target alike
    Raises    ValueError if the shapes differ, where broadcasting would hide a mistake.
    Source    `torch.nn.functional.mse_loss`
    """
    if input.shape != target.shape:
        raise value_error("mse_loss", f"target {tuple(input.shape)}", target.shape)
    squares = (input - target) ** 2
    divisor = loss_divisor("mse_loss", reduction, max(input.numel(), 1))
    return squares if reduction == "none" else squares.sum() / divisor
