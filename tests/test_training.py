"""Checkpoints, resuming, and what training reports."""

import itertools
import json
import math
import os
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal

from gpt import checkpoint, tokens
from gpt.config import GPTConfig, TrainConfig
from gpt.data import Corpus
from gpt.folder import prepare_folder
from gpt.model import GPT
from gpt.progress import Progress, save_loss_curve
from gpt.run import Run
from gpt.train import mean_loss, train
from minigrad.parallel import Way
from minigrad.random import Generator, default_generator
from tests.support.by_hand import ByHand
from tests.support.twin import Twin

SIZES = {"block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 16, "dropout": 0.2, "bias": False}
TEXT = "The quick brown fox jumps over the lazy dog.\n" * 8


@pytest.fixture
def settings(tmp_path):
    """Settings of a short run with every feature that has a state."""
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    return {
        "data": str(tmp_path / "text.txt"),
        "out": str(tmp_path / "out"),
        "max_iters": 12,
        "batch_size": 3,
        "gradient_accumulation_steps": 2,
        "warmup_iters": 4,
        "eval_interval": 5,
        "eval_iters": 2,
    }


def contents(out):
    """What a checkpoint holds, as bytes, without the name of its folder."""
    info, arrays = checkpoint.load(Path(out) / "checkpoint.npz")
    del info["training"]["out"]
    return info, {name: (a.dtype, a.tobytes()) for name, a in checkpoint._flatten(arrays).items()}


# ---- each setting ----

EXACT = {
    "block_size": 6, "n_layer": 2, "n_head": 2, "n_embd": 8, "dropout": 0.2, "bias": True, "init_std": 0.3,
    "norm_eps": 1e-5, "activation": "gelu_new", "tied": True,
}  # fmt: skip
SETTINGS = {
    "seed": 7, "max_iters": 6, "batch_size": 3, "gradient_accumulation_steps": 2, "learning_rate": 0.02,
    "min_lr": 0.004, "warmup_iters": 2, "lr_decay_iters": 4, "weight_decay": 0.5, "beta1": 0.6, "beta2": 0.8,
    "grad_clip": 0.3, "eval_interval": 4, "eval_iters": 2, "workers": 1,
}  # fmt: skip
OTHERS = [  # the same with one other value
    ("data", "other.txt"), ("tokenizer", "bytes"), ("out", "elsewhere"), ("seed", 0), ("max_iters", 5), ("batch_size", 2),
    ("gradient_accumulation_steps", 1), ("learning_rate", 0.03), ("min_lr", None), ("min_lr", 0.0),
    ("warmup_iters", 0), ("lr_decay_iters", None), ("lr_decay_iters", 2), ("weight_decay", 0.0), ("beta1", 0.0),
    ("beta2", 0.9), ("grad_clip", 0.0), ("eval_interval", 3), ("eval_iters", 3), ("workers", 2),
    ("block_size", 5), ("n_layer", 1), ("n_head", 4), ("n_embd", 4), ("dropout", 0.0), ("bias", False),
    ("init_std", 0.02), ("norm_eps", 0.01), ("activation", "gelu"), ("activation", "relu"), ("tied", False),
]  # fmt: skip


@pytest.fixture
def exact(tmp_path, monkeypatch):
    """A folder of texts, two cores, models in float64."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("text.txt", TEXT), ("other.txt", TEXT.replace("\n", "!\n"))):
        Path(name).write_text(text, encoding="utf-8")
    for module in ("gpt.start", "gpt.checkpoint"):
        monkeypatch.setattr(f"{module}.GPT", lambda size, rng: GPT(size, rng=rng).double())

    for module in ("gpt.run", "minigrad.parallel.choice"):
        monkeypatch.setattr(f"{module}.cores", lambda: 2)
    monkeypatch.setattr("gpt.run.set_blas_threads", lambda n: True)
    monkeypatch.setattr("gpt.train.save_loss_curve", lambda *_: True)


def trained(config, sizes, stop=None):
    """A run of these settings, as the command line makes it, which stops after some steps."""
    run = Run.new(config, **sizes)
    run.choose_way()
    train(run, lambda: run.step == stop)
    return run


def assert_equal_by_hand(run, hand):
    assert_allclose(run.losses, hand.losses, rtol=1e-9)
    assert_allclose(run.evaluations, hand.evaluations, rtol=1e-9)
    theirs = hand.twin.state_dict()
    for name, array in run.model.state_dict().items():
        assert_allclose(array, theirs[name].numpy(), rtol=1e-8, atol=1e-8, err_msg=name)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """What training by hand gives with the settings as they stand."""
    path = tmp_path_factory.mktemp("unchanged") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return ByHand(TrainConfig(str(path), **SETTINGS), EXACT).train(SETTINGS["max_iters"])


@pytest.mark.parametrize(("name", "value"), OTHERS)
def test_each_setting_arrives_and_changes_what_it_changes_by_hand(exact, unchanged, name, value):
    settings, sizes = {"data": "text.txt", "out": "out", **SETTINGS}, dict(EXACT)
    (sizes if name in sizes else settings)[name] = value
    config = TrainConfig(**settings)
    run = trained(config, sizes)
    hand = ByHand(config, sizes).train(config.max_iters)
    assert_equal_by_hand(run, hand)
    assert run.sample(30) == hand.sample(30)
    run.workers.close()
    if name == "out":
        assert run.checkpoint == Path("elsewhere/checkpoint.npz") and run.checkpoint.exists()
    elif name != "workers":
        assert (hand.losses, hand.evaluations) != (unchanged.losses, unchanged.evaluations)


def test_no_setting_is_left_out():
    every = {f.name for config in (TrainConfig, GPTConfig) for f in fields(config)}
    elsewhere = {
        "log": "test_losses",
        "device": "test_device_flag",
        **dict.fromkeys(("init_from", "lora", "sample_interval"), "test_fine_tuning"),
    }
    assert {name for name, _ in OTHERS} == every - elsewhere.keys() - {"vocab_size"}  # which the text decides


@pytest.mark.parametrize(
    ("cores", "rows", "workers", "said"),
    [
        (2, 3, 0, "cores: one thread (2,048 weights, 18 tokens: work for 1 of 2 cores)"),
        (8, 3, 1, "cores: one thread"),
        (8, 3, 2, "cores: batch split over 2 threads, 1 BLAS thread each"),
        (8, 3, 9, "cores: batch split over 3 threads, 1 BLAS thread each (3 of 9 workers: there are no more cores or rows)"),
        (2, 9, 9, "cores: batch split over 2 threads, 1 BLAS thread each (2 of 9 workers: there are no more cores or rows)"),
    ],
)  # fmt: skip
def test_the_way_to_use_the_cores_is_told_and_why(exact, monkeypatch, cores, rows, workers, said):
    for module in ("gpt.run", "minigrad.parallel.choice"):
        monkeypatch.setattr(f"{module}.cores", lambda: cores)
    run = Run.new(TrainConfig("text.txt", **{**SETTINGS, "batch_size": rows, "workers": workers}), **EXACT)
    assert run.choose_way() == said
    run.close()


def test_without_threadpoolctl_one_thread_works_unless_workers_are_asked_for(exact, monkeypatch):
    monkeypatch.setattr("gpt.run.set_blas_threads", lambda n: False)
    for workers, way, said in (
        (0, Way(1, 0), "as the matrix library sees fit"),
        (1, Way(1, 0), "as the matrix library sees fit"),
        (2, Way(2, 0), "batch split over 2 threads, BLAS threads as the matrix library sees fit"),
    ):
        run = Run.new(TrainConfig("text.txt", **{**SETTINGS, "workers": workers}), **EXACT)
        line = run.choose_way()
        assert said in line and "to choose: OPENBLAS_NUM_THREADS=1 before" in line and run.way == way
        run.close()


# ---- resuming ----


@pytest.mark.parametrize("workers", [1, 2])
def test_a_resumed_run_goes_on_as_by_hand_the_same_way_and_with_other_settings(exact, workers):
    config = TrainConfig("text.txt", "out", **{**SETTINGS, "workers": workers})
    trained(config, EXACT, stop=3).close()
    hand = ByHand(config, EXACT).train(3)
    run, way = Run.resume("out"), Way(workers, 1)
    assert run.choose_way() == f"cores: {way} (as before)" and run.way == way
    train(run, lambda: run.step == 5)
    run.close()
    assert_equal_by_hand(run, hand.train(5))

    changes = {"max_iters": 9, "batch_size": 4, "gradient_accumulation_steps": 1, "learning_rate": 0.03}
    changes |= {"min_lr": None, "warmup_iters": 1, "lr_decay_iters": None, "weight_decay": 0.1, "beta1": 0.7}
    changes |= {"beta2": 0.9, "grad_clip": 0.5, "eval_interval": 3, "eval_iters": 3, "seed": 8}
    Path("out").rename("moved")
    run, hand.config = Run.resume("moved", **changes), replace(config, out="moved", **changes)
    assert run.config == hand.config and run.way == way
    train(run)
    run.close()
    assert_equal_by_hand(run, hand.train(9))
    assert [e[0] for e in run.evaluations] == [0, 4, 6, 9]
    assert run.checkpoint == Path("moved/checkpoint.npz") and Run.resume("moved").step == 9


def test_a_run_keeps_its_way_on_other_cores_and_says_so_and_workers_given_anew_change_it(exact, monkeypatch):
    config = TrainConfig("text.txt", "out", **{**SETTINGS, "workers": 2})
    trained(config, EXACT, stop=3).close()
    hand = ByHand(config, EXACT).train(6)
    for module in ("gpt.run", "minigrad.parallel.choice"):
        monkeypatch.setattr(f"{module}.cores", lambda: 1)
    run = Run.resume("out")
    two = "batch split over 2 threads, 1 BLAS thread each"
    assert run.choose_way() == f"cores: {two} (as before; --workers 2 would take: one thread)"
    run.close()
    run = Run.resume("out", workers=0)
    assert run.choose_way().startswith("cores: one thread (2,048 weights") and run.way == Way(1, 1)
    train(run)
    run.close()
    assert_equal_by_hand(run, hand)


def test_a_checkpoint_from_before_masks_were_keyed_goes_on(settings):
    """It names a kind of worker, and holds the states of their generators."""
    run = Run.new(TrainConfig(**settings), **SIZES)
    train(run, lambda: run.step == 6)
    info, arrays = checkpoint.load(run.checkpoint)
    states = {str(i): Generator(i, "fast").state() for i in range(2)}
    checkpoint.save(run.checkpoint, {**info, "way": [2, 1, "process"]}, {**arrays, "dropout_rngs": states})
    resumed = Run.resume(settings["out"])
    assert resumed.way == Way(2, 1) and resumed.sample(20) == run.sample(20)
    train(resumed)
    resumed.close()
    assert resumed.step == 12
    info, arrays = checkpoint.load(run.checkpoint)
    assert info["way"] == [2, 1] and "dropout_rngs" not in arrays


@pytest.mark.parametrize("workers", [1, 2])
def test_a_resumed_run_repeats_the_uninterrupted_one_bit_for_bit(settings, tmp_path, monkeypatch, workers):
    monkeypatch.setattr("gpt.train.save_loss_curve", lambda *_: True)

    def new():
        run = Run.new(TrainConfig(**settings), **SIZES)
        run.spread(Way(workers, 0))
        return run

    train(new())
    expected_info, expected = contents(tmp_path / "out")
    for stop in (0, 7, 12):
        settings["out"] = str(tmp_path / f"stopped{stop}")
        run = new()
        train(run, lambda run=run, stop=stop: run.step == stop)
        assert run.step == stop
        resumed = Run.resume(settings["out"])
        assert resumed.step == stop
        train(resumed)
        info, arrays = contents(settings["out"])
        assert info == expected_info
        assert arrays.keys() == expected.keys()
        assert [name for name in arrays if arrays[name] != expected[name]] == []
        assert [e[0] for e in resumed.evaluations] == [0, 5, 10, 12]


def test_resuming_refuses_another_text_and_a_missing_checkpoint(settings, tmp_path):
    train(Run.new(TrainConfig(**settings), **SIZES))
    Path(settings["data"]).write_text(TEXT[::-1], encoding="utf-8")
    with pytest.raises(ValueError, match="resume: expected the text of before, 360 characters, sha256"):
        Run.resume(settings["out"])
    Path(settings["data"]).write_text(TEXT + "é", encoding="utf-8")  # a new character is not what is wrong
    with pytest.raises(ValueError, match="360 characters, sha256 .*; got .*text.txt: 361 characters, sha256"):
        Run.resume(settings["out"])
    with pytest.raises(FileNotFoundError, match=r"checkpoint: expected a file; got .* \(No such file"):
        Run.resume(str(tmp_path / "elsewhere"))


@pytest.mark.parametrize("name", ["characters", "bytes", "bpe:260", "file"])
def test_a_tokenizer_travels_in_the_checkpoint(settings, tmp_path, name):
    """Resumed, sampled from and evaluated with the one it was trained with, wherever that came from."""
    source = tmp_path / "tokens.json"
    tokens.BPE.train([TEXT], 259).save(source)
    config = TrainConfig(**settings, tokenizer=str(source) if name == "file" else name)
    run = Run.new(config, **SIZES)
    train(run, lambda: run.step == 6)
    source.unlink()
    resumed = Run.resume(settings["out"])
    assert resumed.corpus.tokenizer == run.corpus.tokenizer
    assert resumed.model.config.vocab_size == run.corpus.tokenizer.n_vocab
    assert resumed.sample(20) == run.sample(20)
    train(resumed)
    again = "bpe:259" if name == "file" else name  # the file is gone
    whole = Run.new(replace(config, out=str(tmp_path / "whole"), tokenizer=again), **SIZES)
    train(whole)
    assert resumed.losses == whole.losses
    model, tokenizer = checkpoint.build_model(*checkpoint.load(run.checkpoint))
    assert tokenizer == run.corpus.tokenizer
    other = "characters" if name == "bytes" else "bytes"
    with pytest.raises(ValueError, match=f"resume: expected tokenizer as before, .*; got '{other}'"):
        Run.resume(settings["out"], tokenizer=other)


def test_a_checkpoint_from_before_tokenizers_goes_on_with_its_characters(settings):
    run = Run.new(TrainConfig(**settings), **SIZES)
    train(run, lambda: run.step == 6)
    info, arrays = checkpoint.load(run.checkpoint)
    characters = json.loads(info.pop("tokenizer"))["characters"]
    del info["length"], info["training"]["tokenizer"]
    checkpoint.save(run.checkpoint, {**info, "characters": characters}, arrays)
    resumed = Run.resume(settings["out"])
    assert resumed.corpus.tokenizer == tokens.Characters("".join(sorted(set(TEXT))))
    assert resumed.sample(20) == run.sample(20)
    train(resumed)
    assert resumed.step == 12


def test_another_run_keeps_the_checkpoint_that_it_finds(settings, capsys):
    settings["max_iters"] = 1
    train(Run.new(TrainConfig(**settings), **SIZES))
    first = contents(settings["out"])
    train(Run.new(TrainConfig(**{**settings, "seed": 7}), **SIZES))
    size = (Path(settings["out"]) / "checkpoint-before-1.npz").stat().st_size / 1e6
    assert f"of an earlier run, {size:.1f} MB, is kept as" in capsys.readouterr().out
    train(Run.new(TrainConfig(**{**settings, "seed": 8}), **SIZES))
    kept = [Path(settings["out"]) / f"checkpoint-before-{n}.npz" for n in (1, 2)]
    info, arrays = checkpoint.load(kept[0])
    assert info["training"]["seed"] == 1337
    assert_array_equal(arrays["losses"], np.frombuffer(first[1]["losses"][1]))
    assert checkpoint.load(kept[1])[0]["training"]["seed"] == 7


def test_a_loss_that_is_not_finite_stops_training_with_the_checkpoint_whole(settings):
    run = Run.new(TrainConfig(**settings), **SIZES)

    def spoil():
        if run.step == 7:
            run.model.wpe.weight.array[...] = np.nan
        return False

    with pytest.raises(FloatingPointError, match=r"got nan in step 8; try a smaller learning_rate; the last"):
        train(run, spoil)
    assert Run.resume(settings["out"]).step == 5


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_loss_of_a_split_is_the_mean_over_every_token(exact, split):
    text = TEXT * 120  # 43,200 characters: both splits fill more than one batch of windows
    model = GPT(GPTConfig(8, len(set(text)), 1, 2, 4, dropout=0.5), rng=Generator(0)).double()
    corpus, twin = Corpus.from_text(text, "text"), Twin(model.config).copy_from(model).eval()
    ids = torch.from_numpy(corpus.splits[split].astype(np.int64))
    whole = (len(ids) - 1) // 8 * 8
    with torch.no_grad():
        losses = [twin(ids[:whole].view(-1, 8), ids[1 : whole + 1].view(-1, 8))[1].item()] * whole
        if rest := len(ids) - 1 - whole:
            losses += [twin(ids[None, whole:-1], ids[None, whole + 1 :])[1].item()] * rest
    for m in (model.train(), model.eval()):
        assert_allclose(mean_loss(m, corpus.windows(split, 8)), np.mean(losses), rtol=1e-10)
        assert len({m.training for m in model.modules()}) == 1


# ---- what a setting may be ----

WHOLE, RATE, SHARE = (
    (0, -1, True, 2.0, math.nan),
    (0.0, -1e-3, math.nan, math.inf),
    (-0.1, 1.0, 1.1, math.nan),
)
FROM_0, COUNT = (-0.1, math.nan, math.inf), (-1, True, 1.5)
LIMITS = {  # (the last values that are taken, some that are not)
    TrainConfig: {
        "data": ("",), "out": ("",), "tokenizer": ("",), "init_from": ("",), "lora": (0, *COUNT), "seed": (0, *COUNT), "max_iters": (1, *WHOLE), "batch_size": (1, *WHOLE),
        "gradient_accumulation_steps": (1, *WHOLE), "learning_rate": (1e-9, *RATE), "min_lr": (0.0, 2e-3, *FROM_0),
        "warmup_iters": (0, *COUNT), "lr_decay_iters": (1, *WHOLE), "weight_decay": (0.0, *FROM_0),
        "beta1": (0.0, *SHARE), "beta2": (0.0, *SHARE), "grad_clip": (0.0, *FROM_0), "eval_interval": (1, *WHOLE), "sample_interval": (0, *COUNT),
        "eval_iters": (1, *WHOLE), "workers": (0, *COUNT), "device": ("cpu", "tpu", None), "log": ("tensorboard", "wandb", None),
    },
    GPTConfig: {
        "block_size": (1, *WHOLE), "vocab_size": (1, *WHOLE), "n_layer": (1, *WHOLE), "n_head": (1, *WHOLE, 7),
        "n_embd": (12, *WHOLE, 13), "dropout": (0.0, *SHARE), "bias": (False, 0, "no"), "init_std": (1e-9, *RATE),
        "norm_eps": (1e-12, *RATE, "1e-5"), "activation": ("relu", "softmax", None), "tied": (False, None),
    },
}  # fmt: skip


@pytest.mark.parametrize("config", LIMITS)
def test_each_setting_takes_its_last_value_and_refuses_by_name_what_cannot_work(config):
    assert list(LIMITS[config]) == [f.name for f in fields(config)]
    for name, (last, *wrong) in LIMITS[config].items():
        assert getattr(config(**{name: last}), name) == last
        for value in wrong:
            with pytest.raises(ValueError, match=rf"^{config.__name__}: expected .*{name}.*; got "):
                config(**{name: value})
    assert TrainConfig(learning_rate=0.5, min_lr=0.5).min_lr == 0.5


EXTREME = (
    2**63,
    2**64 - 1,
    2**64,
    10**40,
    5e-324,
    1e-320,
    1.7e308,
    0,
    1,
    True,
    False,
    None,
    "",
    "\udcff",
    Path("a"),
    b"a",
)


@pytest.mark.parametrize("config", LIMITS)
def test_a_setting_that_is_taken_is_taken_from_a_checkpoint_too(config, tmp_path):
    there = tmp_path / "a.npz"
    taken, refused = set(), set()
    for name, (last, *wrong) in LIMITS[config].items():
        for value in (last, *wrong, *EXTREME):
            try:
                found = config(**{name: value})
            except ValueError:
                refused.add((name, repr(value)))
                continue
            taken.add((name, repr(value)))
            checkpoint.save(there, {"training": asdict(found)}, {})
            assert checkpoint.settings(config, checkpoint.load(there)[0]["training"]) == found
    assert len(taken) > 2 * len(LIMITS[config])
    several = {TrainConfig: {"seed", "max_iters", "learning_rate"}, GPTConfig: {"block_size", "init_std"}}[
        config
    ]
    assert {(each, repr(2**64)) for each in several} <= refused


NANOGPT = {  # its README's run for a laptop, and what its train.py takes where that says nothing
    "block_size": 64, "batch_size": 12, "n_layer": 4, "n_head": 4, "n_embd": 128, "max_iters": 2000, "dropout": 0.0,
    "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.99, "warmup_iters": 100, "weight_decay": 0.1, "grad_clip": 1.0,
    "gradient_accumulation_steps": 1, "eval_interval": 250, "bias": False, "seed": 1337,
}  # fmt: skip
PUBLISHED = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}


def test_the_defaults_are_nanogpts_and_the_presets_have_the_published_numbers_of_parameters():
    assert NANOGPT.items() <= {**asdict(GPTConfig.preset("nano")), **asdict(TrainConfig())}.items()
    sizes = {
        "block_size": 1024,
        "vocab_size": 50304,
        "n_layer": 12,
        "n_head": 12,
        "n_embd": 768,
        "dropout": 0.0,
    }
    forms = {"norm_eps": 1e-5, "activation": "gelu_new", "tied": True}
    assert asdict(GPTConfig()) == {**sizes, "bias": True, "init_std": 0.02, **forms}
    files = {"data": "", "out": "out", "log": "", "workers": 0, "min_lr": None, "lr_decay_iters": None}
    assert files.items() <= asdict(TrainConfig()).items()
    for name, published in PUBLISHED.items():
        c = GPTConfig.preset(name, dropout=0.1)
        assert (c.block_size, c.bias, c.dropout, c.init_std) == (1024, True, 0.1, 0.02)
        assert c.n_embd == 64 * c.n_head  # every GPT-2's head has 64 channels
        blocks = c.n_layer * (12 * c.n_embd + 13) * c.n_embd
        assert (c.vocab_size + c.block_size + 2) * c.n_embd + blocks == published
    with pytest.raises(ValueError, match="GPTConfig.preset: expected one of gpt2, .*, nano; got 'gpt3'"):
        GPTConfig.preset("gpt3")


# ---- checkpoints ----


@given(st.dictionaries(st.text("abc.0", min_size=1), st.integers(0, 3), max_size=4))
def test_what_is_saved_is_loaded(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("checkpoint") / "c.npz"
    arrays = {name: np.random.default_rng(n).standard_normal((2,) * n) for name, n in names.items()}
    checkpoint.save(path, {"text": "grün\n\0", "number": 0.1}, {"outer": {"inner": arrays}, "i": np.int64(3)})
    info, loaded = checkpoint.load(path)
    assert (info["text"], info["number"], loaded["i"]) == ("grün\n\0", 0.1, 3)
    back = loaded.get("outer", {"inner": {}})["inner"]
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert_array_equal(back[name], array)


def test_a_checkpoint_cut_anywhere_is_refused(settings, tmp_path):
    path = tmp_path / "c.npz"
    checkpoint.save(path, {}, {"a": np.arange(5.0)})
    raw = path.read_bytes()
    for stop in (*range(0, len(raw), 5), len(raw) - 1):
        path.write_bytes(raw[:stop])
        with pytest.raises(ValueError, match="checkpoint: expected a whole file"):
            checkpoint.load(path)


def test_a_checkpoint_is_on_the_disk_before_it_replaces_the_one_before_and_then_its_name_is(
    tmp_path, monkeypatch
):
    path, done, link, replace = tmp_path / "c.npz", [], os.link, os.replace

    def fsync(number):
        folder = os.path.samestat(os.fstat(number), os.stat(tmp_path))
        done.append(("fsync", "folder" if folder else os.fstat(number).st_size))

    def named(how, call):
        return lambda old, new: (done.append((how, Path(old).stat().st_size)), call(old, new))

    checkpoint.save(path, {}, {})
    before = path.stat().st_size
    for name, call in (
        ("fsync", fsync),
        ("replace", named("replace", replace)),
        ("link", named("link", link)),
    ):
        monkeypatch.setattr(f"nn.archive.os.{name}", call)
    checkpoint.save(path, {}, {"a": np.arange(5.0)}, keep=tmp_path / "kept.npz")
    size = path.stat().st_size
    assert done == [("fsync", size), ("link", before), ("replace", size), ("fsync", "folder")]
    assert (tmp_path / "kept.npz").stat().st_size == before != size


@given(st.data())
def test_a_damaged_byte_is_noticed_or_harmless(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "c.npz"
    checkpoint.save(path, {}, {"a": np.arange(50.0)})
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        _, arrays = checkpoint.load(path)
    except ValueError as error:
        assert str(error).startswith("checkpoint: expected ")
    else:
        assert_array_equal(arrays["a"], np.arange(50.0))


def test_what_is_no_array_of_numbers_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="checkpoint: expected arrays of numbers; got .*None.* for a/b"):
        checkpoint.save(tmp_path / "c.npz", {}, {"a": {"b": None}})
    assert list(tmp_path.iterdir()) == []


class Payload:
    """Something that runs when it is unpickled."""

    def __reduce__(self):
        return (sys.exit, ("a checkpoint ran code",))


@pytest.mark.parametrize(
    "kind", ["text", "empty", "array", "other arrays", "pickle", "pickled header", "list"]
)
def test_foreign_files_are_refused_and_nothing_is_unpickled(tmp_path, kind):
    path = tmp_path / "c.npz"
    with open(path, "wb") as file:
        if kind == "text":
            file.write(b"hello")
        elif kind == "array":
            np.save(file, np.arange(3.0))
        elif kind == "other arrays":
            np.savez(file, a=np.arange(3.0))
        elif kind == "pickle":
            np.save(file, np.array([Payload()], object), allow_pickle=True)
        elif kind == "pickled header":
            np.savez(file, header=np.array([Payload()], object))
        elif kind == "list":
            np.savez(file, header=np.array("[1]"))
    with pytest.raises(ValueError, match="checkpoint: expected a whole file written by `save`; got .*c.npz"):
        checkpoint.load(path)


def test_another_format_a_missing_array_and_a_missing_model_are_refused(tmp_path):
    path = tmp_path / "c.npz"
    checkpoint.save(path, {"format": "minigrad checkpoint 99"}, {})
    with pytest.raises(
        ValueError,
        match="a newer minigrad wrote it: its format is 'minigrad checkpoint 99', the newest .* update",
    ):
        checkpoint.load(path)
    checkpoint.save(path, {"arrays": ["a", "b"]}, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="arrays missing"):
        checkpoint.load(path)
    checkpoint.save(path, {}, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="checkpoint: expected a model with its tokeniser"):
        checkpoint.build_model(*checkpoint.load(path))


@pytest.mark.parametrize("moment", ["np.lib.format.write_array", "os.fsync", "os.replace"])
def test_an_interrupted_save_leaves_the_checkpoint_before_and_nothing_else(tmp_path, monkeypatch, moment):
    path = tmp_path / "c.npz"
    checkpoint.save(path, {"n": 1}, {"a": np.arange(5.0)})

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"nn.archive.{moment}", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"n": 2}, {"a": np.arange(6.0)})
    assert checkpoint.load(path)[0]["n"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]


def test_a_model_of_a_checkpoint_computes_what_it_did_and_draws_nothing(settings):
    run = Run.new(TrainConfig(**settings), **SIZES)
    assert len(run.sample()) == 240
    train(run)
    info, arrays = checkpoint.load(run.checkpoint)
    drawn = default_generator().get_state()
    model, vocabulary = checkpoint.build_model(info, arrays)
    assert_array_equal(default_generator().get_state(), drawn)
    assert isinstance(model, GPT)
    assert model.config == run.model.config
    assert vocabulary.characters == run.corpus.tokenizer.characters
    assert mean_loss(model, run.corpus.windows("val", 8)) == mean_loss(
        run.model, run.corpus.windows("val", 8)
    )
    weights = arrays["model"]
    short = {name: weights[name] for name in weights if name != "h.1.ln_1.weight"}
    for wrong in (short, {**weights, "more": np.zeros(3)}, {**weights, "ln_f.weight": np.zeros(3)}):
        with pytest.raises(ValueError, match=r"more|ln_1\.weight|ln_f\.weight"):
            checkpoint.build_model(info, {**arrays, "model": wrong})


# ---- folders and reports ----


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match=rf"^out: expected a folder to write to; got {out} \("):
            prepare_folder(str(out))
    prepare_folder(str(tmp_path / "new" / "below"))
    assert list((tmp_path / "new" / "below").iterdir()) == []


def test_without_tqdm_training_says_what_to_install_and_prints_its_lines(settings, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    train(Run.new(TrainConfig(**settings), **SIZES))
    out = capsys.readouterr().out
    assert out.count('without tqdm; install it with: pip install -e ".[examples]"') == 1
    assert all(f"step {n:>6}   train " in out for n in (0, 5, 10, 12))


def test_without_matplotlib_training_says_what_to_install_and_goes_on(settings, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    run = Run.new(TrainConfig(**settings), **SIZES)
    train(run)
    assert (
        capsys.readouterr().out.count('without matplotlib; install it with: pip install -e ".[examples]"')
        == 1
    )
    assert sorted(p.name for p in Path(settings["out"]).iterdir()) == ["checkpoint.npz", "loss.csv"]


def test_the_loss_curve_is_a_picture_of_every_step_and_evaluation(tmp_path, monkeypatch):
    pictures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (pictures.append(self), save(self, *a, **k)))
    for losses, evaluations in (
        ([], []),
        ([3.0, 2.0], [(0, 4.0, 4.1), (2, 2.0, 2.5)]),
    ):
        assert save_loss_curve(tmp_path / "loss.png", losses, evaluations)
        assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    steps, train, validation = pictures[-1].axes[0].lines
    assert [[*zip(*line.get_data())] for line in (steps, train, validation)] == [
        [(1, 3.0), (2, 2.0)], [(0, 4.0), (2, 2.0)], [(0, 4.1), (2, 2.5)],
    ]  # fmt: skip
    assert train.get_label() == "train, 2.000 at last"
    assert validation.get_label() == "validation, 2.500 at last"
    axes = pictures[-1].axes[0]
    texts = [
        axes.get_xlabel(),
        axes.get_ylabel(),
        axes.get_title(),
        *map(Text.get_text, axes.get_legend().texts),
    ]
    assert texts[:3] == ["step", "loss (nats per token)", "Cross-entropy while training"]
    assert texts[3:] == ["each step", "train, 2.000 at last", "validation, 2.500 at last"]
    assert axes.get_xgridlines()[0].get_visible() and train.get_color() != validation.get_color()


def test_the_speed_is_in_tokens_per_second_of_late(capsys):
    with Progress(4, 1) as progress:
        assert progress.speed == ""
        for _ in range(2):
            progress.advance(2.0, 3000, 0.5)
        assert progress.speed == "6,000 tokens/s"
        progress.advance(2.0, 3000, 2.5)
        assert progress.speed == "5,000 tokens/s"  # 0.95 * 0.5 + 0.05 * 2.5 seconds
    shown = capsys.readouterr().err
    assert "4/4" in shown and "loss 2.000, 5,000 tokens/s" in shown
    assert "step/s" in shown or "s/step" in shown


def test_a_line_of_training_counts_every_token_of_a_step(exact, monkeypatch, capsys):
    ticks = itertools.count()
    monkeypatch.setattr("gpt.train.time", SimpleNamespace(perf_counter=lambda: next(ticks) / 10))
    run = trained(TrainConfig("text.txt", **SETTINGS), EXACT)
    step, train_loss, val_loss = run.evaluations[-1]
    assert (step, 3 * 2 * EXACT["block_size"] / 0.1) == (6, 360.0)
    expected = f"step      6   train {train_loss:.4f}   val {val_loss:.4f}   360 tokens/s\n"
    assert capsys.readouterr().out.endswith(expected)
