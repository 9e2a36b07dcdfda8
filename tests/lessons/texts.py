"""Are two printed texts the same: letter for letter, or but for the last digits of their numbers?"""

import itertools
import math
import re
from dataclasses import dataclass

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan\b|inf\b)", re.IGNORECASE)
BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
ZERO = 1e-6  # of the largest number in a block: a few float32 roundings of a sum whose terms cancel
WORD = re.compile(rf"{NUMBER.pattern}|\w+|\S", re.IGNORECASE)
BUILD = re.compile(r"(?<=\d\.\d)\+(?:cpu|minigrad)\b")  # of 2.13.0+cpu
ADDRESS = re.compile(r"\b0x[0-9a-f]{4,}\b")  # of `<Net object at 0x7f3a...>`, another one in every run


@dataclass
class Difference:
    """The first lines that differ; counted from 1, None where a text has ended."""

    line: int
    theirs: str | None
    ours: str | None


def clean(text, ignored=()):
    """Return the text with addresses and the builds of torch.__version__, and whatever the regular expressions match, made equal."""
    text = BUILD.sub("", ADDRESS.sub("0x~", text))
    for pattern in ignored:
        text = re.sub(pattern, "~", text)
    return text


def first_difference(theirs, ours, digits=4):
    """Return the first Difference of two texts, or None; `digits=None` wants the same letters.

    With digits, whole numbers must be equal, others to so many significant digits or to one unit of the last place
    that is printed. In a tensor, where sums cancel, a number near zero may differ by a millionth of the largest one
    printed in the same brackets. A number that rounds otherwise may be longer (`1.0000` for `1.`), and a tensor that
    holds it has wider columns and other line breaks: then white space does not count, else it does.
    """
    left, right = theirs.splitlines(), ours.splitlines()
    if digits is None:
        here = next((i for i, (a, b) in enumerate(itertools.zip_longest(left, right)) if a != b), None)
        same = (0, 0)
    else:
        rows = itertools.zip_longest(left, right, largest_beside(left), largest_beside(right))
        here = next((i for i, (a, b, *most) in enumerate(rows) if not same_line(a, b, digits, most)), None)
        same = None if here is None else respaced(left[here:], right[here:], digits)
    if here is None or same is None:
        return None
    i, j = (here + count for count in same)
    return Difference(i + 1, *(lines[n] if n < len(lines) else None for lines, n in ((left, i), (right, j))))


def largest_beside(lines):
    """Return for each line the largest number, in absolute value, of the lines that share its brackets, or 0."""
    found, block, depth = [], [], 0
    for line in lines:
        if depth == 0 and not BRACKETS.keys() & set(line):
            found.append(0.0)
            continue
        block += [abs(float(x)) for x in NUMBER.findall(line) if math.isfinite(float(x))]
        depth = max(depth + sum(BRACKETS.get(c, 0) for c in line), 0)
        found.append(None)
        if depth == 0:
            found = [max(block, default=0.0) if most is None else most for most in found]
            block = []
    return [max(block, default=0.0) if most is None else most for most in found]


def same_line(a, b, digits, largest):
    """Are two lines the same, given the largest number near each?"""
    if a == b or a is None or b is None:
        return a == b
    return NUMBER.split(a) == NUMBER.split(b) and all(
        close(x, y, digits, ZERO * min(largest)) for x, y in zip(NUMBER.findall(a), NUMBER.findall(b))
    )


def respaced(left, right, digits):
    """Return None if the lines differ only in white space that wider numbers explain, else how many are the same.

    Those are two counts, as the two texts may break their lines at other places.
    """
    widths = False
    for (x, i, most), (y, j, least) in itertools.zip_longest(
        words(left), words(right), fillvalue=(None, None, 0.0)
    ):
        if x is None or y is None or not (x == y or are_close(x, y, digits, ZERO * min(most, least))):
            if not widths:
                return 0, 0
            return (len(left) if i is None else i), (len(right) if j is None else j)
        widths = widths or len(x) != len(y)
    return None if widths else (0, 0)


def words(lines):
    """Yield (a word or number, which line it stands in, the largest number near it)."""
    for i, (line, most) in enumerate(zip(lines, largest_beside(lines))):
        for word in WORD.finditer(line):
            yield word[0], i, most


def are_close(a, b, digits, zero):
    """Are both words numbers, and close?"""
    return bool(NUMBER.fullmatch(a) and NUMBER.fullmatch(b)) and close(a, b, digits, zero)


def close(a, b, digits, zero=0.0):
    """Are two printed numbers equal to `digits` significant digits, one unit of the last place, or within `zero`?"""
    if is_whole(a) or is_whole(b):
        return is_whole(a) and is_whole(b) and int(a) == int(b)
    x, y = float(a), float(b)
    if x == y or (x != x and y != y):
        return True
    return abs(x - y) <= max(10.0**-digits * max(abs(x), abs(y)), 1.001 * min(unit(a), unit(b)), zero)


def is_whole(text):
    """Is it an integer, as printed?"""
    return text.lstrip("+-").isdigit()


def unit(text):
    """Return the worth of one in the last place: 0.01 of `1.25`, 1e-8 of `1.25e-06`."""
    mantissa, _, exponent = text.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
