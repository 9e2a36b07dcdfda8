"""A JAX function. JAX is never imported here: a function of its own exists only where the user did so."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

import numpy as np

from minigrad.check.subjects.base import Arrays, Recording, Subject, flatten

REPEATS = 3  # runs that must be equal in every bit before a function is compiled


class JaxSubject(Subject):
    """A JAX function.

    It is compiled, once for each shape and dtype. A compiled function repeats what it drew and read outside of
    JAX while it was traced; so what differs between its first runs is never compiled, nor what cannot be.
    """

    library, takes, returns = "jax", "JAX arrays", "float arrays of JAX"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._ready: dict[Any, Callable[..., list[Any]]] = {}  # what was compiled, or cannot be

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        return self._call(self.outputs, arrays)

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Call jax.vjp."""
        return self._call(self._gradients, arrays, cotangents)

    def call(self, arrays: Arrays, requires_grad: bool) -> Any:
        """Run the function as for a gradient."""
        with self.wide(arrays):
            floats = [sys.modules["jax"].numpy.asarray(a) for a in arrays]
            return floats, sys.modules["jax"].vjp(self.outputs, floats)[0]

    def outputs(self, floats: list[Any]) -> list[Any]:
        """Run the function on JAX arrays; return its float outputs."""
        arguments, _ = self.split(floats, sys.modules["jax"].numpy.asarray)
        with self.explained():
            return self.floats(flatten(self.fn(*arguments)))

    def _gradients(self, floats: list[Any], cotangents: list[Any]) -> list[Any]:
        outputs, vjp = sys.modules["jax"].vjp(self.outputs, floats)
        return list(vjp([dy.astype(y.dtype) for y, dy in zip(outputs, cotangents)])[0])

    def _call(self, fn: Callable[..., list[Any]], *lists: Arrays) -> Arrays:
        """Run a function of lists of JAX arrays on NumPy's; compiled, where that can be."""
        with self.wide(lists[0]):
            given = [[sys.modules["jax"].numpy.asarray(a) for a in arrays] for arrays in lists]
            if self.compiles and fn not in self._ready:
                self._ready[fn] = self._compiled(fn, given)
            return [np.asarray(y) for y in self._ready.get(fn, fn)(*given)]

    def _compiled(self, fn: Callable[..., list[Any]], given: list[Any]) -> Callable[..., list[Any]]:
        first, *others = [[np.asarray(y) for y in fn(*given)] for _ in range(REPEATS)]
        if all(np.array_equal(a, b, equal_nan=True) for ys in others for a, b in zip(first, ys)):
            with suppress(Exception):  # JAX has many errors for what it cannot trace, and users have theirs
                compiled = sys.modules["jax"].jit(fn)
                compiled(*given)
                return compiled
        return fn

    def recorded(self, arrays: Arrays) -> "RecordedJax":
        """Return the function with whatever `jax.lax.stop_gradient` returned kept as it was."""
        return RecordedJax(self, arrays)

    def wide(self, arrays: Arrays) -> Any:
        """Inside, JAX computes in float64 if the arrays are so."""
        return sys.modules["jax"].enable_x64(arrays[0].dtype == np.float64)


class RecordedJax(Recording):
    """A JAX function that is run with the values that `jax.lax.stop_gradient` returned before.

    Not seen is one that was imported under a name of its own. Nothing is compiled: a loop's is called each time.
    """

    def __init__(self, subject: JaxSubject, arrays: Arrays) -> None:
        self.subject, self.kept = subject, []
        self._run(arrays, [])

    def forward(self, arrays: Arrays) -> Arrays:
        """Run the function again, from other arrays, with the values that were kept."""
        return self._run(arrays, [value for _, (value,) in self.kept])

    def _run(self, arrays: Arrays, values: Arrays) -> Arrays:
        jax, kept, recording = sys.modules["jax"], self.kept, not values
        plain = jax.lax.stop_gradient

        def held(x: Any) -> Any:
            out = plain(x)
            if isinstance(out, jax.core.Tracer):
                return out
            if recording:
                kept.append(("stop_gradient returns", [np.asarray(out)]))
            return jax.numpy.asarray(values.pop(0)) if values else out

        hold = mock.patch.object(jax.lax, "stop_gradient", lambda x: jax.tree_util.tree_map(held, x))
        with self.subject.wide(arrays), jax.disable_jit(), hold:
            return [np.asarray(y) for y in self.subject.outputs([jax.numpy.asarray(a) for a in arrays])]
