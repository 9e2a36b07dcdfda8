"""Operations on a GPU, each by the name, contract and derivation of the one it stands for; None where it does not fit."""

import math
from typing import Any

from minigrad import switches
from minigrad.backend import namespace
from minigrad.gpu.launch import blocks_of, launch, without_gaps
from minigrad.primitives.arithmetic import unbroadcast

SLICES = 64  # of rows whose column sums are made apart


def _with_slope(name):
    def either(x):
        xp, x = namespace(x), without_gaps(x)
        y, slope = xp.empty_like(x), xp.empty_like(x) if switches.state.recording else None
        launch(name, x, blocks_of(x.size), x, y, slope, x.size)
        return y, lambda dy: (dy * slope,)

    return either


gelu_tanh, times_sigmoid = map(_with_slope, ("gelu_tanh", "times_sigmoid"))  # a product in the backward pass


def rotary(x: Any, *, start: int = 0, theta: float = 10000.0) -> Any:
    """One launch either way."""
    if x.ndim < 2 or x.shape[-1] % 2:
        return None

    def turned(x, way):
        x, (times, D), pairs = without_gaps(x), x.shape[-2:], x.size // 2
        y = namespace(x).empty_like(x)
        launch("rotary", x, blocks_of(pairs), x, y, pairs, times, D // 2, start, float(theta), way)
        return y

    return turned(x, 1.0), lambda dy: (turned(dy, -1.0),)


def layer_norm(x: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5, centred: int = 1) -> Any:
    """One launch, and three in the backward pass: dx, sums over rows in slices, and the sum of these."""
    xp, C = namespace(x), x.shape[-1] if x.ndim else 0
    if any(a is not None and a.shape != (C,) for a in (weight, bias)) or not C:
        return None
    x = without_gaps(x)
    weight, bias = (a if a is None else without_gaps(a) for a in (weight, bias))
    rows = x.size // C
    y, xhat, rstd = xp.empty_like(x), xp.empty_like(x), xp.empty(rows, x.dtype)
    launch("layer_norm", x, rows, x, weight, bias, y, xhat, rstd, rows, C, centred, float(eps))

    def vjp(dy):
        dy, dx = without_gaps(dy), xp.empty_like(xhat)
        launch("layer_norm_back", xhat, rows, dy, weight, xhat, rstd, dx, rows, C, centred)
        if weight is None and bias is None:
            return dx, None, None
        parts = xp.empty((SLICES, 2, C), xhat.dtype)
        launch("column_sums", xhat, blocks_of(SLICES * C), dy, xhat, parts, rows, C, SLICES)
        return dx, *(w if w is None else parts[:, i].sum(axis=0) for i, w in enumerate((weight, bias)))

    return y, vjp


def scale_rows(x: Any, weight: Any = None, *, eps: float) -> Any:
    """As layer norm, which is not centred."""
    found = layer_norm(x, weight, eps=eps, centred=0)
    return found and (found[0], lambda dy: found[1](dy)[:2])


def softmax(x: Any, *, axis: int = -1) -> Any:
    """One launch, and one in the backward pass."""
    if x.ndim == 0 or axis % x.ndim != x.ndim - 1:
        return None
    xp, C = namespace(x), x.shape[-1]
    x, rows = without_gaps(x), x.size // C
    p = xp.empty_like(x)
    launch("softmax", x, rows, x, p, None, None, rows, C, 0, 1.0)

    def vjp(dp):
        dx = xp.empty_like(p)
        launch("softmax_back", p, rows, p, without_gaps(dp), None, dx, rows, C, 1.0, 1.0)
        return (dx,)

    return p, vjp


def nll(
    logits: Any, *, targets: Any, ignore_index: int = -100, label_smoothing: float = 0.0, reduction: str = "none"
) -> Any:  # fmt: skip
    """A launch for all losses, which keeps two numbers a row in place of the softmax, and one for dx.

    The host is not asked how many targets count, nor whether each is a column: one that is none makes NaN.
    """
    if logits.ndim != 2 or targets.shape != logits.shape[:1] or reduction not in ("mean", "sum", "none"):
        return None
    xp, (n, V), options = namespace(logits), logits.shape, (int(ignore_index), float(label_smoothing))
    logits, targets = without_gaps(logits), without_gaps(targets.astype("int64", copy=False))
    loss, stats = xp.empty(n, logits.dtype), xp.empty((n, 2), logits.dtype)
    launch("nll", logits, n, logits, targets, loss, stats, n, V, *options)
    divisor = (targets != ignore_index).sum(dtype=logits.dtype) if reduction == "mean" else 1

    def vjp(dl):
        d, dx = without_gaps(dl / divisor), xp.empty_like(logits)
        step = 1 if reduction == "none" else 0
        launch("nll_back", logits, n, logits, targets, stats, d, dx, n, V, step, *options)
        return (dx,)

    return loss if reduction == "none" else loss.sum() / divisor, vjp


def causal_attention(qkv: Any, *, n_head: int, keep: Any = None, p: float = 0.0) -> Any:
    """All queries at once: see `_attention`; q, k and v are laid out once."""
    if qkv.ndim != 3 or qkv.shape[-1] % (3 * n_head):
        return None
    xp, (B, T, _), C = namespace(qkv), qkv.shape, qkv.shape[2] // 3
    D = C // n_head
    q, k, v = without_gaps(qkv.reshape(B, T, 3, n_head, D).transpose(2, 0, 3, 1, 4))
    y, back = _attention(q, k, v, 1 / math.sqrt(D), period=T, keep=keep, p=p)  # (B, H, T, D)

    def vjp(dy):
        dqkv = xp.empty((B, T, 3, n_head, D), dy.dtype)
        for i, dx in enumerate(back(dy.reshape(B, T, n_head, D).swapaxes(1, 2))):
            dqkv[:, :, i] = dx.swapaxes(1, 2)
        return (dqkv.reshape(B, T, 3 * C),)

    return without_gaps(y.swapaxes(1, 2)).reshape(B, T, C), vjp


def attend(q, k, v, *, mask=None, is_causal=False, scale=None, keep=None, p=0.0):
    """All queries at once: see `_attention`."""
    shapes = q.shape, k.shape, v.shape
    period = q.shape[-2] if is_causal else 0
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    y, back = _attention(q, k, v, scale, mask=mask, period=period, keep=keep, p=p)
    return y, lambda dy: tuple(map(unbroadcast, back(dy), shapes))


def _attention(q, k, v, scale, *, mask=None, period, keep, p):
    """Return y = (softmax(scale q k^T) m) v, with m = keep / (1 - p), and dy -> (dq, dk, dv), as broadcast.

    With period T, query t sees the keys up to t. CuPy copies what a batched product does not find without gaps, and
    the largest arrays, (T, T) a head, need never be: dk^T = q^T dS and dv^T = dy^T (P m) hold the small ones the
    other way in their place. Nor is the mask kept: P has a minus where it drops.
    """
    xp, drops = namespace(q), keep is not None
    factor = 1.0 / (1.0 - p or 1.0) if drops else 1.0
    scores = (q * scale) @ k.swapaxes(-1, -2)
    if mask is not None:
        scores = xp.where(mask, scores, -math.inf) if mask.dtype == bool else scores + mask
    scores = without_gaps(scores)
    keep = without_gaps(xp.broadcast_to(keep, scores.shape)) if drops else None
    C, rows, weights = scores.shape[-1], scores.size // scores.shape[-1], scores  # in place
    kept = xp.empty_like(weights) if drops else weights
    launch("softmax", scores, rows, scores, weights, keep, kept, rows, C, period, factor)

    def back(dy):
        ds, dropped = without_gaps(dy @ v.swapaxes(-1, -2)), xp.empty_like(weights) if drops else None
        launch("softmax_back", ds, rows, weights, ds, dropped, ds, rows, C, factor, float(scale))
        kept = dropped if drops else weights
        dkt, dvt = (x.swapaxes(-1, -2) @ w for x, w in ((q, ds), (dy, kept)))
        return ds @ k, dkt.swapaxes(-1, -2), dvt.swapaxes(-1, -2)

    return kept @ v, back
