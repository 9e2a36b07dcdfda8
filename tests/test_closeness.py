"""How far apart two implementations may be by rounding alone: measured of functions made by hand."""

import numpy as np
import pytest

from minigrad.check.closeness import Closeness, Pair

EPS = 2.0**-52
NAN, INF = np.nan, np.inf


def pair(mine, theirs):
    return Pair("a", np.array(mine, float), np.array(theirs, float))


def closeness(one, two, x, rtol=1e-10, wait=()):
    """The closeness of two functions of x; the names of `wait` are what it ran at."""
    x = np.array(x, float)

    def rerun(move, mix):
        moved = move(x)
        weight = sum(mix.values())
        wait.append((moved, dict(mix))) if isinstance(wait, list) else None
        return [pair(weight * one(moved), weight * two(moved))]

    return Closeness(rerun, rtol, EPS), pair(one(x), two(x))


def differ(one, two, x, **options):
    close, both = closeness(one, two, x, **options)
    return close.differ(both).tolist()


def test_gaps_and_sizes_of_what_is_not_finite():
    both = pair([1, 2, NAN, NAN, INF, INF, 1], [1, -3, NAN, 1, INF, -INF, INF])
    assert both.gaps.tolist() == [0, 5, 0, INF, 0, INF, INF]
    assert both.sizes.tolist() == [1, 3, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("off", "rtol", "expected"),
    [
        (0.0, 1e-10, False),
        (0.9e-10, 1e-10, False),
        (1.5e-10, 1e-10, True),
        (1e-3, 1e-2, False),
        (8 * EPS, EPS, True),
    ],
)
def test_an_element_may_be_off_by_a_share_of_its_size(off, rtol, expected):
    def two(x):
        return x * x * (1 + off)

    assert differ(np.square, two, [3.0, -2.0], rtol=rtol) == [expected] * 2


def test_what_is_equal_is_not_looked_into():
    runs = []
    close, both = closeness(np.sin, np.sin, [1.0, 2.0], wait=runs)
    assert not close.differ(both).any() and runs == []
    assert close.relative == {"a": 0.0} and close.differ(both) is close.found["a"]


@pytest.mark.parametrize(("ulp", "runs"), [(14, 0), (18, 4)])
def test_nearby_samples_are_run_where_more_than_sixteen_last_places_differ(ulp, runs):
    met = []
    close, both = closeness(lambda x: x, lambda x: x * (1 + ulp * EPS), [1.0, 1.0], wait=met)
    assert not close.differ(both).any() and len(met) == runs
    assert close.relative["a"] == pytest.approx(ulp * EPS / (1 if not runs else 1 + 1 / 8), rel=0.2)
    moved = [x.tolist() for x, _ in met]
    assert {value for x in moved for value in x} <= {1 - 1 / 8, 1 + 1 / 8} and len(
        {*map(tuple, moved)}
    ) >= runs // 2
    assert [mix for _, mix in met] == [{k: 1.0} for k in range(1, runs + 1)]


def test_an_element_that_cancels_has_the_size_that_it_has_nearby():
    """x - y is 1e-13 here, and a quarter nearby."""

    def one(x):
        return x[:1] - x[1:]

    assert differ(one, lambda x: one(x) + 1e-12, [1.0, 1.0 - 1e-13]) == [False]
    assert differ(one, lambda x: one(x) + 1e-10, [1.0, 1.0 - 1e-13]) == [True]


def test_ten_times_the_noise_is_no_difference():
    """Large numbers that are added and taken off again leave noise, of 1e-16 times their size."""

    def noisy(x):
        return (x + 1e6) - 1e6

    assert differ(noisy, lambda x: x, [1e-3, 2e-3]) == [False, False]
    assert differ(lambda x: noisy(x) + 1e-6, lambda x: x, [1e-3, 2e-3]) == [True, True]


def test_noise_that_moves_do_not_show_is_that_of_smaller_or_larger_inputs():
    one, two = (lambda x: 1 - np.cos(x)), (lambda x: 2 * np.sin(x / 2) ** 2)
    assert differ(one, two, [1e-9, 3e-9]) == [False, False]
    assert differ(lambda x: one(x) + 1e-3 * x, two, [1e-9, 3e-9]) == [True, True]


def test_a_difference_that_is_not_linear_in_the_cotangent_is_rounding_if_the_gradients_are():
    """The gradients are linear, and rounded to float32: their sums show by how much."""

    def rerun(move, mix):
        moved = move(np.ones(3))
        right = (
            sum(weight * np.sin(np.arange(3.0) + seed + 1) for seed, weight in mix.items()) * moved / moved
        )
        return [pair(right.astype(np.float32), right)]

    close = Closeness(rerun, 1e-10, EPS)
    assert not close.differ(rerun(np.copy, {0: 1.0})[0]).any()
    assert 2.0**-26 < close.bend["a"].max() < 2.0**-22

    def squared(move, mix):
        right = sum(weight * np.sin(np.arange(3.0) + seed + 1) for seed, weight in mix.items())
        return [pair(right * abs(right), right)]

    close = Closeness(squared, 1e-10, EPS)
    assert close.differ(squared(np.copy, {0: 1.0})[0])[:2].all()


def test_where_a_function_cannot_run_it_is_passed_over():
    def refuse(x):
        if (x != [1.0, 2.0]).any():
            raise ValueError
        return x

    assert differ(refuse, lambda x: x + [0, 1e-3], [1.0, 2.0]) == [False, True]


def test_what_is_not_finite_differs_everywhere():
    close, both = closeness(lambda x: x * [1, NAN], lambda x: x, [1.0, 2.0])
    assert close.differ(both).tolist() == [False, True] and close.relative["a"] == INF
