"""Whose function is it? Functions of minigrad, NumPy, PyTorch and JAX, each as a Subject.

`library=` decides. Without it, what is plain decides, in this order:

1. what the function declares: a pair (forward, backward) is NumPy's; a lifted operation, or anything with
   our `named_parameters`, minigrad's; a module, function or method of PyTorch or JAX is theirs;
2. the inputs: tensors of PyTorch or arrays of JAX;
3. what it does with the inputs. Given NumPy arrays it returns (out, vjp): NumPy's. Else it is run on our
   Tensors, and the code that it enters is watched. If that is another library's, the function is of that
   library; but if our Tensors came back all the same, nothing says whose gradient is meant, and it is
   refused: a wrong torch.autograd.Function must not pass for the minigrad function that it wraps.
   If there is none, it is minigrad's, and what the run raised, the check raises again. Where the run settles
   nothing, it counts which library the function names.

No other library is imported here: a function of theirs exists only where the user did so.
"""

import gc
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.backend import is_array
from minigrad.check.subjects.base import Subject, flatten, to_array
from minigrad.check.subjects.of_jax import JaxSubject
from minigrad.check.subjects.of_minigrad import SecondOrder, TensorSubject
from minigrad.check.subjects.of_numpy import NumpySubject
from minigrad.check.subjects.of_torch import TorchSubject
from minigrad.dtypes import FLOATS
from minigrad.errors import check_callable, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor

LIBRARIES = {each.library: each for each in (TensorSubject, NumpySubject, TorchSubject, JaxSubject)}
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
) -> Subject:
    """Return `fn`, of whichever library, as a Subject.

    Raises    TypeError for what is no function; ValueError for an unknown library, a function that
              may be of several, or inputs without a float array.
    """
    for each in fn if isinstance(fn, tuple) and len(fn) == 2 else (fn,):
        check_callable("check", each)
    inputs = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    if not any(hasattr(x, "dtype") or isinstance(x, list) for x in inputs):
        inputs = [np.asarray(x) if isinstance(x, float) else x for x in inputs]  # else a number is an option
    library = library or library_of(fn, inputs)
    if library not in LIBRARIES:
        raise value_error("library", f"one of {', '.join(LIBRARIES)}", repr(library))
    if library in FOREIGN and library not in sys.modules:
        hint = f"import {library} first; if it is missing, pip install {library}"
        raise value_error("library", f"{library} to be imported", "no import of it", hint)
    if dtype is not None and dtype not in FLOATS:
        raise value_error("gradcheck", "dtype float32 or float64", repr(dtype))
    found = LIBRARIES[library](fn, inputs, seal, dtype, device)
    if not found.arrays:
        kinds = ", ".join(str(getattr(x, "dtype", type(x).__name__)) for x in found.inputs) or "nothing"
        hint = "a gradient needs real numbers: x.astype(np.float64)"
        raise value_error("inputs", "at least one float32 or float64 array", kinds, hint)
    return found


def library_of(fn: Any, inputs: Sequence[Any]) -> str:
    """Return "minigrad", "numpy", "torch" or "jax", by the rule above.

    Raises    ValueError where that cannot be told.
    """
    if isinstance(fn, tuple):
        return "numpy"
    owner = getattr(fn, "__self__", None)
    declared = _homes(fn) | _homes(owner, *getattr(owner, "__mro__", ()))
    if not declared and (hasattr(fn, "array") or hasattr(fn, "named_parameters")):
        return "minigrad"
    homes, doubt = declared or _homes(*inputs), ""
    if not homes:
        inputs = [x.copy() if is_array(x) else x for x in map(to_array, inputs)]
        if NumpySubject(fn, inputs, seal=True).returns_a_pair():
            return "numpy"
        homes, doubt = _seen_in(TensorSubject(fn, inputs, seal=True), _named_in(fn))
    if len(homes) > 1 or homes & {*OTHERS} or doubt:
        ways = [f'"{name}" if {name} computes its gradient' for name in sorted(homes & {*FOREIGN})]
        ways.append('"minigrad" if it is one of Tensors, "numpy" if it returns (out, vjp)')
        got, hint = f"code of {' and '.join(sorted(homes))}{doubt}", f"pass library={', '.join(ways)}"
        raise value_error("library", "a function of one known library", got, hint)
    return homes.pop() if homes else "minigrad"


def _homes(*objects: Any) -> set[str]:
    """Return the known libraries that objects, or their types, were made by."""
    return _known(*(getattr(each, "__module__", "") for x in objects for each in (x, *type(x).__mro__)))


def _known(*modules: Any) -> set[str]:
    """Return the libraries, of those that are told apart by name, that modules belong to."""
    roots = {str(module).partition(".")[0].replace("jaxlib", "jax") for module in modules}
    return roots & {*FOREIGN, *OTHERS}


def _named_in(fn: Any) -> set[str]:
    """Return the known libraries that a plain function names, as `torch` in its globals or its closure."""
    fn = getattr(fn, "__func__", getattr(fn, "func", fn))
    code = getattr(fn, "__code__", None)
    if code is None:
        return set()
    known = {**fn.__globals__, **inspect.getclosurevars(fn).nonlocals}
    named = [known[name] for name in (*code.co_names, *code.co_freevars) if name in known]
    return _known(*(x.__name__ for x in named if inspect.ismodule(x))) | _homes(*named)


def _seen_in(trial: TensorSubject, named: set[str]) -> tuple[set[str], str]:
    """Run a function on Tensors; return the libraries whose code it enters, and why that may not make it theirs.

    Code of theirs that raises has refused our Tensors: it takes its own. So does a function that names
    one other library, and fails before it enters any.
    """
    homes: set[str] = set()
    failed: dict[Any, Any] = {}  # frame -> the library whose code it called last, if that gave nothing back

    def note(frame: Any, event: str, value: Any) -> None:
        if event.startswith("c_"):  # a function written in C, `value`, which has no frame of its own
            caller, made = frame, _homes(value, getattr(value, "__self__", None))
        else:
            caller, made = frame.f_back, _known(frame.f_globals.get("__name__"))
        if event in ("call", "c_call"):
            homes.update(made)
            failed.pop(caller, None)
        elif event == "c_exception" or (event == "return" and value is None):  # an exception's way out, too
            failed[caller] = made

    outputs, doubt = [], ""
    try:
        with _profiled(note):
            outputs = trial.call(trial.arrays, True)[1]
    except Exception as error:  # if it is the user's own, the check raises it again
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        outside = [f for f in frames if not str(f.f_globals.get("__name__")).startswith("minigrad")]
        last = (outside or frames)[-1]  # what asked our Tensors for what they refuse
        if not (_known(last.f_globals.get("__name__")) or failed.get(last)):
            doubt = f", and a run on Tensors ended elsewhere: {error!r:.150}"
        if not homes and len(named) == 1:
            return named, ""
    if any(isinstance(y, Tensor) for y in outputs):
        homes |= named
        doubt = ", run on Tensors and returning them"
    return homes, doubt if homes else ""


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
