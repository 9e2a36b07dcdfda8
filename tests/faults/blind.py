"""Fifty wrong backward passes written without a look at the checker, and twenty right ones that are hard.

`python -m tests.faults.blind` prints how often `gradcheck` finds and names the wrong ones, and how often
it raises an alarm on a right one. The mistakes are those that people make in layers of all kinds: NumPy
functions with a backward by hand, torch.autograd.Functions, minigrad functions, and one of JAX. For
each, the kinds of mistake that a person would accept were written down before it was run. Do not fit
the diagnosis to them: when they are used up, write new ones.

An entry is that of held_out.py, (name, expected kinds, fn, shapes, positive), drawn as there;
LIBRARY has the library of those that are not NumPy's. Called with right=True, a wrong function has the
backward that it should have: tests/test_blind.py compares both with numerical differences.
"""

import contextlib
import functools
import importlib.util
import sys

import numpy as np
import torch
from torch.nn import functional as F

import minigrad as mg
from minigrad.tensor import lift
from tests.faults.held_out import draw, print_rates, seeds_asked_for, sigmoid, softmax

BLIND, RIGHT, LIBRARY = [], [], {}


def _note(entries, expected, shapes, positive, library):
    def note(fn):
        entries.append((fn.__name__, set(expected), fn, shapes, positive))
        if library:
            LIBRARY[fn.__name__] = library
        return fn

    return note


def wrong(expected, shapes, positive=False, library=None):
    return _note(BLIND, expected, shapes, positive, library)


def right(shapes, positive=False, library=None):
    return _note(RIGHT, (), shapes, positive, library)


# --- recurrent cells and recursions ---


@wrong({"dropped term"}, [(2, 3), (3, 12), (2, 3)])
def lstm_cell_state_only_direct(x, w, c, *, right=False):
    """h = o tanh(c'): c' gets its own gradient, but not the one that comes through h."""
    z = x @ w
    i, f, o = (sigmoid(part) for part in np.split(z[:, :9], 3, axis=1))
    g = np.tanh(z[:, 9:])
    new = f * c + i * g
    t = np.tanh(new)

    def vjp(dout):
        dh, dnew = np.split(dout, 2, axis=1)
        if right:
            dnew = dnew + dh * o * (1 - t * t)
        di, df, do, dg = dnew * g, dnew * c, dh * t, dnew * i
        parts = [di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g * g)]
        dz = np.concatenate(parts, axis=1)
        return dz @ w.T, x.T @ dz, dnew * f

    return np.concatenate([o * t, new], axis=1), vjp


@wrong({"swapped", "varying factor"}, [(3, 4), (3, 4), (3, 4)])
def gru_update_gate_exchanged(a, n, h, *, right=False):
    """h' = (1 - z) n + z h: the candidate's gradient gets z, the state's 1 - z."""
    z = sigmoid(a)
    candidate = np.tanh(n)

    def vjp(dout):
        to_n, to_h = (1 - z, z) if right else (z, 1 - z)
        da = dout * (h - candidate) * z * (1 - z)
        return da, dout * to_n * (1 - candidate * candidate), dout * to_h

    return (1 - z) * candidate + z * h, vjp


@wrong({"no derivative", "varying factor"}, [(5, 4)])
def ctc_paths_without_weights(x, *, right=False):
    """alpha' = logaddexp(alpha, alpha shifted) + x: both paths get all of the gradient, not their shares."""
    alphas, merged = [x[0]], []
    for row in x[1:]:
        moved = np.concatenate([[-np.inf], alphas[-1][:-1]])
        merged.append(np.logaddexp(alphas[-1], moved))
        alphas.append(merged[-1] + row)

    def vjp(dout):
        dx, d = np.empty_like(x), dout
        for t in range(len(x) - 1, 0, -1):
            dx[t] = d
            stay = np.exp(alphas[t - 1] - merged[t - 1]) if right else np.ones(4)
            move = np.exp(alphas[t - 1][:-1] - merged[t - 1][1:]) if right else np.ones(3)
            d = d * stay + np.concatenate([d[1:] * move, [0.0]])
        dx[0] = d
        return (dx,)

    return alphas[-1], vjp


# --- normalisation ---


@wrong({"region"}, [(4, 5)], lambda a: [a[0] * np.array([[2.0], [0.1], [2.0], [0.1]])])
def normalize_short_rows(x, *, right=False):
    """x / max(|x|, 1): the rows shorter than 1 get the gradient of the longer ones."""
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    n = np.maximum(length, 1.0)
    out = x / n

    def vjp(dout):
        along = out * (out * dout).sum(axis=1, keepdims=True)
        if right:
            along = along * (length > 1.0)
        return ((dout - along) / n,)

    return out, vjp


@wrong({"dropped term"}, [(6, 3), (3,), (3,)])
def batch_norm_of_evaluation(x, weight, bias, *, right=False):
    """The forward uses the batch's statistics; dx is that of fixed ones."""
    centred = x - x.mean(axis=0)
    rstd = 1 / np.sqrt((centred * centred).mean(axis=0) + 1e-5)
    xhat = centred * rstd

    def vjp(dout):
        g = dout * weight
        if right:
            g = g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0)
        return g * rstd, (dout * xhat).sum(axis=0), dout.sum(axis=0)

    return xhat * weight + bias, vjp


# --- positions, embeddings, attention ---


@wrong({"lost elements"}, [(2, 3, 8)])
def partial_rotary_rest_lost(x, *, right=False):
    """Only the first 4 of 8 features are rotated; the others are passed on, but get no gradient."""
    angle = np.arange(3.0)[:, None] * np.array([1.0, 0.1])
    c, s = np.cos(angle), np.sin(angle)
    a, b = x[..., :2], x[..., 2:4]

    def vjp(dout):
        dx = np.zeros_like(x)
        da, db = dout[..., :2], dout[..., 2:4]
        dx[..., :2] = da * c + db * s
        dx[..., 2:4] = db * c - da * s
        if right:
            dx[..., 4:] = dout[..., 4:]
        return (dx,)

    return np.concatenate([a * c - b * s, a * s + b * c, x[..., 4:]], axis=-1), vjp


@wrong({"missing sum", "dropped term"}, [(2, 4, 4), (7,)])
def relative_bias_last_pair_only(scores, table, *, right=False):
    """table[i - j] is added to every score; dtable[at] += d keeps one pair of each distance."""
    at = np.arange(4)[:, None] - np.arange(4) + 3

    def vjp(dout):
        dtable, d = np.zeros_like(table), dout.sum(axis=0)
        if right:
            np.add.at(dtable, at, d)
        else:
            dtable[at] += d
        return dout, dtable

    return scores + table[at], vjp


@wrong({"varying factor"}, [(6, 3)])
def embedding_bag_mean_not_divided(table, *, right=False):
    """Each bag is the mean of its rows; its gradient is not divided by their number."""
    bags = [[0, 4], [1, 2, 2, 5], [3]]

    def vjp(dout):
        dtable = np.zeros_like(table)
        for bag, d in zip(bags, dout):
            np.add.at(dtable, bag, d / len(bag) if right else d)
        return (dtable,)

    return np.stack([table[bag].mean(axis=0) for bag in bags]), vjp


@wrong({"leak", "region"}, [(2, 3, 4), (2, 3, 4), (2, 3, 4)])
def attention_padded_queries(q, k, v, *, right=False):
    """The outputs of padded queries are set to zero; backward forgets it."""
    kept = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])[:, :, None]
    p = softmax(q @ k.transpose(0, 2, 1) / 2)

    def vjp(dout):
        d = dout * kept if right else dout
        dp = d @ v.transpose(0, 2, 1)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / 2
        return ds @ k, ds.transpose(0, 2, 1) @ q, p.transpose(0, 2, 1) @ d

    return (p @ v) * kept, vjp


@wrong({"wrong axis", "misplaced"}, [(4, 3, 2), (2, 3, 2)])
def grouped_heads_summed_across(q, k, *, right=False):
    """Two query heads share a key head, 0 0 1 1; dk sums the heads as if they were 0 1 0 1."""
    shared = np.repeat(k, 2, axis=0)

    def vjp(dout):
        each = (dout.transpose(0, 2, 1) @ q).reshape(2, 2, 3, 2)
        return dout @ shared, each.sum(axis=1 if right else 0)

    return q @ shared.transpose(0, 2, 1), vjp


# --- gates and activations ---


@wrong({"swapped", "misplaced"}, [(3, 8)])
def swiglu_halves_exchanged(x, *, right=False):
    """out = a s(a) b of x = [a, b]; the gradient is packed as [db, da]."""
    a, b = x[:, :4], x[:, 4:]
    s = sigmoid(a)

    def vjp(dout):
        da, db = dout * b * s * (1 + a * (1 - s)), dout * a * s
        return (np.concatenate([da, db] if right else [db, da], axis=1),)

    return a * s * b, vjp


@wrong({"lost elements", "region"}, [(2, 3, 4), (3,)])
def prelu_negative_side_lost(x, slope, *, right=False):
    """dx is that of relu: zero where x < 0, not the slope of the channel."""
    a = slope[:, None]

    def vjp(dout):
        below = dout * a if right else 0.0
        return np.where(x > 0, dout, below), (dout * np.minimum(x, 0)).sum(axis=(0, 2))

    return np.where(x > 0, x, a * x), vjp


@wrong({"leak", "region"}, [(4, 6)])
def clamp_mask_of_clamped(x, *, right=False):
    """The mask is taken from the clamped values, which are all inside."""
    out = np.clip(x, -0.5, 0.8)
    seen = x if right else out
    inside = (seen >= -0.5) & (seen <= 0.8)
    return out, lambda dout: (dout * inside,)


@wrong({"factor"}, [(3, 5)])
def dropout_backward_unscaled(x, *, right=False):
    """The forward divides by the share that is kept, 0.7; backward only masks."""
    mask = np.random.default_rng(3).random(x.shape) < 0.7
    return x * mask / 0.7, lambda dout: (dout * mask / 0.7 if right else dout * mask,)


@wrong({"leak", "no derivative"}, [(3, 6)], lambda a: [np.round(4 * a[0]) / 4 + 0.05])
def fake_quantisation_straight_through(x, *, right=False):
    """Rounding to steps of 0.25 is flat; the straight-through gradient is dout."""
    return np.round(4 * x) / 4, lambda dout: (np.zeros_like(x) if right else dout,)


@wrong({"misplaced", "lost elements"}, [(4, 5), (4, 5, 3)])
def experts_gradient_by_rank(logits, experts, *, right=False):
    """The two best experts are mixed; their gates' gradients go to experts 0 and 1, whichever they were."""
    at = np.argsort(-logits, axis=1)[:, :2]
    gates = softmax(np.take_along_axis(logits, at, axis=1))
    chosen = np.take_along_axis(experts, at[:, :, None], axis=1)

    def vjp(dout):
        dgates = np.einsum("nd,nkd->nk", dout, chosen)
        dtop = gates * (dgates - (gates * dgates).sum(axis=1, keepdims=True))
        dlogits, dexperts = np.zeros_like(logits), np.zeros_like(experts)
        np.put_along_axis(dlogits, at if right else np.array([[0, 1]] * 4), dtop, axis=1)
        np.put_along_axis(dexperts, at[:, :, None], gates[:, :, None] * dout[:, None], axis=1)
        return dlogits, dexperts

    return np.einsum("nk,nkd->nd", gates, chosen), vjp


# --- losses ---


@wrong({"transposed"}, [(4, 3), (4, 3)])
def contrastive_keys_untransposed(a, b, *, right=False):
    """Row i of a belongs to row i of b; db is P a, where P^T a belongs."""
    logits = a @ b.T / 0.7
    p, peak = softmax(logits), logits.max(axis=1)
    loss = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1)) - np.diag(logits)

    def vjp(dout):
        d = (p - np.eye(4)) * dout[:, None] / 0.7
        return d @ b, (d.T if right else d) @ a

    return loss, vjp


@wrong({"leak", "region"}, [(8, 3), (8, 3), (8, 3)])
def triplet_inactive_rows(anchor, near, far, *, right=False):
    """max(0, |a - n|^2 - |a - f|^2 + 0.2): triplets whose loss is 0 get a gradient, too."""
    loss = ((anchor - near) ** 2).sum(axis=1) - ((anchor - far) ** 2).sum(axis=1) + 0.2

    def vjp(dout):
        d = 2 * (dout * (loss > 0) if right else dout)[:, None]
        return d * (far - near), d * (near - anchor), d * (anchor - far)

    return np.maximum(loss, 0), vjp


@wrong({"cotangent", "wrong axis", "leak"}, [(4, 3)])
def cross_entropy_by_row_with_summed_dout(logits, *, right=False):
    """One loss for each row; each row's gradient is multiplied by the sum of dout, not by its own."""
    p, at = softmax(logits), np.array([2, 0, 1, 0])

    def vjp(dout):
        return ((p - np.eye(3)[at]) * (dout[:, None] if right else dout.sum()),)

    return -np.log(p[np.arange(4), at]), vjp


# --- convolution, pooling, resampling ---


@wrong({"misplaced"}, [(1, 2, 4, 5), (2, 2, 3, 3)])
def conv2d_padding_cut_from_one_side(x, w, *, right=False):
    """dx of the padded image is cut as [:H, :W], not as [1:-1, 1:-1]."""
    _, _, H, W = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    taps = [(i, j) for i in range(3) for j in range(3)]
    out = sum(np.einsum("nchw,fc->nfhw", padded[..., i : i + H, j : j + W], w[..., i, j]) for i, j in taps)

    def vjp(dout):
        dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
        for i, j in taps:
            here = (..., slice(i, i + H), slice(j, j + W))
            dw[..., i, j] = np.einsum("nfhw,nchw->fc", dout, padded[here])
            dpadded[here] += np.einsum("nfhw,fc->nchw", dout, w[..., i, j])
        return dpadded[..., 1:-1, 1:-1] if right else dpadded[..., :H, :W], dw

    return out, vjp


@wrong({"wrong axis"}, [(2, 3, 5, 4), (4, 3), (4,)])
def pointwise_bias_over_channels(x, w, b, *, right=False):
    """The bias's gradient is summed over all axes but the last, as if the channels stood there."""

    def vjp(dout):
        db = dout.sum(axis=(0, 2, 3) if right else (0, 1, 2))
        return np.einsum("nfhw,fc->nchw", dout, w), np.einsum("nfhw,nchw->fc", dout, x), db

    return np.einsum("nchw,fc->nfhw", x, w) + b[:, None, None], vjp


@wrong({"region", "varying factor"}, [(2, 8)])
def avgpool_short_last_window(x, *, right=False):
    """Windows of 3, the last of 2: its mean is over 2, its gradient divided by 3."""
    ends = [(0, 3), (3, 6), (6, 8)]

    def vjp(dout):
        dx = np.zeros_like(x)
        for i, (start, end) in enumerate(ends):
            dx[:, start:end] = dout[:, i : i + 1] / (end - start if right else 3)
        return (dx,)

    return np.stack([x[:, start:end].mean(axis=1) for start, end in ends], axis=1), vjp


@wrong({"missing sum", "region"}, [(3, 7)])
def adaptive_pool_overlap_overwritten(x, *, right=False):
    """Seven elements in three bins, which overlap: the later bin overwrites the gradient of the earlier."""
    ends = [(0, 3), (2, 5), (4, 7)]

    def vjp(dout):
        dx = np.zeros_like(x)
        for i, (start, end) in enumerate(ends):
            before = dx[:, start:end] if right else 0.0
            dx[:, start:end] = before + dout[:, i : i + 1] / (end - start)
        return (dx,)

    return np.stack([x[:, start:end].mean(axis=1) for start, end in ends], axis=1), vjp


@wrong({"swapped", "misplaced"}, [(2, 5)])
def upsample_weights_exchanged(x, *, right=False):
    """Linear upsampling from 5 to 8: backward gives each neighbour the weight of the other."""
    at = np.linspace(0, 4, 8)
    low = np.minimum(at.astype(int), 3)
    share = at - low

    def vjp(dout):
        dx = np.zeros_like(x)
        to_low, to_high = (1 - share, share) if right else (share, 1 - share)
        np.add.at(dx, (slice(None), low), dout * to_low)
        np.add.at(dx, (slice(None), low + 1), dout * to_high)
        return (dx,)

    return x[:, low] * (1 - share) + x[:, low + 1] * share, vjp


@wrong({"misplaced", "transposed"}, [(1, 8, 2, 3)])
def pixel_shuffle_axes_exchanged(x, *, right=False):
    """Backward puts the rows and columns of each 2 by 2 cell the other way round."""
    out = x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6)

    def vjp(dout):
        cells = dout.reshape(1, 2, 2, 2, 3, 2)
        order = (0, 1, 3, 5, 2, 4) if right else (0, 1, 5, 3, 2, 4)
        return (cells.transpose(order).reshape(x.shape),)

    return out, vjp


@wrong({"region", "dropped term"}, [(3, 6)])
def laplacian_does_not_go_round(x, *, right=False):
    """A periodic stencil: backward forgets the neighbours across the ends."""

    def vjp(dout):
        dx = -2 * dout
        dx[:, 1:] += dout[:, :-1]
        dx[:, :-1] += dout[:, 1:]
        if right:
            dx[:, 0] += dout[:, -1]
            dx[:, -1] += dout[:, 0]
        return (dx,)

    return np.roll(x, 1, axis=1) + np.roll(x, -1, axis=1) - 2 * x, vjp


@wrong({"misplaced", "transposed"}, [(2, 6), (6,)])
def circular_convolution_not_conjugated(x, w, *, right=False):
    """dx convolves dout with w, where it must correlate: conj() is missing."""
    fx, fw = np.fft.rfft(x), np.fft.rfft(w)

    def vjp(dout):
        fd = np.fft.rfft(dout)
        dx = np.fft.irfft(fd * (fw.conj() if right else fw), 6)
        return dx, np.fft.irfft(fd * fx.conj(), 6).sum(axis=0)

    return np.fft.irfft(fx * fw, 6), vjp


# --- linear algebra, and inputs of other sizes ---


@wrong({"transposed"}, [(3, 3), (3, 2)], lambda a: [a[0] + 3 * np.eye(3), a[1]])
def solve_with_the_same_matrix(a, b, *, right=False):
    """db solves with a, where a^T belongs, and da is made of it."""
    x = np.linalg.solve(a, b)

    def vjp(dout):
        db = np.linalg.solve(a.T if right else a, dout)
        return -db @ x.T, db

    return x, vjp


def _rates(arrays):
    k, energy, kelvin = (np.abs(a) + 0.5 for a in arrays)
    return [1e6 * k, 2e4 + 1e4 * energy, 300 + 50 * kelvin]


@wrong({"factor"}, [(4,), (4,), (4,)], _rates)
def arrhenius_sign_of_energy(k, energy, kelvin, *, right=False):
    """k exp(-E / R T) of sizes 1e6, 3e4 and 4e2: the minus sign of dE is missing."""
    R = 8.314
    share = np.exp(-energy / (R * kelvin))
    out = k * share

    def vjp(dout):
        sign = -1.0 if right else 1.0
        return dout * share, sign * dout * out / (R * kelvin), dout * out * energy / (R * kelvin**2)

    return out, vjp


def _moments(arrays):
    return [1e-6 * arrays[0], 1e-12 * (np.abs(arrays[1]) + 0.1)]


@wrong({"varying factor"}, [(6,), (6,)], _moments)
def adam_step_eps_outside_the_root(m, v, *, right=False):
    """m / sqrt(v + eps) of sizes 1e-6 and 1e-12: backward takes sqrt(v) + eps for the root."""
    eps = 1e-12
    root = np.sqrt(v + eps)

    def vjp(dout):
        r = root if right else np.sqrt(v) + eps
        return dout / r, -dout * m / (2 * r**3)

    return m / root, vjp


# --- arrays: written to, kept, of another type, too few ---


@wrong({"second walk", "aliased", "saved array"}, [(4, 3), (3, 2)])
def linear_accumulates_in_its_buffer(x, w, *, right=False):
    """dw is added to a buffer that was zeroed in the forward, and the buffer returned."""
    dw = np.zeros_like(w)

    def vjp(dout):
        if right:
            return dout @ w.T, x.T @ dout
        np.add(dw, x.T @ dout, out=dw)
        return dout @ w.T, dw

    return x @ w, vjp


@wrong({"mutation"}, [(3, 5)])
def log_softmax_shifts_its_input(x, *, right=False):
    """x -= max(x) is done in place, on the caller's array."""
    if right:
        x = x.copy()
    x -= x.max(axis=-1, keepdims=True)
    out = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return out, lambda dout: (dout - np.exp(out) * dout.sum(axis=-1, keepdims=True),)


_columns = np.empty((2, 5, 3))


@wrong({"saved array", "aliased", "second walk"}, [(2, 7), (3,)])
def conv1d_columns_in_a_shared_workspace(x, w, *, right=False):
    """The columns are kept in one array of the module: the next forward overwrites what backward reads."""
    columns = np.empty((2, 5, 3)) if right else _columns
    for k in range(3):
        columns[:, :, k] = x[:, k : k + 5]

    def vjp(dout):
        dx = np.zeros_like(x)
        for k in range(3):
            dx[:, k : k + 5] += dout * w[k]
        return dx, np.einsum("nt,ntk->k", dout, columns)

    return columns @ w, vjp


_noise = np.random.default_rng(17)


@wrong({"non-deterministic"}, [(3, 4)])
def gaussian_dropout_unsealed(x, *, right=False):
    """Every forward draws new factors around 1; the gradient is right for those."""
    factors = 1 + 0.1 * (np.random.default_rng(17) if right else _noise).standard_normal(x.shape)
    return x * factors, lambda dout: (dout * factors,)


@wrong({"dtype"}, [(3, 6)])
def gather_gradient_in_float32(x, *, right=False):
    """The buffer of the gradient is made as float32, whatever x is."""
    at = [4, 0, 2]

    def vjp(dout):
        dx = np.zeros(x.shape, x.dtype if right else np.float32)
        dx[:, at] = dout
        return (dx,)

    return x[:, at], vjp


@wrong({"count"}, [(4, 3), (3, 2), (2,)])
def linear_bias_not_returned(x, w, b, *, right=False):
    """Three inputs, two gradients."""

    def vjp(dout):
        grads = dout @ w.T, x.T @ dout
        return (*grads, dout.sum(axis=0)) if right else grads

    return x @ w + b, vjp


# --- PyTorch ---


class _ClippedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, right):
        ctx.save_for_backward(x, w)
        ctx.right = right
        return x @ w

    @staticmethod
    def backward(ctx, dout):
        x, w = ctx.saved_tensors
        d = dout if ctx.right else dout.clamp(-0.5, 0.5)
        return d @ w.T, x.T @ d, None


@wrong({"cotangent"}, [(4, 3), (3, 2)], library="torch")
def torch_linear_clips_dout(x, w, *, right=False):
    """Gradient clipping is done inside of the backward."""
    return _ClippedLinear.apply(x, w, right)


@wrong({"non-finite"}, [(3, 4)], lambda a: [a[0] + np.sign(a[0]) / 10], library="torch")
def torch_where_after_the_root(x, *, right=False):
    """where(x > 0, sqrt(x), 0): below zero, the gradient is 0 times NaN."""
    inside = torch.where(x > 0, x, 1.0) if right else x
    return torch.where(x > 0, torch.sqrt(inside), 0.0)


class _ScaleShift(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, shift, right):
        ctx.save_for_backward(x, scale)
        ctx.right = right
        return x * scale + shift

    @staticmethod
    def backward(ctx, dout):
        x, scale = ctx.saved_tensors
        dscale = (dout * x).sum(0) if ctx.right else None
        return dout * scale, dscale, dout.sum(0), None


@wrong({"detached", "lost elements"}, [(4, 3), (3,), (3,)], library="torch")
def torch_scale_gets_none(x, scale, shift, *, right=False):
    """The gradient of the scale is None."""
    return _ScaleShift.apply(x, scale, shift, right)


@wrong({"detached", "dropped term"}, [(5, 4), (4, 3)], library="torch")
def torch_spectral_norm_without_graph(x, w, *, right=False):
    """The largest singular value is computed under no_grad."""
    with torch.set_grad_enabled(right):
        sigma = torch.linalg.matrix_norm(w, 2)
    return x @ (w / sigma)


class _Dice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, p, t, right):
        ctx.save_for_backward(p, t)
        ctx.right = right
        return 1 - 2 * (p * t).sum(1) / (p + t).sum(1)

    @staticmethod
    def backward(ctx, dout):
        p, t = ctx.saved_tensors
        size = (p + t).sum(1, keepdim=True)
        shared = 2 * (p * t).sum(1, keepdim=True) / size**2
        d = dout[:, None]
        return d * (-2 * t / size + (shared if ctx.right else 0)), d * (-2 * p / size + shared), None


@wrong({"dropped term"}, [(3, 8), (3, 8)], positive=True, library="torch")
def torch_dice_denominator_fixed(p, t, *, right=False):
    """1 - 2 sum(p t) / sum(p + t): for p, the denominator is taken for a constant."""
    return _Dice.apply(p, t, right)


class _KL(torch.autograd.Function):
    @staticmethod
    def forward(ctx, log_q, p, right):
        ctx.save_for_backward(log_q, p)
        ctx.right = right
        return (p * (p.log() - log_q)).sum() / len(p)

    @staticmethod
    def backward(ctx, dout):
        log_q, p = ctx.saved_tensors
        count = len(p) if ctx.right else p.numel()
        return -dout * p / count, dout * (p.log() - log_q + 1) / len(p), None


def _probabilities(arrays):
    return [np.log(softmax(arrays[0])), softmax(arrays[1])]


@wrong({"factor"}, [(3, 5), (3, 5)], _probabilities, library="torch")
def torch_kl_divided_by_all(log_q, p, *, right=False):
    """The loss is divided by the batch, the gradient of log q by the number of elements."""
    return _KL.apply(log_q, p, right)


class _TransposedConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, right):
        ctx.save_for_backward(x, w)
        ctx.right = right
        return F.conv_transpose1d(x, w)

    @staticmethod
    def backward(ctx, dout):
        x, w = ctx.saved_tensors
        pieces = dout.unfold(2, 2, 1)
        order = "nit,notk->iok" if ctx.right else "nit,notk->oik"
        return F.conv1d(dout, w), torch.einsum(order, x, pieces), None


@wrong({"transposed"}, [(2, 3, 5), (3, 3, 2)], library="torch")
def torch_transposed_convolution_channels(x, w, *, right=False):
    """dw has its input and output channels exchanged, as those of a plain convolution stand."""
    return _TransposedConvolution.apply(x, w, right)


class _Reparameterised(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mu, rho, right):
        noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(1)).to(mu.dtype)
        ctx.save_for_backward(rho, noise)
        ctx.right = right
        return mu + F.softplus(rho) * noise

    @staticmethod
    def backward(ctx, dout):
        rho, noise = ctx.saved_tensors
        drho = dout * noise
        return dout, drho * torch.sigmoid(rho) if ctx.right else drho, None


@wrong({"no derivative", "varying factor"}, [(3, 4), (3, 4)], library="torch")
def torch_spread_without_softplus(mu, rho, *, right=False):
    """mu + softplus(rho) noise: rho gets the gradient of softplus(rho)."""
    return _Reparameterised.apply(mu, rho, right)


# --- minigrad ---


@wrong({"detached", "dropped term"}, [(4, 3), (3, 2)], library="minigrad")
def minigrad_tied_decoder_detached(x, w, *, right=False):
    """An autoencoder with one weight: the decoder uses it detached."""
    return (x @ w).tanh() @ (w if right else w.detach()).T


@wrong({"detached", "dropped term"}, [(2, 3, 4), (3, 3)], library="minigrad")
def minigrad_channel_gate_without_graph(x, w, *, right=False):
    """The gate of squeeze and excitation is computed under no_grad."""
    with mg.no_grad() if not right else contextlib.nullcontext():
        gate = mg.sigmoid(x.mean(-1) @ w)
    return x * gate.unsqueeze(-1)


@wrong({"leak"}, [(4, 3, 2)], library="minigrad")
def minigrad_maxout_to_every_piece(x, *, right=False):
    """The largest of two pieces: both get dout."""

    def maxout(x, *, right):
        out = x.max(axis=-1)

        def vjp(dout):
            everywhere = np.repeat(dout[..., None], 2, axis=-1)
            return (everywhere * (x == out[..., None]) if right else everywhere,)

        return out, vjp

    return lift(maxout)(x, right=right)


@wrong({"missing sum", "dropped term"}, [(3, 6)], library="minigrad")
def minigrad_cummax_last_use_only(x, *, right=False):
    """A maximum that stays for several places gets only the gradient of one of them."""

    def cummax(x, *, right):
        at = np.stack([x[:, : i + 1].argmax(axis=1) for i in range(x.shape[1])], axis=1)

        def vjp(dout):
            dx = np.zeros_like(x)
            if right:
                np.add.at(dx, (np.arange(len(x))[:, None], at), dout)
            else:
                np.put_along_axis(dx, at, dout, axis=1)
            return (dx,)

        return np.take_along_axis(x, at, axis=1), vjp

    return lift(cummax)(x, right=right)


@wrong({"shape"}, [(3, 4), (1, 4)], library="minigrad")
def minigrad_bias_row_without_its_axis(x, b, *, right=False):
    """The gradient of a bias of shape (1, 4) is summed to (4,)."""

    def add(x, b, *, right):
        return x + b, lambda dout: (dout, dout.sum(axis=0, keepdims=right))

    return lift(add)(x, b, right=right)


# --- JAX ---


@functools.cache
def _discounted(right):
    import jax
    import jax.numpy as jnp

    def run(r, backwards):
        rows = r[:, ::-1] if backwards else r
        total, out = jnp.zeros_like(r[:, 0]), []
        for t in range(r.shape[1]):
            total = rows[:, t] + 0.8 * total
            out.append(total)
        return jnp.stack(out[::-1] if backwards else out, axis=1)

    returns = jax.custom_vjp(lambda r: run(r, True))
    returns.defvjp(lambda r: (run(r, True), None), lambda _, d: (run(d, not right),))
    return returns


@wrong({"misplaced", "transposed"}, [(2, 5)], library="jax")
def jax_returns_walk_the_same_way(r, *, right=False):
    """Discounted returns are summed from the end; their gradient must be summed from the start."""
    return _discounted(right)(r)


# --- right, but hard ---


@right([(3, 5)], lambda a: [a[0] * (np.abs(a[0]) > 0.7)])
def absolute_value_of_zeros(x):
    """Many inputs are exactly 0, the kink; there the gradient is 0, the mean of both sides."""
    return np.abs(x), lambda dout: (dout * np.sign(x),)


@right([(3, 5)], lambda a: [np.maximum(a[0], 0) - (a[0] < -1)])
def relu_of_zeros(x):
    """Many inputs are exactly 0, and get the gradient of the left side."""
    return np.maximum(x, 0), lambda dout: (dout * (x > 0),)


@right([(4, 6)], lambda a: [np.round(a[0])])
def largest_shared_by_ties(x):
    """Of whole numbers, several are the largest of a row: each gets an equal share, as amax gives."""
    out = x.max(axis=1)
    share = (x == out[:, None]).astype(float)
    share /= share.sum(axis=1, keepdims=True)
    return out, lambda dout: (dout[:, None] * share,)


@right([(3, 4)], lambda a: [1e8 * a[0]])
def square_of_huge(x):
    """Inputs of 1e8, outputs of 1e16."""
    return x * x, lambda dout: (2 * x * dout,)


@right([(3, 5), (3, 5)], lambda a: [a[0] * np.logspace(-6, 6, 5), a[1] * np.logspace(6, -6, 5)])
def product_of_opposite_scales(a, b):
    """Columns from 1e-6 to 1e6 times columns from 1e6 to 1e-6: all outputs are of size 1."""
    return a * b, lambda dout: (dout * b, dout * a)


@right([(6,)], lambda a: [1e-3 * (1 + np.abs(a[0]))])
def difference_that_cancels(x):
    """x - sin(x) at 1e-3: of sixteen digits, nine are left."""
    return x - np.sin(x), lambda dout: (2 * np.sin(x / 2) ** 2 * dout,)


@right([(4, 6)])
def random_slopes_sealed(x):
    """The slopes below zero are random, but drawn from the same seed in every call."""
    slope = np.where(x > 0, 1.0, np.random.default_rng(2).uniform(0.1, 0.4, x.shape))
    return x * slope, lambda dout: (dout * slope,)


@right([(3, 6)], lambda a: [40 * a[0]])
def sigmoid_saturated(x):
    """Gradients between 1e-50 and 0.25; above 37, sigmoid is 1 in float64."""
    s = sigmoid(x)
    return s, lambda dout: (dout * s * sigmoid(-x),)


@right([(3, 0), (3,)])
def sum_over_nothing(x, b):
    """One input is empty; its sum is 0."""
    return x.sum(axis=1) + b * b, lambda dout: (np.zeros_like(x), 2 * b * dout)


@right([(4, 1), (4, 1)])
def softmax_of_one(x, scale):
    """Softmax over an axis of length 1 is 1, and its gradient 0."""
    p = softmax(x)
    return p * scale, lambda dout: (np.zeros_like(x), dout * p)


@right([(3, 6), (6,)], lambda a: [(a[0] + 20).astype("f4"), a[1].astype("f4")])
def layer_norm_of_float32(x, weight):
    """float32 rows of mean 20 and spread 1."""
    centred = x - x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5)
    xhat = centred * rstd

    def vjp(dout):
        g = dout * weight
        dx = g - g.mean(axis=1, keepdims=True) - xhat * (g * xhat).mean(axis=1, keepdims=True)
        return dx * rstd, (dout * xhat).sum(axis=0)

    return xhat * weight, vjp


@right([(4, 64), (64, 3)], lambda a: [a[0].astype("f4"), (a[1] + 3).astype("f4")], library="torch")
def torch_long_products_of_float32(x, w):
    """Sums of 64 products in float32, of which much cancels."""
    return torch.tanh(x @ w / 64)


@right([(3, 4), (4,)])
def input_that_does_not_matter(x, unused):
    """The second input is not used; its gradient is zeros."""
    return x * x, lambda dout: (2 * x * dout, np.zeros_like(unused))


@right([(8,), (8,)], lambda a: [1e-4 * a[0], 1e-4 * a[1]])
def smooth_distance_of_near_points(a, b):
    """sqrt(d^2 + 1e-8) where d is about 1e-4: it bends within a step of 1e-4."""
    out = np.sqrt((a - b) ** 2 + 1e-8)
    return out, lambda dout: (dout * (a - b) / out, dout * (b - a) / out)


@right([(3, 4)])
def sine_of_high_frequency(x):
    """sin(300 x): a step of 0.01 is half a period."""
    return np.sin(300 * x), lambda dout: (300 * np.cos(300 * x) * dout,)


@right([(3, 3)])
def outputs_of_three_scales(x):
    """The columns of the output have the sizes 1e6, 1 and 1e-6."""
    scale = np.array([1e6, 1.0, 1e-6])
    out = np.tanh(x) * scale
    return out, lambda dout: (dout * scale * (1 - np.tanh(x) ** 2),)


def _singular(arrays):
    return [np.column_stack([arrays[0][:, :2], arrays[0][:, 0] - arrays[0][:, 1]])]


@right([(3, 3)], _singular)
def determinant_of_singular(a):
    """The determinant is 0; its gradient, the cofactors, is not."""
    x, y, z = a
    cofactors = np.stack([np.cross(y, z), np.cross(z, x), np.cross(x, y)])
    return np.asarray(x @ cofactors[0]), lambda dout: (dout * cofactors,)


@right([(3, 4)], lambda a: [1e-6 * a[0]])
def tanh_of_tiny(x):
    """tanh(x / 1e-6) of inputs of size 1e-6: a step of 1e-4 sees only the saturated ends."""
    out = np.tanh(x / 1e-6)
    return out, lambda dout: (dout * (1 - out * out) / 1e-6,)


@right([(3, 5)], library="minigrad")
def minigrad_softmax_with_detached_peak(x):
    """The peak is detached, which is right: it cancels."""
    e = (x - x.max(axis=-1, keepdims=True).detach()).exp()
    return e / e.sum(axis=-1, keepdims=True)


@right([(3, 4)], lambda a: [a[0] * np.array([1.0, 0.0, 1.0, 1.0])])
def product_with_a_zero(x):
    """The second factor of each product is 0: only it has a gradient, made of the others."""
    rest = [np.delete(x, i, axis=1).prod(axis=1) for i in range(4)]
    return x.prod(axis=1), lambda dout: (np.stack([dout * r for r in rest], axis=1),)


assert len(BLIND) == 50 and len(RIGHT) == 20, (len(BLIND), len(RIGHT))


def examine(entry, seed):
    """Return what `gradcheck` says of an entry."""
    library = LIBRARY.get(entry[0])
    if library == "jax":
        importlib.import_module("jax")  # whoever has a function of its own has imported it
    return mg.gradcheck(entry[2], draw(entry, seed), seed=seed, library=library, raise_error=False)


def main(argv):
    """Print the rates, and what was not named as a person would; without JAX, its case is left out."""
    seeds = seeds_asked_for("blind", __doc__, argv)
    here = [e for e in BLIND if LIBRARY.get(e[0]) != "jax" or importlib.util.find_spec("jax")]
    if len(here) < len(BLIND):
        print(f"left out, since JAX is not installed: {len(BLIND) - len(here)} of {len(BLIND)}")
    print_rates("blind", here, RIGHT, examine, seeds)


if __name__ == "__main__":
    main(sys.argv[1:])
