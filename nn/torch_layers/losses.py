"""Losses as modules."""

from typing import Any

from minigrad.errors import value_error
from minigrad.tensor import Tensor
from nn import functional as F
from nn.functional.cross_entropy import loss_divisor
from nn.module import Module


class CrossEntropyLoss(Module):
    """Cross-entropy between logits and integer targets; see `nn.functional.cross_entropy`.

    Shapes    input (V,), (N, V) or (N, V, ...), target the same without V -> a scalar, or like
              target for reduction="none"
    Units     nats per token
    """

    def __init__(
        self, *, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        if not 0 <= label_smoothing <= 1:
            raise value_error("CrossEntropyLoss", "0 <= label_smoothing <= 1", label_smoothing)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.reduction = reduction
        loss_divisor("CrossEntropyLoss", reduction, 1)  # is there such a reduction?

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare logits with class ids."""
        return F.cross_entropy(input, target, self.ignore_index, self.reduction, self.label_smoothing)


class MSELoss(Module):
    """The mean (or "sum", or "none") of the squared differences.

    Shapes    input and target alike
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction
        loss_divisor("MSELoss", reduction, 1)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare input with target."""
        return F.mse_loss(input, target, self.reduction)
