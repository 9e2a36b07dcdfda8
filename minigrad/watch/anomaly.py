"""Where the first NaN or inf came from: the operation, its inputs' ranges, the user's line."""

import contextlib
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import switches, tape
from minigrad.backend import to_numpy

ROOT = Path(__file__).parents[2]
LIBRARY = (*(str(ROOT / name) + "/" for name in ("minigrad", "nn", "gpt")), contextlib.__file__)


class AnomalyError(FloatingPointError):
    """A NaN or inf appeared; the message names the operation, the ranges and the line."""


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Inside `with detect_anomaly():`, in this thread, the first NaN or inf raises and says where it arose.

    In the forward pass: the operation, the range of each of its inputs, and the line that called it.
    In the backward pass: the operation whose vjp made it, and the line that called its forward. An
    inf among the inputs may pass (masks are -inf), a NaN may not. Each check reads every array once:
    use it to find a fault, not to train.

    Raises    AnomalyError (a FloatingPointError)
    """
    with switches.watched_by(_Detector()):
        yield


class _Detector:
    """A monitor of the tape."""

    def forward(self, fn: Callable[..., Any], arrays: list[Any], constants: dict[str, Any]) -> Any:
        """Run an operation, and look at what it returns."""
        with np.errstate(all="ignore"):
            out, vjp = fn(*arrays, **constants)
        bad = _bad(out)
        if bad == "nan" or (bad and not any(_bad(x) for x in arrays)):
            raise AnomalyError(_message("forward", fn.__name__, bad, arrays, user_line()))
        return out, switches.Noted(vjp=vjp, arrays=arrays, line=user_line())

    def backward(self, node: tape.Node, dout: Any) -> Any:
        """Run a vjp, and look at what it returns."""
        with np.errstate(all="ignore"):
            grads = node.vjp(dout)  # type: ignore[misc]
        made = next((bad for bad in map(_bad, grads) if bad), "")
        if made:
            arrays, line = getattr(node.vjp, "arrays", []), getattr(node.vjp, "line", "an unwatched line")
            raise AnomalyError(_message("backward", node.name, made, [*arrays, dout], line))
        return grads


def user_line() -> str:
    """Return "file:line in function: source" of the innermost caller outside this product."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(LIBRARY):
        frame = frame.f_back
    name, line = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(name, line).strip()
    return f"{name}:{line} in {frame.f_code.co_name}" + (f": {source}" if source else "")


def _bad(x: Any) -> str:
    """Return "nan" or "inf" if there is one in the array, else ""."""
    if x is None:
        return ""
    x = to_numpy(x)
    return "" if np.isfinite(x).all() else "nan" if np.isnan(x).any() else "inf"


def _message(way: str, name: str, bad: str, arrays: list[Any], line: str) -> str:
    names = [f"input {i}" for i in range(len(arrays))]
    if way == "backward":
        names[-1:] = ["the gradient it was given"]
    given = [f"  {n}: {_described(a)}" for n, a in zip(names, arrays) if a is not None]
    came = " (it came in with an input)" if any(_bad(a) == "nan" for a in arrays if a is not None) else ""
    where = "its forward was called at" if way == "backward" else "called at"
    return "\n".join([f"{way} of {name}: the first {bad}{came}", *given, f"  {where} {line}"])


def _described(a: Any) -> str:
    """Return shape, dtype and range of an array, and how many of its elements are not finite."""
    values = to_numpy(a)
    text = f"{values.dtype} {values.shape}"
    finite = values[np.isfinite(values)]
    if finite.size:
        text += f" in {finite.min():.4g}..{finite.max():.4g}"
    for kind, found in (("nan", np.isnan), ("inf", np.isposinf), ("-inf", np.isneginf)):
        if count := found(values).sum():
            text += f", {count} {kind}"
    return text
