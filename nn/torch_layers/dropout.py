"""Dropout of whole channels."""

from minigrad.errors import check_probability
from minigrad.tensor import Tensor
from nn import functional as F
from nn.inspection import settings
from nn.module import Module


class Dropout2d(Module):
    """Zero whole channels with probability `p` while training, scaling the rest by 1 / (1 - p).

    Shapes    input (N, C, H, W) -> the same
    Random    one number for each (n, c) at every forward pass in training
    Source    Tompson et al. 2015, arXiv:1411.4280
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        self.p, self.inplace = check_probability("Dropout2d", p), inplace

    def forward(self, input: Tensor) -> Tensor:
        """Drop channels of input in training; return it as it is otherwise."""
        return F.dropout2d(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Show the probability."""
        return settings(self, "p", "inplace")
