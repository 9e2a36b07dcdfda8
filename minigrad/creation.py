"""New Tensors from lists, shapes and random numbers, with PyTorch's names; ids are plain arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import random
from minigrad.errors import check_shape, type_error
from minigrad.operands import FLOATS
from minigrad.tensor import Tensor


def _new(where: str, values: Any, requires_grad: bool) -> Tensor:
    if values.dtype not in FLOATS:
        raise type_error(where, "dtype float32 or float64", values.dtype, "ids and masks are plain arrays")
    return Tensor(values, requires_grad)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A new Tensor with a copy of `data`; lists and numbers become float32 unless `dtype` says otherwise.

    Raises    TypeError if the data are integers or booleans in an array, which stay plain arrays.
    """
    values = data.data if isinstance(data, Tensor) else data
    if dtype is not None:
        values = np.array(values, dtype=dtype)
    return Tensor(Tensor(values).data.copy(), requires_grad)


def zeros(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Zeros of shape `size`."""
    return _new("zeros", np.zeros(check_shape("zeros", size), dtype), requires_grad)


def ones(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Ones of shape `size`."""
    return _new("ones", np.ones(check_shape("ones", size), dtype), requires_grad)


def full(
    size: Sequence[int], fill_value: float, *, dtype: Any = np.float32, requires_grad: bool = False
) -> Tensor:
    """`fill_value` in every element of shape `size`."""
    return _new("full", np.full(size, fill_value, dtype), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = np.float32) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix, else zeros."""
    return _new("eye", np.eye(n, m, dtype=dtype), False)


def linspace(start: float, end: float, steps: int, *, dtype: Any = np.float32) -> Tensor:
    """`steps` evenly spaced numbers from start to end, both included."""
    return _new("linspace", np.linspace(start, end, steps, dtype=dtype), False)


def rand(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Uniform numbers in [0, 1)."""
    return Tensor(random.default_generator().rand(*size, dtype=dtype), requires_grad)


def randn(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Standard normal numbers."""
    return Tensor(random.default_generator().randn(*size, dtype=dtype), requires_grad)


def rand_like(x: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) of x's shape and dtype."""
    return rand(*x.shape, dtype=x.dtype)


def randn_like(x: Tensor) -> Tensor:
    """Standard normal numbers of x's shape and dtype."""
    return randn(*x.shape, dtype=x.dtype)


def normal(mean: float, std: float, size: Sequence[int], *, dtype: Any = np.float32) -> Tensor:
    """Normal numbers of the given mean and standard deviation."""
    return Tensor(random.default_generator().normal(mean, std, tuple(size), dtype=dtype))


def bernoulli(p: Any) -> Tensor:
    """1 with the probability that stands in each element of `p` (a Tensor or float array), else 0."""
    p = p.data if isinstance(p, Tensor) else np.asarray(p)
    return Tensor(random.default_generator().bernoulli(p, dtype=p.dtype))


def randint(
    low: int, high: int | None = None, size: Sequence[int] = (), *, dtype: Any = np.int64
) -> np.ndarray:
    """Whole numbers in low..high-1 (0..low-1 if high is left out), as a plain array.

    As in PyTorch, `randint(high, size)` and `randint(low, high, size)` both work.
    """
    if isinstance(high, (tuple, list)):
        low, high, size = 0, low, tuple(high)
    low, high = (0, low) if high is None else (low, high)
    return random.default_generator().randint(low, high, tuple(size), dtype=dtype)


def randperm(n: int) -> np.ndarray:
    """The numbers 0..n-1 in random order, as a plain array."""
    return random.default_generator().randperm(n)


def multinomial(probs: Any, num_samples: int, replacement: bool = False) -> np.ndarray:
    """Indices drawn with the given probabilities (rows need not sum to one), as a plain array."""
    probs = probs.data if isinstance(probs, Tensor) else np.asarray(probs)
    return random.default_generator().multinomial(probs, num_samples, replacement)
