"""Planted faults: wrong backwards of real operations and layers, each under the diagnosis it deserves.

A checker that has never been seen to fail proves nothing. `python -m tests.faults` plants every one of
these, and counts how many are found and how many are named.
"""

from dataclasses import replace

import numpy as np

import nn.functional as F
from minigrad.tensor import lift, wrap
from nn.functional.batch_norm import normalise_batch
from nn.functional.cross_entropy import nll
from nn.functional.dropout import drop
from nn.functional.embedding import take_rows
from nn.functional.gelu import gelu_tanh
from nn.functional.layer_norm import layer_norm
from nn.functional.linear import linear
from nn.functional.softmax import log_softmax, softmax
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
    fault,
    first,
    last_row,
    layer_norm_without,
    leaky_relu,
    negated,
    normalised,
    overwriting,
    passed,
    residual,
    scatter_without_sum,
    second,
    square_by_division,
    third,
    turned,
    whole,
    widened,
    writing_to_dout,
)
from tests.support import raw

Kinds = dict[str, list[Fault]]

IDS = np.array([0, 2, 2, 1, 0, 2])
KEEP = np.random.default_rng(3).random((4, 5)) > 0.4
MASK = np.random.default_rng(4).random((4, 5)) > 0.5
LOWER = np.tri(4, dtype=bool)
TARGETS = np.array([1, 0, 4, 2])
SQUARE, MATRIX, ROWS, ROW, BATCH = (4, 4), (3, 4), (4, 5), (5,), (2, 3, 4)
LINEAR, NORM, CHANNELS, QKV = (ROWS, (3, 5), (3,)), (ROWS, ROW, ROW), ((6, 3), (3,), (3,)), (BATCH,) * 3


def faults() -> list[Fault]:
    """Return all planted faults, each with its kind."""
    themes = [_scales(), _sums(), _terms(), _places(), _masks(), _contracts()]
    return [replace(each, kind=kind) for theme in themes for kind, group in theme.items() for each in group]


def _scales() -> Kinds:
    return {
        "factor": [
            fault("subtract: second sign", raw.subtract, second(negated), MATRIX, MATRIX),
            fault("divide: second sign", raw.divide, second(negated), MATRIX, MATRIX, positive=True),
            fault("cos: sign", raw.cos, first(negated), MATRIX),
            fault("mean: no 1/N", raw.mean, first(lambda g, *_: g * 12), MATRIX),
            fault("sum: divided by N", raw.sum, first(lambda g, *_: g / 4), MATRIX, axis=1),
            fault("gelu: factor 1.001", gelu_tanh, first(lambda g, *_: g * 1.001), MATRIX),
            fault("tanh: factor 0.999", raw.tanh, first(lambda g, *_: g * 0.999), MATRIX),
            fault("sqrt: no 1/2", raw.sqrt, first(lambda g, *_: g * 2), MATRIX, positive=True),
            whole(
                "square: one use lost",
                lambda x: damaged(raw.multiply, second(lambda g, *_: g * 0))(x, x),
                MATRIX,
            ),
            fault("dropout: mask not scaled", drop, first(lambda g, *_: g * 0.6), ROWS, keep=KEEP, p=0.4),
            fault("attention: query gradient not scaled", F.attend, first(lambda g, *_: g * 2.0), *QKV),
            whole(
                "cross entropy: sum for mean",
                lambda x: damaged(raw.mean, first(lambda g, *_: g * 4))(nll(x, targets=TARGETS)),
                ROWS,
            ),
            fault("linear: bias averaged", linear, third(lambda g, d, *_: g / len(d)), *LINEAR),
            whole("MLP: gelu 1.001", WrongMLP(4), BATCH),
            whole("Linear: bias averaged", WrongHead(4, 3), MATRIX),
        ],
        "varying factor": [
            fault("log: times x", raw.log, first(lambda g, d, xs, out: d * xs[0]), ROWS, positive=True),
            fault(
                "cube: power not lowered",
                raw.power,
                first(lambda g, d, xs, out: 3 * d * out),
                ROWS,
                exponent=3.0,
            ),
            fault(
                "divide: one division lost",
                raw.divide,
                second(lambda g, d, xs, out: g * xs[1]),
                ROWS,
                ROWS,
                positive=True,
            ),
        ],
        "no derivative": [
            fault("exp: no derivative", raw.exp, first(passed), ROWS),
            fault("sigmoid: no derivative", raw.sigmoid, first(passed), ROWS),
        ],
        "cotangent": [
            fault("tanh: dout ignored", raw.tanh, first(lambda g, d, xs, out: 1 - out * out), ROWS)
        ],
    }


def _sums() -> Kinds:
    return {
        "missing sum": [
            fault("add: broadcast sum lost", raw.add, second(lambda g, d, *_: d[0]), ROWS, ROW),
            fault(
                "multiply: stale broadcast",
                raw.multiply,
                second(lambda g, d, xs, out: (d * xs[0])[:, -1:]),
                ROWS,
                (4, 1),
            ),
            fault("broadcast_to: one copy", raw.broadcast_to, first(last_row), ROW, shape=(4, 5)),
            fault("linear: bias of the last row", linear, third(last_row), *LINEAR),
            fault(
                "linear: weight of the last row",
                linear,
                second(lambda g, d, xs, out: d[-1:].T @ xs[0][-1:]),
                *LINEAR,
            ),
            fault(
                "layer norm: weight of the first row",
                layer_norm,
                second(lambda g, d, xs, out: d[0] * normalised(xs[0])[0][0]),
                *NORM,
            ),
            whole("embedding: repeated ids lost", lambda w: lift(scatter_without_sum)(w, index=IDS), MATRIX),
            whole(
                "getitem: repeated index lost",
                lambda x: lift(scatter_without_sum)(x, index=(np.array([0, 1, 1]), np.array([2, 3, 3]))),
                MATRIX,
            ),
            whole("blocks: = for +=", lift(blocked_product), (6, 3), (4, 3)),
            fault(
                "matmul: one batch for all",
                raw.matmul,
                second(lambda g, d, xs, out: xs[0][0].T @ d[0]),
                BATCH,
                SQUARE,
            ),
            whole("LayerNorm: weight of the last row", WrongNorm(4), BATCH),
        ],
        "wrong axis": [
            fault("add: wrong axis", raw.add, second(lambda g, d, *_: d.sum(axis=1)), SQUARE, (4,)),
            fault(
                "layer norm: weight over the wrong axes",
                layer_norm,
                second(lambda g, d, xs, out: (d * normalised(xs[0])[0]).sum(axis=1)),
                SQUARE,
                (4,),
                (4,),
            ),
            fault(
                "linear: bias over the features",
                linear,
                third(lambda g, d, *_: d.sum(axis=1)),
                SQUARE,
                SQUARE,
                (4,),
            ),
            fault("sum: spread along the wrong axis", raw.sum, first(turned), SQUARE, axis=0),
        ],
    }


def _terms() -> Kinds:
    return {
        "dropped term": [
            fault("layer norm: mean lost", layer_norm, layer_norm_without("mean"), *NORM),
            fault("layer norm: xhat lost", layer_norm, layer_norm_without("along"), *NORM),
            fault("layer norm: direct lost", layer_norm, layer_norm_without("direct"), *NORM),
            fault("batch norm: mean lost", normalise_batch, batch_norm_without("mean"), *CHANNELS),
            fault("batch norm: xhat lost", normalise_batch, batch_norm_without("along"), *CHANNELS),
            fault("softmax: sum lost", softmax, first(lambda g, d, xs, out: d * out), ROWS),
            fault("log softmax: sum lost", log_softmax, first(passed), ROWS),
            fault(
                "cross entropy: softmax lost",
                nll,
                first(lambda g, d, *_: -d[:, None] * (np.arange(5) == TARGETS[:, None])),
                ROWS,
                targets=TARGETS,
            ),
            fault("attention: sum lost", F.attend, attention_without_sum, *QKV),
            whole("residual: skip lost", lift(residual), ROWS),
        ],
    }


def _places() -> Kinds:
    return {
        "transposed": [
            fault("linear: weight transposed", linear, second(turned), SQUARE, SQUARE, (4,)),
            fault("matmul: first transposed", raw.matmul, first(turned), SQUARE, SQUARE),
            fault(
                "linear: weight reshaped, not transposed",
                linear,
                second(lambda g, *_: g.T.reshape(g.shape)),
                *LINEAR,
            ),
            fault(
                "transpose: same permutation again",
                raw.transpose,
                first(lambda g, d, *_: d.transpose(1, 2, 0)),
                (3, 3, 3),
                axes=(1, 2, 0),
            ),
        ],
        "misplaced": [
            fault("flip: not flipped back", raw.getitem, first(passed), ROWS, index=slice(None, None, -1)),
            fault("shift: off by one", raw.sin, first(lambda g, *_: np.roll(g, 1, 0)), ROWS),
        ],
        "swapped": [
            fault("multiply: gradients swapped", raw.multiply, lambda g, *_: (g[1], g[0]), ROWS, ROWS),
            fault("concatenate: pieces swapped", raw.concatenate, lambda g, *_: (g[1], g[0]), MATRIX, MATRIX),
            fault("attention: key and value swapped", F.attend, lambda g, *_: (g[0], g[2], g[1]), *QKV),
        ],
    }


def _masks() -> Kinds:
    return {
        "leak": [
            fault("relu: mask lost", raw.relu, first(passed), ROWS),
            fault("dropout: mask lost", drop, first(lambda g, d, *_: d / 0.6), ROWS, keep=KEEP, p=0.4),
            fault("where: both branches", raw.where, first(passed), ROWS, ROWS, condition=MASK),
            fault("clip: limits ignored", raw.clip, first(passed), ROWS, low=-0.5, high=0.5),
            whole(
                "tril: upper part too",
                lambda x: damaged(raw.where, first(passed))(x, wrap(np.zeros(SQUARE)), condition=LOWER),
                SQUARE,
            ),
        ],
        "lost elements": [
            whole("leaky relu: slope lost", lift(leaky_relu), ROWS),
            fault("split: last piece lost", raw.exp, first(lambda g, *_: g * (np.arange(5) < 4)), ROWS),
        ],
        "region": [
            fault("absolute: sign lost", raw.absolute, first(passed), ROWS),
        ],
        "detached": [
            fault("embedding: no gradient", take_rows, first(lambda g, *_: g * 0), MATRIX, ids=IDS),
            whole("product: detached", lambda x, y: x * y.detach(), ROWS, ROWS),
            whole("branch: no_grad", lambda x, y: x + wrap(np.tanh(y.array)), ROWS, ROWS),
            fault("layer norm: bias None", layer_norm, lambda g, *_: (g[0], g[1], None), *NORM),
            whole("positions: detached", DetachedEmbedding(), MATRIX),
        ],
    }


def _contracts() -> Kinds:
    return {
        "shape": [
            fault("add: sum missing, wrong shape", raw.add, lambda g, d, *_: (d, d), ROWS, ROW),
            fault("linear: weight transposed, wrong shape", linear, second(lambda g, *_: g.T), *LINEAR),
        ],
        "dtype": [
            whole("gelu: float64 gradient", lambda x: damaged(gelu_tanh, first(widened))(x.float()), ROWS),
        ],
        "mutation": [
            whole("softmax: overwrites what it saved", lift(overwriting), ROWS),
            whole("sin: writes to dout", lift(writing_to_dout), ROWS),
            whole("exp: in place", lift(exp_in_place), ROWS),
        ],
        "non-finite": [
            whole(
                "square: 2 y / x at 0",
                lambda x: lift(square_by_division)(x * np.array([0.0, 1, 1, 1, 1])),
                ROWS,
            ),
        ],
        "non-deterministic": [
            whole("dropout: left on", lambda x: F.dropout(x, 0.3), ROWS),
        ],
    }
