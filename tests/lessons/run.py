"""Run a script twice, under PyTorch and under minigrad, and print the first line that differs.

    python tests/lessons/run.py lesson.py --whatever the=script takes
    python tests/lessons/run.py --letters --timeout 60 lesson.py
    python tests/lessons/run.py --ignore 'time [0-9.]+ms' train.py --device=cpu

Each runs in a process of its own, in a copy of the script's folder (so what it writes collides with nothing), as
`python lesson.py` and as `python -m minigrad run lesson.py`. What they print must be the same but for the last digits of
numbers (`--digits 4`), or letter for letter (`--letters`). Memory addresses never count, nor what goes to stderr.
The exit code is 0 if it is the same and 1 if not, or if either could not finish.
"""

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.lessons import texts

SIDES = {"PyTorch": (), "minigrad": ("-m", "minigrad", "run")}
LARGEST = 2**30  # bytes of a folder that is copied


@dataclass
class Outcome:
    """What one run printed, how long it took, and how it ended: None, or the reason in a line."""

    text: str
    seconds: float
    failure: str | None


def run(side, script, arguments=(), timeout=600.0):
    """Run a script on one side, in a copy of its folder, and return its Outcome."""
    script = Path(script).resolve()
    with tempfile.TemporaryDirectory(prefix="lesson-") as room:
        folder = Path(room) / script.parent.name
        copy_folder(script.parent, folder)
        command = [sys.executable, *SIDES[side], script.name, *arguments]
        start = time.perf_counter()
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(
            command, cwd=folder, env=environment(side), start_new_session=True, **pipes
        ) as process:
            out, err, code = wait(process, timeout)
        seconds = time.perf_counter() - start
    text = out.decode(errors="replace").replace(str(folder), str(script.parent))
    return Outcome(text, seconds, reason(err.decode(errors="replace"), code, timeout))


def wait(process, timeout):
    """Return what a process printed on both channels and its exit code, None if it had to be stopped."""
    try:
        return *process.communicate(timeout=timeout), process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own processes too: they hold the pipes open
        return *process.communicate(), None


def copy_folder(source, target):
    """Copy a script's folder, the caches of Git and Python aside."""
    size = 0
    for base, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in (".git", "__pycache__")]
        size += sum(os.lstat(os.path.join(base, name)).st_size for name in files)
        if size > LARGEST:
            sys.exit(
                f"run.py: {source} holds more than {LARGEST >> 20} MiB; put the script into a folder of its own"
            )
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__"))


def environment(side):
    """Return the environment: pictures shown nowhere, sets in one order, and for us the path to our packages."""
    own = {"MPLBACKEND": "Agg", "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    if side == "minigrad":
        own["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | own


def reason(errors, code, timeout):
    """Return why a run did not end well: the last line of its traceback, or the time limit."""
    if code is None:
        return f"stopped after {timeout:g} s (--timeout)"
    lines = [line for line in errors.splitlines() if line.strip()]
    return None if code == 0 else f"exit code {code}: {lines[-1] if lines else 'without a word'}"


def report(theirs, ours, digits, ignored=()):
    """Print what differs, how each ended and the times; return whether all is the same."""
    a, b = (texts.clean(outcome.text, ignored) for outcome in (theirs, ours))
    found = texts.first_difference(a, b, digits)
    outcomes = {"PyTorch": theirs, "minigrad": ours}
    if found:
        print(f"line {found.line} differs:")
        for side, line in (("PyTorch", found.theirs), ("minigrad", found.ours)):
            print(f"  {side:8s} | {'(no more)' if line is None else line}")
    else:
        letters = "letter for letter" if a == b else f"numbers to {digits} digits"
        print(f"the same {len(a.splitlines())} lines, {letters}")
    for side, outcome in outcomes.items():
        if outcome.failure:
            print(f"  {side} did not finish: {outcome.failure}")
    print("  " + ", ".join(f"{side} {outcome.seconds:.2f} s" for side, outcome in outcomes.items()))
    return not (found or theirs.failure or ours.failure)


def main(argv=None):
    """Read the command line, run both sides and return the exit code."""
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--digits", type=int, default=4, help="significant digits in which numbers must agree"
    )
    parser.add_argument("--letters", action="store_true", help="want the same letters")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="REGEX", help="text that need not agree"
    )
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds that each side may take")
    parser.add_argument("script", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is given")
    given = parser.parse_args(argv)
    if not given.script.is_file():
        sys.exit(f"run.py: {given.script}: no such file")
    if importlib.util.find_spec("torch") is None:
        sys.exit("run.py: PyTorch is not installed, so there is nothing to compare with: pip install torch")
    theirs, ours = (run(side, given.script, given.arguments, given.timeout) for side in SIDES)
    return 0 if report(theirs, ours, None if given.letters else given.digits, given.ignore) else 1


if __name__ == "__main__":
    sys.exit(main())
