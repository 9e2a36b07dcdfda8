"""The ways to use the cores of a machine, and the rule that takes one."""

import math
import os
from typing import NamedTuple

ENOUGH = 35e6  # multiplications of a layer that are worth a core; see `busy_cores`

limit = math.inf  # of several ranks, the cores of each: see `ranks.world`


class Way(NamedTuple):
    """How a step uses the cores: how many threads split the batch, and how many each matrix product takes."""

    workers: int
    blas_threads: int

    def __str__(self) -> str:
        if self == (1, 1):
            return "one thread"
        split = f"batch split over {self.workers} threads" if self.workers > 1 else "whole batch"
        count = f"{self.blas_threads} BLAS thread{'s' * (self.blas_threads > 1)} each"
        return f"{split}, {count if self.blas_threads else 'BLAS threads as the matrix library sees fit'}"


def cores() -> int:
    """Return how many cores this process may use, one of several ranks its part."""
    return int(min(len(available()), limit))


def available() -> set[int]:
    """Return the numbers of the cores that the system lets this process use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def set_blas_threads(n: int) -> bool:
    """Let every matrix product use `n` threads; return whether that could be set (by threadpoolctl)."""
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return False
    threadpool_limits(n, user_api="blas")
    return True


def busy_cores(weights: float, layers: int, tokens: int) -> int:
    """Return how many of the cores a model keeps busy that reads so many tokens at a time.

    Threads meet at each operation, in the interpreter or in the matrix library, and what a layer computes must
    outweigh that: ENOUGH multiplications for each core (examples/race_track/TRIED.md has what two threads gain).
    """
    return max(1, min(cores(), int(weights / layers * tokens / ENOUGH)))


def choose_way(busy: int, rows: int, wanted: int = 0) -> Way:
    """Return the way to keep so many cores busy with a batch of so many rows: a worker for each core, if there are
    rows for it, and what cores are left for the matrix products; or with the workers that are `wanted`.

    The same model, batch and machine always get the same: nothing is timed.
    """
    workers = min(wanted or busy, rows, cores())
    return Way(workers, max(busy // workers, 1))
