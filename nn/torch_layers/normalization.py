"""Normalisation without a mean."""

from typing import Any

import numpy as np

from minigrad.errors import check_shape
from minigrad.tensor import Tensor
from nn import functional as F
from nn.inspection import settings
from nn.module import Module, Parameter


class RMSNorm(Module):
    """Divide by the root of the mean square over the last axes, then scale by `weight`.

    Shapes    x (..., *normalized_shape) -> the same
    Source    Zhang and Sennrich 2019, arXiv:1910.07467
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        shape = check_shape("RMSNorm", (normalized_shape,))
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(np.ones(shape, dtype or np.float32)) if elementwise_affine else None
        if device is not None:
            self.to(device)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise input (..., *normalized_shape)."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Show the shape and what is learned."""
        return f"{self.normalized_shape}, {settings(self, 'eps', 'elementwise_affine')}"
