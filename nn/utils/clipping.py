"""Clipping of gradients, and their norms, in PyTorch's other ways."""

import warnings
from typing import Any

import numpy as np

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.methods import values_of
from minigrad.tensor import Tensor, wrap
from nn.optim import norms
from nn.optim.optimizer import clip_grad_norm_


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """Return the norm of one Tensor or of several, taken together.

    Raises    RuntimeError, if `error_if_nonfinite`, for a norm that is infinite or not a number.
    """
    arrays = [x._data for x in ([tensors] if isinstance(tensors, Tensor) else tensors)]
    norm = norms.other_norm(arrays, norm_type)
    if error_if_nonfinite:
        norms.check_finite("get_total_norm", norm)
    like = arrays[0] if arrays else np.zeros(1, np.float32)
    return wrap(namespace(like).asarray(norm, dtype=like.dtype))


def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Scale all gradients by max_norm / total_norm, if that is below 1."""
    factor = max_norm / (float(values_of(total_norm)) + 1e-6)
    for grad in _gradients(parameters):
        grad *= min(factor, 1.0) if factor == factor else factor


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of every gradient to -clip_value..clip_value."""
    if not clip_value >= 0:
        raise value_error("clip_grad_value_", "clip_value of 0 or more", clip_value)
    for grad in _gradients(parameters):
        grad.clip(-clip_value, clip_value, out=grad)


def clip_grad_norm(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """`clip_grad_norm_` under its old name."""
    warnings.warn("clip_grad_norm: expected its new name, clip_grad_norm_", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def _gradients(parameters: Any) -> list[Any]:
    every = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p._node.grad for p in every if p._node is not None and p._node.grad is not None]
