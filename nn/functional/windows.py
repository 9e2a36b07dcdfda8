"""Windows that slide over the last axes of an array: what convolution and pooling read."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from minigrad.errors import type_error, value_error


def per_axis(
    where: str, name: str, value: Any, axes: int, least: int = 1, spread: bool = True
) -> tuple[int, ...]:
    """Return `value`, one whole number or one for each axis, as one for each; (1,) is one for all if `spread`.

    Raises    TypeError for what is no whole number; ValueError for one below `least`, or another count of them.
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    values = values * axes if spread and len(values) == 1 else values
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in values):
        raise type_error(where, f"whole numbers for {name}", repr(value))
    if len(values) != axes or min(values, default=least) < least:
        raise value_error(where, f"{name} of {axes} whole numbers >= {least}", repr(value))
    return values


def lengths_of(
    where: str, lengths: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """Return how many places a window has along each axis: (L - d (K - 1) - 1) // s + 1.

    Raises    ValueError if it fits nowhere.
    """
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    if any(span > length for span, length in zip(spans, lengths)):
        got = f"a window of {tuple(spans)} on {tuple(lengths)}"
        raise value_error(where, "a window that fits into the padded input", got, "is padding right?")
    return tuple((n - span) // s + 1 for n, span, s in zip(lengths, spans, stride))


def windows(
    kernel: Sequence[int], count: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Yield (place in the window, what the windows, `count` of them, read there), the last axis fastest."""
    for place in itertools.product(*map(range, kernel)):
        starts = [d * k for d, k in zip(dilation, place)]
        yield place, tuple(slice(a, a + s * (n - 1) + 1, s) for a, n, s in zip(starts, count, stride))
