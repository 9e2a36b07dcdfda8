"""What a vjp must obey, and a monitor of the tape that refuses what does not.

One gradient, or None, for each input, of its shape and dtype. Nothing is written to that was given
or closed over. What comes back is `dout`, a view of it, or a new array, each new array once and
never a saved one: the walk adds other gradients into it, and hands it out as `.grad`.
"""

import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from minigrad.backend import is_array, namespace, to_numpy
from minigrad.switches import Noted
from minigrad.versions import owner, saved_arrays

Vjp = Callable[[Any], Any]
BUFFER = "the vjp returns gradients in an array that it keeps"
HARD: Any = 100_000  # candidates of common memory that are tried


class BadGradient(ValueError):
    """A backward that returned something that cannot be a gradient; `kind` says in which way."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Contract:
    """A monitor of the tape: `with switches.watched_by(Contract()):` every vjp that runs is held to it.

    Raises    BadGradient, naming the operation, inside backward
    """

    largest = 0.0  # of all gradients that were met

    def forward(self, fn: Callable[..., Any], arrays: Any, constants: Any) -> Any:
        """Run an operation, and remember what its vjp must not touch."""
        out, vjp = fn(*arrays, **constants)
        seen, dtypes = [_look_at(a) for a in (*arrays, out)], [_dtypes(a) for a in arrays]
        return out, _Remembered(vjp=vjp, arrays=seen, dtypes=dtypes)

    def backward(self, node: Any, dout: Any) -> Any:
        """Run a vjp under the contract."""
        vjp: Any = node.vjp
        arrays, dtypes = [], [()] * len(node.parents)
        if isinstance(vjp, _Remembered):  # else another monitor watched the forward
            arrays, dtypes = [look() for look in vjp.arrays], vjp.dtypes
            vjp = vjp.vjp
        wanted = [p and (p.shape, dtypes) for p, dtypes in zip(node.parents, dtypes)]
        grads = pull(node.name, vjp, dout, wanted, arrays)
        sizes = [float(abs(g).max()) for g in grads if g is not None and g.size]
        self.largest = max([self.largest, *sizes])
        return grads


class _Remembered(Noted):
    """A vjp, with the inputs and the output of its forward (`arrays`) and each input's dtype, () for None (`dtypes`).

    It looks at these arrays without holding them: what an observer holds, too, could not be written in place.
    """

    vjp: Vjp
    arrays: list[Callable[[], Any]]
    dtypes: list[tuple[Any, ...]]


def _look_at(array: Any) -> Callable[[], Any]:
    """Return a function that returns the array, or None when nobody holds it any more."""
    return weakref.ref(array) if is_array(array) and not isinstance(array, np.generic) else lambda: None


def _dtypes(array: Any) -> tuple[Any, ...]:
    return () if array is None else (array.dtype,)


def pull(where: str, vjp: Vjp, dout: Any, wanted: Sequence[Any], arrays: Iterable[Any]) -> Any:
    """Call a vjp twice; return the gradients, or raise BadGradient if it breaks the contract.

    `wanted` is (shape, its dtypes, empty for any) for each input, None for one without a gradient;
    `arrays` are those of the forward. Between the calls the first gradients are overwritten, as the walk
    may: an array that the vjp still uses then shows in the second.
    """
    held = list({id(a): a for a in (*arrays, *saved_arrays(vjp)) if a is not None}.values())
    given, before = dout.copy(order="K"), [a.copy() for a in held]
    first = vjp(given)
    _check_form(where, first, wanted)
    if not _same(given, dout):
        raise BadGradient("mutation", f"{where}: the vjp writes into the gradient it is given")
    kept = [None if g is None else g.copy() for g in first]
    changed = [b for a, b in zip(held, before) if not _same(a, b)]
    if changed and not any(b.any() for b in changed):  # an array made for the gradients, outside of the vjp
        same = all(map(_same, kept, vjp(dout)))
        text = "a second walk would overwrite the first's" if same else "a second walk adds to the first's"
        raise BadGradient("saved array" if same else "second walk", f"{where}: {BUFFER}: {text}")
    if changed:
        raise BadGradient("mutation", f"{where}: the vjp overwrites an array that it saved or was given")
    _check_memory(where, first, given, held)
    ours = [(g, k) for g, k in zip(first, kept) if g is not None and getattr(g.flags, "writeable", True)]
    for g, _ in ours:
        g[...] = np.nan
    second = vjp(dout)
    same = len(first) == len(second) and all(map(_same, kept, second))
    for g, k in ours:  # it may be an array of the user's
        g[...] = k
    if not same:
        text = "returns or overwrites an array that it keeps, shares one with other calls, or draws numbers"
        raise BadGradient("second walk", f"{where}: a second walk gives another gradient: the vjp {text}")
    if any(_shared(g, h) for g, _ in ours for h in second if is_array(h)):
        raise BadGradient("saved array", f"{where}: {BUFFER}: a second walk would overwrite the first's")
    return second


def _same(a: Any, b: Any) -> bool:
    """Are both None, or equal arrays?"""
    if a is None or b is None:
        return a is b
    return np.array_equal(to_numpy(a), to_numpy(b), equal_nan=to_numpy(a).dtype.kind in "fc")


# --- its form ---


def _check_form(where: str, grads: Any, wanted: Sequence[Any]) -> None:
    """Raise BadGradient unless there is one gradient (or None) per input, of its shape and dtype."""
    if not isinstance(grads, (tuple, list)):
        raise BadGradient("shape", f"{where}: expected a tuple of gradients; got {type(grads).__name__}")
    if len(grads) < _places(wanted) or _places(grads) > len(wanted):
        text = f"expected {len(wanted)} gradients, one (or None) for each input; got {len(grads)}"
        raise BadGradient("count", f"{where}: {text}")
    for i, (grad, kind) in enumerate(zip(grads, wanted)):
        if grad is not None and not is_array(grad):
            text = f"{where}: the gradient for input {i} is {type(grad).__name__}, not an array"
            raise BadGradient("shape", text)
        if grad is None or kind is None:
            continue
        shape, dtypes = kind
        if grad.shape != shape:
            raise BadGradient("shape", f"{where}: {_shape_flaw(i, grad.shape, shape)}")
        if dtypes and grad.dtype not in dtypes:
            text = f"{where}: the gradient for input {i} is {grad.dtype}, the input {dtypes[0]}"
            raise BadGradient("dtype", text + "; is a NumPy scalar or a float64 constant in its vjp?")


def _places(values: Sequence[Any]) -> int:
    """Return how many of the values there are, without those at the end that are None."""
    return max((i + 1 for i, value in enumerate(values) if value is not None), default=0)


def _shape_flaw(i: int, got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say that a gradient has a wrong shape, and how it may have come by it."""
    text = f"the gradient for input {i} has shape {got}, the input {wanted}"
    if got[::-1] == wanted:
        return text + "; it is transposed"
    padded = (1,) * (len(got) - len(wanted)) + wanted
    if len(padded) == len(got) and all(n in (1, m) for n, m in zip(padded, got)):
        axes = tuple(i for i, (n, m) in enumerate(zip(padded, got)) if n != m or i < len(got) - len(wanted))
        return text + f"; the sum over the broadcast axes {axes} is missing"
    return text


# --- its memory ---


def _check_memory(where: str, grads: Sequence[Any], dout: Any, held: list[Any]) -> None:
    """Raise BadGradient if a gradient is part of what the vjp keeps, or of another; views of dout may be."""
    own = [(i, g) for i, g in enumerate(grads) if is_array(g) and not _shared(g, dout)]
    for i, g in own:
        if any(_shared(g, a) for a in held):
            text = f"the gradient for input {i} is an array that the vjp saved or was given, or a view of it"
            raise BadGradient("saved array", f"{where}: {text}: the walk would add into it; return a copy")
    for (i, g), (j, h) in itertools.combinations(own, 2):
        if _shared(g, h):
            text = f"{where}: the gradients for inputs {i} and {j} share memory"
            raise BadGradient("aliased", f"{text}: what is added to one would change the other; copy one")


def _shared(a: Any, b: Any) -> bool:
    """Do two arrays share memory? Taken as not where that is hard to tell."""
    if namespace(a) is not np or namespace(b) is not np:
        return owner(a) is owner(b)
    try:
        return bool(np.shares_memory(a, b, max_work=HARD))
    except np.exceptions.TooHardError:
        return False
