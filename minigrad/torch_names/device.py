"""torch.device: where an array is, as a word with two parts."""

import re
from types import TracebackType
from typing import Any

from minigrad.errors import value_error

TYPES = ("cpu", "cuda", "mps", "xpu", "meta")


class device(str):
    """A device, "cpu" or "cuda:0": a string that knows its `type` and `index` (an int, or None where none was given).

    `device("cuda", 1)` is `device("cuda:1")`. It is a string, so that whatever takes "cpu" takes it too.
    In a `with` statement, "cpu" is accepted; elsewhere arrays are not made by themselves.

    Raises    ValueError for another word.
    """

    __slots__ = ()

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> "device":
        """Return the device of that name."""
        word = str(type) if index is None else f"{type}:{index}"
        if isinstance(type, int) and not isinstance(type, bool):
            word = f"cuda:{type}"
        found = re.fullmatch(r"([a-z]+)(?::(0|[1-9]\d*))?", word)
        if found is None or found[1] not in TYPES:
            raise value_error("device", '"cpu", "cuda" or "cuda:0"', repr(word))
        return super().__new__(cls, word)

    @property
    def type(self) -> str:
        """The kind of device: "cpu", "cuda"."""
        return str(self).partition(":")[0]

    @property
    def index(self) -> int | None:  # type: ignore[override]
        """Which of its kind, or None."""
        return int(str(self).partition(":")[2]) if ":" in self else None

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __enter__(self) -> "device":
        set_default_device(self)
        return self

    def __exit__(self, *error: TracebackType | object) -> None:
        pass


def set_default_device(where: Any) -> None:
    """Accept "cpu", where arrays are made anyhow.

    Raises    ValueError for another device.
    """
    if where is not None and device(where).type != "cpu":
        raise value_error("set_default_device", '"cpu"', repr(str(where)), "pass device= or call .to(device)")


def get_default_device() -> device:
    """Return device("cpu")."""
    return device("cpu")
