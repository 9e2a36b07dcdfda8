"""Losses as modules: each holds the settings of a function of `nn.functional`, under PyTorch's arguments."""

from typing import Any

from minigrad.errors import value_error
from minigrad.tensor import Tensor
from nn import functional as F
from nn.functional.arguments import reduction_of
from nn.module import Buffer, Module


class _Loss(Module):
    """What all have: `reduction`, which PyTorch's older size_average and reduce may say instead."""

    reduction: str

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        self.reduction = reduction_of(type(self).__name__, size_average, reduce, reduction)

    def _set(self, **options: Any) -> None:
        """Take the settings; weights become buffers, but are not saved unless they are given."""
        for name, value in options.items():
            is_weight = name in ("weight", "pos_weight") and value is not None
            setattr(self, name, Buffer(value) if is_weight else value)


class CrossEntropyLoss(_Loss):
    """Cross-entropy between logits and class ids, or probabilities; see `nn.functional.cross_entropy`.

    Shapes    input (V,), (N, V) or (N, V, ...), target the same without V -> a scalar, or like
              target for reduction="none"; weight (V,)
    Units     nats per token
    """

    weight: Buffer | None
    ignore_index: int
    label_smoothing: float

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        if not 0 <= label_smoothing <= 1:
            raise value_error("CrossEntropyLoss", "0 <= label_smoothing <= 1", label_smoothing)
        super().__init__(size_average, reduce, reduction)
        self._set(weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare logits with class ids."""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_Loss):
    """Minus the log-probability of each target; see `nn.functional.nll_loss`."""

    weight: Buffer | None
    ignore_index: int

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self._set(weight=weight, ignore_index=ignore_index)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare log-probabilities with class ids."""
        options: dict[str, Any] = {"ignore_index": self.ignore_index, "reduction": self.reduction}
        return F.nll_loss(input, target, self.weight, **options)


class MSELoss(_Loss):
    """The mean (or "sum", or "none") of the squared differences.

    Shapes    input and target alike
    """

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare input with target."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The mean (or "sum", or "none") of the absolute differences."""

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare input with target."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squares below beta, absolute differences above; see `nn.functional.smooth_l1_loss`."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare input with target."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Squares up to delta, straight lines above; see `nn.functional.huber_loss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare input with target."""
        return F.huber_loss(input, target, self.reduction, self.delta)


class KLDivLoss(_Loss):
    """The divergence of log-probabilities from a target distribution; see `nn.functional.kl_div`."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, "mean" if reduction == "batchmean" else reduction)
        self.reduction = reduction if reduction == "batchmean" else self.reduction
        self.log_target = log_target

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare log-probabilities with probabilities, or, with log_target, with log-probabilities."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class BCELoss(_Loss):
    """Cross-entropy between probabilities of yes and targets; see `nn.functional.binary_cross_entropy`."""

    weight: Buffer | None

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self._set(weight=weight)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare probabilities with targets."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """`BCELoss` of sigmoid(input), finite at any size of input."""

    weight: Buffer | None
    pos_weight: Buffer | None

    def __init__(
        self,
        weight: Any = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Any = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self._set(weight=weight, pos_weight=pos_weight)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        """Compare logits with targets."""
        options: dict[str, Any] = {"reduction": self.reduction, "pos_weight": self.pos_weight}
        return F.binary_cross_entropy_with_logits(input, target, self.weight, **options)
