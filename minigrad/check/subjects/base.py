"""A function as arrays in, arrays out, and its own gradients: what the checks work on."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from minigrad import random
from minigrad.backend import is_array, to_numpy
from minigrad.errors import type_error, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor

Arrays = list[np.ndarray]
NUMBERS = (int, float, np.generic)
SEAL = 20240229  # the seed that every evaluation of a sealed function starts from


class Subject:
    """A function under examination.

    `inputs` are the leaves of its arguments, which may be nested in tuples, lists and dicts; `places` says
    where each stands. `arrays` are the floats among them, then the function's parameters, in the order of
    `names`; integers, masks and options stay constants. `forward(arrays)` returns its float outputs;
    `pull(arrays, cotangents)` the gradient for each array, or None where it says it has none.
    A module starts every call with `buffers`, and leaves it with `buffers_after`.
    `largest` is the largest gradient that the last pull met on its way, which sets its rounding error.
    """

    library, takes, returns = "", "", ""  # its name; what it is run on; what it must return
    numbers: tuple[str, ...] = ("float",)  # what its outputs may be
    compiles = True  # where its library can
    largest = 0.0
    inner = 0.0  # the size of what may have cancelled in its outputs
    buffers_after: Mapping[str, np.ndarray] = {}

    def __init__(
        self,
        fn: Any,
        inputs: Sequence[Any],
        seal: bool | Generator = False,
        dtype: Any = None,
        device: str = "cpu",
    ) -> None:
        self.fn, self.seal, self.device, self.tree = fn, seal, device, list(inputs)
        named = [leaf for i, x in enumerate(inputs) for leaf in leaves(x, f"input {i}")]
        self.places, self.given = [name for name, _ in named], [x for _, x in named]
        self.inputs = [to_array(x, name) for name, x in named]
        if not any(is_array(x) for x in self.inputs):  # else a number is an option
            self.inputs = [np.asarray(x) if isinstance(x, float) else x for x in self.inputs]
        self.slots = [i for i, x in enumerate(self.inputs) if is_array(x) and "float" in str(x.dtype)]
        self.parameters, self.buffers = self._own_parameters(), self._own_buffers()
        self.names = [self.places[i] for i in self.slots] + list(self.parameters)
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

    def split(
        self, arrays: Sequence[Any], constant: Callable[[Any], Any] | None = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """Return (arguments, parameters) of a call with these arrays; all others go through `constant`."""
        filled = iter([x for x in self.filled(arrays, constant) if x is not None])
        arguments = [rebuilt(x, filled) for x in self.tree]
        return arguments, dict(zip(self.parameters, arrays[len(self.slots) :]))

    def filled(self, arrays: Sequence[Any], constant: Callable[[Any], Any] | None = None) -> list[Any]:
        """Return the leaves of the arguments of that call, in the order of `places`."""
        filled = [constant(x) if constant and is_array(x) else x for x in self.inputs]
        for slot, array in zip(self.slots, arrays):
            filled[slot] = array
        return filled

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Add to an error of the function what it was run on."""
        try:
            yield
        except Exception as error:
            other = 'if it is a function of another library, pass library= ("torch", ...)'
            error.add_note(f"it was run on {self.takes}; {other}")
            raise

    def is_own(self, y: Any) -> bool:
        """Is `y` an array of floats of this library?"""
        return _library(y) == self.library and any(kind in str(y.dtype) for kind in self.numbers)

    def floats(self, outputs: list[Any]) -> list[Any]:
        """Return the library's own float arrays among the leaves that the function returned.

        Raises    TypeError if there is none, or a function, or a tensor of another library.
        """
        own, homes = [y for y in outputs if self.is_own(y)], {_library(y) for y in outputs}
        got, hint = ", ".join(type(y).__name__ for y in outputs) or "None", "is a return missing?"
        if any(callable(y) for y in outputs):
            got = "a function among what was returned"
            hint = "a NumPy function returns the tuple (out, vjp), nothing more"
        elif others := homes - {"", "numpy", self.library}:
            got, hint = f"some of {' and '.join(sorted(others))}", "a gradient goes through one library alone"
        elif own:
            return own
        elif self.library in homes:
            got, hint = f"{got} of integers or booleans alone", "these have no gradient: return floats"
        elif any(isinstance(y, NUMBERS) for y in outputs):
            hint = "a plain number has no history: return the Tensor, without float() or item()"
        elif outputs:
            hint = f"return {self.returns}; or, of NumPy, (out, vjp), where out may be a tuple"
        with self.explained():
            raise type_error("gradcheck", f"a function that returns {self.returns}", got, hint)

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

    def roundings(self, arrays: Arrays, cotangents: Arrays) -> float:
        """Return what the rounding on the way does to the sum of the outputs times these; 0 if nobody can tell."""
        return 0.0

    def gradients(self, arrays: Arrays, cotangents: Arrays) -> Arrays:
        """Return those of `pull`, with zeros for None."""
        grads = self.pull(arrays, cotangents)
        return [np.zeros_like(a) if g is None else g for g, a in zip(grads, arrays)]

    def recorded(self, arrays: Arrays) -> "Recording | None":
        """Return the function that the graph at these arrays computes; None if there is no graph to look at.

        A value without a history is a constant of it. So if a vjp agrees with the slopes of the
        recording, but not with the function's own, then a branch was cut off, and nothing else is wrong. It is
        had of minigrad, PyTorch and, for `jax.lax.stop_gradient`, JAX: NumPy has no graph, and a second order
        is not recorded.
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
    return [leaf for _, leaf in leaves(value) if leaf is not None]


def is_tree(x: Any) -> bool:
    """Is `x` a tuple, list or dict of other things? A list of numbers, or of such lists, is an array."""
    if isinstance(x, list):
        return not x or any(is_tree(y) if isinstance(y, list) else not isinstance(y, NUMBERS) for y in x)
    return isinstance(x, (tuple, dict))


def leaves(tree: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (place, leaf), as ("input 0['w'][1]", array), of nested tuples, lists and dicts."""
    if not is_tree(tree):
        yield place, tree
        return
    for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from leaves(item, f"{place}[{key!r}]")


def rebuilt(tree: Any, filled: Iterator[Any]) -> Any:
    """Return a copy of the tree whose leaves, but None, are the next ones of `filled`."""
    if isinstance(tree, dict):
        made = copy.copy(tree)
        made.update({key: rebuilt(item, filled) for key, item in tree.items()})
        return made
    if is_tree(tree):
        items = [rebuilt(item, filled) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return None if tree is None else next(filled)


def to_array(x: Any, name: str = "input") -> Any:
    """Return a Tensor of any library as a NumPy array; lists too; numbers, keys and options as they are.

    Raises    ValueError for complex numbers, and for floats that are neither float32 nor float64
    """
    kind = str(getattr(x, "dtype", "")).removeprefix("torch.")
    if "complex" in kind or ("float" in kind and kind not in ("float32", "float64")):
        raise value_error(name, "float32 or float64 numbers", kind, "convert it first")
    if isinstance(x, Tensor):
        return to_numpy(x.array)
    if hasattr(x, "detach"):
        return x.detach().cpu().numpy()
    if isinstance(x, list) or (hasattr(x, "__array__") and not is_array(x)):
        return x if "key" in kind else np.asarray(x)  # JAX's keys are no numbers
    return x


def _library(y: Any) -> str:
    """Return the name of the library whose tensor, or subclass of one, `y` is; "" for all else."""
    if isinstance(y, Tensor):  # whose class may say that it is torch's, where minigrad stands in for it
        return "minigrad"
    roots = [each.__module__.partition(".")[0].replace("jaxlib", "jax") for each in type(y).__mro__]
    known = ("numpy", "minigrad", "torch", "jax") if hasattr(y, "dtype") else ()
    return next((root for root in roots if root in known), "")


def _equal(ours: Arrays, theirs: Arrays) -> bool:
    pairs = zip(ours, theirs)
    return len(ours) == len(theirs) and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
