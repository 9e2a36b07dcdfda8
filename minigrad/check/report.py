"""What `gradcheck` and `compare` found: a table to print, a verdict, a picture of the gradients and their errors."""

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

ACROSS, DRAWN = 2, 16  # arrays side by side, and in all, in a picture
CALM = {"float64": 1e-5, "float32": 1e-2}  # of the largest gradient: a difference drawn white


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
    noise: float = math.nan  # the difference, in units of what the numerical side may be wrong by

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
    """What `gradcheck` found; `report.plot(path)` draws heat maps of the gradients and their errors."""

    fn: str
    library: str
    dtype: str
    order: int
    worst: list[Worst] = field(default_factory=list)
    jacobian: list[str] = field(default_factory=list)  # the worst entry of each whole Jacobian
    evidence: dict[int, Evidence] = field(default_factory=dict, repr=False)
    examine: Callable[[int], Evidence] | None = field(default=None, repr=False)
    sketch: Callable[[int], Evidence] | None = field(default=None, repr=False)  # less exact, for a picture

    def __str__(self) -> str:
        order = "" if self.order == 1 else ", second order"
        title = f"gradcheck: {self.fn} ({self.library}, {self.dtype}{order}): {_word(self.ok)}"
        head = ["array", "shape", "comparisons", "error", "relative", "of the noise", "verdict"]
        errors = [map(short, (r.absolute, r.relative, r.noise)) for r in self.rows]
        rows = [(r.name, r.shape, r.comparisons, *e, _word(r.ok)) for r, e in zip(self.rows, errors)]
        tables = [table(head, rows) if rows else ""]
        head = ["worst elements", "index", "vjp", "difference", "error", "relative", "ulp"]
        values = [(w.name, w.index, f"{w.claimed:.8g}", f"{w.measured:.8g}", *_sizes(w)) for w in self.worst]
        tables.append(table(head, values) if values else "")
        return self._laid_out([title, *tables], {"largest errors of the Jacobian": self.jacobian})

    def plot(self, path: Any) -> Any:
        """Draw the gradient of every array, and beside it how far it is off; save it, and return `path`.

        Red is positive, blue negative, black NaN or inf, each panel to its own scale. A difference that is
        too small to count stays white. Of large arrays a grid is drawn, and of many arrays the first 16,
        wrong ones before right ones.

        Raises    ModuleNotFoundError, with what to install, without matplotlib.
        """
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError:
            hint = 'install it with: pip install -e ".[examples]"'
            raise ModuleNotFoundError(f"report.plot needs matplotlib; {hint}") from None
        if self.sketch is None:
            raise ValueError(f"report.plot: expected gradients to draw; got none; {self.findings[0]}")
        chosen = sorted(range(len(self.rows)), key=lambda i: self.rows[i].ok)[:DRAWN]
        across = min(len(chosen), ACROSS)
        down = -(-len(chosen) // across)
        title = f"{self.fn}: gradients by the vjp, and how far they are from differences"
        if len(chosen) < len(self.rows):
            title += f"; {len(chosen)} of {len(self.rows)} arrays"
        lines = textwrap.wrap(title, 66 * across)
        width, height, head = 7 * across, 3 * down, 0.7 + 0.2 * len(lines)  # inches
        figure = Figure(figsize=(width, height + head))
        figure.suptitle("\n".join(lines), y=1 - 0.1 / (height + head), va="top")
        panels = figure.subplots(down, 2 * across, squeeze=False).reshape(-1, 2)
        edges = {"top": height / (height + head), "bottom": 0.6 / (height + head)}
        figure.subplots_adjust(**edges, left=0.8 / width, right=1 - 0.6 / width, wspace=0.6, hspace=0.6)
        for (left, right), i in zip(panels, chosen):
            evidence, row = self.evidence.get(i) or self.sketch(i), self.rows[i]
            difference, largest = evidence.claimed - evidence.measured, _largest(evidence.claimed)
            _panel(left, evidence, evidence.claimed, largest, f"{row.name} {row.shape}: {_word(row.ok)}")
            floor = max(CALM[self.dtype] * largest, 3 * _largest(evidence.error))
            _panel(right, evidence, difference, max(_largest(difference), floor), "off by")
        for axes in panels[len(chosen) :].ravel():
            axes.set_axis_off()
        figure.savefig(path, dpi=100)
        return path


def _largest(a: np.ndarray) -> float:
    return float(abs(a[np.isfinite(a)]).max(initial=0.0))


def _panel(axes: Any, evidence: Evidence, values: np.ndarray, top: float, title: str) -> None:
    """Draw the values as a map, red above 0 and blue below, up to `top` in size."""
    import matplotlib

    axes.set_title(textwrap.fill(title, 34), fontsize=10)
    if not values.size:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "empty", ha="center", va="center")
        return
    colours = matplotlib.colormaps["RdBu_r"].with_extremes(bad="black")
    matrix = np.where(np.isfinite(values), values, np.nan).reshape(-1, *values.shape[-1:] or [1])
    image = axes.imshow(matrix, cmap=colours, vmin=-(top or 1.0), vmax=top or 1.0, aspect="auto")
    axes.figure.colorbar(image, cax=axes.inset_axes((1.04, 0, 0.05, 1))).ax.tick_params(labelsize=8)
    _label(axes, evidence.examined, matplotlib.ticker.MaxNLocator)


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
    if not gaps.size:
        return f"there is no output that {name} could change"
    o, j = np.unravel_index(np.where(np.isnan(gaps), np.inf, gaps).argmax(), gaps.shape)
    output = tuple(int(i) for i in np.unravel_index(o, evidence.y.shape))
    values = f"vjp {claimed[o, j]:.8g}, difference {measured[o, j]:.8g}"
    return f"output at {output} by {name} at {evidence.examined.index(int(j))}: {values}"


def _sizes(found: Row | Worst) -> tuple[str, str, str]:
    return short(found.absolute), short(found.relative), short(found.ulp)


def _word(ok: bool) -> str:
    return "right" if ok else "WRONG"
