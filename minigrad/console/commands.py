"""What the command lines share: an answer of one line to each mistake, and numbers that begin with a minus."""

import argparse
import contextlib
import difflib
import os
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistake with one line, and takes "--flag -1e-3" for a flag with its value."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        message = message.replace("invalid int value:", "expected a whole number; got")
        message = message.replace("invalid float value:", "expected a number; got")
        self.exit(2, f"{self.prog}: {message}{'' if message.endswith('?') else ';'} see {self.prog} --help\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return (the settings, []): what is not known is a mistake, of this command and not of the one above it."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            meant = [nearest(word.partition("=")[0], self._option_string_actions) for word in unknown]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{did_you_mean(meant)}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = ", ".join(map(str, action.choices))
            meant = nearest(str(value), [*map(str, action.choices), *self._option_string_actions])
            raise argparse.ArgumentError(action, f"expected {known}; got {value!r}{did_you_mean([meant])}")

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> Any:  # type: ignore[override]
        """Return the settings; up to a "--", a value that begins like a negative number is joined to its flag."""
        joined, rest = list(args), []
        if self._subparsers and joined and joined[0].startswith("-") and joined[0] not in ("-h", "--help"):
            self.error(f"expected a command first; got {joined[0]}")
        if "--" in joined:
            joined, rest = joined[: joined.index("--")], joined[joined.index("--") :]
        for i in reversed(range(1, len(joined))):
            if re.fullmatch(r"--\w+", joined[i - 1]) and re.match(r"-(\d|\.\d|inf|nan)", joined[i]):
                joined[i - 1 : i + 1] = [f"{joined[i - 1]}={joined[i]}"]
        return super().parse_args([*joined, *rest], namespace)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return which of the known names one means who writes `word`, if that can be told.

    Example   >>> known = ["--learning_rate", "--lr_decay_iters", "--max_iters", "--top_k"]
              >>> [nearest(word, known) for word in ("--max-iters", "topk", "--lr", "--learn", "--max_itres", "x")]
              ['--max_iters', '--top_k', '--learning_rate', '--learning_rate', '--max_iters', None]
    """
    parts = {name: re.findall("[a-z]+", name.lower()) for name in known}
    whole = {"".join(words): name for name, words in parts.items()}
    initials = {"".join(word[0] for word in words): name for name, words in parts.items()}
    asked = "".join(re.findall("[a-z]+", word.lower()))
    if asked in whole or asked in initials:
        return whole.get(asked) or initials[asked]
    begun = [n for letters, n in whole.items() if len(asked) > 1 and letters.startswith(asked)]
    close = [whole[letters] for letters in difflib.get_close_matches(asked, whole, 1, cutoff=0.7)]
    shortest = sorted(parts, key=lambda name: len(parts[name]))
    found = [*begun, *(name for name in shortest if asked in parts[name]), *close]
    others = {"preset": ["nlayer"], "model": ["initfrom"], "out": ["to", "checkpoint"]}.get(asked, [])
    return [*found, *(whole[each] for each in others if each in whole), None][0]


def did_you_mean(meant: Iterable[str | None]) -> str:
    """Return "; did you mean these?", or nothing for none."""
    names = list(dict.fromkeys(name for name in meant if name))
    return f"; did you mean {', '.join(names)}?" if names else ""


def natural(text: str) -> int:
    """Return a whole number of 0 or more, such as a seed."""
    if not text.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of 0 or more; got {text!r}")
    return int(text)


def answer(parser: Parser, argv: Sequence[str] | None, mistakes: tuple[type[Exception], ...]) -> int:
    """Do options.run(options) for the `options` of this program; return the exit status.

    That is what the command returns, 2 for a user's mistake (in one line), or 130 for Ctrl-C. For want of
    memory, `options.smaller` says what to do.
    """
    imported, ended = signal.getsignal(signal.SIGINT) == signal.SIG_DFL, None
    argv, message = sys.argv[1:] if argv is None else argv, ""
    options = argparse.Namespace(command=" ".join(dict.fromkeys([*argv[:1], "--help"])))
    try:
        options = parser.parse_args(argv)
        if imported:  # see minigrad/__init__.py
            signal.signal(signal.SIGINT, signal.default_int_handler)
        status = options.run(options)
    except SystemExit as end:  # --help; a mistake in the flags; a signal
        ended, status = end, end.code
        message = "stopped" * (status in (129, 143))  # SIGHUP, SIGTERM
    except BrokenPipeError:  # the reader has seen enough (`... | head`)
        status = 0
    except KeyboardInterrupt:
        status, message = 130, "stopped"
    except MemoryError as error:
        hint = getattr(options, "smaller", "take a machine with more memory")
        status, message = 2, f"{one_line(error) or 'out of memory'}; {hint}"
    except mistakes as error:
        status, message = 2, one_line(error)
    if imported:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if lost := _silence():
        status, message = status or 2, lost
    if message:
        with contextlib.suppress(OSError):  # of a standard error that is full
            said = message.removeprefix(f"{options.command}: ")  # what a function of the command's name says
            line = "\nstopped" if message == "stopped" else f"{parser.prog} {options.command}: {said}"
            print(line, file=sys.stderr)
    if ended and not lost:
        raise ended
    return status


def _silence() -> str:
    """Where standard output cannot be written to, let what it holds go nowhere, and say why; for a reader's end, ""."""
    try:
        return sys.stdout and sys.stdout.flush() or ""
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        gone = isinstance(error, BrokenPipeError)
        return "" if gone else f"standard output: {error.strerror}" if error.strerror else str(error)


def one_line(error: Exception) -> str:
    """Return the message of an error without its line breaks."""
    return " ".join(str(error).split())
