"""All parameters as one vector, and back."""

from collections.abc import Iterable

from minigrad.errors import value_error
from minigrad.functions import concatenate
from minigrad.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the elements of all parameters, in one row; gradients flow back."""
    flat = [p.reshape(-1) for p in parameters]
    if not flat:
        raise value_error("parameters_to_vector", "parameters", "none")
    return concatenate(flat)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write a vector's elements into the parameters' own arrays, in their order.

    Raises    ValueError, before anything is written, unless it has as many elements as they.
    """
    every = list(parameters)
    count = sum(p.numel() for p in every)
    if vec.ndim != 1 or vec.numel() != count:
        raise value_error("vector_to_parameters", f"a vector ({count},)", tuple(vec.shape))
    start = 0
    for p in every:
        stop = start + p.numel()
        p._data[...] = vec._data[start:stop].reshape(p._data.shape)
        p.mark_overwritten()
        start = stop
