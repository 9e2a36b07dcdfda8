"""A JAX function. JAX is never imported here: a function of its own exists only where the user did so."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.check.subjects.base import Arrays, Subject, flatten


class JaxSubject(Subject):
    """A JAX function."""

    library = "jax"

    def _run(self, arrays: Arrays) -> tuple[list[Any], Callable[[Any], Any]]:
        jax = sys.modules["jax"]

        def of_floats(*floats: Any) -> list[Any]:
            arguments, _ = self.split(floats)
            return [y for y in flatten(self.fn(*arguments)) if hasattr(y, "dtype")]

        with jax.enable_x64(arrays[0].dtype == np.float64):
            return jax.vjp(of_floats, *[jax.numpy.asarray(a) for a in arrays])

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        return [np.asarray(y) for y in self._run(arrays)[0]]

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Call jax.vjp."""
        jax = sys.modules["jax"]
        outputs, vjp = self._run(arrays)
        with jax.enable_x64(arrays[0].dtype == np.float64):
            grads = vjp([jax.numpy.asarray(dy.astype(y.dtype)) for y, dy in zip(outputs, cotangents)])
        return [np.asarray(g) for g in grads]
