"""Whose function is it? Functions of minigrad, NumPy, PyTorch and JAX, each as a Subject.

`library=` decides. Without it:

1. A pair (forward, backward), or what returns (out, vjp) when given NumPy arrays, is NumPy's.
2. A lifted operation, or an object with our `named_parameters`, is minigrad's; what is code of PyTorch or JAX, or
   is given their tensors, is theirs.
3. Any other is tried with tensors of minigrad and of each library that is imported. It is the first from which
   it returns tensors of the same, without entering the code of another: a wrong torch.autograd.Function
   may not pass for the minigrad function that its forward happens to be. And all that it returns
   tensors of must agree in values and gradients: then it does not matter which is examined.

Else it is refused, and asked for `library=`. No other library is imported here: a function of theirs exists
only where the user did so.
"""

import functools
import gc
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from minigrad.check.subjects.base import Arrays, Subject
from minigrad.check.subjects.of_jax import JaxSubject
from minigrad.check.subjects.of_minigrad import SecondOrder, TensorSubject
from minigrad.check.subjects.of_numpy import NumpySubject
from minigrad.check.subjects.of_torch import TorchSubject
from minigrad.dtypes import FLOATS
from minigrad.errors import check_callable, type_error, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor

LIBRARIES: dict[str, Any] = {of.library: of for of in (TensorSubject, NumpySubject, TorchSubject, JaxSubject)}
FOREIGN = ("torch", "jax")
OTHERS = ("autograd", "mygrad", "tensorflow", "tinygrad")  # their gradients are not known here


def subject(
    fn: Any,
    inputs: Any,
    *,
    seal: bool | Generator = False,
    dtype: Any = None,
    library: str | None = None,
    device: str = "cpu",
    more: Any = (),
) -> Subject:
    """Return `fn`, of whichever library, as a Subject.

    `inputs` is one argument, or a list or tuple of them. An argument may be an array, or a tuple, list
    or dict of arrays, nested as it likes: each float array in it is examined.

    Raises    TypeError for what is no function; ValueError for an unknown library, a function that
              may be of several, or inputs without a float array.
    """
    check_one_tuple(more)
    for each in fn if isinstance(fn, tuple) and len(fn) == 2 else (fn,):
        check_callable("check", each)
    inputs = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    if dtype is not None and dtype not in FLOATS:
        raise value_error("gradcheck", "dtype float32 or float64", repr(dtype))
    library = library or library_of(fn, inputs, dtype)
    if library not in LIBRARIES:
        raise value_error("library", f"one of {', '.join(LIBRARIES)}", repr(library))
    if library in FOREIGN and library not in sys.modules:
        hint = f"import {library} first; if it is missing, pip install {library}"
        raise value_error("library", f"{library} to be imported", "no import of it", hint)
    found = LIBRARIES[library](fn, inputs, seal, dtype, device)
    if not found.arrays:
        kinds = ", ".join(str(getattr(x, "dtype", type(x).__name__)) for x in found.inputs) or "nothing"
        hint = "a gradient needs real numbers: x.astype(np.float64)"
        raise value_error("inputs", "at least one float32 or float64 array", kinds, hint)
    return found


def check_one_tuple(more: Sequence[Any]) -> None:
    """Raise TypeError if inputs stand side by side, where one tuple of them is wanted."""
    if more:
        raise type_error("inputs", "one tuple of them, (x, y)", f"{1 + len(more)} side by side")


def library_of(fn: Any, inputs: Sequence[Any], dtype: Any = None) -> str:
    """Return "minigrad", "numpy", "torch" or "jax", by the rule above.

    Raises    ValueError where that cannot be told.
    """
    bare = fn
    while isinstance(bare, functools.partial):
        bare = bare.func
    if isinstance(fn, tuple):
        return "numpy"
    if hasattr(bare, "array") and _module(bare).startswith("minigrad."):  # lifted
        return "minigrad"
    plain = Subject(fn, inputs)
    copies, _ = plain.split([], lambda a: a.copy())
    declared = _declared(bare)
    if not declared and NumpySubject(fn, copies, True, dtype).returns_a_pair():
        return "numpy"
    homes = declared or _homes(*plain.given)
    if len(homes) > 1 or homes & {*OTHERS}:
        raise _doubt(f"code of {' and '.join(sorted(homes))}")
    names = homes or ["minigrad", *(name for name in FOREIGN if name in sys.modules and not _is_ours(name))]
    trials = [_Trial(name, fn, copies, dtype) for name in names]
    returned = [trial for trial in trials if not trial.error]
    tried = returned if returned and not homes else trials[:1]  # what these raised, the check raises again
    own = [trial for trial in tried if not trial.entered]
    if not own:
        raise _doubt("; ".join(map(str, trials)))
    if not all(_agree(tried[0], other) for other in tried[1:]):
        raise _doubt(f"other results from {' than from '.join(trial.library for trial in tried)}")
    return own[0].library


def _doubt(got: str) -> ValueError:
    ways = '"torch" if torch computes its gradient, "jax" if JAX does, "minigrad" if it is one of Tensors'
    hint = f'pass library={ways}, "numpy" if it returns (out, vjp)'
    return value_error("library", "a function of one known library", got, hint)


def _module(fn: Any) -> str:
    """Return the module whose code a function is; its __module__ may be another's, by functools.wraps."""
    return str(getattr(fn, "__globals__", {}).get("__name__"))


def _declared(fn: Any) -> set[str]:
    """Return the libraries that a function, or the object that it is a method of, is made by."""
    owner = getattr(fn, "__self__", None)
    own = _known(_module(fn)) if hasattr(fn, "__globals__") else _homes(fn)
    homes = own | _homes(owner, *getattr(owner, "__mro__", ()))
    if not homes and hasattr(fn, "named_parameters"):
        homes = {"minigrad"} if all(isinstance(p, Tensor) for _, p in fn.named_parameters()) else set()
    return homes


def _homes(*objects: Any) -> set[str]:
    """Return the known libraries that objects, or their types, were made by; none if minigrad stands in for them."""
    modules = [getattr(each, "__module__", "") for x in objects for each in (x, *type(x).__mro__)]
    return {name for name in _known(*modules) if not _is_ours(name)}


def _is_ours(name: str) -> bool:
    """Does minigrad stand in for this library?"""
    return getattr(sys.modules.get(name), "Tensor", None) is Tensor


def _known(*modules: Any) -> set[str]:
    """Return the libraries, of those that are told apart by name, that modules belong to."""
    roots = {str(module).partition(".")[0].replace("jaxlib", "jax") for module in modules}
    return roots & {*FOREIGN, *OTHERS}


class _Trial:
    """One run of a function on tensors of one library: whose other code it entered, and what it raised."""

    def __init__(self, library: str, fn: Any, inputs: list[Any], dtype: Any) -> None:
        self.library, self.error = library, ""
        self.entered: set[str] = set()
        try:
            self.subject = LIBRARIES[library](fn, inputs, True, dtype)
            self.subject.compiles = False
            with warnings.catch_warnings(action="ignore"), _profiled(self._note):
                self.subject.call(self.subject.arrays, True)
        except Exception as error:
            self.error = f"{type(error).__name__}: {str(error).partition(chr(10))[0]:.150}"
        self.entered.discard(library)

    def __str__(self) -> str:
        entered = f"code of {' and '.join(sorted(self.entered))}, " if self.entered else ""
        return f"{entered}run on {LIBRARIES[self.library].takes}" + (f" ({self.error})" if self.error else "")

    def _note(self, frame: Any, event: str, value: Any) -> None:
        """Hear of one call."""
        if event == "c_call":  # of a function written in C, `value`, which has no frame of its own
            self.entered |= _homes(value, getattr(value, "__self__", None))
        elif event == "call":
            self.entered |= _known(frame.f_globals.get("__name__"))

    def results(self, arrays: Arrays) -> list[np.ndarray]:
        """Return inputs and values, flat, and the gradients for random cotangents; what raises gives none."""
        rng, outputs, grads = np.random.default_rng(0), [np.zeros(0)], [np.zeros(0)]
        with suppress(Exception), warnings.catch_warnings(action="ignore"):  # the check will find it again
            outputs = self.subject.forward(arrays)
            grads = self.subject.gradients(arrays, [rng.standard_normal(y.shape) for y in outputs])
        return [np.concatenate([a.ravel() for a in each]) for each in ([*arrays, *outputs], grads)]


def _agree(one: _Trial, two: _Trial) -> bool:
    """Have both the same values and gradients, at the inputs or, if there is a kink, a little aside of them?

    Where JAX has other values, it is another function there: its std and max are not PyTorch's. What has
    others each time is left to the check, and whose backward raises in the second is not of that library.
    """
    x, rng = one.subject.arrays, np.random.default_rng(0)
    steps = [1e-3 * rng.standard_normal(a.shape) * (abs(a) + (abs(a).max(initial=0.0) or 1.0)) for a in x]
    for at in (x, [(a + step).astype(a.dtype) for a, step in zip(x, steps)]):
        ours, theirs = one.results(at), two.results(at)
        if all(map(_close, ours, theirs)):
            return True
    again = one.results(at), two.results(at)
    drawn = any(not np.array_equal(a[0], b[0], equal_nan=True) for a, b in zip((ours, theirs), again))
    fails = ours[1].size > theirs[1].size == 0  # its backward raises
    return drawn or fails or (two.library == "jax" and not _close(ours[0], theirs[0]))


def _close(one: np.ndarray, two: np.ndarray) -> bool:
    """Are these equal, up to rounding of each element and of the largest?"""
    eps, largest = float(np.finfo(one.dtype).eps), float(abs(one[np.isfinite(one)]).max(initial=1.0))
    return one.shape == two.shape and np.allclose(one, two, eps**0.5, 1e3 * eps * largest, equal_nan=True)


@contextmanager
def _profiled(note: Any) -> Iterator[None]:
    """Inside, `note` hears of every call; nothing is collected, because JAX runs code of its own then."""
    collecting, before = gc.isenabled(), sys.getprofile()
    gc.disable()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        if collecting:
            gc.enable()
        if callable(before):
            sys.setprofile(before)
        elif before is not None:  # a profiler written in C, as cProfile's: it puts itself back
            before.enable()
