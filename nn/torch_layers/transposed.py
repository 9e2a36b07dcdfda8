"""The transpose of convolution as layers: from few places to many."""

import math
from typing import Any

import numpy as np

from minigrad import random
from minigrad.errors import check_shape, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import functional as F
from nn.functional.windows import per_axis
from nn.inspection import settings
from nn.module import Module, Parameter


class _ConvTranspose(Module):
    """What both have: sizes, weight and bias, uniform in +-1/sqrt(fan_in) as in PyTorch, whose fan_in is odd here:
    it counts the outputs of a window."""

    axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Generator | None = None,
    ) -> None:
        where = type(self).__name__
        in_channels, out_channels, groups = check_shape(where, (in_channels, out_channels, groups))
        if groups < 1 or in_channels % groups or out_channels % groups:
            got = f"{in_channels} and {out_channels} for {groups}"
            raise value_error(where, "in_channels and out_channels divisible by groups", got)
        if padding_mode != "zeros":
            raise value_error(where, '"zeros" for padding_mode', repr(padding_mode))
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(where, "kernel_size", kernel_size, self.axes, spread=False)
        self.stride = per_axis(where, "stride", stride, self.axes)
        self.dilation = per_axis(where, "dilation", dilation, self.axes)
        self.padding = per_axis(where, "padding", padding, self.axes, 0)
        self.output_padding = per_axis(where, "output_padding", output_padding, self.axes, 0)
        rng, dtype = rng or random.default_generator(), dtype or np.float32
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Parameter(rng.uniform(-bound, bound, shape, dtype))
        self.bias = Parameter(rng.uniform(-bound, bound, (out_channels,), dtype)) if bias else None
        if device is not None:
            self.to(device)

    def forward(self, input: Tensor) -> Tensor:
        """Spread each element of input over a window."""
        spread = (F.conv_transpose1d, F.conv_transpose2d)[self.axes - 1]
        how = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return spread(input, self.weight, self.bias, *how)

    def extra_repr(self) -> str:
        """Show the sizes, and what is unusual."""
        shown = f"{self.in_channels}, {self.out_channels}, {settings(self, 'kernel_size', 'stride')}"
        none = (0,) * self.axes
        usual: dict[str, Any] = {"padding": none, "dilation": (1,) * self.axes, "output_padding": none}
        for name, value in (usual | {"groups": 1, "bias": True}).items():
            own = self.bias is not None if name == "bias" else getattr(self, name)
            shown += "" if own == value else f", {name}={own}"
        return shown


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`; see `nn.functional.conv_transpose2d`.

    Shapes    input (N, C, L) or (C, L) -> (N, out_channels, P) or (out_channels, P)
    Random    weight, then bias, as PyTorch
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`; see `nn.functional.conv_transpose2d`.

    Shapes    input (N, C, H, W) or (C, H, W) -> (N, out_channels, P, Q) or (out_channels, P, Q)
    Random    weight, then bias, as PyTorch
    """

    axes = 2
