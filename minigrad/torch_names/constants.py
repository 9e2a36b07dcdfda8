"""Numbers, and dtypes under their other names; the constructors of PyTorch before it had dtypes."""

import math
from collections.abc import Callable
from typing import Any

from minigrad.creation import zeros
from minigrad.dtypes import bool_, dtype, float16, float32, float64, int16, int32, int64
from minigrad.operands import to_array
from minigrad.tensor import Tensor, wrap
from minigrad.torch_names import describing
from minigrad.torch_names.printing import get_printoptions, printoptions, set_printoptions

pi, inf, nan, e = math.pi, math.inf, math.nan, math.e
preserve_format, contiguous_format = "torch.preserve_format", "torch.contiguous_format"  # accepted, and all one here
channels_last = "torch.channels_last"


def _constructor(name: str, kind: dtype) -> Callable[..., Tensor]:
    def construct(*data: Any) -> Tensor:
        if len(data) == 1 and not isinstance(data[0], int):
            return wrap(to_array(name, data[0], kind))
        return zeros(*data, dtype=kind)

    construct.__name__ = construct.__qualname__ = name
    construct.__doc__ = f"`Tensor(...)` of {kind.name}: of numbers, or zeros of these sizes."
    return construct


FloatTensor, DoubleTensor, LongTensor, IntTensor, ShortTensor, CharTensor, ByteTensor, BoolTensor = (
    _constructor(name, kind) for name, kind in describing.CONSTRUCTORS.items()
)
float, double, half = float32, float64, float16
int, long, short, bool = int32, int64, int16, bool_

__all__ = [
    "FloatTensor",
    "DoubleTensor",
    "LongTensor",
    "IntTensor",
    "ShortTensor",
    "CharTensor",
    "ByteTensor",
]
__all__ += [
    "BoolTensor",
    "bool",
    "channels_last",
    "contiguous_format",
    "double",
    "e",
    "float",
    "half",
    "inf",
    "int",
]
__all__ += [
    "get_printoptions",
    "long",
    "nan",
    "pi",
    "preserve_format",
    "printoptions",
    "set_printoptions",
    "short",
]
