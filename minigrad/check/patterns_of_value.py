"""Explanations of wrong values: a term is missing, a derivative or another factor is, or is too much."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from minigrad.check.evidence import EXPLAINED, TINY, Candidates, Evidence, first_that_fits

FEW = 6  # elements below which a law with two constants says nothing

ACTIVATIONS = {  # derivatives as functions of the output
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "exp": lambda y: y,
    "sqrt": lambda y: 0.5 / y,
    "relu": lambda y: (y > 0) * 1.0,
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


def no_derivative_of_the_output(e: Evidence) -> str:
    """The last step, a function of the output, was not differentiated."""
    for name, derivative in ACTIVATIONS.items() if e.jacobian is not None else ():
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


def affine(e: Evidence) -> str:
    """The gradient is too large, or too small, by a factor a + b v, or a + b v^2."""
    kept, ratio = _ratio(e)
    for name, values in e.values().items() if kept.sum() >= FEW else ():
        for (sense, r), exponent in itertools.product((("lacks", 1 / ratio), ("has", ratio)), (1, 2)):
            basis = np.stack([np.ones(r.size), values[kept] ** exponent], axis=1)
            (a, b), left = _fitted(basis, r)
            if abs(a) > TINY * abs(b) and left <= 1e-5 * np.linalg.norm(r - r.mean()):
                term = f"{name}{' squared' if exponent == 2 else ''}"
                return f"the gradient {sense} a factor of {a:.4g} {'+' if b > 0 else '-'} {abs(b):.4g} times {term}"
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


def by_output(e: Evidence) -> str:
    """What each output passes on is off by a factor of its own: something is wrong on the output's side."""
    if e.jacobian is None or e.claimed_jacobian is None or not e.sure.any():
        return ""
    right, claimed = e.jacobian[:, e.sure.ravel()], e.claimed_jacobian[:, e.sure.ravel()]
    factors = (claimed * right).sum(axis=1) / np.maximum((right * right).sum(axis=1), 1e-300)
    alike = factors.size > 1 and np.ptp(factors) < 0.1 * abs(factors - 1).max()
    single = (abs(right) > TINY * abs(right).max()).sum(axis=1).max() < 2
    left = np.linalg.norm(claimed - factors[:, None] * right)
    if alike or single or left > EXPLAINED * np.linalg.norm(claimed - right):
        return ""
    text = f"what each output passes on has a factor of its own, {factors.min():.4g} to {factors.max():.4g}"
    for exponent in (1, -1, 2, -2):
        values = np.power(e.y.ravel(), exponent)
        if np.allclose(factors, values, rtol=1e-5) or (factors.size > 3 and _proportional(factors, values)):
            return f"{text}, a multiple of the output to the power {exponent}"
    return text


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


def lost_path(e: Evidence) -> str:
    """A path that passes the cotangent on as it is was forgotten."""
    for dout in e.dout_here():
        if _proportional(e.missing[e.wrong], dout[e.wrong]):
            at = "" if e.wrong[e.sure].all() else f" at {e.extent()}"
            return f"a multiple of the cotangent itself is missing{at}: a direct path (a skip connection) is lost"
    return ""


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


def diagonal_only(e: Evidence) -> str:
    """What each output gives to the element at its own place is right, and the rest is missing."""
    if e.jacobian is None or not e.same_shape or e.elementwise or e.explained_by(e.placed(e.dout)):
        return ""
    if not e.fits(np.where(e.own, e.jacobian, 0.0)):
        return ""
    return "each output reaches the element at its own place alone: the terms across, as of a sum or mean, are missing"


@first_that_fits
def lost_use(e: Evidence) -> Candidates:
    """Of two uses of the input in one product, one is missing."""
    for _, text, product in _products(e):
        for use in (product, -product):
            yield e.measured - use, f"{text} is missing: is one of two uses of the input lost?"


def lost_mean(e: Evidence) -> str:
    """On each line along some axes the error is a multiple of something plain, as of a mean or sum."""
    for axes in _lines(e.x.ndim):
        for name, profiles in _profiles(e, axes):
            if _spanned(e.missing, profiles, axes, e.sure):
                return f"the error is {name} along axes {axes}: a term is missing, like a mean or a sum over them"
    return ""


def mean_over_the_wrong_axis(e: Evidence) -> str:
    """The error is the difference of a mean (or sum) over one axis and one over another."""
    for a, b in itertools.combinations(range(e.x.ndim), 2):
        for name, profiles in _profiles(e, (a, b)):
            if len(profiles) == 1 and _two_ways(e, profiles[0], a, b):
                return f"the error is {name} along axis {a} and along axis {b}: a mean or sum belongs along the other"
    return ""


def lost_sum(e: Evidence) -> str:
    """What is missing passes through a sum over an axis of the output, as in a softmax or a norm."""
    if e.jacobian is None or e.claimed_jacobian is None or not e.sure.all():
        return ""
    missing = (e.jacobian - e.claimed_jacobian).reshape(*e.y.shape, -1)
    whole = e.jacobian.reshape(*e.y.shape, -1)
    for axis, n in reversed(list(enumerate(e.y.shape))):
        if n < 2:
            continue
        lost, kept = (np.moveaxis(a, axis, -2).reshape(-1, n, e.x.size) for a in (missing, whole))
        if _single(lost) and not _single(kept):
            text = f"a sum over axis {axis} of the output of the cotangent times something, the same for all"
            return (
                f"what is missing is {text}: a term is missing, like that of a softmax's sum or a norm's mean"
            )
    return ""


@first_that_fits
def operand_order(e: Evidence) -> Candidates:
    """The cotangent is multiplied by the right array in the wrong way."""
    return _other_products(e, same=True)


@first_that_fits
def wrong_operand(e: Evidence) -> Candidates:
    """The cotangent is multiplied by another array than it should be."""
    return _other_products(e, same=False)


# --- helpers ---


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


def _other_products(e: Evidence, same: bool) -> Candidates:
    """Yield products with dout where one is right: those of the same array as that, or of the others."""
    products, measured = list(_products(e)), e.measured[e.sure]
    scale = TINY * abs(measured).max(initial=0.0)
    right = [(owner, text) for owner, text, a in products if np.allclose(a[e.sure], measured, atol=scale)]
    for owner, text, a in products if right else ():
        if (owner == right[0][0]) == same:
            yield a, f"this is {text}, where {right[0][1]} belongs"


def _products(e: Evidence) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield (array, text, value) of the products of dout with the inputs that have the input's shape."""
    shape, own = e.examined.shape, {"the input": e.x} if e.examined.complete else {}
    for name, a in {**own, **e.others}.items():
        if a.shape == e.dout.shape == shape:
            yield name, f"dout times {name}", e.placed(e.dout * a)
        if min(a.ndim, e.dout.ndim) < 2:
            continue
        for s, t in itertools.product(("", ".T"), ("", ".T")):
            left, right = (b.swapaxes(-1, -2) if turn else b for b, turn in ((e.dout, s), (a, t)))
            ways = (left, right, f"dout{s} @ {name}{t}"), (right, left, f"{name}{t} @ dout{s}")
            for one, two, text in ways:
                fits = one.shape[-1] == two.shape[-2] and one.shape[:-2] == two.shape[:-2]
                if fits and (*one.shape[:-1], two.shape[-1]) == shape:
                    yield name, text, e.placed(one @ two)


def _profiles(e: Evidence, axes: tuple[int, ...]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield what a lost mean or sum leaves behind: a constant, or something in proportion to x or y."""
    one, large = np.ones(e.x.shape), np.exp(e.x - e.x.max(axis=axes, keepdims=True))
    yield "constant", [one]
    yield "in proportion to softmax(input)", [large]
    yield "in proportion to the centred input", [e.x - e.x.mean(axis=axes, keepdims=True)]
    if e.same_shape:
        dout, y = e.placed(e.dout), e.placed(e.y)
        yield "in proportion to the cotangent", [dout]
        yield "in proportion to the output", [y]
        yield "a constant plus a multiple of the output", [one, y]
        for name, other in e.values().items():
            if name in e.others:
                yield f"in proportion to the cotangent times {name}", [dout * other]
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
        left = math.hypot(left, _fitted(np.stack(basis, axis=1), line)[1])
    return left <= EXPLAINED * float(np.linalg.norm(target))


def _two_ways(e: Evidence, profile: np.ndarray, a: int, b: int) -> bool:
    """Is the error the profile times (something constant along axis a + something constant along axis b)?"""
    columns = []
    for axis in (a, b):
        lines = np.arange(e.x.size).reshape(e.x.shape).take(0, axis=axis)
        numbers = np.broadcast_to(np.expand_dims(lines, axis), e.x.shape).ravel()
        columns += [np.where(numbers == line, profile.ravel(), 0.0) for line in lines.ravel()]
    if len(columns) + 3 > e.x.size or not e.sure.all() or not e.missing.any():
        return False
    _, left = _fitted(np.stack(columns, axis=1), e.missing.ravel())
    return bool(left <= EXPLAINED * np.linalg.norm(e.missing))


def _fitted(basis: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the multiples of the columns that come nearest to `target`, and the length of what is left."""
    multiples = np.linalg.lstsq(basis, target, rcond=None)[0]
    return multiples, float(np.linalg.norm(target - basis @ multiples))


def _single(blocks: np.ndarray) -> bool:
    """Are the rows of each matrix multiples of one row, and is that more than one row being not zero?"""
    sizes = np.linalg.svd(blocks, compute_uv=False)
    first, second = sizes[:, 0], sizes[:, 1:].max(axis=1, initial=0.0)
    rows = (np.linalg.norm(blocks, axis=-1) > 1e-3 * first.max(initial=0.0)).sum(axis=-1)
    return bool(second.max() <= EXPLAINED * first.max() and rows.max() > 1)


def _proportional(a: np.ndarray, b: np.ndarray) -> bool:
    """Is `a` a multiple of `b`, element by element?"""
    if a.size < 3 or not np.isfinite(b).all() or not b.any() or not a.any():
        return False
    return bool(np.linalg.norm(a - (a @ b) / (b @ b) * b) <= 1e-4 * np.linalg.norm(a))


def _lines(ndim: int) -> list[tuple[int, ...]]:
    """Return the axes a mean may run over: one, all but one, or all."""
    counts = dict.fromkeys(n for n in (1, ndim - 1, ndim) if n > 0)
    return [axes for n in counts for axes in [*itertools.combinations(range(ndim), n)][::-1]]
