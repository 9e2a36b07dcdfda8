"""Sums of products: matmul and einsum."""

import math

from minigrad.backend import namespace
from minigrad.primitives.arithmetic import unbroadcast


def matmul(a, b):
    """a @ b with NumPy's rules: vectors, matrices, batches that broadcast.

    Shapes    a (..., N, K) or (K,), b (..., K, M) or (K,) -> (..., N, M), without N or M for a vector
    Saves     a, b
    Backward  out_nm = sum_k a_nk b_km, so da = dout @ b^T and db = a^T @ dout, each summed over
              broadcast batches. A vector is a matrix of one row (a) or column (b).
    """
    if a.dtype.kind == "b":
        raise TypeError("matmul: expected numbers; got booleans; write x.float()")
    sa, sb, out = a.shape, b.shape, a @ b
    a = a[None] if a.ndim == 1 else a  # (..., N, K)
    b = b[:, None] if b.ndim == 1 else b  # (..., K, M)
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
