"""What ends a command from outside: signals, which ask it to save and leave, and readers of its output that go away."""

import contextlib
import io
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
    request = Request()

    def note(number: int, _: Any) -> None:
        if request.signal == number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGINT and not request.signal:
            with contextlib.suppress(OSError):  # not print, which may be at work below
                os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")
        request.signal = request.signal or number

    with _handled(note, NAMES):
        yield request


@contextlib.contextmanager
def leaving() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise SystemExit with the code that a shell expects: files are closed."""

    def leave(number: int, _: Any) -> None:
        for each in others:  # one is enough
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    with _handled(leave, NAMES[1:]) as others:
        yield


@contextlib.contextmanager
def _handled(handler: Any, names: tuple[str, ...]) -> Iterator[dict[int, Any]]:
    """Inside, this handler has these signals, but those that the caller ignores; yield who had them before."""
    before: dict[int, Any] = {}
    for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Steady:
    """A standard stream that, when it cannot be written to, goes on into another or nowhere, and says so once, or not."""

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
        _drop(self._stream)
        self._stream = self._instead or open(os.devnull, "w")
        with contextlib.suppress(OSError, ValueError):
            why = getattr(error, "strerror", None) or error
            if self._other is not None:
                note = f"note: {self._name} cannot be written to ({why}); nothing else is lost"
                print(note, file=self._other)
            self._stream.write(text)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Needed(_Steady):
    """Standard output where it is the result: if it cannot be written to, that ends the command, in one line."""

    _lost: OSError | None = None

    def _leave(self, error: Exception, text: str = "") -> None:
        _drop(self._stream)
        if not isinstance(error, BrokenPipeError):
            why = getattr(error, "strerror", None) or error
            self._lost = OSError(f"{self._name} cannot be written to ({why}); what it took is all there is")
        raise self._lost or error

    def flush(self) -> None:
        if self._lost:  # to argparse, it was not worth a word
            raise self._lost
        super().flush()


def _drop(stream: Any) -> None:
    """Let what a stream still holds go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def steady_output(result: bool) -> Iterator[None]:
    """Inside, no closed pipe, full disk or closed terminal ends what prints: standard output goes on on standard error.

    Where standard output is the result, it does end it, and nothing is said there of standard error.
    """
    out, err = sys.stdout, sys.stderr
    kind = _Needed if result else _Steady
    sys.stdout = kind(out, "standard output", err, err)  # type: ignore[assignment]
    sys.stderr = _Steady(err, "standard error", None if result else out, None)  # type: ignore[assignment]
    try:
        yield
    finally:
        if not result:
            sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = out, err


def open_closed_streams() -> None:
    """Where this program was started with a standard stream closed (2>&-), put one there.

    Else Python has None in its place, and the next file that is opened gets its number. Errors go nowhere;
    to standard output nothing can be written, which `steady_output` then says.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                null = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
                if null != number:
                    os.dup2(null, number)
                    os.close(null)
            raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
            setattr(sys, name, io.TextIOWrapper(raw, write_through=True))  # type: ignore[type-var]
