"""Flags that several commands share: a setting of a dataclass each, paths, the checkpoint."""

import argparse
import os
import shlex
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from gpt import checkpoint
from gpt.folder import CHECKPOINT
from gpt.language_model import LanguageModel
from gpt.pretrained import gguf
from gpt.pretrained.anywhere import open_model
from gpt.pretrained.folder import theirs
from gpt.tokens import Tokenizer
from minigrad.console.commands import did_you_mean, natural, nearest
from minigrad.errors import value_error
from minigrad.gpu.device import array_library
from minigrad.random import Generator
from nn.activations import ACTIVATIONS

PROGRAM = "python -m gpt"
MODELS = "smollm2, gguf:FILE, a folder of Hugging Face's, or of training"
NAMES = {  # what is no path, and may be empty: a word for it, and those that are known
    "log": ("PROGRAM", "tensorboard"),
    "activation": ("NAME", *ACTIVATIONS),
    "tokenizer": ("NAME", "characters", "bytes", "gpt2", "bpe:SIZE"),
    "device": ("cpu|cuda", "cpu", "cuda"),
    "init_from": ("MODEL", "smollm2", "gguf:FILE"),
}
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


def named(*names: str) -> Callable[[str], str]:
    """Return what takes a text, but one that is not there and nearly one of the names (a word, or word:WHAT)."""

    def take(text: str) -> str:
        word = text.partition(":")[0]
        meant = nearest(word, names) or next((name for name in names if name in text.lower()), None)
        if meant is None or word in [name.partition(":")[0] for name in names] or os.path.lexists(text):
            return text
        known = ", ".join(names) + " or a path" * (":" in "".join(names))  # gguf:FILE, bpe:SIZE
        raise argparse.ArgumentTypeError(f"expected {known}; got {text!r}{did_you_mean([meant])}")

    return take


def add_settings(group: Any, settings: Iterable[Field], defaults: dict[str, Any]) -> None:
    """Add a flag for each field of a dataclass. Flags that are not given leave no trace in the result."""
    for f in settings:
        default = defaults.get(f.name, f.default)
        kind = next(t for t in get_args(f.type) or (f.type,) if t is not NoneType)
        shown = "" if default in (None, "", MISSING) else f" (default: {default})"
        help = f.metadata["help"].replace("%", "%%") + shown
        options: dict[str, Any] = {"type": path if kind is str else kind, "metavar": METAVARS[kind]}
        if f.name in NAMES:
            options = {"metavar": NAMES[f.name][0], "type": named(*NAMES[f.name][1:])}
        if kind is bool:
            options.update(type=boolean, nargs="?", const=True)
        group.add_argument(f"--{f.name}", default=argparse.SUPPRESS, help=help, **options)


def add_source(command: argparse.ArgumentParser) -> None:
    """Add --checkpoint and --init_from, either of which names a model."""
    source = command.add_mutually_exclusive_group()
    default = os.path.join("out", CHECKPOINT)
    help = f"file that training wrote (default: {default})"
    source.add_argument("--checkpoint", type=path, default=default, help=help)
    add_model(source, "--init_from", "--model", help=f"another model: {MODELS}")
    add_memory(command)


def add_model(group: Any, *flags: str, **settings: Any) -> None:
    """Add what names a model, under each of the flags that people write for it."""
    group.add_argument(*flags, type=named(*NAMES["init_from"][1:]), metavar="MODEL", **settings)


def add_memory(command: argparse.ArgumentParser) -> None:
    """Add --memory and --device."""
    help = "small keeps the weights of a GGUF file packed: a quarter of the memory, slower (default: float32)"
    command.add_argument("--memory", choices=gguf.MEMORY, default="float32", help=help)
    help = "cuda computes on a GPU (default: cpu)"
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help=help)


def on_device(options: argparse.Namespace, opened: Callable[..., tuple], *given: Any) -> tuple:
    """Return opened(*given), a model and more, the model where --device says; that there is such is asked first."""
    array_library(options.device)
    if options.device != "cpu" and options.memory != "float32":
        raise value_error("--device", "no --memory on a GPU", options.memory)
    model, *more = opened(*given)
    return model.to(options.device), *more


def open_source(options: argparse.Namespace) -> tuple[LanguageModel, Tokenizer, dict[str, Any]]:
    """Return the model that was asked for, its tokeniser, and what its checkpoint says of its training, or {}."""
    if options.init_from is not None:
        return *on_device(options, open_model, options.init_from, options.memory), {}
    if options.memory != "float32":
        raise value_error("--memory", "--init_from smollm2 or gguf:FILE", "a checkpoint")
    array_library(options.device)  # asked before anything is read
    folder = options.checkpoint if os.path.isdir(options.checkpoint) else ""
    whole = os.path.join(folder, CHECKPOINT)
    if folder and not os.path.lexists(whole) and theirs(Path(folder)):
        raise value_error("--checkpoint", CHECKPOINT, folder, f"pass --init_from {shlex.quote(folder)}")
    info, arrays = checkpoint.load(whole if folder else options.checkpoint)
    model, tokenizer = on_device(options, checkpoint.build_model, info, arrays)
    model.eval()
    return model, tokenizer, info


def add_likely(
    command: argparse.ArgumentParser, *, temperature: float, top_p: float, repetition_penalty: float
) -> None:
    """Add the flags that say which tokens are likely to be drawn."""
    add = command.add_argument
    help = "divides the logits: 0 takes the likeliest token, 1 draws as learnt"
    add("--temperature", type=float, default=temperature, help=f"{help} (default: {temperature})")
    add("--top_k", type=int, default=0, help="draw among the k likeliest tokens; 0 for all (default: 0)")
    help = "draw among the fewest tokens that together have this probability; 1 for all"
    add("--top_p", type=float, default=top_p, help=f"{help} (default: {top_p})")
    help = "above 1, tokens that were there before are less likely"
    help += f" (default: {repetition_penalty})"
    add("--repetition_penalty", type=float, default=repetition_penalty, help=help)
    add("--seed", type=natural, default=1337, help="seed of the draws (default: 1337)")


def likely(options: argparse.Namespace) -> dict[str, Any]:
    """Return what these flags say, as settings of `gpt.generate.generate`."""
    names = ("temperature", "top_k", "top_p", "repetition_penalty")
    return {name: getattr(options, name) for name in names} | {"rng": Generator(options.seed)}
