"""The same numbers elsewhere: reshape, transpose, join, index."""

import numpy as np

from minigrad import backend
from minigrad.backend import namespace
from minigrad.primitives.arithmetic import unbroadcast


def reshape(x, *, shape):
    """x with another shape of as many elements.

    Shapes    x any -> shape
    Saves     nothing
    Backward  the inverse: dout with x's shape.
    """
    before = x.shape
    return x.reshape(shape), lambda dout: (dout.reshape(before),)


def transpose(x, *, axes):
    """x with its axes permuted: axis i of the result is axis axes[i] of x.

    Shapes    x any -> permuted
    Saves     nothing
    Backward  the inverse permutation.
    """
    inverse = sorted(range(len(axes)), key=[a % len(axes) for a in axes].__getitem__)
    return x.transpose(axes), lambda dout: (dout.transpose(inverse),)


def broadcast_to(x, *, shape):
    """x repeated to `shape` by NumPy's rules, without a copy.

    Shapes    x any -> shape
    Saves     nothing
    Backward  the sum over the repeats.
    """
    before = x.shape
    return namespace(x).broadcast_to(x, shape), lambda dout: (unbroadcast(dout, before),)


def concatenate(*arrays, axis=0):
    """The arrays joined along an axis they have.

    Shapes    equal but for `axis` -> their lengths along it added
    Saves     nothing
    Backward  each array gets its own stretch of dout.
    """
    out = namespace(arrays[0]).concatenate(arrays, axis=axis)
    lead, stretches, start = (slice(None),) * (axis % arrays[0].ndim), [], 0
    for a in arrays:
        stretches.append((*lead, slice(start, start + a.shape[axis])))
        start += a.shape[axis]
    return out, lambda dout: tuple(dout[stretch] for stretch in stretches)


def getitem(x, *, index):
    """x[index]: basic, boolean or fancy, with repeats. A single element is a view, too.

    Shapes    as NumPy
    Saves     index
    Backward  zeros with dout added at `index`; an element read twice gets both gradients.
    """
    shape, part = x.shape, x[index]
    if isinstance(part, np.generic):
        part = x[(*index, ...) if isinstance(index, tuple) else (index, ...)]
    return part, lambda dout: (_scatter(dout, index=index, shape=shape),)


def _scatter(dout, *, index, shape):
    scatter = backend.scatter_add if backend.is_array(dout) else namespace(dout).scatter_add
    return scatter(dout, index=index, shape=shape)


def scatter_add(x, *, index, shape):
    """Zeros of `shape` with x added at `index`: the transpose of `getitem`.

    Shapes    x as zeros(shape)[index] -> shape
    Saves     index
    Backward  dx = dout[index].
    """
    return _scatter(x, index=index, shape=shape), lambda dout: (dout[index],)
