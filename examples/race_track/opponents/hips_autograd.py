"""HIPS autograd: the plain GPT over its wrapped NumPy."""

from importlib.metadata import version

import numpy as np
from autograd import numpy as wrapped
from autograd import value_and_grad
from autograd.tracer import getval
from race_track.cells import Cell, batches
from race_track.opponents import Entry
from race_track.opponents.plain_gpt import PlainAdamW, make_loss, weights_of

from minigrad.parallel import cores


def build(cell: Cell) -> Entry:
    """Return the entry of HIPS autograd."""
    weights, endless = weights_of(cell), batches(cell)
    loss_and_grads = value_and_grad(make_loss(cell, wrapped, _softmax, _cross_entropy))
    optimizer = PlainAdamW(weights)

    def step() -> float:
        loss, grads = loss_and_grads(weights, *next(endless))
        optimizer.step(grads)
        return float(loss)

    return Entry(step, f"autograd {version('autograd')}", f"BLAS {cores()}")


def _softmax(scores):
    e = wrapped.exp(scores - np.max(getval(scores), axis=-1, keepdims=True))
    return e / wrapped.sum(e, axis=-1, keepdims=True)


def _cross_entropy(logits, targets):
    shifted = logits - np.max(getval(logits), axis=-1, keepdims=True)
    log_p = shifted - wrapped.log(wrapped.sum(wrapped.exp(shifted), axis=-1, keepdims=True))
    return -wrapped.mean(log_p[np.arange(len(targets)), targets])
