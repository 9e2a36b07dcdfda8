"""PyTorch's in-place draws (`Tensor.uniform_` and the like) on NumPy arrays.

A fill goes through memory, not through indices: the transpose of a matrix gets, transposed, the numbers that
the matrix would get. Normal numbers that do not lie side by side in row-major order are drawn one by one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import random
from minigrad.backend import namespace
from minigrad.errors import type_error
from minigrad.random.generator import Generator


def uniform_(x: Any, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None) -> None:
    """Fill with uniform numbers from [low, high)."""
    _fill(x, lambda shape: random.default_generator(generator).uniform(low, high, shape, x.dtype))


def normal_(x: Any, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> None:
    """Fill with normal numbers."""
    side_by_side = x.flags.c_contiguous
    _fill(
        x,
        lambda shape: random.default_generator(generator).normal(
            mean, std, shape, x.dtype, side_by_side=side_by_side
        ),
    )


def log_normal_(x: Any, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> None:
    """Fill with numbers whose logarithms are normal."""
    _fill(x, lambda shape: random.default_generator(generator).log_normal(mean, std, shape, x.dtype))


def exponential_(x: Any, lambd: float = 1.0, *, generator: Generator | None = None) -> None:
    """Fill with exponential numbers of mean 1 / lambd."""
    _fill(x, lambda shape: random.default_generator(generator).exponential(shape, x.dtype, lambd=lambd))


def cauchy_(x: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> None:
    """Fill from the Cauchy distribution."""
    _fill(x, lambda shape: random.default_generator(generator).cauchy(median, sigma, shape, x.dtype))


def geometric_(x: Any, p: float, *, generator: Generator | None = None) -> None:
    """Fill with numbers of trials up to the first success."""
    _fill(x, lambda shape: random.default_generator(generator).geometric(p, shape, x.dtype))


def bernoulli_(x: Any, p: Any = 0.5, *, generator: Generator | None = None) -> None:
    """Fill with 1 where a draw succeeds, else 0; `p` is a number, or an array that broadcasts to x's shape."""
    if hasattr(p, "shape"):
        each = np.broadcast_to(p, x.shape).transpose(_along_memory(x))
        _fill(x, lambda shape: random.default_generator(generator).bernoulli(each, dtype=x.dtype))
    else:
        _fill(x, lambda shape: random.default_generator(generator).bernoulli(p, shape, x.dtype))


def random_(x: Any, *bounds: int | None, generator: Generator | None = None) -> None:
    """Fill with whole numbers: `random_(x)`, `random_(x, to)` or `random_(x, from, to)`, below `to`.

    Without `to`, or with None for it, up to the largest that x's dtype counts to.
    """
    if len(bounds) > 2:
        raise type_error("random_", "at most two numbers, from and to", bounds)
    low, high = ((None, None), (0, *bounds), bounds)[len(bounds)]
    _fill(x, lambda shape: random.default_generator(generator).random(low, high, shape, x.dtype))


def _fill(x: Any, draw: Callable[[tuple[int, ...]], np.ndarray]) -> None:
    """Write what `draw` returns for a shape into x, along memory."""
    view = x.transpose(_along_memory(x))
    view[...] = namespace(x).asarray(draw(view.shape))


def _along_memory(x: Any) -> list[int]:
    """The axes of x, that of the largest stride first."""
    return sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
