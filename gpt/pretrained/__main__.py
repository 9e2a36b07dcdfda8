"""What a real model takes of memory and time, as float32 and packed: python -m gpt.pretrained [FILE.gguf]."""

import json
import resource
import subprocess
import sys
import time

import numpy as np

from gpt.pretrained import gguf
from minigrad import no_grad
from minigrad.parallel import set_blas_threads

PROMPT, NEW = 100, 10  # tokens


def main(argv: list[str]) -> int:
    """Measure each way in a process of its own; print a table. Units: MB of 10^6 bytes, seconds."""
    path = gguf.find(argv[0] if argv else "smollm2")
    if path is None or len(argv) == 2:
        print(json.dumps(_measure(*argv)) if path else "usage: python -m gpt.pretrained [FILE.gguf]")
        return 0 if path else 2
    columns = f"memory|loaded in|peak MB then|prompt of {PROMPT} in|a token in|peak MB at last".split("|")
    print(" | ".join(columns))
    for memory in gguf.MEMORY:
        command = [sys.executable, "-m", "gpt.pretrained", str(path), memory]
        row = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        print(" | ".join(each.rjust(len(column)) for each, column in zip((memory, *row), columns)))
    return 0


def _measure(path: str, memory: str) -> list[str]:
    set_blas_threads(1)  # more would wait for one another, where a core is taken
    ids, clock = np.arange(PROMPT)[None], time.perf_counter
    times = [clock()]
    model = gguf.load(path, memory)
    times.append(clock())
    loaded, cache = _peak(), model.new_cache()
    with no_grad():
        model(ids, cache=cache)
        times.append(clock())
        for i in range(NEW):
            model(ids[:, i : i + 1], cache=cache)
    times.append(clock())
    load, prefill, decode = np.diff(times)
    return [f"{load:.2f} s", f"{loaded:.0f}", f"{prefill:.2f} s", f"{decode / NEW:.3f} s", f"{_peak():.0f}"]


def _peak() -> float:
    """The most memory that this process has had."""
    unit = 1e6 if sys.platform == "darwin" else 1e3 / 1.024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
