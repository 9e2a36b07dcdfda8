"""torch.utils.data's samplers: in which order the examples of a dataset are visited.

Random    Every number is PyTorch's. `generator=None` is the default one, whose next int64 seeds a generator
          for the epoch (RandomSampler), or which draws itself (the others).
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from minigrad import random
from minigrad.errors import value_error
from minigrad.methods import values_of
from minigrad.random import Generator

CHUNK = 32  # PyTorch draws with replacement so many at a time


class Sampler:
    """What a sampler is: it can be iterated over, and gives an index, or a list of them, at a time."""

    def __init__(self, data_source: Sized | None = None) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__}: write its __iter__")


class SequentialSampler(Sampler):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """Every index once in random order, then again, up to `num_samples`; or each drawn anew (`replacement`)."""

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source, self.replacement = data_source, _truth("RandomSampler", "replacement", replacement)
        self._num_samples, self.generator = num_samples, generator
        _count("RandomSampler", "num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has: by default, as many as there are examples."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, generator = len(self.data_source), self.generator
        if generator is None:
            common = random.default_generator()
            generator = Generator(int(common.random_int64()), common.stream)
        if self.replacement:
            for start in range(0, self.num_samples, CHUNK):
                yield from generator.randint(0, n, min(CHUNK, self.num_samples - start)).tolist()
            return
        for _ in range(self.num_samples // n):
            yield from generator.randperm(n).tolist()
        yield from generator.randperm(n).tolist()[: self.num_samples % n]  # drawn even where none is used

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for i in drawing(self.generator).randperm(len(self.indices)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """`num_samples` indices, each with a probability in proportion to its weight."""

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _count("WeightedRandomSampler", "num_samples", num_samples)
        self.weights = np.asarray(values_of(weights), np.float64)
        if self.weights.ndim != 1:
            raise value_error("WeightedRandomSampler", "weights (N,)", f"shape {self.weights.shape}")
        self.num_samples, self.generator = num_samples, generator
        self.replacement = _truth("WeightedRandomSampler", "replacement", replacement)

    def __iter__(self) -> Iterator[int]:
        generator = drawing(self.generator)
        yield from generator.multinomial(self.weights, self.num_samples, self.replacement).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of `batch_size` indices from another sampler; a shorter last one unless `drop_last`."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler, self.batch_size = sampler, _count("BatchSampler", "batch_size", batch_size)
        self.drop_last = _truth("BatchSampler", "drop_last", drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def drawing(generator: Generator | None) -> Generator:
    """The generator to draw from where one may be given."""
    return random.default_generator() if generator is None else generator


def _count(where, name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise value_error(where, f"{name}, an integer >= 1", repr(value))
    return value


def _truth(where, name, value):
    if not isinstance(value, bool):
        raise value_error(where, f"{name}=True or False", repr(value))
    return value
