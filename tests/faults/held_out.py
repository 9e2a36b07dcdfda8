"""Wrong and right-but-tricky hand-written backward passes of other people's layers.

`python -m tests.faults.held_out` prints how often `gradcheck` finds and names the wrong ones, and how often it
raises an alarm on a right one. The 48 mistakes are those that people make by hand, in layers of all
kinds; for each, the kinds of mistake that a person would accept were written down by somebody who had
not seen the checker, before it was run on any of them. The diagnosis has since been improved with them
in view: they keep what was reached, and no longer measure how it does on what it has not seen.

An entry is (name, expected kinds, fn, shapes, positive); `fn(*arrays) -> (out, vjp)`, `vjp(dout) ->
gradients`, one per array. `positive` is False (standard normal inputs), True (uniform in 0.5..2), or a
function from standard normal arrays to the inputs. `draw(entry, seed)` makes the inputs.
"""

import math
import sys

import numpy as np

from minigrad import gradcheck
from minigrad.console.commands import Parser, natural


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def draw(entry, seed):
    _, _, _, shapes, positive = entry
    rng = np.random.default_rng(7000 + seed)
    if positive is True:
        return [np.asarray(rng.uniform(0.5, 2.0, size=s)) for s in shapes]
    arrays = [np.asarray(rng.normal(size=s)) for s in shapes]
    return positive(arrays) if callable(positive) else arrays


HELD_OUT, RIGHT = [], []
SUBTLE = set()


def wrong(expected, shapes, positive=False, subtle=False):
    def note(fn):
        HELD_OUT.append((fn.__name__, set(expected), fn, shapes, positive))
        if subtle:
            SUBTLE.add(fn.__name__)
        return fn

    return note


def right(shapes, positive=False):
    def note(fn):
        RIGHT.append((fn.__name__, set(), fn, shapes, positive))
        return fn

    return note


# --- convolution and pooling ---


@wrong({"misplaced"}, [(2, 3, 7), (4, 3, 3)])
def conv1d_kernel_not_flipped(x, w):
    """The input's gradient correlates dout with the kernel as it is, not flipped."""
    K, W = w.shape[2], x.shape[2]
    sides = ((0, 0), (0, 0), (K // 2, K // 2))

    def windows(a):
        a = np.pad(a, sides)
        return np.stack([a[:, :, k : k + W] for k in range(K)], axis=-1)

    cols = windows(x)
    out = np.einsum("ncwk,fck->nfw", cols, w)

    def vjp(dout):
        dw = np.einsum("ncwk,nfw->fck", cols, dout)
        dx = np.einsum("nfwk,fck->ncw", windows(dout), w)
        return dx, dw

    return out, vjp


@wrong({"lost elements", "dropped term"}, [(3, 12), (3, 4)])
def conv1d_stride_last_window_lost(x, w):
    """The loop over the windows (stride = width) ends one too early: range(n - 1)."""
    K = w.shape[0]
    n = x.shape[1] // K
    out = np.stack([x[:, i * K : (i + 1) * K] @ w for i in range(n)], axis=1)

    def vjp(dout):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(n - 1):
            dx[:, i * K : (i + 1) * K] += dout[:, i] @ w.T
            dw += x[:, i * K : (i + 1) * K].T @ dout[:, i]
        return dx, dw

    return out, vjp


@wrong({"misplaced", "lost elements"}, [(3, 12)])
def maxpool_index_inside_window(x):
    """The argmax inside each window is used as an index into the row: the window's start is forgotten."""
    n, length = x.shape
    tiles = x.reshape(n, length // 3, 3)
    at = tiles.argmax(axis=-1)

    def vjp(dout):
        dx = np.zeros_like(x)
        dx[np.arange(n)[:, None], at] = dout
        return (dx,)

    return tiles.max(axis=-1), vjp


@wrong({"factor"}, [(2, 3, 12)])
def avgpool_not_divided(x):
    """The gradient of a mean over windows of 3 is not divided by 3."""
    n, c, w = x.shape
    out = x.reshape(n, c, w // 3, 3).mean(axis=-1)

    def vjp(dout):
        return (np.repeat(dout, 3, axis=-1),)

    return out, vjp


# --- recurrent cells ---


@wrong({"dropped term"}, [(5, 2, 3), (3, 4), (4, 4), (2, 4)])
def rnn_hidden_gradient_not_carried(x, wx, wh, h0):
    """Backward through time uses only dout[t]: the gradient from step t + 1 is not added."""
    hs = [h0]
    for t in range(len(x)):
        hs.append(np.tanh(x[t] @ wx + hs[-1] @ wh))

    def vjp(dout):
        dx, dwx, dwh = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh)
        dh = np.zeros_like(h0)
        for t in reversed(range(len(x))):
            da = dout[t] * (1 - hs[t + 1] ** 2)
            dx[t] = da @ wx.T
            dwx += x[t].T @ da
            dwh += hs[t].T @ da
            dh = da @ wh.T
        return dx, dwx, dwh, dh

    return np.stack(hs[1:]), vjp


@wrong({"misplaced", "swapped"}, [(3, 16), (3, 4)])
def lstm_gate_order(a, c):
    """Forward splits the packed gates as i, f, o, g; backward packs the gradients as i, f, g, o."""
    i, f, o, g = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    new = f * c + i * g
    t = np.tanh(new)

    def vjp(dh):
        do = dh * t * o * (1 - o)
        dnew = dh * o * (1 - t * t)
        di = dnew * g * i * (1 - i)
        df = dnew * c * f * (1 - f)
        dg = dnew * i * (1 - g * g)
        return np.concatenate([di, df, dg, do], axis=1), dnew * f

    return o * t, vjp


@wrong({"dropped term"}, [(2, 12), (2, 4), (4, 4), (4, 4), (4, 4)])
def gru_path_through_reset_product(x, h, uz, ur, un):
    """dh lacks the path through r * h in the candidate state."""
    xz, xr, xn = np.split(x, 3, axis=1)
    z, r = sigmoid(xz + h @ uz), sigmoid(xr + h @ ur)
    n = np.tanh(xn + (r * h) @ un)

    def vjp(dout):
        dn = dout * (1 - z) * (1 - n * n)
        dz = dout * (h - n) * z * (1 - z)
        drh = dn @ un.T
        dr = drh * h * r * (1 - r)
        dh = dout * z + dz @ uz.T + dr @ ur.T
        return np.concatenate([dz, dr, dn], axis=1), dh, h.T @ dz, h.T @ dr, (r * h).T @ dn

    return (1 - z) * n + z * h, vjp


# --- losses ---


@wrong({"dropped term"}, [(6, 5)])
def cross_entropy_smoothing_forgotten(logits):
    """The loss smooths the labels (0.1); the gradient is the unsmoothed softmax - onehot."""
    n, k = logits.shape
    hot = np.eye(k)[np.arange(n) % k]
    target = 0.9 * hot + 0.1 / k
    p = softmax(logits)
    top = logits.max(axis=1, keepdims=True)
    logp = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))

    def vjp(dout):
        return (dout * (p - hot) / n,)

    return -(target * logp).sum() / n, vjp


@wrong({"detached"}, [(4, 5), (4, 5)], positive=True)
def kl_no_gradient_for_target(logq, p):
    """KL(p, q) is treated as a loss of q only: the gradient of p is zeros."""
    n = len(p)

    def vjp(dout):
        return -dout * p / n, np.zeros_like(p)

    return (p * (np.log(p) - logq)).sum() / n, vjp


@wrong({"no derivative", "varying factor"}, [(12,)])
def bce_logits_without_sigmoid_derivative(z):
    """Returns dL/dp, (p - y) / (p (1 - p)), as if it were dL/dz: the sigmoid's derivative is missing."""
    y = np.arange(len(z)) % 2
    p = sigmoid(z)
    loss = np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))

    def vjp(dout):
        return (dout * (p - y) / (p * (1 - p)) / len(z),)

    return loss, vjp


@wrong({"region"}, [(15,), (15,)])
def huber_never_clipped(pred, target):
    """Beyond delta = 1 the gradient goes on growing as in the squared error."""
    d = pred - target
    a = np.abs(d)
    loss = np.where(a < 1, 0.5 * d * d, a - 0.5)

    def vjp(dout):
        g = dout * d
        return g, -g

    return loss, vjp


@wrong({"dropped term"}, [(4, 6), (4, 6)])
def cosine_norms_as_constants(a, b):
    """The norms are treated as constants: da = b / (|a| |b|)."""
    na, nb = (np.sqrt((x * x).sum(axis=1, keepdims=True)) for x in (a, b))
    cos = (a * b).sum(axis=1, keepdims=True) / (na * nb)

    def vjp(dout):
        dout = dout[:, None]
        da = dout * b / (na * nb)
        db = dout * a / (na * nb)
        return da, db

    return cos[:, 0], vjp


# --- normalisation ---


@wrong({"factor", "other"}, [(4, 6), (6,)])
def rmsnorm_sum_for_mean(x, g):
    """The correction term of dx has a sum over the features where the mean belongs."""
    r = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    n = x / r

    def vjp(dout):
        dn = dout * g
        dx = (dn - n * (dn * n).sum(axis=-1, keepdims=True)) / r
        return dx, (dout * n).sum(axis=0)

    return n * g, vjp


@wrong({"wrong axis"}, [(3, 4, 5), (4,), (4,)])
def groupnorm_means_per_channel(x, g, b):
    """The statistics are per group (2 channels each), the means of the backward per channel."""
    n, c, w = x.shape
    groups = x.reshape(n, 2, -1)
    std = np.sqrt(groups.var(axis=-1, keepdims=True) + 1e-5)
    hat = ((groups - groups.mean(axis=-1, keepdims=True)) / std).reshape(x.shape)

    std = np.repeat(std, c // 2, axis=1)

    def vjp(dout):
        dhat = dout * g[:, None]
        dx = dhat - dhat.mean(axis=-1, keepdims=True) - hat * (dhat * hat).mean(axis=-1, keepdims=True)
        return dx / std, (dout * hat).sum(axis=(0, 2)), dout.sum(axis=(0, 2))

    return hat * g[:, None] + b[:, None], vjp


@wrong({"varying factor", "factor"}, [(12, 5), (5,), (5,)], subtle=True)
def batchnorm_eps_forgotten(x, g, b):
    """Subtle: forward divides by sqrt(var + 1e-3), backward by sqrt(var)."""
    mean, var = x.mean(axis=0), x.var(axis=0)
    hat = (x - mean) / np.sqrt(var + 1e-3)

    def vjp(dout):
        dhat = dout * g
        dx = dhat - dhat.mean(axis=0) - hat * (dhat * hat).mean(axis=0)
        return dx / np.sqrt(var), (dout * hat).sum(axis=0), dout.sum(axis=0)

    return hat * g + b, vjp


# --- activations and gates ---


@wrong({"dropped term"}, [(4, 5)])
def silu_half_the_product_rule(x):
    """d(x s(x)) = s(x) only: the term x s (1 - s) is forgotten."""
    s = sigmoid(x)

    def vjp(dout):
        return (dout * s,)

    return x * s, vjp


@wrong({"region"}, [(4, 6)])
def softplus_linear_too_early(x):
    """The derivative is set to 1 above a threshold of 0.5 which the forward does not have."""
    out = np.logaddexp(0, x)

    def vjp(dout):
        return (dout * np.where(x > 0.5, 1.0, sigmoid(x)),)

    return out, vjp


@wrong({"other"}, [(3, 5)])
def tanh_derivative_at_input(x):
    """1 - x^2 where 1 - tanh(x)^2 belongs."""
    t = np.tanh(x)

    def vjp(dout):
        return (dout * (1 - x**2),)

    return t, vjp


@wrong({"no derivative", "varying factor"}, [(3, 5), (3, 5)])
def glu_gate_derivative(a, b):
    """The gate's gradient is dout * a * s: (1 - s) of the sigmoid's derivative is missing."""
    s = sigmoid(b)

    def vjp(dout):
        return dout * s, dout * a * s

    return a * s, vjp


@wrong({"other"}, [(5, 8)], subtle=True)
def gelu_exact_derivative_of_tanh_form(x):
    """Subtle: forward is the tanh approximation, backward the derivative of the exact erf form."""
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))

    def vjp(dout):
        cdf = 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
        d = cdf + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return (dout * d,)

    return 0.5 * x * (1 + t), vjp


# --- softmax and reductions ---


@wrong({"wrong axis"}, [(4, 5)])
def log_softmax_sum_over_batch(x):
    """dx = dout - softmax * sum(dout), with the sum over the batch, not over the classes."""
    top = x.max(axis=1, keepdims=True)
    logp = x - top - np.log(np.exp(x - top).sum(axis=1, keepdims=True))

    def vjp(dout):
        return (dout - np.exp(logp) * dout.sum(axis=0, keepdims=True),)

    return logp, vjp


@wrong({"cotangent"}, [(4, 6)])
def logsumexp_without_dout(x):
    """Returns the softmax, without dout."""
    top = x.max(axis=1, keepdims=True)
    out = (top + np.log(np.exp(x - top).sum(axis=1, keepdims=True)))[:, 0]

    def vjp(dout):
        return (np.exp(x - out[:, None]),)

    return out, vjp


@wrong({"varying factor"}, [(4, 5)])
def l2_norm_not_divided(x):
    """The gradient of a row's norm is x * dout: the division by the norm is missing."""
    norm = np.sqrt((x * x).sum(axis=1))

    def vjp(dout):
        return (dout[:, None] * x,)

    return norm, vjp


@wrong({"leak"}, [(5, 5)])
def trace_ones_for_identity(a):
    """The gradient of a trace is dout everywhere, not on the diagonal only."""

    def vjp(dout):
        return (dout * np.ones_like(a),)

    return np.trace(a), vjp


@wrong({"misplaced", "transposed"}, [(3, 7)])
def cumsum_not_reversed(x):
    """The gradient is the cumulative sum of dout from the left, not from the right."""

    def vjp(dout):
        return (np.cumsum(dout, axis=1),)

    return np.cumsum(x, axis=1), vjp


@wrong({"varying factor"}, [(3, 6)], positive=True)
def cumprod_not_divided_by_x(x):
    """The reversed cumulative sum of dout * out is not divided by x."""
    out = np.cumprod(x, axis=1)

    def vjp(dout):
        g = np.cumsum((dout * out)[:, ::-1], axis=1)[:, ::-1]
        return (g.copy(),)

    return out, vjp


# --- products of matrices ---


@wrong({"transposed"}, [(2, 4, 4), (2, 4, 4)])
def einsum_subscripts_not_exchanged(a, b):
    """db = a @ dout where a^T @ dout belongs: the subscripts of the forward are kept."""

    def vjp(dout):
        da = np.einsum("bik,bjk->bij", dout, b)
        db = np.einsum("bij,bjk->bik", a, dout)
        return da, db

    return np.einsum("bij,bjk->bik", a, b), vjp


@wrong({"transposed"}, [(3, 4), (4, 4), (3, 4)])
def bilinear_weight_transposed(x, w, y):
    """dW of x^T W y is the outer product y x^T, not x y^T."""
    out = np.einsum("ni,ij,nj->n", x, w, y)

    def vjp(dout):
        d = dout[:, None]
        dw = y.T @ (d * x)
        return d * (y @ w.T), dw, d * (x @ w)

    return out, vjp


@wrong({"swapped"}, [(5,), (5,)])
def outer_gradients_swapped(a, b):
    """The two gradients are returned in the wrong order."""

    def vjp(dout):
        da = dout @ b
        db = dout.T @ a
        return db, da

    return np.outer(a, b), vjp


@wrong({"factor"}, [(4, 4)])
def inverse_without_minus(a):
    """The minus sign of -B^T dout B^T is missing."""
    b = np.linalg.inv(a + 6 * np.eye(len(a)))

    def vjp(dout):
        return (b.T @ dout @ b.T,)

    return b, vjp


# --- moving elements ---


@wrong({"missing sum"}, [(5, 3)])
def embedding_repeated_rows(table):
    """dtable[ids] += dout keeps only one of the gradients of a row that is used more than once."""
    ids = np.array([0, 3, 1, 3, 4, 0, 2, 3])

    def vjp(dout):
        d = np.zeros_like(table)
        d[ids] += dout
        return (d,)

    return table[ids], vjp


@wrong({"leak"}, [(6, 3), (2, 3)])
def scatter_overwritten_rows(base, src):
    """The rows of `base` that `src` overwrote still get dout."""
    ids = np.array([4, 1])
    out = base.copy()
    out[ids] = src

    def vjp(dout):
        dbase = dout.copy()
        return dbase, dout[ids]

    return out, vjp


@wrong({"misplaced"}, [(3, 7)])
def roll_same_direction(x):
    """Backward rolls in the direction of the forward."""

    def vjp(dout):
        return (np.roll(dout, 2, axis=1),)

    return np.roll(x, 2, axis=1), vjp


@wrong({"missing sum", "dropped term"}, [(3, 2), (3, 4)])
def concat_input_used_twice(a, b):
    """concat(a, b, a): only the first use of `a` gets a gradient."""
    n, m = a.shape[1], b.shape[1]

    def vjp(dout):
        da = dout[:, :n].copy()
        return da, dout[:, n : n + m].copy()

    return np.concatenate([a, b, a], axis=1), vjp


@wrong({"missing sum", "dropped term", "region"}, [(200,)], subtle=True)
def pad_edge_not_added(x):
    """Subtle: the copy of x[0] in front (edge padding) gives nothing back: 1 element of 200 is wrong."""

    def vjp(dout):
        dx = dout[1:].copy()
        return (dx,)

    return np.concatenate([x[:1], x]), vjp


@wrong({"lost elements"}, [(200,)], subtle=True)
def diff_last_element(x):
    """Subtle: an off-by-one slice leaves the last of 200 elements without a gradient."""

    def vjp(dout):
        dx = np.zeros_like(x)
        dx[:-1] -= dout
        dx[1:-1] += dout[:-1]
        return (dx,)

    return x[1:] - x[:-1], vjp


@wrong({"other", "lost elements"}, [(3, 8)])
def slice_into_integer_buffer(x):
    """The gradient is written into an integer array, which truncates it."""

    def vjp(dout):
        dx = np.zeros(x.shape, dtype=int)
        dx[:, ::2] = dout
        return (dx.astype(x.dtype),)

    return x[:, ::2].copy(), vjp


# --- attention and transformers ---


@wrong({"leak"}, [(5, 4), (5, 4), (5, 4)])
def attention_recomputed_without_mask(q, k, v):
    """Backward recomputes the weights from the scores and forgets the causal mask."""
    causal = np.tri(len(q), dtype=bool)
    scale = 1 / math.sqrt(q.shape[1])
    scores = q @ k.T * scale
    out = softmax(np.where(causal, scores, -np.inf)) @ v

    def vjp(dout):
        p = softmax(q @ k.T * scale)
        dv = p.T @ dout
        dp = dout @ v.T
        ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) * scale
        return ds @ k, ds.T @ q, dv

    return out, vjp


@wrong({"transposed", "factor"}, [(5, 6)])
def rotary_same_rotation(x):
    """Backward rotates by +angle again, where -angle (the transpose) belongs."""
    t, d = x.shape
    angle = np.arange(1, t + 1)[:, None] * 0.5 ** np.arange(d // 2)
    cos, sin = (np.concatenate([f(angle)] * 2, axis=1) for f in (np.cos, np.sin))

    def rotate_half(a):
        return np.concatenate([-a[:, d // 2 :], a[:, : d // 2]], axis=1)

    def vjp(dout):
        return (dout * cos + rotate_half(dout) * sin,)

    return x * cos + rotate_half(x) * sin, vjp


@wrong({"no derivative"}, [(2, 3, 4, 4), (3,)])
def alibi_slope_without_distance(scores, slope):
    """The slopes' gradient sums -dout, without the distance that each slope multiplies."""
    t = np.arange(scores.shape[-1])
    distance = np.abs(t[:, None] - t) + 0.0

    def vjp(dout):
        dslope = -dout.sum(axis=(0, 2, 3))
        return dout.copy(), dslope

    return scores - slope[:, None, None] * distance, vjp


@wrong({"missing sum", "dropped term"}, [(6, 4)])
def tied_embedding_only_head(table):
    """The table serves as embedding and as output layer; only the output layer's gradient is returned."""
    ids = np.array([1, 5, 1, 0])
    h = np.tanh(table[ids])

    def vjp(dout):
        dtable = dout.T @ h
        return (dtable,)

    return h @ table.T, vjp


@wrong({"dropped term"}, [(3, 4), (4, 4)])
def residual_skip_forgotten(x, w):
    """x + tanh(x W): dx lacks dout itself, the skip connection."""
    t = np.tanh(x @ w)

    def vjp(dout):
        da = dout * (1 - t * t)
        dx = da @ w.T
        return dx, x.T @ da

    return x + t, vjp


# --- scales, shapes, conduct ---


@wrong({"shape", "missing sum"}, [(4, 3), (3,)])
def scale_not_summed_over_batch(x, g):
    """The gradient of a broadcast scale keeps the shape of the batch."""

    def vjp(dout):
        return dout * g, dout * x

    return x * g, vjp


@wrong({"factor"}, [(3, 4), (3, 4)], subtle=True)
def haar_rounded_constant(a, b):
    """Subtle: backward writes 0.707 for 1 / sqrt(2), 1.5e-4 too small."""
    c = 1 / math.sqrt(2)

    def vjp(dout):
        low, high = np.split(dout, 2, axis=1)
        return 0.707 * (low + high), 0.707 * (low - high)

    return np.concatenate([c * (a + b), c * (a - b)], axis=1), vjp


@wrong({"other", "cotangent"}, [(6, 4), (4, 3)], subtle=True)
def linear_with_weight_decay(x, w):
    """Subtle: dW includes a weight decay of 3e-4 W that the output does not have."""

    def vjp(dout):
        return dout @ w.T, x.T @ dout + 3e-4 * w

    return x @ w, vjp


@wrong({"mutation"}, [(4, 5)])
def relu_zeroes_dout_in_place(x):
    """Backward writes zeros into the caller's dout and returns it."""

    def vjp(dout):
        dout[x <= 0] = 0
        return (dout,)

    return np.maximum(x, 0), vjp


@wrong({"non-deterministic"}, [(4, 8)])
def dropout_mask_drawn_again(x):
    """The forward has a seeded mask; backward draws a new one on every call."""
    keep = np.random.default_rng(3).random(x.shape) < 0.7

    def vjp(dout):
        keep = np.random.default_rng().random(x.shape) < 0.7
        return (dout * keep / 0.7,)

    return x * keep / 0.7, vjp


@wrong({"non-finite"}, [(4, 5)])
def norm_of_masked_row(x):
    """Row 2 is masked to zero, so its norm is 0 and its gradient 0 / 0."""
    mask = np.array([1.0, 1.0, 0.0, 1.0])[:, None]
    v = x * mask
    norm = np.sqrt((v * v).sum(axis=1))

    def vjp(dout):
        with np.errstate(invalid="ignore"):
            return (dout[:, None] * v / norm[:, None] * mask,)

    return norm, vjp


# --- right, but tricky ---


def _near_zero(arrays):
    x = arrays[0].ravel()
    x[:6] = [1e-3, -1e-3, 1e-5, -1e-5, 1e-7, -1e-7]
    return [x.reshape(arrays[0].shape)]


@right([(4, 5)], _near_zero)
def relu_near_kink(x):
    """Some inputs lie 1e-3 to 1e-7 from the kink, on both sides."""

    def vjp(dout):
        return (dout * (x > 0),)

    return np.maximum(x, 0), vjp


@right([(5, 6)], lambda a: [np.clip(np.round(a[0]), -1, 1)])
def max_with_ties(x):
    """Many rows reach their maximum more than once; the first of the tied gets all of dout."""
    at = x.argmax(axis=1)

    def vjp(dout):
        dx = np.zeros_like(x)
        dx[np.arange(len(x)), at] = dout
        return (dx,)

    return x[np.arange(len(x)), at], vjp


@right([(4, 6)], lambda a: [a[0] * 1e4])
def logsumexp_of_large(x):
    """Inputs of size 1e4: out is the maximum, the gradient one-hot."""
    top = x.max(axis=1, keepdims=True)
    out = top + np.log(np.exp(x - top).sum(axis=1, keepdims=True))

    def vjp(dout):
        return (dout[:, None] * np.exp(x - out),)

    return out[:, 0], vjp


@right([(6, 5)], lambda a: [a[0] * 50])
def cross_entropy_saturated(logits):
    """Logits of size 50: many gradients are 1e-20 and smaller."""
    n, k = logits.shape
    target = np.arange(n) % k
    top = logits.max(axis=1, keepdims=True)
    logp = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))

    def vjp(dout):
        d = np.exp(logp)
        d[np.arange(n), target] -= 1
        return (dout * d / n,)

    return -logp[np.arange(n), target].mean(), vjp


@right([(4, 5), (5, 3)])
def float32_inside(x, w):
    """Computes in float32 whatever comes in, and returns the input's dtype."""
    x32, w32 = x.astype(np.float32), w.astype(np.float32)
    t = np.tanh(x32 @ w32)

    def vjp(dout):
        da = dout.astype(np.float32) * (1 - t * t)
        return (da @ w32.T).astype(x.dtype), (x32.T @ da).astype(w.dtype)

    return t.astype(x.dtype), vjp


@right([(3, 5)], lambda a: [a[0] * np.array([1e-4, 1e-2, 1.0, 1e2, 1e4])])
def cube_of_mixed_scales(x):
    """The columns' sizes run from 1e-4 to 1e4, so the gradients run from 1e-8 to 1e8."""

    def vjp(dout):
        return (dout * 3 * x * x,)

    return x * x * x, vjp


@right([(3, 6), (6,), (6,)], lambda a: [a[0] + 1e4, a[1], a[2]])
def layernorm_far_from_zero(x, g, b):
    """Rows of mean 1e4 and spread 1: the mean cancels almost all digits of x."""
    c = x - x.mean(axis=1, keepdims=True)
    std = np.sqrt((c * c).mean(axis=1, keepdims=True) + 1e-5)
    hat = c / std

    def vjp(dout):
        d = dout * g
        dx = (d - d.mean(axis=1, keepdims=True) - hat * (d * hat).mean(axis=1, keepdims=True)) / std
        return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)

    return hat * g + b, vjp


@right([(), (4,)])
def zero_d_scale(a, x):
    """One input is 0-d; it is used twice."""

    def vjp(dout):
        return np.asarray((dout * (x + 2 * a)).sum()), dout * a

    return a * x + a * a, vjp


@right([(4, 1), (1,), (1,)])
def layernorm_of_one_feature(x, g, b):
    """The normalised axis has size 1, so x has the gradient 0, and so has g."""
    c = x - x.mean(axis=1, keepdims=True)
    std = np.sqrt((c * c).mean(axis=1, keepdims=True) + 1e-5)
    hat = c / std

    def vjp(dout):
        d = dout * g
        dx = (d - d.mean(axis=1, keepdims=True) - hat * (d * hat).mean(axis=1, keepdims=True)) / std
        return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)

    return hat * g + b, vjp


@right([(3, 6)], lambda a: [np.round(a[0], 1) + 1e-5 * np.arange(6)])
def sort_close_values(x):
    """Sorted rows in which neighbours may be 1e-5 apart."""
    order = np.argsort(x, axis=1)

    def vjp(dout):
        dx = np.empty_like(x)
        np.put_along_axis(dx, order, dout, axis=1)
        return (dx,)

    return np.take_along_axis(x, order, axis=1), vjp


@right([(4, 5), (4, 5)], lambda a: [np.round(2 * a[0]), np.round(2 * a[1])])
def distance_of_whole_numbers(a, b):
    """|a - b| of whole numbers, some of them equal: there the gradient is 0, the mean of both sides."""
    d = a - b

    def vjp(dout):
        g = dout * np.sign(d)
        return g, -g

    return np.abs(d), vjp


@right([(4, 8)])
def dropout_fixed_mask(x):
    """A fixed mask: a third of the gradient is zero, and must be."""
    keep = (np.random.default_rng(11).random(x.shape) < 0.65) / 0.65

    def vjp(dout):
        return (dout * keep,)

    return x * keep, vjp


@right([(4, 5), (5,)])
def hard_threshold(x, t):
    """x where x > t, else 0: t moves only the jump, so its gradient is zero."""
    on = x > t

    def vjp(dout):
        return dout * on, np.zeros_like(t)

    return np.where(on, x, 0.0), vjp


@right([(3, 4, 2), (3, 4, 2)])
def sum_and_flip_as_views(x, y):
    """Gradients are a read-only broadcast view and a reversed view of dout."""

    def vjp(dout):
        return np.broadcast_to(dout.sum(axis=1, keepdims=True), x.shape), dout[:, ::-1]

    return x.sum(axis=1, keepdims=True) + y[:, ::-1], vjp


@right([(4, 3), (4, 3), (4, 3)])
def attention_with_masked_row(q, k, v):
    """Query 1 may attend to nothing (its output is 0); key 2 is never attended to."""
    mask = np.tri(4, dtype=bool)
    mask[1], mask[:, 2] = False, False
    scale = 1 / math.sqrt(q.shape[1])
    scores = np.where(mask, q @ k.T * scale, -1e30)
    e = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask
    total = e.sum(axis=1, keepdims=True)
    p = e / np.where(total > 0, total, 1)

    def vjp(dout):
        dp = dout @ v.T
        ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) * scale
        return ds @ k, ds.T @ q, p.T @ dout

    return p @ v, vjp


def _ill_conditioned(arrays):
    u, _, vt = np.linalg.svd(arrays[0])
    return [u @ np.diag(np.geomspace(1, 1e-3, len(u))) @ vt]


@right([(4, 4)], _ill_conditioned)
def inverse_ill_conditioned(a):
    """Condition number 1e3: outputs of size 1e3, gradients of size 1e6."""
    b = np.linalg.inv(a)

    def vjp(dout):
        return (-b.T @ dout @ b.T,)

    return b, vjp


assert len(HELD_OUT) == 48 and len(RIGHT) == 16, (len(HELD_OUT), len(RIGHT))


def examine(entry, seed):
    """Return what `gradcheck` says of an entry."""
    return gradcheck(entry[2], draw(entry, seed), seed=seed, raise_error=False)


def print_rates(word, mistakes, rights, examine, seeds):
    """Print the rates, and what was not named as a person would."""
    found = named = alarms = 0
    for entry in mistakes:
        name, expected = entry[:2]
        reports = [examine(entry, seed) for seed in seeds]
        fitting = [bool(expected & set(report.kinds)) for report in reports]
        found, named = found + sum(not report.ok for report in reports), named + sum(fitting)
        if not all(fitting):
            got = sorted({kind for report in reports for kind in report.kinds}) or ["nothing"]
            print(f"{name}: expected {' or '.join(sorted(expected))}; got {', '.join(got)}")
    for entry in rights:
        alarms += sum(not examine(entry, seed).ok for seed in seeds)
    count = len(mistakes) * len(seeds)
    print(f"{word} mistakes found: {found} of {count}")
    print(f"{word} mistakes named as a person would: {named} of {count}")
    print(f"false alarms on tricky right functions: {alarms} of {len(rights) * len(seeds)}")


def seeds_asked_for(name, description, argv):
    """Return the seeds that the command line `python -m tests.faults.<name>` asks for."""
    parser = Parser(prog=f"python -m tests.faults.{name}", description=description.partition("\n")[0])
    parser.add_argument("--seeds", type=natural, default=5, help="how many (default: 5)")
    return range(parser.parse_args(argv).seeds)


def main(argv):
    """Print the rates of these."""
    print_rates("held-out", HELD_OUT, RIGHT, examine, seeds_asked_for("held_out", __doc__, argv))


if __name__ == "__main__":
    main(sys.argv[1:])
