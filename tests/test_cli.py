"""The command line: what it does, and the one line that answers each mistake."""

import contextlib
import io
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from gpt import checkpoint
from gpt.__main__ import main
from gpt.config import PRESETS, GPTConfig, TrainConfig
from gpt.run import Run
from gpt.train import advance
from nn.activations import ACTIVATIONS
from tests.support.twin import Twin

ROOT = Path(__file__).parent.parent
TEXT = "The quick brown fox jumps over the lazy dog.\n" * 20
TINY = "--n_layer 1 --n_head 2 --n_embd 8 --block_size 8 --batch_size 2 --eval_iters 1".split()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with text.txt."""
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def three_steps(tmp_path_factory):
    """A folder out/ with a checkpoint of three steps, trained once."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        assert main(["train", "--data", "text.txt", "--max_iters", "3", *TINY]) == 0
    return folder / "out"


@pytest.fixture
def trained(here, three_steps):
    """The working folder, with a checkpoint of three steps in out/."""
    shutil.copytree(three_steps, here / "out")
    return here


def command(*arguments, **settings):
    """Start `python -m gpt` in a process of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "gpt", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment,
    )  # fmt: skip


def mistake(capsys, *arguments):
    """Run a command that must fail; return its one line, which may stand behind what was being done."""
    try:
        status = main(list(arguments))
    except SystemExit as stop:  # argparse's way
        status = stop.code
    lines = [
        line
        for line in capsys.readouterr().err.splitlines()
        if not re.match(r"(reading|loading) .* \.\.\.$", line)
    ]
    assert status == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("python -m gpt")
    return lines[0]


# ---- what it does ----


def test_training_shows_all_that_it_promises(here, capsys):
    assert main(["train", "--data", "text.txt", "--max_iters", "4", "--eval_interval", "2", *TINY]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert re.match(r"text.txt: 900 characters, 30 different, sha256 [0-9a-f]{16}$", lines[0])
    count = sum(p.numel() for p in twin_of("out/checkpoint.npz")[0].parameters())
    assert lines[1].startswith(f"GPT with {count:,} parameters: GPTConfig(block_size=8, vocab_size=30, ")
    assert lines[2].startswith("cores: one thread (")
    assert "before training:" in shown.out
    assert "after training:" in shown.out
    assert [
        int(n) for n in re.findall(r"^step +(\d+)   train \d\.\d{4}   val \d\.\d{4}", shown.out, re.M)
    ] == [0, 2, 4]
    found = re.search(
        r"over all 89 characters, in windows of 8 characters: (\d\.\d{4}) nats, (\d\.\d{4}) bits per character, (.*) bits per byte$",
        lines[-4],
    )
    nats, bits, by_byte = map(float, found.groups())
    assert abs(nats / math.log(2) - bits) < 2e-4 and by_byte == bits  # the text is ASCII
    names = [os.path.join("out", name) for name in ("checkpoint.npz", "loss.png")]
    assert lines[-3:] == [
        f"checkpoint  {names[0]}",
        f"loss curve  {names[1]}",
        f"to sample   python -m gpt sample --checkpoint {names[0]}",
    ]
    assert all(Path(name).stat().st_size > 0 for name in names)
    assert "tokens/s" in shown.err
    assert "4/4" in shown.err


def test_the_default_text_is_the_language_reference(here, capsys):
    assert main(["train", "--max_iters", "1", *TINY]) == 0
    assert re.match(r"Python's language reference: \d{3},\d{3} characters", capsys.readouterr().out)


def test_each_setting_is_a_flag_that_help_explains(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    for f in (*fields(TrainConfig), *fields(GPTConfig)):
        if f.name != "vocab_size":
            default = PRESETS["nano"].get(f.name, f.default)
            shown = f"{f.metadata['help']} (default: {default})"
            assert f"--{f.name} " in text
            assert (shown if default not in (None, "") else f.metadata["help"]) in text
            assert default not in (None, "") or f"{f.metadata['help']} (default" not in text
    assert "vocab_size" not in text
    for shown in ("per step (default: 0.001)", "by default max_iters", "in tokens (default: 64)"):
        assert shown in text


TRAINING = {
    "data": "text.txt", "out": "over there", "tokenizer": "characters", "init_from": "", "lora": 0, "seed": 5, "max_iters": 2, "batch_size": 3, "gradient_accumulation_steps": 4,
    "learning_rate": 0.01, "min_lr": 0.0, "warmup_iters": 6, "lr_decay_iters": 7, "weight_decay": 0.2, "beta1": 0.8,
    "beta2": 0.7, "grad_clip": 0.5, "eval_interval": 9, "sample_interval": 8, "eval_iters": 10, "workers": 1,
    "device": "cpu", "log": "",
}  # fmt: skip
MODEL = {
    "block_size": 11, "n_layer": 2, "n_head": 3, "n_embd": 12, "dropout": 0.25, "bias": True, "init_std": 0.1,
    "norm_eps": 1e-6, "activation": "silu", "tied": False,
}  # fmt: skip


def flags(settings):
    return [f"--{name}={value}" for name, value in settings.items()]


def test_every_flag_reaches_the_model_and_the_training(here, capsys):
    assert [*TRAINING] == [f.name for f in fields(TrainConfig)]
    assert [*MODEL] == [f.name for f in fields(GPTConfig) if f.name != "vocab_size"]
    assert main(["train", *flags(TRAINING), *flags(MODEL)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    info, _ = checkpoint.load(shlex.split(last)[-1])
    assert (info["training"], info["model"]) == (TRAINING, {**MODEL, "vocab_size": 30})


def test_flags_that_are_not_given_have_the_defaults_of_training_and_the_sizes_of_nano(trained):
    info, _ = checkpoint.load("out/checkpoint.npz")
    given = {"data": "text.txt", "max_iters": 3, "batch_size": 2, "eval_iters": 1}
    assert TrainConfig(**info["training"]) == TrainConfig(**given)
    sizes = {"block_size": 8, "vocab_size": 30, "n_layer": 1, "n_head": 2, "n_embd": 8}
    assert GPTConfig(**info["model"]) == GPTConfig.preset("nano", **sizes)


def test_every_flag_reaches_a_run_that_goes_on_but_those_that_cannot(trained, capsys):
    others = {name: value for name, value in TRAINING.items() if name not in ("out", "workers")} | {
        "max_iters": 4
    }
    assert main(["train", "--resume", *flags(others)]) == 0
    info, _ = checkpoint.load("out/checkpoint.npz")
    assert info["training"] == {**others, "out": "out", "workers": 0}
    capsys.readouterr()
    for name, value in MODEL.items():
        wanted = f"--resume: expected no sizes of the model, which are in the checkpoint; got --{name}"
        assert wanted in mistake(capsys, "train", "--resume", f"--{name}={value}")


@pytest.mark.parametrize(
    ("given", "bias"),
    [
        ("--bias", True),
        ("--bias=true", True),
        ("--bias=YES", True),
        ("--bias=1", True),
        ("--bias=False", False),
        ("--bias=no", False),
        ("--bias=0", False),
    ],
)
def test_booleans_are_written_as_people_write_them(here, given, bias):
    assert main(["train", "--data", "text.txt", "--max_iters", "1", given, *TINY]) == 0
    assert checkpoint.load("out/checkpoint.npz")[0]["model"]["bias"] is bias


def twin_of(path):
    """The model of a checkpoint in PyTorch, and its characters."""
    info, arrays = checkpoint.load(path)
    twin = Twin(GPTConfig(**info["model"])).eval()
    twin.load_state_dict({name: torch.from_numpy(a) for name, a in arrays["model"].items()})
    return twin, json.loads(info["tokenizer"])["characters"]


def samples_by_hand(
    path="out/checkpoint.npz",
    prompt="",
    max_new_tokens=500,
    temperature=0.8,
    seed=1337,
    num_samples=1,
    **limits,
):
    (twin, characters), texts = twin_of(path), []
    torch.manual_seed(seed)
    for _ in range(num_samples):
        start = torch.tensor([[characters.index(c) for c in prompt or "\n"]])
        ids = twin.generate(start, max_new_tokens, temperature, **limits)[0, start.shape[1] :]
        texts.append(prompt + "".join(characters[i] for i in ids) + "\n")
    return ("-" * 15 + "\n").join(texts)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"prompt": "The quick"}, {"max_new_tokens": 9}, {"temperature": 0.4}, {"top_k": 2}, {"top_p": 0.3},
        {"seed": 0}, {"num_samples": 3}, {"checkpoint": "other.npz"},
    ],
    ids=str,
)  # fmt: skip
def test_each_flag_of_sampling_changes_the_text_as_by_hand(trained, capsys, given):
    Path("out/checkpoint.npz").rename(here_is := given.get("checkpoint", "out/checkpoint.npz"))
    settings = {"max_new_tokens": 30, **given} if given else {}
    assert main(["sample", *flags(settings)]) == 0
    shown = capsys.readouterr().out
    settings.pop("checkpoint", None)
    assert shown == samples_by_hand(here_is, **settings)
    assert given in ({}, {"checkpoint": "other.npz"}) or shown != samples_by_hand(here_is, max_new_tokens=30)


def test_no_temperature_writes_the_likeliest_and_no_limit_is_zero_or_one(trained, capsys):
    def sample(*arguments):
        assert main(["sample", "--max_new_tokens", "30", *arguments]) == 0
        return capsys.readouterr().out

    assert sample("--temperature", "0", "--seed", "2") == sample("--top_k", "1")
    assert sample("--top_k", "0", "--top_p", "1") == sample()


def test_a_sample_is_written_as_it_is_drawn(trained):
    process = command("sample", "--max_new_tokens", "100000000")
    try:
        assert len(process.stdout.read(100)) == 100
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()  # where interrupts are ignored, it would write for ever
        process.communicate()
    assert process.returncode == 130
    assert errors == "\nstopped\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE; a closed pipe differs there")
class Noted(io.StringIO):
    """A standard output that notes what it holds whenever it is flushed."""

    def __init__(self):
        super().__init__()
        self.flushed = []

    def flush(self):
        self.flushed.append(self.getvalue())


def test_what_is_written_is_shown_at_once(trained, monkeypatch):
    monkeypatch.setattr("sys.stdout", noted := Noted())
    assert main(["sample", "--prompt", "The", "--max_new_tokens", "4"]) == 0
    written = noted.getvalue()
    assert [written[:n] for n in range(3, 8)] == noted.flushed[:5]
    monkeypatch.setattr("sys.stdout", noted := Noted())
    assert main(["train", "--data", "text.txt", "--out", "new", "--max_iters", "1", *TINY]) == 0
    first, second, *_ = noted.flushed
    assert first.splitlines()[-1].startswith("cores: ") and "before training:" not in first
    assert second.startswith(first + "it writes, before training:\n") and second.endswith("\n")


def test_a_text_that_the_model_writes_is_set_apart_line_by_line(trained, capsys, monkeypatch):
    monkeypatch.setattr(Run, "sample", lambda run: "one\n\n two")
    assert main(["train", "--resume"]) == 0
    assert "it writes, after training:\n    one\n    \n     two\nvalidation" in capsys.readouterr().out


def test_a_checkpoint_is_measured_in_the_windows_that_are_asked_for(trained, capsys):
    assert main(["eval", "--block_size", "5"]) == 0
    assert "over all 89 characters, in windows of 5 characters: " in capsys.readouterr().out
    Path("short.txt").write_text("ab" * 20)
    said = mistake(capsys, "eval", "--data", "short.txt")
    assert said.endswith("a smaller block_size")  # which there is
    assert main(["eval", "--data", "short.txt", "--block_size", "3"]) == 0


def test_a_reader_that_has_seen_enough_is_no_error(trained):
    process = command("sample", "--max_new_tokens", "100000000")
    assert process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def loss_by_hand(path, text, split):
    """The loss over a split of a text, in windows that do not see each other."""
    twin, characters = twin_of(path)
    cut = len(text) * 9 // 10
    ids = torch.tensor([characters.index(c) for c in {"train": text[:cut], "val": text[cut:]}[split]])
    with torch.no_grad():
        windows = [(ids[i : i + 8], ids[i + 1 : i + 9]) for i in range(0, len(ids) - 1, 8)]
        losses = [twin(x[None, : len(y)], y[None])[1].item() * len(y) for x, y in windows]
    mean = sum(losses) / (len(ids) - 1)
    bits = f"{mean / math.log(2):.4f}"
    return f"{len(ids) - 1:,} characters, in windows of 8 characters: {mean:.4f} nats, {bits} bits per character, {bits} bits per byte"


def test_evaluation_repeats_the_loss_of_training_which_is_that_by_hand(trained, capsys):
    main(["train", "--resume"])
    wanted = loss_by_hand("out/checkpoint.npz", TEXT, "val")
    assert f"validation loss over all {wanted}\n" in capsys.readouterr().out
    assert main(["eval"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert re.match(r"text.txt: 900 characters, sha256 [0-9a-f]{16}$", first)
    assert second == f"val loss over all {wanted}"


def test_each_flag_of_evaluation_arrives(trained, capsys):
    other = TEXT[::-1]
    Path("other.txt").write_text(other, encoding="utf-8")
    Path("out/checkpoint.npz").rename("other.npz")
    assert main(["eval", "--data", "other.txt", "--checkpoint", "other.npz", "--split", "train"]) == 0
    lines = capsys.readouterr().out.splitlines()
    trained_on = checkpoint.load("other.npz")[0]["sha256"]
    assert lines[1:] == [
        f"note: it was trained on another text, sha256 {trained_on}",
        f"train loss over all {loss_by_hand('other.npz', other, 'train')}",
    ]
    assert lines[0].startswith("other.txt: 900 characters") and trained_on not in lines[0]
    Path("other.txt").write_text(TEXT + "é", encoding="utf-8")
    assert "got 'é'" in mistake(capsys, "eval", "--data", "other.txt", "--checkpoint", "other.npz")


def test_a_finished_run_says_how_to_go_on(trained, capsys):
    assert main(["train", "--resume"]) == 0
    expected = "all 3 steps are made, none is left; to go on, pass a larger --max_iters\n"
    assert expected in capsys.readouterr().out
    assert main(["train", "--resume", "--max_iters", "4"]) == 0
    assert "going on from step 3 of 4" in capsys.readouterr().out


def test_characters_that_the_terminal_lacks_are_replaced(here, monkeypatch):
    Path("text.txt").write_text("äöü" * 300, encoding="utf-8")
    monkeypatch.setattr("sys.stdout", terminal := io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert main(["train", "--data", "text.txt", "--max_iters", "1", *TINY]) == 0
    terminal.flush()
    assert b"???" in terminal.buffer.getvalue()


# ---- mistakes ----


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "data: expected a text file; got bad.txt (No such file or directory)"),
        (b"", "data: expected a file with text; got bad.txt, which is empty"),
        (b"x", "data: expected at least 650 characters for block_size 64; got 1 in bad.txt; take a longer"),
        (b"short" * 20, "data: expected at least 650 characters for block_size 64; got 100 in bad.txt"),
        (TEXT.encode() + b"\xff", "data: expected text in UTF-8; got bad.txt, whose byte 900 (0xff) is not"),
    ],
)
def test_bad_texts_get_one_line(here, capsys, raw, message):
    if raw is not None:
        Path("bad.txt").write_bytes(raw)
    assert message in mistake(capsys, "train", "--data", "bad.txt")


def test_a_folder_for_a_text_gets_one_line(here, capsys):
    assert "got . (Is a directory)" in mistake(capsys, "train", "--data", ".")


def test_a_folder_that_cannot_be_written_gets_one_line_before_training(here, capsys, monkeypatch):
    monkeypatch.setattr("gpt.train.advance", lambda run: pytest.fail("training began"))
    message = mistake(capsys, "train", "--data", "text.txt", "--out", "text.txt", *TINY)
    assert "out: expected a folder to write to; got text.txt (" in message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--n_embd 100 --n_head 6", "GPTConfig: expected n_embd divisible by n_head; got 100 and 6"),
        ("--learning_rate -1e-3", "TrainConfig: expected learning_rate above 0, finite; got -0.001"),
        ("--learning_rate -nan", "TrainConfig: expected learning_rate above 0, finite; got nan"),
        ("--weight_decay -.5", "TrainConfig: expected weight_decay of 0 or more, finite; got -0.5"),
        ("--learning_rate nan", "TrainConfig: expected learning_rate above 0, finite; got nan"),
        ("--learning_rate 1e-5 --min_lr 1e-4", "expected min_lr from 0 to learning_rate (1e-05); got 0.0001"),
        ("--max_iters 0", "TrainConfig: expected max_iters to be a whole number of 1 or more; got 0"),
        ("--dropout 2", "GPTConfig: expected dropout of 0 or more, below 1; got 2.0"),
        ("--max_iters many", "argument --max_iters: expected a whole number; got 'many'"),
        ("--seed 1e3", "argument --seed: expected a whole number; got '1e3'"),
        ("--eval_iters 2.5", "argument --eval_iters: expected a whole number; got '2.5'"),
        ("--learning_rate fast", "argument --learning_rate: expected a number; got 'fast'"),
        ("--activation gelu_nwe", "argument --activation: expected gelu_new, "),
        (
            "--tokenizer byte",
            "argument --tokenizer: expected characters, bytes, gpt2, bpe:SIZE or a path; got 'byte'",
        ),
        (
            "--seed 18446744073709551616",
            "expected seed to be a number in -2**64..2**64; got 18446744073709551616",
        ),
        ("--lora 3", "--lora: expected --init_from, a model that it freezes; got random weights"),
        ("--bias maybe", "argument --bias: expected true or false; got 'maybe'"),
        ("--vocab_size 3", "unrecognized arguments: --vocab_size 3"),
        ("--learning 3", "unrecognized arguments: --learning 3"),
        ("--resume", "checkpoint: expected a file; got"),
        ("--n_embd 1000000000000", "take a smaller --batch_size, --block_size, --n_embd or --n_layer"),
        ("--out=", "argument --out: expected a path; got an empty one"),
        ("--data=", "argument --data: expected a path; got an empty one"),
    ],
)
def test_bad_flags_of_training_get_one_line(here, capsys, flags, message):
    assert message in mistake(capsys, "train", "--data", "text.txt", *flags.split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--prompt", "Hé!"], "encode: expected only the 30 characters of the vocabulary; got '!', 'H', 'é'"),
        (["--temperature", "-1"], "generate: expected temperature of 0 or more, finite; got -1.0"),
        (["--temperature", "nan"], "temperature of 0 or more, finite; got nan"),
        (["--top_k", "-1"], "generate: expected top_k of 0 (all) or more; got -1"),
        (["--top_p", "1.5"], "generate: expected 0 <= top_p <= 1; got 1.5"),
        (["--max_new_tokens", "-5"], "max_new_tokens of 0 or more; got -5"),
        (["--repetition_penalty", "0"], "generate: expected repetition_penalty from 1e-20 to 1e+20; got 0.0"),
        (["--min_new_tokens", "-1"], "generate: expected min_new_tokens of 0 or more; got -1"),
        (["--stop", ""], "write: expected a list of stop strings, none of them empty; got ['']"),
        (
            ["--init_from", "none"],
            "model: expected a folder of a model or a checkpoint; got none, which does not",
        ),
        (["--init_from", "out", "--checkpoint", "x"], "not allowed with argument --init_from"),
        (
            ["--topk", "3"],
            "unrecognized arguments: --topk 3; did you mean --top_k? see python -m gpt sample --help",
        ),
        (["--num_samples", "0"], "--num_samples: expected 1 or more; got 0"),
        (["--temp", "1"], "unrecognized arguments: --temp 1"),
        (
            ["--checkpoint", "none.npz"],
            "checkpoint: expected a file; got none.npz (No such file or directory)",
        ),
        (
            ["--checkpoint", "text.txt"],
            "checkpoint: expected a whole file written by `save`; got text.txt (something else, or cut short)",
        ),
        (["--checkpoint", ""], "argument --checkpoint: expected a path; got an empty one"),
        (["--seed", "-1"], "argument --seed: expected a whole number of 0 or more; got '-1'"),
        (
            ["--checkpoint", "."],
            "checkpoint: expected a file; got ./checkpoint.npz (No such file or directory)",
        ),
    ],
)
def test_bad_flags_of_sampling_get_one_line_and_no_text(trained, capsys, flags, message):
    assert message in mistake(capsys, "sample", *flags)


def test_a_checkpoint_cut_short_gets_one_line(trained, capsys):
    raw = Path("out/checkpoint.npz").read_bytes()
    Path("out/checkpoint.npz").write_bytes(raw[: len(raw) // 2])
    for arguments in (["sample"], ["eval"], ["train", "--resume"]):
        assert "checkpoint: expected a whole file" in mistake(capsys, *arguments)


MEANT = {
    "chat --model Smollm2": "smollm2", "chat --init_from smolm2": "smollm2", "chat --checkpoint gguf2:x": "gguf:FILE",
    "sample --init_from SmolLM": "smollm2", "eval --model HuggingFaceTB/SmolLM2-135M-Instruct": "smollm2",
    "train --init_from smollm-2": "smollm2", "train --tokenizer byte": "bytes", "train --tokenizer GPT-2": "gpt2",
    "train --tokenizer openai/gpt2": "gpt2", "train --tokenizer bpee:300": "bpe:SIZE", "train --tokenizer char": "characters",
    "train --activation gelu_nwe": "gelu_new", "train --activation Swish": "swish", "train --log tensorbord": "tensorboard",
    "sample --memory smal": "small", "eval --split vall": "val", "chat --modle x": "--model", "train --preset gpt2": "--n_layer",
    "train --model gpt2": "--init_from", "sample --out x": "--checkpoint", "eval --out x": "--checkpoint", "smaple": "sample",
}  # fmt: skip


@pytest.mark.parametrize("written", MEANT)
def test_the_name_that_is_nearly_one_is_answered_with_the_one(here, capsys, written):
    assert f"; did you mean {MEANT[written]}? see python -m gpt" in mistake(capsys, *written.split())


def test_a_name_that_is_far_from_all_is_told_what_there_is(here, capsys):
    said = "model: expected a folder of a model or a checkpoint; got gpt2, which does not exist; or smollm2, or gguf:FILE"
    assert said in mistake(capsys, "chat", "--model", "gpt2")
    assert said in mistake(capsys, "train", "--data", "text.txt", "--init_from", "gpt2")


def test_what_is_there_is_meant_whatever_it_is_called(trained, capsys):
    Path("out").rename("smollm")
    for flag in ("--checkpoint", "--init_from", "--model"):
        assert main(["sample", flag, "smollm", "--max_new_tokens", "3"]) == 0
    for activation in ACTIVATIONS:
        flags = ["--data", "text.txt", "--activation", activation, "--block_size", "9999"]
        assert "at least 100,000 characters" in mistake(capsys, "train", *flags)


@pytest.mark.parametrize(
    "flags", ["--n_head 3", "--dropout 1.5", "--tokenizer bpe:x", "--tokenizer bpe:3", "--lora 2"]
)
def test_settings_that_cannot_work_are_refused_before_the_text_is_read(here, capsys, monkeypatch, flags):
    monkeypatch.setattr("gpt.data.Text.load", lambda path: pytest.fail("a text is read"))
    assert "expected" in mistake(capsys, "train", "--data", "text.txt", *flags.split())


@pytest.mark.parametrize(
    "flags",
    ["--n_layer 1000000000", "--n_embd 4000000", "--block_size 1000000000", "--batch_size 1000000000",
     "--gradient_accumulation_steps 1000000000000", "--n_layer 100000000 --n_embd 1 --n_head 1"],
)  # fmt: skip
def test_what_no_machine_can_hold_is_refused_before_the_text_is_read(here, capsys, monkeypatch, flags):
    monkeypatch.setattr("gpt.data.Text.load", lambda path: pytest.fail("a text is read"))
    said = mistake(capsys, "train", "--data", "text.txt", *flags.split())
    assert re.search(
        r"fits into this machine's [\d.,]+ GB of memory; got [\d,]+ weights that learn, from [\d,]+", said
    )
    assert re.search(r"tokens at a time: at least [\d,.]+ GB; take a smaller --batch_size", said)


def test_what_no_machine_can_hold_is_refused_of_a_resumed_and_of_another_model(trained, capsys):
    for flags in (["--resume"], ["--init_from", "out", "--out", "other"]):
        said = mistake(capsys, "train", "--data", "text.txt", "--batch_size", str(10**9), *flags)
        assert "GB of memory; got" in said
    said = mistake(capsys, "train", "--data", "text.txt", "--out", "new", "--ranks", str(10**9))
    assert "--ranks: expected" in said and "16 for each core; got 1000000000" in said


@pytest.mark.parametrize("tokenizer", ["bpe:300", "bytes"])
def test_a_tokeniser_that_works_is_learnt_from_the_text(here, capsys, tokenizer):
    run = Run.new(TrainConfig("text.txt", tokenizer=tokenizer), block_size=8)
    assert {*run.corpus.tokenizer.decode(run.corpus.splits["val"])} <= {*Path("text.txt").read_text()}


def test_a_resumed_run_says_which_settings_are_new(trained, capsys):
    flags = ["--resume", "--max_iters", "3", "--seed", "99", "--log="]
    assert main(["train", *flags]) == 0
    assert re.search(r"^changed: seed \d+ -> 99$", capsys.readouterr().out, re.M)
    assert main(["train", "--resume", "--seed", "1337"]) == 0 and "changed" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["learn"], ["sample", "extra"], ["eval", "--spl", "train"]])
def test_a_command_that_does_not_exist_gets_one_line(here, capsys, arguments):
    assert "--help" in mistake(capsys, *arguments)


def test_without_the_language_reference_the_line_says_what_to_do(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    assert mistake(capsys, "train", *TINY).endswith("pass --data FILE")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_loss_that_explodes_gets_one_line(here, monkeypatch, capfd, workers):
    monkeypatch.setattr("minigrad.parallel.choice.cores", lambda: 2)
    flags = f"--learning_rate 1e30 --warmup_iters 0 --grad_clip 0 --max_iters 9 --workers {workers}"
    assert main(["train", "--data", "text.txt", *flags.split(), *TINY]) == 2
    shown = capfd.readouterr().err
    assert "training: expected a finite loss; got" in shown.splitlines()[-1]
    assert "Warning" not in shown
    assert Run.resume("out").step == 0


def test_weights_that_explode_in_the_last_step_leave_the_checkpoint_before(here, capsys, monkeypatch):
    def last_step(run):
        loss = advance(run)
        run.model.wte.weight.array[...] = math.inf
        return loss

    monkeypatch.setattr("gpt.train.advance", last_step)
    assert main(["train", "--data", "text.txt", "--max_iters", "1", *TINY]) == 2
    expected = "training: expected a finite loss; got nan after step 1; try a smaller learning_rate"
    assert expected in capsys.readouterr().err.splitlines()[-1]
    assert Run.resume("out").step == 0


REFUSED = (
    "--tokenizer bpe:300", "--tokenizer bpe:x", "--tokenizer none", "--data none.txt", "--data few.txt", "--n_embd 7 --n_head 2",
    "--activation none", "--init_from none", "--init_from text.txt", "--block_size 100000", "--lora 999", "--log wandb",
)  # fmt: skip


@pytest.mark.parametrize("out", ["new", "new/below/it", "there"])
@pytest.mark.parametrize("flags", REFUSED)
def test_a_run_that_is_refused_leaves_no_folder_that_it_made(here, capsys, flags, out):
    Path("few.txt").write_text("abc")
    Path("there").mkdir()
    before = sorted(here.rglob("*"))
    mistake(capsys, "train", "--data", "text.txt", "--out", out, *flags.split())
    assert sorted(here.rglob("*")) == before


def test_a_run_that_is_refused_in_python_leaves_no_folder(here):
    with pytest.raises(ValueError, match="at least"):
        Run.new(TrainConfig("text.txt", "new/below"), block_size=10**5)
    assert not Path("new").exists()


def test_a_refused_run_takes_no_folder_away_that_holds_something(here, capsys, monkeypatch):
    load = checkpoint.load
    monkeypatch.setattr("gpt.data.Text.load", lambda path: (Path("new/mine").touch(), load("none"))[1])
    mistake(capsys, "train", "--data", "text.txt", "--out", "new")
    assert Path("new/mine").exists()


def test_fewer_steps_than_are_made_are_refused_and_nothing_changes(trained, capsys):
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    for n in (1, 2):
        said = f"resume: expected max_iters of 3 or more, the steps made; got {n}"
        assert said in mistake(capsys, "train", "--resume", "--max_iters", str(n), "--learning_rate", "3e-4")
        assert {path: path.read_bytes() for path in Path("out").iterdir()} == before
    assert main(["train", "--resume", "--max_iters", "3"]) == 0


def test_a_resume_without_a_checkpoint_leaves_no_folder(here, capsys):
    assert "got nowhere" in mistake(capsys, "train", "--resume", "--out", "nowhere")
    assert not Path("nowhere").exists()


# ---- Ctrl-C ----


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (ChildProcessError("a worker ended"), "stopped after step 3: a worker ended", 3),
        (KeyboardInterrupt(), "\nstopped at once", 130),
    ],
    ids=["a worker's end", "a second Ctrl-C"],
)
def test_an_end_in_the_middle_of_a_step_says_how_to_go_on(trained, capfd, monkeypatch, error, said, code):
    handler = signal.getsignal(signal.SIGINT)

    def ends(run, should_stop):
        os.kill(os.getpid(), signal.SIGINT)  # noted, and no more
        assert should_stop()
        raise error

    monkeypatch.setattr("gpt.commands.train.train", ends)
    Path("out").rename("my out")
    assert main(["train", "--resume", "--out", "my out", "--max_iters", "4"]) == code
    said_before = ["reading the checkpoint and the text ..."]
    assert capfd.readouterr().err.splitlines() == [
        *said_before,
        "",
        "stopping after this step; Ctrl-C again stops at once",
        *f"{said}; the checkpoint is whole: {Path('my out/checkpoint.npz')}".splitlines(),
        "to go on: python -m gpt train --resume --out 'my out'",
    ]
    assert signal.getsignal(signal.SIGINT) is handler


def train_until_it_steps(*flags):
    """Start a long training run; return the process once it trains."""
    process = command(
        "train", "--data", "text.txt", "--max_iters", "1000000", "--eval_interval", "50", *TINY, *flags
    )
    for line in process.stdout:
        if line.startswith("step     50"):
            return process
    raise AssertionError(process.stderr.read())


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(here, capsys):
    process = train_until_it_steps()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    stopped, go_on = errors.splitlines()[-2:]
    step = int(
        re.match(r"stopped after step ([\d,]+); the checkpoint is whole: ", stopped)[1].replace(",", "")
    )
    assert go_on == "to go on: python -m gpt train --resume --out out"
    assert Run.resume("out").step == step >= 50

    assert main(["train", "--resume", "--out", "out", "--max_iters", str(step + 3)]) == 0
    assert f"going on from step {step:,} of {step + 3:,}" in capsys.readouterr().out
    assert Run.resume("out").step == step + 3


def test_a_hail_of_ctrl_c_leaves_a_whole_checkpoint(here):
    process = train_until_it_steps()
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        threading.Event().wait(0.002)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), errors
    assert Run.resume("out").step >= 50
