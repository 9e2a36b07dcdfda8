"""Explanations of where values went: into the wrong sum, order or elements, or nowhere."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.check.evidence import TINY, Candidates, Evidence, along, first_that_fits

SHIFTS = [by for n in range(1, 17) for by in (n, -n)]  # along an axis, that are tried

# --- sums ---


@first_that_fits
def missing_sum(e: Evidence) -> Candidates:
    """Only a part of an output axis, or one of several uses of an element, is summed over."""
    if e.jacobian is None or not e.claimed[e.wrong].any():
        return
    each = e.dout.ravel()[:, None] * e.jacobian  # dout_o * dy_o/dx_j: the gradient is its sum over o
    stacked = each.reshape(*e.y.shape, e.x.size)
    for axis, n in enumerate(e.y.shape):
        pieces = [(slice(i, i + 1), f"index {i}") for i in (range(n) if n <= 8 else (0, n - 1))]
        pieces += [(slice(i, n), f"the last {n - i}") for i in range(max(1, n - 8), n)]
        for piece, name in pieces:
            kept = stacked[(slice(None),) * axis + (piece,)].sum(axis=tuple(range(e.y.ndim)))
            if kept.any():
                text = f"only {name} of the output's axis {axis} is counted: the rest of the sum is missing"
                yield kept.reshape(e.x.shape), text
    counts = abs(each) > 1e-9 * abs(each).max()
    for name, order in (("last", slice(None, None, -1)), ("first", slice(None))):
        one = each[order][counts[order].argmax(axis=0), np.arange(e.x.size)].reshape(e.x.shape)
        yield one, f"of several uses of an element only the {name} is counted: `=` where `+=` belongs?"


@first_that_fits
def too_much_summed(e: Evidence) -> Candidates:
    """A sum or mean runs over axes that it should not: of the gradient, or of the cotangent."""
    for kind, total in (("sum", np.sum), ("mean", np.mean)):
        for axes in _subsets(e.x.shape) if e.examined.complete else ():
            everywhere = np.broadcast_to(total(e.measured, axis=axes, keepdims=True), e.x.shape)
            text = f"the {kind} over axes {axes} of the gradient stands in every place: too much is summed"
            yield everywhere, text
        for axes in _subsets(e.y.shape) if e.jacobian is not None else ():
            dout = np.broadcast_to(total(e.dout, axis=axes, keepdims=True), e.y.shape)
            text = f"the cotangent is replaced by its {kind} over axes {axes}: too much is summed"
            yield e.pulled(dout, e.jacobian), text


@first_that_fits
def one_triangle(e: Evidence) -> Candidates:
    """The function reads one triangle of a symmetric matrix, the vjp gives a symmetric gradient."""
    if e.x.ndim > 1 and e.x.shape[-1] == e.x.shape[-2]:
        symmetric = (e.measured + e.measured.swapaxes(-1, -2)) / 2
        text = "half of each goes to the other triangle, on which the output does not depend"
        yield symmetric, f"the gradient is the symmetric part of what it should be: {text}"


# --- axes ---


def spread(e: Evidence) -> str:
    """The gradient of a sum is spread along another axis than the one summed over."""
    for a, b in _equal_axes(e.x.shape):
        same = [np.ptp(e.measured, axis=axis).max() <= TINY * abs(e.measured).max() for axis in (a, b)]
        if same[0] != same[1] and e.explained_by(e.measured.swapaxes(a, b)):
            right, wrong = (a, b) if same[0] else (b, a)
            return f"the cotangent is spread along axis {wrong}; the output is summed over axis {right}"
    return ""


@first_that_fits
def transposed(e: Evidence) -> Candidates:
    """The axes of the gradient are in another order."""
    for axes in itertools.permutations(range(e.x.ndim)) if e.x.ndim <= 4 else ():
        yield e.measured.transpose(axes).reshape(e.x.shape), f"the gradient has its axes in the order {axes}"


def operand_transposed(e: Evidence) -> str:
    """What dout is multiplied by is not transposed: an axis of the output is exchanged with one of the input."""
    named = next((named for named, band in _exchanged(e) if not band), "")
    text = "the matrix that dout is multiplied by is not transposed, or is where it should not be"
    return f"axes of the output and of the input are exchanged ({named}): {text}" if named else ""


def kernel_reversed(e: Evidence) -> str:
    """The same, where the matrix is that of a convolution, a shift or a running sum: it runs backwards."""
    named = next((named for named, band in _exchanged(e) if band), "")
    text = "is a kernel not flipped, an order not undone, a running sum not run backwards?"
    return f"positions along the axes {named} of output and input are exchanged: {text}" if named else ""


def _exchanged(e: Evidence) -> Iterator[tuple[str, bool]]:
    """Yield which axes are exchanged, and if the matrix is a kernel, or moves elements and does no more."""
    if e.jacobian is None:
        return
    tensor, n = e.jacobian.reshape(e.y.shape + e.x.shape), e.y.ndim
    pairs = [(a, n + b) for a in range(n) for b in range(e.x.ndim) if e.y.shape[a] == e.x.shape[b]]
    two = [p + q for p, q in itertools.combinations(pairs, 2) if len({*p, *q}) == 4]
    for axes in [*pairs, *two]:
        outputs, inputs = axes[::2], axes[1::2]
        if e.fits(np.moveaxis(tensor, outputs + inputs, inputs + outputs)):
            named = ", ".join(f"{a} and {b - n}" for a, b in zip(outputs, inputs))
            bands = (_is_band(np.moveaxis(tensor, pair, (0, 1))) for pair in zip(outputs, inputs))
            yield named, all(bands) or (abs(e.jacobian) > 0.1 * abs(e.jacobian).max()).sum(axis=1).max() == 1


def _is_band(tensor: np.ndarray) -> bool:
    """Do the values depend on the first two indices by their difference alone, and are not 0 on either side?"""
    moved = abs(tensor[1:, 1:] - tensor[:-1, :-1])
    return len(tensor) > 2 and bool(moved.max() <= 1e-5 * abs(tensor).max())


@first_that_fits
def wrong_axis(e: Evidence) -> Candidates:
    """The cotangent is read, summed or worked on along another axis."""
    if e.jacobian is None:
        return
    for a, b in _equal_axes(e.y.shape):
        turned = e.pulled(e.dout.swapaxes(a, b), e.jacobian)
        yield turned, f"the cotangent is read with axes {a} and {b} exchanged: a sum over the wrong axis"
    by_output = (e.dout.ravel() * e.jacobian.sum(axis=1)).reshape(e.y.shape)
    for axes in _subsets(e.y.shape):
        summed = by_output.sum(axis=axes)
        if summed.size == e.x.size:
            text = f"this is the sum over axes {axes} of the output, which are the wrong ones"
            yield summed.reshape(e.x.shape), text


# --- order ---


@first_that_fits
def misplaced(e: Evidence) -> Candidates:
    """The gradient is reversed or shifted along an axis."""
    for axis in range(e.x.ndim if e.examined.complete else 0):
        yield np.flip(e.measured, axis), f"the gradient is reversed along axis {axis}"
        for by in SHIFTS:
            yield np.roll(e.measured, by, axis), f"the gradient is shifted by {by} along axis {axis}"


def swapped(e: Evidence) -> str:
    """This is the gradient of another input."""
    for name, gradient in e.siblings.items():
        if np.allclose(gradient[e.sure], e.measured[e.sure], rtol=1e-4, atol=1e-9):
            return f"this is the gradient of another input; its own was given to {name}"
    return ""


def given_twice(e: Evidence) -> str:
    """This is the gradient that another input is given, too."""
    for name, gradient in e.siblings.items():
        if e.claimed.any() and np.allclose(gradient, e.claimed, rtol=1e-9, atol=0):
            return f"this is the gradient that {name} is given, too"
    return ""


# --- elements ---


def lost(e: Evidence) -> str:
    """Some elements get nothing; the rest is right."""
    zero = abs(e.claimed) <= 1e-9 * abs(e.measured).max()
    if e.wrong.any() and zero[e.wrong].all() and e.right.any():
        return f"zero at {e.extent()} that the output depends on, right elsewhere"
    return ""


def leak(e: Evidence) -> str:
    """Something arrives at elements on which the output does not depend: a mask is not applied."""
    zero = abs(e.measured) <= max(TINY * abs(e.measured).max(), 3 * e.error.max())
    if e.wrong.any() and zero[e.wrong].all():
        return f"not zero at {e.extent()}, on which the output does not depend (its slope is 0): is a mask not applied?"
    return ""


def region(e: Evidence) -> str:
    """Wrong on one side of a threshold, or at some indices of an axis; right elsewhere."""
    wrong, right = e.wrong, e.right
    if not (wrong.any() and right.any()) or e.x.size < 4:
        return ""
    for name, a in e.values().items():
        tests = {"negative": a < 0, "positive": a > 0}
        tests |= {"beyond 1 in size": abs(a) > 1, "within 1 in size": abs(a) <= 1}
        for sense, holds in tests.items():
            if holds[wrong].all() and not holds[right].any():
                return f"wrong only where {name} is {sense} ({e.extent()}){_law(e)}"
    for axis, n in enumerate(e.x.shape):
        there = along(axis, wrong)
        lines, width = int(there.sum()), wrong.size // n
        whole = 2 * lines <= n and width > 1 and wrong.sum() == lines * width
        if n > 2 and wrong.sum() > 1 and (lines == 1 or whole):
            return f"wrong only at {some(e.examined.axes[axis][there])} of axis {axis}{_law(e)}"
    return _threshold(e)


def scattered(e: Evidence) -> str:
    """Wrong at a few elements, right at all others."""
    count = int(e.wrong.sum())
    if not 0 < count <= max(2, 0.05 * e.x.size) or e.right.sum() < 3 * count:
        return ""
    places = [str(e.examined.index(int(i))) for i in np.flatnonzero(e.wrong)[:4]]
    among = "" if e.examined.complete else ", of the elements examined"
    return f"wrong only at {', '.join(places)}{', ...' if count > 4 else ''}{among}{_law(e)}"


def one_factor_in_places(e: Evidence) -> str:
    """Some elements are right, and all others are off by the same factor."""
    if e.wrong.sum() < 3 or not e.right.any() or not _law(e) or not e.claimed[e.wrong].any():
        return ""
    return f"wrong at {e.extent()}, most at {e.worst()}{_law(e)}"


def _threshold(e: Evidence) -> str:
    """Is there a value above, or below, which all is surely wrong and nothing is?"""
    wrong, right = e.wrong, e.right
    if abs(e.missing[wrong]).min() <= 10 * max(e.error[right].max(), abs(e.missing[right]).max()):
        return ""
    for name, values in e.values().items():
        for sense, a in ((name, values), (f"the size of {name}", abs(values))):
            low, high = (a[wrong].max(), a[right].min()), (a[right].max(), a[wrong].min())
            for word, (start, end) in (("below", low), ("above", high)):
                if min(wrong.sum(), right.sum()) >= 3 and start < end:
                    return f"wrong only where {sense} is {word} a limit in {start:.3g} to {end:.3g}{_law(e)}"
    return ""


def _law(e: Evidence) -> str:
    """Say if the wrong elements are off by one factor."""
    ratio = (e.claimed / e.measured)[e.wrong]
    same = np.isfinite(ratio).all() and np.ptp(ratio) <= 1e-4 * abs(ratio).max()
    return f", by a factor of {ratio.flat[0]:.6g}" if same else ""


# --- helpers ---


def some(indices: Sequence[int] | np.ndarray) -> str:
    """Return "index 2" or "indices 0, 1, 2, ..."."""
    listed = ", ".join(str(int(i)) for i in indices[:5]) + (", ..." if len(indices) > 5 else "")
    return f"{'index' if len(indices) == 1 else 'indices'} {listed}"


def outputs_at(e: Evidence, rows: Any) -> str:
    """Name the outputs of these rows of the Jacobian: indices of an axis, or the first of them."""
    mask = rows.reshape(e.y.shape)
    for axis in range(mask.ndim):
        there = along(axis, mask)
        if there.sum() * mask.size == mask.sum() * mask.shape[axis] and not there.all():
            return f"{some(np.flatnonzero(there))} of axis {axis}"
    places = [tuple(int(i) for i in place) for place in np.argwhere(mask)[:3]]
    return ", ".join(map(str, places)) + (", ..." if mask.sum() > 3 else "")


def _equal_axes(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    pairs = itertools.combinations(range(len(shape)), 2)
    return ((a, b) for a, b in pairs if shape[a] == shape[b])


def _subsets(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield one axis, then two, ..., of those along which there is something to sum."""
    long = [axis for axis, n in enumerate(shape) if n > 1]
    return itertools.chain.from_iterable(itertools.combinations(long, n + 1) for n in range(len(long)))
