"""Rotary positions: pairs of channels turned by an angle that grows with the position."""

import functools
from typing import Any

import numpy as np

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.functions import concatenate
from minigrad.tensor import op


def rotary_reference(x, *, start=0, theta=10000.0):
    """The definition, in Tensor arithmetic: what `rotary` must equal."""
    cos, sin = _turns(namespace(x.array), start, *x.shape[-2:], theta, x.array.dtype)
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return concatenate([a * cos - b * sin, b * cos + a * sin], -1)


@op(reference=rotary_reference, gpu=True)
def rotary(x, *, start=0, theta=10000.0):
    """Turn the pair of channels (i, i + D/2) of position t by the angle (start + t) w_i, w_i = theta^(-2i/D).

        y_i       = x_i cos - x_(i+D/2) sin
        y_(i+D/2) = x_i sin + x_(i+D/2) cos

    Lengths stay, and the product of a query at t with a key at s depends on t - s alone: turning both
    by the same angle changes no product. So attention sees distances, and no position has to be learned.
    The angles are computed in float64, and rounded once.

    Shapes    x (..., T, D), D even -> the same
    Saves     cos, sin
    Backward  A rotation R is linear, so dx = R^T dy, and R^T turns by the opposite angle:
                  dx_i       =  dy_i cos + dy_(i+D/2) sin
                  dx_(i+D/2) = -dy_i sin + dy_(i+D/2) cos
    Raises    ValueError for an odd D.
    Source    Su et al. 2021, arXiv:2104.09864, equation 34; halves in place of neighbours, as in
              transformers, whose weights are ordered so.
    """
    if x.ndim < 2 or x.shape[-1] % 2:
        raise value_error("rotary", "x (..., T, D) with an even D", x.shape)
    cos, sin = _turns(namespace(x), start, *x.shape[-2:], theta, x.dtype)
    return _turned(x, cos, sin), lambda dy: (_turned(dy, cos, -sin),)


def _turned(x, cos, sin):
    xp, half = namespace(x), x.shape[-1] // 2
    a, b, y = x[..., :half], x[..., half:], xp.empty(x.shape, x.dtype)
    xp.multiply(a, cos, out=y[..., :half])
    y[..., :half] -= b * sin
    xp.multiply(b, cos, out=y[..., half:])
    y[..., half:] += a * sin
    return y


def _turns(xp: Any, start: int, T: int, D: int, theta: float, dtype: Any) -> tuple[Any, Any]:
    """Return the cosines and sines of positions start..start+T-1, (T, D/2) each."""
    room = 1 << (start + T - 1).bit_length()  # a power of two, so that few tables are made
    cos, sin = _table(xp, room, D, theta, dtype)
    return cos[start : start + T], sin[start : start + T]


@functools.lru_cache(16)
def _table(xp: Any, length: int, D: int, theta: float, dtype: Any) -> tuple[Any, Any]:
    """Return the cosines and sines of the first positions, the same arrays each time."""
    angles = np.arange(length)[:, None] * theta ** (-np.arange(0, D, 2) / D)
    return xp.asarray(np.cos(angles), dtype), xp.asarray(np.sin(angles), dtype)
