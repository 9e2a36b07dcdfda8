"""torch.save and torch.load: trees of dicts, lists, numbers, words and Tensors in one file, without pickle.

The file is a zip, uncompressed: tree.json says what is nested in what (tree.py), and arrays/0.npy and so on are
NumPy's own files, one for each block of memory (storages.py): Tensors that share memory share it again when loaded.
"""

import io
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from minigrad.errors import value_error
from minigrad.gpu.device import move
from nn import archive
from nn.torch_names.storages import pack, unpack
from nn.torch_names.tree import Reader, Writer

KIND, NUMBER = "minigrad save", 1
TREE = "tree.json"
CONVERT = (
    "convert it where PyTorch and minigrad are installed: python -c "
    "\"import torch, nn.torch_names.saving as s; s.save(torch.load({0!r}, map_location='cpu'), {1!r})\""
)


def save(obj: Any, f: Any, pickle_module: Any = None, pickle_protocol: int = 2, **older: Any) -> None:
    """Write `obj` to a file (its name, a Path, or a file opened for writing bytes).

    None, bools, numbers, strings, bytes; lists, tuples, sets, dicts and OrderedDicts of them, with keys of any of
    these; Tensors, Parameters, arrays, sizes, dtypes, devices, and argparse's Namespace. All is checked before
    anything is written, and a file is written under another name and then renamed: whatever interrupts it, the file
    of that name is whole, the new one or the one before. PyTorch's Tensors are taken too, to convert its files.

    Raises    TypeError, saying where in `obj` it stands, for anything else: a Module (save its state_dict), a function.
    """
    writer = Writer()
    try:
        tree = writer.write(obj, "")
    except RecursionError:
        raise value_error("save", "values nested less than some hundred times", "more") from None
    blocks, views = pack(writer.arrays)
    head = {"format": f"{KIND} {NUMBER}", "arrays": views, "tensors": writer.tensors, "tree": tree}
    buffer = io.BytesIO()
    archive.write(buffer, TREE, head, {f"arrays/{i}": block for i, block in enumerate(blocks)})
    if hasattr(f, "write"):
        f.write(buffer.getbuffer())
        return
    try:
        _replace(Path(os.path.realpath(f)), buffer.getbuffer())  # of a link, the file that it names
    except OSError as error:
        raise type(error)(f"save: expected a place to write to; got {f} ({error.strerror})") from None


def _replace(path: Path, data: memoryview) -> None:
    """Write a file under another name and rename it; what is no file, /dev/null say, is written to as it is."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    with archive.replacing(path) as file:
        file.write(data)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **older: Any,
) -> Any:
    """Return what `save` wrote, on the CPU or where `map_location` says: a device, or a dict or function of devices.

    `weights_only` and `mmap` change nothing: no file can run code here.

    Raises    ValueError, in one line, for a damaged or foreign file (one of PyTorch's: how to convert it);
              OSError if it cannot be read.
    """
    name = getattr(f, "name", "the file") if hasattr(f, "read") else os.fspath(f)
    try:
        data = f.read() if hasattr(f, "read") else _bytes_of(f)
    except OSError as error:
        raise type(error)(f"load: expected a file; got {name} ({error.strerror})") from None
    _refuse_foreign(data, str(name))
    try:
        read = _read(io.BytesIO(data))
    except archive.DAMAGE as error:
        got = f"{name}, damaged or cut short ({' '.join(str(error).split())})"
        raise value_error("load", "a file that torch.save wrote", got) from error
    if map_location is not None:
        read.place(lambda array: move(array, _device(map_location)))
    return read.tree


class safe_globals:
    """Accepted: PyTorch's list of what its files may run; ours run nothing."""

    def __init__(self, safe_globals: Any) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


def add_safe_globals(safe_globals: Any) -> None:
    """Do nothing; see `safe_globals`."""


def _bytes_of(path: Any) -> bytes:
    with archive.open_file(path) as file:
        return file.read()


def _read(file: BinaryIO) -> Reader:
    """Return the tree, all of its arrays read and checked."""
    head, arrays = archive.read(file, TREE)
    archive.check_format(head["format"], KIND, NUMBER)
    blocks = [arrays[f"arrays/{i}"] for i in range(len(arrays))]
    return Reader(head["tree"], head["tensors"], unpack(blocks, head["arrays"]))


def _device(map_location: Any) -> str:
    """Return "cpu" or "cuda"; every array comes from the CPU."""
    where = map_location
    if isinstance(where, dict):
        where = where.get("cpu", "cpu")
    elif callable(where):
        where = "cpu"
    return str(where).partition(":")[0]


def _refuse_foreign(data: bytes, name: str) -> None:
    """Raise ValueError if these are bytes of PyTorch's, which hold pickle, or of no file of ours."""
    where, expected = "load", "a file that torch.save wrote"
    converted = f"{os.path.splitext(name)[0]}.minigrad.pt"
    members = _members(data)
    if any(member.endswith("data.pkl") for member in members) or data[:1] == b"\x80":
        got = f"{name}, which PyTorch wrote with pickle"
        raise value_error(where, expected + " under minigrad", got, CONVERT.format(name, converted))
    if members and TREE not in members and all(member.endswith(".npy") for member in members):
        raise value_error(where, expected, f"{name}, arrays of np.savez", "read it with np.load")
    if members and TREE not in members:
        raise value_error(
            where, expected, f"{name}, a zip of other files ({', '.join(map(repr, members[:3]))})"
        )
    if not data.startswith(b"PK"):
        raise value_error(
            where, expected, f"{name}, which begins with {data[:8]!r}" if data else f"{name}, empty"
        )


def _members(data: bytes) -> list[str]:
    """Return the names in a zip; of something else or a damaged one, none."""
    try:
        return zipfile.ZipFile(io.BytesIO(data)).namelist()
    except archive.DAMAGE:
        return []
