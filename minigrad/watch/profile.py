"""Where the time of a step goes: seconds and bytes of each operation, forward and backward."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad import switches, tape
from minigrad.console.tables import table
from minigrad.watch.flame import Stacks, parts

Rows = dict[str, dict[str, float]]  # the costs of each operation


class Profile:
    """Calls, seconds and bytes returned by each operation; `print(profile)` is two tables, slowest first.

    One is of the training steps, of the operations that were walked back; one is of the rest: the operations
    that were not, in evaluation and sampling, or, if stacks were sampled, too, what the program did then.
    """

    def __init__(self) -> None:
        self.rows: Rows = {}  # of the steps
        self.rest: Rows = {}
        self.stacks: Stacks = {}
        self.wall: float | None = None  # seconds from the beginning to the end of the watch
        self._lock, self._thread, self._here = threading.Lock(), threading.get_ident(), 0.0

    def forward(self, fn: Any, arrays: list[Any], constants: dict[str, Any]) -> Any:
        """Run an operation and note its cost (called by the engine)."""
        start = time.perf_counter()
        out, vjp = fn(*arrays, **constants)
        costs = {"calls": 1, "forward": time.perf_counter() - start, "bytes": out.nbytes}
        self._add(self.rest, fn.__name__, **costs)
        return out, switches.Noted(vjp=vjp, costs=costs)

    def backward(self, node: tape.Node, dout: Any) -> Any:
        """Run a node's vjp and note its cost (called by the engine); its forward was of a step, then."""
        start = time.perf_counter()
        grads = node.vjp(dout)
        seconds = time.perf_counter() - start
        made = sum(g.nbytes for g in grads if g is not None and g is not dout)
        self._add(self.rows, node.name, backward=seconds, bytes=made)
        if costs := getattr(node.vjp, "costs", {}):  # not of another watch, nor moved before
            self._add(self.rest, node.name, **{key: -cost for key, cost in costs.items()})
            self._add(self.rows, node.name, **costs)
            costs.clear()
        return grads

    def _add(self, rows: Rows, name: str, **costs: float) -> None:
        with self._lock:
            row = rows.setdefault(name, {"calls": 0, "forward": 0.0, "backward": 0.0, "bytes": 0})
            for key, cost in costs.items():
                row[key] += cost
            if rows is self.rest and not row["calls"]:
                del rows[name]
            if rows is self.rows and threading.get_ident() == self._thread:
                self._here += costs.get("forward", 0.0) + costs.get("backward", 0.0)

    def seconds(self) -> float:
        """Return the time spent inside operations of steps, both ways, of all threads together."""
        return sum(row["forward"] + row["backward"] for row in self.rows.values())

    def __str__(self) -> str:
        step, rest = parts(self.stacks)
        if step:
            step["Python between operations"] = max(0.0, step.pop("", 0.0) - self._here)
        head = ["calls", "forward ms", "backward ms", "share", "MiB out"]
        texts = [table(["the training steps", *head], _listed(self.rows, step))] if self.rows or step else []
        if self.rest and not (texts and rest):
            texts.append(table(["not walked back", *head], _listed(self.rest, {})))
        if rest:
            total = sum(rest.values())
            costs = [[what, _ms(s), f"{s / total:.1%}"] for what, s in sorted(rest.items(), key=_cost)]
            texts.append(table(["the rest of the program", "ms", "share"], costs))
        if self.wall is not None:
            threads = f"{_ms(self.seconds())} ms in operations of steps, all threads together"
            texts.append(f"{threads}; {_ms(self.wall)} ms on the clock")
        return "\n\n".join(texts)


def _cost(item: tuple[str, float]) -> float:
    return -item[1]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:,.1f}"


def _listed(rows: Rows, others: dict[str, float]) -> list[list[object]]:
    """Return the rows of a table, the slowest first: of operations, and of what is no operation."""
    found = {name: row["forward"] + row["backward"] for name, row in rows.items()} | others
    total, listed = sum(found.values()) or 1.0, list[list[object]]()
    for name, seconds in sorted(found.items(), key=_cost):
        row = rows.get(name, {"calls": 0, "forward": seconds, "backward": 0.0, "bytes": 0})
        times, mib = [_ms(row[way]) for way in ("forward", "backward")], f"{row['bytes'] / 2**20:.1f}"
        listed.append([name, int(row["calls"]) or "", *times, f"{seconds / total:.1%}", mib])
    return listed


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
