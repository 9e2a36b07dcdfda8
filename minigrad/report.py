"""What `gradcheck` found: a table to print, a verdict, a picture of the errors."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.diagnosis import Evidence, Finding
from minigrad.tables import short, table


@dataclass(frozen=True)
class Row:
    """The worst comparison of one array; ulp counts units in the last place of the gradient's length."""

    name: str
    shape: tuple[int, ...]
    comparisons: int
    absolute: float
    relative: float
    ulp: float
    ok: bool


@dataclass(frozen=True)
class Worst:
    """One element whose gradient is wrong; ulp counts units in the last place of its right value."""

    name: str
    index: tuple[int, ...]
    claimed: float
    measured: float
    ulp: float

    @classmethod
    def of(cls, name: str, evidence: Evidence, dtype: str) -> "list[Worst]":
        """Return the five worst elements of one array."""
        gaps = np.where(np.isfinite(evidence.claimed), abs(evidence.claimed - evidence.measured), math.inf)
        order = np.argsort(np.where(np.isnan(gaps), -1.0, gaps).ravel())[::-1][:5]
        found = []
        for flat in order[evidence.wrong.ravel()[order] | ~np.isfinite(evidence.claimed.ravel()[order])]:
            index = tuple(int(i) for i in np.unravel_index(flat, evidence.x.shape))
            claimed, measured = float(evidence.claimed[index]), float(evidence.measured[index])
            unit = float(np.spacing(np.asarray(abs(measured), dtype)))
            found.append(cls(name, index, claimed, measured, abs(claimed - measured) / unit))
        return found


@dataclass
class Report:
    """`bool(report)` is the verdict, `print(report)` the table, `report.plot(path)` heat maps of the error."""

    fn: str
    library: str
    dtype: str
    order: int
    method: str
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    worst: list[Worst] = field(default_factory=list)
    jacobian: list[str] = field(default_factory=list)  # the worst entry of each whole Jacobian
    notes: list[str] = field(default_factory=list)
    evidence: dict[int, Evidence] = field(default_factory=dict, repr=False)
    examine: Callable[[int], Evidence] | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Is every gradient right, as far as could be told?"""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    @property
    def kinds(self) -> list[str]:
        """The kind of each mistake found."""
        return [finding.kind for finding in self.findings]

    def __str__(self) -> str:
        verdict = "right" if self.ok else "WRONG"
        order = "" if self.order == 1 else ", second order"
        parts = [f"gradcheck: {self.fn} ({self.library}, {self.dtype}{order}): {verdict}"]
        if self.rows:
            head = ["array", "shape", "comparisons", "error", "relative", "ulp", "verdict"]
            rows = [
                (
                    r.name,
                    r.shape,
                    r.comparisons,
                    short(r.absolute),
                    short(r.relative),
                    short(r.ulp),
                    _word(r.ok),
                )
                for r in self.rows
            ]
            parts.append(table(head, rows))
        if self.worst:
            head = ["worst elements", "index", "vjp", "difference", "error", "relative", "ulp"]
            parts.append(table(head, [self._worst_row(w) for w in self.worst]))
        lists: dict[str, list[Any]] = {
            "largest errors of the Jacobian": self.jacobian,
            "diagnosis": self.findings,
            "notes": self.notes,
        }
        for title, items in lists.items():
            if items:
                parts.append("\n".join([title, *(f"  {item}" for item in dict.fromkeys(map(str, items)))]))
        return "\n\n".join(parts)

    def _worst_row(self, w: Worst) -> tuple[Any, ...]:
        gap = abs(w.claimed - w.measured)
        relative = gap / abs(w.measured) if w.measured else math.inf
        values = f"{w.claimed:.8g}", f"{w.measured:.8g}"
        return (w.name, w.index, *values, short(gap), short(relative), short(w.ulp))

    def plot(self, path: str) -> None:
        """Draw the error of every element of every array as a heat map, and save it at `path`.

        Raises    ModuleNotFoundError, with what to install, without matplotlib.
        """
        try:
            import matplotlib
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "report.plot needs matplotlib; install it with: pip install matplotlib"
            ) from None
        if self.examine is None:
            raise ValueError(f"report.plot: expected gradients to draw; got none; {self.findings[0]}")
        maps = [self.evidence.get(i) or self.examine(i) for i in range(len(self.rows))]
        figure = Figure(figsize=(3.6 * len(maps) + 0.6, 3.9), layout="constrained")
        figure.suptitle(f"{self.fn}: error of the gradient, vjp against differences")
        top = max(1e-300, *(float(abs(m.claimed - m.measured).max(initial=0.0)) for m in maps))
        norm = matplotlib.colors.LogNorm(vmin=top * 1e-8, vmax=top)
        for axes, row, evidence in zip(figure.subplots(1, len(maps), squeeze=False)[0], self.rows, maps):
            error = abs(evidence.claimed - evidence.measured).clip(top * 1e-8)
            image = axes.imshow(_as_matrix(error), norm=norm, cmap="viridis", aspect="auto")
            axes.set_title(f"{row.name} {row.shape}: {_word(row.ok)}")
            axes.set_xlabel("last axis")
            axes.set_ylabel("all other axes")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        figure.colorbar(image, ax=figure.axes, label="|vjp - difference|")
        figure.savefig(path, dpi=150)


def worst_entry(name: str, claimed: np.ndarray, evidence: Evidence) -> str:
    """Say where the Jacobian by the vjp (outputs, inputs) is furthest from that by differences."""
    measured = np.zeros_like(claimed) if evidence.jacobian is None else evidence.jacobian
    gaps = abs(claimed - measured)
    o, j = np.unravel_index(np.where(np.isnan(gaps), np.inf, gaps).argmax(), gaps.shape)
    output = tuple(int(i) for i in np.unravel_index(o, evidence.y.shape))
    index = tuple(int(i) for i in np.unravel_index(j, evidence.x.shape))
    values = f"vjp {claimed[o, j]:.8g}, difference {measured[o, j]:.8g}"
    return f"output at {output} by {name} at {index}: {values}"


def _word(ok: bool) -> str:
    return "right" if ok else "WRONG"


def _as_matrix(a: np.ndarray) -> np.ndarray:
    return a.reshape(-1, a.shape[-1] if a.ndim else 1)
