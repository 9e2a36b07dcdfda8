"""Which files can be read at all: named before they are opened."""

import os
import stat
from pathlib import Path

from minigrad.errors import check_type, value_error

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def as_path(where: str, path: str | os.PathLike) -> Path:
    """Return the path; TypeError for what is none."""
    return Path(check_type(where, path, str | os.PathLike, "a path"))


def check_file(where: str, path: str | Path, what: str = "a file") -> int:
    """Return the size of a file, in bytes, before it is opened: a pipe would wait, a device may have no end.

    Raises    OSError, in one line, if there is none; ValueError for what is no file, saying what it is.
    """
    try:
        found = os.stat(as_path(where, path))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        kind = type(error) if isinstance(error, OSError) else FileNotFoundError
        raise kind(f"{where}: expected {what}; got {path} ({getattr(error, 'strerror', error)})") from None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(f"{where}: expected {what}; got {path} (Is a directory)")
    if not stat.S_ISREG(found.st_mode):
        got = f"{path}, which is {KINDS.get(stat.S_IFMT(found.st_mode), 'something else')}"
        raise value_error(where, what, got, "save what it gives to a file")
    return found.st_size


def read_small(where: str, path: str | Path, most: int = 1 << 28) -> bytes:
    """Return the bytes of a file that is small by its nature.

    Raises    as `check_file`; ValueError for one of more than `most` bytes.
    """
    size = check_file(where, path)
    if size > most:
        raise value_error(where, f"a file of at most {most:,} bytes", f"{path} with {size:,}")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise type(error)(f"{where}: expected a file; got {path} ({error.strerror})") from None
