"""To the GPU and back: CuPy is imported here, where somebody asks for the device "cuda"."""

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
