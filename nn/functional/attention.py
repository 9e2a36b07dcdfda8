"""Scaled dot-product attention: separate q, k, v with any mask, or packed and causal for a GPT."""

import functools
import math

import numpy as np

from minigrad.backend import dot_rows, finite_max, namespace, sum_rows
from minigrad.errors import value_error
from minigrad.tensor import op, split

BLOCK = 64  # queries at a time
LOW, HIGH = 1e-16, 1e16  # of row sums of e^S; float32 ends at 1e-38 and 1e38


def attend_reference(q, k, v, *, mask=None, is_causal=False, scale=None, keep=None, p=0.0):
    """The definition, in Tensor arithmetic: what `attend` must equal."""
    xp = namespace(q.data)
    scores = q @ k.mT * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)  # (..., T, S)
    if is_causal:
        mask = xp.tri(*scores.shape[-2:], dtype=bool)
    if mask is not None and mask.dtype == bool:
        scores = scores.masked_fill(~mask, -math.inf)
    elif mask is not None:
        scores = scores + mask
    e = (scores - finite_max(scores.data)).exp()
    total = e.sum(axis=-1, keepdims=True)
    weights = e / (total + (total == 0))
    return (weights if keep is None else weights * keep / (1.0 - p)) @ v


@op(reference=attend_reference)
def attend(q, k, v, *, mask=None, is_causal=False, scale=None, keep=None, p=0.0):
    """Each query's mean of the values, weighted by the softmax of its products with the keys.

        S = scale q k^T,   P = softmax(S),   y = (P * keep / (1 - p)) v

    Computed for a block of queries at a time, from E = e^S and its row sums, r = 1 / sum_j E_ij:
    P = r E is never formed, since r can scale the rows of y instead. Under a causal mask a block
    reads the keys up to its own end only, which halves the work. The row maximum, which softmax takes
    out so that exp stays finite, costs twice what exp does (for rows of 64); it is left out, and only a
    block whose row sums show that it was needed is computed again with it. A row with nothing to attend
    to gives zeros and zero gradients.

    Shapes    q (..., T, D), k (..., S, D), v (..., S, E) -> y (..., T, E); mask broadcasts to
              (..., T, S), boolean (True: may attend) or additive; keep (..., T, S) boolean
    Saves     queries, k, v, y, blocks, keep
    Backward  dv = (P * m)^T dy, with m = keep / (1 - p), and dP = (dy v^T) * m. The softmax needs
              sum_j dP_ij P_ij, which is dy_i . sum_j m_ij P_ij v_j = dy_i . y_i: a product of short
              rows, so nothing is summed over (T, S) again. With g = dy r / (1 - p),
                  dS = P * (dP - dy . y) = E * ((g v^T) * keep - r (dy . y)),
                  dq = scale dS k,   dk = dS^T (scale q),   dv = (E * keep)^T g.
    Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1; Dao et al. 2022,
              arXiv:2205.14135, appendix B.2, for dy . y.
    """
    xp = namespace(q)
    y = xp.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    queries = q * scale
    blocks = _attend_forward(queries, k, v, y, mask, is_causal, keep, p)

    def vjp(dy):
        dq, dk, dv = (xp.empty(x.shape, x.dtype) for x in (queries, k, v))
        _attend_backward(dy, queries, k, v, y, blocks, keep, p, dq, dk, dv)
        dq *= scale
        return dq, dk, dv

    return y, vjp


def causal_attention_reference(qkv, *, n_head, keep=None, p=0.0):
    """The definition, in Tensor arithmetic: what `causal_attention` must equal."""
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = (
        x.reshape(B, T, n_head, C // n_head).swapaxes(1, 2) for x in split(qkv, C, axis=-1)
    )  # (B, H, T, D)
    y = attend_reference(q, k, v, is_causal=True, keep=keep, p=p)
    return y.swapaxes(1, 2).reshape(B, T, C)


@op(reference=causal_attention_reference)
def causal_attention(qkv, *, n_head, keep=None, p=0.0):
    """Causal multi-head self-attention on the packed projection.

    `attend` on three views of one array, whose gradients fill three views of one array: no head is
    ever copied out.

    Shapes    qkv (B, T, 3C): queries, keys and values side by side -> (B, T, C);
              keep (B, n_head, T, T) boolean
    Saves     queries, k, v, heads, blocks, keep
    Backward  as `attend`; each head's gradient lands in its own columns.
    Raises    ValueError if 3C is not three times a multiple of n_head.
    Source    as `attend`; packed as in GPT-2.
    """
    if qkv.ndim != 3 or qkv.shape[-1] % (3 * n_head):
        raise value_error("causal_attention", f"qkv (B, T, 3C) with C divisible by {n_head} heads", qkv.shape)
    xp = namespace(qkv)
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    packed, D = (B, T, 3, n_head, C // n_head), C // n_head
    q, k, v = qkv.reshape(packed).transpose(2, 0, 3, 1, 4)  # (B, H, T, D) each
    y = xp.empty((B, T, C), qkv.dtype)
    heads = y.reshape(B, T, n_head, D).swapaxes(1, 2)  # (B, H, T, D)
    scale = 1 / math.sqrt(D)
    queries = q * scale
    blocks = _attend_forward(queries, k, v, heads, None, True, keep, p)

    def vjp(dy):
        dqkv = xp.empty(packed, dy.dtype)
        dq, dk, dv = dqkv.transpose(2, 0, 3, 1, 4)
        dheads = dy.reshape(B, T, n_head, D).swapaxes(1, 2)
        _attend_backward(dheads, queries, k, v, heads, blocks, keep, p, dq, dk, dv)
        dq *= scale
        return (dqkv.reshape(B, T, 3 * C),)

    return y, vjp


def _attend_forward(queries, k, v, y, mask, is_causal, keep, p):
    """Fill y; return [(rows, keys, E, r)] per block, all that the backward pass needs."""
    xp = namespace(queries)
    T, S, blocks = queries.shape[-2], k.shape[-2], []
    for start in range(0, T, BLOCK):
        rows = slice(start, min(start + BLOCK, T))
        keys = slice(0, min(rows.stop, S) if is_causal else S)
        block = queries[..., rows, :], k[..., keys, :], mask, is_causal, rows, keys
        e, total = _exponentials(*block) or _shifted_exponentials(*block)
        r = 1.0 / total
        kept = e if keep is None else e * keep[..., rows, keys]
        y_rows = y[..., rows, :]
        xp.matmul(kept, v[..., keys, :], out=y_rows)
        y_rows *= (r if keep is None else r / (1.0 - p))[..., None]
        blocks.append((rows, keys, e, r))
    return blocks


def _exponentials(queries, k, mask, is_causal, rows, keys):
    """Return (e^S, its row sums), or None where these may have overflowed, vanished or lost digits."""
    if mask is not None and mask.dtype != bool:
        return None
    xp, start = namespace(queries), rows.start
    with np.errstate(over="ignore", invalid="ignore"):
        e = queries @ k.swapaxes(-1, -2)  # S, and then E in its place
        xp.exp(e, out=e)
        if is_causal:
            diagonal = e[..., start:]  # a view: `e[..., start:] *=` would copy it onto itself
            diagonal *= _triangle(xp, rows.stop - start, keys.stop - start, e.dtype)
        elif mask is not None:
            e *= _part(mask, rows, keys)
        total = sum_rows(e)
    return (e, total) if total.size and total.min() > LOW and total.max() < HIGH else None


def _shifted_exponentials(queries, k, mask, is_causal, rows, keys):
    """Return (e^(S - m), its row sums) with m the maximum of each row: at any size of S."""
    e = queries @ k.swapaxes(-1, -2)
    _mask_scores(e, mask, is_causal, rows, keys)
    e -= finite_max(e)
    namespace(e).exp(e, out=e)
    total = sum_rows(e)
    total += total == 0  # a row may be masked as a whole
    return e, total


def _attend_backward(dy, queries, k, v, y, blocks, keep, p, dq, dk, dv):
    """Fill dq (without its scale), dk and dv. The last block reads every key, so it comes first and assigns."""
    xp = namespace(dy)
    covered = 0
    for rows, keys, e, r in reversed(blocks):
        dy_rows, kept = dy[..., rows, :], e
        g = dy_rows * (r if keep is None else r / (1.0 - p))[..., None]
        ds = g @ v[..., keys, :].swapaxes(-1, -2)
        if keep is not None:
            keep_rows = keep[..., rows, keys]
            kept = e * keep_rows
            ds *= keep_rows
        ds -= (r * dot_rows(dy_rows, y[..., rows, :]))[..., None]
        ds *= e
        xp.matmul(ds, k[..., keys, :], out=dq[..., rows, :])
        dk_keys, dv_keys = dk[..., keys, :], dv[..., keys, :]
        if not covered:
            covered = keys.stop
            xp.matmul(ds.swapaxes(-1, -2), queries[..., rows, :], out=dk_keys)
            xp.matmul(kept.swapaxes(-1, -2), g, out=dv_keys)
        else:
            dk_keys += ds.swapaxes(-1, -2) @ queries[..., rows, :]
            dv_keys += kept.swapaxes(-1, -2) @ g
    dk[..., covered:, :] = 0.0
    dv[..., covered:, :] = 0.0


@functools.cache
def _triangle(xp, rows, columns, dtype):
    """Return ones on and below the diagonal, else zeros."""
    return xp.tri(rows, columns, dtype=dtype)


def _part(mask, rows, keys):
    """Return mask[..., rows, keys], where an axis of length 1 (or none) stands for all."""
    if mask.ndim >= 1 and mask.shape[-1] != 1:
        mask = mask[..., keys]
    return mask[..., rows, :] if mask.ndim >= 2 and mask.shape[-2] != 1 else mask


def _mask_scores(scores, mask, is_causal, rows, keys):
    """Set forbidden scores to -inf, or add the additive mask, in place."""
    xp = namespace(scores)
    if is_causal:
        size = (rows.stop - rows.start, keys.stop - rows.start)
        scores[..., rows.start :] += xp.where(xp.tri(*size, dtype=bool), 0.0, -math.inf).astype(scores.dtype)
    if mask is not None and mask.dtype == bool:
        scores += xp.where(_part(mask, rows, keys), 0.0, -math.inf).astype(scores.dtype)
    elif mask is not None:
        scores += _part(mask, rows, keys)
