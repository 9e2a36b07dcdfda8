"""How training grows over machines: on paper, and held against what can be measured on this one.

python examples/many_machines.py               the paper, and 1 and 2 ranks on this machine
python examples/many_machines.py --networks    as root on Linux: and 2 to 8 machines in simulated networks

On paper a step is forward and backward, which ranks share; clipping and AdamW, which each does for itself; and the
all-reduce of the gradients between the two. Of S bytes, n ranks send each 2 (n - 1) / n S (a ring does so, and halving
and doubling does), so that hardly depends on n.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
from race_track.cells import CELLS, GPT2, Cell, parameter_shapes
from race_track.networks import FRAMES, network
from race_track.opponents.floor import flops
from race_track.opponents.ours import Training
from race_track.turns import environment

from minigrad.console.tables import table
from minigrad.parallel import Way, rank, ranks, set_blas_threads
from minigrad.parallel.ranks import PIECE, add_up, mpiexec, world

BIG = Cell("gpt2", **GPT2, batch_size=512)  # 124 M weights, nanoGPT's half a million tokens in a step
RANKS, GBITS = (8, 64, 512), (1, 10, 100)
LATENCY = 50e-6  # seconds from one machine's program to another's, assumed
SIZES = (800_000, 4_000_000, 12_000_000)  # bytes that are added up in simulated networks
STEPS = 12  # that are measured
WORTH = 0.05  # of a step: what the all-reduce takes when hiding it starts to pay


# ---- on paper ----


def all_reduce_seconds(n: int, size: float, bytes_per_second: float, latency: float = 0.0) -> float:
    """Return the time in which n ranks add up `size` bytes by halving and doubling, piece by piece."""
    pieces = math.ceil(size / (4 * PIECE))
    return 2 * (n - 1) / n * size / bytes_per_second + pieces * 2 * math.log2(n) * latency


def gradient_bytes(cell: Cell) -> int:
    """Return what is added up in a step: float32 gradients, the loss, the wish to stop."""
    return 4 * (sum(math.prod(shape) for _, shape in parameter_shapes(cell)) + 2)


def wire(gbit: float) -> float:
    """Return the bytes of data that a network carries in a second."""
    return FRAMES * gbit * 1e9 / 8


def predictions(rate: float, update: float) -> str:
    """Return the table of what a step of BIG takes.

    Units     rate of a rank in operations a second; update in seconds for each weight
    """
    size, rows = gradient_bytes(BIG), []
    for n in (1, *RANKS):
        shared, alone = flops(BIG) / rate / n, update * size / 4
        times = [all_reduce_seconds(n, size, wire(gbit), LATENCY) for gbit in GBITS]
        steps = [shared + alone + t for t in times]
        hidden = [
            max(shared + alone, shared / 3 + t + alone) for t in times
        ]  # behind the backward, two thirds
        one = flops(BIG) / rate + alone
        cells = [
            f"{t:.2f} s, {one / step / n:.0%}, {one / best / n:.0%}"
            for t, step, best in zip(times, steps, hidden)
        ]
        rows.append((f"{n}", f"{shared:,.2f}", f"{alone:.2f}", *(cells if n > 1 else ["-"] * len(cells))))
    head = ("ranks", "forward and backward s", "AdamW s", *(f"at {gbit} Gbit/s" for gbit in GBITS))
    return table(head, rows)


def where_it_pays(rate: float, update: float) -> str:
    """Return from how many ranks on hiding the all-reduce gains more than WORTH, for each network."""
    found = []
    for gbit in GBITS:
        for n in (2**k for k in range(1, 10)):
            shared, alone = flops(BIG) / rate / n, update * gradient_bytes(BIG) / 4
            added = all_reduce_seconds(n, gradient_bytes(BIG), wire(gbit), LATENCY)
            if min(added, shared * 2 / 3) > WORTH * (shared + alone + added):
                found.append(f"{n} ranks at {gbit} Gbit/s")
                break
        else:
            found.append(f"none up to 512 at {gbit} Gbit/s")
    return ", ".join(found)


# ---- measured, in ranks that mpiexec started ----


def median(fn: Callable[[], Any], times: int = 1, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median time of fn(), in seconds."""
    found = []
    for _ in range(times):
        start = clock()
        fn()
        found.append(clock() - start)
    return statistics.median(found)


def member(what: str, *details: int) -> None:
    """Measure in this rank; rank 0 prints it as JSON."""
    found = MEASURES[what](*details) if what in MEASURES else time_steps(CELLS[what])
    if rank() == 0:
        print(json.dumps(found))


def time_all_reduces(*sizes: int) -> list[float]:
    """Return the median time in which an array of so many bytes is added up, of five times after the first."""
    found = []
    for array in (np.ones(size // 4, np.float32) for size in sizes):
        add_up(world(), array)
        found.append(median(partial(together, add_up, world(), array), 5))
    return found


def time_whole(size: int) -> list[float]:
    """Return the same, all bytes in one call."""
    with mock.patch.object(ranks, "PIECE", size):
        return time_all_reduces(size)


def time_hidden(size: int) -> list[float]:
    """Return the time of an all-reduce; with as much work beside it; and so, with a look at it every 5 ms.

    The work stands for a backward pass.
    """
    from mpi4py import MPI

    array = np.ones(size // 4, np.float32)
    (alone,) = time_all_reduces(size)

    def beside(looks: bool) -> None:
        pieces = [array[start : start + PIECE] for start in range(0, len(array), PIECE)]
        requests = [world().Iallreduce(MPI.IN_PLACE, piece) for piece in pieces]
        end = time.perf_counter() + alone
        while (now := time.perf_counter()) < end:
            while time.perf_counter() < min(now + 5e-3, end):
                pass
            if looks:
                MPI.Request.Testall(requests)
        MPI.Request.Waitall(requests)

    return [alone, *(median(partial(together, beside, looks), 5) for looks in (False, True))]


def together(fn: Callable[..., Any], *arguments: Any) -> None:
    """Call fn(*arguments) in all ranks at once."""
    world().Barrier()
    fn(*arguments)


def time_steps(cell: Cell) -> list[float]:
    """Return the median times of the parts of a step: what ranks share, the all-reduce, what each does for itself.

    What a rank computes, in one thread, is counted in processor time: other programs do not lengthen it.
    """
    set_blas_threads(1)
    busy = partial(median, clock=time.process_time)
    training, parts = Training(cell, Way(1, 1)), []
    for _ in range(STEPS):
        with mock.patch.object(ranks, "add_up", lambda *_: None):  # what ranks share, first without it
            shared = busy(lambda: training.workers.backward([next(training.batches)]))
        added = time_all_reduces(gradient_bytes(cell))[0] if world() else 0.0
        parts.append((shared, added, busy(training.update)))
    return [statistics.median(each) for each in zip(*parts)]


MEASURES = {"pieces": time_all_reduces, "whole": time_whole, "hidden": time_hidden}


def measured(start: Sequence[str], settings: dict[str, str], *what: Any) -> Any:
    """Return what rank 0 prints of the members that the command starts."""
    command = [*start, __file__, "--member", *map(str, what)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


# ---- both ----


def on_this_machine() -> tuple[float, float]:
    """Print what 1 and 2 ranks take here, and what the paper says; return (operations a second, seconds a weight)."""
    start = [*mpiexec(2), sys.executable]
    few, many = measured(start, environment(), "pieces", 1 << 22, 1 << 26)
    speed = (1 << 26) / many
    rows = []
    for name in ("cpu", "small"):
        one, two = (measured([*mpiexec(n), sys.executable], environment(), name) for n in (1, 2))
        paper = (one[0] / 2, all_reduce_seconds(2, gradient_bytes(CELLS[name]), speed), one[2])
        for title, parts in (("1 rank", one), ("2 ranks", two), ("2 on paper", paper)):
            rows.append((f"{name}, {title}", *(f"{1e3 * part:.4g}" for part in (*parts, sum(parts)))))
    print(
        f"all-reduce of 64 MiB between 2 ranks here: {1e3 * many:.1f} ms, {speed / 1e9:.2f} GB/s; of 4 MiB: {1e3 * few:.2f} ms"
    )
    print(table(("ms", "forward and backward", "all-reduce", "AdamW", "step"), rows))
    return flops(CELLS["small"]) / one[0], one[2] * 4 / gradient_bytes(CELLS["small"])


def over_networks() -> str:
    """Return what simulated networks take, beside the paper; and what of it can be hidden."""
    rows, largest = [], SIZES[-1]
    for mbit in (100, 1000):
        for n in (2, 4, 8):
            with network(n, mbit) as (start, more):
                settings = environment() | more
                times = measured(start, settings, "pieces", *SIZES)
                whole = measured(start, settings, "whole", largest)[0]
                if (n, mbit) == (2, 1000):
                    hidden = measured(start, settings, "hidden", largest)
            paper = [all_reduce_seconds(n, size, wire(mbit / 1000)) for size in SIZES]
            cells = [f"{1e3 * t:.0f}, {1e3 * p:.0f}" for t, p in zip(times, paper)]
            rows.append((f"{n}", f"{mbit}", *cells, f"{1e3 * whole:.0f}"))
    head = [f"{size / 1e6:g} MB: ms measured, on paper" for size in SIZES]
    alone, silent, looking = (f"{1e3 * t:.0f} ms" for t in hidden)
    return (
        table(("machines", "Mbit/s", *head, f"{largest / 1e6:g} MB in one call"), rows)
        + f"\n2 machines, 1000 Mbit/s, {largest / 1e6:g} MB: {alone}; with as much work beside it {silent}, "
        + f"if MPI is called every 5 ms {looking}"
    )


def main() -> None:
    """Print it all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--networks", action="store_true", help="simulate networks, as root on Linux")
    parser.add_argument("--member", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.member:
        return member(options.member[0], *map(int, options.member[1:]))
    rate, update = on_this_machine()
    if options.networks:
        print("\n" + over_networks())
    print(
        f"\nGPT-2, {gradient_bytes(BIG) / 4 / 1e6:.0f} M weights, {BIG.batch_size} rows of {BIG.block_size} tokens a step:"
    )
    print(f"{flops(BIG):.3g} operations in products; {gradient_bytes(BIG) / 1e6:.0f} MB in the all-reduce")
    for factor in (1, 100):
        print(f"\nranks of {factor * rate / 1e9:,.0f} GFLOP/s" + (", measured here" if factor == 1 else ""))
        print(predictions(factor * rate, update / factor))
        print(
            f"to hide the all-reduce gains {WORTH:.0%} or more from: {where_it_pays(factor * rate, update / factor)}"
        )


if __name__ == "__main__":
    main()
