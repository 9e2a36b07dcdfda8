"""Checkpoints: .npz files of named arrays and one line of JSON, without pickle."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from gpt.config import GPTConfig, LlamaConfig, of_type
from gpt.files import as_path
from gpt.language_model import LanguageModel
from gpt.llama import Llama
from gpt.model import GPT
from gpt.tokens import Characters, Tokenizer, from_json
from minigrad.errors import check_type, type_error, value_error
from minigrad.random import Generator
from minigrad.random.no_draws import NO_DRAWS
from nn import archive, lora

KIND, NUMBER = "minigrad checkpoint", 2  # format 1, which is read too, had its header among the arrays
HEADER = "header.json"

MODELS: dict[str, tuple[Any, Any]] = {"GPT": (GPT, GPTConfig), "Llama": (Llama, LlamaConfig)}  # by name


def save(path: str | Path, info: dict[str, Any], arrays: Mapping[str, Any], keep: Path | None = None) -> None:
    """Write `info` (anything JSON can say) and nested mappings of arrays to one file.

    Whatever interrupts the writing, `path` is a whole file, the new one or the one before, which is then
    called `keep`, if that is given; see `nn.archive.replacing`.

    Raises    TypeError for what is no array of numbers: `load` would refuse it.
    """
    flat = _flatten(arrays)
    for name, array in flat.items():
        if array.dtype.hasobject:
            raise type_error("checkpoint", "arrays of numbers", f"{array!r:.60} for {name}")
    header = {"format": f"{KIND} {NUMBER}", "arrays": list(flat), **info}
    with archive.replacing(path, keep) as file:
        archive.write(file, HEADER, header, flat)


def load(path: str | Path, arrays: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the (info, arrays) that `save` wrote; arrays=False: info alone, without reading the rest.

    Raises    ValueError for a damaged or foreign file; OSError, in one line, if it cannot be read.
    """
    as_path("checkpoint", path)
    try:
        file = archive.open_file(path)
    except OSError as error:
        raise type(error)(f"checkpoint: expected a file; got {path!s:.200} ({error.strerror})") from None
    try:
        with file:
            info, flat = archive.read(file, HEADER, arrays)
        if info is None:
            info = json.loads(str(flat.pop("header")))
        archive.check_format(info.pop("format"), KIND, NUMBER)
        if info.pop("arrays") != list(flat) and arrays:
            raise ValueError("arrays missing")
        return info, _unflatten(flat)
    except archive.DAMAGE as error:
        got = f"{path} ({' '.join(str(error).split())})"
        raise value_error("checkpoint", "a whole file written by `save`", got) from None


def settings(kind: Any, found: Any) -> Any:
    """Return the dataclass `kind` of settings that a checkpoint holds.

    Raises    ValueError, naming them, for settings that it has not or that are of another type.
    """
    known = {f.name: f for f in fields(kind)}
    if not isinstance(found, dict):
        raise value_error("checkpoint", f"settings of {kind.__name__}", f"{found!r:.40}")
    if unknown := sorted(found.keys() - known.keys()):
        hint = "did a newer minigrad write it?"
        raise value_error("checkpoint", f"settings of {kind.__name__}", ", ".join(unknown), hint)
    for name, value in found.items():
        if not of_type(known[name], value):
            raise value_error("checkpoint", f"a setting {name} of {kind.__name__}", f"{value!r:.40}")
    return kind(**found)


def build_model(info: dict[str, Any], arrays: dict[str, Any]) -> tuple[LanguageModel, Tokenizer]:
    """Return the model and the tokeniser that a checkpoint of training holds.

    Raises    ValueError if it holds none, or weights that are not finite or not those of its configuration.
    """
    info, arrays = (check_type("checkpoint", each, dict, "what `load` returns") for each in (info, arrays))
    known = "model" in info and {"tokenizer", "characters"} & info.keys()
    if not known or not isinstance(arrays.get("model"), dict):
        raise value_error("checkpoint", "a model with its tokeniser", "a checkpoint without")
    if info.get("kind", "GPT") not in [*MODELS]:
        hint = "did a newer minigrad write it?"
        raise value_error("checkpoint", f"a model of {', '.join(MODELS)}", f"{info['kind']!r:.40}", hint)
    made, kind = MODELS[info.get("kind", "GPT")]
    config, weights, tokenizer = settings(kind, info["model"]), arrays["model"], _tokenizer(info)
    check_finite(weights)
    rows = info.get("block_size", config.block_size)  # of training, where the model itself can read more
    if type(rows) is not int or not 0 < rows <= config.block_size:
        raise value_error("checkpoint", f"a block_size in 1..{config.block_size}", f"{rows!r:.40}")
    _compare(config, weights)
    check_vocabulary("checkpoint", config, tokenizer)
    model, rank = made(config, rng=NO_DRAWS), info.get("lora", 0)
    if rank:
        lora.add(model, rank, rng=Generator(0))
    model.load_state_dict(weights, assign=True)
    if len(dtypes := {str(array.dtype) for array in weights.values()}) > 1:
        raise value_error("checkpoint", "weights of one dtype", " and ".join(sorted(dtypes)))
    return model, tokenizer


def check_vocabulary(where: str, config: Any, tokenizer: Tokenizer) -> None:
    """Raise ValueError for a model with fewer tokens than its tokeniser; more are padding, and never drawn."""
    if config.vocab_size < len(tokenizer):
        expected = f"a vocabulary of {len(tokenizer)} tokens or more, as many as the tokeniser has"
        raise value_error(where, expected, config.vocab_size)


def _tokenizer(info: dict[str, Any]) -> Tokenizer:
    """Return the tokeniser of a checkpoint; those written before there were several hold characters."""
    found = info.get("tokenizer", info.get("characters"))
    if not isinstance(found, str):
        raise value_error("checkpoint", "a tokeniser", f"{found!r:.40}")
    return from_json(found, "the checkpoint") if "tokenizer" in info else Characters(found)


def check_finite(arrays: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the first, if one of the (nested) arrays is not of finite numbers."""
    for name, array in _flatten(arrays).items():
        numbers = array.dtype.kind in "biuf"
        if not numbers or array.size and not np.isfinite([array.min(), array.max()]).all():
            got = "NaN or infinity" if numbers else str(array.dtype)
            raise value_error("checkpoint", f"finite numbers in {name}", got)


def _compare(config: Any, weights: Mapping[str, Any]) -> None:
    """Raise ValueError, before a model is built, if its configuration is far from the weights that are there."""
    total = sum(a.size for a in _flatten(weights).values())
    blocks = {name.split(".")[1] for name in weights if name.startswith(("h.", "layers."))}
    positions = np.shape(weights.get("wpe.weight", np.empty((config.block_size, 0))))[:1]
    wrong = f"n_layer {config.n_layer}" if config.n_layer != len(blocks) else ""
    if config.vocab_size * config.n_embd > total:
        wrong = f"vocab_size {config.vocab_size} and n_embd {config.n_embd}"
    if positions != (config.block_size,):
        wrong = f"block_size {config.block_size}"
    if wrong:
        raise value_error("checkpoint", f"weights of a model with {wrong}", f"{total:,} numbers of another")


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
    """Undo `_flatten`.

    Raises    TypeError for a name that is an array and holds others.
    """
    nested: dict[str, Any] = {}
    for name, array in flat.items():
        *outer, last = name.split("/")
        place: Any = nested
        for part in outer:
            place = place.setdefault(part, {})
        if not isinstance(place, dict) or last in place:
            raise TypeError(f"{name} is an array, and holds others")
        place[last] = array
    return nested
