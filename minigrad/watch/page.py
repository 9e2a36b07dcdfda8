"""A traced graph as one HTML page: the picture, values on hover, the table. It loads nothing else."""

import html
import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minigrad.watch.layout import GAP_Y, HEIGHT, LANE, WIDTH, Drawing, Place, layout

# The Okabe-Ito palette, which colour-blind readers can tell apart; the text beside it says the same.
KINDS = {
    "product": ("#0072B2", "matmul linear einsum"),
    "attention": ("#CC79A7", "attend causal_attention"),
    "normalisation": ("#E69F00", "layer_norm normalise_batch softmax log_softmax logsumexp"),
    "loss": ("#D55E00", "nll"),
    "arithmetic": ("#56B4E9", "add subtract multiply divide shift scale divide_by negative power raise_to"),
    "reduction": ("#F0E442", "sum mean max min prod cumsum"),
    "shape or index": (
        "#999999",
        "reshape transpose broadcast_to concatenate getitem scatter_add take_rows where astype",
    ),
    "elementwise function": ("#009E73", ""),
    "input or parameter": ("#FFFFFF", ""),
}
MARGIN = 34.0


def page(name: str, vertices: Sequence[Any]) -> str:
    """Return the page for the vertices of a Graph."""
    shown, inlined = _shown(vertices)
    place = {v: i for i, v in enumerate(shown)}
    drawing = layout([[place[s] for s in vertices[v].inputs if s in place] for v in shown])
    picture = _svg(vertices, shown, inlined, drawing)
    kinds = dict.fromkeys(_kind(vertices[v]) for v in shown)
    chips = "".join(
        f'<span class="chip"><i style="background:{KINDS[kind][0]}"></i>{kind}</span>'
        for kind in KINDS
        if kind in kinds
    )
    facts = json.dumps([_facts(v) for v in vertices]).replace("<", "\\u003c")
    title = html.escape(name)
    return PAGE.format(
        title=title,
        summary=_summary(vertices),
        chips=chips,
        picture=picture,
        rows=_rows(vertices),
        facts=facts,
        style=STYLE,
        script=SCRIPT,
    )


def _shown(vertices: Sequence[Any]) -> tuple[list[int], dict[int, list[int]]]:
    """Return the vertices that get a box, and {operation: parameters that are named inside its box}."""
    readers: dict[int, list[int]] = {}
    for i, v in enumerate(vertices):
        for s in v.inputs:
            readers.setdefault(s, []).append(i)
    inlined: dict[int, list[int]] = {}
    for i, v in enumerate(vertices):
        if v.leaf == "parameter" and len(readers.get(i, [])) == 1:
            inlined.setdefault(readers[i][0], []).append(i)
    hidden = {leaf for leaves in inlined.values() for leaf in leaves}
    return [i for i in range(len(vertices)) if i not in hidden], inlined


def _svg(vertices: Sequence[Any], shown: list[int], inlined: dict[int, list[int]], drawing: Drawing) -> str:
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:.0f} {-MARGIN:.0f} {width:.0f} {height:.0f}" role="img">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="11" markerHeight="11" markerUnits="userSpaceOnUse" '
        'orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>',
    ]
    parts += _frames(vertices, shown, drawing)
    parts += _edges(shown, drawing)
    parts += [_box(vertices, v, inlined.get(v, []), p) for v, p in zip(shown, drawing.places)]
    return "\n".join([*parts, "</svg>"])


def _frames(vertices: Sequence[Any], shown: list[int], drawing: Drawing) -> list[str]:
    """Return a frame around the operations of each top module, where nothing else stands in its rows.

    An edge between two of them belongs to them; every other edge stays outside.
    """
    top = [vertices[v].scope.partition(".")[0] for v in shown]
    spans = [(scope, p.y, p.x, WIDTH / 2) for scope, p in zip(top, drawing.places)]
    for (start, end), points in drawing.edges.items():
        scope = top[start] if top[start] == top[end] else ""
        spans += [(scope, y, x, LANE / 2) for x, y in points[1:-1]]
    frames = []
    for scope in dict.fromkeys(scope for scope in top if scope and top.count(scope) > 1):
        rows: dict[float, tuple[float, float]] = {}
        for _, y, x, half in (span for span in spans if span[0] == scope):
            left, right = rows.get(y, (x, x))
            rows[y] = min(left, x - half - 14), max(right, x + half + 14)
        strange = [s for s in spans if s[0] != scope and s[1] in rows and _within(s, *rows[s[1]])]
        if not strange and max(rows) - min(rows) < len(rows) * (HEIGHT + GAP_Y):
            frames.append(_frame(scope, [(y, *rows[y]) for y in sorted(rows)]))
    return frames


def _within(span: tuple[str, float, float, float], left: float, right: float) -> bool:
    _, _, x, half = span
    return left < x + half and x - half < right


def _frame(title: str, rows: list[tuple[float, float, float]]) -> str:
    """Return the outline of rows (y, left, right) from top to bottom, with a tab for the title."""
    title = _fit(title, WIDTH / 2 - 20, 7.4)
    y, left, right = rows[0]
    path = f"M{left:.1f} {y - HEIGHT / 2 - 20:.1f}h{7.4 * len(title) + 22:.1f}v14H{right:.1f}"
    for (y, _, x), (below, _, right) in pairwise(rows):
        path += f"V{below - HEIGHT / 2 - 4 if right > x else y + HEIGHT / 2 + 4:.1f}H{right:.1f}"
    path += f"V{rows[-1][0] + HEIGHT / 2 + 8:.1f}H{rows[-1][1]:.1f}"
    for (below, x, _), (y, outer, _) in pairwise(rows[::-1]):
        path += f"V{below - HEIGHT / 2 - 4 if x < outer else y + HEIGHT / 2 + 4:.1f}H{outer:.1f}"
    text = f'x="{left + 11:.1f}" y="{rows[0][0] - HEIGHT / 2 - 8:.1f}"'
    return f'<path class="frame" d="{path}Z"/><text class="scope" {text}>{html.escape(title)}</text>'


def _edges(shown: list[int], drawing: Drawing) -> list[str]:
    """Return the edges; those that arrive at one box arrive side by side, in the order they come."""
    arriving: dict[int, list[tuple[int, int]]] = {}
    for ends in sorted(drawing.edges, key=lambda ends: drawing.edges[ends][-2][0]):
        arriving.setdefault(ends[1], []).append(ends)
    paths = []
    for target, group in arriving.items():
        for i, ends in enumerate(group):
            points = list(drawing.edges[ends])
            x, y = points[-1]
            points[-1] = (x + 56 * (i - (len(group) - 1) / 2), y)
            paths.append(
                f'<path class="edge" data-from="{shown[ends[0]]}" data-to="{shown[target]}" '
                f'd="{_curve(points)}" marker-end="url(#tip)"/>'
            )
    return paths


def _curve(points: list[tuple[float, float]]) -> str:
    """Return the path: straight down beside the boxes of each layer, curved between the layers."""
    half = HEIGHT / 2
    x, y = points[0]
    path = [f"M{x:.1f} {y + half:.1f}"]
    y += half
    for i, (to_x, to_y) in enumerate(points[1:], 1):
        end = to_y - half - (2 if i == len(points) - 1 else 0)
        middle = (y + end) / 2
        path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {end:.1f}")
        if i < len(points) - 1:
            path.append(f"V{to_y + half:.1f}")
        x, y = to_x, to_y + half
    return "".join(path)


def _box(vertices: Sequence[Any], i: int, inlined: list[int], p: Place) -> str:
    v = vertices[i]
    x, y, color = p.x - WIDTH / 2, p.y - HEIGHT / 2, KINDS[_kind(v)][0]
    below = ", ".join(f"{vertices[j].name} {vertices[j].shape}" for j in inlined) or v.leaf
    if _fit(below, WIDTH - 30) != below:
        below = ", ".join(vertices[j].name for j in inlined)
    room = WIDTH - 37 - 7.2 * len(str(v.shape))
    name = _fit(v.name, room, 9)
    room -= 9 * len(name) + 7
    beside = next((s for s in (v.scope, v.scope.rpartition(".")[2]) if 6.6 * len(s) < room), "")
    if v.scope not in (beside, "") and not below:
        below, beside = v.scope, ""
    scope = f'<tspan class="quiet" dx="7">{html.escape(beside)}</tspan>' if beside else ""
    parts = [
        f'<g class="box" data-i="{i}" tabindex="0" transform="translate({x:.1f} {y:.1f})">',
        f'<rect class="card" width="{WIDTH:.0f}" height="{HEIGHT:.0f}" rx="8"/>',
        f'<path fill="{color}" class="bar" d="M8 0H7A7 7 0 0 0 0 7V{HEIGHT - 7:.0f}A7 7 0 0 0 7 {HEIGHT:.0f}H8z"/>',
        f'<text class="name" x="18" y="21">{html.escape(name)}{scope}</text>',
        f'<text class="shape" x="{WIDTH - 12:.0f}" y="21">{v.shape}</text>',
        f'<text class="quiet" x="18" y="38">{html.escape(_fit(below, WIDTH - 30))}</text>',
        _bars(v.values, 18, "value"),
    ]
    if v.gradient is not None:
        parts.append(_bars(v.gradient, WIDTH / 2 + 10, "gradient"))
    return "".join([*parts, "</g>"])


def _bars(values: Any, x: float, kind: str) -> str:
    """Return a histogram, with the ends of its range beside it."""
    top, step, floor = max(values.histogram, default=0), 46 / len(values.histogram), HEIGHT - 13
    bars = "".join(
        f"M{x + i * step:.1f} {floor}v{-24 * math.sqrt(n / top):.1f}h{step:.2f}V{floor}z"
        for i, n in enumerate(values.histogram)
        if n
    )
    return (
        f'<path class="{kind}" d="{bars}"/><path class="axis" d="M{x} {floor}h46"/>'
        f'<text class="range" x="{x + 52:.0f}" y="{HEIGHT - 28:.0f}">{_compact(values.high)}</text>'
        f'<text class="range" x="{x + 52:.0f}" y="{HEIGHT - 14:.0f}">{_compact(values.low)}</text>'
    )


def _fit(text: str, room: float, each: float = 6.6) -> str:
    """Return the text, cut if its letters, `each` pixels wide, need more than `room`; the rest is shown on hover."""
    return (
        text if each * len(text) <= room else text[: max(int(room / each) - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"
    )


def _compact(x: float) -> str:
    """Return a number in two digits, or in up to four if it is large."""
    text = "-" if x != x else f"{x:.0e}" if 0 < abs(x) < 1e-4 else f"{x:.{2 if abs(x) < 100 else 4}g}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if x < 0 else text


def _kind(v: Any) -> str:
    if v.leaf:
        return "input or parameter"
    return next(
        (kind for kind, (_, names) in KINDS.items() if v.name in names.split()), "elementwise function"
    )


def _facts(v: Any) -> list[list[str]]:
    """Return what the page shows when the pointer is on a vertex: a title, then pairs."""
    facts = [["", f"{v.scope}.{v.name}".lstrip(".") if v.leaf else v.name], ["shape", f"{v.shape} {v.dtype}"]]
    if not v.leaf:
        facts += [["module", v.scope or "-"], ["saved", f"{v.saved:,} bytes"]]
        facts += [
            ["forward", f"{1e6 * v.forward:,.0f} \N{MICRO SIGN}s"],
            ["backward", f"{1e6 * v.backward:,.0f} \N{MICRO SIGN}s"],
        ]
    facts += [["values", _range(v.values)], ["gradient", _range(v.gradient) if v.gradient else "-"]]
    return facts + ([["line", v.line]] if v.line else [])


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


def _rows(vertices: Sequence[Any]) -> str:
    rows = []
    for i, v in sorted(enumerate(vertices), key=lambda pair: bool(pair[1].leaf)):
        costs = [v.saved, 1e6 * v.forward, 1e6 * v.backward]
        cells = [v.name, v.scope or v.leaf, v.shape, v.dtype]
        cells += ["" if v.leaf else f"{cost:,.0f}" for cost in costs] + [v.values, v.gradient or "-"]
        rows.append(
            f'<tr data-i="{i}">' + "".join(f"<td>{html.escape(str(c))}</td>" for c in cells) + "</tr>"
        )
    return "\n".join(rows)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: traced graph</title><style>{style}</style></head><body>
<header><h1>{title}</h1><p>{summary}</p><p class="legend">{chips}
<span class="chip"><i class="hv"></i>values</span><span class="chip"><i class="hg"></i>gradient</span></p>
<p class="hint">Data flows downwards. Point at a box for its numbers.</p></header>
<main>{picture}</main>
<table><thead><tr><th>operation</th><th>in</th><th>shape</th><th>dtype</th><th>saved, bytes</th>
<th>forward, \N{MICRO SIGN}s</th><th>backward, \N{MICRO SIGN}s</th><th>values</th><th>gradient</th></tr></thead><tbody>
{rows}
</tbody></table>
<div id="card" hidden></div>
<script>const facts = {facts};
{script}</script></body></html>
"""

STYLE = """
:root { --ink: #1c2024; --quiet: #60666c; --paper: #f7f7f5; --card: #ffffff; --line: #c9ccd0; --frame: #ececea;
  --edge: #7b8289; --value: #0072B2; --gradient: #D55E00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e6; --quiet: #a3a9af; --paper: #17191c; --card: #23272b;
  --line: #454b52; --frame: #1e2225; --edge: #8b9299; --value: #56B4E9; --gradient: #E69F00; } }
body { margin: 0; padding: 28px; background: var(--paper); color: var(--ink);
  font: 14px/1.45 system-ui, "Helvetica Neue", Arial, sans-serif; }
header, table { max-width: 1100px; margin: 0 auto 18px; } h1 { margin: 0 0 4px; font-size: 24px; } p { margin: 0 0 6px; }
.hint, .quiet { color: var(--quiet); fill: var(--quiet); } .chip { display: inline-block; margin-right: 16px; }
.chip i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; border-radius: 3px; vertical-align: -1px;
  box-shadow: 0 0 0 1px var(--line); } .hv { background: var(--value); } .hg { background: var(--gradient); }
main { overflow-x: auto; text-align: center; } svg text { font-family: inherit; fill: var(--ink); }
.card { fill: var(--card); stroke: var(--line); } .frame { fill: var(--frame); stroke: var(--line); stroke-dasharray: 4 4; }
svg .scope { font-size: 12px; font-weight: 600; fill: var(--quiet); } .bar { stroke: var(--line); stroke-width: .5; }
svg .name { font-size: 15px; font-weight: 600; } svg .shape { font-size: 13px; text-anchor: end; }
svg .quiet { font-size: 12px; font-weight: 400; fill: var(--quiet); } svg .range { font-size: 11.5px; fill: var(--quiet); }
.value { fill: var(--value); } .gradient { fill: var(--gradient); } .axis { stroke: var(--line); }
.edge { fill: none; stroke: var(--edge); stroke-width: 1.6; } marker path { fill: var(--edge); }
.box { cursor: default; outline: none; } .box:hover .card, .box:focus .card, .box.on .card { stroke: var(--ink); stroke-width: 2; }
.edge.on { stroke: var(--ink); stroke-width: 2.6; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } th, td { padding: 4px 12px; text-align: right;
  border-bottom: 1px solid var(--line); } th { color: var(--quiet); font-weight: 600; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; } tr.on td { background: var(--frame); }
#card { position: fixed; z-index: 2; max-width: 460px; padding: 10px 14px; background: var(--card); color: var(--ink);
  border: 1px solid var(--line); border-radius: 8px; box-shadow: 0 6px 24px rgb(0 0 0 / .18); pointer-events: none; }
#card b { font-size: 15px; } #card dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 14px; margin: 6px 0 0; }
#card dt { color: var(--quiet); } #card dd { margin: 0; overflow-wrap: anywhere; }
"""

SCRIPT = """
const card = document.getElementById("card");
function show(i, x, y) {
  card.replaceChildren();
  const title = document.createElement("b"), list = document.createElement("dl");
  title.textContent = facts[i][0][1];
  for (const [name, value] of facts[i].slice(1)) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name; dd.textContent = value; list.append(dt, dd);
  }
  card.append(title, list); card.hidden = false;
  card.style.left = Math.max(8, Math.min(x + 16, innerWidth - card.offsetWidth - 12)) + "px";
  card.style.top = Math.max(8, Math.min(y + 16, innerHeight - card.offsetHeight - 12)) + "px";
  for (const e of document.querySelectorAll("[data-i]")) e.classList.toggle("on", e.dataset.i == i);
  for (const e of document.querySelectorAll(".edge")) e.classList.toggle("on", e.dataset.from == i || e.dataset.to == i);
}
function hide() { card.hidden = true; for (const e of document.querySelectorAll(".on")) e.classList.remove("on"); }
for (const e of document.querySelectorAll("[data-i]")) {
  e.addEventListener("mousemove", m => show(e.dataset.i, m.clientX, m.clientY));
  e.addEventListener("mouseleave", hide);
  e.addEventListener("focus", () => { const r = e.getBoundingClientRect(); show(e.dataset.i, r.right, r.top); });
  e.addEventListener("blur", hide);
}
"""
