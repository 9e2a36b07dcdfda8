"""Explanations of wrong values: a term is missing, a derivative or another factor is, or is too much."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.check.evidence import EXPLAINED, TINY, Candidates, Evidence, first_that_fits

ACTIVATIONS: dict[
    str, tuple[Callable[..., Any], Callable[..., Any]]
] = {  # derivatives as functions of the output, and of the input
    "tanh": (lambda y: 1 - y * y, lambda x: 1 - np.tanh(x) ** 2),
    "sigmoid": (lambda y: y * (1 - y), lambda x: 0.25 / np.cosh(x / 2) ** 2),
    "softplus": (lambda y: 1 - np.exp(-y), lambda x: 1 / (1 + np.exp(-x))),
    "sin": (lambda y: np.sqrt(1 - y * y), np.cos),
}

# --- the local derivative ---


def no_derivative(e: Evidence) -> str:
    """The cotangent is passed on as it came to just those elements that it belongs to."""
    return passed_on(e) if _same_support(e) else ""


@first_that_fits
def passed_on(e: Evidence) -> Candidates:
    """The cotangent is passed on as it came."""
    for dout in e.dout_here():
        yield dout, "the cotangent is passed on as it came: the local derivative is missing"


def activation(e: Evidence) -> str:
    """The derivative of a known function of an input or the output is not multiplied in."""
    kept, ratio = _ratio(e)
    for name, values in e.values().items() if kept.sum() >= 3 and e.entries is not None else ():
        for function, (of_output, derivative) in ACTIVATIONS.items():
            slope = of_output(values[kept]) if name == "the output" else derivative(values[kept])
            if np.ptp(slope) > TINY * abs(slope).max() and _proportional(ratio * slope, np.ones(ratio.size)):
                return f"the derivative of {function} at {name} is missing"
    return ""


def no_derivative_of_the_output(e: Evidence) -> str:
    """The last step, a function of the output, was not differentiated."""
    for name, (derivative, _) in ACTIVATIONS.items() if e.jacobian is not None else ():
        slope = derivative(e.y).ravel()[:, None]
        if np.isfinite(slope).all() and (slope != 0).all() and e.fits(e.jacobian / slope):
            return f"the derivative of the {name} that gives the output is missing"
    return ""


def power(e: Evidence) -> str:
    """The gradient is too large by a power of the input, the output or another input."""
    kept, ratio = _ratio(e)
    for name, values in e.values().items() if kept.sum() >= 4 else ():
        for exponent in (1, -1, 2, -2, 3, -3, 0.5, -0.5):
            if _proportional(ratio, np.power(values[kept], exponent)):
                return f"the gradient is too large by a multiple of {name} to the power {exponent}"
    return ""


def by_line(e: Evidence) -> str:
    """The gradient is off by a factor of its own at each index of one axis."""
    kept, ratio = _ratio(e)
    full = np.full(e.x.shape, np.nan)
    full[kept] = ratio
    for axis, n in enumerate(e.x.shape):
        lines = np.moveaxis(full, axis, 0).reshape(n, -1)
        used = np.isfinite(lines).sum(axis=1)
        if n < 2 or not used.all() or (used > 1).sum() < 2:
            continue
        ends = np.nanmin(lines, axis=1), np.nanmax(lines, axis=1)
        if (ends[1] - ends[0]).max() <= 1e-4 * (np.nanmax(full) - np.nanmin(full)):
            shown = ", ".join(f"{k:.4g}" for k in ends[0][:5]) + (", ..." if n > 5 else "")
            return f"along axis {axis} each index has a factor of its own: {shown}"
    return ""


def elementwise(e: Evidence) -> str:
    """The local derivative of an elementwise function is wrong in a way that has no simple law."""
    kept, ratio = _ratio(e)
    if not e.elementwise or e.jacobian is None or kept.sum() < 2 or not e.is_diagonal(e.claimed_jacobian):
        return ""
    x, dout = e.x[kept], e.placed(e.dout)[kept]
    at = int(abs((e.claimed - e.measured)[kept] / dout).argmax())
    claimed, measured = (float(a[kept][at] / dout[at]) for a in (e.claimed, e.measured))
    text = f"the local derivative is {ratio.min():.3g} to {ratio.max():.3g} times what it should be"
    hint = f"at {x[at]:.6g} it is {claimed:.6g} and should be {measured:.6g}"
    return f"{text}, by no simple law (is a term missing?); {hint}"


# --- terms ---


def product_rule(e: Evidence) -> str:
    """Of a product of the input and a function of it, one factor is held constant."""
    if not e.elementwise:
        return ""
    used = e.sure & (e.x != 0)
    product = (e.placed(e.dout) * e.placed(e.y))[used] / e.x[used]
    for what, a in (("missing", e.missing), ("all there is", e.claimed)):
        if _proportional(a[used], product):
            text = "of a product with the input, one factor was held constant"
            return f"the cotangent times output / input is {what}: {text}"
    return ""


def other_operand(e: Evidence) -> str:
    """The cotangent is multiplied by one input where another belongs."""
    for one, two in itertools.permutations(_operands(e), 2):
        if _proportional(_ratio(e)[1] * two[1], one[1]):
            return f"{one[0]} is where {two[0]} belongs"
    return ""


def lost_product(e: Evidence) -> str:
    """What is missing and what is there are one thing times two different inputs (or 1)."""
    kept, _ = _ratio(e)
    for one, two in itertools.permutations([("1", np.ones(kept.sum())), *_operands(e)], 2):
        if _proportional((e.missing / e.claimed)[kept] * two[1], one[1]):
            return f"what is missing is a multiple of what is there, times {one[0]} / {two[0]}: of two terms one is lost"
    return ""


def lost_line(e: Evidence) -> str:
    """On each line along some axes the error is a multiple of something plain, as of a mean or a projection."""
    for axes in _lines(e.x.ndim):
        along = {"constant": np.ones(e.x.shape)} | {
            f"in proportion to {name}": a for name, a in e.values().items()
        }
        along["in proportion to the centred input"] = e.x - e.x.mean(axis=axes, keepdims=True)
        for name, a in along.items():
            k = (e.missing * a).sum(axis=axes, keepdims=True) / (a * a).sum(axis=axes, keepdims=True)
            left, length = np.linalg.norm(e.missing - k * a), math.prod(e.x.shape[i] for i in axes)
            if length > 2 and e.sure.all() and left <= EXPLAINED * np.linalg.norm(e.missing):
                return f"the error is {name} along axes {axes}: a term is missing, like a mean or a sum over them"
    return ""


# --- helpers ---


def _operands(e: Evidence) -> list[tuple[str, np.ndarray]]:
    """Return the inputs, by name, where both gradients are well away from 0; none if these are few."""
    kept, _ = _ratio(e)
    named = [(name, a[kept]) for name, a in e.values().items() if name != "the output"]
    return named if kept.sum() > 3 else []


def _lines(ndim: int) -> list[tuple[int, ...]]:
    """Return the axes a mean may run over: one, all but one, or all."""
    counts = dict.fromkeys(n for n in (1, ndim - 1, ndim) if n > 0)
    return [axes for n in counts for axes in [*itertools.combinations(range(ndim), n)][::-1]]


def _ratio(e: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Return where both gradients are well away from 0, and by how much the claimed one is too large there."""
    scale = abs(e.measured[e.sure]).max(initial=0.0)
    kept = e.sure & (abs(e.measured) > TINY * scale) & (abs(e.claimed) > TINY * scale)
    return kept, e.claimed[kept] / e.measured[kept]


def _same_support(e: Evidence) -> bool:
    """Does the vjp pass gradients between just those outputs and elements that depend on each other?"""
    if e.jacobian is None or e.claimed_jacobian is None:
        return e.jacobian is not None and e.elementwise
    there = [abs(a) > TINY * abs(a).max(initial=0.0) for a in (e.jacobian, e.claimed_jacobian)]
    return bool((there[0] == there[1])[:, e.sure.ravel()].all())


def _proportional(a: np.ndarray, b: np.ndarray) -> bool:
    """Is `a` a multiple of `b`, element by element?"""
    if a.size < 3 or not np.isfinite(b).all() or not b.any() or not a.any():
        return False
    return bool(np.linalg.norm(a - (a @ b) / (b @ b) * b) <= 1e-4 * np.linalg.norm(a))
