"""torch.utils.data's datasets: examples that are found by their index, or that come one after another."""

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from minigrad.errors import type_error, value_error
from minigrad.random import Generator
from nn.torch_names.samplers import drawing


class Dataset:
    """Examples by index: a subclass has `__getitem__`, and `__len__`."""

    def __class_getitem__(cls, item: Any) -> type:
        return cls  # Dataset[int], in annotations

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: write its __getitem__")

    def __add__(self, other: "Dataset") -> "Dataset":
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Examples one after another: a subclass has `__iter__`."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__}: write its __iter__")

    def __add__(self, other: Dataset) -> Dataset:
        return ChainDataset([self, other])


class TensorDataset(Dataset):
    """Rows of Tensors: example i is the tuple of their elements i."""

    def __init__(self, *tensors: Any) -> None:
        if len({len(tensor) for tensor in tensors}) != 1:
            lengths = [len(tensor) for tensor in tensors]
            raise value_error("TensorDataset", "Tensors of one length", lengths)
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class ConcatDataset(Dataset):
    """Datasets one after another, by index."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets or any(isinstance(each, IterableDataset) for each in self.datasets):
            raise value_error("ConcatDataset", "datasets that have indices, at least one", self.datasets)
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __getitem__(self, idx: int) -> Any:
        if not -len(self) <= idx < len(self):
            raise IndexError(f"ConcatDataset: expected an index below {len(self)}; got {idx}")
        idx %= len(self)
        which = bisect.bisect_right(self.cumulative_sizes, idx)
        return self.datasets[which][idx - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset):
    """Datasets without indices, one after another."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not all(isinstance(each, IterableDataset) for each in self.datasets):
            raise type_error("ChainDataset", "IterableDatasets", self.datasets)

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(map(len, self.datasets))


class Subset(Dataset):
    """The examples of a dataset at these indices."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """The examples of a batch, at once where the dataset does that."""
        many = getattr(self.dataset, "__getitems__", None)
        if many is None or type(self).__getitem__ is not Subset.__getitem__:
            return [self[i] for i in indices]
        return many([self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Split at random into Subsets of these lengths, or of these fractions of the whole if they add up to 1.

    Fractions are rounded down; what is left goes to the first ones, one each.

    Random    `randperm` of all indices, from `generator` or the default one
    """
    n = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        if not all(0 <= fraction <= 1 for fraction in lengths):
            raise value_error("random_split", "fractions from 0 to 1", lengths)
        counts = [math.floor(n * fraction) for fraction in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
        for i in (i for i, count in enumerate(counts) if count == 0):
            warnings.warn(f"random_split: split {i} is empty", stacklevel=2)
    else:
        counts = [int(length) for length in lengths]
        n = n if counts == list(lengths) else -1
    if sum(counts) != n:
        raise value_error("random_split", f"lengths that add up to {n}, or fractions to 1", lengths)
    order = iter(drawing(generator).randperm(n).tolist())
    return [Subset(dataset, list(itertools.islice(order, count))) for count in counts]
