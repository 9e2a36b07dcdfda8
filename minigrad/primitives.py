"""The elementary operations: array functions that return (output, vjp).

Positional arguments are arrays that may carry a gradient; constants are keyword-only. `vjp(dout)`
returns one gradient per positional argument, of that argument's shape. No code here works in place,
so that it can be run again on Tensors for derivatives of derivatives (higher.py).
"""

import math
from collections.abc import Callable
from typing import Any

from minigrad import backend
from minigrad.backend import namespace

Vjp = Callable[[Any], tuple[Any, ...]]
Axis = int | tuple[int, ...] | None


def unbroadcast(dout: Any, shape: tuple[int, ...]) -> Any:
    """Sum `dout` over the axes that broadcasting added to or stretched in an array of `shape`.

    A broadcast element is read many times, and its gradient is the sum over all its readers.
    """
    if dout.shape == shape:
        return dout
    added = dout.ndim - len(shape)
    stretched = (added + i for i, n in enumerate(shape) if n == 1 and dout.shape[added + i] != 1)
    return dout.sum(axis=(*range(added), *stretched)).reshape(shape)


def kept_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Return `shape` with the reduced axes kept as 1."""
    if axis is None:
        return (1,) * len(shape)
    axes = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


# --- arithmetic: broadcasting, undone by the operation that broadcast ---


def add(a, b):
    """a + b.

    Shapes    a, b broadcast together
    Saves     nothing
    Backward  d(a + b) = da + db: dout flows to both, summed over broadcast axes.
    """
    sa, sb = a.shape, b.shape
    return a + b, lambda dout: (unbroadcast(dout, sa), unbroadcast(dout, sb))


def subtract(a, b):
    """a - b.

    Shapes    a, b broadcast together
    Saves     nothing
    Backward  d(a - b) = da - db.
    """
    sa, sb = a.shape, b.shape
    return a - b, lambda dout: (unbroadcast(dout, sa), unbroadcast(-dout, sb))


def multiply(a, b):
    """a * b.

    Shapes    a, b broadcast together
    Saves     a, b
    Backward  d(ab) = b da + a db.
    """
    return a * b, lambda dout: (unbroadcast(dout * b, a.shape), unbroadcast(dout * a, b.shape))


def divide(a, b):
    """a / b.

    Shapes    a, b broadcast together
    Saves     a, b
    Backward  d(a / b) = da / b - (a / b) db / b.
    """

    def vjp(dout):
        da = dout / b
        return unbroadcast(da, a.shape), unbroadcast(-da * (a / b), b.shape)

    return a / b, vjp


def shift(x, *, number):
    """x + number.

    Shapes    x any
    Saves     nothing
    Backward  the number is a constant: dx = dout.
    """
    return x + number, lambda dout: (dout,)


def scale(x, *, number):
    """x * number.

    Shapes    x any
    Saves     nothing
    Backward  dx = number dout.
    """
    return x * number, lambda dout: (dout * number,)


def divide_by(x, *, number):
    """x / number: rounded as a division, not as a product with the reciprocal.

    Shapes    x any
    Saves     nothing
    Backward  dx = dout / number.
    """
    return x / number, lambda dout: (dout / number,)


def negative(x):
    """-x.

    Shapes    x any
    Saves     nothing
    Backward  dx = -dout.
    """
    return -x, lambda dout: (-dout,)


def power(x, *, exponent):
    """x ** exponent, for a Python number; small whole powers by multiplication.

    NumPy's float32 `x**3` takes 170 times `x * x * x`.

    Shapes    x any
    Saves     x
    Backward  d(x^n) = n x^(n-1) dx; for n = 0 the gradient is 0, at x = 0 too.
    """
    below = exponent - 1 if exponent else 0

    def vjp(dout):
        return (dout * (exponent * _power(x, below)),)

    return _power(x, exponent), vjp


def _power(x, exponent):
    if exponent == 1:
        return x * 1.0
    if exponent == 2:
        return x * x
    if exponent == 3:
        return x * x * x
    if exponent == 0.5:
        return namespace(x).sqrt(x)
    return x**exponent


def raise_to(x, y):
    """x ** y for an array of exponents; x must not be negative where y is not whole.

    Shapes    x, y broadcast together
    Saves     x, y, out
    Backward  dx = dout y x^(y-1);  dy = dout x^y log x, taken as 0 where x <= 0, where PyTorch
              too returns 0 at x = 0 and y >= 0.
    """
    xp = namespace(x)
    out = x**y

    def vjp(dout):
        dx = dout * (y * xp.where(y == 0, xp.ones_like(x), x) ** (y - 1.0))
        log = xp.log(xp.where(x > 0, x, xp.ones_like(x)))
        return unbroadcast(dx, x.shape), unbroadcast(dout * out * log, y.shape)

    return out, vjp


def matmul(a, b):
    """a @ b with NumPy's rules: vectors, matrices, batches that broadcast.

    Shapes    a (..., N, K) or (K,), b (..., K, M) or (K,) -> (..., N, M), without N or M for a vector
    Saves     a, b
    Backward  out_nm = sum_k a_nk b_km, so da = dout @ b^T and db = a^T @ dout, each summed over
              broadcast batches. A vector is a matrix of one row (a) or column (b).
    """
    sa, sb, out = a.shape, b.shape, a @ b
    a = a.reshape(1, -1) if a.ndim == 1 else a  # (..., N, K)
    b = b.reshape(-1, 1) if b.ndim == 1 else b  # (..., K, M)
    batch = out.shape[: out.ndim - (len(sa) > 1) - (len(sb) > 1)]
    full = (*batch, a.shape[-2], b.shape[-1])

    def vjp(dout):
        d = dout.reshape(full)
        da = d @ b.swapaxes(-1, -2)
        if len(sb) <= 2:  # one product over all rows, instead of one per batch and their sum
            rows = math.prod(full[:-1])
            db = a.reshape(rows, sa[-1]).swapaxes(0, 1) @ d.reshape(rows, full[-1])
        else:
            db = unbroadcast(a.swapaxes(-1, -2) @ d, b.shape)
        return unbroadcast(da, a.shape).reshape(sa), db.reshape(sb)

    return out, vjp


def einsum(*operands, subscripts):
    """numpy.einsum with an explicit output: einsum("bi,ij->bj", x, w).

    Shapes    as the subscripts say; no label twice in one operand, no ellipsis
    Saves     operands
    Backward  out is a sum of products, linear in each operand, so the gradient of one operand is
              the einsum of dout with all others, onto its labels; labels that only it has were
              summed alone, and its gradient is constant along them.
    Raises    ValueError for an ellipsis, a repeated label or a missing "->".
    """
    inputs, output = parse_subscripts(subscripts)
    xp = namespace(operands[0])
    sizes = {label: n for labels, x in zip(inputs, operands) for label, n in zip(labels, x.shape)}

    def gradient(i, dout):
        others = [labels for j, labels in enumerate(inputs) if j != i]
        seen = set(output).union(*others)
        reachable = "".join(label for label in inputs[i] if label in seen)
        arrays = [x for j, x in enumerate(operands) if j != i]
        d = xp.einsum(",".join([output, *others]) + "->" + reachable, dout, *arrays)
        shape = tuple(sizes[label] if label in seen else 1 for label in inputs[i])
        return xp.broadcast_to(d.reshape(shape), tuple(sizes[label] for label in inputs[i]))

    out = xp.einsum(subscripts, *operands)
    return out, lambda dout: tuple(gradient(i, dout) for i in range(len(operands)))


def parse_subscripts(subscripts: str) -> tuple[list[str], str]:
    """Return (labels of each operand, labels of the output) of an explicit einsum string."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if not arrow or "." in subscripts or any(len(set(labels)) != len(labels) for labels in inputs):
        raise ValueError(
            f'einsum: expected "ij,jk->ik" with "->", no ellipsis, no label twice in one operand; '
            f"got {subscripts!r}"
        )
    return inputs, output


# --- elementwise functions ---


def absolute(x):
    """|x|.

    Shapes    x any
    Saves     x
    Backward  dx = sign(x) dout, 0 at the kink x = 0.
    """
    sign = namespace(x).sign
    return abs(x), lambda dout: (dout * sign(x),)


def sign(x):
    """-1, 0 or 1 by the sign of x.

    Shapes    x any
    Saves     nothing
    Backward  piecewise constant: dx = 0.
    """
    return namespace(x).sign(x), lambda dout: (dout * 0.0,)


def exp(x):
    """e^x.

    Shapes    x any
    Saves     out
    Backward  d(e^x) = e^x dx.
    """
    out = namespace(x).exp(x)
    return out, lambda dout: (dout * out,)


def log(x):
    """The natural logarithm.

    Shapes    x any
    Saves     x
    Backward  d(log x) = dx / x.
    """
    return namespace(x).log(x), lambda dout: (dout / x,)


def sqrt(x):
    """The square root.

    Shapes    x any
    Saves     out
    Backward  d(sqrt x) = dx / (2 sqrt x).
    """
    out = namespace(x).sqrt(x)
    return out, lambda dout: (dout / (out * 2.0),)


def tanh(x):
    """The hyperbolic tangent.

    Shapes    x any
    Saves     out
    Backward  d(tanh x) = (1 - tanh^2 x) dx.
    """
    out = namespace(x).tanh(x)
    return out, lambda dout: (dout * (1.0 - out * out),)


def sin(x):
    """The sine.

    Shapes    x any, in radians
    Saves     x
    Backward  d(sin x) = cos x dx.
    """
    xp = namespace(x)
    return xp.sin(x), lambda dout: (dout * xp.cos(x),)


def cos(x):
    """The cosine.

    Shapes    x any, in radians
    Saves     x
    Backward  d(cos x) = -sin x dx.
    """
    xp = namespace(x)
    return xp.cos(x), lambda dout: (-dout * xp.sin(x),)


def sigmoid(x):
    """1 / (1 + e^-x), written with tanh, which overflows nowhere.

    Shapes    x any
    Saves     out
    Backward  d(sigmoid x) = s (1 - s) dx.
    """
    out = namespace(x).tanh(x * 0.5) * 0.5 + 0.5
    return out, lambda dout: (dout * (out * (1.0 - out)),)


def relu(x):
    """max(x, 0).

    Shapes    x any
    Saves     positive
    Backward  dout where x > 0, else 0 (at the kink x = 0 too, as in PyTorch).
    """
    positive = (x > 0).astype(x.dtype)
    return namespace(x).maximum(x, 0.0), lambda dout: (dout * positive,)


def erf(x):
    """The error function, 2/sqrt(pi) times the integral of e^(-t^2) from 0 to x.

    Shapes    x any
    Saves     x
    Backward  d(erf x) = 2/sqrt(pi) e^(-x^2) dx.
    """
    xp = namespace(x)
    value = xp.erf(x) if hasattr(xp, "erf") else backend.erf(x)
    return value, lambda dout: (dout * (xp.exp(-(x * x)) * 1.1283791670955126),)


def maximum(a, b):
    """The larger of a and b, element by element.

    Shapes    a, b broadcast together
    Saves     share
    Backward  dout to the larger; at a tie half to each, as in PyTorch.
    """
    sa, sb, share = a.shape, b.shape, _share(a, b)
    out = namespace(a).maximum(a, b)
    return out, lambda dout: (unbroadcast(dout * share, sa), unbroadcast(dout * (1.0 - share), sb))


def minimum(a, b):
    """The smaller of a and b, element by element.

    Shapes    a, b broadcast together
    Saves     share
    Backward  dout to the smaller; at a tie half to each, as in PyTorch.
    """
    sa, sb, share = a.shape, b.shape, _share(b, a)
    out = namespace(a).minimum(a, b)
    return out, lambda dout: (unbroadcast(dout * share, sa), unbroadcast(dout * (1.0 - share), sb))


def _share(a, b):
    """Return 1 where a > b, 1/2 at ties, else 0."""
    return ((a > b).astype(a.dtype) + (a >= b).astype(a.dtype)) * 0.5


def clip(x, *, low, high):
    """x limited to low..high; either limit may be None.

    Shapes    x any
    Saves     inside
    Backward  dout where low <= x <= high, else 0 (at the limits dout, as in PyTorch).
    """
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    inside = ((x >= low) & (x <= high)).astype(x.dtype)
    return namespace(x).clip(x, low, high), lambda dout: (dout * inside,)


def where(a, b, *, condition):
    """a where `condition` holds, else b.

    Shapes    condition, a, b broadcast together
    Saves     condition
    Backward  each element of dout goes to the one it was read from.
    """
    xp = namespace(a)
    sa, sb = a.shape, b.shape

    def vjp(dout):
        zero = xp.zeros_like(dout)
        da, db = xp.where(condition, dout, zero), xp.where(condition, zero, dout)
        return unbroadcast(da, sa), unbroadcast(db, sb)

    return xp.where(condition, a, b), vjp


def astype(x, *, dtype):
    """x in another float dtype.

    Shapes    x any
    Saves     nothing
    Backward  the gradient in x's own dtype.
    """
    before = x.dtype
    return x.astype(dtype), lambda dout: (dout.astype(before),)


# --- reductions ---


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
    hit = x == out.reshape(kept)
    share = (hit / hit.sum(axis=axis, keepdims=True)).astype(x.dtype)
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
    out = xp.where(
        empty, -math.inf + xp.zeros_like(top), top + xp.log(xp.where(empty, xp.ones_like(total), total))
    )
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


# --- shapes and indexing: the same numbers elsewhere ---


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
    """x[index]: basic, boolean or fancy, with repeats.

    Shapes    as NumPy
    Saves     index
    Backward  zeros with dout added at `index`; an element read twice gets both gradients.
    """
    shape = x.shape
    return x[index], lambda dout: (_scatter(dout, index=index, shape=shape),)


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
