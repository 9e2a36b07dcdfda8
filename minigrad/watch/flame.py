"""Where a program is, every two milliseconds: its flame picture, and what it does besides operations."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from minigrad.watch.page import filled

INTERVAL = 0.002  # seconds
Stacks = dict[tuple[str, ...], float]  # {functions, the outermost first: seconds}

# What is going on in a function of this name, and in all that it calls.
STEP = {"advance": "", "training_step": "", "backward": "", "step": "optimiser"}
STEP |= {"zero_grad": "optimiser", "clip_grad_norm_": "clipping", "batch": "data"}
REST = {
    "_find_and_load": "import",
    "generate": "sampling",
    "evaluate": "evaluation",
    "mean_loss": "evaluation",
}
REST |= {"estimate_loss": "evaluation", "save": "checkpoint"}


@contextmanager
def sampled() -> Iterator[Stacks]:
    """Inside, in the main thread, note which functions run; a timer's signal (SIGALRM) looks, where there is one.

    What cannot be interrupted, a matrix product say, is seen when it ends, with all the time since the last look.
    """
    found: Stacks = {}
    if not hasattr(signal, "setitimer"):
        yield found
        return
    last = time.perf_counter()

    def look(_: int, frame: FrameType | None) -> None:
        nonlocal last
        names: list[str] = []
        while frame is not None and frame.f_code.co_name != "_run_code":  # runpy's: it runs the program
            names.insert(0, f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}")
            frame = frame.f_back
        now = time.perf_counter()
        found[tuple(names)] = found.get(tuple(names), 0.0) + now - last
        last = now

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def parts(stacks: Stacks) -> tuple[dict[str, float], dict[str, float]]:
    """Return {what: seconds} of the training steps, "" for their operations, and of all else.

    The outermost function of a known name says which of the two, the innermost what a step is at.
    """
    step, rest = dict[str, float](), dict[str, float]()
    for names, seconds in stacks.items():
        known = [last for last in (name.rpartition(".")[2] for name in names) if last in STEP or last in REST]
        if known and known[0] in STEP:
            what = next(STEP[last] for last in reversed(known) if last in STEP)
            step[what] = step.get(what, 0.0) + seconds
        else:
            what = REST[known[0]] if known else "all else"
            rest[what] = rest.get(what, 0.0) + seconds
    return step, rest


def flame(name: str, stacks: Stacks) -> str:
    """Return a page that needs nothing else: a bar for each function, above those that it calls, as wide as its time."""
    return filled("flame.html", {"name": name, "stacks": list(stacks.items())})
