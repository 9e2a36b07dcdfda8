"""The model against its twin in PyTorch: logits, gradients, training, sampling, weights of others."""

import importlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import gpt
import minigrad
from gpt.config import GPTConfig
from gpt.generate import generate, sample
from gpt.model import GPT
from gpt.train import training_step
from minigrad import switches
from minigrad.parallel import Way, Workers
from minigrad.random import Generator
from minigrad.tensor import Tensor, wrap
from nn.optim import AdamW
from nn.optim.groups import decay_groups
from tests.support.twin import Twin

ROOT = Path(__file__).parents[1]
SMALL = GPTConfig(block_size=12, vocab_size=17, n_layer=3, n_head=2, n_embd=8)


def pair(bias=True, dtype=np.float64, seed=0):
    """A GPT and its twin with the same weights, all of them random, biases and gains included."""
    model = GPT(replace(SMALL, bias=bias), rng=Generator(seed)).to(dtype)
    rng = np.random.default_rng(seed)
    model.load_state_dict(
        {n: a.numpy() + 0.3 * rng.standard_normal(a.shape) for n, a in model.state_dict().items()}
    )
    return model, Twin(model.config).copy_from(model)


def batch(seed, B=3, T=12):
    rng = np.random.default_rng(seed)
    return rng.integers(0, SMALL.vocab_size, (B, T)), rng.integers(0, SMALL.vocab_size, (B, T))


# ---- model ----


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("T", [1, 5, 12])
def test_logits_loss_and_every_gradient_equal_pytorchs(bias, T):
    model, twin = pair(bias)
    x, y = batch(1, T=T)
    y[0, 0] = -1  # ignored
    logits, loss = model(x, y)
    twin_logits, twin_loss = twin(torch.from_numpy(x), torch.from_numpy(y))
    cotangent = np.random.default_rng(2).standard_normal(logits.shape)
    (loss + (logits * cotangent).sum()).backward()
    (twin_loss + (twin_logits * torch.from_numpy(cotangent)).sum()).backward()

    assert_allclose(logits.array, twin_logits.detach().numpy(), rtol=1e-10, atol=1e-10)
    assert_allclose(loss.item(), twin_loss.item(), rtol=1e-10)
    ours, theirs = dict(model.named_parameters()), dict(twin.named_parameters())
    assert ours.keys() == theirs.keys()
    for name, p in ours.items():
        assert_allclose(p.grad, theirs[name].grad.numpy(), rtol=1e-10, atol=1e-10, err_msg=name)


def test_float32_gradients_equal_pytorchs_to_rounding():
    model, twin = pair(dtype=np.float32)
    x, y = batch(3)
    model(x, y)[1].backward()
    twin(torch.from_numpy(x), torch.from_numpy(y))[1].backward()
    theirs = dict(twin.named_parameters())
    for name, p in model.named_parameters():
        assert p.grad.dtype == np.float32
        assert_allclose(p.grad, theirs[name].grad.numpy(), rtol=1e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("bias", [True, False])
def test_twenty_steps_of_training_equal_pytorchs(bias):
    model, twin = pair(bias)
    optimizer = AdamW(decay_groups(model, 0.1), lr=1.0, betas=(0.9, 0.95))
    twin_optimizer = twin.optimizer(1.0, (0.9, 0.95), 0.1)
    workers = Workers(Way(1, 1), 0, model.loss, model.parameters())
    for step in range(20):
        lr, batches = 1e-2 / (step + 1), [batch(100 + step), batch(200 + step)]
        loss = training_step(workers, optimizer, batches, lr=lr, grad_clip=0.5)
        twin_loss = 0.0
        for x, y in batches:
            part = twin(torch.from_numpy(x), torch.from_numpy(y))[1] / 2
            part.backward()
            twin_loss += part.item()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        for group in twin_optimizer.param_groups:
            group["lr"] = lr
        twin_optimizer.step()
        twin_optimizer.zero_grad()
        assert_allclose(loss, twin_loss, rtol=1e-10)
    theirs = twin.state_dict()
    for name, array in model.state_dict().items():
        assert_allclose(array, theirs[name].numpy(), rtol=1e-10, atol=1e-10, err_msg=name)


def test_a_step_without_a_limit_does_not_clip_the_gradient():
    losses = []
    for settings in ({}, {"grad_clip": 0.0}, {"grad_clip": 0.5}):
        model, _ = pair()
        optimizer = AdamW(model.parameters(), lr=1.0, eps=1.0)  # so large that the gradient's length counts
        workers = Workers(Way(1, 1), 0, model.loss, model.parameters())
        training_step(workers, optimizer, [batch(1)], lr=0.1, **settings)
        losses.append(model.loss(*batch(1)).item())
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("init_std", [0.02, 0.3])
@pytest.mark.parametrize("default", [True, False])
def test_the_same_seed_gives_pytorchs_initial_weights(init_std, default):
    config = replace(SMALL, init_std=init_std)
    torch.manual_seed(5)
    minigrad.manual_seed(5)
    theirs = Twin(config).state_dict()
    for name, array in GPT(config, rng=None if default else Generator(5)).state_dict().items():
        assert_allclose(array, theirs[name].numpy(), rtol=1e-6, atol=1e-9, err_msg=name)


def test_the_parameters_are_counted_with_and_without_the_table_of_positions():
    model, twin = pair()
    whole = sum(p.numel() for p in twin.parameters())
    assert model.num_parameters(False) == whole
    assert model.num_parameters() == model.num_parameters(True) == whole - 12 * 8


@pytest.mark.parametrize("spoilt", ["context", "cached context", "ids", "targets"])
def test_ids_and_lengths_that_the_model_has_not_are_refused(spoilt):
    model, (x, y) = GPT(SMALL), batch(0, B=1)
    cache = model.new_cache()
    if spoilt == "cached context":
        model(x, None, cache)  # fills the 12 tokens of the block
        with pytest.raises(ValueError, match=r"GPT: expected at most 12 tokens \(block_size\); got 13; crop"):
            model(x[:, :1], None, cache)
    elif spoilt == "context":
        with pytest.raises(ValueError, match=r"GPT: expected at most 12 tokens \(block_size\); got 13; crop"):
            model(np.zeros((1, 13), int))
    else:
        (x if spoilt == "ids" else y)[0, 3] = 17
        with pytest.raises(ValueError, match="expected ids in 0..16"):
            model(x, y)


@pytest.mark.parametrize("bias", [True, False])
def test_matrices_decay_and_nothing_else(bias):
    model = GPT(replace(SMALL, bias=bias))
    decayed, others = decay_groups(model, 0.3)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert all(n.endswith(".weight") and ".ln_" not in n and "ln_f" not in n for n, _ in decayed["params"])
    names = [n for n, _ in decayed["params"] + others["params"]]
    assert sorted(names) == sorted(n for n, _ in model.named_parameters())
    assert {"wte.weight", "wpe.weight", "h.0.attn.c_attn.weight"} <= {n for n, _ in decayed["params"]}


# ---- sampling ----


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2**32))
def test_a_cache_fed_in_pieces_gives_the_logits_of_the_whole(pieces, seed):
    model, _ = pair()
    model.eval()
    x, _ = batch(seed, T=sum(pieces[:3]))
    cache, start = model.new_cache(), 0
    for n in pieces[:3]:
        logits, _ = model(x[:, start : start + n], None, cache)
        start += n
        whole, _ = model(x[:, :start])
        assert_allclose(logits.array, whole.array, rtol=1e-11, atol=1e-11)


def generate_without_cache(model, idx, n, rng, **settings):
    """As nanoGPT: the whole window anew for each token."""
    for _ in range(n):
        logits, _ = model(idx[:, -model.config.block_size :])
        idx = np.concatenate([idx, sample(logits.array[:, -1], rng=rng, **settings)[:, None]], axis=1)
    return idx


@given(
    st.integers(1, 30),
    st.integers(0, 20),
    st.sampled_from([{"temperature": 0.0}, {}, {"temperature": 0.7, "top_k": 3}, {"top_p": 0.6}]),
)
def test_generation_with_the_cache_equals_generation_without(T, n, settings):
    model, _ = pair()
    idx, _ = batch(T, T=T)
    expected = generate_without_cache(model.eval(), idx, n, Generator(9), **settings)
    assert_array_equal(model.generate(idx, n, **settings, rng=Generator(9)), expected)


@pytest.mark.parametrize("T", [1, 11, 12, 20])
def test_a_token_costs_a_pass_over_itself_alone_until_the_window_is_full(T, monkeypatch):
    forward, lengths = GPT.forward, []
    monkeypatch.setattr(
        GPT, "forward", lambda self, idx, *a: (lengths.append(idx.shape[1]), forward(self, idx, *a))[1]
    )
    GPT(SMALL).generate(np.zeros((1, T), int), 15)
    assert lengths == [min(T, 12)] + [1 if T + i <= 12 else 12 for i in range(1, 15)]


@pytest.mark.parametrize("default", [True, False])
def test_samples_of_one_seed_are_pytorchs(default):
    model, twin = pair(dtype=np.float32)
    idx, _ = batch(6, B=4, T=3)
    for settings in ({"temperature": 0.6}, {"top_k": 4}, {"temperature": 1.5, "top_k": 9, "top_p": 0.8}):
        torch.manual_seed(11)
        minigrad.manual_seed(11)
        expected = twin.generate(torch.from_numpy(idx), 30, **settings).numpy()
        rng = None if default else Generator(11)
        assert_array_equal(model.generate(idx, 30, **settings, rng=rng), expected)


class Asked:
    """A generator that notes what it is asked for."""

    def multinomial(self, probs, n):
        self.probs, self.n = probs, n
        return np.zeros((len(probs), n), int)


def chances(row, temperature, top_k, top_p):
    """The probability of each id, one id at a time."""
    heats = [float(x) / temperature for x in row]
    weights = [math.exp(x - max(heats)) for x in heats]
    if top_k:  # fewer than k are likelier: equals stay together
        weights = [w if sum(v > w for v in weights) < top_k else 0.0 for w in weights]
    probs = [w / sum(weights) for w in weights]
    together, likeliest = 0.0, sorted(range(len(row)), key=lambda i: -probs[i])
    for place, i in enumerate(likeliest):
        if top_p is not None and place and together >= top_p:
            probs[i] = 0.0
        together += probs[i]
    return probs


@given(
    st.integers(0, 2**32), st.sampled_from([1.0, 0.5, 3.0]), st.sampled_from([None, 0, 1, 2, 3, 9]),
    st.sampled_from([None, 0.0, 0.3, 0.55, 0.9, 1.0]),
)  # fmt: skip
def test_what_is_drawn_from_is_what_a_loop_over_the_ids_leaves(seed, temperature, top_k, top_p):
    logits = np.random.default_rng(seed).integers(0, 4, (3, 7)).astype(np.float32)  # many are equal
    before, asked = logits.copy(), Asked()
    sample(logits, temperature, top_k, top_p, rng=asked)
    assert asked.probs.dtype == np.float32 and asked.n == 1
    assert_allclose(asked.probs, [chances(row, temperature, top_k, top_p) for row in logits], rtol=1e-5)
    assert_array_equal(logits, before)


def test_without_settings_all_is_drawn_from_as_the_model_says():
    logits = np.array([[0.0, -30.0, 1.0], [0.0, -40.0, -50.0]], np.float32)
    e = np.exp(logits.astype(float))
    for settings in ({}, {"top_p": 1.0}, {"top_k": 3}):
        asked = Asked()
        sample(logits, **settings, rng=asked)
        assert_allclose(asked.probs, e / e.sum(1, keepdims=True), rtol=1e-5)
    model, idx = GPT(SMALL, rng=Generator(1)).eval(), np.zeros((2, 1), int)
    for drawn in (
        generate(model, idx, 9, rng=Generator(2)),
        model.generate(idx, 9, rng=Generator(2))[:, 1:].T,
    ):
        plain = generate(model, idx, 9, 1.0, None, top_p=None, rng=Generator(2))
        assert_array_equal(list(drawn), list(plain))


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_a_probability_that_is_reached_exactly_is_enough(n):
    logits = np.where(np.arange(9) < n, 0.0, -1e4).astype(np.float32)[None]  # 1/n each, exactly
    for kept in range(1, n + 1):
        asked = Asked()
        sample(logits, top_p=kept / n, rng=asked)
        assert_array_equal(asked.probs[0], [1 / n] * kept + [0.0] * (9 - kept))


def test_no_limit_of_top_k_and_top_p_is_zero_none_or_one():
    logits = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    plain = sample(logits, rng=Generator(1))
    for settings in ({"top_k": 0}, {"top_k": 8}, {"top_k": 1000}, {"top_p": 1.0}, {"top_p": None}):
        assert_array_equal(sample(logits, rng=Generator(1), **settings), plain)


def test_no_temperature_and_top_p_zero_take_the_likeliest_and_the_former_draws_nothing():
    logits = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    rng = Generator(1)
    for temperature in (0.0, 1e-300):
        assert_array_equal(sample(logits, temperature=temperature, rng=rng), logits.argmax(1))
    assert_array_equal(rng.rand(3), Generator(1).rand(3))
    assert_array_equal(sample(logits, top_p=0.0, rng=rng), logits.argmax(1))
    assert_array_equal(sample(logits, temperature=2e-6, rng=rng), logits.argmax(1))


def test_generation_has_no_dropout_and_no_graph_and_leaves_the_modes_alone():
    model = GPT(replace(SMALL, dropout=0.9), rng=Generator(0))
    first, second = (model.generate(np.zeros((1, 1), int), 20, temperature=0.0) for _ in range(2))
    assert_array_equal(first, second)
    tokens = generate(model, np.zeros((1, 1), int), 3)
    for _ in tokens:
        assert switches.state.recording
        assert all(m.training for m in model.modules())


@pytest.mark.parametrize(
    ("idx", "settings", "message"),
    [
        (np.zeros((1, 0), int), {}, r"generate: expected idx \(B, T\) with at least one token"),
        (np.zeros(3, int), {}, "generate: expected idx"),
        (np.zeros((1, 1), int), {"max_new_tokens": -1}, "max_new_tokens of 0 or more; got -1"),
        (np.zeros((1, 1), int), {"temperature": -0.1}, "temperature of 0 or more, finite; got -0.1"),
        (np.zeros((1, 1), int), {"temperature": math.nan}, "temperature"),
        (np.zeros((1, 1), int), {"temperature": math.inf}, "temperature"),
        (np.zeros((1, 1), int), {"top_p": -0.1}, "0 <= top_p"),
        (np.zeros((1, 1), int), {"top_k": -1}, r"top_k of 0 \(all\) or more; got -1"),
        (np.zeros((1, 1), int), {"top_p": 1.1}, "top_p <= 1; got 1.1"),
        (np.zeros((1, 1), int), {"top_p": math.nan}, "top_p"),
    ],
)
def test_bad_settings_of_generation_are_refused_before_the_first_token(idx, settings, message):
    with pytest.raises(ValueError, match=message):
        generate(GPT(SMALL), idx, **{"max_new_tokens": 1, **settings})
    # nothing was iterated: the call itself refuses


@pytest.mark.parametrize("kind", [wrap, torch.from_numpy], ids=["ours", "PyTorch's"])
def test_ids_may_be_tensors_of_either_library(kind):
    model, ids = GPT(SMALL, rng=Generator(3)).eval(), np.array([[1, 4, 2], [3, 0, 1]])
    wanted = model.generate(ids, 4, temperature=0)
    found = model.generate(kind(ids), 4, temperature=0)
    assert isinstance(found, Tensor if kind is wrap else np.ndarray)
    np.testing.assert_array_equal(np.asarray(found), wanted)
    assert model(kind(ids), kind(ids))[1].item() == model(ids, ids)[1].item()


def test_importing_gpt_leaves_out_what_training_does_without():
    heavy = {
        "gpt.pretrained", "gpt.checkpoint", "gpt.tokens", "gpt.data", "gpt.run", "gpt.start", "gpt.resume", "minigrad.check", "minigrad.watch", "nn.check",
        "nn.archive", "numpy.random", "secrets", "hashlib", "json", "zipfile", "subprocess", "tempfile", "ctypes", "torch",
    }  # fmt: skip
    code = "import sys, numpy; before = {*sys.modules}; import gpt; print(*({*sys.modules} - before))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    imported = set(done.stdout.split())
    assert "gpt.model" in imported
    assert not imported & heavy


def test_what_gpt_imports_later_is_found_by_its_name():
    pretrained = importlib.import_module("gpt.pretrained")
    assert gpt.from_pretrained is pretrained.from_pretrained
    assert gpt.from_state_dict is pretrained.from_state_dict
    with pytest.raises(AttributeError, match="module 'gpt' has no attribute 'from_nowhere'"):
        _ = gpt.from_nowhere
