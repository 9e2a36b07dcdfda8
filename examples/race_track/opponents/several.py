"""A side of several processes: mpiexec starts them, and this one tells all of them when to make a step.

Between steps they wait for a word on a socket, in which no core is busy: those who wait for each other inside MPI or
gloo keep theirs busy, and would slow the others' turns.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from race_track.cells import Cell
from race_track.opponents import Entry

from minigrad.parallel.ranks import mpiexec

PATIENCE = 100  # seconds in which they must have started


def build(cell: Cell, module: str, ranks: int) -> Entry:
    """Return the entry of `ranks` processes, each with the entry that `build(cell)` of the module returns."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as door:
        door.bind(address := str(Path(folder) / "door"))
        door.listen(ranks)
        door.settimeout(PATIENCE)
        with socket.create_server(("127.0.0.1", 0)) as free:
            torchs = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        command = [sys.executable, "-m", __name__, module, address, json.dumps(asdict(cell))]
        subprocess.Popen([*mpiexec(ranks), *command], stdin=subprocess.DEVNULL, env=os.environ | torchs)
        lines = [door.accept()[0].makefile("rw") for _ in range(ranks)]
    told = [json.loads(_answer(line)) for line in lines]

    def unit() -> float:
        for line in lines:
            print(file=line, flush=True)
        return statistics.fmean(float(_answer(line)) for line in lines)

    version, threads, _ = told[0]
    return Entry(unit, version, f"{ranks} ranks, {threads}", tuple(process for *_, process in told))


def _answer(line) -> str:
    answer = line.readline()
    if not answer:
        raise RuntimeError("one of its processes ended")
    return answer


def _follow(module: str, address: str, cell: str) -> None:
    """Make a step at each word, in a process that mpiexec started."""
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(address)
        with door.makefile("rw") as line:
            entry = import_module(f"race_track.opponents.{module}").build(Cell(**json.loads(cell)))
            print(json.dumps([entry.version, entry.threads, os.getpid()]), file=line, flush=True)
            for _ in line:
                print(entry.unit(), file=line, flush=True)


if __name__ == "__main__":
    _follow(*sys.argv[1:])
