"""Two implementations of one function, of any library."""

import copy
import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import minigrad as mg
import nn
import nn.functional as F
from minigrad.check.compare import compare
from minigrad.check.gradcheck import GradientError
from minigrad.testing import arrays_for
from nn.functional.layer_norm import layer_norm
from nn.functional.softmax import softmax
from tests.faults.planting import damaged

RNG = np.random.default_rng(11)
X = RNG.standard_normal((3, 4))
JAX = importlib.util.find_spec("jax") is not None


def tanh_by_hand(x):
    t = np.tanh(x)
    return t, lambda dout: (dout * (1 - t * t),)


def tanh_without_square(x):
    t = np.tanh(x)
    return t, lambda dout: (dout * (1 - t),)


@pytest.mark.parametrize(
    "other", [torch.tanh, lambda x: torch.tanh(x), torch.nn.Tanh(), tanh_by_hand, nn.Tanh()]
)
def test_one_function_agrees_with_itself_in_another_library(other):
    found = compare(lambda x: x.tanh(), other, X)
    assert found and {row.dtype for row in found.rows} == {"float64", "float32"}


def test_a_layer_agrees_with_pytorch_parameter_by_parameter():
    ours, theirs = nn.TransformerEncoderLayer(4, 2, 6), torch.nn.TransformerEncoderLayer(4, 2, 6)
    found = compare(ours.eval(), theirs.eval(), RNG.standard_normal((3, 2, 4)))
    names = [row.name for row in found.rows if row.dtype == "float64"]
    assert found and not found.unmatched
    assert names[2:] == [f"gradient of {name}" for name, _ in ours.named_parameters()]


def test_dropout_agrees_with_pytorch_in_training_when_sealed():
    assert compare(nn.Dropout(0.3), torch.nn.Dropout(0.3), X, seal=True)


def test_the_parameters_of_both_are_left_as_they_were():
    ours, theirs = nn.Linear(4, 2), torch.nn.Linear(4, 2)
    before = copy.deepcopy(ours.state_dict()), {n: p.detach().clone() for n, p in theirs.named_parameters()}
    compare(ours, theirs, X)
    assert all(np.array_equal(a, before[0][n]) for n, a in ours.state_dict().items())
    assert all(torch.equal(p, before[1][n]) for n, p in theirs.named_parameters())


def test_what_does_not_match_is_listed():
    found = compare(nn.Linear(4, 2), torch.nn.Linear(4, 2, bias=False), X, raise_error=False)
    assert not found and found.unmatched == ["only in Linear (minigrad): bias (2,)"]
    assert "not matched" in str(found)
    found = compare(nn.Linear(4, 2), nn.Linear(4, 3), X, raise_error=False)
    assert "weight: (2, 4) and (3, 4)" in found.unmatched


def test_a_wrong_backward_is_found_and_the_report_says_who_is_right():
    with pytest.raises(GradientError) as caught:
        compare(tanh_without_square, torch.tanh, X)
    assert "against differences, tanh_without_square (numpy) is WRONG" in str(caught.value)
    assert "against differences, tanh (torch) is right" in str(caught.value)


def test_the_difference_of_two_gradients_is_diagnosed():
    found = compare((np.sin, lambda dout, x: 2 * dout * np.cos(x)), torch.sin, X, raise_error=False)
    assert [finding.kind for finding in found.findings] == ["factor"]


def test_different_values_are_found_before_gradients_are_compared():
    found = compare(lambda x: F.gelu(x), lambda x: F.gelu(x, approximate="tanh"), X, raise_error=False)
    assert [finding.kind for finding in found.findings] == ["value"]
    found = compare(lambda x: x.sum(0), lambda x: x.sum(1), X, raise_error=False)
    assert [finding.kind for finding in found.findings] == ["shape"]


# --- rounding, and what is none ---

SIZES = (1e-12, 1e-6, 1.0, 1e4)  # of the inputs
BOTH = {"libraries": ("minigrad", "torch"), "raise_error": False}


@pytest.mark.parametrize("size", SIZES[:3])
@pytest.mark.parametrize(
    ("one", "two"),
    [
        (lambda x: 1 - x.cos(), lambda x: 2 * torch.sin(x / 2) ** 2),
        (lambda x: x.exp() - 1, torch.expm1),
        (lambda x: (x + 1) * (x - 1) + 1, torch.square),
    ],
)
def test_what_rounding_has_lost_is_no_difference(one, two, size):
    for x in (X, X[0, :1]):
        assert compare(one, two, size * x, **BOTH)


def test_gradients_that_cancel_in_some_elements_alone_agree():
    """A softmax of large numbers: near 1, its slope p (1 - p) is the rest of a difference of ones."""
    x = 12 * np.random.default_rng(1).standard_normal((24, 24))
    assert compare(lambda x: F.softmax(x, -1), lambda x: torch.softmax(x, -1), x, **BOTH)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factor", [0.0, -1.0, 1.5, 1 + 1e-6])
def test_a_wrong_factor_is_found_whatever_the_size_of_the_inputs(size, factor):
    def off(x):
        return np.tanh(x / size), lambda dout: (factor * dout / np.cosh(x / size) ** 2 / size,)

    assert not compare(off, lambda x: torch.tanh(x / size), size * X, raise_error=False)
    scaled = compare(lambda x: x / size * factor, lambda x: x / size, size * X, dtypes="float64", **BOTH)
    assert not scaled and "factor" in "".join(scaled.kinds)


@pytest.mark.parametrize("at", range(4))
def test_no_element_hides_behind_a_large_one(at):
    x, kept = np.array([1e6, 100.0, 1.0, 1e-3]), np.arange(4) != at
    options = {"libraries": ("numpy", "torch"), "raise_error": False}
    value = compare(
        ((lambda x: x**3 * kept), (lambda dout, x: 3 * x * x * dout)), lambda x: x**3, x, **options
    )
    assert f"at ({at},) <lambda> (numpy) gives 0, <lambda> (torch) {x[at] ** 3:.8g}" in str(value)
    found = compare(
        ((lambda x: x**3), (lambda dout, x: 3 * x * x * dout * kept)), lambda x: x**3, x, **options
    )
    assert f"at ({at},) <lambda> (numpy) gives 0, " in str(found)


@pytest.mark.parametrize("bend", [lambda d: d * abs(d), abs, np.sign, lambda d: d + 1e-6])
def test_a_gradient_that_is_not_linear_is_not_excused_as_rounding(bend):
    assert not compare((np.copy, lambda dout, x: bend(dout)), lambda x: x * 1.0, X, raise_error=False)


def test_a_fast_function_is_not_taken_for_noise():
    x = np.array([1e8, 3e8, 1e4])
    off = (lambda x: np.sin(x)), (lambda dout, x: 1.5 * dout * np.cos(x))
    assert not compare(off, torch.sin, x, raise_error=False)
    assert not compare(lambda x: x + 1.5 * x.sin(), lambda x: x + x.sin(), x[2:] / 500, **BOTH)
    assert compare(mg.sin, torch.sin, x, **BOTH)


# --- values, and buffers ---


@pytest.mark.parametrize(
    ("kind", "said", "one", "two"),
    [
        ("factor", "4 elements along axes (1,) of input 0", lambda x: x.var(1, correction=0), lambda x: x.var(1)),
        ("factor", "(ddof)", lambda x: x.std(correction=0), lambda x: x.std()),
        ("factor", "a sum where a mean belongs", lambda x: x.sum(1), lambda x: x.mean(1)),
        ("factor", "a mean where a sum belongs", lambda x: x.mean(), lambda x: x.sum()),
        ("factor", "is a root of it lost", lambda x: x * 1.0, lambda x: x / 2.0),
        ("factor", "the sign is flipped", lambda x: -x, lambda x: x * 1.0),
        ("dropped term", "off by 0.25 everywhere", lambda x: x + 0.5, lambda x: x + 0.25),
        ("transposed", "in the order (1, 0)", lambda x: (x.T @ x / 9).exp().tril().T, lambda x: (x.T @ x / 9).exp().tril()),
        ("misplaced", "reversed along axis 1", lambda x: x.flip(1), lambda x: x * 1.0),
        ("misplaced", "an order not undone", lambda x: x[:, [1, 0, 3, 2]], lambda x: x * 1.0),
        ("wrong axis", "of axes 0 and 1", lambda x: x.softmax(0), lambda x: x.softmax(1)),
        ("region", "only where input 0 is negative", lambda x: F.leaky_relu(x, 0.2), lambda x: x.maximum(x * 0.1)),
        ("value", "at 12 of 12 elements", lambda x: x.sin(), lambda x: x.tanh()),
    ],
)  # fmt: skip
def test_values_that_differ_are_diagnosed(kind, said, one, two):
    found = compare(one, two, X, **BOTH)
    (finding,) = found.findings
    assert finding.kind == kind and said in finding.text and "(torch) is right); at (" in finding.text


@pytest.mark.parametrize(
    ("kind", "said", "one", "two", "shapes"),
    [
        ("misplaced", "input 1 is read reversed along axes (2,)", lambda x, w: F.conv1d(x, w.flip(-1)), lambda x, w: torch.conv1d(x, w), [(2, 1, 7), (1, 1, 3)]),
        ("transposed", "input 1 is read with axes 0 and 1 exchanged", lambda x, w: x @ w, lambda x, w: x @ w.T, [(3, 4), (4, 4)]),
        ("swapped", "input 0 and input 1 are exchanged", lambda x, y: x - 2 * y, lambda x, y: y - 2 * x, [(3, 4), (3, 4)]),
    ],
)  # fmt: skip
def test_inputs_read_in_another_order_are_named(kind, said, one, two, shapes):
    found = compare(one, two, tuple(RNG.standard_normal(shape) for shape in shapes), **BOTH)
    assert found.kinds == [kind] and said in str(found)


def test_buffers_are_shared_and_what_a_call_leaves_in_them_is_compared():
    x, ours = RNG.standard_normal((5, 4)), nn.BatchNorm1d(4)
    ours.running_mean.array[...] = 0.3
    found = compare(ours, torch.nn.BatchNorm1d(4), x)
    assert [row.name for row in found.rows][1:3] == ["buffer running_mean", "buffer running_var"]
    assert compare(ours.eval(), torch.nn.BatchNorm1d(4).eval(), x)
    found = compare(nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4, momentum=0.2), x, raise_error=False)
    assert [finding.where for finding in found.findings] == ["buffer running_mean", "buffer running_var"]


def test_shapes_are_drawn_by_a_strategy_and_the_worst_is_kept():
    found = compare(softmax, lambda x: torch.softmax(x, -1), arrays_for("btc"), examples=7)
    assert found and found.examples >= 7 and len(found.rows) == 4


def test_a_failure_over_drawn_shapes_is_reduced_to_the_smallest():
    def wrong(x):
        y = np.sin(x)
        return y, lambda dout: (dout * np.cos(x) * (1.0 if x.shape[0] < 3 else 2.0),)

    found = compare(wrong, torch.sin, arrays_for("bc"), raise_error=False)
    assert not found and found.rows[0].shape == (3, 1)


def torch_layer_norm(x, weight, bias):
    return torch.nn.functional.layer_norm(x, weight.shape, weight, bias)


def test_a_gradient_that_cancels_to_zero_through_large_numbers_is_no_false_alarm():
    """Of one channel the layer norm is constant, but 1 / sqrt(eps) = 316 is met on the way."""
    rng = np.random.default_rng(5)
    for seed in range(12):
        inputs = [rng.standard_normal(shape) for shape in ((1, 1), (1,), (1,))]
        assert compare(layer_norm, torch_layer_norm, inputs, seed=seed)
    assert compare(layer_norm, torch_layer_norm, arrays_for("btc", "c", "c"))


@pytest.mark.parametrize("dtypes", [("float64", "float32"), ("float32",)])
def test_a_fault_of_a_thousandth_is_found_where_only_float32_has_it(dtypes):
    def in_float32(g, dout, xs, out):
        return tuple(grad * grad.dtype.type(1.001 if grad.dtype == np.float32 else 1.0) for grad in g)

    inputs = [RNG.standard_normal(shape) for shape in ((4, 5), (5,), (5,))]
    wrong = damaged(layer_norm, in_float32)
    found = compare(wrong, torch_layer_norm, inputs, dtypes=dtypes, raise_error=False)
    assert [row.ok for row in found.rows][-3:] == [False] * 3 and found.rows[-1].dtype == "float32"


def test_nan_and_inf_in_both_are_named_and_the_rest_is_compared():
    x = np.array([-1.0, 0.0, 2.0])
    found = compare(mg.sqrt, torch.sqrt, x)  # values: NaN, 0, 1.4; gradients: NaN, inf, 0.35
    assert found and "gradient of input 0: non-finite: NaN or inf in both at the same places" in str(found)
    wrong = (np.sqrt, lambda dout, x: dout / np.sqrt(x))
    found = compare(wrong, torch.sqrt, x, raise_error=False)
    assert not found and 0.1 < found.rows[-1].relative < 10


def test_nan_where_the_other_has_a_number_is_named_with_its_place():
    def flat(x):
        return torch.sqrt(torch.relu(x))

    found = compare(mg.sqrt, flat, np.array([1.0, -1.0]), raise_error=False)
    expected = "output 0: non-finite: sqrt (minigrad) gives nan at (1,), where flat (torch) gives 0.0"
    assert [str(finding) for finding in found.findings] == [expected]
    backwards = (lambda x: np.sqrt(x)), (lambda dout, x: dout * np.nan)
    found = compare(backwards, torch.sqrt, np.array([1.0, 4.0]), raise_error=False)
    assert [finding.kind for finding in found.findings] == ["non-finite"]


def test_nothing_but_nan_is_no_agreement():
    found = compare(mg.log, torch.log, np.array([-1.0, -2.0]), raise_error=False)
    assert [finding.kind for finding in found.findings] == ["non-finite"]
    assert "there is nothing to compare" in str(found)


@pytest.mark.parametrize("pair", [(None, softmax), (softmax, 3), ((np.sin, None), torch.sin)])
def test_what_is_no_function_is_refused(pair):
    with pytest.raises(TypeError, match="expected a function; got (None|3)$"):
        compare(*pair, X)


def test_a_class_is_refused_with_what_to_do():
    with pytest.raises(TypeError, match="expected a function; got the class Linear; make an instance of it"):
        compare(nn.Linear, torch.nn.Linear, X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtypes": ("float16",)}, "expected dtypes among float64 and float32"),
        ({"dtypes": ()}, "expected dtypes among float64 and float32"),
        ({"libraries": "torch"}, "expected libraries as a pair"),
        ({"libraries": ("cupy", None)}, "expected one of minigrad, numpy, torch, jax; got 'cupy'"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        compare(softmax, softmax, X, **options)


def test_a_dtype_and_a_tolerance_may_stand_alone():
    found = compare(np_square, torch.square, X, dtypes="float32", rtol=1e-3)
    assert found and {row.dtype for row in found.rows} == {"float32"}
    assert not compare(lambda x: x * 1.0001, lambda x: x * 1.0, X, rtol=1e-5, raise_error=False)
    assert compare(lambda x: x * 1.0001, lambda x: x * 1.0, X, rtol=1e-3)


def np_square(x):
    return x * x, lambda dout: (2 * dout * x,)


def test_a_backward_that_returns_no_arrays_is_named():
    found = compare((np.sin, lambda dout, x: 3), torch.sin, X, raise_error=False)
    assert "the gradient for input 0 is int, not an array" in str(found)


def test_a_strategy_is_refused_before_it_draws():
    with pytest.raises(TypeError, match='arrays_for: expected axes named by letters, like "btc"; got 3'):
        arrays_for(3)
    with pytest.raises(ValueError, match="arrays_for: expected values among normal, .*; got 'large'"):
        arrays_for("bc", values="large")
    with pytest.raises(ValueError, match=r"arrays_for: expected lengths as a pair \(least, most\); got 3"):
        arrays_for("bc", lengths=3)


def test_a_cotangent_is_never_the_users_data():
    """A layer norm whose cotangent is its input has a gradient of zero, which hides any factor."""
    x = np.random.default_rng(0).standard_normal((5, 8))
    wrong = damaged(layer_norm, lambda g, dout, xs, out: (g[0] * 1.5, None, None))
    assert not compare(wrong, layer_norm, x, raise_error=False)


def test_integer_inputs_stay_integers():
    ids = np.array([[0, 2], [2, 1]])
    assert compare(nn.Embedding(3, 4), torch.nn.Embedding(3, 4), ids)


# --- kinks, and what cannot be compared ---

KINKED = np.array([0.0, 1.0, -1.0, 0.3])


def test_two_right_gradients_that_differ_at_a_kink_alone_are_noted():
    found = compare(F.relu, lambda x: torch.clamp(x, min=0), KINKED)
    assert found and all(row.ok for row in found.rows)
    assert "they differ at a kink" in str(found)


def test_a_difference_beside_a_kink_is_found_though_differences_cannot_tell():
    def off(x):
        return np.maximum(x, 0), lambda dout: (dout * (x >= 0) * (1 + 1e-8 * (x > 0.5)),)

    found = compare(F.relu, off, KINKED, dtypes="float64", raise_error=False)
    assert not found and "they differ at a kink" not in str(found)


def test_a_wrong_gradient_is_not_excused_by_a_kink():
    def off(x):
        return np.maximum(x, 0), lambda dout: (dout * ((x > 0) + 7.0 * (abs(x) < 0.01)),)

    found = compare(F.relu, off, KINKED, dtypes="float64", raise_error=False)
    assert not found and "off (numpy) is WRONG" in str(found)


def test_dropout_left_on_is_called_non_deterministic():
    found = compare(nn.Dropout(0.5), torch.nn.Dropout(0.5), X, raise_error=False)
    assert [finding.kind for finding in found.findings] == ["non-deterministic"] * 2
    assert "Dropout (torch): non-deterministic" in str(found)


def test_an_overwritten_input_is_named_with_the_side_that_does_it():
    libraries = "minigrad", "torch"
    found = compare(
        lambda x: x * 2.0, lambda x: torch.mul(x.mul_(2), 1), X, libraries=libraries, raise_error=False
    )
    assert "(torch) input 0: mutation: the function overwrites this input" in str(found)


def test_a_kink_is_noted_over_drawn_inputs_too():
    found = compare(F.relu, lambda x: torch.clamp(x, min=0), st.just((KINKED,)), examples=2)
    assert found and "they differ at a kink" in str(found)
