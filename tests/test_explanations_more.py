"""What explanations say that look at both whole Jacobians, made by hand, on both sides of all that they decide by."""

import numpy as np
import pytest

from minigrad.check import patterns_of_structure as structure
from tests.support.evidence import linear, told
from tests.test_explanations import SMALLER, much_smaller, said


def numbers(*shape):
    """Return numbers without a pattern, none of them near 0."""
    drawn = np.cos(np.arange(1.0, 1 + np.prod(shape)) ** 2).reshape(shape)
    return drawn + np.copysign(0.25, drawn)


def without(right, *places, by=0.0):
    """Return a matrix with other entries at these places."""
    claimed = np.array(right, float)
    for place in places:
        claimed[place] = by
    return claimed


R3, R4 = numbers(3, 3), numbers(4, 4)
TALL = numbers(3, 2)
STAIRS = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1.0]])
CONTRIBUTIONS = (
    "of {} contributions to the element at {} only {} are counted; those of the output at {} are missing"
)
PATH = "{} of the {} derivatives of outputs by elements are 0 in the vjp, {} are right: a path from the input to the output is lost"
LEAK = "the output at {} does not depend on what it passes its cotangent to: is a mask not applied, or an index too wide?"
GIVES = "each output gives the right values to other elements: is an index off, or an order not undone?"
GETS = "each element gets the right values from other outputs: is an index off, or an order not undone?"
BACKWARDS = "gradients run in the opposite direction along axis {}"
SPARSE = np.diag([1.0, 2, 3, 4, 5])

ENTRIES = [
    *[(explain, linear(R3, R3), "") for explain in (structure.outputs_lost, structure.leak, structure.moved, structure.path_lost)],
    *[(explain, told([1, 2], [2, 2]), "") for explain in (structure.outputs_lost, structure.leak, structure.moved, structure.path_lost)],
    (structure.leak, linear(np.zeros((2, 2)), np.ones((2, 2))), ""),
    (structure.outputs_lost, linear(TALL, without(TALL, 1)), CONTRIBUTIONS.format(3, (0,), 2, "index 1 of axis 0")),
    (structure.outputs_lost, linear(STAIRS, without(STAIRS, 1, 2, 3)), CONTRIBUTIONS.format(3, (1,), 1, "indices 1, 2, 3 of axis 0")),
    (structure.outputs_lost, linear(TALL, without(TALL, (1, 0))), ""),
    (structure.outputs_lost, linear(TALL, without(without(TALL, 1), (0, 0), by=7)), ""),
    (structure.outputs_lost, linear(without(TALL, (0, 0)), without(without(TALL, 1), (0, 0), by=7)), ""),
    (structure.outputs_lost, linear(SPARSE, without(SPARSE, 1)), ""),
    (structure.path_lost, linear(R3, without(R3, (0, 0), (1, 2))), PATH.format(2, 9, 7)),
    (structure.path_lost, linear(R3, without(without(R3, (0, 0), (1, 2)), (2, 2), by=9)), PATH.format(2, 9, 6)),
    (structure.path_lost, linear(R3, without(without(R3, (0, 0), (1, 2), (1, 1)), (2, 2), (2, 1), by=9)), ""),
    (structure.path_lost, linear(R3, without(R3, (2, 2), by=9)), ""),
    (structure.path_lost, linear(SPARSE, without(without(SPARSE, 1), (0, 1), by=9)), ""),
    (structure.path_lost, linear(R3, 0 * R3), ""),
    (structure.leak, linear(SPARSE, without(SPARSE, (2, 1), by=3)), LEAK.format("index 2 of axis 0")),
    (structure.leak, linear(SPARSE, without(without(SPARSE, (0, 0)), (2, 1), (3, 1), (4, 1), by=3)), ""),
    (structure.leak, linear(SPARSE, without(without(SPARSE, (0, 0)), (2, 1), (3, 1), (4, 1), (4, 2), by=3)), LEAK.format("indices 2, 3, 4 of axis 0")),
    (structure.moved, linear(R4, R4[:, [1, 2, 3, 0]]), GIVES),
    (structure.moved, linear(R4, R4[[1, 2, 3, 0]]), GETS),
    (structure.moved, linear(R4, np.vstack([R4[:2, [1, 2, 3, 0]], 2 * R4[2:]])), GIVES),
    (structure.moved, linear(R4, np.vstack([R4[:1, [1, 2, 3, 0]], 2 * R4[1:]])), ""),
    (structure.moved, linear(np.vstack([R4, np.zeros(4)]), np.vstack([R4[:2, [1, 2, 3, 0]], 2 * R4[2:], np.zeros(4)])), GIVES),
    (structure.moved, linear(np.vstack([R4, np.ones(4)]), np.vstack([R4[:2, [1, 2, 3, 0]], 2 * R4[2:], np.ones(4)])), GIVES),
    (structure.moved, linear(R4[:3], np.vstack([R4[:1, [1, 2, 3, 0]], 2 * R4[1:3]])), ""),
    (structure.moved, linear(np.vstack([R4, R4[:2]]), np.vstack([R4[:1, [1, 2, 3, 0]], 2 * R4[1:], R4[:2]])), ""),
    (structure.moved, linear([[0, 5, 0], [0, 0, 0], [0, 0, 0]], [[5, 0, 0], [1, 0, 0], [0, 0, 1]]), GIVES),
    (structure.moved, linear([[1, 2, 3], [1, 2, 3]], [[101, 2, 3], [1.5, 2, 3]]), ""),
    (structure.moved, linear([[10, 10.2]], [[10.1, 10.1]]), ""),
    (structure.moved, linear([[0, 100, 0]], [[100, 0, 1]]), GIVES),
    (structure.moved, linear([[0, 100, 0]], [[100, 0, 1.5]]), ""),
    (structure.moved, linear([[1, 0, 0, 0, 0]], [[0, 1, 0.002, 0.002, 0]]), GIVES),
    (structure.moved, linear([[1, 0, 0, 0, 0]], [[0, 1, 0.002, 0.002, 0.002]]), ""),
    (structure.moved, linear(np.tril(R4), 2 * np.triu(numbers(4, 4) ** 2)), BACKWARDS.format(0)),
    (structure.moved, linear(np.tril(R4), 2 * np.tril(R4)), ""),
    (structure.moved, linear(np.tril(R4), 2 * np.tril(R4, 1)), ""),
    (structure.moved, linear(np.multiply.outer(np.eye(2), np.tril(R4)).swapaxes(1, 2), 2 * np.multiply.outer(np.eye(2), np.triu(numbers(4, 4) ** 2)).swapaxes(1, 2), outputs=2), BACKWARDS.format(1)),
]  # fmt: skip


@pytest.mark.parametrize(("explain", "evidence", "expected"), ENTRIES)
def test_which_entries_are_wrong(explain, evidence, expected):
    assert said(explain, evidence) == expected


# --- what is coupled ---

SHAPE = (2, 3)
KEPT_APART = [np.equal.outer(np.arange(n), np.arange(n)) for n in SHAPE]


def mixing(*axes, shape=SHAPE):
    """Return which outputs depend on which elements, of this shape both, where indices of these axes are mixed."""
    i = np.indices(shape).reshape(len(shape), -1)
    same = [np.equal.outer(row, row) for axis, row in enumerate(i) if axis not in axes]
    return np.logical_and.reduce([*same, np.ones((i.shape[1],) * 2, bool)]).reshape(shape + shape)


def coupling(right, claimed, factor=2.0, shape=SHAPE):
    """Evidence of entries that are not 0 at these places, and off by a factor."""
    all_of_it = numbers(*right.shape)
    return linear(all_of_it * right, factor * all_of_it * claimed, outputs=len(shape))


UNEVEN = np.eye(4) + np.diag([0, 1, 0], 1) + np.diag([0, 1, 0], -1)
GROUPS = np.kron(np.eye(2), np.ones((2, 2)))
APART = ", which the function keeps apart: too much is summed"
FEW = "the vjp keeps the indices of axis {} apart, which the function mixes: too little is summed"


def nearly(kept, lost=0):
    """Evidence of a vjp that keeps columns apart, where just so many entries are right, and so many are 0."""
    right = numbers(*SHAPE, *SHAPE)
    claimed = np.where(mixing(0), 2 * right, 0).ravel()
    there = np.flatnonzero(claimed)[:kept]
    claimed[there] = right.ravel()[there]
    claimed[np.flatnonzero(claimed)[12 - lost :]] = 0
    return linear(right, claimed.reshape(right.shape), outputs=2)


COUPLED = [
    (coupling(mixing(1), mixing(0)), "the vjp mixes indices of axis 0, where the function mixes those of axis 1"),
    (coupling(mixing(), mixing(0)), f"the vjp mixes indices of axis 0{APART}"),
    (coupling(mixing(), mixing(1)), f"the vjp mixes indices of axis 1{APART}"),
    (coupling(mixing(), mixing(0, 1)), f"the vjp mixes indices of axis 0 and 1{APART}"),
    (coupling(mixing(), mixing()), ""),
    (coupling(mixing(0, 1), mixing(0, 1)), ""),
    (coupling(mixing(0, 1), mixing(0)), FEW.format(1)),
    (coupling(mixing(0, 1), mixing(1)), FEW.format(0)),
    (coupling(mixing(0, 1), mixing()), ""),
    (coupling(mixing(0, 1), mixing(0), factor=1), ""),
    (nearly(2), FEW.format(1)),
    (nearly(2, 3), FEW.format(1)),
    (nearly(3), ""),
    (nearly(4), ""),
    (coupling(GROUPS, np.ones((4, 4)), shape=(4,)), "the vjp mixes groups along axis 0, which the function keeps apart: too much is summed"),
    (coupling(UNEVEN, np.ones((4, 4)), shape=(4,)), "the vjp mixes groups along axis 0, which the function keeps apart: too much is summed"),
    (coupling(np.tri(4), np.ones((4, 4)), shape=(4,)), ""),
    (coupling(np.tri(4) + np.tri(4).T - np.eye(4)[::-1] > 0, np.ones((4, 4)), shape=(4,)), ""),
    (coupling(GROUPS, GROUPS, shape=(4,)), ""),
    (coupling(mixing(0)[:, 0], mixing(0, 1)[:, 0], shape=(2,)), ""),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "expected"), COUPLED)
def test_what_is_coupled(evidence, expected):
    assert said(structure.coupled, evidence) == expected


# --- how the local derivative is wrong ---

ALONE = (
    "the cotangent is passed on as it came, where it should be multiplied: the local derivative is missing"
)
OUTPUT, ELEMENT = (
    "what each output passes on has a factor of its own, {}",
    "what each element gets has a factor of its own, {}",
)
POWER = ", a multiple of the output to the power {}"
BOTH = "each output and each element has a factor of its own: a derivative on the way is wrong"
INSIDE = "but for a factor for each output, this is what a matrix gives that is not transposed"
FACTORS = np.array([[2.0], [-3], [0.5], [7]])
Y = np.array([0.5, -2, 3, 1.5])
TEN = without(numbers(5, 2), (0, 0), by=3)
R5, FIFTY = numbers(5, 5), numbers(10, 5)
SIGNS = np.sign(R5)
HOLES = np.where(np.eye(5), R5, 0) + np.where(np.eye(5, k=1) + np.eye(5, k=-1), 0, np.where(np.eye(5), 0, R5))


def holes(*places):
    """Evidence of a matrix with zeros at these places and the mirrored ones, not transposed, with factors."""
    right = without(R5, *places, *[place[::-1] for place in places])
    return linear(right, np.arange(1.0, 6)[:, None] * right.T)


def blocked(right, claimed, count=2):
    """Evidence of matrices (outputs, elements) that each index of a batch has for itself."""
    shape = (count, right.shape[-2], count, right.shape[-1])
    matrices = []
    for a in (right, claimed):
        whole = np.zeros(shape)
        for i in range(count):
            whole[i, :, i] = a[i] if a.ndim == 3 else a
        matrices.append(whole)
    return linear(*matrices, outputs=2)


LOCAL = [
    (structure.moves_alone, linear(R4, np.sign(R4)), ALONE),
    (structure.moves_alone, linear(R4, 3 * np.sign(R4)), ALONE),
    (structure.moves_alone, linear(np.sign(R4), 3 * np.sign(R4) * np.sign(numbers(4, 4).T)), ""),
    (structure.moves_alone, linear(np.diag(Y), np.eye(4)), ALONE),
    (structure.moves_alone, linear(R4, np.sign(R4) * without(np.ones((4, 4)), (0, 0), by=1 + 1e-6)), ALONE),
    (structure.moves_alone, linear(R4, np.sign(R4) * without(np.ones((4, 4)), (0, 0), by=1 + 1.5e-6)), ""),
    (structure.moves_alone, linear(without(SIGNS, (0, 0), by=SIGNS[0, 0] * 0.99925), SIGNS * SIGNS.T * 2), ""),
    (structure.moves_alone, linear(without(SIGNS, (0, 0), by=SIGNS[0, 0] * 0.9985), SIGNS * SIGNS.T * 2), ALONE),
    (structure.moves_alone, linear(TEN, without(np.sign(TEN), (0, 1))), ALONE),
    (structure.moves_alone, linear(TEN, without(np.sign(TEN), (0, 1), (1, 1))), ""),
    (structure.moves_alone, linear(without(TEN, *np.ndindex(3, 2)), without(np.sign(TEN), *[(i, j) for i in range(2) for j in range(2)])), ALONE),
    (structure.moves_alone, linear(without(TEN, *np.ndindex(3, 2)), np.sign(TEN)), ""),
    (structure.moves_alone, linear(R3, 0 * R3), ""),
    (structure.moves_alone, linear(FIFTY * (np.arange(50).reshape(10, 5) >= 17), np.sign(FIFTY)), ALONE),
    (structure.moves_alone, linear([[1, -1], [3, 3]], [[1, -1], [1, 1]]), ""),
    (structure.scaled_by_side, linear(R4, FACTORS * R4), OUTPUT.format("-3 to 7")),
    (structure.scaled_by_side, linear(R4, FACTORS.T * R4), ELEMENT.format("-3 to 7")),
    (structure.scaled_by_side, linear(R4, FACTORS.T * FACTORS * R4), ""),
    (structure.scaled_by_side, linear(np.diag(Y), FACTORS * np.diag(Y)), ""),
    (structure.scaled_by_side, linear(without(R4, 1), without(abs(FACTORS) * R4, 1)), OUTPUT.format("0.5 to 7")),
    (structure.scaled_by_side, linear(R4, without(FACTORS * R4, (0, 0))), ""),
    *[(structure.scaled_by_side, linear(R4, 3 * Y[:, None] ** power * R4, y=Y), OUTPUT.format(f"{(3 * Y**power).min():.4g} to {(3 * Y**power).max():.4g}") + (POWER.format(power) if abs(power) < 3 else ""))
      for power in (1, -1, 2, -2, 3, -3)],
    (structure.scaled_by_side, linear(R4, without(1.001 * R4, (0, 0), by=1.001 * R4[0, 0] + 1e-4)), ""),
    (structure.scaled_by_side, linear(R3[:2], R3[:2] * [[2], [3]], y=[2, 3]), OUTPUT.format("2 to 3") + POWER.format(1)),
    (structure.scaled_by_side, linear(R3[:1], 2 * R3[:1], y=[2]), OUTPUT.format("2 to 2") + POWER.format(1)),
    (structure.scaled_by_side, linear(R3[:1], 2 * R3[:1], y=[2 * 1.0005]), OUTPUT.format("2 to 2") + POWER.format(1)),
    (structure.scaled_by_side, linear(R3[:1], 2 * R3[:1], y=[2 * 1.0015]), OUTPUT.format("2 to 2")),
    (structure.scaled_by_side, linear(R3[:1], 2 * R3[:1], y=[3]), OUTPUT.format("2 to 2")),
    (structure.scaled, linear(R4, FACTORS * FACTORS.T * R4), BOTH),
    (structure.scaled, linear(R4, FACTORS * R4.T), ""),
    (structure.scaled, linear(R4, without(FACTORS * FACTORS.T * R4, (0, 0))), ""),
    (structure.scaled, linear(R4[:1], FACTORS.T * R4[:1]), ""),
    (structure.scaled, linear(R4[:2], FACTORS[:2] * FACTORS.T * R4[:2]), BOTH),
    (structure.scaled, blocked(numbers(2, 3, 3), numbers(2, 3, 3) * numbers(2, 3, 1) * numbers(2, 1, 3)), BOTH),
    (structure.transposed_inside, linear(R4, FACTORS * R4.T), INSIDE),
    (structure.transposed_inside, linear(R4, FACTORS * FACTORS.T * R4.T), INSIDE),
    (structure.transposed_inside, linear(R4, FACTORS * R4), ""),
    (structure.transposed_inside, linear(numbers(2, 3), 2 * numbers(2, 3) ** 2), ""),
    (structure.transposed_inside, linear([[2]], [[3]]), ""),
    (structure.transposed_inside, linear([[1, 2], [3, 5]], [[1, 3], [2, 5]]), INSIDE),
    (structure.transposed_inside, linear(without(R5, (0, 1), (0, 2), (2, 3)), R5.T * (without(R5, (0, 1), (0, 2), (2, 3)) != 0).T), ""),
    (structure.transposed_inside, holes((0, 1), (2, 3)), INSIDE),
    (structure.transposed_inside, holes((0, 1), (2, 3), (4, 4)), ""),
    (structure.transposed_inside, blocked(R3, np.array([[1.0], [2], [4]]) * R3.T), INSIDE),
]  # fmt: skip


@pytest.mark.parametrize(("explain", "evidence", "expected"), LOCAL)
def test_how_the_local_derivative_is_wrong(explain, evidence, expected):
    assert said(explain, evidence) == expected


# --- a term ---

MEANS = np.eye(6) - 1 / 6
SAME_NUMBER = "what is missing is the same everywhere, {} times the cotangent: a term is missing or wrong"
SOME = "{} of {} derivatives of outputs by elements are wrong: a term is missing or wrong"
RANK = "of rank {}, where the whole has {}: a term is missing or wrong"
PRODUCT = "of one path, where the whole has several: a term is missing or wrong"
TERM = "one term of the gradient is {} times what it should be, the others are right: {}"
INDEX = "{} is missing at {} elements and too much at as many: is an index off?"
R6 = numbers(6, 6)
U, V = numbers(2, 6)


def low(rank, n=6):
    """Return a matrix of this rank."""
    return sum(np.outer(*numbers(2, n + i)[:, :n] ** (i + 1)) for i in range(rank))


def off_by(*values):
    """Evidence of a matrix to scattered entries of which these values are added."""
    claimed = np.array(R6)
    for i, v in enumerate(values):
        claimed.flat[7 * i % 36] += v
    return linear(R6, claimed)


def in_order(*values):
    """Evidence of a matrix to the first entries of which, row by row, these values are added."""
    claimed = np.array(R6)
    claimed.flat[: len(values)] += values
    return linear(R6, claimed)


def term(factor, rank=1):
    """Evidence of a diagonal and a term of low rank, which has a factor."""
    part = low(rank)
    return linear(np.diag(U) + part, np.diag(U) + factor * part)


def paths(n, claimed=0, first=R3):
    """Evidence of n products with matrices of their own, of which the first counts `claimed` times."""
    each = [
        numbers(4, 3 + i, 1)[:, :3]
        * numbers(4, 1, 5 + i)[:, :, :3]
        * (first if i == 0 else numbers(4, 4)[i:, 1:][:3, :3] + i * np.tri(3))
        for i in range(n)
    ]
    return blocked(sum(each), sum(each[1:]) + claimed * each[0], 4)


TERMS = [
    (structure.one_term, linear(R6, R6 + 0.5), SAME_NUMBER.format("-0.5")),
    (structure.one_term, off_by(1, 1, -2, -2, 3, 3), SAME_NUMBER.format("-3 or -1 or 2")),
    (structure.one_term, off_by(1, 1, -2, -2, 3, 3, 4, 4), SOME.format(8, 36)),
    (structure.one_term, off_by(1, 1, -2, -2, 3), SOME.format(5, 36)),
    (structure.one_term, off_by(1, 1), RANK.format(2, 6)),
    (structure.one_term, off_by(1, 1, 1), SAME_NUMBER.format("-1")),
    (structure.one_term, off_by(1, 1.00001, 1), SAME_NUMBER.format("-1 or -1")),
    (structure.one_term, off_by(1, 1.0001, 1), SOME.format(3, 36)),
    (structure.one_term, off_by(*numbers(12) * 9), SOME.format(12, 36)),
    (structure.one_term, off_by(*numbers(13) * 9), ""),
    (structure.one_term, off_by(*numbers(3) * 9), SOME.format(3, 36)),
    (structure.one_term, off_by(*numbers(2) * 9), RANK.format(2, 6)),
    (structure.one_term, linear(R6, without(R6, 0, by=U * 5)), RANK.format(1, 6)),
    (structure.one_term, linear(R6, R6 + low(3)), RANK.format(3, 6)),
    (structure.one_term, linear(R6, R6 + low(4)), ""),
    (structure.one_term, paths(2), PRODUCT),
    (structure.one_term, paths(1), ""),
    (structure.one_term, paths(2, first=without(R3, (0, 0))), ""),
    (structure.one_term, term(0), RANK.format(1, 6)),
    (structure.one_term, term(-1), ""),
    *[(structure.one_term_scaled, term(k), TERM.format(f"{k:.6g}", why))
      for k, why in [(-1, "its sign is flipped"), (6, "is a mean missing there?"), (1 / 6, "is a sum missing there?"), (6 / 5, "is a mean missing there?"), (2, "is a mean missing there?"), (0.5, "is a sum missing there?")]],
    (structure.one_term_scaled, term(0), ""),
    (structure.one_term_scaled, term(-1, 4), ""),
    (structure.one_term_moved, in_order(1, -1, 1, -1), INDEX.format(1, 2)),
    (structure.one_term_moved, in_order(1, -1, 1), ""),
    (structure.one_term_moved, in_order(1, -1), ""),
    (structure.one_term_moved, in_order(1, -1, 1, -1, 0, 0, 1, -1), INDEX.format(1, 3)),
    (structure.one_term_moved, in_order(1, -1, 1, 0, 0, 0, -1), ""),
    (structure.one_term_moved, in_order(1, -1, 1, -0.9995), INDEX.format(1, 2)),
    (structure.one_term_moved, in_order(1, -1, 1, -0.9985), ""),
]  # fmt: skip


@pytest.mark.parametrize(("explain", "evidence", "expected"), TERMS)
def test_which_term_is_missing_or_wrong(explain, evidence, expected):
    assert said(explain, evidence) == expected


# --- whatever the size of the gradients ---

EVERY = [*ENTRIES, *((structure.coupled, *row) for row in COUPLED), *LOCAL, *TERMS]


@pytest.mark.parametrize("what", SMALLER)
def test_the_size_of_the_gradients_changes_nothing(what):
    for explain, evidence, expected in EVERY:
        text = said(explain, much_smaller(evidence, what))
        in_numbers = "times the cotangent" in expected or "is missing at" in expected
        assert bool(text) == bool(expected) if what == "slopes" and in_numbers else text == expected


# --- how plain a matrix is ---


@pytest.mark.parametrize(
    ("matrix", "scale", "rank"),
    [
        (np.zeros((0, 2, 2)), 1.0, 0),
        (np.diag([3.0, 2, 0]), 3.0, 2),
        (np.diag([1.0, 1.5e-3]), 1.0, 2),
        (np.diag([1.0, 0.7e-3]), 1.0, 1),
        (np.stack([np.diag([1.0, 1, 0]), np.eye(3), np.diag([1.0, 0, 0])]), 1.0, 3),
        (np.stack([np.diag([1.0, 0, 0])] * 5), 1.0, 1),
    ],
)
def test_the_rank_of_a_stack_is_the_largest(matrix, scale, rank):
    assert structure._rank(matrix, scale) == rank


CROSS = numbers(3, 3, 1) * numbers(3, 1, 3) * R3


@pytest.mark.parametrize(
    ("blocks", "one"),
    [
        (CROSS, True),
        (CROSS[:2], True),
        (CROSS[:1], False),
        (CROSS[:, :2, :2], True),
        (CROSS[:, :1], False),
        (CROSS[:, :, :1], False),
        (np.where(np.eye(3) > 0, 0, CROSS), False),
        (np.concatenate([CROSS, numbers(4, 3, 3)[3:]]), False),
        (np.concatenate([CROSS[:1], numbers(4, 3, 3)[3:]]), False),
    ],
)
def test_one_path_is_one_matrix_with_rows_and_columns_scaled(blocks, one):
    assert structure._one_path(blocks) is one


@pytest.mark.parametrize(("off", "crossed"), [(0, True), (1e-4, True), (3e-4, False)])
def test_a_matrix_is_another_with_rows_and_columns_scaled_up_to_a_ten_thousandth(off, crossed):
    a = np.ones((2, 2)) + [[0, 0], [0, 1.5 * off]]
    assert structure._crossed(a, np.ones((2, 2))) is crossed
    assert not structure._crossed(np.zeros((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("n", "factor", "found"),
    [(3, -1.0, 0.0), (4, -1.0, -1.0), (4, 4.0, 4.0), (4, 0.25, 0.25), (5, 1.25, 1.25), (5, 0.0, 0.0), (6, 2.0, 2.0)],
)  # fmt: skip
def test_the_factor_of_a_term_is_one_of_a_few(n, factor, found):
    part, rest = low(1, n), np.diag(numbers(n))
    e = linear(rest + part, rest + factor * part)
    assert structure._times(e, e.entries) == found
    wide = linear(np.hstack([rest + part] * 2), np.hstack([rest + factor * part] * 2))
    assert structure._times(wide, wide.entries) == 0.0


def said_numbers(right, claimed):
    return structure._few_numbers(linear(right, claimed).entries)


def test_few_numbers_are_few_beside_those_of_the_whole():
    missing = "what is missing is the same everywhere, {} times the cotangent"
    three, two = np.array([[1.0, 2, 3, 1, 2, 3]]), np.array([[1.0, 2, 1, 2, 1, 2]])
    assert said_numbers(three, three + 0.5) == missing.format("-0.5")
    assert said_numbers(two, two + 0.5) == ""
    five = np.array([[1.0, 2, 3, 4, 5, 1]])
    assert said_numbers(five, five + [0.5, 0.5, 0.25, 0.25, 0, 0]) == missing.format("-0.5 or -0.25")
    assert said_numbers(five[:, :4], five[:, :4] + [0.5, 0.5, 0.25, 0.25]) == ""
    assert said_numbers(1e4 * three, 1e4 * three + 0.5) == missing.format("-0.5")
    small = 1e-3 * three
    assert said_numbers(small, small + 1e-3) == missing.format("-0.001")
