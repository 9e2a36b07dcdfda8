"""What a list of modules can do beyond holding them. Each function is a method of `ModuleList` and `Sequential`.

A module in the row is an attribute whose name is its number, "0", "1", ... (or, in a Sequential, a name).
"""

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from minigrad.errors import check_type, type_error, value_error
from nn.contents import unless_refused

if TYPE_CHECKING:
    from nn.module import ModuleList


def append(row: "ModuleList", module: Any) -> "ModuleList":
    """Add a module at the end; return the row."""
    row.add_module(str(len(row)), module)
    return row


def extend(row: "ModuleList", modules: Iterable[Any]) -> "ModuleList":
    """Add modules at the end; return the row."""
    with unless_refused(row):
        for module in list(check_type(type(row).__name__, modules, Iterable, "modules")):
            append(row, module)
    return row


def get(row: "ModuleList", index: Any) -> Any:
    """Return the module at a place, or a row of those in a slice."""
    items = list(row._items())
    if isinstance(index, slice):
        picked = items[index]
        return _row_of(row, picked if row.keeps_names else [(str(i), m) for i, (_, m) in enumerate(picked)])
    return items[_place(row, index)][1]


def put(row: "ModuleList", index: int, module: Any) -> None:
    """Put another module at a place."""
    row.add_module(list(row._items())[_place(row, index)][0], module)


def remove(row: "ModuleList", index: Any) -> None:
    """Take the module at a place out, or those of a slice; the later ones move up."""
    modules = list(row)
    del modules[index if isinstance(index, slice) else _place(row, index)]
    _refill(row, modules)


def insert(row: "ModuleList", index: int, module: Any) -> None:
    """Put a module before the one at a place."""
    modules = list(row)
    modules.insert(index, module)
    _refill(row, modules)


def pop(row: "ModuleList", index: int = -1) -> Any:
    """Take the module at a place out and return it."""
    module = get(row, index)
    remove(row, index)
    return module


def joined(row: "ModuleList", other: Iterable[Any]) -> "ModuleList":
    """Return a new row of the modules of both."""
    return _row_of(row, [(str(i), module) for i, module in enumerate([*row, *other])])


def _row_of(like: "ModuleList", items: list[tuple[str, Any]]) -> "ModuleList":
    new = type(like)()
    for name, module in items:
        new.add_module(name, module)
    return new


def _refill(row: "ModuleList", modules: list[Any]) -> None:
    with unless_refused(row):
        for name, _ in list(row._items()):
            delattr(row, name)
        extend(row, modules)


def _place(row: "ModuleList", index: Any) -> int:
    try:
        place = operator.index(index)
    except TypeError:
        raise type_error(type(row).__name__, "a whole number or slice", repr(index)) from None
    if not -len(row) <= place < len(row):
        raise IndexError(str(value_error(type(row).__name__, f"an index within {len(row)} modules", index)))
    return place % len(row)
