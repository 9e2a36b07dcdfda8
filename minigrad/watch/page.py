"""A traced graph in Graphviz's language, and as one HTML page that loads nothing else.

page.html is what the reader sees; here is what it is told.
"""

import base64
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

# The Okabe-Ito palette and four more, which colour-blind readers can tell apart; the text beside it says the same.
OPERATIONS = {
    "product": ("#0072b2", "matmul linear einsum convolve"),
    "attention": ("#cc79a7", "attend causal_attention"),
    "normalisation": ("#e69f00", "layer_norm normalise_batch scale_rows softmax log_softmax"),
    "loss": ("#d55e00", "nll log_losses"),
    "arithmetic": ("#56b4e9", "add subtract subtract_from multiply divide divide_by divide_into negative power "
    "raise_to scale shift shift_down"),
    "elementwise function": ("#009e73", "absolute clip cos drop erf exp exponential_linear gelu_erf gelu_tanh log "
    "log_sigmoid maximum minimum relu rotary sigmoid sign sin smooth_relu sqrt tanh times_sigmoid where"),
    "reduction": ("#f0e442", "sum mean max min cumsum logsumexp largest_seen"),
    "shape or index": ("#a8adb3", "reshape transpose broadcast_to concatenate getitem put scatter_add take_rows astype"),
    "other operation": ("#8c6239", ""),
}  # fmt: skip
COLORS = {kind: color for kind, (color, _) in OPERATIONS.items()} | {
    "input": "#7a5cd6",
    "parameter": "#8e1f4f",
}
KINDS = {name: kind for kind, (_, names) in OPERATIONS.items() for name in names.split()}
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
    owners, lines = _owners(vertices), [HEAD]
    for i, v in enumerate(vertices):
        if i not in owners:
            own = [f"{vertices[s].name} {vertices[s].shape}" for s in v.inputs if s in owners]
            label = "\n".join([f"{v.scope}.{v.name}".lstrip(".") if v.leaf else v.name, str(v.shape), *own])
            frames = [f"subgraph cluster_{c.number} {{ label={_quoted(c.name)};" for c in v.calls]
            lines += [
                *frames,
                f'  {i} [label={_quoted(label)}, color="{COLORS[_kind(v)]}"];',
                "}" * len(frames),
            ]
            lines += [f"  {s} -> {i};" for s in v.inputs if s not in owners]
    lines[1:1] = [HASTE] if len(vertices) - len(owners) > MANY else []
    return "\n".join([f"digraph {_quoted(name)} {{", *lines, "}"])


def _owners(vertices: Sequence[Any]) -> dict[int, int]:
    """Return {parameter: the one operation that reads it}, by their places."""
    reads = [(s, i) for i, v in enumerate(vertices) for s in v.inputs if vertices[s].leaf == "parameter"]
    times = Counter(s for s, _ in reads)
    return {s: i for s, i in reads if times[s] == 1}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


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
    """Return the page: page.html with what it shows, a literal of JavaScript, which knows NaN."""
    owners = _owners(vertices)
    said = [asdict(v) | {"kind": _kind(v), "owner": owners.get(i)} for i, v in enumerate(vertices)]
    return filled("page.html", {"name": name, "colors": COLORS, "vertices": said})


def filled(template: str, facts: dict[str, Any]) -> str:
    """Return a page of this folder with the facts in their place, where no name can end the script."""
    text = (Path(__file__).parent / template).read_text(encoding="utf-8")
    return text.replace("<!--facts-->", json.dumps(facts, default=_bytes).replace("<", "\\u003c"))


def _bytes(shares: Any) -> list[Any]:
    """Return an array of 0..1 as its shape and the bytes of its square root, as small shares are seen, too."""
    return [*shares.shape, base64.b64encode(np.uint8(np.round(255 * np.sqrt(shares))).tobytes()).decode()]
