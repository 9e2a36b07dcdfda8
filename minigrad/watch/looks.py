"""What an array looks like: its range and histogram, and who attends to whom."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.backend import to_numpy
from minigrad.console.tables import short

BINS = 25
CELLS = 48  # of a picture of attention, each way, at most
HEADS = 64  # pictures of one operation, at most
PART = 1 << 20  # elements that are counted together: a large array needs no large copy


@dataclass(frozen=True)
class Values:
    """What an array looks like: its range, mean, spread and histogram, over its finite elements."""

    low: float
    high: float
    mean: float
    std: float
    histogram: list[int]
    not_finite: int

    @classmethod
    @np.errstate(all="ignore")  # the spread of large numbers may overflow
    def of(cls, a: Any) -> "Values":
        """Look at an array."""
        a = to_numpy(a)
        there = np.isfinite(a)
        finite = a.reshape(-1) if there.all() else a[there]
        if not finite.size:
            return cls(np.nan, np.nan, np.nan, np.nan, [0] * BINS, a.size)
        low, high = float(finite.min()) + 0.0, float(finite.max()) + 0.0  # -0 + 0 is 0
        counts = [0] * BINS
        counts[BINS // 2] = finite.size  # one bar in the middle, if all are equal
        half = high / 2 - low / 2  # of a range that itself may overflow
        if half > 0:
            counts = sum(
                _counted(finite[k : k + PART], low, half) for k in range(0, finite.size, PART)
            ).tolist()
        mean, std = (float(f(finite, dtype=np.float64)) for f in (np.mean, np.std))
        return cls(low, high, mean, std, counts, a.size - finite.size)

    def __str__(self) -> str:
        return f"{short(self.low)}..{short(self.high)}" + (" *" if self.not_finite else "")


def _counted(x: Any, low: float, half: float) -> Any:
    return np.histogram((np.asarray(x, np.float64) / 2 - low / 2) / half, BINS, (0, 1))[0]


def attention_maps(name: str, out: Any, vjp: Any) -> Any:
    """Return who attends to whom, (heads, queries, keys) in 0..1, of the batch's first row; or None.

    An operation that attends in blocks keeps E and r, whose product the probabilities are, before dropout;
    a softmax of square matrices returns them. Longer sides than CELLS are cut into that many parts,
    of which the largest probability is shown.
    """
    if name == "softmax" and out.ndim > 2 and out.shape[-1] == out.shape[-2] > 1:
        return _small(_first_row(to_numpy(out)))
    blocks = inspect.getclosurevars(vjp).nonlocals["blocks"] if name in ("causal_attention", "attend") else ()
    if not blocks:
        return None
    shares = [_first_row(to_numpy(block.e * block.r[..., None])) for block in blocks]
    shape = shares[0].shape[0], blocks[-1].rows.stop, max(block.keys.stop for block in blocks)
    p = np.zeros(shape, np.float32)
    for block, share in zip(blocks, shares):
        p[:, block.rows, block.keys] = share
    return _small(p)


def _first_row(p: Any) -> Any:
    """Return (heads, queries, keys) of the first row of the batch, if there is one."""
    p = p[(0,) * max(p.ndim - 3, 0)]
    return p.reshape(-1, *p.shape[-2:])[:HEADS]


def _small(p: Any) -> Any:
    """Return the largest of each cell, at most CELLS of them each way."""
    for axis in (1, 2):
        size = p.shape[axis]
        if size > CELLS:
            p = np.maximum.reduceat(p, np.arange(CELLS) * size // CELLS, axis)
    return p
