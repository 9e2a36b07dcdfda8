"""torch.autograd.functional: derivatives of functions of Tensors."""

from collections.abc import Callable
from typing import Any

from minigrad import transforms
from minigrad.errors import value_error
from minigrad.tensor import Tensor, wrap


def _each(inputs: Any) -> tuple[Any, ...]:
    """Return the inputs as constants, in a tuple."""
    return tuple(x.detach() for x in (inputs if isinstance(inputs, (tuple, list)) else (inputs,)))


def _refuse(where: str, create_graph: bool) -> None:
    if create_graph:
        hint = "minigrad.jacobian and minigrad.hessian can be differentiated: grad(hessian(f))"
        raise value_error(where, "create_graph=False", True, hint)


def jacobian(func: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    """Return d(output)/d(input); a tuple of them for a tuple of inputs.

    Shapes    (*shape of the output, *shape of the input)
    """
    _refuse("jacobian", create_graph)
    args = _each(inputs)
    found = tuple(wrap(transforms.jacobian(func, i)(*args)) for i in range(len(args)))
    return found if isinstance(inputs, (tuple, list)) else found[0]


def hessian(func: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    """Return the second derivatives of a function with one number as its value; of several inputs, rows of blocks.

    Shapes    (*shape of the input, *shape of the input)
    """
    _refuse("hessian", create_graph)
    args = _each(inputs)
    rows = tuple(
        tuple(wrap(transforms.jacobian(transforms.grad(func, i), j)(*args)) for j in range(len(args)))
        for i in range(len(args))
    )
    return rows if isinstance(inputs, (tuple, list)) else rows[0][0]


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """Return (output, v times the Jacobian); v may be left out for an output of one element."""
    _refuse("vjp", create_graph)
    args = _each(inputs)
    value, pull = transforms.vjp(func, tuple(range(len(args))))(*args)
    if v is None and value.size != 1:
        raise value_error("vjp", "v, as the output has several elements", f"shape {value.shape}")
    found = tuple(map(wrap, pull(value * 0 + 1 if v is None else v.array)))
    return wrap(value), found if isinstance(inputs, (tuple, list)) else found[0]


def jvp(func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool = False) -> tuple[Tensor, Tensor]:
    """Return (output, Jacobian times v)."""
    _refuse("jvp", create_graph)
    args = _each(inputs)
    tangents = tuple(x.array for x in (v if isinstance(v, (tuple, list)) else (v,)))
    value, moved = transforms.jvp(func, tuple(range(len(args))))(*args, tangents)
    return wrap(value), wrap(moved)
