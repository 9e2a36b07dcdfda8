"""The contract of a vjp: every operation keeps it, and what breaks it is refused, with the operation's name."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import switches, versions
from minigrad.check.contract import BadGradient, Contract, pull
from minigrad.check.gradcheck import gradcheck
from minigrad.tensor import lift, wrap
from nn.functional.attention import causal_attention
from nn.functional.gelu import gelu_tanh
from nn.functional.layer_norm import layer_norm
from nn.functional.linear import linear
from tests.support import foreign
from tests.support.rows import TABLE, cases

RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))
GLOBAL = np.cos(X)


def watched(fn, inputs, constants, direction):
    """Run forward and backward under the contract."""
    tensors = [None if x is None else wrap(x, requires_grad=True) for x in inputs]
    with switches.watched_by(Contract()):
        y = fn(*tensors, **constants)
        y.backward(direction(y.shape), retain_graph=True)
        y.backward(direction(y.shape))
    return tensors


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@given(data=st.data())
def test_every_operation_keeps_the_contract(row, data):
    case = data.draw(cases(row))
    for dtype in (np.float64, *(() if row.double_only else (np.float32,))):
        inputs = [None if x is None else x.astype(dtype) for x in case.inputs]
        floats = {
            k: v.astype(dtype) for k, v in case.constants.items() if getattr(v, "dtype", "") == np.float64
        }
        watched(row.fn, inputs, case.constants | floats, case.direction)


# --- what breaks it ---


def square(x, y, back):
    """x * x + y, by `back(dout, saved slope)`."""
    slope = 2 * x
    return x * x + y, lambda dout: back(dout, slope)


def twice(d, slope):
    return d * slope, d * slope


def same_array_twice(d, slope):
    g = d * 1.0
    return g, g


def an_array_and_its_view(d, slope):
    g = d * 1.0
    return g, g[::-1][::-1]


def overlapping(d, slope):
    wide = np.concatenate([d, d])
    return wide[:3], wide[1:4]


def saved(d, slope):
    return slope, d


def view_of_saved(d, slope):
    return slope.reshape(slope.shape), d


def in_place(d, slope):
    d *= slope
    return d, d.copy()


def worn(d, slope):
    slope *= 2.0
    return d * slope, d


def scratch(d, slope):
    """Overwritten with the same numbers by each walk: right, until two threads walk."""
    slope[...] = abs(slope)
    return d * slope, d


def cached(d, slope):
    """An array that the function finds elsewhere than in its closure."""
    return GLOBAL, d


def one_more_each_time(d, slope, calls=[]):  # noqa: B006
    calls.append(1)
    return d * slope * len(calls), d


BROKEN = [
    (same_array_twice, "aliased", "the gradients for inputs 0 and 1 share memory"),
    (an_array_and_its_view, "aliased", "the gradients for inputs 0 and 1 share memory"),
    (overlapping, "aliased", "the gradients for inputs 0 and 1 share memory"),
    (saved, "saved array", "the gradient for input 0 is an array that the vjp saved"),
    (view_of_saved, "saved array", "the gradient for input 0 is an array that the vjp saved"),
    (in_place, "mutation", "writes into the gradient it is given"),
    (worn, "mutation", "overwrites an array that it saved or was given"),
    (scratch, "mutation", "overwrites an array that it saved or was given"),
    (cached, "second walk", "returns or overwrites an array that it keeps"),
    (one_more_each_time, "second walk", "or draws numbers"),
]


@pytest.mark.parametrize("library", ["minigrad", "numpy"])
@pytest.mark.parametrize(("back", "kind", "words"), BROKEN, ids=[b[0].__name__ for b in BROKEN])
def test_what_breaks_the_contract_is_refused_by_name(back, kind, words, library):
    def operation(x, y):
        return square(x, y, back)

    before = GLOBAL.copy()
    report = mg.gradcheck(lift(operation) if library == "minigrad" else operation, (X, Y), raise_error=False)
    assert report.kinds == [kind] and report.library == library
    assert "operation: " in str(report.findings[0]) and words in str(report)
    assert np.array_equal(GLOBAL, before)


@pytest.mark.parametrize("which", ["an input", "the output"])
def test_an_input_and_the_output_are_saved_arrays_too(which):
    """Linear in x with the slope y: the gradient of x has the right values, in an array of the user's."""

    def operation(x, y):
        out = (x * y).sum() if which == "an input" else x + y
        return out, lambda dout: (
            y if which == "an input" else out,
            dout * x if which == "an input" else dout,
        )

    report = mg.gradcheck(lift(operation), (X, Y), raise_error=False)
    assert report.kinds == ["saved array"]


def test_an_intermediate_that_a_vjp_overwrites_is_found():
    """No leaf and no output of the whole: only the monitor sees it."""

    def operation(x):
        def vjp(dout):
            x[...] = 0.0
            return (dout,)

        return x + 1.0, vjp

    report = mg.gradcheck(lambda x: lift(operation)(x * 2.0) * 3.0, X, raise_error=False)
    assert report.kinds == ["mutation"] and "operation: " in str(report)


class Held:
    def __init__(self, slope):
        self.slope = slope

    def back(self, dout):
        return (self.slope,)


HOLDERS = {
    "closure": lambda slope: lambda dout: (slope,),
    "list in a closure": lambda slope: (lambda kept: lambda dout: (kept[0],))([slope]),
    "dict of tuples": lambda slope: (lambda kept: lambda dout: kept["all"])({"all": (slope,)}),
    "another function": lambda slope: (lambda inner: lambda dout: inner(dout))(lambda dout: (slope,)),
    "default": lambda slope: lambda dout, slope=slope: (slope,),
    "partial": lambda slope: functools.partial(lambda slope, dout: (slope,), slope),
    "method": lambda slope: Held(slope).back,
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_saved_arrays_are_found_in_whatever_holds_them(hold):
    with pytest.raises(
        BadGradient, match="operation: the gradient for input 0 is an array that the vjp saved"
    ):
        pull("operation", hold(np.cos(X)), np.ones(X.shape), [(X.shape, (X.dtype,))], [])


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_an_array_that_is_held_several_times_is_one_and_hides_no_other(order):
    x, y, cycle = np.ones(2), np.ones(3), []
    cycle.append(cycle)
    held = [[x, x, y, cycle][i] for i in order]
    found = list(versions.saved_arrays(lambda dout: held))
    assert sorted(map(len, found)) == [2, 3]


# --- what keeps it ---


def views_of_one_new_array(x, y):
    def vjp(dout):
        both = np.stack([dout * y, dout * x])
        return both[0], both[1]

    return x * y, vjp


KEPT = {
    "the cotangent to both": lambda x, y: (x + y, lambda dout: (dout, dout)),
    "views of it": lambda x, y: (x.T + y.T, lambda dout: (dout.T, dout.T)),
    "no gradient for one": lambda x, y: (x * 2.0 + 0.0 * y, lambda dout: (dout * 2.0, dout * 0.0)),
    "views of one new array": views_of_one_new_array,
}


@pytest.mark.parametrize("fn", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("wrap", [lambda fn: fn, lift], ids=["numpy", "minigrad"])
def test_what_keeps_the_contract_passes(fn, wrap):
    assert mg.gradcheck(wrap(fn), (X, Y))


def test_two_leaves_that_are_added_and_reshaped_pass_and_share_nothing():
    x, y = watched(lambda x, y: (x + y).reshape((4, 3)), [X, Y], {}, np.ones)
    assert not np.shares_memory(x.grad, y.grad)
    assert np.array_equal(x.grad, 2 * np.ones((3, 4)))


@pytest.mark.parametrize(
    ("back", "kinds"),
    [
        (lambda d, s: (d * s, d), []),
        (twice, ["swapped"]),
        (same_array_twice, ["aliased"]),
        (saved, ["saved array"]),
        (worn, ["mutation"]),
    ],
)
def test_the_contract_holds_on_another_array_library(monkeypatch, back, kinds):
    foreign.install(monkeypatch)
    report = mg.gradcheck(
        lift(lambda x, y: square(x, y, back)), (X, Y), device="cuda", library="minigrad", raise_error=False
    )
    assert report.kinds == kinds


@pytest.mark.parametrize("seed", range(6))
def test_a_transposed_cotangent_rounds_alike_in_both_walks(seed):
    rng = np.random.default_rng(seed)
    n, k, m = rng.integers(10, 60, 3)
    for dtype in ("float32", "float64"):
        a, b = (rng.standard_normal(shape).astype(dtype) for shape in ((n, k), (k, m)))
        assert gradcheck(lambda a, b: (a @ b).T, (a, b), raise_error=False)


def test_what_a_vjp_reaches_is_looked_at_within_bounds():
    deep = []
    for _ in range(5000):
        deep = [deep]
    many = [np.zeros(2) for _ in range(20_000)]

    def right(x):
        return x * 2.0, lambda dout: (dout * (2.0 if deep and many else 0.0),)

    assert gradcheck(right, np.ones(3), raise_error=False)
    assert len(list(versions.saved_arrays(right(np.ones(3))[1]))) <= versions.REACH


# --- what is said of a gradient, to the word ---

ONE = np.ones((2, 3))
LIKE = ((2, 3), (ONE.dtype,))  # what is wanted
COUNT = "operation: expected {} gradients, one (or None) for each input; got {}"
SHAPE = "operation: the gradient for input 0 has shape {}, the input {}"
AXES = "; the sum over the broadcast axes {} is missing"
DTYPE = "operation: the gradient for input 0 is {}, the input {}; is a NumPy scalar or a float64 constant in its vjp?"


def shaped(got, wanted, hint=""):
    return np.ones(got), [(wanted, (ONE.dtype,))], "shape", SHAPE.format(got, wanted) + hint


FORMS = [
    (3, [LIKE], "shape", "operation: expected a tuple of gradients; got int"),
    (ONE, [LIKE], "shape", "operation: expected a tuple of gradients; got ndarray"),
    ((ONE,), [LIKE, LIKE], "count", COUNT.format(2, 1)),
    ((ONE,), [None, LIKE], "count", COUNT.format(2, 1)),
    ((ONE,) * 3, [LIKE, LIKE], "count", COUNT.format(2, 3)),
    ((), [LIKE], "count", COUNT.format(1, 0)),
    ((ONE, 0), [LIKE, None], "shape", "operation: the gradient for input 1 is int, not an array"),
    ((None, 3.0), [None, LIKE], "shape", "operation: the gradient for input 1 is float, not an array"),
    *[((g,), *rest) for g, *rest in [
        shaped((3, 2), (2, 3), "; it is transposed"),
        shaped((1, 2), (2, 1), "; it is transposed"),
        shaped((2, 3), (3,), AXES.format((0,))),
        shaped((2, 3), (1, 3), AXES.format((0,))),
        shaped((2, 3), (2, 1), AXES.format((1,))),
        shaped((4, 2, 3), (1, 3), AXES.format((0, 1))),
        shaped((1, 3), (3,), AXES.format((0,))),
        shaped((2, 3), (), AXES.format((0, 1))),
        shaped((4, 3), (2, 3)),
        shaped((3,), (2, 3)),
        shaped((2, 3), (2,)),
    ]],
    ((ONE.astype(np.float32),), [LIKE], "dtype", DTYPE.format("float32", "float64")),
    ((ONE,), [((2, 3), (np.dtype(np.float32), np.dtype(np.float16)))], "dtype", DTYPE.format("float64", "float32")),
]  # fmt: skip


@pytest.mark.parametrize(("grads", "wanted", "kind", "text"), FORMS)
def test_what_is_no_gradient_of_an_input_is_refused_with_what_is_wrong(grads, wanted, kind, text):
    with pytest.raises(BadGradient) as caught:
        pull("operation", lambda dout: grads, ONE, wanted, [])
    assert (caught.value.kind, str(caught.value)) == (kind, text)


@pytest.mark.parametrize(
    ("back", "wanted"),
    [
        (lambda d: [d, d * 2], [LIKE, LIKE]),
        (lambda d: (d, None), [LIKE, LIKE]),
        (lambda d: (d, None, None), [LIKE]),
        (lambda d: (d,), [LIKE, None]),
        (lambda d: (d.astype(np.float32),), [((2, 3), (np.dtype(np.float64), np.dtype(np.float32)))]),
        (lambda d: (d * np.nan,), [LIKE]),
        (lambda d: (np.broadcast_to(d.sum(), d.shape),), [LIKE]),
        (lambda d: (d * 1j,), [((2, 3), ())]),
        (lambda d: (d * 1j * np.nan,), [((2, 3), ())]),
    ],
)  # fmt: skip
def test_what_is_a_gradient_of_each_input_is_returned(back, wanted):
    found = pull("operation", back, ONE, wanted, [None, ONE])
    for mine, right in zip(found, back(ONE), strict=True):
        np.testing.assert_array_equal(mine, right, strict=isinstance(right, np.ndarray))


def in_turn(*results):
    """A vjp that returns in its turn what each of these makes of the cotangent."""
    return lambda dout, left=[*results]: left.pop(0)(dout)  # noqa: B006


def kept_zeros(back):
    """A vjp with an array of zeros that it made before."""
    kept = np.zeros((2, 3))
    return lambda dout: (back(kept, dout),)


AGAIN = "operation: a second walk gives another gradient: the vjp returns or overwrites an array that it keeps, shares one with other calls, or draws numbers"
KEEPS = "operation: the vjp returns gradients in an array that it keeps: a second walk {}"


@pytest.mark.parametrize(
    ("vjp", "kind", "text"),
    [
        (in_turn(lambda d: (d * 1,), lambda d: (d * 1, None)), "second walk", AGAIN),
        (in_turn(lambda d: (d * 1,), lambda d: (d * 2,)), "second walk", AGAIN),
        (in_turn(lambda d: (None,), lambda d: (d * 1,)), "second walk", AGAIN),
        (in_turn(lambda d: (d * 1,), lambda d: (d + [0, 0, np.nan],)), "second walk", AGAIN),
        (kept_zeros(lambda kept, d: np.add(kept, d, out=kept)), "second walk", KEEPS.format("adds to the first's")),
        (kept_zeros(lambda kept, d: np.copyto(kept, d) or kept), "saved array", KEEPS.format("would overwrite the first's")),
    ],
)  # fmt: skip
def test_two_walks_that_disturb_each_other_are_refused(vjp, kind, text):
    with pytest.raises(BadGradient) as caught:
        pull("operation", vjp, ONE, [LIKE], [])
    assert (caught.value.kind, str(caught.value)) == (kind, text)


def test_the_largest_gradient_that_was_met_is_remembered():
    contract, x = Contract(), wrap(np.array([1.0, -2.0]), requires_grad=True)
    assert contract.largest == 0
    with switches.watched_by(contract):
        ((x * 3.0) * -2.0).sum().backward()
        assert contract.largest == 6
        (x[:0] * 5.0).sum().backward()
    assert contract.largest == 6


def test_what_ran_under_another_monitor_is_held_to_the_contract_too():
    x = wrap(X, requires_grad=True)
    right, wrong = (
        lift(lambda a: (2 * a, lambda d: (2 * d,))),
        lift(lambda a: (2 * a, lambda d: (2 * d[:1],))),
    )
    y, z = right(x), wrong(x)
    with switches.watched_by(Contract()):
        y.backward(np.ones(X.shape))
        with pytest.raises(BadGradient, match="the sum over|has shape"):
            z.backward(np.ones(X.shape))
    assert np.array_equal(x.grad, 2 * np.ones(X.shape))


BATCH, T, C, HEADS = 2, 64, 8, 4
ROWS, MASK = BATCH * T, np.ones((BATCH, HEADS, T, T), bool)
E = ROWS * T * HEADS * 8  # bytes of e^S


@pytest.mark.parametrize(
    "fn, inputs, own",  # own: the bytes that are kept beside the inputs and the output
    [
        (linear, [(ROWS, C), (3 * C, C), (3 * C,)], 0),
        (gelu_tanh, [(ROWS, C)], ROWS * C * 8),  # the slope
        (layer_norm, [(ROWS, C), (C,), (C,)], ROWS * (C + 1) * 8),  # xhat and rstd
        (functools.partial(causal_attention, n_head=HEADS), [(BATCH, T, 3 * C)], E + ROWS * HEADS * 8),
        (
            functools.partial(causal_attention, n_head=HEADS, keep=MASK, p=0.5),
            [(BATCH, T, 3 * C)],
            E + 2 * ROWS * HEADS * 8 + MASK.size,
        ),
    ],
)
def test_an_operation_keeps_for_its_vjp_what_it_says_it_saves(fn, inputs, own):
    """Memory in training is what operations keep."""
    tensors = [wrap(RNG.standard_normal(shape), requires_grad=True) for shape in inputs]
    y = fn(*tensors)
    held = {id(versions.owner(a)): versions.owner(a).nbytes for a in versions.saved_arrays(y._node.vjp)}
    for t in (*tensors, y):
        held.pop(id(versions.owner(t._data)), None)
    assert sum(held.values()) == own
