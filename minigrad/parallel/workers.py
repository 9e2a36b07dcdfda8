"""One training step on several cores: the batch is split, and the gradients of its shares are added."""

import atexit
import contextlib
import multiprocessing.util
import signal
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from minigrad import random, switches, tape
from minigrad.errors import value_error
from minigrad.memory import shared_empty
from minigrad.parallel.choice import Way
from minigrad.tensor import Tensor

PATIENCE = 5.0  # seconds that a worker has to finish its share when it is closed
ENDED = "parallel: expected a worker process; got its end; was it killed, or did memory run out?"

_open: "weakref.WeakSet[Workers]" = weakref.WeakSet()


@atexit.register  # after multiprocessing.util, hence called before: that sends a SIGTERM, which ours ignore, and waits
def _close_all() -> None:
    for workers in list(_open):
        workers.close()


class Workers:
    """Threads or processes that share a model and split each batch; the caller is one of them.

    NumPy releases the interpreter lock inside large operations, so threads, each walking a graph of
    its own over its share of the batch, keep their cores busy from the first operation to the last;
    threads inside the matrix products alone leave them idle in between. Between operations threads
    wait for the lock, the more so the smaller the arrays; processes have a lock each. They are
    forked here; for them the parameters move to shared memory (`shared_empty`), where an optimiser
    writes and they read, and they return their gradients in shared memory.
    What a module notes in its forward pass (running means, masks) stays in its process.

    Random    every worker draws from a generator of its own, spawned from `rng`, so dropout does not
              depend on who runs first; alone, the caller draws from `rng` itself
    """

    def __init__(
        self, way: Way, rng: random.Generator, loss_of: Callable[..., Tensor], parameters: Iterable[Tensor]
    ) -> None:
        self._loss_of = loss_of
        self._generator, *spawned = rng.spawn(way.workers) if way.workers > 1 else [rng]
        self._others: list[Any] = []
        leaves = list(parameters)
        if spawned and way.kind == "process":
            for p in leaves:
                p._data = _shared(p._data)  # the same values, so no graph becomes stale
        for generator in spawned:
            if way.kind == "process":
                self._others.append(_Process(loss_of, generator, leaves, self._others))
            else:
                self._others.append(_Thread(loss_of, generator))
        _open.add(self)

    def accumulate(self, batch: Sequence[np.ndarray], weight: float = 1.0) -> float:
        """Add weight * the gradient of the batch's loss to `.grad` of every leaf; return the loss.

        The loss of the batch is the mean of its shares' losses by their number of rows, which is
        right for a mean over tokens that all count.

        Shapes    batch: arrays (B, ...), the arguments of the loss; each worker gets about
                  B / workers rows
        """
        rows = len(batch[0])
        count = min(1 + len(self._others), rows)
        shares = list(zip(*(np.array_split(array, count) for array in batch)))
        parts = [len(share[0]) / rows for share in shares]
        busy = self._others[: count - 1]
        for other, share, part in zip(busy, shares[1:], parts[1:]):
            other.start(share, weight * part)
        job = self._loss_of, shares[0], weight * parts[0], self._generator, switches.state.monitor
        results, errors = [], []
        for finish in (lambda: _gradients(*job), *(other.finish for other in busy)):
            try:
                results.append(finish())
            except Exception as error:  # every answer must be read, or the next batch would get it
                errors.append(error)
        if errors:
            raise errors[0]
        for _, grads in results:
            for leaf, grad in grads.items():
                if leaf.grad is None:
                    leaf.grad = grad if grad.base is None else grad.copy()
                else:
                    leaf.grad += grad
        return sum(loss * part for (loss, _), part in zip(results, parts))

    def states(self) -> list[dict[str, Any]]:
        """Return the state of every worker's generator."""
        return [self._generator.state(), *(other.state() for other in self._others)]

    def set_states(self, states: Sequence[dict[str, Any]]) -> None:
        """Set every worker's generator to a state from `states()`.

        Raises    ValueError for a state that cannot be, or another count; then nothing was changed.
        """
        if len(states) != 1 + len(self._others):
            raise value_error(
                "set_states", f"{1 + len(self._others)} states, one for each worker", len(states)
            )
        for state in states:
            random.Generator(0, self._generator.stream).set_state(state)
        self._generator.set_state(states[0])
        for other, state in zip(self._others, states[1:], strict=True):
            other.set_state(state)

    def close(self) -> None:
        """End the threads or processes; the program's end does it at the latest."""
        for other in self._others:
            other.close()


def _gradients(loss_of, share, weight, generator, monitor=None):
    """Return (loss, {leaf: weight * gradient}) of one share, told to the monitor of the caller's thread."""
    with random.using(generator), switches.watched_by(monitor):
        loss = loss_of(*share)
        return loss.item(), tape.gradients(loss._node, np.asarray(weight, loss.dtype))


def _shared(array):
    """Return a copy in memory that forked processes share."""
    copy = shared_empty(array.size, array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class _Thread:
    """A worker in a thread of this process."""

    def __init__(self, loss_of: Callable[..., Tensor], generator: random.Generator) -> None:
        self._loss_of, self._generator, self._pool = loss_of, generator, ThreadPoolExecutor(1)
        self.state, self.set_state = generator.state, generator.set_state

    def start(self, share: Sequence[np.ndarray], weight: float) -> None:
        job = self._loss_of, share, weight, self._generator, switches.state.monitor
        self._result = self._pool.submit(_gradients, *job)

    def finish(self) -> tuple[float, dict[tape.Node, Any]]:
        return self._result.result()

    def close(self) -> None:
        self._pool.shutdown()


class _Process:
    """A worker in a forked process, asked through a pipe."""

    def __init__(
        self,
        loss_of: Callable[..., Tensor],
        generator: random.Generator,
        parameters: list[Tensor],
        before: "list[_Process]",
    ) -> None:
        self._leaves = [p._node for p in parameters]
        self._views = [shared_empty(p.numel(), p.dtype).reshape(p.shape) for p in parameters]
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        pipes = [self._pipe, *(process._pipe for process in before)]
        job = (pipes, theirs, loss_of, generator, self._leaves, self._views)
        self._process = context.Process(target=_serve, args=job, daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads, which may hold a lock; ours and BLAS's are idle
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        theirs.close()

    def _send(self, *message: Any) -> None:
        try:
            self._pipe.send(message)
        except ConnectionError:
            raise ChildProcessError(ENDED) from None

    def _receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise ChildProcessError(ENDED) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def start(self, share: Sequence[np.ndarray], weight: float) -> None:
        self._send("gradients", share, weight)

    def finish(self) -> tuple[float, dict[tape.Node, Any]]:
        loss, reached = self._receive()
        present = zip(self._leaves, self._views, reached)
        return loss, {leaf: view for leaf, view, there in present if leaf and there}

    def state(self) -> dict[str, Any]:
        self._send("state")
        return self._receive()

    def set_state(self, state: dict[str, Any]) -> None:
        self._send("set_state", state)
        self._receive()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it may have ended, or been closed, before
            self._pipe.send(("stop",))
        self._pipe.close()
        self._process.join(PATIENCE)
        if self._process.is_alive():  # in a share of a batch that nobody waits for
            self._process.kill()
            self._process.join()


def _serve(pipes, mine, loss_of, generator, leaves, views):
    """Answer the caller's messages until it says stop or closes the pipe."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # they reach every process; the caller decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    for pipe in pipes:
        pipe.close()  # the caller's ends, which a fork copies: held here, they would never seem closed
    with contextlib.suppress(EOFError, ConnectionError):  # the caller has ended
        while (message := mine.recv()) != ("stop",):
            mine.send(_answer(loss_of, generator, leaves, views, *message))


def _answer(loss_of, generator, leaves, views, name, *message):
    """Return the answer to one message, or the exception that it raised."""
    try:
        if name != "gradients":
            return getattr(generator, name)(*message)
        loss, grads = _gradients(loss_of, *message, generator)
        for leaf, view in zip(leaves, views):
            if leaf in grads:
                view[...] = grads[leaf]
        return loss, [leaf in grads for leaf in leaves]
    except Exception as error:
        return error
