"""What training shows: a progress bar, the losses as a table, a picture, and to TensorBoard; all but the table optional."""

import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

from nn.archive import replacing

CLOCK = 1.0  # seconds after which a bar is drawn again
NO_BAR = SimpleNamespace(  # without tqdm: lines alone
    n=0, update=lambda n=1: None, set_postfix_str=lambda *_, **__: None, write=partial(print, flush=True)
)


@contextmanager
def bar(total: int, unit: str, **settings: Any) -> Iterator[Any]:
    """Yield a bar of tqdm's, at a terminal with a clock that goes on while nothing is counted; or NO_BAR."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        yield NO_BAR
        return
    ended = Event()
    with tqdm(total=total, unit=unit, dynamic_ncols=True, **settings) as drawn:

        def go_on() -> None:
            while not ended.wait(CLOCK):
                drawn.refresh()

        clock = Thread(target=go_on, daemon=True)
        if sys.stderr.isatty():
            clock.start()
        try:
            yield drawn
        finally:
            ended.set()
            if clock.is_alive():
                clock.join()


class Progress:
    """A bar of steps with loss, tokens per second and the time left; without tqdm, the lines alone.

    Units     total and done in steps
    """

    def __init__(self, total: int, done: int) -> None:
        self._seconds = 0.0
        patience = 0.1 if sys.stderr.isatty() else 10.0  # seconds between updates; a log wants few
        self._open = bar(total, "step", initial=done, mininterval=patience)

    def advance(self, loss: float, tokens: int, seconds: float) -> None:
        """Count a step, its mean loss in nats per token, and the time it took."""
        self._seconds = 0.95 * self._seconds + 0.05 * seconds if self._seconds else seconds
        self._tokens_per_second = tokens / self._seconds
        self._bar.set_postfix_str(f"loss {loss:.3f}, {self.speed}", refresh=False)
        self._bar.update()

    @property
    def speed(self) -> str:
        """The recent speed, in words; nothing before the first step."""
        return f"{self._tokens_per_second:,.0f} tokens/s" if self._seconds else ""

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.write(text)

    def __enter__(self) -> "Progress":
        self._bar = self._open.__enter__()
        if self._bar is NO_BAR:
            self.line('no progress bar without tqdm; install it with: pip install -e ".[examples]"')
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)


def set_apart(text: str) -> str:
    """Return a text that a model writes, its lines behind four spaces."""
    return textwrap.indent(text, "    ", lambda line: True)


def doing(what: str) -> None:
    """Say at once what is being done: to someone who watches, or reads a log."""
    print(f"{what} ...", file=sys.stderr, flush=True)


def shown(batches: Iterable[Any], total: int, what: str) -> Iterator[Any]:
    """Yield the batches, of so many targets together, and show how far it is.

    At a terminal there is a bar before the first batch is done, which may take long; a log gets a line after two
    seconds and then every ten.
    """
    patience, delay = (0.1, 0.0) if sys.stderr.isatty() else (10.0, 2.0)
    settings = {"unit_scale": True, "desc": what, "leave": False, "delay": delay, "mininterval": delay}
    with bar(total, "token", **settings) as counted:
        for batch in batches:
            yield batch
            if counted.update(batch[1].size):  # it has been drawn
                counted.mininterval = patience


def open_log(program: str, folder: str) -> Any:
    """Return what writes for "tensorboard", with `add_scalar(name, value, step)` and `flush()`; None for "".

    Raises    ImportError, with what to install, without TensorBoard.
    """
    if not program:
        return None
    try:
        from tensorboard.summary import Writer
    except ModuleNotFoundError:
        message = '--log: expected the package tensorboard; got none; pip install -e ".[tensorboard]"'
        raise ImportError(message) from None
    return Writer(folder)


def save_losses(path: str | Path, losses: list[float], evaluations: list[tuple[int, float, float]]) -> None:
    """Write a line of CSV for each step: its loss and, where evaluated, both estimates (step, train, val).

    Units     losses in nats per token
    """
    estimates = {step: f"{train},{val}" for step, train, val in evaluations}
    lines = [f"{step},{loss},{estimates.get(step, ',')}" for step, loss in enumerate(["", *losses])]
    with replacing(path) as file:
        file.write("\n".join(["step,loss,train,val", *lines, ""]).encode())


def save_loss_curve(
    path: str | Path, losses: list[float], evaluations: list[tuple[int, float, float]]
) -> bool:
    """Draw each step's loss and the evaluations (step, train, val); if that cannot be, say so, and no more.

    Units     losses in nats per token
    """
    try:
        _draw(path, losses, evaluations)
    except ModuleNotFoundError:
        print('no picture of the losses without matplotlib; install it with: pip install -e ".[examples]"')
        return False
    except Exception as error:  # a setting of matplotlib's, a font, a full disk: no run fails for a picture
        print(f"note: no picture of the losses ({' '.join(str(error).split())})", file=sys.stderr)
        return False
    return True


def _draw(path: str | Path, losses: list[float], evaluations: list[tuple[int, float, float]]) -> None:
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, color="0.82", linewidth=0.8, label="each step")
    for column, name, colour in ((1, "train", "tab:blue"), (2, "validation", "tab:orange")):
        points = [(e[0], e[column]) for e in evaluations]
        label = f"{name}, {points[-1][1]:.3f} at last" if points else name
        axes.plot(*zip(*points), "o-", color=colour, markersize=4, label=label)
    axes.set(xlabel="step", ylabel="loss (nats per token)", title="Cross-entropy while training")
    axes.grid(alpha=0.3)
    axes.legend()
    with replacing(path) as file:
        figure.savefig(file, dpi=150, format="png")
