"""The largest, or the mean, of what a window sees at each of its places."""

import math
from typing import Any

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.functions import concatenate, where
from minigrad.tensor import Tensor, op
from nn.functional.arguments import refuse
from nn.functional.vectors import pad
from nn.functional.windows import lengths_of, per_axis, windows


def largest_seen_reference(x, *, kernel, stride, padding, dilation):
    """The definition, in Tensor arithmetic: what `largest_seen` must equal."""
    x, y = pad(x, [n for n in reversed(padding) for _ in range(2)], value=-math.inf), None
    count = lengths_of("max_pool", x.shape[2:], kernel, stride, dilation)
    for _, seen in windows(kernel, count, stride, dilation):
        part = x[(..., *seen)]
        y = part if y is None else where(part._data > y._data, part, y)
    return y


@op(reference=largest_seen_reference)
def largest_seen(x, *, kernel, stride, padding, dilation):
    """The largest element in the window at each of its places; -inf stands outside of x.

        y(p) = max_k x(s p + d k - padding)

    Shapes    x (N, C, L, ...) -> y (N, C, P, ...)
    Saves     first
    Backward  dy goes to the element that was picked, the first of equal ones; `first` numbers them.
    """
    xp, lengths = namespace(x), x.shape[2:]
    inner = tuple(slice(n, n + length) for n, length in zip(padding, lengths))
    shape = (*x.shape[:2], *[length + 2 * n for length, n in zip(lengths, padding)])
    padded = xp.full(shape, -math.inf, x.dtype)
    padded[(..., *inner)] = x
    count = lengths_of("max_pool", shape[2:], kernel, stride, dilation)
    y, first = xp.full((*shape[:2], *count), -math.inf, x.dtype), xp.zeros((*shape[:2], *count), int)
    for number, (_, seen) in enumerate(windows(kernel, count, stride, dilation)):
        above = padded[(..., *seen)] > y
        y, first = xp.where(above, padded[(..., *seen)], y), xp.where(above, number, first)

    def vjp(dy):
        dpadded = xp.zeros(shape, dy.dtype)
        for number, (_, seen) in enumerate(windows(kernel, count, stride, dilation)):
            dpadded[(..., *seen)] += dy * (first == number)
        return (dpadded[(..., *inner)],)

    return y, vjp


def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor:  # fmt: skip
    """The largest element of each window along the last axis; see `max_pool2d`.

    Shapes    input (N, C, L) or (C, L) -> (N, C, P) or (C, P)
    """
    refuse("max_pool1d", "", ceil_mode=ceil_mode, return_indices=return_indices)
    return _max_pool("max_pool1d", 1, input, (kernel_size, stride, padding, dilation))


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor:  # fmt: skip
    """The largest element of each window over the last two axes, side by side unless `stride` is given.

    Shapes    input (N, C, H, W) or (C, H, W) -> (N, C, P, Q) or (C, P, Q)
    Raises    NotImplementedError for ceil_mode and return_indices.
    Source    `torch.nn.functional.max_pool2d`
    """
    refuse("max_pool2d", "", ceil_mode=ceil_mode, return_indices=return_indices)
    return _max_pool("max_pool2d", 2, input, (kernel_size, stride, padding, dilation))


def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of each window along the last axis; see `avg_pool2d`."""
    refuse("avg_pool1d", "", ceil_mode=ceil_mode)
    return _mean_pool("avg_pool1d", 1, input, (kernel_size, stride, padding), count_include_pad)


def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window over the last two axes, zeros around input counting, unless told otherwise.

    Shapes    input (N, C, H, W) or (C, H, W) -> (N, C, P, Q) or (C, P, Q)
    Source    `torch.nn.functional.avg_pool2d`
    """
    refuse("avg_pool2d", "", ceil_mode=ceil_mode, divisor_override=divisor_override)
    return _mean_pool("avg_pool2d", 2, input, (kernel_size, stride, padding), count_include_pad)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of `output_size` windows, as equal as can be, that cover the last axis."""
    return _adaptive("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of (P, Q) windows that cover the last two axes; None keeps a length.

    Window i of P along an axis of length L goes from floor(i L / P) up to ceil((i + 1) L / P).

    Shapes    input (N, C, H, W) or (C, H, W) -> (N, C, P, Q) or (C, P, Q)
    Source    `torch.nn.functional.adaptive_avg_pool2d`
    """
    return _adaptive("adaptive_avg_pool2d", 2, input, output_size)


def _adaptive(name: str, axes: int, x: Tensor, size: Any) -> Tensor:
    if x.ndim not in (axes + 1, axes + 2):
        raise value_error(name, f"input of {axes + 1} or {axes + 2} axes", tuple(x.shape))
    sizes = tuple(size) if isinstance(size, (tuple, list)) else (size,) * axes
    sizes = tuple(n if count is None else count for count, n in zip(sizes, x.shape[-axes:]))
    if set(sizes) == {1}:
        return x.mean(tuple(range(-axes, 0)), True)
    for axis, count in zip(range(-axes, 0), per_axis(name, "output_size", sizes, axes)):
        n, rest = x.shape[axis], [slice(None)] * (-axis - 1)
        ends = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
        x = concatenate([x[(..., slice(a, b), *rest)].mean(axis, True) for a, b in ends], axis)
    return x


def _max_pool(name: str, axes: int, x: Tensor, how: tuple) -> Tensor:
    batch, (kernel, stride, padding) = _prepared(name, axes, x, how[:3])
    dilation = per_axis(name, "dilation", how[3], axes)
    y = largest_seen(batch, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    return y if batch is x else y.squeeze(0)


def _mean_pool(name: str, axes: int, x: Tensor, how: tuple, count_padding: bool) -> Tensor:
    batch, (kernel, stride, padding) = _prepared(name, axes, x, how)
    sides = [n for n in reversed(padding) for _ in range(2)]
    padded = pad(batch, sides)
    count, ones = lengths_of(name, padded.shape[2:], kernel, stride, [1] * axes), batch.detach() * 0.0 + 1.0
    sums = [padded[(..., *seen)] for _, seen in windows(kernel, count, stride, [1] * axes)]
    y = sum(sums[1:], start=sums[0])
    if count_padding:
        y = y / math.prod(kernel)
    else:
        ones = pad(ones, sides)
        seen_ones = [ones[(..., *seen)] for _, seen in windows(kernel, count, stride, [1] * axes)]
        y = y / sum(seen_ones[1:], start=seen_ones[0])
    return y if batch is x else y.squeeze(0)


def _prepared(name: str, axes: int, x: Tensor, how: tuple) -> tuple[Tensor, list[tuple[int, ...]]]:
    """Return x with a batch axis, and kernel, stride and padding, each a number for each axis."""
    if x.ndim not in (axes + 1, axes + 2):
        raise value_error(name, f"input of {axes + 1} or {axes + 2} axes", tuple(x.shape))
    kernel = per_axis(name, "kernel_size", how[0], axes)
    stride = per_axis(name, "stride", how[1] if how[1] not in (None, (), []) else kernel, axes)
    padding = per_axis(name, "padding", how[2], axes, 0)
    if any(2 * n > k for n, k in zip(padding, kernel)):
        raise value_error(name, "padding of half the kernel_size at most", f"{padding} of {kernel}")
    return x if x.ndim == axes + 2 else x.unsqueeze(0), [kernel, stride, padding]
