"""Operations on a GPU: for each that is marked gpu=True where it is defined, a form of a few launches.

On a CPU an operation is a chain of NumPy calls, each of which is quick; on a GPU each is a launch, which costs the
host 5 to 10 microseconds and a trip of every number to memory and back. So what a GPT's step is made of stands here
a third time, beside the definition and the NumPy form, under the derivation of the latter: `forms.py` says how each
is put together, `kernels.cu` has what is launched. Nothing here is entered, or imported, on a CPU.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from minigrad.backend import namespace


def form(fn: Callable[..., Any], arrays: list[Any]) -> Callable[..., Any]:
    """Return the form of an array function that suits the device where its arrays are, often `fn` itself.

    A kernel takes float32 or float64 for all arrays, and at least one element; for the rest, and wherever a form
    returns None, the function itself computes on the GPU's arrays too, or says what is wrong with them.
    """
    given = [x for x in arrays if x is not None]
    if not getattr(fn, "gpu", False) or namespace(given[0]) is np:
        return fn
    if given[0].dtype.kind != "f" or any(x.dtype != given[0].dtype or not x.size for x in given):
        return fn
    kernels = getattr(import_module("minigrad.gpu.forms"), fn.__name__)

    def either(*arrays: Any, **constants: Any) -> Any:
        return kernels(*arrays, **constants) or fn(*arrays, **constants)

    either.__name__ = fn.__name__
    return either
