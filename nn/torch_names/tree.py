"""What torch.save nests, as JSON and a list of arrays; and back.

A value that JSON has (None, bool, int, finite float, str) stands for itself; everything else is an
object of one key that says what it is: {"tuple": [...]}, {"dict": [[key, value], ...]}, {"tensor": 3}.
"""

import argparse
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import dtypes
from minigrad.backend import is_array, to_numpy
from minigrad.errors import type_error, value_error
from minigrad.tensor import Tensor
from minigrad.torch_names.device import device
from nn.module import Buffer, Parameter

KINDS: dict[str, Any] = {"Tensor": Tensor, "Parameter": Parameter, "Buffer": Buffer}
SEQUENCES = {"tuple": tuple, "set": set, "frozenset": frozenset}
PAIRS = {"dict": dict, "OrderedDict": OrderedDict}
HINTS = {
    "Module": "save its state_dict()",
    "Optimizer": "save its state_dict()",
    "namedtuple": "save x._asdict()",
}


class Writer:
    """Values as JSON; what memory they hold, in `arrays`; the Tensors over it, in `tensors`."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.tensors: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}  # id of a Tensor -> its place in `tensors`
        self._memory: dict[Any, int] = {}  # what describes an array's memory -> its place in `arrays`
        self._kept: list[Any] = []  # what an id was taken of lives as long as this
        self._open: set[int] = set()  # the containers that we are in

    def write(self, value: Any, where: str) -> Any:
        """Return the JSON of a value; `where` is its place, ["model"]["weight"]."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if id(value) in self._open:
            raise value_error("save", "values that do not contain themselves", f"one at {where or 'the top'}")
        self._open.add(id(value))
        try:
            return self._nested(value, where) or self._leaf(value, where)
        finally:
            self._open.discard(id(value))

    def _nested(self, value: Any, where: str) -> Any:
        """Return the JSON of a container, or None for what is none."""
        name = type(value).__name__
        if type(value) is list:
            return {"list": [self.write(item, f"{where}[{i}]") for i, item in enumerate(value)]}
        if name == "Size" and isinstance(value, tuple):
            return {"Size": [int(n) for n in value]}
        if type(value) in SEQUENCES.values():
            return {name: [self.write(item, f"{where}[{i}]") for i, item in enumerate(value)]}
        if type(value) in PAIRS.values():
            pairs = [
                [self.write(k, f"{where}[{k!r:.40}]"), self.write(v, f"{where}[{k!r:.40}]")]
                for k, v in value.items()
            ]
            return {name: pairs}
        if type(value) is argparse.Namespace:
            return {"Namespace": self.write(vars(value), where)}
        return None

    def _leaf(self, value: Any, where: str) -> Any:
        """Return the JSON of a Tensor, an array or a name.

        Raises    TypeError for anything else.
        """
        if isinstance(value, (Tensor, *_foreign("Tensor", value))):
            return {"tensor": self._tensor(value, where)}
        if is_array(value):
            kind = "scalar" if isinstance(value, np.generic) else "array"
            return {kind: self._array(to_numpy(value), where)}
        if isinstance(value, (device, dtypes.dtype, *_foreign("dtype", value), *_foreign("device", value))):
            return {"device" if "device" in type(value).__name__ else "dtype": str(value)}
        if isinstance(value, np.dtype):
            return {"dtype": value.name}
        if type(value) is bytes:
            return {"bytes": value.hex()}
        if type(value) is complex:
            return {"complex": [value.real.hex(), value.imag.hex()]}
        raise self._refusal(value, where)

    def _tensor(self, x: Any, where: str) -> int:
        """Return the place of a Tensor: the same for the same."""
        if id(x) not in self._numbers:
            name = next((name for name in ("Parameter", "Buffer") if type(x).__name__ == name), "Tensor")
            array = to_numpy(x._data) if isinstance(x, Tensor) else _of_torch(x, where)
            entry = {"array": self._array(array, where), "kind": name, "requires_grad": bool(x.requires_grad)}
            self._numbers[id(x)] = len(self.tensors)
            self._kept.append(x)
            self.tensors.append(entry)
        return self._numbers[id(x)]

    def _array(self, array: np.ndarray, where: str) -> int:
        """Return the place of an array: the same for the same memory, seen in the same way."""
        if array.dtype.kind not in "biufcSU":
            raise type_error("save", "arrays of numbers", f"{array.dtype} at {where or 'the top'}")
        place = array.__array_interface__["data"][0]
        key = (place, array.shape, array.strides, array.dtype.str) if array.size else id(array)
        if key not in self._memory:
            self._memory[key] = len(self.arrays)
            self._kept.append(array)
            self.arrays.append(array)
        return self._memory[key]

    def _refusal(self, value: Any, where: str) -> TypeError:
        """Return the error for what is not saved."""
        names = [cls.__name__ for cls in type(value).__mro__]
        got = f"{type(value).__name__} at {where}" if where else f"a {type(value).__name__}"
        hint = next((HINTS[name] for name in names if name in HINTS), "")
        if isinstance(value, tuple):
            hint = HINTS["namedtuple"]
        elif isinstance(value, dict):
            hint = "save dict(x)"
        elif not hint and hasattr(value, "__dict__") and not callable(value):
            hint = "save vars(x)"
        return type_error("save", "dicts, lists, numbers, strings and Tensors", got, hint)


def _foreign(name: str, value: Any) -> tuple[type, ...]:
    """Return the value's class if it is, or is derived from, PyTorch's of that name, which is never imported here."""
    return tuple(c for c in type(value).__mro__ if c.__module__ == "torch" and c.__name__ == name)


def _of_torch(x: Any, where: str) -> np.ndarray:
    """Return the memory of a Tensor of PyTorch's."""
    try:
        return x.detach().cpu().numpy()
    except TypeError as error:
        raise type_error(
            "save", "dtypes that NumPy has", f"{x.dtype} at {where}", "save x.float()"
        ) from error


class Reader:
    """What `Writer` wrote, read back: `tree` is the value. Nothing of it is believed before it is checked."""

    def __init__(self, tree: Any, tensors: list[dict[str, Any]], arrays: list[np.ndarray]) -> None:
        self._arrays = arrays
        self._made = [self._tensor(**entry) for entry in tensors]
        self.tree = self._read(tree)

    def _tensor(self, array: int, kind: str, requires_grad: bool) -> Tensor:
        x = KINDS[kind].__new__(KINDS[kind])
        x._data, x._node = _at(self._arrays, array), None
        if x._data.dtype.kind not in "biuf":
            raise ValueError(f"a Tensor of {x._data.dtype}")
        return x.requires_grad_(bool(requires_grad))

    def _read(self, value: Any) -> Any:
        """Return the value of its JSON."""
        if not isinstance(value, dict):
            if isinstance(value, list):
                raise ValueError("a list without its name")
            return value
        [(kind, content)] = value.items()
        if kind == "list":
            return [self._read(item) for item in content]
        if kind in SEQUENCES:
            return SEQUENCES[kind](self._read(item) for item in content)
        if kind in PAIRS:
            return PAIRS[kind]((self._read(key), self._read(item)) for key, item in content)
        if kind == "Namespace":
            return argparse.Namespace(**self._read(content))
        return self._leaf(kind, content)

    def _leaf(self, kind: str, content: Any) -> Any:
        readers: dict[str, Callable[[Any], Any]] = {
            "Size": lambda sizes: dtypes.Size(sizes),
            "array": lambda i: _at(self._arrays, i),
            "bytes": bytes.fromhex,
            "complex": lambda parts: complex(*map(float.fromhex, parts)),
            "device": device,
            "dtype": _dtype,
            "float": lambda text: {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[text],
            "scalar": lambda i: _at(self._arrays, i)[()],
            "tensor": lambda i: _at(self._made, i),
        }
        return readers[kind](content)

    def place(self, move: Callable[[Any], Any]) -> None:
        """Move every Tensor's array; those of one memory stay of one."""
        moved: dict[int, Any] = {}
        for x in self._made:
            if id(x._data) not in moved:
                moved[id(x._data)] = (x._data, move(x._data))
            x._data = moved[id(x._data)][1]


def _at(items: list[Any], i: Any) -> Any:
    if type(i) is not int or not 0 <= i < len(items):
        raise ValueError(f"{i!r:.20} is not the place of one of {len(items)}")
    return items[i]


def _dtype(text: str) -> Any:
    """Return the dtype of a name: PyTorch's "torch.float32", or NumPy's "float32"."""
    name = text.removeprefix("torch.")
    found = np.dtype(name) if name == text else getattr(dtypes, "bool_" if name == "bool" else name)
    if not isinstance(found, (np.dtype, dtypes.dtype)):
        raise ValueError(f"{text!r:.20} is no dtype")
    return found
