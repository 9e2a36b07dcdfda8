"""Values that come from elsewhere: arrays, lists, tensors of PyTorch's."""

from typing import Any

from minigrad.backend import namespace
from minigrad.methods import values_of


def array_beside(like: Any, value: Any) -> Any:
    """Return `value` as an array in the library of `like`, a Tensor or array.

    A tensor of PyTorch's is read without its history, and bfloat16, which NumPy lacks, as float32.
    """
    value = values_of(value)
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    return namespace(values_of(like)).asarray(value)
