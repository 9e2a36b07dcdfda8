"""What scripts say to a machine: accepted where it changes no number, refused where it would."""

import os
from typing import Any

from minigrad import dtypes
from minigrad.errors import type_error, value_error
from nn.torch_names.backends import SWITCHES

__version__ = "2.13.0+minigrad"  # PyTorch's whose numbers and letters these are
PRECISIONS = ("highest", "high", "medium")
_precision = "highest"


def compile(model: Any = None, **settings: Any) -> Any:
    """Return the model or function as it is; `@torch.compile` and `@torch.compile(...)` do so too."""
    return (lambda fn: fn) if model is None else model


def set_float32_matmul_precision(precision: str) -> None:
    """Accept "highest", "high" or "medium": only a GPU's products of float32 change (TF32), as PyTorch's."""
    global _precision
    if precision not in PRECISIONS:
        raise value_error("set_float32_matmul_precision", " or ".join(map(repr, PRECISIONS)), repr(precision))
    _precision = precision
    SWITCHES["cuda"]["matmul"].allow_tf32 = precision != "highest"


def get_float32_matmul_precision() -> str:
    """Return what was set."""
    return _precision


def set_num_threads(int: int) -> None:
    """Accept a number of threads: NumPy's libraries read theirs from the environment when they are loaded."""
    if int < 1:
        raise value_error("set_num_threads", "at least 1", int)


set_num_interop_threads = set_num_threads


def get_num_threads() -> int:
    """Return OMP_NUM_THREADS, or the number of cores."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accept either: every operation gives the same numbers each time."""


def are_deterministic_algorithms_enabled() -> bool:
    """Return True; see `use_deterministic_algorithms`."""
    return True


def set_default_dtype(d: Any) -> None:
    """Accept float32.

    Raises    TypeError for another type, which would be that of every Tensor made from here on.
    """
    if str(d).rpartition(".")[2] != "float32":
        raise type_error("set_default_dtype", "torch.float32", d, "pass dtype= where a Tensor is made")


def get_default_dtype() -> Any:
    """Return float32."""
    return dtypes.float32
