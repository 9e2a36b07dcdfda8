"""Attention with PyTorch's arguments: separate queries, keys and values, and any mask."""

import math

import numpy as np

from minigrad.backend import finite_max, namespace
from minigrad.errors import check_probability, type_error, value_error
from minigrad.primitives.arithmetic import unbroadcast
from minigrad.tensor import Tensor, op
from nn.functional.attention import attend_backward, attend_forward
from nn.functional.dropout import keep_mask


def attend_reference(q, k, v, *, mask=None, is_causal=False, scale=None, keep=None, p=0.0):
    """The definition, in Tensor arithmetic: what `attend` must equal."""
    xp = namespace(q.array)
    scores = q @ k.mT * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)  # (..., T, S)
    if is_causal:
        mask = xp.tri(*scores.shape[-2:], dtype=bool)
    if mask is not None and mask.dtype == bool:
        scores = scores.masked_fill(~mask, -math.inf)
    elif mask is not None:
        scores = scores + mask
    e = (scores - finite_max(scores.array)).exp()
    total = e.sum(axis=-1, keepdims=True)
    weights = e / (total + (total == 0))
    return (weights if keep is None else weights * keep / (1.0 - p or 1.0)) @ v


@op(reference=attend_reference, gpu=True)
def attend(q, k, v, *, mask=None, is_causal=False, scale=None, keep=None, p=0.0):
    """Each query's mean of the values, weighted by the softmax of its products with the keys.

        S = scale q k^T,   P = softmax(S),   y = (P * keep / (1 - p)) v

    In blocks, as `causal_attention`, which says how and why; with an additive mask the row maximum is
    always taken out. A row with nothing to attend to gives zeros and zero gradients.

    Shapes    q (..., T, D), k (..., S, D), v (..., S, E) -> y (..., T, E); mask broadcasts to
              (..., T, S), boolean (True: may attend) or additive; keep (..., T, S) boolean; leading axes
              of k and v broadcast to those of q: one head may serve several, and is not copied for it
    Saves     heads, y, blocks
    Backward  as `causal_attention`, with scale for 1 / sqrt(D); a head that serves several gets the sum of
              their gradients.
    """
    xp = namespace(q)
    y = xp.empty((*q.shape[:-1], v.shape[-1]), q.dtype)
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    heads = (q, k, v)
    if mask is not None:
        mask = xp.broadcast_to(mask, np.broadcast_shapes(mask.shape, (q.shape[-2], k.shape[-2])))
    shapes = [(*q.shape[:-2], *x.shape[-2:]) for x in heads]
    shared = k.shape, v.shape
    blocks = attend_forward(heads, scale, y, mask=mask, is_causal=is_causal, keep=keep, p=p)

    def vjp(dy):
        dq, dk, dv = (xp.empty(shape, y.dtype) for shape in shapes)
        attend_backward(dy, heads, scale, y, blocks, (dq, dk, dv))
        return dq, *map(unbroadcast, (dk, dv), shared)

    return y, vjp


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask=None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    rng=None,
) -> Tensor:
    """Attention with PyTorch's arguments; see `attend`.

    `attn_mask` is boolean (True: may attend) or additive; an additive Tensor that requires a
    gradient (a learned bias) gets one. A row that may attend to nothing gives zeros, not NaN. With
    enable_gqa each head of key and value serves as many heads of query, axis -3, as there are for it.

    Shapes    query (..., T, D), key (..., S, D), value (..., S, E), attn_mask broadcastable to
              (..., T, S) -> (..., T, E)
    Random    one mask (..., T, S) if dropout_p > 0
    Raises    ValueError for shapes that do not fit, a mask beside is_causal, or dropout_p outside
              0..1; TypeError for a mask that is neither boolean nor of the query's dtype.
    Source    `torch.nn.functional.scaled_dot_product_attention`
    """
    name, p = "scaled_dot_product_attention", check_probability("dropout_p", dropout_p)
    shared = enable_gqa and key.shape[-3] != query.shape[-3]
    _check_heads(name, query.shape, key.shape, value.shape, shared)
    lead, T, S = query.shape[:-2], query.shape[-2], key.shape[-2]
    mask = attn_mask.array if isinstance(attn_mask, Tensor) else attn_mask
    _check_mask(name, mask, is_causal, (*lead, T, S), query.array.dtype)
    learned = isinstance(attn_mask, Tensor) and attn_mask.requires_grad
    mask, run = (attn_mask, attend_reference) if learned else (mask, attend)
    keep = keep_mask(query.array, p, rng, (*lead, T, S)) if p else None
    if shared:  # a group of heads is an axis of its own, along which their key and value broadcast
        query, key, value, mask, keep = _in_groups(key.shape[-3], query, key, value, mask, keep)
    y = run(query, key, value, mask=mask, is_causal=is_causal, scale=scale, keep=keep, p=p)
    return y.reshape(*lead, T, value.shape[-1]) if shared else y


def _in_groups(groups, *given):
    """Return each (..., H, T, S) as (..., groups, H / groups, T, S); no axis of heads, or 1, is left to broadcast."""
    found = []
    for x in given:
        if x is not None and x.ndim > 2:
            shape = (1, 1) if x.shape[-3] == 1 else (groups, x.shape[-3] // groups)
            x = x.reshape(*x.shape[:-3], *shape, *x.shape[-2:])
        found.append(x)
    return found


def _check_heads(name, q, k, v, shared):
    """Raise unless the shapes fit; `shared`: each head of k and v is for several of q, axis -3."""
    if shared and (not k[-3] or q[-3] % k[-3]):
        raise value_error(name, f"heads of key and value that divide the query's {q[-3]}", k[-3])
    lead = (*q[:-3], k[-3]) if shared else q[:-2]
    if q[-1] != k[-1] or k[:-1] != v[:-1] or k[:-2] != lead:
        expected = "query (..., T, D), key (..., S, D), value (..., S, E)"
        raise value_error(name, expected, f"{tuple(q)}, {tuple(k)}, {tuple(v)}")


def _check_mask(name, mask, is_causal, shape, dtype):
    if mask is None:
        return
    if is_causal:
        raise value_error(name, "attn_mask or is_causal", "both", "put the causal mask into attn_mask")
    if not hasattr(mask, "dtype") or mask.dtype not in (bool, dtype):
        got = getattr(mask, "dtype", type(mask).__name__)
        raise type_error(name, f"a boolean or {dtype} attn_mask", got, "True means: may attend")
    own = (1,) * (len(shape) - mask.ndim) + tuple(mask.shape)
    if len(own) != len(shape) or any(m not in (1, n) for m, n in zip(own, shape)):
        raise value_error(name, f"attn_mask broadcastable to {tuple(shape)}", tuple(mask.shape))
