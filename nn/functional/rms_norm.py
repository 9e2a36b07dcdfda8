"""Normalisation by the root of the mean square."""

import math
from collections.abc import Sequence

import numpy as np

from minigrad.backend import dot_rows, namespace
from minigrad.errors import value_error
from minigrad.tensor import Tensor, op


def scale_rows_reference(x, weight=None, *, eps):
    """The definition, in Tensor arithmetic: what `scale_rows` must equal."""
    y = x * ((x * x).mean(axis=-1, keepdims=True) + eps) ** -0.5
    return y if weight is None else y * weight


@op(reference=scale_rows_reference, gpu=True)
def scale_rows(x, weight=None, *, eps):
    """Divide by the root of the mean square over the last axis, then scale.

        xhat = x r,   r = 1 / sqrt(mean(x^2) + eps),   y = xhat * weight

    Shapes    x (..., C), weight (C,) or None -> y (..., C)
    Saves     xhat, r, weight
    Backward  dweight = sum dy * xhat, over every axis but the last. For x, let g = dy * weight be the
              gradient of xhat. x acts directly, g r, and through r, dr/dx = -r^3 x / C; together
                  dx = r (g - xhat mean(g * xhat)),
              a layer norm's gradient without the term of the mean.
    """
    xp, width, scaled = namespace(x), x.shape[-1:], weight is not None
    C = max(width[0], 1)
    r = (math.sqrt(C) / xp.sqrt(dot_rows(x, x) + C * eps))[..., None]
    xhat, rows = x * r, (x.size // C, *width)

    def vjp(dy):
        g = dy * weight if scaled else dy.copy()
        g -= xhat * (dot_rows(g, xhat)[..., None] / C)
        g *= r
        dweight = xp.einsum("ij,ij->j", dy.reshape(rows), xhat.reshape(rows)) if scaled else None
        return g, dweight

    return xhat * weight if scaled else xhat.copy(), vjp


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, the mean over the axes of `normalized_shape`, the last ones.

    Shapes    input (..., *normalized_shape), weight normalized_shape -> as input
    Raises    ValueError for an input whose last axes are others, or a weight of another shape.
    Source    Zhang and Sennrich 2019, arXiv:1910.07467; without `eps` the dtype's precision, as in PyTorch
    """
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise value_error("rms_norm", f"input (..., {', '.join(map(str, shape))})", tuple(input.shape))
    if weight is not None and tuple(weight.shape) != shape:
        raise value_error("rms_norm", f"weight {shape}", tuple(weight.shape))
    eps = float(np.finfo(input._data.dtype).eps) if eps is None else float(eps)
    if len(shape) == 1:
        return scale_rows(input, weight, eps=eps)
    flat = input.reshape(*input.shape[: -len(shape)], math.prod(shape))
    return scale_rows(flat, None if weight is None else weight.reshape(-1), eps=eps).reshape(
        tuple(input.shape)
    )
