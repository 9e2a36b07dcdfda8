"""Convolution and pooling as layers."""

import math
from typing import Any

import numpy as np

from minigrad import random
from minigrad.errors import check_shape, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import functional as F
from nn.functional.convolution import padding_of
from nn.functional.windows import per_axis
from nn.inspection import settings
from nn.module import Module, Parameter

MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What both have: sizes, weight and bias, uniform in +-1/sqrt(fan_in) as in PyTorch."""

    axes: int
    padding: Any

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Generator | None = None,
    ) -> None:
        where, axes = type(self).__name__, self.axes
        in_channels, out_channels, groups = check_shape(where, (in_channels, out_channels, groups))
        if groups < 1 or in_channels % groups or out_channels % groups:
            got = f"{in_channels} and {out_channels} for {groups}"
            raise value_error(where, "in_channels and out_channels divisible by groups", got)
        if padding_mode not in MODES:
            raise value_error(where, f"one of {', '.join(MODES)} for padding_mode", repr(padding_mode))
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(where, "kernel_size", kernel_size, axes, spread=False)
        self.stride = per_axis(where, "stride", stride, axes)
        self.dilation = per_axis(where, "dilation", dilation, axes)
        self.sides = padding_of(where, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else tuple(n for n, _ in self.sides)
        self.padding_mode = padding_mode
        rng, dtype = rng or random.default_generator(), dtype or np.float32
        fan_in = in_channels // groups * math.prod(self.kernel_size)
        bound = 1 / math.sqrt(fan_in)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(rng.uniform(-bound, bound, shape, dtype))
        self.bias = Parameter(rng.uniform(-bound, bound, (out_channels,), dtype)) if bias else None
        if device is not None:
            self.to(device)

    def forward(self, input: Tensor) -> Tensor:
        """Slide the windows over input."""
        convolve, padding = (F.conv1d, F.conv2d)[self.axes - 1], self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, [n for pair in reversed(self.sides) for n in pair], self.padding_mode)
            padding = 0
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """Show the sizes, and what is unusual."""
        shown = f"{self.in_channels}, {self.out_channels}, {settings(self, 'kernel_size', 'stride')}"
        usual: dict[str, Any] = {"padding": (0,) * self.axes, "dilation": (1,) * self.axes, "groups": 1}
        for name, value in (usual | {"bias": True, "padding_mode": "zeros"}).items():
            own = self.bias is not None if name == "bias" else getattr(self, name)
            shown += "" if own == value else f", {name}={own}"
        return shown


class Conv1d(_Conv):
    """A linear map of what a window sees, at each of its places along the last axis; see `nn.functional.conv1d`.

    Shapes    input (N, C, L) or (C, L) -> (N, out_channels, P) or (out_channels, P);
              weight (out_channels, C / groups, kernel_size)
    Random    weight, then bias, as PyTorch
    """

    axes = 1


class Conv2d(_Conv):
    """A linear map of what a window sees, at each of its places on the last two axes; see `nn.functional.conv2d`.

    Shapes    input (N, C, H, W) or (C, H, W) -> (N, out_channels, P, Q) or (out_channels, P, Q)
    Random    weight, then bias, as PyTorch
    """

    axes = 2


class _MaxPool(Module):
    """What both have: the window."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def _pool(self, pool: Any, input: Tensor) -> Tensor:
        place = (self.kernel_size, self.stride, self.padding, self.dilation)
        return pool(input, *place, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        """Show the window."""
        return settings(self, "kernel_size", "stride", "padding", "dilation", "ceil_mode")


class MaxPool1d(_MaxPool):
    """The largest element of each window along the last axis."""

    def forward(self, input: Tensor) -> Tensor:
        """Pool input (N, C, L)."""
        return self._pool(F.max_pool1d, input)


class MaxPool2d(_MaxPool):
    """The largest element of each window over the last two axes."""

    def forward(self, input: Tensor) -> Tensor:
        """Pool input (N, C, H, W)."""
        return self._pool(F.max_pool2d, input)


class AvgPool1d(Module):
    """The mean of each window along the last axis."""

    kernel_size: Any
    stride: Any
    padding: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        stride = kernel_size if stride is None else stride
        windows = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        for name, value in windows.items():
            setattr(self, name, per_axis("AvgPool1d", name, value, 1, 0))
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """Pool input (N, C, L)."""
        place = (self.kernel_size, self.stride, self.padding)
        return F.avg_pool1d(input, *place, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        """Show the window."""
        return settings(self, "kernel_size", "stride", "padding")


class AvgPool2d(Module):
    """The mean of each window over the last two axes."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size, self.padding, self.ceil_mode = kernel_size, padding, ceil_mode
        self.stride = kernel_size if stride is None else stride
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Pool input (N, C, H, W)."""
        place = (self.kernel_size, self.stride, self.padding)
        rest = (self.ceil_mode, self.count_include_pad, self.divisor_override)
        return F.avg_pool2d(input, *place, *rest)

    def extra_repr(self) -> str:
        """Show the window."""
        return settings(self, "kernel_size", "stride", "padding")


class _AdaptiveAvgPool(Module):
    """What both have: the lengths of the output."""

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def extra_repr(self) -> str:
        """Show the lengths."""
        return settings(self, "output_size")


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of `output_size` windows that cover the last axis."""

    def forward(self, input: Tensor) -> Tensor:
        """Pool input (N, C, L)."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of windows that cover the last two axes, `output_size` of them along each."""

    def forward(self, input: Tensor) -> Tensor:
        """Pool input (N, C, H, W)."""
        return F.adaptive_avg_pool2d(input, self.output_size)
