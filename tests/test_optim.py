"""Optimisers against torch.optim: twenty steps, groups, skipped gradients, state, and the flat buffer."""

import copy
import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minigrad
import nn
from minigrad import Tensor, no_grad
from nn import optim
from nn.optim import setup

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
    ("AdamW", {"lr": 0.02, "amsgrad": True, "betas": (0.5, 0.6), "maximize": True}),
    (
        "Adam",
        {"lr": 0.02, "decoupled_weight_decay": True, "weight_decay": 0.2, "maximize": True, "amsgrad": True},
    ),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "weight_decay": 0.1, "momentum": 0.8, "centered": True}),
    ("RMSprop", {"eps": 0.1, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.1, "initial_accumulator_value": 0.3}),
    ("Adagrad", {"eps": 0.1, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.7, "rho": 0.8, "weight_decay": 0.1}),
    ("Adadelta", {"eps": 0.1, "maximize": True}),
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


def test_every_setting_that_changes_a_number_is_among_them():
    for name in {name for name, _ in SETTINGS}:
        signature = inspect.signature(getattr(torch.optim, name).__init__).parameters
        unlike = {"self", "params", "foreach", "fused", "capturable", "differentiable"}
        assert {s for n, settings in SETTINGS if n == name for s in settings} == signature.keys() - unlike


@every_setting
@given(shapes=shapes, seed=seeds)
def test_twenty_steps_in_float32_equal_pytorchs(name, settings, shapes, seed):
    ours, theirs = parameters(shapes, seed, np.float32)
    a, b = getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        give_gradients(ours, theirs, rng)
        a.step()
        b.step()
    assert_equal(ours, theirs, 1e-5)


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
        for size in (limit, setup.CACHE_BYTES):
            patch.setattr(setup, "CACHE_BYTES", size)
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
    rng, first, at_first = np.random.default_rng(1), optimizer.state_dict(), [p.array.copy() for p in ours]
    run(5, ours, optimizer, rng)
    optimizer.param_groups[0]["lr"] = 0.05
    saved, weights, again = optimizer.state_dict(), [p.array.copy() for p in ours], copy.deepcopy(rng)
    run(7, ours, optimizer, rng)

    fresh = [nn.Parameter(a.copy()) for a in weights]
    resumed = getattr(optim, name)([(f"layer.{i}", p) for i, p in enumerate(fresh)], **settings)
    resumed.load_state_dict(saved)
    assert resumed.param_groups[0]["lr"] == 0.05
    run(7, fresh, resumed, again)
    for p, q in zip(ours, fresh):
        np.testing.assert_array_equal(p.array, q.array)
    resumed.load_state_dict(first)  # of no step: what was kept is gone
    for p, a in zip(fresh, at_first):
        p.array[...] = a
    run(5, fresh, resumed, np.random.default_rng(1))
    for p, a in zip(fresh, weights):
        np.testing.assert_array_equal(p.array, a)


NAMED = [
    ("SGD", {"momentum": 0.9, "dampening": 0.4}),
    ("Adam", {"amsgrad": True}),
    ("RMSprop", {"momentum": 0.5}),
    ("Adagrad", {}),
]


def plain(state):
    """A state dict with its Tensors as arrays."""
    entries = {k: {s: np.asarray(a) for s, a in entry.items()} for k, entry in state["state"].items()}
    return {**state, "state": entries}


@pytest.mark.parametrize("name, settings", NAMED, ids=[n for n, _ in NAMED])
def test_the_state_has_pytorchs_form_and_each_reads_the_others(name, settings):
    ours, theirs = parameters([(3, 4), (4,), ()], 0, np.float32)
    make = (
        [{"params": ps[:2]} for ps in (ours, theirs)],
        [{"params": ps[2:], "lr": 0.5} for ps in (ours, theirs)],
    )
    a = getattr(optim, name)([make[0][0], make[1][0]], lr=0.1, **settings)
    b = getattr(torch.optim, name)([make[0][1], make[1][1]], lr=0.1, **settings)
    rng = np.random.default_rng(0)
    for _ in range(3):
        give_gradients(ours, theirs, rng)
        ours[1].grad = theirs[1].grad = None
        a.step()
        b.step()
    mine, other = a.state_dict(), b.state_dict()
    if name == "Adagrad":  # PyTorch's begins with entries of no step
        del other["state"][1]
    assert mine["param_groups"] == other["param_groups"] and repr(a) == repr(b)
    assert {k: list(v) for k, v in mine["state"].items()} == {k: list(v) for k, v in other["state"].items()}
    for key, entry in mine["state"].items():
        for slot, value in entry.items():
            np.testing.assert_allclose(np.asarray(value), other["state"][key][slot].numpy(), rtol=1e-5)
            assert slot != "step" or (np.asarray(value).dtype, value.item()) == (np.float32, 3.0)
    fresh, again = parameters([(3, 4), (4,), ()], 0, np.float32)
    for p, q, t, u in zip(fresh, ours, again, theirs):
        p.array[...], t.data[...] = q.array, u.data
    c = getattr(optim, name)([{"params": fresh[:2]}, {"params": fresh[2:]}])
    c.load_state_dict(b.state_dict())
    d = getattr(torch.optim, name)([{"params": again[:2]}, {"params": again[2:]}])
    mine["state"] = {
        k: {s: torch.tensor(np.asarray(x)) for s, x in e.items()} for k, e in mine["state"].items()
    }
    d.load_state_dict(mine if name != "Adagrad" else b.state_dict())
    for _ in range(3):
        give_gradients(fresh, again, rng)
        c.step()
        d.step()
    assert_equal(fresh, again, 1e-5)


def test_the_state_is_copied_when_saved_and_alive_when_read():
    model = nn.Linear(3, 2)
    optimizer = optim.AdamW(model.named_parameters(), lr=0.1)
    assert optimizer.state == {} and optimizer.state_dict()["state"] == {}
    model(minigrad.randn(4, 3)).sum().backward()
    optimizer.step()
    saved = plain(optimizer.state_dict())
    assert saved["param_groups"][0]["param_names"] == ["weight", "bias"]
    assert {k: v.shape for k, v in saved["state"][0].items()} == {
        "step": (), "exp_avg": (2, 3), "exp_avg_sq": (2, 3),
    }  # fmt: skip
    before = saved["state"][0]["exp_avg"].copy()
    live = optimizer.state[model.weight]["exp_avg"].numpy()
    optimizer.step()
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], before)
    assert (live != before).any()
    live[...] = 7.0
    assert (np.asarray(optimizer.state_dict()["state"][0]["exp_avg"]) == 7.0).all()


@pytest.mark.parametrize(
    "key", [int, str, lambda i: ("weight", "bias")[i]], ids=["numbers", "digits", "names"]
)
def test_a_state_is_read_under_numbers_digits_and_names(key):
    models = [nn.Linear(3, 2) for _ in range(2)]
    pair = [optim.AdamW(m.named_parameters(), lr=0.1) for m in models]
    for p in models[0].parameters():
        p.grad = np.ones(p.shape, np.float32)
    pair[0].step()
    saved = pair[0].state_dict()
    entries = {key(i): entry for i, entry in saved["state"].items()}
    pair[1].load_state_dict({"state": entries, "param_groups": pair[1].param_groups})
    np.testing.assert_equal(plain(pair[1].state_dict())["state"], plain(saved)["state"])


def test_state_that_does_not_fit_changes_nothing():
    a, b = nn.Linear(3, 2), nn.Linear(3, 3)
    pairs = [(optim.AdamW(a.parameters(), lr=0.1), a), (optim.AdamW(b.parameters(), lr=0.2), b)]
    pairs.append((optim.SGD(a.parameters(), lr=0.3, momentum=0.9), a))
    for each, model in pairs:
        for p in model.parameters():
            p.grad = np.ones(p.shape, np.float32)
        each.step()
    (optimizer, _), (other, _), (sgd, _) = pairs
    before = plain(optimizer.state_dict())
    wrong = other.state_dict()
    for state, message in [
        (wrong, r"AdamW.load_state_dict: expected the same .*; got 0: exp_avg \(3, 3\), not \(2, 3\)"),
        (sgd.state_dict(), "got 0: exp_avg, exp_avg_sq, step, momentum_buffer missing"),
        ({**wrong, "param_groups": wrong["param_groups"] * 2}, "expected 1 groups of"),
        ({**wrong, "state": {"weights": {}}}, "others for weights"),
        ({**wrong, "param_groups": [{**wrong["param_groups"][0], "amsgrad": True}]}, "max_exp_avg_sq"),
    ]:
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(state)
        np.testing.assert_equal(plain(optimizer.state_dict()), before)


# --- whose memory ---


@every_setting
@pytest.mark.parametrize("limit", [8, 1 << 18])
def test_an_array_taken_before_the_optimiser_was_made_stays_the_parameters_own(name, settings, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "CACHE_BYTES", limit)
        ours, theirs = parameters([(3, 2), (2,), (), (4, 5)], 0)
        transposed = np.arange(6.0).reshape(2, 3).T  # no C order: has no view with one axis
        ours.append(nn.Parameter(transposed))
        theirs.append(torch.nn.Parameter(torch.tensor(transposed.copy())))
        arrays = [p.array for p in ours]
        a, b = getattr(optim, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
        rng = np.random.default_rng(0)
        for _ in range(3):
            give_gradients(ours, theirs, rng)
            arrays[0] += 1.0  # and what is written to it counts
            with torch.no_grad():
                theirs[0] += 1.0
            a.step()
            b.step()
        for p, array in zip(ours, arrays):
            assert p.array is array or np.shares_memory(p.array, array)
            assert p.detach().numpy().ctypes.data == array.ctypes.data
        assert_equal(ours, theirs, 1e-10)


def test_a_group_may_hold_several_dtypes():
    ours, theirs = [], []
    for dtype in (np.float32, np.float64, np.float32):
        a, b = parameters([(2, 3)], 0, dtype)
        ours, theirs = ours + a, theirs + b
    pair = optim.AdamW(ours, lr=0.1), torch.optim.AdamW(theirs, lr=0.1)
    rng = np.random.default_rng(0)
    for _ in range(3):
        give_gradients(ours, theirs, rng)
        for optimizer in pair:
            optimizer.step()
    assert_equal(ours, theirs, 1e-5)
    assert [np.asarray(e["exp_avg"]).dtype for e in pair[0].state_dict()["state"].values()] == [
        np.float32, np.float64, np.float32,
    ]  # fmt: skip


def test_a_group_added_later_has_the_defaults_and_its_own_settings():
    ours, theirs = parameters([(3,), (2,)], 0)
    pair = [library.AdamW(ps[:1], lr=0.1) for library, ps in ((optim, ours), (torch.optim, theirs))]
    for optimizer, ps in zip(pair, (ours, theirs)):
        optimizer.add_param_group({"params": ps[1], "weight_decay": 0.5})
    rng = np.random.default_rng(0)
    for _ in range(3):
        give_gradients(ours, theirs, rng)
        for optimizer in pair:
            optimizer.step()
    assert_equal(ours, theirs, 1e-10)
    assert repr(pair[0]) == repr(pair[1]) and pair[0].param_groups[1]["params"] == [ours[1]]
    with pytest.raises(ValueError, match="each parameter and name once"):
        pair[0].add_param_group({"params": ours})
    assert len(pair[0].param_groups) == 2


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned():
    p = nn.Parameter(np.ones(2))
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with no_grad():
        assert optimizer.step(closure).item() == 2.0
    np.testing.assert_allclose(p.array, 0.8)
    assert optimizer.step() is None


def test_zero_grad_drops_gradients_or_zeroes_them_in_place():
    p, frozen = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2))
    frozen.requires_grad_(False)
    optimizer = optim.SGD([p, frozen], lr=0.1)
    p.grad = np.ones(2)
    held = np.asarray(p.grad)
    optimizer.zero_grad(set_to_none=False)
    assert (np.asarray(p.grad) == 0).all() and (held == 0).all() and frozen.grad is None
    optimizer.zero_grad()
    assert p.grad is None


def test_an_optimiser_of_ones_own_keeps_what_it_likes():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self):
            with no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        self.state[p]["count"] = self.state[p].get("count", 0) + 1
                        p -= group["lr"] * np.sign(p.grad)

    p = nn.Parameter(np.zeros(2))
    optimizer = Signs([p], 0.5)
    p.grad = np.array([3.0, -2.0])
    optimizer.step()
    optimizer.step()
    assert p.array.tolist() == [-1.0, 1.0]
    saved = optimizer.state_dict()
    assert saved == {"state": {0: {"count": 2}}, "param_groups": [{"lr": 0.5, "params": [0]}]}
    again = Signs([p], 0.1)
    again.load_state_dict(saved)
    assert again.state[p] == {"count": 2} and again.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("change", ["data", "another optimiser"])
def test_a_parameter_that_was_given_another_array_is_still_updated(change):
    p, t = nn.Parameter(np.ones(3)), torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    a, b = optim.SGD([p], lr=0.1, momentum=0.5), torch.optim.SGD([t], lr=0.1, momentum=0.5)
    other, theirs = (optim.SGD([p], lr=1.0), torch.optim.SGD([t], lr=1.0))
    for step in range(4):
        if change == "data" and step % 2 == 0:  # before the first update, and between two
            p.data, t.data = minigrad.tensor(np.full(3, 7.0)), torch.full((3,), 7.0, dtype=torch.float64)
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
    assert np.asarray(b.grad).tolist() == [2.0, 2.0]


def test_a_model_that_changed_its_dtype_needs_a_new_optimiser():
    model = nn.Linear(2, 2)
    optimizer = optim.AdamW(model.parameters())
    model.double()(minigrad.randn(1, 2, dtype=np.float64)).sum().backward()
    with pytest.raises(
        RuntimeError,
        match="AdamW.step: expected parameters of .*float32 in numpy; got .*float64 in numpy; make",
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
        assert all((np.asarray(p.grad) == t.grad.numpy()).all() for p, t in zip(ours, theirs))


def test_training_lowers_a_loss():
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    x = minigrad.randn(64, 2)
    y = (x[:, :1] * x[:, 1:]).detach()
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
    for norm_type in (2.0, 1.0, 3, 0.5, 0, math.inf):
        ours, theirs = parameters(shapes, seed)
        give_gradients(ours, theirs, np.random.default_rng(seed), skip=0.3)
        ours_norm = nn.clip_grad_norm_((p for p in ours), max_norm, norm_type)
        norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
        assert isinstance(ours_norm, Tensor)
        np.testing.assert_allclose(ours_norm.item(), norm.item(), rtol=1e-12)
        for p, t in zip(ours, theirs):
            assert (p.grad is None) == (t.grad is None)
            if p.grad is not None:
                np.testing.assert_allclose(np.asarray(p.grad), t.grad.numpy(), rtol=1e-12)


@given(shapes=shapes, seed=seeds, bound=st.floats(0.01, 2))
def test_the_other_ways_to_clip_equal_pytorchs(shapes, seed, bound):
    for clip in ("clip_grad_value_", "clip_grads_with_norm_"):
        ours, theirs = parameters(shapes, seed)
        give_gradients(ours, theirs, np.random.default_rng(seed))
        more = (1.5,) if clip == "clip_grads_with_norm_" else ()
        getattr(nn.utils, clip)(ours, bound, *more)
        getattr(torch.nn.utils, clip)(theirs, bound, *(torch.tensor(x) for x in more))
        for p, t in zip(ours, theirs):
            np.testing.assert_allclose(np.asarray(p.grad), t.grad.numpy(), rtol=1e-6)
    grads = [minigrad.tensor(np.ones(3)), minigrad.tensor(np.full(2, 2.0))]
    assert nn.utils.get_total_norm(grads, 1).item() == 7.0


@pytest.mark.parametrize("size", [0.0, 1e-7, 1e-6, 1.0])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 1.5])
def test_clipping_of_small_gradients_and_to_their_own_norm_equals_pytorchs(size, ratio):
    for clip in ("clip_grad_norm_", "clip_grads_with_norm_", "clip_grad_value_"):
        found = []
        for library, p in (
            (nn, nn.Parameter(np.zeros(2))),
            (torch.nn, torch.nn.Parameter(torch.zeros(2).double())),
        ):
            p.grad = (torch.from_numpy if library is torch.nn else np.asarray)(
                np.array([0.6 * size, -0.8 * size])
            )
            more = [torch.tensor(size, dtype=torch.float64)] if "with" in clip else []
            getattr(library.utils, clip)([p], size * ratio, *more)
            found.append(np.asarray(p.grad))
        np.testing.assert_allclose(*found, rtol=1e-12, atol=0, err_msg=clip)


def test_clipping_one_tensor_and_a_norm_that_is_not_a_number():
    p = nn.Parameter(np.zeros(2))
    p.grad = np.array([3.0, 4.0])
    assert nn.utils.clip_grad_norm_(p, 1.0) == 5.0
    np.testing.assert_allclose(np.asarray(p.grad), [0.6, 0.8], rtol=1e-6)
    p.grad = np.array([math.nan, 1.0])
    with pytest.raises(RuntimeError, match="gradients of a finite norm; got nan"):
        nn.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert np.asarray(p.grad)[1] == 1.0
    assert math.isnan(nn.clip_grad_norm_([p], 1.0)) and np.isnan(np.asarray(p.grad)).all()


def test_a_generator_that_was_used_up_is_not_clipped_in_silence():
    model = nn.Linear(2, 2)
    parameters = model.parameters()
    optim.SGD(parameters, lr=0.1)
    with pytest.warns(UserWarning, match="a generator that yields none; was it used before"):
        assert nn.clip_grad_norm_(parameters, 1.0) == 0.0
    assert nn.clip_grad_norm_([], 1.0) == 0.0


def test_parameters_as_a_vector_and_back():
    ours, theirs = parameters([(2, 3), (), (4,)], 0)
    row, reference = nn.utils.parameters_to_vector(ours), torch.nn.utils.parameters_to_vector(theirs)
    np.testing.assert_array_equal(row.detach().numpy(), reference.detach().numpy())
    row.sum().backward()
    assert (np.asarray(ours[0].grad) == 1).all()
    arrays = [p.array for p in ours]
    nn.utils.vector_to_parameters(row.detach() * 2, iter(ours))
    torch.nn.utils.vector_to_parameters(reference.detach() * 2, theirs)
    assert_equal(ours, theirs, 0)
    assert all(np.shares_memory(a, p.array) for a, p in zip(arrays, ours))
    with pytest.raises(ValueError, match=r"expected a vector \(11,\); got \(10,\)"):
        nn.utils.vector_to_parameters(row.detach()[:10], ours)


def test_the_learning_rate_rises_and_then_falls_by_half_a_cosine():
    for warmup, decay in itertools.product(range(5), repeat=2):
        settings = {"lr": 1.0, "min_lr": 0.1, "warmup_iters": warmup, "lr_decay_iters": decay}
        wanted = [(i + 1) / (warmup + 1) for i in range(warmup)]  # 1 is reached at the step after
        fall = range(decay - warmup)
        wanted += [0.1 + 0.9 * math.cos(i / len(fall) * math.pi / 2) ** 2 for i in fall]
        wanted += [0.1] * (12 - len(wanted))
        np.testing.assert_allclose([nn.warmup_cosine(i, **settings) for i in range(12)], wanted, rtol=1e-12)


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
    (lambda: optim.SGD([WEIGHT], differentiable=True), ValueError, "expected differentiable=False; got True"),
    (lambda: optim.AdamW([WEIGHT], fuse=True), TypeError, "AdamW: expected settings of .* fused.*; got fuse"),
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
    (
        lambda: optim.SGD([WEIGHT], momentum=0.9, dampening=0.1, nesterov=True),
        ValueError,
        r"no dampening for nesterov; got \(0.9, 0.1\)",
    ),
    (lambda: nn.clip_grad_norm_([WEIGHT], math.nan), ValueError, "max_norm of 0 or more; got nan"),
]


@pytest.mark.parametrize("cause, kind, message", ERRORS, ids=[message[:30] for *_, message in ERRORS])
def test_a_mistake_is_told_in_one_line(cause, kind, message):
    with pytest.raises(kind, match=message):
        cause()


@pytest.mark.parametrize("name", sorted({name for name, _ in SETTINGS}))
def test_each_number_is_refused_or_taken_as_pytorch_does(name):
    signature = inspect.signature(getattr(torch.optim, name).__init__).parameters.values()
    numbers = [p.name for p in signature if type(p.default) in (int, float)]
    cases = [{number: value} for number in numbers for value in (-1e-9, 0.0, 1.0, 2.0)]
    if any(p.name == "betas" for p in signature):
        cases += [
            {"betas": betas} for betas in ((0.0, 0.0), (-0.1, 0.9), (0.9, -0.1), (1.0, 0.9), (0.9, 1.0))
        ]
    for asked in cases:
        answers = []
        for library, p in ((optim, WEIGHT), (torch.optim, torch.nn.Parameter(torch.ones(2)))):
            try:
                getattr(library, name)([p], **asked)
                answers.append("taken")
            except ValueError:
                answers.append("refused")
        assert answers[0] == answers[1], asked


# --- schedules ---

SCHEDULES = [
    ("LambdaLR", {"lr_lambda": lambda t: 0.9**t}),
    ("LambdaLR", {"lr_lambda": [lambda t: 1 / (t + 1), lambda t: 0.5]}),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 0.9 + 0.01 * t}),
    ("StepLR", {"step_size": 4, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [3, 3, 9], "gamma": 0.3}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 4}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 12}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("PolynomialLR", {"total_iters": 8, "power": 2.0}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.001}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 25}),
    ("OneCycleLR", {"max_lr": [0.5, 0.1], "epochs": 5, "steps_per_epoch": 5, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30, "anneal_strategy": "linear", "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30, "cycle_momentum": False}),
    (
        "OneCycleLR",
        {
            "max_lr": 1.0,
            "total_steps": 26,
            "base_momentum": 0.6,
            "max_momentum": [0.8, 0.7],
            "div_factor": 5.0,
        }
        | {"final_div_factor": 10.0},
    ),
]
PLATEAUS = [
    {},
    {"patience": 2},
    {"patience": 1, "min_lr": 0.3 * 0.01},
    {"patience": 0, "factor": 0.5, "eps": 0.05},  # what half of 0.1 is less
    {"patience": 2, "eps": 0.0},
    {"factor": 0.9, "patience": 1, "cooldown": 3},
    {"mode": "max", "factor": 0.5, "patience": 0, "cooldown": 2, "min_lr": [0.01, 0.1], "eps": 0.02},
    {"threshold": 0.5, "threshold_mode": "abs", "patience": 1},
    {"threshold": 0.5, "patience": 1},
    {"mode": "max", "threshold": 0.1, "threshold_mode": "abs", "patience": 1},
    *[
        {"mode": mode, "threshold": threshold, "threshold_mode": how, "patience": 0}
        for mode in ("min", "max")
        for threshold, how in ((1.0, "abs"), (0.5, "rel"), (0.0, "rel"))
    ],
]
MAKERS = [("SGD", {"momentum": 0.9}), ("AdamW", {})]
every_schedule = pytest.mark.parametrize(
    "name, settings", SCHEDULES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(SCHEDULES)]
)


def schedule(library, maker, options, make):
    """An optimiser of two groups and its schedule."""
    mine = library is optim
    ps = [nn.Parameter(np.ones(1)) if mine else torch.nn.Parameter(torch.ones(1).double()) for _ in "ab"]
    optimizer = getattr(library, maker)(
        [{"params": ps[:1]}, {"params": ps[1:], "lr": 0.3}], lr=0.1, **options
    )
    made = make(library.lr_scheduler, optimizer)
    optimizer.step()  # PyTorch warns of a schedule that steps first
    return optimizer, made


def settings_of(optimizer):
    return [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]


@every_schedule
@pytest.mark.parametrize("maker, options", MAKERS, ids=[m for m, _ in MAKERS])
def test_a_schedule_sets_what_pytorchs_sets_step_by_step(name, settings, maker, options):
    pair = [
        schedule(lib, maker, options, lambda m, o: getattr(m, name)(o, **settings))
        for lib in (optim, torch.optim)
    ]
    (a, ours), (b, theirs) = pair
    for step in range(26):
        assert settings_of(a) == settings_of(b), step
        assert ours.get_last_lr() == theirs.get_last_lr() and ours.last_epoch == theirs.last_epoch == step
        if step < 25:
            ours.step()
            theirs.step()


BOUNDS = [  # settings at a bound, or at what it is made for: taken or refused
    *[("OneCycleLR", {"max_lr": 1.0, "total_steps": 4, "pct_start": x}) for x in (-0.1, 0.0, 0.25, 0.5, 1.0, 1.1)],
    *[("OneCycleLR", {"max_lr": 1.0, "total_steps": n}) for n in (-1, 0, 1, 2, 2.5)],
    *[("OneCycleLR", {"max_lr": 1.0, "epochs": n, "steps_per_epoch": m}) for n, m in ((2, 2), (0, 2), (2, None), (None, 2))],
    ("OneCycleLR", {"max_lr": [1.0], "total_steps": 4}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 4, "anneal_strategy": "square"}),
    *[("ConstantLR", {"factor": x}) for x in (-0.1, 0.0, 1.0, 1.1)],
    *[("LinearLR", {"start_factor": x}) for x in (-0.1, 0.0, 1e-9, 1.0, 1.1)],
    *[("LinearLR", {"end_factor": x}) for x in (-0.1, 0.0, 1.0, 1.1)],
    *[("CosineAnnealingWarmRestarts", {"T_0": n, "T_mult": m}) for n, m in ((0, 1), (1, 1), (1, 0), (2, 1), (2.0, 1), (2, 1.0))],
    *[("ReduceLROnPlateau", {"factor": x}) for x in (0.5, 1.0, 1.1)],
    ("ReduceLROnPlateau", {"min_lr": [0.1]}),
    ("ReduceLROnPlateau", {"min_lr": [0.1, 0.1, 0.1]}),
    ("ReduceLROnPlateau", {"threshold_mode": "all"}),
    ("LambdaLR", {"lr_lambda": [abs]}),
    *[("StepLR", {"step_size": 1, "last_epoch": n}) for n in (-1, 0, 3)],
]  # fmt: skip


@pytest.mark.parametrize("name, settings", BOUNDS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(BOUNDS)])
def test_a_schedule_at_a_bound_is_pytorchs_or_refused_as_there(name, settings):
    found = []
    for library in (optim, torch.optim):
        rates = []
        try:
            optimizer, made = schedule(
                library, "SGD", {"momentum": 0.9}, lambda m, o: getattr(m, name)(o, **settings)
            )
            for _ in range(6):
                rates.append(settings_of(optimizer))
                made.step(*[1.0] * (name == "ReduceLROnPlateau"))
        except (ValueError, KeyError, ZeroDivisionError) as error:
            rates.append("refused" if not isinstance(error, ZeroDivisionError) else "divided by 0")
        found.append(rates)
    assert found[0] == found[1]


@every_schedule
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")  # PyTorch's, of a jump
def test_a_schedule_jumps_where_pytorchs_jumps_and_begins_again_where_pytorchs_does(name, settings):
    def make(m, o):
        return getattr(m, name)(o, **settings)

    pairs = [schedule(lib, "SGD", {"momentum": 0.9}, make) for lib in (optim, torch.optim)]
    for epoch in (3, None, 7, None, None, 2, 4, 0, None, 9, 5):
        for _, scheduler in pairs:
            scheduler.step(epoch)
        assert settings_of(pairs[0][0]) == settings_of(pairs[1][0]), epoch
    rates = []
    for library, (optimizer, _) in zip((optim, torch.optim), pairs):
        begun = getattr(library.lr_scheduler, name)(optimizer, **settings, last_epoch=5)
        rates.append([settings_of(optimizer), begun.last_epoch])
        begun.step()
        rates[-1].append(settings_of(optimizer))
    assert rates[0] == rates[1]


def test_every_setting_of_a_schedule_is_among_them():
    rows = SCHEDULES + [("ReduceLROnPlateau", settings) for settings in PLATEAUS]
    for name in {name for name, _ in rows}:
        parameters = inspect.signature(getattr(torch.optim.lr_scheduler, name).__init__).parameters
        given = {s for n, settings in rows if n == name for s in settings}
        assert given == parameters.keys() - {"self", "optimizer", "last_epoch"}, name


@every_schedule
def test_a_schedule_that_is_saved_goes_on(name, settings):
    rates = []
    for at in (None, 6):
        optimizer, scheduler = schedule(
            optim, "SGD", {"momentum": 0.9}, lambda m, o: getattr(m, name)(o, **settings)
        )
        for step in range(15):
            if step == at:
                saved = scheduler.state_dict(), optimizer.state_dict()
                make = lambda m, o: getattr(m, name)(o, **settings)  # noqa: E731
                optimizer, scheduler = schedule(optim, "SGD", {"momentum": 0.9}, make)
                scheduler.load_state_dict(saved[0])
                optimizer.load_state_dict(saved[1])
            scheduler.step()
        rates.append(settings_of(optimizer))
    assert rates[0] == rates[1]


def warm_up_then_fall(m, optimizer):
    parts = [
        m.LinearLR(optimizer, 0.1, total_iters=5),
        m.CosineAnnealingLR(optimizer, 10),
        m.StepLR(optimizer, 2),
    ]
    return m.SequentialLR(optimizer, parts, milestones=[5, 15])


def two_deep(m, optimizer):
    inner = m.SequentialLR(optimizer, [m.ConstantLR(optimizer), m.ExponentialLR(optimizer, 0.9)], [3])
    optimizer.step()
    last = m.CosineAnnealingWarmRestarts(optimizer, 4)
    return m.SequentialLR(optimizer, [inner, m.LambdaLR(optimizer, lambda t: 0.8**t), last], [8, 12])


@pytest.mark.parametrize("make", [warm_up_then_fall, two_deep])
def test_schedules_in_a_row_equal_pytorchs(make):
    (a, ours), (b, theirs) = (schedule(lib, "AdamW", {}, make) for lib in (optim, torch.optim))
    for _ in range(25):
        assert settings_of(a) == settings_of(b) and ours.get_last_lr() == theirs.get_last_lr()
        ours.step()
        theirs.step()
    again, fresh = schedule(optim, "AdamW", {}, make)
    fresh.load_state_dict(ours.state_dict())
    again.load_state_dict(a.state_dict())
    fresh.step()
    ours.step()
    assert settings_of(again) == settings_of(a)


def test_two_schedules_of_one_optimiser_multiply_as_pytorchs():
    pair = []
    for library in (optim, torch.optim):
        optimizer, one = schedule(library, "SGD", {}, lambda m, o: m.ExponentialLR(o, 0.9))
        other = library.lr_scheduler.StepLR(optimizer, 3)
        for _ in range(10):
            one.step()
            other.step()
        pair.append(settings_of(optimizer))
    assert pair[0] == pair[1]


@pytest.mark.parametrize("settings", PLATEAUS, ids=str)
def test_a_plateau_lowers_the_rate_as_pytorchs(settings):
    pair = [
        schedule(lib, "SGD", {}, lambda m, o: m.ReduceLROnPlateau(o, **settings))
        for lib in (optim, torch.optim)
    ]
    (a, ours), (b, theirs) = pair
    whole = [8, 8, 4, 2, 1, 1, 2, 3, 3, 4, 6, 9, 8, 7, 7, 5]  # as good as is asked for, and no better
    for metric in [*np.random.default_rng(0).standard_normal(40).cumsum(), *[9.0] * 12, *whole]:
        ours.step(minigrad.tensor(float(metric)))
        theirs.step(torch.tensor(float(metric)))
        assert settings_of(a) == settings_of(b) and ours.get_last_lr() == theirs.get_last_lr()
        for counted in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch"):
            assert getattr(ours, counted) == getattr(theirs, counted), counted


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")  # PyTorch's, of a jump
def test_a_plateau_counts_on_from_an_epoch_that_is_given():
    pair = [schedule(lib, "SGD", {}, lambda m, o: m.ReduceLROnPlateau(o)) for lib in (optim, torch.optim)]
    for epoch in (None, 5, None):
        for _, scheduler in pair:
            scheduler.step(1.0, epoch)
        assert pair[0][1].last_epoch == pair[1][1].last_epoch


@pytest.mark.parametrize(
    "name", ["StepLR", "LambdaLR", "MultiplicativeLR", "ExponentialLR", "ReduceLROnPlateau"]
)
def test_a_group_that_came_after_its_schedule_is_not_passed_over(name):
    settings = {n: s for n, s in reversed(SCHEDULES)}.get(name, {"patience": 0})
    optimizer, made = schedule(optim, "SGD", {}, lambda m, o: getattr(m, name)(o, **settings))
    optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))]})
    with pytest.raises(ValueError, match="shorter|longer"):
        for _ in range(3):
            made.step(*[1.0] * (name == "ReduceLROnPlateau"))


def test_a_schedule_of_ones_own_defines_the_rates():
    class Halves(optim.lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base / 2**self.last_epoch for base in self.base_lrs]

    optimizer, scheduler = schedule(optim, "SGD", {}, lambda m, o: Halves(o))
    scheduler.step()
    assert scheduler.get_last_lr() == [0.05, 0.15] == [group["lr"] for group in optimizer.param_groups]


def test_a_momentum_that_is_switched_on_later_begins_then():
    pair = [schedule(lib, "SGD", {}, lambda m, o: m.OneCycleLR(o, 0.5, 10)) for lib in (optim, torch.optim)]
    ours, theirs = ([p for g in o.param_groups for p in g["params"]] for o, _ in pair)
    for _ in range(5):
        give_gradients(ours, theirs, np.random.default_rng(0))
        for optimizer, scheduler in pair:
            optimizer.step()
            scheduler.step()
    assert_equal(ours, theirs, 1e-5)


SGD = optim.SGD([nn.Parameter(np.ones(1))], lr=0.1)
OTHER = optim.Adagrad([nn.Parameter(np.ones(1))], lr=0.1)


def in_a_row(m, make):
    """Schedules of an optimiser of their own, one milestone between them."""
    own = optim.SGD([nn.Parameter(np.ones(1))], lr=0.1)
    return m.SequentialLR(own, make(own), [1])


SCHEDULE_ERRORS = [
    (
        lambda m: in_a_row(m, lambda own: [m.StepLR(own, 3), m.ReduceLROnPlateau(own)]),
        ValueError,
        "schedules of this optimiser, none by a metric",
    ),
    (
        lambda m: in_a_row(m, lambda own: [m.StepLR(own, 3), m.StepLR(OTHER, 3)]),
        ValueError,
        "schedules of this optimiser, none by a metric",
    ),
    (lambda m: in_a_row(m, lambda own: [m.StepLR(own, 3)]), ValueError, "one milestone .*; got 1 and 1"),
    (lambda m: m.ReduceLROnPlateau([]), TypeError, "ReduceLROnPlateau: expected an optimiser; got list"),
    (lambda m: m.OneCycleLR(SGD, 0.1, epochs=3), ValueError, "total_steps, or epochs and steps_per_epoch"),
    (lambda m: m.StepLR([], 3), TypeError, "StepLR: expected an optimiser; got list"),
    (lambda m: m.StepLR(SGD, 3, last_epoch=5), KeyError, "groups with initial_lr"),
    (lambda m: m.LambdaLR(SGD, [abs, abs]), ValueError, "1 functions, one for each group; got 2"),
    (lambda m: m.OneCycleLR(SGD, 0.1), ValueError, "total_steps, or epochs and steps_per_epoch"),
    (lambda m: m.OneCycleLR(OTHER, 0.1, 10), ValueError, "an optimiser with momentum or betas; got Adagrad"),
    (lambda m: m.ConstantLR(SGD, 2.0), ValueError, "a factor from 0 to 1; got 2.0"),
    (lambda m: m.LinearLR(SGD, 0.0), ValueError, "factors from 0 to 1"),
    (lambda m: m.ReduceLROnPlateau(SGD, "least"), ValueError, 'mode "min" or "max"'),
    (lambda m: m.SequentialLR(SGD, [], []), ValueError, "one milestone between each two"),
    (lambda m: m.CosineAnnealingWarmRestarts(SGD, 0), ValueError, "T_0, T_mult >= 1"),
]


@pytest.mark.parametrize("cause, kind, message", SCHEDULE_ERRORS, ids=[m[:30] for *_, m in SCHEDULE_ERRORS])
def test_a_mistake_in_a_schedule_is_told_in_one_line(cause, kind, message):
    with pytest.raises(kind, match=message):
        cause(optim.lr_scheduler)
