"""The elementary operations: array functions that return (output, vjp).

Positional arguments are arrays that may carry a gradient; constants are keyword-only. `vjp(dout)`
returns one gradient per positional argument, of that argument's shape. No code here works in place,
so that it can be run again on Tensors for derivatives of derivatives (higher.py).
"""

from minigrad.primitives.arithmetic import (
    add,
    divide,
    divide_by,
    multiply,
    negative,
    scale,
    shift,
    subtract,
    unbroadcast,
)
from minigrad.primitives.elementwise import (
    absolute,
    astype,
    clip,
    cos,
    erf,
    exp,
    log,
    maximum,
    minimum,
    power,
    raise_to,
    relu,
    sigmoid,
    sign,
    sin,
    sqrt,
    tanh,
    where,
)
from minigrad.primitives.products import einsum, matmul, parse_subscripts
from minigrad.primitives.reductions import cumsum, kept_shape, logsumexp, max, mean, min, sum
from minigrad.primitives.shapes import broadcast_to, concatenate, getitem, reshape, scatter_add, transpose
