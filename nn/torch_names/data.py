"""torch.utils.data: datasets, samplers, and the DataLoader that makes batches of them, in one process."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from minigrad.errors import value_error
from minigrad.random import Generator
from nn.torch_names.collate import default_collate, default_convert
from nn.torch_names.datasets import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from nn.torch_names.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    drawing,
)

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]

FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"}


class DataLoader:
    """Batches of a dataset, in its order or shuffled: PyTorch's arguments, PyTorch's order, one process.

    `num_workers`, `pin_memory`, `timeout` and the like are accepted and change no order; the examples are
    fetched in this process, one batch when it is asked for. So a dataset that itself draws random numbers draws
    them from this process's generators, not from a worker's (which PyTorch seeds with its base seed plus the
    worker's number), and `worker_init_fn`, which would seed a worker, is not called.

    Random    Each `iter(loader)` draws an int64, PyTorch's base seed of workers, from `generator` or the default
              one. The samplers draw when the first index is needed: with workers, that is at `iter(loader)`, and
              indices are drawn `prefetch_factor * num_workers` batches ahead.
    Raises    ValueError for arguments that exclude one another, as PyTorch; and for an IterableDataset with
              workers, each of which would give all of it
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        _check_order(dataset, batch_size, shuffle, (sampler, batch_sampler), drop_last, num_workers)
        self.dataset, self.generator, self.num_workers = dataset, generator, num_workers
        self.sampler = self._in_which_order(shuffle) if sampler is None else sampler
        self.batch_size, self.drop_last = None if batch_sampler is not None else batch_size, drop_last
        if self.batch_size is not None:
            batch_sampler = BatchSampler(self.sampler, self.batch_size, drop_last)
        self.batch_sampler = batch_sampler
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.timeout, self.worker_init_fn, self.in_order = timeout, worker_init_fn, in_order
        self.multiprocessing_context = multiprocessing_context
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self._began = False
        self.persistent_workers = persistent_workers  # the last: from here on, FIXED

    def _in_which_order(self, shuffle):
        if isinstance(self.dataset, IterableDataset):
            return itertools.repeat(None)
        return (
            RandomSampler(self.dataset, generator=self.generator)
            if shuffle
            else SequentialSampler(self.dataset)
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "persistent_workers" in self.__dict__:
            raise ValueError(f"DataLoader: {name} is fixed when the loader is made; make another")
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        order = self.sampler if self.batch_sampler is None else self.batch_sampler
        indices = iter(order)  # type: ignore[arg-type]
        if not (self.persistent_workers and self._began):  # else PyTorch goes on with the workers that it has
            drawing(self.generator).random_int64()
            indices = iter(order) if self.num_workers else indices  # type: ignore[arg-type]
        self._began = True
        if isinstance(self.dataset, IterableDataset):
            return self._stream(iter(self.dataset))
        ahead = deque(itertools.islice(indices, self.num_workers * (self.prefetch_factor or 0)))
        return self._batches(indices, ahead)

    def __len__(self) -> int:
        if isinstance(self.dataset, IterableDataset):
            n, size = len(self.dataset), self.batch_size  # type: ignore[arg-type]
            return n if size is None else n // size if self.drop_last else -(-n // size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    def _stream(self, examples):
        """Batches of an IterableDataset."""
        if self.batch_size is None:
            yield from map(self.collate_fn, examples)
            return
        while batch := list(itertools.islice(examples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)

    def _batches(self, indices, ahead):
        """Batches at the indices that were drawn ahead, each of which, once used, has another drawn; or at all."""
        if not self.num_workers:
            yield from map(self._fetch, indices)
            return
        while ahead:
            batch = self._fetch(ahead.popleft())
            ahead.extend(itertools.islice(indices, 1))
            yield batch

    def _fetch(self, index):
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[index])
        if many := getattr(self.dataset, "__getitems__", None):  # a dataset that fetches a whole batch
            return self.collate_fn(many(index))
        return self.collate_fn([self.dataset[i] for i in index])


def get_worker_info() -> None:
    """None: this is the main process, and there are no others."""


def _check_workers(num_workers, timeout, prefetch_factor, persistent_workers):
    if num_workers < 0 or timeout < 0:
        raise value_error("DataLoader", "num_workers >= 0 and timeout >= 0", (num_workers, timeout))
    if num_workers == 0 and (prefetch_factor is not None or persistent_workers):
        got = f"num_workers=0, prefetch_factor={prefetch_factor}, persistent_workers={persistent_workers}"
        raise value_error("DataLoader", "num_workers >= 1 where workers' options are given", got)


def _check_order(dataset, batch_size, shuffle, samplers, drop_last, num_workers):
    sampler, batch_sampler = samplers
    if isinstance(dataset, IterableDataset):
        if shuffle or sampler is not None or batch_sampler is not None:
            raise value_error("DataLoader", "an IterableDataset in its own order", "shuffle or a sampler")
        if num_workers:
            hint = "in PyTorch each worker gives the whole dataset, unless it asks get_worker_info()"
            raise value_error("DataLoader", "num_workers=0 with an IterableDataset", num_workers, hint)
    if sampler is not None and shuffle:
        raise value_error("DataLoader", "sampler or shuffle", "both", "shuffle in the sampler")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise value_error(
            "DataLoader", "batch_sampler alone", "batch_size, shuffle, sampler or drop_last with it"
        )
    if batch_size is None and drop_last:
        raise value_error("DataLoader", "a batch_size where drop_last=True", None)
