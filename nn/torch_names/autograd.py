"""torch.autograd: gradients of Tensors that stand anywhere in a graph."""

from typing import Any

import minigrad
from minigrad import tape
from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.higher import pullback
from minigrad.methods import values_of
from minigrad.tensor import Tensor, wrap


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """Return the gradient of each input: the sum over the outputs of grad_outputs * d(output)/d(input).

    No `.grad` is touched. With `create_graph`, the result has a history of its own, if the forward pass ran
    inside `with minigrad.switches.keep_inputs():`.

    Shapes    grad_outputs as the outputs; None for an output of one element (1)
    Raises    RuntimeError for an input that the outputs do not depend on, unless `allow_unused`.
    """
    outputs, inputs = _as_list(outputs), _as_list(inputs)
    seeds = [None] * len(outputs) if grad_outputs is None else _as_list(grad_outputs)
    if len(seeds) != len(outputs):
        raise value_error("autograd.grad", f"{len(outputs)} grad_outputs", len(seeds))
    for x in inputs:
        if not x.requires_grad:
            raise RuntimeError("autograd.grad: expected inputs with requires_grad=True; got one without")
    sums: list[Any] = [None] * len(inputs)
    for i, (y, seed) in enumerate(zip(outputs, seeds), 1):
        keep = bool(retain_graph) or i < len(outputs)  # what the next output may share
        found = pullback(y, inputs, seed) if create_graph else _gradients(y, inputs, seed, keep)
        sums = [b if a is None else a if b is None else a + b for a, b in zip(sums, found)]
    if any(g is None for g in sums) and not allow_unused:
        hint = "pass allow_unused=True to get None"
        raise RuntimeError(
            f"autograd.grad: expected inputs that the outputs depend on; got one unused; {hint}"
        )
    return tuple(sums)


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> None:
    """Add to `.grad` of every leaf what each of the Tensors gives it: `Tensor.backward`, one after the other."""
    tensors = _as_list(tensors)
    seeds = [None] * len(tensors) if grad_tensors is None else _as_list(grad_tensors)
    for i, (y, seed) in enumerate(zip(tensors, seeds, strict=True), 1):
        y.backward(seed, bool(retain_graph) or i < len(tensors), create_graph)


def _as_list(given: Any) -> list[Any]:
    return [given] if isinstance(given, Tensor) else list(given)


def _gradients(y: Any, inputs: list[Any], seed: Any, retain_graph: bool) -> list[Tensor | None]:
    """Return the gradients of one output, as Tensors without a history."""
    array, node = y._data, y._node
    if node is None:
        raise RuntimeError("autograd.grad: expected outputs computed from Tensors with requires_grad=True")
    if seed is None and array.size != 1:
        raise RuntimeError(f"autograd.grad: expected one element; got {array.shape}; pass grad_outputs")
    xp = namespace(array)
    dy = xp.ones(array.shape, array.dtype) if seed is None else xp.asarray(values_of(seed), array.dtype)
    if dy.shape != array.shape:
        raise value_error("autograd.grad", f"grad_outputs {array.shape}", dy.shape)
    leaves = all(x._node.vjp is None for x in inputs)
    found = [] if leaves else [_of_inner(node, x._node, dy) for x in inputs]  # walks that free nothing
    if leaves or not retain_graph:
        grads = tape.gradients(node, dy, retain_graph=retain_graph)
        found = found or [grads.get(x._node) for x in inputs]
    return [None if g is None else wrap(g) for g in found]


def _of_inner(root: tape.Node, inner: tape.Node, dy: Any) -> Any:
    """Return the gradient of any node: for the time of a walk it is a leaf."""
    vjp, inner.vjp = inner.vjp, None
    try:
        return tape.gradients(root, dy, retain_graph=True).get(inner)
    finally:
        inner.vjp = vjp


def Variable(data: Tensor, requires_grad: bool = False, volatile: bool | None = None) -> Tensor:
    """Return the Tensor without its history: what PyTorch before 0.4 needed to have gradients.

    `volatile`, of that time too, says nothing any more.
    """
    return data.detach().requires_grad_(requires_grad)


def gradcheck(
    func: Any, inputs: Any, *, rtol: float | None = None, raise_exception: bool = True, **settings: Any
) -> bool:
    """Return whether the gradients of `func` are right at `inputs`: minigrad.gradcheck, which chooses its own steps.

    Raises    AssertionError, with what is wrong where, unless raise_exception=False.
    """
    inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    check: Any = minigrad.gradcheck
    return check(func, inputs, rtol=rtol, library="minigrad", raise_error=raise_exception).ok


class set_detect_anomaly:
    """Accept False. To find where a NaN arose, `with torch.autograd.detect_anomaly():` does more."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        if mode:
            hint = "write `with torch.autograd.detect_anomaly():` around the step"
            raise value_error("set_detect_anomaly", "False", mode, hint)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass
