"""From two gradients that differ to the mistake that makes them differ in this way.

An explanation is a function of the evidence that returns a text if it fits, "" if not. They stand in
tiers, from the certain to the vague; within a tier the plainest is first. The first tier of which any
explanation fits answers, and if several of it fit, all are named.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigrad.check import patterns_of_place as place
from minigrad.check import patterns_of_value as value
from minigrad.check.evidence import EXPLAINED, NOISE, Evidence, along

CONSTANT = 1e-4  # how much a factor may differ from sample to sample, of its distance from 1

Explanation = tuple[str, Callable[[Evidence], str]]


@dataclass(frozen=True)
class Finding:
    """A mistake: its kind, in one or two words, and what is known about it."""

    kind: str
    text: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.where + ': ' if self.where else ''}{self.kind}: {self.text}"


def diagnose(evidence: Evidence) -> Finding:
    """Return the simplest explanation that fits, with the others of its tier; else "unexplained"."""
    with np.errstate(all="ignore"):
        for tier in TIERS:
            fitting = [(kind, text) for kind, explain in tier if (text := explain(evidence))]
            if fitting:
                more = "".join(f"; or {kind}: {text}" for kind, text in fitting[1:])
                return Finding(fitting[0][0], fitting[0][1] + more)
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


def _cotangent(e: Evidence) -> str:
    """The vjp is not a linear function of dout."""
    if e.other_cotangent is not None and np.allclose(e.other_cotangent, e.claimed, rtol=1e-7, atol=0):
        return "the gradient is the same for every cotangent: dout is not multiplied in"
    if e.claimed_jacobian is None:
        return ""
    summed = e.pulled(e.dout, e.claimed_jacobian)
    if np.linalg.norm((summed - e.claimed)[e.sure]) <= 0.1 * np.linalg.norm(e.missing):
        return ""
    return "the gradient is not linear in the cotangent: dout enters it twice, or by its size or sign alone"


# --- a factor ---


def _factor(e: Evidence) -> str:
    """All of the gradient is off by one factor, here and at another sample."""
    showing = [slope for slope in e.slopes if abs(slope[0] - slope[1]) > slope[2]]
    far = np.array(showing, np.float64).reshape(-1, 3).T
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
    digits = 6 if away > 1e-3 or not away else min(12, 3 - math.floor(math.log10(away)))
    known = max(2, -math.floor(math.log10(max(blur / abs(k), 1e-15)))) if k else 6
    return f"{k:.{min(digits, known)}g}"


def _meaning(k: float, blur: float, e: Evidence) -> str:
    """Return where a factor may come from: all guesses that fit, the plainest first."""
    close = max(1e-6, 3 * blur / abs(k)) if k else 1e-6
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
    for axis, n in enumerate(e.x.shape if e.examined.complete else ()):
        there = along(axis, e.wrong)
        if n > 1 and not there.all():
            text += f"; right at {place.some(e.examined.axes[axis][~there])} of axis {axis}"
    return text


TIERS: tuple[tuple[Explanation, ...], ...] = (
    (("non-finite", _non_finite),),
    (("detached", _zero),),
    (("detached", _cut),),
    (("factor", _factor),),
    (("cotangent", _cotangent),),
    (("missing sum", place.missing_sum),),
    (("wrong axis", place.spread),),
    (("transposed", place.transposed),),
    (("misplaced", place.misplaced),),
    (("swapped", place.swapped),),
    (("transposed", value.operand_order), ("swapped", value.wrong_operand)),
    (("misplaced", place.permuted),),
    (("transposed", place.operand_transposed),),
    (("wrong axis", place.wrong_axis), ("misplaced", place.cotangent_misplaced)),
    (("lost elements", place.lost), ("leak", place.leak)),
    (("region", place.region),),
    (("no derivative", value.no_derivative),),
    (("wrong axis", place.too_much_summed),),
    (("dropped term", value.diagonal_only),),
    (("missing sum", place.uncounted),),
    (("leak", place.leak_from_outputs),),
    (("varying factor", value.power), ("dropped term", value.product_rule), ("varying factor", value.affine)),
    (("dropped term", value.lost_path), ("dropped term", value.lost_use)),
    (("varying factor", value.by_line), ("no derivative", value.no_derivative_of_the_output)),
    (("varying factor", value.by_output),),
    (("dropped term", value.lost_mean),),
    (("wrong axis", value.mean_over_the_wrong_axis),),
    (("region", place.scattered),),
    (("no derivative", value.passed_on),),
    (("dropped term", value.lost_sum),),
    (("varying factor", value.elementwise),),
)
