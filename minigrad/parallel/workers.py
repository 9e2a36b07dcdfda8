"""One training step on several cores: the batch is split, and the gradients of its shares are added."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib import import_module
from typing import Any

import numpy as np

from minigrad import random, switches, tape
from minigrad.backend import namespace
from minigrad.parallel.choice import Way
from minigrad.random import Keyed
from minigrad.tensor import Tensor


class Workers:
    """Threads that share a model and split each batch; the caller is one of them.

    NumPy releases the interpreter lock inside large operations, so threads that walk a graph each keep their cores
    busy from the first operation to the last; threads inside the matrix products alone leave them idle in between.
    Between operations they wait for the lock, the more so the smaller the arrays.

    Random    dropout depends on `seed`, the step, the batch in it and the row (`random.Keyed`), not on the number
              of workers, of which gradients depend by rounding alone.
    """

    def __init__(self, way: Way, seed: int, loss_of: Callable[..., Tensor], parameters: Iterable[Tensor]):
        self._count, self._seed, self._loss_of = way.workers, seed, loss_of
        self._parameters = list(parameters)
        self._pool = ThreadPoolExecutor(max(way.workers - 1, 1))  # starts a thread when there is work for it
        self._own = threading.local()  # of each thread: its generator of masks

    def backward(self, batches: Sequence[Sequence[np.ndarray]], step: int = 0) -> float:
        """Set `.grad` of every leaf to the mean gradient over the batches of a step; return their mean loss.

        The loss of a batch is the mean of its shares' losses by their number of rows, right where all tokens count.
        Whatever interrupts it, no parameter then has a gradient, and no thread is at work.

        Shapes    batches: of each the arguments of the loss, arrays (B, ...), of which each worker has some rows
        """
        job = batches, step, switches.state.monitor
        others: list[Future[Any]] = []
        try:
            self._clear()
            others += (self._pool.submit(self._share, i, *job) for i in range(1, self._count))
            loss, total = self._share(0, *job)
            for other in others:
                part, grads = other.result()
                loss += part
                _add(total, grads)
            for leaf, grad in total.items():
                leaf.grad = np.asarray(grad) if isinstance(grad, np.generic) else grad
            return self.over_all(loss)
        except BaseException:
            wait(others)
            self._clear()
            raise

    def _clear(self):
        for p in self._parameters:
            p.grad = None

    def _share(self, index, batches, step, monitor):
        """Return one worker's part of (loss, {leaf: gradient}); the monitor of the caller's thread is told of it."""
        if not hasattr(self._own, "masks"):
            on_gpu = any(namespace(p._data) is not np for p in self._parameters)
            kind = import_module("minigrad.gpu.masks").Masks if on_gpu else Keyed
            self._own.masks = kind(self._seed)
        loss, total = 0.0, {}
        with random.using(self._own.masks) as masks, switches.watched_by(monitor):
            for number, batch in enumerate(batches):
                B = len(batch[0])
                start, stop = self.rows(B)
                first, end = (start + (stop - start) * i // self._count for i in (index, index + 1))
                if first == end:  # fewer rows than workers
                    continue
                masks.at(step, number, first, end - first, B)
                weight = (end - first) / B / len(batches)
                part = self._loss_of(*(array[first:end] for array in batch))
                seed = namespace(part._data).full((), weight, part.dtype)
                _add(total, tape.gradients(part._node, seed))
                loss += weight * part.item()  # which waits for a GPU: at the end
        return loss, total

    def rows(self, B: int) -> tuple[int, int]:
        """Return the first and the end of the rows that are shared, of a batch of B."""
        return 0, B

    def over_all(self, loss: float) -> float:
        """Return this loss, to which nobody else adds, nor to the gradients."""
        return loss

    def shares(self, batches: Iterable[Sequence[np.ndarray]]) -> Iterable[Sequence[np.ndarray]]:
        """Return the batches, all rows of which are measured here."""
        return batches

    def add_up(self, *numbers: float) -> Sequence[float]:
        """Return the numbers, to which nobody else adds."""
        return numbers

    def agreed(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return `should_stop`, which nobody else has to agree to."""
        return should_stop

    def close(self) -> None:
        """End the threads; the program's end does it at the latest."""
        self._pool.shutdown()


def _add(total: dict[tape.Node, Any], grads: dict[tape.Node, Any]) -> None:
    """Add gradients to those of the same leaves."""
    for leaf, grad in grads.items():
        if leaf in total:
            total[leaf] += grad
        else:
            total[leaf] = grad
