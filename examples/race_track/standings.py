"""The race in tables and in JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from race_track.opponents import BASE, FLOOR, OPPONENTS, OURS
from race_track.opponents.floor import flops
from race_track.turns import Entrant, Result

from minigrad.console.tables import short, table

DASH = "-"


def ms(seconds: float) -> str:
    """Return a time in milliseconds, in three digits or more."""
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 100 else short(value)


def quotient(x: float) -> str:
    """Return a quotient with two decimals, or a dash where one side is missing."""
    return DASH if math.isnan(x) else f"{x:.2f}"


def memory_ratio(result: Result) -> float:
    """Return our peak memory in units of PyTorch's."""
    if not {OURS, BASE} <= result.entrants.keys():
        return math.nan
    return result.entrants[OURS].peak_mib / result.entrants[BASE].peak_mib


def rate(result: Result) -> float:
    """Return the measured rate of the cell's matrix products, in GFLOP/s."""
    return flops(result.cell) / result.entrants[FLOOR].median / 1e9


def cell_table(result: Result, markdown: bool = False) -> str:
    """Return one cell's table, a row for each opponent, and who could not take part."""
    cell = result.cell
    units = ("/ floor", f"/ {OPPONENTS[BASE].name}", f"ms a {cell.unit}", "p10 - p90", f"{cell.unit}s")
    head = ("", *units, "start s", "peak MiB", "threads")
    rows = []
    for key, e in result.entrants.items():
        ratios = [quotient(result.ratio(key, other)) for other in (FLOOR, BASE)]
        spread, count = f"{ms(e.percentile(10))} - {ms(e.percentile(90))}", sum(map(len, e.turns))
        own = ms(e.median), spread, count, f"{e.first:.1f}", f"{e.peak_mib:.0f}", e.threads
        rows.append((e.name, *ratios, *own))
    lines = [f"{cell.name}: {cell}", "", table(head, rows, markdown=markdown), "", *notes(result)]
    return "\n".join(lines)


def notes(result: Result) -> list[str]:
    """Return what the table of a cell does not say, in sentences."""
    lines = []
    if FLOOR in result.entrants:
        work = f"{flops(result.cell) / 1e9:.3g} GFLOP of matrix products at {rate(result):.0f} GFLOP/s"
        lines.append(f"floor: {work}")
    lines += [f"without {OPPONENTS[key].name}: {reason}" for key, reason in result.failures.items()]
    if result.repeated:
        lines.append("run twice, because the machine stalled the first time")
    if result.is_stalled():
        lines.append("the machine stalled: measure this cell again")
    return lines


def value_table(result: Result, markdown: bool = False) -> str:
    """Return the first values of everybody: losses in nats per token, or the largest logits."""
    entrants = [e for key, e in result.entrants.items() if key != FLOOR]
    ours = entrants[0].values
    what = "loss of step" if result.cell.job == "train" else f"largest logit of {result.cell.unit}"
    head = (f"{result.cell.name}: {what}", *map(str, range(1, len(ours) + 1)), "furthest from ours")
    rows = []
    for e in entrants:
        largest = max(abs(a - b) for a, b in zip(ours, e.values))
        rows.append((e.name, *(f"{value:.5f}" for value in e.values), f"{largest:.0e}"))
    return table(head, rows, markdown=markdown)


def summary_table(results: Sequence[Result], markdown: bool = False) -> str:
    """Return the whole race, a row for each cell: our time in units of the floor and of PyTorch's, medians, memory."""
    keys = [k for k in OPPONENTS if any(k in r.entrants for r in results)]
    ratios = [f"ours / {name}" for name in ("floor", OPPONENTS[BASE].name)]
    names = ["floor" if key == FLOOR else OPPONENTS[key].name for key in keys]
    head = ("ms", *ratios, *names, "peak MiB: ours", "of PyTorch's")
    rows = []
    for r in results:
        units = [quotient(r.ratio(OURS, other)) for other in (FLOOR, BASE)]
        times = [ms(r.entrants[key].median) if key in r.entrants else DASH for key in keys]
        peak = f"{r.entrants[OURS].peak_mib:.0f}" if OURS in r.entrants else DASH
        rows.append((f"{r.cell.name}, a {r.cell.unit}", *units, *times, peak, quotient(memory_ratio(r))))
    return table(head, rows, markdown=markdown)


def drift(first: Result, again: Result) -> str:
    """Return how much longer each took in the repeated cell."""
    common = [key for key in first.entrants if key in again.entrants]
    parts = [
        f"{first.entrants[k].name} {again.entrants[k].median / first.entrants[k].median:.2f}" for k in common
    ]
    return f"drift: {first.cell.name} again at the end, in units of the first time: " + ", ".join(parts)


def versions(results: Sequence[Result]) -> str:
    """Return the versions of everybody who took part."""
    entrants = {key: e for r in results for key, e in r.entrants.items() if key != FLOOR}
    return ", ".join(dict.fromkeys(f"{e.name} ({e.version})" for e in entrants.values()))


def as_json(result: Result) -> dict[str, Any]:
    """Return a result as JSON holds it; times in ms, memory in MiB, values in nats or logits."""
    return {
        "cell": asdict(result.cell),
        "opponents": {
            key: _entrant_as_json(e, result.ratio(key, FLOOR), result.ratio(key, BASE))
            for key, e in result.entrants.items()
        },
        "failures": result.failures,
        "matrix_flops": flops(result.cell),
        "repeated": result.repeated,
        "stalled": result.is_stalled(),
    }


def _entrant_as_json(e: Entrant, to_floor: float, to_pytorch: float) -> dict[str, Any]:
    return {
        "name": e.name,
        "version": e.version,
        "threads": e.threads,
        "median_ms": 1e3 * e.median,
        "p10_ms": 1e3 * e.percentile(10),
        "p90_ms": 1e3 * e.percentile(90),
        "count": sum(map(len, e.turns)),
        "ratio_to_floor": None if math.isnan(to_floor) else to_floor,
        "ratio_to_pytorch": None if math.isnan(to_pytorch) else to_pytorch,
        "start_s": e.first,
        "peak_mib": e.peak_mib,
        "values": [None if math.isnan(value) else value for value in e.values],
    }
