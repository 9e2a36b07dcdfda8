"""A NumPy function with a hand-written backward."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.check import contract
from minigrad.check.subjects.base import Arrays, Subject
from minigrad.errors import type_error


class NumpySubject(Subject):
    """fn(*arrays) -> (out, vjp), or a pair (forward, backward): backward(dout, *arrays) -> gradients."""

    library = "numpy"

    def returns_a_pair(self) -> bool:
        """Does the function, run on these arrays, return (out, vjp)?"""
        try:
            self._run(self.arrays)
        except Exception:  # then it is no such function, whatever it is
            return False
        return True

    def _run(self, arrays: Arrays) -> tuple[Any, Callable[[Any], Any]]:
        arguments, _ = self.split(arrays)
        with self.sealed(), np.errstate(all="ignore"):
            if isinstance(self.fn, tuple):
                forward, backward = self.fn
                return np.asarray(forward(*arguments)), lambda dout: backward(dout, *arguments)
            result = self.fn(*arguments)
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            got, hint = type(result).__name__, "or pass the pair (forward, backward) as the function"
            raise type_error("gradcheck", "a NumPy function that returns (out, vjp)", got, hint)
        return np.asarray(result[0]), result[1]

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the output."""
        return [self._run(arrays)[0]]

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Call the backward, under the contract of a vjp."""
        out, backward = self._run(arrays)

        def vjp(dout: Any) -> Any:
            grads = backward(dout)
            return grads if isinstance(grads, (tuple, list)) else (grads,)

        given, _ = self.split(arrays)
        name, dtypes = getattr(self.fn, "__name__", "backward"), (arrays[0].dtype, out.dtype)
        wanted = [(x.shape, dtypes) if i in self.slots else None for i, x in enumerate(given)]
        held = [x for x in (*given, out) if isinstance(x, np.ndarray)]
        with np.errstate(all="ignore"):
            grads = contract.pull(name, vjp, cotangents[0].astype(out.dtype), wanted, held)
        return [grads[i] if i < len(grads) else None for i in self.slots]
