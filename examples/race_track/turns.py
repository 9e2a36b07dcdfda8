"""The race itself: one process for each opponent, and they take turns."""

import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from race_track.cells import Cell
from race_track.opponents import BASE, FLOOR, OPPONENTS, OURS
from race_track.progress import Progress

ROOT = Path(__file__).parents[2]
COMPARED, TOLERANCE = 10, 1e-4  # values that must agree, and how well
TURN, PAUSE = 0.5, 0.05  # seconds; in the pause the last one's waiting threads go to sleep
ROUNDS = 3  # at least
STALLED = 2.0  # p90 over p10 from which a cell is run again


class OpponentError(Exception):
    """An opponent could not go on."""


class Disagreement(Exception):
    """Opponents compute something else."""


def environment() -> dict[str, str]:
    """Return the environment of the workers: ours, with the repository's folders importable."""
    folders = [str(ROOT / "examples"), str(ROOT / "tests"), str(ROOT)]
    if before := os.environ.get("PYTHONPATH"):
        folders.append(before)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


class Worker:
    """An opponent's process, driven over pipes."""

    def __init__(self, key: str) -> None:
        self.log = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-m", "race_track.worker", key]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log}
        self.process = subprocess.Popen(command, text=True, env=environment(), **pipes)

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and return the reply.

        Raises    OpponentError with the last words of a process that failed.
        """
        with suppress(BrokenPipeError):  # of a process that has ended, the log says why
            print(json.dumps({"do": do, **request}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            last = self.log.read().strip().rpartition("\n")[2]
            raise OpponentError(f"its process ended with status {self.process.wait()}: {last}")
        reply = json.loads(line)
        if "error" in reply:
            raise OpponentError(reply["error"])
        return reply

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()


@dataclass
class Entrant:
    """What was measured of one opponent in one cell.

    Units     seconds; MiB of resident memory, of the whole process; values in nats per token or logits
    """

    name: str
    version: str
    threads: str
    first: float  # import, model and first unit
    values: list[float]  # of the first units
    turns: list[list[float]] = field(default_factory=list)  # the times of units, by turn
    peak_mib: float = 0.0

    def percentile(self, percent: int) -> float:
        """Return a percentile of the time of a unit."""
        times = sorted(t for turn in self.turns for t in turn)
        return times[round(percent / 100 * (len(times) - 1))]

    @property
    def median(self) -> float:
        """The median time of a unit."""
        return statistics.median(t for turn in self.turns for t in turn)


@dataclass
class Result:
    """One cell's race: who took part, and why others did not."""

    cell: Cell
    entrants: dict[str, Entrant] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    repeated: bool = False

    def ratio(self, key: str, other: str) -> float:
        """Return how long `key` takes in units of `other`: the median over rounds, so that drift cancels."""
        if not {key, other} <= self.entrants.keys():
            return math.nan
        rounds = zip(self.entrants[key].turns, self.entrants[other].turns)
        return statistics.median(statistics.median(a) / statistics.median(b) for a, b in rounds)

    def is_stalled(self) -> bool:
        """Did the machine stall while we or PyTorch ran?"""
        both = [self.entrants[key] for key in (OURS, BASE) if key in self.entrants]
        return any(e.percentile(90) > STALLED * e.percentile(10) for e in both)


def race(
    cell: Cell, keys: Sequence[str], options: Mapping[str, dict[str, Any]], seconds: float, progress: Progress
) -> Result:
    """Let the opponents `keys` race in a cell for about `seconds`, not counting the start.

    Raises    Disagreement if the first values differ from ours; OpponentError if we cannot start.
    """
    result, workers = Result(cell), {}
    try:
        for key in keys:
            progress.say(f"{cell.name}: {OPPONENTS[key].name} starts")
            workers[key] = Worker(key)
            try:
                result.entrants[key] = _start(workers[key], cell, key, options.get(key, {}))
            except OpponentError as error:
                if key == OURS:
                    raise
                result.failures[key] = str(error)
                workers.pop(key).close()
        check_agreement(result)
        _take_turns(result, workers, seconds, progress)
        if result.is_stalled():
            progress.extend(seconds)
            result.repeated = True
            for entrant in result.entrants.values():
                entrant.turns.clear()
            _take_turns(result, workers, seconds, progress)
    finally:
        for worker in workers.values():
            worker.close()
    return result


def _start(worker: Worker, cell: Cell, key: str, options: dict[str, Any]) -> Entrant:
    built = worker.ask("build", cell=asdict(cell), options=options)
    more = worker.ask("units", count=COMPARED - 1 if key != FLOOR else 1)
    values = [built["value"], *more["values"]]
    return Entrant(OPPONENTS[key].name, built["version"], built["threads"], built["seconds"], values)


def check_agreement(result: Result) -> None:
    """Compare the first values of everybody with ours, where no dropout makes them differ.

    Raises    Disagreement, with the values.
    """
    if result.cell.dropout or OURS not in result.entrants:
        return
    ours = result.entrants[OURS].values
    for key, entrant in result.entrants.items():
        if key == FLOOR:
            continue
        gaps = [abs(a - b) for a, b in zip(ours, entrant.values, strict=True)]
        if not all(gap <= TOLERANCE for gap in gaps):  # so that NaN fails, too
            lists = "\n".join(f"  {e.name:16} {e.values}" for e in (result.entrants[OURS], entrant))
            what = f"the first values of {entrant.name} within {TOLERANCE:g} of ours; they differ by {max(gaps):.2g}"
            raise Disagreement(f"{result.cell.name}: expected {what}\n{lists}")


def _take_turns(result: Result, workers: dict[str, Worker], seconds: float, progress: Progress) -> None:
    """Fill `turns` of every entrant, in rounds: each takes one turn, in an order drawn anew."""
    rng, rounds, began = random.Random(0), 0, time.perf_counter()
    while workers and (rounds < ROUNDS or time.perf_counter() - began < seconds):
        for key in rng.sample(list(workers), len(workers)):
            progress.say(f"{result.cell.name}: {OPPONENTS[key].name}")
            try:
                reply = workers[key].ask("turn", seconds=TURN)
            except OpponentError as error:
                result.failures[key] = str(error)
                workers.pop(key).close()
                del result.entrants[key]
                continue
            result.entrants[key].turns.append(reply["times"])
            result.entrants[key].peak_mib = reply["peak_mib"]
            progress.advance_to(time.perf_counter() - began, seconds)
            time.sleep(PAUSE)
        rounds += 1
    progress.finish_cell(seconds)
