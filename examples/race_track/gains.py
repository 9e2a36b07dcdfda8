"""What the tricks gain: `python examples/race_track/gains.py` prints each with and without, medians side by side.

The docstrings of the tricks quote these figures. One thread, best set with OPENBLAS_NUM_THREADS=1.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from unittest import mock

import numpy as np

import nn
from gpt import GPT, GPTConfig, decay_groups
from minigrad import backend, memory
from minigrad.console.tables import table
from minigrad.random import Generator, Keyed
from nn.functional.gelu import gelu_tanh
from nn.optim.setup import Part

SECONDS = 1.0  # for each pair


def main() -> None:
    """Measure and print; memory last, since it stays as it was set."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((2048, 1536), np.float32)
    values, ids = rng.standard_normal((2048, 384), np.float32), rng.integers(0, 65, 2048)
    few, few_ids = values[:64, :32].copy(), ids[:64].copy()
    scores = rng.standard_normal((12, 4, 64, 64), np.float32)
    out = np.empty_like(scores)

    def small_table() -> None:
        backend.scatter_add_rows(few, few_ids, 65)

    with mock.patch.object(backend, "ONE_HOT", 0):
        small_sorted = timed(small_table, 2000)

    def gelu() -> None:
        gelu_tanh.array(wide)

    def gelu_whole() -> None:
        with mock.patch.object(backend, "CACHE_BYTES", 1 << 40):
            gelu()

    rows = [
        pair("exp, row maximum", lambda: np.exp(scores, out=out), lambda: scores.max(-1, keepdims=True)),
        pair(
            "rows sorted by id, add.at",
            lambda: backend.scatter_add_rows(values, ids, 65),
            lambda: backend.scatter_add(values, ids, (65, 384)),
        ),
        few_rows(wide, 1),
        few_rows(wide, 4),
        row("a small table by one-hot product, sorted", timed(small_table, 2000), small_sorted),
        pair("AdamW in pieces, by parameter", optimizer().step, optimizer(by_parameter=True).step),
    ]
    rows += [keyed_masks(shape) for shape in ((2, 32, 32), (12, 4, 64, 64))]
    before = timed(gelu_whole)
    memory.reuse_memory()
    rows.append(row("GELU in one piece, memory reused, fresh", timed(gelu_whole), before))
    rows.append(pair("GELU in blocks of rows, in one piece", gelu, gelu_whole))
    print(table(("trick, without it", "ms with", "ms without"), rows))


def few_rows(weight: np.ndarray, n: int) -> tuple[str, str, str]:
    """Multiply weights by n rows, so many of them that each comes out of memory, as when a token is sampled."""
    x, weights = weight[:n].copy(), itertools.cycle([weight.copy() for _ in range(16)])
    dots, blas = lambda: backend.times_rows(x, next(weights)), lambda: x @ next(weights).T
    return pair(f"{n} rows by weights out of memory as dot products, by BLAS", dots, blas)


def keyed_masks(shape: tuple[int, ...]) -> tuple[str, str, str]:
    """Draw a mask of dropout from where it belongs, and from where the one before has ended."""
    keyed, next_ones = Keyed(1).at(1, 0, 0, shape[0], shape[0]), Generator(1, stream="fast")
    draws = (lambda: keyed.keep_mask(0.1, shape)), (lambda: next_ones.keep_mask(0.1, shape))
    return pair(f"a mask {shape} keyed, from a stream", *draws)


def optimizer(by_parameter: bool = False) -> nn.optim.AdamW:
    """Return AdamW over the GPT of the cell `cpu`, with gradients set; each parameter a piece, if asked."""
    model = GPT(GPTConfig(block_size=64, vocab_size=65, n_layer=4, n_head=4, n_embd=128))
    made = nn.optim.AdamW(decay_groups(model, 0.1))
    for parameter in model.parameters():
        parameter.grad = np.full(parameter.shape, 1e-3, np.float32)
    for b in made._buffers if by_parameter else ():
        b.plan = [([Part(i, slice(0, p.stop - p.start), p)], None, []) for i, p in enumerate(b.places)]
    return made


def pair(name: str, one: Callable[[], object], other: Callable[[], object]) -> tuple[str, str, str]:
    """Time both, taking turns."""
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for fn, found in zip((one, other), times):
            found.append(seconds(fn))
    return row(name, statistics.median(times[0]), statistics.median(times[1]))


def timed(fn: Callable[[], object], calls: int = 9) -> float:
    """Return the median time of so many calls."""
    return statistics.median(seconds(fn) for _ in range(calls))


def seconds(fn: Callable[[], object]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    fn()
    return time.perf_counter() - start


def row(name: str, one: float, other: float) -> tuple[str, str, str]:
    """Return a row of the table."""
    return name, f"{1e3 * one:.3g}", f"{1e3 * other:.3g}"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
