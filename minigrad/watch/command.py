"""python -m minigrad profile: a module run as `python -m` would, with the time of its steps and of the rest."""

import argparse
import importlib.util
import runpy
import sys
from pathlib import Path
from typing import Any

from minigrad.watch.flame import flame, sampled
from minigrad.watch.profile import profile


def add_profile(commands: Any) -> None:
    """Add the command to the parsers of `python -m minigrad`."""
    command = commands.add_parser(
        "profile",
        help="where does the time of a program go? by operation, forward and backward",
        description="Run a module as `python -m` would; print the time and bytes of each operation, and of the rest.",
        usage="%(prog)s [--html FILE] -- module [argument ...]",
    )
    command.add_argument("--html", metavar="FILE", help="draw a flame picture, a page that stands alone")
    command.add_argument("program", nargs=argparse.REMAINDER, help="gpt train --max_iters 20")
    command.set_defaults(run=run_profile)


def run_profile(arguments: argparse.Namespace) -> int:
    """Run a module under the profiler, print the table, and return the module's exit code."""
    program = [word for word in arguments.program if word != "--"]
    if not program or importlib.util.find_spec(program[0]) is None:
        raise ValueError(f"expected the name of a module; got {' '.join(program) or 'nothing'}")
    sys.argv, code = program, 0
    with sampled() as stacks, profile() as watch:
        try:
            runpy.run_module(program[0], run_name="__main__", alter_sys=True)
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    watch.stacks = stacks
    print(watch)
    if arguments.html:
        Path(arguments.html).write_text(flame(" ".join(program), stacks), encoding="utf-8")
        print(f"flame picture: {arguments.html}")
    return code
