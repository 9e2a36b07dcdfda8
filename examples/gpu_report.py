"""The same GPT on a GPU: are its numbers those of the CPU, and what does a step take beside PyTorch's?

    python examples/gpu_report.py

Needs CuPy and a GPU (pip install -e ".[cuda]"); with PyTorch's CUDA build installed, PyTorch takes the same
steps, with and without TF32. `python -m minigrad check --device cuda` checks every operation there.

Expected
    how far five steps in float64 lie from the CPU's, a line for each size and side, in milliseconds a
    step (median of five, forward to update), tokens a second and MiB of the GPU's memory
"""

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gpt import GPT, GPTConfig, decay_groups
from minigrad.backend import to_numpy
from minigrad.gpu.device import array_library
from minigrad.random import Generator
from nn.optim import AdamW, clip_grad_norm_

LITTLE = GPTConfig(n_layer=2, n_head=2, n_embd=32, block_size=100, vocab_size=65)
SIZES = {  # name: configuration, batch
    "shakespeare_char": (GPTConfig(n_layer=6, n_head=6, n_embd=384, block_size=256, vocab_size=65), 64),
    "GPT-2 124M": (GPTConfig(n_layer=12, n_head=12, n_embd=768, block_size=1024, vocab_size=50257), 8),
}


def our_step(config: GPTConfig, batch: int, device: str, dtype: type = np.float32) -> tuple[GPT, Callable]:
    """Return a GPT, and the function that makes one training step with it and returns the loss."""
    model = GPT(config, rng=Generator(0, "fast")).to(dtype).to(device)
    optimizer = AdamW(decay_groups(model, 0.1), 1e-3)
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (batch, config.block_size))
    ids = array_library(device).asarray(ids)

    def step() -> float:
        loss = model.loss(ids, ids)
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return model, step


def furthest(steps: int = 5) -> tuple[float, float]:
    """Return how far losses and weights of a little GPT in float64 lie apart on CPU and GPU after some steps."""
    (cpu, our), (gpu, their) = (our_step(LITTLE, 3, device, np.float64) for device in ("cpu", "cuda"))
    losses = max(abs(our() - their()) for _ in range(steps))
    weights = zip(cpu.parameters(), gpu.parameters())
    return losses, max(float(abs(p.array - to_numpy(q.array)).max()) for p, q in weights)


def torch_step(config: GPTConfig, batch: int, tf32: bool) -> Callable:
    """Return the function that makes the same step with the GPT's PyTorch twin."""
    import torch

    from tests.support.twin import Twin

    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.set_default_device("cuda")
    model = Twin(config)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.1)
    ids = np.random.default_rng(0).integers(0, config.vocab_size, (batch, config.block_size))
    ids = torch.from_numpy(ids).cuda()

    def step() -> float:
        loss = model(ids, ids)[1]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()  # waits for the GPU, as ours does

    return step


def milliseconds(step: Callable[[], float], wait: Callable[[], Any], times: int = 5) -> float:
    """Return the median time of a step, after two that are not counted."""
    taken = []
    for _ in range(times + 2):
        start = time.perf_counter()
        step()
        wait()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken[2:])


def report() -> None:
    """Print what the docstring of this file says."""
    cupy = array_library("cuda")
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(f"{name}, CuPy {cupy.__version__}, NumPy {np.__version__}")
    loss, weights = furthest()
    print(f"float64, five steps, furthest from the CPU: loss {loss:.1e}, weights {weights:.1e}\n")
    wait, pool = cupy.cuda.Device().synchronize, cupy.get_default_memory_pool()
    for size, (config, batch) in SIZES.items():
        times = {"minigrad": (milliseconds(our_step(config, batch, "cuda")[1], wait), pool.total_bytes())}
        pool.free_all_blocks()
        if importlib.util.find_spec("torch"):
            import torch

            for tf32 in (False, True) if torch.cuda.is_available() else ():
                torch.cuda.reset_peak_memory_stats()
                took = milliseconds(torch_step(config, batch, tf32), torch.cuda.synchronize)
                times["PyTorch eager" + ", TF32" * tf32] = took, torch.cuda.max_memory_allocated()
                torch.cuda.empty_cache()
        for side, (ms, memory) in times.items():
            tokens = 1e3 * batch * config.block_size / ms
            print(
                f"{size:18}{side:22}{ms:8.1f} ms{tokens:12,.0f} tokens/s{memory / 2**20:9,.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    sys.path.insert(0, ".")  # tests/support/twin.py is PyTorch's side of the GPT
    try:
        report()
    except ModuleNotFoundError as error:
        sys.exit(str(error))
