"""Texts, vocabularies and batches."""

import hashlib
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from gpt.data import Corpus, Vocabulary, language_reference, read_text
from minigrad.random import Generator

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXTS)
def test_what_a_vocabulary_encodes_it_decodes(text):
    vocabulary = Vocabulary.of(text)
    assert list(vocabulary.characters) == sorted(set(text))
    ids = vocabulary.encode(text)
    assert ids.shape == (len(text),)
    assert ids.dtype.kind == "i"
    assert [vocabulary.characters[i] for i in ids] == list(text)
    assert vocabulary.decode(ids) == text


@given(TEXTS, TEXTS, st.integers(0, 20_000), st.integers(0, 20_000))
def test_characters_outside_the_vocabulary_are_named_wherever_they_are(known, other, before, behind):
    vocabulary, unknown = Vocabulary.of(known), sorted(set(other) - set(known))
    text = known[0] * before + other + known[-1] * behind
    if not unknown:
        assert len(vocabulary.encode(text)) == len(text)
        return
    with pytest.raises(ValueError, match=f"encode: expected only the {len(vocabulary)} char") as error:
        vocabulary.encode(text)
    more = ", ..." if len(unknown) > 10 else ""
    assert str(error.value).endswith("got " + ", ".join(map(repr, unknown[:10])) + more)


def test_a_lone_surrogate_of_a_command_line_is_an_unknown_character():
    with pytest.raises(ValueError, match=r"got '\\udcff'"):
        Vocabulary("ab").encode("a\udcff")


def test_an_unsorted_vocabulary_is_refused():
    with pytest.raises(ValueError, match="Vocabulary: expected characters in order, each once; got 'ba'"):
        Vocabulary("ba")


def test_an_empty_prompt_is_a_line_break_or_the_first_character():
    assert_array_equal(Vocabulary("\nab").prompt(""), [[0]])
    assert_array_equal(Vocabulary("\tab").prompt(""), [[0]])
    assert_array_equal(Vocabulary("\t\nab").prompt(""), [[1]])
    assert_array_equal(Vocabulary("\nab").prompt("ba"), [[2, 1]])


@given(TEXTS, st.integers(1, 9), st.sampled_from([1, 3000]))
def test_the_windows_hold_each_target_once_and_in_order(text, block_size, times):
    corpus = Corpus.from_text(text * times, "text")
    for split, ids in corpus.splits.items():
        windows = list(corpus.windows(split, block_size))
        assert all(x.shape == y.shape and x.shape[1] <= block_size for x, y in windows)
        assert all(x.size <= 4096 + block_size for x, _ in windows)  # a long text does not become one batch
        together = [np.concatenate([w[i].ravel() for w in windows] or [ids[:0]]) for i in (0, 1)]
        assert_array_equal(together[0], ids[:-1])
        assert_array_equal(together[1], ids[1:])
        assert all(x.shape[1] == block_size for x, _ in windows[:-1])


def test_nine_tenths_are_for_training_as_in_nanogpt():
    text = "0123456789" * 3 + "abc"
    corpus = Corpus.from_text(text, "text")
    assert corpus.vocabulary.decode(corpus.splits["train"]) == text[: int(33 * 0.9)]
    assert corpus.vocabulary.decode(corpus.splits["val"]) == text[int(33 * 0.9) :]


def test_batches_of_one_seed_are_nanogpts():
    corpus = Corpus.from_text("the quick brown fox jumps over the lazy dog" * 5, "text")
    data = torch.from_numpy(corpus.splits["train"])
    torch.manual_seed(3)
    places = torch.randint(len(data) - 8, (6,))
    x, y = corpus.batch("train", 6, 8, Generator(3))
    assert_array_equal(x, torch.stack([data[i : i + 8] for i in places]).numpy())
    assert_array_equal(y, torch.stack([data[i + 1 : i + 9] for i in places]).numpy())


@pytest.mark.parametrize("length", range(1, 140, 3))
def test_a_text_of_the_length_that_the_error_names_is_long_enough(length):
    block_size, corpus = 5, Corpus.from_text("x" * length, "short.txt")
    if length >= 60:
        corpus.check_length(block_size)
        corpus.batch("val", 3, block_size, Generator(0))
        return
    if len(corpus.splits["val"]) > block_size:
        return
    with pytest.raises(ValueError, match=f"at least 60 characters for block_size 5; got {length} in short"):
        corpus.check_length(block_size)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "data: expected a file with text; got .*text.txt, which is empty"),
        (b"abc\xff\xfe", r"text in UTF-8; got .*text.txt, whose byte 3 \(0xff\) is not; save it as UTF-8"),
        ("grün".encode("latin-1"), r"whose byte 2 \(0xfc\) is not"),
        ("ab".encode("utf-16-le") + b"\x00\xd8", r"whose byte 5 \(0xd8\) is not"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path, raw, message):
    path = tmp_path / "text.txt"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        read_text(path)


def test_the_place_of_a_bad_byte_is_right_deep_in_the_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("ü".encode() * 100_000 + b"\x80")
    with pytest.raises(ValueError, match=r"whose byte 200000 \(0x80\)"):
        read_text(path)


def test_missing_files_and_folders_are_refused_in_one_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^data: expected a text file; got .*none \(No such file"):
        read_text(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match=r"^data: expected a text file; got .* \(Is a directory\)$"):
        read_text(tmp_path)


def test_lines_end_alike_on_all_systems(tmp_path):
    (tmp_path / "text.txt").write_bytes(b"a\r\nb\nc")
    assert read_text(tmp_path / "text.txt") == "a\nb\nc"


def test_the_language_reference_is_the_default_and_its_length_and_hash_are_shown():
    text = language_reference()
    assert len(text) > 300_000
    corpus = Corpus.load()
    assert corpus.length == len(text)
    assert f"{len(text):,} characters" in str(corpus)
    assert corpus.sha256 == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert corpus.sha256 in str(corpus)


def test_without_the_language_reference_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ModuleNotFoundError, match="pass --data FILE"):
        language_reference()
