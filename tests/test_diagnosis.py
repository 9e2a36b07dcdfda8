"""The diagnosis names mistakes that no planted fault has: by general laws, not by recognising operations."""

import numpy as np
import pytest
import torch

from minigrad.check.diagnosis import EXPLANATIONS, KINDS, diagnose
from minigrad.check.evidence import Evidence
from minigrad.check.gradcheck import gradcheck
from minigrad.tensor import wrap

RNG = np.random.default_rng(77)
TABLE, SQUARE = RNG.standard_normal((4, 5)), RNG.standard_normal((4, 4))
ORDER, CYCLE = np.array([2, 0, 3, 1]), np.array([2, 0, 4, 1, 3])
KEEP = RNG.random((4, 5)) > 0.5
LOWER = np.tri(4, dtype=bool)
ROWS = (4, 5)


def written(forward, backward):
    """A NumPy function with a backward of its own, backward(dout, *inputs)."""

    def fn(*xs):
        def vjp(dout):
            grads = backward(dout, *xs)
            return grads if isinstance(grads, tuple) else (grads,)

        return forward(*xs), vjp

    return fn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def centred(x):
    return x - x.mean(-1, keepdims=True)


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def spread(a, x):
    return np.broadcast_to(a, x.shape).copy()


def rms(x):
    return np.sqrt((x * x).mean(-1, keepdims=True))


def rms_norm(x):
    return x / rms(x)


def softmax_backward(d, p):
    return p * (d - (d * p).sum(-1, keepdims=True))


def every_row(d, x):
    dx = np.zeros_like(x)
    dx[:, x.argmax(1)] = d
    return dx


def late_pad(dout):
    return dout[:-2].copy()


MISTAKES = [  # what it is, the kind, words of the text, forward, backward, shapes
    ("half", "factor", ": is one of two equal uses lost, or a 2? or one over the root of the length of axis 1",
     np.sin, lambda d, x: 0.5 * d * np.cos(x), [(3, 4)]),
    ("a little too steep", "factor", "1.000003 times",
     np.sin, lambda d, x: (1 + 3e-6) * d * np.cos(x), [(3, 4)]),
    ("product with the operand not transposed", "transposed", "axes of the output and of the input are exchanged",
     lambda a, b: a @ b, lambda d, a, b: (d @ b, a.T @ d), [(3, 4), (4, 4)]),
    ("product with a constant not transposed", "transposed", "axes of the output and of the input are exchanged",
     lambda x: x @ SQUARE, lambda d, x: d @ SQUARE, [(3, 4)]),
    ("running sum forwards again", "misplaced", "a running sum not run backwards",
     lambda x: x.cumsum(0), lambda d, x: d.cumsum(0), [(5, 3)]),
    ("sum spread along the other axis", "wrong axis", "along axis 1; the output is summed over axis 0",
     lambda x: x.sum(0), lambda d, x: spread(d[:, None], x), [(4, 4)]),
    ("sum of all rows in each row", "wrong axis", "too much is summed",
     lambda x: x.sum(1), lambda d, x: spread(d.sum(), x), [ROWS]),
    ("bias summed over all", "wrong axis", "too much is summed",
     lambda x, b: x + b, lambda d, x, b: (d, spread(d.sum(), b)), [ROWS, (5,)]),
    ("cotangent summed over rows", "wrong axis", "mixes indices of axis 1, which the function keeps apart: too much is summed",
     np.exp, lambda d, x: d.sum(1, keepdims=True) * np.exp(x), [ROWS]),
    ("mean taken off along the wrong axis", "wrong axis", "mixes indices of axis 0, where the function mixes those of axis 1",
     centred, lambda d, x: d - d.mean(0, keepdims=True), [ROWS]),
    ("softmax summed along the wrong axis", "wrong axis", "mixes indices of axis 0, where the function mixes those of axis 1",
     softmax, lambda d, x: softmax(x) * (d - (d * softmax(x)).sum(0)), [ROWS]),
    ("bias of some rows", "missing sum", "those of the output at indices 1, 3 of axis 0",
     lambda x, b: x + b, lambda d, x, b: (d, d[::2].sum(0)), [ROWS, (5,)]),
    ("order not undone", "misplaced", "an order not undone",
     lambda x: x[CYCLE], lambda d, x: d[CYCLE], [(5, 4)]),
    ("padding cut off at one end", "misplaced", "gives the right values to other elements",
     lambda x: np.pad(x, ((1, 1), (0, 0))), lambda d, x: late_pad(d), [(5, 3)]),
    ("mask of a hidden relu lost", "leak", "is a mask not applied",
     lambda x: np.maximum(x @ TABLE, 0), lambda d, x: d @ TABLE.T, [(3, 4)]),
    ("a branch of a concatenation lost", "missing sum", "only",
     lambda x: np.concatenate([x, np.sin(x)]), lambda d, x: d[:4].copy(), [ROWS]),
    ("the other operand twice", "swapped", "the input is where input 1 belongs",
     lambda a, b: a * b, lambda d, a, b: (d * a, d * a), [ROWS, ROWS]),
    ("a threshold not heeded", "region", "beyond 1 in size",
     lambda x: np.where(abs(x) < 1, x * x / 2, abs(x) - 0.5), lambda d, x: d * x, [ROWS]),
    ("some channels doubled", "region", "index 2 of axis 1, by a factor of 2",
     np.sin, lambda d, x: d * np.cos(x) * np.array([1, 1, 2.0])[:, None], [(2, 3, 4)]),
    ("tanh without its square", "varying factor", "by no simple law",
     np.tanh, lambda d, x: d * (1 - np.tanh(x)), [ROWS]),
    ("sigmoid without 1 - y", "varying factor", "by no simple law",
     sigmoid, lambda d, x: d * sigmoid(x), [ROWS]),
    ("a factor for each column", "varying factor", "along axis 1 each index has a factor of its own: 1, 2, 3",
     np.sin, lambda d, x: d * np.cos(x) * np.arange(1, 6), [ROWS]),
    ("a norm not divided by", "varying factor", "a multiple of the output to the power 1",
     lambda x: np.sqrt((x * x).sum()), lambda d, x: d * x, [(3, 4)]),
    ("a hidden tanh not differentiated", "no derivative", "the derivative of the tanh",
     lambda x: np.tanh(x @ TABLE), lambda d, x: d @ TABLE.T, [(3, 4)]),
    ("a factor of a product held constant", "dropped term", "one factor was held constant",
     lambda x: x * np.tanh(x), lambda d, x: d * x * (1 - np.tanh(x) ** 2), [ROWS]),
    ("a gelu without its second term", "dropped term", "one factor was held constant",
     lambda x: x * sigmoid(1.7 * x), lambda d, x: d * sigmoid(1.7 * x), [ROWS]),
    ("one of two uses in a product", "dropped term", "a path from the input to the output is lost",
     lambda x: x @ x.T, lambda d, x: d @ x, [(4, 3)]),
    ("a norm without its projection", "dropped term", "a path from the input to the output is lost",
     unit, lambda d, x: d / np.sqrt((x * x).sum(-1, keepdims=True)), [ROWS]),
    ("a softmax's diagonal alone", "dropped term", "a path from the input to the output is lost",
     softmax, lambda d, x: d * softmax(x) * (1 - softmax(x)), [ROWS]),
    ("the target of a cross entropy lost", "dropped term", "what is missing is the same everywhere, -1 times the cotangent",
     lambda x: -np.log(softmax(x))[np.arange(4), ORDER], lambda d, x: d[:, None] * softmax(x), [ROWS]),
    ("the cotangent squared", "cotangent", "not linear in the cotangent",
     np.tanh, lambda d, x: d * d * (1 - np.tanh(x) ** 2), [ROWS]),
    ("a mean in the term of a norm taken for a sum", "factor", "one term of the gradient is 5 times",
     rms_norm, lambda d, x: (d - rms_norm(x) * (d * rms_norm(x)).sum(-1, keepdims=True)) / rms(x), [ROWS]),
    ("the sign of one term", "factor", "one term of the gradient is -1 times what it should be",
     rms_norm, lambda d, x: (d + rms_norm(x) * (d * rms_norm(x)).mean(-1, keepdims=True)) / rms(x), [ROWS]),
    ("the norms of a cosine constant", "dropped term", "the error is in proportion to the input",
     lambda x: x @ TABLE[0] / np.sqrt((x * x).sum(-1)),
     lambda d, x: (d / np.sqrt((x * x).sum(-1)))[:, None] * TABLE[0], [ROWS]),
    ("the gradient of a maximum in every row", "leak", "an index too wide",
     lambda x: x.max(1), lambda d, x: every_row(d, x), [(6, 5)]),
    ("a mask after the softmax", "leak", "does not depend on what it passes its cotangent to",
     lambda x: softmax(np.where(LOWER, x, -1e9)), lambda d, x: softmax_backward(d * LOWER, softmax(x)), [(4, 4)]),
    ("a tied weight counted once", "dropped term", "a path from the input to the output is lost",
     lambda w: np.tanh(w[[1, 5, 1, 0]]) @ w.T, lambda d, w: d.T @ np.tanh(w[[1, 5, 1, 0]]), [(6, 4)]),
    ("one of two uses in a deep network", "dropped term", "of one path, where the whole has several",
     lambda x: sigmoid(x @ SQUARE) * np.tanh(x @ SQUARE.T),
     lambda d, x: (d * sigmoid(x @ SQUARE) * (1 - np.tanh(x @ SQUARE.T) ** 2)) @ SQUARE, [(3, 4)]),
    ("a kernel not flipped", "misplaced", "is a kernel not flipped",
     lambda x: np.stack([np.convolve(r, [1, 2, 4], "same") for r in x]),
     lambda d, x: np.stack([np.convolve(r, [1, 2, 4], "same") for r in d]), [(2, 6)]),
    ("a recurrent matrix not transposed", "transposed", "a factor for each output",
     lambda x: np.tanh(x @ SQUARE / 4), lambda d, x: d * (1 - np.tanh(x @ SQUARE / 4) ** 2) @ SQUARE / 4, [(3, 4)]),
    ("the derivative of one gate", "region", "of axis 1",
     lambda x: sigmoid(x[:, :2]) * np.tanh(x[:, 2:4]) + x[:, 4:6],
     lambda d, x: np.concatenate([2 * d * np.tanh(x[:, 2:4]) * sigmoid(x[:, :2]) * (1 - sigmoid(x[:, :2])),
                                  d * sigmoid(x[:, :2]) * (1 - np.tanh(x[:, 2:4]) ** 2), d], 1), [(3, 6)]),
    ("one triangle read alone", "leak", "the symmetric part of what it should be",
     lambda x: np.linalg.eigvalsh(x + x.T.copy() * 0),
     lambda d, x: (lambda v: v @ np.diag(d) @ v.T)(np.linalg.eigh(x)[1]), [(4, 4)]),
    ("a target off by one", "misplaced", "is missing at 4 elements and too much at as many",
     lambda x: -np.log(softmax(x))[np.arange(4), ORDER].sum(),
     lambda d, x: d * (softmax(x) - np.eye(5)[ORDER + 1]), [ROWS]),
    ("a term without the cotangent", "cotangent", "a term without dout is added",
     lambda x: 3 * x, lambda d, x: 3 * d + 0.01 * x, [ROWS]),
    ("half precision on the way", "dtype", "passes through half precision",
     np.tanh, lambda d, x: (d.astype("e") * (1 - np.tanh(x) ** 2).astype("e")).astype(float), [ROWS]),
    ("an array of integers on the way", "dtype", "whole numbers",
     lambda x: 3 * x, lambda d, x: (3 * d).astype(int).astype(float), [ROWS]),
    ("a slope of 0 taken for 1", "leak", "its slope is 0",
     lambda x: (x * KEEP) ** 2, lambda d, x: d * np.where(KEEP, 2 * x, 1.0), [ROWS]),
    ("a derivative of no simple law", "varying factor", "by no simple law",
     lambda x: np.sin(x) + np.exp(x), lambda d, x: d * np.exp(x), [ROWS]),
]  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("kind", "words", "forward", "backward", "shapes"), [m[1:] for m in MISTAKES],
                         ids=[m[0] for m in MISTAKES])  # fmt: skip
def test_a_mistake_is_named(kind, words, forward, backward, shapes, seed):
    rng = np.random.default_rng([seed, 5])
    inputs = [rng.standard_normal(shape) for shape in shapes]
    report = gradcheck(written(forward, backward), inputs, seed=seed, raise_error=False)
    assert set(report.kinds) == {kind}
    assert words in str(report)


DETACHED = {
    "a factor": lambda x: x.tanh() * x.detach(),
    "a scale": lambda x: x / (x * x).sum(-1, keepdims=True).detach().sqrt(),
    "a branch in NumPy": lambda x: x.tanh() + wrap(np.sin(x.array)),
    "half of a product": lambda x: x @ x.detach().T,
}


@pytest.mark.parametrize("fn", DETACHED.values(), ids=DETACHED)
def test_a_value_without_a_history_is_found_and_its_reader_named(fn):
    report = gradcheck(fn, RNG.standard_normal(ROWS), raise_error=False)
    assert report.kinds == ["detached"]
    assert any(
        f"{name} reads a value" in str(report) for name in ("multiply", "divide", "add", "matmul", "sqrt")
    )


NUMBERS = [
    lambda x: x * x.sum().item(),
    lambda x: x * float(x.max()),
    lambda x: x * torch.tensor(x.tolist()).double(),
]


@pytest.mark.filterwarnings("ignore:Converting a tensor")
@pytest.mark.parametrize("fn", NUMBERS, ids=["item", "float", "tolist"])
def test_a_value_that_leaves_pytorch_as_a_plain_number_is_found(fn):
    report = gradcheck(fn, TABLE, library="torch", raise_error=False)
    assert report.kinds == ["detached"]


@pytest.mark.parametrize("fn", [lambda x: x.tanh() * x.detach(), lambda x: x.sin() + x.data.exp()])
def test_a_value_without_a_history_is_found_in_a_function_of_pytorch(fn):
    report = gradcheck(fn, RNG.standard_normal(ROWS), library="torch", raise_error=False)
    assert report.kinds == ["detached"]
    assert any(
        f"{name} returns a value that depends on the input" in str(report) for name in ("detach", "data")
    )


def test_what_pytorch_computes_without_a_history_is_found_in_a_module():
    class Gate(torch.nn.Module):
        def forward(self, x):
            with torch.no_grad():
                gate = torch.sigmoid(x)
            return x * gate

    report = gradcheck(Gate(), RNG.standard_normal(ROWS), raise_error=False)
    assert report.kinds == ["detached"] and "sigmoid returns a value" in str(report)


def test_a_value_may_be_detached_where_it_changes_nothing():
    """softmax takes out the maximum, whose gradient is 0 in sum; a factor beside it is still that factor."""

    def fn(x, factor=1.0):
        e = (x - x.detach().max()).exp()
        return e / e.sum(-1, keepdims=True) * factor + x.detach() * 0.0

    assert gradcheck(fn, RNG.standard_normal(ROWS))


def relu(factor):
    return written(lambda x: np.maximum(x, 0), lambda d, x: factor * d * (x > 0))


@pytest.mark.parametrize("x", [np.array([[0.0, 1, -1, 2], [0.5, -0.3, 0, 1.2]]), np.zeros(4)])
def test_a_factor_is_named_beside_kinks(x):
    report = gradcheck(relu(0.5), x, raise_error=False)
    assert report.kinds == ["factor"] and "0.5 times" in str(report)


def in_float32(factor, offset):
    table = TABLE.astype(np.float32)

    def fn(x):
        y = np.tanh(x.astype(np.float32) @ table)
        return y + np.float32(offset), lambda d: (
            np.float32(factor) * ((d * (1 - y * y)) @ table.T).astype(np.float32),
        )

    return fn


@pytest.mark.parametrize(("factor", "offset"), [(1.001, 0), (1.003, 0), (1.01, 10), (1.05, 100), (1.3, 1000)])
@pytest.mark.parametrize("seed", range(4))
def test_a_factor_is_found_in_noise(factor, offset, seed):
    x = RNG.standard_normal((3, 4)).astype(np.float32)
    report = gradcheck(in_float32(factor, offset), x, seed=seed, raise_error=False)
    assert report.kinds == ["factor"]
    text = str(report.findings[0]).split("gradient is ")[1].removeprefix("about ")
    assert abs(float(text.split()[0]) / factor - 1) < 0.2 * (factor - 1)


def evidence(claimed, measured, error):
    """Evidence of a gradient alone."""
    x = np.arange(1.0, 1.0 + claimed.size)
    return Evidence(x, np.ones(1), np.ones(1), claimed, measured, np.full(claimed.shape, error))


def test_what_is_unexplained_is_described():
    measured, claimed = RNG.standard_normal((2, 9))
    right = [1, 3, 4, 6, 8]
    claimed[right] = measured[right]
    text = str(diagnose(evidence(claimed, measured, 1e-9)))
    ratios = np.delete(claimed / measured, right)
    assert text.startswith("unexplained: wrong at 4 of 9 elements, most at ")
    assert f"{ratios.min():.3g} to {ratios.max():.3g} times" in text
    assert "right at indices 1, 3, 4, 6, 8 of axis 0" in text


def test_noise_that_hides_the_pattern_is_said_to():
    measured = RNG.standard_normal(9)
    text = str(diagnose(evidence(measured + 3e-4 * RNG.choice([-1, 1], 9), measured, 0.95e-4)))
    assert text.startswith("unexplained") and "numerical noise, which hides its pattern" in text


def in_place(x):
    y = x * 2.0
    y += 1.0
    y[0] = x[1]
    return y.exp().mul_(0.5)


def test_a_function_that_writes_in_place_is_checked_like_another():
    assert gradcheck(in_place, RNG.standard_normal(ROWS))
    report = gradcheck(lambda x: in_place(x) * x.detach(), RNG.standard_normal(ROWS), raise_error=False)
    assert not report  # of what writes in place no graph can be run again: the cut goes without its name


def test_whole_numbers_among_the_outputs_are_passed_over():
    assert gradcheck(lambda x: x.max(1), RNG.standard_normal(ROWS))
    with pytest.raises(TypeError, match="got Tensor of integers or booleans alone"):
        gradcheck(lambda x: x.argmax(1), RNG.standard_normal(ROWS))


BUFFER = np.zeros(ROWS)


def in_one_array(change):
    """sin, whose gradient is written into an array that outlives the vjp."""

    def fn(x, own=None):
        kept = BUFFER if own is None else own

        def vjp(dout):
            change(kept, dout * np.cos(x))
            return (kept,)

        return np.sin(x), vjp

    return fn, lambda x: fn(x, np.zeros(ROWS))


@pytest.mark.parametrize("of_each_call", [0, 1])
@pytest.mark.parametrize(("kind", "change"), [
    ("saved array", lambda a, g: np.copyto(a, g)), ("second walk", lambda a, g: np.add(a, g, out=a)),
])  # fmt: skip
def test_a_gradient_in_an_array_that_is_kept_is_named(kind, change, of_each_call):
    BUFFER[...] = 0
    report = gradcheck(in_one_array(change)[of_each_call], TABLE, raise_error=False)
    assert report.kinds == [kind]


def test_two_gradients_in_one_scratch_array_are_found():
    def fn(a, b):
        def vjp(dout):
            scratch = np.empty(ROWS)
            da, db = (np.multiply(dout, other, out=scratch) for other in (b, a))
            return da, db

        return a * b, vjp

    assert gradcheck(fn, [TABLE, TABLE + 1], raise_error=False).kinds == ["aliased"]


def test_every_name_is_in_the_table():
    assert {kind for kind, _ in EXPLANATIONS} <= KINDS.keys()


@pytest.mark.parametrize(
    "shapes", [((), ()), ((0,), (3,)), ((1,), (1, 1)), ((3, 0), (2,)), ((4, 4), (4, 4)), ((2,), ())]
)
@pytest.mark.parametrize("right", [0.0, 1.0])
def test_any_evidence_has_some_diagnosis(shapes, right):
    """Of no elements, of zeros alone, of NaN, with and without a Jacobian."""
    rng = np.random.default_rng(3)
    x, y, dout = (rng.standard_normal(shape) for shape in (shapes[0], shapes[1], shapes[1]))
    jacobian = right * rng.standard_normal((y.size, x.size))
    for claimed in (jacobian * 0, jacobian + 1, jacobian.round(), jacobian * np.nan):
        gradients = [(dout.ravel() @ j).reshape(x.shape) for j in (claimed, jacobian)]
        for matrices in ({}, {"jacobian": jacobian, "claimed_jacobian": claimed}):
            found = diagnose(Evidence(x, y, dout, *gradients, error=np.full(x.shape, 1e-9), **matrices))
            assert found.kind in KINDS
