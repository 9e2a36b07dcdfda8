"""The first NaN or inf names its operation, the ranges of its inputs, and the user's line."""

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.tensor import wrap
from minigrad.watch.anomaly import AnomalyError, detect_anomaly


def test_the_first_nan_names_the_operation_its_inputs_and_the_users_line():
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = wrap(np.array([2.0, -1.0]), requires_grad=True) * 2.0
        y.log().sum()  # here
    text = str(caught.value)
    assert text.startswith("forward of log: the first nan")
    assert "input 0: float64 (2,) in -2..4" in text
    assert "test_anomaly.py" in text and "y.log().sum()  # here" in text


def test_the_message_letter_for_letter():
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        wrap(np.array([[np.inf, -1.0, 2.5, -np.inf]], np.float32)).log()
    first, *inputs, called = str(caught.value).splitlines()
    assert first == "forward of log: the first nan"
    assert inputs == ["  input 0: float32 (1, 4) in -1..2.5, 1 inf, 1 -inf"] and called.startswith(
        "  called at /"
    )
    x = wrap(np.array([0.0, 1.0]), requires_grad=True)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        (x.sqrt() * 2.0).sum().backward()
    first, *inputs, called = str(caught.value).splitlines()
    assert first == "backward of sqrt: the first inf" and called.startswith("  its forward was called at /")
    assert inputs == [
        "  input 0: float64 (2,) in 0..1",
        "  the gradient it was given: float64 (2,) in 2..2",
    ]


def test_an_inf_that_came_in_may_pass_and_a_nan_may_not():
    with detect_anomaly():
        top = wrap(np.array([np.inf, 1.0]), requires_grad=True)
        (top * 2.0).sum().backward()
        mg.where(np.array([True, False]), wrap(np.array([1, 2])), -np.inf)
        nn.Embedding(3, 2)(np.array([0, 2])).sum().backward()  # the ids have no gradient
    with (
        pytest.raises(AnomalyError, match=r"forward of subtract: the first nan\n  input 0"),
        detect_anomaly(),
    ):
        top - top
    with pytest.raises(AnomalyError, match=r"first nan \(it came in with an input\)"), detect_anomaly():
        wrap(np.array([np.inf, np.nan])) * 2.0


def test_an_inf_in_the_backward_names_the_line_of_the_forward():
    x = wrap(np.array([0.0, 1.0]), requires_grad=True)
    with (
        pytest.raises(AnomalyError, match=r"backward of sqrt: the first inf(.|\n)*root = x.sqrt\(\)"),
        detect_anomaly(),
    ):
        root = x.sqrt()
        root.sum().backward()
    assert x.grad is None


def test_a_nan_in_a_hessian_names_the_users_line_too():
    def fn(x):
        return (x * x.sqrt()).sum()  # the slope of the slope is inf at 0

    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        mg.hessian(fn)(np.array([0.0, 1.0]))
    called = str(caught.value).splitlines()[-1]
    assert "test_anomaly.py" in called and "contextlib" not in called


def test_a_nan_in_the_data_is_told_from_one_that_was_made():
    layer = nn.Linear(2, 2)
    with pytest.raises(AnomalyError, match="it came in with an input"), detect_anomaly():
        layer(wrap(np.array([[1.0, np.nan]], np.float32)))


def test_masks_of_minus_infinity_are_no_anomaly():
    attention = nn.MultiheadAttention(4, 2)
    x = wrap(np.ones((3, 1, 4), np.float32), requires_grad=True)
    with mg.detect_anomaly():
        attention(x, x, x, is_causal=True)[0].sum().backward()
    assert np.isfinite(x.grad).all()


def test_the_detector_changes_no_number_and_is_gone_afterwards():
    model, x = nn.MLP(4), wrap(np.ones((2, 4), np.float32))
    model(x).sum().backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    with detect_anomaly():
        model(x).sum().backward()
    assert all(np.array_equal(expected[n], p.grad) for n, p in model.named_parameters())
    assert mg.switches.state.monitor is None
