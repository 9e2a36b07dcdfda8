"""A gradient that is off by one factor, and one that nothing explains: what is said of it, to the digit."""

import numpy as np
import pytest

from minigrad.check import diagnosis
from minigrad.check.diagnosis import diagnose
from minigrad.check.evidence import Grid
from tests.support.evidence import linear, told
from tests.test_explanations import said

NAN, INF = np.nan, np.inf
KINKS = {"kink": np.ones(2, bool)}  # then the slopes along directions are all there is


def times(k, meaning="", about=""):
    return f"the gradient is {about}{k} times what it should be{meaning}"


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (told([1, 2, 4], [1.5, 3, 6]), times(1.5)),
        (told([1, 2, 4], [1.5, 3, 6.5]), ""),
        (told([1, 2, 4], [-1, -2, -4]), times(-1, ": the sign is flipped")),
        (told([0, 0], [1, 1]), ""),
        (told([1, 2], [1, 2]), ""),
        (told([1, 2], [2, 4], **KINKS), ""),
        (told([1e-30, 2e-30], [1.5e-30, 3e-30]), times(1.5)),
        (told([1e-160, 2e-160], [1.5e-160, 3e-160]), ""),
        (told([1], [1 + 7e-9]), times("1.000000007")),
        (told([1], [1 + 4e-9]), ""),
        (told([1000], [1004.9], error=[1.0]), ""),
        (told([1, 2, 4], [1.5, 3, 6.02]), times(1.50381)),
        (told([1, 2, 4], [1.5, 3, 6.3]), ""),
        (told([0, 1], [0, 1], slopes=[(1.2, 0.1, 0.2)], **KINKS), times(12, about="about ")),
        (told([1, 2], [1.5, 3], elsewhere=[(0.0, 0.0, 0.0)]), times(1.5)),
        (told([1000], [1005.3], error=[1.0]), times(1.005)),
        (told([1, 1000], [1.001, 1003], error=[1e-6, 1]), times(1.001, about="about ")),
        (told([1, 1000], [1.001, 1004.5], error=[1e-6, 1]), ""),
        (told([1000] * 4, [1001] * 4, error=[0.3] * 4), times("1.001", about="about ")),
        (told([1000] * 4, [1001] * 4, error=[0.28] * 4), times("1.001")),
        (told([0, 1], [0, 1], slopes=[(1.5, 1.0, 0.01), (3.0, 2.0, 0.01)], **KINKS), times(1.5, about="about ")),
        (told([0, 1], [0, 1], slopes=[(1.5, 1.0, 0.01), (3.3, 2.0, 0.01)], **KINKS), ""),
        (told([0, 1], [0, 1], slopes=[(1.5, 1.0, 1e-3), (3.0, 2.0, 1e-3), (5.0, 5.01, 0.1)], **KINKS), times(1.5, about="about ")),
        (told([1, 2], [1.5, 3], slopes=[(2.0, 1.0, 0.01)]), ""),
        (told([1, 2], [1.5, 3], elsewhere=[(3.0, 2.0, 0), (1.5 + 0.4e-4, 1.0, 0.0)]), times(1.5)),
        (told([1, 2], [1.5, 3], elsewhere=[(3.0, 2.0, 0), (1.5 + 0.8e-4, 1.0, 0.0)]), ""),
        (told([1, 2], [1.5, 3], elsewhere=[(1.5 + 4e-3, 1.0, 1e-3)]), times(1.5)),
        (told([1, 2], [1.5, 3], elsewhere=[(1.5 + 5e-3, 1.0, 1e-3)]), ""),
        (told([1, 2], [-3, -6], elsewhere=[(-3 + 8e-3, 1.0, 1e-3)]), times(-3)),
        (told([1, 2], [1.5, 3], elsewhere=[(1.0, 1.0, 0.0)]), ""),
    ],
)  # fmt: skip
def test_a_factor_is_told_where_all_agree_on_it(evidence, expected):
    assert said(diagnosis._factor, evidence) == expected


@pytest.mark.parametrize(
    ("k", "blur", "expected"),
    [
        (1.5, 1e-12, "1.5"),
        (1.0012345678, 1e-12, "1.00123"),
        (1.0005678912, 1e-12, "1.000568"),
        (1.00000312345, 1e-15, "1.00000312"),
        (1 + 1.23456e-11, 1e-18, "1.00000000001"),
        (1.0, 1e-9, "1"),
        (0.0, 1e-3, "0"),
        (-0.123456789, 1e-3, "-0.123"),
        (0.56789, 0.4, "0.57"),
        (12345.678, 1e-9, "12345.7"),
    ],
)
def test_a_factor_has_the_digits_that_are_known_and_tell_it_from_1(k, blur, expected):
    assert diagnosis._digits(k, blur) == expected


MEAN, SUM = ": is a mean's 1/N missing?", ": is a mean taken for a sum?"
OF_INPUT, OF_OUTPUT = "the length of axis {} of the input", "the length of axis {} of the output"
HALF, TWICE = ": is one of two equal uses lost, or a 2?", ": is a term counted twice?"


@pytest.mark.parametrize(
    ("k", "blur", "shapes", "expected"),
    [
        (0.0, 0.1, [(3, 5), (7,)], ""),
        (1.0, 0.0, [(1, 5), (1,)], ""),
        (1.7, 0.0, [(3, 5), (7,)], ""),
        (3.0, 0.0, [(3, 5), (7,)], f": {OF_INPUT.format(0)}{MEAN}"),
        (-5.0, 0.0, [(3, 5), (7,)], f": {OF_INPUT.format(1)}{MEAN}"),
        (7.0, 0.0, [(3, 5), (7,)], f": {OF_OUTPUT.format(0)}{MEAN}"),
        (14.0, 0.0, [(3, 5), (7, 2)], f": the number of outputs{MEAN}"),
        (15.0, 0.0, [(3, 5), (7,)], f": the number of inputs{MEAN}"),
        (3.0, 0.0, [(3, 3), (3,)], f": {OF_INPUT.format(0)}{MEAN} or the root of the number of inputs"),
        (1 / 3, 0.0, [(3, 5), (7,)], f": one over {OF_INPUT.format(0)}{SUM}"),
        (3**0.5, 0.0, [(3, 5), (7,)], f": the root of {OF_INPUT.format(0)}"),
        (5**-0.5, 0.0, [(3, 5), (7,)], f": one over the root of {OF_INPUT.format(1)}"),
        (2.0, 0.0, [(3, 5), (7,)], TWICE),
        (0.5, 0.0, [(3, 5), (7,)], HALF),
        (2.0, 0.0, [(2, 4), (7,)], f"{TWICE} or {OF_INPUT.format(0)}{MEAN} or the root of {OF_INPUT.format(1)}"),
        (0.5, 0.0, [(2, 5), (4,)], f"{HALF} or one over {OF_INPUT.format(0)}{SUM} or one over the root of {OF_OUTPUT.format(0)}"),
        (2 * (1 + 0.9e-6), 0.0, [(3, 5), (7,)], TWICE),
        (2 * (1 + 1.5e-6), 0.0, [(3, 5), (7,)], ""),
        (2 * (1 + 2.5e-3), 2e-3, [(3, 5), (7,)], TWICE),
        (2 * (1 + 3.5e-3), 2e-3, [(3, 5), (7,)], ""),
        (-1 - 2.5e-3, 1e-3, [(3, 5), (7,)], ": the sign is flipped"),
        (-1 - 3.5e-3, 1e-3, [(3, 5), (7,)], ""),
        (3 * (1 + 2.5e-3), 3e-3, [(3, 5), (7,)], f": {OF_INPUT.format(0)}{MEAN}"),
        (-0.001, 1.0, [(3, 5), (7,)], ": the sign is flipped"),
    ],
)  # fmt: skip
def test_where_a_factor_may_come_from(k, blur, shapes, expected):
    x, y = (np.ones(shape) for shape in shapes)
    assert diagnosis._meaning(k, blur, told(x, x, y=y)) == expected


# --- nothing fits ---

RIGHT = np.array([[1.0, 2, 4], [8, 16, 33]])
PART = Grid((9, 3), (np.array([2, 5]), np.arange(3)), (np.zeros(2, bool), np.zeros(3, bool)))


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (told(RIGHT, RIGHT), "the slopes along directions differ, but no single element is surely wrong: too near to kinks or noise"),
        (told([3, 4], [3, 9]), "wrong at 1 of 2 elements, most at (1,); the error is 1 of the gradient's length; right at index 0 of axis 0"),
        (told([[3, 4]], [[8, 4]]), "wrong at 1 of 2 elements, most at (0, 0); the error is 1 of the gradient's length; right at index 1 of axis 1"),
        (told([3, 4], [6, 7]), "wrong at 2 of 2 elements, most at (0,); the error is 0.85 of the gradient's length; wrong elements are 1.75 to 2 times what they should be, the median 1.88"),
        (told([-3, 4, 5, 5], [0, 7, 5, 6]), "wrong at 3 of 4 elements, most at (0,); the error is 0.5 of the gradient's length; wrong elements are 0 to 1.75 times what they should be, the median 1.2; right at index 2 of axis 0"),
        (told([0, 4, 3], [3, 8, 3]), "wrong at 2 of 3 elements, most at (1,); the error is 1 of the gradient's length; right at index 2 of axis 0"),
        (told(RIGHT, RIGHT + [[1, 0, 0], [0, 0, 2]], grid=PART), "wrong at about 33% of 27 elements, most at (5, 2); the error is 0.059 of the gradient's length; wrong elements are 1.06 to 2 times what they should be, the median 1.53"),
        (told(RIGHT, RIGHT + [[1, 0, 0], [2, 0, 0]]), "wrong at 2 of 6 elements, most at (1, 0); the error is 0.059 of the gradient's length; wrong elements are 1.25 to 2 times what they should be, the median 1.62; right at indices 1, 2 of axis 1"),
        (told([1000] * 4, [1001, 1001, 1001, 999], error=[0.3] * 4), "wrong at 4 of 4 elements, most at (0,); the error is 0.001 of the gradient's length, hardly above the numerical noise, which hides its pattern"),
        (told([1000, 1000], [1001, 999], error=[0.28] * 2), "wrong at 2 of 2 elements, most at (0,); the error is 0.001 of the gradient's length; wrong elements are 0.999 to 1 times what they should be, the median 1"),
    ],
)  # fmt: skip
def test_what_nothing_explains_is_described(evidence, expected):
    assert said(diagnosis._pattern, evidence) == expected


def test_of_no_elements_none_is_wrong():
    assert str(diagnose(told([], []))) == "unexplained: there is no element that could be wrong"
    assert str(diagnose(told([0, 1, 2], [3, 3, 5]))).startswith("unexplained: wrong at 3 of 3 elements")
    assert str(diagnose(told([3, 4], [6, 7.5]))).startswith("unexplained: wrong at 2 of 2 elements")
    assert str(diagnose(linear(np.diag([2.0, 3]), np.eye(2)))).startswith("no derivative: the cotangent is")
