"""From two gradients that differ to the mistake that makes them differ in this way."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

EXPLAINED = 0.01  # a candidate explains an error if it leaves no more than this share of it


@dataclass(frozen=True)
class Evidence:
    """What is known about one input whose gradient is wrong.

    Shapes    x, claimed, measured, error as the input; y and dout as the output; jacobian
              (y.size, x.size), or None if it was too large to measure
    """

    x: np.ndarray
    y: np.ndarray
    dout: np.ndarray  # the cotangent that `claimed` belongs to
    claimed: np.ndarray  # the gradient by the vjp
    measured: np.ndarray  # the gradient by differences
    error: np.ndarray  # how wrong `measured` may be
    jacobian: np.ndarray | None = None
    others: dict[str, np.ndarray] = field(default_factory=dict)  # the other inputs by name
    siblings: dict[str, np.ndarray] = field(default_factory=dict)  # their gradients by the vjp
    elsewhere: Sequence[tuple[float, float]] = ()  # (claimed, measured) slopes at another sample
    other_cotangent: np.ndarray | None = None  # the gradient by the vjp for another cotangent

    @property
    def sure(self) -> np.ndarray:
        """Where both gradients are finite and the measured one is good: not at a kink."""
        scale = abs(self.measured[np.isfinite(self.measured)]).max(initial=0.0)
        good = np.isfinite(self.claimed) & np.isfinite(self.measured)
        return good & (self.error <= 1e-3 * scale + 1e-300)

    @property
    def missing(self) -> np.ndarray:
        """What has to be added to the claimed gradient, 0 where unsure."""
        return np.where(self.sure, self.measured - self.claimed, 0.0)

    @property
    def wrong(self) -> np.ndarray:
        """Which elements are wrong, against the size of the largest error."""
        return abs(self.missing) > 10 * self.error + 1e-3 * abs(self.missing).max(initial=0.0)

    def explained_by(self, candidate: np.ndarray) -> bool:
        """Is this what the vjp returned, as far as the error goes?"""
        if candidate.shape != self.claimed.shape or not np.isfinite(candidate[self.sure]).all():
            return False
        left = np.linalg.norm((candidate - self.claimed)[self.sure])
        return bool(left <= EXPLAINED * np.linalg.norm(self.missing))

    def contributions(self) -> np.ndarray | None:
        """Return dout_o * dy_o/dx_j, (outputs, inputs): the gradient is its sum over the outputs."""
        return None if self.jacobian is None else self.dout.ravel()[:, None] * self.jacobian


@dataclass(frozen=True)
class Finding:
    """A mistake: its kind, in one or two words, and what is known about it."""

    kind: str
    text: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where + ': ' if self.where else ''}{self.kind}: {self.text}"


def diagnose(evidence: Evidence) -> Finding:
    """Return the first explanation that fits, the simplest ones first; "unexplained" if none does."""
    with np.errstate(all="ignore"):
        for kind, explain in EXPLANATIONS:
            text = explain(evidence)
            if text:
                return Finding(kind, text)
        return Finding("unexplained", _where_wrong(evidence))


def _non_finite(e: Evidence) -> str:
    bad = ~np.isfinite(e.claimed) & np.isfinite(e.measured)
    return (
        f"the vjp gives {e.claimed[bad][0]} at {_index(bad)}, where the slope is finite" if bad.any() else ""
    )


def _detached(e: Evidence) -> str:
    if e.claimed.any():
        return ""
    return "the vjp gives zero everywhere; was the graph cut (detach, .data, numpy(), no_grad), or a branch lost?"


def _cotangent(e: Evidence) -> str:
    same = e.other_cotangent is not None and np.allclose(e.other_cotangent, e.claimed, rtol=1e-7, atol=0)
    return "the gradient is the same for every cotangent: dout is not multiplied in" if same else ""


def _factor(e: Evidence) -> str:
    measured, claimed = e.measured[e.sure], e.claimed[e.sure]
    k = float(claimed @ measured / (measured @ measured)) if measured.any() else 0.0
    if not e.explained_by(k * e.measured):
        return ""
    for other_claimed, other_measured in e.elsewhere:
        if abs(other_claimed - k * other_measured) > EXPLAINED * abs(other_claimed - other_measured):
            return ""
    return f"the gradient is {k:.6g} times what it should be{_meaning(k, e)}"


def _meaning(k: float, e: Evidence) -> str:
    """Return where a factor may come from."""
    if math.isclose(k, -1, rel_tol=1e-6):
        return ": the sign is flipped"
    lengths = {f"the length of axis {i} of the input": n for i, n in enumerate(e.x.shape)}
    lengths |= {f"the length of axis {i} of the output": n for i, n in enumerate(e.y.shape)}
    lengths |= {"the number of inputs": e.x.size, "the number of outputs": e.y.size}
    powers = {
        1.0: ("", ": is a mean's 1/N missing?"),
        -1.0: ("one over ", ": is a mean taken for a sum?"),
        0.5: ("the root of ", ""),
        -0.5: ("one over the root of ", ""),
    }
    for (name, n), (power, (sense, guess)) in itertools.product(lengths.items(), powers.items()):
        if n > 1 and math.isclose(abs(k), n**power, rel_tol=1e-6):
            return f", {sense}{name}{guess}"
    return ": is one of two equal uses lost?" if math.isclose(k, 0.5, rel_tol=1e-6) else ""


def _missing_sum(e: Evidence) -> str:
    each = e.contributions()
    if each is None:
        return ""
    stacked = each.reshape(*e.y.shape, -1)
    for axis, n in enumerate(e.y.shape):
        pieces = [(slice(i, i + 1), f"index {i}") for i in (range(n) if n <= 8 else (0, n - 1))]
        pieces += [(slice(i, n), f"the last {n - i}") for i in range(max(1, n - 8), n - 1)]
        for piece, name in pieces if n > 1 else ():
            kept = stacked[(slice(None),) * axis + (piece,)].reshape(-1, e.x.size).sum(axis=0)
            if e.explained_by(kept.reshape(e.x.shape)):
                return f"only {name} of the output's axis {axis} is counted: the rest of the sum is missing"
    counts = abs(each) > 1e-9 * abs(each).max(initial=0.0)
    for name, order in (("last", slice(None, None, -1)), ("first", slice(None))):
        one = each[order][counts[order].argmax(axis=0), np.arange(e.x.size)].reshape(e.x.shape)
        if e.explained_by(one):
            return f"of several uses of an element only the {name} is counted: `=` where `+=` belongs?"
    return ""


def _transposed(e: Evidence) -> str:
    for axes in itertools.permutations(range(e.x.ndim)) if e.x.ndim <= 4 else ():
        if e.explained_by(e.measured.transpose(axes).reshape(e.x.shape)):
            return f"the gradient has its axes in the order {axes}"
    return ""


def _misplaced(e: Evidence) -> str:
    for axis in range(e.x.ndim):
        if e.explained_by(np.flip(e.measured, axis)):
            return f"the gradient is reversed along axis {axis}"
        for by in range(1, min(e.x.shape[axis], 8)):
            if e.explained_by(np.roll(e.measured, by, axis)):
                return f"the gradient is shifted by {by} along axis {axis}"
    return ""


def _swapped(e: Evidence) -> str:
    for name, gradient in e.siblings.items():
        if np.allclose(gradient[e.sure], e.measured[e.sure], rtol=1e-4, atol=1e-9):
            return f"this is the gradient of another input; its own was given to {name}"
    return ""


def _wrong_axis(e: Evidence) -> str:
    each = e.contributions()
    if each is None:
        return ""
    pairs = itertools.combinations(range(e.y.ndim), 2)
    for a, b in ((a, b) for a, b in pairs if e.y.shape[a] == e.y.shape[b]):
        turned = e.dout.swapaxes(a, b).ravel() @ e.jacobian
        if e.explained_by(turned.reshape(e.x.shape)):
            return f"the cotangent is read with axes {a} and {b} exchanged: a sum over the wrong axis"
    by_output = each.sum(axis=1).reshape(e.y.shape)
    for axes in _subsets(e.y.ndim):
        summed = by_output.sum(axis=axes)
        if summed.size == e.x.size and e.explained_by(summed.reshape(e.x.shape)):
            return f"this is the sum over axes {axes} of the output, which are the wrong ones"
    return ""


def _lost(e: Evidence) -> str:
    zero = abs(e.claimed) <= 1e-9 * abs(e.measured).max(initial=0.0)
    if e.wrong.any() and zero[e.wrong].all():
        return f"zero at {e.wrong.sum()} of {e.x.size} elements that the output depends on, right elsewhere"
    return ""


def _leak(e: Evidence) -> str:
    zero = abs(e.measured) <= 1e-6 * abs(e.measured).max(initial=0.0)
    if e.wrong.any() and zero[e.wrong].all() and not zero.all():
        count = e.wrong.sum()
        return f"not zero at {count} elements that the output does not depend on: is a mask not applied?"
    return ""


def _region(e: Evidence) -> str:
    wrong, right = e.wrong, e.sure & ~e.wrong
    if not (wrong.any() and right.any()) or e.x.size < 4:
        return ""
    tests: dict[str, np.ndarray] = {
        "negative": e.x < 0,
        "positive": e.x > 0,
        "beyond 1 in size": abs(e.x) > 1,
        "within 1 in size": abs(e.x) <= 1,
    }
    for name, holds in tests.items():
        if holds[wrong].all() and not holds[right].any():
            return f"wrong only where the input is {name} ({wrong.sum()} elements)"
    for axis, n in enumerate(e.x.shape):
        along = wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis))
        if n > 2 and along.sum() == 1:
            return f"wrong only at index {int(along.argmax())} of axis {axis}"
    return ""


def _dropped_term(e: Evidence) -> str:
    if e.x.shape == e.y.shape and _proportional(e.missing[e.sure], e.dout[e.sure]):
        return "a multiple of the cotangent itself is missing: a direct path (a skip connection) is lost"
    for axes in _lines(e.x.ndim):
        for name, profiles in _profiles(e, axes):
            if _spanned(e.missing, profiles, axes, e.sure):
                return f"the error is {name} along axes {axes}: a term is missing, like a mean or a sum over them"
    return ""


def _no_derivative(e: Evidence) -> str:
    if e.x.shape == e.y.shape and e.explained_by(e.dout):
        return "the cotangent is passed on as it came: the local derivative is missing"
    return ""


def _varying_factor(e: Evidence) -> str:
    keep = e.sure & (abs(e.measured) > 1e-6 * abs(e.measured).max(initial=0.0))
    if keep.sum() < 4:
        return ""
    ratio = e.claimed[keep] / e.measured[keep]
    for name, values in {"the input": e.x, "the output": e.y, **e.others}.items():
        if values.shape != e.x.shape[e.x.ndim - values.ndim :]:
            continue
        values = np.broadcast_to(values, e.x.shape)[keep]
        for power in (1, -1, 2, -2, 3, -3):
            if _proportional(ratio, values**power):
                return f"the gradient is too large by a multiple of {name} to the power {power}"
    return ""


EXPLANATIONS: tuple[tuple[str, Callable[[Evidence], str]], ...] = (
    ("non-finite", _non_finite),
    ("detached", _detached),
    ("cotangent", _cotangent),
    ("factor", _factor),
    ("missing sum", _missing_sum),
    ("transposed", _transposed),
    ("misplaced", _misplaced),
    ("swapped", _swapped),
    ("wrong axis", _wrong_axis),
    ("lost elements", _lost),
    ("leak", _leak),
    ("region", _region),
    ("dropped term", _dropped_term),
    ("no derivative", _no_derivative),
    ("varying factor", _varying_factor),
)


def _where_wrong(e: Evidence) -> str:
    worst = np.unravel_index(abs(e.missing).argmax(), e.x.shape)
    return f"wrong at {e.wrong.sum()} of {e.x.size} elements, most at {tuple(int(i) for i in worst)}"


def _profiles(e: Evidence, axes: tuple[int, ...]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield what a lost mean or sum leaves behind: a constant, or something in proportion to x or y."""
    one, large = np.ones(e.x.shape), np.exp(e.x - e.x.max(axis=axes, keepdims=True))
    yield "constant", [one]
    yield "in proportion to softmax(input)", [large]
    yield "in proportion to the centred input", [e.x - e.x.mean(axis=axes, keepdims=True)]
    if e.x.shape == e.y.shape:
        yield "in proportion to the output", [e.y]
        yield "a constant plus a multiple of the output", [one, e.y]
        for name, other in e.others.items():
            if other.shape == e.x.shape[e.x.ndim - other.ndim :]:
                yield f"in proportion to the cotangent times {name}", [e.dout * other]
    yield "a constant plus a multiple of the input", [one, e.x]


def _spanned(target: np.ndarray, profiles: list[np.ndarray], axes: tuple[int, ...], sure: np.ndarray) -> bool:
    """Is `target`, on each line along `axes`, a sum of multiples of the profiles?"""
    rest = [a for a in range(target.ndim) if a not in axes]
    length = math.prod(target.shape[a] for a in axes)
    if length < len(profiles) + 2 or not target.any() or not sure.all():
        return False
    lines = [t.transpose(*rest, *axes).reshape(-1, length) for t in (target, *profiles)]
    left = 0.0
    for line, *basis in zip(*lines):
        matrix = np.stack(basis, axis=1)
        left += float(((line - matrix @ np.linalg.lstsq(matrix, line, rcond=None)[0]) ** 2).sum())
    return math.sqrt(left) <= EXPLAINED * float(np.linalg.norm(target))


def _proportional(a: np.ndarray, b: np.ndarray) -> bool:
    """Is `a` a multiple of `b`, element by element?"""
    if a.size < 3 or not np.isfinite(b).all() or not b.any() or not a.any():
        return False
    return bool(np.linalg.norm(a - (a @ b) / (b @ b) * b) <= 1e-4 * np.linalg.norm(a))


def _lines(ndim: int) -> list[tuple[int, ...]]:
    """Return the axes a mean may run over: one, all but one, or all."""
    single = [(a,) for a in range(ndim)]
    but_one = [tuple(a for a in range(ndim) if a != b) for b in range(ndim)] if ndim > 2 else []
    return [*single[::-1], *but_one, *([tuple(range(ndim))] if ndim > 1 else [])]


def _subsets(ndim: int) -> Iterator[tuple[int, ...]]:
    return (axes for n in range(1, ndim + 1) for axes in itertools.combinations(range(ndim), n))


def _index(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(mask)[0])
