"""`python -m tests.accidents`: damage files at random and read them, or train a tiny model for very long.

Each batch of reads happens in a process of its own, with a limit on memory and time: what crashes, hangs or takes much
is one more fault. A fault's file is kept, with the seed that makes it again.
"""

import argparse
import contextlib
import io
import json
import os
import random
import resource
import signal
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"  # read when NumPy is imported, so before it

from tests.accidents import damage
from tests.accidents.readers import READERS, outcome, tiny_run

BATCH, SECONDS, MEMORY = 100, 10, 3 << 30  # reads in a process; of one read; bytes more than the process has


def main() -> int:
    """Do what is asked; return 1 if there is a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.accidents", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="of damaging and reading (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default: 0)")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS), help="default: all")
    parser.add_argument("--soak", type=int, metavar="STEPS", help="train for so many steps instead")
    parser.add_argument("--out", default="out/accidents", help="folder for faults and the picture")
    options = parser.parse_args()
    Path(options.out).mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    return soak(options.soak, Path(options.out)) if options.soak else fuzz(options)


def fuzz(options) -> int:
    """Damage files of every kind until the time is over, and count what becomes of them."""
    end, seed, counts = time.monotonic() + 60 * options.minutes, options.seed * 10**9, Counter()
    with tempfile.TemporaryDirectory() as folder:
        whole = {}
        for name in options.readers:
            place = Path(folder, name)
            place.mkdir()
            path = READERS[name].make(place)
            whole[name] = path, path.read_bytes(), READERS[name].read(path)
        while time.monotonic() < end:
            for name in options.readers:
                counts.update(
                    {(name, kind): n for kind, n in batch(name, *whole[name], seed, options.out).items()}
                )
            seed += BATCH
    kinds = ("tried", "refused", "the same", "read", "faults")
    print(f"{'reader':<22}" + "".join(f"{kind:>12}" for kind in kinds))
    for name in options.readers:
        print(f"{name:<22}" + "".join(f"{counts[name, kind]:>12,}" for kind in kinds))
    faults = sum(counts[name, "faults"] for name in options.readers)
    print(f"{sum(counts[name, 'tried'] for name in options.readers):,} files, {faults} faults")
    return int(faults > 0)


def batch(name, path, data, wanted, seed, out) -> Counter:
    """Read some damaged files in a process of its own; one that dies is followed by another."""
    counts, first = Counter(), seed
    while first < seed + BATCH:
        receive, send = os.pipe()
        child = os.fork()
        if not child:
            os.close(receive)
            work(name, path, data, wanted, range(first, seed + BATCH), send, out)
        os.close(send)
        with open(receive) as answers:
            for line in answers:
                first, kind = json.loads(line)
                if kind != "begun":
                    counts.update([kind, "tried"])
        _, status = os.waitpid(child, 0)
        if not status:
            break
        keep(name, damaged(name, data, first), first, f"the process ended with {status}", out)
        counts.update(["faults", "tried"])
        first += 1
    path.write_bytes(data)
    return counts


def work(name, path, data, wanted, seeds, send, out):
    """Read the files of these seeds, tell what becomes of each, and end."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    with open(send, "w") as answers:
        for seed in seeds:
            print(json.dumps([seed, "begun"]), file=answers, flush=True)
            signal.alarm(SECONDS)
            print(json.dumps([seed, judge(name, path, data, wanted, seed, out)]), file=answers, flush=True)
    os._exit(0)


def judge(name, path, data, wanted, seed, out) -> str:
    """Read one damaged file; return what became of it."""
    changed = damaged(name, data, seed)
    path.write_bytes(changed)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            verdict, found = outcome(READERS[name], path)
    except Exception:
        keep(name, changed, seed, traceback.format_exc(), out)
        return "faults"
    if verdict == "refused" or found == wanted:
        return "refused" if verdict == "refused" else "the same"
    if READERS[name].verified and not is_rewritten(name, seed):
        keep(name, changed, seed, "other numbers in silence", out)
        return "faults"
    return "read"


def is_rewritten(name, seed) -> bool:
    """Are the members of this zip changed, with checksums to match, and not its bytes?"""
    return READERS[name].zipped and seed % 2 == 1


def damaged(name, data, seed) -> bytes:
    """Return the file of a seed: its bytes changed, or, of a zip, every other time what its members hold."""
    change = damage.rewritten if is_rewritten(name, seed) else damage.mutant
    return change(data, random.Random(f"{name} {seed}"))


def keep(name, changed, seed, why, out):
    """Keep a fault."""
    place = Path(out, f"{name.replace(' ', '-')}-{seed}")
    place.write_bytes(changed)
    place.with_suffix(".txt").write_text(why)
    print(f"{name}, seed {seed}: {why.strip().splitlines()[-1]}", file=sys.stderr, flush=True)


def soak(steps, out) -> int:
    """Train, note memory and time every hundred steps, and draw them; the last fifth may not take more than the second."""
    from gpt.train import train

    times, memory = [time.process_time()], []

    def note():
        if run.step == 100 * len(times):
            times.append(time.process_time())
            memory.append(
                int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
            )
        return False

    with tempfile.TemporaryDirectory() as folder:
        run = tiny_run(Path(folder), steps, eval_interval=250)
        with run:
            train(run, note)
    each = [10 * (b - a) for a, b in zip(times, times[1:])]
    fifth = len(each) // 5
    for title, values in (("ms of CPU a step", each), ("MiB", memory)):
        early, late = (statistics.median(part) for part in (values[fifth : 2 * fifth], values[-fifth:]))
        print(f"{title}: {early:.2f} in the second fifth, {late:.2f} in the last; largest {max(values):.2f}")
    draw(each, memory, out / "soak.png")
    return int(statistics.median(memory[-fifth:]) > 1.05 * statistics.median(memory[fifth : 2 * fifth]))


def draw(each, memory, path):
    """Draw the time of a step and the memory, over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    for axes, values, label in zip(
        figure.subplots(2, sharex=True), (each, memory), ("ms of CPU a step", "resident MiB")
    ):
        axes.plot([100 * (i + 1) for i in range(len(values))], values)
        axes.set(xlabel="step", ylabel=label, ylim=(0, None))
    figure.savefig(path, dpi=110)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
