"""Byte-pair encoding, as GPT-2 and most models after it cut their text."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gpt.tokens.chat import render
from gpt.tokens.plain import to_utf8
from gpt.tokens.tokenizer import Tokenizer
from minigrad.errors import type_error, value_error

END = "<|endoftext|>"  # GPT-2's one special token
MOST = 1_000_000  # tokens that a tokeniser may learn


class BPE(Tokenizer):
    """Byte-pair encoding on bytes: a word begins as its bytes, and the pairs of a list are merged, in its order.

    `definition` is what a tokenizer.json holds; the package `tokenizers` does the work. `names` says which special
    token is "bos_token", "eos_token" and so on, `chat_template` how the model sees a conversation, and `ends` are
    the ids that end an answer beside eos_token.

    Raises    ValueError for a definition that is damaged or not on bytes; ImportError, with what to install,
              without the package.
    Source    Sennrich et al. 2016, arXiv:1508.07909; on bytes: Radford et al. 2019, section 2.2
    Example   >>> BPE.from_parts(["a", "b", "ab"], [("a", "b")]).encode("abba").tolist()
              [2, 1, 0]
    """

    kind = "bpe"

    def __init__(
        self,
        definition: dict[str, Any],
        names: dict[str, str] | None = None,
        chat_template: str = "",
        ends: Sequence[int] = (),
    ) -> None:
        texts = [*(names or {}).values(), chat_template] if isinstance(names, dict | None) else [None]
        if any(not isinstance(text, str) for text in texts):
            raise type_error("BPE", "names of special tokens and a chat template in words", f"{texts!r:.60}")
        self.definition, self.names, self.chat_template = definition, names or {}, chat_template
        self._tokenizer = _build(definition)
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        last = max(vocabulary.values(), default=-1)
        if last >= (most := 2 * len(vocabulary) + 1000):
            raise value_error("BPE", f"ids below {most:,} for {len(vocabulary):,} tokens", f"{last:,}")
        pieces = [b""] * (last + 1)
        for token, i in vocabulary.items():
            pieces[i] = _bytes_of(token)
        added = self._tokenizer.get_added_tokens_decoder().items()
        super().__init__(pieces, {token.content: i for i, token in added if token.special})
        self._may_cut = _words_end_at_spaces(definition)
        self.eos = self.special.get(self.names.get("eos_token", END))
        if not isinstance(ends, (list, tuple)) or any(type(i) is not int for i in ends):
            raise type_error("BPE", "whole numbers for ends", f"{ends!r:.60}")
        every = [self.eos] * (self.eos is not None) + [i for i in ends if 0 <= i <= last]  # no other is drawn
        self.ends = tuple(dict.fromkeys(every))

    @classmethod
    def from_parts(
        cls,
        vocabulary: Sequence[str] | dict[str, int],
        merges: Iterable[Sequence[str]],
        special: Iterable[str] = (),
        *,
        words: str = "gpt-2",
        frame: Sequence[str | None] = (None, None),
        **others: Any,
    ) -> "BPE":
        """Return GPT-2's kind of tokeniser from a list of tokens and of the pairs to merge, ("a", "b") or "a b".

        WORDS says within which words. Special tokens are signs to the model; of a mapping, those that are True, the
        others are whole wherever a text has them. `frame` are the signs before and behind a prompt. `others` are
        `names`, `chat_template` and `ends`.
        """
        with _in_one_line("BPE.from_parts", "tokens, pairs to merge, special tokens, words, a frame of two"):
            ids = vocabulary if isinstance(vocabulary, dict) else {t: i for i, t in enumerate(vocabulary)}
            pairs = [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in merges]
            signs = special if isinstance(special, dict) else dict.fromkeys(special, True)
            (before, behind), cuts = frame, WORDS[words]
            if not all(isinstance(token, str) for token in ids):
                raise TypeError("tokens that are no words")
        if unknown := [name for name in (*signs, *filter(None, (before, behind))) if name not in ids]:
            raise value_error("BPE.from_parts", "special tokens of the vocabulary", f"{unknown[0]!r:.40}")
        plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        on_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        on_bytes["use_regex"] = not any(step in SPLITS for step in cuts)
        definition: dict[str, Any] = {
            "added_tokens": [{"id": ids[n], "content": n, **plain, "special": s} for n, s in signs.items()],
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*cuts, on_bytes]},
            "decoder": on_bytes,
            # of a Llama's words, one that is a token is that token, whatever the pairs make of it
            "model": {"type": "BPE", "vocab": ids, "merges": pairs, "ignore_merges": words == "llama-bpe"},
        }
        if words == "qwen2":
            definition["normalizer"] = {"type": "NFC"}
        if before or behind:
            definition["post_processor"] = _frame(before, behind, ids)
        return cls(definition, **others)

    @classmethod
    def train(cls, texts: Iterable[str], n_vocab: int) -> "BPE":
        """Return a tokeniser of at most `n_vocab` tokens, learnt from the pieces of a text: frequent pairs."""
        if not isinstance(n_vocab, (int, np.integer)) or not 256 < n_vocab <= MOST:
            expected = f"more than 256 tokens, one for each byte and END, and at most {MOST:,}"
            raise value_error("BPE.train", expected, f"{n_vocab!r:.40}")
        start = cls.from_parts([*_LETTERS.values(), END], [], [END])
        trainers = _package().trainers
        trainer = trainers.BpeTrainer(
            vocab_size=n_vocab, special_tokens=[END], initial_alphabet=list(_LETTERS.values()), show_progress=False
        )  # fmt: skip
        with _in_one_line("BPE.train", "texts to learn from"):
            start._tokenizer.train_from_iterator(texts, trainer)
        return cls(json.loads(start._tokenizer.to_str()))

    def encode(self, text: str, special: bool = False) -> np.ndarray:
        """Return the ids of the text; see `Tokenizer.encode`. A byte that has no token is left out, as elsewhere."""
        return self._encode(text, special, False)

    def prompt(self, text: str) -> np.ndarray:
        """Return a text as the beginning of a sample, (1, T), behind what the model wants in front of it."""
        found = self._encode(text, False, True)
        return found.astype(np.int64)[None] if len(found) else super().prompt("")

    def _encode(self, text: str, special: bool, frame: bool) -> np.ndarray:
        to_utf8(text)  # its errors are clearer
        self._tokenizer.encode_special_tokens = not special
        with _in_one_line("encode", "a text that the tokeniser takes"):
            return np.array(self._tokenizer.encode(text, add_special_tokens=frame).ids, self.dtype)

    def _end_of_whole_tokens(self, text: str) -> int:
        found = _BEFORE_A_SPACE.match(text) if self._may_cut else None
        return found.end() if found else 0

    def render(self, messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Return a conversation, [{"role": ..., "content": ...}, ...], as the text that the model continues.

        Raises    ValueError for a model without a chat template, or messages that its template refuses.
        """
        if not self.chat_template:
            raise value_error("chat", "a model with a chat template", "one without", "sample continues texts")
        return render(self.chat_template, messages, add_generation_prompt=add_generation_prompt, **self.names)

    def chat(self, messages: list[dict[str, str]], add_generation_prompt: bool = True) -> np.ndarray:
        """Return a conversation as ids; as in transformers, a message that spells a special token contains it."""
        return self.encode(self.render(messages, add_generation_prompt), special=True)

    def state(self) -> dict[str, Any]:
        """Return the definition, the names of special tokens, the chat template, and other ends."""
        said = {"definition": self.definition, "names": self.names, "chat_template": self.chat_template}
        more = [i for i in self.ends if i != self.eos]
        return said | ({"ends": more} if more else {})


def _frame(before: str | None, behind: str | None, ids: dict[str, int]) -> dict[str, Any]:
    """Return what a tokenizer.json says of the tokens around each text."""
    single: list[dict] = [{"SpecialToken": {"id": n, "type_id": 0}} for n in (before, behind) if n]
    single.insert(1 if before else 0, {"Sequence": {"id": "A", "type_id": 0}})
    table = {n: {"id": n, "ids": [ids[n]], "tokens": [n]} for n in (before, behind) if n}
    return {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": table}


def _letters() -> dict[int, str]:
    """Return the letter that stands for each byte in a vocabulary: itself if it can be seen, else one from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = [i for i in range(256) if i not in seen]
    return {i: chr(i) for i in seen} | {i: chr(256 + n) for n, i in enumerate(unseen)}


_LETTERS = _letters()
_BYTES = {ord(letter): chr(i) for i, letter in _LETTERS.items()}


def _bytes_of(token: str) -> bytes:
    """Return the bytes that a token's letters stand for; a token with other letters stands for itself."""
    if all(ord(letter) in _BYTES for letter in token):
        return token.translate(_BYTES).encode("latin-1")
    return token.encode()


_BEFORE_A_SPACE = re.compile(r"(?s:.*)[^\W_](?=[ \n])")


def _words_end_at_spaces(definition: dict[str, Any]) -> bool:
    """Tell whether a letter or digit before a space or line break always ends a token, as in GPT-2's words.

    Not where a text is one word, or is cut by a pattern that is not known, where each text is given a space to begin
    with, or where a token of its own, added to the vocabulary, goes across or looks at what stands beside it.
    """
    words = definition.get("pre_tokenizer") or {}
    steps = words.get("pretokenizers", [words])
    known = all(each in SPLITS or each.get("type") in ("Digits", "ByteLevel") for each in steps)
    cut = known and any(each.get("use_regex") or each in SPLITS for each in steps)
    added = definition.get("added_tokens") or ()
    looks = any(each.get(beside) for each in added for beside in ("lstrip", "rstrip", "single_word"))
    plain = (definition.get("normalizer") or {"type": "NFC"})["type"] == "NFC"
    plain = plain and not any(each.get("add_prefix_space") for each in steps)
    return cut and plain and not looks and not any(_BEFORE_A_SPACE.match(each["content"]) for each in added)


# In these patterns, a letter or digit is followed by a space or line break only at the end of a word.
KNOWN = (
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # GPT-2
    *(
        rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        for digits in ("{1,3}", "")  # Llama 3, Qwen 2
    ),
)
SPLITS = [{"type": "Split", "pattern": {"Regex": r}, "behavior": "Isolated", "invert": False} for r in KNOWN]
WORDS: dict[str, list[dict[str, Any]]] = {  # how a text is cut into words, by llama.cpp's names
    **dict.fromkeys(("smollm", "starcoder", "refact"), [{"type": "Digits", "individual_digits": True}]),
    **{"gpt-2": [], "llama-bpe": [SPLITS[2]], "qwen2": [SPLITS[3]]},
}


def _package() -> Any:
    try:
        import tokenizers
    except ModuleNotFoundError:
        hint = 'pip install -e ".[models]"'
        raise ImportError(f"BPE: expected the package tokenizers; got none; {hint}") from None
    return tokenizers


@contextmanager
def _in_one_line(where: str, expected: str) -> Iterator[None]:
    """Turn whatever the package raises into one line; its panics are no `Exception`, and known by their name."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise value_error(where, expected, " ".join(str(error).split())) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, standard error goes nowhere: where the package panics, it prints there before it raises."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _build(definition: dict[str, Any]) -> Any:
    """Return the package's tokeniser; refuse what `Tokenizer` cannot stand for: bytes must be bytes.

    A part of it that cannot work would show in a user's first text: it is tried on one of ours.
    """
    tokenizers = _package()
    with _in_one_line("BPE", "the definition of a tokenizer.json"), _quiet():
        kinds = definition["model"]["type"], definition["decoder"]["type"]
        if kinds == ("BPE", "ByteLevel"):
            exact = definition | {"model": definition["model"] | {"dropout": None}}  # the same ids each time
            found = tokenizers.Tokenizer.from_str(json.dumps(exact))
            found.no_truncation()
            found.no_padding()
            found.encode("Twice 2 is four,\n  déjà vu 🙂")
    if kinds != ("BPE", "ByteLevel"):
        raise value_error("BPE", "byte-pair encoding on bytes (BPE, ByteLevel)", ", ".join(map(str, kinds)))
    return found
