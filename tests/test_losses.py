"""The losses of a run as CSV, and noted for TensorBoard, without and with an interruption."""

import csv
import sys
from types import SimpleNamespace

import pytest

from gpt.__main__ import main
from gpt.config import TrainConfig
from gpt.progress import open_log
from gpt.run import Run
from gpt.train import train

SIZES = {"block_size": 4, "n_layer": 1, "n_head": 1, "n_embd": 4}


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "text.txt").write_text("to be or not to be " * 8)
    return {
        "data": str(tmp_path / "text.txt"),
        "out": str(tmp_path / "out"),
        "max_iters": 5,
        "eval_interval": 2,
    }


@pytest.fixture
def noted(monkeypatch):
    """What a stand-in of TensorBoard is told: {folder: [(name, value, step)]}, once it is flushed."""
    told = {}

    class Writer:
        def __init__(self, folder):
            self.waiting, self.told = [], told.setdefault(folder, [])

        def add_scalar(self, name, value, step):
            self.waiting.append((name, value, step))

        def flush(self):
            self.told += self.waiting
            self.waiting = []

    monkeypatch.setitem(sys.modules, "tensorboard", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "tensorboard.summary", SimpleNamespace(Writer=Writer))
    return told


def rows(run):
    with open(run.curve.with_suffix(".csv"), newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


@pytest.mark.parametrize("stop", [5, 3])
def test_every_loss_is_in_the_csv_and_is_noted_for_tensorboard_also_after_a_stop(settings, noted, stop):
    run = Run.new(TrainConfig(**settings, log="tensorboard"), **SIZES)
    train(run, lambda: run.step == stop)
    assert len(rows(run)) == 1 + stop
    run = Run.resume(settings["out"])
    train(run)  # the evaluation after the last step is made by the run that goes on
    estimates = {step: {"train": a, "val": b} for step, a, b in run.evaluations}
    steps = [{"step": 0.0}] + [{"step": i + 1.0, "loss": loss} for i, loss in enumerate(run.losses)]
    assert list(estimates) == [0, 2, 4, 5]
    assert rows(run) == [row | estimates.get(row["step"], {}) for row in steps]
    expected = [("loss/step", loss, i + 1) for i, loss in enumerate(run.losses)]
    expected += [
        (f"loss/{name}", loss, step) for step, both in estimates.items() for name, loss in both.items()
    ]
    assert list(noted) == [settings["out"]] and sorted(noted[settings["out"]]) == sorted(expected)


def test_nothing_is_noted_without_being_asked_for(settings, noted):
    train(Run.new(TrainConfig(**settings), **SIZES))
    assert noted == {} and open_log("", "anywhere") is None


def test_without_tensorboard_one_line_says_what_to_install(settings, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    flags = ["--data", settings["data"], "--out", settings["out"], "--block_size", "4"]
    assert main(["train", *flags, "--log", "tensorboard"]) == 2
    shown = capsys.readouterr()
    line = 'python -m gpt train: --log: expected the package tensorboard; got none; pip install -e ".[tensorboard]"\n'
    assert shown.err == "reading the text, making the model ...\n" + line and not shown.out
    assert main(["train", *flags, "--log", "wandb"]) == 2
    assert "expected log to be tensorboard, or empty; got 'wandb'" in capsys.readouterr().err
