"""minigrad.testing: what its strategies draw, what they refuse, and what its assertion checks."""

import numpy as np
import pytest
from hypothesis import given, settings

from minigrad.check.gradcheck import GradientError
from minigrad.tensor import Tensor
from minigrad.testing import VALUES, arrays_for, assert_gradients
from tests.faults.planting import damaged
from tests.support import raw as primitives


def drawn(*shapes, **options):
    """What the strategy gave in sixty draws."""
    found = []

    @settings(max_examples=60)
    @given(arrays_for(*shapes, **options))
    def collect(arrays):
        found.append(arrays)

    collect()
    return found


def test_a_letter_is_one_length_in_all_arrays_and_1_is_one():
    found = drawn("ab", "b1", "1a", "")
    assert all(x.shape == (a, b) for x, y, z, _ in found for a, b in [(z.shape[1], y.shape[0])])
    assert all(y.shape[1] == z.shape[0] == 1 and single.shape == () for _, y, z, single in found)
    assert all(array.dtype == np.float64 for arrays in found for array in arrays)
    assert all(array.dtype == np.float32 for (array,) in drawn("ab", dtype=np.float32))


@pytest.mark.parametrize("lengths", [(1, 5), (0, 2), (0, 0), (3, 3)])
def test_lengths_go_from_the_least_to_the_most(lengths):
    options = {} if lengths == (1, 5) else {"lengths": lengths}  # that is the default
    found = {n for (x,) in drawn("ab", **options) for n in x.shape}
    assert found == set(range(lengths[0], lengths[1] + 1))


def test_the_same_lengths_come_with_other_numbers():
    assert len({x.item() for (x,) in drawn("1")}) > 10


def test_values_are_what_they_are_called():
    many = {name: draw(np.random.default_rng(0), 10_000) for name, draw in VALUES.items()}
    for name, low, high in (("positive", 0.5, 2.0), ("unit", -0.9, 0.9)):
        assert low <= many[name].min() < low + 0.01 and high - 0.01 < many[name].max() <= high
    assert abs(many["normal"].mean()) < 0.05 and abs(many["normal"].std() - 1) < 0.05
    kinks = many["kinks"]
    assert abs((kinks == 0).mean() - 0.3) < 0.02 and abs(kinks[kinks != 0].std() - 1) < 0.05
    assert all(x.min() >= 0.5 for (x,) in drawn("ab", values="positive"))


@pytest.mark.parametrize(
    "shapes, options, error, message",
    [
        (("ab", (2, 3)), {}, TypeError, r'axes named by letters, like "btc"; got \(2, 3\)'),
        (("a",), {"values": "large"}, ValueError, "values among normal, positive, unit, kinks; got 'large'"),
        *[
            (("a",), {"lengths": lengths}, ValueError, r"lengths as a pair \(least, most\)")
            for lengths in ((-1, 2), (3, 2), [1, 2], (1, 2, 3), (1,), 5)
        ],
    ],
)
def test_what_names_no_arrays_is_refused(shapes, options, error, message):
    with pytest.raises(error, match=f"arrays_for: expected {message}"):
        arrays_for(*shapes, **options)


def test_the_assertion_checks_each_order_with_the_options_and_fails_with_the_report(monkeypatch):
    x = np.array([0.3, -0.7])
    assert_gradients(Tensor.tanh, x, orders=(1, 2))
    with pytest.raises(GradientError, match="WRONG"):
        assert_gradients(damaged(primitives.tanh, lambda g, *_: (g[0] * 1.01,)), x)
    seen = []
    monkeypatch.setattr("minigrad.testing.gradcheck", lambda fn, inputs, **options: seen.append(options))
    assert_gradients(Tensor.tanh, x, rtol=0.5)
    assert_gradients(Tensor.tanh, x, orders=(2, 1))
    assert seen == [{"order": 1, "rtol": 0.5}, {"order": 2}, {"order": 1}]
