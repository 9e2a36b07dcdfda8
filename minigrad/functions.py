"""Functions on Tensors, with PyTorch's and NumPy's names. Each that is a method too is the same object.

This module is to Tensors what the module numpy is to its arrays: `namespace(x)` returns it, so that an
array function that gets Tensors finds its exp, where and zeros_like here (higher.py).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.creation import as_tensor, ones_like, zeros_like
from minigrad.errors import type_error, value_error
from minigrad.methods import check_dim, values_of
from minigrad.operands import as_operand
from minigrad.primitives import elementwise, products, shapes
from minigrad.tensor import Tensor, apply, lift

__all__ = ["ones_like", "zeros_like"]  # what array functions look for here, too

absolute = Tensor.absolute
exp = Tensor.exp
log = Tensor.log
sqrt = Tensor.sqrt
tanh = Tensor.tanh
sin = Tensor.sin
cos = Tensor.cos
erf = Tensor.erf
sigmoid = Tensor.sigmoid
relu = Tensor.relu
clip = Tensor.clip
masked_fill = Tensor.masked_fill
logsumexp = Tensor.logsumexp
prod = Tensor.prod
broadcast_to = Tensor.broadcast_to
split = Tensor.split
gather = Tensor.gather
tril = Tensor.tril
triu = Tensor.triu

matmul = lift(products.matmul)
sign = lift(elementwise.sign)
scatter_add = lift(shapes.scatter_add)


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, element by element; ties share the gradient."""
    return apply(elementwise.maximum, *_pair(input, other))


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, element by element; ties share the gradient."""
    return apply(elementwise.minimum, *_pair(input, other))


def where(condition: Any, input: Any, other: Any) -> Tensor:
    """`input` where the boolean `condition` holds, else `other`."""
    condition = values_of(condition)
    if getattr(condition, "dtype", None) != np.bool_:
        got = getattr(condition, "dtype", type(condition).__name__)
        raise type_error("where", "a boolean condition", got, "write x.bool() or x != 0")
    return apply(elementwise.where, *_pair(input, other), condition=condition)


def _pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both as operands, a number or list beside a Tensor in the dtype that it gets there."""
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    return as_operand(a, like), as_operand(b, like)


def concatenate(tensors: Sequence[Any], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The Tensors joined along an axis they have."""
    dim = dim if axis is None else axis
    tensors = [as_operand(x) for x in tensors]
    if not tensors:
        raise value_error("cat", "at least one Tensor", "none")
    long = [x for x in tensors if tuple(x.shape) != (0,)] or tensors  # PyTorch's empty list joins anything
    return apply(shapes.concatenate, *long, axis=check_dim("cat", dim, long[0].ndim))


cat = concat = concatenate


def stack(tensors: Sequence[Any], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The Tensors, all of one shape, joined along a new axis."""
    dim, tensors = (
        dim if axis is None else axis,
        [x if isinstance(x, Tensor) else as_tensor(x) for x in tensors],
    )
    if len({x.shape for x in tensors}) != 1:
        raise value_error("stack", "Tensors of one shape", [tuple(x.shape) for x in tensors])
    dim = check_dim("stack", dim, tensors[0].ndim + 1)
    return concatenate([x.unsqueeze(dim) for x in tensors], dim)


def einsum(equation: str, *operands: Any) -> Tensor:
    """numpy.einsum with an explicit output: einsum("bi,ij->bj", x, w)."""
    return apply(products.einsum, *operands, subscripts=equation)
