"""Which operations have a form of few launches on a GPU, and when it is taken; on a CPU nothing here is entered."""

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
