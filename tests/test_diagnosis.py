"""The diagnosis names mistakes that no planted fault has: by general laws, not by recognising operations."""

import numpy as np
import pytest
import torch

from minigrad.check.diagnosis import diagnose
from minigrad.check.evidence import Evidence
from minigrad.check.gradcheck import gradcheck
from minigrad.tensor import wrap

RNG = np.random.default_rng(77)
TABLE, SQUARE = RNG.standard_normal((4, 5)), RNG.standard_normal((4, 4))
ORDER, CYCLE = np.array([2, 0, 3, 1]), np.array([2, 0, 4, 1, 3])
KEEP = RNG.random((4, 5)) > 0.5
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


def late_pad(dout):
    return dout[:-2].copy()


MISTAKES = [  # what it is, the kind, words of the text, forward, backward, shapes
    ("half", "factor", ": is one of two equal uses lost, or a 2? or one over the root of the length of axis 1",
     np.sin, lambda d, x: 0.5 * d * np.cos(x), [(3, 4)]),
    ("a little too steep", "factor", "1.000003 times",
     np.sin, lambda d, x: (1 + 3e-6) * d * np.cos(x), [(3, 4)]),
    ("product with the operand not transposed", "transposed", "dout @ input 1, where dout @ input 1.T belongs",
     lambda a, b: a @ b, lambda d, a, b: (d @ b, a.T @ d), [(3, 4), (4, 4)]),
    ("product with a constant not transposed", "transposed", "axes of the output and of the input are exchanged",
     lambda x: x @ SQUARE, lambda d, x: d @ SQUARE, [(3, 4)]),
    ("running sum forwards again", "transposed", "exchanged",
     lambda x: x.cumsum(0), lambda d, x: d.cumsum(0), [(5, 3)]),
    ("sum spread along the other axis", "wrong axis", "along axis 1; the output is summed over axis 0",
     lambda x: x.sum(0), lambda d, x: spread(d[:, None], x), [(4, 4)]),
    ("sum of all rows in each row", "wrong axis", "too much is summed",
     lambda x: x.sum(1), lambda d, x: spread(d.sum(), x), [ROWS]),
    ("bias summed over all", "wrong axis", "too much is summed",
     lambda x, b: x + b, lambda d, x, b: (d, spread(d.sum(), b)), [ROWS, (5,)]),
    ("cotangent summed over rows", "wrong axis", "the cotangent is replaced by its sum over axes (1,)",
     np.exp, lambda d, x: d.sum(1, keepdims=True) * np.exp(x), [ROWS]),
    ("mean taken off along the wrong axis", "wrong axis", "belongs along the other",
     centred, lambda d, x: d - d.mean(0, keepdims=True), [ROWS]),
    ("softmax summed along the wrong axis", "wrong axis", "in proportion to",
     softmax, lambda d, x: softmax(x) * (d - (d * softmax(x)).sum(0)), [ROWS]),
    ("bias of some rows", "missing sum", "those of the output at indices 1, 3 of axis 0",
     lambda x, b: x + b, lambda d, x, b: (d, d[::2].sum(0)), [ROWS, (5,)]),
    ("order not undone", "misplaced", "stand in other places",
     lambda x: x[CYCLE], lambda d, x: d[CYCLE], [(5, 4)]),
    ("padding cut off at one end", "misplaced", "read shifted by -1 along axis 0",
     lambda x: np.pad(x, ((1, 1), (0, 0))), lambda d, x: late_pad(d), [(5, 3)]),
    ("mask of a hidden relu lost", "leak", "is a mask not applied",
     lambda x: np.maximum(x @ TABLE, 0), lambda d, x: d @ TABLE.T, [(3, 4)]),
    ("a branch of a concatenation lost", "missing sum", "only",
     lambda x: np.concatenate([x, np.sin(x)]), lambda d, x: d[:4].copy(), [ROWS]),
    ("the other operand twice", "swapped", "this is the gradient that input 1 is given, too",
     lambda a, b: a * b, lambda d, a, b: (d * a, d * a), [ROWS, ROWS]),
    ("a threshold not heeded", "region", "beyond 1 in size",
     lambda x: np.where(abs(x) < 1, x * x / 2, abs(x) - 0.5), lambda d, x: d * x, [ROWS]),
    ("some channels doubled", "region", "index 2 of axis 1, by a factor of 2",
     np.sin, lambda d, x: d * np.cos(x) * np.array([1, 1, 2.0])[:, None], [(2, 3, 4)]),
    ("tanh without its square", "varying factor", "a factor of 1 + 1 times the output",
     np.tanh, lambda d, x: d * (1 - np.tanh(x)), [ROWS]),
    ("sigmoid without 1 - y", "varying factor", "lacks a factor of 1 - 1 times the output",
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
    ("one of two uses in a product", "dropped term", "dout.T @ the input is missing",
     lambda x: x @ x.T, lambda d, x: d @ x, [(4, 3)]),
    ("a norm without its projection", "dropped term", "a term is missing",
     unit, lambda d, x: d / np.sqrt((x * x).sum(-1, keepdims=True)), [ROWS]),
    ("a softmax's diagonal alone", "dropped term", "the terms across",
     softmax, lambda d, x: d * softmax(x) * (1 - softmax(x)), [ROWS]),
    ("the target of a cross entropy lost", "dropped term", "a multiple of the cotangent itself is missing at 4 of",
     lambda x: -np.log(softmax(x))[np.arange(4), ORDER], lambda d, x: d[:, None] * softmax(x), [ROWS]),
    ("the cotangent squared", "cotangent", "not linear in the cotangent",
     np.tanh, lambda d, x: d * d * (1 - np.tanh(x) ** 2), [ROWS]),
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
    with pytest.raises(TypeError, match="got Tensors of integers or booleans alone"):
        gradcheck(lambda x: x.argmax(1), RNG.standard_normal(ROWS))
