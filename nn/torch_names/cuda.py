"""torch.cuda: CuPy's answers where it is installed, and those of a machine without a GPU elsewhere."""

from typing import Any

from minigrad.errors import value_error
from minigrad.gpu.device import array_library


def device_count() -> int:
    """Return how many GPUs CuPy finds: 0 where it is not installed."""
    try:
        return int(array_library("cuda").cuda.runtime.getDeviceCount())
    except (ImportError, ValueError):  # no CuPy, or no GPU
        return 0


def is_available() -> bool:
    """Return whether arrays can be on a GPU."""
    return device_count() > 0


is_initialized = is_available


def _library(asked: str) -> Any:
    """Return CuPy, for a question that only a GPU can answer."""
    if not is_available():
        raise RuntimeError(
            f"torch.cuda.{asked}: expected a GPU; got none; ask torch.cuda.is_available() first"
        )
    return array_library("cuda")


def current_device() -> int:
    """Return the number of the GPU in use."""
    return int(_library("current_device").cuda.Device().id)


def set_device(device: Any) -> None:
    """Use that GPU from now on: a number, or "cuda:1"."""
    _library("set_device").cuda.Device(int(str(device).rpartition(":")[2])).use()


def get_device_name(device: Any = 0) -> str:
    """Return what the GPU is called."""
    return _properties("get_device_name", device)["name"].decode()


def get_device_capability(device: Any = 0) -> tuple[int, int]:
    """Return the GPU's compute capability, (9, 0) for an H100."""
    found = _properties("get_device_capability", device)
    return found["major"], found["minor"]


def _properties(asked: str, device: Any) -> Any:
    number = str(0 if device is None else device).rpartition(":")[2]
    return _library(asked).cuda.runtime.getDeviceProperties(int(number) if number.isdecimal() else 0)


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Return False: arrays are of float32 or float64."""
    return False


def synchronize(device: Any = None) -> None:
    """Wait until the GPU has done what it was given; without a GPU nothing is waited for."""
    if is_available():
        array_library("cuda").cuda.Device().synchronize()


def empty_cache() -> None:
    """Give memory back that no array uses."""
    if is_available():
        array_library("cuda").get_default_memory_pool().free_all_blocks()


def memory_allocated(device: Any = None) -> int:
    """Return the bytes that arrays use on the GPU; 0 without one."""
    return int(array_library("cuda").get_default_memory_pool().used_bytes()) if is_available() else 0


def memory_reserved(device: Any = None) -> int:
    """Return the bytes that were asked of the GPU; 0 without one."""
    return int(array_library("cuda").get_default_memory_pool().total_bytes()) if is_available() else 0


max_memory_allocated = max_memory_reserved = (
    memory_reserved  # the pool does not note its peak; it never shrinks
)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Do nothing: see `max_memory_allocated`."""


def manual_seed_all(seed: int) -> None:
    """Accept a seed for every GPU: draws are made on the CPU, seeded by torch.manual_seed."""
    if not isinstance(seed, int):
        raise value_error("torch.cuda.manual_seed", "a whole number", repr(seed))


manual_seed = manual_seed_all


class Event:
    """A point in what the GPU does, to measure the time between two.

    Raises    RuntimeError without a GPU.
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self._event = _library("Event").cuda.Event(block=blocking, disable_timing=not enable_timing)

    def record(self, stream: Any = None) -> None:
        """Be the point after all that the GPU was given so far."""
        self._event.record()

    def synchronize(self) -> None:
        """Wait until the GPU has come here."""
        self._event.synchronize()

    def elapsed_time(self, end_event: "Event") -> float:
        """Return the milliseconds from this point to the other."""
        return float(_library("Event").cuda.get_elapsed_time(self._event, end_event._event))
