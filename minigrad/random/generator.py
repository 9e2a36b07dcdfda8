"""Every draw of PyTorch's CPU generator, number for number."""

import copy
import math
import os
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minigrad.errors import check_probability, check_shape, type_error, value_error
from minigrad.random import torch_state
from minigrad.random.draws import FLOAT64, Draws
from minigrad.random.stream import PYTORCH_SEED, Size
from minigrad.random.ties import topk_order

LIMITS: dict[str, tuple[tuple[int, ...], int]] = {  # of what a state holds: shape, largest number
    "key": ((624,), 2**32 - 1), "pos": ((), 624), "state": ((4,), 2**64 - 1), "has_uint32": ((), 1),
    "uinteger": ((), 2**32 - 1), "seed": ((), 2**64 - 1),
}  # fmt: skip


class Generator(Draws):
    """A stream of random numbers with PyTorch's method names, returning NumPy arrays.

    Generator(seed) draws what PyTorch 2.13 draws on an x86 CPU after torch.manual_seed(seed): every bit, in
    any sequence of calls. (Normals of ARM builds differ by up to 2e-6.) The `stream` is one of

    "torch"      PyTorch on x86 since 2.7, and on ARM Macs always. Books and notebooks made on such a Mac show
                 its numbers, like S. Raschka's Build a Large Language Model (From Scratch).
    "torch-mkl"  PyTorch up to 2.6 on Intel processors: Linux, Windows, Intel Macs. The same, but dropout,
                 `bernoulli` with a number, and `exponential` take one word as seed of Intel MKL's MCG31m1.
                 Hence one seed had two dropout masks: github.com/pytorch/pytorch/issues/121595 and 84030.
                 (Not MKL's last bit of `exponential`; early builds drew that one the plain way.)
    "fast"       The same methods over NumPy's SFC64, with NumPy's normals and permutations, and with masks
                 that take two bytes an element and round p to 1/65536. Its numbers are not PyTorch's.

    Nanoseconds a number, in arrays of a million, one core of an AMD EPYC (np.random's float32: 1.8 and 8):

                 rand    randn   randn float64   keep_mask   exponential   randperm
    "torch"      3.3     20      75              4.6         12            500
    "fast"       2.5     8       8               0.7         9             10

    Random    Words of 32 bits from MT19937. float32 takes the low 24 bits of one, float64 the low 53 of two,
              the first being the high half. Every method draws under a lock: threads may share a Generator.
    Raises    ValueError or TypeError for bad arguments, before anything is drawn.
    """

    def __init__(self, seed: int | str = PYTORCH_SEED, stream: str = "torch", *, device: Any = "cpu"):
        if isinstance(getattr(seed, "type", seed), str):  # PyTorch's one argument, a device
            seed, device = PYTORCH_SEED, seed
        if str(getattr(device, "type", device)) != "cpu":
            raise value_error("Generator", "a seed, or the device 'cpu'", repr(device))
        super().__init__(seed, stream)  # type: ignore[arg-type]

    def seed(self) -> int:
        """Start again from a seed that the operating system draws; return it."""
        self.manual_seed(int.from_bytes(os.urandom(8)))
        return self._seed

    def initial_seed(self) -> int:
        """Return the seed this stream started from."""
        return self._seed

    def state(self) -> dict[str, Any]:
        """Return where the stream is: one array and a few numbers, which np.savez stores without pickle."""
        with self._lock:
            bits = dict(self._source.bit_generator.state)
            del bits["bit_generator"]
            return {**bits.pop("state"), **bits, "spare": self._spare, "seed": self._seed}

    def get_state(self) -> np.ndarray:
        """Return where the stream is as PyTorch's 5056 bytes, which `torch.Generator.set_state` takes."""
        if self.stream != "torch":
            raise value_error("get_state", 'stream "torch"', repr(self.stream), "state() has any stream's")
        return torch_state.to_bytes(self.state())

    def set_state(self, state: Mapping[str, Any] | ArrayLike) -> None:
        """Continue from what `state()`, `get_state()` or `torch.Generator.get_state()` returned."""
        if not isinstance(state, Mapping):
            state = torch_state.from_bytes(np.asarray(state))
        bits, spare, seed = self._checked(state)
        with self._lock:
            self._source.bit_generator.state, self._spare, self._seed = bits, spare, seed

    def _checked(self, state: Mapping[str, Any]) -> tuple[dict[str, Any], float, int]:
        """Return (NumPy's state, the spare normal, the seed); NumPy itself would read beyond its words for a large pos.

        Raises    ValueError, naming what is missing or cannot be, before anything is changed.
        """
        if missing := sorted(self.state().keys() - state.keys()):
            raise value_error("set_state", f"a state of stream {self.stream!r}", f"one without {missing}")
        found = {name: np.asarray(state[name]) for name in self.state()}
        spare = found.pop("spare")
        for name, value in found.items():
            shape, most = LIMITS[name]
            if value.dtype.kind not in "iu" or value.shape != shape or value.min() < 0 or value.max() > most:
                expected = f"{name} of shape {shape}, whole numbers from 0 to {most}"
                got = (
                    value if value.dtype.kind in "iu" and not value.shape else f"{value.dtype} {value.shape}"
                )
                raise value_error("set_state", expected, got)
        if spare.dtype.kind != "f" or spare.shape or np.isinf(spare):
            raise value_error("set_state", "spare, a finite number or NaN", f"{spare.dtype} {spare.shape}")
        with self._lock:
            bits = dict(self._source.bit_generator.state)
        inner = {
            k: found[k].astype(v.dtype) if k in ("key", "state") else int(found[k])
            for k, v in bits["state"].items()
        }
        outer: dict[str, Any] = {k: int(found[k]) for k in ("has_uint32", "uinteger") if k in found}
        return {**bits, **outer, "state": inner}, float(spare), int(found["seed"])

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: the stream from here on, in memory of its own."""
        with self._lock:
            return {**vars(self), "_lock": None, "_source": copy.deepcopy(self._source)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def spawn(self, n: int) -> list["Generator"]:
        """Return n Generators of the same stream, say for n threads, each seeded by a draw of this one."""
        return [Generator(int(seed), self.stream) for seed in self.random_int64(n)]

    def rand(self, *size: int, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Draw uniform numbers from [0, 1)."""
        shape, kind = check_shape("rand", size), _float_dtype("rand", dtype)
        with self._lock:
            return self._unit(math.prod(shape), kind).reshape(shape)

    def uniform(
        self, low: float = 0.0, high: float = 1.0, size: Size = (), dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Draw uniform numbers from [low, high)."""
        shape, kind = check_shape("uniform", (size,)), _float_dtype("uniform", dtype)
        _check_range("uniform", low, high, kind)
        with self._lock:
            return self._uniform(math.prod(shape), low, high, kind).reshape(shape)

    def randn(self, *size: int, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Draw standard normal numbers."""
        shape, kind = check_shape("randn", size), _float_dtype("randn", dtype)
        with self._lock:
            return self._normal(math.prod(shape), 0.0, 1.0, kind).reshape(shape)

    def normal(
        self,
        mean: float = 0.0,
        std: float = 1.0,
        size: Size = (),
        dtype: DTypeLike = np.float32,
        *,
        side_by_side: bool = True,
    ) -> np.ndarray:
        """Draw normal numbers; PyTorch draws others for a Tensor whose elements are not `side_by_side`."""
        shape, kind = check_shape("normal", (size,)), _float_dtype("normal", dtype)
        _check_normal("normal", mean, std, std >= 0, ">= 0")
        with self._lock:
            draw = self._normal if side_by_side else self._normal_one_by_one
            return draw(math.prod(shape), mean, std, kind).reshape(shape)

    def normal_about(self, mean: ArrayLike, std: ArrayLike) -> np.ndarray:
        """Draw a normal number for each element of `mean` and `std`, at least one of which is an array.

        The dtype is that of the mean, or of std where mean is a number: as `torch.normal`.
        """
        kind = _float_dtype("normal", next(x.dtype for x in (mean, std) if hasattr(x, "dtype")))
        means, stds = np.asarray(mean), np.asarray(std)
        if not (np.isfinite(means).all() and (np.isfinite(stds) & (stds >= 0)).all()):
            raise value_error("normal", "finite means, and finite stds >= 0", f"{means} and {stds}")
        shape = np.broadcast_shapes(means.shape, stds.shape)
        with self._lock:
            x = self._normal(math.prod(shape), 0.0, 1.0 if stds.shape else std, kind).reshape(shape)
        x = (x * stds).astype(kind) if stds.shape else x
        return (x + (means if means.shape else kind.type(mean))).astype(kind)

    def trunc_normal(
        self,
        mean: float = 0.0,
        std: float = 1.0,
        a: float = -2.0,
        b: float = 2.0,
        size: Size = (),
        dtype: DTypeLike = np.float32,
    ) -> np.ndarray:
        """Draw normal numbers that lie in [a, b], as `torch.nn.init.trunc_normal_`."""
        shape, kind = check_shape("trunc_normal", (size,)), _float_dtype("trunc_normal", dtype)
        _check_normal("trunc_normal", mean, std, std > 0, "> 0")
        _check_range("trunc_normal", a, b, kind)
        below_a, below_b = ((1 + math.erf((x - mean) / std / math.sqrt(2))) / 2 for x in (a, b))
        draw = self._wide_normal if below_b - below_a > 0.3 else self._narrow_normal
        with self._lock:
            return draw(math.prod(shape), mean, std, a, b, kind).reshape(shape)

    def exponential(
        self, size: Size = (), dtype: DTypeLike = np.float32, *, lambd: float = 1.0
    ) -> np.ndarray:
        """Draw exponential numbers of mean 1 / lambd."""
        shape, kind = check_shape("exponential", (size,)), _float_dtype("exponential", dtype)
        _check_normal("exponential", 0.0, lambd, lambd > 0, "> 0", "lambd")
        with self._lock:
            return self._exponential(math.prod(shape), kind, lambd).reshape(shape)

    def log_normal(
        self, mean: float = 1.0, std: float = 2.0, size: Size = (), dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Draw numbers whose logarithms are normal, of this mean and standard deviation."""
        shape, kind = check_shape("log_normal", (size,)), _float_dtype("log_normal", dtype)
        _check_normal("log_normal", mean, std, std > 0, "> 0")
        with self._lock:
            return self._log_normal(math.prod(shape), mean, std, kind).reshape(shape)

    def cauchy(
        self, median: float = 0.0, sigma: float = 1.0, size: Size = (), dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Draw from the Cauchy distribution about `median`, half of it within `sigma`."""
        shape, kind = check_shape("cauchy", (size,)), _float_dtype("cauchy", dtype)
        _check_normal("cauchy", median, sigma, sigma > 0, "> 0", "sigma")
        with self._lock:
            return self._cauchy(math.prod(shape), median, sigma, kind).reshape(shape)

    def geometric(self, p: float, size: Size = (), dtype: DTypeLike = np.float32) -> np.ndarray:
        """Draw the number of trials, each successful with probability p, up to the first success."""
        shape = check_shape("geometric", (size,))
        if not 0 < p < 1:
            raise value_error("geometric", "0 < p < 1", p)
        with self._lock:
            return self._geometric(math.prod(shape), p, np.dtype(dtype)).reshape(shape)

    def poisson(self, rates: np.ndarray) -> np.ndarray:
        """Draw the number of events in a stretch of time that has `rates` on average, one for each element."""
        rates = np.asarray(rates)
        kind = _float_dtype("poisson", rates.dtype)
        if not (np.isfinite(rates) & (rates >= 0)).all():
            raise value_error("poisson", "finite rates >= 0", f"{rates.min()} to {rates.max()}")
        with self._lock:
            drawn = [self._poisson(rate) for rate in rates.ravel().tolist()]
        return np.array(drawn, kind).reshape(rates.shape)

    def randint(self, low: int, high: int, size: Size = (), dtype: DTypeLike = np.int64) -> np.ndarray:
        """Draw from low, ..., high - 1. Remainders of a word, so very slightly uneven, as in PyTorch.

        A float dtype must hold each of these numbers: float32 up to 2**24, float64 up to 2**53.
        """
        shape, kind = check_shape("randint", (size,)), np.dtype(dtype)
        n, span, (least, most) = math.prod(shape), high - low, _whole_numbers("randint", kind)
        if not (least <= low < high <= most + 1 and span < 2**64):
            raise value_error("randint", f"low < high in the range of {kind}", f"{low} and {high}")
        with self._lock:
            words = self._words(n) if span < 2**28 else self._words64(n)
        values = words % words.dtype.type(span) + np.uint64(low % 2**64)
        return values.astype(np.int64 if kind.kind == "f" else kind).astype(kind).reshape(shape)

    def random(
        self, low: int | None = None, high: int | None = None, size: Size = (), dtype: DTypeLike = np.int64
    ) -> np.ndarray:
        """Draw as `Tensor.random_`: below `high`, or up to the largest number that the dtype counts to.

        `random()` and `random(0)` draw from the same numbers, but may take another count of words.
        """
        shape, kind = check_shape("random", (size,)), np.dtype(dtype)
        most = _whole_numbers("random", kind)[1]
        if low is not None:
            return self.randint(low, most + 1 if high is None else high, shape, kind)
        with self._lock:
            words = (self._words64 if kind.itemsize == 8 else self._words)(math.prod(shape))
        return (words % words.dtype.type(most + 1)).astype(kind).reshape(shape)

    def random_int64(self, size: Size = ()) -> np.ndarray:
        """Draw from 0, ..., 2**63 - 1, as `Tensor.random_`: PyTorch's samplers are seeded with these."""
        return self.random(size=size)

    def randperm(self, n: int, dtype: DTypeLike = np.int64) -> np.ndarray:
        """Return 0, ..., n - 1 in random order: each place in turn is swapped with itself or a later one."""
        (n,) = check_shape("randperm", (n,))
        if n - 1 > _whole_numbers("randperm", np.dtype(dtype))[1]:
            raise value_error("randperm", f"n - 1 in the range of {np.dtype(dtype)}", n)
        with self._lock:
            if self.stream == "fast":
                return self._source.permutation(n).astype(dtype)
            words = self._words(max(n - 1, 0))
        places = words % np.arange(n, 1, -1) + np.arange(n - 1)
        order = list(range(n))  # a list, because single elements of an array are slow to reach
        for i, j in enumerate(places.tolist()):
            order[i], order[j] = order[j], order[i]
        return np.array(order, dtype)

    def loader_order(self, n: int) -> np.ndarray:
        """Return the order in which a pass of `DataLoader(shuffle=True)` visits n examples."""
        _, seed = self.random_int64(2)  # the first would seed worker processes
        return Generator(int(seed), self.stream).randperm(n)

    def bernoulli(
        self, p: float | np.ndarray, size: Size | None = None, dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Draw 1 with probability p, else 0; one draw for each element of an array p, at its precision."""
        if hasattr(p, "shape") and not isinstance(p, np.generic):
            p = np.asarray(p)
            kind = _float_dtype("bernoulli", p.dtype)
            if size is not None and check_shape("bernoulli", (size,)) != p.shape:
                raise value_error("bernoulli", f"the size of p, {p.shape}, or none", size)
            if not ((p >= 0) & (p <= 1)).all():
                raise value_error("bernoulli", "0 <= p <= 1", f"{p.min()} to {p.max()}")
            with self._lock:
                return (self._unit(p.size, kind).reshape(p.shape) < p).astype(dtype)
        p = check_probability("bernoulli", p)
        shape = check_shape("bernoulli", (() if size is None else size,))
        with self._lock:
            return self._below(math.prod(shape), p).astype(dtype).reshape(shape)

    def multinomial(self, probs: ArrayLike, num_samples: int, replacement: bool = False) -> np.ndarray:
        """Draw indices of the last axis in proportion to `probs`, whose rows need not sum to 1.

        One draw, or draws without replacement, are a race: index i arrives at time E / probs[i] with E
        exponential, and the first ones are taken. Repeated draws look up uniform numbers in the running sum.

        Shapes    probs (..., V) -> (..., num_samples)
        """
        probs = np.asarray(probs, None if hasattr(probs, "dtype") else np.float32)
        _check_multinomial(probs, num_samples, replacement)
        rows, shape = probs.reshape(-1, probs.shape[-1]), (*probs.shape[:-1], num_samples)
        if num_samples == 1 or not replacement:
            with self._lock:
                speed = rows / self._exponential(rows.size, rows.dtype).reshape(rows.shape)
            if num_samples == 1:
                return speed.argmax(1).reshape(shape)
            return topk_order(speed, num_samples).reshape(shape)
        with self._lock:
            u = self._unit(math.prod(shape), FLOAT64).reshape(-1, num_samples)
        sums = np.cumsum(rows, axis=1)
        sums = (sums / sums[:, -1:]).astype(np.float64)
        sums[:, -1] = 1
        found = [np.searchsorted(*pair) for pair in zip(sums, u, strict=True)]
        return np.array(found, np.int64).reshape(shape)


def _float_dtype(where, dtype):
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise type_error(where, "dtype float32 or float64", kind)
    return kind


def _check_range(where, low, high, kind):
    largest = 1e290 if kind == np.float64 else 1e38
    if not -largest <= low <= high <= largest:
        raise value_error(where, f"low <= high, both within {largest:g}", f"{low} and {high}")


def _check_normal(where, mean, std, fits, condition, name="std"):
    if not (math.isfinite(mean) and math.isfinite(std) and fits):
        raise value_error(where, f"finite mean, and finite {name} {condition}", f"{mean} and {std}")


def _whole_numbers(where, kind):
    """The least and the largest whole number that a dtype can count to in steps of 1."""
    if kind == np.bool_:
        return 0, 1
    if kind.kind in "iu":
        return int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    limit = 2**24 if _float_dtype(where, kind) == np.float32 else 2**53
    return -limit, limit


def _check_multinomial(probs, num_samples, replacement):
    _float_dtype("multinomial", probs.dtype)
    if probs.ndim == 0 or probs.shape[-1] == 0 or num_samples < 1:
        expected = "probs (..., V) with V >= 1, and num_samples >= 1"
        raise value_error("multinomial", expected, f"{probs.shape} and {num_samples}")
    if not (np.isfinite(probs) & (probs >= 0)).all():
        raise value_error("multinomial", "finite probs >= 0", f"{probs.min()} to {probs.max()}")
    possible = np.count_nonzero(probs, axis=-1)
    if (possible == 0).any():
        raise value_error("multinomial", "a positive number in every row of probs", "a row of zeros")
    if not replacement and (possible < num_samples).any():
        expected = f"num_samples <= {possible.min()}, the number of positive probs in a row"
        raise value_error("multinomial", expected, num_samples, "or pass replacement=True")
