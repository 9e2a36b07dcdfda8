"""MyGrad: the plain GPT over its functions, memory guarding off, as its documentation advises for speed."""

import mygrad
from mygrad.nnet.activations import softmax
from mygrad.nnet.losses import softmax_crossentropy
from race_track.cells import Cell, batches
from race_track.opponents import Entry
from race_track.opponents.plain_gpt import PlainAdamW, make_loss, weights_of

from minigrad.parallel import cores


def build(cell: Cell) -> Entry:
    """Return the entry of MyGrad."""
    mygrad.turn_memory_guarding_off()
    tensors, endless = {name: mygrad.tensor(w) for name, w in weights_of(cell).items()}, batches(cell)
    loss_of = make_loss(cell, mygrad, softmax, softmax_crossentropy)
    optimizer = PlainAdamW({name: t.data for name, t in tensors.items()})

    def step() -> float:
        loss = loss_of(tensors, *next(endless))
        loss.backward()
        optimizer.step({name: t.grad for name, t in tensors.items()})
        for t in tensors.values():
            t.null_grad()
        return float(loss.data)

    return Entry(step, f"mygrad {mygrad.__version__}", f"BLAS {cores()}")
