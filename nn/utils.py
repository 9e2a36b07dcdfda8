"""PyTorch's place for functions on the gradients of a model."""

import math
from collections.abc import Iterable
from typing import Any

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.tensor import Tensor


def clip_grad_norm_(parameters: Iterable[Any] | Tensor, max_norm: float) -> float:
    """Scale all gradients so that their norm, taken together, is at most `max_norm`; return the norm before.

    Raises    ValueError for a negative or NaN max_norm.
    Source    Pascanu et al. 2013, arXiv:1211.5063; `torch.nn.utils.clip_grad_norm_`
    """
    if not max_norm >= 0:
        raise value_error("clip_grad_norm_", "max_norm of 0 or more", max_norm)
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [grad for p in parameters if (grad := p.grad) is not None]
    norm = math.sqrt(sum(float(namespace(g).vdot(g, g)) for g in grads))
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # also for a NaN norm, so that it shows
        for g in grads:
            g *= factor
    return norm
