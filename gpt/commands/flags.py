"""Flags that several commands share: a setting of a dataclass each, paths, the checkpoint."""

import argparse
import os
from collections.abc import Iterable
from dataclasses import MISSING, Field
from types import NoneType
from typing import Any, get_args

from gpt.run import CHECKPOINT

PROGRAM = "python -m gpt"
NAMES = {"log": "PROGRAM", "activation": "NAME", "tokenizer": "NAME"}
METAVARS = {int: "INTEGER", float: "NUMBER", str: "PATH", bool: "true|false"}


def path(text: str) -> str:
    """Return a path that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path; got an empty one")
    return text


def boolean(text: str) -> bool:
    """Return what true, yes, 1, false, no, 0 mean."""
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"expected true or false; got {text!r}")
    return known[text.lower()]


def add_settings(group: Any, settings: Iterable[Field], defaults: dict[str, Any]) -> None:
    """Add a flag for each field of a dataclass. Flags that are not given leave no trace in the result."""
    for f in settings:
        default = defaults.get(f.name, f.default)
        kind = next(t for t in get_args(f.type) or (f.type,) if t is not NoneType)
        shown = "" if default in (None, "", MISSING) else f" (default: {default})"
        help = f.metadata["help"].replace("%", "%%") + shown
        options: dict[str, Any] = {"type": path if kind is str else kind, "metavar": METAVARS[kind]}
        if f.name in NAMES:  # not a path; an empty one ends the log of a run that goes on
            options = {"metavar": NAMES[f.name]}
        if kind is bool:
            options.update(type=boolean, nargs="?", const=True)
        group.add_argument(f"--{f.name}", default=argparse.SUPPRESS, help=help, **options)


def add_checkpoint(command: argparse.ArgumentParser) -> None:
    """Add --checkpoint."""
    default = os.path.join("out", CHECKPOINT)
    help = f"file that training wrote (default: {default})"
    command.add_argument("--checkpoint", type=path, default=default, help=help)
