"""Which arrays lie over one another, so that torch.save writes their memory once, and they share it again.

An array that overlaps with no other is written as it is. Those whose bytes overlap become views of one block of
memory: where in it they begin, and the step along each axis, in elements.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

Views = list[list[Any]]  # of each array: [block] or [block, offset, shape, strides]


def pack(arrays: Sequence[np.ndarray]) -> tuple[list[np.ndarray], Views]:
    """Return (blocks, views), from which `unpack` makes the arrays."""
    blocks: list[np.ndarray] = []
    views: Views = [[] for _ in arrays]
    for group in _overlapping(arrays):
        alone = len(group) == 1
        low = min(byte_bounds(arrays[i])[0] for i in group)
        size = arrays[group[0]].dtype.itemsize
        if alone or any(
            arrays[i].dtype != arrays[group[0]].dtype or (_start(arrays[i]) - low) % size for i in group
        ):
            for i in group:  # bytes seen as two dtypes are not shared again
                views[i] = [len(blocks)]
                blocks.append(arrays[i])
            continue
        high = max(byte_bounds(arrays[i])[1] for i in group)
        block = np.zeros((high - low) // size, arrays[group[0]].dtype)
        for i in group:
            a = arrays[i]
            views[i] = [len(blocks), (_start(a) - low) // size, list(a.shape), [n // size for n in a.strides]]
            _view(block, *views[i][1:])[...] = a
        blocks.append(block)
    return blocks, views


def unpack(blocks: Sequence[np.ndarray], views: Views) -> list[np.ndarray]:
    """Return the arrays.

    Raises    ValueError for a view that reaches out of its block.
    """
    return [blocks[view[0]] if len(view) == 1 else _view(blocks[view[0]], *view[1:]) for view in views]


def _overlapping(arrays: Sequence[np.ndarray]) -> list[list[int]]:
    """Return the places of arrays whose ranges of bytes overlap, group by group."""
    groups = [[i] for i, a in enumerate(arrays) if not a.size]
    end = 0
    for i in sorted((i for i, a in enumerate(arrays) if a.size), key=lambda i: byte_bounds(arrays[i])):
        low, high = byte_bounds(arrays[i])
        if low < end:
            groups[-1].append(i)
        else:
            groups.append([i])
        end = max(end, high)
    return groups


def _start(a: np.ndarray) -> int:
    """Return the address of an array's first element."""
    return int(a.__array_interface__["data"][0])


def _view(block: np.ndarray, offset: int, shape: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    """Return the view of a flat block, after looking that it stays inside."""
    reach = [(n - 1) * step for n, step in zip(shape, strides, strict=True)]
    low, high = offset + sum(min(0, r) for r in reach), offset + sum(max(0, r) for r in reach)
    if min(shape, default=1) < 1 or block.ndim != 1 or low < 0 or high >= block.size:
        raise ValueError(f"a view {shape} of {block.size} elements that reaches from {low} to {high}")
    return as_strided(block[offset:], shape, [step * block.itemsize for step in strides])
