"""What ends a run from outside: signals, which ask it to save and leave, and readers of its output that go away."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C; a system that shuts down, `timeout`; a terminal that closes


class Request:
    """Whether, and by which signal, the run was asked to stop; `code` is the exit status that a shell expects."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> bool:
        """Was there one?"""
        return self.signal != 0

    @property
    def code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.signal


@contextlib.contextmanager
def requests() -> Iterator[Request]:
    """Inside, a signal is noted in the Request that is yielded; a second Ctrl-C raises KeyboardInterrupt.

    The others may come twice without such haste: a system that shuts down sends SIGTERM, and SIGHUP right after.
    What the caller ignores (nohup ignores SIGHUP, a shell's & SIGINT) stays ignored.
    """
    request, before = Request(), {}

    def note(number: int, _: Any) -> None:
        if request.signal == number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGINT and not request.signal:
            with contextlib.suppress(OSError):  # not print, which may be at work below
                os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")
        request.signal = request.signal or number

    for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Steady:
    """A standard stream that, when it cannot be written to, says so once and goes on, into another or nowhere."""

    def __init__(self, stream: Any, name: str, other: Any, instead: Any) -> None:
        self._stream, self._name, self._other, self._instead = stream, name, other, instead

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except (OSError, ValueError) as error:
            self._leave(error, text)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._leave(error)

    def _leave(self, error: Exception, text: str = "") -> None:
        lost, self._stream = self._stream, self._instead or open(os.devnull, "w")
        with contextlib.suppress(OSError, ValueError):  # what it still holds goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), lost.fileno())
        with contextlib.suppress(OSError, ValueError):
            why = getattr(error, "strerror", None) or error
            print(f"note: {self._name} cannot be written to ({why}); training goes on", file=self._other)
            self._stream.write(text)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def steady_output() -> Iterator[None]:
    """Inside, no closed pipe, full disk or closed terminal ends what prints: standard output goes on on standard error."""
    before = sys.stdout, sys.stderr
    if sys.stdout is not None and sys.stderr is not None:
        sys.stdout, sys.stderr = (  # type: ignore[assignment]
            _Steady(sys.stdout, "standard output", sys.stderr, sys.stderr),
            _Steady(sys.stderr, "standard error", sys.stdout, None),
        )
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before


def open_closed_streams() -> None:
    """Where this program was started with a standard stream closed (2>&-), put one there that writes nowhere.

    Else Python has None in its place, and the next file that is opened gets its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                null = os.open(os.devnull, os.O_RDWR)
                if null != number:
                    os.dup2(null, number)
                    os.close(null)
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))
