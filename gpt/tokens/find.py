"""Where a tokeniser comes from: its name, its file, or the folder of a model."""

import json
import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from gpt.files import as_path, read_small
from gpt.tokens.bpe import BPE, END
from gpt.tokens.plain import Bytes, Characters
from gpt.tokens.tokenizer import FORMAT, Tokenizer, from_saved
from minigrad.errors import check_type, value_error

NAMES = "characters, bytes, gpt2, bpe:SIZE or a path"
PARTS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))  # OpenAI's names, too


def choose(name: str, text: Iterable[str]) -> Tokenizer:
    """Return the tokeniser that a user names: characters (of this text), bytes, gpt2, bpe:SIZE or a path.

    bpe:SIZE learns one of SIZE tokens from the text, which comes in pieces.

    Raises    ValueError or OSError, in one line, for another name or a file that cannot be used.
    """
    if check_type("tokenizer", name, str, NAMES) == "characters":
        return Characters.of(text)
    if name == "bytes":
        return Bytes()
    if name == "gpt2":
        packages = import_module("gpt.pretrained.packages")  # here, as what is beside it imports this folder
        return load(packages.fetch("gpt2-tokenizer"))
    if name.startswith("bpe:"):
        if not name[4:].isdecimal() or len(name) > 40:
            raise value_error("tokenizer", "bpe:SIZE with a whole number", f"{name!r:.60}")
        return BPE.train(text, int(name[4:]))
    if not name or not os.path.exists(name):
        raise value_error("tokenizer", NAMES, f"{name!r:.60}")
    return load(name)


def load(path: str | Path) -> Tokenizer:
    """Return the tokeniser of a file (ours, or tokenizer.json) or of a folder as Hugging Face or OpenAI write it.

    A folder holds tokenizer.json, or a vocabulary and its merges (vocab.json and merges.txt, or encoder.json and
    vocab.bpe). Its names of special tokens, its chat template and what ends an answer are read too; of several
    templates the one named default, which transformers take for a conversation without tools.

    Raises    ValueError for a damaged or foreign file; OSError, in one line, if it cannot be read.
    """
    path = as_path("tokenizer", path)
    names, template, ends = _settings(path) if path.is_dir() else ({}, "", [])
    if not path.is_dir() or os.path.lexists(path / "tokenizer.json"):
        path = path / "tokenizer.json" if path.is_dir() else path
        found = _json(path)
        return from_saved(found, str(path)) if "format" in found else _bpe(path, found, names, template, ends)
    for vocabulary, merges in PARTS:
        if os.path.lexists(path / vocabulary):
            ids = _json(path / vocabulary)
            special = {*names.values(), END} & ids.keys()
            lines = [each for each in _text(path / merges).split("\n") if each and each[:8] != "#version"]
            try:
                said: Any = {"names": names, "chat_template": template, "ends": ends}
                return BPE.from_parts(ids, lines, sorted(special), **said)
            except (TypeError, AttributeError, ValueError) as error:
                raise value_error("tokenizer", "a vocabulary and its merges", f"{path} ({error})") from None
    raise value_error("tokenizer", "a folder with tokenizer.json, or vocab.json and merges.txt", path)


def _bpe(path: Path, definition: dict[str, Any], *settings: Any) -> BPE:
    try:
        return BPE(definition, *settings)
    except ValueError as error:
        raise value_error("tokenizer", "a tokeniser that can be used", f"{path} ({error})") from None


def _settings(folder: Path) -> tuple[dict[str, str], str, list[int]]:
    """Return {"eos_token": "<|im_end|>", ...}, the chat template and the ends of a folder, as far as it has them."""
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if os.path.lexists(folder / name):
            settings |= _json(folder / name)
    template = settings.get("chat_template") or ""
    if isinstance(template, list):  # several, by name
        pairs = [(each.get("name"), each.get("template")) for each in template if isinstance(each, dict)]
        right = all(isinstance(text, str) for pair in pairs for text in pair) and len(pairs) == len(template)
        template = dict(pairs).get("default", "") if right else template  # type: ignore[arg-type]
    for name in ("chat_template.jinja", "additional_chat_templates/default.jinja"):
        if os.path.lexists(folder / name):
            template = _text(folder / name)
    if not isinstance(template, str):
        expected = "chat_template as a text, or a list of {name, template}"
        raise value_error("tokenizer", expected, f"{template!r:.40} in {folder}")
    names = {key: value for key, value in settings.items() if key.endswith("_token")}
    names = {key: each.get("content") if isinstance(each, dict) else each for key, each in names.items()}
    return {key: each for key, each in names.items() if isinstance(each, str)}, template, _ends(folder)


def _ends(folder: Path) -> list[int]:
    """Return the ids at which transformers' `generate` ends: generation_config.json has them, or else config.json."""
    files = [folder / name for name in ("generation_config.json", "config.json")]
    said = next((_json(file).get("eos_token_id") for file in files if os.path.lexists(file)), None)
    ends = said if isinstance(said, list) else [] if said is None else [said]
    if any(type(each) is not int for each in ends):
        raise value_error("tokenizer", "whole numbers for eos_token_id", f"{said!r:.40} in {folder}")
    return ends


def _json(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise value_error("tokenizer", "JSON", f"{path} ({error})") from None
    if not isinstance(found, dict):
        raise value_error("tokenizer", f"{FORMAT!r}, or a tokenizer.json", path)
    return found


def _text(path: Path) -> str:
    return read_small("tokenizer", path).decode("utf-8", "replace")
