"""Explanations from both whole Jacobians: which entries are wrong, what they couple, how simple the error is.

Axes of the output and of the input along which each index depends on its own alone (a batch) are tied. Without
them the Jacobian is a stack of blocks, one for each index of the tied axes.
"""

import itertools
from collections.abc import Callable

import numpy as np

from minigrad.check.evidence import EXPLAINED, Entries, Evidence
from minigrad.check.patterns_of_place import outputs_at

ALIKE = 1e-3  # how far numbers may be apart that are one number
MOSTLY = 3  # times as many
LARGE = 200_000  # entries of a Jacobian whose ranks are not taken


def with_entries(explain: Callable[[Evidence, Entries], str]) -> Callable[[Evidence], str]:
    """Turn an explanation that needs the entries of both Jacobians into one that is "" without them."""

    def explained(e: Evidence) -> str:
        j = e.entries
        return explain(e, j) if j is not None and j.wrong.any() and j.has.any() else ""

    explained.__name__, explained.__doc__ = explain.__name__, explain.__doc__
    return explained


# --- which entries ---


@with_entries
def outputs_lost(e: Evidence, j: Entries) -> str:
    """Some outputs give nothing to elements that others reach."""
    if j.spurious.any() or j.off.any() or not (j.missing.any(axis=0) & j.kept.any(axis=0)).any():
        return ""
    if (j.kept.any(axis=1) & j.missing.any(axis=1)).any():
        return ""
    at = int((j.missing.sum(axis=0) * j.kept.any(axis=0)).argmax())
    kept, count = int(j.kept[:, at].sum()), int(j.has[:, at].sum())
    text = f"of {count} contributions to the element at {e.examined.index(at)} only {kept} are counted"
    return f"{text}; those of the output at {outputs_at(e, j.missing.any(axis=1))} are missing"


@with_entries
def path_lost(e: Evidence, j: Entries) -> str:
    """Outputs reach some of the elements that they depend on, and others not at all."""
    missing, off = int(j.missing.sum()), int(j.off.sum())
    if j.spurious.any() or missing < 2 * off or not j.gets.any():
        return ""
    text = f"{missing} of the {int(j.has.sum())} derivatives of outputs by elements are 0 in the vjp"
    return f"{text}, {int(j.kept.sum())} are right: a path from the input to the output is lost"


@with_entries
def leak(e: Evidence, j: Entries) -> str:
    """Cotangents of outputs arrive at elements which they do not depend on."""
    if j.spurious.sum() <= MOSTLY * j.missing.sum():
        return ""
    text = f"the output at {outputs_at(e, j.spurious.any(axis=1))} does not depend on"
    return f"{text} what it passes its cotangent to: is a mask not applied, or an index too wide?"


@with_entries
def moved(e: Evidence, j: Entries) -> str:
    """Each output gives the right numbers to other elements, or each element gets them from other outputs."""
    if j.spurious.sum() > MOSTLY * j.missing.sum():
        return ""
    both = np.stack([j.right, j.claimed, j.wrong])
    for who, (right, claimed, wrong) in (("output gives", both), ("element gets", both.mT)):
        apart = abs(np.sort(right) - np.sort(claimed)).max(axis=1)
        same = apart <= EXPLAINED * abs(right - claimed).max(axis=1)
        counted = right.any(axis=1) & wrong.any(axis=1)
        if counted.any() and 2 * (same & counted).sum() >= counted.sum():
            others = "to other elements" if who == "output gives" else "from other outputs"
            return f"each {who} the right values {others}: is an index off, or an order not undone?"
    shape, ndim = e.y.shape + e.x.shape, e.y.ndim
    for a, b in _equal(e) if not np.array_equal(j.has, j.gets) else ():
        if np.array_equal(j.has.reshape(shape).swapaxes(a, ndim + b), j.gets.reshape(shape)):
            return f"gradients run in the opposite direction along axis {b}"
    return ""


# --- what is coupled ---


@with_entries
def coupled(e: Evidence, j: Entries) -> str:
    """A sum or mean runs along other axes than the function's does."""
    if not e.same_shape:
        return ""
    mixed, apart, wide, left = [], [], [], []
    for a, b in _equal(e):
        right, claimed = _between(e, j.has, a, b), _between(e, j.gets, a, b)
        tied = [not (m & ~np.eye(len(m), dtype=bool)).any() for m in (right, claimed)]
        mixed += [b] if tied == [True, False] else []
        apart += [b] if tied == [False, True] else []
        left += [b] if tied == [False, False] and claimed.any() else []
        in_groups = np.array_equal(right, right.T) and np.array_equal(right, (right.astype(int) @ right) > 0)
        wide += [b] if in_groups and (claimed & ~right).any() and tied == [False, False] else []
    if mixed and apart:
        return f"the vjp mixes indices of axis {_axes(mixed)}, where the function mixes those of axis {_axes(apart)}"
    if mixed:
        return f"the vjp mixes indices of axis {_axes(mixed)}, which the function keeps apart: too much is summed"
    if wide:
        return f"the vjp mixes groups along axis {_axes(wide)}, which the function keeps apart: too much is summed"
    if apart and left and 3 * j.kept.sum() < j.off.sum():
        return f"the vjp keeps the indices of axis {_axes(apart)} apart, which the function mixes: too little is summed"
    return ""


# --- how the local derivative is wrong ---


@with_entries
def moves_alone(e: Evidence, j: Entries) -> str:
    """The vjp does nothing but move, add and scale cotangents, where they should be multiplied with something."""
    size, right = abs(j.claimed[j.gets]), abs(j.right[j.has])
    if (
        scaled_by_side(e)
        or not size.size
        or np.ptp(size) > 1e-6 * size.max()
        or np.ptp(right) <= ALIKE * right.max()
    ):
        return ""
    if j.missing.sum() > 0.1 * j.has.sum() or j.spurious.sum() > 0.34 * j.gets.sum():
        return ""
    return "the cotangent is passed on as it came, where it should be multiplied: the local derivative is missing"


@with_entries
def scaled_by_side(e: Evidence, j: Entries) -> str:
    """What each output passes on, or each element gets, is off by a factor of its own."""
    if not np.array_equal(j.has, j.gets):
        return ""
    for axis, who in ((1, "each output passes on"), (0, "each element gets")):
        squares = (j.right * j.right).sum(axis=axis, keepdims=True)
        factors = np.nan_to_num((j.claimed * j.right).sum(axis=axis, keepdims=True) / squares)  # 0 / 0
        lengths = j.has.sum(axis=axis)
        if lengths.max() > 1 and _small(j.claimed - factors * j.right, j.claimed - j.right):
            shown = factors[squares > 0]
            text = f"what {who} has a factor of its own, {shown.min():.4g} to {shown.max():.4g}"
            return text + (_law_of_the_output(e, factors.ravel()) if axis == 1 else "")
    return ""


@with_entries
def scaled(e: Evidence, j: Entries) -> str:
    """What each output passes on and what each element gets is off by a factor of its own."""
    right, claimed = e.blocks(j.right), e.blocks(j.claimed)
    if min(right.shape[1:]) > 1 and np.array_equal(j.has, j.gets) and all(map(_crossed, claimed, right)):
        return "each output and each element has a factor of its own: a derivative on the way is wrong"
    return ""


def _law_of_the_output(e: Evidence, factors: np.ndarray) -> str:
    for exponent in (1, -1, 2, -2):
        values = np.power(e.y.ravel(), exponent)
        k = (factors @ values) / (values @ values)
        if (factors.size > 1 or abs(k - 1) < ALIKE) and _small(factors - k * values, factors):
            return f", a multiple of the output to the power {exponent}"
    return ""


@with_entries
def transposed_inside(e: Evidence, j: Entries) -> str:
    """A matrix on the way, between factors for each output and element, is not transposed."""
    right, claimed = e.blocks(j.right), e.blocks(j.claimed)
    square = right.shape[1] == right.shape[2] > 1 and e.blocks(j.has & j.gets).mean() > 0.8
    if not square or not all(map(_crossed, claimed, right.mT)):
        return ""
    return "but for a factor for each output, this is what a matrix gives that is not transposed"


# --- a term ---


@with_entries
def one_term(e: Evidence, j: Entries) -> str:
    """The error is plainer than the Jacobian: few numbers, few entries, a low rank or one path."""
    reason = _few_numbers(j) or _few_entries(j) or _plainer(e, j.claimed - j.right, j.right)
    return f"{reason}: a term is missing or wrong" if reason and not _times(e, j) else ""


@with_entries
def one_term_scaled(e: Evidence, j: Entries) -> str:
    """One of the terms has a wrong factor: without it the rest of the Jacobian is as plain as can be."""
    k = _times(e, j) if _plainer(e, j.claimed - j.right, j.right) else 0.0
    if not k:
        return ""
    reason = ": its sign is flipped" if k == -1 else f": is a {'mean' if k > 1 else 'sum'} missing there?"
    return f"one term of the gradient is {k:.6g} times what it should be, the others are right{reason}"


@with_entries
def one_term_moved(e: Evidence, j: Entries) -> str:
    """The same number is missing at one element and too much at another."""
    error = np.where(j.wrong, j.claimed - j.right, 0.0)
    plus, minus = (error > 0).sum(axis=1), (error < 0).sum(axis=1)
    size = abs(error[j.wrong])
    if size.size < 4 or not np.array_equal(plus, minus) or np.ptp(size) > ALIKE * size.max():
        return ""
    return (
        f"{size.max():.4g} is missing at {int(plus.sum())} elements and too much at as many: is an index off?"
    )


def _few_numbers(j: Entries) -> str:
    """Does the error take few values, and the Jacobian many?"""
    numbers = [
        len(np.unique(np.round(a / abs(a).max(), 4)))
        for a in ((j.claimed - j.right)[j.wrong], j.right[j.has])
    ]
    if numbers[0] > 3 or j.wrong.sum() < max(3, 2 * numbers[0]) or numbers[1] <= 2 * numbers[0]:
        return ""
    values = np.unique(np.round((j.right - j.claimed)[j.wrong], 6))[:3]
    return f"what is missing is the same everywhere, {' or '.join(f'{v:.4g}' for v in values)} times the cotangent"


def _few_entries(j: Entries) -> str:
    """Are few entries wrong, other than all those of some outputs by some elements?"""
    rows, columns = j.wrong.any(axis=1), j.wrong.any(axis=0)
    whole = j.wrong[np.ix_(rows, columns)] == j.has[np.ix_(rows, columns)]
    if whole.all() or 3 * j.wrong.sum() > j.has.sum() or j.wrong.sum() < 3:
        return ""
    return f"{int(j.wrong.sum())} of {int(j.has.sum())} derivatives of outputs by elements are wrong"


def _plainer(e: Evidence, part: np.ndarray, whole: np.ndarray) -> str:
    """Has the part at most half the rank of the whole between some of its axes, or is it one path and that not?"""
    if whole.size > LARGE or not part.any():
        return ""
    some, all_of_it = e.tensor(part), e.tensor(whole)
    for p, q in itertools.combinations(range(1, some.ndim), 2):
        ranks = [_rank(np.moveaxis(t, (p, q), (-2, -1)), abs(t).max()) for t in (some, all_of_it)]
        if 0 < 2 * ranks[0] <= ranks[1]:
            return f"of rank {ranks[0]}, where the whole has {ranks[1]}"
    ranks = [_rank(e.blocks(m), abs(m).max()) for m in (part, whole)]
    if 0 < 2 * ranks[0] <= ranks[1]:
        return f"of rank {ranks[0]}, where the whole has {ranks[1]}"
    if _one_path(e.blocks(part)) and not _one_path(e.blocks(whole)):
        return "of one path, where the whole has several"
    return ""


def _rank(stack: np.ndarray, scale: float) -> int:
    """Return the largest rank of a stack of matrices; what is tiny, of the scale, is 0."""
    sizes = np.linalg.svd(stack, compute_uv=False)
    return int((sizes > ALIKE * scale).sum(axis=-1).max(initial=0))


def _one_path(blocks: np.ndarray) -> bool:
    """Is each block the same matrix with rows and columns scaled: one product with it on the way?"""
    if len(blocks) < 2 or min(blocks.shape[1:]) < 2:
        return False
    first = blocks[0]
    return bool((first != 0).all()) and all(_crossed(block, first) for block in blocks[1:])


def _crossed(a: np.ndarray, b: np.ndarray) -> bool:
    """Is `a` the matrix `b` with rows and columns scaled?"""
    p, q = np.unravel_index(abs(a * b).argmax(), a.shape)
    left, right = a * a[p, q] * np.outer(b[:, q], b[p]), b * b[p, q] * np.outer(a[:, q], a[p])
    return bool(left.any()) and _small(left - right, left, 1e-4)


def _times(e: Evidence, j: Entries) -> float:
    """Return the factor of the wrong term, of a few likely ones; 0 if it is just missing.

    For the right one, what is left of the Jacobian without the term has the lowest rank beside the diagonal.
    """
    right, error = e.blocks(j.right), e.blocks(j.claimed - j.right)
    if right.shape[1] != right.shape[2] or right.shape[1] < 4:
        return 0.0
    half = right.shape[1] // 2

    def left(k: float) -> int:
        return _rank((right - error / (k - 1))[:, :half, half:], abs(right).max())

    lengths = {float(n) for n in (*e.x.shape, right.shape[1]) if n > 1}
    likely = [-1.0, *lengths, *(1 / n for n in lengths), *(n / (n - 1) for n in lengths if n > 2), 2.0, 0.5]
    best = min(likely, key=left)
    return best if left(best) < left(0.0) else 0.0


# --- helpers ---


def _small(a: np.ndarray, of: np.ndarray, share: float = EXPLAINED) -> bool:
    return bool(np.linalg.norm(a) <= share * np.linalg.norm(of))


def _axes(axes: list[int]) -> str:
    return " and ".join(map(str, dict.fromkeys(axes)))


def _equal(e: Evidence) -> list[tuple[int, int]]:
    """Return the pairs of an axis of the output and one of the input that are equally long."""
    pairs = itertools.product(range(e.y.ndim), range(e.x.ndim if e.examined.complete else 0))
    return [(a, b) for a, b in pairs if e.y.shape[a] == e.x.shape[b] > 1]


def _between(e: Evidence, mask: np.ndarray, a: int, b: int) -> np.ndarray:
    """Return which indices of axis a of the output depend on which of axis b of the input."""
    tensor = mask.reshape(e.y.shape + e.x.shape)
    return np.asarray(tensor.any(axis=tuple(i for i in range(tensor.ndim) if i not in (a, e.y.ndim + b))))
