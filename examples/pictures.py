"""How the examples draw: one style, colours that colour-blind readers can tell apart, files under out/."""

from pathlib import Path
from typing import Any

try:
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure  # not pyplot: no window, no global state
except ModuleNotFoundError:
    raise SystemExit("the examples draw with matplotlib; install it with: pip install matplotlib") from None

# Okabe and Ito 2008, "Color Universal Design": distinct under all common forms of colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, BLACK)
MASK = ListedColormap(
    [ORANGE, "#E5E5E5", BLUE]
)  # of a heat map from 0 (dropped) over 0.5 (no place) to 1 (kept)

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
