"""Mean squared error."""

from minigrad.errors import value_error
from minigrad.tensor import Tensor
from nn.functional.cross_entropy import reduce_losses


def mse_loss(input: Tensor, target, reduction: str = "mean") -> Tensor:
    """The mean (or "sum", or "none") of the squared differences.

    Shapes    input and target alike
    Raises    ValueError if the shapes differ, where broadcasting would hide a mistake.
    Source    `torch.nn.functional.mse_loss`
    """
    if input.shape != target.shape:
        raise value_error("mse_loss", f"target {input.shape}", target.shape)
    difference = input - target
    return reduce_losses("mse_loss", difference * difference, reduction, max(difference.numel(), 1))
