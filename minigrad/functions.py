"""Functions on Tensors, with PyTorch's and NumPy's names. Each that is a method too is the same object.

This module is to Tensors what the module numpy is to its arrays: `namespace(x)` returns it, so that an
array function that gets Tensors finds its exp, where and zeros_like here (higher.py).
"""

from collections.abc import Sequence
from typing import Any

from minigrad.backend import namespace
from minigrad.methods import values_of
from minigrad.primitives import elementwise, products, shapes
from minigrad.tensor import Tensor, apply, as_operand, lift

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


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b, element by element; ties share the gradient."""
    return apply(elementwise.maximum, *_pair(a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b, element by element; ties share the gradient."""
    return apply(elementwise.minimum, *_pair(a, b))


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """`a` where the boolean `condition` holds, else `b`."""
    return apply(elementwise.where, *_pair(a, b), condition=values_of(condition))


def _pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both as operands, a number or list in the dtype of the Tensor beside it."""
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    return as_operand(a, like), as_operand(b, like)


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """The Tensors joined along an axis they have."""
    return apply(shapes.concatenate, *tensors, axis=axis)


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """The Tensors, all of one shape, joined along a new axis."""
    return concatenate([x.unsqueeze(axis) for x in tensors], axis)


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """numpy.einsum with an explicit output: einsum("bi,ij->bj", x, w)."""
    return apply(products.einsum, *operands, subscripts=subscripts)


def zeros_like(x: Any) -> Tensor:
    """Zeros of x's shape and dtype."""
    x = values_of(x)
    return Tensor(namespace(x).zeros_like(x))


def ones_like(x: Any) -> Tensor:
    """Ones of x's shape and dtype."""
    return zeros_like(x) + 1.0
