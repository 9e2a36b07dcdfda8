"""python -m minigrad run: a PyTorch script as it stands, on minigrad."""

import argparse
from collections.abc import Sequence
from typing import Any

from nn.torch_names.runner import run_module, run_script


def add_run(commands: Any) -> None:
    """Add the command to the parsers of `python -m minigrad`."""
    command = commands.add_parser(
        "run",
        help="run a PyTorch script as it stands: `import torch` is minigrad",
        description="Run a script, or a module with -m, as Python would, with minigrad in the place of torch.",
        usage="%(prog)s script.py [argument ...]\n       %(prog)s -m module [argument ...]",
    )
    command.add_argument("program", nargs=argparse.REMAINDER, help="train.py --max_iters=20")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run what the words name; return its exit status."""
    words = options.program[1:] if options.program[:1] == ["--"] else options.program
    if words[:1] == ["-m"] and len(words) > 1:
        return run_module(words[1], words[2:])
    if not words or words[0].startswith("-"):
        raise ValueError(f"expected a script, or -m and a module; got {words[0] if words else 'nothing'}")
    return run_script(words[0], words[1:])


def guarded(argv: Sequence[str]) -> list[str]:
    """Return the words of a command line, a script's own behind a "--", so that no other parser reads them."""
    words = list(argv)
    if words[:1] == ["run"] and words[1:2] not in (["-h"], ["--help"]):
        words.insert(1, "--")
    return words
