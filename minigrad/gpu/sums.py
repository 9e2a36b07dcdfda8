"""Sums by index on a GPU, bit for bit the same each time: CuPy's own add as they come, in an order of chance."""

import math
from typing import Any

from minigrad.backend import namespace
from minigrad.gpu.launch import blocks_of, launch, without_gaps

ONE_HOT = 1 << 24  # elements of a one-hot matrix whose product takes no longer than sorting


def add_rows(values: Any, ids: Any, rows: int) -> Any:
    """Return (rows, C) zeros with values[n] (N, C) added to row ids[n]; see `minigrad.backend.scatter_add_rows`.

    A small table is a product with the one-hot matrix of the ids. For another, the ids are sorted, and a thread for
    each of the first rows of an id adds those behind it.
    """
    xp, (N, C) = namespace(values), values.shape
    if rows * N <= ONE_HOT:
        return (xp.arange(rows)[:, None] == ids).astype(values.dtype) @ values
    out = xp.zeros((rows, C), values.dtype)
    ids, values = ids.astype("int64", copy=False), without_gaps(values)
    launch("sum_by_id", out, blocks_of(N * C), values, ids, xp.argsort(ids, kind="stable"), out, N, C)
    return out


def add_at(out: Any, index: Any, values: Any) -> None:
    """Add `values` to the zeros of out[index], repeated indices included: the elements are rows of one."""
    xp = namespace(out)
    if not values.size or out.dtype.kind != "f":
        xp.add.at(out, index, values)  # whole numbers come to the same in any order
        return
    places = xp.arange(math.prod(out.shape)).reshape(out.shape)[index]
    column = xp.broadcast_to(values, places.shape).reshape(-1, 1)
    out[...] = add_rows(column, places.reshape(-1), out.size).reshape(out.shape)
