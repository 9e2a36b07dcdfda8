"""Training a GPT: one step, what it needs and what it costs, and the loop around it."""

import math
import time
from collections.abc import Callable, Iterable, Iterator

from gpt.config import TrainConfig
from gpt.data import Batch
from gpt.folder import claimed
from gpt.language_model import LanguageModel
from gpt.progress import Progress, save_loss_curve, set_apart, shown
from gpt.run import Run
from minigrad import switches
from minigrad.errors import check_type
from minigrad.memory import reuse_memory
from minigrad.parallel import Workers, rank
from minigrad.random import Generator
from nn.optim import AdamW, clip_grad_norm_, warmup_cosine


def training_step(
    workers: Workers,
    optimizer: AdamW,
    batches: list[Batch],
    *,
    lr: float,
    grad_clip: float = 0.0,
    step: int = 0,
) -> float:
    """Update the weights once, with the mean gradient over the batches; return their mean loss.

    Units     lr per step; grad_clip, a norm, 0 for no limit; loss in nats per token
    Random    dropout's masks are those of step number `step`
    """
    loss = workers.backward(batches, step)
    if grad_clip:
        clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], grad_clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return loss


def learning_rate(step: int, config: TrainConfig) -> float:
    """Return the learning rate of a step, counted from 0."""
    return warmup_cosine(
        step,
        lr=config.learning_rate,
        min_lr=config.learning_rate / 10 if config.min_lr is None else config.min_lr,
        warmup_iters=config.warmup_iters,
        lr_decay_iters=config.max_iters if config.lr_decay_iters is None else config.lr_decay_iters,
    )


def advance(run: Run) -> float:
    """Make one step; return its loss in nats per token.

    Raises    FloatingPointError if the loss is not finite.
    """
    c = run.config
    batches = [run.batch("train", run.batch_rng) for _ in range(c.gradient_accumulation_steps)]
    lr = learning_rate(run.step, c)
    loss = training_step(run.workers, run.optimizer, batches, lr=lr, grad_clip=c.grad_clip, step=run.step)
    _refuse_infinite(run, loss, f"in step {run.step + 1}")
    run.losses.append(loss)
    run.note("loss/step", loss)
    return loss


def mean_loss(model: LanguageModel, batches: Iterable[Batch], workers: Workers | None = None) -> float:
    """Return the mean loss over every token of the batches, without dropout, in nats per token.

    Ranks, if they are the workers, share each batch.
    """
    total, count = 0.0, 0.0
    with switches.no_grad(), model.evaluating():
        for inputs, targets in workers.shares(batches) if workers else batches:
            if targets.size:
                total += model(inputs, targets)[1].item() * targets.size
                count += targets.size
    if workers:
        total, count = workers.add_up(total, count)
    return total / count


class Stopped(Exception):
    """Who asked for it stopped an evaluation between two batches."""


def evaluate(run: Run, should_stop: Callable[[], bool] = lambda: False) -> tuple[int, float, float]:
    """Estimate and note the mean loss of both splits, on the same random batches each time.

    Raises    FloatingPointError if one is not finite; Stopped if `should_stop()`.
    """
    c, estimates = run.config, []
    for split in ("train", "val"):
        rng = Generator(c.seed)
        batches = (run.batch(split, rng) for _ in range(run.eval_iters))
        total = run.eval_iters * c.batch_size * run.block_size
        watched = shown(_until(should_stop, batches), total, f"loss, {split}")
        estimates.append(mean_loss(run.model, watched, run.workers))
        _refuse_infinite(run, estimates[-1], f"after step {run.step}")
    for split, loss in zip(("train", "val"), estimates):
        run.note(f"loss/{split}", loss)
    run.evaluations.append((run.step, estimates[0], estimates[1]))
    return run.evaluations[-1]


def _until(should_stop: Callable[[], bool], batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        if should_stop():
            raise Stopped
        yield batch


def train(run: Run, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Train to `config.max_iters`, or until `should_stop()`; print losses, write checkpoint, CSV and picture.

    Whether it ends or stops, the checkpoint then holds the last step; but before the first step, one of
    another run stays.

    Raises    ValueError if another process trains into the same folder; see `Run.save` for the others.
    """
    reuse_memory()
    config = check_type("train", run, Run, "a Run").config
    should_stop = run.workers.agreed(should_stop)
    tokens = config.batch_size * config.gradient_accumulation_steps * run.block_size
    with claimed(config.out), Progress(config.max_iters, run.step) as progress:
        try:
            while not should_stop():
                if _is_due(run):
                    _evaluate_and_save(run, progress, should_stop)
                if run.step >= config.max_iters:
                    break
                began = time.perf_counter()
                loss = advance(run)
                progress.advance(loss, tokens, time.perf_counter() - began)
                every, left = config.sample_interval, config.max_iters - run.step
                if every and run.step % every == 0 < left and not rank():
                    progress.line(f"it writes, after step {run.step:,}:\n{set_apart(run.sample())}")
        except Stopped:
            pass
        if run.saved != run.step and (run.step or not run.checkpoint.exists()):
            _save(run, progress)
        if not rank():
            save_loss_curve(run.curve, run.losses, run.evaluations)


def _is_due(run: Run) -> bool:
    """Is there an evaluation to make after this step? One that was stopped is made when the run goes on."""
    done = run.evaluations and run.evaluations[-1][0] == run.step
    return not done and (run.step % run.config.eval_interval == 0 or run.step >= run.config.max_iters)


def _evaluate_and_save(run: Run, progress: Progress, should_stop: Callable[[], bool]) -> None:
    step, train_loss, val_loss = evaluate(run, should_stop)
    _save(run, progress)
    losses = f"train {train_loss:.4f}   val {val_loss:.4f}"
    progress.line(f"step {step:>6,}   {losses}   {progress.speed}".rstrip())


def _save(run: Run, progress: Progress) -> None:
    if kept := run.save():
        size = f"{kept.stat().st_size / 1e6:,.1f} MB"
        progress.line(f"the checkpoint of an earlier run, {size}, is kept as {kept}")


def _refuse_infinite(run: Run, loss: float, where: str) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"training: expected a finite loss; got {loss} {where}; "
            f"try a smaller learning_rate; the last checkpoint is {run.checkpoint}"
        )
