"""What each explanation says of evidence made by hand, on both sides of all that it decides by."""

from dataclasses import replace

import numpy as np
import pytest

from minigrad.check import diagnosis
from minigrad.check import patterns_of_place as place
from minigrad.check import patterns_of_value as value
from minigrad.check.evidence import Grid
from tests.support.evidence import linear, told

NAN, INF = np.nan, np.inf


def said(explain, evidence):
    """Return the text of an explanation, as `diagnose` asks for it."""
    with np.errstate(all="ignore"):
        return explain(evidence)


# --- what no gradient can be ---

SMOOTH, KINKED = (
    "where the slope is finite",
    "where the function is not differentiable; a slope of 0 would do no harm",
)
ZERO = "the vjp gives zero everywhere; was the graph cut (detach, .data, numpy(), no_grad), or a branch lost?"
CUT = (
    "a branch is cut off: {} a value that depends on the input but has no history "
    "(detach, .data, numpy(), no_grad); with that value held fixed the vjp is right"
)
SAME = "the gradient is the same for every cotangent: dout is not multiplied in"
WHOLE = "all are whole numbers: the gradient was written into an array of integers"
HALF = "right to two or three digits, the rest is rounding: the gradient passes through half precision"
EXTRA = "a term without dout is added, up to {}: the gradient for a cotangent of 0 is not 0"
BENT = "the gradient is not linear in the cotangent: dout enters it twice, or by its size or sign alone"
THIRDS = np.array([1, 2, 3, 4]) / 3


def bent(share):
    """Evidence that the gradient for the sum of cotangents is off by a share of its error."""
    e = linear(np.eye(3), 2 * np.eye(3), [1, 1, 1])
    object.__setattr__(e, "claimed", e.claimed + [share, 0, 0])
    return e


def with_a_term(of, more=()):
    """Evidence that `of` is added to a gradient of 3 dout, whatever dout is; `more` to the Jacobian alone."""
    right = 3 * np.eye(3)
    claimed = right + np.array(of)
    e = linear(right, claimed + np.array(more) if len(more) else claimed, [1, 1, 3])
    object.__setattr__(e, "claimed", e.measured + of)
    return e


NO_GRADIENTS = [
    (diagnosis._non_finite, told([1, 2, 3], [1, 2, 4]), ""),
    (diagnosis._non_finite, told([1, 2, INF], [1, INF, NAN]), f"the vjp gives inf at (1,), {SMOOTH}"),
    (diagnosis._non_finite, told([1, INF, 3], [1, INF, NAN]), f"the vjp gives inf at (1,), {KINKED}"),
    (diagnosis._non_finite, told([1, 2, 3], [1, NAN, INF], kink=np.array([0, 1, 0], bool)), f"the vjp gives nan at (1,), {KINKED}"),
    (diagnosis._non_finite, told([1, 2, 3], [1, NAN, INF], kink=np.array([1, 0, 1], bool)), f"the vjp gives nan at (1,), {SMOOTH}"),
    (diagnosis._zero, told([1, 2], [0, 1]), ""),
    (diagnosis._zero, told([0, 0], [0, 0]), ""),
    (diagnosis._zero, told([0, 1], [0, 0]), ZERO),
    (diagnosis._zero, told([0, 1], [0, 0], cuts=["add reads", "exp reads"]), f"{ZERO} (add reads and exp reads a value without a history)"),
    (diagnosis._cut, told([1, 2], [1, 1]), ""),
    (diagnosis._cut, told([1, 2], [1, 1], held=np.array([1, 1.02])), ""),
    (diagnosis._cut, told([1, 2], [1, 1], held=np.array([1, 1.0])), CUT.format("an operation reads")),
    (diagnosis._cut, told([1, 2], [1, 1], held=np.array([1, 1.0]), cuts=["add reads", "exp reads"]), CUT.format("add reads and exp reads")),
    (diagnosis._same_for_every_cotangent, told([1, 2], [1, 1]), ""),
    (diagnosis._same_for_every_cotangent, told([1, 1], [1, 1], other_cotangent=np.ones(2)), ""),
    (diagnosis._same_for_every_cotangent, told([1, 2], [1, 1], other_cotangent=np.ones(2) + 0.9e-7), SAME),
    (diagnosis._same_for_every_cotangent, told([1, 2], [1, 1], other_cotangent=np.ones(2) + 1.5e-7), ""),
    (diagnosis._same_for_every_cotangent, told([1, 2], [1e-9, 1e-9], other_cotangent=np.full(2, 2e-9)), ""),
    (diagnosis._without_cotangent, told([1, 2], [1, 1]), ""),
    (diagnosis._without_cotangent, linear(3 * np.eye(3), 2 * np.eye(3)), ""),
    (diagnosis._without_cotangent, linear(3 * np.eye(3), 2 * np.eye(3), jacobian=None), ""),
    (diagnosis._without_cotangent, linear(3 * np.eye(3), 2 * np.eye(3), claimed_jacobian=None), ""),
    (diagnosis._without_cotangent, linear(np.eye(3), np.eye(3)), ""),
    (diagnosis._without_cotangent, with_a_term([0.5, -1, 0.25]), EXTRA.format(1)),
    (diagnosis._without_cotangent, with_a_term([0.5, -1, 0.25], [[0.01, 0, 0], [0, 0, 0], [0, 0, 0]]), EXTRA.format("1")),
    (diagnosis._without_cotangent, with_a_term([0.5, -1, 0.25], [[0.05, 0, 0], [0, 0, 0], [0, 0, 0]]), ""),
    (diagnosis._rounded, told([1.4, 1.6, 0.1], [1, 2, 0]), WHOLE),
    (diagnosis._rounded, told([1.4, 1.6, 1.1], [1, 2, 0]), ""),
    (diagnosis._rounded, told([1.0, 2.0, 3.0], [1, 2, 2]), ""),
    (diagnosis._rounded, told([0.4, 0.6], [0, 0]), ""),
    (diagnosis._rounded, told(THIRDS, THIRDS.astype(np.float16)), HALF),
    (diagnosis._rounded, told(THIRDS, (2.0**-140 * THIRDS).round(0) + np.array([85, 171, 256, 341]) / 256), HALF),
    (diagnosis._rounded, told(THIRDS, THIRDS.astype(np.float32)), ""),
    (diagnosis._rounded, told([1 / 3, 2 / 3], [np.float16(1 / 3), 0.66]), ""),
    (diagnosis._rounded, told([1 / 3], [np.float16(1 / 3)]), ""),
    (diagnosis._rounded, told([128, 128], [129, 128]), HALF),
    (diagnosis._rounded, told([1, 1 + 2.0**-11], [1, 1 + 2.0**-11]), ""),
    (diagnosis._rounded, told([1, 1 + 2.0**-10], [1, 1 + 2.0**-10]), HALF),
    (diagnosis._rounded, told([128, 0], [128, 2.0**-13]), HALF),
    (diagnosis._rounded, told([128, 0], [128, 1.5 * 2.0**-13]), ""),
    (diagnosis._rounded, told([2.0**-7, 0], [2.0**-7, 2.0**-26]), ""),
    (diagnosis._rounded, told([1, 2], [1, 2], kink=np.ones(2, bool)), ""),
    (diagnosis._not_linear, told([1, 2], [1, 1]), ""),
    (diagnosis._not_linear, linear(np.eye(3), np.eye(3)), ""),
    (diagnosis._not_linear, bent(0.1), ""),
    (diagnosis._not_linear, bent(0.3), BENT),
]  # fmt: skip


@pytest.mark.parametrize(("explain", "evidence", "expected"), NO_GRADIENTS)
def test_what_no_gradient_can_be(explain, evidence, expected):
    assert said(explain, evidence) == expected


# --- where values went ---

PART = "only {} of the output's axis {} is counted: the rest of the sum is missing"
USES = "of several uses of an element only the {} is counted: `=` where `+=` belongs?"


def part_of_ten(n, kept):
    """Evidence of a sum of n outputs of which only those of a slice are counted."""
    right = np.outer(np.arange(1.0, n + 1), [1, 2, -1]) + np.tri(n, 3)
    return linear(right, np.where(np.isin(np.arange(n), np.arange(n)[kept])[:, None], right, 0))


def spread_too_far(total, axes):
    """Evidence of a vjp that multiplies the sum or mean of dout over axes of the output."""
    right, dout = np.cos(np.arange(18.0)).reshape(2, 3, 3), np.array([[1.0, 2, 4], [8, 16, 33]])
    e = linear(right, right, dout, outputs=2)
    wrong = np.broadcast_to(total(dout, axis=axes, keepdims=True), dout.shape)
    object.__setattr__(e, "claimed", np.tensordot(wrong, right, 2))
    return e


def summed_wrongly(shape, axes, size):
    """Evidence of a vjp that gives the sum over `axes` of all that each output passes on."""
    right = np.cos(np.arange(np.prod(shape) * size) ** 2).reshape(*shape, size)
    e = linear(right, right, outputs=len(shape))
    object.__setattr__(e, "claimed", (e.dout * right.sum(-1)).sum(axes).ravel())
    return e


TOO_MUCH = "the {} over axes {} of the gradient stands in every place: too much is summed"
TRIANGLE = (
    "the gradient is the symmetric part of what it should be: "
    "half of each goes to the other triangle, on which the output does not depend"
)
SPREAD = "the cotangent is spread along axis {}; the output is summed over axis {}"
OPERAND = (
    "axes of the output and of the input are exchanged ({}): "
    "the matrix that dout is multiplied by is not transposed, or is where it should not be"
)
KERNEL = (
    "positions along the axes {} of output and input are exchanged: "
    "is a kernel not flipped, an order not undone, a running sum not run backwards?"
)
SWAPPED = "this is the gradient of another input; its own was given to b"
LEAK = "not zero at 1 of 3 elements, on which the output does not depend (its slope is 0): is a mask not applied?"
POWERS, MANY = 2.0 ** np.arange(16), np.cos(np.arange(40.0) ** 2)
SIX = np.array([[1.0, 2, 4], [8, 16, 33]])
NINE = np.array([[1.0, 2, 3], [7, 5, 4], [6, 8, 11]])
CYCLE = np.eye(4)[[2, 0, 3, 1]]
CUBE = np.cos(np.arange(27.0) ** 2).reshape(3, 3, 3)
PAIRS = np.cos(np.arange(36.0) ** 2).reshape(2, 3, 2, 3)
FOUR = np.array([[1, 0, 2], [0, 3, 1], [2, 0, 0], [0, 5, 0]])
LAST = np.array([[0, 0, 0], [0, 0, 1], [2, 0, 0], [0, 5, 0]])

UNIT = np.array([[1, 0, 0.5], [0, 1, 0.25], [0.5, 0, 0], [0, 0.25, 1e-9]])
LAST_OF_UNIT = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]])

PLACES = [
    *[(place.missing_sum, part_of_ten(n, kept), PART.format(name, 0) if name else "") for n, kept, name in [
        (3, slice(0, 1), "index 0"), (3, slice(1, 2), "index 1"), (3, slice(2, 3), "index 2"), (3, slice(1, 3), "the last 2"),
        (3, slice(0, 2), ""), (8, slice(4, 5), "index 4"), (9, slice(0, 1), "index 0"), (9, slice(8, 9), "index 8"), (9, slice(7, 8), ""),
        (9, slice(1, 9), "the last 8"), (10, slice(2, 10), "the last 8"), (10, slice(1, 10), ""), (10, slice(8, 10), "the last 2"),
    ]],
    (place.missing_sum, told([3, 2], [1, 2]), ""),
    (place.missing_sum, linear([[1, 2], [0, 0]], [[0, 0], [0, 0]]), ""),
    (place.missing_sum, linear([[1, 2], [0, 0]], [[1e-3, 1e-3], [0, 0]]), ""),
    (place.missing_sum, linear(FOUR, LAST), USES.format("last")),
    (place.missing_sum, linear(FOUR, FOUR * (np.cumsum(FOUR != 0, 0) < 2)), USES.format("first")),
    (place.missing_sum, linear(UNIT, UNIT * LAST_OF_UNIT, np.ones(4)), USES.format("last")),
    (place.missing_sum, linear(FOUR + 1e-9 * np.eye(4, 3, -3), LAST, [1, 1, 1, 0.2]), USES.format("last")),
    (place.missing_sum, linear(FOUR + 1.5e-9 * 4 * np.eye(4, 3, -3), LAST, [1, 1, 1, 0.8]), ""),
    *[(place.too_much_summed, told(SIX, np.broadcast_to(total(SIX, axis=axes, keepdims=True), (2, 3))), TOO_MUCH.format(kind, axes))
      for kind, total in (("sum", np.sum), ("mean", np.mean)) for axes in ((0,), (1,), (0, 1))],
    (place.too_much_summed, told(SIX, SIX.sum(0) * np.ones((2, 1)), grid=Grid((4, 3), (np.arange(2), np.arange(3)))), ""),
    *[(place.too_much_summed, spread_too_far(total, axes), f"the cotangent is replaced by its {kind} over axes {axes}: too much is summed")
      for kind, total in (("sum", np.sum), ("mean", np.mean)) for axes in ((0,), (1,), (0, 1))],
    (place.one_triangle, told([[1, 0], [3, 2]], [[1, 1.5], [1.5, 2]]), TRIANGLE),
    (place.one_triangle, told([[1, 0], [3, 2]], [[1, 3], [0, 2]]), ""),
    (place.one_triangle, told([[[1, 0], [3, 2]]] * 3, [[[1, 1.5], [1.5, 2]]] * 3), TRIANGLE),
    (place.one_triangle, told([[[[1, 0], [3, 2]]] * 3] * 2, [[[[1, 1.5], [1.5, 2]]] * 3] * 2), TRIANGLE),
    (place.one_triangle, told(SIX, SIX + 1), ""),
    (place.one_triangle, told([1, 2], [1, 3]), ""),
    (place.spread, told([[1, 1], [2, 2]], [[1, 2], [1, 2]]), SPREAD.format(0, 1)),
    (place.spread, told([[1, 2], [1, 2]], [[1, 1], [2, 2]]), SPREAD.format(1, 0)),
    (place.spread, told([[1, 1], [0, 1e-6]], [[1, 0], [1, 1e-6]]), SPREAD.format(0, 1)),
    (place.spread, told([[1, 1], [0, 1.5e-6]], [[1, 0], [1, 1.5e-6]]), ""),
    (place.spread, told([[1, 1], [2, 2]], [[1, 1], [2, 3]]), ""),
    (place.spread, told([[1, 2], [3, 4]], [[1, 3], [2, 4]]), ""),
    (place.transposed, told(SIX, SIX.T.reshape(2, 3)), "the gradient has its axes in the order (1, 0)"),
    (place.transposed, told(POWERS[:8].reshape(1, 2, 2, 2), POWERS[:8].reshape(1, 2, 2, 2).swapaxes(1, 3)), "the gradient has its axes in the order (0, 3, 2, 1)"),
    (place.transposed, told(POWERS[:8].reshape(1, 1, 2, 2, 2), POWERS[:8].reshape(1, 1, 2, 2, 2).swapaxes(2, 4)), ""),
    (place.transposed, told(SIX, SIX + 1), ""),
    (place.operand_transposed, told([1, 2], [2, 1]), ""),
    (place.operand_transposed, linear(NINE, NINE.T), OPERAND.format("0 and 0")),
    (place.kernel_reversed, linear(NINE, NINE.T), ""),
    (place.operand_transposed, linear(NINE, NINE + 1), ""),
    (place.operand_transposed, linear(POWERS.reshape(2, 2, 4), POWERS[::-1].reshape(2, 2, 4), outputs=2), ""),
    (place.operand_transposed, linear(np.multiply.outer(NINE, [1, 2]), np.multiply.outer(NINE.T, [1, 2])), OPERAND.format("0 and 0")),
    (place.operand_transposed, linear(CUBE, CUBE.swapaxes(0, 2), outputs=2), OPERAND.format("0 and 0")),
    (place.operand_transposed, linear(CUBE, CUBE.swapaxes(1, 2), outputs=2), OPERAND.format("1 and 0")),
    (place.operand_transposed, linear(CUBE, CUBE + 1, outputs=2), ""),
    (place.operand_transposed, linear(PAIRS, PAIRS.transpose(2, 3, 0, 1), outputs=2), OPERAND.format("0 and 0, 1 and 1")),
    (place.operand_transposed, linear(PAIRS.swapaxes(2, 3), PAIRS.transpose(2, 3, 0, 1).swapaxes(2, 3), outputs=2), OPERAND.format("0 and 1, 1 and 0")),
    (place.kernel_reversed, linear(np.tri(3), np.tri(3).T), KERNEL.format("0 and 0")),
    (place.operand_transposed, linear(np.tri(3), np.tri(3).T), ""),
    (place.kernel_reversed, linear([[1, 1], [0, 1]], [[1, 0], [1, 1]]), ""),
    (place.kernel_reversed, linear(np.tri(3) + 1e-5 * np.eye(3, 3, 1)[[0, 2, 2]], (np.tri(3) + 1e-5 * np.eye(3, 3, 1)[[0, 2, 2]]).T), KERNEL.format("0 and 0")),
    (place.kernel_reversed, linear(np.tri(3) + 1.5e-5 * np.eye(3, 3, 1)[[0, 2, 2]], (np.tri(3) + 1.5e-5 * np.eye(3, 3, 1)[[0, 2, 2]]).T), ""),
    *[(place.kernel_reversed, linear(CYCLE + share * CYCLE.T, CYCLE.T + share * CYCLE), KERNEL.format("0 and 0") if share < 0.11 else "") for share in (0, 0.1, 0.15)],
    (place.wrong_axis, told([1, 2], [2, 1]), ""),
    (place.wrong_axis, linear(CUBE, CUBE.swapaxes(0, 1), outputs=2), "the cotangent is read with axes 0 and 1 exchanged: a sum over the wrong axis"),
    *[(place.wrong_axis, summed_wrongly(shape, axes, size), f"this is the sum over axes {axes} of the output, which are the wrong ones" if axes != (2,) else "")
      for shape, axes, size in [((2, 3), (0,), 3), ((2, 3), (1,), 2), ((2, 3, 4), (0, 1), 4), ((2, 3, 1), (2,), 6)]],
    (place.wrong_axis, linear(SIX, SIX + 1), ""),
    (place.misplaced, told([1, 2, 4], [4, 2, 1]), "the gradient is reversed along axis 0"),
    (place.misplaced, told(SIX, SIX[:, ::-1]), "the gradient is reversed along axis 1"),
    *[(place.misplaced, told(POWERS[:n], np.roll(POWERS[:n], by)), f"the gradient is shifted by {by} along axis 0") for n, by in [(3, 1), (3, -1), (4, 2), (5, 2), (5, -2)]],
    *[(place.misplaced, told(MANY, np.roll(MANY, by)), f"the gradient is shifted by {by} along axis 0") for by in (16, -16)],
    *[(place.misplaced, told(MANY, np.roll(MANY, by)), "") for by in (17, -17)],
    (place.misplaced, told(SIX, np.roll(SIX, 1, 1)), "the gradient is shifted by 1 along axis 1"),
    (place.misplaced, told([1, 2, 4], [4, 2, 1], grid=Grid((4,), (np.arange(3),))), ""),
    (place.swapped, told([1, 2], [3, 3]), ""),
    (place.swapped, told([1, 2], [3, 3], siblings={"a": np.array([1, 3]), "b": np.array([1, 2 + 2e-4])}), SWAPPED),
    (place.swapped, told([1, 2], [3, 3], siblings={"b": np.array([1, 2 + 3e-4])}), ""),
    (place.swapped, told([1, 0], [3, 3], siblings={"b": np.array([1, 1e-9])}), SWAPPED),
    (place.swapped, told([1, 0], [3, 3], siblings={"b": np.array([1, 1.5e-9])}), ""),
    (place.swapped, told([1, 2], [3, NAN], siblings={"b": np.array([1, 7])}), SWAPPED),
    (place.given_twice, told([1, 2], [3, 3], siblings={"a": np.array([1, 2]), "b": np.array([3, 3 + 2e-9])}), "this is the gradient that b is given, too"),
    (place.given_twice, told([1, 2], [3, 3], siblings={"b": np.array([3, 3 + 5e-9])}), ""),
    (place.given_twice, told([1, 2], [3, 0], siblings={"b": np.array([3, 1e-9])}), ""),
    (place.given_twice, told([1, 2], [0, 0], siblings={"b": np.array([0, 0])}), ""),
    (place.lost, told([1, 2, 3], [1, 0, 3]), "zero at 1 of 3 elements that the output depends on, right elsewhere"),
    (place.lost, told([1, 2, 3], [1, 0, 4]), ""),
    (place.lost, told([1, 2], [0, 0]), ""),
    (place.lost, told([1, 0.5, 0], [1, 1e-9, 0]), "zero at 1 of 3 elements that the output depends on, right elsewhere"),
    (place.lost, told([1, 0.5, 0], [1, 1.5e-9, 0]), ""),
    (place.lost, told([1, 2], [1, 2]), ""),
    (place.leak, told([1, 0, 3], [1, 2, 3]), LEAK),
    (place.leak, told([1, 1e-6, 3], [1, 2, 1]), ""),
    (place.leak, told([1, 1e-6, 1], [1, 2, 1]), LEAK),
    (place.leak, told([1, 1.5e-6, 1], [1, 2, 1]), ""),
    (place.leak, told([1, 3e-4, 1], [1, 2, 1], error=[1e-4, 0, 0]), LEAK),
    (place.leak, told([1, 3.5e-4, 1], [1, 2, 1], error=[1e-4, 0, 0]), ""),
    (place.leak, told([1, 0], [1, 0]), ""),
]  # fmt: skip


@pytest.mark.parametrize(("explain", "evidence", "expected"), PLACES)
def test_where_values_went(explain, evidence, expected):
    assert said(explain, evidence) == expected


# --- some places ---

SIDES = np.array([-2, -1, -0.5, 0.5, 1, 2])
FLAT = np.array([-2, -0.5, 0, 0, 0.5, 2])
ELSE = {
    "negative": SIDES < 0,
    "positive": SIDES > 0,
    "beyond 1 in size": abs(SIDES) > 1,
    "within 1 in size": abs(SIDES) <= 1,
}
MIXED = np.array(
    [0.3, -0.7, 1.5, 0.1, -1.2, 0.9, 2.0, -0.4]
)  # neither sign nor size tells these places apart
GRID = Grid((40, 7), (np.array([2, 5, 7, 11, 20, 30]), np.array([0, 2])))


def off_at(wrong, x=None, by=None, factor=2.0, **more):
    """Evidence of a gradient that is off at some places: by a factor, or by numbers of its own."""
    wrong = np.asarray(wrong, bool)
    right = 1 + np.arange(float(wrong.size)).reshape(wrong.shape) ** 2
    off = right * factor if by is None else right + by
    return told(right, np.where(wrong, off, right), **({} if x is None else {"x": x}), **more)


def nearly_right(by):
    """Evidence of three elements that are wrong, and one that is off by an allowed 1 / 32."""
    e = off_at(at([2, 3, 5]), [1, 2, 7, 8, 3, 9, 4, 5], by=by, allowed=1 / 16)
    object.__setattr__(e, "claimed", e.claimed + np.where(at(0), 1 / 32, 0))
    return e


def at(indices, n=8):
    """Return which of n elements these are."""
    return np.isin(np.arange(n), indices)


def lines(shape, axis, indices):
    """Return which elements of a shape lie at these indices of an axis."""
    return np.isin(np.indices(shape)[axis], indices)


def limit(word, sense, between, law=""):
    return f"wrong only where {sense} is {word} a limit in {between}{law}"


TWICE = ", by a factor of 2"
UNEVEN = np.arange(1.0, 9) ** 3
NO = np.zeros(8)
AXES = np.array([[[3.0, -1], [-2, 0.5], [1, -4]], [[-0.3, 2], [0.7, -3], [-5, 4]]])  # x for shapes (2, 3, 2)

REGIONS = [
    *[(place.region, off_at(there, SIDES), f"wrong only where the input is {sense} ({there.sum()} of 6 elements){TWICE}") for sense, there in ELSE.items()],
    *[(place.region, off_at(np.sign(FLAT) == sign, FLAT), f"wrong only where the input is {sense} (2 of 6 elements){TWICE}") for sense, sign in (("negative", -1), ("positive", 1))],
    (place.region, off_at([1, 0, 0], [-1, 1, 2]), ""),
    (place.region, off_at(SIDES < 0, SIDES, factor=0), "wrong only where the input is negative (3 of 6 elements), by a factor of 0"),
    (place.region, off_at([1, 0, 0, 0], [-1, 1, 2, 3]), f"wrong only where the input is negative (1 of 4 elements){TWICE}"),
    (place.region, off_at([0, 0, 0, 0], [-1, 1, 2, 3]), ""),
    (place.region, off_at([1, 1, 1, 1], [-1, -1, -2, -3]), ""),
    (place.region, off_at(SIDES < 0, SIDES, by=np.arange(6) ** 3 + 1.0), "wrong only where the input is negative (3 of 6 elements)"),
    (place.region, off_at(SIDES < 0, SIDES + 3, y=SIDES), f"wrong only where the output is negative (3 of 6 elements){TWICE}"),
    (place.region, off_at(SIDES < 0, SIDES + 3, others={"b": SIDES}), f"wrong only where b is negative (3 of 6 elements){TWICE}"),
    (place.region, off_at(lines((2, 3, 2), 1, [1]), AXES), f"wrong only at index 1 of axis 1{TWICE}"),
    (place.region, off_at(lines((2, 3, 2), 1, [0, 2]), AXES), ""),
    (place.region, off_at(lines((2, 3, 2), 0, [1]), AXES), ""),
    (place.region, off_at(lines((4, 3), 0, [0, 2]), AXES.reshape(4, 3)), f"wrong only at indices 0, 2 of axis 0{TWICE}"),
    (place.region, off_at(lines((4, 2), 0, [0, 2]), np.reshape([3, 1, 2, 4, -3, -1, -2, -4], (4, 2))), f"wrong only at indices 0, 2 of axis 0{TWICE}"),
    (place.region, off_at(lines((4, 3), 0, [0, 2]) & (np.arange(12).reshape(4, 3) != 7), AXES.reshape(4, 3)), ""),
    (place.region, off_at(lines((4, 3), 0, [0]) & (np.arange(12).reshape(4, 3) != 1), AXES.reshape(4, 3)), f"wrong only at index 0 of axis 0{TWICE}"),
    (place.region, off_at(np.arange(12).reshape(4, 3) == 7, AXES.reshape(4, 3)), ""),
    (place.region, off_at(at([1, 4, 6]), MIXED), ""),
    (place.region, off_at(lines((6, 2), 0, [1]), AXES.reshape(6, 2), grid=GRID), f"wrong only at index 5 of axis 0{TWICE}"),
    (place.region, off_at(at([2, 3, 5]), [1, 2, 7, 8, 3, 9, 4, 5]), limit("above", "the input", "5 to 7", TWICE)),
    (place.region, off_at(at([2, 3, 5]), [7, 6, 2, 1, 9, 3, 8, 5]), limit("below", "the input", "3 to 5", TWICE)),
    (place.region, off_at(at([2, 3, 5]), [1, 2, -7, 8, 3, -9, 4, 5]), limit("above", "the size of the input", "5 to 7", TWICE)),
    (place.region, off_at(at([2, 3, 5]), [1, 2, 7, 8, 3, 9, 4, 7]), ""),
    (place.region, off_at(at([2, 3]), [1, 2, 7, 8, 3, 4, 6, 5]), ""),
    (place.region, off_at(at([0, 1, 4, 5, 6, 7]), [1, 2, 7, 8, 3, 4, 6, 5]), ""),
    (place.region, off_at(at([2, 3, 5]), [1, 2, 7, 8, 3, 9, 4, 5], by=UNEVEN), limit("above", "the input", "5 to 7")),
    *[(place.region, off_at(at([2, 3, 5]), [1, 2, 7, 8, 3, 9, 4, 5], by=by, error=np.where(at(0), 1 / 32, 0)), limit("above", "the input", "5 to 7") if by > 0.32 else "")
      for by in (10 / 32, 0.33)],
    *[(place.region, nearly_right(by), limit("above", "the input", "5 to 7") if by > 0.32 else "") for by in (10 / 32, 0.33)],
    (place.scattered, off_at(at([])), ""),
    (place.scattered, off_at(at([5])), f"wrong only at (5,){TWICE}"),
    (place.scattered, off_at(at([5, 6], 8), by=UNEVEN), "wrong only at (5,), (6,)"),
    (place.scattered, off_at(at([5, 6], 7)), ""),
    (place.scattered, off_at(at([1, 5, 6], 59)), ""),
    (place.scattered, off_at(at([1, 5, 6], 60)), f"wrong only at (1,), (5,), (6,){TWICE}"),
    (place.scattered, off_at(at([1, 2, 5, 6], 80)), f"wrong only at (1,), (2,), (5,), (6,){TWICE}"),
    (place.scattered, off_at(at([1, 2, 5, 6, 8], 100)), f"wrong only at (1,), (2,), (5,), (6,), ...{TWICE}"),
    (place.scattered, off_at(at([3], 12).reshape(6, 2), grid=GRID), f"wrong only at (5, 2), of the elements examined{TWICE}"),
    (place.one_factor_in_places, off_at(at([1, 4])), ""),
    (place.one_factor_in_places, off_at(at([1, 4, 6])), f"wrong at 3 of 8 elements, most at (6,){TWICE}"),
    (place.one_factor_in_places, off_at(at([1, 4, 6]), by=UNEVEN), ""),
    (place.one_factor_in_places, off_at(at(range(8))), ""),
    (place.one_factor_in_places, off_at(at([1, 4, 6]), factor=0), ""),
    (place.one_factor_in_places, told([1, 2, 3, 4], [1, 4, 6, 8 - 8e-4]), "wrong at 3 of 4 elements, most at (3,), by a factor of 2"),
    (place.one_factor_in_places, told([1, 2, 3, 4], [1, 4, 6, 8 - 12e-4]), ""),
    (place.one_factor_in_places, told([1, 0, 3, 4], [1, 4, 6, 8]), ""),
]  # fmt: skip


@pytest.mark.parametrize(("explain", "evidence", "expected"), REGIONS)
def test_what_is_wrong_at_some_places(explain, evidence, expected):
    assert said(explain, evidence) == expected


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (at([2]), "index 2 of axis 0"),
        (at([1, 2, 3, 5, 6]), "indices 1, 2, 3, 5, 6 of axis 0"),
        (at([0, 1, 2, 3, 5, 6]), "indices 0, 1, 2, 3, 5, ... of axis 0"),
        (lines((2, 3), 0, [1]), "index 1 of axis 0"),
        (lines((2, 3), 1, [1, 2]), "indices 1, 2 of axis 1"),
        (np.ones((2, 3), bool), "(0, 0), (0, 1), (0, 2), ..."),
        (np.eye(3, dtype=bool), "(0, 0), (1, 1), (2, 2)"),
        (np.eye(2, 3, dtype=bool), "(0, 0), (1, 1)"),
        (np.eye(4, dtype=bool), "(0, 0), (1, 1), (2, 2), ..."),
    ],
)
def test_outputs_are_named_by_the_indices_of_an_axis_or_one_by_one(mask, expected):
    assert place.outputs_at(told([1], [2], y=np.zeros(mask.shape)), mask.ravel()) == expected


# --- wrong values ---

PASSED = "the cotangent is passed on as it came: the local derivative is missing"
X = np.array([0.3, -0.7, 1.5, -2.0])
TANH, SIGMOID = 1 - np.tanh(X) ** 2, np.exp(-X) / (1 + np.exp(-X)) ** 2
DERIVATIVES = {  # of the functions, by the input, and of the outputs that give them
    "tanh": (1 - np.tanh(X) ** 2, np.tanh(X)),
    "sigmoid": (SIGMOID, 1 / (1 + np.exp(-X))),
    "softplus": (1 / (1 + np.exp(-X)), np.log1p(np.exp(X))),
    "sin": (np.cos(X), np.sin(X)),
}
RATES = np.array([1.0, 3, -2, 5])  # of the other steps of a gradient
MATRIX = np.array([[1.0, 2, -1, 3], [2, -1, 1, 1], [0.5, 1, 4, -2], [3, 1, -1, 1]])


def scaled(ratio, x=X, right=RATES, **more):
    """Evidence of a gradient that is too large by these factors, of an elementwise function."""
    right = np.asarray(right, float)
    return linear(np.diag(right), np.diag(right * ratio), np.ones(right.size), x=x, **more)


def alone(ratio, x=X, right=RATES, **more):
    """The same evidence without Jacobians."""
    return told(right, np.asarray(right) * ratio, x=x, **more)


def by_power(name, exponent):
    return f"the gradient is too large by a multiple of {name} to the power {exponent}"


def of_lines(axis, *factors):
    return f"along axis {axis} each index has a factor of its own: {', '.join(factors)}"


def elementwise(between, at, is_, should):
    hint = f"at {at} it is {is_} and should be {should}"
    return f"the local derivative is {between} times what it should be, by no simple law (is a term missing?); {hint}"


POSITIVE = np.array([0.25, 0.7, 1.5, 2.0])
GRID_OF_LINES = np.array([[1.0, 1, 1], [2, 2, 2]])

VALUES = [
    (value.no_derivative, told([2, 3], [1, 2], dout=[1, 2], y=[1, 2]), ""),
    (value.no_derivative, linear(np.diag([2, 3]), np.eye(2)), PASSED),
    (value.no_derivative, linear(np.diag([2, 3]), np.eye(2), claimed_jacobian=None), PASSED),
    (value.no_derivative, linear([[2, 1], [0, 3]], np.eye(2), claimed_jacobian=None), ""),
    (value.no_derivative, linear([[2, 1], [0, 3]], np.eye(2)), ""),
    (value.no_derivative, linear([[2, 2e-6], [0, 3]], np.eye(2)), PASSED),
    (value.no_derivative, linear([[1, 1e-6], [0, 0.5]], np.eye(2)), PASSED),
    (value.no_derivative, linear([[1, 1.5e-6], [0, 0.5]], np.eye(2)), ""),
    (value.no_derivative, linear(np.diag([2, 3]), [[1, 1e-6], [0, 1]]), PASSED),
    (value.no_derivative, linear(np.diag([2, 3]), [[1, 1.5e-6], [0, 1]]), ""),
    (value.no_derivative, linear([[2, 0, 0], [0, 3, 1], [0, 0, 1]], np.eye(3), error=[0, 0, 1]), PASSED),
    (value.passed_on, told(SIX, np.array([5, 6.0])[:, None] * np.ones(3), y=[5, 6], dout=[5, 6]), PASSED),
    (value.passed_on, told(SIX, np.array([5, 6.0, 7]) * np.ones((2, 1)), y=[5, 6, 7], dout=[5, 6, 7]), PASSED),
    (value.passed_on, told([1, 2, 3], [5, 7, 9], y=SIX, dout=[[1, 2, 3], [4, 5, 6]]), PASSED),
    (value.passed_on, told([1, 2], [6, 15], y=SIX, dout=[[1, 2, 3], [4, 5, 6]]), PASSED),
    (value.passed_on, told([1, 2], [6, 16], y=SIX, dout=[[1, 2, 3], [4, 5, 6]]), ""),
    *[(value.activation, scaled(1 / slope), f"the derivative of {name} at the input is missing") for name, (slope, _) in DERIVATIVES.items()],
    *[(value.activation, scaled(1 / slope, x=POSITIVE, y=y), f"the derivative of {name} at the output is missing") for name, (slope, y) in DERIVATIVES.items() if name != "sin"],
    (value.activation, scaled(1 / abs(np.cos(X)), x=POSITIVE, y=np.sin(X)), "the derivative of sin at the output is missing"),
    (value.activation, scaled(1 / TANH, x=POSITIVE, others={"b": X}), "the derivative of tanh at b is missing"),
    (value.activation, scaled(2.5 / TANH), "the derivative of tanh at the input is missing"),
    (value.activation, alone(1 / TANH), ""),
    (value.activation, scaled(1 / TANH[:3], X[:3], RATES[:3]), "the derivative of tanh at the input is missing"),
    (value.activation, scaled(1 / TANH[:2], X[:2], RATES[:2]), ""),
    (value.activation, scaled(2, np.full(4, 0.5)), ""),
    (value.activation, scaled(2, np.full(4, 0.5) + [0, 0, 0, 1e-7]), ""),
    (value.activation, scaled(X), ""),
    *[(value.no_derivative_of_the_output, linear(slope[:, None] * MATRIX, MATRIX, y=y), f"the derivative of the {name} that gives the output is missing")
      for name, (slope, y) in DERIVATIVES.items() if name != "sin"],
    (value.no_derivative_of_the_output, linear(abs(np.cos(X))[:, None] * MATRIX, MATRIX, y=np.sin(X)), "the derivative of the sin that gives the output is missing"),
    (value.no_derivative_of_the_output, linear(TANH[:, None] * MATRIX, MATRIX, y=np.tanh(X), jacobian=None), ""),
    (value.no_derivative_of_the_output, linear(2 * MATRIX, MATRIX, y=[1, 1, 1, 0.5]), ""),
    (value.no_derivative_of_the_output, linear(TANH[:, None] * MATRIX, 2 * MATRIX, y=np.tanh(X)), ""),
    *[(value.power, alone(2 * POSITIVE**exponent, POSITIVE), by_power("the input", exponent)) for exponent in (1, -1, 2, -2, 3, -3, 0.5, -0.5)],
    (value.power, alone(2 * POSITIVE**4, POSITIVE), ""),
    (value.power, alone(X**2, POSITIVE, others={"b": X}), by_power("b", 2)),
    (value.power, alone(X, POSITIVE, y=X), by_power("the output", 1)),
    (value.power, alone(X[:3], X[:3], RATES[:3]), ""),
    (value.power, alone(X, right=[1, 3, -2, 0]), ""),
    (value.power, alone(POSITIVE + [0, 0, 0, 3e-4], POSITIVE), by_power("the input", 1)),
    (value.power, alone(POSITIVE + [0, 0, 0, 6e-4], POSITIVE), ""),
    (value.by_line, told(SIX, SIX * [[1], [2]]), of_lines(0, "1", "2")),
    (value.by_line, told(SIX, SIX * [1, 2, 3]), of_lines(1, "1", "2", "3")),
    (value.by_line, told(SIX[None], SIX[None] * [[1], [2]]), of_lines(1, "1", "2")),
    (value.by_line, told(SIX, SIX * [[1, 1, 1 + 1e-5], [1.01, 1.01, 1.01]]), ""),
    (value.power, told([1, 3, -2, 5, 4], [0.3, -2.1, -3, -10, 0], x=[*X, 7]), by_power("the input", 1)),
    (value.power, told([1, 3, -2, 5, 0], [0.3, -2.1, -3, -10, 4], x=[*X, 7]), by_power("the input", 1)),
    (value.power, told([1, 3, -2, 5, 4], [0.3, -2.1, -3, -10, 4], x=[*X, 7], kink=at(4, 5)), by_power("the input", 1)),
    (value.by_line, told(SIX.T, SIX.T * [[1], [2], [3]]), of_lines(0, "1", "2", "3")),
    (value.by_line, told(np.ones((5, 2)), np.arange(1.0, 6)[:, None] * np.ones(2)), of_lines(0, "1", "2", "3", "4", "5")),
    (value.by_line, told(np.ones((6, 2)), np.arange(1.0, 7)[:, None] * np.ones(2)), of_lines(0, "1", "2", "3", "4", "5", "...")),
    (value.by_line, told(SIX, SIX * [[1, 1, 1 + 1e-4], [2, 2, 2]]), of_lines(0, "1", "2")),
    (value.by_line, told(SIX, SIX * [[1, 1, 1 + 1.6e-4], [2, 2, 2]]), ""),
    (value.by_line, told(SIX * [[1, 1, 1], [0, 0, 1]], SIX * [[1, 1, 1], [0, 0, 2]]), ""),
    (value.by_line, told(SIX * [[1, 1, 0], [0, 1, 1]], SIX * [[1, 1, 0], [0, 2, 2]]), of_lines(0, "1", "2")),
    (value.by_line, told(SIX * [[1, 1, 1], [0, 0, 0]], SIX * [[1, 1, 1], [0, 0, 0]]), ""),
    (value.by_line, told([[1, 2, 3]], [[1, 2, 6]]), ""),
    (value.by_line, told([1, 2, 3], [1, 4, 9]), ""),
    (value.elementwise, scaled(1 + X * X, x=X, y=X), elementwise("1.09 to 5", "-2", "25", "5")),
    (value.elementwise, scaled([1, 0.5, 1, 1]), elementwise("0.5 to 1", "-0.7", "1.5", "3")),
    (value.elementwise, scaled([2, 3], X[:2], [1, 1]), elementwise("2 to 3", "-0.7", "3", "1")),
    (value.elementwise, scaled([2], X[:1], [1]), ""),
    (value.elementwise, scaled([2, 3], X[:2], [1, 1], jacobian=None), ""),
    (value.elementwise, scaled([2, 3], X[:2], [1, 1], claimed_jacobian=None), elementwise("2 to 3", "-0.7", "3", "1")),
    (value.elementwise, linear(np.eye(2), [[2, 1], [0, 3]]), ""),
    (value.elementwise, linear([[1, 1], [0, 1]], 3 * np.eye(2)), ""),
    (value.elementwise, linear(np.diag([1, 2, 4]), np.diag([1.5, 2, 2]), [10, 1, 2], x=X[:3]), elementwise("0.5 to 1.5", "1.5", "2", "4")),
    (value.product_rule, linear(np.diag(TANH * X + np.tanh(X)), np.diag(TANH * X), [1, 2, 3, 4], x=X, y=X * np.tanh(X)), "the cotangent times output / input is missing: of a product with the input, one factor was held constant"),
    (value.product_rule, linear(np.diag(TANH * X + np.tanh(X)), np.diag(np.tanh(X)), [1, 2, 3, 4], x=X, y=X * np.tanh(X)), "the cotangent times output / input is all there is: of a product with the input, one factor was held constant"),
    (value.product_rule, linear(MATRIX, np.diag(np.tanh(X)), [1, 2, 3, 4], x=X, y=X * np.tanh(X)), ""),
    (value.product_rule, linear(np.diag(RATES), np.diag(X * X), x=X), ""),
    (value.product_rule, linear(np.diag([1.0, 2, 3, 7]), np.diag([1.0, 2, 3, 9]), [1, 1, 1, 1], x=[1, 1, 1, 0], y=[1, 2, 3, 5]), "the cotangent times output / input is all there is: of a product with the input, one factor was held constant"),
    (value.other_operand, alone(POSITIVE / X, others={"a": X, "b": POSITIVE}, x=RATES), "b is where a belongs"),
    (value.other_operand, alone(POSITIVE / X, others={"b": POSITIVE}), "b is where the input belongs"),
    (value.other_operand, alone(POSITIVE[:3] / X[:3], X[:3], RATES[:3], others={"b": POSITIVE[:3]}), ""),
    (value.other_operand, alone(POSITIVE / X, y=POSITIVE), ""),
    (value.other_operand, alone(POSITIVE, others={"b": X * X}), ""),
    (value.lost_product, told(RATES, RATES / (1 + 2 * X), x=X), "what is missing is a multiple of what is there, times the input / 1: of two terms one is lost"),
    (value.lost_product, told(RATES, RATES / (1 + 3 / X), x=X), "what is missing is a multiple of what is there, times 1 / the input: of two terms one is lost"),
    (value.lost_product, told(RATES, RATES / (1 + 3 * X / POSITIVE), x=X, others={"b": POSITIVE}), "what is missing is a multiple of what is there, times the input / b: of two terms one is lost"),
    (value.lost_product, told(RATES, RATES / (1 + np.sin(3 * X)), x=X), ""),
    (value.lost_line, told(SIX, SIX + [[1, 1, 1], [4, 4, 4]]), "the error is constant along axes (1,): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(SIX.T, SIX.T + [1, 4]), "the error is constant along axes (0,): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(SIX, SIX + 1), "the error is constant along axes (1,): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(SIX, SIX + np.array([[2], [3]]) * AXES[0].T, x=AXES[0].T), "the error is in proportion to the input along axes (1,): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(SIX, SIX + np.array([[2], [3]]) * AXES[0].T, others={"b": AXES[0].T}), "the error is in proportion to b along axes (1,): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(SIX, SIX + np.array([[2], [3]]) * (SIX - SIX.mean(1, keepdims=True)), x=SIX), "the error is in proportion to the centred input along axes (1,): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(SIX.T, SIX.T + np.array([2, 3]) * (SIX.T - SIX.T.mean(0)), x=SIX.T), "the error is in proportion to the centred input along axes (0,): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(SIX[:, :2], SIX[:, :2] + [[1, 1], [4, 4]]), ""),
    (value.lost_line, told(SIX, SIX + [[1, 1, 1], [4, 4, 4]], error=np.eye(2, 3)), ""),
    (value.lost_line, told(SIX, SIX + [[1, -1, 1], [4, 5, -4]], x=np.ones((2, 3))), ""),
    (value.lost_line, told([2, 1, 2, 4], [3, 2, 3, 5]), "the error is constant along axes (0,): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(POWERS[:8].reshape(2, 2, 2), POWERS[:8].reshape(2, 2, 2) + [[[1, 1], [1, 1]], [[5, 5], [5, 5]]]), "the error is constant along axes (1, 2): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(POWERS[:8].reshape(2, 2, 2), POWERS[:8].reshape(2, 2, 2) + 1), "the error is constant along axes (1, 2): a term is missing, like a mean or a sum over them"),
    (value.lost_line, told(2, 3), ""),
]  # fmt: skip


@pytest.mark.parametrize(("explain", "evidence", "expected"), VALUES)
def test_what_is_wrong_about_the_values(explain, evidence, expected):
    assert said(explain, evidence) == expected


# --- whatever the size of the gradients ---

GRADIENTS = ("claimed", "measured", "error", "held")
SMALLER = {"slopes": (*GRADIENTS, "jacobian", "claimed_jacobian"), "cotangent": (*GRADIENTS, "dout")}
FIXED = (
    "_rounded",
    "_without_cotangent",
    "_same_for_every_cotangent",
    "swapped",
)  # they know a number of their own
BY_THE_SLOPES = ("passed_on", "no_derivative", "elementwise")  # they tell slopes, or take them for 1


def much_smaller(e, what):
    """The same evidence of slopes, or for a cotangent, a billion times smaller."""
    parts = {name: getattr(e, name) for name in SMALLER[what]}
    parts = {name: a if a is None else 2.0**-30 * a for name, a in parts.items()}
    siblings = {name: 2.0**-30 * a for name, a in e.siblings.items()}
    return replace(e, **parts, siblings=siblings, allowed=2.0**-30 * e.allowed)


@pytest.mark.parametrize("what", SMALLER)
def test_the_size_of_the_gradients_changes_nothing(what):
    others = FIXED + BY_THE_SLOPES if what == "slopes" else FIXED
    for explain, evidence, expected in NO_GRADIENTS + PLACES + REGIONS + VALUES:
        if explain.__name__ not in others:
            assert said(explain, much_smaller(evidence, what)) == expected
