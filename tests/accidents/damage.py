"""Ways to damage the bytes of a file: whole families for the suite, any number of random ones for a long run."""

import io
import random
import struct
import warnings
import zipfile


def every_byte(data, places, change=0x20):
    """Yield the data with one byte of `places` changed at a time."""
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= change
        yield place, bytes(damaged)


def cuts(data, parts=16):
    """Yield the data cut short, at each of so many parts of its length and one byte before its end."""
    for stop in (*(len(data) * i // parts for i in range(parts)), len(data) - 1):
        yield stop, data[:stop]


def headers(data):
    """Return the places of all bytes of a zip that are not numbers: its own headers, JSON, and those of .npy members."""
    places = set(range(len(data)))
    for member in zipfile.ZipFile(io.BytesIO(data)).infolist():
        if member.filename.endswith(".npy"):
            name, extra = struct.unpack_from("<HH", data, member.header_offset + 26)
            begin = member.header_offset + 30 + name + extra
            numbers = begin + 10 + int.from_bytes(data[begin + 8 : begin + 10], "little")
            places -= set(range(numbers, begin + member.file_size))
    return sorted(places)


def zipped(members, method=zipfile.ZIP_STORED):
    """Return a zip of (name, bytes) pairs, in which a name may come twice."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def members(data):
    """Return the (name, bytes) pairs of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


NUMBERS = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]
WORDS = [b"null", b"true", b"-1", b"1e999", b"NaN", b"[]", b"{}", b'""', b"10000000", b"9" * 400, b"[" * 3000]


def mutant(data, rng: random.Random):
    """Return the data changed in one random way, or in a few."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(9)
        if kind == 0:  # a bit
            data[place : place + 1] = bytes(b ^ 1 << rng.randrange(8) for b in data[place : place + 1])
        elif kind == 1:  # a byte
            data[place : place + 1] = rng.randbytes(1)
        elif kind == 2:  # a cut
            del data[place:]
        elif kind == 3:  # a hole
            del data[place : place + rng.choice((1, 2, 8, 100))]
        elif kind == 4:  # more
            data[place:place] = rng.randbytes(rng.choice((1, 2, 8, 100)))
        elif kind == 5:  # a piece from elsewhere
            begin = rng.randrange(len(data) + 1)
            piece = data[begin : begin + rng.choice((4, 16, 64, 1000))]
            data[place : place + len(piece)] = piece
        elif kind == 6:  # a number that is an edge
            number = struct.pack("<Q", rng.choice(NUMBERS))[: rng.choice((1, 2, 4, 8))]
            data[place : place + len(number)] = number
        elif kind == 7:  # a number in words
            digits = [i for i, b in enumerate(data[place : place + 2000], place) if 48 <= b < 58]
            if digits:
                at = rng.choice(digits)
                data[at : at + 1] = rng.choice((b"0", b"9", b"-1", b"1e9", b"99999999999", b"1.5"))
        else:  # words of JSON
            data[place : place + rng.choice((0, 1, 4))] = rng.choice(WORDS)
    return bytes(data)


def rewritten(data, rng: random.Random):
    """Return a zip whose members, not whose bytes, are changed: all checksums are right, so that readers look inside."""
    pairs = members(data)
    kind, at = rng.randrange(8), rng.randrange(len(pairs))
    name, content = pairs[at]
    if kind == 0:
        pairs.append(pairs[at])
    elif kind == 1:
        del pairs[at]
    elif kind == 2:
        pairs[at] = pairs[rng.randrange(len(pairs))][0], content
    elif kind == 3:
        pairs[at] = name, pairs[rng.randrange(len(pairs))][1]
    else:
        pairs[at] = name, mutant(content, rng)
    return zipped(pairs, zipfile.ZIP_DEFLATED if rng.random() < 0.05 else zipfile.ZIP_STORED)
