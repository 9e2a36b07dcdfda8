"""The tokenisers that need no table: the characters of a text, and bytes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from gpt.tokens.tokenizer import Tokenizer, check_text
from minigrad.errors import check_type, value_error

UNICODE = 0x110000  # code points


class Characters(Tokenizer):
    """The characters of a text, sorted; the id of a character is its place.

    Raises    ValueError for characters that are not sorted or not different.
    Source    nanoGPT, data/shakespeare_char/prepare.py
    Example   >>> v = Characters.of("hello")
              >>> v.encode("hole").tolist(), v.decode([2, 0, 2])
              ([1, 3, 2, 0], 'lel')
    """

    kind, unit = "characters", "character"

    def __init__(self, characters: str) -> None:
        check_type("Characters", characters, str, "a string")
        points = _code_points(characters)
        if not len(points) or (points[1:] <= points[:-1]).any():
            raise value_error("Characters", "characters in order, each once", repr(characters[:40]))
        try:
            super().__init__([character.encode() for character in characters])
        except UnicodeEncodeError as error:
            got = repr(error.object)
            raise value_error("Characters", "no half of a surrogate pair, which no UTF-8 has", got) from None
        self.characters = characters
        self._ids = np.full(int(points[-1]) + 2, -1, np.int32)  # by code point; the last is for all above
        self._ids[points] = np.arange(len(points))

    @classmethod
    def of(cls, text: str | Iterable[str]) -> "Characters":
        """Return the characters of a text, or of its pieces."""
        seen = np.zeros(UNICODE, bool)
        for piece in text if isinstance(text, Iterable) and not isinstance(text, (str, bytes)) else [text]:
            seen[_code_points(piece)] = True
        return cls("".join(map(chr, np.flatnonzero(seen).tolist())))

    def encode(self, text: str, special: bool = False) -> np.ndarray:
        """Return the id of each character; see `Tokenizer.encode`."""
        ids = self._ids[np.minimum(_code_points(text), len(self._ids) - 1)]
        if (ids < 0).any():
            unknown = sorted(set(text) - set(self.characters))
            got = ", ".join(map(repr, unknown[:10])) + (", ..." if len(unknown) > 10 else "")
            raise value_error("encode", f"only the {len(self)} characters of the vocabulary", got)
        return ids.astype(self.dtype)

    def state(self) -> dict[str, Any]:
        """Return the characters."""
        return {"characters": self.characters}


class Bytes(Tokenizer):
    """The bytes of a text in UTF-8; the id of a byte is its value.

    Example   >>> Bytes().encode("né").tolist()
              [110, 195, 169]
    """

    kind, unit = "bytes", "byte"

    def __init__(self) -> None:
        super().__init__([bytes([i]) for i in range(256)])

    def encode(self, text: str, special: bool = False) -> np.ndarray:
        """Return the bytes; see `Tokenizer.encode`."""
        return np.frombuffer(to_utf8(text), np.uint8)

    def state(self) -> dict[str, Any]:
        """Return nothing: all bytes are alike."""
        return {}


def to_utf8(text: str) -> bytes:
    """Return the text in UTF-8.

    Raises    ValueError for half of a surrogate pair, which a command line may hold; TypeError for no text.
    """
    try:
        return check_text(text).encode()
    except UnicodeEncodeError as error:
        raise value_error("encode", "characters that UTF-8 has", repr(text[error.start])) from None


def _code_points(text: str) -> np.ndarray:
    """Return the number of each character in Unicode."""
    return np.frombuffer(check_text(text).encode("utf-32-le", "surrogatepass"), np.uint32)
