"""The ways to use the cores of a machine, and which is fastest here."""

import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

COST = {"thread": 1.0, "process": 1.05}  # processes take more memory: they must be faster by 5 %
PLURALS = {"thread": "threads", "process": "processes"}


class Way(NamedTuple):
    """How a step uses the cores: who splits the batch, and how many threads each matrix product takes."""

    workers: int
    blas_threads: int
    kind: str = "thread"  # or "process"

    def __str__(self) -> str:
        if self.workers == 1 and self.blas_threads <= 1:
            return "one thread" if self.blas_threads else "as the matrix library sees fit"
        split = f"batch split over {self.workers} {PLURALS[self.kind]}" if self.workers > 1 else "whole batch"
        return f"{split}, {self.blas_threads} BLAS thread{'s' * (self.blas_threads > 1)} each"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_blas_threads(n: int) -> bool:
    """Let every matrix product use `n` threads; return whether that could be set (by threadpoolctl)."""
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return False
    threadpool_limits(n, user_api="blas")
    return True


def ways(available: int) -> list[Way]:
    """Return the ways worth trying on so many cores: each split between batch and BLAS, and one thread."""
    divisors = [w for w in range(available, 1, -1) if available % w == 0]
    kinds = PLURALS if "fork" in multiprocessing.get_all_start_methods() else ["thread"]
    split = [Way(w, available // w, kind) for w in divisors for kind in kinds]
    return [*split, Way(1, available), Way(1, 1)] if available > 1 else [Way(1, 1)]


def fastest_way(
    run: Callable[[Way], Any], candidates: Sequence[Way], seconds: float = 3.0, steps: float = math.inf
) -> tuple[Way, dict[Way, float]]:
    """Time `run(way)`, one training step, for each candidate; set the BLAS threads of the fastest.

    Returns (the way, {way: median seconds}); processes must win by 5 %. Without threadpoolctl nothing is
    tried: one thread, and BLAS threads as they are.

    Units     seconds to spend on each candidate, after one step that is not counted: fewer where seven
              steps take less, but a tenth at least, since short steps vary; steps that the answer is for: of few,
              timing would be a large share, so that where it were more than a tenth, the first is taken
    """
    if not set_blas_threads(candidates[0].blas_threads):
        return Way(1, 0), {}
    if len(candidates) == 1 or 2 * len(candidates) > steps / 10:
        return candidates[0], {}
    medians: dict[Way, float] = {}
    few = steps / 10 / len(candidates) - 1  # of each candidate are timed at most
    for way in candidates:
        set_blas_threads(way.blas_threads)
        run(way)
        times: list[float] = []
        while len(times) < few and sum(times) < (seconds if len(times) < 7 else seconds / 10):
            start = time.perf_counter()
            run(way)
            times.append(time.perf_counter() - start)
        medians[way] = statistics.median(times)
    best = min(medians, key=lambda way: medians[way] * COST[way.kind])
    set_blas_threads(best.blas_threads)
    return best, medians
