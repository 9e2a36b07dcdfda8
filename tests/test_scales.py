"""The numerical side of the checker: elements, outputs and runs are each judged on a scale of their own."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch

import minigrad as mg
import nn
from minigrad.check.differences import Ladder
from minigrad.check.directions import directions, lengths, raised
from minigrad.check.gradcheck import gradcheck
from minigrad.check.subjects import subject
from minigrad.tensor import lift, op
from nn import functional as F
from tests.faults.graphs import random_graph

MIXED = np.array([1e4, 100.0, 1.0, 0.01])


def elementwise(f, slope, factor=1.0):
    """A NumPy function of single elements, with its slope times a factor as its gradient."""
    return lambda x: (f(x), lambda d: (d * slope(x) * factor,))


def right(fn, *inputs, **options):
    return gradcheck(fn, inputs, raise_error=False, **options).ok


# --- lengths ---


@pytest.mark.parametrize("factor", [1.0, 0.0, -1.0, 1.001])
@pytest.mark.parametrize("size", [1e-12, 1e-6, 1e6])
@pytest.mark.parametrize("x", [[0.3, -0.7, 1.2], [3.0, -0.7, 0.0], [0.0]], ids=str)
def test_a_function_may_vary_on_any_scale(x, size, factor):
    """Where a step of 1 saturates, 0 = 0 says nothing; at an element of 0, no length is known beforehand."""
    fn = elementwise(lambda x: np.tanh(x / size), lambda x: (1 - np.tanh(x / size) ** 2) / size, factor)
    assert right(fn, np.array(x) * size) == (factor == 1)


def test_compare_finds_a_factor_where_a_step_of_1_saturates():
    fn = elementwise(lambda x: np.tanh(x / 1e-6), lambda x: 1.5e6 * (1 - np.tanh(x / 1e-6) ** 2))
    x = np.array([1e-6, 2e-6])
    found = mg.compare(fn, lambda x: torch.tanh(x / 1e-6), x, libraries=("numpy", "torch"), raise_error=False)
    assert not found.ok


@pytest.mark.parametrize("start", [1e3, 1e6, 1e8, 1e10])
def test_a_function_may_vary_on_the_scale_of_1_far_from_0(start):
    x = start + np.arange(3.0)
    assert right(elementwise(np.sin, np.cos), x)
    assert not right(elementwise(np.sin, np.cos, 1.01), x)
    assert not right(elementwise(np.sin, np.cos, 0.0), x)


@pytest.mark.parametrize("seed", range(5))
def test_elements_may_span_ten_decades(seed):
    x = np.logspace(-5, 5, 11)
    assert right(elementwise(lambda x: 1 / x, lambda x: -1 / x**2), x, seed=seed)
    for j in (0, 5, 10):
        factor = np.where(np.arange(11) == j, 1.01, 1.0)
        assert not right(elementwise(lambda x: 1 / x, lambda x: -1 / x**2, factor), x, seed=seed)


# --- one hides behind another ---


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.0001])
@pytest.mark.parametrize("j", range(4))
def test_no_element_hides_behind_a_larger_one(j, factor):
    cube = elementwise(lambda x: x**3, lambda x: 3 * x * x, np.where(np.arange(4) == j, factor, 1.0))
    assert not right(cube, MIXED)


def test_mixed_elements_raise_no_alarm():
    assert right(elementwise(lambda x: x**3, lambda x: 3 * x * x), MIXED)
    assert right(lambda x: (np.array((x**3).sum()), lambda d: (3 * x * x * d,)), MIXED)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("whole", [False, True], ids=["two outputs", "their sum"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sign_is_found_beside_a_slope_of_1e8(seed, whole, sign):
    def fn(x):
        y = np.array([1e8 * x[0], x[1] ** 2])

        def vjp(d):
            d = d * np.ones(2)
            return (np.array([1e8 * d[0], sign * 2 * x[1] * d[1]]),)

        return np.array(y.sum()) if whole else y, vjp

    assert right(fn, np.array([0.7, 1.3]), seed=seed) == (sign == 1)


@pytest.mark.parametrize("seed", range(4))
def test_one_element_of_many_is_found_with_every_seed(seed):
    def fn(x):
        def vjp(d):
            g = 2 * x * d
            g[3, 5] += 1e-3 * d[3, 5]
            return (g,)

        return x * x, vjp

    report = gradcheck(fn, np.random.default_rng(0).standard_normal((100, 100)), seed=seed, raise_error=False)
    assert report.worst[0].index == (3, 5)


# --- kinks ---


@pytest.mark.parametrize("seed", range(5))
def test_a_kink_hides_no_wrong_element_beside_it(seed):
    def fn(x):
        slope = np.where(x[1:] == 0.5, 7.0, 2 * x[1:])  # wrong at this point alone
        return np.append(abs(x[0]), x[1:] ** 2), lambda d: (d * np.append(np.sign(x[0]), slope),)

    assert not right(fn, np.array([0.0, 0.5, 2.0]), seed=seed)
    assert right(fn, np.array([0.0, 0.6, 2.0]), seed=seed)


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0)),
        (np.floor, lambda x: 0 * x),
        (lambda x: np.sqrt(abs(x)), lambda x: np.sign(x) / np.sqrt(abs(x) + (x == 0)) / 2),
    ],
    ids=["relu", "floor", "root"],
)
def test_kinks_jumps_and_cusps_at_whole_numbers_raise_no_alarm(f, slope):
    assert right(elementwise(f, slope), np.arange(-2.0, 3.0))
    assert right(elementwise(f, slope), np.arange(-2.0, 3.0).repeat(120))  # too large to examine whole


def test_a_kink_is_told_from_a_curve_and_from_noise():
    rng = np.random.default_rng(0)
    curves = (np.abs, np.square, lambda t: np.tanh(t / 1e-3), lambda t: 1e-9 * rng.standard_normal())
    ladders = [Ladder(lambda t, f=f: np.array([f(t)]), 2.0**-7) for f in curves]
    assert [bool(ladder.kinks(np.array([2e-16]))[0]) for ladder in ladders] == [True, False, False, False]


def test_a_finer_step_overrules_a_coarse_one():
    """Both sides of the hat are flat from 1e-5 on: large steps agree that the slope is 0."""
    slope, error = Ladder(lambda t: np.array([np.exp(-(((t - 1e-6) / 1e-6) ** 2))]), 2.0**-7).best(1e-17)
    assert slope[0] == pytest.approx(2e6 / np.e, rel=1e-4) and error[0] < 1e3
    slope, error = Ladder(lambda t: np.array([np.sign(t)]), 2.0**-7).best(1e-17)
    assert np.isinf(error[0])  # no slope at a jump


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.01, 2.0])
@pytest.mark.parametrize("share", [1, 4], ids=["all", "a quarter"])
def test_rounding_inside_the_function_hides_no_mistake(share, factor):
    """A part in float32: over steps below its digits it rests, as if its slope were 0."""
    x = np.random.default_rng(0).standard_normal((3, 4))
    single = (np.arange(x.size).reshape(x.shape) % share == 0).astype(float)

    def fn(x):
        y = np.exp(x.astype(np.float32)).astype(np.float64) * single + np.sin(x)
        return y, lambda d: (d * (factor * np.exp(x) * single + np.cos(x)),)

    assert not right(fn, x)


@pytest.mark.parametrize("far", [3e4, 1e5, 3e5, 1e6])
def test_what_is_added_and_rounds_hides_no_mistake(far):
    """sin(x + far) is exact at steps that are powers of 2, and rests below the last digit of `far`."""
    x = np.random.default_rng(1).standard_normal(3)
    for factor in (1.0, 0.0, 1.01):
        fn = elementwise(lambda x: np.sin(x + far), lambda x: np.cos(x + far), factor)
        assert right(fn, x) == (factor == 1)


@pytest.mark.parametrize("x", [[0.0], [0.0, 0.5, -0.7], [0.0, 1e8], [1e-12, 0.5]], ids=str)
@pytest.mark.parametrize("size", [1e-7, 1e-8])
def test_a_scale_of_its_own_is_seen_however_low(size, x):
    def f(x):
        return x + size * np.tanh(x / size)

    assert right(elementwise(f, lambda x: 2 - np.tanh(x / size) ** 2), np.array(x))
    assert not right(elementwise(f, np.ones_like), np.array(x))


@pytest.mark.parametrize("distance", [1e-8, 1e-9, 1e-10, 1e-12])
def test_a_kink_near_one_element_hides_no_mistake_in_the_others(distance):
    x, at = np.array([0.3, 0.7, -1.2]), np.array([0.3 - distance, 0, 0])
    for factor in (1.0, 1.001, 1.01, 1.1):
        fn = elementwise(lambda x: abs(x - at), lambda x: np.sign(x - at), factor)
        assert right(fn, x) == (factor == 1)


@pytest.mark.parametrize("x", list(1e3 * np.random.default_rng(0).standard_normal((4, 3))), ids=str)
def test_a_function_of_scale_1_at_large_inputs_hides_no_mistake(x):
    for factor in (1.0, 1.001, np.array([1, 1.001, 1])):
        assert right(elementwise(np.sin, np.cos, factor), x) == (np.ndim(factor) == 0 and factor == 1)


def test_a_kink_nearer_than_every_step_of_the_ladder_is_seen_from_closer_up():
    ladder = Ladder(lambda t: np.array([np.maximum(t, -1e-9)]), 2.0**-7)
    assert ladder.best(1e-17)[0][0] == pytest.approx(0.5, rel=1e-3)
    assert ladder.shows(1.0, 0.5, 1e-17) and not ladder.shows(0.5, 1.0, 1e-17)
    assert Ladder(lambda t: np.array([abs(t)]), 2.0**-7).shows(1.0, 0.0, 1e-17)  # the slope of one side
    assert not Ladder(lambda t: np.array([0.0 * t]), 2.0**-7).shows(0.0, 1.0, 1e-17)  # it rests


def test_a_scale_of_its_own_holds_over_many_small_steps():
    ladder = Ladder(lambda t: np.array([t + 1e-6 * np.tanh(t / 1e-6)]), 2.0**-7)
    assert ladder.settles_on(2.0, 1e-22, 1e-6) and not ladder.settles_on(1.0, 1e-22, 1e-6)
    assert not ladder.settles_on(2.0, 1e-12, 1e-6)  # then the smallest steps show noise
    assert not Ladder(lambda t: np.array([0.0 * t]), 2.0**-7).settles_on(0.0, 1e-18, 1e-6)


def test_a_function_rests_up_to_its_noise():
    ladder = Ladder(lambda t: np.array([t * t]), 2.0**-7)
    assert 0.5e-8 < ladder.rest(1e-16) < 4e-8
    assert Ladder(lambda t: np.array([t]), 2.0**-7).rest(1e-16) == 0


# --- runs ---


@pytest.mark.parametrize("module", [nn.Dropout(0.01), torch.nn.Dropout(0.001)], ids=["minigrad", "torch"])
def test_a_function_that_draws_is_called_non_deterministic_however_rarely_it_shows(module):
    report = gradcheck(module, np.arange(1.0, 7.0), raise_error=False)
    assert report.kinds == ["non-deterministic"]


@pytest.mark.parametrize("seed", range(5))
def test_a_function_that_differs_in_some_runs_is_called_so(seed, monkeypatch):
    monkeypatch.setattr("minigrad.check.gradcheck.PATIENCE", 60.0)  # on a slow machine, too
    rng = np.random.default_rng(seed)

    def fn(x):
        return x * x + 1e-3 * (rng.random() < 0.03), lambda d: (2 * x * d,)

    assert gradcheck(fn, np.ones(3), raise_error=False).kinds == ["non-deterministic"]


def test_draws_that_change_nothing_are_noted(monkeypatch):
    monkeypatch.setattr("minigrad.check.gradcheck.DRAWN", 5)
    report = gradcheck(lambda x: x * x + 0.0 * mg.rand(3).numpy(), np.ones(3))
    assert report.ok and "draws random numbers" in report.notes[0]


# --- cost ---


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_a_verdict_takes_few_runs(factor, monkeypatch):
    monkeypatch.setattr("minigrad.check.gradcheck.RUNS", 2)
    calls = []

    def fn(x):
        calls.append(1)
        return np.tanh(x), lambda d: (d * factor * (1 - np.tanh(x) ** 2),)

    assert right(fn, np.random.default_rng(0).standard_normal(1000)) == (factor == 1)
    assert len(calls) < (150 if factor == 1 else 4000)


def test_a_verdict_takes_the_memory_of_some_inputs():
    """Of the Jacobian, 100 by 50,000, nothing is kept but the examined columns."""
    x = np.random.default_rng(0).standard_normal((100, 500))
    tracemalloc.start()
    assert not right(lambda x: ((x * x).sum(1), lambda d: (1.01 * 2 * x * d[:, None],)), x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * x.nbytes


# --- the parts ---


def test_lengths_are_powers_of_2_near_each_element_and_near_1():
    assert [a.tolist() for a in lengths(np.array([0.0, 0.3, -3.0]), 2.0**-52)] == [[1.0, 1.0, 4.0]]
    own, one = lengths(np.array([0.0, 1e-9, 1e9]), 2.0**-52)
    assert np.array_equal(own, [1.0, 2.0**-29, 2.0**30]) and np.array_equal(one, [1.0, 1.0, 2.0**13])


def test_small_elements_have_a_direction_of_their_own():
    pulls = [[np.array([1.0, -1.0, 1e-5, 0.0])] * 2]
    moved = [np.flatnonzero(u).tolist() for u in directions(np.random.default_rng(0), pulls, np.ones(4))]
    assert moved == [[0, 1], [0, 1, 2, 3], [2], [3]]


def test_small_slopes_are_raised():
    with np.errstate(all="ignore"):
        factors = raised(np.array([1e8, -1e6, 1.0, 1e-9, np.nan]), 30)
    assert factors.tolist() == [1.0, 1.0, 2.0**20, 2.0**30, 1.0]


# --- what the rounding on the way does to the outputs ---

CANCELS = {
    "a large term": lambda x: (x + 1e6 - 1e6) * 1e3,
    "a small term": lambda x: (x * x * 1e-6 + 0.1 - 0.1) * 1e9,
    "a sum": lambda x: mg.cat([x, mg.tensor([1e7, -1e7])]).sum().tanh(),
    "inside a fused operation": lambda x: F.gelu(x - 4.0, approximate="tanh") * 2.0**20,
}


@pytest.mark.parametrize("name", CANCELS)
@pytest.mark.parametrize("seed", range(3))
def test_a_function_may_multiply_its_own_rounding(name, seed):
    """Over small steps it moves in stairs; that its rounding is large is known from the gradients on the way."""
    x = np.random.default_rng(seed).standard_normal(4)
    assert right(CANCELS[name], x, seed=seed)
    for factor in (0.0, -1.0, 1.01):
        assert not right(partial(wrongly, CANCELS[name], factor), x, seed=seed), factor


def _scaled(x, *, factor):
    return x.copy(), lambda dy: (factor * dy,)


def wrongly(fn, factor, x):
    """The function, with a factor too many in its gradient."""
    return lift(_scaled)(fn(x), factor=factor)


def test_rounding_on_the_way_is_added_up():
    """x + 1e6 is known up to eps 1e6, and the result up to 8 times that, whatever is inside of a fused operation."""
    x = np.array([1.0, 2.0])
    plain = subject(lambda x: ((x + 1e6) - 1e6) * 8.0, x).roundings([x], [np.ones(2)])
    assert 1e6 < plain / (8 * np.finfo(float).eps) < 4e6
    fused = subject(lambda x: F.gelu(x - 8.0, approximate="tanh"), x).roundings([x], [np.ones(2)])
    assert 1 < fused / np.finfo(float).eps < 100  # of outputs of 1e-9


STAIRS = [(36, 5), (36, 12), (36, 13), (36, 14), (45, 1), (98, 4), (98, 15), (128, 2), (144, 2), (144, 8)]


@pytest.mark.parametrize("number, seed", STAIRS)
def test_graphs_that_move_in_stairs_are_right(number, seed):
    """Nine multiply their own rounding by 1e5 and more; 45 is even but for a slope, over the larger steps another."""
    graph, xs = random_graph(number, seed)
    assert right(graph, *xs, seed=seed, library="minigrad")


class Factor(torch.autograd.Function):
    """A factor too many in the gradient."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, dy):
        return ctx.factor * dy, None


IN_FLOAT32 = {
    "minigrad": lambda x: x.astype(np.float32).tanh().astype(np.float64) + x * x,
    "torch": lambda x: x.float().tanh().double() + x * x,
}
TOO_MANY = {"minigrad": wrongly, "torch": lambda fn, factor, x: Factor.apply(fn(x), factor)}


@pytest.mark.parametrize("library", IN_FLOAT32)
def test_what_is_computed_in_float32_on_the_way_is_seen_and_said(library):
    fn, x = IN_FLOAT32[library], np.random.default_rng(0).standard_normal((3, 4))
    report = gradcheck(fn, x, library=library)
    assert "what is computed on the way rounds: less than" in " ".join(report.notes)
    for factor in (0.0, -1.0, 1.01):
        assert not right(partial(TOO_MANY[library], fn, factor), x, library=library), factor


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.01, 2.0])
def test_rounding_that_hides_everything_excuses_nothing(factor):
    """In float16, no step tells the slope: that is no reason to call a wrong one right."""
    x = torch.tensor(np.random.default_rng(0).standard_normal((3, 4)))
    assert not right(lambda x: Factor.apply((x.half().exp().double() + x * x).sum(0), factor), x)


WAYS = {  # functions of a and c whose part with a factor does not round as the rest does
    "another input cancels": lambda k, a, c: (a * 1e10 - a * 1e10).sum() + wrongly(mg.Tensor.sin, k, c).sum(),
    "other elements cancel": lambda k, a, c: mg.cat([(a + 1e10) - 1e10, wrongly(mg.Tensor.sin, k, c)]),
    "another input in float32": lambda k, a, c: (
        a.astype(np.float32).tanh().astype(np.float64).sum() + wrongly(mg.Tensor.sin, k, c).sum()
    ),
    "a gradient far too large beside it": lambda k, a, c: (
        wrongly(mg.Tensor.sin, k, c) + wrongly(lambda c: c.sign(), 1e12, c) + 0.0 * a
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_rounding_elsewhere_excuses_nothing(name):
    a, c = np.array([0.3, -0.7, 1.2]), np.array([0.4, -1.1, 0.8])
    assert right(partial(WAYS[name], 1.0), a, c)
    for factor in (0.0, -1.0, 2.0, 1.01):
        assert not right(partial(WAYS[name], factor), a, c), factor


def test_stairs_of_a_library_that_shows_nothing_on_the_way_are_right():
    x = np.array([0.3, -0.7, 1.2])
    assert right(lambda a: (np.log(1 + a * a / 1e7) * 1e7, lambda d: (d * 2 * a / (1 + a * a / 1e7),)), x)
    assert right(lambda a: (a.sin() + 1e5) - 1e5, x, library="torch")
    assert right(lambda a: (1 - (a / 1e3).cos()) * 1e6, x, library="torch")


@pytest.mark.parametrize("size", [1e-8, 1e-6, 1e-3])
def test_what_rests_for_want_of_digits_has_no_gradient_of_0(size):
    x = np.array([0.82045, 0.80482]) * size
    assert not right(lambda a: ((a + 1e8) - 1e8, lambda d: (0 * d,)), x)
    assert not right(partial(wrongly, lambda a: (a + 1e8) - 1e8, 0.0), x)


@pytest.mark.parametrize("size", [1e-300, 1e-305])
def test_the_smallest_numbers_are_checked_too(size):
    assert right(lambda a: a * 1.0, np.array([0.3, -0.7]) * size)


def test_a_tensor_with_a_history_of_its_own_may_be_read():
    """Its operations ran before the check could look at them."""
    w = mg.tensor([1.0, 2.0], requires_grad=True) * 2.0
    assert right(lambda a: a * w, np.array([0.3, -0.7]))
    assert not right(partial(wrongly, lambda a: a * w, 2.0), np.array([0.3, -0.7]))


REFERENCES = {
    "raises": lambda x: 1 / 0,
    "returns None": lambda x: None,
    "returns a tuple": lambda x: (x, x),
    "has another shape": lambda x: x.sum(),
    "draws": lambda x: F.dropout(x, 0.5, training=True) + x,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_definition_that_cannot_be_run_says_nothing(name):
    def doubled(x):
        return x.copy(), lambda dy: (2 * dy,)

    mg.manual_seed(0)
    assert not right(op(reference=REFERENCES[name])(doubled), np.array([0.3, -0.7]))
    drawn = mg.rand(3).tolist()
    mg.manual_seed(0)
    assert drawn == mg.rand(3).tolist()


def test_notes_of_a_first_comparison_are_not_kept_beside_those_of_the_second():
    graph, xs = random_graph(144, 8)
    notes = gradcheck(graph, xs, seed=8, library="minigrad").notes
    assert len(set(notes)) == len(notes)


def test_a_comparison_of_0_with_0_is_said():
    report = gradcheck(lambda x, y: mg.relu(x) + y, (-np.ones(3), np.ones(3)))
    assert report.notes == ["input 0: no output depends on it here: 0 is compared with 0"]


def test_beside_a_kink_the_row_shows_what_was_found_right():
    report = gradcheck(mg.relu, np.array([0.0, 0.5, -0.7]))
    assert report.rows[0].relative < 1e-8 and "aside of it" in report.notes[0]
