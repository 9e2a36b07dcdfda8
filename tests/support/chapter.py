"""Run an example once, in an empty folder, and keep what it leaves: its variables, text and pictures."""

import ast
import atexit
import contextlib
import functools
import io
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"
sys.path.append(str(FOLDER))  # where `python examples/NAME.py` finds its neighbours
chapters = import_module("chapters")


@functools.cache
def run(name):
    """Return (variables, printed text, folder of the pictures) of one example."""
    folder, printed = Path(tempfile.mkdtemp(prefix=f"{name}-")), io.StringIO()
    atexit.register(shutil.rmtree, folder)
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
            variables = chapters.run(name)
    except ModuleNotFoundError as error:
        if not str(error).startswith("fetch:"):
            raise
        pytest.skip(str(error))  # real weights, that neither a package nor the network brings
    return variables, printed.getvalue(), folder / "out"


def tree(name):
    """Return the parsed script."""
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def expected(name):
    """Return the lines that an example's docstring promises."""
    promised = ast.get_docstring(tree(name)).partition("\nExpected\n")[2]
    return [line.strip() for line in promised.partition("\n\n")[0].splitlines()]
