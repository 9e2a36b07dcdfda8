"""Tokenisers against transformers' and the text itself: there and back, special tokens, chats, streams, files."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from gpt import tokens
from gpt.tokens import BPE, Bytes, Characters, Decoder, Tokenizer, from_json
from gpt.tokens.bpe import END
from minigrad.errors import InvalidType

transformers = pytest.importorskip("transformers", reason="transformers is the oracle")

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
RARE = "\x00\t\n\r \x7f\x85\xa0\xad²ßé́ΣяЖ٣अก漢字가ﬁ\u2028\ufeff�🙂🏳️‍🌈𝔘'sI'll n't  \n\n a1234.5 <|endoftext|>"
LIKELY = st.lists(st.one_of(st.sampled_from(RARE), st.sampled_from(["the ", "'ll", " \n", "don't", END])))
WRITTEN = st.one_of(TEXTS, LIKELY.map("".join))
TEMPLATE = (  # SmolLM2's
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = [END, "<|im_start|>", "<|im_end|>"]
NAMES = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}


@pytest.fixture(scope="module")
def gpt2():
    return tokens.choose("gpt2", [])


@pytest.fixture(scope="module")
def twin(tmp_path_factory, gpt2):
    """GPT-2's tokeniser in transformers, from the same two files."""
    folder = tmp_path_factory.mktemp("gpt2")
    (folder / "vocab.json").write_text(json.dumps(gpt2.definition["model"]["vocab"]))
    merges = ["#version: 0.2", *(" ".join(pair) for pair in gpt2.definition["model"]["merges"]), ""]
    (folder / "merges.txt").write_text("\n".join(merges))
    return transformers.GPT2Tokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def chatty():
    """A small tokeniser of the kind that SmolLM2 has: special tokens, a chat template, digits one by one."""
    base = BPE.train(["the chat of the assistant and the user, which was a question " * 9], 290).definition[
        "model"
    ]
    vocabulary = {token: i + len(SPECIAL) for i, token in enumerate(t for t in base["vocab"] if t != END)}
    vocabulary |= {name: i for i, name in enumerate(SPECIAL)}
    return BPE.from_parts(
        vocabulary, base["merges"], SPECIAL, words="smollm", names=NAMES, chat_template=TEMPLATE
    )


def in_transformers(tokenizer):
    """The same definition in transformers."""
    from tokenizers import Tokenizer as Fast

    fast = Fast.from_str(json.dumps(tokenizer.definition))
    names, template = tokenizer.names, tokenizer.chat_template
    return transformers.PreTrainedTokenizerFast(tokenizer_object=fast, chat_template=template, **names)


KINDS = ["characters", "bytes", "gpt2", "chatty"]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    if request.param == "characters":
        return Characters.of(RARE + "the dialogue\x80")
    return Bytes() if request.param == "bytes" else request.getfixturevalue(request.param)


# --- there and back ---


@given(WRITTEN)
def test_any_text_comes_back_from_bytes_and_gpt2(gpt2, text):
    for each in (Bytes(), gpt2, Characters.of(text or "x")):
        ids = each.encode(text)
        assert ids.dtype == each.dtype and ids.ndim == 1
        assert each.decode(ids) == text == each.decode(ids.tolist())
        assert each.bytes_of(ids) == text.encode()
        assert each.count_bytes(ids) == len(text.encode())
    assert Bytes().encode(text).tolist() == list(text.encode())


@given(WRITTEN)
def test_gpt2s_ids_are_those_of_transformers(gpt2, twin, text):
    assert gpt2.encode(text, special=True).tolist() == twin.encode(text)
    assert gpt2.encode(text).tolist() == twin.encode(text, split_special_tokens=True)


@given(st.lists(st.integers(0, 50256)))
def test_any_ids_mean_what_transformers_says(gpt2, twin, ids):
    assert gpt2.decode(ids) == twin.decode(ids, clean_up_tokenization_spaces=False)


@given(st.lists(st.integers(0, 291), max_size=40), WRITTEN)
def test_ids_of_a_small_vocabulary_mean_what_transformers_says(chatty, ids, text):
    theirs = in_transformers_once(chatty)
    assert chatty.decode(ids) == theirs.decode(ids, clean_up_tokenization_spaces=False)
    assert chatty.encode(text, special=True).tolist() == theirs.encode(text)


THEIRS = {}


def in_transformers_once(tokenizer):
    return THEIRS.setdefault(id(tokenizer), in_transformers(tokenizer))


def test_gpt2_is_gpt2(gpt2):
    assert (gpt2.n_vocab, gpt2.eos, gpt2.special, gpt2.unit) == (50257, 50256, {END: 50256}, "token")
    assert gpt2.encode("Hello world").tolist() == [15496, 995]
    assert gpt2.dtype == np.uint16


@pytest.mark.parametrize(("n", "dtype"), [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4")])
def test_ids_are_as_narrow_as_the_vocabulary_admits(n, dtype):
    points = [p for p in range(70_000) if not 0xD800 <= p < 0xE000][:n]
    characters = "".join(map(chr, points))
    ids = Characters(characters).encode(characters)
    assert ids.dtype == dtype
    assert_array_equal(ids, np.arange(n))


def test_special_tokens_are_themselves_only_where_a_template_may_write_them(chatty):
    text = "the<|im_end|>"
    assert chatty.special == {name: i for i, name in enumerate(SPECIAL)}
    assert chatty.eos == 2
    assert chatty.encode(text, special=True).tolist()[-1] == 2
    assert not set(chatty.encode(text).tolist()) & {0, 1, 2}
    assert chatty.decode(chatty.encode(text)) == text == chatty.decode(chatty.encode(text, special=True))


def test_digits_are_words_of_their_own_where_a_model_wants_them():
    vocabulary = [*"0123456789", "12"]
    assert BPE.from_parts(vocabulary, ["1 2"]).encode("12").tolist() == [10]
    assert BPE.from_parts(vocabulary, [("1", "2")], words="smollm").encode("12").tolist() == [1, 2]


def test_a_prompt_is_a_batch_of_one_and_never_empty(tokenizer, chatty):
    assert_array_equal(tokenizer.prompt("the"), tokenizer.encode("the")[None])
    assert tokenizer.prompt("the").dtype == np.int64
    assert tokenizer.prompt("").shape == (1, 1)
    assert Bytes().prompt("").tolist() == [[10]]
    assert chatty.prompt("").tolist() == [[2]]
    definition = chatty.definition | {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": SPECIAL[1], "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [],
            "special_tokens": {SPECIAL[1]: {"id": SPECIAL[1], "ids": [1], "tokens": [SPECIAL[1]]}},
        }
    }  # as Llama 3 has it: each text begins with a token
    framed = BPE(definition)
    assert framed.prompt("the").tolist() == [[1, *framed.encode("the").tolist()]]
    assert framed.prompt("").tolist() == [[1]]


@pytest.mark.parametrize("ids", [[-1], [10**6], [0, 2**40]])
def test_ids_outside_the_vocabulary_are_refused(tokenizer, ids):
    message = f"decode: expected ids in 0..{len(tokenizer) - 1}; got {min(ids)}..{max(ids)}"
    with pytest.raises(ValueError, match=message):
        tokenizer.decode(ids)


NO_IDS = [
    None, 5, np.int64(5), "a", b"a", {0: 1}, [0.5], [None], ["a"], [True], [[0, 1]], np.zeros((1, 2), int),
    np.zeros((0, 2), int), [[0], [0, 1]], [2**70], object(),
]  # fmt: skip


@pytest.mark.parametrize("ids", NO_IDS)
def test_what_are_no_ids_in_a_row_is_refused_in_one_line(tokenizer, ids):
    for use in (tokenizer.decode, tokenizer.bytes_of):
        with pytest.raises(TypeError, match=r"^decode: expected integer ids in a row; got [^\n]{1,60}$"):
            use(ids)


@pytest.mark.parametrize("ids", [[], (), range(0), np.array([]), iter([])])
def test_no_ids_at_all_are_no_text(tokenizer, ids):
    assert tokenizer.decode(ids) == ""


@pytest.mark.parametrize("text", [None, 5, b"a", ["a"], 1.5], ids=repr)
def test_what_is_no_text_is_refused_in_one_line(tokenizer, text):
    for use in (tokenizer.encode, tokenizer.prompt, Characters.of):
        if use != Characters.of or not isinstance(text, list):  # of pieces, too
            with pytest.raises(TypeError, match=r"^encode: expected a text; got [^\n]{1,60}$"):
                use(text)


def test_half_a_surrogate_pair_is_refused_in_one_line(tokenizer):
    with pytest.raises(ValueError, match=r"^encode: expected .*; got '\\udcff'$"):
        tokenizer.encode("a\udcff" if tokenizer.kind != "characters" else "\udcff")


def test_what_a_file_says_beside_the_vocabulary_does_not_change_the_ids(gpt2):
    cut = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    filled = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
    definition = gpt2.definition | {
        "truncation": cut,
        "padding": filled | {"pad_type_id": 0, "pad_token": "!"},
    }
    assert_array_equal(BPE(definition).encode("one two three four"), gpt2.encode("one two three four"))


def test_a_learnt_vocabulary_has_its_size_every_byte_and_the_frequent_pairs():
    text = "ababab cd " * 50
    learnt = BPE.train([text], 259)
    assert learnt.n_vocab == 259
    assert learnt.special == {END: learnt.eos}
    assert b"ab" in learnt.pieces and b"abab" in learnt.pieces
    assert learnt.decode(learnt.encode("é🙂\x00")) == "é🙂\x00"
    assert len(learnt.encode(text)) < len(text)
    with pytest.raises(ValueError, match="BPE.train: expected more than 256 tokens"):
        BPE.train([text], 256)


# --- streams ---


@given(st.lists(st.integers(0, 255), max_size=60))
def test_a_stream_of_bytes_is_their_text_with_no_character_cut(ids):
    check_stream(Bytes(), ids)


@given(st.one_of(st.lists(st.integers(0, 50256)), WRITTEN))
def test_a_stream_of_tokens_is_their_text_with_no_character_cut(gpt2, written):
    check_stream(gpt2, gpt2.encode(written).tolist() if isinstance(written, str) else written)


def check_stream(tokenizer, ids):
    decoder, whole = Decoder(tokenizer), tokenizer.decode(ids)
    for _ in range(2):  # a flush begins anew
        parts = [decoder.push(i) for i in ids]
        for n in range(len(parts) + 1):
            assert whole.startswith("".join(parts[:n]))
        assert "".join(parts) + decoder.flush() == whole
    assert decoder.push(np.array(ids, np.int64)) + decoder.flush() == whole


def test_a_character_waits_for_its_last_byte():
    decoder = Decoder(Bytes())
    assert [decoder.push(i) for i in "é🙂".encode()] == ["", "é", "", "", "", "🙂"]
    assert decoder.push(0xF0) == "" and decoder.flush() == "�" and decoder.flush() == ""


# --- chats ---

TEMPLATES = {
    "SmolLM2": TEMPLATE,
    "lines and blocks": "{% for m in messages %}\n  {% if m.role == 'user' %}\n  {{ m.content | trim }}\n  {% endif %}\n{% endfor %}\n",
    "loop controls": "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "names": "{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}{{ add_generation_prompt }}{{ unknown }}",
    "JSON": "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}",
    "namespace": "{% set n = namespace(k='') %}{% for m in messages %}{% set n.k = n.k + m.role %}{% endfor %}{{ n.k }}",
    "date": "{{ strftime_now('%Y') }}",
    "absent": "{% if tools is none and documents is none %}{{ tools }}{% endif %}{{ messages[0].content }}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}{{ loop.index }}{% endgeneration %}\n!{% endfor %}",
    "JSON's arguments": "{{ messages | tojson(true) }}{{ messages | tojson(separators=(',', ':'), sort_keys=true) }}",
}
CHATS = {
    "a question": [{"role": "user", "content": "What is <b>the</b> é & 🙂?"}],
    "with a system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " 12 "}],
    "an answer": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    "a special token": [{"role": "user", "content": "the <|im_end|> of it"}],
}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("prompt", [True, False])
def test_a_chat_is_rendered_and_cut_as_in_transformers(chatty, template, chat, prompt):
    ours = BPE(chatty.definition, NAMES, TEMPLATES[template])
    theirs = in_transformers(ours)
    text = theirs.apply_chat_template(CHATS[chat], add_generation_prompt=prompt, tokenize=False)
    ids = theirs.apply_chat_template(CHATS[chat], add_generation_prompt=prompt)["input_ids"]
    assert ours.render(CHATS[chat], prompt) == text
    assert ours.chat(CHATS[chat], prompt).tolist() == ids


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('roles must\nalternate') }}", "got roles must alternate$"),
        ("{% for %}", "^chat: expected messages that the model's template takes; got "),
        ("{{ messages[0].content + 1 }}", "^chat: expected messages"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe|not safely callable"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "^chat: expected messages"),
        ("{{ 'a' * 2**62 }}", "^chat: expected messages"),
        ("", "^chat: expected a model with a chat template; got one without"),
    ],
)
def test_a_template_that_refuses_or_breaks_out_is_one_line(chatty, template, message):
    with pytest.raises(ValueError, match=message) as error:
        BPE(chatty.definition, NAMES, template).render(CHATS["a question"])
    assert "\n" not in str(error.value)


# --- files ---


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    if tokenizer.n_vocab > 50_000:
        assert from_json(tokenizer.to_json()) == tokenizer  # megabytes: once is enough
        return
    path, text = tmp_path / "tokens.json", tokenizer.to_json()
    path.write_text("earlier")
    tokenizer.save(path)
    assert path.read_text() == text
    for again in (type(tokenizer).load(path), tokens.load(path), from_json(text)):
        assert again == tokenizer
        assert (again.special, again.eos) == (tokenizer.special, tokenizer.eos)
        assert_array_equal(again.encode("the"), tokenizer.encode("the"))
    assert os.listdir(tmp_path) == ["tokens.json"]
    if tokenizer.kind != "bytes":
        with pytest.raises(ValueError, match=f"expected one of the kind bytes; got {tokenizer.kind} in"):
            Bytes.load(path)


def test_an_interrupted_save_leaves_the_file_of_before(tmp_path, monkeypatch):
    path = tmp_path / "tokens.json"
    Bytes().save(path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        Characters("ab").save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["tokens.json"]


def one_line(call):
    """Call; return the line of its refusal, or what it returned."""
    try:
        return call()
    except (ValueError, InvalidType, OSError) as error:
        assert "\n" not in str(error) and len(str(error)) < 1000, error
        return str(error)


def test_no_damage_of_a_file_goes_unnoticed_or_uncaught(chatty, tmp_path):
    """Flipped bits, cuts and changed values: the same tokenizer, or one line."""
    rng, path = np.random.default_rng(0), tmp_path / "tokens.json"
    for tokenizer in (Characters.of("hello, é🙂"), Bytes(), chatty):
        whole = tokenizer.to_json().encode()
        for n in range(200 if tokenizer is not chatty else 60):
            raw = bytearray(whole)
            if n % 3 == 0:
                raw = raw[: rng.integers(len(raw))]
            else:
                raw[rng.integers(len(raw))] ^= 1 << rng.integers(8) if n % 3 == 1 else 0xFF
            path.write_bytes(raw)
            found = one_line(lambda: Tokenizer.load(path))
            assert isinstance(found, str) or found == tokenizer


FOREIGN = [
    b"", b"{}", b"[]", b"null", b"1", b'"text"', b"\xff\xfe", b"[" * 100_000, b"9" * 10_000, b'{"format": 1}',
    b'{"format": "minigrad tokenizer 1"}', b'{"format": "minigrad tokenizer 2", "sha256": "", "kind": "x"}',
    b'{"model": null}', b'{"model": {"type": "BPE"}, "decoder": {"type": "ByteLevel"}}',
    b'{"model": {"type": "WordPiece", "vocab": {}}, "decoder": {"type": "WordPiece"}}',
]  # fmt: skip


@pytest.mark.parametrize("raw", FOREIGN, ids=[repr(raw[:40]) for raw in FOREIGN])
def test_foreign_files_are_refused_in_one_line(raw, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(raw)
    for call in (lambda: tokens.load(path), lambda: Tokenizer.load(path), lambda: tokens.load(tmp_path)):
        assert "tokenizer.json" in one_line(call)


def made(state):
    """A file with a right hash, whatever it holds."""
    from gpt.tokens.tokenizer import FORMAT, _digest

    return json.dumps({"format": FORMAT, "sha256": _digest(state), **state})


@pytest.mark.parametrize(
    "state",
    [
        {}, {"kind": 1}, {"kind": "words"}, {"kind": "bytes", "more": 1}, {"kind": "characters"},
        {"kind": "characters", "characters": 3}, {"kind": "characters", "characters": "ba"},
        {"kind": "characters", "characters": ""}, {"kind": "characters", "characters": "a\udcff"},
        {"kind": "bpe"}, {"kind": "bpe", "definition": 1}, {"kind": "bpe", "definition": {}, "names": 3},
    ],
)  # fmt: skip
def test_what_cannot_be_a_tokenizer_is_refused_in_one_line(state):
    assert isinstance(one_line(lambda: from_json(made(state))), str)


@pytest.mark.parametrize(
    "others", [{"names": 3}, {"names": {"a": 1}}, {"chat_template": 3}, {"names": [1]}, {"names": "x"}]
)
def test_names_and_templates_that_are_no_text_are_refused_in_one_line(chatty, others):
    state = {"kind": "bpe", "definition": chatty.definition, **others}
    assert "names of special tokens and a chat template" in one_line(lambda: from_json(made(state)))


def test_no_definition_brings_a_traceback(chatty):
    """Parts of a tokenizer.json exchanged for other values: a tokenizer that works, or one line."""
    rng, values = np.random.default_rng(1), [None, True, -1, 2**63, 1.5, "", "x", [], {}, [[]], {"type": "x"}]
    for _ in range(150):
        definition = json.loads(json.dumps(chatty.definition))
        places = [(definition, key) for key in definition]
        while isinstance(places[-1][0][places[-1][1]], (dict, list)) and len(places[-1][0][places[-1][1]]):
            inner = places[-1][0][places[-1][1]]
            places.append(
                (inner, rng.choice(list(inner)) if isinstance(inner, dict) else rng.integers(len(inner)))
            )
        inner, key = places[rng.integers(len(places))]
        inner[key] = values[rng.integers(len(values))]
        text = made({"kind": "bpe", "definition": definition})
        found = one_line(partial(from_json, text))
        if not isinstance(found, str):
            found.decode(found.encode("the user 12"))


def test_a_folder_of_hugging_faces_is_read_as_they_read_it(chatty, tmp_path):
    theirs = in_transformers(chatty)
    theirs.save_pretrained(tmp_path)
    ours, text = tokens.load(tmp_path), "the user<|im_end|>\n12 é"
    assert ours.names.items() >= NAMES.items()
    assert (ours.eos, ours.chat_template) == (2, TEMPLATE)
    assert ours.encode(text, special=True).tolist() == theirs.encode(text)
    expected = theirs.apply_chat_template(CHATS["an answer"], add_generation_prompt=True)["input_ids"]
    assert ours.chat(CHATS["an answer"]).tolist() == expected
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "chat_template.jinja").unlink()
    several = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ eos_token }}"}]
    config |= {"chat_template": several, "eos_token": {"content": "<|im_end|>", "lstrip": False}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert tokens.load(tmp_path).render([]) == "<|im_end|>"


SEVERAL = {  # the files of several templates, by name
    "as a list": {"tokenizer_config.json": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ eos_token }}a"}]},
    "as files": {"chat_template.jinja": "{{ eos_token }}b", "additional_chat_templates/tool_use.jinja": "no"},
    "files before a list": {
        "tokenizer_config.json": [{"name": "default", "template": "no"}], "chat_template.jinja": "{{ eos_token }}c",
        "additional_chat_templates/rag.jinja": "no",
    },
    "all of them additional": {
        "tokenizer_config.json": "no", "chat_template.jinja": "no", "additional_chat_templates/tool_use.jinja": "no",
        "additional_chat_templates/default.jinja": "{{ eos_token }}d",
    },
    "one alone": {"tokenizer_config.json": "{{ eos_token }}e"},
}  # fmt: skip


@pytest.mark.parametrize("files", SEVERAL.values(), ids=SEVERAL)
def test_of_several_chat_templates_the_default_one_is_taken_as_without_tools_in_transformers(
    chatty, files, tmp_path
):
    in_transformers(chatty).save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / "additional_chat_templates").mkdir()
    for name, content in files.items():
        if name.endswith(".json"):
            content = json.dumps(json.loads((tmp_path / name).read_text()) | {"chat_template": content})
        (tmp_path / name).write_text(content)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    wanted = theirs.apply_chat_template(CHATS["an answer"], tokenize=False)
    assert tokens.load(tmp_path).render(CHATS["an answer"]) == wanted and wanted.startswith("<|im_end|>")
    names = theirs.chat_template if isinstance(theirs.chat_template, dict) else {}
    if "tool_use" in names:  # which we have not
        assert theirs.apply_chat_template(CHATS["an answer"], tools=[], tokenize=False) == "no"


def test_without_a_default_template_there_is_none(chatty, tmp_path):
    in_transformers(chatty).save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config["chat_template"] = [{"name": "tool_use", "template": "no"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="no default specified"):
        transformers.AutoTokenizer.from_pretrained(tmp_path).apply_chat_template([])
    assert "expected a model with a chat template" in one_line(lambda: tokens.load(tmp_path).render([]))


@pytest.mark.parametrize("generation", ["absent", None, 7, [0, 7, 7], [2], [10**6, -1]])
@pytest.mark.parametrize("config", ["absent", None, 5, [2, 1]])
def test_what_ends_an_answer_is_what_ends_it_in_transformers(chatty, generation, config, tmp_path):
    in_transformers(chatty).save_pretrained(tmp_path)
    for name, ids in (("generation_config.json", generation), ("config.json", config)):
        if ids != "absent":
            (tmp_path / name).write_text(
                json.dumps({"eos_token_id": ids, "model_type": "llama", "vocab_size": 292})
            )
    theirs = transformers.LlamaConfig.from_pretrained(tmp_path) if config != "absent" else None
    if generation != "absent":
        theirs = transformers.GenerationConfig.from_pretrained(tmp_path)
    wanted = np.ravel([] if theirs is None or theirs.eos_token_id is None else theirs.eos_token_id).tolist()
    found = tokens.load(tmp_path)
    assert set(found.ends) == {2, *wanted} - {10**6, -1} and found.ends[0] == found.eos == 2
    assert len(set(found.ends)) == len(found.ends) and from_json(found.to_json()).ends == found.ends


@pytest.mark.parametrize("ends", ["</s>", [1.5], {"a": 1}, [None], True])
def test_ends_that_are_no_ids_are_refused_in_one_line(chatty, ends, tmp_path):
    in_transformers(chatty).save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    assert "expected whole numbers for eos_token_id" in one_line(lambda: tokens.load(tmp_path))
    saved = {"kind": "bpe", **chatty.state(), "ends": ends}
    assert "expected" in one_line(lambda: from_json(made(saved)))


def test_a_vocabulary_and_merges_are_read_under_both_names(gpt2, tmp_path):
    ids, merges = {"a": 0, "b": 1, "ab": 2, END: 3}, "#version: 0.2\na b\n"
    for vocabulary, pairs in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")):
        folder = tmp_path / vocabulary[:-5]
        folder.mkdir()
        (folder / vocabulary).write_text(json.dumps(ids))
        with pytest.raises(FileNotFoundError, match=f"tokenizer: expected a file; got .*{pairs}"):
            tokens.load(folder)
        (folder / pairs).write_text(merges)
        assert tokens.load(folder).encode("abba").tolist() == [2, 1, 0]
        assert tokens.load(folder).eos == 3
        (folder / vocabulary).write_text('{"a": "b"}')
        assert str(folder) in one_line(lambda folder=folder: tokens.load(folder))


def test_a_tokenizer_is_chosen_by_name_or_path(gpt2, tmp_path):
    assert tokens.choose("characters", ["ba", "c"]) == Characters("abc")
    assert tokens.choose("bytes", []) == Bytes()
    assert tokens.choose("bpe:258", ["abab"]).n_vocab == 258
    assert tokens.choose("gpt2", []) == gpt2
    Characters("xy").save(tmp_path / "mine")
    assert tokens.choose(str(tmp_path / "mine"), ["a"]) == Characters("xy")
    for name in ("words", "bpe:", "bpe:many", "bpe:²", ""):
        with pytest.raises(ValueError, match="^tokenizer: expected .*bpe:SIZE"):
            tokens.choose(name, ["a"])
    with pytest.raises(ValueError, match="a folder with tokenizer.json, or vocab.json and merges.txt"):
        tokens.choose(str(tmp_path), ["a"])


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in ((tmp_path / "pipe", "which is a pipe"), (Path("/dev/zero"), "which is a device")):
        with pytest.raises(ValueError, match=message):
            tokens.load(path)
        with pytest.raises(ValueError, match=message):
            Tokenizer.load(path)
    (tmp_path / "vocab.json").write_text('{"a": 0}')  # which is not read instead
    (tmp_path / "merges.txt").write_text("")
    for name in ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "tokenizer.json"):
        for target, message in (
            ("nowhere", "No such file"),
            ("/dev/null", "a device"),
            (".", "Is a directory"),
        ):
            (tmp_path / name).symlink_to(target)
            with pytest.raises(
                (OSError, ValueError), match=f"tokenizer: expected a file; got .*{name}.*{message}"
            ):
                tokens.load(tmp_path)
            (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match="tokenizer: expected a file; got .*none"):
        Tokenizer.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError, match="tokenizer: expected a file; got"):
        Bytes.load(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: BPE.train(["a"], 1e3),
        lambda: BPE.train(["\ud800"], 300),
        lambda: tokens.choose("bpe:99999999999999999999", ["a"]),
        lambda: tokens.choose(f"bpe:{10**12}", ["a"]),
        lambda: tokens.choose("bpe:" + "9" * 5000, ["a"]),
        lambda: tokens.choose("a" * 5000, []),
        lambda: BPE.from_parts(["a"], [], ["x"]),
        lambda: BPE.from_parts({"a": 0, "b": 10**9}, []),
        lambda: Bytes().save("/"),
        lambda: Bytes().save(1.5),
        lambda: tokens.load(None),
        lambda: from_json(None),
        lambda: tokens.choose(None, []),
        lambda: [*Bytes().encode_pieces(5)],
        lambda: [*Bytes().encode_pieces([5])],
        *(
            partial(Bytes().count_bytes, ids)
            for ids in ([300], [-1], np.array([0, 256]), 5, [1.5], np.array(3))
        ),
        lambda: Bytes().prompt(np.array([1, 2])),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(wrong):
    assert ": expected " in one_line(wrong)


def test_a_panic_of_the_package_is_one_line_and_an_interruption_is_itself(chatty, monkeypatch):
    panic = type("PanicException", (BaseException,), {})
    for error, raised in ((panic("overflow"), ValueError), (KeyboardInterrupt(), KeyboardInterrupt)):

        class Broken:
            def encode(self, *given, error=error, **settings):
                raise error

        monkeypatch.setattr(chatty, "_tokenizer", Broken())
        with pytest.raises(raised):
            chatty.encode("a")


NORMALIZER = [
    {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
    {"type": "Prepend", "prepend": ""},
    *({"type": "Replace", "pattern": {kind: ""}, "content": "x"} for kind in ("String", "Regex")),
]
DAMAGED = {  # parts of a tokenizer.json on which the package panics, and prints so
    **{f"normalizer {i}": {"normalizer": each} for i, each in enumerate(NORMALIZER)},
    "no chunks": {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
    "prefix": {"model": {"type": "BPE", "continuing_subword_prefix": "##", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}},
    **{f"frame {each}": {"post_processor": {"type": "TemplateProcessing", "single": [each], "pair": [], "special_tokens": {}}}
       for each in ({"SpecialToken": {"id": "zz", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}})},
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_panic_while_a_definition_is_read_prints_nothing(chatty, capfd, name):
    said = one_line(lambda: BPE({**chatty.definition, **DAMAGED[name]}))
    assert said.startswith("BPE: expected the definition of a tokenizer.json; got ")
    os.write(2, b"seen again")
    assert capfd.readouterr().err == "seen again"


def test_a_message_of_bytes_is_one_line(chatty):
    assert one_line(lambda: chatty.render([{"role": "user", "content": b"x"}])).startswith("chat: expected")


def test_dropout_is_for_training_only(chatty):
    model = chatty.definition["model"] | {"dropout": 1.0}
    assert_array_equal(
        BPE(chatty.definition | {"model": model}).encode("the user"), chatty.encode("the user")
    )


@pytest.mark.parametrize(
    "template", [{"default": "a"}, 3, ["a"], [{"name": "default"}], [{"name": 1, "template": "a"}]]
)
def test_a_chat_template_that_is_no_text_is_refused_in_one_line(chatty, template, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(chatty.definition))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    assert "expected chat_template as a text, or a list of {name, template}" in one_line(
        lambda: tokens.load(tmp_path)
    )
