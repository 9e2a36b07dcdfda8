"""What is known about a wrong gradient: which elements are examined, sure and wrong, and what explains them."""

import math

import numpy as np
import pytest

from minigrad.check.evidence import Grid, along, first_that_fits, index_of
from tests.support.evidence import linear, told

NAN, INF = np.nan, np.inf


def around(shape, found, budget, seed=0):
    return Grid.around(shape, found, budget, np.random.default_rng(seed))


# --- a grid of some elements ---


@pytest.mark.parametrize(
    ("shape", "budget", "sides"),
    [
        ((100,), 64, [64]),
        ((100, 100), 100, [10, 10]),
        ((3, 100), 60, [3, 20]),
        ((100, 3), 60, [20, 3]),
        ((2, 5, 100), 40, [2, 4, 5]),
        ((10, 10, 10, 10), 4, [2, 2, 2, 2]),
        ((1, 100), 50, [1, 50]),
        ((5,), 64, [5]),
    ],
)
def test_a_grid_has_about_as_many_elements_as_wanted_and_short_axes_whole(shape, budget, sides):
    grid = around(shape, [], budget)
    assert [len(axis) for axis in grid.axes] == sides
    assert all(np.array_equal(axis, np.unique(axis)) and axis[-1] < n for axis, n in zip(grid.axes, shape))
    assert grid.complete == (list(shape) == sides)
    assert not any(sought.any() for sought in grid.sought)


@pytest.mark.parametrize("seed", range(3))
def test_what_was_found_is_in_the_grid_and_is_not_drawn_at_random(seed):
    flat = [2 * 100 + 17, 1 * 100 + 93]
    grid = around((3, 100), flat, 30, seed)
    assert {*flat} <= {*grid.picked} and grid.picked.size == 30
    assert [int(sought.sum()) for sought in grid.sought] == [0, 2]
    assert grid.axes[1][grid.sought[1]].tolist() == [17, 93]
    assert np.array_equal(grid.drawn, np.tile(~grid.sought[1], (3, 1)))
    assert grid.picked[5] == np.ravel_multi_index(grid.index(5), (3, 100))


def test_axes_of_equal_length_take_the_same_indices_and_the_first_found():
    grid = around((50, 50), [7 * 50 + 31, 40 * 50 + 2, 9 * 50 + 8], 16)
    assert np.array_equal(*grid.axes) and np.array_equal(*grid.sought)
    assert grid.axes[0].tolist() == [2, 7, 31, 40] and grid.sought[0].all() and not grid.drawn.any()


def test_a_grid_is_drawn_anew_by_each_seed():
    assert not np.array_equal(around((1000,), [], 9, 0).axes[0], around((1000,), [], 9, 1).axes[0])


def test_of_a_number_there_is_one_element():
    grid, a = Grid.whole(()), np.array(3.0)
    assert grid.complete and grid.take(a) is a and grid.index(0) == () and grid.drawn and grid.picked == [0]
    assert Grid.whole((2, 3)).index(4) == (1, 1) and Grid.whole((2, 3)).picked.tolist() == [*range(6)]
    assert Grid((3,), (np.array([0, 2]),)).take(np.array([5, 6, 7])).tolist() == [5, 7]


# --- which elements are sure, and which wrong ---


@pytest.mark.parametrize(
    ("measured", "claimed", "more", "sure"),
    [
        ([1, 2], [5, 6], {}, [1, 1]),
        ([1, NAN, 3, 4], [NAN, 2, INF, 4], {}, [0, 0, 0, 1]),
        ([1, INF], [1, 1], {"error": [1e-3, 0]}, [1, 0]),
        ([1, INF], [1, INF], {}, [1, 0]),
        ([1, 0], [1, 1], {"error": [1.5e-3, 1e-3]}, [0, 1]),
        ([0, 0], [1, 1], {"error": [1e-300, 1.5e-300]}, [1, 0]),
        ([1, 2], [1, 1], {"kink": np.array([True, False])}, [0, 1]),
        ([1, NAN], [1, 1], {"kink": np.array([False, False])}, [1, 0]),
    ],
)
def test_an_element_is_sure_where_both_are_finite_and_the_measured_one_is_good(measured, claimed, more, sure):
    e = told(measured, claimed, **more)
    assert e.sure.tolist() == [bool(s) for s in sure]
    assert e.missing.tolist() == [m - c if s else 0 for m, c, s in zip(measured, claimed, sure)]


@pytest.mark.parametrize(
    ("measured", "claimed", "more", "wrong"),
    [
        ([1, 2], [1, 3], {}, [0, 1]),
        ([0, 0], [1, 1e-6], {"error": [0, 0]}, [1, 0]),
        ([0, 0], [1, 1.5e-6], {"error": [0, 0]}, [1, 1]),
        ([0, 0, 0], [1e-6, -1, 1.5e-6], {}, [0, 1, 1]),
        ([1000, 1000], [1001, 1000.75], {"error": [0.25, 0.25]}, [1, 0]),
        ([1000, 1000], [1001, 1000.85], {"error": [0.25, 0.25]}, [1, 1]),
        ([1, 2], [2, 4], {"allowed": 1.0}, [0, 1]),
        ([1, 2], [2, 4], {"allowed": np.array([0.5, 3])}, [1, 0]),
        ([], [], {}, []),
    ],
)
def test_an_element_is_wrong_beyond_what_is_allowed_and_uncertain(measured, claimed, more, wrong):
    e = told(measured, claimed, **more)
    assert e.wrong.tolist() == [bool(w) for w in wrong]
    assert e.right.tolist() == [not w for w in wrong]


@pytest.mark.parametrize(
    ("measured", "claimed", "more", "proves"),
    [
        ([1, 2], [1, 2], {}, False),
        ([1, 2], [1, 3], {}, True),
        ([1, 2], [1, 3], {"allowed": 1.0}, False),
        ([1, 2], [1, 3.25], {"allowed": 1.0}, True),
        ([1, 2], [1, 3], {"error": [0, INF]}, False),
        ([1, 2], [1, 3], {"kink": np.array([False, True])}, False),
        ([1, 2], [1, 3], {"kink": np.array([True, False])}, True),
        ([1, 2], [1, INF], {}, True),
        ([1, INF], [1, INF], {"kink": np.array([False, True])}, False),
        ([1, 2], [1, NAN], {"kink": np.array([False, True])}, True),
    ],
)
def test_an_element_proves_that_a_gradient_is_wrong(measured, claimed, more, proves):
    assert told(measured, claimed, **more).proves is proves


def test_elements_outweigh_a_difference_that_they_would_show():
    e = told([1, 2], [1, 2], error=[0.3, 0.4])
    assert e.outweighs(gap=10.0, reach=2.0) and not e.outweighs(gap=9.9, reach=2.0)
    part = told([1, 2], [1, 2], error=[0.3, 0.4], grid=Grid((3,), (np.arange(2),)))
    assert not part.outweighs(gap=10.0, reach=2.0)


def test_noise_is_the_share_of_an_error_that_the_numerical_side_may_make():
    assert told([1000, 0], [1003, -4], error=[0.3, 0.4]).noise == pytest.approx(0.1)
    assert told([1000, 0], [1003, -4], error=[0.3, 900]).noise == pytest.approx(0.1)
    assert told([1, 2], [1, 2]).noise == math.inf


# --- both Jacobians, entry by entry ---


@pytest.mark.parametrize(
    ("right", "claimed", "more", "parts"),
    [
        ([2, 0, 0, 3, 4], [2, 0, 5, 0, 7], {}, {"wrong": [2, 3, 4], "missing": [3], "spurious": [2], "off": [4], "kept": [0], "has": [0, 3, 4], "gets": [0, 2, 4]}),
        ([1, 1e-6, 1.5e-6], [1, 1e-6, 1.5e-6], {}, {"has": [0, 2], "gets": [0, 2], "wrong": []}),
        ([1, 4, 4], [2, 4 + 1 / 1024, 4 + 1.5 / 1000], {}, {"wrong": [0, 2], "off": [0, 2]}),
        ([1, 1, 1], [1 + 1e-6, 1 + 0.9e-8, 1 + 1.5e-8], {}, {"wrong": [0, 2], "kept": [1]}),
        ([64, 1, 1], [64, 1.25, 2], {"error": [0, 0.025, 0.025]}, {"wrong": [2], "has": [0, 1, 2]}),
        ([64, 0.25, 0.26], [64, 0.25, 0.26], {"error": [0, 0.025, 0.025]}, {"has": [0, 2], "gets": [0, 2]}),
        ([1, 1.1e-6, 0.9e-6], [2, 0.9e-6, 1.1e-6], {}, {"has": [0, 1], "gets": [0, 2], "wrong": [0], "missing": [], "spurious": []}),
        ([64, 1, 1], [64, 2, 2], {"error": [0, 1, 0]}, {"wrong": [2], "has": [0, 2], "gets": [0, 2], "right": [0, 2], "claimed": [0, 2]}),
    ],
)  # fmt: skip
def test_the_entries_of_two_jacobians_are_sorted(right, claimed, more, parts):
    found = linear([right], [claimed], **more).entries
    assert {name: np.flatnonzero(getattr(found, name)).tolist() for name in parts} == parts


def test_noise_in_the_entries_is_that_of_the_gradient_for_a_cotangent_of_one():
    for dout, to, wrong in (([1, 1], 1.095, 0), ([1, 1], 1.11, 2), ([1, -0.5], 1.13, 0), ([1, -0.5], 1.2, 2)):
        e = linear([[64, 1], [64, 1]], [[64, to], [64, to]], dout, error=[0, 0.02])
        assert e.entries.wrong.sum() == wrong
    assert linear(np.eye(2), 2 * np.eye(2), [0, 0]).entries.wrong.sum() == 2


def test_without_both_jacobians_there_are_no_entries():
    assert told([1, 2], [1, 3]).entries is None and told([1, 2], [1, 3]).tied == []
    assert linear(np.eye(2), np.eye(2), jacobian=None).entries is None
    assert linear(np.eye(2), np.eye(2), claimed_jacobian=None).entries is None
    nothing = linear(np.zeros((0, 2)), np.zeros((0, 2)))
    assert nothing.entries.wrong.size == 0 and nothing.is_diagonal(nothing.jacobian)


EYES = np.eye(2), np.eye(3)
FULL = np.arange(1.0, 37).reshape(2, 3, 2, 3)


@pytest.mark.parametrize(
    ("right", "tied"),
    [
        (FULL, []),
        (FULL * EYES[0][:, None, :, None], [(0, 0)]),
        (FULL * EYES[1][None, :, None], [(1, 1)]),
        (FULL * EYES[0][:, None, :, None] * EYES[1][None, :, None], [(0, 0), (1, 1)]),
        (FULL.swapaxes(2, 3) * EYES[0][:, None, None], [(0, 1)]),
        (np.ones((2, 2, 2)) * EYES[0][:, None], [(0, 0)]),
        (np.ones((2, 2, 2)) * EYES[0][:, None] * EYES[0][None], [(0, 0)]),
        (FULL.swapaxes(2, 3) * EYES[0][:, None, None] * EYES[1][None, :, :, None], [(0, 1), (1, 0)]),
        (np.ones((2, 2, 3, 2)) * EYES[0][:, None, None] * EYES[0][None, :, None], [(0, 1)]),
    ],
)
def test_axes_of_a_batch_are_tied_each_once(right, tied):
    e = linear(right, right, outputs=2)
    assert e.tied == tied
    grid = Grid((9,) * e.x.ndim, tuple(np.arange(n) for n in e.x.shape))
    assert linear(right, right, outputs=2, grid=grid).tied == []


def test_a_jacobian_is_a_stack_of_blocks_for_the_tied_axes():
    e = linear(FULL * EYES[0][:, None, :, None], FULL, outputs=2)
    assert np.array_equal(e.blocks(e.jacobian), FULL[[0, 1], :, [0, 1]])
    assert np.array_equal(e.tensor(e.jacobian), FULL[[0, 1], :, [0, 1]])
    e = linear(FULL * EYES[1][None, :, None], FULL, outputs=2)
    assert np.array_equal(e.blocks(e.jacobian), [FULL[:, i, :, i] for i in range(3)])
    both = linear(FULL * EYES[0][:, None, :, None] * EYES[1][None, :, None], FULL, outputs=2)
    assert np.array_equal(both.blocks(both.jacobian), np.diag(FULL.reshape(6, 6)).reshape(6, 1, 1))
    assert np.array_equal(linear(FULL, FULL, outputs=2).blocks(FULL), FULL.reshape(1, 6, 6))
    tensor = linear(np.ones((2, 3, 2, 5)) * EYES[0][:, None, :, None], np.ones((2, 3, 2, 5)), outputs=2)
    assert tensor.tensor(tensor.jacobian).shape == (2, 3, 5) == tensor.blocks(tensor.jacobian).shape


@pytest.mark.parametrize(
    ("jacobian", "expected"),
    [(None, True), (np.diag([1, 2]), True), ([[1, 1e-6], [0, 1]], True), ([[1, 1.5e-6], [0, 1]], False)],
)
def test_a_function_is_elementwise_whose_jacobian_is_diagonal(jacobian, expected):
    given = jacobian if jacobian is None else np.array(jacobian)
    e = told([1, 2], [1, 3], y=[1, 2], dout=[1, 2], jacobian=given)
    assert e.is_diagonal(given) is expected and e.elementwise is expected and e.same_shape
    assert not told([1, 2], [1, 3], jacobian=None).elementwise


def test_of_a_grid_the_element_at_the_place_of_an_output_is_its_own():
    e = told([1, 2], [1, 3], y=[1, 2, 3], dout=np.ones(3), grid=Grid((3,), (np.array([0, 2]),)))
    assert e.own.tolist() == [[True, False], [False, False], [False, True]]
    assert e.same_shape and e.is_diagonal(np.array([[1, 0], [0, 0], [0, 2]]))
    assert not e.is_diagonal(np.array([[1, 0], [0, 2], [0, 0]]))


# --- what explains an error ---


@pytest.mark.parametrize(
    ("candidate", "more", "expected"),
    [
        ([0.0], {}, True),
        ([0.01], {}, True),
        ([0.015], {}, False),
        ([[0.0]], {}, False),
        ([NAN], {}, False),
        ([0.25], {"error": [0.25]}, True),
        ([0.255], {"error": [0.25]}, False),
        ([0.0], {"error": [0.29]}, True),
        ([0.0], {"error": [0.3]}, False),
    ],
)
def test_a_candidate_explains_an_error_of_which_it_leaves_a_hundredth_or_the_noise(candidate, more, expected):
    e = told([1000, 1], [1000, 0], **({"error": [0, *more["error"]]} if more else {}))
    given = np.array([1000, *candidate]) if np.ndim(candidate) == 1 else np.array(candidate)
    assert e.explained_by(given) is expected
    assert first_that_fits(lambda e: iter([(given, "this"), (e.claimed, "that")]))(e) == (
        "this" if expected else "that" if e.noise < 0.3 else ""
    )


def test_what_is_not_sure_need_not_be_explained():
    e = told([1, 2, 3], [1, 2, 7], kink=np.array([True, False, False]))
    assert e.explained_by(np.array([NAN, 2, 7])) and not e.explained_by(np.array([1, NAN, 7]))


def test_a_jacobian_fits_if_all_of_it_is_that_of_the_vjp():
    right, claimed = np.array([[1.0, 2], [3, 4]]), np.array([[2.0, 2], [4, 4]])
    other = claimed + [[1, 0], [-0.5, 0]]  # the same gradient for the cotangent (1, 2)
    e = linear(right, claimed)
    assert e.fits(claimed) and not e.fits(other) and not e.fits(right)
    assert np.array_equal(e.pulled(e.dout, other), e.claimed)
    assert linear(right, claimed, claimed_jacobian=None).fits(other)
    assert linear(right, claimed, jacobian=None).fits(other)
    near = np.array([[0.014, 0], [-0.007, 0]])  # 0.0157 long, where the error is 1.414
    assert not e.fits(claimed + near) and e.fits(claimed + 0.9 * near)
    noisy = linear(1000 * right, 1000 * right + [[1, 0], [1, 0]], error=[0.3, 0])  # noise: a tenth
    assert noisy.fits(noisy.claimed_jacobian + 9 * near) and not noisy.fits(
        noisy.claimed_jacobian + 9.2 * near
    )
    one = linear([[1.0]], [[0.0]])
    assert one.fits(np.array([[0.01]])) and not one.fits(np.array([[0.015]]))
    unsure = linear(right, claimed, kink=np.array([False, True]))
    assert unsure.fits(claimed + [[0, 7], [0, 7]])


def test_what_a_gradient_may_be_made_of():
    x = np.ones((2, 3))
    others = {"a": np.arange(3.0), "b": np.ones((2, 1)), "c": np.ones(4), "d": np.array(5.0), "e": np.ones(1)}
    e = told(x, 2 * x, y=x, dout=x, others=others)
    assert list(e.values()) == ["the input", "a", "b", "the output"]
    assert np.array_equal(e.values()["a"], np.tile(np.arange(3.0), (2, 1)))
    assert list(told(x, 2 * x, others=others).values()) == ["the input", "a", "b"]
    part = told([1, 2], [1, 3], others={"a": np.arange(3)}, grid=Grid((3,), (np.array([0, 2]),)))
    assert part.values()["a"].tolist() == [0, 2] and part.values()["a"].dtype == float


# --- how much is wrong ---


@pytest.mark.parametrize(
    ("n", "wrong", "sought", "expected"),
    [
        (5, 2, 0, "2 of 5 elements"),
        (1000, 3, 0, "about 75% of 1,000 elements"),
        (1000, 4, 0, "about all of 1,000 elements"),
        (1000, 2, 1, "about 33% of 1,000 elements"),
        (1000, 1, 1, "1 of 4 elements examined, and few of all 1,000"),
        (1000, 2, 4, "about all of 1,000 elements"),
    ],
)
def test_how_many_are_wrong_is_told_by_those_that_were_drawn(n, wrong, sought, expected):
    count = 5 if n == 5 else 4
    picked, pinned = np.arange(count), np.arange(count) < sought
    right = np.ones(count)
    e = told(right, right + (picked < wrong), grid=Grid((n,), (picked,), (pinned,)))
    assert e.extent() == expected and e.worst() == (0,)


def test_nearly_all_is_called_all():
    for count, words in ((19, "95%"), (20, "all")):
        right = np.ones(20 if count == 19 else 21)
        grid = Grid((10**6,), (np.arange(right.size),), (np.zeros(right.size, bool),))
        e = told(right, right + (np.arange(right.size) < count), grid=grid)
        assert e.extent() == f"about {words} of 1,000,000 elements"


def test_the_worst_element_is_told_by_its_index_in_the_whole_input():
    grid = Grid((40, 7), (np.array([2, 5]), np.array([0, 3, 6])))
    e = told(np.ones((2, 3)), [[1, 2, 1], [1, 1, -3]], grid=grid)
    assert e.worst() == (5, 6)


def test_where_a_mask_holds():
    mask = np.array([[False, False, True], [False, True, False]])
    assert index_of(mask) == (0, 2) and index_of(~mask) == (0, 0)
    assert along(0, mask).tolist() == [True, True] and along(1, mask).tolist() == [False, True, True]
