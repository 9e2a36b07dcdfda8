"""The command line: python -m gpt train, sample, eval."""

import argparse
import io
import math
import os
import shlex
import signal
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields
from threading import Event
from types import NoneType
from typing import Any, get_args

from gpt import checkpoint
from gpt.config import PRESETS, GPTConfig, TrainConfig
from gpt.data import Corpus
from gpt.generate import generate
from gpt.model import GPT
from gpt.run import CHECKPOINT, Run
from gpt.train import mean_loss, train
from minigrad.console.commands import Parser, answer, natural
from minigrad.errors import value_error
from minigrad.memory import reuse_memory
from minigrad.random import Generator

PROGRAM = "python -m gpt"
NANO = {name: size for name, size in PRESETS["nano"].items() if name != "vocab_size"}
SIZES = [f for f in fields(GPTConfig) if f.name != "vocab_size"]
METAVARS = {int: "INTEGER", float: "NUMBER", str: "PATH", bool: "true|false"}
USERS_MISTAKES = (ValueError, OSError, ImportError, FloatingPointError)


def _path(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("expected a path; got an empty one")
    return text


def _boolean(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"expected true or false; got {text!r}")
    return known[text.lower()]


def _add_settings(group: Any, settings: Iterable[Field], defaults: dict[str, Any]) -> None:
    """Add a flag for each field of a dataclass. Flags that are not given leave no trace in the result."""
    for f in settings:
        default = defaults.get(f.name, f.default)
        kind = next(t for t in get_args(f.type) or (f.type,) if t is not NoneType)
        shown = "" if default in (None, "", MISSING) else f" (default: {default})"
        help = f.metadata["help"].replace("%", "%%") + shown
        options: dict[str, Any] = {"type": _path if kind is str else kind, "metavar": METAVARS[kind]}
        if f.name == "log":  # a name; an empty one ends it for a run that goes on
            options = {"metavar": "PROGRAM"}
        if kind is bool:
            options.update(type=_boolean, nargs="?", const=True)
        group.add_argument(f"--{f.name}", default=argparse.SUPPRESS, help=help, **options)


def _parser() -> Parser:
    parser = Parser(prog=PROGRAM, description="Train a small GPT on characters, and sample from it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="train|sample|eval")

    command = commands.add_parser("train", help="learn a text", allow_abbrev=False)
    smaller = "take a smaller --batch_size, --block_size, --n_embd or --n_layer"
    command.set_defaults(run=_train, smaller=smaller)
    _add_settings(command.add_argument_group("training"), fields(TrainConfig), {})
    _add_settings(command.add_argument_group("model"), SIZES, NANO)
    help = "go on from the checkpoint in the folder --out, with its settings"
    command.add_argument("--resume", action="store_true", help=help)

    command = commands.add_parser("sample", help="write text", allow_abbrev=False)
    command.set_defaults(run=_sample)
    _add_checkpoint(command)
    add = command.add_argument
    add("--prompt", default="", help="text to continue (default: a line break)")
    add("--max_new_tokens", type=int, default=500, help="characters to write (default: 500)")
    help = "divides the logits: 0 takes the likeliest character, 1 draws as learnt (default: 0.8)"
    add("--temperature", type=float, default=0.8, help=help)
    add("--top_k", type=int, default=0, help="draw among the k likeliest characters; 0 for all (default: 0)")
    help = "draw among the fewest characters that together have this probability (default: 1.0, all)"
    add("--top_p", type=float, default=1.0, help=help)
    add("--seed", type=natural, default=1337, help="seed of the draws (default: 1337)")
    add("--num_samples", type=int, default=1, help="texts to write (default: 1)")

    command = commands.add_parser("eval", help="measure the loss", allow_abbrev=False)
    command.set_defaults(run=_eval)
    _add_checkpoint(command)
    command.add_argument("--data", type=_path, help="text file in UTF-8 (default: the one it was trained on)")
    help = "the first nine tenths of the text, or the rest (default: val)"
    command.add_argument("--split", choices=("train", "val"), default="val", help=help)
    return parser


def _add_checkpoint(command: argparse.ArgumentParser) -> None:
    default = os.path.join("out", CHECKPOINT)
    help = f"file that training wrote (default: {default})"
    command.add_argument("--checkpoint", type=_path, default=default, help=help)


def _train(options: argparse.Namespace) -> int:
    run = _new_or_resumed(vars(options))
    config, size = run.config, run.model.config
    print(run.corpus)
    print(f"GPT with {run.model.num_parameters(False):,} parameters: {size}")
    print(run.choose_way(), flush=True)
    if run.step >= config.max_iters:
        print(f"all {config.max_iters:,} steps are made, none is left; to go on, pass a larger --max_iters")
    elif run.step:
        print(f"going on from step {run.step:,} of {config.max_iters:,}")
    else:
        _show("it writes, before training:", run.sample())
    print("losses in nats per character")
    try:
        with _first_interrupt() as interrupted:
            train(run, interrupted.is_set)
    except ChildProcessError as error:
        return _say_how_to_go_on(run, str(error))
    except KeyboardInterrupt:  # the second one
        return _say_how_to_go_on(run, "stopped at once")
    if interrupted.is_set() and run.step < config.max_iters:
        return _say_how_to_go_on(run, f"stopped after step {run.step:,}")

    _show("it writes, after training:", run.sample())
    print(f"validation {_whole_loss(run.model, run.corpus, 'val')}")
    print(f"checkpoint  {run.checkpoint}")
    if run.curve.exists():
        print(f"loss curve  {run.curve}")
    print(f"to sample   {PROGRAM} sample --checkpoint {shlex.quote(str(run.checkpoint))}")
    return 0


def _new_or_resumed(given: dict[str, Any]) -> Run:
    """Return the run that the flags ask for."""
    sizes = {f.name: given[f.name] for f in SIZES if f.name in given}
    settings = {f.name: given[f.name] for f in fields(TrainConfig) if f.name in given}
    if not given["resume"]:
        return Run.new(TrainConfig(**settings), **{**NANO, **sizes})
    if sizes:
        raise value_error("--resume", "no sizes of the model, which are in the checkpoint", f"--{min(sizes)}")
    if "workers" in settings:
        hint = "a run keeps its way to use the cores, as sums in another order round differently"
        raise value_error("--resume", "no --workers", settings["workers"], hint)
    return Run.resume(settings.pop("out", TrainConfig.out), **settings)


def _sample(options: argparse.Namespace) -> int:
    model, vocabulary = checkpoint.build_model(*checkpoint.load(options.checkpoint))
    start, rng = vocabulary.prompt(options.prompt), Generator(options.seed)
    if options.num_samples < 1:
        raise value_error("--num_samples", "1 or more", options.num_samples)
    for i in range(options.num_samples):
        likely = {"temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p}
        tokens = generate(model, start, options.max_new_tokens, **likely, rng=rng)
        print("-" * 15 + "\n" if i else "", end="")
        print(options.prompt, end="", flush=True)
        for ids in tokens:
            print(vocabulary.decode(ids), end="", flush=True)
        print()
    return 0


def _eval(options: argparse.Namespace) -> int:
    reuse_memory()
    info, arrays = checkpoint.load(options.checkpoint)
    model, vocabulary = checkpoint.build_model(info, arrays)
    corpus = Corpus.load(info["training"]["data"] if options.data is None else options.data, vocabulary)
    corpus.check_length(model.config.block_size)
    print(f"{corpus.name}: {corpus.length:,} characters, sha256 {corpus.sha256}")
    if corpus.sha256 != info["sha256"]:
        print(f"note: it was trained on another text, sha256 {info['sha256']}")
    print(f"{options.split} {_whole_loss(model, corpus, options.split)}")
    return 0


def _whole_loss(model: GPT, corpus: Corpus, split: str) -> str:
    loss = mean_loss(model, corpus.windows(split, model.config.block_size))
    count = len(corpus.splits[split]) - 1
    return f"loss over all {count:,} characters: {loss:.4f} nats, {loss / math.log(2):.4f} bits per character"


def _show(title: str, text: str) -> None:
    print(f"{title}\n{textwrap.indent(text, '    ', lambda line: True)}", flush=True)


def _say_how_to_go_on(run: Run, what: str) -> int:
    print(f"{what}; the checkpoint is whole: {run.checkpoint}", file=sys.stderr)
    print(f"to go on: {PROGRAM} train --resume --out {shlex.quote(run.config.out)}", file=sys.stderr)
    return 130


@contextmanager
def _first_interrupt() -> Iterator[Event]:
    """Inside, the first Ctrl-C sets the event that is yielded; a second one interrupts at once."""
    event = Event()

    def note(*_: object) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, 2 for a user's mistake (in one line), 130 for Ctrl-C."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a sample may hold characters that a terminal lacks
    with warnings.catch_warnings():  # of a loss that explodes, `Run` says more than NumPy
        warnings.filterwarnings("ignore", "(overflow|invalid value|divide by zero) enc", RuntimeWarning)
        return answer(_parser(), argv, USERS_MISTAKES)


if __name__ == "__main__":
    sys.exit(main())
