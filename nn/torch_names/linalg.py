"""torch.linalg: the norms."""

import math
from typing import Any

from minigrad.errors import value_error
from minigrad.tensor import Tensor


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the norm of vectors: (sum |x|^ord)^(1/ord) over `dim`, by default the root of the sum of squares of all.

    Shapes    A any -> one number, or A without `dim`
    Raises    ValueError for norms of matrices other than the root of the sum of squares ("fro").
    """
    of_matrices = (dim is None and A.ndim == 2) or (isinstance(dim, (tuple, list)) and len(dim) == 2)
    if ord is not None and (isinstance(ord, str) or of_matrices) and not (ord == "fro" and of_matrices):
        hint = "for all elements as one vector, vector_norm"
        raise value_error("linalg.norm", 'of a matrix, ord None or "fro"', repr(ord), hint)
    return vector_norm(A, 2 if ord in (None, "fro") else ord, dim, keepdim, dtype=dtype)


def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Return (sum |x|^ord)^(1/ord) over `dim`, or over all; inf is the largest |x|, -inf the smallest, 0 counts.

    Its gradient where x is all zeros is 0, as PyTorch's: the root is taken of 1 there, and then multiplied by 0.
    """
    x = (x if dtype is None else x.astype(dtype)).abs()
    if abs(ord) == math.inf:
        return (x.amax if ord > 0 else x.amin)(dim, keepdim)
    if ord == 0:
        return (x * 0.0 + (x._data != 0)).sum(dim, keepdim)
    if ord == 1:
        return x.sum(dim, keepdim)
    total = (x * x if ord == 2 else x**ord).sum(dim, keepdim)
    zero = total._data == 0
    root = total.masked_fill(zero, 1.0)
    return (root.sqrt() if ord == 2 else root ** (1 / ord)).masked_fill(zero, 0.0)


def matrix_norm(A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False) -> Tensor:
    """Return the root of the sum of squares over two axes."""
    return norm(A, ord, dim, keepdim)
