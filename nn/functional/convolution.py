"""Convolution along one axis or more."""

import math
from typing import Any

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.tensor import Tensor, op
from nn.functional.vectors import pad
from nn.functional.windows import lengths_of, per_axis, windows


def convolve_reference(x, weight, bias=None, *, stride, padding, dilation, groups):
    """The definition, in Tensor arithmetic: what `convolve` must equal."""
    x = pad(x, [n for pair in reversed(padding) for n in pair])
    (N, _, *lengths), (out, width, *kernel), y = x.shape, weight.shape, None
    count = lengths_of("convolve", lengths, kernel, stride, dilation)
    for place, seen in windows(kernel, count, stride, dilation):
        columns = x[(..., *seen)].reshape(N, groups, width, math.prod(count))
        term = weight[(..., *place)].reshape(groups, out // groups, width) @ columns
        y = term if y is None else y + term
    y = y.reshape(N, out, *count)
    return y if bias is None else y + bias.reshape(-1, *[1] * len(count))


@op(reference=convolve_reference)
def convolve(x, weight, bias=None, *, stride, padding, dilation, groups):
    """Slide a window over the last axes: each place gets a linear map of what the window sees there.

        y_no(p) = b_o + sum_ik W_oi(k) x_ni(s p + d k - before)

    with x zero outside (a convolution proper would turn the window round). Of G groups, the outputs of each
    read their own channels. What the windows see is copied into the columns of one matrix: one product.

    Shapes    x (N, G I, L, ...), weight (G O, I, K, ...), bias (G O,) or None -> y (N, G O, P, ...);
              stride s, dilation d and padding (before, after): for each axis
    Saves     columns, w
    Backward  y = W columns + b is linear in each:  dW = dy columns^T,  db = sum dy,  dcolumns = W^T dy,
              and an element of x gets the sum over all windows that saw it: what the forward pass copied
              out of x, the backward pass adds back to the same places.
    """
    xp, G, N, biased = namespace(x), groups, len(x), bias is not None
    out, width, *kernel = weight.shape
    padded_shape = [n + sum(pair) for n, pair in zip(x.shape[2:], padding)]
    inner = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape[2:], padding))
    count = lengths_of("convolve", padded_shape, kernel, stride, dilation)
    padded = xp.zeros((G * width, *padded_shape, N), x.dtype)
    padded[(slice(None), *inner)] = xp.moveaxis(x, 0, -1)
    columns = xp.empty((G * width, *kernel, *count, N), x.dtype)
    for place, seen in windows(kernel, count, stride, dilation):
        columns[(slice(None), *place)] = padded[(slice(None), *seen)]
    apart, size, places = columns.shape, math.prod(kernel) * width, math.prod(count) * N
    columns, w = columns.reshape(G, size, places), weight.reshape(G, out // G, size)
    y = xp.moveaxis((w @ columns).reshape(out, *count, N), -1, 0)

    def vjp(dy):
        d = xp.moveaxis(dy, 0, -1).reshape(G, out // G, places)
        dcolumns = (w.swapaxes(1, 2) @ d).reshape(apart)
        dpadded = xp.zeros((G * width, *padded_shape, N), dy.dtype)
        for place, seen in windows(kernel, count, stride, dilation):
            dpadded[(slice(None), *seen)] += dcolumns[(slice(None), *place)]
        dx = xp.moveaxis(dpadded[(slice(None), *inner)], -1, 0)
        dweight = d @ columns.swapaxes(1, 2)
        return dx, dweight.reshape(out, width, *kernel), d.sum(axis=2).reshape(out) if biased else None

    return xp.ascontiguousarray(y + bias.reshape(-1, *[1] * len(count)) if biased else y), vjp


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Slide windows along the last axis; see `convolve`. padding="same" keeps its length, "valid" is 0.

    Shapes    input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,) or None -> (N, O, P) or (O, P)
    Raises    ValueError for shapes that do not fit; TypeError for strides and the like that are no whole numbers.
    Source    `torch.nn.functional.conv1d`
    """
    return checked_convolve("conv1d", 1, input, weight, bias, (stride, padding, dilation, groups))


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Slide windows over the last two axes; see `conv1d`.

    Shapes    input (N, C, H, W) or (C, H, W), weight (O, C / groups, K, J) -> (N, O, P, Q) or (O, P, Q)
    """
    return checked_convolve("conv2d", 2, input, weight, bias, (stride, padding, dilation, groups))


def checked_convolve(
    name: str, axes: int, x: Tensor, weight: Tensor, bias: Tensor | None, how: tuple
) -> Tensor:
    """Return `convolve` of input with or without a batch axis; `how` is (stride, padding, dilation, groups), checked here."""
    stride, padding, dilation, groups = how
    if x.ndim not in (axes + 1, axes + 2) or weight.ndim != axes + 2:
        expected = f"input of {axes + 1} or {axes + 2} axes, weight of {axes + 2}"
        raise value_error(name, expected, f"{tuple(x.shape)} and {tuple(weight.shape)}")
    out, width, *kernel = weight.shape
    if groups < 1 or out % groups or x.shape[-axes - 1] != groups * width:
        expected = f"input (N, {groups * width}, ...) for weight {tuple(weight.shape)} and groups={groups}"
        raise value_error(name, expected, tuple(x.shape))
    if bias is not None and tuple(bias.shape) != (out,):
        raise value_error(name, f"bias ({out},)", tuple(bias.shape))
    stride = per_axis(name, "stride", stride, axes)
    dilation = per_axis(name, "dilation", dilation, axes)
    sides = padding_of(name, padding, kernel, stride, dilation)
    batch = x if x.ndim == axes + 2 else x.unsqueeze(0)
    y = convolve(batch, weight, bias, stride=stride, padding=sides, dilation=dilation, groups=groups)
    return y if batch is x else y.squeeze(0)


def padding_of(
    name: str, padding: Any, kernel: Any, stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Return (before, after) for each axis, of a number, one for each axis, "same" or "valid"."""
    if padding == "same":
        if set(stride) != {1}:
            raise value_error(name, 'a stride of 1 for padding="same"', stride)
        total = [d * (k - 1) for d, k in zip(dilation, kernel)]
        return tuple((n // 2, n - n // 2) for n in total)
    if isinstance(padding, str) and padding != "valid":
        raise value_error(name, '"same", "valid" or numbers for padding', repr(padding))
    numbers = per_axis(name, "padding", 0 if padding == "valid" else padding, len(kernel), 0)
    return tuple((n, n) for n in numbers)
