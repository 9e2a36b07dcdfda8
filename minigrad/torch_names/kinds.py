"""PyTorch's questions about dtypes, answered with minigrad's."""

from typing import Any

import numpy as np

from minigrad import dtypes
from minigrad.methods import values_of


def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """The dtype of arithmetic between two Tensors, or a Tensor and a number."""
    return dtypes.OURS[dtypes.result_type(values_of(tensor1), values_of(tensor2))]


def promote_types(type1: Any, type2: Any) -> dtypes.dtype:
    """The smallest dtype that holds both, where a float counts as wide enough for any integer."""
    return dtypes.OURS[dtypes.promote_types(type1, type2)]


def can_cast(from_: Any, to: Any) -> bool:
    """May a result of dtype `from_` be written into a Tensor of dtype `to`?"""
    return dtypes.LEVELS[np.dtype(from_).kind] <= dtypes.LEVELS[np.dtype(to).kind]
