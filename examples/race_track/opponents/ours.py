"""Ours: the GPT of `gpt/`, its batch split as `python -m gpt train` would, its dropout too."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from race_track.cells import (
    BETAS,
    EPS,
    GRAD_CLIP,
    LEARNING_RATE,
    PROMPT,
    WEIGHT_DECAY,
    Cell,
    batches,
    initial_weights,
    parameter_shapes,
)
from race_track.opponents import Entry, greedy

from gpt import GPT, GPTConfig, Llama, LlamaConfig, decay_groups
from minigrad.memory import reuse_memory
from minigrad.parallel import Way, busy_cores, choose_way, cores, set_blas_threads, workers, world_size
from minigrad.random import Generator
from minigrad.switches import no_grad
from minigrad.watch.profile import profile as profiled
from nn.optim import AdamW, clip_grad_norm_


def build(cell: Cell) -> Entry:
    """Return the entry of minigrad."""
    reuse_memory()
    version = f"NumPy {np.__version__}"
    if cell.job != "train":
        return Entry(_inference(cell), version, f"BLAS {cores()}")
    way = our_way(cell)
    return Entry(Training(cell, way).step, version, str(way))


def our_way(cell: Cell) -> Way:
    """Return the way of using the cores that `python -m gpt train` takes, and set it."""
    rows = cell.batch_size // world_size()
    weights = sum(math.prod(shape) for _, shape in parameter_shapes(cell))
    way = choose_way(busy_cores(weights, cell.n_layer, rows * cell.block_size), rows)
    return way if set_blas_threads(way.blas_threads) else Way(1, 0)


def model(cell: Cell) -> GPT | Llama:
    """Return the model of a cell, with its initial weights."""
    kind, config = (Llama, LlamaConfig) if cell.n_kv_head else (GPT, GPTConfig)
    gpt: Any = kind(config(**cell.sizes()), rng=Generator(0, stream="fast"))
    parameters = dict(gpt.named_parameters())
    for name, weight in initial_weights(cell):
        parameters.pop(name).array[...] = weight
    if parameters:
        raise ValueError(
            f"race: expected a first weight for every parameter; got none for {', '.join(parameters)}"
        )
    return gpt


class Training:
    """A model, its optimiser and the workers that share a step."""

    def __init__(self, cell: Cell, way: Way) -> None:
        self.gpt, self.batches = model(cell), batches(cell)
        self.optimizer = AdamW(decay_groups(self.gpt, WEIGHT_DECAY), LEARNING_RATE, BETAS, EPS)
        self.parameters = list(self.gpt.parameters())
        self.workers = workers(way, 0, self.gpt.loss, self.parameters)
        self.steps = itertools.count()

    def step(self) -> float:
        """Make one step; return its loss."""
        loss = self.workers.backward([next(self.batches)], next(self.steps))
        self.update()
        return loss

    def update(self) -> None:
        """Clip the gradients, and let AdamW use them."""
        clip_grad_norm_(self.parameters, GRAD_CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()


def profile(cell: Cell, steps: int) -> str:
    """Return a table of the time of each operation over `steps` steps in one thread, slowest first."""
    reuse_memory()
    training = Training(cell, Way(1, cores()))
    training.step()
    with profiled() as watch:
        for _ in range(steps):
            training.step()
    return str(watch)


def _inference(cell: Cell) -> Callable[[], float]:
    gpt = model(cell)
    gpt.eval()
    cache = gpt.new_cache() if cell.job == "decode" else None

    def forward(ids: np.ndarray) -> np.ndarray:
        with no_grad():
            return gpt(ids, None, cache)[0].array[0, -1]

    def rewind() -> None:
        for block in cache or ():
            block["length"] = PROMPT

    return greedy(cell, forward, rewind)
