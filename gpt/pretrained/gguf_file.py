"""The file format GGUF: settings by name, then tensors, most of them packed in blocks.

    "GGUF", version, number of tensors, number of settings
    settings: name, kind, value (a number, a text, an array of either)
    tensors: name, sizes (innermost first), kind, offset
    the tensors' bytes

All that can be checked is, before a number is read: each length against what is left of the file, each tensor
against the next (no hole, no overlap, the last ends the file). There is no checksum: a setting or weight that
changed and still makes sense goes unseen. The package `gguf` knows the kinds of blocks; its own reader of the
header takes 1.5 s for SmolLM2's 98,000 texts, this one 0.2 s, and believes any length it reads.

Source    https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from gpt.files import check_file
from gpt.pretrained.quantised import Blocks, Kind, kind
from minigrad.errors import value_error

# kinds of values by their number in a file, as `struct` calls them
KINDS = ("B", "b", "H", "h", "I", "i", "f", "?", "text", "array", "Q", "q", "d")


class Place(NamedTuple):
    """Where a tensor lies, in the file and in bytes."""

    kind: Kind
    shape: tuple[int, ...]
    offset: int
    size: int


class GGUF:
    """A file's `settings` {name: value} and `tensors` {name: Place}; `blocks(name)` reads one.

    Raises    ValueError for what is no whole GGUF file; OSError for what cannot be read;
              ModuleNotFoundError, with what to install, without the package gguf.
    """

    def __init__(self, path: str | Path) -> None:
        size, self.path = check_file("GGUF", path), Path(path)
        with open(path, "rb") as file:
            header = _Header(self.path, file, size)
            if header.take(4) != b"GGUF" or header.number("I") not in (2, 3):
                raise header.damaged('to begin with "GGUF" and the version, 2 or 3', "another begin")
            n_tensors, n_settings = header.number("Q"), header.number("Q")
            self.settings = header.settings(n_settings)
            self.tensors = header.tensors(n_tensors, self.settings.get("general.alignment", 32))

    def blocks(self, name: str) -> Blocks:
        """Read the bytes of a tensor."""
        place = self.tensors[name]
        packed = np.fromfile(self.path, np.uint8, place.size, offset=place.offset)
        return Blocks(place.kind, packed.reshape(*place.shape[:-1], -1))


class _Header:
    """Reads what stands before the tensors' bytes; `left` bytes of the file are unread."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.size, self.left = path, file, size, size

    def damaged(self, expected: str, got: object) -> ValueError:
        return value_error("GGUF", f"{self.path} {expected}", got)

    def take(self, n: int) -> bytes:
        """Return the next n bytes."""
        found = self.file.read(n) if n <= self.left else b""
        if len(found) < n:
            raise self.damaged(f"to go on for {n:,} bytes", f"{self.left:,}: it is cut off, or damaged")
        self.left -= n
        return found

    def number(self, form: str) -> Any:
        """Return the next number, of a form of `struct`."""
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def text(self) -> str:
        """Return the next text."""
        found = self.take(self.number("Q"))
        try:
            return found.decode()
        except UnicodeDecodeError:
            raise self.damaged("to hold texts in UTF-8", f"{found[:20]!r}") from None

    def value(self, form: str) -> Any:
        """Return the next value; an array as a list."""
        if form == "text":
            return self.text()
        if form != "array":
            return self.number(form)
        form, count = self.form(), self.number("Q")
        if form == "array":
            raise self.damaged("to hold arrays of numbers or texts", "an array of arrays")
        if form != "text":
            return np.frombuffer(self.take(count * struct.calcsize("<" + form)), "<" + form).tolist()
        return [self.text() for _ in range(count)]  # a count that is too large ends with the file

    def form(self) -> str:
        """Return the form of the value that comes."""
        number = self.number("I")
        if number >= len(KINDS):
            raise self.damaged(f"to hold values of the kinds 0..{len(KINDS) - 1}", number)
        return KINDS[number]

    def settings(self, count: int) -> dict[str, Any]:
        """Return the settings by name. A count that is too large ends with the file."""
        found: dict[str, Any] = {}
        for _ in range(count):
            name = self.text()
            if name in found:
                raise self.damaged("to hold each setting once", f"{name:.60} twice")
            found[name] = self.value(self.form())
        return found

    def tensors(self, count: int, alignment: Any) -> dict[str, Place]:
        """Return where the tensors lie, by name."""
        found: dict[str, Place] = {}
        for _ in range(count):
            name, n_axes = self.text(), self.number("I")
            if name in found or not 1 <= n_axes <= 4:
                raise self.damaged("to hold tensors of 1 to 4 axes, each once", f"{name:.60}, {n_axes} axes")
            shape = tuple(self.number("Q") for _ in range(n_axes))[::-1]
            packed, offset = kind(self.number("I")), self.number("Q")
            if shape[-1] % packed.block or math.prod(shape) < 1:
                expected = f"to hold rows of whole blocks, {packed.block} numbers of {packed.name} each"
                raise self.damaged(expected, f"{name:.60} {shape}")
            found[name] = Place(packed, shape, offset, math.prod(shape) // packed.block * packed.size)
        return self._placed(found, alignment)

    def _placed(self, tensors: dict[str, Place], alignment: Any) -> dict[str, Place]:
        """Return the places counted from the file's begin, once they fill the rest of the file."""
        if alignment not in (8 << i for i in range(20)):
            raise self.damaged("to say an alignment that is a power of two, 8 or more", repr(alignment)[:60])
        begin = end = _up(self.size - self.left, alignment)
        for name, place in sorted(tensors.items(), key=lambda each: each[1].offset):
            if begin + place.offset != _up(end, alignment):
                expected = f"to hold {name:.60} at byte {_up(end, alignment) - begin:,}"
                raise self.damaged(expected, place.offset)
            end = begin + place.offset + place.size
        if not end <= self.size <= _up(end, alignment):
            raise self.damaged(f"to be {end:,} bytes long", f"{self.size:,}: it is cut off, or damaged")
        return {name: place._replace(offset=begin + place.offset) for name, place in tensors.items()}


def _up(place: int, alignment: int) -> int:
    """Return the next multiple of the alignment."""
    return -(-place // alignment) * alignment
