"""torch.utils.data: the same orders, the same batches and the same random numbers as PyTorch's."""

import collections
import itertools
import types
import warnings

import numpy as np
import pytest
import torch
from torch.utils import data as theirs

import minigrad as mg
from minigrad.random import Generator, default_generator
from nn.torch_names import data as ours

PYTORCH = types.SimpleNamespace(
    data=theirs,
    Generator=torch.Generator,
    seed=torch.manual_seed,
    draw=lambda: torch.rand(3).tolist(),
    tensor=torch.from_numpy,
)
MINIGRAD = types.SimpleNamespace(
    data=ours,
    Generator=Generator,
    seed=mg.manual_seed,
    draw=lambda: mg.rand(3).tolist(),
    tensor=lambda array: mg.from_numpy(array),
)


@pytest.fixture(autouse=True)
def generator_as_before():
    before = default_generator().state()
    yield
    default_generator().set_state(before)


def in_both(story):
    """Run the story in both libraries from the same seed; assert that it tells the same; return it."""
    told = []
    for library in (PYTORCH, MINIGRAD):
        library.seed(41)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if library is PYTORCH else "error")
            told.append(story(library))
    assert told[0] == told[1]
    return told[1]


def shown(batch):
    """Whatever a batch holds, as lists with the names of dtypes and containers."""
    if isinstance(batch, (torch.Tensor, mg.Tensor)):
        return str(batch.dtype), tuple(batch.shape), batch.tolist()
    if isinstance(batch, collections.abc.Mapping):
        return type(batch).__name__, {key: shown(each) for key, each in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch).__name__, [shown(each) for each in batch]
    return type(batch).__name__, str(batch)


# ---- orders ----

LOADERS = {
    "in order": {"batch_size": 3},
    "shuffled": {"batch_size": 3, "shuffle": True},
    "one by one": {"shuffle": True, "batch_size": None},
    "drop_last": {"batch_size": 4, "shuffle": True, "drop_last": True},
    "its own generator": {"batch_size": 2, "shuffle": True, "generator": 7},
    "in order with a generator": {"batch_size": 2, "generator": 7},
    "workers": {"batch_size": 3, "shuffle": True, "num_workers": 2},
    "workers that stay": {"batch_size": 3, "shuffle": True, "num_workers": 2, "persistent_workers": True},
    "workers and a generator": {"batch_size": 1, "shuffle": True, "num_workers": 1, "generator": 7},
}


@pytest.mark.parametrize("options", LOADERS.values(), ids=LOADERS)
def test_a_loader_visits_in_pytorchs_order_epoch_by_epoch_between_other_draws(options):
    def story(library):
        given = dict(options)
        if "generator" in given:
            given["generator"] = library.Generator().manual_seed(given["generator"])
        loader = library.data.DataLoader(range(11), collate_fn=tolist, **given)
        told = [len(loader)]
        for _ in range(3):
            told.append(library.draw())
            for batch in loader:
                told += [batch, library.draw()]
        told += [next(iter(loader)), library.draw()]
        if "generator" in given:
            told += given["generator"].get_state().tolist()
        return told

    in_both(story)


def tolist(batch):
    return batch


SAMPLERS = {
    "random": lambda d, n, g: d.RandomSampler(range(n), generator=g),
    "replacement": lambda d, n, g: d.RandomSampler(range(n), True, 75, g),
    "replacement, 64": lambda d, n, g: d.RandomSampler(
        range(n), replacement=True, num_samples=64, generator=g
    ),
    "fewer": lambda d, n, g: d.RandomSampler(range(n), num_samples=4, generator=g),
    "more": lambda d, n, g: d.RandomSampler(range(n), num_samples=2 * n + 3, generator=g),
    "weighted": lambda d, n, g: d.WeightedRandomSampler([0.5, 1, 2.5, 0, 1], 20, generator=g),
    "weighted, distinct": lambda d, n, g: d.WeightedRandomSampler([1] * 40, 40, False, generator=g),
    "subset": lambda d, n, g: d.SubsetRandomSampler(list("abcdefg"), generator=g),
    "sequential": lambda d, n, g: d.SequentialSampler(range(n)),
    "batches": lambda d, n, g: d.BatchSampler(d.RandomSampler(range(n), generator=g), 4, True),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("seed", [None, 3])
def test_a_sampler_gives_pytorchs_indices_and_leaves_its_generator_where_pytorchs_is(name, seed):
    def story(library):
        generator = None if seed is None else library.Generator().manual_seed(seed)
        told = []
        for n in (5, 11):
            sampler = SAMPLERS[name](library.data, n, generator)
            for _ in range(2):
                told += [len(sampler), list(sampler), library.draw()]
            told += [list(itertools.islice(sampler, 2)), library.draw()]
            told.append([] if generator is None else generator.get_state().tolist())
        return told

    in_both(story)


@pytest.mark.parametrize("workers", [0, 2])
def test_samplers_of_ones_own_are_asked_when_pytorch_asks_them(workers):
    """A sampler that draws in `__iter__` itself, and one that draws on the way."""

    class Eager:
        def __init__(self, library):
            self.library = library

        def __iter__(self):
            noise = self.library.draw() + self.library.draw()
            return iter(sorted(range(6), key=noise.__getitem__))

    class Lazy(Eager):
        def __iter__(self):
            for i in range(6):
                yield [i, round(self.library.draw()[0] * 5)]

    def story(library):
        told = []
        for options in ({"sampler": Eager(library), "batch_size": None}, {"batch_sampler": Lazy(library)}):
            loader = library.data.DataLoader(range(6), collate_fn=tolist, num_workers=workers, **options)
            for _ in range(2):
                told += [[batch, library.draw()] for batch in loader]
        return told

    in_both(story)


@pytest.mark.parametrize(
    "lengths", [[3, 7], [0.3, 0.3, 0.4], [0.9, 0.1], [10], [1.0], [0.26, 0.26, 0.26, 0.22], [0, 10]]
)
@pytest.mark.parametrize("seed", [None, 42])
def test_a_random_split_is_pytorchs(lengths, seed):
    def story(library):
        given = {} if seed is None else {"generator": library.Generator().manual_seed(seed)}
        parts = library.data.random_split(range(100, 110), lengths, **given)
        return [[len(part), part.indices, list(part)] for part in parts] + library.draw()

    in_both(story)


def test_an_empty_split_warns():
    with pytest.warns(UserWarning, match="random_split: split 1 is empty"):
        ours.random_split(range(3), [0.9999, 0.0001])


# ---- batches ----

Point = collections.namedtuple("Point", "x y")
ROWS = np.random.default_rng(0).normal(size=(6, 2, 3))
EXAMPLES = {
    "float": lambda t, i: i / 3,
    "int": lambda t, i: i,
    "bool": lambda t, i: i % 2 == 0,
    "string": lambda t, i: "abcdef"[i],
    "bytes": lambda t, i: b"abcdef"[i : i + 1],
    "tensor": lambda t, i: t(ROWS[i]),
    "tensor and label": lambda t, i: (t(ROWS[i].astype(np.float32)), i),
    "0-d tensors": lambda t, i: t(ROWS)[i, 0, 0],
    "array": lambda t, i: ROWS[i].astype(np.float32),
    "uint8 array": lambda t, i: (ROWS[i] > 0).astype(np.uint8),
    "NumPy's numbers": lambda t, i: [np.float32(i), np.float64(i), np.int32(i), np.bool_(i)],
    "list": lambda t, i: [i, [i / 2, str(i)]],
    "tuple": lambda t, i: (i, (i / 2, str(i))),
    "dict": lambda t, i: {"x": t(ROWS[i]), "label": i, "name": str(i)},
    "ordered dict": lambda t, i: collections.OrderedDict(b=i, a=ROWS[i]),
    "mapping": lambda t, i: types.MappingProxyType({"b": i, "a": ROWS[i]}),
    "namedtuple": lambda t, i: Point(i, t(ROWS[i])),
    "range": lambda t, i: range(i, i + 3),
}


@pytest.mark.parametrize("batch_size", [4, 1, None])
@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_a_batch_holds_what_pytorchs_holds(example, batch_size):
    def story(library):
        class Examples(library.data.Dataset):
            def __len__(self):
                return 6

            def __getitem__(self, i):
                return example(library.tensor, i)

        return [shown(batch) for batch in library.data.DataLoader(Examples(), batch_size, shuffle=True)]

    in_both(story)


def test_the_datasets_hold_what_pytorchs_hold():
    def story(library):
        d, t = library.data, library.tensor

        class Stream(d.IterableDataset):
            def __iter__(self):
                return iter([1.5, 2.5, 3.5])

            def __len__(self):
                return 3

        rows = d.TensorDataset(t(ROWS), t(np.arange(6)))
        both = d.ConcatDataset([rows, d.Subset(rows, [4, 2])]) + rows
        stream = Stream() + Stream()
        told = [
            shown(each) for each in (rows[2], rows[1:3], rows[-1], both[-1], both[7], both[13], list(stream))
        ]
        told += [len(each) for each in (rows, both, stream)]
        for dataset, options in ((both, {"shuffle": True}), (d.Subset(both, [1, 6, 9]), {})):
            told += [shown(batch) for batch in d.DataLoader(dataset, batch_size=4, **options)]
        for options in ({"batch_size": 4}, {"batch_size": 4, "drop_last": True}, {"batch_size": None}):
            loader = d.DataLoader(stream, **options)
            told += [len(loader), [shown(batch) for batch in loader], library.draw()]
        return told

    in_both(story)


def test_a_dataset_may_fetch_a_batch_at_once():
    class Many(ours.Dataset):
        def __getitems__(self, indices):
            return [10.0 * i for i in indices]

        def __len__(self):
            return 4

    assert [batch.tolist() for batch in ours.DataLoader(Many(), 2)] == [[0, 10], [20, 30]]
    assert [batch.tolist() for batch in ours.DataLoader(ours.Subset(Many(), [3, 1]), 2)] == [[30, 10]]


# ---- what excludes one another ----

BAD = {
    "shuffle and sampler": lambda d: d.DataLoader(range(3), shuffle=True, sampler=[1]),
    "two sizes": lambda d: d.DataLoader(range(3), batch_size=2, batch_sampler=[[1]]),
    "nothing to drop": lambda d: d.DataLoader(range(3), batch_size=None, drop_last=True),
    "no batch": lambda d: d.DataLoader(range(3), batch_size=0),
    "half a batch": lambda d: d.DataLoader(range(3), batch_size=1.5),
    "fewer than no workers": lambda d: d.DataLoader(range(3), num_workers=-1),
    "negative time": lambda d: d.DataLoader(range(3), timeout=-1),
    "nobody to fetch ahead": lambda d: d.DataLoader(range(3), prefetch_factor=2),
    "nobody to stay": lambda d: d.DataLoader(range(3), persistent_workers=True),
    "a stream shuffled": lambda d: d.DataLoader(d.ChainDataset([]), shuffle=True),
    "a stream sampled": lambda d: d.DataLoader(d.ChainDataset([]), sampler=[1]),
    "another size later": lambda d: setattr(d.DataLoader(range(3)), "batch_size", 2),
    "nothing to shuffle": lambda d: d.DataLoader([], shuffle=True),
    "a split of another length": lambda d: d.random_split(range(10), [3, 6]),
    "a split of other fractions": lambda d: d.random_split(range(10), [0.3, 0.6]),
    "negative fractions": lambda d: d.random_split(range(10), [1.5, -0.5]),
    "no weights": lambda d: d.WeightedRandomSampler([[1.0]], 1),
    "no samples": lambda d: d.RandomSampler(range(3), num_samples=0),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
def test_what_pytorch_refuses_is_refused_in_one_line(call):
    with pytest.raises((ValueError, RuntimeError, AssertionError)):
        call(theirs)
    with pytest.raises(ValueError, match=r"^\w+: .*"):
        call(ours)


def test_only_workers_that_would_repeat_a_stream_are_refused():
    with pytest.raises(
        ValueError, match="num_workers=0 with an IterableDataset; got 2; in PyTorch each worker"
    ):
        ours.DataLoader(ours.ChainDataset([]), num_workers=2)


@pytest.mark.parametrize(
    "batch, error, message",
    [
        ([[1, 2], [1]], ValueError, r"default_collate: expected examples of one length; got \[2, 1\]"),
        ([object()], TypeError, "default_collate: expected Tensors, .*; got object"),
        ([np.array("a")], TypeError, "default_collate: expected Tensors, .*; got ndarray"),
    ],
)
def test_examples_that_make_no_batch_are_named(batch, error, message):
    with pytest.raises(error, match=message):
        ours.default_collate(batch)
