"""Are two printed texts the same: letter for letter, or but for the last digits of their numbers?"""

import itertools
import re
from dataclasses import dataclass

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan\b|inf\b)", re.IGNORECASE)
WORD = re.compile(rf"{NUMBER.pattern}|\w+|\S", re.IGNORECASE)
ADDRESS = re.compile(r"\b0x[0-9a-f]{4,}\b")  # of `<Net object at 0x7f3a...>`, another one in every run


@dataclass
class Difference:
    """The first lines that differ; counted from 1, None where a text has ended."""

    line: int
    theirs: str | None
    ours: str | None


def clean(text, ignored=()):
    """Return the text with addresses, and whatever the regular expressions match, made equal."""
    text = ADDRESS.sub("0x~", text)
    for pattern in ignored:
        text = re.sub(pattern, "~", text)
    return text


def first_difference(theirs, ours, digits=4):
    """Return the first Difference of two texts, or None; `digits=None` wants the same letters.

    With digits, whole numbers must be equal, others to so many significant digits or to one unit of the last place
    that is printed. A number that rounds otherwise may be longer (`1.0000` for `1.`), and a tensor that holds it has
    wider columns and other line breaks: then white space does not count, else it does.
    """
    left, right = theirs.splitlines(), ours.splitlines()
    pairs = enumerate(itertools.zip_longest(left, right))
    here = next((i for i, (a, b) in pairs if not same_line(a, b, digits)), None)
    if here is None:
        return None
    same = (0, 0)
    if digits is not None:
        same = respaced("\n".join(left[here:]), "\n".join(right[here:]), digits)
        if same is None:
            return None
    i, j = (here + count for count in same)
    return Difference(i + 1, *(lines[n] if n < len(lines) else None for lines, n in ((left, i), (right, j))))


def same_line(a, b, digits):
    """Are two lines the same?"""
    if a == b or a is None or b is None or digits is None:
        return a == b
    return NUMBER.split(a) == NUMBER.split(b) and all(
        close(x, y, digits) for x, y in zip(NUMBER.findall(a), NUMBER.findall(b))
    )


def respaced(a, b, digits):
    """Return None if the texts differ only in white space that wider numbers explain, else the lines that are the same.

    Those are two counts, as the two texts may break their lines at other places.
    """
    widths = False
    for x, y in itertools.zip_longest(WORD.finditer(a), WORD.finditer(b)):
        if x is None or y is None or not (x[0] == y[0] or are_close(x[0], y[0], digits)):
            if not widths:
                return 0, 0
            return tuple(t.count("\n", 0, m.start() if m else len(t)) for t, m in ((a, x), (b, y)))
        widths = widths or len(x[0]) != len(y[0])
    return None if widths else (0, 0)


def are_close(a, b, digits):
    """Are both words numbers, and close?"""
    return bool(NUMBER.fullmatch(a) and NUMBER.fullmatch(b)) and close(a, b, digits)


def close(a, b, digits):
    """Are two printed numbers equal to `digits` significant digits, or to one unit of the last place printed?"""
    if is_whole(a) or is_whole(b):
        return is_whole(a) and is_whole(b) and int(a) == int(b)
    x, y = float(a), float(b)
    if x == y or (x != x and y != y):
        return True
    return abs(x - y) <= max(10.0**-digits * max(abs(x), abs(y)), 1.001 * min(unit(a), unit(b)))


def is_whole(text):
    """Is it an integer, as printed?"""
    return text.lstrip("+-").isdigit()


def unit(text):
    """Return the worth of one in the last place: 0.01 of `1.25`, 1e-8 of `1.25e-06`."""
    mantissa, _, exponent = text.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
