"""The command line: python -m gpt train, sample, eval, chat, export."""

import io
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from gpt.interruptions import leaving, open_closed_streams, steady_output
from minigrad.console.commands import Parser, answer
from minigrad.parallel import together, world_size

COMMANDS = {
    "train": "learn a text",
    "sample": "write text",
    "eval": "measure the loss",
    "chat": "talk with a model",
    "export": "write a folder for transformers",
}
WRITERS = (["train"], ["export"])  # of files; what the others print is what they are for
USERS_MISTAKES = (ValueError, OSError, ImportError, FloatingPointError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, 2 for a user's mistake (in one line), 130 for Ctrl-C.

    And 143 and 129 for SIGTERM and SIGHUP; of training, 3 where the machine failed.
    """
    open_closed_streams()
    argv = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a sample may hold characters that a terminal lacks
    printed = [*argv[:1]] not in WRITERS or "--help" in argv
    with steady_output(printed), leaving(), warnings.catch_warnings():
        # of a loss that explodes, `Run` says more than NumPy
        warnings.filterwarnings("ignore", "(overflow|invalid value|divide by zero) enc", RuntimeWarning)
        parser = _parser(argv)
        if world_size() > 1 and argv[:1] != ["train"]:
            expected = f"mpiexec to start {world_size()} processes that train"
            parser.error(f"expected {expected}; got {' '.join(argv[:1]) or 'no command'}")
        return answer(parser, argv, USERS_MISTAKES)


def _parser(argv: Sequence[str]) -> Parser:
    """Return the parser, with the flags of the one command that is asked for: the others are not even imported."""
    parser = Parser(
        prog="python -m gpt",
        description="Train a small GPT, sample from it, and talk with models of other people.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="|".join(COMMANDS))
    for name, help in COMMANDS.items():
        described = f"{help[0].upper()}{help[1:]}."
        command = commands.add_parser(name, help=help, description=described, allow_abbrev=False)
        if name in argv[:1]:
            import_module(f"gpt.commands.{name}").add(command)
    return parser


if __name__ == "__main__":
    sys.exit(together(main))
