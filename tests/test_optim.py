"""Optimisers against torch.optim: twenty steps, groups, skipped gradients, state, and the flat buffer."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import nn
from minigrad import no_grad
from minigrad.tensor import wrap
from nn import optim
from nn.optim import optimizer as base

SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "betas": (0.9, 0.99), "eps": 1e-7, "weight_decay": 0.3}),
]
every_setting = pytest.mark.parametrize("name, settings", SETTINGS, ids=[f"{n}{s}" for n, s in SETTINGS])
shapes = st.lists(st.lists(st.integers(1, 4), max_size=3).map(tuple), min_size=1, max_size=5)
seeds = st.integers(0, 2**32 - 1)


def parameters(shapes, seed, dtype=np.float64):
    """The same random parameters for both sides."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    return [nn.Parameter(a.copy()) for a in arrays], [torch.nn.Parameter(torch.tensor(a)) for a in arrays]


def give_gradients(ours, theirs, rng, skip=0.0):
    """Set the same random gradients on both sides, and none with probability `skip`."""
    for p, t in zip(ours, theirs):
        grad = np.asarray(rng.standard_normal(p.shape), p.dtype)
        p.grad, t.grad = (None, None) if rng.random() < skip else (grad, torch.tensor(grad))


def assert_equal(ours, theirs, tolerance):
    for p, t in zip(ours, theirs):
        np.testing.assert_allclose(p.array, t.detach().numpy(), rtol=tolerance, atol=tolerance)


# --- parity ---


@every_setting
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-10), (np.float32, 1e-5)])
@given(shapes=shapes, seed=seeds)
def test_twenty_steps_equal_pytorchs(name, settings, dtype, tolerance, shapes, seed):
    ours, theirs = parameters(shapes, seed, dtype)
    a, b = getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        give_gradients(ours, theirs, rng)
        a.step()
        b.step()
    assert_equal(ours, theirs, tolerance)


@every_setting
@given(shapes=shapes, seed=seeds)
def test_parameters_without_a_gradient_are_skipped_and_count_steps_of_their_own(name, settings, shapes, seed):
    ours, theirs = parameters(shapes, seed)
    a, b = getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        give_gradients(ours, theirs, rng, skip=0.5)
        before = [p.array.copy() for p in ours]
        a.step()
        b.step()
        assert all((p.array == old).all() for p, old in zip(ours, before) if p.grad is None)
    assert_equal(ours, theirs, 1e-10)


@every_setting
@given(seed=seeds)
def test_groups_have_settings_of_their_own_and_changes_take_effect(name, settings, seed):
    shapes = [(2, 3), (3,), (4, 1), ()]
    ours, theirs = parameters(shapes, seed)
    pair = []
    for library, ps in ((optim, ours), (torch.optim, theirs)):
        groups = [{"params": ps[:2], "weight_decay": 0.5}, {"params": ps[2:], "lr": 0.3}]
        pair.append(getattr(library, name)(groups, **settings))
    rng = np.random.default_rng(seed)
    for step in range(10):
        give_gradients(ours, theirs, rng)
        for optimizer in pair:
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.param_groups[1]["weight_decay"] = 0.01 * step
            optimizer.step()
    assert_equal(ours, theirs, 1e-10)


@pytest.mark.parametrize("limit", [8, 40, 200, 10**6])  # bytes: one element to everything in one piece
@given(shapes=shapes, seed=seeds)
def test_the_size_of_the_pieces_changes_no_bit(limit, shapes, seed):
    with pytest.MonkeyPatch.context() as patch:
        results = []
        for size in (limit, base.CACHE_BYTES):
            patch.setattr(base, "CACHE_BYTES", size)
            ours, theirs = parameters(shapes, seed)
            a = optim.AdamW(ours, lr=0.1)
            rng = np.random.default_rng(seed)
            for _ in range(3):
                give_gradients(ours, theirs, rng, skip=0.2)
                a.step()
            results.append([p.array.copy() for p in ours])
    for x, y in zip(*results):
        np.testing.assert_array_equal(x, y)


# --- state ---


@every_setting
def test_a_run_that_is_saved_and_resumed_is_the_same_bit_for_bit(name, settings):
    def run(steps, ours, optimizer, rng):
        for _ in range(steps):
            give_gradients(ours, theirs, rng, skip=0.3)
            optimizer.step()

    shapes = [(3, 4), (4,), (), (2, 2)]
    ours, theirs = parameters(shapes, 0, np.float32)
    optimizer = getattr(optim, name)([(f"layer.{i}", p) for i, p in enumerate(ours)], **settings)
    rng = np.random.default_rng(1)
    run(5, ours, optimizer, rng)
    optimizer.param_groups[0]["lr"] = 0.05
    saved, weights, again = optimizer.state_dict(), [p.array.copy() for p in ours], copy.deepcopy(rng)
    run(7, ours, optimizer, rng)

    fresh = [nn.Parameter(a) for a in weights]
    resumed = getattr(optim, name)([(f"layer.{i}", p) for i, p in enumerate(fresh)], **settings)
    resumed.load_state_dict(saved)
    assert resumed.param_groups[0]["lr"] == 0.05
    run(7, fresh, resumed, again)
    for p, q in zip(ours, fresh):
        np.testing.assert_array_equal(p.array, q.array)


def test_the_state_is_named_and_copied():
    model = nn.Linear(3, 2)
    optimizer = optim.AdamW(model.named_parameters(), lr=0.1)
    model(minigrad.randn(4, 3)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    assert list(state["state"]) == ["weight", "bias"]
    assert {k: v.shape for k, v in state["state"]["weight"].items()} == {
        "step": (),
        "exp_avg": (2, 3),
        "exp_avg_sq": (2, 3),
    }
    assert state["param_groups"] == [{"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}]
    before = state["state"]["weight"]["exp_avg"].copy()
    optimizer.step()
    np.testing.assert_array_equal(state["state"]["weight"]["exp_avg"], before)


def test_state_that_does_not_fit_changes_nothing():
    a, b = nn.Linear(3, 2), nn.Linear(3, 3)
    optimizer, other = optim.AdamW(a.named_parameters(), lr=0.1), optim.AdamW(b.named_parameters(), lr=0.2)
    before = optimizer.state_dict()
    with pytest.raises(
        ValueError, match=r"AdamW.load_state_dict: expected the same .*; got others for weight, bias"
    ):
        optimizer.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match="got others for weight, bias"):
        optimizer.load_state_dict(optim.SGD(a.named_parameters()).state_dict())
    split = [{"params": [("weight", a.weight)]}, {"params": [("bias", a.bias)]}]
    with pytest.raises(ValueError, match="got 2 groups"):
        optimizer.load_state_dict(optim.AdamW(split).state_dict())
    np.testing.assert_equal(optimizer.state_dict(), before)


# --- the flat buffer ---


def is_view_of(p, optimizer):
    return np.shares_memory(p.array, optimizer._buffers[0].values)


def test_parameters_are_views_of_one_buffer_and_stay_so():
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    before = copy.deepcopy(model.state_dict())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    assert all((before[name] == a).all() for name, a in model.state_dict().items())
    model.load_state_dict({name: a + 1 for name, a in before.items()})
    nn.init.normal_(model[0].weight)
    with no_grad():
        model[0].bias -= 0.5
    assert all(is_view_of(p, optimizer) for p in model.parameters())


@pytest.mark.parametrize("change", ["data", "another optimiser"])
def test_a_parameter_that_was_given_another_array_is_still_updated(change):
    p, t = nn.Parameter(np.ones(3)), torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    a, b = optim.SGD([p], lr=0.1, momentum=0.5), torch.optim.SGD([t], lr=0.1, momentum=0.5)
    other, theirs = (optim.SGD([p], lr=1.0), torch.optim.SGD([t], lr=1.0))
    if change == "data":
        p.array, t.data = np.full(3, 7.0), torch.full((3,), 7.0, dtype=torch.float64)
    for _ in range(3):
        p.grad, t.grad = p.array * 2, t.detach() * 2
        for ours, reference in ((a, b), (other, theirs)):
            ours.step()
            reference.step()
            np.testing.assert_allclose(p.array, t.detach().numpy(), rtol=1e-12)


def test_an_optimiser_made_between_forward_and_backward_makes_no_graph_stale():
    model, x = nn.Linear(3, 2), minigrad.randn(4, 3)
    loss = (model(x) * model(x)).sum()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss.backward()
    loss = model(x).sum()
    optimizer.step()
    with pytest.raises(RuntimeError, match="overwritten after the forward pass"):
        loss.backward()


def test_a_step_leaves_graphs_of_parameters_without_a_gradient_alone():
    a, b = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    optimizer = optim.SGD([a, b], lr=0.1)
    y = (b * b).sum()
    a.grad = np.ones(2)
    optimizer.step()
    y.backward()
    assert b.grad.tolist() == [2.0, 2.0]


def test_a_model_that_changed_its_dtype_needs_a_new_optimiser():
    model = nn.Linear(2, 2)
    optimizer = optim.AdamW(model.parameters())
    model.double()(minigrad.randn(1, 2, dtype=np.float64)).sum().backward()
    with pytest.raises(
        RuntimeError, match="AdamW.step: expected parameters of float32.*float64 on cpu; make"
    ):
        optimizer.step()


def test_frozen_parameters_are_left_alone():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    optimizer, before = optim.AdamW(model.parameters(), lr=0.1), model[0].weight.array.copy()
    model(minigrad.randn(3, 2)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    assert (model[0].weight.array == before).all() and model[1].weight.grad is None


def test_a_step_writes_to_no_gradient():
    for name, settings in SETTINGS:
        ours, theirs = parameters([(3, 2), (2,)], 0)
        optimizer = getattr(optim, name)(ours, **settings)
        give_gradients(ours, theirs, np.random.default_rng(0))
        optimizer.step()
        assert all((p.grad == t.grad.numpy()).all() for p, t in zip(ours, theirs))


def test_training_lowers_a_loss():
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    x = minigrad.randn(64, 2)
    y = wrap(x.array[:, :1] * x.array[:, 1:])
    optimizer, losses = optim.Adam(model.parameters(), lr=0.02), []
    for _ in range(100):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


# --- clipping and the schedule ---


@given(shapes=shapes, seed=seeds, max_norm=st.floats(0, 5))
def test_clipping_equals_pytorchs(shapes, seed, max_norm):
    ours, theirs = parameters(shapes, seed)
    give_gradients(ours, theirs, np.random.default_rng(seed), skip=0.3)
    ours_norm = nn.clip_grad_norm_((p for p in ours), max_norm)
    norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    np.testing.assert_allclose(ours_norm, norm.item(), rtol=1e-12)
    for p, t in zip(ours, theirs):
        assert (p.grad is None) == (t.grad is None)
        if p.grad is not None:
            np.testing.assert_allclose(p.grad, t.grad.numpy(), rtol=1e-12)


def test_clipping_one_tensor_and_a_norm_that_is_not_a_number():
    p = nn.Parameter(np.zeros(2))
    p.grad = np.array([3.0, 4.0])
    assert nn.utils.clip_grad_norm_(p, 1.0) == 5.0
    np.testing.assert_allclose(p.grad, [0.6, 0.8], rtol=1e-6)
    p.grad = np.array([math.nan, 1.0])
    assert math.isnan(nn.clip_grad_norm_([p], 1.0)) and np.isnan(p.grad).all()


def test_the_learning_rate_rises_and_then_falls_by_half_a_cosine():
    settings = {"lr": 1.0, "min_lr": 0.1, "warmup_iters": 4, "lr_decay_iters": 24}
    rates = [nn.warmup_cosine(step, **settings) for step in range(30)]
    np.testing.assert_allclose(rates[:5], [0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(rates[14], 0.55)
    np.testing.assert_allclose(rates[24:], 0.1)
    assert all(a > b for a, b in itertools.pairwise(rates[4:25]))
    assert nn.warmup_cosine(0, lr=1.0, min_lr=0.1, warmup_iters=0, lr_decay_iters=9) == 1.0


# --- mistakes ---

WEIGHT = nn.Parameter(np.ones(2, np.float32))
ERRORS = [
    (lambda: optim.SGD([]), ValueError, "SGD: expected a list of parameters or of groups; got none"),
    (lambda: optim.SGD(WEIGHT), ValueError, "got one Tensor"),
    (lambda: optim.SGD([np.ones(2)]), TypeError, r"leaf Tensors; got ndarray \(parameter 0\)"),
    (lambda: optim.Adam([WEIGHT * 2]), TypeError, r"got a Tensor with a history \(parameter 0\)"),
    (lambda: optim.AdamW([WEIGHT, WEIGHT]), ValueError, "each parameter and name once"),
    (
        lambda: optim.AdamW([{"params": [WEIGHT]}, {"params": [WEIGHT]}]),
        ValueError,
        "each parameter and name once",
    ),
    (
        lambda: optim.AdamW([("a", WEIGHT), ("a", nn.Parameter(np.ones(1)))]),
        ValueError,
        "each parameter and name",
    ),
    (
        lambda: optim.AdamW([WEIGHT, nn.Parameter(np.ones(1))]),
        ValueError,
        "one dtype in a group; got float32 and",
    ),
    (lambda: optim.AdamW([WEIGHT], lr=-1.0), ValueError, "AdamW: expected lr of 0 or more, finite; got -1.0"),
    (lambda: optim.SGD([WEIGHT], lr=math.nan), ValueError, "got nan"),
    (lambda: optim.AdamW([{"params": [WEIGHT], "eps": -1}]), ValueError, "eps of 0 or more"),
    (
        lambda: optim.Adam([WEIGHT], betas=(0.9, 1.0)),
        ValueError,
        r"betas of 0 or more, below 1; got \(0.9, 1.0\)",
    ),
    (
        lambda: optim.SGD([WEIGHT], nesterov=True),
        ValueError,
        "momentum above 0 and no dampening for nesterov",
    ),
    (lambda: nn.clip_grad_norm_([WEIGHT], math.nan), ValueError, "max_norm of 0 or more; got nan"),
]


@pytest.mark.parametrize("cause, kind, message", ERRORS, ids=[message[:30] for *_, message in ERRORS])
def test_a_mistake_is_told_in_one_line(cause, kind, message):
    with pytest.raises(kind, match=message):
        cause()
