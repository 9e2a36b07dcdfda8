"""Text, its characters as ids, and batches of them."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigrad.errors import value_error
from minigrad.random import Generator

Batch = tuple[np.ndarray, np.ndarray]
WINDOWS_AT_ONCE = 4096  # tokens that `windows` puts into a batch: enough to keep the processor busy


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


def read_text(path: str | Path) -> str:
    r"""Return the text of a UTF-8 file, its lines ending in \n.

    Raises    ValueError for an empty file or bytes that are not UTF-8, saying where; OSError, in one
              line, if it cannot be read.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise type(error)(f"data: expected a text file; got {path} ({error.strerror})") from None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        got = f"{path}, whose byte {error.start} (0x{raw[error.start]:02x}) is not"
        raise value_error("data", "text in UTF-8", got, "save it as UTF-8") from None
    if not text:
        raise value_error("data", "a file with text", f"{path}, which is empty")
    return text.replace("\r\n", "\n")


class Vocabulary:
    """The characters of a text, sorted; the id of a character is its place.

    Raises    ValueError for characters that are not sorted or not different.
    Source    nanoGPT, data/shakespeare_char/prepare.py
    Example   >>> v = Vocabulary.of("hello")
              >>> v.encode("hole").tolist(), v.decode([2, 0, 2])
              ([1, 3, 2, 0], 'lel')
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._points = _code_points(characters)
        if (np.diff(self._points) <= 0).any():
            raise value_error("Vocabulary", "characters in order, each once", repr(characters[:40]))

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """Return the vocabulary of a text."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Return the id of each character (integers, one for each).

        Raises    ValueError, naming them, for characters outside the vocabulary.
        """
        if unknown := sorted(set(text) - set(self.characters)):
            got = ", ".join(map(repr, unknown[:10])) + (", ..." if len(unknown) > 10 else "")
            raise value_error("encode", f"only the {len(self)} characters of the vocabulary", got)
        return np.searchsorted(self._points, _code_points(text))

    def prompt(self, text: str) -> np.ndarray:
        """Return a text as the beginning of a sample, (1, T); an empty one as a line break, if it is known."""
        return self.encode(text or ("\n" if "\n" in self.characters else self.characters[0]))[None]

    def decode(self, ids: np.ndarray | list[int]) -> str:
        """Return the text that the ids stand for."""
        return "".join([self.characters[i] for i in ids])


def _code_points(text: str) -> np.ndarray:
    """Return the number of each character in Unicode, as int64."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)


@dataclass(frozen=True)
class Corpus:
    """A text as ids, its first nine tenths to train on and the rest to validate.

    Units     length in characters; sha256 is the beginning of the hash of the UTF-8 text
    Source    nanoGPT, data/shakespeare_char/prepare.py
    """

    name: str
    length: int
    sha256: str
    vocabulary: Vocabulary
    splits: dict[str, np.ndarray]  # "train" and "val"

    @classmethod
    def from_text(cls, text: str, name: str, vocabulary: Vocabulary | None = None) -> "Corpus":
        """Encode a text, by default with the vocabulary of its own characters."""
        vocabulary = Vocabulary.of(text) if vocabulary is None else vocabulary
        ids, cut = vocabulary.encode(text), int(len(text) * 0.9)
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
        return cls(name, len(text), digest, vocabulary, {"train": ids[:cut], "val": ids[cut:]})

    @classmethod
    def load(cls, path: str = "", vocabulary: Vocabulary | None = None) -> "Corpus":
        """Read a file, or without a path the language reference; see `read_text`, `language_reference`."""
        if path:
            return cls.from_text(read_text(path), path, vocabulary)
        return cls.from_text(language_reference(), "Python's language reference", vocabulary)

    def __str__(self) -> str:
        size = f"{self.length:,} characters, {len(self.vocabulary)} different"
        return f"{self.name}: {size}, sha256 {self.sha256}"

    def check_length(self, block_size: int) -> None:
        """Raise ValueError if a split cannot fill a context and the character after it."""
        if min(map(len, self.splits.values())) <= block_size:
            needed = f"at least {10 * (block_size + 1):,} characters for block_size {block_size}"
            hint = "take a longer text or a smaller block_size"
            raise value_error("data", needed, f"{self.length:,} in {self.name}", hint)

    def batch(self, split: str, batch_size: int, block_size: int, rng: Generator) -> Batch:
        """Return stretches of a split from random places, and for each token the one that follows it.

        Shapes    -> inputs and targets, both (batch_size, block_size)
        Random    batch_size places, with one call of rng.randint
        Source    nanoGPT, train.py, `get_batch`
        """
        ids = self.splits[split]
        starts = rng.randint(0, len(ids) - block_size, (batch_size,))
        places = starts[:, None] + np.arange(block_size + 1)
        stretches = ids[places]  # (batch_size, block_size + 1)
        return stretches[:, :-1], stretches[:, 1:]

    def windows(self, split: str, block_size: int) -> Iterator[Batch]:
        """Yield the whole split in order, in windows of block_size: every token but the first is a target once.

        A window does not see the one before it, as in training. The last may be shorter.

        Shapes    inputs and targets, both (B, block_size); at last (1, what is left)
        """
        inputs, targets = self.splits[split][:-1], self.splits[split][1:]
        whole = len(inputs) - len(inputs) % block_size
        step = math.ceil(WINDOWS_AT_ONCE / block_size) * block_size
        for start in range(0, whole, step):
            part = slice(start, min(start + step, whole))
            yield inputs[part].reshape(-1, block_size), targets[part].reshape(-1, block_size)
        if whole < len(inputs):
            yield inputs[None, whole:], targets[None, whole:]
