"""The wording of every error a user can cause: where: expected what; got what; what to do."""

import operator
from collections.abc import Callable, Iterable
from textwrap import shorten
from typing import Any


class InvalidValue(ValueError, RuntimeError):
    """A wrong shape or value: Python's word for it, and PyTorch's, for scripts that catch a RuntimeError."""


class InvalidType(TypeError, RuntimeError):
    """A wrong type or dtype, under both names."""


def value_error(where: str, expected: str, got: object, hint: str = "") -> ValueError:
    """Return ValueError("where: expected ...; got ...; hint"), for a wrong shape, value or mask; in one line."""
    got = f"{tuple(got) if isinstance(got, tuple) else got}"  # a shape, without PyTorch's word for it
    got = shorten(got, 160, placeholder=" ...") if "\n" in got else got  # an array has several lines
    return InvalidValue(f"{where}: expected {expected}; got {got}" + (f"; {hint}" if hint else ""))


def type_error(where: str, expected: str, got: object, hint: str = "") -> TypeError:
    """Return TypeError with the same wording, for a wrong type or dtype."""
    return InvalidType(*value_error(where, expected, got, hint).args)


def check_type(where: str, value: Any, kind: Any, expected: str) -> Any:
    """Return the value if it is of this kind; otherwise raise TypeError."""
    if not isinstance(value, kind):
        raise type_error(where, expected, f"{value!r:.60}")
    return value


def check_callable(where: str, fn: object) -> None:
    """Raise TypeError unless `fn` is a function, or an object that can be called."""
    if isinstance(fn, type):
        raise type_error(where, "a function", f"the class {fn.__name__}", "make an instance of it")
    check_type(where, fn, Callable, "a function")


def check_probability(where: str, p: float) -> float:
    """Return `p` as a float if 0 <= p <= 1; otherwise raise ValueError."""
    if not hasattr(p, "__float__") or not 0 <= p <= 1:  # a word is no number
        raise value_error(where, "0 <= p <= 1", p)
    return float(p)


def check_shape(where: str, sizes: tuple[Any, ...], least: int = 0) -> tuple[int, ...]:
    """Return (2, 3) for f(2, 3), f((2, 3)) and f([2, 3]).

    Raises    TypeError for what is no integer; ValueError for one below `least`.
    """
    given = sizes
    try:
        if len(sizes) == 1 and isinstance(sizes[0], Iterable) and getattr(sizes[0], "ndim", True):
            given = tuple(sizes[0])
        shape = tuple([operator.index(n) for n in given])
    except TypeError:
        raise type_error(where, f"sizes that are integers >= {least}", given) from None
    if shape and not least <= min(shape) <= max(shape) < 1 << 63:
        limit = ", below 2**63" * (max(shape) >= 1 << 63)
        raise value_error(where, f"sizes that are integers >= {least}{limit}", shape)
    return shape


def given_shape(where: str, sizes: tuple[Any, ...], least: int = 0) -> tuple[int, ...]:
    """Return `check_shape` of sizes, of which there must be at least one, or (): TypeError for none at all."""
    if not sizes:
        raise type_error(where, "a shape", "none", "write (), for a single number")
    return check_shape(where, sizes, least)
