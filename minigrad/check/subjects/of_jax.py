"""A JAX function. JAX is never imported here: a function of its own exists only where the user did so."""

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad.check.subjects.base import Arrays, Recording, Subject, flatten

REPEATS = 3  # runs that must be equal in every bit before a function is compiled


class JaxSubject(Subject):
    """A JAX function.

    It is compiled, once for each shape and dtype. A compiled function repeats what it drew and read outside of
    JAX while it was traced; so what differs between its first runs is never compiled, nor what cannot be.
    """

    library, takes, returns = "jax", "JAX arrays", "float arrays of JAX"

    @functools.cached_property
    def _ready(self) -> dict[Any, Callable[..., list[Any]]]:
        """What was compiled, or cannot be."""
        return {}

    def is_own(self, y: Any) -> bool:
        """Is `y` a JAX array of floats?"""
        jax = sys.modules["jax"]
        return isinstance(y, jax.Array) and bool(jax.numpy.issubdtype(y.dtype, np.floating))

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        return self._call(self.outputs, arrays)

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Call jax.vjp."""
        return self._call(self._gradients, arrays, cotangents)

    def record(self, arrays: Arrays) -> None:
        """Run the function once, as for a gradient."""
        jax = sys.modules["jax"]
        with self.wide(arrays):
            jax.vjp(self.outputs, [jax.numpy.asarray(a) for a in arrays])

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
        jitted = sys.modules["jax"].jit(fn)
        try:
            jitted(*given)
        except Exception:  # JAX has many errors for what it cannot trace, and users have theirs
            return fn
        same = [np.array_equal(a, b, equal_nan=True) for ys in others for a, b in zip(first, ys)]
        return jitted if all(same) else fn

    def wide(self, arrays: Arrays) -> Any:
        """Inside, JAX computes in float64 if the arrays are so."""
        return sys.modules["jax"].enable_x64(arrays[0].dtype == np.float64)

    def recorded(self, arrays: Arrays) -> "RecordedJax | None":
        """Return the function with what stop_gradient returned kept as it was; None if JAX cannot trace it."""
        try:
            return RecordedJax(self, arrays)
        except Exception:  # as above
            return None


class RecordedJax(Recording):
    """A JAX function that returns, wherever it stopped a gradient, the value that was met there first."""

    def __init__(self, subject: JaxSubject, arrays: Arrays) -> None:
        self.subject, self.kept = subject, []
        self._run(arrays, None)

    def forward(self, arrays: Arrays) -> Arrays:
        """Run the function again, from other arrays, with the values that were kept."""
        return self._run(arrays, iter([value for _, (value,) in self.kept]))

    def _run(self, arrays: Arrays, replayed: Iterator[Any] | None) -> Arrays:
        jax = sys.modules["jax"]
        with self.subject.wide(arrays):
            floats = [jax.numpy.asarray(a) for a in arrays]
            traced = jax.make_jaxpr(self.subject.outputs)(floats)
            return [np.asarray(y) for y in self._walk(traced, floats, replayed)]

    def _walk(self, traced: Any, inputs: list[Any], replayed: Any) -> list[Any]:
        """Run a program of JAX's line by line, into what is jitted inside of it, too."""
        program = traced.jaxpr
        known = dict(zip([*program.constvars, *program.invars], [*traced.consts, *inputs]))

        def value(x: Any) -> Any:
            return x.val if hasattr(x, "val") else known[x]

        for line in program.eqns:
            given, name = [value(x) for x in line.invars], line.primitive.name
            if name in ("jit", "pjit"):
                found = self._walk(line.params["jaxpr"], given, replayed)
            else:
                found = line.primitive.bind(*given, **line.primitive.get_bind_params(line.params))
                found = found if line.primitive.multiple_results else [found]
            if name == "stop_gradient" and replayed:
                found = [sys.modules["jax"].numpy.asarray(next(replayed))]
            elif name == "stop_gradient":
                self.kept.append(("stop_gradient returns", [np.asarray(found[0])]))
            known.update(zip(line.outvars, found))
        return [value(x) for x in program.outvars]
