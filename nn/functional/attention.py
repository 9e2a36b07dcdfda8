"""A GPT's attention: the definition, the same as one operation, and the blocks in which that is computed."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import dot_rows, finite_max, namespace, sum_rows
from minigrad.errors import value_error
from minigrad.functions import split
from minigrad.tensor import op

QUERIES = 64  # in a block; another number changes speed alone
LOW, HIGH = 1e-16, 1e16  # of row sums of e^S; float32 ends at 1e-38 and 1e38: room for products with v and dy


def causal_attention_reference(qkv, *, n_head, keep=None, p=0.0):
    """The definition, in Tensor arithmetic: what `causal_attention` must equal."""
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    D = C // n_head
    q, k, v = (x.reshape(B, T, n_head, D).swapaxes(1, 2) for x in split(qkv, C, axis=-1))  # (B, H, T, D)
    past = namespace(qkv.array).tri(T, dtype=bool)  # no token sees a later one
    scores = (q @ k.mT * (1 / math.sqrt(D))).masked_fill(~past, -math.inf)  # (B, H, T, T)
    e = (scores - finite_max(scores.array)).exp()
    weights = e / e.sum(axis=-1, keepdims=True)
    y = (weights if keep is None else weights * keep / (1.0 - p or 1.0)) @ v
    return y.swapaxes(1, 2).reshape(B, T, C)


@op(reference=causal_attention_reference, gpu=True)
def causal_attention(qkv, *, n_head, keep=None, p=0.0):
    """Each token's mean of the values so far, weighted by the softmax of its products with their keys.

        S = q k^T / sqrt(D),   P = softmax(S),   y = (P * keep / (1 - p)) v

    for each head; q, k, v are views of qkv, and no head is ever copied out. Computed for a block of queries
    at a time, which reads the keys up to its own end only: half the work. With E = e^S, r = 1 / sum_j E_ij,
    P = r E is never formed, since r can scale the rows of y instead. The row maximum, which softmax takes
    out so that exp stays finite, costs twice what exp does (for rows of 64); only a block whose row sums
    show that it was needed is computed again with it. E, T^2 / 2 numbers a head, is kept for the vjp.

    Shapes    qkv (B, T, 3C), q, k and v side by side -> y (B, T, C); keep (B, n_head, T, T) boolean
    Saves     heads (q, k, v), y_heads, blocks (of E, r and keep)
    Backward  dv = (P * m)^T dy, with m = keep / (1 - p), and dP = (dy v^T) * m. The softmax needs
              sum_j dP_ij P_ij, which is dy_i . sum_j m_ij P_ij v_j = dy_i . y_i: a product of short
              rows, so nothing is summed over (T, T) again. With g = dy r / (1 - p),
                  dS = P * (dP - dy . y) = E * ((g v^T) * keep - r (dy . y)),
                  dq = dS k / sqrt(D),   dk = dS^T q / sqrt(D),   dv = (E * keep)^T g.
    Raises    ValueError if 3C is not three times a multiple of n_head.
    Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1; Dao et al. 2022,
              arXiv:2205.14135, appendix B.2, for dy . y; packed as in GPT-2.
    """
    if qkv.ndim != 3 or qkv.shape[-1] % (3 * n_head):
        raise value_error("causal_attention", f"qkv (B, T, 3C) with C divisible by {n_head} heads", qkv.shape)
    xp, (B, T, _), C = namespace(qkv), qkv.shape, qkv.shape[2] // 3
    D, scale = C // n_head, 1 / math.sqrt(C // n_head)
    q, k, v = qkv.reshape(B, T, 3, n_head, D).transpose(2, 0, 3, 1, 4)  # (B, H, T, D) each
    y = xp.empty((B, T, C), qkv.dtype)
    heads, y_heads = (q, k, v), y.reshape(B, T, n_head, D).swapaxes(1, 2)
    blocks = attend_forward(heads, scale, y_heads, is_causal=True, keep=keep, p=p)

    def vjp(dy):
        dqkv = xp.empty((B, T, 3, n_head, D), dy.dtype)
        dq, dk, dv = dqkv.transpose(2, 0, 3, 1, 4)
        dy_heads = dy.reshape(B, T, n_head, D).swapaxes(1, 2)
        attend_backward(dy_heads, heads, scale, y_heads, blocks, (dq, dk, dv))
        return (dqkv.reshape(B, T, 3 * C),)

    return y, vjp


class QueryBlock(NamedTuple):
    """Some queries, the keys that they read, and what the backward pass needs of their softmax."""

    rows: slice  # of the queries
    keys: slice
    e: Any  # e^S (..., rows, keys)
    r: Any  # 1 / its row sums (..., rows)
    y_scale: Any  # r / (1 - p), by which y and dy are multiplied; r for p = 1, as nothing is kept
    keep: Any  # (..., rows, keys), or None


def attend_forward(heads, scale, y, *, is_causal, keep, p, mask=None):
    """Fill y, block by block, and return the blocks. The mask is (..., T, K), boolean or additive."""
    (q, k, v), xp, blocks = heads, namespace(y), []
    T, K = q.shape[-2], k.shape[-2]
    for start in range(0, T, QUERIES):
        rows = slice(start, min(start + QUERIES, T))
        if is_causal:  # every key before the block's own, which form a triangle
            keys = slice(0, min(rows.stop, K))
            part = _triangle(xp, rows.stop - start, max(keys.stop - start, 0))
        else:
            keys, part = slice(0, K), None if mask is None else mask[..., rows, :]
        e, total = _exponentials(q[..., rows, :] * scale, k[..., keys, :], part)
        r = 1.0 / total
        if keep is None:
            block, kept = QueryBlock(rows, keys, e, r, r, None), e
        else:
            block = QueryBlock(rows, keys, e, r, r / (1.0 - p or 1.0), keep[..., rows, keys])
            kept = e * block.keep
        y_rows = y[..., rows, :]
        xp.matmul(kept, v[..., keys, :], out=y_rows)
        y_rows *= block.y_scale[..., None]  # y = r / (1 - p) (E * keep) v
        blocks.append(block)
    return blocks


@functools.cache
def _triangle(xp, rows, columns):
    """Return True on and below the diagonal."""
    return xp.tri(rows, columns, dtype=bool)


def _exponentials(q, k, mask):
    """Return (E, its row sums): E = e^S, or, where sums lose digits, e^(S - m), m the maximum of each row.

    The mask, boolean (True: may attend) or added to S, is for the last keys; or None.
    """
    xp, e = namespace(q), q @ k.swapaxes(-1, -2)  # S, and then E in its place
    masked = e if mask is None else e[..., e.shape[-1] - mask.shape[-1] :]  # a view
    if mask is None or mask.dtype == bool:
        with np.errstate(over="ignore", invalid="ignore"):
            xp.exp(e, out=e)
            if mask is not None:
                masked *= mask
            total = sum_rows(e)
        if total.size and total.min() > LOW and total.max() < HIGH:
            return e, total
        xp.matmul(q, k.swapaxes(-1, -2), out=e)  # some overflowed or vanished: S again
    if mask is not None:
        masked += xp.where(mask, 0.0, -math.inf).astype(e.dtype) if mask.dtype == bool else mask
    e -= finite_max(e)
    xp.exp(e, out=e)
    total = sum_rows(e)
    total += total == 0  # a row may be masked as a whole
    return e, total


def attend_backward(dy, heads, scale, y, blocks, dheads):
    """Fill dq, dk, dv of the heads. The last block reads more keys than any: it comes first and assigns."""
    xp, (q, k, v), (dq, dk, dv), covered = namespace(dy), heads, dheads, 0
    for rows, keys, e, r, y_scale, keep in reversed(blocks):
        dy_rows, kept = dy[..., rows, :], e
        g = dy_rows * y_scale[..., None]
        ds = g @ v[..., keys, :].swapaxes(-1, -2)
        if keep is not None:
            kept = e * keep
            ds *= keep
        ds -= (r * dot_rows(dy_rows, y[..., rows, :]))[..., None]
        ds *= e  # dS = E * ((g v^T) * keep - r (dy . y))
        xp.matmul(ds, k[..., keys, :], out=dq[..., rows, :])
        for dx, weights, x in ((dk, ds, q[..., rows, :] * scale), (dv, kept, g)):
            part = dx[..., keys, :]
            if covered:
                part += weights.swapaxes(-1, -2) @ x
            else:
                xp.matmul(weights.swapaxes(-1, -2), x, out=part)
        covered = covered or keys.stop
    dq *= scale
    if covered < k.shape[-2]:  # keys that no query reads
        dk[..., covered:, :] = dv[..., covered:, :] = 0.0
