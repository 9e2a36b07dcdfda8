"""Launching a kernel of kernels.cu."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.backend import namespace

THREADS = 256  # of a block: a power of two; another changes speed, and the order of sums
BLOCKS = 1 << 20  # at most: the kernels' loops do the rest


def launch(name: str, like: Any, blocks: int, *args: Any) -> None:
    """Run a kernel on arrays of the dtype of `like`, which have no gaps; None is a null pointer.

    Whole numbers arrive as 64-bit ones, others in double precision: the parameters in kernels.cu are such.
    """
    kernel = _kernel(namespace(like), like.dtype.char, name)
    kernel((max(1, min(blocks, BLOCKS)),), (THREADS,), tuple(map(_argument, args)))


def blocks_of(n: int) -> int:
    """Return how many blocks give each of n elements a thread."""
    return -(-n // THREADS)


def _argument(x: Any) -> Any:
    if isinstance(x, (int, np.integer)):
        return np.int64(x)
    return np.float64(x) if isinstance(x, float) else x


@functools.cache
def _kernel(xp: Any, dtype: str, name: str) -> Any:
    """Return a kernel, compiled for a dtype at its first use."""
    return _module(xp, dtype).get_function(name)


@functools.cache
def _module(xp: Any, dtype: str) -> Any:
    source = Path(__file__).with_name("kernels.cu").read_text("utf-8")
    return xp.RawModule(code=source, options=("-DREAL=float" if dtype == "f" else "-DREAL=double",))


def without_gaps(x: Any) -> Any:
    """Return x, or a copy that lies in memory in the order of its axes."""
    return x if x.flags.c_contiguous else x.copy()
