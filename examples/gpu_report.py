"""The same GPT on a GPU: are its numbers those of the CPU, and what does a step take beside PyTorch's?

    python examples/gpu_report.py

Needs CuPy and a GPU (pip install -e ".[cuda]"); with PyTorch's CUDA build installed, PyTorch takes the same steps, each
side with and without TF32. `sh tests/gpu.sh` runs this and all tests that need a GPU.

Expected
    how far five steps in float64 lie from the CPU's: 1e-10 at most, or the command fails. Then a line for each size
    and side: milliseconds a step (median of ten, batch to update), tokens a second, MiB of the GPU's memory that were
    taken at most, and time and memory in units of PyTorch eager with the same products
"""

import argparse
import collections
import gc
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gpt import GPT, GPTConfig, decay_groups
from gpt.train import training_step
from minigrad import switches
from minigrad.backend import to_numpy
from minigrad.gpu.device import allow_tf32, array_library, described
from minigrad.parallel import Way, Workers
from minigrad.random import Generator
from nn.optim import AdamW

LITTLE = GPTConfig(n_layer=2, n_head=2, n_embd=32, block_size=100, vocab_size=65)
SIZES = {  # name: configuration, batch
    "shakespeare_char": (GPTConfig(n_layer=6, n_head=6, n_embd=384, block_size=256, vocab_size=65), 64),
    "GPT-2 124M": (GPTConfig(n_layer=12, n_head=12, n_embd=768, block_size=1024, vocab_size=50257), 8),
}
CLOSE = 1e-10  # of float64


def our_step(config: GPTConfig, batch: int, device: str, dtype: type = np.float32) -> tuple[GPT, Callable]:
    """Return a GPT, and the function that makes one training step with it, from a batch on the host, and returns the loss."""
    model = GPT(config, rng=Generator(0, "fast")).to(dtype).to(device)
    optimizer = AdamW(decay_groups(model, 0.1), 1e-3)
    workers = Workers(Way(1, 1), 0, model.loss, model.parameters())
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (batch, config.block_size))
    return model, lambda: training_step(workers, optimizer, [(ids, ids)], lr=1e-3, grad_clip=1.0)


def furthest(steps: int = 5) -> tuple[float, float]:
    """Return how far losses and weights of a little GPT in float64 lie apart on CPU and GPU after some steps."""
    (cpu, our), (gpu, their) = (our_step(LITTLE, 3, device, np.float64) for device in ("cpu", "cuda"))
    losses = max(abs(our() - their()) for _ in range(steps))
    weights = zip(cpu.parameters(), gpu.parameters())
    return losses, max(float(abs(p.array - to_numpy(q.array)).max()) for p, q in weights)


def torch_step(config: GPTConfig, batch: int) -> Callable:
    """Return the function that makes the same step with the GPT's PyTorch twin."""
    import torch

    from tests.support.twin import Twin

    model = Twin(config).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.1)
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (batch, config.block_size))

    def step() -> float:
        there = torch.from_numpy(ids).cuda()
        with torch.device("cuda"):
            loss = model(there, there)[1]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()  # waits for the GPU, as ours does

    return step


def milliseconds(step: Callable[[], float], wait: Callable[[], Any], times: int = 10) -> float:
    """Return the median time of a step, after two that are not counted."""
    taken = []
    for _ in range(times + 2):
        start = time.perf_counter()
        step()
        wait()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken[2:])


def our_cost(config: GPTConfig, batch: int, tf32: bool) -> tuple[float, float]:
    """Return our milliseconds a step, and the bytes that CuPy's pool took."""
    cupy = array_library("cuda")
    allow_tf32(tf32)
    pool = cupy.get_default_memory_pool()
    _, step = our_step(config, batch, "cuda")
    cost = milliseconds(step, cupy.cuda.Device().synchronize), pool.total_bytes()
    del step, _
    gc.collect()
    pool.free_all_blocks()
    return cost


def torch_cost(config: GPTConfig, batch: int, tf32: bool) -> tuple[float, float] | None:
    """Return PyTorch's milliseconds a step and the bytes it took; None without its CUDA build."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.cuda.reset_peak_memory_stats()
    took = milliseconds(torch_step(config, batch), torch.cuda.synchronize)
    cost = took, torch.cuda.max_memory_reserved()
    gc.collect()
    torch.cuda.empty_cache()
    return cost


class Events:
    """A monitor (minigrad.switches) that puts CUDA's events around every operation, forward and backward."""

    def __init__(self, cupy: Any) -> None:
        self.cuda, self.spans = cupy.cuda, collections.defaultdict(list)

    def _timed(self, name: str, run: Callable[[], Any]) -> Any:
        start, end = self.cuda.Event(), self.cuda.Event()
        start.record()
        result = run()
        end.record()
        self.spans[name].append((start, end))
        return result

    def forward(self, fn: Callable, arrays: list[Any], constants: dict[str, Any]) -> Any:
        """Time fn(*arrays, **constants)."""
        return self._timed(fn.__name__, lambda: fn(*arrays, **constants))

    def backward(self, node: Any, dout: Any) -> Any:
        """Time node.vjp(dout)."""
        return self._timed(f"{node.name}, backward", lambda: node.vjp(dout))

    def milliseconds(self) -> dict[str, float]:
        """Return the time of each kind of operation."""
        self.cuda.Device().synchronize()
        between = self.cuda.get_elapsed_time
        return {name: sum(between(*span) for span in spans) for name, spans in self.spans.items()}


def where_a_step_goes() -> int:
    """Print the time of each kind of operation in the third step of each size."""
    for size, (config, batch) in SIZES.items():
        _, step = our_step(config, batch, "cuda")
        step(), step()
        events = Events(array_library("cuda"))
        with switches.watched_by(events):
            loss = step()
        print(f"{size}: loss {loss:.4f}")
        for name, ms in sorted(events.milliseconds().items(), key=lambda pair: -pair[1])[:16]:
            print(f"    {ms:8.2f} ms  {len(events.spans[name]):4}  {name}")
    return 0


def row(cost: tuple[float, float], tokens: int, unit: tuple[float, float] | None) -> str:
    """Return what a step of that many tokens costs, also in units of another's cost."""
    ms, memory = cost
    line = f"{ms:8.1f} ms{1e3 * tokens / ms:12,.0f} tokens/s{memory / 2**20:9,.0f} MiB"
    if unit is not None:
        line += f"   {ms / unit[0]:.2f} of its time, {memory / unit[1]:.2f} of its memory"
    return line


def report() -> int:
    """Print what the docstring of this file says; return the exit status."""
    print(f"{described('cuda')}, NumPy {np.__version__}")
    loss, weights = furthest()
    print(f"float64, five steps, furthest from the CPU: loss {loss:.1e}, weights {weights:.1e}\n", flush=True)
    right = max(loss, weights) <= CLOSE
    for size, (config, batch) in SIZES.items():
        for tf32 in (False, True):
            unit = None
            for side, measure in (("PyTorch eager", torch_cost), ("minigrad", our_cost)):
                name = f"{size:18}{side + ', TF32' * tf32:22}"
                try:
                    cost = measure(config, batch, tf32)
                except Exception as error:  # the others are measured all the same
                    print(f"{name}{type(error).__name__}: {error}", flush=True)
                    right, cost = False, None
                unit = cost if measure is torch_cost else unit
                if cost is not None:
                    print(name + row(cost, batch * config.block_size, unit), flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--where", action="store_true", help="where a step goes, by operation, in place of the report"
    )
    sys.path.insert(0, ".")  # tests/support/twin.py is PyTorch's side of the GPT
    try:
        sys.exit(where_a_step_goes() if parser.parse_args().where else report())
    except (ModuleNotFoundError, ValueError) as error:
        sys.exit(str(error))
