"""Arguments that bear on one another, in every combination of small values, bounds and just beyond: as PyTorch's.

Where PyTorch computes, so do we, and the same: outputs, gradients, dtypes. Where it refuses, we refuse.
"""

import itertools
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import minigrad
import nn
from minigrad.tensor import wrap

OURS = SimpleNamespace(F=nn.functional, nn=nn, constant=wrap, double=np.float64, seed=minigrad.manual_seed)
THEIRS = SimpleNamespace(
    F=torch.nn.functional,
    nn=torch.nn,
    constant=torch.from_numpy,
    double=torch.float64,
    seed=torch.manual_seed,
)
REFUSALS = (ValueError, RuntimeError, TypeError, IndexError, AssertionError, NotImplementedError)


def numbers(*shape, seed=0):
    """Numbers of which no two are equal, nor 0."""
    return np.asarray(np.random.default_rng([seed, *shape]).standard_normal(shape))


def results(side, call, arrays):
    """The outputs of a call and the gradients of its arrays, or None if it is refused."""
    leaves = [side.constant(np.array(a)).requires_grad_(a.dtype.kind == "f") for a in arrays]
    side.seed(5)
    try:
        found = call(side, *leaves)
    except REFUSALS:
        return None
    outputs = flat(found)
    moving = [y for y in outputs if y is not None and y.requires_grad]
    if moving:
        sum(
            (y * side.constant(numbers(*y.shape, seed=9).astype(a_float(y)))).sum() for y in moving
        ).backward()
    grads = [x.grad for x in leaves]
    return [None if y is None else np.array(y.detach()) for y in (*outputs, *grads)]


def flat(found):
    return [y for each in found for y in flat(each)] if isinstance(found, (tuple, list)) else [found]


def a_float(y):
    return "float32" if "float32" in str(y.dtype) else "float64"


def difference(call, arrays):
    """Why the call is not PyTorch's, or nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = (results(side, call, arrays) for side in (OURS, THEIRS))
    if ours is None or theirs is None:
        return "" if ours is theirs is None else f"{'refused' if ours is None else 'not refused'}"
    for mine, other in zip(ours, theirs, strict=True):
        if (mine is None) != (other is None):
            return "a gradient that only one has"
        if mine is not None and not same(mine, other):
            return f"{mine.dtype} {mine.shape} {mine.tolist()} and not {other.dtype} {other.shape} {other.tolist()}"
    return ""


def same(mine, other):
    if mine.shape != other.shape or mine.dtype != other.dtype:
        return False
    digits = 1e-5 if mine.dtype == np.float32 else 1e-9
    return np.allclose(mine, other, rtol=digits, atol=digits, equal_nan=True)


def product(**values):
    """Every combination, as keyword arguments."""
    return [dict(zip(values, each)) for each in itertools.product(*values.values())]


def function(name, *positional):
    """A call of nn.functional's function of that name."""
    return lambda settings: lambda side, *xs: getattr(side.F, name)(*xs, *positional, **settings)


def along(name):
    """A function along an axis, in double precision or not."""
    return lambda s: (
        lambda side, x: getattr(side.F, name)(x, s["dim"], dtype=side.double if s["double"] else None)
    )


def layer(name, *sizes, **always):
    """A call of a layer whose settings are given, in double precision; its first weights are those of the seed."""

    def make(s):
        how = {k: v for k, v in s.items() if k in HOW}
        options = {k: v for k, v in s.items() if k not in HOW}
        return lambda side, *xs: getattr(side.nn, name)(*sizes, **always, **options).double()(
            *by_places(xs, how)
        )

    return make


HOW = ("states",)  # what is of the call, and not of the layer


def by_places(xs, how):
    """An input, and a pair of states where a layer has two."""
    return (xs[0], xs[1:]) if how.get("states") == 2 and len(xs) > 1 else xs


def masked(side, q, k, v, mask, **options):
    """Attention under a mask that is not learned."""
    return side.F.scaled_dot_product_attention(q, k, v, mask.detach(), **options)


def attention_of(s):
    """A call of MultiheadAttention: its layout, and a mask of keys, of scores, or none."""

    def call(side, q, k, *masks):
        module = side.nn.MultiheadAttention(4, 2, batch_first=s["batch_first"]).double()
        given = {name: mask.detach() for name, mask in zip(s["masks"], masks)}
        return module(q, k, k, need_weights=s["weights"], average_attn_weights=s["weights"], **given)

    return call


def packed(s):
    """Sequences packed, and filled up again."""

    def call(side, x):
        utils = side.nn.utils.rnn
        lengths = side.constant(np.array(s["lengths"]))
        both = {"batch_first": s["batch_first"]}
        found = utils.pack_padded_sequence(x, lengths, **both, enforce_sorted=s["enforce_sorted"])
        return found, utils.pad_packed_sequence(found, **both, padding_value=0.5, total_length=s["total"])

    return call


def at_first(shape):
    """True in the first column."""
    return np.arange(shape[-1]) == np.zeros(shape, int)


IN_PLACE = ["relu", "silu", "mish", "leaky_relu", "hardtanh", "relu6", "elu", "dropout", "dropout2d"]
Q, K, V = numbers(2, 4, 3, 5), numbers(2, 4, 2, 5, seed=1), numbers(2, 4, 2, 5, seed=2)
MASKS = [
    (3, 2),
    (1, 2),
    (3, 1),
    (1, 1, 3, 2),
    (2, 4, 3, 2),
    (2, 1, 1, 2),
    (4, 1, 2),
    (2, 3),
    (3, 3),
]
INF, REDUCTIONS = float("inf"), ["mean", "sum", "none", "all"]
OF_EVERY_NDIM = [[numbers(*(2, 3, 1, 2)[:n]).astype(np.float32)] for n in range(5)]
DISTANCES = [
    [np.zeros(6), np.array([0.0, 0.5, -0.5, 1.0, -1.0, 3.0])],
    [numbers(2, 3), numbers(2, 3, seed=1)],
    [numbers(2, 1), numbers(3)],
    [numbers(), numbers()],
    [numbers(2), numbers(3)],
    [np.zeros((0, 2)), np.zeros((0, 2))],
]
CLASSES = [
    [numbers(4, 3), np.array([0, 2, 1, 1])],
    [numbers(4, 1), np.array([0, 0, 0, 0])],
    [numbers(3), np.array(2)],
    [numbers(2, 3, 2), np.array([[0, 1], [2, 1]])],
    [numbers(2, 2, 2, 3), np.zeros((2, 2, 3), int)],
    [numbers(2, 3), np.array([0, -100])],
    [numbers(2, 3), np.array([1, 1])],
    [numbers(0, 3), np.array([], int)],
    [numbers(2, 3), np.array([0, 3])],
    [numbers(2, 3), np.array([0])],
]

# Each: (how to call it with some settings; the settings; what it is called with).
SWEEPS = {
    "conv1d": (
        function("conv1d"),
        product(stride=[1, 2], padding=[0, 1, 2, "same", "valid", -1], dilation=[1, 2], groups=[0, 1, 2, 3]),
        [[numbers(2, 4, 5), numbers(4, width, k), numbers(4)] for width in (2, 4) for k in (1, 2, 3)]
        + [[numbers(4, 5), numbers(2, 4, 2), numbers(o)] for o in (2, 1)]
        + [[numbers(5), numbers(2, 4, 2)], [numbers(1, 4, 1), numbers(2, 4, 1)], [numbers(2, 4, 5), numbers(4, 2)]],
    ),
    "conv2d": (
        function("conv2d"),
        product(stride=[1, (2, 1)], padding=[(1, 0), "same", (2,)], dilation=[(1, 2), (2,), (1, 1, 1)], groups=[1, 2]),
        [[numbers(2, 2, 4, 5), numbers(2, 2, 2, 3)], [numbers(2, 4, 5), numbers(4, 1, 3, 2), numbers(4)]],
    ),
    "conv_transpose1d": (
        function("conv_transpose1d"),
        product(stride=[1, 2, 3], padding=[0, 1, 2], output_padding=[0, 1, 2], groups=[1, 2], dilation=[1, 2]),
        [[numbers(2, 4, length), numbers(4, 2, k)] for length, k in ((1, 3), (3, 1), (3, 2))]
        + [[numbers(3, 3), numbers(4, 2, 2)]],
    ),
    "conv_transpose2d": (
        function("conv_transpose2d"),
        product(stride=[(1, 2), 2], padding=[(0, 1), 1], output_padding=[(0, 1), (1, 0)], dilation=[(2, 1), 1]),
        [[numbers(1, 2, 2, 3), numbers(2, 1, 2, 3), numbers(1)], [numbers(2, 3, 2), numbers(2, 1, 3, 2)]],
    ),
    "max_pool1d": (
        function("max_pool1d"),
        product(kernel_size=[1, 2, 3], stride=[None, 1, 2], padding=[0, 1, 2], dilation=[1, 2]),
        [[numbers(2, 2, length)] for length in range(2, 6)] + [[numbers(2, 4)], [numbers(4)]],
    ),
    "max_pool2d": (
        function("max_pool2d"),
        product(kernel_size=[2, (3, 2), (2,)], stride=[None, (2, 1)], padding=[0, (1, 0), (0, 2)], dilation=[1, (1, 2)]),
        [[numbers(2, 2, 4, 5)], [numbers(2, 4, 3)]],
    ),
    "avg_pool1d": (
        function("avg_pool1d"),
        product(kernel_size=[1, 2, 3], stride=[None, 1, 2], padding=[0, 1, 2], count_include_pad=[True, False]),
        [[numbers(2, 2, length)] for length in range(1, 6)] + [[numbers(2, 4)], [numbers(4)]],
    ),
    "avg_pool2d": (
        function("avg_pool2d"),
        product(kernel_size=[2, (3, 2)], stride=[None, (2, 1)], padding=[0, (1, 0)], count_include_pad=[True, False]),
        [[numbers(2, 2, 4, 5)], [numbers(2, 4, 3)]],
    ),
    "adaptive_avg_pool1d": (
        function("adaptive_avg_pool1d"),
        product(output_size=[1, 2, 3, 4, 5, 6]),
        [[numbers(2, 2, length)] for length in range(1, 6)] + [[numbers(2, 4)], [numbers(4)]],
    ),
    "adaptive_avg_pool2d": (
        function("adaptive_avg_pool2d"),
        product(output_size=[1, 2, (1, 2), (None, 1), (3, None)]),
        [[numbers(2, 2, 4, 5)], [numbers(2, 1, 3)], [numbers(3)]],
    ),
    "unfold": (
        function("unfold"),
        product(kernel_size=[1, 2, (3, 2)], dilation=[1, 2], padding=[0, (1, 0)], stride=[1, (2, 1)]),
        [[numbers(2, 2, 4, 3)], [numbers(1, 2, 2)], [numbers(2, 2)]],
    ),
    "pad": (
        lambda s: lambda side, x: side.F.pad(x, [s["before"], s["after"]], s["mode"]),
        product(before=[0, 1, 2, 3], after=[0, 1, 2, 3], mode=["constant", "reflect", "replicate", "circular"]),
        [[numbers(2, 2, length)] for length in (1, 2, 3)],
    ),
    "pad by less than nothing": (
        lambda s: lambda side, x: side.F.pad(x, [s["before"], s["after"]], value=0.5),
        product(before=[-3, -2, -1, 0, 1], after=[-3, -2, -1, 0, 1]),
        [[numbers(2, length)] for length in (1, 2, 3)],
    ),
    "pad of two axes": (
        lambda s: lambda side, x: side.F.pad(x, s["pad"], s["mode"]),
        product(pad=[(1, 0, 0, 2), (0, 2, 1, 1)], mode=["constant", "reflect", "replicate", "circular"]),
        [[numbers(2, 2, 3, 3)]],
    ),
    **{
        name: (along(name), product(dim=[None, *range(-5, 5)], double=[False, True]), OF_EVERY_NDIM)
        for name in ("softmax", "log_softmax", "softmin")
    },
    "normalize": (
        function("normalize"),
        product(p=[0.0, 0.5, 1.0, 2.0, 3.0, INF], dim=[0, 1, -1, 2, -3], eps=[1e-12, 2.0]),
        [[numbers(3, 2)], [np.array([[0.0, 0.0], [3.0, -4.0]])]],
    ),
    "cosine_similarity": (
        function("cosine_similarity"),
        product(dim=[0, 1, 2, -1, -3, 3]),
        [[numbers(2, 3, 4), numbers(*shape, seed=1)] for shape in ((2, 3, 4), (3, 4), (1, 3, 4), (2, 1, 4), (2, 4))],
    ),
    "pairwise_distance": (
        function("pairwise_distance"),
        product(p=[1.0, 2.0, 3.0, INF], eps=[1e-6, 0.5], keepdim=[False, True]),
        [[numbers(3, 2), numbers(*shape, seed=1)] for shape in ((3, 2), (2,), (1, 2), (3, 1))] + [[numbers(3), numbers(3)]],
    ),
    "one_hot": (
        lambda s: lambda side, ids: side.F.one_hot(ids, s["num_classes"]),
        product(num_classes=[-2, -1, 0, 1, 2, 3, 5]),
        [[np.array(ids, int)] for ids in ([0], [[2, 0], [1, 1]], [], 1, [-1, 0])],
    ),
    "hardtanh": (
        function("hardtanh"),
        product(min_val=[-1.0, 0.5, 2.0], max_val=[-1.0, 0.5, 2.0]),
        [[np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 2.0, 9.0])]],
    ),
    "softplus": (
        function("softplus"),
        product(beta=[0.5, 1.0, 2.0], threshold=[0.0, 1.0, 20.0]),
        [[np.array([-3.0, -0.0, 0.5, 1.0, 2.0, 10.0, 20.0, 40.0])]],
    ),
    "leaky_relu": (function("leaky_relu"), product(negative_slope=[0.0, 0.01, 2.0]), [[np.array([-2.0, 0.0, 3.0])]]),
    "elu": (function("elu"), product(alpha=[0.5, 1.0, 2.0]), [[np.array([-2.0, 0.0, 3.0])]]),
    **{
        name: (function(name), product(reduction=REDUCTIONS), DISTANCES)
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
    },
    "smooth_l1_loss of another beta": (
        function("smooth_l1_loss"), product(beta=[0.0, 0.5, 1.0, -0.5], reduction=REDUCTIONS), DISTANCES,
    ),
    "huber_loss of another delta": (
        function("huber_loss"), product(delta=[0.0, 0.5, 1.0, -0.5], reduction=REDUCTIONS), DISTANCES,
    ),
    "weighted distances": (
        lambda s: lambda side, x, t, w: getattr(side.F, s["name"])(x, t, weight=w.detach(), reduction=s["reduction"]),
        product(name=["mse_loss", "l1_loss", "huber_loss"], reduction=REDUCTIONS),
        [[numbers(2, 3), numbers(2, 3, seed=1), np.abs(numbers(2, 3, seed=2))]],
    ),
    "kl_div": (
        function("kl_div"),
        product(reduction=[*REDUCTIONS, "batchmean"], log_target=[False, True]),
        [[numbers(*shape), np.abs(numbers(*other, seed=1))] for shape, other in
         (((2, 3), (2, 3)), ((3,), (3,)), ((), ()), ((2, 1), (3,)), ((0, 2), (0, 2)))],
    ),
    "binary_cross_entropy": (
        lambda s: lambda side, x, t: side.F.binary_cross_entropy(x, t.detach(), **s),
        product(reduction=REDUCTIONS),
        [[np.array([x]), np.array([t])] for x in (0.0, 1e-13, 3e-12, 1e-5, 0.5, 1 - 1e-13, 1.0, -0.1, 1.1)
         for t in (0.0, 0.3, 1.0)] + [[np.zeros((0, 2)), np.zeros((0, 2))], [np.array(0.3), np.array([0.3])]],
    ),
    "binary_cross_entropy_with_logits": (
        lambda s: lambda side, x, t, w: side.F.binary_cross_entropy_with_logits(
            x, t.detach(), **{name: w.detach() for name in s["weights"]}, reduction=s["reduction"]),
        product(reduction=REDUCTIONS, weights=[(), ("weight",), ("pos_weight",), ("weight", "pos_weight")]),
        [[np.array([[-900.0, 0.0], [1.0, 900.0]]), np.array([[0.0, 0.3], [1.0, 1.0]]), np.array([0.5, 2.0])]],
    ),
    "nll_loss": (
        lambda s: lambda side, x, ids, *w: side.F.nll_loss(x, ids, *[each.detach() for each in w], **s),
        product(reduction=REDUCTIONS, ignore_index=[-100, 0, 1]),
        CLASSES + [[x, ids, np.abs(numbers(x.shape[min(1, x.ndim - 1)]))] for x, ids in CLASSES],
    ),
    "cross_entropy": (
        lambda s: lambda side, x, ids, *w: side.F.cross_entropy(x, ids, *[each.detach() for each in w], **s),
        product(reduction=REDUCTIONS, ignore_index=[-100, 0, 1], label_smoothing=[0.0, 0.3, 1.0, 1.1]),
        CLASSES + [[x, ids, np.abs(numbers(x.shape[min(1, x.ndim - 1)]))] for x, ids in CLASSES],
    ),
    "cross_entropy of shares": (
        lambda s: lambda side, x, q, *w: side.F.cross_entropy(x, q.detach(), *[each.detach() for each in w], **s),
        product(reduction=REDUCTIONS, label_smoothing=[0.0, 0.3]),
        [[numbers(*shape), np.abs(numbers(*shape, seed=1)), *more] for shape in ((3,), (2, 3), (2, 3, 4))
         for more in ([], [np.abs(numbers(3))])],
    ),
    "embedding": (
        lambda s: lambda side, table, ids: side.F.embedding(ids, table, **s),
        product(padding_idx=[None, *range(-4, 4)]),
        [[numbers(3, 2), np.array(ids)] for ids in ([0, 2, 2], [[1], [0]], 1, [3], [-1])],
    ),
    "linear": (
        lambda s: lambda side, *xs: side.F.linear(*xs),
        [{}],
        [[numbers(2, 3), numbers(4, 3), *bias] for bias in ([], [numbers(4)])]
        + [[numbers(2, 3), numbers(3)], [numbers(3), numbers(3)]]
        + [[numbers(2, 3), numbers(4, 2)], [numbers(2, 3), numbers(4, 3), numbers(3)], [numbers(0, 3), numbers(4, 3)]],
    ),
    "layer_norm": (
        lambda s: lambda side, x, *more: side.F.layer_norm(x, s["shape"], *more, eps=s["eps"]),
        product(shape=[(4,), (3, 4), (2, 3, 4), (3,), (1, 2, 3, 4), ()], eps=[1e-5, 0.5]),
        [[numbers(2, 3, 4), *more] for more in ([], [numbers(4)], [numbers(3, 4), numbers(3, 4)], [numbers(4), numbers(3)])],
    ),
    "rms_norm": (
        lambda s: lambda side, x, *more: side.F.rms_norm(x, s["shape"], *more, eps=s["eps"]),
        product(shape=[(4,), (3, 4), (3,), (1, 2, 3, 4)], eps=[None, 0.5]),
        [[numbers(2, 3, 4), *more] for more in ([], [numbers(4)], [numbers(3, 4)])],
    ),
    "batch_norm": (
        lambda s: lambda side, x, mean, var: side.F.batch_norm(
            x, *(None if gone else y.detach() for y, gone in zip((mean, var), s["without"])), training=s["training"], eps=s["eps"]),
        product(without=[(0, 0), (1, 1)], training=[True], eps=[0.0, 1e-5])
        + product(without=[(0, 0), (0, 1), (1, 0), (1, 1)], training=[False], eps=[0.0, 1e-5]),
        [[numbers(*shape), numbers(3), np.abs(numbers(3))] for shape in ((2, 3), (2, 3, 2), (1, 3, 2))],
    ),
    "in place": (
        lambda s: lambda side, x: getattr(side.F, s["name"])(x * 1.0 if s["inner"] else x, inplace=s["inplace"]),
        product(name=IN_PLACE, inner=[True, False], inplace=[True, False]),
        [[numbers(2, 3, 2)]],
    ),
    "scaled_dot_product_attention": (
        lambda s: lambda side, q, k, v, mask: masked(side, q, k, v, mask, **s),
        product(scale=[None, 0.5]),
        [[Q, K, V, np.asarray(numbers(*shape) > (-9 if shape[-1] == 1 else 0.2)) | at_first(shape)] for shape in MASKS]
        + [[Q, K, V, numbers(*shape)] for shape in MASKS] + [[Q, K, V, np.ones((3, 2), int)]],
    ),
    "scaled_dot_product_attention without a mask": (
        lambda s: lambda side, *qkv: side.F.scaled_dot_product_attention(*qkv, **s),
        product(is_causal=[False, True], scale=[None, 0.5], enable_gqa=[False, True]),
        [[Q, K, V], [Q[0], K[0], V[0]], [Q, K[:, :2].copy(), V[:, :2].copy()], [Q, K[:, :3].copy(), V[:, :3].copy()]]
        + [[Q, K, V[:, :, :, :2].copy()], [Q[..., :2].copy(), K, V]],
    ),
    "MultiheadAttention": (
        attention_of,
        product(batch_first=[False, True], weights=[True, False], masks=[("attn_mask",), ("key_padding_mask",)]),
        [[numbers(3, 2, 4), numbers(2, 2, 4), at_first(shape) < 1] for shape in ((3, 2), (2, 2), (4, 3, 2), (4, 2, 2), (2,), (2, 3))]
        + [[numbers(3, 4), numbers(2, 4), at_first((2,)) < 1]]
        + [[numbers(3, 2, 3), numbers(2, 2, 3), at_first((3, 2)) < 1], [numbers(3, 2, 4), numbers(2, 3, 4), at_first((3, 2)) < 1]],
    ),
    **{
        name: (
            layer(name, 3, 2),
            product(num_layers=[1, 2], bias=[True, False], batch_first=[True, False], bidirectional=[True, False], states=[states]),
            [[numbers(*shape)] for shape in ((3,), (2, 3), (4, 2, 3), (1, 1, 3), (1, 4, 2, 3), (2, 2))]
            + [[numbers(4, 2, 3), *[numbers(*shape)] * states] for shape in ((1, 2, 2), (2, 2, 2), (1, 4, 2), (1, 2))],
        )
        for name, states in (("RNN", 1), ("LSTM", 2), ("GRU", 1))
    },
    **{
        name: (
            layer(name, 3, 2),
            product(bias=[True, False], states=[states]),
            [[numbers(*shape)] for shape in ((3,), (2, 3), (1, 3), (4, 2, 3), (2, 2))]
            + [[numbers(2, 3), *[numbers(*shape)] * states] for shape in ((2, 2), (1, 2), (2,), (2, 3))]
            + [[numbers(3), *[numbers(*shape)] * states] for shape in ((2,), (1, 2))],
        )
        for name, states in (("RNNCell", 1), ("LSTMCell", 2), ("GRUCell", 1))
    },
    "pad_sequence": (
        lambda s: lambda side, *xs: side.nn.utils.rnn.pad_sequence(list(xs), **s),
        product(batch_first=[True, False], padding_value=[0.0, 2.0], padding_side=["right", "left", "both"]),
        [[numbers(3), numbers(1)], [numbers(1, 2), numbers(3, 2), numbers(2, 2)], [numbers(2, 2, 2)], []],
    ),
    "pack_sequence": (
        lambda s: lambda side, *xs: side.nn.utils.rnn.pack_sequence(list(xs), **s),
        product(enforce_sorted=[True, False]),
        [[numbers(3), numbers(1)], [numbers(1, 2), numbers(3, 2), numbers(2, 2)], [numbers(2, 2), numbers(2, 2)]],
    ),
    "unpad_sequence": (
        lambda s: lambda side, x: side.nn.utils.rnn.unpad_sequence(x * 1.0, side.constant(np.array(s["lengths"])), **s["layout"]),
        product(lengths=[[3, 1], [1, 2], [3, 3]], layout=[{}, {"batch_first": True}]),
        [[numbers(3, 2)], [numbers(2, 3)], [numbers(3, 3, 2)]],
    ),
    "pad_packed_sequence": (
        packed,
        product(lengths=[[3, 2, 1], [1, 3, 2], [2, 2, 2], [0, 2, 1]], batch_first=[True, False], enforce_sorted=[True, False], total=[None, 2, 3, 5]),
        [[numbers(3, 3)], [numbers(3, 3, 2)]],
    ),
    "dropout": (
        lambda s: lambda side, x: getattr(side.F, s["name"])(x, s["p"], s["training"]),
        product(name=["dropout", "dropout2d"], p=[0.0, 0.4, 1.0, -0.1, 1.1], training=[True, False]),
        [[numbers(2, 3)], [numbers(2, 3, 2)], [numbers(2, 2, 2, 2)]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SWEEPS)
def test_every_combination_gives_what_pytorch_gives(name):
    make, settings, inputs = SWEEPS[name]
    wrong = []
    for given, arrays in itertools.product(settings, inputs):
        why = difference(make(given), arrays)
        if why:
            wrong.append(f"{given} of {[a.shape for a in arrays]}: {why:.200}")
    assert "\n".join(wrong) == ""
