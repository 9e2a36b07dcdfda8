"""What cannot be is refused in one line that says what was expected: no error comes from the inside."""

import re

import numpy as np
import pytest

import minigrad as mg
import nn
from gpt import checkpoint, tokens
from gpt.config import GPTConfig, LlamaConfig, TrainConfig
from gpt.data import Corpus, Text, clean
from gpt.generate import sample
from gpt.llama import Llama
from gpt.memory import check_training
from gpt.model import GPT
from gpt.pretrained import from_state_dict, save_pretrained
from gpt.pretrained.anywhere import open_model
from gpt.run import Run
from gpt.tokens import BPE, Bytes, Characters, Decoder
from gpt.train import train
from gpt.writing import write
from minigrad.random import Generator
from nn import lora
from nn.optim.groups import decay_groups

SMALL = {"block_size": 5, "vocab_size": 11, "n_layer": 3, "n_embd": 8, "n_head": 4}
SIZES = {
    "tied": GPTConfig(**SMALL), "a head of its own": GPTConfig(**SMALL, tied=False),
    "a Llama": LlamaConfig(**SMALL, n_kv_head=2, n_hidden=7), "its own head": LlamaConfig(**SMALL, n_kv_head=4, tied=False),
}  # fmt: skip


# ---- more than the machine can hold ----


@pytest.mark.parametrize("name", SIZES)
def test_the_weights_of_a_size_are_counted_before_they_are_made(name):
    made = GPT if isinstance(SIZES[name], GPTConfig) else Llama
    matrices = [p for p in made(SIZES[name], rng=Generator(0)).parameters() if p.ndim == 2]
    assert SIZES[name].weights == sum(p.numel() for p in matrices)


@pytest.fixture
def memory(monkeypatch):
    """A function that gives this machine so many bytes of memory."""
    return lambda size: monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": size}.get)


@pytest.mark.parametrize("name", SIZES)
def test_a_model_is_made_where_it_fits_and_refused_where_a_byte_is_missing(memory, name):
    size = SIZES[name]
    made, need = GPT if isinstance(size, GPTConfig) else Llama, 4 * (size.weights + 3 * 2000)
    memory(need)
    made(size)
    memory(need - 1)
    expected = (
        rf"^{made.__name__}: expected what fits .* 0.0 GB of memory; got {size.weights:,} weights: at least"
    )
    with pytest.raises(ValueError, match=expected):
        made(size)


@pytest.mark.parametrize(
    ("settings", "ranks", "copies", "ids"),
    [
        ({"batch_size": 2}, 1, 4, 40),
        ({"batch_size": 2, "gradient_accumulation_steps": 3}, 1, 4, 120),
        ({"batch_size": 2, "lora": 1}, 1, 1, 40),
        ({"batch_size": 4}, 2, 4, 80),
    ],
)
def test_training_needs_room_for_gradients_averages_and_what_a_batch_saves(
    memory, settings, ranks, copies, ids
):
    """Two rows of five tokens for each rank, of which each saves six rows of 8 in each of 3 blocks, and 11 logits."""
    size, config = SIZES["tied"], TrainConfig(**settings)
    numbers = copies * size.weights + 3 * 2000 + 2 * 5 * (6 * 3 * 8 + 11) + ids
    memory(4 * numbers)
    check_training(config, size, 0, ranks)
    memory(4 * numbers - 1)
    with pytest.raises(ValueError, match=rf"^train: expected .*; got {size.weights:,} weights that learn"):
        check_training(config, size, 5, ranks)


def test_where_the_system_does_not_say_how_much_memory_there_is_nothing_is_refused(monkeypatch):
    for error in (AttributeError, OSError, ValueError):

        def sysconf(name, error=error):
            raise error

        monkeypatch.setattr("os.sysconf", sysconf)
        assert check_training(TrainConfig(batch_size=10**9), GPTConfig(n_layer=10**9), 0, 1) is None


# ---- what is of another kind ----

TINY = {"block_size": 8, "vocab_size": 11, "n_layer": 1, "n_head": 1, "n_embd": 4}
MODEL = GPT(GPTConfig(**TINY), rng=Generator(0))
LLAMA = Llama(LlamaConfig(**TINY, n_kv_head=1, n_hidden=4), rng=Generator(0))
ODD = (None, 2.5, -1, "word", object(), [], {}, float("nan"), [None], 10**30)
PARAMETER = nn.Parameter(np.ones((2, 2), np.float32))
# by the name of what is called: a function of one argument, and which of ODD it takes
TAKERS = {
    "GPT": (GPT, ()), "Llama": (Llama, ()), "GPT(ids)": (MODEL, ()), "Llama(ids)": (LLAMA, ()),
    "generate": (lambda x: MODEL.generate(x, 2), ()), "sample": (sample, ()), "targets": (lambda x: MODEL([[1, 2]], x), (None,)),
    "from_pretrained": (GPT.from_pretrained, ()), "open_model": (open_model, ()), "save_pretrained": (lambda x: save_pretrained(x, "."), ()),
    "from_state_dict": (from_state_dict, ()), "build_model": (lambda x: checkpoint.build_model(x, x), ()), "load": (checkpoint.load, ()),
    "Decoder": (Decoder, ()), "decode": (Bytes().decode, ([],)), "encode": (Bytes().encode, ("word",)), "Characters": (Characters, ()),
    "from_parts": (lambda x: BPE.from_parts(x, []), ([], {}, "word")), "merges": (lambda x: BPE.from_parts(["a"], x), ([], {})),
    "words": (lambda x: BPE.from_parts(["a"], [], words=x), ()), "special": (lambda x: BPE.from_parts(["a"], [], x), ([], {})),
    "BPE": (BPE, ()), "choose": (lambda x: tokens.choose(x, "abc"), ()), "tokens.load": (tokens.load, ()),
    "Text": (lambda x: Text("name", x), ("word",)), "Text.load": (Text.load, (None, [], {})), "Corpus.of": (Corpus.of, ()),
    "clean": (clean, ("word",)), "write": (lambda x: write(MODEL, x, np.ones((1, 1), int), 2), ()),
    "Run.new": (Run.new, ()), "Run.resume": (Run.resume, ()), "train": (train, ()), "preset": (GPTConfig.preset, ()),
    "decay_groups": (lambda x: decay_groups(x, 0.1), ()), "lora.add": (lambda x: lora.add(x, 1), ()), "lora.merge": (lora.merge, ()),
    "AdamW": (nn.optim.AdamW, ()), "lr": (lambda x: nn.optim.AdamW([PARAMETER], lr=x), (2.5, 10**30)),
    "betas": (lambda x: nn.optim.AdamW([PARAMETER], betas=x), ()),
    "max_norm": (lambda x: nn.utils.clip_grad_norm_([PARAMETER], x), (2.5, 10**30)),
    "Linear": (lambda x: nn.Linear(x, 2), ()), "Linear(x)": (nn.Linear(2, 2), ()), "Embedding": (lambda x: nn.Embedding(x, 2), ()),
    "Block": (lambda x: nn.Block(x, x), ()), "heads": (lambda x: nn.Block(4, x), ()), "LlamaBlock": (lambda x: nn.LlamaBlock(x, x, x, x), ()),
    "Conv": (lambda x: nn.Conv1d(x, 2, 1), ()), "ConvTranspose": (lambda x: nn.ConvTranspose2d(x, 2, 1), ()), "RNN": (lambda x: nn.LSTM(x, 2), ()),
    "RNNCell": (lambda x: nn.GRUCell(2, x), ()), "MultiheadAttention": (lambda x: nn.MultiheadAttention(x, 1), ()),
    "BatchNorm": (nn.BatchNorm1d, ()), "RMSNorm": (nn.RMSNorm, ([], {})), "table": (nn.Embedding.from_pretrained, ()),
    "LayerNorm": (nn.LayerNorm, ([], {})), "Dropout": (nn.Dropout, ()), "ModuleList": (nn.ModuleList, (None, [], {}, [None])),
    "zeros_like": (mg.zeros_like, ([], -1, 2.5, float("nan"))), "eye": (mg.eye, ()), "exp": (mg.exp, ([], -1, 2.5, float("nan"))),
    "maximum": (lambda x: mg.maximum(x, mg.ones(2)), (-1, 2.5, float("nan"))), "cat": (lambda x: mg.cat([x, x]), ([],)),
    "matmul": (lambda x: mg.matmul(x, mg.ones(2, 2)), ()), "relu": (mg.relu, ([], -1, 2.5, float("nan"))),
    "+": (lambda x: mg.ones(2) + x, (-1, 2.5, float("nan"), 10**30)),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKERS)
def test_what_is_of_another_kind_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    take, fine = TAKERS[name]
    for odd in ODD:
        if (
            any(odd is each or type(odd) is type(each) and odd == each for each in fine)
            or odd != odd
            and any(x != x for x in fine)
        ):
            take(odd)
            continue
        with pytest.raises((ValueError, TypeError, OSError, IndexError, OverflowError)) as caught:
            take(odd)
        assert re.search(r"^[\w. ,+]+: expected .*; got ", str(caught.value)), (odd, caught.value)
        assert "\n" not in str(caught.value)
