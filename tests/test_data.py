"""Texts, vocabularies and batches."""

import hashlib
import math
import os
import socket
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from gpt import data
from gpt.data import Corpus, Text, clean, language_reference, read_text
from gpt.tokens import BPE, Characters, choose
from minigrad.random import Generator

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXTS)
def test_what_a_vocabulary_encodes_it_decodes(text):
    vocabulary = Characters.of(text)
    assert list(vocabulary.characters) == sorted(set(text))
    ids = vocabulary.encode(text)
    assert ids.shape == (len(text),)
    assert ids.dtype == vocabulary.dtype
    assert [vocabulary.characters[i] for i in ids] == list(text)
    assert vocabulary.decode(ids) == text


@given(TEXTS, TEXTS, st.integers(0, 20_000), st.integers(0, 20_000))
def test_characters_outside_the_vocabulary_are_named_wherever_they_are(known, other, before, behind):
    vocabulary, unknown = Characters.of(known), sorted(set(other) - set(known))
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
        Characters("ab").encode("a\udcff")


def test_an_unsorted_vocabulary_is_refused():
    with pytest.raises(ValueError, match="Characters: expected characters in order, each once; got 'ba'"):
        Characters("ba")


def test_an_empty_prompt_is_a_line_break_or_the_first_character():
    assert_array_equal(Characters("\nab").prompt(""), [[0]])
    assert_array_equal(Characters("\tab").prompt(""), [[0]])
    assert_array_equal(Characters("\t\nab").prompt(""), [[1]])
    assert_array_equal(Characters("\nab").prompt("ba"), [[2, 1]])


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
    assert corpus.tokenizer.decode(corpus.splits["train"]) == text[: int(33 * 0.9)]
    assert corpus.tokenizer.decode(corpus.splits["val"]) == text[int(33 * 0.9) :]


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
    assert corpus.text.length == len(text)
    assert f"{len(text):,} characters" in str(corpus)
    assert corpus.text.sha256 == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert corpus.text.sha256 in str(corpus)


def test_without_the_language_reference_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(ModuleNotFoundError, match="pass --data FILE"):
        language_reference()


# --- large and strange files ---


def written(path, raw):
    path.write_bytes(raw)
    return path


@given(
    st.text(st.one_of(st.sampled_from("\r\n\ufeff\u2028é🙂a"), st.characters(exclude_categories=["Cs"]))),
    st.integers(1, 9),
)
@example("\ufeff\ufeffa\r\n\r\rb\n\rc\r", 1)
@example("\ufeff", 2)
@example("é\r\n🙂\r", 3)
def test_a_file_is_its_clean_text_however_it_is_cut(tmp_path_factory, text, piece):
    path = tmp_path_factory.mktemp("cut") / "text.txt"
    clean_text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert clean(text) == clean_text
    written(path, text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "PIECE", piece)
        if not clean_text:
            with pytest.raises(ValueError, match="which is empty"):
                read_text(path)
            return
        assert read_text(path) == clean_text
        found = Text.load(str(path))
        assert "".join(found) == clean_text
        assert found.length == len(clean_text)
        assert found.size == len(clean_text.encode())
        assert found.sha256 == hashlib.sha256(clean_text.encode()).hexdigest()[:16]
        middle = len(clean_text) // 2
        assert "".join(found.part(0, middle)) == clean_text[:middle]
        assert "".join(found.part(middle, found.length)) == clean_text[middle:]


@pytest.mark.parametrize("tail", [b"\xe2\x82", b"\xff", b"\xed\xa0\x80", b"a\xc3"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_place_of_a_bad_byte_is_right_wherever_a_piece_ends(tmp_path, monkeypatch, tail, mark):
    monkeypatch.setattr(data, "PIECE", 5)
    for before in range(12):
        raw = mark + b"\r" * before + "é".encode() + tail
        with pytest.raises(UnicodeDecodeError) as theirs:
            raw.decode("utf-8")
        place = theirs.value.start
        with pytest.raises(ValueError, match=rf"whose byte {place} \(0x{raw[place]:02x}\) is not"):
            read_text(written(tmp_path / "text.txt", raw))


def test_what_is_no_file_is_one_line_at_once(tmp_path):
    """None of these may be opened: a pipe would wait for ever, a device would never end."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(tmp_path / "socket"))
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    names = {
        "pipe": "a pipe",
        "link": "a pipe",
        "socket": "a socket",
        "/dev/zero": "a device",
        "/dev/null": "a device",
    }
    for name, kind in names.items():
        with pytest.raises(
            ValueError, match=f"^data: expected a text file; got .*, which is {kind}; save what"
        ):
            Corpus.load(str(tmp_path / name))
    for name in ("", "none", "a\0b", "x" * 5000):
        with pytest.raises(OSError, match="^data: expected a text file; got .*") as error:
            Corpus.load(f"{tmp_path}/{name}")
        assert "\n" not in str(error.value)


class Texts:
    """Whole texts, by their name: what is rare in them decides how wide a character and an id are."""

    ascii = "To be, or not to be: that is the question.\n" * 150_000
    one_wide = "🙂" + "To be, or not to be: that is the question.\n" * 150_000
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 3000))) + "a" * 5_000_000


@pytest.mark.parametrize("tokenizer", ["characters", "bytes"])
@pytest.mark.parametrize("text", ["ascii", "one_wide", "many"])
def test_a_text_takes_at_most_three_bytes_of_memory_a_byte(tmp_path, text, tokenizer):
    raw = getattr(Texts, text).encode()
    path = str(written(tmp_path / "text.txt", raw))
    Corpus.from_text("warm", "up")
    tracemalloc.start()
    try:
        found = Text.load(path)
        corpus = Corpus.of(found, choose(tokenizer, found))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(raw)  # what a piece takes does not grow with the text
    assert sum(each.nbytes for each in corpus.splits.values()) <= 2 * len(raw)


# --- with any tokeniser ---

WORDS = [
    "the ",
    "a",
    " \n",
    "\n\n",
    "don't ",
    "'ll",
    "12 345",
    "é 🙂",
    "  x",
    "!\n",
    "_\n",
    "-- ",
    "<|endoftext|>",
]
LLAMA_3 = (  # how Llama 3 cuts a text into words
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def bpe(kind):
    """A tokeniser that merges whatever it can, so that a cut inside a word shows."""
    learnt = BPE.train(["".join(WORDS * 40) + "the don't !\n\n x " * 40], 330).definition
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    if kind == "Llama 3":
        split = {"type": "Split", "pattern": {"Regex": LLAMA_3}, "behavior": "Isolated", "invert": False}
        learnt["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, plain]}
    elif kind == "across spaces":
        split = {"type": "Split", "pattern": {"Regex": "[a-z ]+"}, "behavior": "Isolated", "invert": False}
        learnt["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, plain]}
        letters = learnt["model"]["vocab"]
        for pair in (("e", "Ġ"), ("eĠ", "x"), ("a", "Ġ")):
            letters["".join(pair)] = len(letters)
            learnt["model"]["merges"].insert(0 if pair[1] == "Ġ" else 2, list(pair))
    elif kind == "merges":
        pattern = {
            "type": "Split",
            "pattern": {"String": "e "},
            "behavior": "Isolated",
            "invert": False,
        }
        learnt["pre_tokenizer"] = {
            "type": "Sequence",
            "pretokenizers": [pattern, plain | {"use_regex": True}],
        }
    elif kind in ("strips", "single word"):
        looks = dict.fromkeys(("lstrip", "rstrip"), kind == "strips") | {"single_word": kind == "single word"}
        token = {
            "id": 330,
            "content": "a" if kind == "strips" else "  ",
            "normalized": False,
            "special": False,
        }
        learnt["added_tokens"] = [*learnt["added_tokens"], token | looks]
    elif kind == "one word":
        learnt["pre_tokenizer"] = plain
    elif kind == "a space in front":
        learnt["pre_tokenizer"] = plain | {"use_regex": True, "add_prefix_space": True}
    elif kind == "a token across":
        plain = {
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": False,
        }
        learnt["added_tokens"] = [*learnt["added_tokens"], {"id": 330, "content": "a the", **plain}]
    return BPE(learnt)


TOKENIZERS = ["GPT-2", "Llama 3", "one word", "a space in front", "a token across", "across spaces", "strips"]
TOKENIZERS += ["merges", "single word"]
MADE = {}


@pytest.mark.parametrize("kind", TOKENIZERS)
@example("the  \n", 6)
@given(st.lists(st.sampled_from(WORDS), max_size=30).map("".join), st.integers(1, 7))
def test_the_ids_of_pieces_are_those_of_the_whole(kind, text, size):
    tokenizer = MADE.setdefault(kind, bpe(kind))
    found = list(tokenizer.encode_pieces(text[i : i + size] for i in range(0, len(text), size)))
    assert_array_equal(np.concatenate(found), tokenizer.encode(text))


def test_a_long_text_is_encoded_in_pieces():
    text = "the quick brown fox\njumps " * 40
    sizes = [
        len(each) for each in bpe("GPT-2").encode_pieces(text[i : i + 26] for i in range(0, len(text), 26))
    ]
    assert len(sizes) > 30 and max(sizes) < 60


@pytest.mark.parametrize("name", ["characters", "bytes", "bpe:300"])
def test_every_tokenizer_trains_and_validates_on_the_same_text(name):
    text = "Grüße 🙂 an alle, " * 40
    found = Text("text", text)
    corpus = Corpus.of(found, choose(name, found))
    tokenizer, cut = corpus.tokenizer, int(len(text) * 0.9)
    assert tokenizer.decode(corpus.splits["train"]) == text[:cut]
    assert tokenizer.decode(corpus.splits["val"]) == text[cut:]
    assert {ids.dtype for ids in corpus.splits.values()} == {tokenizer.dtype}
    x, y = corpus.batch("train", 2, 4, Generator(0))
    assert x.dtype == y.dtype == np.int64
    assert all(each.dtype == np.int64 for batch in corpus.windows("val", 4) for each in batch)


def test_losses_are_told_by_token_and_by_byte():
    text = "Grüße 🙂 an alle, " * 40
    for name, unit in (("characters", "character"), ("bytes", "byte"), ("bpe:300", "token")):
        found = Text("text", text)
        corpus = Corpus.of(found, choose(name, found))
        ids = corpus.splits["val"]
        length = len(corpus.tokenizer.bytes_of(ids[1:]))
        bits = 1.5 / math.log(2)
        by_unit = "" if unit == "byte" else f"{bits:.4f} bits per {unit}, "
        by_byte = f"{bits * (len(ids) - 1) / length:.4f} bits per byte"
        said = f"loss over all {len(ids) - 1:,} {unit}s, in windows of 1,024 {unit}s: 1.5000 nats, {by_unit}{by_byte}"
        assert corpus.describe(1.5, "val", 1024) == said
        assert f"{len(text):,} characters, " in str(corpus) and corpus.text.sha256 in str(corpus)
        assert f"{sum(map(len, corpus.splits.values())):,} {unit}s" in str(corpus)
        with pytest.raises(
            ValueError, match=f"data: expected at least 5,010 {unit}s for block_size 500; got "
        ):
            corpus.check_length(500)


def test_a_text_with_every_kind_of_character_has_them_all():
    text = "\x00\U0010ffff\ud7ff\ue000a"
    assert Characters.of(iter(text)) == Characters.of(text) == Characters("\x00a\ud7ff\ue000\U0010ffff")
