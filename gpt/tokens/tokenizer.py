"""What every tokeniser is: the bytes that each token stands for, and a way to cut a text into tokens."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from gpt.files import as_path, read_small
from minigrad.errors import check_type, type_error, value_error
from nn.archive import replacing

FORMAT = "minigrad tokenizer 1"
KINDS: dict[str, type["Tokenizer"]] = {}  # by the name that a file says


class Tokenizer(ABC):
    """A text as ids and back.

    A subclass says how a text is cut (`encode`) and what it was made from (`state`). Everything else follows
    from the bytes of each token: a text is what they are together in UTF-8.
    """

    kind: ClassVar[str]  # its name in a file
    unit: ClassVar[str] = "token"  # what a token is called

    def __init__(self, pieces: Sequence[bytes], special: dict[str, int] | None = None) -> None:
        self.pieces = pieces  # the bytes of each token
        self.special = special or {}  # {name: id} of signs to the model, which are no text of a user's
        self.eos: int | None = None  # the token that ends a text
        self.ends: tuple[int, ...] = ()  # those that end an answer, eos among them
        self.dtype = np.min_scalar_type(max(len(pieces) - 1, 0))
        self._sizes = np.array([len(piece) for piece in pieces], np.int32)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        KINDS[cls.kind] = cls

    @property
    def n_vocab(self) -> int:
        """The number of different tokens."""
        return len(self.pieces)

    def __len__(self) -> int:
        return len(self.pieces)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and (self.kind, self.state()) == (other.kind, other.state())

    __hash__ = None  # type: ignore[assignment]

    @abstractmethod
    def encode(self, text: str, special: bool = False) -> np.ndarray:
        """Return the ids of a text, as the narrowest unsigned integers that hold them.

        With `special`, the name of a special token in the text ("<|im_end|>") is that token, as a chat template
        means it; without, it is spelled out like any other text, and no user can forge one.

        Shapes    -> (number of tokens,)
        Raises    ValueError, naming it, for what this tokeniser has no token for.
        """

    def encode_pieces(self, pieces: Iterable[str]) -> Iterator[np.ndarray]:
        """Yield the ids of a text that comes in pieces: together they are those of the whole text."""
        check_type("encode_pieces", pieces, Iterable, "a text in pieces")
        rest = ""
        for piece in pieces:
            rest += check_text(piece)
            end = self._end_of_whole_tokens(rest)
            yield self.encode(rest[:end])
            rest = rest[end:]
        yield self.encode(rest)

    def _end_of_whole_tokens(self, text: str) -> int:
        """Return a place, as late as possible, where a cut changes no token, whatever follows; 0 if there is none."""
        return len(text)

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what makes this tokeniser again, as arguments of its class that JSON can say."""

    def decode(self, ids: Iterable[int] | np.ndarray) -> str:
        """Return the text of the ids; bytes that are no UTF-8 become U+FFFD, the replacement character.

        Raises    ValueError for ids outside the vocabulary, TypeError for what are no ids in a row.
        """
        return self.bytes_of(ids).decode("utf-8", "replace")

    def bytes_of(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """Return the bytes that the ids stand for together; errors as in `decode`."""
        return b"".join([self.pieces[i] for i in self._checked("decode", ids).tolist()])

    def count_bytes(self, ids: np.ndarray) -> int:
        """Return how many bytes of text the ids stand for: `len(bytes_of(ids))` without making them."""
        step = 1 << 20  # a long text is looked up in parts
        ids = ids if isinstance(ids, np.ndarray) and ids.ndim else self._checked("count_bytes", ids)
        parts = (self._checked("count_bytes", ids[i : i + step]) for i in range(0, len(ids), step))
        return sum(int(self._sizes[part].sum(dtype=np.int64)) for part in parts)

    def prompt(self, text: str) -> np.ndarray:
        """Return a text as the beginning of a sample, (1, T); an empty one as a token to begin with."""
        ids = np.array([self._first()]) if check_text(text) == "" else self.encode(text)
        return ids.astype(np.int64)[None]

    def _first(self) -> int:
        """Return the token that begins a sample without a prompt: the end of a text before, or a line break."""
        newline = [i for i, piece in enumerate(self.pieces) if piece == b"\n"]
        return self.eos if self.eos is not None else (newline or [0])[0]

    def _checked(self, where: str, ids: Iterable[int] | np.ndarray) -> np.ndarray:
        row = isinstance(ids, Iterable) and not isinstance(ids, (str, bytes, dict))
        try:
            found = np.asarray(ids if hasattr(ids, "__array__") or not row else list(ids))
        except ValueError:  # lists of different lengths
            row = False
        if not row or found.ndim != 1 or found.size and found.dtype.kind not in "iu":
            got = f"{found.dtype} {found.shape}" if row else f"{ids!r:.40}"
            raise type_error(where, "integer ids in a row", got)
        if found.size and not (0 <= found.min() and found.max() < len(self)):
            raise value_error(where, f"ids in 0..{len(self) - 1}", f"{found.min()}..{found.max()}")
        return found.astype(np.int64)

    def to_json(self) -> str:
        """Return this tokeniser as text, which `from_json` reads; with a hash, so that no damage is overlooked."""
        state = {"kind": self.kind, **self.state()}
        return json.dumps({"format": FORMAT, "sha256": _digest(state), **state})

    def save(self, path: str | Path) -> None:
        """Write this tokeniser to one file; whatever interrupts, that is the whole new one or the one before.

        Raises    OSError, in one line, if it cannot be written.
        """
        if as_path("tokenizer", path).is_dir():
            raise value_error("tokenizer", "a file to write", f"the folder {path}")
        try:
            with replacing(path) as file:
                file.write(self.to_json().encode("ascii"))
        except OSError as error:
            got = f"{path} ({error.strerror})"
            raise type(error)(f"tokenizer: expected a place to write to; got {got}") from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the tokeniser that `save` wrote.

        Raises    ValueError for a damaged file or another kind's; OSError, in one line, if it cannot be read.
        """
        found = from_json(read_small("tokenizer", path), str(path))
        if not isinstance(found, cls):
            raise value_error("tokenizer", f"one of the kind {cls.kind}", f"{found.kind} in {path}")
        return found


def check_text(text: str) -> str:
    """Return the text; TypeError for what is none."""
    return check_type("encode", text, str, "a text")


def from_json(text: str | bytes, name: str = "a text") -> Tokenizer:
    """Return the tokeniser of a text that `to_json` made; `name` is for errors.

    Raises    ValueError for a text that is damaged, or of another format.
    """
    try:
        saved = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise value_error("tokenizer", "a whole one written by `save`", f"{name} ({error})") from None
    return from_saved(saved, name)


def from_saved(saved: dict[str, Any], name: str) -> Tokenizer:
    """Return the tokeniser of what JSON makes of such a text; errors as in `from_json`."""
    try:
        state = dict(saved)
        form, digest = state.pop("format"), state.pop("sha256")
    except (LookupError, TypeError, ValueError):
        raise value_error("tokenizer", "a whole one written by `save`", f"{name}, something else") from None
    if form != FORMAT:
        hint = "update minigrad if it is newer"
        raise value_error("tokenizer", f"one in the format {FORMAT!r}", f"{form!r:.60} in {name}", hint)
    if digest != _digest(state):
        raise value_error("tokenizer", "a whole one written by `save`", f"{name}, damaged or changed by hand")
    kind = KINDS.get(str(state.pop("kind", None)))
    try:
        if kind is not None:
            return kind(**state)
    except TypeError as error:
        raise value_error("tokenizer", "what this kind is made of", f"{name} ({error})") from None
    raise value_error("tokenizer", f"a kind among {', '.join(KINDS)}", f"another in {name}")


def _digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode("ascii")).hexdigest()[:16]
