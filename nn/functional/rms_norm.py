"""Normalisation by the root of the mean square."""

from collections.abc import Sequence

import numpy as np

from minigrad.errors import value_error
from minigrad.tensor import Tensor


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
    axes = tuple(range(-len(shape), 0))
    y = input * ((input * input).mean(axes, True) + eps) ** -0.5
    return y if weight is None else y * weight
