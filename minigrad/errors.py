"""The wording of every error a user can cause: where: expected what; got what; what to do."""

import operator
from collections.abc import Iterable
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


def check_callable(where: str, fn: object) -> None:
    """Raise TypeError unless `fn` is a function, or an object that can be called."""
    if isinstance(fn, type):
        raise type_error(where, "a function", f"the class {fn.__name__}", "make an instance of it")
    if not callable(fn):
        raise type_error(where, "a function", f"{fn!r:.60}")


def check_probability(where: str, p: float) -> float:
    """Return `p` as a float if 0 <= p <= 1; otherwise raise ValueError."""
    if not 0 <= p <= 1:
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
    if shape and min(shape) < least:
        raise value_error(where, f"sizes that are integers >= {least}", shape)
    return shape


def given_shape(where: str, sizes: tuple[Any, ...], least: int = 0) -> tuple[int, ...]:
    """Return `check_shape` of sizes, of which there must be at least one, or (): TypeError for none at all."""
    if not sizes:
        raise type_error(where, "a shape", "none", "write (), for a single number")
    return check_shape(where, sizes, least)
