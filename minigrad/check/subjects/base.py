"""A function as arrays in, arrays out, and its own gradients: what the checks work on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from minigrad import random
from minigrad.backend import is_array, to_numpy
from minigrad.dtypes import FLOATS
from minigrad.random import Generator
from minigrad.tensor import Tensor

Arrays = list[np.ndarray]
SEAL = 20240229  # the seed that every evaluation of a sealed function starts from


class Subject:
    """A function under examination.

    `arrays` are its float inputs, then its parameters, in the order of `names`; integers, masks and
    options among the inputs stay constants. `forward(arrays)` returns its float outputs;
    `pull(arrays, cotangents)` the gradient for each array, or None where it says it has none.
    A module starts every call with `buffers`, and leaves it with `buffers_after`.
    `largest` is the largest gradient that the last pull met on its way, which sets its rounding error.
    """

    library = ""
    largest = 0.0
    buffers_after: Mapping[str, np.ndarray] = {}

    def __init__(
        self,
        fn: Any,
        inputs: Sequence[Any],
        seal: bool | Generator = False,
        dtype: Any = None,
        device: str = "cpu",
    ) -> None:
        self.fn, self.seal, self.device = fn, seal, device
        self.inputs = [to_array(x) for x in inputs]
        self.slots = [i for i, x in enumerate(self.inputs) if is_array(x) and x.dtype in FLOATS]
        self.parameters, self.buffers = self._own_parameters(), self._own_buffers()
        self.names = [f"input {i}" for i in self.slots] + list(self.parameters)
        floats = [self.inputs[i] for i in self.slots]
        dtype = dtype or (floats[0].dtype if floats else None)  # a module is examined in that of its input
        self.arrays = [a.astype(dtype or a.dtype) for a in (*floats, *self.parameters.values())]
        self._state = seal.state() if isinstance(seal, Generator) else {}

    @property
    def name(self) -> str:
        """That of the function; of a pair, that of the first."""
        fn = self.fn[0] if isinstance(self.fn, tuple) else self.fn
        return getattr(fn, "__name__", type(fn).__name__)

    def _own_parameters(self) -> dict[str, np.ndarray]:
        return {}

    def _own_buffers(self) -> dict[str, np.ndarray]:
        return {}

    def split(self, arrays: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return (arguments, parameters) of a call with these arrays."""
        arguments = list(self.inputs)
        for slot, array in zip(self.slots, arrays):
            arguments[slot] = array
        return arguments, dict(zip(self.parameters, arrays[len(self.slots) :]))

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """Inside, the function draws the same random numbers as in every other evaluation."""
        if isinstance(self.seal, Generator):
            self.seal.set_state(self._state)
        with random.using(Generator(SEAL)) if self.seal else nullcontext():
            yield

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        raise NotImplementedError

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Return the gradient for each array, after making sure that a second walk gives the same.

        Raises    BadGradient for what cannot be a gradient, or breaks the contract of a vjp.
        """
        raise NotImplementedError

    def gradients(self, arrays: Arrays, cotangents: Arrays) -> Arrays:
        """Return those of `pull`, with zeros for None."""
        grads = self.pull(arrays, cotangents)
        return [np.zeros_like(a) if g is None else g for g, a in zip(grads, arrays)]

    def recorded(self, arrays: Arrays) -> "Recording | None":
        """Return the function that the graph at these arrays computes; None if there is no graph to look at.

        A value without a history is a constant of it. So if a vjp agrees with the slopes of the
        recording, but not with the function's own, then a branch was cut off, and nothing else is wrong.
        """
        return None


class Recording(Subject):
    """A function with all values that have no history kept as they were; its `forward` alone."""

    kept: list[tuple[str, list[np.ndarray]]]  # (who met the values, these)

    def cuts(self, other: "Recording") -> list[str]:
        """Say, once each, who met other values than in the other recording."""
        pairs = zip(self.kept, other.kept) if len(self.kept) == len(other.kept) else ()
        return list(dict.fromkeys(who for (who, ours), (_, theirs) in pairs if not _equal(ours, theirs)))


def flatten(value: Any) -> list[Any]:
    """Return the leaves of nested tuples, lists and dicts, without None."""
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in flatten(item)]
    if isinstance(value, dict):
        return flatten(list(value.values()))
    return [] if value is None else [value]


def to_array(x: Any) -> Any:
    """Return a Tensor of any library as a NumPy array; lists too; numbers and options as they are."""
    if isinstance(x, Tensor):
        return to_numpy(x.array)
    if hasattr(x, "detach"):
        return x.detach().cpu().numpy()
    if isinstance(x, list) or (hasattr(x, "__array__") and not is_array(x)):
        return np.asarray(x)
    return x


def _equal(ours: Arrays, theirs: Arrays) -> bool:
    pairs = zip(ours, theirs)
    return len(ours) == len(theirs) and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
