"""The Llama against transformers': logits, loss, every gradient, training, greedy tokens; and its cache against none."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import minigrad
from gpt.config import LlamaConfig
from gpt.llama import Llama
from gpt.pretrained import gguf
from minigrad.random import Generator
from minigrad.tensor import wrap
from nn import GroupedQueryAttention
from nn import functional as F
from nn.check import twins
from nn.optim import AdamW

TOKENS = 19
GROUPED = LlamaConfig(
    block_size=16,
    vocab_size=TOKENS,
    n_layer=2,
    n_head=6,
    n_kv_head=2,
    n_embd=24,
    n_hidden=20,
    rope_theta=50.0,
)
ALIKE = replace(GROUPED, n_kv_head=6, norm_eps=0.02, rope_theta=1e4, tied=False)
BOTH = pytest.mark.parametrize("config", [GROUPED, ALIKE], ids=["3:1, tied", "1:1, separate"])


def as_transformers(config):
    """The same settings in transformers' words."""
    return transformers.LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.n_embd,
        intermediate_size=config.n_hidden,
        num_hidden_layers=config.n_layer,
        num_attention_heads=config.n_head,
        num_key_value_heads=config.n_kv_head,
        max_position_embeddings=config.block_size,
        rms_norm_eps=config.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=config.tied,
    )


def pair(config, dtype=np.float64, exact=True):
    """A Llama and transformers' with the same weights, all of them random, the norms' too.

    transformers computes norms, cosines and sines in float32 whatever the dtype; `exact` has it use the model's.
    """
    model, rng = Llama(config, rng=Generator(0)).to(dtype), np.random.default_rng(0)
    model.load_state_dict(
        {n: a.numpy() + 0.3 * rng.standard_normal(a.shape) for n, a in model.state_dict().items()}
    )
    theirs = transformers.LlamaForCausalLM(as_transformers(config))
    names = {name.removeprefix("model."): p for name, p in theirs.named_parameters()}
    assert names.keys() == model.state_dict().keys()
    for name, array in model.state_dict().items():
        names[name].data = torch.from_numpy(array.numpy())
    if exact:
        theirs.model.rotary_emb.forward = lambda x, position_ids: exact_turns(config, x, position_ids)
        for module in theirs.modules():
            if type(module).__name__ == "LlamaRMSNorm":
                module.forward = functools.partial(exact_norm, module)
    return model, theirs.eval(), names


def loss_of(logits, targets):
    """Of PyTorch, in the dtype of the logits, which transformers' own makes float32."""
    flat = torch.from_numpy(targets).flatten()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), flat, ignore_index=-1)


def exact_norm(own, x):
    return torch.nn.functional.rms_norm(x, x.shape[-1:], own.weight, own.variance_epsilon)


def exact_turns(config, x, position_ids):
    half = config.n_embd // config.n_head // 2
    speeds = config.rope_theta ** -(torch.arange(half, dtype=torch.float64) / half)
    angles = (position_ids[..., None] * speeds).repeat(1, 1, 2)
    return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


def batch(seed, B=3, T=16):
    rng = np.random.default_rng(seed)
    return rng.integers(0, TOKENS, (B, T)), rng.integers(0, TOKENS, (B, T))


# ---- against transformers ----


@BOTH
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [(np.float64, 1e-10, 1e-10), (np.float32, 1e-5, 1e-5)])
@pytest.mark.parametrize("T", [1, 16])
def test_logits_loss_and_every_gradient_equal_those_of_transformers(config, dtype, rtol, atol, T):
    model, theirs, names = pair(config, dtype)
    x, y = batch(1, T=T)
    y[0, 0] = -1  # ignored
    logits, loss = model(x, y)
    their_logits = theirs(torch.from_numpy(x)).logits
    their_loss = loss_of(their_logits, y)
    cotangent = np.random.default_rng(2).standard_normal(logits.shape).astype(dtype) / logits.array.size
    (loss + (logits * cotangent).sum()).backward()
    (their_loss + (their_logits * torch.from_numpy(cotangent)).sum()).backward()

    assert_allclose(logits.array, their_logits.detach().numpy(), rtol=rtol, atol=atol)
    assert_allclose(loss.item(), their_loss.item(), rtol=rtol)
    assert_array_equal(model.loss(x, y).array, loss.array)
    assert_allclose(model(x)[0].array, logits.array[:, -1:], rtol=rtol, atol=atol)
    for name, p in model.named_parameters():
        assert p.grad.dtype == dtype
        assert_allclose(p.grad, names[name].grad.numpy(), rtol=rtol, atol=atol, err_msg=name)


@BOTH
def test_transformers_as_it_is_agrees_to_its_rounding_of_the_angles(config):
    model, theirs, _ = pair(config, np.float32, exact=False)
    x, _ = batch(2)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).logits.numpy()
    assert_allclose(model(x, x)[0].array, expected, rtol=1e-5, atol=1e-5)


@BOTH
def test_twenty_steps_of_training_equal_those_of_transformers(config):
    model, theirs, names = pair(config)
    settings = {"lr": 1e-2, "betas": (0.9, 0.95), "weight_decay": 0.1}
    optimizer, their_optimizer = (
        AdamW(model.parameters(), **settings),
        torch.optim.AdamW(names.values(), **settings),
    )
    for step in range(20):
        x, y = batch(100 + step)
        loss = model.loss(x, y)
        their_loss = loss_of(theirs(torch.from_numpy(x)).logits, y)
        assert_allclose(loss.item(), their_loss.item(), rtol=1e-10)
        for each, by in ((loss, optimizer), (their_loss, their_optimizer)):
            by.zero_grad()
            each.backward()
            by.step()
    for name, array in model.state_dict().items():
        assert_allclose(array, names[name].detach().numpy(), rtol=1e-10, atol=1e-10, err_msg=name)


@BOTH
@pytest.mark.parametrize("B", [1, 2])
def test_twenty_greedy_tokens_equal_those_of_transformers(config, B):
    config = replace(config, block_size=32)
    model, theirs, _ = pair(config, np.float32, exact=False)
    x, _ = batch(3, B=B, T=5)
    given = torch.from_numpy(x)
    settings = transformers.GenerationConfig(
        max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    expected = theirs.generate(given, attention_mask=torch.ones_like(given), generation_config=settings)
    assert_array_equal(model.generate(x, 20, temperature=0), expected.numpy())


FRANCE = """
import sys, torch, transformers
folder, name = sys.argv[1].rsplit("/", 1)
model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
ids = torch.tensor([[504, 3575, 282, 4649, 314]])
settings = transformers.GenerationConfig(max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0)
print(model.generate(ids, attention_mask=ids > 0, generation_config=settings)[0].tolist())
"""
CONTINUED = [7042, 30, 198, 198, 504, 2988, 314, 42, 216, 34, 32, 33, 40, 29, 32, 33, 29, 34, 34, 216]


def test_smollm2_writes_what_transformers_writes_from_the_same_file():
    """CONTINUED is what `python -c FRANCE FILE` prints, which takes 14 s and more to read the file: so it is written down.

    FRANCE_BY_TRANSFORMERS=1 in the environment runs it again.
    """
    try:
        file = gguf.find("smollm2")
    except ModuleNotFoundError as error:
        pytest.skip(str(error))  # neither the package nor the network brings it
    ids = gguf.tokenizer(file).encode("The capital of France is").astype(np.int64)[None]
    found = gguf.load(file).generate(ids, 20, temperature=0)[0].tolist()
    assert found == [504, 3575, 282, 4649, 314, *CONTINUED]
    assert gguf.tokenizer(file).decode(np.array(found)).startswith("The capital of France is Paris.")
    if os.environ.get("FRANCE_BY_TRANSFORMERS"):
        command = [sys.executable, "-c", FRANCE, str(file)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert json.loads(printed.splitlines()[-1]) == found


# ---- the cache ----


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.sampled_from([GROUPED, ALIKE]),
)
def test_a_cache_fed_in_pieces_gives_the_logits_of_the_whole(pieces, seed, config):
    model = Llama(config, rng=Generator(seed)).double()
    pieces = pieces[:3]
    x, _ = batch(seed, B=2, T=sum(pieces))
    cache, start = model.new_cache(), 0
    for n in pieces:
        logits, _ = model(x[:, start : start + n], None, cache)
        start += n
        assert_allclose(logits.array, model(x[:, :start])[0].array, rtol=1e-10, atol=1e-10)


@BOTH
def test_beyond_the_block_size_the_window_is_cropped_and_computed_anew(config):
    """As a GPT's: what was computed of a token has seen tokens that have left the window since, whatever its position."""
    model = Llama(config, rng=Generator(1)).double()
    x, _ = batch(4, B=2, T=10)
    expected = x
    for _ in range(15):
        logits, _ = model(expected[:, -config.block_size :])
        expected = np.concatenate([expected, logits.array[:, -1].argmax(-1)[:, None]], 1)
    assert_array_equal(model.generate(x, 15, temperature=0), expected)


@pytest.mark.parametrize(("H", "G"), [(6, 2), (6, 6), (4, 1)])
@pytest.mark.parametrize("T", [1, 3])
@pytest.mark.parametrize("start", [0, 4])
def test_attention_with_a_cache_is_attention_to_all_so_far(H, G, T, start):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, heads, start + T, 4)) for heads in (H, G, G))
    cache = {"length": 0}
    if start:
        F.attend_with_cache(*(wrap(x[:, :, :start]) for x in (q, k, v)), cache)
    y = F.attend_with_cache(*(wrap(x[:, :, start:]) for x in (q, k, v)), cache)
    whole = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(x) for x in (q, k, v)), is_causal=True, enable_gqa=True
    )
    assert cache["length"] == start + T
    assert_allclose(y.array, whole[:, :, start:].numpy(), rtol=1e-12, atol=1e-14)


MASKS = [(3, 5), (1, 5), (5,), (1, 3, 5), (6, 3, 5), (2, 1, 3, 5), (2, 6, 3, 5), (2, 1, 1, 5), (2, 6, 1, 5)]


@pytest.mark.parametrize("kind", ["boolean", "additive", "learned"])
@pytest.mark.parametrize("shape", MASKS)
def test_a_mask_for_each_head_or_for_all_reaches_the_heads_of_a_group(shape, kind):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(size) for size in ((2, 6, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))]
    mask = rng.standard_normal(shape)
    mask = mask > -1 if kind == "boolean" else mask
    ours = [wrap(a.copy(), requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    our_mask, their_mask = mask, torch.tensor(mask)
    if kind == "learned":
        our_mask, their_mask = wrap(mask, requires_grad=True), their_mask.requires_grad_()
    y = F.scaled_dot_product_attention(*ours, our_mask, scale=0.7, enable_gqa=True)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = torch.nn.functional.scaled_dot_product_attention(
            *theirs, their_mask, scale=0.7, enable_gqa=True
        )
    cotangent = rng.standard_normal(y.shape)
    (y * cotangent).sum().backward()
    (expected * torch.tensor(cotangent)).sum().backward()
    assert_allclose(y.array, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    if kind == "learned":
        ours, theirs = [*ours, our_mask], [*theirs, their_mask]
    for x, z in zip(ours, theirs):
        assert_allclose(x.grad, z.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_dropout_falls_on_each_head_of_a_group_alone():
    rng = np.random.default_rng(0)
    q, k, v = (wrap(rng.standard_normal((2, heads, 3, 4))) for heads in (6, 2, 2))
    apart = [wrap(np.repeat(x.array, 3, axis=1)) for x in (k, v)]
    shared, each = (
        F.scaled_dot_product_attention(q, *kv, dropout_p=0.5, enable_gqa=True, rng=Generator(4))
        for kv in ((k, v), apart)
    )
    assert_allclose(shared.array, each.array, rtol=1e-12, atol=1e-14)


# ---- rotary positions ----


def test_products_of_turned_queries_and_keys_depend_on_their_distance_alone():
    q, k = np.random.default_rng(0).standard_normal((2, 1, 8))
    for distance in (0, 1, 7):
        products = [
            (F.rotary(wrap(q), start=s + distance).array @ F.rotary(wrap(k), start=s).array.T).item()
            for s in (0, 3, 1000)
        ]
        assert_allclose(products, products[0], rtol=1e-11)
    assert abs(products[0] - (q @ k.T).item()) > 0.1


@pytest.mark.parametrize("settings", [{}, {"start": 5}, {"theta": 7.0}, {"start": 2040, "theta": 1e5}])
def test_rotary_equals_transformers(settings):
    x = np.random.default_rng(1).standard_normal((2, 3, 9, 8))
    config = replace(GROUPED, n_embd=8, n_head=1, n_kv_head=1, rope_theta=settings.get("theta", 10000.0))
    positions = torch.arange(9)[None] + settings.get("start", 0)
    cos, sin = exact_turns(config, torch.from_numpy(x), positions)
    expected, _ = transformers.models.llama.modeling_llama.apply_rotary_pos_emb(
        torch.from_numpy(x), torch.from_numpy(x), cos, sin
    )
    assert_allclose(F.rotary(wrap(x), **settings).array, expected.numpy(), rtol=1e-12, atol=1e-14)
    assert_allclose(
        twins.rotary(torch)(torch.from_numpy(x), **settings).numpy(), expected.numpy(), rtol=1e-12
    )


@pytest.mark.parametrize("shape", [(3, 5), (4,)])
def test_what_has_no_pairs_or_no_positions_is_not_turned(shape):
    with pytest.raises(ValueError, match=r"rotary: expected x \(\.\.\., T, D\) with an even D; got"):
        F.rotary(minigrad.zeros(*shape))


# ---- settings ----


def test_the_settings_as_they_come_are_smollm2s():
    """135 M numbers; https://huggingface.co/HuggingFaceTB/SmolLM2-135M/blob/main/config.json."""
    config, count = LlamaConfig(), 0
    C, head, hidden = config.n_embd, config.n_embd // config.n_head, config.n_hidden
    count = config.vocab_size * C + C
    count += config.n_layer * (2 * C + 2 * C * C + 2 * C * head * config.n_kv_head + 3 * C * hidden)
    assert count == 134_515_008
    assert (config.rope_theta, config.norm_eps, config.tied, config.block_size) == (1e5, 1e-5, True, 8192)


def test_the_parameters_are_counted():
    model, theirs, _ = pair(ALIKE)
    assert model.num_parameters() == model.num_parameters(False) == theirs.num_parameters()


@pytest.mark.parametrize("init_std", [0.02, 0.3])
@pytest.mark.parametrize("default", [True, False])
def test_the_first_weights_are_drawn_with_the_deviation_that_is_set(init_std, default):
    config = replace(ALIKE, init_std=init_std)
    minigrad.manual_seed(3)
    model = Llama(config, rng=None if default else Generator(3))
    for name, p in model.named_parameters():
        if p.ndim == 1:
            assert_array_equal(p.array, 1.0, err_msg=name)
        else:
            spread = 4 / np.sqrt(2 * p.numel())
            assert abs(p.array.std() / init_std - 1) < spread and abs(p.array.mean()) < init_std * spread, (
                name
            )
    again = Llama(config, rng=Generator(3))
    assert_array_equal(model.lm_head.weight.array, again.lm_head.weight.array)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_embd": 30}, "n_head by n_kv_head; got 30, 6 and 2"),
        (
            {"n_kv_head": 4},
            "LlamaConfig: expected n_embd divisible by 2 n_head, and n_head by n_kv_head; got 24, 6 and 4",
        ),
        ({"tied": 1}, "LlamaConfig: expected tied .*; got 1"),
        *[
            ({name: value}, f"LlamaConfig: expected {name} to be a whole number of 1 or more; got {value!r}")
            for name in ("block_size", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd", "n_hidden")
            for value in (0, 2.0)
        ],
        *[
            ({name: value}, f"LlamaConfig: expected {name} above 0, finite; got {value!r}")
            for name in ("rope_theta", "norm_eps", "init_std")
            for value in (0.0, float("inf"))
        ],
    ],
)
def test_settings_that_cannot_work_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(GROUPED, **changes)


@pytest.mark.parametrize("sizes", [(12, 5, 5), (12, 4, 3), (12, 4, 4)])
def test_heads_that_do_not_divide_are_refused(sizes):
    with pytest.raises(
        ValueError, match="GroupedQueryAttention: expected n_embd divisible by 2 n_head, and n_head by"
    ):
        GroupedQueryAttention(*sizes)


@pytest.mark.parametrize("spoilt", ["context", "cached context", "ids", "targets"])
def test_ids_and_lengths_that_the_model_has_not_are_refused(spoilt):
    model, (x, y) = Llama(GROUPED, rng=Generator(0)), batch(0, B=1)
    longest = (
        r"Llama: expected at most 16 tokens \(block_size\); got 17; crop the context to the last block_size"
    )
    if spoilt == "cached context":
        cache = model.new_cache()
        model(x, None, cache)
        with pytest.raises(ValueError, match=longest):
            model(x[:, :1], None, cache)
    elif spoilt == "context":
        with pytest.raises(ValueError, match=longest):
            model(np.zeros((1, 17), int))
    else:
        (x if spoilt == "ids" else y)[0, 3] = TOKENS
        with pytest.raises(ValueError, match=f"expected ids in 0..{TOKENS - 1}"):
            model(x, y)
