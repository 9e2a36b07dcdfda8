"""The gradient checker: what it accepts, what it says, and that it measures to 1e-10."""

import copy
import cProfile
import gc
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
import nn
import nn.functional as F
from minigrad import Tensor
from minigrad.check.curves import RTOL
from minigrad.check.differences import Ladder, complex_step, noise_floor
from minigrad.check.gradcheck import GradientError, gradcheck
from minigrad.random import Generator
from minigrad.tensor import lift, wrap
from minigrad.testing import arrays_for, assert_gradients, sealed_generator  # noqa: F401  (a fixture)
from nn.functional.layer_norm import layer_norm
from nn.functional.linear import linear
from nn.functional.softmax import softmax
from tests.faults.graphs import random_graph
from tests.faults.planting import damaged
from tests.support import raw as primitives

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((3, 4)), RNG.standard_normal((2, 4)), RNG.standard_normal(2)


def scaled(fn, factor, which=0):
    """The operation with one gradient off by a factor."""
    return damaged(fn, lambda g, *_: tuple(a * factor if i == which else a for i, a in enumerate(g)))


@given(arrays_for("bti", "oi", "o"))
def test_a_right_gradient_passes_at_every_shape(inputs):
    assert_gradients(linear, *inputs, orders=(1, 2))


@given(arrays_for("btc", lengths=(1, 4)), st.floats(1.001, 1.1))
def test_a_factor_of_a_thousandth_fails_at_every_shape(inputs, factor):
    with pytest.raises(GradientError, match="WRONG"):
        gradcheck(scaled(primitives.tanh, factor), inputs)


def test_the_numerical_side_is_good_to_1e_10_in_float64():
    report = gradcheck(layer_norm, (X, W[0], W[1]))
    assert max(row.relative for row in report.rows) < 1e-10


def test_the_report_names_the_input_the_index_both_values_and_the_errors():
    def wrong(x, weight, bias):
        y, vjp = linear.array(x, weight, bias)

        def back(dy):
            dx, dweight, dbias = vjp(dy)
            dweight[1, 2] += 0.25
            return dx, dweight, dbias

        return y, back

    report = gradcheck(lift(wrong), (X, W, B), raise_error=False)
    worst = report.worst[0]
    assert (worst.name, worst.index) == ("input 1", (1, 2))
    assert worst.claimed - worst.measured == pytest.approx(0.25, rel=1e-6)
    assert worst.ulp == pytest.approx(0.25 / np.spacing(abs(worst.measured)), rel=1e-6)
    assert [row.ok for row in report.rows] == [True, False, True]
    text = str(report)
    assert f"{worst.claimed:.8g}" in text and f"{worst.measured:.8g}" in text and "(1, 2)" in text
    assert "output at " in text and "by input 1 at " in text
    assert not report and not report.ok


def test_a_wrong_element_is_found_in_an_input_too_large_to_examine_whole():
    x = RNG.standard_normal((50, 60))
    report = gradcheck(scaled(primitives.sin, 1.01), x, raise_error=False)
    assert report.kinds == ["factor"]


def bumped(*places):
    """sin, whose gradient is wrong by 0.3, 0.6, ... at these places."""

    def fn(x):
        def vjp(dout):
            dx = dout * np.cos(x)
            for i, place in enumerate(places):
                dx[place] += 0.3 * (i + 1)
            return (dx,)

        return np.sin(x), vjp

    return fn


@pytest.mark.parametrize(
    ("shape", "places"),
    [
        ((60, 60), [(17, 23)]),
        ((60, 50), [(17, 3), (40, 49)]),
        ((3000,), [(2999,)]),
        ((10, 5, 6, 7), [(9, 4, 0, 6), (1, 2, 3, 4)]),
    ],
)
def test_the_worst_elements_of_a_large_input_are_found_and_named_by_their_true_index(shape, places):
    report = gradcheck(bumped(*places), np.random.default_rng(2).standard_normal(shape), raise_error=False)
    assert {worst.index for worst in report.worst} == set(places)
    for worst in report.worst:
        error = 0.3 * (places.index(worst.index) + 1)
        assert worst.claimed - worst.measured == pytest.approx(error, rel=1e-6)
        assert worst.ulp == pytest.approx(error / np.spacing(abs(worst.measured)), rel=1e-6)
    assert report.kinds == ["region"] and all(str(place) in str(report.findings[0]) for place in places)
    assert f"few of all {np.prod(shape):,}" in str(report)


def test_finding_an_element_takes_as_many_slopes_as_its_index_has_bits():
    """Two for each halving, beside those of the elements that are examined one by one."""
    counted = []
    for side in (40, 160):
        calls = 0

        def fn(x):
            nonlocal calls
            calls += 1
            return bumped((1, 2))(x)

        gradcheck(fn, np.random.default_rng(2).standard_normal((side, side)), raise_error=False)
        counted.append(calls)
    assert counted[1] < 1.2 * counted[0]


def test_nan_is_found_in_a_large_input():
    def fn(x):
        y, vjp = bumped()(x)
        return y, lambda dout: (np.where(np.arange(x.size).reshape(x.shape) == 1234, np.nan, vjp(dout)[0]),)

    report = gradcheck(fn, RNG.standard_normal((50, 60)), raise_error=False)
    assert report.kinds == ["non-finite"] and "gives nan at (20, 34)" in str(report)


def test_an_error_that_is_everywhere_is_said_to_be():
    report = gradcheck(scaled(primitives.sin, 1.01), RNG.standard_normal((200, 200)), raise_error=False)
    assert "wrong in about all of 40,000 elements" in str(report)
    assert all(len(worst.index) == 2 for worst in report.worst) and len(report.worst) == 5


def test_an_error_in_half_of_the_elements_is_estimated():
    def fn(x):
        return abs(x), lambda dout: (dout.copy(),)

    report = gradcheck(fn, RNG.standard_normal((60, 60)), raise_error=False)
    share = float(str(report).split("wrong in about ")[1].split("%")[0])
    assert report.kinds == ["region"] and 35 < share < 65


def test_the_parameters_of_a_module_are_checked_by_name_and_left_as_they_were():
    model = nn.MLP(4)
    before = copy.deepcopy(model.state_dict())
    report = gradcheck(model, X, dtype="float64")
    assert [row.name for row in report.rows][1:] == [name for name, _ in model.named_parameters()]
    assert all(np.array_equal(before[n], a) and a.dtype == np.float32 for n, a in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_the_running_statistics_of_a_batch_norm_are_left_as_they_were():
    layer = nn.BatchNorm1d(4)
    before = copy.deepcopy(layer.state_dict())
    assert gradcheck(layer, X)
    assert all(np.array_equal(before[name], a) for name, a in layer.state_dict().items())


def test_float32_inputs_are_differenced_in_float64_where_the_function_can():
    report = gradcheck(F.gelu, X.astype(np.float32))
    assert report.dtype == "float32" and not report.notes
    assert report.rows[0].ulp < 20


@pytest.mark.parametrize("factor", [1.0, 1.003])
def test_a_function_that_runs_in_float32_only_is_checked_above_its_noise(factor):
    table = wrap(RNG.standard_normal((4, 5)).astype(np.float32))
    report = gradcheck(
        lambda x: scaled(primitives.tanh, factor)(x @ table), X.astype(np.float32), raise_error=False
    )
    assert report.ok == (factor == 1.0)
    assert "float32 only" in report.notes[0]


@pytest.mark.parametrize("distance", [0.0, 1e-12, -1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("fn", [mg.relu, abs, lambda x: mg.maximum(x, 0.0), lambda x: x.clip(0.0, 1.0)])
def test_a_kink_near_the_sample_raises_no_alarm(fn, distance):
    assert gradcheck(fn, np.array([distance, 1.5, -0.7]))


def test_a_kink_at_the_sample_is_noted():
    report = gradcheck(mg.relu, np.array([0.0, 1.0]))
    assert report.ok and "not differentiable at the sample" in str(report)


def test_an_infinite_slope_is_noted_and_nan_is_refused_where_there_is_no_slope():
    report = gradcheck(lambda x: x.sqrt(), np.zeros(3))
    assert "the vjp gives inf at (0,)" in str(report) and "not differentiable" in str(report)
    report = gradcheck(lambda x: (x * x).sum().sqrt(), np.zeros(3), raise_error=False)
    assert report.kinds == ["non-finite"]
    assert "gives nan at (0,), where the function is not differentiable" in str(report)


def test_a_wrong_gradient_at_a_kink_is_still_found():
    assert not gradcheck(scaled(primitives.relu, 1.1), np.array([0.0, 1.0, -1.0]), raise_error=False)


def test_a_gradient_that_is_wrong_at_one_smooth_point_only_is_found():
    def square(x):
        return x * x, lambda dout: (dout * 2.0 * x * (x != 0) + (x == 0) * 1.0,)

    assert not gradcheck(lift(square), np.array([0.0, 1.0, -1.0]), raise_error=False)


def test_dropout_left_on_is_called_non_deterministic_and_sealed_it_passes():
    layer = nn.Dropout(0.5)
    report = gradcheck(layer, X, raise_error=False)
    assert report.kinds == ["non-deterministic"] and "model.eval()" in str(report)
    assert gradcheck(layer, X, seal=True)
    assert gradcheck(layer.eval(), X)


def test_a_generator_of_the_users_own_can_be_sealed():
    rng = Generator(3)
    report = gradcheck(lambda x: F.dropout(x, 0.5, rng=rng), X, seal=True, raise_error=False)
    assert report.kinds == ["non-deterministic"] and "other than the sealed one" in str(report)
    assert gradcheck(lambda x: F.dropout(x, 0.5, rng=rng), X, seal=rng)


def test_the_default_generator_is_left_as_it_was():
    mg.manual_seed(1)
    expected = mg.rand(3).numpy()
    mg.manual_seed(1)
    gradcheck(nn.Dropout(0.5), X, seal=True)
    assert np.array_equal(mg.rand(3).numpy(), expected)


def test_a_function_that_overwrites_its_input_is_refused():
    def doubled(x):
        x.array[...] *= 2.0
        return x + 1.0

    x = X.copy()
    report = gradcheck(doubled, x, raise_error=False)
    assert report.kinds == ["mutation"] and np.array_equal(x, X)


def test_a_numpy_function_with_a_hand_written_backward_is_checked():
    def right(x):
        t = np.tanh(x)
        return t, lambda dout: (dout * (1 - t * t),)

    assert gradcheck(right, X).library == "numpy"
    assert gradcheck((np.tanh, lambda dout, x: dout / np.cosh(x) ** 2), X)
    assert gradcheck((np.tanh, lambda dout, x: dout), X, raise_error=False).kinds == ["no derivative"]


def test_functions_and_modules_of_pytorch_are_checked():
    assert gradcheck(torch.nn.Linear(4, 2), X.astype(np.float32)).library == "torch"
    assert gradcheck(lambda x: torch.tanh(x).sum(), X).library == "torch"

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 3

        @staticmethod
        def backward(ctx, dout):
            return dout * 2

    report = gradcheck(Wrong.apply, X, library="torch", raise_error=False)
    assert report.kinds == ["factor"] and "0.666667" in str(report)


@pytest.mark.parametrize("fn", [softmax, lambda x: (x * x + x.tanh()).sum(0), lambda x: x @ x.T])
def test_complex_steps_agree_to_rounding_where_they_apply(fn):
    report = gradcheck(fn, X, method="complex")
    assert report.rows[0].relative < 1e-14


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_plain_central_differences_tell_right_from_wrong(factor):
    report = gradcheck(scaled(primitives.tanh, factor), X, method="central", raise_error=False)
    assert report.ok == (factor == 1.0)


def test_a_complex_step_takes_each_of_several_outputs_and_refuses_a_real_one_among_them():
    assert gradcheck(lambda x: (x * x, x.tanh()), X, method="complex")
    with pytest.raises(
        ValueError, match="complex-differentiable operations; got complex_step: expected a complex"
    ):
        gradcheck(lambda x: (x * x, wrap(np.ones(2))), X, method="complex")


@pytest.mark.parametrize("fn", [abs, lambda x: x.tanh() + abs(x), layer_norm])
def test_complex_steps_are_refused_where_they_do_not_apply(fn):
    with pytest.raises(ValueError, match="complex"):
        gradcheck(fn, X, method="complex")


def test_the_second_order_is_checked_by_replay_and_a_wrong_reference_is_found():
    assert gradcheck(lambda x: F.gelu(x, approximate="tanh"), X, order=2)

    def right_once(x):
        t = np.tanh(x)
        return t, lambda dout: (dout * (1 - t * t),)

    right_once.reference = mg.sin
    broken = lift(right_once)
    assert gradcheck(broken, X)
    assert not gradcheck(broken, X, order=2, raise_error=False)


def test_each_of_several_outputs_is_checked_by_itself():
    def two(x):
        return x * 1e6, scaled(primitives.tanh, 1.01)(x) * 1e-6

    assert gradcheck(two, X, raise_error=False).kinds == ["factor"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradcheck(mg.exp, X, method="guess"), "expected method richardson, central, complex"),
        (lambda: gradcheck(mg.exp, X, order=3), "expected order 1 or 2; got 3"),
        (lambda: gradcheck(torch.tanh, X, order=2), "expected a function of Tensors for order=2"),
        (
            lambda: gradcheck(mg.exp, np.arange(3)),
            "expected at least one float32 or float64 array; got int64",
        ),
        (lambda: gradcheck(mg.exp, X, library="tinygrad"), "expected one of minigrad, numpy, torch, jax"),
        (lambda: gradcheck(lambda x: x.numpy(), X), "expected a function that returns Tensors"),
        (lambda: gradcheck(lambda x: None, X), "that returns Tensors; got None; is a return missing"),
        (
            lambda: gradcheck(lambda x: 3.0, X),
            "that returns Tensors; got float; a plain number has no history",
        ),
        (
            lambda: gradcheck(lambda x: None, X, library="torch"),
            "expected a function that returns float Tensors",
        ),
        (lambda: gradcheck(np.tanh, X, library="numpy"), r"that returns \(out, vjp\); got ndarray"),
        (lambda: gradcheck(3, X), "expected a function; got 3"),
        (lambda: gradcheck((np.tanh, 3), X), "expected a function; got 3"),
        (lambda: gradcheck(mg.exp, X, directions=0), "expected directions, a whole number from 1; got 0"),
        (lambda: gradcheck(mg.exp, X, rtol=0.0), "expected rtol above 0; got 0.0"),
        (lambda: gradcheck(mg.exp, X, rtol=float("nan")), "expected rtol above 0; got nan"),
        (lambda: gradcheck(mg.exp, X, seed=0.5), "expected seed, a whole number from 0; got 0.5"),
        (lambda: gradcheck(mg.exp, X, seed=-1), "expected seed, a whole number from 0; got -1"),
        (lambda: gradcheck(mg.exp, X, dtype="float16"), "expected dtype float32 or float64; got 'float16'"),
        (lambda: gradcheck(torch.tanh, X, method="complex"), 'for method="complex"; got order=1 .* of torch'),
        (lambda: gradcheck(mg.tanh, X, method="complex", order=2), 'for method="complex"; got order=2'),
        (lambda: gradcheck(mg.exp, []), "expected at least one float32 or float64 array; got nothing"),
    ],
)
def test_mistakes_in_the_call_say_what_was_expected(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_a_library_that_is_not_imported_is_said_to_be_so(monkeypatch):
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    with pytest.raises(
        ValueError, match="expected jax to be imported; got no import of it; import jax first"
    ):
        gradcheck(mg.exp, X, library="jax")


@pytest.mark.parametrize(("count", "ok"), [(0, False), (1, False), (2, True), (3, False)])
@pytest.mark.parametrize("wrap", [lambda fn: fn, lift], ids=["numpy", "minigrad"])
def test_there_must_be_one_gradient_for_each_input(wrap, count, ok):
    def product(x, y):
        return x * y, lambda dout: (dout * y, dout * x, dout.copy())[:count]

    report = gradcheck(wrap(product), (X, X + 1.0), raise_error=False)
    assert report.ok == ok
    assert ok or (
        report.kinds == ["count"]
        and f"expected 2 gradients, one (or None) for each input; got {count}" in str(report)
    )


def test_inputs_that_want_no_gradient_may_be_left_out_or_given_none():
    ids = np.arange(3)
    for grads in (lambda d: (d,), lambda d: (d, None), lambda d: d):
        assert gradcheck(lambda x, ids: (x[ids % 3] * 1.0, grads), (X, ids))  # noqa: B023
    assert gradcheck(lambda ids, x: (x * 1.0, lambda d: (None, d)), (ids, X))
    report = gradcheck(lambda ids, x: (x * 1.0, lambda d: (d,)), (ids, X), raise_error=False)
    assert report.kinds == ["count"]


def test_the_default_tolerance_is_in_the_documentation():
    mantissas = [f"{value:.0e}".replace("e-0", "e-") for value in RTOL.values()]
    assert mantissas == ["1e-6", "3e-4"] and all(text in gradcheck.__doc__ for text in mantissas)


def test_plain_numbers_are_inputs_where_there_is_no_array():
    assert gradcheck(lambda x: x * x, 2.0).rows[0].shape == ()
    assert len(gradcheck(lambda x, y: x * y, (2.0, 3.0)).rows) == 2
    assert len(gradcheck(lambda x, p: x * p, (X, 0.5)).rows) == 1


# --- the numerical side alone ---


@given(st.floats(-2, 2), st.sampled_from(["exp", "sin", "arctan"]))
def test_a_ladder_measures_to_1e_10_and_knows_its_error(x, name):
    fn = getattr(np, name)
    exact = {"exp": np.exp, "sin": np.cos, "arctan": lambda x: 1 / (1 + x * x)}[name](x)
    slope, error = Ladder(lambda t: np.array(fn(x + t)), 2.0**-7).best(1e-16)
    assert abs(slope - exact) < 1e-10
    assert abs(slope - exact) < 20 * error + 1e-14


def test_the_noise_floor_of_float32_is_measured():
    noise = noise_floor(lambda t: np.array(np.exp(np.float32(0.3 + t)), np.float64), 1e-5)
    assert 0.1 < noise / np.finfo(np.float32).eps < 1.0


def test_a_complex_step_is_exact_and_refuses_real_results():
    assert complex_step(lambda x: np.exp(x) / x, 1.5, 1.0) == pytest.approx(
        np.exp(1.5) * (1.5 - 1) / 1.5**2, rel=1e-15
    )
    with pytest.raises(ValueError, match="expected a complex result"):
        complex_step(np.abs, 1.5, 1.0)


def test_the_fixture_seals_the_generator(sealed_generator):  # noqa: F811
    assert np.array_equal(mg.rand(4).numpy(), Generator(0).rand(4))


@given(arrays_for("btc", "c", "1", dtype=np.float32, values="positive"))
def test_strategies_share_lengths_by_letter(inputs):
    x, c, one = inputs
    assert x.shape[-1:] == c.shape and one.shape == (1,) and x.dtype == np.float32 and x.min() > 0


def test_a_random_graph_is_the_same_each_time():
    (one, xs), (two, ys) = random_graph(4, 9), random_graph(4, 9)
    assert all(np.array_equal(x, y) for x, y in zip(xs, ys))
    assert np.array_equal(one(*map(Tensor, xs)).array, two(*map(Tensor, ys)).array)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_slope_beside_a_kink_is_found(size, seed):
    """At 0 alone relu's slope may be anything; a little aside, on both sides, it may not."""

    def relu(factor):
        return lambda a: (np.maximum(a, 0), lambda d: d * factor * (a > 0))

    assert mg.gradcheck(relu(1), np.zeros(size), seed=seed, raise_error=False).ok
    assert not mg.gradcheck(relu(7), np.zeros(size), seed=seed, raise_error=False).ok


# --- where numbers are hard: rounding, the edge of a domain, mixed precision, ties ---


@pytest.mark.parametrize("seed", range(20))
def test_a_zero_gradient_is_found_beneath_a_large_constant(seed):
    """The rounding of 1e10 is 1e-6, no more: the slope of 1 shows far above it."""

    def far(x):
        return x.sum() + 1e10, lambda dout: (np.zeros_like(x),)

    def near(x):
        return (x * x).sum() + x.dtype.type(100), lambda dout: (np.zeros_like(x),)

    assert not gradcheck(far, X, seed=seed, raise_error=False)
    assert not gradcheck(near, X.astype(np.float32), seed=seed, raise_error=False)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("fn", "x"),
    [
        (lambda x: x.log(), np.logspace(-4, 4, 7)),
        (lambda x: (x + 1e-8).log().sum(), np.array([0.0, 0.3, 0.7, 0.0])),
        (lambda x: x.log(), np.array([1e-8])),
    ],
    ids=["log over 8 decades", "log beside its edge", "log at 1e-8"],
)
def test_a_right_gradient_beside_the_edge_of_the_domain_raises_no_alarm(fn, x, seed):
    assert gradcheck(fn, x, seed=seed)


def test_a_wrong_gradient_beside_the_edge_of_the_domain_is_found():
    def fn(x):
        return np.log(x + 1e-8), lambda dout: (np.where(x == 0, 0.0, dout / (x + 1e-8)),)

    assert not gradcheck(fn, np.array([0.0, 0.3, 0.7, 0.0]), raise_error=False)


@pytest.mark.parametrize("library", ["minigrad", "torch", "numpy"])
def test_right_gradients_in_mixed_precision_are_right(library):
    def down(x):
        return x.astype(np.float32) * 2 if library == "minigrad" else x.float() * 2

    def up(x):
        return x.astype(np.float64) if library == "minigrad" else x.double()

    if library == "numpy":
        down = lambda x: (x.astype(np.float32) * 2, lambda dout: (dout.astype(x.dtype) * 2,))  # noqa: E731
        up = lambda x: (x.astype(np.float64), lambda dout: (dout.astype(x.dtype),))  # noqa: E731
    assert gradcheck(down, X, library=library)
    assert gradcheck(up, X.astype(np.float32), library=library)


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.0])
def test_where_every_element_is_a_tie_nothing_is_sure_and_nothing_crashes(factor):
    def full(x):
        return x - x.max(), lambda dout: (dout.sum() * np.ones_like(x) * factor,)

    assert not gradcheck(full, np.ones(2), raise_error=False)


# --- of PyTorch ---


def test_a_frozen_parameter_of_pytorch_is_cast_and_not_checked():
    layer = torch.nn.Linear(4, 2)
    layer.weight.requires_grad_(False)
    report = gradcheck(layer, X, dtype="float64")
    assert [row.name for row in report.rows] == ["input 0", "bias"] and layer.weight.dtype == torch.float32


def test_a_pytorch_function_that_overwrites_its_input_is_named_so():
    report = gradcheck(lambda x: torch.mul(x.mul_(2), 1), X, library="torch", raise_error=False)
    assert report.kinds == ["mutation"]


class InPlace(torch.autograd.Function):
    """x squared, whose backward writes into the gradient it is given."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy.mul_(2) * x


class Worn(torch.autograd.Function):
    """x squared, whose backward overwrites what it saved."""

    @staticmethod
    def forward(ctx, x):
        ctx.saved = x.clone()
        return x * x

    @staticmethod
    def backward(ctx, dy):
        return ctx.saved.mul_(2) * dy


@pytest.mark.parametrize(("fn", "kind"), [(InPlace.apply, "mutation"), (Worn.apply, "second walk")])
def test_a_backward_of_pytorch_that_overwrites_is_found(fn, kind):
    assert gradcheck(fn, X, library="torch", raise_error=False).kinds == [kind]


def test_the_heat_map_of_exactly_right_gradients_is_drawn(tmp_path):
    report = gradcheck(lambda x: x * 0.0, np.zeros(3))
    assert report.plot(tmp_path / "exact.png").read_bytes().startswith(b"\x89PNG")


def test_a_profiler_goes_on_and_the_collector_too():
    watch = cProfile.Profile()
    watch.enable()
    assert gradcheck(lambda x: torch.tanh(x), np.ones((2, 3)), raise_error=False)
    assert gradcheck(lambda x: x.tanh(), np.ones((2, 3)), raise_error=False)
    watch.disable()
    assert gc.isenabled() and len(watch.getstats()) > 10


def wrong_square():
    class WrongSquare(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, dout):
            return 3 * ctx.saved_tensors[0] * dout

    return WrongSquare


def test_a_function_of_two_libraries_is_not_certified_for_one():
    square = wrong_square()
    with pytest.raises(ValueError, match='"torch" if torch computes its gradient'):
        gradcheck(lambda x: square.apply(x) if isinstance(x, torch.Tensor) else x * x, np.ones((3, 4)))
    report = gradcheck(lambda x: x.matmul(torch.ones(4, 2, dtype=torch.float64)), np.ones((3, 4)))
    assert report.library == "torch"


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: torch.as_tensor(x).sin(),
        lambda x: x.sin() if isinstance(x, torch.Tensor) else [].missing,
    ],
)
def test_a_function_that_names_torch_and_fails_on_ours_is_torchs(fn):
    report = gradcheck(fn, np.random.default_rng(0).standard_normal((3, 4)))
    assert report and report.library == "torch"


def test_a_function_among_the_outputs_is_refused():
    with pytest.raises(TypeError, match=r"a NumPy function returns the tuple \(out, vjp\), nothing more"):
        gradcheck(lambda x: [x * x, lambda d: (3 * x * d,)], np.ones(3))
