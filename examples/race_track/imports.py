"""How long a fresh process takes to import us, and others."""

import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from tempfile import TemporaryDirectory

from race_track.progress import Progress
from race_track.turns import environment

STATEMENTS = ("pass", "import numpy", "import gpt", "import torch")
ROUNDS = 7


def time_imports(progress: Progress) -> dict[str, list[float]]:
    """Return {statement: seconds of each of 7 processes}, in turns, after one round that compiles and fills the file cache.

    What is compiled is kept, whatever the environment says, but in a folder of its own.
    """
    statements = [s for s in STATEMENTS if s == "pass" or find_spec(s.removeprefix("import "))]
    seconds: dict[str, list[float]] = {s: [] for s in statements}
    with TemporaryDirectory() as compiled:
        settings = {**environment(), "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(ROUNDS + 1):
            for statement in statements:
                progress.say(statement)
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", statement], check=True, env=settings)
                seconds[statement].append(time.perf_counter() - start)
    return {statement: times[1:] for statement, times in seconds.items()}


def import_rows(seconds: dict[str, list[float]]) -> list[tuple[str, ...]]:
    """Return (statement, median ms, range ms, in units of `import numpy`)."""
    base = statistics.median(seconds["import numpy"])
    return [
        (
            statement,
            f"{1e3 * statistics.median(times):.0f}",
            f"{1e3 * min(times):.0f} - {1e3 * max(times):.0f}",
            f"{statistics.median(times) / base:.2f}",
        )
        for statement, times in seconds.items()
    ]
