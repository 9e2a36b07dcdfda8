"""The command line: python -m minigrad check, profile, run."""

# ruff: noqa: E402 - the path is set before nn is imported

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of the caller may have an nn.py of its own

from minigrad.console.commands import Parser, answer, one_line
from minigrad.watch.command import add_profile
from nn.check.command import add_check
from nn.torch_names.command import add_run, guarded

del sys.path[0]

PROGRAM = "python -m minigrad"
USERS_MISTAKES = (ValueError, TypeError, ImportError, AttributeError, OSError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; a user's mistake is one line on stderr and exit code 2."""
    parser = Parser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="command")
    add_check(commands)
    add_profile(commands)
    add_run(commands)
    argv = guarded(sys.argv[1:] if argv is None else argv)
    try:
        return answer(parser, argv, USERS_MISTAKES)
    except Exception as error:  # of the user's own function: 1 would say that its gradient is wrong
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{line.filename}, line {line.lineno}"
        print(f"{PROGRAM}: {type(error).__name__}: {one_line(error)} ({where})", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
