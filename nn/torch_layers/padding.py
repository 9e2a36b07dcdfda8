"""Longer axes as layers: constants, mirror images, the outermost elements, or the other end."""

from typing import Any

from minigrad.tensor import Tensor
from nn import functional as F
from nn.functional.windows import per_axis
from nn.inspection import settings
from nn.module import Module


class _Pad(Module):
    """What all have: how many elements, (before, after) of the last axis, then of the one before it."""

    axes, mode = 1, "constant"

    def __init__(self, padding: Any) -> None:
        self.padding = per_axis(
            type(self).__name__, "padding", padding, 2 * self.axes, -(2**31), spread=False
        )
        self.value: float | None = 0.0 if self.mode == "constant" else None

    def forward(self, input: Tensor) -> Tensor:
        """Lengthen the last axes of input."""
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """Show how many elements."""
        return str(self.padding)


class ConstantPad1d(_Pad):
    """`value` around the last axis."""

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """Show how many elements of what."""
        return settings(self, "padding", "value")


class ConstantPad2d(ConstantPad1d):
    """`value` around the last two axes."""

    axes = 2


class ZeroPad1d(_Pad):
    """Zeros around the last axis."""


class ZeroPad2d(_Pad):
    """Zeros around the last two axes."""

    axes = 2


class ReflectionPad1d(_Pad):
    """The last axis mirrored at its outermost elements."""

    mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """The last two axes mirrored at their outermost elements."""

    axes = 2


class ReplicationPad1d(_Pad):
    """The outermost elements of the last axis repeated."""

    mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """The outermost elements of the last two axes repeated."""

    axes = 2
