"""An array printed as PyTorch prints it, letter for letter.

All numbers of an array stand in one column width and one form, chosen from the finite ones among
those that are shown: whole numbers with a point behind (2.), fixed (0.1250), or scientific (1.2500e-01).

Source    what torch 2.13 prints; `torch.set_printoptions` for the options
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import namespace, to_numpy
from minigrad.errors import value_error


class Options(NamedTuple):
    """How arrays print.

    Units     precision: digits after the point; threshold: elements, above which only the edges are
              shown; edgeitems: elements at either end of an axis; linewidth: characters
    """

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None  # None: as the numbers need it


PROFILES = {
    "default": Options(),
    "short": Options(precision=2, edgeitems=2),
    "full": Options(threshold=math.inf),
}
_options = Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how Tensors print; what is None stays, but for `sci_mode`, which every call sets (None: automatic).

    `profile`, "default", "short" or "full", sets the other four first.

    Units     as `Options`
    """
    global _options
    if profile is not None and profile not in PROFILES:
        raise value_error("set_printoptions", " or ".join(map(repr, PROFILES)), repr(profile))
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    _options = PROFILES.get(profile or "", _options)._replace(**changes, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """Return the options as a dictionary, which `set_printoptions(**options)` takes back."""
    return _options._asdict()


@contextmanager
def printoptions(**changes: Any) -> Iterator[None]:
    """Print with other options inside `with printoptions(precision=2):`."""
    global _options
    before = _options
    set_printoptions(**changes)
    try:
        yield
    finally:
        _options = before


def show_tensor(
    array: Any, *, requires_grad: bool = False, grad_fn: str | None = None, prefix: str = "tensor("
) -> str:
    """Return what `repr` of PyTorch's tensor with these values gives.

    `grad_fn` is the name of the operation that made it, "MulBackward0"; `prefix` is another for a
    subclass of Tensor.

    Example   show_tensor(np.array([1.0, 2.5], np.float32)) == "tensor([1.0000, 2.5000])"
    """
    values = to_numpy(array)
    body = _elements(values, len(prefix)) if values.size else "[]"
    notes = [] if namespace(array) is np else [f"device='cuda:{array.device.id}'"]
    if values.ndim != 1 if not values.size else not _options.edgeitems:
        notes.append(f"size={values.shape}")
    implied = ("float32", "int64", "bool") if values.size else ("float32",)  # of no element, none can be told
    if values.dtype.name not in implied:
        notes.append(f"dtype=torch.{values.dtype.name}")
    if grad_fn is not None:
        notes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        notes.append("requires_grad=True")
    return _append(prefix + body, notes, len(prefix)) + ")"


def _append(text: str, notes: list[str], indent: int) -> str:
    """Return the text with ", note" for each note; one that the line has no room for begins a new line."""
    column = len(text) - text.rfind("\n") + 1  # PyTorch's count, which is one too many after a line break
    for note in notes:
        if column + len(note) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + note
            column = indent + len(note)
        else:
            text += ", " + note
            column += len(note) + 2
    return text


# --- the numbers ---


def _elements(values: np.ndarray, indent: int) -> str:
    """Return all elements, or those at the edges of an array above the threshold, in their brackets."""
    edge = _options.edgeitems if values.size > _options.threshold else values.size
    shown = values if edge or not values.ndim else values[:0]
    for axis, n in enumerate(shown.shape):
        if n > 2 * edge:
            shown = shown.take([*range(edge), *range(n - edge, n)], axis)
    cell, width = _column(shown)
    if not values.ndim:
        return cell(values.item())
    return _brackets(values, indent, edge, cell, width)


def _brackets(values: np.ndarray, indent: int, edge: int, cell: Callable[[Any], str], width: int) -> str:
    """Return "[...]" for one axis and all below it; `indent` is its column, `edge` how many are shown
    at either end of a longer axis."""
    n = len(values)
    middle_is_left_out = n > 2 * edge
    shown = [*range(edge), *range(n - edge, n)] if middle_is_left_out else range(n)
    if values.ndim > 1:
        items = [_brackets(values[i], indent + 1, edge, cell, width) for i in shown]
        if middle_is_left_out:
            items.insert(edge, "...")
        return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(items) + "]"
    items = [cell(values[i].item()) for i in shown]
    if middle_is_left_out:
        items.insert(edge, " ..." if edge else "...")
    per_line = max(1, (_options.linewidth - indent) // (width + 2))  # 2 for ", "
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _column(shown: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """Return how an element of these is written, and in how many characters.

    nan, inf and 0 decide nothing: neither the form, nor the width.
    """
    if shown.dtype.kind != "f":
        width = max((len(str(value)) for value in shown.ravel().tolist()), default=1)
        return lambda value: str(value).rjust(width), width
    deciding = shown[np.isfinite(shown) & (shown != 0)].tolist()
    form = _form(deciding)
    width = max((len(form(value)) for value in deciding), default=1)
    return lambda value: form(value).rjust(width), width


def _form(deciding: list[float]) -> Callable[[float], str]:
    """Return the form of the numbers: scientific, whole with a point behind, or fixed."""
    digits = _options.precision
    if deciding and _is_scientific(deciding):
        return lambda value: f"{value:.{digits}e}"
    if all(value.is_integer() for value in deciding):
        return lambda value: f"{value:.0f}" + "." * math.isfinite(value)
    return lambda value: f"{value:.{digits}f}"


def _is_scientific(deciding: list[float]) -> bool:
    """Do four digits not do: sizes more than a factor of 1000 apart, above 1e8 or below 1e-4?"""
    if _options.sci_mode is not None:
        return _options.sci_mode
    sizes = [abs(value) for value in deciding]
    least, largest = min(sizes), max(sizes)
    return largest / least > 1000.0 or largest > 1e8 or least < 1e-4
