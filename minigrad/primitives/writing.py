"""Assignment to elements, as an operation: what was there is gone, and so is its part in the gradient."""

from minigrad.backend import namespace
from minigrad.primitives.arithmetic import unbroadcast


def put(x, value, *, index):
    """x with `value` in place of x[index].

    Shapes    value broadcasts to x[index] -> x
    Saves     index
    Backward  what was replaced has no part in the result: dx is dout with 0 at `index`, dvalue is
              dout[index], summed over the places that one element of value went to.
    """
    out, before = x.copy(), value.shape
    out[index] = value

    def vjp(dout):
        dx = dout.copy()
        dx[index] = 0.0
        return dx, unbroadcast(dout[index], before)

    return out, vjp


def _put_reference(x, value, *, index):
    """The definition, in Tensor arithmetic: what `put` must equal where `index` names no element twice."""
    kept = namespace(x.array).ones(x.shape, x.dtype)
    kept[index] = 0.0
    return x * kept + namespace(value).scatter_add(
        value.broadcast_to(kept[index].shape), index=index, shape=x.shape
    )


put.reference = _put_reference  # type: ignore[attr-defined]
