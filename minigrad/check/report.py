"""What `gradcheck` and `compare` found: a table to print, a verdict, a picture of the errors."""

import functools
import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.check.diagnosis import Finding
from minigrad.check.evidence import Evidence, Grid
from minigrad.console.tables import short, table

ACROSS = 4  # maps side by side


@dataclass(frozen=True)
class Row:
    """The worst comparison of an array, relative to the gradient's length, or to its largest element."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    ok: bool
    comparisons: int = 1

    @property
    def ulp(self) -> float:
        """The difference in units in the last place of what it is relative to."""
        return self.relative / float(np.finfo(self.dtype).eps)


@dataclass(frozen=True)
class Worst:
    """One element whose gradient is wrong; ulp counts units in the last place of its right value."""

    name: str
    index: tuple[int, ...]
    claimed: float
    measured: float
    absolute: float  # how far apart they are
    relative: float  # of the right value
    ulp: float

    @classmethod
    def of(cls, name: str, evidence: Evidence, dtype: str) -> "list[Worst]":
        """Return the five worst elements of one array."""
        gaps = np.where(np.isfinite(evidence.claimed), abs(evidence.claimed - evidence.measured), math.inf)
        order = np.argsort(np.where(np.isnan(gaps), -1.0, gaps).ravel())[::-1][:5]
        found = []
        for flat in order[evidence.wrong.ravel()[order] | ~np.isfinite(evidence.claimed.ravel()[order])]:
            claimed, measured = float(evidence.claimed.flat[flat]), float(evidence.measured.flat[flat])
            index, error = evidence.examined.index(int(flat)), abs(claimed - measured)
            relative = error / abs(measured) if measured else math.inf
            ulp = error / float(np.spacing(np.asarray(abs(measured), dtype)))
            found.append(cls(name, index, claimed, measured, error, relative, ulp))
        return found


@dataclass(kw_only=True)
class Verdict:
    """`bool(...)` is the verdict, `print(...)` the table."""

    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Is everything right, or alike, as far as could be told?"""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    @property
    def kinds(self) -> list[str]:
        """The kind of each mistake found."""
        return [finding.kind for finding in self.findings]

    def _laid_out(self, parts: list[str], lists: dict[str, list[Any]]) -> str:
        """Return what is not empty of the parts, the lists and ours, each under its title, each item once."""
        for title, items in (lists | {"diagnosis": self.findings, "notes": self.notes}).items():
            parts.append("\n  ".join([title, *dict.fromkeys(map(str, items))]) if items else "")
        return "\n\n".join(filter(None, parts))


@dataclass
class Comparison(Verdict):
    """What `compare` found."""

    a: str
    b: str
    unmatched: list[str] = field(default_factory=list)
    examples: int = 1

    def __str__(self) -> str:
        title = f"compare: {self.a} and {self.b}: {'agree' if self.ok else 'DIFFER'}"
        head = ["array", "dtype", "shape", "difference", "relative", "ulp", "verdict"]
        rows = [(r.name, r.dtype, r.shape, *_sizes(r), "agree" if r.ok else "DIFFER") for r in self.rows]
        tables = [table(head, rows, left=2) if rows else ""]
        return self._laid_out([title, *tables], {"not matched": self.unmatched})


@dataclass
class Report(Verdict):
    """What `gradcheck` found; `report.plot(path)` draws heat maps of the error."""

    fn: str
    library: str
    dtype: str
    order: int
    worst: list[Worst] = field(default_factory=list)
    jacobian: list[str] = field(default_factory=list)  # the worst entry of each whole Jacobian
    evidence: dict[int, Evidence] = field(default_factory=dict, repr=False)
    examine: Callable[[int], Evidence] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        order = "" if self.order == 1 else ", second order"
        title = f"gradcheck: {self.fn} ({self.library}, {self.dtype}{order}): {_word(self.ok)}"
        head = ["array", "shape", "comparisons", "error", "relative", "ulp", "verdict"]
        rows = [(r.name, r.shape, r.comparisons, *_sizes(r), _word(r.ok)) for r in self.rows]
        tables = [table(head, rows) if rows else ""]
        head = ["worst elements", "index", "vjp", "difference", "error", "relative", "ulp"]
        values = [(w.name, w.index, f"{w.claimed:.8g}", f"{w.measured:.8g}", *_sizes(w)) for w in self.worst]
        tables.append(table(head, values) if values else "")
        return self._laid_out([title, *tables], {"largest errors of the Jacobian": self.jacobian})

    def plot(self, path: Any) -> Any:
        """Draw the error of every examined element of every array as a heat map; save it, and return `path`.

        Raises    ModuleNotFoundError, with what to install, without matplotlib.
        """
        try:
            import matplotlib
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ModuleNotFoundError:
            hint = "install it with: pip install matplotlib"
            raise ModuleNotFoundError(f"report.plot needs matplotlib; {hint}") from None
        if self.examine is None:
            raise ValueError(f"report.plot: expected gradients to draw; got none; {self.findings[0]}")
        maps = [self.evidence.get(i) or self.examine(i) for i in range(len(self.rows))]
        across = min(len(maps), ACROSS)
        down = -(-len(maps) // across)
        figure = Figure(figsize=(3.6 * across + 0.6, 3.6 * down + 0.6), layout="constrained")
        title = f"{self.fn}: error of the gradient, vjp against differences"
        figure.suptitle(textwrap.fill(title, 33 * across))
        errors = [abs(m.claimed - m.measured) for m in maps]
        top = max(1e-30, *(float(e[np.isfinite(e)].max(initial=0.0)) for e in errors))
        norm = matplotlib.colors.LogNorm(vmin=top * 1e-8, vmax=top)
        colours = matplotlib.colormaps["viridis"].with_extremes(bad="red", over="red")  # NaN, inf
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for axes, row, evidence, error in zip(panels, self.rows, maps, errors):
            matrix = error.clip(top * 1e-8).reshape(-1, *error.shape[-1:] or [1])
            image = axes.imshow(matrix, norm=norm, cmap=colours, aspect="auto")
            axes.set_title(textwrap.fill(f"{row.name} {row.shape}: {_word(row.ok)}", 30))
            _label(axes, evidence.examined, MaxNLocator)
        for axes in panels[len(maps) :]:
            axes.set_axis_off()
        figure.colorbar(image, ax=figure.axes, label="|vjp - difference|")
        figure.savefig(path, dpi=150)
        return path


def _label(axes: Any, grid: Grid, locator: Any) -> None:
    """Name the axes of one map after those of the array; number them by its indices."""
    names = []
    for axis, (shown, n) in enumerate(zip(map(len, grid.axes), grid.shape)):
        names.append(f"axis {axis}" + (f" ({shown} of {n} indices)" if shown < n else ""))
    for side, part in ((axes.xaxis, slice(-1, None)), (axes.yaxis, slice(-1))):
        side.set_label_text(" by\n".join(names[part]))
        side.set_major_locator(locator(nbins=6, integer=True, min_n_ticks=1))
        if len(names[part]) == 1:
            side.set_major_formatter(functools.partial(_tick, grid.axes[part][0]))
        elif not names[part]:
            side.set_ticks([])


def _tick(indices: np.ndarray, place: float, _: int) -> str:
    return str(indices[round(place)]) if 0 <= round(place) < len(indices) else ""


def worst_entry(name: str, evidence: Evidence) -> str:
    """Say where the Jacobian by the vjp is furthest from that by differences."""
    claimed: Any = evidence.claimed_jacobian
    measured: Any = evidence.jacobian
    with np.errstate(all="ignore"):
        gaps = abs(claimed - measured)
    o, j = np.unravel_index(np.where(np.isnan(gaps), np.inf, gaps).argmax(), gaps.shape)
    output = tuple(int(i) for i in np.unravel_index(o, evidence.y.shape))
    values = f"vjp {claimed[o, j]:.8g}, difference {measured[o, j]:.8g}"
    return f"output at {output} by {name} at {evidence.examined.index(int(j))}: {values}"


def _sizes(found: Row | Worst) -> tuple[str, str, str]:
    return short(found.absolute), short(found.relative), short(found.ulp)


def _word(ok: bool) -> str:
    return "right" if ok else "WRONG"
