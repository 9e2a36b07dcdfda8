"""Norms of gradients, taken together, other than the usual one."""

import math
import types
import warnings
from collections.abc import Iterable
from typing import Any

from minigrad.errors import value_error


def warn_of_none(where: str, parameters: Any) -> None:
    """Warn of a generator that yields nothing, most likely because it was used before."""
    if isinstance(parameters, types.GeneratorType):
        message = f"{where}: expected parameters; got a generator that yields none; was it used before? "
        warnings.warn(message + "write list(model.parameters())", stacklevel=3)


def other_norm(arrays: Iterable[Any], norm_type: float) -> float:
    """Return (sum over all elements of |g|^norm_type)^(1 / norm_type); with inf, the largest |g|.

    With 0, as in PyTorch, how many of the arrays have an element that is not 0.
    """
    norm_type = float(norm_type)
    if norm_type == math.inf:
        return max((float(abs(g).max()) for g in arrays if g.size), default=0.0)
    if not norm_type:
        return float(sum(bool((g != 0).any()) for g in arrays))
    return float(sum(float((abs(g) ** norm_type).sum()) for g in arrays) ** (1.0 / norm_type))


def check_finite(where: str, norm: float) -> None:
    """Raise RuntimeError for a norm that is infinite or not a number."""
    if not math.isfinite(norm):
        message = value_error(where, "gradients of a finite norm", norm, "or error_if_nonfinite=False")
        raise RuntimeError(*message.args)
