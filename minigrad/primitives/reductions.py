"""Sums, means, extremes: many elements become one."""

import math

from minigrad.backend import namespace

Axis = int | tuple[int, ...] | None


def kept_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Return `shape` with the reduced axes kept as 1."""
    if axis is None:
        return (1,) * len(shape)
    axes = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def sum(x, *, axis=None, keepdims=False):
    """The sum over `axis` (an int, a tuple, or None for all).

    Shapes    x any -> x without the reduced axes, or with 1 in their place (keepdims)
    Saves     nothing
    Backward  every element enters once, with weight 1: dout, broadcast.
    """
    xp, shape = namespace(x), x.shape
    kept = kept_shape(shape, axis)
    return x.sum(axis=axis, keepdims=keepdims), lambda dout: (xp.broadcast_to(dout.reshape(kept), shape),)


def mean(x, *, axis=None, keepdims=False):
    """The mean over `axis`.

    Shapes    as `sum`
    Saves     nothing
    Backward  dout / n, broadcast, with n the number of elements averaged.
    """
    xp, shape = namespace(x), x.shape
    kept = kept_shape(shape, axis)
    out = x.mean(axis=axis, keepdims=keepdims)
    share = math.prod(kept) / (math.prod(shape) or 1)
    return out, lambda dout: (xp.broadcast_to(dout.reshape(kept) * share, shape),)


def max(x, *, axis=None, keepdims=False):
    """The largest element along `axis` (the value alone; for its place see `argmax`).

    Shapes    as `sum`
    Saves     share
    Backward  dout to the largest; k that tie get dout / k each, as torch.amax does.
    """
    return _extreme(x, x.max(axis=axis, keepdims=keepdims), axis)


def min(x, *, axis=None, keepdims=False):
    """The smallest element along `axis`.

    Shapes    as `sum`
    Saves     share
    Backward  as `max`.
    """
    return _extreme(x, x.min(axis=axis, keepdims=keepdims), axis)


def _extreme(x, out, axis):
    kept = kept_shape(x.shape, axis)
    hit = (x == out.reshape(kept)).astype(x.dtype)
    share = hit / hit.sum(axis=axis, keepdims=True)
    return out, lambda dout: (dout.reshape(kept) * share,)


def logsumexp(x, *, axis=None, keepdims=False):
    """log(sum(exp(x))) along `axis`, with the largest element m taken out so that exp cannot overflow.

        log sum exp(x) = m + log sum exp(x - m)

    Shapes    as `sum`
    Saves     p
    Backward  d(log sum e^x) = sum e^x dx / sum e^x: dout times the softmax p of x, whatever m is.
              Where all are -inf the result is -inf and p is 0.
    """
    xp, kept = namespace(x), kept_shape(x.shape, axis)
    top = x.max(axis=axis, keepdims=True)
    top = xp.where(abs(top) == math.inf, xp.zeros_like(top), top)
    e = xp.exp(x - top)
    total = e.sum(axis=axis, keepdims=True)
    empty = total == 0
    p = e / xp.where(empty, xp.ones_like(total), total)
    out = xp.where(empty, top - math.inf, top + xp.log(xp.where(empty, xp.ones_like(total), total)))
    reduced = out if keepdims else out.reshape(x.sum(axis=axis).shape)
    return reduced, lambda dout: (dout.reshape(kept) * p,)


def cumsum(x, *, axis):
    """The running sum along `axis`.

    Shapes    x any -> the same
    Saves     nothing
    Backward  x_i enters every sum from i on: dx_i = sum of dout_j over j >= i, a running sum from
              the end.
    """
    backwards = (slice(None),) * (axis % x.ndim) + (slice(None, None, -1),)
    out = x.cumsum(axis=axis)
    return out, lambda dout: (dout[backwards].cumsum(axis=axis)[backwards],)
