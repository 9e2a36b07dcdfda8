"""Initialisers against torch.nn.init, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import minigrad
import nn
from minigrad.random import Generator

CALLS = [
    ("constant_", {"val": 0.3}),
    ("zeros_", {}),
    ("ones_", {}),
    ("uniform_", {}),
    ("uniform_", {"a": -0.3, "b": 0.1}),
    ("normal_", {}),
    ("normal_", {"mean": 1.0, "std": 0.02}),
    ("trunc_normal_", {"std": 0.02, "a": -0.03, "b": 0.04}),
    ("trunc_normal_", {}),
    ("xavier_uniform_", {}),
    ("xavier_normal_", {"gain": 5 / 3}),
    ("kaiming_uniform_", {"a": 5**0.5}),
    ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", {"nonlinearity": "tanh"}),
    ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "selu"}),
    ("orthogonal_", {}),
    ("orthogonal_", {"gain": 2.5}),
]
shapes = st.lists(st.integers(1, 9), min_size=2, max_size=4).map(tuple)


@pytest.mark.parametrize("name, options", CALLS, ids=[f"{name}{options}" for name, options in CALLS])
@given(shape=shapes, seed=st.integers(0, 2**32 - 1), double=st.booleans())
@example(shape=(4, 4), seed=0, double=True)
def test_an_initialiser_draws_what_pytorchs_draws(name, options, shape, seed, double):
    theirs = torch.empty(shape, dtype=torch.float64 if double else torch.float32)
    ours = minigrad.tensor(np.full(shape, 7.0, np.float64 if double else np.float32))
    torch.manual_seed(seed)
    minigrad.manual_seed(seed)
    getattr(torch.nn.init, name)(theirs, **options)
    array = ours.numpy()
    assert getattr(nn.init, name)(ours, **options) is ours and np.shares_memory(ours.numpy(), array)
    ulp = 4e-16 if double and "normal" in name else 0  # the one place where PyTorch's last bit is not ours
    if name == "orthogonal_":  # two libraries of linear algebra
        ulp = 1e-11 if double else 1e-3
    np.testing.assert_allclose(array, theirs.numpy(), rtol=ulp, atol=ulp)
    np.testing.assert_array_equal(minigrad.rand(2).numpy(), torch.rand(2).numpy())


def test_a_generator_of_its_own_leaves_the_default_alone():
    state = minigrad.random.default_generator().state()
    a, b = minigrad.zeros(5, 5), minigrad.zeros(5, 5)
    nn.init.kaiming_uniform_(a, generator=Generator(3))
    nn.init.kaiming_uniform_(b, generator=Generator(3))
    assert (a == b).all() and (a != 0).all()
    np.testing.assert_equal(minigrad.random.default_generator().state(), state)


@pytest.mark.parametrize(
    "nonlinearity", ["linear", "conv1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
@pytest.mark.parametrize("param", [None, 0.3])
def test_the_gains_are_pytorchs(nonlinearity, param):
    assert nn.init.calculate_gain(nonlinearity, param) == torch.nn.init.calculate_gain(nonlinearity, param)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (5, 2)])
def test_the_identity_is_pytorchs(shape):
    ours, theirs = nn.init.eye_(minigrad.zeros(*shape)), torch.nn.init.eye_(torch.zeros(shape))
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_graph_that_read_the_old_values_refuses_to_be_walked():
    layer = nn.Linear(3, 2)
    y = layer(minigrad.randn(4, 3)).sum()
    nn.init.zeros_(layer.weight)
    with pytest.raises(RuntimeError, match="overwritten after the forward pass"):
        y.backward()


@pytest.mark.parametrize(
    "cause, message",
    [
        (
            lambda: nn.init.xavier_uniform_(minigrad.zeros(3)),
            r"expected a weight of two axes or more; got shape \(3,\)",
        ),
        (
            lambda: nn.init.kaiming_normal_(minigrad.zeros(3, 3), mode="fan"),
            '"fan_in" or "fan_out" for mode; got',
        ),
        (lambda: nn.init.calculate_gain("gelu"), "expected one of linear, conv1d"),
        (lambda: nn.init.normal_(minigrad.zeros(3), std=-1.0), "std >= 0"),
    ],
)
def test_a_mistake_is_told_in_one_line(cause, message):
    with pytest.raises(ValueError, match=message):
        cause()
