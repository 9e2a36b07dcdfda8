"""Checkpoints: .npz files of named arrays and one line of JSON, without pickle."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gpt.config import GPTConfig
from gpt.data import Vocabulary
from gpt.model import GPT
from minigrad.errors import type_error, value_error
from minigrad.random import Generator

FORMAT = "minigrad checkpoint 1"
DAMAGE = (  # what NumPy and zipfile say to a file that is not what it should be
    ValueError, LookupError, TypeError, AttributeError, EOFError, OSError, RuntimeError, zipfile.BadZipFile,
)  # fmt: skip


def save(path: str | Path, info: dict[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write `info` (anything JSON can say) and nested mappings of arrays to one file.

    It is written under another name and then renamed, so that whatever interrupts the writing, `path`
    is a whole file: the new one or the one before.

    Raises    TypeError for what is no array of numbers: `load` would refuse it.
    """
    path, flat = Path(path), _flatten(arrays)
    for name, array in flat.items():
        if array.dtype.hasobject:
            raise type_error("checkpoint", "arrays of numbers", f"{array!r:.60} for {name}")
    unfinished = path.with_name(path.name + ".unfinished")
    header = json.dumps({"format": FORMAT, "arrays": list(flat), **info})
    try:
        with open(unfinished, "wb") as file:
            np.savez(file, header=np.array(header), **flat)  # flushed at its end
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the (info, arrays) that `save` wrote.

    Raises    ValueError for a damaged or foreign file; OSError, in one line, if it cannot be read.
    """
    try:
        file = open(path, "rb")
    except OSError as error:
        raise type(error)(f"checkpoint: expected a file; got {path} ({error.strerror})") from None
    try:
        with file:
            if not zipfile.is_zipfile(file):
                raise EOFError("something else, or cut short")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                flat = {name: archive[name] for name in archive.files}
        info = json.loads(str(flat.pop("header")))
        known, complete = info.pop("format") == FORMAT, info.pop("arrays") == list(flat)
    except DAMAGE as error:
        raise value_error("checkpoint", "a whole file written by `save`", f"{path} ({error})") from None
    if not (known and complete):
        got = "arrays missing" if known else "another format"
        raise value_error("checkpoint", f"a whole file in the format {FORMAT!r}", f"{got} in {path}")
    return info, _unflatten(flat)


def build_model(info: dict[str, Any], arrays: dict[str, Any]) -> tuple[GPT, Vocabulary]:
    """Return the model and the vocabulary that a checkpoint of training holds.

    Raises    ValueError if it holds none, or weights that are not those of its configuration.
    """
    if not {"model", "characters"} <= info.keys() or "model" not in arrays:
        raise value_error("checkpoint", "a model with its vocabulary", "a checkpoint without")
    model = GPT(GPTConfig(**info["model"]), rng=Generator(0, stream="fast"))
    model.load_state_dict(arrays["model"])
    return model, Vocabulary(info["characters"])


def _flatten(arrays: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return {"outer/inner": array} of nested mappings."""
    flat: dict[str, Any] = {}
    for name, value in arrays.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{name}/"))
        else:
            flat[prefix + name] = np.asarray(value)
    return flat


def _unflatten(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Undo `_flatten`."""
    nested: dict[str, Any] = {}
    for name, array in flat.items():
        *outer, last = name.split("/")
        place = nested
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = array
    return nested
