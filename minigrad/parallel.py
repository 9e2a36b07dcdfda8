"""One training step on several cores: the batch is split over threads, and their gradients are added."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from minigrad import random, tape
from minigrad.tensor import Tensor


class Way(NamedTuple):
    """How a step uses the cores: threads that split the batch, and threads inside each matrix product."""

    workers: int
    blas_threads: int

    def __str__(self) -> str:
        if self.workers == 1 and self.blas_threads <= 1:
            return "one thread" if self.blas_threads else "as the matrix library sees fit"
        split = (
            f"batch split over {self.workers} threads" if self.workers > 1 else "whole batch in one thread"
        )
        return f"{split}, {self.blas_threads} BLAS thread{'s' * (self.blas_threads > 1)} each"


class Workers:
    """Threads that share a model and split each batch.

    NumPy releases the interpreter lock inside large operations, so `count` threads, each walking a
    graph of its own over its share of the batch, keep `count` cores busy from the first operation
    to the last; threads inside the matrix products alone leave them idle in between. Every thread
    draws from a generator of its own, so dropout does not depend on who runs first.

    Random    the threads' generators are spawned from `rng`; alone, a worker draws from `rng` itself
    """

    def __init__(self, count: int, rng: random.Generator) -> None:
        self.generators = rng.spawn(count) if count > 1 else [rng]
        self._pool = ThreadPoolExecutor(count - 1) if count > 1 else None

    def accumulate(
        self, loss_of: Callable[..., Tensor], batch: Sequence[np.ndarray], weight: float = 1.0
    ) -> float:
        """Add weight * the gradient of the batch's loss to `.grad` of every leaf; return the loss.

        The loss of the batch is the mean of its shares' losses by their number of rows, which is
        right for a mean over tokens that all count.

        Shapes    batch: arrays (B, ...), the arguments of `loss_of`; each thread gets about
                  B / count rows
        """
        rows, count = len(batch[0]), len(self.generators)
        shares = list(zip(*(np.array_split(array, min(count, rows)) for array in batch)))
        parts = [len(share[0]) / rows for share in shares]
        monitor = tape.state.monitor
        jobs = [(loss_of, s, weight * part, g, monitor) for s, part, g in zip(shares, parts, self.generators)]
        later = [self._pool.submit(_gradients, *job) for job in jobs[1:]] if self._pool else []
        results = [_gradients(*jobs[0]), *(future.result() for future in later)]
        for _, grads in results:
            for leaf, grad in grads.items():
                if leaf.grad is None:
                    leaf.grad = grad
                else:
                    leaf.grad += grad
        return sum(loss * part for (loss, _), part in zip(results, parts))

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown()


def _gradients(loss_of, share, weight, generator, monitor):
    """Return (loss, {leaf: weight * gradient}) of one share, in this thread."""
    with random.using(generator), tape.watched_by(monitor):
        loss = loss_of(*share)
        return loss.item(), tape.gradients(loss._node, np.asarray(weight, loss.dtype))


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
    """Return the ways worth trying on so many cores: one thread, and each split between batch and BLAS."""
    split = [Way(w, available // w) for w in range(available, 0, -1) if available % w == 0]
    return split if available == 1 else [*split, Way(1, 1)]


def fastest_way(
    run: Callable[[Way], Any], candidates: Sequence[Way], seconds: float = 1.0
) -> tuple[Way, dict[Way, float]]:
    """Time `run(way)`, one training step, for each candidate; set the BLAS threads of the fastest.

    Returns (the way, {way: median seconds}). Without threadpoolctl only one thread is tried, with
    the BLAS threads left as they are.

    Units     seconds to spend on each candidate, after one step that is not counted
    """
    if not set_blas_threads(candidates[0].blas_threads):
        candidates = [Way(1, 1)]
    medians: dict[Way, float] = {}
    for way in candidates if len(candidates) > 1 else []:
        set_blas_threads(way.blas_threads)
        run(way)
        times: list[float] = []
        while len(times) < 5 and sum(times) < seconds:
            start = time.perf_counter()
            run(way)
            times.append(time.perf_counter() - start)
        medians[way] = statistics.median(times)
    best = min(medians, key=medians.__getitem__) if medians else candidates[0]
    if len(candidates) > 1:
        set_blas_threads(best.blas_threads)
    return best, medians
