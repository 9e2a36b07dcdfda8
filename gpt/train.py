"""Training a GPT: one step, what it needs and what it costs, and the loop around it."""

import math
import time
from collections.abc import Callable, Iterable

from gpt.config import TrainConfig
from gpt.data import Batch
from gpt.language_model import LanguageModel
from gpt.progress import Progress, save_loss_curve
from gpt.run import Run
from minigrad import random, switches
from minigrad.memory import reuse_memory
from minigrad.parallel import Way, Workers
from minigrad.random import Generator
from nn.optim import AdamW, clip_grad_norm_, warmup_cosine


def training_step(
    model: LanguageModel,
    optimizer: AdamW,
    batches: list[Batch],
    *,
    lr: float,
    grad_clip: float = 0.0,
    workers: Workers | None = None,
) -> float:
    """Update the weights once, with the mean gradient over the batches; return their mean loss.

    Units     lr per step; grad_clip, a norm, 0 for no limit; loss in nats per token
    """
    workers = workers or Workers(Way(1, 1), random.default_generator(), model.loss, ())
    losses = [workers.accumulate(batch, 1.0 / len(batches)) for batch in batches]
    if grad_clip:
        clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], grad_clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad()
    return sum(losses) / len(losses)


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
    lr, workers = learning_rate(run.step, c), run.workers
    loss = training_step(run.model, run.optimizer, batches, lr=lr, grad_clip=c.grad_clip, workers=workers)
    _refuse_infinite(run, loss, f"in step {run.step + 1}")
    run.losses.append(loss)
    run.note("loss/step", loss)
    return loss


def mean_loss(model: LanguageModel, batches: Iterable[Batch]) -> float:
    """Return the mean loss over every token of the batches, without dropout, in nats per token."""
    total, count = 0.0, 0
    with switches.no_grad(), model.evaluating():
        for inputs, targets in batches:
            _, loss = model(inputs, targets)
            total += loss.item() * targets.size
            count += targets.size
    return total / count


def evaluate(run: Run) -> tuple[int, float, float]:
    """Estimate and note the mean loss of both splits, on the same random batches each time.

    Raises    FloatingPointError if one is not finite.
    """
    c, estimates = run.config, []
    for split in ("train", "val"):
        rng = Generator(c.seed)
        estimates.append(mean_loss(run.model, (run.batch(split, rng) for _ in range(c.eval_iters))))
        _refuse_infinite(run, estimates[-1], f"after step {run.step}")
        run.note(f"loss/{split}", estimates[-1])
    run.evaluations.append((run.step, estimates[0], estimates[1]))
    return run.evaluations[-1]


def train(run: Run, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Train to `config.max_iters`, or until `should_stop()`; print losses, write checkpoint, CSV and picture.

    Whether it ends or stops, the checkpoint then holds the last step.
    """
    reuse_memory()
    config = run.config
    tokens = config.batch_size * config.gradient_accumulation_steps * run.model.config.block_size
    with Progress(config.max_iters, run.step) as progress:
        if not run.evaluations:
            if kept := run.keep_earlier_checkpoint():
                progress.line(f"the checkpoint of an earlier run is kept as {kept}")
            _evaluate_and_save(run, progress)
        while run.step < config.max_iters and not should_stop():
            began = time.perf_counter()
            loss = advance(run)
            progress.advance(loss, tokens, time.perf_counter() - began)
            if run.step % config.eval_interval == 0 or run.step == config.max_iters:
                _evaluate_and_save(run, progress)
    if run.step < config.max_iters:
        run.save()
    save_loss_curve(run.curve, run.losses, run.evaluations)


def _evaluate_and_save(run: Run, progress: Progress) -> None:
    step, train_loss, val_loss = evaluate(run)
    run.save()
    progress.line(
        f"step {step:>6,}   train {train_loss:.4f}   val {val_loss:.4f}   {progress.speed}".rstrip()
    )


def _refuse_infinite(run: Run, loss: float, where: str) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"training: expected a finite loss; got {loss} {where}; "
            f"try a smaller learning_rate; the last checkpoint is {run.checkpoint}"
        )
