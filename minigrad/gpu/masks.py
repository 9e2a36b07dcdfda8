"""Dropout's masks, drawn on the GPU."""

import math

from minigrad.gpu.device import array_library
from minigrad.gpu.launch import blocks_of, launch
from minigrad.random.keyed import PERIOD, Keyed


class Masks(Keyed):
    """Keyed masks that are drawn where they are used: four elements for a counter, which says their place and row.

    To draw them on the host and move them would take longer than all the rest of a step. They are not those of
    the host, but depend on the same things, and on nothing else.

    Random    Philox4x32 with ten rounds, keyed by the seed; 32 bits an element
    Source    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
    """

    def _mask(self, p, shape):
        row, rows, of = self._share if shape[:1] == (self._share[1],) else (0, 1, 1)
        n = math.prod(shape) // max(rows, 1)
        counters = -(-n // 4)  # of a row
        begin = (self._next + counters * row) % PERIOD
        self._next += counters * of
        xp = array_library("cuda")
        keep, like = xp.empty(shape, bool), xp.empty(0, "float32")
        if keep.size:
            places = (begin % 2**64, begin // 2**64, self._seed % 2**64)
            signed = (place - (place >> 63 << 64) for place in places)
            launch("keep_mask", like, blocks_of(rows * counters), keep, rows, n, *signed, float(p))
        return keep
