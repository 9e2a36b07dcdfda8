"""Weights of other people's models, read and written: transformers and safetensors are the oracle."""

import itertools
import json
import os
import re
import shutil
import sys
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import save_file as save_torch
from safetensors.torch import save_model
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from gpt.config import GPTConfig, TrainConfig
from gpt.llama import Llama
from gpt.model import GPT
from gpt.pretrained import (
    folder,
    from_pretrained,
    from_state_dict,
    gguf,
    gpt2,
    read_safetensors,
    save_pretrained,
)
from gpt.run import Run
from gpt.train import train
from minigrad.random import Generator, default_generator
from nn import lora
from nn.activations import ACTIVATIONS
from tests.support.twin import Twin

SIZES = {"vocab_size": 19, "n_positions": 12, "n_embd": 8, "n_layer": 3, "n_head": 2}
IDS = np.random.default_rng(0).integers(0, 17, (2, 12))


def theirs(dtype=torch.float64, **settings):
    """A small random GPT2LMHeadModel, all of its numbers large enough that each setting shows."""
    config = GPT2Config(**{**SIZES, "bos_token_id": None, "eos_token_id": None, **settings})
    model, generator = GPT2LMHeadModel(config).eval().double(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p += torch.randn(p.shape, generator=generator, dtype=p.dtype) * 0.3
    return model.to(dtype)


def logits_of(model, ids=IDS):
    """The logits of every position, of a model of ours or of theirs."""
    if isinstance(model, torch.nn.Module):
        with torch.no_grad():
            return model(torch.from_numpy(ids)).logits.numpy()
    return model(ids, ids)[0].array


def assert_same(ours, other, rtol=1e-10):
    wanted = logits_of(other)
    assert wanted.std() > 0.1
    assert_allclose(logits_of(ours), wanted, rtol=rtol, atol=rtol * abs(wanted).max())


def changed(path, **settings):
    """Write other settings into a config.json; None takes one out."""
    config = json.loads((path / "config.json").read_text()) | settings
    text = json.dumps({name: value for name, value in config.items() if value != "absent"})
    (path / "config.json").write_text(text)


@pytest.fixture
def saved(tmp_path):
    """(their model, the folder that it wrote)."""
    model = theirs()
    model.save_pretrained(tmp_path / "theirs")
    return model, tmp_path / "theirs"


# ---- settings ----


CHANGES = [
    *({"activation_function": name} for name in ACTIVATIONS if name != "gelu_new"),
    {"layer_norm_epsilon": 0.1}, {"n_head": 4}, {"tie_word_embeddings": False}, {"scale_attn_weights": False},
    {"scale_attn_by_inverse_layer_idx": True},
    {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True},
    {"vocab_size": 18}, {"n_positions": 13}, {"n_layer": 1}, {"n_embd": 4},
]  # fmt: skip
SAME = (
    {"n_inner": 32},
    {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0},
    {"initializer_range": 0.3},
)
ALIKE = ("gelu_fast", "gelu_pytorch_tanh")  # the same function as gelu_new


@pytest.mark.parametrize("settings", CHANGES, ids=str)
def test_each_setting_of_gpt2s_is_obeyed(settings, tmp_path):
    model = theirs(**settings)
    model.save_pretrained(tmp_path)
    assert_same(GPT.from_pretrained(tmp_path), model)
    if settings.get("activation_function") not in ALIKE:
        wanted = logits_of(theirs())
        assert logits_of(model).shape != wanted.shape or abs(logits_of(model) - wanted).max() > 0.01


@pytest.mark.parametrize("settings", SAME, ids=str)
def test_settings_that_change_no_logits_arrive_too(settings, tmp_path):
    model = theirs(**settings)
    model.save_pretrained(tmp_path)
    ours = GPT.from_pretrained(tmp_path)
    assert_same(ours, model)
    assert (ours.config.dropout, ours.config.init_std) == (
        model.config.resid_pdrop,
        model.config.initializer_range,
    )


def test_attention_that_is_reordered_and_upcast_is_the_same_attention(tmp_path):
    model = theirs(torch.float32, reorder_and_upcast_attn=True, attn_implementation="eager")
    model.save_pretrained(tmp_path)
    assert_same(GPT.from_pretrained(tmp_path), model, 1e-5)


@pytest.mark.parametrize(
    "names", [{"n_embd": "hidden_size", "n_head": "num_attention_heads"}, {"n_layer": "num_hidden_layers"}]
)
def test_other_names_of_settings_and_defaults_for_those_left_out(saved, names):
    model, path = saved
    left_out = [
        "activation_function",
        "layer_norm_epsilon",
        "n_inner",
        "scale_attn_weights",
        "tie_word_embeddings",
    ]
    other = {names[n]: SIZES[n] for n in names} | {n: "absent" for n in (*names, *left_out)}
    changed(path, **other)
    assert_same(GPT.from_pretrained(path), model)
    assert_same(GPT.from_pretrained(path), GPT2LMHeadModel.from_pretrained(path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_inner": 16}, "expected n_inner of 4 n_embd, or null; got 16"),
        ({"add_cross_attention": True}, "expected add_cross_attention False; got True"),
        ({"quantization_config": {"bits": 8}}, "expected quantization_config None; got {'bits': 8}"),
        ({"attn_pdrop": 0.2}, r"expected one dropout for all; got resid_pdrop, embd_pdrop, attn_pdrop \[0.1, 0.1, 0.2\]; say which: from_pretrained"),
        ({"embd_pdrop": [0.1]}, r"expected one dropout for all; got .* \[0.1, \[0.1\], 0.1\]"),
        ({"resid_pdrop": None}, r"expected one dropout for all; got .* \[None, 0.1, 0.1\]"),
        ({"activation_function": "quick_gelu"}, "expected activation to be one of gelu_new, .*; got 'quick_gelu'"),
        ({"activation_function": ["relu"]}, r"expected activation to be one of gelu_new, .*; got \['relu'\]"),
        ({"layer_norm_epsilon": "small"}, "expected norm_eps above 0, finite; got 'small'"),
        ({"layer_norm_epsilon": 0}, "expected norm_eps above 0, finite; got 0"),
        ({"n_head": "2"}, "expected n_head to be a whole number of 1 or more; got '2'"),
        ({"n_head": 3}, "expected n_embd divisible by n_head; got 8 and 3"),
        ({"n_embd": None}, "expected n_embd to be a whole number of 1 or more; got None"),
        ({"n_layer": 10**9}, "expected weights of n_layer 1000000000; got n_layer 3"),
        ({"n_layer": 2}, "expected weights of n_layer 2; got n_layer 3"),
        ({"vocab_size": 50257}, "expected weights of vocab_size 50257; got vocab_size 19"),
        ({"n_positions": 1024}, "expected weights of block_size 1024; got block_size 12"),
        ({"n_embd": 16}, "expected weights of n_embd 16; got n_embd 8"),
        ({"tie_word_embeddings": False}, "missing lm_head.weight"),
        ({"tie_word_embeddings": "no"}, "expected tied to be True or False; got 'no'"),
        ({"model_type": "bert"}, "expected a model of type gpt2.*; got one of type 'bert' in .*; read_safetensors"),
        ({"model_type": ["gpt2"]}, "expected a model of type gpt2"),
        *(({"scale_attn_weights": odd}, "expected scale_attn_weights True; got") for odd in ("false", None, 0, 1)),
        *(({"scale_attn_by_inverse_layer_idx": odd}, "scale_attn_by_inverse_layer_idx False; got") for odd in ("no", None, 0, 1)),
        *(({name: True}, "got True") for name in ("layer_norm_epsilon", "initializer_range", "n_head", "vocab_size")),
        ({"attn_pdrop": False, "embd_pdrop": 0.0, "resid_pdrop": 0.0}, "one dropout for all"),
        (dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), False), "dropout"),
    ],
)  # fmt: skip
def test_a_setting_that_we_have_not_is_refused_in_one_line(saved, settings, message):
    _, path = saved
    changed(path, **settings)
    with pytest.raises(ValueError, match=message) as caught:
        from_pretrained(path)
    assert "\n" not in str(caught.value)


def test_the_dropout_may_be_chosen_and_other_fields_too(saved):
    model, path = saved
    changed(path, attn_pdrop=0.2)
    ours = GPT.from_pretrained(path, dropout=0.4, init_std=0.1)
    assert (ours.config.dropout, ours.h[0].attn.dropout, ours.config.init_std) == (0.4, 0.4, 0.1)
    assert_same(ours, model)  # in evaluation mode
    assert not any(m.training for m in ours.modules())
    assert abs(logits_of(ours.train()) - logits_of(model)).max() > 0.1
    with pytest.raises(TypeError, match="expected settings among block_size, .*; got heads, size"):
        GPT.from_pretrained(path, heads=3, size=4)


# ---- folders and files ----


def test_shards_are_put_together(tmp_path):
    model = theirs()
    model.save_pretrained(tmp_path, max_shard_size="3KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 3 and not (tmp_path / "model.safetensors").exists()
    assert_same(GPT.from_pretrained(tmp_path), model)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())

    def refused(message, **contents):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({**index, **contents}))
        with pytest.raises(ValueError, match=message) as caught:
            from_pretrained(tmp_path)
        assert "\n" not in str(caught.value)

    outside = shutil.copy(shards[0], tmp_path.parent / "outside.safetensors")
    for name in ("nothing.safetensors", str(outside), "../outside.safetensors", "", ".."):
        some = dict(index["weight_map"], more=name)
        refused("expected the shards that model.safetensors.index.json names; got", weight_map=some)
    refused("expected a weight_map of names to files", weight_map=["model"])
    refused("expected a weight_map of names to files", weight_map={"a": 1})
    refused("missing ", weight_map={n: f for n, f in index["weight_map"].items() if f != shards[-1].name})
    shutil.copy(shards[0], tmp_path / "again.safetensors")
    refused(
        "expected each array in one shard; got .* in two of",
        weight_map=dict(index["weight_map"], more="again.safetensors"),
    )


def stripped(model):
    return {
        name.removeprefix("transformer."): t.clone()
        for name, t in model.state_dict().items()
        if name != "lm_head.weight"
    }


PREFIXES = (
    "",
    "transformer.",
    "_orig_mod.transformer.",
    "module._orig_mod.transformer.",
    "transformer._orig_mod.module.",
    "_orig_mod.module._orig_mod.",
)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("head", ["absent", "equal", "alone"])
def test_names_may_stand_behind_any_nesting_of_wrappers(saved, prefix, head):
    model, path = saved
    arrays = {prefix + name.replace("h.1.", "h._orig_mod.1."): t for name, t in stripped(model).items()}
    if head != "absent":
        arrays[prefix.replace("transformer.", "") + "lm_head.weight"] = arrays[prefix + "wte.weight"].clone()
    if head == "alone":
        del arrays[prefix + "wte.weight"]
    save_torch(arrays, path / "model.safetensors")
    ours = GPT.from_pretrained(path)
    assert_same(ours, model)
    assert ours.config.tied


def test_a_name_that_comes_twice_is_refused(saved):
    model, path = saved
    arrays = stripped(model)
    save_torch({**arrays, "module.ln_f.bias": arrays["ln_f.bias"] + 1}, path / "model.safetensors")
    with pytest.raises(ValueError, match=r"expected each array once; got ln_f.bias twice in"):
        from_pretrained(path)


def test_a_head_of_its_own_is_read_whatever_the_settings_say(saved):
    model, path = saved
    other = theirs(tie_word_embeddings=False)
    other.save_pretrained(path)
    changed(path, tie_word_embeddings=True)
    ours = GPT.from_pretrained(path)
    assert_same(ours, other)
    assert not ours.config.tied and abs(logits_of(other) - logits_of(model)).max() > 0.1
    assert_same(ours, GPT2LMHeadModel.from_pretrained(path))


MASKS = [
    torch.bool,
    torch.uint8,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float8_e4m3fn,
]


@pytest.mark.parametrize("dtype", MASKS, ids=str)
def test_masks_of_any_dtype_are_passed_over(saved, dtype):
    model, path = saved
    arrays = {f"transformer.{name}": t.bfloat16() for name, t in stripped(model).items()}
    for i in range(3):
        arrays[f"transformer.h.{i}.attn.bias"] = torch.ones(1, 1, 12, 12).tril().to(dtype)
        arrays[f"transformer.h.{i}.attn.masked_bias"] = torch.tensor(-1e4).to(dtype)
    save_torch(arrays, path / "model.safetensors")
    assert_same(GPT.from_pretrained(path), model.bfloat16().float(), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_each_precision_is_read_and_16_bits_become_float32(tmp_path, dtype):
    model = theirs(dtype)
    model.save_pretrained(tmp_path)
    ours, wanted = GPT.from_pretrained(tmp_path), model if dtype == torch.float64 else model.float()
    assert {p.dtype for p in ours.parameters()} == {torch.float64: {np.dtype("f8")}}.get(
        dtype, {np.dtype("f4")}
    )
    for name, tensor in read_safetensors(tmp_path / "model.safetensors").items():
        assert_array_equal(tensor, wanted.state_dict()[name].numpy(), err_msg=name)
    assert_same(ours, wanted, 1e-10 if dtype == torch.float64 else 1e-5)


def test_bfloat16_keeps_every_bit(tmp_path):
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    arrays = {
        "all": bits.view(torch.bfloat16),
        "none": torch.zeros(0, 3).bfloat16(),
        "one": torch.tensor(0.1).bfloat16(),
    }
    save_torch(
        {**arrays, "before": torch.zeros(3, dtype=torch.float64), "bytes": torch.zeros(3, dtype=torch.uint8)},
        tmp_path / "x.safetensors",
    )
    found = read_safetensors(tmp_path / "x.safetensors")
    for name, tensor in arrays.items():
        assert found[name].dtype == np.float32 and found[name].shape == tuple(tensor.shape)
        assert_array_equal(found[name].view(np.uint32) >> 16, tensor.float().numpy().view(np.uint32) >> 16)


@pytest.mark.parametrize("beside", [True, False])
def test_one_file_takes_the_settings_beside_it(saved, tmp_path, beside):
    model, path = saved
    changed(path, layer_norm_epsilon=0.1)
    if beside:
        ours = GPT.from_pretrained(str(path / "model.safetensors"))
        assert_same(ours, GPT2LMHeadModel.from_pretrained(path))
    else:
        shutil.move(path / "model.safetensors", tmp_path / "alone.safetensors")
        with pytest.raises(
            ValueError, match="expected n_head for a width that no GPT-2 has; got width 8 alone"
        ):
            GPT.from_pretrained(tmp_path / "alone.safetensors")
        assert_same(GPT.from_pretrained(tmp_path / "alone.safetensors", n_head=2), model)


def test_files_that_are_not_there_or_not_of_weights_say_so_in_one_line(saved, tmp_path):
    _, path = saved
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    for i in range(7):
        (tmp_path / "text" / f"{i}.txt").write_text("")
    cases = {
        path / "other": (FileNotFoundError, "which does not exist"),
        tmp_path / "empty": (ValueError, "got .*empty, with nothing"),
        tmp_path / "text": (ValueError, "got .*text, with 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more"),
        path / "config.json": (ValueError, "expected a whole .safetensors file, of dtypes that NumPy has"),
        "/dev/null": (ValueError, "got /dev/null, which is neither a file nor a folder"),
    }
    for place, (kind, message) in cases.items():
        with pytest.raises(kind, match=message) as caught:
            from_pretrained(place)
        assert "\n" not in str(caught.value)
    for text in ("", "{", "[]", "[" * 10**5, "\xff", "7"):
        (path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(
            ValueError, match="expected an? (file|object) of JSON; got .*config.json"
        ) as caught:
            from_pretrained(path)
        assert "\n" not in str(caught.value)


def no_files(place):
    """Put in a file's place, one after another, what is no file."""
    for make in (
        lambda: place.symlink_to("nowhere"),
        place.mkdir,
        lambda: os.mkfifo(place),
        lambda: place.symlink_to("/dev/null"),
    ):
        place.unlink(missing_ok=True) if not place.is_dir() else place.rmdir()
        make()
        yield place


@pytest.mark.parametrize("name", [folder.CONFIG, folder.WEIGHTS, folder.INDEX])
def test_what_stands_under_a_name_of_a_file_and_is_none_is_not_taken_for_absent(tmp_path, name):
    GPT(
        GPTConfig(vocab_size=9, block_size=4, n_layer=1, n_head=4, n_embd=768), rng=Generator(0)
    ).save_pretrained(tmp_path)
    if name == folder.INDEX:
        (tmp_path / folder.WEIGHTS).unlink()
    for place in no_files(tmp_path / name):
        for run, said in (
            (False, f"from_pretrained: expected a file; got .*{name}"),
            (True, "a folder of one model"),
        ):
            (tmp_path / "checkpoint.npz").write_text(
                "a run's"
            ) if run else None  # it is not taken for that of a run
            with pytest.raises((OSError, ValueError), match=said) as caught:
                from_pretrained(tmp_path)
            assert "\n" not in str(caught.value), place
        with pytest.raises((OSError, ValueError), match=f"^read_safetensors: expected a file; got .*{name}"):
            read_safetensors(place)
        (tmp_path / "checkpoint.npz").unlink()


def test_a_head_of_its_own_is_not_dropped_and_no_path_is_no_folder(saved):
    _, path = saved
    assert from_pretrained(path, tied=True).config.tied
    theirs(tie_word_embeddings=False).save_pretrained(path)
    with pytest.raises(ValueError, match="expected tied=False, for the head of its own in .*; got tied=True"):
        from_pretrained(path, tied=True)
    for none in ("", None, 7):
        with pytest.raises(ValueError, match=f"expected the path of a model, or smollm2; got {none!r}"):
            from_pretrained(none)


def test_weights_that_no_model_can_have_are_refused(saved):
    model, path = saved
    good = {f"transformer.{name}": t for name, t in stripped(model).items()}
    name = "transformer.h.1.mlp.c_fc.weight"
    for value, message in (
        (
            torch.zeros(8, 32, dtype=torch.int8),
            "expected numbers with a point for h.1.mlp.c_fc.weight; got int8",
        ),
        (good[name] * np.nan, "expected finite numbers for h.1.mlp.c_fc.weight; got others"),
        (good[name] / 0, "expected finite numbers for h.1.mlp.c_fc.weight; got others"),
        (good[name][:, 1:], r"h.1.mlp.c_fc.weight: expected \(32, 8\), got \(31, 8\)"),
        (None, "missing h.1.mlp.c_fc.weight"),
    ):
        save_torch(
            {**good, name: value.contiguous()}
            if value is not None
            else {n: t for n, t in good.items() if n != name},
            path / "model.safetensors",
        )
        with pytest.raises(ValueError, match=message):
            from_pretrained(path)
    for name in ("wte.weight", "h.0.attn.c_attn.weight"):
        save_torch({**good, f"transformer.{name}": torch.zeros(3)}, path / "model.safetensors")
        with pytest.raises(ValueError, match=f"expected the weights of a GPT; got no matrix named {name} in"):
            from_pretrained(path)
    save_torch({**good, "score.weight": torch.zeros(2, 8)}, path / "model.safetensors")
    with pytest.raises(ValueError, match="nothing was loaded: unexpected score.weight"):
        from_pretrained(path)


@pytest.mark.parametrize("ending", [".bin", ".pt"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_file_of_pickle_gets_the_line_that_converts_it(tmp_path, ending, nested):
    model = theirs()
    state = model.state_dict()  # in which the head is the table
    torch.save({"model": state, "iter_num": 3} if nested else state, tmp_path / f"weights{ending}")
    for place in (tmp_path, tmp_path / f"weights{ending}"):
        with pytest.raises(
            ValueError, match=f"got .*weights{ending}, which PyTorch writes with pickle; no pickle is"
        ) as caught:
            from_pretrained(place)
        assert "\n" not in str(caught.value)
    exec(re.search(r'python -c "(.*)"$', str(caught.value)).group(1), {})
    assert_same(GPT.from_pretrained(tmp_path, n_head=2), model)


# ---- nanoGPT's ----


def nano(bias=True, **fields):
    """A random GPT in float64 and its twin, by default with nanoGPT's exact GELU."""
    config = GPTConfig(12, 64, 3, n_embd=8, **{"n_head": 2, "bias": bias, "activation": "gelu", **fields})
    model = GPT(config, rng=Generator(0)).double()
    rng = np.random.default_rng(1)
    model.load_state_dict(
        {n: a.numpy() + 0.3 * rng.standard_normal(a.shape) for n, a in model.state_dict().items()}
    )
    return model, Twin(config).copy_from(model)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("saving", ["with both names", "with one name", "with an other head"])
def test_nanogpts_weights_are_read_with_its_exact_gelu(tmp_path, bias, saving):
    model, twin = nano(bias)
    whole = torch.nn.Module()
    whole.transformer, whole.lm_head = (
        torch.nn.ModuleDict(twin._modules),
        torch.nn.Linear(8, 64, bias=False).double(),
    )
    wanted = twin(torch.from_numpy(IDS))[0].detach().numpy()
    if saving == "with an other head":
        wanted = torch.nn.functional.linear(twin.ln_f(hidden(twin)), whole.lm_head.weight).detach().numpy()
    else:
        whole.lm_head.weight = whole.transformer["wte"].weight
    if saving == "with one name":
        save_model(whole, tmp_path / "ckpt.safetensors")
        assert len(read_safetensors(tmp_path / "ckpt.safetensors")) == len(whole.state_dict()) - 1
    else:
        save_torch({name: t.clone() for name, t in whole.state_dict().items()}, tmp_path / "ckpt.safetensors")
    ours = GPT.from_pretrained(tmp_path / "ckpt.safetensors", n_head=2)
    assert ours.config == replace(model.config, tied=saving != "with an other head")
    assert_allclose(logits_of(ours), wanted, rtol=1e-10, atol=1e-10)


def hidden(twin):
    x = twin.wte(torch.from_numpy(IDS)) + twin.wpe(torch.arange(12))
    for block in twin.h:
        x = block(x)
    return x


# ---- Llama ----

LLAMA = {
    "vocab_size": 19, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 12, "bos_token_id": None, "eos_token_id": None,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100.0}, "rms_norm_eps": 1e-5,
}  # fmt: skip


def their_llama(dtype=torch.float32, **settings):
    """A small random LlamaForCausalLM, all of its numbers large enough that each setting shows."""
    model = LlamaForCausalLM(LlamaConfig(**{**LLAMA, **settings})).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p += torch.randn(p.shape, generator=generator) * 0.3
    return model.to(dtype)


LLAMAS = [
    {"num_key_value_heads": 4}, {"num_key_value_heads": 1}, {"num_key_value_heads": None}, {"num_attention_heads": 2},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, {"tie_word_embeddings": True}, {"rms_norm_eps": 0.5},
    {"intermediate_size": 20}, {"vocab_size": 18}, {"num_hidden_layers": 1}, {"hidden_size": 24, "head_dim": 6},
]  # fmt: skip


@pytest.mark.parametrize("settings", LLAMAS, ids=str)
@pytest.mark.parametrize("sharded", [False, True])
def test_each_setting_of_a_llamas_is_obeyed(settings, sharded, tmp_path):
    model = their_llama(**settings)
    model.save_pretrained(tmp_path, **({"max_shard_size": "3KB"} if sharded else {}))
    assert (tmp_path / "model.safetensors").exists() != sharded
    ours = Llama.from_pretrained(tmp_path)
    assert_same(ours, model, 1e-5)
    assert type(from_pretrained(tmp_path)) is Llama and not ours.training
    wanted = logits_of(their_llama())
    assert logits_of(model).shape != wanted.shape or abs(logits_of(model) - wanted).max() > 0.01
    ours.save_pretrained(tmp_path / "ours")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert type(again) is LlamaForCausalLM
    assert_same(ours, again, 1e-5)
    assert Llama.from_pretrained(tmp_path / "ours").config == ours.config
    with pytest.raises(
        ValueError, match=r"GPT.from_pretrained: expected a GPT; got a Llama in .*; Llama.from_pretr"
    ):
        GPT.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "older",
    [
        {"rope_theta": 100.0}, {"rope_theta": 100.0, "rope_scaling": None}, {"rope_theta": 100.0, "rope_scaling": {"type": "default"}},
        {"rope_scaling": {"rope_type": "default", "rope_theta": 100.0}}, {"rope_theta": 7.0, "rope_parameters": {"rope_theta": 100.0}},
        {"rope_scaling": {"rope_theta": 100.0}, "rope_parameters": {"rope_theta": 100.0}}, {"rope_scaling": {}, "rope_parameters": {"rope_theta": 100.0}},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("prefix", ["model.", "", "_orig_mod.module.model."])
def test_the_base_of_the_rotary_positions_stands_where_each_version_wrote_it(tmp_path, older, prefix):
    model = their_llama()
    model.save_pretrained(tmp_path)
    changed(tmp_path, **{"rope_parameters": "absent", **older})
    arrays = {
        name.replace("model.", prefix): torch.from_numpy(a)
        for name, a in read_safetensors(tmp_path / "model.safetensors").items()
    }
    arrays[f"{prefix}layers.0.self_attn.rotary_emb.inv_freq"] = torch.zeros(2, dtype=torch.float16)
    save_torch(arrays, tmp_path / "model.safetensors")
    assert_same(Llama.from_pretrained(tmp_path), model, 1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_act": "gelu"}, "expected hidden_act silu; got 'gelu'"),
        ({"attention_bias": True}, "expected attention_bias False; got True"),
        ({"mlp_bias": True}, "expected mlp_bias False; got True"),
        ({"attention_dropout": 0.1}, "expected attention_dropout 0.0; got 0.1"),
        ({"quantization_config": {}}, "expected quantization_config None; got {}"),
        *(({name: odd}, f"expected a whole number for {name}; got ") for name, odd in itertools.product(("hidden_size", "num_attention_heads"), (None, {}, "4", True, 4.0))),
        ({"head_dim": {}}, "expected a whole number for head_dim; got {}"),
        ({"rope_scaling": {"rope_type": "default", "rope_theta": 7.0}}, "one of rope_scaling and rope_parameters, or both alike; got"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0, "rope_theta": 100.0}}, "one of rope_scaling and rope_parameters"),
        ({"head_dim": 8}, "expected head_dim of hidden_size / num_attention_heads; got 8"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "not rescaled .*; got 'linear'"),
        ({"rope_parameters": "absent", "rope_scaling": {"type": "dynamic", "factor": 2.0}}, "not rescaled .*; got 'dynamic'"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "expected partial_rotary_factor 1; got 0.5"),
        ({"partial_rotary_factor": 0.5}, "expected partial_rotary_factor 1; got 0.5"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 7.0}}, "layer_types": ["full_attention"] * 3}, "rotary positions alike in all layers"),
        ({"rope_parameters": [1]}, r"expected an object, or null, for rope_parameters; got \[1\]"),
        ({"rope_parameters": {"rope_theta": "x"}}, "expected rope_theta above 0, finite; got 'x'"),
        ({"num_key_value_heads": 3}, "LlamaConfig: expected n_embd divisible by 2 n_head, and n_head by n_kv_head"),
        ({"num_key_value_heads": 4}, "self_attn.k_proj.weight: expected"),
        ({"num_hidden_layers": 10**6}, "expected weights of n_layer 1000000; got n_layer 3"),
        ({"intermediate_size": 32}, "expected weights of n_hidden 32; got n_hidden 24"),
        ({"vocab_size": 32}, "expected weights of vocab_size 32; got vocab_size 19"),
        ({"model_type": "mistral"}, "expected a model of type gpt2 or llama; got one of type 'mistral' in"),
    ],
)  # fmt: skip
def test_a_setting_of_a_llamas_that_we_have_not_is_refused_in_one_line(tmp_path, settings, message):
    their_llama().save_pretrained(tmp_path)
    changed(tmp_path, **settings)
    with pytest.raises(ValueError, match=message) as caught:
        from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_llamas_weights_alone_do_not_say_what_it_is(tmp_path):
    their_llama().save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(
        ValueError, match="expected a config.json beside the weights of a Llama, which do not say n_he"
    ):
        from_pretrained(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_a_llama_of_each_precision_is_read(tmp_path, dtype):
    their_llama(dtype).save_pretrained(tmp_path)
    ours, kind = Llama.from_pretrained(tmp_path), torch.float64 if dtype == torch.float64 else torch.float32
    assert_same(
        ours, LlamaForCausalLM.from_pretrained(tmp_path, dtype=kind), 1e-5
    )  # its frequencies not of 16 bits
    assert {p.dtype for p in ours.parameters()} == {np.dtype("f8" if dtype == torch.float64 else "f4")}


def test_a_llama_that_is_loaded_draws_nothing(tmp_path, monkeypatch):
    their_llama().save_pretrained(tmp_path)
    for name in ("normal", "uniform"):
        monkeypatch.setattr(Generator, name, None)
    assert Llama.from_pretrained(tmp_path).num_parameters() > 1000


# ---- written ----


FORMS = [
    {}, {"bias": False}, {"tied": False}, {"activation": "relu"}, {"norm_eps": 0.1}, {"n_head": 4}, {"dropout": 0.3},
    {"bias": False, "tied": False, "init_std": 0.3},
]  # fmt: skip


def as_nanogpts_loader_reads_it(path, config):
    """nanoGPT's steps: the names of transformers' state, without masks, the four kinds of Conv1D transposed."""
    state = GPT2LMHeadModel.from_pretrained(path).state_dict()
    names = [name for name in state if not name.endswith((".attn.masked_bias", ".attn.bias"))]
    twin = Twin(replace(config, bias=True))
    own = {f"transformer.{name}": t for name, t in twin.state_dict().items() if name != "lm_head.weight"}
    assert len(names) == len({**own, "lm_head.weight": None})
    transposed = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
    for name in names:
        if name != "lm_head.weight":
            value = state[name].t() if name.endswith(transposed) else state[name]
            assert value.shape == own[name].shape
            own[name].copy_(value)
    return twin.eval()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_is_written_is_the_same_model_in_transformers_in_nanogpts_loader_and_here(tmp_path, form, dtype):
    model, _ = nano(**{"activation": "gelu_new", **form})
    model.to(dtype).eval().save_pretrained(tmp_path / "a" / "b")
    again, tolerance = GPT.from_pretrained(tmp_path / "a" / "b"), 1e-10 if dtype == np.float64 else 1e-5
    assert again.config == replace(model.config, bias=True)
    assert_allclose(logits_of(again), logits_of(model), rtol=tolerance, atol=tolerance)
    hf = AutoModelForCausalLM.from_pretrained(tmp_path / "a" / "b")
    assert type(hf) is GPT2LMHeadModel and hf.dtype == (
        torch.float64 if dtype == np.float64 else torch.float32
    )
    assert hf.config.attn_pdrop == hf.config.resid_pdrop == hf.config.embd_pdrop == model.config.dropout
    assert_same(model, hf, tolerance)
    if model.config.tied:
        twin = as_nanogpts_loader_reads_it(tmp_path / "a" / "b", model.config)
        with torch.no_grad():
            wanted = twin(torch.from_numpy(IDS))[0].numpy()
        assert_allclose(logits_of(model), wanted, rtol=1e-5, atol=1e-5)


def test_what_transformers_wrote_is_written_again_number_for_number(saved, tmp_path):
    _, path = saved
    GPT.from_pretrained(path).save_pretrained(tmp_path / "ours")
    before, after = (read_safetensors(p / "model.safetensors") for p in (path, tmp_path / "ours"))
    assert before.keys() == after.keys()
    for name, array in before.items():
        assert_array_equal(array, after[name], err_msg=name)
    ends = [GPT2Config.from_pretrained(p).eos_token_id for p in (path, tmp_path / "ours")]
    assert ends == [None, None]
    assert gpt2.write_config(GPTConfig.preset("gpt2"))["eos_token_id"] == 50256


def test_what_a_lora_has_learnt_is_in_the_weights_that_are_written(saved, tmp_path):
    model = GPT.from_pretrained(saved[1])
    before = logits_of(model)
    lora.add(model, 2, rng=Generator(0))
    for p in lora.parameters(model):
        p.array[...] = np.random.default_rng(0).standard_normal(p.shape)
    wanted = logits_of(model)
    model.save_pretrained(tmp_path / "tuned")
    assert abs(wanted - before).max() > 0.1
    assert_same(model, GPT2LMHeadModel.from_pretrained(tmp_path / "tuned"))
    assert_array_equal(logits_of(model), wanted)


def test_weights_whose_sum_overflows_are_finite_all_the_same(tmp_path):
    model = theirs(torch.float32)
    with torch.no_grad():
        model.transformer.wpe.weight[:] = 3e38
    model.save_pretrained(tmp_path)
    assert (GPT.from_pretrained(tmp_path).wpe.weight.array == np.float32(3e38)).all()


class Interrupted(BaseException):
    """Ctrl-C, say."""


@pytest.mark.parametrize("same", [True, False])
def test_whatever_interrupts_the_writing_the_folder_stays_whole(saved, monkeypatch, same):
    model, path = saved
    (path / "tokenizer.json").write_text("{}")
    whole = {file.name: file.read_bytes() for file in path.iterdir()}
    new = GPT.from_pretrained(path, **({} if same else {"norm_eps": 0.1}))
    new.wte.weight.array[...] = 0.0
    if same:  # as we write it, so that only the weights change
        GPT.from_pretrained(path).save_pretrained(path)
        whole = {file.name: file.read_bytes() for file in path.iterdir()}
    calls = [
        (os, "replace"),
        (os, "fsync"),
        (folder, "_replace"),
        (Path, "write_text"),
        (safetensors.numpy, "save_file"),
    ]
    stopped = 0
    for owner, name in calls:
        for kind in (OSError(28, "No space left on device"), Interrupted()):
            for at in range(6):
                found, count = getattr(owner, name), itertools.count()

                def stop(*args, at=at, kind=kind, found=found, count=count, **options):
                    if next(count) == at:
                        raise kind
                    return found(*args, **options)

                with monkeypatch.context() as patch:
                    patch.setattr(owner, name, stop)
                    try:
                        new.save_pretrained(path)
                    except (OSError, Interrupted) as error:
                        stopped += 1
                        expected = f"save_pretrained: expected a folder to write to; got {path} (No space left on device)"
                        assert isinstance(error, Interrupted) or str(error) == expected
                    else:  # it came to its end before
                        assert not GPT.from_pretrained(path).wte.weight.array.any()
                        for file, contents in whole.items():
                            (path / file).write_bytes(contents)
                        break
                assert {file.name: file.read_bytes() for file in path.iterdir()} == whole
    assert stopped == (12 if same else 18)


def files(path):
    return {
        file.name: file.read_bytes() for file in path.iterdir() if file.is_file() and file.name != ".lock"
    }


@pytest.mark.parametrize("words", [{}, {"tokenizer.json": "new", "generation_config.json": "new"}], ids=len)
def test_a_folder_whose_writer_is_killed_is_the_old_one_the_new_one_or_refused(
    saved, tmp_path, monkeypatch, words
):
    """What lies there at each renaming, and so whatever process is killed at it, is opened, and then written to."""
    path, found, states = saved[1], os.replace, []
    model = GPT.from_pretrained(path, norm_eps=0.1)
    model.wte.weight.array[...] = 0.0
    overruling = {"chat_template.jinja", "special_tokens_map.json", "merges.txt", "generation_config.json"}
    for name in ("notes.txt", "tokenizer.json", *overruling):
        (path / name).write_text("old")

    def replace_(*names):
        states.append(shutil.copytree(path, tmp_path / "states" / str(len(states))))
        return found(*names)

    old = files(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_)
        save_pretrained(model, path, words)
    new, refused = files(path), 0
    kept = {name: contents for name, contents in old.items() if not words or name not in overruling}
    assert new == kept | new and new.keys() == kept.keys() | words.keys()
    assert all(new[name] == contents.encode() for name, contents in words.items())
    for state in states:
        now = files(state)
        if "config.json" not in now:
            refused += 1
            said = rf"got {state}, where a save was broken off; save it again; the files before are in (\S+), called"
            for place in (state, state / "model.safetensors"):
                with pytest.raises(ValueError, match=said) as caught:
                    from_pretrained(place)
            aside = Path(re.search(said, str(caught.value))[1])
            before = {each.name[:-7]: each.read_bytes() for each in aside.glob("*.before")}
            assert {**now, **before} == {**now, **old}
        else:
            assert now == old
        assert [each.name[:-8] for each in state.iterdir() if each.is_dir()] == [folder.UNFINISHED]
        save_pretrained(model, state, words)
        assert files(state) == new and not any(each.is_dir() for each in state.iterdir())
    assert refused == len(states) - 1 >= 3


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
@pytest.mark.parametrize("change", [{}, {"norm_eps": 0.1}], ids=["weights alone", "settings too"])
@pytest.mark.parametrize("broken_off", [False, True])
def test_another_models_file_is_never_written_through_a_link(
    saved, tmp_path, monkeypatch, link, change, broken_off
):
    """Nor when the save fails, and the links are put back."""
    path, other, found = tmp_path / "links", tmp_path / "other", os.replace
    save_pretrained(
        GPT.from_pretrained(saved[1]), other
    )  # the settings are then the same, and left as they are
    path.mkdir()
    for name in files(other):
        link(other / name, path / name)
    before, model = files(other), GPT.from_pretrained(path, **change)
    model.wte.weight.array[...] = 0.0
    if broken_off:

        def replace_(source, target):
            if Path(target) == path / "model.safetensors" and not str(source).endswith(".before"):
                raise OSError("full")
            return found(source, target)

        monkeypatch.setattr(os, "replace", replace_)
        with pytest.raises(OSError, match="full"):
            save_pretrained(model, path)
        assert files(path) == before and (path / "model.safetensors").samefile(other / "model.safetensors")
    else:
        save_pretrained(model, path)
        assert not GPT.from_pretrained(path).wte.weight.array.any()
        assert not (path / "model.safetensors").is_symlink()
        assert not (path / "model.safetensors").samefile(other / "model.safetensors")
    assert files(other) == before


def test_a_place_that_cannot_be_written_to_is_named_in_one_line(saved, tmp_path):
    ours = GPT.from_pretrained(saved[1])
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            OSError, match=r"save_pretrained: expected a folder to write to; got .*file.* \((File|Not a)"
        ) as caught:
            ours.save_pretrained(place)
        assert "\n" not in str(caught.value)


def test_files_that_are_written_may_be_read_by_those_whom_the_umask_lets(saved, tmp_path):
    before = os.umask(0o027)
    try:
        GPT.from_pretrained(saved[1]).save_pretrained(tmp_path / "ours")
    finally:
        os.umask(before)
    assert {oct(file.stat().st_mode & 0o777) for file in (tmp_path / "ours").iterdir()} == {"0o640"}


# ---- damaged files ----


def file_of(header, data=b"", length=None):
    """The bytes of a .safetensors file of this header, a text or what JSON can say."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode("utf-8", "surrogatepass")
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def part(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


DATA = np.arange(4, dtype=np.float32).tobytes()
TWO = {"a": part(), "b": part(offsets=(8, 16))}
CRAFTED = {
    "whole": file_of(TWO, DATA),
    "whole, in another order": file_of({"b": part(offsets=(8, 16)), "a": part()}, DATA),
    "negative offsets": file_of({"a": part(offsets=(-8, 0))}, DATA[:8]),
    "before the data": file_of({"a": part(offsets=(-8, 0)), "b": part()}, DATA[:8]),
    "offsets the wrong way round": file_of({"a": part(offsets=(8, 0))}, DATA[:8]),
    "an overlap": file_of({"a": part(), "b": part(offsets=(4, 12))}, DATA[:12]),
    "the same place twice": file_of({"a": part(), "b": part()}, DATA[:8]),
    "a hole": file_of({"a": part(), "b": part(offsets=(12, 20))}, DATA + DATA[:4]),
    "a hole at the start": file_of({"a": part(offsets=(8, 16))}, DATA),
    "bytes behind": file_of(TWO, DATA + b"\0"),
    "bytes missing": file_of(TWO, DATA[:-1]),
    "a name twice": file_of(f'{{"a":{json.dumps(part())},"a":{json.dumps(part(offsets=(8, 16)))}}}', DATA),
    "the same twice": file_of(f'{{"a":{json.dumps(part())},"a":{json.dumps(part())}}}', DATA[:8]),
    "more numbers than bytes": file_of({"a": part(shape=(3,))}, DATA[:8]),
    "fewer numbers than bytes": file_of({"a": part(shape=(1,))}, DATA[:8]),
    "a negative size": file_of({"a": part(shape=(-2,))}, DATA[:8]),
    "two negative sizes": file_of({"a": part(shape=(-1, -2))}, DATA[:8]),
    "a size that overflows": file_of({"a": part(shape=(2**62, 4, 2))}, DATA[:8]),
    "a size beyond 64 bits": file_of({"a": part(shape=(2**70,))}, DATA[:8]),
    "a size that wraps to 8 bytes": file_of({"a": part(shape=(2**63 + 1, 2))}, DATA[:8]),
    "an offset beyond 64 bits": file_of({"a": part(offsets=(0, 2**64 + 8))}, DATA[:8]),
    "a size with a fraction": file_of({"a": part(shape=(2.0,))}, DATA[:8]),
    "a size that is true": file_of({"a": part(dtype="F64", shape=(True,))}, DATA[:8]),
    "no size": file_of({"a": part(dtype="F64", shape=())}, DATA[:8]),
    "sizes of 0": file_of({"a": part(shape=(0, 2**60), offsets=(0, 0))}),
    "one offset": file_of({"a": part(offsets=(0,))}, DATA[:8]),
    "three offsets": file_of({"a": part(offsets=(0, 8, 8))}, DATA[:8]),
    "an unknown dtype": file_of({"a": part(dtype="F31")}, DATA[:8]),
    "a dtype in small letters": file_of({"a": part(dtype="f32")}, DATA[:8]),
    "a dtype that is a number": file_of({"a": part(dtype=32)}, DATA[:8]),
    "no dtype": file_of({"a": {"shape": [2], "data_offsets": [0, 8]}}, DATA[:8]),
    "no shape": file_of({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, DATA[:8]),
    "no offsets": file_of({"a": {"dtype": "F32", "shape": [2]}}, DATA[:8]),
    "more than is known": file_of({"a": part(extra=1)}, DATA[:8]),
    "a number for an array": file_of({"a": 3}, DATA[:8]),
    "a list": file_of([part()], DATA[:8]), "a number": file_of("3"), "nothing": file_of("{}"), "no header": b"\0" * 8,
    "metadata alone": file_of({"__metadata__": {"a": "b"}}), "metadata of numbers": file_of({"__metadata__": {"a": 1}}),
    "metadata that is an array": file_of({"__metadata__": part()}, DATA[:8]),
    "no JSON": file_of('{"a": ', DATA), "deep": file_of("[" * 10**5), "spaces before": file_of(" " + json.dumps(TWO), DATA),
    "zeros behind the header": file_of(json.dumps(TWO) + "\0\0\0", DATA), "no Unicode": file_of('{"\ud800": 3}'),
    "a longer header than file": file_of(TWO, DATA, 10**6), "the longest header": file_of(TWO, DATA, 2**64 - 1),
    "a header beyond the limit": file_of(TWO, DATA, 10**8 + 1), "a shorter header": file_of(TWO, DATA, 20),
    "a header of length 0": file_of("", DATA), "empty": b"", "short": b"\x01\0\0", "zeros": bytes(100),
    "4 bits": file_of({"a": part(dtype="F4", shape=(16,))}, DATA[:8]), "8 bits": file_of({"a": part(dtype="F8_E4M3", shape=(8,))}, DATA[:8]),
    "complex": file_of({"a": part(dtype="C64", shape=(1,))}, DATA[:8]),
    "bfloat16 behind others": file_of({"a": part(), "b": part("BF16", (4,), (8, 16))}, DATA),
    "bfloat16 behind others, too long": file_of({"a": part(), "b": part("BF16", (5,), (8, 16))}, DATA),
}  # fmt: skip


def reference(raw):
    """What the package safetensors reads in these bytes, {name: (dtype, shape, bytes)}, or None if it refuses."""
    try:
        found = safetensors.deserialize(raw)
    except safetensors.SafetensorError:
        return None
    return {name: (each["dtype"], tuple(each["shape"]), bytes(each["data"])) for name, each in found}


NUMPYS = {"F64", "F32", "F16", "I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL", "C64"}


def assert_read_as_by_the_reference(raw, path):
    """Refuse, in one line, what the package refuses; else read its very bits. Return whether it was read."""
    path.unlink(missing_ok=True)
    path.write_bytes(raw)
    wanted = reference(raw)
    try:
        found = read_safetensors(path)
    except ValueError as error:
        assert "\n" not in str(error) and str(error).startswith(
            "read_safetensors: expected a whole .safetensors file"
        )
        strange = wanted and {kind for kind, _, _ in wanted.values()} - NUMPYS - {"BF16"}
        assert (
            wanted is None or strange or "array is too big" in str(error)
        )  # NumPy counts elements of axes beside a 0
        return False
    assert wanted is not None and found.keys() == wanted.keys()
    for name, (kind, shape, data) in wanted.items():
        assert found[name].shape == shape, name
        if kind == "BF16":
            assert (found[name].view(np.uint32) >> 16).astype("<u2").tobytes() == data
        elif kind == "F16":
            assert_array_equal(found[name], np.frombuffer(data, "<f2").reshape(shape))
        else:
            assert found[name].tobytes() == data, name
    return True


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused_or_read_as_by_the_reference(name, tmp_path):
    read = assert_read_as_by_the_reference(CRAFTED[name], tmp_path / "x.safetensors")
    allowed = (
        "whole",
        "whole, in another order",
        "no size",
        "sizes of 0",
        "nothing",
        "metadata alone",
        "complex",
    )
    others = ("bfloat16 behind others", "more than is known", "the same twice", "spaces before")
    assert not read or name in (*allowed, *others), "read"
    assert read or name not in allowed


def mutations(raw, header, rng, count):
    """Yield truncations, flips in the header and behind it, and numbers of the header changed to others."""
    for _ in range(count):
        spoilt, kind = bytearray(raw), rng.integers(5)
        if kind == 0:
            yield bytes(spoilt[: rng.integers(len(raw))])
            continue
        if kind in (1, 2):
            for _ in range(1 + rng.integers(3)):
                spoilt[rng.integers(*((0, 8 + header) if kind == 1 else (8 + header, len(raw))))] ^= (
                    1 << rng.integers(8)
                )
            yield bytes(spoilt)
            continue
        text = raw[8 : 8 + header].decode()
        spots = list(re.finditer(r"\d+", text))
        spot = spots[rng.integers(len(spots))]
        other = (
            str(rng.choice([0, 1, -1, 2, 4, 8, 12, 2**31, 2**63 - 1, -(2**63)]))
            if kind == 3
            else rng.choice(["", "1e9", "null", "[]", "0x8"])
        )
        changed = text[: spot.start()] + other + text[spot.end() :]
        yield file_of(changed, raw[8 + header :])


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_refused_or_read_as_by_the_reference(seed, tmp_path):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    arrays = {
        "w": torch.randn(3, 2),
        "h": torch.randn(5).half(),
        "b": torch.randn(4).bfloat16(),
        "i": torch.arange(3),
        "e": torch.zeros(0, 2),
    }
    save_torch(arrays, tmp_path / "whole.safetensors", metadata={"format": "pt"})
    raw = (tmp_path / "whole.safetensors").read_bytes()
    header = int.from_bytes(raw[:8], "little")
    read = [
        assert_read_as_by_the_reference(each, tmp_path / "x.safetensors")
        for each in mutations(raw, header, rng, 250)
    ]
    assert 25 < sum(read) < 125


# ---- what it costs ----


def test_loading_draws_nothing_and_holds_the_weights_once(tmp_path, monkeypatch):
    config = GPTConfig(64, 2000, 4, 4, 256)
    GPT(config, rng=Generator(0, stream="fast")).save_pretrained(tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    monkeypatch.setattr(Generator, "normal", None)
    monkeypatch.setattr(Generator, "uniform", None)
    read_safetensors(tmp_path / "model.safetensors")
    tracemalloc.start()
    try:
        model = GPT.from_pretrained(tmp_path)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size <= sum(p.array.nbytes for p in model.parameters()) + 2**16
    assert held < 1.05 * size and peak < 1.3 * size


# ---- state dicts ----


def as_gpt2(model, prefix="", masks=True):
    """The state of a GPT as GPT-2's files hold it."""
    state = {}
    for name, array in model.state_dict().items():
        linear = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        state[prefix + name] = array.numpy().T.copy() if linear else array.numpy()
    for i in range(model.config.n_layer if masks else 0):
        state[f"{prefix}h.{i}.attn.bias"] = np.tri(12)[None, None]
        state[f"{prefix}h.{i}.attn.masked_bias"] = np.array(-1e4)
    return {**state, "lm_head.weight": model.state_dict()["wte.weight"].numpy()}


@pytest.mark.parametrize("prefix", ["", "transformer."])
@pytest.mark.parametrize("bias", [True, False])
def test_gpt2_weights_load_with_their_names_and_transposes(prefix, bias):
    model, _ = nano(bias, activation="gelu_new")
    drawn = default_generator().get_state()
    loaded = from_state_dict(as_gpt2(model, prefix), n_head=2)
    assert_array_equal(default_generator().get_state(), drawn)
    assert loaded.config == model.config
    assert_array_equal(logits_of(loaded), logits_of(model))


@pytest.mark.parametrize("prefix", ["", "transformer.", "_orig_mod.transformer.", "module.transformer."])
def test_nanogpt_weights_load_from_torch_tensors_of_each_precision(prefix):
    _, twin = nano()
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        rounded = {name: tensor.to(dtype) for name, tensor in twin.state_dict().items()}
        state = {prefix + name: tensor for name, tensor in rounded.items()}
        state[prefix.replace("transformer.", "") + "lm_head.weight"] = rounded["wte.weight"]
        loaded = from_state_dict(state, n_head=2).state_dict()
        assert loaded.keys() == rounded.keys()
        for name, tensor in rounded.items():
            assert loaded[name].dtype == np.float32
            assert_array_equal(loaded[name], tensor.float().numpy(), err_msg=name)


def test_layers_are_counted_as_numbers_whatever_the_order_of_the_names():
    deep = GPT(GPTConfig(12, 5, n_layer=11, n_head=1, n_embd=2), rng=Generator(0))
    state = as_gpt2(deep)
    loaded = from_state_dict({name: state[name] for name in sorted(state)}, n_head=1)
    assert loaded.config == deep.config
    for name, array in deep.state_dict().items():
        assert_array_equal(loaded.state_dict()[name], array, err_msg=name)


def test_the_heads_of_gpt2s_widths_are_known_and_others_must_be_told():
    wide = GPT(GPTConfig(4, 5, n_layer=1, n_head=12, n_embd=768), rng=Generator(0, stream="fast"))
    assert from_state_dict(as_gpt2(wide)).config == wide.config
    with pytest.raises(ValueError, match="expected n_head for a width that no GPT-2 has; got width 8 alone"):
        from_state_dict(as_gpt2(nano()[0]))


def test_weights_that_are_no_gpt_are_refused():
    state = as_gpt2(nano()[0])
    with pytest.raises(ValueError, match="expected the weights of a GPT; got no matrix named wpe.weight"):
        from_state_dict({n: a for n, a in state.items() if n != "wpe.weight"}, n_head=2)
    for call in (partial(from_state_dict, []), partial(from_state_dict, {1: 2}), partial(save_pretrained, None, "x"),
                 partial(nano()[0].save_pretrained, None), partial(gguf.load, None)):  # fmt: skip
        with pytest.raises(TypeError, match="^[^\n]*: expected [^\n]*$"):
            call()
    for memory in (np.array([1, 2]), np.zeros((2, 2)), "large"):
        with pytest.raises(ValueError, match="^[^\n]*: expected [^\n]*memory[^\n]*$"):
            from_pretrained("nope", memory=memory)
    for none in ({}, {"weight": np.zeros((2, 2))}):
        with pytest.raises(
            ValueError, match="expected a model of type gpt2.*; got arrays of neither in the state"
        ):
            from_state_dict(none)
    with pytest.raises(ValueError, match=r"missing h\.1\.ln_1\.bias"):
        from_state_dict({n: a for n, a in state.items() if n != "h.1.ln_1.bias"}, n_head=2)


def test_the_arrays_of_a_state_are_not_those_of_the_model():
    model, _ = nano()
    state = {name: t.numpy().copy() for name, t in model.state_dict().items()}
    loaded = from_state_dict(state, n_head=2)
    for p in loaded.parameters():
        p.array[...] = 0.0
    assert all((state[name] == t.numpy()).all() for name, t in model.state_dict().items())


def test_without_safetensors_the_line_says_what_to_install(saved, tmp_path, monkeypatch):
    ours = GPT.from_pretrained(saved[1])
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for use in (lambda: from_pretrained(saved[1]), lambda: ours.save_pretrained(tmp_path / "new")):
        with pytest.raises(ModuleNotFoundError, match=r'got none; pip install -e "\.\[models\]"$'):
            use()
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_of_ours_is_read_alone_or_in_its_folder(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("The quick brown fox.\n" * 20)
    settings = TrainConfig(str(tmp_path / "text.txt"), str(tmp_path), max_iters=2, batch_size=2, eval_iters=1)
    run = Run.new(settings, block_size=12, n_layer=1, n_head=2, n_embd=8, norm_eps=0.1, tied=False)
    train(run)
    capsys.readouterr()
    for place in (tmp_path, tmp_path / "checkpoint.npz"):
        ours = GPT.from_pretrained(place)
        assert ours.config == run.model.config
        assert_array_equal(logits_of(ours), logits_of(run.model))
    assert GPT.from_pretrained(tmp_path, dropout=0.3).config == replace(run.model.config, dropout=0.3)
    ours.save_pretrained(tmp_path / "theirs")
    wanted = logits_of(AutoModelForCausalLM.from_pretrained(tmp_path / "theirs"))
    assert_allclose(logits_of(ours), wanted, rtol=1e-5, atol=1e-5 * abs(wanted).max())
