"""Training that starts from another model, with LoRA too; samples on the way; what is exported is what was learnt."""

import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal

from gpt import checkpoint
from gpt.__main__ import main
from gpt.commands import train as train_command
from gpt.config import GPTConfig, LlamaConfig, TrainConfig
from gpt.data import Text
from gpt.language_model import LanguageModel
from gpt.llama import Llama
from gpt.model import GPT
from gpt.pretrained import from_pretrained, save_pretrained
from gpt.pretrained.anywhere import open_model
from gpt.progress import shown
from gpt.run import Run
from gpt.tokens import BPE, Bytes, Characters, load
from minigrad.random import Generator
from nn import lora

SIZES = {"block_size": 32, "vocab_size": 256, "n_layer": 2, "n_embd": 16}
MODELS = {
    "GPT": lambda: GPT(GPTConfig(n_head=2, **SIZES), rng=Generator(3)),
    "Llama": lambda: Llama(LlamaConfig(n_head=4, n_kv_head=2, n_hidden=40, **SIZES), rng=Generator(3)),
}
FLAGS = "--data text.txt --batch_size 2 --eval_iters 1 --max_iters 6 --warmup_iters 1 --seed 5".split()


@pytest.fixture(autouse=True, params=MODELS)
def here(request, tmp_path, monkeypatch):
    """A working folder with text.txt and the folder of a model of each kind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 40)
    save_pretrained(MODELS[request.param](), "model")
    Bytes().save("model/tokenizer.json")
    return tmp_path


def trained(capsys, *flags):
    assert main(["train", *FLAGS, *flags]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def weights(path):
    return checkpoint.load(path)[1]["model"]


def test_training_starts_from_the_weights_and_the_tokeniser_of_the_model(capsys):
    trained(capsys, "--init_from", "model", "--learning_rate", "1e-12", "--weight_decay", "0")
    before = from_pretrained("model").state_dict()
    after = weights("out/checkpoint.npz")
    for name, array in before.items():
        assert_allclose(after[name], array.numpy(), atol=1e-9, err_msg=name)
    model, tokenizer = checkpoint.build_model(*checkpoint.load("out/checkpoint.npz"))
    assert model.config == from_pretrained("model").config and tokenizer == Bytes()


def test_it_may_read_fewer_tokens_and_nothing_else_of_it_can_be_chosen(capsys):
    trained(capsys, "--init_from", "model", "--block_size", "7", "--learning_rate", "1e-12")
    info, _ = checkpoint.load("out/checkpoint.npz")
    assert (info["block_size"], info["model"]["block_size"]) == (7, 7 if info["kind"] == "GPT" else 32)
    before = from_pretrained("model").state_dict()
    for name, array in weights("out/checkpoint.npz").items():
        assert_allclose(array, before[name].numpy()[: 7 if name == "wpe.weight" else None], atol=1e-9)
    for flags, said in (
        (["--block_size", "33"], "--block_size: expected 1 to 32, the model's; got 33"),
        (["--block_size", "0"], "--block_size: expected 1 to 32, the model's; got 0"),
        (["--n_layer", "3"], "--init_from: expected no --n_layer"),
        (["--tokenizer", "bytes"], "--init_from: expected no --tokenizer"),
        (["--lora", "-1"], "expected lora to be a whole number of 0 or more; got -1"),
    ):
        assert main(["train", *FLAGS, "--out", "other", "--init_from", "model", *flags]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--init_from", "model"], ["--init_from", "model", "--lora", "2"]])
def test_a_run_that_was_interrupted_goes_on_bit_for_bit(capsys, flags):
    trained(capsys, *flags, "--out", "whole")
    trained(capsys, *flags, "--out", "parts", "--max_iters", "3", "--lr_decay_iters", "6")
    assert main(["train", "--resume", "--out", "parts", "--max_iters", "6"]) == 0
    whole, parts = weights("whole/checkpoint.npz"), weights("parts/checkpoint.npz")
    assert whole.keys() == parts.keys() and any("lora_A" in name for name in whole) == ("--lora" in flags)
    for name, array in whole.items():
        assert_array_equal(parts[name], array, err_msg=name)
    capsys.readouterr()
    assert main(["train", "--resume", "--out", "parts", "--lora", "5"]) == 2
    assert "resume: expected lora as before" in capsys.readouterr().err


def test_with_lora_only_the_updates_learn(capsys):
    trained(capsys, "--init_from", "model", "--lora", "2")
    before, after = from_pretrained("model").state_dict(), weights("out/checkpoint.npz")
    learnt = [name for name in after if "lora_" in name]
    for name, array in after.items():
        if name not in learnt:
            assert_array_equal(array, before[name.replace(".base", "")].numpy(), err_msg=name)
    linear = [name for name in before if before[name].ndim == 2 and name.startswith(("h.", "layers."))]
    assert len(learnt) == 2 * len(linear) and all(np.abs(after[name]).max() > 0 for name in learnt)


@pytest.mark.parametrize("flags", [[], ["--lora", "2"]])
def test_what_is_exported_is_what_was_learnt(capsys, flags):
    trained(capsys, "--init_from", "model", "--learning_rate", "0.05", *flags)
    assert main(["export", "--to", "there"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("to sample   python -m gpt sample --init_from there\n")
    assert "--checkpoint: expected checkpoint.npz; got there; pass --init_from there" in (
        main(["sample", "--checkpoint", "there"]) == 2 and capsys.readouterr().err
    )
    assert "parameters and the tokeniser: there" in printed and "no tokeniser of bytes" in printed
    model, _ = checkpoint.build_model(*checkpoint.load("out/checkpoint.npz"))
    ids = np.arange(20)[None]
    found, _ = from_pretrained("there")(ids, ids)
    wanted, _ = model.eval()(ids, ids)
    assert_allclose(found.array, wanted.array, atol=1e-5)
    assert np.abs(found.array - from_pretrained("model")(ids, ids)[0].array).max() > 0.01
    assert load("there") == Bytes()


def test_lora_says_how_many_numbers_learn(capsys):
    shown = trained(capsys, "--init_from", "model", "--lora", "2")
    model, _ = checkpoint.build_model(*checkpoint.load("out/checkpoint.npz"))
    sizes = {name: array.size for name, array in weights("out/checkpoint.npz").items()}
    learn = sum(size for name, size in sizes.items() if "lora_" in name)
    said = (
        f"{type(model).__name__} with {model.num_parameters(False):,} parameters, of which {learn:,} learn: "
    )
    assert shown.splitlines()[1].startswith(said) and 0 < learn < model.num_parameters(False) / 2
    assert "learn:" not in trained(capsys, "--init_from", "model", "--out", "all").splitlines()[1]


@pytest.mark.parametrize("left", ["config.json", "model.safetensors", "model.safetensors.index.json"])
def test_no_run_begins_in_the_folder_of_a_model(capsys, left):
    for path in Path("model").iterdir():
        path.rename(path.with_name(left)) if path.name == "config.json" else path.unlink()
    assert main(["train", *FLAGS, "--out", "model"]) == 2
    said = capsys.readouterr().err
    assert f"--out: expected another folder than a model's, {left}; got model; --init_from would no" in said
    assert said.count("\n") == 1 and [path.name for path in Path("model").iterdir()] == [left]


def test_a_folder_with_a_run_and_a_model_is_asked_which_is_meant(capsys):
    trained(capsys, "--init_from", "model", "--learning_rate", "0.05")
    run, model = (from_pretrained(name).state_dict() for name in ("out", "model"))
    save_pretrained(from_pretrained("model"), "out")  # in Python, nobody forbids it
    for open_it in (from_pretrained, open_model):
        said = "model: expected a folder of one model; got out, with checkpoint.npz and config.json; name the file "
        with pytest.raises(ValueError, match=said):
            open_it("out")
    for name, state in (("checkpoint.npz", run), ("model.safetensors", model)):
        for key, value in from_pretrained(f"out/{name}").state_dict().items():
            assert_array_equal(value.numpy(), state[key].numpy())


def test_a_llama_that_learnt_from_short_rows_still_reads_as_much_as_before(capsys):
    """A GPT's positions are cropped, and that is then its context, here and in transformers."""
    trained(capsys, "--init_from", "model", "--block_size", "7", "--learning_rate", "0.05")
    assert main(["export", "--to", "there"]) == 0
    model, _ = checkpoint.build_model(*checkpoint.load("out/checkpoint.npz"))
    found, theirs = from_pretrained("there"), transformers.AutoModelForCausalLM.from_pretrained("there")
    context = 7 if isinstance(found, GPT) else 32
    assert {found.config.block_size, theirs.config.max_position_embeddings} == {context}
    ids = np.arange(context)[None]
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(ids)).logits.numpy()
    assert_allclose(model.eval()(ids, ids)[0].array, wanted, atol=1e-5)
    before = from_pretrained("model")(ids, ids)[0].array
    assert np.abs(before - wanted)[:, -1].max() > 0.01
    with pytest.raises(ValueError, match="block_size"):
        model(np.arange(context + 1)[None])
    read, forward = [], type(model).forward

    def noted(self, idx, *others):
        read.append(others[1][0]["length"] if others[1:] and others[1] else 0)
        return forward(self, idx, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "forward", noted)
        assert main(["sample", "--max_new_tokens", "20", "--prompt", "The"]) == 0
        assert max(read) == (6 if context == 7 else 21)  # tokens that were kept: one window, or all
        assert main(["eval"]) == 0
    assert "val loss" in capsys.readouterr().out
    trained(capsys, "--init_from", "out", "--block_size", str(context), "--out", "again")
    assert checkpoint.load("again/checkpoint.npz")[0]["block_size"] == context


@pytest.mark.parametrize("rows", [0, -1, 33, "7", 7.0, None, True])
def test_rows_that_the_model_cannot_read_are_a_damaged_checkpoint(capsys, rows):
    trained(capsys, "--init_from", "model", "--max_iters", "1")
    info, arrays = checkpoint.load("out/checkpoint.npz")
    checkpoint.save("out/checkpoint.npz", info | {"block_size": rows}, arrays)
    for command in (["eval"], ["sample"], ["train", "--resume", "--max_iters", "2"]):
        assert main(command) == 2
        assert "checkpoint: expected a block_size in 1..32; got" in capsys.readouterr().err


def test_a_checkpoint_from_before_says_it_by_its_model(capsys):
    trained(capsys, "--init_from", "model", "--max_iters", "3", "--lr_decay_iters", "6", "--out", "old")
    info, arrays = checkpoint.load("old/checkpoint.npz")
    del info["block_size"]
    checkpoint.save("old/checkpoint.npz", info, arrays)
    assert Run.resume("old").block_size == 32


def test_a_very_large_model_is_evaluated_on_fewer_batches(capsys, monkeypatch):
    config = TrainConfig("text.txt", init_from="model")
    small = replace(config, init_from="", tokenizer="bytes", out="other")
    assert Run.new(small, n_layer=1, n_head=1, n_embd=2, block_size=50).block_size == 50
    assert Run.new(config).eval_iters == 20
    monkeypatch.setattr("gpt.run.LARGE", 100)
    assert Run.new(config).eval_iters == 4
    assert Run.new(replace(config, eval_iters=7)).eval_iters == 7


@pytest.mark.parametrize("words", ["gpt-2", "smollm", "llama-bpe", "qwen2"])
def test_transformers_read_an_exported_tokeniser_and_its_ends_as_they_are(capsys, words):
    """Not by the kind of the model, whose own tokeniser may have other words: those of GPT2Tokenizer, say."""
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    vocabulary, special = [*sorted(letters), "12", "\u0120a"], ["<|end|>", "<|user|>", "<|turn|>"]
    names = {"eos_token": "<|end|>", "bos_token": "<|user|>"}
    ours = BPE.from_parts(
        [*vocabulary, *special], ["1 2", "\u0120 a"], special, words=words, names=names, ends=[260],
        chat_template="{{ bos_token }}{{ messages[0].content }}",
    )  # fmt: skip
    model = from_pretrained("model")
    sizes = {"n_layer": 1, "n_embd": 16, "vocab_size": ours.n_vocab, "block_size": 40}
    model = type(model)(replace(model.config, **sizes), rng=Generator(0))
    save_pretrained(model, "small")
    Path("small/tokenizer.json").write_text(ours.to_json())
    Path("there/additional_chat_templates").mkdir(
        parents=True
    )  # of another tokeniser, which was there before
    for name in (
        "chat_template.jinja",
        "added_tokens.json",
        "special_tokens_map.json",
        "vocab.json",
        "notes.json",
    ):
        Path("there", name).write_text('{"eos_token": "<|user|>"}')
    assert main(["export", "--init_from", "small", "--to", "there"]) == 0
    written = {"config", "model", "generation_config", "tokenizer", "tokenizer_config"}
    assert {path.stem for path in Path("there").iterdir()} == written | {"notes"}
    theirs, text = (
        transformers.AutoTokenizer.from_pretrained("there"),
        "a 12 123\n a'LL x\n\n é e\u0301<|turn|>",
    )
    assert theirs.encode(text) == ours.encode(text, special=True).tolist()
    talk = [{"role": "user", "content": "a 12"}]
    assert theirs.apply_chat_template(talk)["input_ids"] == ours.chat(talk).tolist()
    generation = transformers.AutoModelForCausalLM.from_pretrained("there").generation_config
    assert (generation.eos_token_id, generation.bos_token_id) == ([258, 260], 259)
    again = load("there")
    assert (again.ends, again.eos, again.names) == (
        (258, 260),
        258,
        names,
    ) and again.definition == ours.definition


def test_nothing_is_exported_into_the_folder_of_a_run(capsys):
    trained(capsys, "--init_from", "model")
    assert main(["export", "--to", "out"]) == 2
    said = capsys.readouterr().err
    assert "--to: expected another folder than that of a run of training; got out; --init_from" in said
    assert said.count("\n") == 1 and not Path("out/config.json").exists()


def test_samples_come_on_the_way_and_change_nothing_that_is_learnt(capsys):
    shown = trained(capsys, "--sample_interval", "2", "--out", "some", "--tokenizer", "bytes")
    assert [line for line in shown.splitlines() if line.startswith("it writes")] == [
        "it writes, before training:",
        "it writes, after step 2:",
        "it writes, after step 4:",
        "it writes, after training:",
    ]
    quiet = trained(capsys, "--sample_interval", "0", "--out", "none", "--tokenizer", "bytes")
    assert "it writes" not in quiet and "sample ..." not in (asked := capsys.readouterr().err)
    assert "measuring the loss" not in asked  # all of it was read by `trained`
    ends = trained(capsys, "--sample_interval", "6", "--out", "ends", "--tokenizer", "bytes")
    assert [line for line in ends.splitlines() if line.startswith("it writes")] == [
        "it writes, before training:",
        "it writes, after training:",
    ]
    for name, array in weights("some/checkpoint.npz").items():
        assert_array_equal(array, weights("none/checkpoint.npz")[name])
    assert Run.resume("some").config.sample_interval == 2


@pytest.mark.parametrize("watched", [True, False], ids=["a terminal", "a log"])
def test_what_is_being_done_is_said_before_it_is_done(capsys, monkeypatch, watched):
    monkeypatch.setattr("sys.stderr.isatty", lambda: watched)
    load, before = Text.load, []
    monkeypatch.setattr(Text, "load", lambda path: (before.append(capsys.readouterr().err), load(path))[1])
    assert main(["train", *FLAGS]) == 0
    shown = capsys.readouterr().err
    assert before == ["reading the text, making the model ...\n"]
    said = ("writing a first sample", "writing a last sample", "measuring the loss")
    lines = [line for line in shown.splitlines() if line.endswith(" ...")]
    assert [any(line.startswith(what) for line in lines) for what in said] == [True] * 3
    places = [shown.index(what) for what in said]
    assert places == sorted(places)
    assert main(["eval"]) == 0
    assert "measuring the loss over 179 characters ...\n" in capsys.readouterr().err
    assert before[1].endswith("loading the model and the text ...\n")


@pytest.mark.parametrize(
    ("watched", "seconds", "wanted"),
    [
        (True, 3, [0, 12, 25, 38, 50, 62, 75, 88, 100]),
        (False, 3, [12, 62]),  # a line after two seconds, then every ten
        (True, 0.01, [0, 12]),
        (False, 0.01, []),
    ],
)
def test_a_long_evaluation_shows_how_far_it_is(capsys, monkeypatch, watched, seconds, wanted):
    now, printed = [100.0], []
    monkeypatch.setattr("sys.stderr.isatty", lambda: watched)
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    for _ in shown(iter([(np.zeros((2, 4)), np.ones((2, 4)))] * 8), 64, "loss, val"):
        printed.append(capsys.readouterr().err)
        now[0] += seconds
    printed.append(capsys.readouterr().err)
    assert [int(n) for n in re.findall(r"loss, val: +(\d+)%", "".join(printed))] == wanted
    assert bool(printed[0]) == watched  # before the first batch is done


def test_while_one_long_batch_is_computed_the_clock_goes_on(capsys, monkeypatch):
    """At a terminal: a window of a large model takes seconds, and nothing is counted meanwhile."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("gpt.progress.CLOCK", 0.001)
    for _ in shown(iter([(np.zeros((2, 4)), np.ones((2, 4)))]), 8, "loss, val"):
        drawn, patience = 0, time.monotonic() + 60
        while drawn < 3 and time.monotonic() < patience:
            drawn += capsys.readouterr().err.count("loss, val:   0%")
        assert drawn >= 3
    assert not [thread for thread in threading.enumerate() if "go_on" in thread.name]


def said(capsys, *arguments):
    assert main([*arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.parametrize("flags", [[], ["--lora", "2"]])
def test_what_was_learnt_is_sampled_and_measured_wherever_it_is_read_from(capsys, flags):
    trained(capsys, "--init_from", "model", "--learning_rate", "0.05", *flags)
    assert main(["export", "--to", "there"]) == 0
    capsys.readouterr()
    sample, measure = ["sample", "--prompt", "The", "--max_new_tokens", "30"], ["eval", "--data", "text.txt"]
    for command in (sample, measure):
        wanted = said(capsys, *command)
        assert said(capsys, *command, "--init_from", "there") == wanted
        assert said(capsys, *command, "--init_from", "out") == wanted
    assert said(capsys, *measure, "--init_from", "model") != wanted


@pytest.mark.parametrize("flags", [[], ["--lora", "3"]])
def test_a_run_that_starts_from_one_with_lora_starts_from_what_that_has_learnt(capsys, flags):
    trained(capsys, "--init_from", "model", "--learning_rate", "0.05", "--lora", "2")
    still = "--learning_rate 1e-12 --weight_decay 0 --out then".split()
    trained(capsys, "--init_from", "out", *still, *flags)
    model, _ = checkpoint.build_model(*checkpoint.load("out/checkpoint.npz"))
    wanted = lora.merged_state(model)
    model, _ = checkpoint.build_model(*checkpoint.load("then/checkpoint.npz"))
    found = lora.merged_state(model)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert_allclose(found[name], array, atol=1e-7, err_msg=name)
    assert main(["train", "--resume", "--out", "then", "--max_iters", "7"]) == 0
    assert all(p.requires_grad for p in model.parameters()) or flags


def test_a_checkpoint_is_read_with_other_settings_of_its_own_kind_alone(capsys):
    trained(capsys, "--init_from", "model")
    kind, name = type(from_pretrained("model")), "checkpoint.npz"
    own, foreign = ("dropout", "n_kv_head") if kind is GPT else ("rope_theta", "dropout")
    changed, ids = from_pretrained(f"out/{name}", **{own: 0.5}), np.arange(20)[None]
    assert type(changed) is kind and getattr(changed.config, own) == 0.5
    plain = from_pretrained("out").train()(ids, ids)[0].array
    assert np.abs(changed.train()(ids, ids)[0].array - plain).max() > 1e-4  # it counts
    with pytest.raises(TypeError, match=f"from_pretrained: expected settings among .*; got {foreign}"):
        from_pretrained("out", **{foreign: 1})
    info, arrays = checkpoint.load(f"out/{name}")
    for wrong in ("BERT", ["GPT"], None):
        with pytest.raises(ValueError, match="checkpoint: expected a model of GPT, Llama; got "):
            checkpoint.build_model({**info, "kind": wrong}, arrays)
        checkpoint.save("foreign.npz", {**info, "kind": wrong}, arrays)
        with pytest.raises(ValueError, match="checkpoint: expected a model of GPT, Llama; got "):
            from_pretrained("foreign.npz", dropout=0.5)


def test_a_large_model_writes_short_samples_and_leaves_the_whole_loss_to_eval(capsys, monkeypatch):
    whole = trained(capsys, "--init_from", "model")
    assert "validation loss over all" in whole and "gpt eval" not in whole
    lengths = []
    run = Run.resume("out")
    with monkeypatch.context() as patch:
        patch.setattr(
            LanguageModel,
            "generate",
            lambda self, ids, length, **_: lengths.append(length) or np.zeros((1, 2), int),
        )
        for limit, block_size in ((run.model.num_parameters(False), 32), (9, 32), (9, 100)):
            patch.setattr("gpt.run.LARGE", limit)
            run.model.config = replace(run.model.config, block_size=block_size)
            run.sample()
    run.close()
    assert lengths == [240, 32, 60]
    monkeypatch.setattr(train_command, "BRIEF", 1e5)
    shown = trained(capsys, "--init_from", "model", "--out", "large")
    assert "validation loss" not in shown and "to measure  python -m gpt eval --checkpoint large/" in shown


@pytest.mark.parametrize(
    "tokenizer",
    [Bytes(), Characters.of("The quick brown fox jumps over the lazy dog."), BPE.train(["the fox"], 260)],
)
def test_a_vocabulary_padded_beyond_the_tokenisers_is_trained_sampled_and_resumed(capsys, tokenizer):
    size = GPTConfig(block_size=32, vocab_size=tokenizer.n_vocab + 40, n_layer=1, n_head=2, n_embd=16)
    model = GPT(size, rng=Generator(3))
    model.wte.weight.array[tokenizer.n_vocab :] *= 50  # what is never drawn is what is likeliest
    save_pretrained(model, "padded")
    tokenizer.save("padded/tokenizer.json")
    trained(capsys, "--init_from", "padded", "--max_iters", "2")
    assert main(["train", "--resume", "--max_iters", "3"]) == 0
    assert main(["sample", "--max_new_tokens", "60", "--temperature", "2"]) == 0, capsys.readouterr().err
    assert main(["sample", "--init_from", "padded", "--temperature", "0", "--max_new_tokens", "9"]) == 0


def test_a_vocabulary_smaller_than_the_tokenisers_is_refused_when_the_model_is_opened(capsys):
    save_pretrained(GPT(GPTConfig(n_head=2, **SIZES), rng=Generator(3)), "small")
    BPE.train(["the fox"], 260).save("small/tokenizer.json")
    said = (
        "the model small: expected a vocabulary of 260 tokens or more, as many as the tokeniser has; got 256"
    )
    for command in (["train", *FLAGS], ["sample"]):
        assert main([*command, "--init_from", "small"]) == 2
        assert said in capsys.readouterr().err
