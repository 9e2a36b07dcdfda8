"""Dropout masks that belong to a place in a run, not to whoever draws them."""

import math
from typing import Any, Self

import numpy as np

from minigrad.errors import check_probability, check_shape
from minigrad.random.stream import PYTORCH_SEED, Size, Stream

PERIOD = 2**128  # of PCG64DXSM
STRIDE = 0x9E3779B97F4A7C15F39CC0605CEDC835  # 2**128 / golden ratio, odd: multiples lie far apart, modulo the period
MANY = 65537  # batches of a step at most


class Keyed(Stream):
    """Masks that depend on the seed, the step, the batch in it, the place in the forward pass and the row alone.

    All masks of a seed lie in one stream of words. Those of batch b of step s begin at word

        STRIDE * (b + MANY * s)    modulo 2**128

    and follow each other in the order in which the forward pass asks for them, each from its first row to its
    last. The generator can jump (`advance`): who has some rows of the batch passes over the others', and draws
    the very bits that he draws who has them all. So 1, 2, 3 or 5 workers drop the same, and where a run stands
    need not be saved. Multiples of STRIDE are 2**60 words apart at least while s < 2**40; it is odd because in a
    generator of this kind words at the distance of a power of two resemble each other.

    Random    PCG64DXSM, NumPy's "upgraded PCG64"; two bytes an element, as Generator(stream="fast"), in about its
              time. Masks alone: other numbers of a forward pass would be alike in each worker's share.
    Raises    AttributeError for any other draw.
    """

    def __init__(self, seed: int = PYTORCH_SEED) -> None:
        super().__init__(seed, "fast")

    def manual_seed(self, seed: int) -> Self:
        """Take another seed, and go to the first batch; return self."""
        super().manual_seed(seed)
        self._bits, self._here = np.random.PCG64DXSM(self._seed), 0
        self._source = np.random.Generator(self._bits)
        return self.at()

    def at(self, step: int = 0, batch: int = 0, row: int = 0, rows: int = 1, of: int = 1) -> Self:
        """Go to a batch of `of` rows, of which `rows` will be drawn from number `row` on; return self."""
        self._next, self._share = STRIDE * (batch + MANY * step), (row, rows, of)
        return self

    def keep_mask(self, p: float, size: Size) -> np.ndarray:
        """Draw the next mask of this batch: True with probability 1 - p.

        Shapes    (rows, ...): of these rows; anything else has no rows, and is drawn alike by every worker
        """
        p, shape = check_probability("keep_mask", p), check_shape("keep_mask", (size,))
        if p in (0, 1):
            return np.full(shape, p == 0)
        row, rows, of = self._share if shape[:1] == (self._share[1],) else (0, 1, 1)
        n = math.prod(shape) // max(rows, 1)
        words = -(-n // 4)  # of a row, which begins with a word of its own
        begin = self._next + words * row
        if begin != self._here:
            self._bits.advance((begin - self._here) % PERIOD)
        self._next, self._here = self._next + words * of, begin + words * rows
        return super().keep_mask(p, 4 * words * rows).reshape(rows, 4 * words)[:, :n].reshape(shape)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{name}: expected masks of dropout alone in a batch that workers share; got another draw; "
            "draw it before, and pass it with the batch"
        )
