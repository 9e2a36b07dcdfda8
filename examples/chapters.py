"""Find the examples and run them."""

import ast
import runpy
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def chapters() -> dict[str, str]:
    """Return {name: its docstring's first line} of every script in cells beside this file."""
    titles = {}
    for path in sorted(FOLDER.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "\n# %%\n" in text:
            titles[path.stem] = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return titles


def run(name: str) -> dict[str, Any]:
    """Run one example, which prints and draws; return its variables."""
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))  # as when the script itself is run: `pictures` lies beside it
    return runpy.run_path(str(FOLDER / f"{name}.py"))
