"""Whose function is it? Functions of PyTorch and JAX, and of minigrad and NumPy, as Subjects.

Neither library is imported here: a function of theirs exists only where the user did so.
"""

import dis
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.backend import is_array
from minigrad.check.subjects import (
    SEAL,
    Arrays,
    ArraySubject,
    BadGradient,
    Subject,
    TensorSubject,
    _same_walks,
    flatten,
    to_array,
)
from minigrad.errors import check_callable, value_error
from minigrad.operands import FLOATS
from minigrad.random import Generator


class TorchSubject(Subject):
    """A PyTorch function or module; its parameters are replaced for the call, never changed."""

    library = "torch"

    def __init__(
        self, fn: Any, inputs: Sequence[Any], seal: bool | Generator = False, dtype: Any = None
    ) -> None:
        self.torch = sys.modules["torch"]
        super().__init__(fn, inputs, seal, dtype)

    def _own_parameters(self) -> dict[str, np.ndarray]:
        if not isinstance(self.fn, self.torch.nn.Module):
            return {}
        return {n: p.detach().cpu().numpy().copy() for n, p in self.fn.named_parameters() if p.requires_grad}

    def _call(self, arrays: Arrays, requires_grad: bool) -> tuple[list[Any], list[Any]]:
        torch, leaves = self.torch, []

        def leaf(array):
            leaves.append(torch.from_numpy(array.copy() if requires_grad else array))
            return leaves[-1].requires_grad_(requires_grad)

        arguments, parameters = self.split(arrays, leaf)
        arguments = [torch.tensor(x) if is_array(x) else x for x in arguments]
        with torch.random.fork_rng(devices=[], enabled=bool(self.seal)):
            if self.seal:
                torch.manual_seed(SEAL)
            if isinstance(self.fn, torch.nn.Module):
                held = [*self.fn.named_buffers(), *self.fn.named_parameters()]
                state = {n: _cast(b.detach().clone(), arrays[0].dtype) for n, b in held}
                outputs = torch.func.functional_call(self.fn, {**state, **parameters}, tuple(arguments))
            else:
                outputs = self.fn(*arguments)
        return leaves, [y for y in flatten(outputs) if torch.is_tensor(y) and y.is_floating_point()]

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        return [y.detach().numpy() for y in self._call(arrays, False)[1]]

    def pull(self, arrays: Arrays, cotangents: Arrays, walks: int = 1) -> list[Any]:
        """Call torch.autograd.grad."""
        leaves, outputs = self._call(arrays, True)
        pairs = [
            (y, self.torch.tensor(dy.astype(y.detach().numpy().dtype))) for y, dy in zip(outputs, cotangents)
        ]
        pairs = [(y, dy) for y, dy in pairs if y.requires_grad]
        ys, dys = [y for y, _ in pairs], [dy for _, dy in pairs]
        if not ys:
            return [None] * len(leaves)
        grad = self.torch.autograd.grad
        given = [[dy.clone() for dy in dys] for _ in range(walks)]
        results = [
            [
                None if g is None else g.numpy().copy()
                for g in grad(ys, leaves, each, retain_graph=True, allow_unused=True)
            ]
            for each in given
        ]
        if not all(self.torch.equal(a, b) for each in given for a, b in zip(each, dys)):
            raise BadGradient("mutation", "the backward writes into the gradient it is given")
        _same_walks(results)
        return results[0]


class JaxSubject(Subject):
    """A JAX function."""

    library = "jax"

    def _run(self, arrays: Arrays) -> tuple[list[Any], Callable[[Any], Any]]:
        jax = sys.modules["jax"]

        def of_floats(*floats):
            arguments, _ = self.split(floats, lambda a: a)
            return [y for y in flatten(self.fn(*arguments)) if hasattr(y, "dtype")]

        with jax.enable_x64(arrays[0].dtype == np.float64):
            outputs, vjp = jax.vjp(of_floats, *[jax.numpy.asarray(a) for a in arrays])
        return outputs, vjp

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        return [np.asarray(y) for y in self._run(arrays)[0]]

    def pull(self, arrays: Arrays, cotangents: Arrays, walks: int = 1) -> list[Any]:
        """Call jax.vjp."""
        jax = sys.modules["jax"]
        outputs, vjp = self._run(arrays)
        with jax.enable_x64(arrays[0].dtype == np.float64):
            grads = vjp([jax.numpy.asarray(dy.astype(y.dtype)) for y, dy in zip(outputs, cotangents)])
        return [np.asarray(g) for g in grads]


# --- whose function is it? ---

FOREIGN = ("torch", "jax")  # never imported here
LIBRARIES = {"minigrad": TensorSubject, "numpy": ArraySubject, "torch": TorchSubject, "jax": JaxSubject}


def subject(
    fn: Any,
    inputs: Any,
    *,
    seal: bool | Generator = False,
    dtype: Any = None,
    library: str | None = None,
    device: str = "cpu",
) -> Subject:
    """Return `fn`, of whichever library, as a Subject.

    Raises    TypeError for what is no function; ValueError for an unknown library or inputs without a
              float array.
    """
    for each in fn if isinstance(fn, tuple) and len(fn) == 2 else (fn,):
        check_callable("check", each)
    inputs = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    if not any(
        hasattr(x, "dtype") or isinstance(x, list) for x in inputs
    ):  # beside arrays a number is an option
        inputs = [np.asarray(x) if isinstance(x, float) else x for x in inputs]
    library = library or library_of(fn, inputs)
    if library not in LIBRARIES:
        raise value_error("library", f"one of {', '.join(LIBRARIES)}", repr(library))
    if library in FOREIGN and library not in sys.modules:
        hint = f"import {library} first; if it is missing, pip install {library}"
        raise value_error("library", f"{library} to be imported", "no import of it", hint)
    if dtype is not None and dtype not in FLOATS:
        raise value_error("gradcheck", "dtype float32 or float64", repr(dtype))
    if library == "minigrad":
        found: Subject = TensorSubject(fn, inputs, seal, dtype, device)
    else:
        found = LIBRARIES[library](fn, inputs, seal, dtype)
    if not found.arrays:
        kinds = ", ".join(str(getattr(x, "dtype", type(x).__name__)) for x in found.inputs) or "nothing"
        hint = "a gradient needs real numbers: x.astype(np.float64)"
        raise value_error("inputs", "at least one float32 or float64 array", kinds, hint)
    return found


def library_of(fn: Any, inputs: Sequence[Any]) -> str:
    """Return "minigrad", "numpy", "torch" or "jax": by what `fn` is, which modules it uses, what it returns."""
    if isinstance(fn, tuple):
        return "numpy"
    if hasattr(fn, "reference") or hasattr(fn, "array"):
        return "minigrad"
    roots = {*_roots(fn), *(type(x).__module__.partition(".")[0] for x in inputs)}
    for library in FOREIGN:
        if library in roots and library in sys.modules and not roots & {"minigrad", "nn", "gpt"}:
            return library
    if hasattr(fn, "named_parameters"):
        return "minigrad"
    arrays = [np.array(to_array(x)) if is_array(to_array(x)) else x for x in inputs]
    try:
        with np.errstate(all="ignore"):
            result = fn(*arrays)
    except Exception:  # whatever it needs, it is not a function of plain arrays
        return "minigrad"
    written = isinstance(result, tuple) and len(result) == 2 and callable(result[1])
    return "numpy" if written and is_array(result[0]) else "minigrad"


def _roots(fn: Any) -> Iterable[str]:
    """Yield the top packages that an object belongs to, or that a function's code mentions."""
    fn = inspect.unwrap(fn) if callable(fn) else fn
    for owner in (fn, type(fn), getattr(fn, "__self__", None)):
        yield (getattr(owner, "__module__", None) or "").partition(".")[0]
    yield from (kind.__module__.partition(".")[0] for kind in type(fn).__mro__)
    code = getattr(fn, "__code__", None)
    if code is None:
        return
    known = {**fn.__globals__, **inspect.getclosurevars(fn).nonlocals}
    inner = [c for c in code.co_consts if inspect.iscode(c)]
    loads = [step for c in (code, *inner) for step in dis.get_instructions(c)]
    for name in {step.argval for step in loads if step.opname in ("LOAD_GLOBAL", "LOAD_DEREF")}:
        value = known.get(name)
        home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        yield (home or "").partition(".")[0]


def _cast(x: Any, dtype: Any) -> Any:
    return x.double() if dtype == np.float64 and x.is_floating_point() else x
