"""Plain text and Markdown tables."""

from collections.abc import Sequence

Rows = Sequence[Sequence[object]]


def table(head: Sequence[str], rows: Rows, *, markdown: bool = False, left: int = 1) -> str:
    """Return the rows under their head, columns aligned: the first `left` to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["  ".join(_aligned(row, widths, left)).rstrip() for row in cells]
    if not markdown:
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
    lines = [f"| {' | '.join(_aligned(row, widths, left))} |" for row in cells]
    rule = ["-" * w if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])


def _aligned(row: Sequence[str], widths: Sequence[int], left: int) -> list[str]:
    return [cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]


def short(x: float) -> str:
    """Return a number in three digits, or a dash for NaN, which stands for "not measured"."""
    return "-" if x != x else "0" if x == 0 else f"{x:.3g}" if 0.001 <= abs(x) < 10000 else f"{x:.1e}"
