"""PyTorch's words for what an array holds: dtypes, shapes, and which dtype a result has."""

import math
from typing import Any, SupportsIndex

import numpy as np

from minigrad.errors import type_error


class dtype:
    """A dtype with PyTorch's name, equal to NumPy's and accepted wherever NumPy wants one."""

    def __init__(self, name: str, numpy: Any = None) -> None:
        self.name, self._numpy = name, None if numpy is None else np.dtype(numpy)

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype; TypeError for bfloat16, which NumPy has not."""
        if self._numpy is None:
            raise TypeError(f"{self.name}: expected a dtype that NumPy has; compute in float32")
        return self._numpy

    @property
    def is_floating_point(self) -> bool:
        """Is it one of the float dtypes?"""
        return self._numpy is None or self._numpy.kind == "f"

    @property
    def is_complex(self) -> bool:
        """Never: complex numbers are not ours."""
        return False

    @property
    def is_signed(self) -> bool:
        """Does it hold negative numbers?"""
        return self._numpy is None or self._numpy.kind in "fi"

    def __eq__(self, other: object) -> Any:
        if isinstance(other, dtype) or self._numpy is None or other is None:  # None is float64 to NumPy
            return self is other
        return self._numpy == other

    def __hash__(self) -> int:
        return hash(self.name if self._numpy is None else self._numpy)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dtype, name)  # kind, itemsize, ...

    def __reduce__(self) -> str:
        """Pickled and copied as the one object of that name in this module."""
        return "bool_" if self.name == "bool" else self.name


float32, float64 = dtype("float32", "f4"), dtype("float64", "f8")
float16, bfloat16 = dtype("float16", "f2"), dtype("bfloat16")  # names alone: nothing is computed in them
uint8, int8, int16, int32, int64 = (dtype(n, n) for n in ("uint8", "int8", "int16", "int32", "int64"))
bool_ = dtype("bool", "?")

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
OURS = {each.dtype: each for each in (bool_, uint8, int8, int16, int32, int64, float32, float64)}
DEFAULT = FLOATS[0]  # of Python floats
RANKED = (
    "b",
    "ui",
    "f",
    "c",
)  # kinds, a later one holds those before it; complex for the steps of gradcheck alone
LEVELS = {kind: level for level, kinds in enumerate(RANKED) for kind in kinds}


def checked_dtype(where: str, given: Any) -> np.dtype:
    """Return NumPy's dtype of a dtype of any spelling: minigrad's, NumPy's, a name, or Python's float, int, bool.

    Raises    TypeError for one that is not ours, float16 for instance, or that is no dtype.
    """
    if given is float:
        return DEFAULT
    try:
        found = np.dtype(given)
    except TypeError:
        found = given
    if found not in OURS:
        names = ", ".join(each.name for each in OURS.values())
        raise type_error(where, f"a dtype of {names}", f"{given!r:.60}", "compute in float32 or float64")
    return found


class Size(tuple):
    """A shape: a tuple that prints as PyTorch's."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)

    def __getitem__(self, index: SupportsIndex | slice) -> Any:  # type: ignore[override]
        part = tuple.__getitem__(self, index)
        return Size(part) if isinstance(index, slice) else part

    def __add__(self, other: Any) -> "Size":  # type: ignore[override]
        return Size(tuple.__add__(self, other))

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"


def promote_types(a: Any, b: Any) -> np.dtype:
    """Return the dtype that holds both: NumPy's, but that an integer beside a float does not widen it."""
    a, b = np.dtype(a), np.dtype(b)
    if a.kind == "f" and b.kind != "f":
        return a
    return b if b.kind == "f" and a.kind != "f" else np.promote_types(a, b)


def result_type(*operands: Any) -> np.dtype:
    """Return the dtype of arithmetic between arrays, 0-d arrays and Python numbers.

    Arrays with axes decide, then those without, then numbers: a later one changes the result only if it
    is of a higher kind, bool < integers < floats. A number that does is int64 or float32.

    Source    `torch.result_type`
    """
    ranks: list[np.dtype | None] = [None, None, None]
    for x in operands:
        if hasattr(x, "ndim") and hasattr(x, "dtype") and not isinstance(x, np.generic):
            rank, kind = (0 if x.ndim else 1), np.dtype(x.dtype)
        else:
            rank, kind = 2, np.asarray(x).dtype
            kind = DEFAULT if kind.kind == "f" else kind
        ranks[rank] = kind if ranks[rank] is None else promote_types(ranks[rank], kind)
    result, *weaker = [kind for kind in ranks if kind is not None]
    for kind in weaker:
        result = kind if LEVELS[kind.kind] > LEVELS[result.kind] else result
    return result
