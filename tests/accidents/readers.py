"""All that reads files: for each, a whole file and what it makes of one. A new reader adds itself here, and is tried like the others."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from gpt import checkpoint
from gpt.config import GPTConfig, TrainConfig
from gpt.data import read_text
from gpt.model import GPT
from gpt.pretrained import gguf
from gpt.run import Run
from gpt.tokens import BPE, Characters, Tokenizer
from gpt.train import advance, train
from minigrad.random import Generator
from nn.torch_names import saving

TEXT = "The quick brown fox jumps over the lazy dog.\n" * 8
SIZES = {"block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8}
REFUSALS = (ValueError, OSError, ImportError, FloatingPointError)  # what the command line answers in one line


@dataclass(frozen=True)
class Reader:
    """`make(folder)` writes a whole file and returns its path; `read(path)` returns what can be compared.

    `verified` files hold a checksum of every number: damaged, they are refused or give the same.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    verified: bool = False
    zipped: bool = False


READERS: dict[str, Reader] = {}


def plain(value):
    """Return a value as nested tuples that can be compared bit for bit."""
    if isinstance(value, dict):
        return tuple((plain(key), plain(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return type(value).__name__, *map(plain, value)
    if isinstance(value, mg.Tensor):
        return type(value).__name__, value.requires_grad, plain(value._data)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.str, value.shape, value.tobytes()
    return repr(value)


def tiny_run(folder, max_iters, **settings):
    """Begin a run of a tiny model in a folder."""
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    data, out = str(folder / "text.txt"), str(folder)
    return Run.new(
        TrainConfig(data, out, max_iters=max_iters, batch_size=2, eval_iters=1, **settings),
        **SIZES,
        dropout=0.1,
    )


def a_run(folder):
    """Train two steps in a folder; return the checkpoint."""
    with tiny_run(folder, 2) as run:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            train(run)
    return run.checkpoint


def resumed(path):
    """Return all that a resumed run has, and what it learns in one step more."""
    with Run.resume(str(path.parent)) as run:
        learnt = advance(run)
    return plain([run.losses, run.evaluations, learnt, run.model.state_dict(), run.batch_rng.state()])


def sampled(path):
    """Return what `sample` needs: the model and its vocabulary."""
    model, vocabulary = checkpoint.build_model(*checkpoint.load(path))
    return plain([model.config, model.state_dict(), vocabulary.decode(range(model.config.vocab_size))])


def saved(folder):
    """Write what a script gives to torch.save."""
    model = mg.nn.Linear(3, 2) if hasattr(mg, "nn") else None
    weight = mg.tensor(np.arange(300, dtype=np.float32))
    value = {
        "weight": weight,
        "again": weight[3:],
        "n": 3,
        "lr": 1e-3,
        "names": ["a", ("b", None)],
        "m": model and model.state_dict(),
    }
    saving.save(value, folder / "a.pt")
    return folder / "a.pt"


def written_text(folder):
    """Write a text of several bytes a character."""
    (folder / "a.txt").write_text("grün, 本, \r\n🙂" * 9, encoding="utf-8", newline="")
    return folder / "a.txt"


def tokeniser(make):
    """Return what writes a tokeniser to a file."""

    def write(folder):
        make().save(folder / "tokenizer.json")
        return folder / "tokenizer.json"

    return write


def spoken(path):
    """Return what a tokeniser makes of a text."""
    found = Tokenizer.load(path)
    return plain([found.encode("The quick brown fox"), found.decode(range(found.n_vocab)), found.special])


def hugging_face(folder):
    """Write a model as a folder of Hugging Face's; return its weights."""
    model = GPT(GPTConfig(vocab_size=30, **SIZES), rng=Generator(0))
    model.save_pretrained(folder)
    return folder / "model.safetensors"


def pretrained(path):
    """Return the model of a folder."""
    model = GPT.from_pretrained(path.parent)
    return plain([model.config, model.state_dict()])


def quantised(folder):
    """Write a small Llama as GGUF."""
    from tests.test_gguf import Type, write

    return write(folder / "a.gguf", Type.Q8_0)


READERS["checkpoint"] = Reader(a_run, sampled, verified=True, zipped=True)
READERS["run"] = Reader(a_run, resumed, verified=True, zipped=True)
READERS["torch.load"] = Reader(saved, lambda path: plain(saving.load(path)), verified=True, zipped=True)
READERS["characters"] = Reader(tokeniser(lambda: Characters.of(TEXT)), spoken, verified=True)
READERS["byte pairs"] = Reader(tokeniser(lambda: BPE.train([TEXT], 300)), spoken, verified=True)
READERS["safetensors"] = Reader(hugging_face, pretrained)
READERS["config.json"] = Reader(lambda folder: hugging_face(folder).with_name("config.json"), pretrained)
READERS["gguf"] = Reader(quantised, lambda path: plain(gguf.load(path).state_dict()))
READERS["text"] = Reader(written_text, read_text)


def outcome(reader, path):
    """Return ("read", what it gives) or ("refused", the line); anything else is a fault, and raised."""
    try:
        return "read", reader.read(path)
    except REFUSALS as error:
        line = str(error)
        if "\n" in line or not line:
            raise AssertionError(f"a refusal is one line: {line!r}") from error
        return "refused", line
