"""Batch normalisation as a layer, with its running statistics."""

from typing import Any

import numpy as np

from minigrad.errors import check_shape, value_error
from minigrad.tensor import Tensor
from nn import functional as F
from nn.inspection import settings
from nn.module import Buffer, Module, Parameter


class _BatchNorm(Module):
    """Normalise each channel over the batch, then scale by `weight` and shift by `bias`.

    In training by the statistics of the batch, which also move `running_mean` and `running_var` by
    the share `momentum` (None: their plain average over all batches); in evaluation by those. With
    track_running_stats=False there are none, and evaluation too uses the batch. `num_batches_tracked`
    counts the batches.

    Shapes    x (N, C, ...) -> the same
    Raises    ValueError for other shapes, or one value per channel in training.
    Source    Ioffe and Szegedy 2015, arXiv:1502.03167
    """

    layouts: dict[int, str]  # by the number of axes

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        kind: Any = dtype or np.float32
        num_features = check_shape(type(self).__name__, (num_features, 1))[0]
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features, kind)) if affine else None
        self.bias = Parameter(np.zeros(num_features, kind)) if affine and bias else None
        self.running_mean = Buffer(np.zeros(num_features, kind)) if track_running_stats else None
        self.running_var = Buffer(np.ones(num_features, kind)) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if track_running_stats else None

        if device is not None:
            self.to(device)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise input (N, C, ...)."""
        if input.ndim not in self.layouts or input.shape[1] != self.num_features:
            layouts = " or ".join(self.layouts.values()).replace("C", str(self.num_features))
            raise value_error(type(self).__name__, f"x {layouts}", f"x {tuple(input.shape)}")
        training = self.training or not self.track_running_stats
        statistics = self.running_mean, self.running_var
        batches, share = self.num_batches_tracked, self.momentum
        if share is None:
            share = 0.0 if batches is None else 1.0 / (batches.item() + 1.0)
        y = F.batch_norm(input, *statistics, self.weight, self.bias, training, share, self.eps)
        if self.training and batches is not None:
            batches.array[...] += 1
        return y

    def extra_repr(self) -> str:
        """Show the size and what is learned and tracked."""
        learned = f"{settings(self, 'eps', 'momentum', 'affine')}, bias={self.bias is not None}"
        return f"{self.num_features}, {learned}, {settings(self, 'track_running_stats')}"


class BatchNorm1d(_BatchNorm):
    """Normalise each channel of x (N, C) or (N, C, L); see `_BatchNorm`."""

    layouts = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of x (N, C, H, W)."""

    layouts = {4: "(N, C, H, W)"}
