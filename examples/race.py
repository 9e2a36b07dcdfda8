"""The same GPT trained by minigrad, PyTorch and whoever else is installed, side by side on this machine.

    python examples/race.py                          every cell: about fifteen minutes
    python examples/race.py --only "tiny*,cpu*"      some of them
    python examples/race.py --scaling                time per step as the model grows

A step is the whole one: forward, cross-entropy, backward, clipping at 1.0, AdamW, gradients cleared;
in float32, from the same weights, on the same batches. Without dropout the first ten losses must be
ours to 1e-4, or the race stops: nobody wins by computing something else.

Each opponent lives in a process of its own, so that its peak memory and its threads are its own. They
take turns of half a second in an order drawn anew in every round, while the others wait; so a
machine that drifts slows everybody alike. Quotients are medians over rounds.

Expected
    a table for each cell, the losses, the summary, the drift of the first cell run again at the end,
    and out/race.png
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from race_track import imports, scaling, standings
from race_track.cells import CELLS, Cell
from race_track.machine import describe, processor
from race_track.opponents import BASE, FLOOR, OPPONENTS, OURS
from race_track.progress import Progress
from race_track.turns import Disagreement, OpponentError, Result, Worker, race

from minigrad.console.tables import table

SECONDS, PROFILED_STEPS = 60.0, 5


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="cells: " + ", ".join([*CELLS, "import"]),
        allow_abbrev=False,
    )
    names = ", ".join(key for key in OPPONENTS if key not in (OURS, FLOOR))
    p.add_argument(
        "--only", default="*", help="cells to race, by comma; * and ? match as in file names (default: all)"
    )
    p.add_argument("--opponents", default="", help=f"of {names} (default: all that are installed)")
    p.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help=f"racing time of a cell, in seconds (default: {SECONDS:g})",
    )
    p.add_argument(
        "--nanogpt", default="", metavar="PATH", help="nanoGPT's model.py, or its folder, to let it race"
    )
    p.add_argument("--json", default="", metavar="FILE", help="write everything measured to FILE")
    p.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    p.add_argument(
        "--scaling", action="store_true", help="instead: time per step as each size grows, out/scaling.png"
    )
    p.add_argument(
        "--profile", action="store_true", help="instead: where a step's time goes, ours and PyTorch's"
    )
    return p


def chosen_cells(only: str) -> list[str]:
    """Return the names of the cells that the patterns match.

    Raises    ValueError for a pattern that matches none.
    """
    names, chosen = [*CELLS, "import"], set()
    for pattern in only.split(","):
        matched = {name for name in names if fnmatch(name, pattern.strip())}
        if not matched:
            raise ValueError(f"--only: expected cells of {', '.join(names)}; got {pattern}")
        chosen |= matched
    return [name for name in names if name in chosen]


def chosen_opponents(asked: str, nanogpt: str) -> tuple[list[str], list[str]]:
    """Return (who races, who was asked for by name); by default all that are installed.

    Raises    ValueError for one that is unknown or not here.
    """
    if nanogpt and not (Path(nanogpt).is_file() or (Path(nanogpt) / "model.py").is_file()):
        raise ValueError(f"--nanogpt: expected nanoGPT's model.py, or its folder; got {nanogpt}")
    here = [k for k, o in OPPONENTS.items() if o.is_installed() and (k != "nanogpt" or nanogpt)]
    if not asked:
        return here, []
    names = [name.strip() for name in asked.split(",")]
    for name in names:
        if name not in OPPONENTS:
            raise ValueError(f"--opponents: expected some of {', '.join(OPPONENTS)}; got {name}")
        if name not in here:
            how = "--nanogpt PATH" if name == "nanogpt" else 'pip install -e ".[race]"'
            raise ValueError(f"--opponents: expected {name} to be here; it is not; {how}")
    return [k for k in here if k in (OURS, FLOOR, *names)], names


def in_cell(cell: Cell, keys: Sequence[str], asked: Sequence[str]) -> list[str]:
    """Return those who race in a cell; the slow ones in a large cell only if they were asked for."""
    return [key for key in keys if OPPONENTS[key].takes_part(cell, key in asked)]


class Race:
    """The cells of one run, one after another, each printed when it is done."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.names = chosen_cells(options.only)
        self.keys, self.asked = chosen_opponents(options.opponents, options.nanogpt)
        self.given = {"nanogpt": {"path": options.nanogpt}}
        self.seconds, self.markdown = options.seconds, options.markdown
        self.results: list[Result] = []
        self.again: Result | None = None
        self.imports: dict[str, list[float]] = {}

    def run(self) -> None:
        """Race in every cell, and in the first once more."""
        cells = [CELLS[name] for name in self.names if name in CELLS]
        progress = Progress(self.seconds * (len(cells) + (len(cells) > 1)))
        try:
            for cell in cells:
                self.results.append(self._race(cell, progress))
                progress.line(standings.cell_table(self.results[-1], self.markdown) + "\n")
            if "import" in self.names:
                self.imports = imports.time_imports(progress)
            if len(cells) > 1:
                self.again = self._race(cells[0], progress)
        finally:
            progress.close()

    def _race(self, cell: Cell, progress: Progress) -> Result:
        return race(cell, in_cell(cell, self.keys, self.asked), self.given, self.seconds, progress)

    def show(self) -> None:
        """Print the values that agree, the summary, the imports and the drift; draw the picture."""
        for result in self.results:
            if not result.cell.dropout:
                print(standings.value_table(result, self.markdown) + "\n")
        if self.results:
            print(standings.summary_table(self.results, self.markdown) + "\n")
            print("versions: " + standings.versions(self.results))
        if self.again:
            print(standings.drift(self.results[0], self.again))
        if self.imports:
            head = ("in a fresh process", "ms", "range", "/ import numpy")
            print("\n" + table(head, imports.import_rows(self.imports), markdown=self.markdown))
        if self.results and can_draw():
            from race_track.charts import draw_race

            draw_race(self.results, processor())

    def as_json(self) -> dict[str, Any]:
        """Return everything measured."""
        return {
            "machine": describe(),
            "cells": [standings.as_json(result) for result in self.results],
            "first_cell_again": standings.as_json(self.again) if self.again else None,
            "imports_ms": {name: [1e3 * s for s in seconds] for name, seconds in self.imports.items()},
        }


def run_race(options: argparse.Namespace) -> int:
    """Race, print and draw; what was measured before an interruption is kept."""
    contest, status = Race(options), 0
    try:
        contest.run()
    except KeyboardInterrupt:
        print("stopped; what was measured before:\n", file=sys.stderr)
        status = 130
    contest.show()
    if options.json:
        write_json(options.json, contest.as_json())
    return status


def run_scaling(options: argparse.Namespace) -> int:
    """Measure and draw the time per step as each size grows."""
    seconds = min(options.seconds, scaling.SECONDS)
    progress = Progress(seconds * scaling.count())
    try:
        panels = scaling.measure(seconds, progress)
    finally:
        progress.close()
    print(scaling.scaling_table(panels, options.markdown))
    if can_draw():
        from race_track.charts import draw_scaling

        draw_scaling(panels)
    if options.json:
        cells = {panel: [standings.as_json(p.result) for p in points] for panel, points in panels.items()}
        write_json(options.json, {"machine": describe(), "scaling": cells})
    return 0


def run_profile(options: argparse.Namespace) -> int:
    """Print where the time of a step goes in each training cell, ours in one thread with all BLAS threads."""
    keys = [key for key in (OURS, BASE) if OPPONENTS[key].is_installed()]
    cells = [CELLS[name] for name in chosen_cells(options.only) if name in CELLS]
    training = [cell for cell in cells if cell.job == "train"]
    if not training:
        raise ValueError(f"--profile: expected cells that train; got --only {options.only}")
    for cell in training:
        for key in keys:
            worker = Worker(key)
            try:
                reply = worker.ask("profile", cell=asdict(cell), steps=PROFILED_STEPS)
            finally:
                worker.close()
            print(f"{cell.name}: {PROFILED_STEPS} steps of {OPPONENTS[key].name}\n{reply['table']}\n")
    return 0


def can_draw() -> bool:
    """Is matplotlib here? Otherwise say what to install."""
    if find_spec("matplotlib"):
        return True
    print('no picture without matplotlib; install it with: pip install -e ".[race]"')
    return False


def write_json(path: str, content: dict[str, Any]) -> None:
    """Write a JSON file."""
    Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"measurements: {path}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status: 1 if opponents disagree, 2 for a user's mistake."""
    options = parser().parse_args(argv)
    act = run_scaling if options.scaling else run_profile if options.profile else run_race
    print("\n".join(f"{name}: {value}" for name, value in describe().items()) + "\n", flush=True)
    try:
        if not options.seconds > 0:
            raise ValueError(f"--seconds: expected more than 0; got {options.seconds}")
        if options.json and not Path(options.json).absolute().parent.is_dir():
            raise ValueError(f"--json: expected a file in a folder that is there; got {options.json}")
        return act(options)
    except (Disagreement, OpponentError) as error:
        print(f"race: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"race: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
