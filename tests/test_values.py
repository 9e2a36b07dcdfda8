"""Why the outputs of two implementations differ: what is said of arrays made by hand."""

import numpy as np
import pytest

from minigrad.check.values import explain_values

X = np.cos(np.arange(24.0) ** 2).reshape(2, 3, 4) + 0.1
SQUARE = X.reshape(-1)[:16].reshape(4, 4) + np.eye(4)
SUMS = "{} elements along axes {} of {}: a sum where a mean belongs?"
MEANS = "{} elements along axes {} of {}: a mean where a sum belongs?"
LOST, MUCH = "is a root of it lost?", "is a root of it too much?"
DDOF = "another correction (ddof) of a variance?"
TIMES = "the output is {:.6g} times what it should be"


def told(mine, theirs, inputs=None, again=None):
    """Return (kind, text) of two outputs of a function of these inputs, by default of none that can be run again."""

    def none(_):
        raise ValueError

    return explain_values(np.array(mine, float), np.array(theirs, float), inputs or {}, again or none)


@pytest.mark.parametrize(
    ("factor", "meaning"),
    [
        (-1.0, ": the sign is flipped"),
        (-1.02, ": the sign is flipped"),
        (-1.03, ""),
        (24.0, f": {SUMS.format(24, (0, 1, 2), 'a')}"),
        (2.0, f": 4 elements along axes (2,) of a: {LOST}"),
        (3.0, f": {SUMS.format(3, (1,), 'a')}"),
        (6.0, f": {SUMS.format(6, (0, 1), 'a')}"),
        (5.0, f": {SUMS.format(5, (0,), 'b')}"),
        (1 / 12, f": {MEANS.format(12, (1, 2), 'a')}"),
        (1 / 5, f": {MEANS.format(5, (0,), 'b')}"),
        (5**0.5, f": 5 elements along axes (0,) of b: {LOST}"),
        (5**-0.5, f": 5 elements along axes (0,) of b: {MUCH}"),
        (5 / 4, f": 5 elements along axes (0,) of b: {DDOF}"),
        (4 / 5, f": 5 elements along axes (0,) of b: {DDOF}"),
        ((5 / 4) ** 0.5, f": 5 elements along axes (0,) of b: {DDOF}"),
        ((4 / 5) ** 0.5, f": 5 elements along axes (0,) of b: {DDOF}"),
        (5 + 3.9e-2, f": {SUMS.format(5, (0,), 'b')}"),
        (5 + 6e-2, ""),
        (7.0, ""),
        (0.0, ""),
    ],
)
def test_a_factor_is_named_after_the_elements_that_a_sum_or_mean_runs_over(factor, meaning):
    inputs = {"a": X, "b": np.ones(5)}
    expected = "factor", TIMES.format(factor) + meaning
    assert told(factor * X, X, inputs) == expected
    number = told(factor * X[0, 0, :1], X[0, 0, :1], inputs)
    assert number == expected if meaning else number[0] != "factor"


@pytest.mark.parametrize("factor", [1 + 3e-9, 0.5, 2.0])
def test_a_factor_of_no_input_is_a_number(factor):
    assert told(factor * X, X) == ("factor", TIMES.format(factor))
    assert told(factor * X, X, {"a": np.ones((1, 1)), "b": np.ones((0,))}) == ("factor", TIMES.format(factor))


def test_the_same_number_at_every_element_is_a_term():
    expected = "the output is off by -0.25 everywhere: is a bias or an eps another?"
    assert told(X - 0.25, X) == ("dropped term", expected)
    assert told(X[0, 0, :1] - 0.25, X[0, 0, :1])[0] == "value"


def test_a_hundredth_of_the_error_may_be_left():
    right = np.array([1.0, 2, 4, 8])
    assert told(right + 1 + [0.01, -0.01, 0, 0], right)[0] == "dropped term"
    assert told(right + 1 + [0.03, -0.03, 0, 0], right)[0] != "dropped term"


@pytest.mark.parametrize(
    ("mine", "kind", "text"),
    [
        (SQUARE.T, "transposed", "the output has its axes in the order (1, 0)"),
        (SQUARE[::-1], "misplaced", "the output is reversed along axis 0"),
        (np.roll(SQUARE, 1, 1), "misplaced", "the output is shifted by 1 along axis 1"),
        (SQUARE[[1, 0, 2, 3]], "misplaced", "the values are right but stand in other places: at (0, 0) is that of (1, 0); is an order not undone?"),
        (np.where(SQUARE < 0, 2 * SQUARE, SQUARE), "region", f"wrong only where the output is negative ({(SQUARE < 0).sum()} of 16 elements), by a factor of 2"),
        (SQUARE + np.diag([1, 0, 2, 0]), "value", "differs at 2 of 16 elements"),
    ],
)  # fmt: skip
def test_values_that_moved_are_told_from_others(mine, kind, text):
    found = told(mine, SQUARE)
    assert found == (kind, text)


def test_a_region_is_told_by_the_inputs():
    mine = np.where(X < 0, 2 * X, X)
    text = f"wrong only where a is negative ({(X < 0).sum()} of 24 elements), by a factor of 2"
    assert told(mine, X, {"a": X}) == ("region", text)


@pytest.mark.parametrize(
    ("right", "mine", "moved"),
    [
        ([1, 2, 3, 5], [2, 1, 5, 3], True),
        ([1, 2, 3, 3], [2, 1, 3, 3], False),
        ([1, 2, 3, 5], [2, 1, 5, 3 + 4e-5], True),
        ([1, 2, 3, 5], [2, 1, 5, 3 + 7e-5], False),
        ([1e-7, 2e-7, 3e-7, 1, 5], [3e-7, 2e-7, 1e-7, 5, 1], False),
        ([1e-9, 2e-9, 3e-9, 5e-9], [2e-9, 1e-9, 5e-9, 3e-9], True),
    ],
)
def test_values_stand_in_other_places_if_enough_of_them_are_different(right, mine, moved):
    kind, text = told(mine, right)
    assert (kind == "misplaced" and "stand in other places" in text) is moved


A, B = SQUARE, np.exp(SQUARE) + np.tri(4)
ROW = np.array([1.0, 2, 4, 8])


def product(inputs):
    return inputs["a"] @ inputs["b"] + 3 * inputs["b"] ** 2 + 100 * np.tri(4)


@pytest.mark.parametrize(
    ("fn", "given", "kind", "text"),
    [
        (product, lambda i: {**i, "a": i["a"][::-1]}, "misplaced", "a is read reversed along axes (0,)"),
        (product, lambda i: {**i, "b": i["b"][:, ::-1]}, "misplaced", "b is read reversed along axes (1,)"),
        (
            product,
            lambda i: {**i, "b": i["b"][::-1, ::-1]},
            "misplaced",
            "b is read reversed along axes (0, 1)",
        ),
        (product, lambda i: {**i, "b": i["b"].T}, "transposed", "b is read with axes 0 and 1 exchanged"),
        (product, lambda i: {"a": i["b"], "b": i["a"]}, "swapped", "a and b are exchanged"),
    ],
)
def test_inputs_that_are_read_otherwise_are_named(fn, given, kind, text):
    inputs = {"a": A, "b": B}
    assert told(fn(given(inputs)), fn(inputs), inputs, fn) == (kind, text)


def test_an_axis_that_is_worked_along_is_named():
    def softmax(inputs):
        e = np.exp(inputs["a"])
        return e / e.sum(1, keepdims=True)

    mine = np.exp(A) / np.exp(A).sum(0)
    expected = "wrong axis", "of axes 0 and 1 of a the wrong one is worked along"
    assert told(mine, softmax({"a": A}), {"a": A}, softmax) == expected


def test_what_cannot_run_on_inputs_of_other_shapes_is_passed_over():
    def first(inputs):
        return (inputs["a"] @ np.ones((3, 2)))[:, 0] * 1.0

    inputs = {"a": X[0].T, "b": ROW}
    right = first(inputs)
    assert told(right + [0.5, 0, 0.25, 0], right, inputs, first)[0] == "value"
