"""Planted faults: wrong backwards of real operations and layers, each with the diagnosis it deserves.

A checker that has never been seen to fail proves nothing. `python -m minigrad check --rates` plants
every one of these, and counts how many are found and how many are named.
"""

import numpy as np

import nn.functional as F
from minigrad import primitives
from minigrad.tensor import Tensor, lift
from nn.functional.batch_norm import normalise_batch
from nn.functional.cross_entropy import nll
from nn.functional.dropout import drop
from nn.functional.embedding import take_rows
from nn.functional.gelu import gelu_tanh
from tests.faults.planting import (
    DetachedEmbedding,
    Fault,
    WrongHead,
    WrongMLP,
    WrongNorm,
    attention_without_sum,
    batch_norm_without,
    blocked_product,
    damaged,
    exp_in_place,
    first,
    layer_norm_without,
    leaky_relu,
    normalised,
    overwriting,
    residual,
    scatter_without_sum,
    second,
    square_by_division,
    third,
    writing_to_dout,
)

IDS = np.array([0, 2, 2, 1, 0, 2])
KEEP = np.random.default_rng(3).random((4, 5)) > 0.4
MASK = np.random.default_rng(4).random((4, 5)) > 0.5
TARGETS = np.array([1, 0, 4, 2])
SQUARE, MATRIX, ROWS, ROW, BATCH = (4, 4), (3, 4), (4, 5), (5,), (2, 3, 4)


def faults() -> list[Fault]:
    """Return all planted faults."""
    kinds = [_factors, _sums, _repeats, _axes, _norms, _softmaxes, _derivatives]
    kinds += [_transposed, _exchanged, _masks, _contracts, _layers]
    return [fault for faults_of in kinds for fault in faults_of()]


def _factors() -> list[Fault]:
    flip = lambda g, *_: -g  # noqa: E731
    return [
        Fault(
            "subtract: second sign", "factor", damaged(primitives.subtract, second(flip)), (MATRIX, MATRIX)
        ),
        Fault(
            "divide: second sign", "factor", damaged(primitives.divide, second(flip)), (MATRIX, MATRIX), True
        ),
        Fault("cos: sign", "factor", damaged(primitives.cos, first(flip)), (MATRIX,)),
        Fault("mean: no 1/N", "factor", damaged(primitives.mean, first(lambda g, *_: g * 12)), (MATRIX,)),
        Fault(
            "sum: divided by N",
            "factor",
            lambda x: damaged(primitives.sum, first(lambda g, *_: g / 4))(x, axis=1),
            (MATRIX,),
        ),
        Fault("gelu: factor 1.001", "factor", damaged(gelu_tanh, first(lambda g, *_: g * 1.001)), (MATRIX,)),
        Fault(
            "tanh: factor 0.999",
            "factor",
            damaged(primitives.tanh, first(lambda g, *_: g * 0.999)),
            (MATRIX,),
        ),
        Fault(
            "sqrt: no 1/2", "factor", damaged(primitives.sqrt, first(lambda g, *_: g * 2)), (MATRIX,), True
        ),
        Fault(
            "square: one use lost",
            "factor",
            lambda x: damaged(primitives.multiply, second(lambda g, *_: g * 0))(x, x),
            (MATRIX,),
        ),
        Fault(
            "dropout: mask not scaled",
            "factor",
            lambda x: damaged(drop, first(lambda g, *_: g * 0.6))(x, keep=KEEP, p=0.4),
            (ROWS,),
        ),
        Fault(
            "attention: query gradient not scaled",
            "factor",
            lambda q, k, v: damaged(F.attend, first(lambda g, *_: g * 2.0))(q, k, v),
            (BATCH, BATCH, BATCH),
        ),
        Fault(
            "cross entropy: sum for mean",
            "factor",
            lambda x: damaged(primitives.mean, first(lambda g, *_: g * 4))(nll(x, targets=TARGETS)),
            (ROWS,),
        ),
        Fault(
            "linear: bias averaged",
            "factor",
            damaged(F.linear, third(lambda g, d, *_: g / len(d))),
            (ROWS, (3, 5), (3,)),
        ),
    ]


def _sums() -> list[Fault]:
    last = lambda g, d, xs, out: d[-1]  # noqa: E731
    return [
        Fault(
            "add: broadcast sum lost",
            "missing sum",
            damaged(primitives.add, second(lambda g, d, *_: d[0])),
            (ROWS, ROW),
        ),
        Fault(
            "multiply: stale broadcast",
            "missing sum",
            damaged(primitives.multiply, second(lambda g, d, xs, out: (d * xs[0])[:, -1:])),
            (ROWS, (4, 1)),
        ),
        Fault(
            "broadcast_to: one copy",
            "missing sum",
            lambda x: damaged(primitives.broadcast_to, first(last))(x, shape=(4, 5)),
            (ROW,),
        ),
        Fault(
            "linear: bias of the last row",
            "missing sum",
            damaged(F.linear, third(last)),
            (ROWS, (3, 5), (3,)),
        ),
        Fault(
            "linear: weight of the last row",
            "missing sum",
            damaged(F.linear, second(lambda g, d, xs, out: d[-1:].T @ xs[0][-1:])),
            (ROWS, (3, 5), (3,)),
        ),
        Fault(
            "layer norm: weight of the first row",
            "missing sum",
            damaged(F.layer_norm, second(lambda g, d, xs, out: d[0] * normalised(xs[0])[0][0])),
            (ROWS, ROW, ROW),
        ),
    ]


def _repeats() -> list[Fault]:
    return [
        Fault(
            "embedding: repeated ids lost",
            "missing sum",
            lambda w: lift(scatter_without_sum)(w, index=IDS),
            (MATRIX,),
        ),
        Fault(
            "getitem: repeated index lost",
            "missing sum",
            lambda x: lift(scatter_without_sum)(x, index=(np.array([0, 1, 1]), np.array([2, 3, 3]))),
            (MATRIX,),
        ),
        Fault("blocks: = for +=", "missing sum", lift(blocked_product), ((6, 3), (4, 3))),
        Fault(
            "matmul: one batch for all",
            "missing sum",
            damaged(primitives.matmul, second(lambda g, d, xs, out: xs[0][0].T @ d[0])),
            (BATCH, SQUARE),
        ),
    ]


def _axes() -> list[Fault]:
    return [
        Fault(
            "add: wrong axis",
            "wrong axis",
            damaged(primitives.add, second(lambda g, d, *_: d.sum(axis=1))),
            (SQUARE, (4,)),
        ),
        Fault(
            "layer norm: weight over the wrong axes",
            "wrong axis",
            damaged(F.layer_norm, second(lambda g, d, xs, out: (d * normalised(xs[0])[0]).sum(axis=1))),
            (SQUARE, (4,), (4,)),
        ),
        Fault(
            "linear: bias over the features",
            "wrong axis",
            damaged(F.linear, third(lambda g, d, *_: d.sum(axis=1))),
            (SQUARE, SQUARE, (4,)),
        ),
    ]


def _norms() -> list[Fault]:
    norm = (ROWS, ROW, ROW)
    return [
        Fault(
            "layer norm: mean lost", "dropped term", damaged(F.layer_norm, layer_norm_without("mean")), norm
        ),
        Fault(
            "layer norm: xhat lost", "dropped term", damaged(F.layer_norm, layer_norm_without("along")), norm
        ),
        Fault(
            "layer norm: direct lost",
            "dropped term",
            damaged(F.layer_norm, layer_norm_without("direct")),
            norm,
        ),
        Fault(
            "batch norm: mean lost",
            "dropped term",
            damaged(normalise_batch, batch_norm_without("mean")),
            ((6, 3), (3,), (3,)),
        ),
        Fault(
            "batch norm: xhat lost",
            "dropped term",
            damaged(normalise_batch, batch_norm_without("along")),
            ((6, 3), (3,), (3,)),
        ),
    ]


def _softmaxes() -> list[Fault]:
    return [
        Fault(
            "softmax: sum lost",
            "dropped term",
            damaged(F.softmax, first(lambda g, d, xs, out: d * out)),
            (ROWS,),
        ),
        Fault(
            "log softmax: sum lost",
            "dropped term",
            damaged(F.log_softmax, first(lambda g, d, *_: d.copy())),
            (ROWS,),
        ),
        Fault(
            "cross entropy: softmax lost",
            "dropped term",
            lambda x: damaged(nll, first(lambda g, d, *_: -d[:, None] * (np.arange(5) == TARGETS[:, None])))(
                x, targets=TARGETS
            ),
            (ROWS,),
        ),
        Fault(
            "attention: sum lost",
            "dropped term",
            damaged(F.attend, attention_without_sum),
            (BATCH, BATCH, BATCH),
        ),
        Fault("residual: skip lost", "dropped term", lift(residual), (ROWS,)),
    ]


def _derivatives() -> list[Fault]:
    return [
        Fault(
            "exp: no derivative",
            "no derivative",
            damaged(primitives.exp, first(lambda g, d, *_: d.copy())),
            (ROWS,),
        ),
        Fault(
            "sigmoid: no derivative",
            "no derivative",
            damaged(primitives.sigmoid, first(lambda g, d, *_: d.copy())),
            (ROWS,),
        ),
        Fault(
            "tanh: dout ignored",
            "cotangent",
            damaged(primitives.tanh, first(lambda g, d, xs, out: 1 - out * out)),
            (ROWS,),
        ),
        Fault(
            "log: times x",
            "varying factor",
            damaged(primitives.log, first(lambda g, d, xs, out: d * xs[0])),
            (ROWS,),
            True,
        ),
        Fault(
            "cube: power not lowered",
            "varying factor",
            lambda x: damaged(primitives.power, first(lambda g, d, xs, out: 3 * d * out))(x, exponent=3.0),
            (ROWS,),
        ),
        Fault(
            "divide: one division lost",
            "varying factor",
            damaged(primitives.divide, second(lambda g, d, xs, out: g * xs[1])),
            (ROWS, ROWS),
            True,
        ),
    ]


def _transposed() -> list[Fault]:
    turn = lambda g, *_: g.T.copy()  # noqa: E731
    return [
        Fault(
            "linear: weight transposed",
            "transposed",
            damaged(F.linear, second(turn)),
            (ROWS[:1] + (4,), SQUARE, (4,)),
        ),
        Fault(
            "matmul: first transposed",
            "transposed",
            damaged(primitives.matmul, first(turn)),
            (SQUARE, SQUARE),
        ),
        Fault(
            "linear: weight reshaped, not transposed",
            "transposed",
            damaged(F.linear, second(lambda g, *_: g.T.reshape(g.shape))),
            (ROWS, (3, 5), (3,)),
        ),
        Fault(
            "transpose: same permutation again",
            "transposed",
            lambda x: damaged(primitives.transpose, first(lambda g, d, *_: d.transpose(1, 2, 0)))(
                x, axes=(1, 2, 0)
            ),
            ((3, 3, 3),),
        ),
        Fault(
            "sum: spread along the wrong axis",
            "wrong axis",
            lambda x: damaged(primitives.sum, first(turn))(x, axis=0),
            (SQUARE,),
        ),
    ]


def _exchanged() -> list[Fault]:
    return [
        Fault(
            "flip: not flipped back",
            "misplaced",
            lambda x: damaged(primitives.getitem, first(lambda g, d, *_: d.copy()))(
                x, index=slice(None, None, -1)
            ),
            (ROWS,),
        ),
        Fault(
            "shift: off by one",
            "misplaced",
            damaged(primitives.sin, first(lambda g, *_: np.roll(g, 1, 0))),
            (ROWS,),
        ),
        Fault(
            "multiply: gradients swapped",
            "swapped",
            damaged(primitives.multiply, lambda g, *_: (g[1], g[0])),
            (ROWS, ROWS),
        ),
        Fault(
            "concatenate: pieces swapped",
            "swapped",
            damaged(primitives.concatenate, lambda g, *_: (g[1], g[0])),
            (MATRIX, MATRIX),
        ),
        Fault(
            "attention: key and value swapped",
            "swapped",
            damaged(F.attend, lambda g, *_: (g[0], g[2], g[1])),
            (BATCH, BATCH, BATCH),
        ),
    ]


def _masks() -> list[Fault]:
    passing = first(lambda g, d, *_: d.copy())
    return [
        Fault("relu: mask lost", "leak", damaged(primitives.relu, passing), (ROWS,)),
        Fault(
            "dropout: mask lost",
            "leak",
            lambda x: damaged(drop, first(lambda g, d, *_: d / 0.6))(x, keep=KEEP, p=0.4),
            (ROWS,),
        ),
        Fault(
            "where: both branches",
            "leak",
            lambda x, y: damaged(primitives.where, passing)(x, y, condition=MASK),
            (ROWS, ROWS),
        ),
        Fault(
            "clip: limits ignored",
            "leak",
            lambda x: damaged(primitives.clip, passing)(x, low=-0.5, high=0.5),
            (ROWS,),
        ),
        Fault(
            "tril: upper part too",
            "leak",
            lambda x: damaged(primitives.where, passing)(
                x, Tensor(np.zeros(SQUARE)), condition=np.tri(4, dtype=bool)
            ),
            (SQUARE,),
        ),
        Fault("leaky relu: slope lost", "lost elements", lift(leaky_relu), (ROWS,)),
        Fault(
            "split: last piece lost",
            "lost elements",
            damaged(primitives.exp, first(lambda g, *_: g * (np.arange(g.shape[-1]) < g.shape[-1] - 1))),
            (ROWS,),
        ),
        Fault("absolute: sign lost", "region", damaged(primitives.absolute, passing), (ROWS,)),
        Fault(
            "embedding: no gradient",
            "detached",
            lambda w: damaged(take_rows, first(lambda g, *_: g * 0))(w, ids=IDS),
            (MATRIX,),
        ),
        Fault("product: detached", "detached", lambda x, y: x * y.detach(), (ROWS, ROWS)),
        Fault("branch: no_grad", "detached", lambda x, y: x + Tensor(np.tanh(y.data)), (ROWS, ROWS)),
        Fault(
            "layer norm: bias None",
            "detached",
            damaged(F.layer_norm, lambda g, *_: (g[0], g[1], None)),
            (ROWS, ROW, ROW),
        ),
    ]


def _contracts() -> list[Fault]:
    wide = first(lambda g, *_: g.astype(np.float64))
    return [
        Fault(
            "add: sum missing, wrong shape",
            "shape",
            damaged(primitives.add, lambda g, d, *_: (d, d)),
            (ROWS, ROW),
        ),
        Fault(
            "linear: weight transposed, wrong shape",
            "shape",
            damaged(F.linear, second(lambda g, *_: g.T)),
            (ROWS, (3, 5), (3,)),
        ),
        Fault("gelu: float64 gradient", "dtype", lambda x: damaged(gelu_tanh, wide)(x.float()), (ROWS,)),
        Fault("softmax: overwrites what it saved", "mutation", lift(overwriting), (ROWS,)),
        Fault("sin: writes to dout", "mutation", lift(writing_to_dout), (ROWS,)),
        Fault("exp: in place", "mutation", lift(exp_in_place), (ROWS,)),
        Fault(
            "square: 2 y / x at 0",
            "non-finite",
            lambda x: lift(square_by_division)(x * np.array([0.0, 1, 1, 1, 1])),
            (ROWS,),
        ),
        Fault("dropout: left on", "non-deterministic", lambda x: F.dropout(x, 0.3), (ROWS,)),
    ]


def _layers() -> list[Fault]:
    return [
        Fault("LayerNorm: weight of the last row", "missing sum", WrongNorm(4), (BATCH,)),
        Fault("MLP: gelu 1.001", "factor", WrongMLP(4), (BATCH,)),
        Fault("Linear: bias averaged", "factor", WrongHead(4, 3), (MATRIX,)),
        Fault("positions: detached", "detached", DetachedEmbedding(), (MATRIX,)),
    ]
