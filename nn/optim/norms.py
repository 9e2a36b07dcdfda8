"""Norms of gradients, taken together."""

import math
import types
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.tensor import Tensor


def gradients(where: str, parameters: Any) -> list[Any]:
    """Return the gradients' own arrays of one Tensor or several, leaving out those that have none.

    A generator that yields nothing, most likely because it was used before, is warned of.
    """
    every = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not every and isinstance(parameters, types.GeneratorType):
        warnings.warn(
            f"{where}: expected parameters; got a generator that yields none; was it used before? "
            "write list(model.parameters())",
            stacklevel=3,
        )
    return [p._node.grad for p in every if p._node is not None and p._node.grad is not None]


def other_norm(grads: Iterable[Any], norm_type: float) -> float:
    """Return (sum over all elements of |g|^norm_type)^(1 / norm_type); with inf, the largest |g|."""
    norm_type = float(norm_type)
    if norm_type == math.inf:
        return max((float(abs(g).max()) for g in grads if g.size), default=0.0)
    return sum(float((abs(g) ** norm_type).sum()) for g in grads) ** (1.0 / norm_type)


def check_finite(where: str, norm: float, error_if_nonfinite: bool) -> None:
    """Raise RuntimeError, if asked to, for a norm that is infinite or not a number."""
    if error_if_nonfinite and not math.isfinite(norm):
        message = value_error(where, "gradients of a finite norm", norm, "or error_if_nonfinite=False")
        raise RuntimeError(*message.args)


def as_tensor(norm: float, grads: list[Any]) -> Tensor:
    """Return the norm as a Tensor () of the gradients' dtype and library."""
    like = grads[0] if grads else np.zeros((), np.float32)
    return Tensor(namespace(like).asarray(norm, dtype=like.dtype))
