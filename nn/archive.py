"""Files of JSON and arrays: written whole or not at all, read whole, verified, and refused for whatever is amiss.

A file is a zip, uncompressed: one member of JSON, and NumPy's own .npy files. NumPy and zipfile believe much of what
such a file says: NumPy stops reading when it has an array's numbers, before a checksum could be compared, and a
header with one bit flipped then gives other numbers in silence. Here every member is read to its end and its checksum
compared before anything in it is looked at; the members fill the file, each byte of it once; none is compressed, so
that no small file becomes a large one; and a header is matched against what NumPy writes, never evaluated.
"""

import contextlib
import json
import math
import os
import re
import secrets
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

UNFINISHED = ".unfinished"
DAMAGE = (  # what zipfile, NumPy, json and who reads on say to a file that is not what it should be
    ValueError, LookupError, TypeError, AttributeError, EOFError, OSError, RuntimeError, OverflowError, zipfile.BadZipFile,
)  # fmt: skip
END = 22  # bytes of the record that ends a zip without a comment
LOCAL = struct.Struct("<4s5H3I2H")  # what stands before a member: the directory, at the end, has it once more
LARGE, ZIP64 = 2**32 - 1, struct.Struct("<HHQQ")
NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<>|][biufcSU]\d+)', 'fortran_order': (False|True),"
    rb" 'shape': \((|\d+,|\d+(?:, \d+)+)\), \} *\n",
    re.DOTALL,
)


@contextlib.contextmanager
def replacing(path: str | Path, keep: Path | None = None) -> Iterator[BinaryIO]:
    """Yield a file to write; if nothing goes wrong, it takes the place of `path`, else that stays as it was.

    It has a name of its own until it is on the disk. `keep` is another name for the file that it replaces: from
    one moment to the next, `path` is the old file or the new one.
    """
    path = Path(os.path.realpath(path))  # of a link, the file that it names
    unfinished = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep is not None:
            try:
                os.link(path, keep)
            except OSError:  # a file system without links
                os.replace(path, keep)
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk too; some systems cannot."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def write(file: Any, head_name: str, head: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file: `head`, anything JSON can say, as the member of that name, and {name: array} as name.npy."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(head_name), json.dumps(head, allow_nan=False))
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def open_file(path: Any) -> BinaryIO:
    """Open a file for reading.

    Raises    OSError, also for a pipe or a device, which might never end
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(0, "no regular file")


def read(file: BinaryIO, head_name: str, arrays: bool = True) -> tuple[Any, dict[str, np.ndarray]]:
    """Return (head, {name: array}) as `write` wrote them, None where there is no head; arrays=False: the head alone.

    The memory it takes is that of the file.

    Raises    one of DAMAGE for anything else.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END))
    end = file.read()
    if len(end) < END or end[:4] != b"PK\5\6" or end[-2:] != b"\0\0":
        raise EOFError("something else, or cut short")
    with zipfile.ZipFile(file) as archive:
        members, stop = archive.infolist(), archive.start_dir
    places, place = {}, 0
    for member in members:
        places[member.filename] = begin = _begin(file, member, place)
        place = begin + member.file_size
    if place != stop or len(places) != len(members):
        raise ValueError("its members do not fill it, each name once")
    head, found = None, {}
    for member in members:
        if member.filename == head_name:
            head = json.loads(bytes(_content(file, member, places)), parse_constant=_refuse_constant)
        elif arrays:
            name = member.filename.removesuffix(".npy")
            found[name] = _array(name, _content(file, member, places))
    return head, found


def _begin(file: BinaryIO, member: zipfile.ZipInfo, place: int) -> int:
    """Return where the bytes of a member begin, whose header stands at `place` and says what the directory says."""
    file.seek(place)
    signature, _, flags, method, _, _, crc, *sizes, name, extra = LOCAL.unpack(file.read(LOCAL.size))
    told, more = file.read(name), file.read(extra)
    if sizes == [LARGE, LARGE] and len(more) == ZIP64.size:
        sizes = list(ZIP64.unpack(more)[:1:-1])
    wanted = b"PK\3\4", 0, 0, member.CRC, [member.file_size, member.file_size], place
    found = signature, flags & ~0x800, method, crc, sizes, member.header_offset
    encoded = member.orig_filename.encode("utf-8" if flags & 0x800 else "cp437")
    if found != wanted or told != encoded or member.compress_size != member.file_size or member.compress_type:
        raise ValueError(f"{member.filename!r:.60} is compressed, or told of in two ways")
    return place + LOCAL.size + name + extra


def _content(file: Any, member: zipfile.ZipInfo, places: Mapping[str, int]) -> np.ndarray:
    """Return the bytes of a member, their checksum compared."""
    content = np.empty(member.file_size, np.uint8)  # no more than the file has: the members fill it
    file.seek(places[member.filename])
    if file.readinto(content) != content.size or zlib.crc32(content.data) != member.CRC:
        raise ValueError(f"the checksum of {member.filename!r:.60} is another")
    return content


def _array(name: str, content: np.ndarray) -> np.ndarray:
    """Return the array of a .npy file, over the memory of its bytes."""
    header = NPY.match(content.data)
    if header is None or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise ValueError(f"{name!r:.60} is no array of numbers or letters as NumPy writes it")
    dtype, turned = np.dtype(header[2].decode()), header[3] == b"True"
    shape = tuple(int(n) for n in re.findall(rb"\d+", header[4]))
    if header.end() + math.prod(shape) * dtype.itemsize != content.size:
        raise ValueError(f"{name!r:.60} has not the size that it says")
    return np.ndarray(shape, dtype, content.data, header.end(), order="F" if turned else "C")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def check_format(found: Any, kind: str, newest: int) -> int:
    """Return the number of a format, "kind number".

    Raises    ValueError for another kind, or one that a newer version of this program wrote.
    """
    name, _, number = str(found).rpartition(" ")
    if name != kind or not re.fullmatch(r"[1-9]\d{0,8}", number):
        raise ValueError(f"its format is {found!r:.40}, not '{kind} {newest}'")
    if int(number) > newest:
        text = f"a newer minigrad wrote it: its format is '{found}', the newest known here {newest}; update"
        raise ValueError(text)
    return int(number)
