"""Training that starts from another model, with LoRA too; samples on the way; what is exported is what was learnt."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gpt import checkpoint
from gpt.__main__ import main
from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.pretrained import from_pretrained, save_pretrained
from gpt.run import Run
from gpt.tokens import Bytes, load
from minigrad.parallel import Way
from minigrad.random import Generator
from nn import lora

SMALL = GPTConfig(block_size=32, vocab_size=256, n_layer=2, n_head=2, n_embd=16)
FLAGS = "--data text.txt --batch_size 2 --eval_iters 1 --max_iters 6 --warmup_iters 1 --seed 5".split()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder with text.txt and the folder of a model; one way to use the cores."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gpt.run.ways", lambda cores: [Way(1, 1)])
    (tmp_path / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 40)
    save_pretrained(GPT(SMALL, rng=Generator(3)), "model")
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
    found = weights("out/checkpoint.npz")["wpe.weight"]
    assert_allclose(found, from_pretrained("model").wpe.weight.array[:7], atol=1e-9)
    for flags, said in (
        (["--block_size", "33"], "--block_size: expected 32 at most, the model's; got 33"),
        (["--n_layer", "3"], "--init_from: expected no --n_layer"),
        (["--tokenizer", "bytes"], "--init_from: expected no --tokenizer"),
        (["--lora", "-1"], "expected lora to be a whole number of 0 or more; got -1"),
    ):
        assert main(["train", *FLAGS, "--out", "other", "--init_from", "model", *flags]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags", [["--init_from", "model"], ["--init_from", "model", "--lora", "2"], ["--lora", "3"]]
)
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
    assert len(learnt) == 16 and all(np.abs(after[name]).max() > 0 for name in learnt)


@pytest.mark.parametrize("flags", [[], ["--lora", "2"]])
def test_what_is_exported_is_what_was_learnt(capsys, flags):
    trained(capsys, "--init_from", "model", "--learning_rate", "0.05", *flags)
    assert main(["export", "--to", "there"]) == 0
    assert "parameters and the tokeniser: there" in capsys.readouterr().out
    model, _ = checkpoint.build_model(*checkpoint.load("out/checkpoint.npz"))
    ids = np.arange(20)[None]
    found, _ = from_pretrained("there")(ids, ids)
    wanted, _ = model.eval()(ids, ids)
    assert_allclose(found.array, wanted.array, atol=1e-5)
    assert np.abs(found.array - from_pretrained("model")(ids, ids)[0].array).max() > 0.01
    assert load("there") == Bytes() and lora.GPT[0] == "c_attn"


def test_samples_come_on_the_way_and_change_nothing_that_is_learnt(capsys):
    shown = trained(capsys, "--sample_interval", "2", "--out", "some", "--tokenizer", "bytes")
    assert [line for line in shown.splitlines() if line.startswith("it writes")] == [
        "it writes, before training:",
        "it writes, after step 2:",
        "it writes, after step 4:",
        "it writes, after training:",
    ]
    quiet = trained(capsys, "--sample_interval", "0", "--out", "none", "--tokenizer", "bytes")
    assert quiet.count("it writes") == 2
    for name, array in weights("some/checkpoint.npz").items():
        assert_array_equal(array, weights("none/checkpoint.npz")[name])
    assert Run.resume("some").config.sample_interval == 2


def test_someone_who_watches_sees_what_is_done(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["train", *FLAGS]) == 0
    shown = capsys.readouterr().err
    said = ("reading the text", "timing the ways", "writing a first sample", "writing a last sample")
    places = [shown.index(what) for what in said]
    assert places == sorted(places)
