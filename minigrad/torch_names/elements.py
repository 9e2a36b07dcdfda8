"""How a function of each element is made of NumPy's and a derivative.

It is given by its slope: `dx = dout * slope(x, out)`, with the element x and the value `out`. The slope is
arithmetic, so that a gradient can be differentiated again.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from minigrad.backend import is_array, namespace
from minigrad.operands import ELEMENTWISE, as_operand
from minigrad.tensor import Tensor, lift

LIFTED: dict[str, Callable[..., Any]] = {}


def values(name: str, *inputs: Any) -> Any:
    """Return NumPy's (or CuPy's) function of arrays; of Tensors, in a replay, the operation with that value."""
    return getattr(namespace(inputs[0]), name)(*inputs) if is_array(inputs[0]) else LIFTED[name](*inputs)


def element(name: str, whole: bool = False) -> Callable[..., Any]:
    """Make the slope a function on Tensors whose value is NumPy's `name`; where `whole`, integers stay as they are."""

    def decorate(slope: Callable[[Any, Any], Any]) -> Callable[[Any], Tensor]:
        def array_function(x):
            out = values(name, x)
            return out, lambda dout: (dout * slope(x, out),)

        functools.update_wrapper(array_function, slope, updated=())
        ELEMENTWISE.add(array_function)
        operation = LIFTED[name] = lift(array_function)

        def on_tensors(input: Any) -> Tensor:
            return input.clone() if whole and input._data.dtype.kind in "iu" else operation(input)

        functools.update_wrapper(on_tensors, slope, updated=())
        on_tensors.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter("input", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        )
        del on_tensors.__wrapped__  # type: ignore[attr-defined]
        return on_tensors

    return decorate


def pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both as operands, a number beside a Tensor in the dtype that it gets there."""
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    return as_operand(a, like), as_operand(b, like)
