"""Generation: every setting does what transformers' does; rows of a batch are as they are alone, cached or not."""

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from transformers import GPT2Config, GPT2LMHeadModel, RepetitionPenaltyLogitsProcessor

from gpt.config import GPTConfig, LlamaConfig
from gpt.generate import generate, penalise
from gpt.llama import Llama
from gpt.model import GPT
from gpt.pretrained import from_pretrained, from_state_dict
from minigrad.random import Generator
from nn.functional.embedding import as_ids

SMALL = GPTConfig(block_size=16, vocab_size=13, n_layer=2, n_head=2, n_embd=8)
SIZES = {
    "block_size": 16,
    "vocab_size": 13,
    "n_layer": 2,
    "n_head": 4,
    "n_kv_head": 2,
    "n_embd": 16,
    "n_hidden": 20,
}


def lively(model, seed=0):
    """A model with random weights so large that its tokens vary, in float64."""
    rng = np.random.default_rng(seed)
    model.double()
    state = {name: a.numpy() + 0.7 * rng.standard_normal(a.shape) for name, a in model.state_dict().items()}
    model.load_state_dict(state)
    return model.eval()


MODELS = {
    "GPT": lambda: lively(GPT(SMALL, rng=Generator(0))),
    "Llama": lambda: lively(Llama(LlamaConfig(**SIZES), rng=Generator(0))),
}


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    return MODELS[request.param]()


SEEDS = {"GPT": 0, "Llama": 2}  # of models that write every token that a test waits for


@pytest.fixture(scope="module", params=MODELS)
def both(request, tmp_path_factory):
    """A model of ours, and transformers' with the same weights."""
    torch.manual_seed(SEEDS[request.param])
    ids = {"bos_token_id": 0, "eos_token_id": None}
    if request.param == "GPT":
        config = GPT2Config(vocab_size=13, n_positions=40, n_embd=8, n_layer=2, n_head=2, **ids)
        theirs = GPT2LMHeadModel(config).double().eval()
    else:
        sizes = {
            "hidden_size": 16,
            "intermediate_size": 20,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
        }
        config = transformers.LlamaConfig(
            vocab_size=13, max_position_embeddings=40, num_hidden_layers=2, **sizes, **ids
        )
        theirs = transformers.LlamaForCausalLM(config).double().eval()
    with torch.no_grad():
        for p in theirs.parameters():
            p += 0.7 * torch.randn_like(p)
    if request.param == "GPT":
        return from_state_dict(theirs.state_dict(), n_head=2), theirs
    folder = tmp_path_factory.mktemp("llama")
    theirs.save_pretrained(folder)
    return from_pretrained(folder), theirs


def written(rows, n):
    """A cache of SMALL's with n tokens of these rows."""
    model = GPT(SMALL, rng=Generator(0))
    model(np.ones((rows, n), int), None, cache := model.new_cache())
    return cache


def prompts(seed, lengths):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 13, n) for n in lengths]


def theirs_continues(theirs, rows, n, **settings):
    """What transformers writes behind rows of any lengths, padded on the left; ends are padded with the first of eos."""
    longest, eos = max(map(len, rows)), settings.pop("eos", None)
    ids = torch.tensor([[0] * (longest - len(row)) + [*map(int, row)] for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    pad = None if eos is None else np.ravel(eos)[0].item()
    with torch.no_grad():
        found = theirs.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=n,
            do_sample=False,
            eos_token_id=eos,
            pad_token_id=pad,
            **settings,
        )
    return found[:, longest:].numpy()


# ---- against transformers ----


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"repetition_penalty": 1.3}, {"repetition_penalty": 0.8}, {"repetition_penalty": 50.0}, {"eos": 5}, {"eos": [2, 12]},
        {"eos": [2, 12], "min_new_tokens": 6}, {"eos": 5, "min_new_tokens": 15}, {"eos": [2, 5, 11], "repetition_penalty": 1.7},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("lengths", [(4,), (3, 3, 3)])
def test_greedy_tokens_are_those_of_transformers(both, settings, lengths):
    ours, theirs = both
    rows = prompts(len(lengths), lengths)
    wanted = theirs_continues(theirs, rows, 15, **settings)
    found = np.array([*generate(ours, rows, 15, 0.0, **settings)]).T
    assert_array_equal(found, wanted)
    if settings:
        assert found.tolist() != theirs_continues(theirs, rows, 15).tolist() or settings == {
            "repetition_penalty": 0.8
        }


def test_prompts_of_different_lengths_are_continued_as_by_transformers_with_padding_and_mask(both):
    ours, theirs = both
    rows = prompts(4, (2, 7, 5))
    wanted = theirs_continues(theirs, rows, 12, repetition_penalty=1.2)
    assert_array_equal(np.array([*generate(ours, rows, 12, 0.0, repetition_penalty=1.2)]).T, wanted)


@given(st.floats(0.1, 10), st.integers(0, 2**32))
def test_the_penalty_is_that_of_transformers(penalty, seed):
    rng = np.random.default_rng(seed)
    logits, ids = rng.standard_normal((3, 9)) * 5, rng.integers(0, 9, (3, 4))
    seen = np.zeros((3, 9), bool)
    seen[np.arange(3)[:, None], ids] = True
    before = logits.copy()
    wanted = RepetitionPenaltyLogitsProcessor(penalty)(torch.from_numpy(ids), torch.from_numpy(logits.copy()))
    assert_array_equal(penalise(logits, seen, penalty), wanted.numpy())
    assert_array_equal(logits, before)


# ---- rows of a batch ----


SETTINGS = [
    {"temperature": 0.0},
    {"temperature": 0.9, "top_k": 5},
    {"temperature": 1.2, "repetition_penalty": 1.5, "eos": (1, 4), "min_new_tokens": 3},
]


@pytest.mark.parametrize("name", MODELS)
@given(st.lists(st.integers(1, 25), min_size=1, max_size=4), st.sampled_from(SETTINGS), st.integers(0, 22))
def test_each_row_of_a_batch_is_what_it_is_alone(name, lengths, settings, n):
    model, rows = MODELS[name](), prompts(len(lengths), lengths)
    rngs = [Generator(i) for i in range(len(rows))]
    together = [*generate(model, rows, n, rng=rngs, **settings)]
    for i, row in enumerate(rows):
        alone = [*generate(model, row[None], n, rng=Generator(i), **settings)]
        assert [int(new[i]) for new in together[: len(alone)]] == [int(new[0]) for new in alone]
        assert all(new[i] == settings["eos"][0] for new in together[len(alone) :])


def test_the_logits_of_each_row_are_those_of_the_row_alone_cached_or_not(model, monkeypatch):
    rows, seen = prompts(3, (2, 9, 5)), []
    forward = type(model).forward

    def noted(self, idx, targets=None, cache=None):
        logits, loss = forward(self, idx, targets, cache)
        seen.append(logits.array[:, -1])
        return logits, loss

    monkeypatch.setattr(type(model), "forward", noted)
    found = [row.tolist() for row in model.generate(rows, 12, 0.0)]
    monkeypatch.undo()
    assert [len(row) for row in found] == [14, 21, 17]
    for i, row in enumerate(found):
        for step, logits in enumerate(seen):
            read = row[: 2 + step][-SMALL.block_size :]
            if 2 + step < len(row):
                alone, _ = model(np.array([read]))
                assert_allclose(logits[i], alone.array[0, -1], rtol=1e-10, atol=1e-10)


# ---- ends, callbacks, caches ----


def test_rows_of_different_lengths_come_back_each_up_to_its_end(both):
    ours, _ = both
    rows = prompts(4, (2, 7, 5))
    plain = ours.generate(rows, 9, 0.0)
    end = int(plain[1][9])  # the third new token of the second row
    for eos in (end, {end, 12}):
        for row, longer, prompt in zip(ours.generate(rows, 9, 0.0, eos=eos), plain, rows):
            cut = [
                i
                for i in range(len(prompt), len(longer))
                if longer[i] in np.ravel([*np.atleast_1d(end), *([12] * (eos != end))])
            ]
            assert row.tolist() == longer[: cut[0] + 1 if cut else None].tolist()


def test_a_callback_sees_each_step_and_may_end_it(model):
    row, seen = prompts(0, (3,))[0][None], []
    whole = model.generate(row, 8, 0.0, callback=seen.append)
    assert_array_equal(np.array(seen).T, whole[:, 3:])
    count = []
    stopped = model.generate(row, 8, 0.0, callback=lambda new: count.append(new) or len(count) == 3)
    assert_array_equal(stopped, whole[:, :6])
    assert_array_equal(model.generate(row, 8, 0.0, callback=lambda new: np.True_), whole[:, :4])
    for call in (lambda: model.generate(row, 8, callback=5), lambda: generate(5, row, 8)):
        with pytest.raises(TypeError, match="^generate.*: expected a .*; got 5$"):
            call()


@pytest.mark.parametrize("lengths, n", [((3,), 4), ((3,), 13), ((3,), 30), ((2, 6), 30), ((20,), 2)])
def test_a_cache_that_was_used_goes_on_as_none_would_or_is_refused(model, lengths, n):
    rows = prompts(1, lengths)
    given = model.generate(rows, n, 0.0, cache=(cache := model.new_cache()))
    length = cache[0]["length"]
    assert length == (min(max(lengths) + n - 1, SMALL.block_size) if min(lengths) <= SMALL.block_size else 0)
    plain = model.generate(given, 3, 0.0)
    for row, wanted in zip(model.generate(given, 3, 0.0, cache=cache), plain):
        assert_array_equal(row, wanted)
    if length:
        length = cache[0]["length"]
        with pytest.raises(ValueError, match=f"a cache of the first tokens of idx; got {length} tokens"):
            model.generate([row[: length - 1] for row in given], 3, cache=cache)
    with pytest.raises(ValueError, match="cache"):
        model.generate([*given, given[0]], 3, cache=cache) if length else generate(model, given, 3, cache=5)


@pytest.mark.parametrize("n", [0, 1, 6, 30])
def test_a_cache_of_the_first_tokens_is_not_computed_again(model, monkeypatch, n):
    row = prompts(5, (9,))[0][None]
    wanted = [*generate(model, row, n, 0.0)]
    cache, forward, read = model.new_cache(), type(model).forward, []
    for _ in generate(model, row[:, :4], 3, 0.0, cache=cache):
        pass
    for part in cache:  # what was written behind the fourth token was other text
        part["length"] = 4
    monkeypatch.setattr(
        type(model), "forward", lambda self, idx, *a: (read.append(idx.shape[1]), forward(self, idx, *a))[1]
    )
    assert_array_equal([*generate(model, row, n, 0.0, cache=cache)], wanted)
    assert read[:2] == [5, 1][:n]
    assert cache[0]["length"] == min(9 + n - 1, SMALL.block_size) if n else 4


@pytest.mark.parametrize(
    ("idx", "settings", "message"),
    [
        ([[1, 2], []], {}, r"idx \(B, T\) with at least one token a row, or a list of such rows; got \[\(2,\), \(0,\)\]"),
        ([], {}, "at least one token a row"),
        ([[1, 2], [[1]]], {}, "at least one token a row"),
        ([[1, 13]], {}, r"ids in 0..12; got 1..13"),
        ([[1, -1], [2]], {}, r"ids in 0..12; got -1..1"),
        ([[1]], {"repetition_penalty": 0.0}, "repetition_penalty from 1e-20 to .*; got 0.0"),
        ([[1]], {"repetition_penalty": float("nan")}, "repetition_penalty from 1e-20"),
        ([[1]], {"eos": 13}, "generate, eos: expected ids in 0..12; got 13..13"),
        ([[1]], {"eos": [2, -1]}, "eos: expected ids in 0..12; got -1..2"),
        ([[1]], {"min_new_tokens": -1}, "min_new_tokens of 0 or more; got -1"),
        ([[1]], {"max_new_tokens": 1.5}, "max_new_tokens of 0 or more; got 1.5"),
        ([[1]], {"rng": []}, "a generator for each of 1 rows; got 0"),
        ([[1, 2]], {"cache": written(1, 2)}, "a cache of the first tokens of idx; got 2 tokens"),
        ([[1, 2, 3]] * 2, {"cache": written(1, 2)}, r"cache .* \(2, 2, 4\); got 2 of \(1, 2, 4\)"),
        ([[1, 2, 3]], {"cache": written(2, 2)}, r"cache .* \(1, 2, 4\); got 2 of \(2, 2, 4\)"),
        *(([[1, 2, 3]], {"cache": odd}, "a cache from new_cache") for odd in (5, [], [{}], written(1, 2)[:1], ["length"] * 2)),
        ([[1]], {"eos": 10**30}, f"ids in 0..12; got {10**30}"),
        (np.array(5), {}, r"at least one token a row, or a list of such rows; got \(\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line_before_the_first_token(idx, settings, message):
    with pytest.raises(ValueError, match=message):
        generate(GPT(SMALL), idx, **{"max_new_tokens": 1, **settings})


def test_a_list_of_rows_of_one_length_is_an_array(model):
    rows = prompts(0, (4, 4))
    assert_array_equal(model.generate(rows, 3, 0.0), model.generate(np.array(rows), 3, 0.0))
    assert as_ids("", rows, next(model.parameters())).shape == (2, 4)


@pytest.mark.parametrize("temperature", [0, 1, 5])
@pytest.mark.parametrize(
    "settings", [{}, {"top_k": 12}, {"rng": [Generator(1), Generator(2)]}, {"repetition_penalty": 0.1}]
)
def test_ids_that_are_no_tokens_are_never_drawn(model, temperature, settings):
    rows = np.array([[1, 2], [3, 0]])

    def drawn(n):
        return model.generate(rows, 60, temperature, **{"rng": Generator(0), **settings, "n_vocab": n})

    assert drawn(4).max() <= 3 < drawn(13).max()
    for n in (0, 14, -1, 2.5, 4.0, True, "3", [4], np.array([4])):
        with pytest.raises(
            ValueError, match=r"^generate: expected n_vocab in 1\.\.13, the model's; got [^\n]+$"
        ):
            drawn(n)


# ---- settings of another kind ----


@pytest.mark.parametrize(
    "settings, message",
    [
        *(({"eos": odd}, "eos to be whole numbers; got") for odd in (1.5, True, [1.5], [True], "ab", [[1, 2]])),
        *(({"eos": odd}, r"eos: expected ids in 0\.\.12; got") for odd in (-1, 13, [3, 99])),
        ({"eos": range(13), "min_new_tokens": 2}, "a token that is not of eos, for min_new_tokens; got all of them"),
        *(({"top_k": odd}, r"top_k of 0 \(all\) or more; got") for odd in (2.5, 2.0, True, "3", -1)),
        *(({"temperature": odd}, "temperature of 0 or more, finite; got") for odd in (None, "a", [1.0], True, np.ones((2, 2)), GPT(SMALL))),
        *(({"top_p": odd}, "0 <= top_p <= 1; got") for odd in ("1", [0.5], 2)),
        *(({"repetition_penalty": odd}, "repetition_penalty from 1e-20 to .*; got") for odd in (None, "a", 0)),
        *(({"repetition_penalty": odd}, r"repetition_penalty from 1e-20 to 1e\+20; got") for odd in (1e-320, 1e39)),
        *(({"rng": odd}, "rng a Generator, a list of them, or None; got") for odd in (3, np.random.default_rng(0), [3])),
        *(({"min_new_tokens": odd}, "min_new_tokens of 0 or more; got") for odd in (True, 1.0, None)),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_obeyed_is_refused_in_one_line(model, settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        generate(model, np.ones((1, 2), int), 3, **settings)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpys_are_numbers_and_no_eos_is_none(model):
    row = prompts(0, (3,))[0][None]
    plain = model.generate(row, 8, 0.0)
    assert_array_equal(model.generate(row, 8, 0.0, eos=None), plain)
    end = plain[0, 5]
    for eos in (end, np.array(end), np.array([end]), {int(end)}, [np.int8(end)]):
        found = model.generate(row, np.int64(8), np.float32(0), np.int64(3), eos=eos)
        assert_array_equal(found, model.generate(row, 8, 0.0, eos=int(end)))
        assert found.shape[1] < plain.shape[1]
    assert model.generate(row, 8, eos=range(13)).shape == (1, 4)
