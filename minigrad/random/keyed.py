"""Dropout masks that belong to a place in a run, not to whoever draws them."""

import math
from typing import Any, Self

import numpy as np

from minigrad.errors import value_error
from minigrad.random.stream import PYTORCH_SEED, Stream

PERIOD = 2**128  # of PCG64DXSM
STRIDE = 0x9E3779B97F4A7C15F39CC0605CEDC835  # 2**128 / golden ratio, odd: multiples lie far apart, modulo the period
MANY = 65537  # batches of a step at most


class Keyed(Stream):
    """Masks that depend on the seed, the step, the batch in it, the place in the forward pass and the row alone.

    All masks of a seed lie in one stream of words. Those of batch b of step s begin at word

        STRIDE * (b + MANY * s)    modulo 2**128

    and follow each other in the order in which the forward pass asks for them, each from its first row to its
    last. The generator can jump (`advance`): a worker with some rows of the batch passes over the others', and
    draws the bits that one with all rows would draw for his. So any number of workers drops the same, and where a
    run stands need not be saved. While s < 2**40, batches begin 2**60 words apart at least. STRIDE is odd because
    in a generator of this kind words at the distance of a power of two resemble each other.

    Random    PCG64DXSM, NumPy's "upgraded PCG64"; two bytes an element, as Generator(stream="fast"), and 0.7 µs a
              mask more (examples/race_track/gains.py), less than 1 % of a step in the race's cell tiny
    Raises    RuntimeError for any other draw of a `Generator`.
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

    def _mask(self, p, shape):
        """Draw the next mask of this batch.

        Shapes    (rows, ...): of these rows; with a first axis of another length, alike for every worker
        """
        row, rows, of = self._share if shape[:1] == (self._share[1],) else (0, 1, 1)
        n = math.prod(shape) // max(rows, 1)
        words = -(-n // 4)  # of a row, which begins with a word of its own
        begin = self._next + words * row
        if begin != self._here:
            self._bits.advance((begin - self._here) % PERIOD)
        self._next, self._here = self._next + words * of, begin + words * rows
        if n == 4 * words:
            return super()._mask(p, shape)
        return super()._mask(p, (rows, 4 * words))[:, :n].reshape(shape)

    def refuse(self, *args: Any, **options: Any) -> Any:
        """Raise RuntimeError: other numbers would be alike in each worker's share, or depend on the workers."""
        expected = "masks of dropout alone in a batch that workers share"
        hint = "draw it before, and pass it with the batch"
        raise RuntimeError(*value_error("random", expected, "another draw", hint).args)

    bernoulli = cauchy = exponential = geometric = get_state = initial_seed = loader_order = log_normal = (
        refuse
    )
    multinomial = normal = normal_about = poisson = rand = randint = randn = random = random_int64 = refuse
    randperm = seed = set_state = spawn = state = trunc_normal = uniform = refuse
