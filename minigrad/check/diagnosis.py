"""From two gradients that differ to the mistake that makes them differ in this way.

An explanation is a function of the evidence that returns a text if it fits, "" if not. The first that fits
answers, so that they stand in an order, from what leaves no doubt to what is only likely:

1. what no gradient can be: not finite, zero everywhere, right with a part of the graph held fixed;
2. not a linear function of dout: all that follows compares matrices, which such a vjp has not;
3. one factor for everything;
4. all of it explained by the right Jacobian rearranged: sums cut short, axes exchanged, values moved, operands
   swapped. Nothing is left over, which hardly happens by chance;
5. single entries of the Jacobian are right and others are zero, or not zero and should be: elements, outputs or
   paths that are lost, indices mixed that are apart. A zero is hard evidence, a wrong number is not;
6. one side of a threshold, or some indices of an axis;
7. the local derivative: missing, off by a law, off by a factor for each index, output or element;
8. a term: what is wrong is plainer than the whole (few numbers, few entries, low rank, one path);
9. what remains true when nothing else fits: the same factor at some places, an elementwise slope.

Within each, what says more stands before what says less.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigrad.check import patterns_of_place as place
from minigrad.check import patterns_of_structure as structure
from minigrad.check import patterns_of_value as value
from minigrad.check.evidence import EXPLAINED, NOISE, TINY, Evidence, along

CONSTANT = 1e-4  # how much a factor may differ from sample to sample, of its distance from 1

Explanation = tuple[str, Callable[[Evidence], str]]

KINDS = {  # what a finding may be called, and what it means
    "factor": "the gradient, or one term of it, is off by one number (a sign, a 2, a mean taken for a sum)",
    "varying factor": "it is off by a factor that changes with the place or the value",
    "no derivative": "dout is passed on without being multiplied by the derivative of a step on the way",
    "dropped term": "of several terms of the gradient, or paths to the input, one is missing or wrong",
    "missing sum": "a sum over uses, outputs or a broadcast axis is not complete",
    "wrong axis": "a sum, a mean or a maximum runs along the wrong axes, or along too many or too few",
    "transposed": "the gradient, or a matrix that dout is multiplied by, is not transposed, or should not be",
    "misplaced": "the right values stand in the wrong places: reversed, shifted, permuted, off by an index",
    "swapped": "it is the gradient of another input, or made with another operand",
    "lost elements": "zero at some elements where it should not be",
    "leak": "not zero at some elements where it should be: a mask that is not applied",
    "region": "wrong on one side of a threshold, or at some places only",
    "detached": "zero, or right with a part of the graph held fixed: that part is cut off",
    "cotangent": "not linear in dout: dout is not used, enters twice, or a term has no dout",
    "dtype": "of another dtype than the input, or rounded on the way to fewer digits than it has",
    "non-finite": "NaN or infinite",
    "shape": "no array of the input's shape",
    "count": "not as many gradients as inputs",
    "mutation": "the function or its vjp writes to what it was given or saved",
    "saved array": "a gradient is an array that the vjp keeps, or was given",
    "aliased": "two gradients share memory",
    "second walk": "a second walk over the same graph gives another gradient",
    "non-deterministic": "two runs at the same inputs give other outputs",
    "unexplained": "none of these fits; the text says where it is wrong, and by how much",
}


@dataclass(frozen=True)
class Finding:
    """A mistake: its kind, in one or two words, and what is known about it."""

    kind: str
    text: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where + ': ' if self.where else ''}{self.kind}: {self.text}"


def diagnose(evidence: Evidence) -> Finding:
    """Return the first explanation that fits; else "unexplained"."""
    if not evidence.x.size:
        return Finding("unexplained", "there is no element that could be wrong")
    with np.errstate(all="ignore"):
        for kind, explain in EXPLANATIONS:
            if text := explain(evidence):
                return Finding(kind, text)
        return Finding("unexplained", _pattern(evidence))


def _non_finite(e: Evidence) -> str:
    """NaN or inf comes out of the vjp."""
    bad = ~np.isfinite(e.claimed)
    if not bad.any():
        return ""
    point = "the function is not differentiable; a slope of 0 would do no harm"
    if np.isfinite(e.measured[bad][0]) and not (e.kink is not None and e.kink[bad][0]):
        point = "the slope is finite"
    return f"the vjp gives {e.claimed[bad][0]} at {e.examined.index(int(bad.argmax()))}, where {point}"


def _zero(e: Evidence) -> str:
    """Nothing comes back."""
    if e.claimed.any() or not e.wrong.any():
        return ""
    reader = f" ({' and '.join(e.cuts)} a value without a history)" if e.cuts else ""
    text = "was the graph cut (detach, .data, numpy(), no_grad), or a branch lost?"
    return f"the vjp gives zero everywhere; {text}{reader}"


def _cut(e: Evidence) -> str:
    """Part of the graph was cut off: the vjp is right for the function with that part held fixed."""
    if e.held is None or not e.explained_by(e.held):
        return ""
    reader = " and ".join(e.cuts) or "an operation reads"
    what = "a value that depends on the input but has no history (detach, .data, numpy(), no_grad)"
    return f"a branch is cut off: {reader} {what}; with that value held fixed the vjp is right"


def _same_for_every_cotangent(e: Evidence) -> str:
    """The vjp does not look at dout."""
    other = e.other_cotangent
    if other is None or not e.wrong.any() or not np.allclose(other, e.claimed, rtol=1e-7, atol=0):
        return ""
    return "the gradient is the same for every cotangent: dout is not multiplied in"


def _without_cotangent(e: Evidence) -> str:
    """To the right gradient something is added that dout is not a factor of."""
    if e.claimed_jacobian is None or e.jacobian is None:
        return ""
    extra = (e.pulled(e.dout, e.claimed_jacobian) - e.claimed) / (float(e.dout.sum()) - 1)
    error, left = e.claimed_jacobian - e.jacobian, e.claimed_jacobian - extra.ravel() - e.jacobian
    sure = e.sure.ravel()
    if not np.linalg.norm(left[:, sure]) < EXPLAINED * np.linalg.norm(error[:, sure]):
        return ""
    return f"a term without dout is added, up to {abs(extra).max():.4g}: the gradient for a cotangent of 0 is not 0"


def _rounded(e: Evidence) -> str:
    """The gradient has few digits, or none after the point."""
    claimed, measured = e.claimed[e.sure], e.measured[e.sure]
    near = abs(claimed - measured) <= 2.0**-7 * abs(measured) + TINY * abs(measured).max(initial=0.0)
    if claimed.any() and (claimed == claimed.round()).all() and (abs(claimed - measured) < 1).all():
        return "all are whole numbers: the gradient was written into an array of integers"
    if not near.all() or not (_is_half(claimed) or _curved(e)):
        return ""
    return "right to two or three digits, the rest is rounding: the gradient passes through half precision"


def _is_half(a: np.ndarray) -> bool:
    """Has each number no more bits than float16 holds, or bfloat16, which has fewer?"""
    bits = np.frexp(a)[0] * 2.0**11
    return a.size > 1 and bool((bits == bits.round()).all())


def _curved(e: Evidence) -> bool:
    """Is the vjp not a linear function of dout, by more than the noise?"""
    if e.claimed_jacobian is None:
        return False
    summed = e.pulled(e.dout, e.claimed_jacobian)
    return bool(np.linalg.norm((summed - e.claimed)[e.sure]) > 0.1 * np.linalg.norm(e.missing))


def _not_linear(e: Evidence) -> str:
    """The vjp is not a linear function of dout."""
    text = "the gradient is not linear in the cotangent: dout enters it twice, or by its size or sign alone"
    return text if _curved(e) else ""


# --- a factor ---


def _factor(e: Evidence) -> str:
    """All of the gradient is off by one factor, here and at another sample."""
    showing = [slope for slope in e.slopes if abs(slope[0] - slope[1]) > slope[2]]
    far = np.array(showing, np.float64).reshape(len(showing), 3).T
    elements = np.stack([e.claimed[e.sure], e.measured[e.sure], e.error[e.sure]])
    claimed, measured, error = np.concatenate([elements, far], axis=1)
    weights = 1 / np.square(np.maximum(error, 1e-9 * abs(measured).max(initial=0.0)))
    size = float((weights * measured * measured).sum())
    if not size > 0 or not math.isfinite(size):
        return ""
    k, blur = float((weights * claimed * measured).sum()) / size, 1 / math.sqrt(size)
    left = (abs(claimed - k * measured) - 3 * error).clip(0)
    if abs(k - 1) < 5 * blur or np.linalg.norm(left) > EXPLAINED * np.linalg.norm(claimed - measured):
        return ""
    for other_claimed, other_measured, other_error in e.elsewhere:
        off = abs(other_claimed - k * other_measured)
        if off > CONSTANT * abs(other_claimed - other_measured) + 3 * abs(k) * other_error:
            return ""
    about = "about " if e.noise >= NOISE else ""
    return f"the gradient is {about}{_digits(k, blur)} times what it should be{_meaning(k, blur, e)}"


def _digits(k: float, blur: float) -> str:
    """Return the factor with as many digits as tell it from 1 and are known."""
    away = abs(k - 1)
    digits = min(12, max(6, 3 - math.floor(math.log10(away)))) if away else 6
    known = max(2, -math.floor(math.log10(blur / abs(k)))) if k else digits
    return f"{k:.{min(digits, known)}g}"


def _meaning(k: float, blur: float, e: Evidence) -> str:
    """Return where a factor may come from: all guesses that fit, the plainest first."""
    if not k:
        return ""
    close = max(1e-6, 3 * blur / abs(k))
    if math.isclose(k, -1, rel_tol=close):
        return ": the sign is flipped"
    plain = {0.5: "is one of two equal uses lost, or a 2?", 2.0: "is a term counted twice?"}
    guesses = [guess for number, guess in plain.items() if math.isclose(k, number, rel_tol=close)]
    lengths = {f"the length of axis {i} of the input": n for i, n in enumerate(e.examined.shape)}
    lengths |= {f"the length of axis {i} of the output": n for i, n in enumerate(e.y.shape)}
    lengths |= {"the number of inputs": math.prod(e.examined.shape), "the number of outputs": e.y.size}
    powers = {1.0: ("", ": is a mean's 1/N missing?"), -1.0: ("one over ", ": is a mean taken for a sum?")}
    powers |= {0.5: ("the root of ", ""), -0.5: ("one over the root of ", "")}
    said: set[tuple[float, int]] = set()
    for (power, (sense, hint)), (name, n) in itertools.product(powers.items(), lengths.items()):
        if n > 1 and (power, n) not in said and math.isclose(abs(k), n**power, rel_tol=close):
            said.add((power, n))
            guesses.append(f"{sense}{name}{hint}")
    return f": {' or '.join(guesses)}" if guesses else ""


# --- nothing fits ---


def _pattern(e: Evidence) -> str:
    """Describe an error that no explanation fits: where, how large, and in which proportion."""
    if not e.wrong.any():
        return "the slopes along directions differ, but no single element is surely wrong: too near to kinks or noise"
    share = float(np.linalg.norm(e.missing) / np.linalg.norm(e.measured[e.sure]))
    text = f"wrong at {e.extent()}, most at {e.worst()}; the error is {share:.2g} of the gradient's length"
    if e.noise >= NOISE:
        return text + ", hardly above the numerical noise, which hides its pattern"
    ratio = (e.claimed / e.measured)[e.wrong & (e.measured != 0)]
    if ratio.size > 1:
        low, middle, high = (f"{q + 0:.3g}" for q in np.quantile(ratio, (0, 0.5, 1)))  # + 0: never "-0"
        text += f"; wrong elements are {low} to {high} times what they should be, the median {middle}"
    for axis in range(e.x.ndim if e.examined.complete else 0):
        there = along(axis, e.wrong)
        if not there.all():
            text += f"; right at {place.some(e.examined.axes[axis][~there])} of axis {axis}"
    return text


EXPLANATIONS: tuple[Explanation, ...] = (
    ("non-finite", _non_finite),
    ("detached", _zero),
    ("detached", _cut),
    ("cotangent", _same_for_every_cotangent),
    ("cotangent", _without_cotangent),
    ("dtype", _rounded),
    ("cotangent", _not_linear),
    ("factor", _factor),
    ("missing sum", place.missing_sum),
    ("wrong axis", place.spread),
    ("transposed", place.transposed),
    ("misplaced", place.misplaced),
    ("swapped", place.swapped),
    ("misplaced", place.kernel_reversed),
    ("transposed", place.operand_transposed),
    ("swapped", value.other_operand),
    ("leak", place.one_triangle),
    ("wrong axis", place.wrong_axis),
    ("misplaced", structure.moved),
    ("lost elements", place.lost),
    ("leak", place.leak),
    ("missing sum", structure.outputs_lost),
    ("wrong axis", structure.coupled),
    ("dropped term", structure.path_lost),
    ("region", place.region),
    ("region", place.scattered),
    ("no derivative", value.no_derivative),
    ("no derivative", structure.moves_alone),
    ("wrong axis", place.too_much_summed),
    ("no derivative", value.activation),
    ("no derivative", value.no_derivative_of_the_output),
    ("swapped", place.given_twice),
    ("varying factor", value.power),
    ("dropped term", value.product_rule),
    ("varying factor", value.by_line),
    ("varying factor", structure.scaled_by_side),
    ("leak", structure.leak),
    ("dropped term", value.lost_product),
    ("factor", structure.one_term_scaled),
    ("misplaced", structure.one_term_moved),
    ("transposed", structure.transposed_inside),
    ("varying factor", structure.scaled),
    ("dropped term", value.lost_line),
    ("dropped term", structure.one_term),
    ("region", place.one_factor_in_places),
    ("varying factor", value.elementwise),
)
