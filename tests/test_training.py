"""Checkpoints, resuming, and what training reports."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gpt import checkpoint
from gpt.config import GPTConfig, TrainConfig
from gpt.model import GPT
from gpt.progress import Progress, save_loss_curve
from gpt.run import Run, prepare_folder
from gpt.train import learning_rate, mean_loss, train
from minigrad.random import Generator

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


# ---- resuming ----


@pytest.mark.parametrize("stop", [0, 1, 5, 7, 11, 12])
def test_a_resumed_run_repeats_the_uninterrupted_one_bit_for_bit(settings, tmp_path, stop):
    train(Run.new(TrainConfig(**settings), **SIZES))
    settings["out"] = str(tmp_path / "stopped")
    run = Run.new(TrainConfig(**settings), **SIZES)
    train(run, lambda: run.step == stop)
    assert run.step == stop
    resumed = Run.resume(settings["out"])
    assert resumed.step == stop
    train(resumed)

    (info, arrays), (expected_info, expected) = contents(tmp_path / "stopped"), contents(tmp_path / "out")
    assert info == expected_info
    assert arrays.keys() == expected.keys()
    assert [name for name in arrays if arrays[name] != expected[name]] == []
    assert len(resumed.losses) == 12
    assert [e[0] for e in resumed.evaluations] == [0, 5, 10, 12]


def test_the_comparison_bites_if_a_generator_is_not_restored(settings, tmp_path, monkeypatch):
    train(Run.new(TrainConfig(**settings), **SIZES))
    settings["out"] = str(tmp_path / "stopped")
    run = Run.new(TrainConfig(**settings), **SIZES)
    train(run, lambda: run.step == 5)
    monkeypatch.setattr(Generator, "set_state", lambda self, state: None)
    train(Run.resume(settings["out"]))
    assert contents(tmp_path / "stopped")[1] != contents(tmp_path / "out")[1]


def test_a_finished_run_can_be_lengthened(settings):
    train(Run.new(TrainConfig(**settings), **SIZES))
    longer = Run.resume(settings["out"], max_iters=15, learning_rate=2e-3, beta2=0.5)
    assert longer.config.max_iters == 15
    assert longer.optimizer.param_groups[0]["betas"] == (0.9, 0.5)
    train(longer)
    assert longer.step == 15


def test_resuming_refuses_another_text_and_a_missing_checkpoint(settings, tmp_path):
    train(Run.new(TrainConfig(**settings), **SIZES))
    Path(settings["data"]).write_text(TEXT[::-1], encoding="utf-8")
    with pytest.raises(ValueError, match="resume: expected the text of before, sha256"):
        Run.resume(settings["out"])
    with pytest.raises(FileNotFoundError, match=r"checkpoint: expected a file; got .* \(No such file"):
        Run.resume(str(tmp_path / "elsewhere"))


def test_another_run_keeps_the_checkpoint_that_it_finds(settings, capsys):
    settings["max_iters"] = 1
    train(Run.new(TrainConfig(**settings), **SIZES))
    first = contents(settings["out"])
    train(Run.new(TrainConfig(**{**settings, "seed": 7}), **SIZES))
    assert "is kept as" in capsys.readouterr().out
    train(Run.new(TrainConfig(**{**settings, "seed": 8}), **SIZES))
    kept = [Path(settings["out"]) / f"checkpoint-before-{n}.npz" for n in (1, 2)]
    info, arrays = checkpoint.load(kept[0])
    assert info["training"]["seed"] == 1337
    assert_array_equal(arrays["losses"], np.frombuffer(first[1]["losses"][1]))
    assert checkpoint.load(kept[1])[0]["training"]["seed"] == 7


def test_training_learns_and_evaluation_does_not_disturb_it(settings, tmp_path):
    settings.update(max_iters=60, gradient_accumulation_steps=1, learning_rate=1e-2)
    run = Run.new(TrainConfig(**settings), **{**SIZES, "dropout": 0.0})
    train(run)
    assert run.evaluations[-1][2] < run.evaluations[0][2] - 0.5
    settings.update(eval_interval=60, out=str(tmp_path / "other"))
    other = Run.new(TrainConfig(**settings), **{**SIZES, "dropout": 0.0})
    train(other)
    assert other.losses == run.losses


def test_a_loss_that_is_not_finite_stops_training_with_the_checkpoint_whole(settings):
    run = Run.new(TrainConfig(**settings), **SIZES)

    def spoil():
        if run.step == 7:
            run.model.wpe.weight.array[...] = np.nan
        return False

    with pytest.raises(FloatingPointError, match=r"got nan in step 8; try a smaller learning_rate; the last"):
        train(run, spoil)
    assert Run.resume(settings["out"]).step == 5


def test_the_validation_loss_weighs_every_token_alike(settings):
    run = Run.new(TrainConfig(**settings), **SIZES)
    val = run.corpus.splits["val"]
    run.model.eval()
    losses = []
    for start in range(0, len(val) - 1, 8):
        x, y = val[None, start : start + 8][:, : len(val) - 1 - start], val[None, start + 1 : start + 9]
        losses += [run.model(x, y)[1].item()] * y.size
    evaluated, trained = (
        mean_loss(m(), run.corpus.windows("val", 8)) for m in (run.model.eval, run.model.train)
    )
    assert_allclose(evaluated, np.mean(losses), rtol=1e-6)
    assert trained == evaluated


def test_the_learning_rate_follows_its_defaults():
    config = TrainConfig(learning_rate=0.5, warmup_iters=4, max_iters=20)
    assert_allclose([learning_rate(s, config) for s in (0, 3, 4, 20, 99)], [0.1, 0.4, 0.5, 0.05, 0.05])
    config = TrainConfig(learning_rate=0.5, warmup_iters=0, max_iters=20, lr_decay_iters=10, min_lr=0.0)
    assert_allclose([learning_rate(s, config) for s in (0, 5, 10)], [0.5, 0.25, 0.0], atol=1e-12)


# ---- settings ----


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [(TrainConfig, "learning_rate", v) for v in (0.0, -1e-3, float("nan"), float("inf"))]
    + [(TrainConfig, "min_lr", v) for v in (-1.0, 0.1, float("nan"))]
    + [(TrainConfig, n, v) for n in ("weight_decay", "grad_clip") for v in (-0.1, float("nan"), float("inf"))]
    + [(TrainConfig, n, v) for n in ("beta1", "beta2") for v in (-0.1, 1.0, float("nan"))]
    + [
        (TrainConfig, n, v)
        for n in ("max_iters", "batch_size", "eval_interval", "eval_iters")
        for v in (0, -1, 1.5)
    ]
    + [(TrainConfig, n, 0) for n in ("gradient_accumulation_steps", "lr_decay_iters")]
    + [(TrainConfig, n, -1) for n in ("seed", "warmup_iters")]
    + [(GPTConfig, n, v) for n in ("block_size", "n_layer", "n_head", "n_embd") for v in (0, True, 2.0)]
    + [(GPTConfig, "dropout", v) for v in (-0.1, 1.1, float("nan"))]
    + [(GPTConfig, "n_head", 7)],
)
def test_each_setting_that_cannot_work_is_refused_by_name(config, name, value):
    with pytest.raises(ValueError, match=rf"^{config.__name__}: expected .*{name}.*; got "):
        config(**{name: value})


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
    for stop in range(len(raw)):
        path.write_bytes(raw[:stop])
        with pytest.raises(ValueError, match="checkpoint: expected a whole file"):
            checkpoint.load(path)


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
    with pytest.raises(ValueError, match="got another format in"):
        checkpoint.load(path)
    checkpoint.save(path, {"arrays": ["a", "b"]}, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="got arrays missing in"):
        checkpoint.load(path)
    checkpoint.save(path, {}, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="checkpoint: expected a model with its vocabulary"):
        checkpoint.build_model(*checkpoint.load(path))


@pytest.mark.parametrize("moment", ["np.savez", "os.replace"])
def test_an_interrupted_save_leaves_the_checkpoint_before_and_nothing_else(tmp_path, monkeypatch, moment):
    path = tmp_path / "c.npz"
    checkpoint.save(path, {"n": 1}, {"a": np.arange(5.0)})

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"gpt.checkpoint.{moment}", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"n": 2}, {"a": np.arange(6.0)})
    assert checkpoint.load(path)[0]["n"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]


def test_a_model_of_a_checkpoint_computes_what_it_did(settings):
    run = Run.new(TrainConfig(**settings), **SIZES)
    train(run)
    info, arrays = checkpoint.load(run.checkpoint)
    model, vocabulary = checkpoint.build_model(info, arrays)
    assert isinstance(model, GPT)
    assert model.config == run.model.config
    assert vocabulary.characters == run.corpus.vocabulary.characters
    assert mean_loss(model, run.corpus.windows("val", 8)) == mean_loss(
        run.model, run.corpus.windows("val", 8)
    )


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
    assert out.count("pip install tqdm") == 1
    assert all(f"step {n:>6}   train " in out for n in (0, 5, 10, 12))


def test_without_matplotlib_training_says_what_to_install_and_goes_on(settings, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    run = Run.new(TrainConfig(**settings), **SIZES)
    train(run)
    assert capsys.readouterr().out.count("pip install matplotlib") == 1
    assert sorted(p.name for p in Path(settings["out"]).iterdir()) == ["checkpoint.npz", "loss.csv"]


def test_the_loss_curve_is_a_picture_even_before_the_first_step(tmp_path):
    for losses, evaluations in (
        ([], []),
        ([], [(0, 4.0, 4.1)]),
        ([3.0, 2.0], [(0, 4.0, 4.1), (2, 2.0, 2.5)]),
    ):
        assert save_loss_curve(tmp_path / "loss.png", losses, evaluations)
        assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "loss.png").unlink()


def test_the_speed_is_in_tokens_per_second(capsys):
    with Progress(4, 0) as progress:
        assert progress.speed == ""
        for _ in range(3):
            progress.advance(2.0, 3000, 0.5)
        assert progress.speed == "6,000 tokens/s"
    assert "loss 2.000, 6,000 tokens/s" in capsys.readouterr().err
