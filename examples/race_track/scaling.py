"""Time per step as width, context, layers and batch grow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from race_track.cells import Cell
from race_track.opponents import BASE, FLOOR, OPPONENTS, OURS
from race_track.progress import Progress
from race_track.standings import ms, quotient
from race_track.turns import Result, race

from minigrad.console.tables import table

MIDDLE = Cell("scaling", n_layer=4, n_head=4, n_embd=256, block_size=128, batch_size=8)
PANELS = {
    "width": ("n_embd", (64, 128, 256, 384, 512, 768)),
    "context": ("block_size", (64, 128, 256, 512, 1024)),
    "layers": ("n_layer", (1, 2, 4, 8, 12)),
    "batch": ("batch_size", (1, 2, 4, 8, 16, 32, 64)),
}
KEYS = (OURS, BASE, FLOOR)
SECONDS = 5.0  # of racing at each point


@dataclass(frozen=True)
class Point:
    """One measurement: the size that was varied, and the race at it."""

    size: int
    result: Result


def cells() -> Iterator[tuple[str, int, Cell]]:
    """Yield (panel, size, cell): MIDDLE with one size changed; heads of 64 channels as the width changes."""
    for panel, (field, sizes) in PANELS.items():
        for size in sizes:
            heads = {"n_head": size // 64} if field == "n_embd" else {}
            yield panel, size, replace(MIDDLE, name=f"{panel} {size}", **{field: size}, **heads)


def count() -> int:
    """Return how many cells are measured."""
    return sum(len(sizes) for _, sizes in PANELS.values())


def measure(seconds: float, progress: Progress) -> dict[str, list[Point]]:
    """Return the points of each panel, about `seconds` of racing each."""
    panels: dict[str, list[Point]] = {panel: [] for panel in PANELS}
    keys = [key for key in KEYS if OPPONENTS[key].is_installed()]
    for panel, size, cell in cells():
        result = race(cell, keys, {}, seconds, progress)
        panels[panel].append(Point(size, result))
    return panels


def scaling_table(panels: dict[str, list[Point]], markdown: bool = False) -> str:
    """Return a row for each point: ms a step, and the quotient."""
    head = ("size", *(OPPONENTS[key].name for key in KEYS), f"ours / {OPPONENTS[BASE].name}")
    rows = []
    for panel, points in panels.items():
        for p in points:
            times = [ms(p.result.entrants[key].median) if key in p.result.entrants else "-" for key in KEYS]
            rows.append((f"{panel} {p.size}", *times, quotient(p.result.ratio(OURS, BASE))))
    return table(head, rows, markdown=markdown)
