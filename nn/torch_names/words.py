"""PyTorch's further names of dtypes, its constants, and its constructors by dtype."""

import math
from collections.abc import Callable
from typing import Any

from minigrad import dtypes
from minigrad.creation import tensor, zeros
from minigrad.tensor import Tensor

bool, short, int, long = dtypes.bool_, dtypes.int16, dtypes.int32, dtypes.int64
half, float, double = dtypes.float16, dtypes.float32, dtypes.float64
pi, e, inf, nan = math.pi, math.e, math.inf, math.nan


def is_tensor(obj: Any) -> Any:
    """Return whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


def _constructor(name: str, dtype: Any) -> Callable[..., Tensor]:
    """Return PyTorch's constructor of one dtype: of what a list holds, or of sizes, zeros."""

    def constructor(*data: Any) -> Tensor:
        if len(data) == 1 and not hasattr(data[0], "__index__"):
            return tensor(data[0], dtype=dtype)
        return zeros(*data, dtype=dtype)

    constructor.__name__ = constructor.__qualname__ = name
    constructor.__doc__ = f"A Tensor of {dtype} with the elements of a list, or of these sizes."
    return constructor


FloatTensor, DoubleTensor = _constructor("FloatTensor", float), _constructor("DoubleTensor", double)
LongTensor, IntTensor = _constructor("LongTensor", long), _constructor("IntTensor", int)
BoolTensor, ByteTensor = _constructor("BoolTensor", bool), _constructor("ByteTensor", dtypes.uint8)
