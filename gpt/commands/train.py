"""python -m gpt train: learn a text, and go on after an interruption."""

import argparse
import shlex
import signal
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from threading import Event
from typing import Any

from gpt.commands.eval import whole_loss
from gpt.commands.flags import PROGRAM, add_settings
from gpt.config import PRESETS, GPTConfig, TrainConfig
from gpt.run import Run
from gpt.train import train
from minigrad.errors import value_error

NANO = {name: size for name, size in PRESETS["nano"].items() if name != "vocab_size"}
SIZES = [f for f in fields(GPTConfig) if f.name != "vocab_size"]


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    smaller = "take a smaller --batch_size, --block_size, --n_embd or --n_layer"
    command.set_defaults(run=run, smaller=smaller)
    add_settings(command.add_argument_group("training"), fields(TrainConfig), {})
    add_settings(command.add_argument_group("model"), SIZES, NANO)
    help = "go on from the checkpoint in the folder --out, with its settings"
    command.add_argument("--resume", action="store_true", help=help)


def run(options: argparse.Namespace) -> int:
    """Train; show what the model writes, its losses, and where the files are."""
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
    print(f"losses in nats per {run.corpus.tokenizer.unit}")
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
    print(f"validation {whole_loss(run.model, run.corpus, 'val')}")
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
