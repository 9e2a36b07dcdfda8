"""Why do the outputs of two implementations differ?"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from minigrad.check import patterns_of_place as place
from minigrad.check.evidence import EXPLAINED, Evidence

Inputs = Mapping[str, np.ndarray]  # and parameters, by name
Theirs = Callable[[Inputs], np.ndarray]
PLACES = {"transposed": place.transposed, "misplaced": place.misplaced}


def explain_values(mine: np.ndarray, theirs: np.ndarray, inputs: Inputs, again: Theirs) -> tuple[str, str]:
    """Return the kind of mistake that makes `mine` of `theirs`, and what is known about it.

    In this order: all is off by a factor or by a number; the values stand in other places; they are those
    that the other gives for inputs turned or exchanged (`again` runs it); they are right in a region; else "value".
    """
    zeros = np.zeros(theirs.shape)
    e = Evidence(zeros, theirs, zeros, mine, theirs, error=zeros, others=dict(inputs))

    def found() -> Iterator[tuple[str, str]]:
        yield from ((kind, text) for kind, text, a in _scaled(mine, theirs, inputs) if e.explained_by(a))
        yield from ((kind, explain(e)) for kind, explain in PLACES.items())
        yield from ((kind, text) for kind, text, a in _turned(inputs, again) if e.explained_by(a))
        yield "misplaced", _permuted(e)
        yield "region", place.region(e)
        yield "value", f"differs at {e.extent()}"

    with np.errstate(all="ignore"):
        kind, text = next((kind, text) for kind, text in found() if text)
    return kind, text.replace("the gradient", "the output")


def _scaled(mine: np.ndarray, theirs: np.ndarray, inputs: Inputs) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield what a factor makes of theirs, and what one number added to all does."""
    k = float(np.vdot(theirs, mine) / np.vdot(theirs, theirs))
    if meaning := _meaning(k, inputs):
        yield "factor", f"the output is {k:.6g} times what it should be{meaning}", k * theirs
    if mine.size > 1:  # of one number alone, any factor makes any other
        yield "factor", f"the output is {k:.6g} times what it should be", k * theirs
        term = float((mine - theirs).mean())
        yield (
            "dropped term",
            f"the output is off by {term:.6g} everywhere: is a bias or an eps another?",
            theirs + term,
        )


def _meaning(k: float, inputs: Inputs) -> str:
    """Return where a factor may come from: a sign, or the number of elements along some axes of an input."""
    close = EXPLAINED * abs(k - 1)
    if abs(k + 1) <= close:
        return ": the sign is flipped"
    counts = {
        math.prod(x.shape[axis] for axis in axes): f"axes {axes} of {name}"
        for name, x in reversed([*inputs.items()])
        for count in range(x.ndim, 0, -1)
        for axes in itertools.combinations(range(x.ndim), count)
    }
    likely = [
        (law, f": {n} elements along {where}: {guess}")
        for n, where in reversed([*counts.items()])
        for law, guess in _laws(n)
    ]
    law, text = min(likely, key=lambda each: abs(each[0] - k), default=(0.0, ""))
    return text if abs(k - law) <= close else ""


def _laws(n: int) -> Iterator[tuple[float, str]]:
    """Yield what a factor may be that comes of n elements, and how it came about."""
    if n > 1:
        yield from ((n, "a sum where a mean belongs?"), (1 / n, "a mean where a sum belongs?"))
        yield from ((math.sqrt(n), "is a root of it lost?"), (1 / math.sqrt(n), "is a root of it too much?"))
        for ratio in (n / (n - 1), (n - 1) / n):
            yield from (
                (law, "another correction (ddof) of a variance?") for law in (ratio, math.sqrt(ratio))
            )


def _turned(inputs: Inputs, again: Theirs) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield theirs for inputs that are reversed, transposed or exchanged."""

    def run(**changed: np.ndarray) -> np.ndarray:
        try:
            return again({**inputs, **changed})
        except (TypeError, ValueError, RuntimeError, IndexError):  # it takes no inputs of these shapes
            return np.zeros(0)

    for name, x in inputs.items():
        for axes in (a for n in range(x.ndim) for a in itertools.combinations(range(x.ndim), n + 1)):
            yield (
                "misplaced",
                f"{name} is read reversed along axes {axes}",
                run(**{name: np.flip(x, axes).copy()}),
            )
        for a, b in itertools.combinations(range(x.ndim), 2):
            turned = run(**{name: x.swapaxes(a, b).copy()})
            yield "transposed", f"{name} is read with axes {a} and {b} exchanged", turned
            if turned.ndim > b:
                text = f"of axes {a} and {b} of {name} the wrong one is worked along"
                yield "wrong axis", text, turned.swapaxes(a, b)
    for (one, x), (two, y) in itertools.combinations(inputs.items(), 2):
        if x.shape == y.shape:
            yield "swapped", f"{one} and {two} are exchanged", run(**{one: y, two: x})


def _permuted(e: Evidence) -> str:
    """The right values stand in other places."""
    right, got = np.sort(e.measured, None), np.sort(e.claimed, None)
    scale = abs(right).max(initial=0.0)
    if len(np.unique(np.round(right / scale, 6))) < 4 or abs(right - got).max() > 1e-5 * scale:
        return ""
    at, wrong = e.worst(), abs(e.measured - e.claimed).argmax()
    source = e.examined.index(int(abs(e.measured - e.claimed.flat[wrong]).argmin()))
    return f"the values are right but stand in other places: at {at} is that of {source}; is an order not undone?"
