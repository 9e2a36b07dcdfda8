"""python -m gpt ... --device cuda, on a stand-in for CuPy: the same run, in either's checkpoints, or one line."""

import importlib.util
import sys

import numpy as np
import pytest

from gpt import checkpoint
from gpt.__main__ import main
from tests.support import foreign

TINY = "--n_layer 2 --n_head 2 --n_embd 8 --block_size 8 --batch_size 3 --eval_iters 1 --sample_interval 0".split()
TEXT = "To be, or not to be, that is the question:\n" * 9


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)


def trained(out, *flags):
    assert main(["train", "--out", out, *flags]) == 0
    return checkpoint.load(f"{out}/checkpoint.npz")


def assert_same_run(one, other):
    np.testing.assert_allclose(one[1]["losses"], other[1]["losses"], rtol=1e-5)
    assert one[1]["model"].keys() == other[1]["model"].keys()
    for name, weights in one[1]["model"].items():
        np.testing.assert_allclose(weights, other[1]["model"][name], rtol=1e-3, atol=1e-5)


def test_a_run_is_the_same_on_a_gpu_and_goes_on_on_either(monkeypatch, capsys):
    new = ["--data", "text.txt", *TINY]  # without dropout, whose masks are drawn where they are used
    cpu = trained("cpu", *new, "--max_iters", "6")
    half = trained("half", *new, "--max_iters", "3", "--lr_decay_iters", "6")
    with monkeypatch.context() as patch:
        foreign.install(patch)
        there = trained("there", *new, "--max_iters", "3", "--lr_decay_iters", "6", "--device", "cuda")
        assert "device: a stand-in, CuPy" in capsys.readouterr().out
        assert there[0]["training"]["device"] == "cuda"
        assert_same_run(there, half)
        moved = trained("half", "--resume", "--max_iters", "6", "--device", "cuda")
    back = trained("there", "--resume", "--max_iters", "6", "--device", "cpu")
    assert "cores: " in capsys.readouterr().out
    assert_same_run(moved, cpu)
    assert_same_run(back, cpu)


@pytest.mark.parametrize("command", ["sample --max_new_tokens 9 --temperature 0", "eval"])
def test_a_checkpoint_is_read_on_a_gpu(command, monkeypatch, capsys):
    trained("out", "--data", "text.txt", *TINY, "--max_iters", "2")
    capsys.readouterr()
    foreign.install(monkeypatch)
    for device in ("cpu", "cuda"):
        assert main([*command.split(), "--device", device]) == 0
    printed = capsys.readouterr().out
    first, second = printed[: len(printed) // 2], printed[len(printed) // 2 :]
    assert first == second and len(first) > 5


def test_what_a_gpu_does_not_do_is_refused_in_one_line(monkeypatch, capsys):
    foreign.install(monkeypatch)
    assert main(["train", "--data", "text.txt", "--device", "cuda", "--workers", "2", *TINY]) == 2
    assert "expected one of workers on a GPU; got 2" in capsys.readouterr().err
    assert main(["sample", "--init_from", "gguf:none", "--memory", "small", "--device", "cuda"]) == 2
    assert "--device: expected no --memory on a GPU" in capsys.readouterr().err
    assert main(["train", "--data", "text.txt", "--device", "tpu", *TINY]) == 2
    assert "expected device to be cpu or cuda; got 'tpu'" in capsys.readouterr().err.replace(
        "TrainConfig: ", ""
    )


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
@pytest.mark.parametrize(
    "command",
    [
        "train --data text.txt",
        "sample",
        "sample --init_from smollm2",
        "eval",
        "eval --init_from smollm2",
        "chat",
    ],
)
def test_without_cupy_one_line_says_what_to_install(command, capsys):
    """And it is said before a model is looked for or loaded."""
    assert main([*command.split(), "--device", "cuda"]) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert '"cuda" needs CuPy; install it with: pip install' in err


def test_a_run_on_a_gpu_goes_on_without_one_only_where_it_is_told(monkeypatch, capsys):
    with monkeypatch.context() as patch:
        foreign.install(patch)
        trained("out", "--data", "text.txt", *TINY, "--max_iters", "1", "--device", "cuda")
    monkeypatch.setitem(sys.modules, "cupy", None)
    capsys.readouterr()
    assert main(["train", "--resume", "--max_iters", "2"]) == 2
    assert '"cuda" needs CuPy' in capsys.readouterr().err
    trained("out", "--resume", "--max_iters", "2", "--device", "cpu")
