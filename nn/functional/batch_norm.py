"""Batch normalisation."""

import math

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.tensor import Tensor, op


def normalise_batch_reference(x, weight=None, bias=None, *, eps=1e-5):
    """The definition, in Tensor arithmetic: what `normalise_batch` must equal."""
    mean = x.mean(axis=_axes(x))
    variance = ((x - mean.reshape(_column(x))) ** 2).mean(axis=_axes(x))
    return _normalise_by(x, mean, variance, weight, bias, eps)


def _normalise_by(x, mean, variance, weight, bias, eps):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with numbers for each channel."""
    column = _column(x)
    y = (x - mean.reshape(column)) / (variance.reshape(column) + eps).sqrt()
    y = y if weight is None else y * weight.reshape(column)
    return y if bias is None else y + bias.reshape(column)


@op(reference=normalise_batch_reference)
def normalise_batch(x, weight=None, bias=None, *, eps=1e-5):
    """Normalise each channel (axis 1) over the batch and all further axes, then scale and shift.

        xhat = (x - mean(x)) * rstd,   rstd = 1 / sqrt(var(x) + eps),   y = xhat * weight + bias

    Mean and variance (divided by n, not n - 1) are those of the n values a channel has in this
    batch, so every example's output depends on all the others.

    Shapes    x (N, C, ...), weight (C,) or None, bias (C,) or None -> y (N, C, ...)
    Saves     xhat, scale
    Backward  dbias = sum dy and dweight = sum dy * xhat, over every axis but the channels.
              For x, let g = dy * weight. As in `layer_norm`, with means over the batch,
                  dx = rstd * (g - mean(g) - xhat * mean(g * xhat)).
              weight is constant within a channel, so mean(g) = weight * dbias / n and
              mean(g * xhat) = weight * dweight / n: the sums are there already, and with
              scale = weight * rstd
                  dx = scale * (dy - (dbias + xhat * dweight) / n).
    Raises    ValueError if weight or bias is not (C,), or a channel has fewer than two values.
    Source    Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1 and section 3.
    """
    if x.ndim < 2:
        raise value_error("batch_norm", "x (N, C) or (N, C, ...)", f"x {x.shape}")
    for name, a in (("weight", weight), ("bias", bias)):
        if a is not None and a.shape != x.shape[1:2]:
            raise value_error("batch_norm", f"{name} {x.shape[1:2]} for x {x.shape}", f"{name} {a.shape}")
    axes, column, n = _axes(x), _column(x), len(x) * math.prod(x.shape[2:])
    if n < 2:
        hint = "pass a larger batch, or call model.eval() to use the running statistics"
        raise value_error("batch_norm", "two or more values per channel in training", f"x {x.shape}", hint)
    scaled, shifted = weight is not None, bias is not None
    xhat = x - x.mean(axis=axes, keepdims=True)
    rstd = 1.0 / namespace(x).sqrt((xhat * xhat).mean(axis=axes, keepdims=True) + eps)
    xhat *= rstd
    scale = rstd * weight.reshape(column) if scaled else rstd

    def vjp(dy):
        dbias, dweight = dy.sum(axis=axes), (dy * xhat).sum(axis=axes)
        dx = xhat * (dweight / n).reshape(column)
        dx += (dbias / n).reshape(column)
        dx = scale * (dy - dx)
        return dx, dweight if scaled else None, dbias if shifted else None

    y = xhat * weight.reshape(column) if scaled else xhat.copy()
    if shifted:
        y += bias.reshape(column)
    return y, vjp


def _axes(x):
    """Return every axis but the channels."""
    return (0, *range(2, x.ndim))


def _column(x):
    """Return the shape in which one number per channel broadcasts against x."""
    return (-1, *(1,) * (x.ndim - 2))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel: by this batch's statistics in training, by the running ones otherwise.

    In training the running statistics, where given, move in place towards those of the batch,

        running = (1 - momentum) * running + momentum * batch,

    with the variance divided by n - 1. Otherwise each channel is scaled and shifted by constants,
    and no example depends on another.

    Shapes    input (N, C, ...), all others (C,) -> as input
    Raises    ValueError for shapes that do not fit, a channel with fewer than two values in
              training, or no running statistics outside it.
    Source    `torch.nn.functional.batch_norm`
    """
    if eps < 0 or (training and eps == 0):
        raise value_error("batch_norm", "eps > 0", eps)
    for name, a in (("running_mean", running_mean), ("running_var", running_var)):
        if a is not None and a.shape != input.shape[1:2]:
            expected = f"{name} {input.array.shape[1:2]} for x {input.array.shape}"
            raise value_error("batch_norm", expected, f"{name} {tuple(a.shape)}")
    if training:
        y = normalise_batch(input, weight, bias, eps=eps)
        if running_mean is not None:
            _move_towards(running_mean, input.array.mean(axis=_axes(input)), momentum)
        if running_var is not None:
            _move_towards(running_var, input.array.var(axis=_axes(input), ddof=1), momentum)
        return y
    if running_mean is None or running_var is None:
        raise value_error("batch_norm", "running_mean and running_var outside training", "None")
    return _normalise_by(input, running_mean, running_var, weight, bias, eps)


def _move_towards(running, batch, momentum):
    """Set running = (1 - momentum) * running + momentum * batch, in place."""
    running.array[...] = (1.0 - momentum) * running.array + momentum * batch
    running.mark_overwritten()
