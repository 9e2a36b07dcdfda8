"""A traced graph in Graphviz's language, and as one HTML page that loads nothing else.

Graphviz lays the graph out: the installed `dot`, or else its WebAssembly build, which then comes with
the page. page.html is what the reader sees; here is what it is told.
"""

import html
import json
import math
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

INK, QUIET, LINE, CARD = "#1c2024", "#60666c", "#c9ccd0", "#ffffff"  # page.html finds them in the drawing
VALUES, GRADIENT = "#0072b2", "#d55e00"

# The Okabe-Ito palette, which colour-blind readers can tell apart; the text beside it says the same.
COLORS = {
    "product": "#0072b2",
    "attention": "#cc79a7",
    "normalisation": "#e69f00",
    "loss": "#d55e00",
    "arithmetic": "#56b4e9",
    "reduction": "#f0e442",
    "shape or index": "#999999",
    "elementwise function": "#009e73",
    "input or parameter": CARD,
}
OPERATIONS = {  # all others are elementwise functions
    "product": "matmul linear einsum",
    "attention": "attend causal_attention",
    "normalisation": "layer_norm normalise_batch softmax log_softmax logsumexp",
    "loss": "nll",
    "arithmetic": "add subtract multiply divide shift scale divide_by negative power raise_to",
    "reduction": "sum mean max min cumsum",
    "shape or index": "reshape transpose broadcast_to concatenate getitem scatter_add take_rows where astype",
}
KINDS = {name: kind for kind, names in OPERATIONS.items() for name in names.split()}
HEAD = f"""\
  graph [fontname=Arial, fontsize=10, fontcolor="{QUIET}", labeljust=l, ranksep=0.3, nodesep=0.3,
         style="rounded,filled", color="{LINE}", fillcolor="#f0f0ee"];
  node [fontname=Arial, fontsize=9, fontcolor="{QUIET}", shape=plain, class=box];
  edge [color="#7b8289", arrowsize=0.7];"""
# Boxes, above which Graphviz is not asked for the best places: 300 that all cross took half a minute.
MANY = 200
HASTE = "  graph [nslimit=2, nslimit1=2, mclimit=0.1];"


def dot(name: str, vertices: Sequence[Any]) -> str:
    """Return the vertices of a Graph in Graphviz's language.

    A box is an operation, an input, or a parameter that several operations read; one that a single
    operation reads is named in the box of its reader. A frame is a call of a module.
    """
    reads = Counter(source for v in vertices for source in v.inputs)
    inside = [v.leaf == "parameter" and reads[i] == 1 for i, v in enumerate(vertices)]
    boxes = {
        i: f'  {i} [id="v{i}", label=<{_box(v, [vertices[s] for s in v.inputs if inside[s]])}>];'
        for i, v in enumerate(vertices)
        if not inside[i]
    }
    leaves = [boxes[i] for i in boxes if vertices[i].leaf]
    framed = _framed([(vertices[i].scope, boxes[i]) for i in boxes if not vertices[i].leaf])
    edges = [f'  {s} -> {i} [class="e{s} e{i}"];' for i in boxes for s in vertices[i].inputs if s in boxes]
    head = [HEAD, HASTE] if len(boxes) > MANY else [HEAD]
    return "\n".join([f'digraph "{_text(name)}" {{', *head, *leaves, *framed, *edges, "}"])


def _framed(boxes: list[tuple[str, str]], depth: int = 1, frame: str = "cluster") -> Iterator[str]:
    """Yield the boxes, each given with its scope, in order; a frame around those of one call of a module."""

    def module(box: tuple[str, str]) -> str:
        names = box[0].split(".")
        return ".".join(names[:depth]) if len(names) >= depth else ""

    for number, (scope, run) in enumerate(groupby(boxes, key=module)):
        called = list(run)
        if scope and len(called) > 1:
            yield f'subgraph "{frame}_{number}" {{ label=<{_text(_last(scope))}>;'
            yield from _framed(called, depth + 1, f"{frame}_{number}")
            yield "}"
        else:
            yield from (box for _, box in called)


def _last(scope: str) -> str:
    """Return the last name of a dotted name; a number belongs to the list before it, as in "h.0"."""
    return re.split(r"\.(?!\d)", scope)[-1]


def _box(v: Any, parameters: list[Any]) -> str:
    """Return the label of a box: a table of its kind's colour, names, shape, and room for histograms."""
    where = v.scope if v.leaf else _last(v.scope)
    beside = f"&#160;&#160;{_text(where)}" if where else ""
    rows = [
        f'<TD COLSPAN="3" ALIGN="LEFT"><FONT POINT-SIZE="11" COLOR="{INK}"><B>{_text(v.name)}</B></FONT>'
        f'{beside}</TD><TD ALIGN="RIGHT"><FONT COLOR="{INK}">{v.shape}</FONT></TD>'
    ]
    names = [p.name if p.scope == v.scope else f"{p.scope}.{p.name}" for p in parameters]
    if below := ", ".join(f"{_text(name)} {p.shape}" for name, p in zip(names, parameters)) or v.leaf:
        rows.append(f'<TD COLSPAN="4" ALIGN="LEFT">{below}</TD>')
    rows.append(_histogram("values", VALUES, v.values) + _histogram("gradient", GRADIENT, v.gradient))
    bar = f'<TD ROWSPAN="{len(rows)}" WIDTH="7" CELLPADDING="0" BGCOLOR="{COLORS[_kind(v)]}"></TD>'
    style = f'BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" COLOR="{LINE}" BGCOLOR="{CARD}"'
    return f"<TABLE {style}><TR>{bar}{'</TR><TR>'.join(rows)}</TR></TABLE>"


def _histogram(word: str, color: str, values: Any) -> str:
    """Return two cells: a word, below which the page draws the bars, and the ends of the range."""
    if values is None:
        return '<TD WIDTH="56"></TD><TD></TD>'
    return (
        f'<TD WIDTH="56" HEIGHT="40" ALIGN="LEFT" VALIGN="TOP">'
        f'<FONT POINT-SIZE="8" COLOR="{color}">{word}</FONT></TD>'
        f'<TD ALIGN="LEFT" VALIGN="BOTTOM">{_compact(values.high)}<BR ALIGN="LEFT"/>{_compact(values.low)}'
        '<BR ALIGN="LEFT"/></TD>'
    )


def _text(name: str) -> str:
    """Return a name as Graphviz and XML take it, in quotes too; what cannot be seen is replaced."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return html.escape(printable).replace("\\", "&#92;") or "&#160;"


def _compact(x: float) -> str:
    """Return a number in two digits, or in up to four if it is large."""
    text = "-" if x != x else f"{x:.0e}" if 0 < abs(x) < 1e-4 else f"{x:.{2 if abs(x) < 100 else 4}g}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if x < 0 else text


def _kind(v: Any) -> str:
    return "input or parameter" if v.leaf else KINDS.get(v.name, "elementwise function")


def drawn(graph: str, ending: str) -> bytes:
    """Return what Graphviz makes of a graph in its language: an "svg" or a "png".

    Raises    RuntimeError, with what to install, without Graphviz, or with what it said if it failed.
    """
    program = shutil.which("dot")
    if program is None:
        hint = "apt install graphviz, brew install graphviz; or save .html"
        raise RuntimeError(f".{ending} needs Graphviz: {hint}")
    try:
        done = subprocess.run([program, f"-T{ending}"], input=graph.encode(), capture_output=True)
    except OSError as error:
        raise RuntimeError(f"Graphviz failed: {error}") from None
    if done.returncode or not done.stdout:
        raise RuntimeError(f"Graphviz failed: {done.stderr.decode(errors='replace').strip() or 'no drawing'}")
    return done.stdout


def page(name: str, vertices: Sequence[Any]) -> str:
    """Return the page: with the drawing where Graphviz is installed, else with the means to draw it."""
    graph, renderer, drawing = dot(name, vertices), "", ""
    try:
        drawing = re.sub(r"^.*?(?=<svg)", "", drawn(graph, "svg").decode(), flags=re.DOTALL)
    except RuntimeError:
        script = (FOLDER / "viz-global.js").read_text(encoding="utf-8")
        renderer = f"<script>{script}</script>"
    shown = set(map(_kind, vertices))
    facts = {
        "name": name,
        "summary": _summary(vertices),
        "legend": [(kind, color) for kind, color in COLORS.items() if kind in shown],
        "vertices": [_facts(v) for v in vertices],
        "dot": graph if renderer else "",
    }
    said = json.dumps(facts).replace("<", "\\u003c")
    parts = {"title": _text(name), "drawing": drawing, "renderer": renderer, "facts": said}
    template = (FOLDER / "page.html").read_text(encoding="utf-8")
    return re.sub(r"<!--(\w+)-->", lambda slot: parts[slot[1]], template)


def _facts(v: Any) -> dict[str, Any]:
    """Return what the page says of a vertex: the columns of its table, its line, its histograms."""
    costs = ["" if v.leaf else f"{x:,.0f}" for x in (v.saved, 1e6 * v.forward, 1e6 * v.backward)]
    title = f"{v.scope}.{v.name}".lstrip(".") if v.leaf else v.name
    ranges = [_range(v.values), _range(v.gradient) if v.gradient else "-"]
    return {
        "facts": [title, v.leaf or v.scope, f"{v.shape} {v.dtype}", *costs, *ranges, v.line],
        "leaf": bool(v.leaf),
        "histograms": [each.histogram for each in (v.values, v.gradient) if each],
    }


def _range(values: Any) -> str:
    text = f"{values.low:.4g} to {values.high:.4g}, mean {values.mean:.3g}, std {values.std:.3g}"
    return text + (f", {values.not_finite} not finite" if values.not_finite else "")


def _summary(vertices: Sequence[Any]) -> str:
    operations = [v for v in vertices if not v.leaf]
    parameters = sum(math.prod(v.shape) for v in vertices if v.leaf == "parameter")
    times = [1e3 * sum(getattr(v, way) for v in operations) for way in ("forward", "backward")]
    return (
        f"{len(operations)} operations, {parameters:,} parameters, "
        f"{sum(v.saved for v in operations) / 1024:,.1f} KiB saved for the backward pass; "
        f"this run: forward {times[0]:.2f} ms, backward {times[1]:.2f} ms"
    )
