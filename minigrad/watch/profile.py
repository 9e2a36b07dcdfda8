"""Where the time of a step goes: seconds and bytes of each operation, forward and backward."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad import switches, tape
from minigrad.console.tables import table


class Profile:
    """Calls, seconds and bytes returned by each operation; `print(profile)` is a table, slowest first.

    Evaluation and sampling, under `no_grad`, have rows of their own.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}
        self.wall: float | None = None  # seconds from the beginning to the end of the watch
        self._lock = threading.Lock()

    def forward(self, fn: Any, arrays: list[Any], constants: dict[str, Any]) -> Any:
        """Run an operation and note its cost (called by the engine)."""
        start = time.perf_counter()
        out, vjp = fn(*arrays, **constants)
        name = fn.__name__ if switches.state.recording else f"{fn.__name__}, no grad"
        self._add(name, "forward", time.perf_counter() - start, out.nbytes)
        return out, vjp

    def backward(self, node: tape.Node, dout: Any) -> Any:
        """Run a node's vjp and note its cost (called by the engine)."""
        start = time.perf_counter()
        grads = node.vjp(dout)
        made = sum(g.nbytes for g in grads if g is not None and g is not dout)
        self._add(node.name, "backward", time.perf_counter() - start, made)
        return grads

    def _add(self, name: str, way: str, seconds: float, made: int) -> None:
        with self._lock:
            row = self.rows.setdefault(name, {"calls": 0, "forward": 0.0, "backward": 0.0, "bytes": 0})
            row["calls"] += way == "forward"
            row[way] += seconds
            row["bytes"] += made

    def seconds(self) -> float:
        """Return the time spent inside operations, both ways."""
        return sum(row["forward"] + row["backward"] for row in self.rows.values())

    def __str__(self) -> str:
        rows, total = [], self.seconds() or 1.0
        slowest = sorted(self.rows.items(), key=lambda item: -item[1]["forward"] - item[1]["backward"])
        for name, row in slowest:
            share = (row["forward"] + row["backward"]) / total
            times = [f"{1e3 * row[way]:.2f}" for way in ("forward", "backward")]
            rows.append([name, int(row["calls"]), *times, f"{share:.1%}", f"{row['bytes'] / 2**20:.1f}"])
        text = table(["operation", "calls", "forward ms", "backward ms", "share", "MiB out"], rows)
        if self.wall is None:
            return text
        return (
            f"{text}\n{1e3 * self.seconds():.0f} ms in operations, all threads together; "
            f"{1e3 * self.wall:.0f} ms on the clock, with the optimiser, clipping, data and Python"
        )


@contextmanager
def profile() -> Iterator[Profile]:
    """Inside `with profile() as p:`, every operation of this thread is timed; then `print(p)`.

    `parallel.Workers` carry the watch into their threads, whose times then add up.

    Units     seconds of wall-clock time inside the operations; bytes of the arrays they return
    """
    watch, start = Profile(), time.perf_counter()
    try:
        with switches.watched_by(watch):
            yield watch
    finally:
        watch.wall = time.perf_counter() - start
