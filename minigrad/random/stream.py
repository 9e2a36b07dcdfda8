"""Words of random bits, from a seed: PyTorch's and a faster one's, and the masks made of them."""

import math
import threading
from collections.abc import Iterator
from typing import Self

import numpy as np

from minigrad.errors import check_probability, check_shape, type_error, value_error
from minigrad.random.words import mcg31, mt19937

Size = int | tuple[int, ...]

PYTORCH_SEED = 67280421310721  # what PyTorch gives a generator that was never seeded
BLOCK = 1 << 15  # numbers worked on at a time: they fit a second-level cache, and hide the cost of a call
LOW24, LOW53 = np.uint32(2**24 - 1), np.uint64(2**53 - 1)  # as many bits as float32 and float64 hold


class Stream:
    """Where a Generator is in its stream of words: "torch", "torch-mkl" or "fast"; see `Generator`."""

    def __init__(self, seed: int = PYTORCH_SEED, stream: str = "torch"):
        if stream not in ("torch", "torch-mkl", "fast"):
            raise value_error("Generator", 'stream "torch", "torch-mkl" or "fast"', repr(stream))
        self.stream = stream
        self._lock = threading.Lock()
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Self:
        """Start again from `seed` modulo 2**64; return self. As in PyTorch, MT19937 uses its low 32 bits."""
        if not isinstance(seed, (int, np.integer)):
            raise type_error("manual_seed", "an integer", repr(seed))
        seed = int(seed) % 2**64
        bits = np.random.SFC64(seed) if self.stream == "fast" else mt19937(seed % 2**32)
        with self._lock:
            self._seed, self._source, self._spare = seed, np.random.Generator(bits), math.nan
        return self

    def keep_mask(self, p: float, size: Size) -> np.ndarray:
        """Draw the mask of `F.dropout(x, p)`: True with probability 1 - p. A p of 0 or 1 draws nothing.

        As in PyTorch, an element takes a float64 of two words: of one, every later number would be another.
        """
        p, shape = check_probability("keep_mask", p), check_shape("keep_mask", (size,))
        if p in (0, 1):
            return np.full(shape, p == 0)
        with self._lock:
            return self._mask(p, shape)

    def _mask(self, p, shape):  # from here on, the lock is held
        n = math.prod(shape)
        if self.stream != "fast":
            return self._below(n, 1 - p).reshape(shape)
        mask, drop = np.empty(n, bool), np.uint16(min(round(p * 2**16), 2**16 - 1))
        for part in blocks(mask):
            pairs_of_bytes = self._words64(-(-part.size // 4)).view(np.uint16)
            np.greater_equal(pairs_of_bytes[: part.size], drop, out=part)
        return mask.reshape(shape)

    def _words(self, n):
        """Words of 32 bits."""
        return self._source.integers(0, 2**32, n, dtype=np.uint32)

    def _words64(self, n):
        """Words of 64 bits: two of MT19937, in NumPy as in PyTorch the first as the high half."""
        if self.stream == "fast":
            return self._source.bit_generator.random_raw(n)  # the same words, without `integers`' checks
        return self._source.integers(0, 2**64, n, dtype=np.uint64)

    def _unit(self, n, kind):
        """Uniform numbers from [0, 1): the low bits of a word times 2**-24 or 2**-53."""
        out = np.empty(n, kind)
        for part in blocks(out):
            if kind == np.float32:
                part[...] = (self._words(part.size) & LOW24).view(np.int32)
                part *= np.float32(2.0**-24)
            else:
                part[...] = (self._words64(part.size) & LOW53).view(np.int64)
                part *= 2.0**-53
        return out

    def _below(self, n, p):
        """Is u < p, for uniform float64 u? Asked of the integers u 2**53, which saves a conversion."""
        if self.stream == "torch-mkl":
            return self._mkl(n) < p
        out, limit = np.empty(n, bool), np.uint64(math.ceil(p * 2**53))
        for part in blocks(out):
            np.less(self._words64(part.size) & LOW53, limit, out=part)
        return out

    def _mkl(self, n, words=1):
        return mcg31(int(self._words(words)[-1]), n) if n else np.empty(0)


def blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield views of the one-dimensional `x`, BLOCK elements each and the rest."""
    for start in range(0, x.size, BLOCK):
        yield x[start : start + BLOCK]
