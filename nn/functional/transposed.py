"""What convolution is made of, as operations of their own: windows as columns, and its transpose."""

import math
from typing import Any

from minigrad.errors import value_error
from minigrad.functions import stack
from minigrad.tensor import Tensor
from nn.functional.convolution import checked_convolve
from nn.functional.vectors import pad
from nn.functional.windows import lengths_of, per_axis, windows


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """What each window over the last two axes sees, as a column.

    Shapes    input (N, C, H, W) or (C, H, W) -> (N, C K J, P) or (C K J, P), for P places of a window (K, J)
    Raises    ValueError for another number of axes, or a window that fits nowhere.
    Source    `torch.nn.functional.unfold`
    """
    if input.ndim not in (3, 4):
        raise value_error("unfold", "input of 3 or 4 axes", tuple(input.shape))
    kernel, dilation, padding, stride = (
        per_axis("unfold", name, value, 2, least)
        for name, value, least in (
            ("kernel_size", kernel_size, 1),
            ("dilation", dilation, 1),
            ("padding", padding, 0),
            ("stride", stride, 1),
        )
    )
    x = pad(input, [padding[1], padding[1], padding[0], padding[0]])
    count = lengths_of("unfold", x.shape[-2:], kernel, stride, dilation)
    seen = [x[(..., *place)] for _, place in windows(kernel, count, stride, dilation)]
    columns = stack(seen, -3)  # (N, C, K J, P, Q)
    return columns.reshape(*input.shape[:-3], input.shape[-3] * math.prod(kernel), math.prod(count))


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv1d`; see `conv_transpose2d`."""
    return _transposed(
        "conv_transpose1d", 1, input, weight, bias, (stride, padding, output_padding, groups, dilation)
    )


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv2d` as a linear map: each element of input is spread over a window of the output.

    That is a convolution with the window turned round, after stride - 1 zeros between the elements and
    d (K - 1) - padding around them.

    Shapes    input (N, C, H, W) or (C, H, W), weight (C, O / groups, K, J) -> (N, O, P, Q) or (O, P, Q)
    Source    `torch.nn.functional.conv_transpose2d`
    """
    return _transposed(
        "conv_transpose2d", 2, input, weight, bias, (stride, padding, output_padding, groups, dilation)
    )


def _transposed(name: str, axes: int, x: Tensor, weight: Tensor, bias: Tensor | None, how: tuple) -> Tensor:
    stride, padding, extra, dilation = (
        per_axis(name, word, value, axes, least)
        for word, value, least in zip(
            ("stride", "padding", "output_padding", "dilation"), (*how[:3], how[4]), (1, 0, 0, 1)
        )
    )
    groups, (inner, width, *kernel) = how[3], weight.shape
    if any(more >= max(s, d) for more, s, d in zip(extra, stride, dilation)):
        raise value_error(name, "output_padding below stride or dilation", extra)
    if x.shape[-axes - 1] != inner or inner % groups:
        raise value_error(name, f"input (N, {inner}, ...) for weight {tuple(weight.shape)}", tuple(x.shape))
    for axis, s in zip(range(-axes, 0), stride):
        x = _spread(x, axis, s)
    sides = [(d * (k - 1) - p, d * (k - 1) - p + e) for d, k, p, e in zip(dilation, kernel, padding, extra)]
    x = pad(x, [n for pair in reversed(sides) for n in pair])
    turned = weight[(..., *[slice(None, None, -1)] * axes)]
    turned = turned.reshape(groups, inner // groups, width, *kernel).swapaxes(1, 2)
    turned = turned.reshape(groups * width, inner // groups, *kernel)
    return checked_convolve(name, axes, x, turned, bias, (1, 0, dilation, groups))


def _spread(x: Tensor, axis: int, stride: int) -> Tensor:
    """Return x with stride - 1 zeros between its elements along an axis, counted from the end."""
    if stride == 1:
        return x
    lengths = list(x.shape)
    lengths[axis] *= stride
    x = pad(x.unsqueeze(x.ndim + axis + 1), [0, 0] * (-axis - 1) + [0, stride - 1]).reshape(lengths)
    return x[(..., slice(0, lengths[axis] - stride + 1), *[slice(None)] * (-axis - 1))]
