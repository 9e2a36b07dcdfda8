"""The race and the scaling in pictures."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import LogLocator
from pictures import BLUE, ORANGE, save, subplots
from race_track.opponents import BASE, FLOOR, OPPONENTS, OURS
from race_track.scaling import Point
from race_track.standings import ms
from race_track.turns import Result

OTHERS = "0.75"  # grey
COLOURS = {OURS: BLUE, BASE: ORANGE}


def draw_race(results: Sequence[Result], machine: str) -> None:
    """Write out/race.png: a panel for each cell, a bar for each opponent, fastest on top, and the floor."""
    rows = math.ceil(len(results) / 2)
    columns = min(len(results), 2)
    title = f"One step of the same GPT, float32, {machine}"
    figure, panels = subplots(rows, columns, title=title, size=(6.5 * columns, 0.6 + 2.7 * rows))
    flat = panels.flat if len(results) > 1 else [panels]
    for axes, result in zip(flat, results):
        _draw_cell(axes, result)
    for axes in list(flat)[len(results) :] if len(results) > 1 else []:
        axes.set_visible(False)
    save(figure, "race.png")


def _draw_cell(axes: Any, result: Result) -> None:
    entrants = sorted(result.entrants.items(), key=lambda item: item[1].median)
    widest = 1e3 * min(max(e.percentile(90) for _, e in entrants), 1.5 * max(e.median for _, e in entrants))
    for place, (key, e) in enumerate(entrants):
        looks = {"color": "white", "edgecolor": "0.4", "hatch": "///"} if key == FLOOR else {"color": OTHERS}
        if key in COLOURS:
            looks = {"color": COLOURS[key]}
        median, p10, p90 = (1e3 * seconds for seconds in (e.median, e.percentile(10), e.percentile(90)))
        axes.barh(place, median, **looks)
        axes.plot([p10, p90], [place, place], color="0.2", linewidth=1)
        memory = "" if key == FLOOR else f", {e.peak_mib:.0f} MiB"
        axes.annotate(
            f" {ms(e.median)} ms{memory}", (max(median, min(p90, widest)), place), va="center", fontsize=8
        )
    axes.set_yticks(range(len(entrants)), [e.name for _, e in entrants])
    axes.set_xlim(0, 1.4 * widest)
    axes.invert_yaxis()
    axes.set_axisbelow(True)
    axes.grid(axis="y", visible=False)
    axes.set(xlabel=f"ms a {result.cell.unit}: median, p10 - p90; peak memory")
    axes.set_title(result.cell.name, loc="left")


def draw_scaling(panels: dict[str, list[Point]]) -> None:
    """Write out/scaling.png: time per step against each size, ours and PyTorch's, both axes logarithmic."""
    figure, grid = subplots(2, 2, title="Time of a training step as the model grows", size=(11, 8))
    for axes, (field, points) in zip(grid.flat, panels.items()):
        sizes = [p.size for p in points]
        for key, marker in ((OURS, "o-"), (BASE, "s-"), (FLOOR, ":")):
            values = [1e3 * p.result.entrants[key].median for p in points if key in p.result.entrants]
            if values:
                axes.plot(
                    sizes,
                    values,
                    marker,
                    color=COLOURS.get(key, "0.5"),
                    label=OPPONENTS[key].name,
                    markersize=5,
                )
        axes.set(xscale="log", yscale="log", xlabel=field, ylabel="ms a step")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.legend()
    save(figure, "scaling.png")
