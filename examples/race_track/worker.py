"""One opponent in a process of its own: `python -m race_track.worker KEY` answers requests line by line.

Requests and replies are JSON, one a line: {"do": "build" | "units" | "turn" | "profile", ...}.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from race_track.cells import Cell
from race_track.opponents import OPPONENTS, Entry


class Runner:
    """What the process holds between requests: its entry, and the clock."""

    def __init__(self, key: str) -> None:
        self.opponent = OPPONENTS[key]
        self.entry: Entry | None = None

    def build(self, cell: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Import the opponent's library and make its model; with the first unit, which may compile."""
        start = time.perf_counter()
        self.entry = None  # the model of an earlier cell makes room
        module = import_module(f"race_track.opponents.{self.opponent.module}")
        self.entry = module.build(Cell(**cell), **self.opponent.options, **options)
        first = self.entry.unit()
        seconds = time.perf_counter() - start
        return {
            "seconds": seconds,
            "value": first,
            "version": self.entry.version,
            "threads": self.entry.threads,
        }

    def units(self, count: int) -> dict[str, Any]:
        """Do `count` units; return their values."""
        return {"values": [self.entry.unit() for _ in range(count)]}

    def turn(self, seconds: float) -> dict[str, Any]:
        """Do units for so long, at least one; return the time of each, the last value, and peak memory.

        The first of several wakes threads and fills caches after the others' turns: it is not counted.
        """
        times: list[float] = []
        while not times or sum(times) < seconds:
            start = time.perf_counter()
            value = self.entry.unit()
            times.append(time.perf_counter() - start)
        return {"times": times[1:] or times, "value": value, "peak_mib": peak_mib(self.entry.processes)}

    def profile(self, cell: dict[str, Any], steps: int) -> dict[str, Any]:
        """Return a table of where the time of `steps` steps goes."""
        module = import_module(f"race_track.opponents.{self.opponent.module}")
        return {"table": module.profile(Cell(**cell), steps, **self.opponent.options)}


def peak_mib(processes: Sequence[int] = ()) -> float:
    """Return the largest resident memory that these processes have had, or else this one, in MiB.

    On Linux from the processes themselves: the kernel's `getrusage` starts from what the parent held.
    Pages that two of them share count twice.
    """
    peaks = [_peak_of(str(process)) for process in processes or ("self",)]
    if None not in peaks:
        return sum(peaks)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _peak_of(process: str) -> float | None:
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024 if "VmHWM" in lines else None


def main(key: str) -> None:
    """Answer until the other side closes the pipe."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not become replies
    runner = Runner(key)
    for line in sys.stdin:
        request = json.loads(line)
        act: Callable[..., dict[str, Any]] = getattr(runner, request.pop("do"))
        try:
            reply = act(**request)
        except Exception as error:  # whatever stops an opponent is told, and the race goes on
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(130)
