"""A traced graph in Graphviz's language, and as one HTML page that loads nothing else.

page.html is what the reader sees; here is what it is told.
"""

import base64
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

import numpy as np

# The Okabe-Ito palette and four more, which colour-blind readers can tell apart; the text beside it says the same.
COLORS = {
    "product": "#0072b2",
    "attention": "#cc79a7",
    "normalisation": "#e69f00",
    "loss": "#d55e00",
    "arithmetic": "#56b4e9",
    "elementwise function": "#009e73",
    "reduction": "#f0e442",
    "shape or index": "#a8adb3",
    "other operation": "#8c6239",
    "input": "#7a5cd6",
    "parameter": "#8e1f4f",
}
OPERATIONS = {
    "product": "matmul linear einsum convolve",
    "attention": "attend causal_attention",
    "normalisation": "layer_norm normalise_batch softmax log_softmax",
    "loss": "nll log_losses",
    "arithmetic": "add subtract multiply divide shift shift_down scale divide_by divide_into negative power "
    "raise_to subtract_from",
    "elementwise function": "absolute clip cos drop erf exp exponential_linear gelu_erf gelu_tanh log log_sigmoid "
    "maximum minimum relu sigmoid sign sin smooth_relu sqrt tanh where",
    "reduction": "sum mean max min cumsum logsumexp largest_seen",
    "shape or index": "reshape transpose broadcast_to concatenate getitem put scatter_add take_rows astype",
}
KINDS = {name: kind for kind, names in OPERATIONS.items() for name in names.split()}
HEAD = """\
  graph [fontname=Arial, fontsize=10, labeljust=l, style="rounded,filled", color="#c9ccd0", fillcolor="#f0f0ee"];
  node [fontname=Arial, fontsize=10, shape=box, style="rounded,filled", fillcolor=white, penwidth=2];"""
# Boxes, above which Graphviz is not asked for the best places: 300 that all cross took half a minute.
MANY = 200
HASTE = "  graph [nslimit=2, nslimit1=2, mclimit=0.1];"


def dot(name: str, vertices: Sequence[Any]) -> str:
    """Return the vertices of a Graph in Graphviz's language.

    A box is an operation, an input, or a parameter that several operations read; one that a single
    operation reads is named in the box of its reader. A frame is a call of a module.
    """
    owners, boxes = _owners(vertices), {}
    for i, v in enumerate(vertices):
        if i not in owners:
            own = [f"{_beside(vertices[s], v)} {vertices[s].shape}" for s in v.inputs if s in owners]
            text = "\n".join([f"{v.name} {v.scope if v.leaf else _last(v.scope)}", str(v.shape), *own])
            boxes[i] = f'  {i} [label={_quoted(text)}, color="{COLORS[_kind(v)]}"];'
    framed = _framed([(vertices[i].calls, box) for i, box in boxes.items()])
    edges = [f"  {s} -> {i};" for i in boxes for s in vertices[i].inputs if s in boxes]
    head = [HEAD, HASTE] if len(boxes) > MANY else [HEAD]
    return "\n".join([f"digraph {_quoted(name)} {{", *head, *framed, *edges, "}"])


def _owners(vertices: Sequence[Any]) -> dict[int, int]:
    """Return {parameter: the one operation that reads it}, by their places."""
    reads = [(s, i) for i, v in enumerate(vertices) for s in v.inputs if vertices[s].leaf == "parameter"]
    times = Counter(s for s, _ in reads)
    return {s: i for s, i in reads if times[s] == 1}


def _framed(boxes: list[tuple[Any, str]], depth: int = 0) -> Iterator[str]:
    """Yield the boxes, each given with its calls, in order; a frame around those of one call of a module."""
    for call, run in groupby(boxes, key=lambda box: box[0][depth] if len(box[0]) > depth else None):
        called = list(run)
        if call and len(called) > 1:
            yield f"subgraph cluster_{call.number} {{ label={_quoted(_last(call.name))};"
            yield from _framed(called, depth + 1)
            yield "}"
        else:
            yield from (box for _, box in called)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _last(scope: str) -> str:
    """Return the last name of a dotted name; a number belongs to the list before it, as in "h.0"."""
    return re.split(r"\.(?!\d)", scope)[-1]


def _beside(parameter: Any, reader: Any) -> str:
    """Return the name of a parameter as its reader calls it."""
    return f"{parameter.scope}.{parameter.name}".removeprefix(f"{reader.scope}.").lstrip(".")


def _kind(v: Any) -> str:
    return v.leaf or KINDS.get(v.name, "other operation")


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
    """Return the page: page.html with what it shows."""
    owners, shown = _owners(vertices), set(map(_kind, vertices))
    facts: dict[str, Any] = {
        "name": name,
        "summary": _summary(vertices),
        "legend": [(kind, color) for kind, color in COLORS.items() if kind in shown],
        "vertices": [{**_facts(v), "owner": owners.get(i)} for i, v in enumerate(vertices)],
    }
    for i, owner in owners.items():
        facts["vertices"][i]["name"] = _beside(vertices[i], vertices[owner])
    template = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    return template.replace("<!--facts-->", json.dumps(facts).replace("<", "\\u003c"))


def _facts(v: Any) -> dict[str, Any]:
    """Return what the page says of a vertex."""
    maps = None if v.maps is None else np.uint8(np.round(255 * np.sqrt(v.maps)))  # small shares are seen, too
    return {
        "name": f"{v.scope}.{v.name}".lstrip(".") if v.leaf else v.name,
        "kind": _kind(v),
        "calls": [(call.number, _last(call.name), call.kind) for call in v.calls],
        "inputs": v.inputs,
        "shape": str(v.shape),
        "dtype": v.dtype,
        "costs": [] if v.leaf else [v.saved, v.forward, v.backward],
        "size": math.prod(v.shape),
        "values": _looks(v.values),
        "gradient": _looks(v.gradient),
        "line": v.line,
        "maps": None if maps is None else [*maps.shape, base64.b64encode(maps.tobytes()).decode()],
    }


def _looks(values: Any) -> dict[str, Any] | None:
    """Return a histogram, the ends of the range as they stand beside it, and all there is to say in words."""
    if values is None:
        return None
    text = f"{values.low:.4g} to {values.high:.4g}, mean {values.mean:.3g}, std {values.std:.3g}"
    text += f", {values.not_finite} not finite" if values.not_finite else ""
    return {"bars": values.histogram, "ends": [_compact(values.low), _compact(values.high)], "text": text}


def _compact(x: float) -> str:
    """Return a number in two digits, or a large one as a whole number."""
    text = f"{x:.0f}" if 100 <= abs(x) < 1e6 else f"{x:.0e}" if 0 < abs(x) < 1e-3 else f"{x:.2g}"
    text = "-" if x != x else text
    return text.replace("-", "\N{MINUS SIGN}", 1) if x < 0 else text


def _summary(vertices: Sequence[Any]) -> str:
    operations = [v for v in vertices if not v.leaf]
    parameters = sum(math.prod(v.shape) for v in vertices if v.leaf == "parameter")
    times = [1e3 * sum(getattr(v, way) for v in operations) for way in ("forward", "backward")]
    return (
        f"{len(operations)} operations, {parameters:,} parameters, "
        f"{sum(v.saved for v in operations) / 1024:,.1f} KiB saved for the backward pass; "
        f"this run: forward {times[0]:.2f} ms, backward {times[1]:.2f} ms"
    )
