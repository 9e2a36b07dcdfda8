"""How the examples draw: one style, colours that colour-blind readers can tell apart, files under out/."""

from pathlib import Path
from typing import Any

try:
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure  # not pyplot: no window, no global state
    from matplotlib.patches import FancyBboxPatch
except ModuleNotFoundError:
    raise SystemExit(
        'the examples draw with matplotlib; install it with: pip install -e ".[examples]"'
    ) from None

# Okabe and Ito 2008, "Color Universal Design": distinct under all common forms of colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, BLACK)
MASK = ListedColormap(
    [ORANGE, "#E5E5E5", BLUE]
)  # of a heat map from 0 (dropped) over 0.5 (no place) to 1 (kept)

WIDTH = 5.6  # inches of a drawing: half a page (450 pixels) wide, letters of 9 points are 10 pixels high
GREY = "0.35"
TINTS = {BLUE: "#DCEBF5", ORANGE: "#FCF0D9", GREEN: "#DDF1EA", VERMILION: "#F9E3D5", GREY: "0.93"}
INKS = {BLUE: "#005A8E", GREEN: "#006B4E", VERMILION: "#A84A00"}  # dark enough for small letters
Place = tuple[float, float]

STYLE = {
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "font.size": 10,
    "grid.alpha": 0.3,
}


class Picture:
    """A saved picture; as the last value of a notebook's cell it shows itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"picture: {self.path.as_posix()}"

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


def subplots(rows: int = 1, columns: int = 1, *, title: str = "", size: tuple[float, float] = (9, 4)) -> Any:
    """Return (figure, axes) in the style of the examples; axes is a single one or an array of them.

    Units     size in inches
    """
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns)
        if title:
            figure.suptitle(title)
    return figure, axes


def mosaic(layout: list, heights: list, *, title: str, size: tuple[float, float]) -> Any:
    """Return (figure, {name: axes}) of rows of names; a name that is repeated spans its places; see `subplots`."""
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title)
        return figure, figure.subplot_mosaic(layout, height_ratios=heights)


def heat_map(axes: Any, values: Any, *, title: str = "", **options: Any) -> Any:
    """Draw a matrix, row 0 on top, and return what a colour bar needs; `options` are those of `imshow`."""
    axes.set(title=title)
    axes.grid(False)
    return axes.imshow(values, aspect=options.pop("aspect", "auto"), interpolation="nearest", **options)


def save(figure: Figure, name: str) -> Picture:
    """Write the figure to out/<name> below the current folder, and say so."""
    path = Path("out") / name
    path.parent.mkdir(exist_ok=True)
    with rc_context(STYLE):
        figure.savefig(path, dpi=130)
    print(Picture(path))
    return Picture(path)


def shrink(picture: Path, smaller: Path, width: int = 900) -> None:
    """Write a copy `width` pixels wide in 256 colours: small enough for the gallery."""
    from PIL import Image  # comes with matplotlib

    with Image.open(picture) as image:
        height = round(image.height * width / image.width)
        small = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    smaller.parent.mkdir(exist_ok=True)
    small.quantize(256, method=Image.Quantize.MAXCOVERAGE).save(smaller, optimize=True)


class Board:
    """A figure with boxes, arrows and words on it.

    Units     places and sizes in inches from the lower left corner; letters in points
    """

    def __init__(self, height: float, title: str) -> None:
        self.size = (WIDTH, height)
        with rc_context(STYLE):
            self.figure = Figure(figsize=self.size)
        self.axes = self.panel((0, 0), self.size, xlim=(0, WIDTH), ylim=(0, height))
        self.axes.axis("off")
        self.text((WIDTH / 2, height - 0.22), title, weight="bold", size=12)

    def panel(self, corner: Place, size: Place, **looks: Any) -> Any:
        """Return new axes of a size above and right of a corner."""
        (w, h), (x, y) = self.size, corner
        with rc_context(STYLE):
            return self.figure.add_axes((x / w, y / h, size[0] / w, size[1] / h), **looks)

    def text(self, at: Place, words: str, **looks: Any) -> None:
        """Write words around a place."""
        looks = {"ha": "center", "va": "center", "size": 10, "linespacing": 1.3, **looks}
        self.axes.text(*at, words, **looks)

    def box(self, at: Place, words: str, colour: str, size: Place) -> None:
        """Draw a box of a size around a place, with words in it."""
        corner, style = (at[0] - size[0] / 2, at[1] - size[1] / 2), "round,pad=0,rounding_size=0.07"
        looks = {"boxstyle": style, "facecolor": TINTS[colour], "edgecolor": colour, "linewidth": 1.2}
        self.axes.add_patch(FancyBboxPatch(corner, *size, **looks))
        self.text(at, words)

    def frame(self, corner: Place, size: Place) -> None:
        """Draw an empty frame above and right of a corner."""
        style = "round,pad=0,rounding_size=0.1"
        looks = {"facecolor": "none", "edgecolor": GREEN, "linewidth": 1.2}
        self.axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, **looks))

    def plus(self, at: Place, colour: str = GREY) -> None:
        """Draw the sign at which two arrows become one."""
        self.axes.add_patch(
            FancyBboxPatch(at, 0, 0, boxstyle="circle,pad=0.13", fc="white", ec=colour, zorder=3)
        )
        self.text((at[0], at[1] - 0.01), "+", size=13, color=colour, zorder=4)

    def arrow(self, *points: Place, colour: str = GREY) -> None:
        """Draw a line through the points, with a head at the last one."""
        self.axes.plot(*zip(*points[:-1]), color=colour, linewidth=1.4)
        looks = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, "mutation_scale": 12}
        self.axes.annotate("", points[-1], points[-2], arrowprops={**looks, "shrinkA": 0, "shrinkB": 0})
