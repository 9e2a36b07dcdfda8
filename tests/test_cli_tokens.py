"""The command line with other tokenisers than characters: train, sample and eval, end to end."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from gpt import checkpoint
from gpt.__main__ import main
from gpt.data import Corpus
from gpt.generate import generate
from gpt.train import mean_loss
from minigrad.random import Generator

TEXT = "Grüße 🙂 an alle; “die Füchse” übermäßig.\r\n" * 30
TINY = "--n_layer 1 --n_head 2 --n_embd 8 --block_size 8 --batch_size 2 --eval_iters 1 --max_iters 2".split()
UNITS = {"bytes": "byte", "bpe:270": "token", "characters": "character"}


@pytest.fixture(params=UNITS)
def trained(request, tmp_path, monkeypatch, capsys):
    """What training with a tokeniser printed, in the folder of its checkpoint; and the tokeniser's name."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert main(["train", "--data", "text.txt", "--tokenizer", request.param, *TINY]) == 0
    return capsys.readouterr().out, request.param


def test_losses_are_told_in_the_tokenizers_unit_and_by_byte_of_text(trained, capsys):
    printed, name = trained
    unit = UNITS[name]
    assert f"losses in nats per {unit}\n" in printed
    assert main(["eval"]) == 0
    told = capsys.readouterr().out.splitlines()[-1].removeprefix("val ")
    assert f"validation {told}\n" in printed
    model, tokenizer = checkpoint.build_model(*checkpoint.load("out/checkpoint.npz"))
    corpus = Corpus.load("text.txt", tokenizer)
    nats, ids = mean_loss(model, corpus.windows("val", 8)), corpus.splits["val"]
    clean = TEXT.replace("\r\n", "\n")
    held_out = clean[int(len(clean) * 0.9) :].encode()
    assert corpus.tokenizer.bytes_of(ids) == held_out
    first = len(corpus.tokenizer.bytes_of(ids[:1]))
    by_byte = nats * (len(ids) - 1) / math.log(2) / (len(held_out) - first)
    assert told.startswith(
        f"loss over all {len(ids) - 1:,} {unit}s, in windows of 8 {unit}s: {nats:.4f} nats, "
    )
    assert told.endswith(f"{by_byte:.4f} bits per byte")
    assert re.findall(r"(\S+) bits per (\w+)", told)[0] == (f"{nats / math.log(2):.4f}", unit)


def test_a_sample_continues_the_clean_prompt_and_cuts_no_character(trained, capsys):
    given = ["--prompt", "\ufeffalle\r\nü", "--max_new_tokens", "60", "--temperature", "1.5"]
    assert main(["sample", *given]) == 0
    written = capsys.readouterr().out
    model, tokenizer = checkpoint.build_model(*checkpoint.load("out/checkpoint.npz"))
    start = tokenizer.encode("alle\nü").astype(np.int64)[None]
    ids = [new[0] for new in generate(model, start, 60, 1.5, rng=Generator(1337))]
    assert written == "alle\nü" + tokenizer.decode(ids) + "\n"


def test_going_on_needs_the_same_tokenizer(trained, capsys):
    other = "bytes" if trained[1] != "bytes" else "characters"
    assert main(["train", "--resume", "--tokenizer", other]) == 2
    assert f"expected tokenizer as before, {trained[1]!r}; got {other!r}" in capsys.readouterr().err
    assert main(["train", "--resume", "--max_iters", "3"]) == 0
    assert "going on from step 2 of 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("words", "tokenizer: expected characters, bytes, gpt2, bpe:SIZE or a path; got 'words'"),
        ("bpe:100", "BPE.train: expected more than 256 tokens"),
        ("/dev/zero", "which is a device"),
        ("text.txt", "tokenizer: expected JSON; got text.txt"),
    ],
)
def test_a_tokenizer_that_cannot_be_used_is_one_line(tmp_path, monkeypatch, capsys, name, message):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    assert main(["train", "--data", "text.txt", "--tokenizer", name, *TINY]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert message in line


def test_a_text_that_has_changed_since_is_named_before_its_characters_are(trained, capsys):
    Path("text.txt").write_text(TEXT + "漢", encoding="utf-8")
    status = main(["eval"])
    shown = capsys.readouterr()
    assert "note: it was trained on another text, sha256 " in shown.out
    assert status == (2 if trained[1] == "characters" else 0)
    assert ("got '漢'" in shown.err) == (trained[1] == "characters")


def test_a_checkpoint_is_named_by_its_file_or_its_folder(trained, capsys):
    assert main(["sample", "--max_new_tokens", "9"]) == 0
    wanted = capsys.readouterr().out
    assert main(["sample", "--max_new_tokens", "9", "--checkpoint", "out"]) == 0
    assert capsys.readouterr().out == wanted


def test_what_is_called_gguf_is_read_as_gguf(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("# not a model\n" * 9)
    assert main(["sample", "--init_from", "gguf:README.md"]) == 2
    assert "GGUF: expected" in capsys.readouterr().err
