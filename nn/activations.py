"""Layers without parameters that act on each element, or along one axis."""

from typing import Any

from minigrad.tensor import Tensor
from nn import functional as F
from nn.module import Module


class Identity(Module):
    """y = x, whatever it was constructed with."""

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        """Return x."""
        return x


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each element."""
        return x.relu()


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each element."""
        return x.tanh()


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each element."""
        return x.sigmoid()


class Softmax(Module):
    """Probabilities along `dim`.

    Shapes    x any -> the same
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Turn scores into probabilities."""
        return F.softmax(x, axis=self.dim)

    def extra_repr(self) -> str:
        """Show the axis."""
        return f"dim={self.dim}"
