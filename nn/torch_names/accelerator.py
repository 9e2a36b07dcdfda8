"""torch.accelerator: the GPU that CuPy finds, or none."""

from typing import Any

from minigrad.torch_names.device import device
from nn.torch_names import cuda


def is_available() -> bool:
    """Return whether there is a GPU."""
    return cuda.is_available()


def current_accelerator(check_available: bool = False) -> Any:
    """Return device("cuda"), or None where there is no GPU."""
    return device("cuda") if is_available() else None


def device_count() -> int:
    """Return how many GPUs there are."""
    return cuda.device_count()


def synchronize(device: Any = None) -> None:
    """Wait for the GPU, where there is one."""
    if is_available():
        cuda.synchronize()
