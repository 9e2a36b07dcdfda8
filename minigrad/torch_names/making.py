"""New Tensors, in the ways that a GPT does not need."""

import math
from typing import Any

import numpy as np

from minigrad import creation
from minigrad.dtypes import DEFAULT, checked_dtype
from minigrad.errors import value_error
from minigrad.methods import values_of
from minigrad.random import Generator, default_generator
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names.writing import copy_


def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """base to the power of `steps` evenly spaced numbers from start to end."""
    powers = creation.linspace(start, end, steps, dtype=np.float64).array
    values = np.power(float(base), powers).astype(
        DEFAULT if dtype is None else checked_dtype("logspace", dtype)
    )
    return creation.new("logspace", values, None, device, requires_grad)


def range(start: float, end: float, step: float = 1, *, dtype: Any = None, device: Any = None) -> Tensor:
    """start, start + step, ... up to `end`, included, as floats; `arange` leaves it out, as Python's range."""
    if not step or (last := math.floor((end - start) / step)) < 0:
        raise value_error("range", "a step that leads from start to end", (start, end, step))
    values = start + step * np.arange(last + 1)
    return creation.new("range", values.astype(DEFAULT), dtype, device, False)


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of this mean and standard deviation, of shape `size`; or one for each element of Tensors."""
    if size is not None:
        options: dict[str, Any] = {"generator": generator, "dtype": dtype, "device": device}
        return creation.normal(mean, std, size, requires_grad=requires_grad, **options)
    mean, std = values_of(mean), values_of(std)
    if not hasattr(mean, "dtype") and not hasattr(std, "dtype"):
        raise value_error("normal", "a size, or Tensors", (mean, std))
    return wrap(np.asarray(default_generator(generator).normal_about(mean, std)))


def rand(*size: Any, out: Tensor | None = None, **options: Any) -> Tensor:
    """Uniform numbers in [0, 1), as `minigrad.rand`; written into `out` where that is given."""
    drawn = creation.rand(*size, **options)
    return drawn if out is None else copy_(out, drawn)


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """How many events happen where `input` are expected on average, one number for each element."""
    return wrap(default_generator(generator).poisson(input._data))


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """One number without an axis, float32 unless told."""
    return creation.tensor(s, dtype=dtype or DEFAULT, device=device, requires_grad=requires_grad)


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor of numbers, lists or an array, which is shared where nothing changes."""
    return creation.as_tensor(obj, dtype=dtype, device=device).requires_grad_(requires_grad)


# --- as another Tensor: of its dtype and device ---


def new_zeros(
    self: Tensor,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros of shape `size`."""
    return creation.zeros(*sizes, size=size, **_options(self, dtype, device), requires_grad=requires_grad)


def new_empty(
    self: Tensor,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros in the place of PyTorch's uninitialised memory."""
    return creation.zeros(*sizes, size=size, **_options(self, dtype, device), requires_grad=requires_grad)


def new_ones(
    self: Tensor,
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones of shape `size`."""
    return creation.ones(*sizes, size=size, **_options(self, dtype, device), requires_grad=requires_grad)


def new_full(
    self: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`fill_value` in every element of shape `size`."""
    return creation.full(size, fill_value, **_options(self, dtype, device), requires_grad=requires_grad)


def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A copy of `data`."""
    return creation.tensor(data, **_options(self, dtype, device), requires_grad=requires_grad)


def _options(x: Tensor, dtype: Any, device: Any) -> dict[str, Any]:
    return {"dtype": dtype or x.dtype, "device": device or x.device}
