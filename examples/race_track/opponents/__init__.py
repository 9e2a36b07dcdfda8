"""Who takes part: one file per opponent, each with a `build(cell, ...)` that returns an `Entry`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from race_track.cells import CONTINUATION, Cell, prompt


class Entry(NamedTuple):
    """An opponent at the start: what to time, and what ran it.

    `unit()` does one unit of the cell's job and returns a number that must be everybody's: a step's
    loss, or the largest logit.
    """

    unit: Callable[[], float]
    version: str
    threads: str
    processes: tuple[int, ...] = ()  # that do it, if not this one


@dataclass(frozen=True)
class Opponent:
    """An opponent on the list: where its code is, what it needs, and what it takes part in."""

    name: str
    module: str
    package: str
    jobs: tuple[str, ...] = ("train",)
    slow: bool = False  # only in small cells, unless it is asked for
    ranks: bool = False  # several processes: only if it is asked for
    llama: bool = False  # can it be one?
    options: dict[str, Any] = field(default_factory=dict)  # for `build`

    def is_installed(self) -> bool:
        """Can its package be found?"""
        return find_spec(self.package) is not None

    def takes_part(self, cell: Cell, asked: bool = False) -> bool:
        """Does it do this cell's job, asked for by name or not?"""
        able = cell.job in self.jobs and (self.llama or not cell.n_kv_head)
        return able and (asked or not (self.ranks or self.slow and cell.n_embd > 128))


ALL_JOBS = ("train", "prefill", "decode")
OURS, BASE, FLOOR = "ours", "eager", "floor"
OPPONENTS = {
    OURS: Opponent("minigrad", "ours", "minigrad", ALL_JOBS, llama=True),
    BASE: Opponent("PyTorch eager", "pytorch", "torch", ALL_JOBS, llama=True),
    "compile": Opponent("torch.compile", "pytorch", "torch", options={"compiled": True}),
    "nanogpt": Opponent("nanoGPT", "nano_gpt", "torch", ("train", "prefill")),
    "transformers": Opponent(
        "transformers", "hugging_face", "transformers", ("prefill", "decode"), llama=True
    ),
    "jax": Opponent("JAX jit", "jax_jit", "jax"),
    "mygrad": Opponent("MyGrad", "my_grad", "mygrad", slow=True),
    "autograd": Opponent("HIPS autograd", "hips_autograd", "autograd", slow=True),
    "ranks": Opponent(
        "minigrad, 2 ranks", "several", "mpi4py", ranks=True, options={"module": "ours", "ranks": 2}
    ),
    "ddp": Opponent(
        "PyTorch DDP, 2 ranks", "several", "mpi4py", ranks=True, options={"module": "pytorch_ddp", "ranks": 2}
    ),
    FLOOR: Opponent("matrix products", "floor", "numpy", ALL_JOBS, llama=True),
}


def greedy(
    cell: Cell, forward: Callable[[np.ndarray], np.ndarray], rewind: Callable[[], None]
) -> Callable[[], float]:
    """Return the unit of "prefill" or "decode".

    `forward(ids (1, T))` returns the logits (V,) after the last token. For "decode" it appends to a
    cache, which `rewind()` shortens to the prompt; for "prefill" nothing is left of earlier calls
    after `rewind()`.
    """
    if cell.job == "prefill":

        def read_prompt() -> float:
            rewind()
            return float(forward(prompt(cell)).max())

        return read_prompt

    def tokens() -> Iterator[float]:
        first = forward(prompt(cell)).copy()
        while True:
            rewind()
            logits = first
            for _ in range(CONTINUATION):
                logits = forward(np.array([[logits.argmax()]]))
                yield float(logits.max())

    decoded = tokens()
    return lambda: next(decoded)
