"""A module's state as a whole: saved, loaded, converted, frozen. Each function is a method of `Module`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.backend import move, namespace, to_numpy
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from nn.module import Module


def state_dict(module: "Module") -> dict[str, np.ndarray]:
    """Return {dotted name: NumPy copy} of every parameter and buffer; a shared one under each name."""
    return {name: to_numpy(t.array).copy() for name, t in module._named_tensors()}


def load_state_dict(module: "Module", state: Mapping[str, Any]) -> None:
    """Copy every array in (NumPy's, PyTorch's or Tensors), in each parameter's own dtype.

    Raises    ValueError with the whole list of what does not fit; then nothing was changed.
    """
    mine = dict(module._named_tensors())
    wrong = [f"missing {name}" for name in mine if name not in state]
    wrong += [f"unexpected {name}" for name in state if name not in mine]
    arrays = {name: _as_array(state[name], t) for name, t in mine.items() if name in state}
    wrong += [
        f"{name}: expected {tuple(mine[name].shape)}, got {tuple(array.shape)}"
        for name, array in arrays.items()
        if array.shape != mine[name].shape
    ]
    if wrong:
        raise ValueError(f"{type(module).__name__}.load_state_dict: nothing was loaded: " + "; ".join(wrong))
    for name, t in mine.items():
        t.array[...] = arrays[name]
        t.mark_overwritten()


def _as_array(value: Any, like: Tensor) -> Any:
    """Return a saved value as an array in the library of `like`."""
    return namespace(like.array).asarray(value.array if isinstance(value, Tensor) else value)


def to(module: "Module", where: Any) -> "Module":
    """Move all state to a device ("cpu", "cuda") or cast it to a float dtype, in place; return self.

    Optimisers keep state of their own: make them afterwards.
    """

    def change(a: Any) -> Any:
        return move(a, where) if isinstance(where, str) else a.astype(np.dtype(where))

    for t in {id(t): t for _, t in module._named_tensors()}.values():  # a shared one once
        t._data = change(t._data)
        t.mark_overwritten()
        if t._node is not None and t._node.grad is not None:
            t._node.grad = change(t._node.grad)
    return module


def to_float(module: "Module") -> "Module":
    """Cast to float32 in place; return self."""
    return module.to(np.float32)


def to_double(module: "Module") -> "Module":
    """Cast to float64 in place; return self."""
    return module.to(np.float64)


def requires_grad_(module: "Module", requires_grad: bool = True) -> "Module":
    """Freeze (False) or thaw every parameter; return self."""
    for p in module.parameters():
        p.requires_grad_(requires_grad)
    return module


@contextmanager
def evaluating(module: "Module") -> "Iterator[Module]":
    """Inside, evaluation mode; afterwards each module is as it was."""
    before = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for m, mode in before:
            m.training = mode
