"""How much of an output is the rounding of what it was computed from, by the gradients on the way."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from minigrad import tape
from minigrad.backend import to_numpy
from minigrad.primitives import products, reductions
from minigrad.switches import Noted, enable_grad
from minigrad.tensor import wrap

SUMS = (products.__name__, reductions.__name__)  # on the way to a sum of 1, there may be 1e9


class Roundings:
    """A monitor of the tape that adds up what the rounding of every array on the way does to the result.

    An array a is known up to eps a, each element by itself, and its gradient da says how far that moves the
    result: up to sqrt(sum of (eps a da)^2 over all elements of all arrays). Where x + 1e8 cancels later, that
    is much more than eps times the result, which moves in stairs over small steps.

    Source    Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.3 (running error analysis)
    """

    squares = 0.0  # of what each element does to the result

    def forward(self, fn: Callable[..., Any], arrays: Any, constants: Any) -> Any:
        """Run an operation, and keep copies of what goes in and out: what is held could not be written in place."""
        given = [None if a is None else a.copy() for a in arrays]
        out, vjp = fn(*arrays, **constants)
        return out, Noted(vjp=vjp, fn=fn, arrays=given, constants=constants, out=out.copy())

    def backward(self, node: Any, dout: Any) -> Any:
        """Run a vjp, and add the share of its output, of what it added up, and of what is inside of a fused operation."""
        kept: Any = node.vjp
        if not isinstance(kept, Noted):  # the function read a Tensor that was there before
            return kept(dout)
        grads = kept.vjp(dout)
        if hasattr(kept.fn, "reference"):
            self._look_into(kept, dout)
        self._add(kept.out, dout)
        if kept.fn.__module__ in SUMS:
            for a, da in zip(kept.arrays, grads):
                if a is not None and da is not None:
                    self._add(a, da)
        return grads

    def _look_into(self, kept: Any, dout: Any) -> None:
        """Walk over the definition of a fused operation, which this monitor watches, too, if it can be run."""
        inputs = [None if a is None else wrap(a, True) for a in kept.arrays]
        with suppress(Exception), enable_grad():
            y = kept.fn.reference(*inputs, **kept.constants)
            tape.gradients(y._node, dout.astype(y.dtype).reshape(y.shape))

    def _add(self, a: Any, da: Any) -> None:
        share = np.finfo(da.dtype).eps * (to_numpy(a).astype(np.float64) * to_numpy(da))
        self.squares += float(np.square(share).sum())
