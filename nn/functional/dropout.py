"""Inverted dropout."""

from minigrad import random
from minigrad.backend import namespace
from minigrad.tensor import op


def drop_reference(x, *, keep, p):
    """The definition, in Tensor arithmetic: what `drop` must equal."""
    return x * keep / (1.0 - p or 1.0)


@op(reference=drop_reference)
def drop(x, *, keep, p):
    """Zero the elements that are not kept, and scale the others so that the mean stays.

        y = x * keep / (1 - p)

    E[keep] = 1 - p, so E[y] = x: nothing needs to be scaled at evaluation. For p = 1, y = 0.

    Shapes    x any, keep the same, boolean -> the same
    Saves     keep
    Backward  y is linear in x: dx = dy * keep / (1 - p).
    Source    Srivastava et al. 2014, JMLR 15:1929-1958, section 10 ("inverted").
    """
    number = x.dtype.type
    factor = float(number(1.0) / number(1.0 - p or 1.0))  # rounded as PyTorch rounds it, in x's dtype
    y = x * keep
    y *= factor  # x * keep / (1 - p)

    def vjp(dy):
        dx = dy * keep
        dx *= factor
        return (dx,)

    return y, vjp


def keep_mask(x, p, rng=None, shape=None):
    """Return a boolean mask, True with probability 1 - p, of x's shape (or `shape`), where x lives.

    Random    in the order of memory, as PyTorch: if x is the transpose of an array without gaps, the
              mask is the transpose of one drawn for that array.
    """
    if shape is None and not x.flags.c_contiguous:
        memory = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
        if x.transpose(memory).flags.c_contiguous:
            mask = keep_mask(x, p, rng, tuple(x.shape[axis] for axis in memory))
            return mask.transpose(sorted(range(x.ndim), key=memory.__getitem__))
    shape = x.shape if shape is None else shape
    if p == 1:
        return namespace(x).zeros(shape, bool)
    rng = random.default_generator() if rng is None else rng
    return namespace(x).asarray(rng.keep_mask(p, shape))
