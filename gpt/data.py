"""Text, its characters as ids, and batches of them."""

import codecs
import hashlib
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gpt.files import as_path, check_file
from gpt.progress import bar
from gpt.tokens import Characters, Tokenizer
from minigrad.errors import check_type, value_error
from minigrad.random import Generator

Batch = tuple[np.ndarray, np.ndarray]
PIECE = 1 << 18  # bytes of a text that are read, and encoded, at once
WINDOWS_AT_ONCE = 4096  # tokens that `windows` puts into a batch: enough to keep the processor busy,
LOGITS_AT_ONCE = 1 << 24  # but fewer where each has tens of thousands of logits: they are 64 MB then


def language_reference() -> str:
    """Return the text of Python's language reference, which comes with Python: all topics of `help()`.

    Raises    ModuleNotFoundError, with what to do, where Python was installed without it.
    """
    try:
        from pydoc_data.topics import topics  # half a megabyte, which only this function wants
    except ModuleNotFoundError:
        message = "data: this Python has no language reference (pydoc_data.topics); pass --data FILE"
        raise ModuleNotFoundError(message) from None
    return "\n\n".join(topics[name] for name in sorted(topics))


def clean(text: str) -> str:
    r"""Return a text without a byte-order mark, its lines ending in \n."""
    check_type("clean", text, str, "a text")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file, as `clean` makes it; errors as in `read_pieces`."""
    return "".join(read_pieces(path))


def read_pieces(path: str | Path) -> Iterator[str]:
    """Yield the text of a UTF-8 file in pieces, as `clean` makes it.

    Raises    ValueError for an empty file, what is no file (a pipe, a device), or bytes that are not UTF-8,
              saying where; OSError, in one line, if it cannot be read.
    """
    check_file("data", path, "a text file")
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(), translate=True)
    read, found = 0, False
    try:
        with open(path, "rb") as file:
            while raw := file.read(PIECE):
                read += len(raw)
                if piece := decoder.decode(raw):
                    found = True
                    yield piece
            if rest := decoder.decode(b"", final=True):
                yield rest
    except OSError as error:
        raise type(error)(f"data: expected a text file; got {path} ({error.strerror})") from None
    except UnicodeDecodeError as error:
        place = read - len(error.object) + error.start
        got = f"{path}, whose byte {place} (0x{error.object[error.start]:02x}) is not"
        raise value_error("data", "text in UTF-8", got, "save it as UTF-8") from None
    if not (found or rest):
        raise value_error("data", "a file with text", f"{path}, which is empty")


@dataclass(frozen=True)
class Text:
    """A text that is read in pieces, as often as it is needed, so that a large one is never whole in memory.

    Units     length in characters, size in bytes of UTF-8; sha256 is the beginning of the hash of these
    """

    name: str
    source: str | Path = field(repr=False)  # the text itself, or where it is
    length: int = field(init=False)
    size: int = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        check_type("Text", self.source, str | Path, "a text, or the path of one")
        length, size, digest = 0, 0, hashlib.sha256()
        for piece in self:
            raw = piece.encode("utf-8")
            digest.update(raw)
            length, size = length + len(piece), size + len(raw)
        vars(self).update(length=length, size=size, sha256=digest.hexdigest()[:16])  # the class is frozen

    @classmethod
    def load(cls, path: str = "") -> "Text":
        """Return the text of a file, or without a path the language reference; errors as in `read_pieces`."""
        return (
            cls(str(path), as_path("data", path))
            if path
            else cls("Python's language reference", language_reference())
        )

    def __iter__(self) -> Iterator[str]:
        if isinstance(self.source, Path):
            return read_pieces(self.source)
        return (self.source[i : i + PIECE] for i in range(0, len(self.source), PIECE))

    def part(self, start: int, stop: int) -> Iterator[str]:
        """Yield the characters from start to before stop, in pieces."""
        place = 0  # of the piece
        for piece in self:
            if wanted := piece[max(start - place, 0) : max(stop - place, 0)]:
                yield wanted
            place += len(piece)
            if place >= stop:
                return

    def __str__(self) -> str:
        return f"{self.name}: {self.length:,} characters, sha256 {self.sha256}"


@dataclass(frozen=True)
class Corpus:
    """A text as ids, its first nine tenths to train on and the rest to validate.

    The cut is by characters, so that with every tokeniser the two parts are the same text. The ids are as narrow
    as the vocabulary admits: a byte or two for a token.

    Source    nanoGPT, data/shakespeare_char/prepare.py and data/shakespeare/prepare.py
    """

    text: Text
    tokenizer: Tokenizer
    splits: dict[str, np.ndarray]  # "train" and "val"

    @classmethod
    def of(cls, text: Text, tokenizer: Tokenizer | None = None) -> "Corpus":
        """Encode a text, by default as its own characters."""
        check_type("Corpus", text, Text, "a Text")
        tokenizer = Characters.of(text) if tokenizer is None else tokenizer
        cut = int(text.length * 0.9)
        parts = {"train": text.part(0, cut), "val": text.part(cut, text.length)}
        settings = {"unit_scale": True, "desc": "tokens", "delay": 2, "leave": False}
        with bar(text.length, "char", disable=text.length < PIECE, **settings) as shown:
            return cls(
                text, tokenizer, {name: _encode(part, tokenizer, shown) for name, part in parts.items()}
            )

    @classmethod
    def from_text(cls, text: str, name: str, tokenizer: Tokenizer | None = None) -> "Corpus":
        """Encode a text, by default as its own characters."""
        return cls.of(Text(name, text), tokenizer)

    @classmethod
    def load(cls, path: str = "", tokenizer: Tokenizer | None = None) -> "Corpus":
        """Encode a file, or without a path the language reference; see `Text.load`."""
        return cls.of(Text.load(path), tokenizer)

    def __str__(self) -> str:
        size, unit, tokenizer = f"{self.text.length:,} characters", self.tokenizer.unit, self.tokenizer
        if unit == "character":
            size += f", {len(tokenizer)} different"
        else:
            count = sum(map(len, self.splits.values()))
            size += f", {count:,} {unit}s" + (f" of {len(tokenizer):,} different" if unit != "byte" else "")
        return f"{self.text.name}: {size}, sha256 {self.text.sha256}"

    def check_length(self, block_size: int) -> None:
        """Raise ValueError if a split cannot fill a context and the token after it."""
        if min(map(len, self.splits.values())) <= block_size:
            unit, count = self.tokenizer.unit, sum(map(len, self.splits.values()))
            needed = f"at least {10 * (block_size + 1):,} {unit}s for block_size {block_size}"
            hint = "take a longer text or a smaller block_size"
            raise value_error("data", needed, f"{count:,} in {self.text.name}", hint)

    def describe(self, loss: float, split: str, block_size: int) -> str:
        """Return the mean loss over every token but the first of a split, in windows of block_size, in words.

        A tokeniser with longer tokens has a higher loss for each; bits per byte of text compare, in windows alike.

        Units     loss in nats per token
        """
        targets, unit = self.splits[split][1:], self.tokenizer.unit
        bits = loss / math.log(2)
        by_byte = bits * len(targets) / max(self.tokenizer.count_bytes(targets), 1)
        windows = f"in windows of {block_size:,} {unit}s"
        each = f"{bits:.4f} bits per {unit}, " * (unit != "byte")
        over = f"loss over all {len(targets):,} {unit}s, {windows}"
        return f"{over}: {loss:.4f} nats, {each}{by_byte:.4f} bits per byte"

    def batch(self, split: str, batch_size: int, block_size: int, rng: Generator) -> Batch:
        """Return stretches of a split from random places, and for each token the one that follows it.

        Shapes    -> inputs and targets, both (batch_size, block_size)
        Random    batch_size places, with one call of rng.randint
        Source    nanoGPT, train.py, `get_batch`
        """
        ids = self.splits[split]
        starts = rng.randint(0, len(ids) - block_size, (batch_size,))
        places = starts[:, None] + np.arange(block_size + 1)
        stretches = ids[places].astype(np.int64)  # (batch_size, block_size + 1)
        return stretches[:, :-1], stretches[:, 1:]

    def windows(self, split: str, block_size: int) -> Iterator[Batch]:
        """Yield the whole split in order, in windows of block_size: every token but the first is a target once.

        A window does not see the one before it, as in training. The last may be shorter.

        Shapes    inputs and targets, both (B, block_size); at last (1, what is left)
        """
        ids = self.splits[split]
        whole = (len(ids) - 1) // block_size * block_size
        most = min(WINDOWS_AT_ONCE, LOGITS_AT_ONCE // len(self.tokenizer))
        step = math.ceil(max(most, 1) / block_size) * block_size
        for start in range(0, whole, step):
            part = ids[start : min(start + step, whole) + 1].astype(np.int64)
            yield part[:-1].reshape(-1, block_size), part[1:].reshape(-1, block_size)
        if whole < len(ids) - 1:
            part = ids[whole:].astype(np.int64)
            yield part[None, :-1], part[None, 1:]


def _encode(pieces: Iterable[str], tokenizer: Tokenizer, bar: Any) -> np.ndarray:
    """Return the ids of a text that comes in pieces; the bar counts characters."""

    def counted() -> Iterator[str]:
        for piece in pieces:
            yield piece
            bar.update(len(piece))

    found = bytearray()  # it grows in place
    for ids in tokenizer.encode_pieces(counted()):
        found.extend(ids.tobytes())
    return np.frombuffer(found, tokenizer.dtype)
