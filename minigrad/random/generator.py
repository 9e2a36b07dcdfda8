"""Every draw of PyTorch's CPU generator, number for number."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minigrad.errors import check_probability, check_shape, type_error, value_error
from minigrad.random.stream import Size, Stream
from minigrad.random.torch_cpu import box_muller, fma32, fma64

FLOAT64 = np.dtype(np.float64)


class Generator(Stream):
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

    def initial_seed(self) -> int:
        """Return the seed this stream started from."""
        return self._seed

    def state(self) -> dict[str, Any]:
        """Return where the stream is: one array and a few numbers, which np.savez stores without pickle."""
        with self._lock:
            bits = dict(self._source.bit_generator.state)
            del bits["bit_generator"]
            return {**bits.pop("state"), **bits, "spare": self._spare, "seed": self._seed}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state()` returned, on this or another Generator of the same stream."""
        if missing := sorted(self.state().keys() - state.keys()):
            raise value_error("set_state", f"a state of stream {self.stream!r}", f"one without {missing}")
        with self._lock:
            bits = dict(self._source.bit_generator.state)
            bits.update({name: int(state[name]) for name in bits.keys() - {"bit_generator", "state"}})
            bits["state"] = {name: np.asarray(state[name]) for name in bits["state"]}
            self._source.bit_generator.state = bits
            self._spare, self._seed = float(state["spare"]), int(state["seed"])

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
        self, mean: float = 0.0, std: float = 1.0, size: Size = (), dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Draw normal numbers."""
        shape, kind = check_shape("normal", (size,)), _float_dtype("normal", dtype)
        _check_normal("normal", mean, std, std >= 0, ">= 0")
        with self._lock:
            return self._normal(math.prod(shape), mean, std, kind).reshape(shape)

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

    def exponential(self, size: Size = (), dtype: DTypeLike = np.float32) -> np.ndarray:
        """Draw exponential numbers of mean 1."""
        shape, kind = check_shape("exponential", (size,)), _float_dtype("exponential", dtype)
        with self._lock:
            return self._exponential(math.prod(shape), kind).reshape(shape)

    def randint(self, low: int, high: int, size: Size = (), dtype: DTypeLike = np.int64) -> np.ndarray:
        """Draw from low, ..., high - 1. Remainders of a word, so very slightly uneven, as in PyTorch."""
        shape, kind = check_shape("randint", (size,)), np.dtype(dtype)
        if kind.kind not in "iu":
            raise type_error("randint", "an integer dtype", kind)
        n, span, limits = math.prod(shape), high - low, np.iinfo(kind)
        if not (limits.min <= low < high <= int(limits.max) + 1 and span < 2**64):
            raise value_error("randint", f"low < high in the range of {kind}", f"{low} and {high}")
        with self._lock:
            words = self._words(n) if span < 2**28 else self._words64(n)
        return (words % words.dtype.type(span) + np.uint64(low % 2**64)).astype(kind).reshape(shape)

    def random_int64(self, size: Size = ()) -> np.ndarray:
        """Draw from 0, ..., 2**63 - 1, as `Tensor.random_`: PyTorch's samplers are seeded with these."""
        shape = check_shape("random_int64", (size,))
        with self._lock:
            return (self._words64(math.prod(shape)) & np.uint64(2**63 - 1)).astype(np.int64).reshape(shape)

    def randperm(self, n: int) -> np.ndarray:
        """Return 0, ..., n - 1 in random order: each place in turn is swapped with itself or a later one."""
        (n,) = check_shape("randperm", (n,))
        with self._lock:
            if self.stream == "fast":
                return self._source.permutation(n)
            words = self._words(max(n - 1, 0))
        places = words % np.arange(n, 1, -1) + np.arange(n - 1)
        order = list(range(n))  # a list, because single elements of an array are slow to reach
        for i, j in enumerate(places.tolist()):
            order[i], order[j] = order[j], order[i]
        return np.array(order, np.int64)

    def loader_order(self, n: int) -> np.ndarray:
        """Return the order in which a pass of `DataLoader(shuffle=True)` visits n examples."""
        _, seed = self.random_int64(2)  # the first would seed worker processes
        return Generator(int(seed), self.stream).randperm(n)

    def bernoulli(
        self, p: float | np.ndarray, size: Size | None = None, dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Draw 1 with probability p, else 0; one draw for each element of an array p, at its precision."""
        if isinstance(p, np.ndarray):
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
        probs = np.asarray(probs, None if isinstance(probs, np.ndarray) else np.float32)
        _check_multinomial(probs, num_samples, replacement)
        rows, shape = probs.reshape(-1, probs.shape[-1]), (*probs.shape[:-1], num_samples)
        if num_samples == 1 or not replacement:
            with self._lock:
                speed = rows / self._exponential(rows.size, rows.dtype).reshape(rows.shape)
            if num_samples == 1:
                return speed.argmax(1).reshape(shape)
            return np.argsort(-speed, 1, kind="stable")[:, :num_samples].reshape(shape)
        with self._lock:
            u = self._unit(math.prod(shape), FLOAT64).reshape(-1, num_samples)
        sums = np.cumsum(rows, axis=1)
        sums = (sums / sums[:, -1:]).astype(np.float64)
        sums[:, -1] = 1
        found = [np.searchsorted(*pair) for pair in zip(sums, u, strict=True)]
        return np.array(found, np.int64).reshape(shape)

    # ---- the draws themselves: n numbers in one row, the lock being held ----

    def _uniform(self, n, low, high, kind):
        low, high = kind.type(low), kind.type(high)
        x = (fma32 if kind == np.float32 else fma64)(self._unit(n, kind), high - low, low)
        x[x == high] = low  # rounding can reach the end that is excluded
        return x

    def _normal(self, n, mean, std, kind):
        """Sixteen at a time; if n is no multiple, the last 16 are drawn again. Fewer than 16: one by one."""
        if self.stream == "fast":
            return self._source.standard_normal(n, kind) * kind.type(std) + kind.type(mean)
        if n < 16:
            return np.array([fma64(self._one_normal(), float(std), float(mean)) for _ in range(n)], kind)
        x = self._unit(n, kind)
        box_muller(x[: n - n % 16], mean, std)
        if n % 16:
            x[-16:] = self._unit(16, kind)
            box_muller(x[-16:], mean, std)
        return x

    def _one_normal(self):
        """One of a Box-Muller pair in float64; the other is spared for the next call, whenever it comes."""
        x, self._spare = self._spare, math.nan
        if math.isnan(x):
            b, a = self._unit(2, FLOAT64).tolist()
            r, t = math.sqrt(-2 * math.log1p(-a)), 2 * math.pi * b
            x, self._spare = r * math.cos(t), r * math.sin(t)
        return x

    def _wide_normal(self, n, mean, std, a, b, kind):
        """For [a, b] that holds much of the distribution: where outside, put the next n draws."""
        a, b = kind.type(a), kind.type(b)
        x = self._normal(n, mean, std, kind)
        while (outside := (x < a) | (x > b)).any():
            x = np.where(outside, self._normal(n, mean, std, kind), x)
        return x

    def _narrow_normal(self, n, mean, std, a, b, kind):
        """For any other: uniform x, each accepted with probability density(x) / largest density in [a, b].

        PyTorch's float32 logarithm may differ in its last bit, which decides otherwise about once in 10**8.
        """
        log_peak = kind.type(-0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2)
        x, pending = np.empty(n, kind), np.full(n, True)
        while pending.any():
            x = np.where(pending, self._uniform(n, a, b, kind), x)
            log_density = ((x - kind.type(mean)) / kind.type(std)) ** 2 * kind.type(-0.5) - log_peak
            with np.errstate(divide="ignore"):  # log 0 is -inf, and accepts
                pending &= np.log(self._unit(n, kind), dtype=FLOAT64).astype(kind) > log_density
        return x

    def _exponential(self, n, kind):
        if self.stream == "torch-mkl":
            return -np.log(self._mkl(n, words=1 if kind == np.float32 else 2)).astype(kind)
        u = self._unit(n, FLOAT64)
        if kind == np.float32:
            return -np.log1p(-u).astype(kind)
        return -np.fromiter(map(math.log1p, (-u).tolist()), kind, n)  # PyTorch's last bit, the C library's


def _float_dtype(where, dtype):
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise type_error(where, "dtype float32 or float64", kind)
    return kind


def _check_range(where, low, high, kind):
    largest = 1e290 if kind == np.float64 else 1e38
    if not -largest <= low <= high <= largest:
        raise value_error(where, f"low <= high, both within {largest:g}", f"{low} and {high}")


def _check_normal(where, mean, std, fits, condition):
    if not (math.isfinite(mean) and math.isfinite(std) and fits):
        raise value_error(where, f"finite mean, and finite std {condition}", f"{mean} and {std}")


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
