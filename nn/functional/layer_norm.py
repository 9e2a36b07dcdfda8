"""Layer normalisation."""

import math

from minigrad.backend import dot_rows, mean_rows, namespace, sum_columns
from minigrad.errors import value_error
from minigrad.tensor import op


def layer_norm_reference(x, weight=None, bias=None, *, eps=1e-5):
    """The definition, in Tensor arithmetic: what `layer_norm` must equal."""
    shifted = x - x[..., :1]
    centred = shifted - shifted.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    y = centred / (variance + eps).sqrt()
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@op(reference=layer_norm_reference, gpu=True)
def layer_norm(x, weight=None, bias=None, *, eps=1e-5):
    """Normalise over the last axis, then scale and shift.

        xhat = (x - mean(x)) * rstd,   rstd = 1 / sqrt(var(x) + eps),   y = xhat * weight + bias

    Shapes    x (..., C), weight (C,) or None, bias (C,) or None -> y (..., C)
    Saves     xhat, rstd, weight
    Backward  dbias = sum dy and dweight = sum dy * xhat, over every axis but the last.
              For x, let g = dy * weight be the gradient of xhat = c * rstd, with c = x - mean(x).
              c acts directly, g * rstd, and through rstd, d(rstd)/dc = -rstd**3 * c / C; together
              rstd * (g - xhat * mean(g * xhat)). c = x - mean(x) passes dc on as
              dx = dc - mean(dc), and xhat has mean zero, so
                  dx = rstd * (g - mean(g) - xhat * mean(g * xhat)).
    Raises    ValueError if weight or bias is not (C,).
    Source    Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """
    width = x.shape[-1:]
    for name, a in (("weight", weight), ("bias", bias)):
        if a is not None and a.shape != width:
            raise value_error("layer_norm", f"{name} {width} for x {x.shape}", f"{name} {a.shape}")
    xp, C, scaled, shifted = namespace(x), max(width[0], 1), weight is not None, bias is not None
    xhat = x - x[..., :1]  # so that equal numbers have exactly their mean, however large they are
    xhat -= mean_rows(xhat)[..., None]  # x - mean(x)
    squares = dot_rows(xhat, xhat) + C * eps
    rstd = (math.sqrt(C) / xp.sqrt(squares))[..., None]  # 1 / sqrt(var + eps), var = squares / C
    xhat *= rstd  # (x - mean(x)) * rstd

    def vjp(dy):
        g = dy * weight if scaled else dy.copy()
        along = dot_rows(g, xhat)[..., None] / C  # mean(g * xhat)
        g -= mean_rows(g)[..., None]
        g -= xhat * along
        g *= rstd  # dx = rstd * (g - mean(g) - xhat * mean(g * xhat))
        dweight = xp.einsum("ij,ij->j", dy.reshape(-1, *width), xhat.reshape(-1, *width)) if scaled else None
        return g, dweight, sum_columns(dy) if shifted else None  # dx, sum dy * xhat, sum dy

    y = xhat * weight if scaled else xhat.copy()
    if shifted:
        y += bias
    return y, vjp
