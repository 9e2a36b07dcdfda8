"""Many arrays in one launch: the gradients that are clipped together, the parameters that make a step of Adam."""

import functools
import math
from typing import Any

import numpy as np

from minigrad.backend import namespace
from minigrad.gpu.launch import launch

PIECE = 1 << 16  # elements for a block


def clip(grads: list[Any], max_norm: float, error_if_nonfinite: bool = False) -> Any:
    """Scale all gradients, of one dtype, as `nn.optim.clip_grad_norm_` does; return the norm before, on the GPU.

    The host waits only to raise RuntimeError: whether there is anything to clip is decided there, by a factor of 1.
    """
    xp, where = namespace(grads[0]), _addresses(grads)
    table = _table(xp, tuple(g.size for g in grads))
    parts = xp.empty(len(table), grads[0].dtype)
    launch("square_sums", parts, len(table), where, table, parts, len(table))
    norm = xp.sqrt(parts.sum())
    if error_if_nonfinite and not xp.isfinite(norm):
        got = f"{float(norm)}; or pass error_if_nonfinite=False"
        raise RuntimeError(f"clip_grad_norm_: expected gradients of a finite norm; got {got}")
    factor = xp.minimum(max_norm / (norm + 1e-6), 1.0)  # NaN for a NaN norm, so that it shows
    launch("scale", parts, len(table), where, table, factor, len(table))
    return norm


def update(kind: str, buffers: Any, grads: list[Any]) -> bool:
    """Let the function of this name update all parameters of an optimiser's buffers; False if it cannot."""
    steps = set(buffers.steps)
    if not kind or len(steps) != 1 or buffers.copied or any(g is None for g in grads):
        return False
    return fits([*buffers.flat, *grads]) and globals()[kind](buffers, grads, *steps)


def adam(buffers: Any, grads: list[Any], step: int) -> bool:
    """Make a step of Adam; see `nn.optim.Adam`."""
    group, (m, v, *largest) = buffers.group, buffers.state.values()
    if largest or group["maximize"]:
        return False
    (b1, b2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
    root = math.sqrt(1.0 - b2**step)
    shrink, pull = (1.0 - lr * decay, 0.0) if group["decoupled_weight_decay"] else (1.0, decay)
    table = _table(buffers.xp, tuple(p.size for p in buffers.flat))
    where = _addresses(buffers.flat), _addresses(grads)
    numbers = b1, b2, shrink, pull, group["eps"] * root, lr * root / (1.0 - b1**step)
    launch("adam", m, len(table), *where, table, m, v, len(table), *map(float, numbers))
    return True


def fits(arrays: list[Any]) -> bool:
    """Are they on a GPU, of one dtype, without gaps, and none of them empty?"""
    like = arrays[0] if arrays else np.empty(0)
    there = namespace(like) is not np and like.dtype.kind == "f"
    return there and all(x.dtype == like.dtype and x.flags.c_contiguous and x.size for x in arrays)


def _addresses(arrays: list[Any]) -> Any:
    return namespace(arrays[0]).asarray(np.array([x.data.ptr for x in arrays], np.int64))


@functools.lru_cache(8)
def _table(xp: Any, sizes: tuple[int, ...]) -> Any:
    """Return rows (array, from, to, place), PIECE elements each at most, of arrays of these sizes."""
    rows, place = [], 0
    for number, size in enumerate(sizes):
        for start in range(0, size, PIECE):
            rows.append((number, start, min(start + PIECE, size), place + start))
        place += size
    return xp.asarray(np.array(rows, np.int64))
