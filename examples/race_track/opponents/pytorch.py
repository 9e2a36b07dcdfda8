"""PyTorch: the twin of the tests, eager or compiled."""

from collections.abc import Callable, Iterator

import torch
from race_track.cells import (
    BETAS,
    GRAD_CLIP,
    LEARNING_RATE,
    WEIGHT_DECAY,
    Batch,
    Cell,
    batches,
    initial_weights,
)
from race_track.opponents import Entry, greedy
from race_track.opponents.cached_llama import CachedLlama
from race_track.opponents.cached_twin import CachedTwin

from minigrad.console.tables import table
from tests.support.twin import Twin

PROFILED = 20  # operators in the table


def build(cell: Cell, compiled: bool = False) -> Entry:
    """Return the entry of the twin."""
    twin = CachedLlama(cell) if cell.n_kv_head else Twin(cell)
    load_weights(twin, cell)
    if cell.n_kv_head:
        unit = greedy(cell, twin.forward, twin.rewind)
    elif cell.job == "train":
        optimizer = twin.optimizer(LEARNING_RATE, BETAS, WEIGHT_DECAY)
        unit = training(batches(cell), twin, torch.compile(twin) if compiled else twin, optimizer)
    else:
        cached = CachedTwin(twin, cell)
        unit = greedy(cell, cached.forward, cached.rewind)
    return Entry(unit, f"torch {torch.__version__}", str(torch.get_num_threads()))


@torch.no_grad()
def load_weights(
    model: torch.nn.Module, cell: Cell, prefix: str = "", transposed: tuple[str, ...] = ()
) -> None:
    """Copy the initial weights into a model, whose names begin with `prefix`.

    `transposed` are the ends of the names of weights that it keeps as (in, out).
    """
    parameters = dict(model.named_parameters())
    for name, weight in initial_weights(cell):
        array = weight.T if name.endswith(transposed) and transposed else weight
        parameters.pop(prefix + name).copy_(torch.from_numpy(array))
    if parameters:
        raise ValueError(
            f"race: expected a first weight for every parameter; got none for {', '.join(parameters)}"
        )


def training(
    batches: Iterator[Batch], model: torch.nn.Module, run: Callable, optimizer: torch.optim.Optimizer
) -> Callable[[], float]:
    """Return a function that makes one step on the next batch, whose forward pass is `run`, and returns the loss."""
    model.train()
    parameters = list(model.parameters())
    endless = ((torch.from_numpy(inputs), torch.from_numpy(targets)) for inputs, targets in batches)

    def step() -> float:
        _, loss = run(*next(endless))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, GRAD_CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def profile(cell: Cell, steps: int, compiled: bool = False) -> str:
    """Return a table of the time of each operator over `steps` steps, slowest first."""
    unit = build(cell, compiled).unit
    unit()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as watch:
        for _ in range(steps):
            unit()
    slowest = sorted(watch.key_averages(), key=lambda e: -e.self_cpu_time_total)
    total = sum(e.self_cpu_time_total for e in slowest)
    rows = [
        (
            e.key,
            e.count,
            f"{e.self_cpu_time_total / 1e3:.2f}",
            f"{e.self_cpu_time_total / total:.1%}",
            f"{e.self_cpu_memory_usage / 2**20:.1f}",
        )
        for e in slowest[:PROFILED]
    ]
    return table(("operator", "calls", "ms", "share", "MiB kept"), rows)
