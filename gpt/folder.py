"""The folder of a run: made, found to be writable, and claimed, so that one process at a time writes into it."""

import contextlib
import os
import re
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from minigrad.errors import value_error
from minigrad.parallel import rank
from nn.archive import UNFINISHED

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

CHECKPOINT = "checkpoint.npz"  # what a run leaves in its folder
LOCK, NOTE = ".lock", b"process "
OURS = re.compile(rf".+\.\d+-[0-9a-f]+{re.escape(UNFINISHED)}")  # of `nn.archive.replacing`

_claims: dict[str, int] = {}  # the open lock file of each folder that this process has claimed


def prepare_folder(out: str, where: str = "out", hint: str = "") -> None:
    """Make the folder, and make sure that it can be written to.

    Raises    OSError, in one line, if not.
    """
    try:
        os.makedirs(out, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise _unwritable(where, out, error, hint) from None


@contextlib.contextmanager
def tidy(out: str | Path) -> Iterator[None]:
    """At the end, take away those folders on the way to this one that were not there before and hold nothing."""
    new = [each for each in (Path(out), *Path(out).parents) if not os.path.exists(each)]
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            for each in new:
                each.rmdir()


@contextlib.contextmanager
def claimed(out: str, where: str = "out") -> Iterator[None]:
    """Inside, the folder is there, and no other process that asks may write into it; this one may claim it again.

    The lock is the operating system's: it ends with the process, however that ends. What a run that was
    killed left unfinished is taken away.

    Raises    ValueError, saying which process has it, or that another program's file has the lock's name; OSError
              as `prepare_folder`.
    """
    place = os.path.realpath(out)
    if place in _claims or rank():  # the first of several ranks has claimed it for all
        yield
        return
    with tidy(out):
        prepare_folder(out, where)
        _claims[place] = _lock(out, where)
        try:
            for left in Path(out).iterdir():
                if OURS.fullmatch(left.name) and not left.is_dir():
                    left.unlink(missing_ok=True)
            yield
        finally:
            _unlock(out, _claims.pop(place))


def restore(out: str) -> None:
    """Make the folder again, if somebody took it away, and claim it again, if it was claimed."""
    os.makedirs(out, exist_ok=True)
    place = os.path.realpath(out)
    if place in _claims and not _is_ours(out, _claims[place]):
        os.close(_claims[place])
        _claims[place] = _lock(out)


def _lock(out: str, where: str = "out") -> int:
    """Return the open lock file of the folder, with a note in it of who holds it."""
    path = Path(out) / LOCK
    flags = os.O_RDWR | os.O_CREAT | (os.O_NOFOLLOW if fcntl else os.O_EXCL)
    while True:
        if _is_anothers(path):
            got = f"{path}, which no run made"
            raise value_error(where, "a folder without another's .lock", got, "move it away")
        try:
            number = os.open(path, flags, 0o666)
        except FileExistsError:
            raise _refusal(where, out, f"; if that is no more, delete {path}") from None
        except OSError as error:
            raise _unwritable(where, out, error) from None
        try:
            if fcntl:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            raise _refusal(where, out) from None
        except OSError:  # a file system without locks: each file is still written whole
            pass
        if _is_ours(out, number):  # else the run before ended, and took it away, since it was opened
            break
        os.close(number)
    note = f" on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}"
    try:
        os.ftruncate(number, 0)
        os.write(number, NOTE + f"{os.getpid()}{note}".encode())
    except OSError as error:  # a full disk
        _unlock(out, number)
        raise _unwritable(where, out, error) from None
    return number


def _is_anothers(path: Path) -> bool:
    """Has something that no run left the lock's name? (An empty file a run may have left that was killed.)"""
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode) or path.read_bytes()[: len(NOTE)] not in (b"", NOTE)
    except OSError:
        return False  # it is not there, or opening it will say why


def _unwritable(where: str, out: str, error: OSError, hint: str = "") -> OSError:
    return type(error)(f"{where}: expected a folder to write to; got {out!s:.200} ({error.strerror}){hint}")


def _refusal(where: str, out: str, hint: str = "") -> ValueError:
    try:
        holder = (Path(out) / LOCK).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        holder = ""
    got, other = f"{out}, in use by {holder or 'another process'}", "--out" if where == "out" else "folder"
    return value_error(
        where, "a folder of one run at a time", got, f"wait for it, or pass another {other}{hint}"
    )


def _is_ours(out: str, number: int) -> bool:
    """Is the open file the one in the folder?"""
    try:
        return os.path.samestat(os.stat(Path(out) / LOCK), os.fstat(number))
    except OSError:
        return False


def _unlock(out: str, number: int) -> None:
    if _is_ours(out, number):
        with contextlib.suppress(OSError):
            os.unlink(Path(out) / LOCK)
    os.close(number)


def _forget() -> None:
    """In a process that was forked: the claim is its parent's, and ends with that."""
    for number in _claims.values():
        os.close(number)
    _claims.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
