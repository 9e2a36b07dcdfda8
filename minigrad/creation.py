"""New Tensors from lists, shapes and random numbers, with PyTorch's names, places and defaults."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.backend import namespace
from minigrad.dtypes import DEFAULT, checked_dtype
from minigrad.errors import check_shape, given_shape, type_error, value_error
from minigrad.gpu.device import move
from minigrad.operands import to_array
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor, wrap


def new(where: str, array: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """Return a Tensor of an array that nobody else has, after casting and moving it as the options say.

    Raises    TypeError for a dtype that is not ours; RuntimeError for a gradient of what holds no floats.
    """
    if dtype is not None:
        array = array.astype(checked_dtype(where, dtype))
    if device is not None:
        array = move(array, str(device).partition(":")[0])
    return wrap(array).requires_grad_(requires_grad)


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A new Tensor with a copy of `data`; Python's floats become float32, its integers int64, its booleans bool.

    Raises    TypeError for what holds no numbers, or a dtype that is not ours.
    """
    dtype = None if dtype is None else checked_dtype("tensor", dtype)
    array = to_array("tensor", data, dtype)
    return new("tensor", namespace(array).array(array), None, device, requires_grad)


def as_tensor(data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor of `data`: itself, or sharing an array's memory, where neither dtype nor device change."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    dtype = None if dtype is None else checked_dtype("as_tensor", dtype)
    return new("as_tensor", to_array("as_tensor", data, dtype), None, device, False)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A Tensor that shares the memory of a NumPy array, and its dtype."""
    if not isinstance(ndarray, np.ndarray):
        raise type_error("from_numpy", "a NumPy array", type(ndarray).__name__, "write tensor(...)")
    return wrap(to_array("from_numpy", ndarray))


# --- of one number ---


def zeros(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of shape `size`."""
    shape = given_shape("zeros", sizes if size is None else (size,))
    return new("zeros", np.zeros(shape, _kind("zeros", dtype)), None, device, requires_grad)


def ones(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones of shape `size`."""
    shape = given_shape("ones", sizes if size is None else (size,))
    return new("ones", np.ones(shape, _kind("ones", dtype)), None, device, requires_grad)


def empty(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A Tensor of shape `size` to be filled: zeros here, whatever was in memory in PyTorch."""
    shape = given_shape("empty", sizes if size is None else (size,))
    return new("empty", np.zeros(shape, _kind("empty", dtype)), None, device, requires_grad)


def full(
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`fill_value` in every element of shape `size`, in its dtype: int64, float32 or bool."""
    value = to_array("full", fill_value, None if dtype is None else checked_dtype("full", dtype))
    if value.ndim:
        raise value_error("full", "one number as fill_value", f"shape {value.shape}")
    return new("full", np.full(check_shape("full", (size,)), value), None, device, requires_grad)


def zeros_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape, dtype and device of a Tensor or array."""
    return _like("zeros_like", input, 0, dtype, device, requires_grad)


def ones_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape, dtype and device of a Tensor or array."""
    return _like("ones_like", input, 1, dtype, device, requires_grad)


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`fill_value` in the shape, dtype and device of a Tensor or array."""
    return _like("full_like", input, fill_value, dtype, device, requires_grad)


def empty_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the place of PyTorch's uninitialised memory."""
    return _like("empty_like", input, 0, dtype, device, requires_grad)


def _like(where: str, x: Any, value: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    x = to_array(where, x)
    kind = x.dtype if dtype is None else checked_dtype(where, dtype)
    return new(where, namespace(x).full(x.shape, value, kind), None, device, requires_grad)


# --- of many ---


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix, else zeros."""
    shape = check_shape("eye", (n, n if m is None else m))
    return new("eye", np.eye(*shape, dtype=_kind("eye", dtype)), None, device, requires_grad)


def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below `end`; arange(end) starts from 0. int64, or float32 if one of the three is a float.

    Raises    ValueError where `step` leads away from `end`, or is 0.
    """
    start, end = (0, start) if end is None else (0 if start is None else start, end)
    if end is None:
        raise type_error("arange", "end", "none", "write arange(end), or arange(start, end)")
    bounds = [x.item() if isinstance(x, (Tensor, np.generic)) else x for x in (start, end, step)]
    start, end, step = bounds
    steps = (end - start) / step if step else -math.inf
    if steps < 0:
        raise value_error("arange", "a step that leads from start to end", (start, end, step))
    kind = np.dtype(np.int64) if all(isinstance(x, int) for x in bounds) else DEFAULT
    kind = _kind("arange", dtype or kind)
    places = np.arange(math.ceil(steps))
    values = start + step * places
    if kind == np.float32:
        # As PyTorch: eight at a time from a rounded first, but for the last fifteen or less.
        eights = (start + step * (places // 8 * 8)).astype(kind) + step * (places % 8)
        whole = len(places) // 16 * 16
        values = np.concatenate((eights[:whole], values[whole:]))
    return new("arange", values.astype(kind), None, device, requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` evenly spaced numbers from start to end, both included, counted from the nearer end as PyTorch does."""
    kind = _kind("linspace", dtype)
    if steps < 0:
        raise value_error("linspace", "steps of 0 or more", steps)
    start, end = (kind.type(x) for x in (start, end))
    step = (end - start) / kind.type(max(steps - 1, 1))
    i = np.arange(steps)
    first, last = start + step * i.astype(kind), end - step * (steps - 1 - i).astype(kind)
    values = np.where(i < max(steps // 2, 1), first, last)
    return new("linspace", values, None, device, requires_grad)


# --- at random ---


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1)."""
    shape = given_shape("rand", sizes if size is None else (size,))
    values = default_generator(generator).rand(*shape, dtype=_kind("rand", dtype))
    return new("rand", values, None, device, requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal numbers."""
    shape = given_shape("randn", sizes if size is None else (size,))
    values = default_generator(generator).randn(*shape, dtype=_kind("randn", dtype))
    return new("randn", values, None, device, requires_grad)


def rand_like(input: Tensor, *, dtype: Any = None, **options: Any) -> Tensor:
    """Uniform numbers in [0, 1) of the shape and dtype of a Tensor; the options are those of `rand`."""
    return rand(input.shape, dtype=dtype or input.dtype, **options)


def randn_like(input: Tensor, *, dtype: Any = None, **options: Any) -> Tensor:
    """Standard normal numbers of the shape and dtype of a Tensor; the options are those of `randn`."""
    return randn(input.shape, dtype=dtype or input.dtype, **options)


def normal(
    mean: float,
    std: float,
    size: Sequence[int],
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of the given mean and standard deviation."""
    values = default_generator(generator).normal(
        mean, std, check_shape("normal", (size,)), dtype=_kind("normal", dtype)
    )
    return new("normal", values, None, device, requires_grad)


def bernoulli(input: Any, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that stands in each element of `input`, a Tensor or float array, else 0."""
    p = to_array("bernoulli", input)
    return wrap(default_generator(generator).bernoulli(p, dtype=p.dtype))


def randint(
    low: int = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = np.int64,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Whole numbers in low..high-1: `randint(high, size)` from 0, or `randint(low, high, size)`."""
    if size is None and high is not None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise type_error("randint", "size as a tuple", repr(size), "write randint(low, high, (n,))")
    values = default_generator(generator).randint(int(low), int(high), check_shape("randint", (size,)))
    return new("randint", values, dtype, device, requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = np.int64,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers 0..n-1 in random order."""
    return new("randperm", default_generator(generator).randperm(n), dtype, device, requires_grad)


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn with the given probabilities, whose rows need not sum to one.

    Shapes    input (V,) or (N, V) -> (num_samples,) or (N, num_samples)
    """
    probs = to_array("multinomial", input)
    if probs.ndim > 2:
        raise value_error("multinomial", "probabilities (V,) or (N, V)", f"shape {probs.shape}")
    return wrap(default_generator(generator).multinomial(probs, num_samples, replacement))


def _kind(where: str, dtype: Any) -> np.dtype:
    return DEFAULT if dtype is None else checked_dtype(where, dtype)
