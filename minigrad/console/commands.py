"""What the command lines share: an answer of one line to each mistake, and numbers that begin with a minus."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistake with one line, and takes "--flag -1e-3" for a flag with its value."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_args(self, args: Sequence[str], namespace: Any = None) -> Any:  # type: ignore[override]
        """Return the settings; up to a "--", a value that begins like a negative number is joined to its flag."""
        joined, rest = list(args), []
        if "--" in joined:
            joined, rest = joined[: joined.index("--")], joined[joined.index("--") :]
        for i in reversed(range(1, len(joined))):
            if re.fullmatch(r"--\w+", joined[i - 1]) and re.match(r"-(\d|\.\d|inf|nan)", joined[i]):
                joined[i - 1 : i + 1] = [f"{joined[i - 1]}={joined[i]}"]
        return super().parse_args([*joined, *rest], namespace)


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
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    try:
        return options.run(options)
    except BrokenPipeError:  # the reader has seen enough (`... | head`): what is still printed goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except MemoryError as error:
        hint = getattr(options, "smaller", "take a machine with more memory")
        message = f"{one_line(error) or 'out of memory'}; {hint}"
    except mistakes as error:
        message = one_line(error)
    print(f"{parser.prog} {options.command}: {message}", file=sys.stderr)
    return 2


def one_line(error: Exception) -> str:
    """Return the message of an error without its line breaks."""
    return " ".join(str(error).split())
