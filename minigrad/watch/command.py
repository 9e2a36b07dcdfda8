"""python -m minigrad profile: a module run as `python -m` would, with the time of its operations."""

import argparse
import importlib.util
import runpy
import sys
from typing import Any

from minigrad.watch.profile import profile


def add_profile(commands: Any) -> None:
    """Add the command to the parsers of `python -m minigrad`."""
    command = commands.add_parser(
        "profile",
        help="where does the time of a program go? by operation, forward and backward",
        description="Run a module as `python -m` would, and print the time and bytes of every operation.",
        usage="%(prog)s -- module [argument ...]",
    )
    command.add_argument("program", nargs=argparse.REMAINDER, help="gpt train --max_iters 20")
    command.set_defaults(run=run_profile)


def run_profile(arguments: argparse.Namespace) -> int:
    """Run a module under the profiler, print the table, and return the module's exit code."""
    program = [word for word in arguments.program if word != "--"]
    if not program or importlib.util.find_spec(program[0]) is None:
        raise ValueError(f"expected the name of a module; got {' '.join(program) or 'nothing'}")
    sys.argv, code = program, 0
    with profile() as watch:
        try:
            runpy.run_module(program[0], run_name="__main__", alter_sys=True)
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    print(watch)
    return code
