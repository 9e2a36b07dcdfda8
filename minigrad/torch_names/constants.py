"""Numbers, and dtypes under their other names; the constructors of PyTorch before it had dtypes."""

import math

from minigrad.dtypes import bool_, float16, float32, float64, int16, int32, int64
from minigrad.torch_names import describing
from minigrad.torch_names.printing import get_printoptions, printoptions, set_printoptions

pi, inf, nan, e = math.pi, math.inf, math.nan, math.e
preserve_format, contiguous_format = (
    "torch.preserve_format",
    "torch.contiguous_format",
)  # accepted, and all one here
channels_last = "torch.channels_last"


FloatTensor, DoubleTensor, LongTensor, IntTensor, ShortTensor, CharTensor, ByteTensor, BoolTensor = (
    describing._constructor(name, kind) for name, kind in describing.CONSTRUCTORS.items()
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
