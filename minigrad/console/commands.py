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


def forget_the_reader() -> int:
    """Let what is still printed go nowhere, as the reader of a pipe has seen enough (`... | head`); return 0."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def one_line(error: Exception) -> str:
    """Return the message of an error without its line breaks."""
    return " ".join(str(error).split())
