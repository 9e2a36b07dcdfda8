"""Reductions that a GPT does not need: norms, pairs of moments, running products, distances."""

from typing import Any

import numpy as np

from minigrad import functions
from minigrad.creation import as_tensor
from minigrad.errors import value_error
from minigrad.methods import axis_of, check_dim
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names.linalg import matrix_norm, vector_norm


def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^p)^(1/p) over `dim`, by default the root of the sum of squares of all; its gradient at 0 is 0."""
    if p == "nuc":
        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise value_error("norm", 'p as a number, "fro" or "nuc"', repr(p))
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference."""
    return vector_norm(input - other, p)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm of the difference of each row of x1 and each of x2.

    Shapes    x1 (..., N, C), x2 (..., M, C) -> (..., N, M)
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if min(x1.ndim, x2.ndim) < 2 or p < 0:
        got = f"{tuple(x1.shape)}, {tuple(x2.shape)}, {p}"
        raise value_error("cdist", "at least 2 axes of both, and p of 0 or more", got)
    return vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, **options: Any
) -> Any:
    """The pair (variance, mean); see `var`."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return input.var(dim, unbiased, keepdim, **options), input.mean(dim, keepdim)


def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, **options: Any
) -> Any:
    """The pair (standard deviation, mean); see `var`."""
    variance, mean = var_mean(input, dim, unbiased, keepdim, **options)
    return variance.sqrt(), mean


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not 0, in all or along `dim`."""
    return wrap(np.asarray(np.count_nonzero(input._data, axis_of(dim, None, input, "count_nonzero"))))


def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The running product along an axis."""
    dim = check_dim("cumprod", dim, input.ndim)
    x = input if dtype is None else input.astype(dtype)
    if not x.requires_grad or not x.ndim:
        x = x.astype(np.int64) if x._data.dtype.kind in "iub" and dtype is None else x
        return wrap(x._data.cumprod(dim, dtype=x._data.dtype)) if x.ndim else x.clone()
    lead = (slice(None),) * dim
    products: list[Tensor] = []
    for i in range(x.shape[dim]):  # each from the one before: exact where an element is 0
        last = x[(*lead, slice(i, i + 1))]
        products.append(products[-1] * last if products else last)
    return functions.concatenate(products, dim)
