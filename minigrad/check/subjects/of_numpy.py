"""A NumPy function with a hand-written backward."""

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from minigrad.check import contract
from minigrad.check.subjects.base import Arrays, Subject, flatten, is_tree, leaves, rebuilt
from minigrad.errors import type_error


class NumpySubject(Subject):
    """fn(*arrays) -> (out, vjp), or a pair (forward, backward): backward(dout, *arrays) -> gradients.

    `out` may be a tuple, list or dict of arrays; then dout is one like it. The gradients are one for each
    argument, or None; for an argument that is a tuple, list or dict, one like it.
    """

    library, takes, returns = "numpy", "NumPy arrays", "arrays of floats"
    numbers = ("float", "complex")  # for a complex step

    def returns_a_pair(self) -> bool:
        """Does the function, run on these arrays, return (out, vjp)?"""
        try:
            self._run(self.arrays)
        except Exception:  # then it is no such function, whatever it is
            return False
        return True

    def _run(self, arrays: Arrays) -> tuple[Any, Callable[[Any], Any]]:
        """Return (out, vjp), with arrays for the leaves of out."""
        arguments, _ = self.split(arrays)
        with self.sealed(), self.explained(), np.errstate(all="ignore"):
            if isinstance(self.fn, tuple):
                forward, backward = self.fn
                result: Any = (forward(*arguments), lambda dout: backward(dout, *arguments))
            else:
                result = self.fn(*arguments)
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            kinds = ", ".join(type(y).__name__ for y in result) if isinstance(result, tuple) else ""
            got = f"a tuple of {kinds}" if kinds else type(result).__name__
            hint = "several outputs are a tuple of their own: ((a, b), vjp); or pass (forward, backward)"
            raise type_error("gradcheck", "a NumPy function that returns (out, vjp)", got, hint)
        return rebuilt(result[0], map(np.asarray, flatten(result[0]))), result[1]

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the outputs."""
        return self.floats(flatten(self._run(arrays)[0]))

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Call the backward, under the contract of a vjp."""
        out, backward = self._run(arrays)
        outs, given = flatten(out), self.filled(arrays)
        floats = self.floats(outs)

        walks = itertools.count()

        def vjp(flat: Any) -> Any:  # what is written into views of it shows there
            if next(walks) == 1:  # what the function keeps for one call alone is lost in another
                with suppress(Exception):  # there, it may leave its domain
                    self._run([a * (1 + 2.0**-10) for a in arrays])
            pieces = np.split(flat, np.cumsum([y.size for y in floats])[:-1])
            own = iter([dy.reshape(y.shape).astype(y.dtype, copy=False) for dy, y in zip(pieces, floats)])
            grads = backward(rebuilt(out, (next(own) if self.is_own(y) else np.zeros_like(y) for y in outs)))
            grads = grads if isinstance(grads, (tuple, list)) else (grads,)
            return self._spread(grads) if any(map(is_tree, self.tree)) else grads

        name, dtypes = getattr(self.fn, "__name__", "backward"), (arrays[0].dtype, *(y.dtype for y in floats))
        wanted = [(x.shape, dtypes) if i in self.slots else None for i, x in enumerate(given)]
        held = [x for x in (*given, *outs) if isinstance(x, np.ndarray)]
        flat = np.concatenate([dy.ravel() for dy in cotangents]).astype(np.result_type(*floats))
        with np.errstate(all="ignore"):
            grads = contract.pull(name, vjp, flat, wanted, held)
        return [grads[i] if i < len(grads) else None for i in self.slots]

    def _spread(self, grads: Sequence[Any]) -> list[Any]:
        """Return the gradient of each leaf, from one for each argument; raise BadGradient if there are others."""
        spread = [leaf for i, dx in enumerate(grads) for leaf in leaves(dx, f"input {i}")]
        found = {place: g for place, g in spread if g is not None}
        if strange := [place for place in found if place not in self.places]:
            places = ", ".join(self.places)
            raise contract.BadGradient("shape", f"expected gradients for {places}; got one for {strange[0]}")
        return [found.get(place) for place in self.places]
