"""How torch.utils.data.DataLoader makes one batch of a list of examples."""

import copy
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.errors import type_error, value_error
from minigrad.functions import stack

TEXT = "SaUO"  # kinds of arrays that no Tensor can hold


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack Tensors, arrays and numbers; go into dicts, tuples and lists; leave strings as they are.

    Numbers of Python become int64, bool and float64, as in PyTorch; tuples become lists.
    """
    first: Any = batch[0]
    if isinstance(first, mg.Tensor):
        return stack(list(batch))
    if isinstance(first, np.ndarray) and first.dtype.kind not in TEXT:
        return stack([mg.as_tensor(each) for each in batch])
    if isinstance(first, np.bool_ | np.number):
        return mg.as_tensor(np.array(batch))
    if isinstance(first, float):
        return mg.tensor(batch, dtype=np.float64)
    if isinstance(first, int):
        return mg.tensor(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return _mapped(first, {key: default_collate([each[key] for each in batch]) for key in first})
    if not isinstance(first, Sequence):
        raise type_error(
            "default_collate", "Tensors, arrays, numbers, strings, dicts, tuples", type(first).__name__
        )
    if len({len(each) for each in batch}) > 1:
        lengths = [len(each) for each in batch]
        raise value_error(
            "default_collate", "examples of one length", lengths, "write a collate_fn that pads"
        )
    return _listed(first, [default_collate(samples) for samples in zip(*batch)])


def default_convert(data: Any) -> Any:
    """Turn the arrays and NumPy numbers in one example into Tensors: what batch_size=None does."""
    if isinstance(data, np.ndarray | np.bool_ | np.number):
        return data if data.dtype.kind in TEXT else mg.as_tensor(data)
    if isinstance(data, Mapping):
        return _mapped(data, {key: default_convert(each) for key, each in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _listed(data, [default_convert(each) for each in data])
    return data


def _mapped(model: Any, values: dict[Any, Any]) -> Any:
    """The values in a mapping of the model's type, if it can be made of them, else in a dict."""
    if isinstance(model, MutableMapping):
        clone = copy.copy(model)
        clone.update(values)
        return clone
    return _made(type(model), values)


def _listed(model: Any, values: list[Any]) -> Any:
    """The values in a list, or in a sequence of the model's type; a plain tuple becomes a list."""
    if hasattr(model, "_fields"):
        return type(model)(*values)
    return values if isinstance(model, list | tuple) else _made(type(model), values)


def _made(maker: Callable[[Any], Any], values: Any) -> Any:
    try:
        return maker(values)
    except TypeError:
        return values
