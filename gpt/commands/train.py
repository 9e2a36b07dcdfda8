"""python -m gpt train: learn a text, and go on after an interruption."""

import argparse
import os
import shlex
import sys
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

from gpt.commands.eval import whole_loss
from gpt.commands.flags import PROGRAM, add_settings
from gpt.config import PRESETS, GPTConfig, TrainConfig
from gpt.folder import claimed
from gpt.interruptions import requests
from gpt.memory import SMALLER
from gpt.pretrained.folder import theirs
from gpt.progress import doing, set_apart
from gpt.run import Run
from gpt.train import train
from minigrad.console.commands import natural
from minigrad.errors import value_error
from minigrad.parallel import cores, rank, ranks, world_size
from nn import lora

NANO = {name: size for name, size in PRESETS["nano"].items() if name != "vocab_size"}
ACCIDENT = 3  # exit status where the machine failed: the checkpoint cannot be written
BRIEF = 5e11  # weights times tokens: a loss that takes longer, about half a minute, is left to `gpt eval`
SIZES = [f for f in fields(GPTConfig) if f.name != "vocab_size"]


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    command.set_defaults(run=run, smaller=SMALLER)
    add_settings(command.add_argument_group("training"), fields(TrainConfig), {})
    add_settings(command.add_argument_group("model"), SIZES, NANO)
    help = "processes that share each batch, which mpiexec starts (default: as many as it has started)"
    command.add_argument("--ranks", type=natural, metavar="INTEGER", default=0, help=help)
    help = "go on from the checkpoint in the folder --out, with its settings"
    command.add_argument("--resume", action="store_true", help=help)


def run(options: argparse.Namespace) -> int:
    """Train; show what the model writes, its losses, and where the files are."""
    if options.ranks > (most := 16 * cores()):
        raise value_error("--ranks", f"{most} or fewer, 16 for each core", options.ranks)
    ranks.become(options.ranks)
    with ExitStack() as stack:  # whatever ends it: workers are closed, and the folder is free again
        return _train(stack.enter_context(_new_or_resumed(vars(options), stack)))


def _train(run: Run) -> int:
    config, size = run.config, run.model.config
    print(*[f"changed: {run.changed}"] * bool(run.changed), run.corpus, sep="\n")
    learn = sum(p.array.size for p in lora.parameters(run.model))
    count = f"{run.model.num_parameters(False):,} parameters" + f", of which {learn:,} learn" * bool(learn)
    print(f"{type(run.model).__name__} with {count}: {size}")
    print(run.choose_way(), flush=True)
    if run.step >= config.max_iters:
        print(f"all {config.max_iters:,} steps are made, none is left; to go on, pass a larger --max_iters")
    elif run.step:
        print(f"going on from step {run.step:,} of {config.max_iters:,}")
    else:
        _show(run, "a first", "before")
    print(f"losses in nats per {run.corpus.tokenizer.unit}")
    try:
        with requests() as request:
            train(run, request)
        if not any(run.workers.add_up(request())):  # a signal may have reached one rank alone
            return _show_result(run)
        what, code = f"stopped after step {run.step:,}", request.code
    except OSError as error:  # a full disk
        what, code = f"stopped after step {run.step:,}: {error}", ACCIDENT
    except KeyboardInterrupt:  # the second one, or one after the last step
        what, code = "\nstopped at once", 130
    except SystemExit as signal:
        what = "\nstopped at once" + f": {signal.code}" * isinstance(signal.code, str)
        code = 1 if isinstance(signal.code, str) else int(signal.code or 1)
    return _say_how_to_go_on(run, what, code)


def _show_result(run: Run) -> int:
    """Show what the model writes at last, its loss over all there is to measure, and where the files are."""
    config = run.config
    _show(run, "a last", "after")
    if run.model.num_parameters(False) * len(run.corpus.splits["val"]) <= BRIEF:
        doing("measuring the loss over the whole validation part")
        print(f"validation {whole_loss(run.model, run.corpus, 'val', run.block_size, run.workers)}")
    else:
        print(f"to measure  {PROGRAM} eval --checkpoint {shlex.quote(str(run.checkpoint))}")
    print(f"checkpoint  {run.checkpoint}")
    if run.curve.exists():
        print(f"loss curve  {run.curve}")
    if config.log:
        print(f"to see it   tensorboard --logdir {shlex.quote(config.out)}")
    print(f"to sample   {PROGRAM} sample --checkpoint {shlex.quote(str(run.checkpoint))}")
    return 0


def _new_or_resumed(given: dict[str, Any], stack: ExitStack) -> Run:
    """Return the run that the flags ask for, its folder claimed."""
    sizes = {f.name: given[f.name] for f in SIZES if f.name in given}
    settings = {f.name: given[f.name] for f in fields(TrainConfig) if f.name in given}
    if not given["resume"]:
        config = TrainConfig(**settings)
        if others := theirs(Path(config.out)):
            hint = "--init_from would no longer know which of the two is meant"
            raise value_error("--out", f"another folder than a model's, {others[0]}", config.out, hint)
        stack.enter_context(claimed(config.out))
        doing("reading the text, making the model")
        return Run.new(config, **(sizes if config.init_from else {**NANO, **sizes}))
    if sizes:
        raise value_error("--resume", "no sizes of the model, which are in the checkpoint", f"--{min(sizes)}")
    out = settings.pop("out", TrainConfig.out)
    if os.path.isdir(out):
        stack.enter_context(claimed(out))
    doing("reading the checkpoint and the text")
    return Run.resume(out, **settings)


def _show(run: Run, which: str, when: str) -> None:
    if run.config.sample_interval and not rank():
        doing(f"writing {which} sample")
        print(f"it writes, {when} training:\n{set_apart(run.sample())}", flush=True)


def _say_how_to_go_on(run: Run, what: str, code: int) -> int:
    """Say what ended the run, what is saved and what is lost; return the exit status."""
    start = f"mpiexec -n {world_size()} {PROGRAM}" if world_size() > 1 else PROGRAM
    go_on = f"to go on: {start} train --resume --out {shlex.quote(run.config.out)}"
    if run.step >= run.config.max_iters:
        file = shlex.quote(str(run.checkpoint))
        go_on = f"all steps are made; to sample: {PROGRAM} sample --checkpoint {file}"
    if run.saved is None or not run.checkpoint.is_file():
        there = f"; {run.checkpoint} is an earlier run's, as it was" if run.checkpoint.is_file() else ""
        what, go_on = f"{what}; nothing of this run was saved{there}", "to start again: the same command"
    else:
        lost = run.step - run.saved
        since = f" (of step {run.saved:,}; the {lost:,} since are lost)" if lost else ""
        what = f"{what}; the checkpoint is whole: {run.checkpoint}{since}"
    print(f"{what}\n{go_on}", file=sys.stderr, flush=True)
    return code
