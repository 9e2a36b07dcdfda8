"""To the GPU and back: CuPy is imported here, where somebody asks for the device "cuda"."""

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from minigrad.backend import to_numpy
from minigrad.errors import value_error


def move(x: Any, device: str) -> Any:
    """Return array `x` on `device`; see `array_library`."""
    return to_numpy(x) if device == "cpu" else array_library(device).asarray(x)


def array_library(device: str) -> ModuleType:
    """Return numpy for "cpu" and cupy for "cuda".

    Raises    ModuleNotFoundError without CuPy, with what to install; ValueError without a GPU, or for another device.
    """
    if device not in ("cpu", "cuda"):
        raise value_error("device", '"cpu" or "cuda"', repr(device))
    if device == "cpu":
        return np
    try:
        import cupy
    except ModuleNotFoundError:
        hint = (
            'device: "cuda" needs CuPy; install it with: pip install -e ".[cuda]" (for CUDA 13 ".[cuda13]")'
        )
        raise ModuleNotFoundError(hint) from None
    if not cupy.cuda.is_available():
        raise value_error("device", 'a GPU for "cuda"', "none that CuPy finds", "does nvidia-smi list one?")
    return cupy


def described(device: str) -> str:
    """Return what the GPU is called, and by whom it is used."""
    cupy = array_library(device)
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    return f"{name}, CuPy {cupy.__version__}"


def allow_tf32(allowed: bool) -> None:
    """Let the GPU's products of float32 round their factors to 11 bits (TF32), several times faster, or forbid it.

    Of CuPy's products those of batches follow cuBLAS's mode, the others a setting of CuPy's.
    """
    cupy, linalg = array_library("cuda"), import_module("cupy._core._routines_linalg")
    kind = linalg.COMPUTE_TYPE_TF32 if allowed else linalg.COMPUTE_TYPE_DEFAULT
    linalg.set_compute_type("float32", kind)
    handle = cupy.cuda.device.get_cublas_handle()
    cupy.cuda.cublas.setMathMode(handle, 3 if allowed else 0)  # CUBLAS_TF32_TENSOR_OP_MATH
