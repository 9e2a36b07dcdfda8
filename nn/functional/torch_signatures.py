"""The fused operations under PyTorch's signatures: its names, places and defaults, and what it does with them.

NumPy's `axis` stays as a keyword. The layers call the operations themselves, one file each.
"""

import math
import warnings
from typing import Any

from minigrad.errors import check_probability, type_error, value_error
from minigrad.tensor import Tensor
from nn.functional.arguments import applied, reduced, reduction_of, refuse
from nn.functional.classes import class_weights, holds_floats, picked_losses, rows_of_classes, soft_losses
from nn.functional.cross_entropy import nll
from nn.functional.dropout import drop, keep_mask
from nn.functional.embedding import as_ids, take_rows
from nn.functional.gelu import gelu_tanh
from nn.functional.gelu_erf import gelu_erf
from nn.functional.layer_norm import layer_norm as normalise_rows
from nn.functional.linear import linear as map_rows
from nn.functional.softmax import log_softmax as log_softmax_along
from nn.functional.softmax import softmax as softmax_along


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W^T + b over the last axis.

    Shapes    input (..., I), weight (O, I) or (I,), bias (O,) or () or None -> (..., O) or (...)
    Source    `torch.nn.functional.linear`
    """
    if weight.ndim == 1:
        y = input @ weight
        return y if bias is None else y + bias
    return map_rows(input, weight, bias)


def embedding(
    input: Any, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Row input[...] of `weight` for each id; the row `padding_idx`, which may count from the end, never learns.

    Shapes    input (...) integers, weight (V, C) -> (..., C)
    Raises    ValueError for ids or a padding_idx outside the table; TypeError for ids that are no integers;
              NotImplementedError for max_norm, scale_grad_by_freq and sparse.
    Source    `torch.nn.functional.embedding`
    """
    hint = "it changes what is learned"
    refuse("embedding", hint, max_norm=max_norm, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
    rows = weight.shape[0]
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise value_error("embedding", f"padding_idx within {rows} rows", padding_idx)
        padding_idx %= rows
    return take_rows(weight, ids=as_ids("embedding", input, weight, rows), padding_idx=padding_idx)


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """GELU, exact for approximate="none" (PyTorch's default), GPT-2's for "tanh".

    Raises    ValueError for another name.
    """
    if approximate not in ("none", "tanh"):
        raise value_error("gelu", '"none" or "tanh" for approximate', repr(approximate))
    return gelu_tanh(input) if approximate == "tanh" else gelu_erf(input)


def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalise over the last axes, those of `normalized_shape`, then scale and shift.

    Shapes    input (..., *normalized_shape), weight and bias normalized_shape or None -> as input
    Raises    ValueError for shapes that do not fit; TypeError for a normalized_shape that is no shape.
    Source    `torch.nn.functional.layer_norm`
    """
    if not isinstance(normalized_shape, (tuple, list)):
        got = type(normalized_shape).__name__
        raise type_error("layer_norm", "normalized_shape, like (C,) or x.shape[-1:]", got)
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        expected = f"input (..., {', '.join(map(str, shape))})" if shape else "an axis or more"
        raise value_error("layer_norm", expected, tuple(input.shape))
    for name, a in (("weight", weight), ("bias", bias)):
        if a is not None and tuple(a.shape) != shape:
            raise value_error("layer_norm", f"{name} {shape}", tuple(a.shape))
    if len(shape) == 1:
        return normalise_rows(input, weight, bias, eps=eps)
    flat = input.reshape(*input.shape[: -len(shape)], math.prod(shape))
    weight, bias = (None if a is None else a.reshape(-1) for a in (weight, bias))
    return normalise_rows(flat, weight, bias, eps=eps).reshape(tuple(input.shape))


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, rng: Any = None
) -> Tensor:
    """Zero each element with probability `p` while training, scaling the rest by 1 / (1 - p).

    Shapes    input any -> the same
    Random    one mask of input's shape from `rng`, by default the default generator, drawn anew at each
              call; nothing is drawn for p = 0, p = 1 or outside training.
    Raises    ValueError unless 0 <= p <= 1.
    Source    `torch.nn.functional.dropout`
    """
    p = check_probability("dropout", p)
    if not training or not p:
        return input
    keep = keep_mask(input._data, p, rng)
    return applied("dropout", lambda x: drop(x, keep=keep, p=p), input, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero whole channels with probability `p` while training, scaling the rest by 1 / (1 - p).

    Shapes    input (N, C, ...) -> the same
    Random    one number for each (n, c)
    Raises    ValueError unless 0 <= p <= 1, or for fewer than 2 axes.
    Source    `torch.nn.functional.dropout2d`
    """
    p = check_probability("dropout2d", p)
    if input.ndim < 2:
        raise value_error("dropout2d", "input (N, C, ...)", tuple(input.shape))
    if not training or not p:
        return input
    keep = keep_mask(input._data, p, None, (*input.shape[:2], *[1] * (input.ndim - 2)))
    return applied("dropout2d", lambda x: drop(x, keep=keep, p=p), input, inplace)


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None, *, axis: int | None = None
) -> Tensor:
    """Probabilities along `dim`, computed in `dtype`, if it is given.

    Without `dim` PyTorch chooses 0 for 0, 1 or 3 axes, else 1, and warns: so do we.

    Shapes    input any -> the same
    Raises    IndexError for an axis that input has not.
    Source    `torch.nn.functional.softmax`
    """
    return _along("softmax", softmax_along, input, axis if dim is None else dim, dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None, *, axis: int | None = None
) -> Tensor:
    """The logarithm of `softmax`, exact where the probability itself would round to zero.

    Shapes    input any -> the same
    Source    `torch.nn.functional.log_softmax`
    """
    return _along("log_softmax", log_softmax_along, input, axis if dim is None else dim, dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None, *, axis: int | None = None
) -> Tensor:
    """Softmax of -input."""
    return _along("softmin", softmax_along, -input, axis if dim is None else dim, dtype)


def _along(name: str, operation: Any, input: Tensor, dim: int | None, dtype: Any) -> Tensor:
    n = input.ndim
    if dim is None:
        dim = 0 if n in (0, 1, 3) else 1
        message = (
            f"{name}: expected dim; got none, and took {dim}, as PyTorch does; write dim=-1 for the last axis"
        )
        warnings.warn(message, stacklevel=3)
    if not -max(n, 1) <= dim < max(n, 1):
        raise IndexError(f"{name}: expected dim in {-max(n, 1)}..{max(n, 1) - 1}; got {dim}")
    input = input if dtype is None else input.to(dtype)
    return operation(input, axis=dim) if n else operation(input.reshape(1), axis=0).reshape(())


def cross_entropy(
    input: Tensor, target: Any, weight: Any = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Cross-entropy between logits and class ids, or probabilities of the classes.

    "mean" divides the sum by the number of targets that are not ignored, or by the sum of their weights;
    with none left it is NaN, as in PyTorch. With probabilities it divides by the number of rows.

    Shapes    input (V,), (N, V) or (N, V, ...); target integers, the same without V, or floats like input;
              weight (V,) or None -> a scalar, or like target's ids for reduction="none"
    Units     nats per token
    Raises    ValueError for shapes that do not fit, targets outside 0..V-1, an unknown reduction.
    Source    `torch.nn.functional.cross_entropy`
    """
    where = "cross_entropy"
    reduction = reduction_of(where, size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise value_error(where, "0 <= label_smoothing <= 1", label_smoothing)
    if holds_floats(target) and tuple(target.shape) == tuple(input.shape):
        losses = soft_losses(where, input, target, weight, label_smoothing)
        return reduced(losses, reduction)
    logits, ids, shape = rows_of_classes(where, input, target)
    if weight is not None:
        weight, logp = class_weights(where, input, weight), log_softmax_along(logits)
        losses, total = picked_losses(where, logp, ids, weight, ignore_index, label_smoothing)
        return reduced(losses.reshape(shape), reduction, total)
    options = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, "reduction": reduction}
    loss = nll(logits, targets=ids, **options)  # (N,), or a scalar
    return loss.reshape(shape) if reduction == "none" else loss


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)."""
    return applied("relu", Tensor.relu, input, inplace)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return input.tanh()
