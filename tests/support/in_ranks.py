"""Fifty steps in float64 for `tests/test_ranks.py`: `mpiexec -n 3 python -m tests.support.in_ranks FILE` writes what all ranks have."""

import hashlib
import json
import sys

import numpy as np

from gpt import GPT, GPTConfig
from gpt.train import training_step
from minigrad.parallel import Way, begin_alike, rank, together, workers
from minigrad.parallel.ranks import world
from minigrad.random import Generator
from nn import Parameter, lora
from nn.optim import AdamW

CASES = {  # rows of a batch, batches of a step, threads, rank of the LoRA
    "7 rows": (7, 1, 1, 0),
    "3 rows, of two batches, in two threads": (3, 2, 2, 0),
    "a LoRA": (5, 1, 1, 2),
}
SIZES = {"block_size": 6, "vocab_size": 11, "n_layer": 2, "n_head": 2, "n_embd": 8, "dropout": 0.2}


def fifty_steps(rows, count, threads, rank_of_lora):
    """Train; return the losses and all weights. Each rank has first weights of its own, until they begin alike."""
    rng = Generator(5)
    model = GPT(GPTConfig(**SIZES), rng=Generator(rank())).double()
    if rank_of_lora:
        lora.add(model, rank_of_lora, rng=Generator(rank()))
    model.train()
    begin_alike(model.parameters())
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = AdamW(learning, lr=1e-2, eps=1e-4)  # a gradient of 1e-15, all of it rounding, moves nothing
    team = workers(Way(threads, 1), 1, model.loss, model.parameters())
    losses = []
    for step in range(50):
        batches = [tuple(rng.randint(0, 11, (2, rows, 6))) for _ in range(count)]
        losses.append(training_step(team, optimizer, batches, lr=1e-2, grad_clip=0.5, step=step))
    team.close()
    return losses, np.concatenate([p.array.ravel() for p in model.parameters()])


def reached():
    """The gradients of a parameter that the first row reaches, of one that the second does, of one that none does."""
    a, b, c = (Parameter(np.ones(2)) for _ in "abc")
    team = workers(Way(1, 1), 1, lambda x: ((a if x[0, 0] > 0 else b) * x).sum(-1).mean(), [a, b, c])
    team.backward([[np.array([[1.0, 2], [-3, 4]])]])
    return [None if p.grad is None else p.grad.tolist() for p in (a, b, c)]


def begun():
    """What the last rank has of arrays that nobody may write to, of one number and in another order, of each rank's own."""
    arrays = np.array(float(rank())), np.full((2, 3), float(rank()), order="F")
    for array in arrays:
        array.setflags(write=False)
    parameters = [Parameter(array) for array in arrays]
    begin_alike(parameters)
    return world().bcast([p.array.tolist() for p in parameters], root=world().size - 1)


def main():
    """Write the losses and weights of each case, and the hashes of every rank's; and who was reached."""
    found = {}
    for name, case in CASES.items():
        losses, weights = fifty_steps(*case)
        every = world().gather(hashlib.sha256(np.append(losses, weights).tobytes()).hexdigest())
        found[name] = {"losses": losses, "weights": weights.tolist(), "hashes": every}
    found["reached"], found["begun"] = reached(), begun()
    if rank() == 0:
        with open(sys.argv[1], "w") as file:
            json.dump(found, file)


if __name__ == "__main__":
    sys.exit(together(main))
