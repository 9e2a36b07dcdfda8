"""What a Tensor is: its dtype under its older names, its device, its memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.creation import zeros
from minigrad.dtypes import OURS, bool_, float32, float64, int8, int16, int32, int64, uint8
from minigrad.operands import to_array
from minigrad.tensor import Tensor, wrap

CONSTRUCTORS = {"FloatTensor": float32, "DoubleTensor": float64, "LongTensor": int64, "IntTensor": int32}
CONSTRUCTORS |= {"ShortTensor": int16, "CharTensor": int8, "ByteTensor": uint8, "BoolTensor": bool_}


def _constructor(name: str, kind: Any) -> Callable[..., Tensor]:
    """Return PyTorch's constructor of that name."""

    def construct(*data: Any) -> Tensor:
        if not data:
            return zeros(0, dtype=kind)
        if len(data) == 1 and not isinstance(data[0], int):
            return wrap(to_array(name, data[0], kind))
        return zeros(*data, dtype=kind)

    construct.__name__ = construct.__qualname__ = name
    construct.__doc__ = f"`Tensor(...)` of {kind.name}: of numbers, or zeros of these sizes."
    return construct


# --- in another dtype, or elsewhere ---


def byte(self: Tensor) -> Tensor:
    """x in uint8."""
    return self.to(uint8)


def char(self: Tensor) -> Tensor:
    """x in int8."""
    return self.to(int8)


def short(self: Tensor) -> Tensor:
    """x in int16."""
    return self.to(int16)


def half(self: Tensor) -> Tensor:
    """Refused: nothing is computed in half precision."""
    return self.astype("float16")


def bfloat16(self: Tensor) -> Tensor:
    """Refused: NumPy has no bfloat16."""
    return self.astype("bfloat16")


def type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """PyTorch's older name of the dtype, "torch.FloatTensor"; or x in that dtype, by either name."""
    if dtype is None:
        return "torch." + next(name for name, kind in CONSTRUCTORS.items() if kind == self.dtype)
    name = str(getattr(dtype, "__name__", dtype)).removeprefix("torch.").removeprefix("cuda.")
    return self.to(CONSTRUCTORS.get(name, dtype))


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """x in the dtype of another."""
    return self.to(other.dtype)


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """x on the CPU; x itself if it is there."""
    return self.to(device="cpu")


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """x on the GPU, which needs CuPy."""
    return self.to(device="cuda")


def pin_memory(self: Tensor) -> Tensor:
    """x itself: memory that is pinned is faster to copy to a GPU, and else the same."""
    return self


def share_memory_(self: Tensor) -> Tensor:
    """x itself: processes that are forked share their memory."""
    return self


def is_pinned(self: Tensor) -> bool:
    """Never."""
    return False


# --- what it is ---


def is_tensor(obj: Any, /) -> bool:
    """Is it a Tensor?"""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Does it hold floats?"""
    return input._data.dtype.kind == "f"


def is_complex(input: Tensor) -> bool:
    """Never: complex numbers are not ours."""
    return False


def is_signed(self: Tensor) -> bool:
    """Does its dtype hold negative numbers?"""
    return OURS[self._data.dtype].is_signed


def is_nonzero(input: Tensor) -> bool:
    """Is the one element not 0?"""
    return bool(input)


def is_same_size(self: Tensor, other: Tensor) -> bool:
    """Has it the shape of another?"""
    return self.shape == other.shape


def nelement(self: Tensor) -> int:
    """The number of elements."""
    return self._data.size


def ndimension(self: Tensor) -> int:
    """The number of axes."""
    return self._data.ndim


def element_size(self: Tensor) -> int:
    """The bytes of an element."""
    return self._data.itemsize


def stride(self: Tensor, dim: int | None = None) -> Any:
    """How many elements apart in memory the neighbours along each axis are, or along one."""
    steps = tuple(n // self._data.itemsize for n in self._data.strides)
    return steps if dim is None else steps[dim]


def is_contiguous(self: Tensor, *, memory_format: Any = None) -> bool:
    """Do the elements lie in memory in their own order?"""
    return self._data.flags.c_contiguous


def storage_offset(self: Tensor) -> int:
    """How many elements of its memory stand before the first."""
    base = self._data
    while isinstance(base.base, np.ndarray):
        base = base.base
    return (data_ptr(self) - base.__array_interface__["data"][0]) // self._data.itemsize


def data_ptr(self: Tensor) -> int:
    """Where in memory the first element is."""
    return self._data.__array_interface__["data"][0]


def get_device(self: Tensor) -> int:
    """The number of the GPU; -1 on a CPU."""
    return -1 if self.device == "cpu" else self._data.device.id


is_cuda = property(lambda self: self.device != "cpu", doc="Is it on a GPU?")
is_cpu = property(lambda self: self.device == "cpu", doc="Is it on the CPU?")
is_sparse = is_quantized = is_mps = is_xpu = is_meta = property(lambda self: False, doc="Never.")
nbytes = property(lambda self: self._data.nbytes, doc="The bytes of all elements.")
itemsize = property(lambda self: self._data.itemsize, doc="The bytes of an element.")
