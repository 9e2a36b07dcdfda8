"""The floor: the matrix products of a step and nothing else, at the model's own shapes.

Nobody who computes this model with these products, as NumPy does them, can be faster.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from race_track.cells import PROMPT, Cell
from race_track.opponents import Entry
from race_track.opponents.ours import our_way

from minigrad.backend import FEW, times_rows
from minigrad.parallel import Way, cores


class Product(NamedTuple):
    """`count` products of (m, k) and (k, n) matrices."""

    count: int
    m: int
    k: int
    n: int

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.count * self.m * self.k * self.n


def products(cell: Cell, batch_size: int) -> Iterator[Product]:
    """Yield the products of one unit on a part of the batch.

    Of attention's products only half the matrices are counted, because causality asks for half of each.
    """
    T = {"train": cell.block_size, "prefill": PROMPT, "decode": 1}[cell.job]
    keys = PROMPT if cell.job == "decode" else T
    C, D, rows = cell.n_embd, cell.n_embd // cell.n_head, batch_size * T
    pairs = batch_size * cell.n_head
    pairs = math.ceil(pairs / 2) if T > 1 else pairs
    train = cell.job == "train"
    linears = [(C, 3 * C), (C, C), (C, 4 * C), (4 * C, C)]
    if cell.n_kv_head:
        linears = [
            (C, C),
            *[(C, D * cell.n_kv_head)] * 2,
            (C, C),
            *[(C, cell.n_hidden)] * 2,
            (cell.n_hidden, C),
        ]
    for _ in range(cell.n_layer):
        for n_in, n_out in linears:
            yield from _linear(rows, n_in, n_out, train)
        yield from (Product(pairs, T, D, keys), Product(pairs, T, keys, D))
        if train:
            yield from (Product(pairs, T, D, T), *[Product(pairs, T, T, D)] * 3)
    yield from _linear(rows if train else batch_size, C, cell.vocab_size, train)


def _linear(rows: int, n_in: int, n_out: int, train: bool) -> Iterator[Product]:
    yield Product(1, rows, n_in, n_out)
    if train:
        yield Product(1, rows, n_out, n_in)  # the gradient of the input
        yield Product(1, n_out, rows, n_in)  # and of the weight


def flops(cell: Cell) -> int:
    """Return the operations of one unit's matrix products."""
    return sum(product.flops for product in products(cell, cell.batch_size))


def build(cell: Cell) -> Entry:
    """Return an entry whose unit is the products alone, the cores used as ours uses them."""
    way = our_way(cell) if cell.job == "train" else Way(1, cores())
    run = _runner(cell, way.workers)

    def unit() -> float:
        run()
        return math.nan

    return Entry(unit, f"NumPy {np.__version__}", str(way))


def _runner(cell: Cell, workers: int) -> Callable[[], None]:
    """Return a function that does the products of one unit, the batch split over threads."""
    rows = [len(part) for part in np.array_split(range(cell.batch_size), workers)]
    shares = [[_operands(p) for p in products(cell, n)] for n in rows]
    pool = ThreadPoolExecutor(workers)

    def multiply(share: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
        for a, b, out in share:
            if a.ndim == 2 and len(a) <= FEW:
                times_rows(a, b.T)
            else:
                np.matmul(a, b, out=out)

    def run() -> None:
        if workers == 1:
            multiply(shares[0])
        else:
            list(pool.map(multiply, shares))

    return run


def _operands(p: Product) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (a, b, room for the product), each product its own, as a model's are; few rows are multiplied by b.T."""
    count = (p.count,) if p.count > 1 else ()
    a, b, out = (np.ones((*count, *shape), np.float32) for shape in ((p.m, p.k), (p.k, p.n), (p.m, p.n)))
    return a, np.asarray(b, order="F") if not count and p.m <= FEW else b, out
