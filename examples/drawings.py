"""Four drawings: the tape and its walk, a GPT with its shapes, layer norm's three terms, attention in blocks.

python examples/drawings.py            draw them into examples/gallery/
python examples/drawings.py FOLDER     or elsewhere

Their numbers and shapes come out of the product each time: what they show is what it computes.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pictures import (
    BLUE,
    GREEN,
    GREY,
    INKS,
    ORANGE,
    STYLE,
    VERMILION,
    WIDTH,
    Board,
    Figure,
    Place,
    rc_context,
    shrink,
)

import minigrad as mg
import nn
from gpt import GPT, GPTConfig
from minigrad import switches, tape

# ---- the tape ----


class Walk:
    """A monitor of the engine that notes each step of a walk back: the gradient, and those handed on."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, list[float]]] = []

    def forward(self, fn: Any, arrays: list[Any], constants: dict[str, Any]) -> Any:
        """Run an operation."""
        return fn(*arrays, **constants)

    def backward(self, node: tape.Node, dout: Any) -> Any:
        """Run a node's vjp and note it."""
        grads = node.vjp(dout)
        self.steps.append((float(dout), [float(g) for g in grads]))
        return grads


def walk() -> tuple[list[float], list[tuple[float, list[float]]]]:
    """Return w, x, h = w x, q = h^2 and y = q + h, and the steps of the walk back from y."""
    w, x = (mg.tensor(value, dtype="float64", requires_grad=True) for value in (3.0, 2.0))
    monitor = Walk()
    with switches.watched_by(monitor):
        h = w * x
        q = h**2
        y = q + h
        y.backward()
    return [t.item() for t in (w, x, h, q, y)], monitor.steps


W, X, H, Q, Y = (0.62, 1.15), (0.62, 0.25), (2.1, 0.7), (3.8, 1.45), (4.88, 0.7)  # places of the boxes
LEAF, NODE = (1.0, 0.46), (1.18, 0.5)  # sizes


def tape_drawing() -> Figure:
    """Draw a small graph as it is recorded, and below as it is walked."""
    board, (values, steps) = Board(5.6, "The tape, and the walk back over it"), walk()
    board.text((0.12, 5.07), "Forward: each operation adds a node that knows its inputs", ha="left")
    _recorded(board, [(x, y + 3.05) for x, y in (W, X, H, Q, Y)], values)
    board.axes.axhline(2.92, color="0.8", linewidth=1)
    board.text((0.12, 2.67), "Backward: the newest node first; gradients that meet add up", ha="left")
    _walked(board, [(x, y + 0.6) for x, y in (W, X, H, Q, Y)], steps)
    why = "dh tells how fast y changes with h. The node of h comes last:\nonly then have both of its gradients arrived."
    board.text((0.12, 0.28), why, ha="left", size=9)
    return board.figure


def _recorded(board: Board, places: list[Place], values: list[float]) -> None:
    """Draw the nodes with their values, and where each value goes."""
    (w, x, h, q, y), leaves, nodes = places, ("w", "x"), ("h = w x\n", "q = h²\n", "y = q + h\n")
    for start, end in (
        (_right(w, LEAF), _left(h, NODE)),
        (_right(x, LEAF), _left(h, NODE)),
        (_top(h), _left(q, NODE)),
        (_right(q, NODE), _top(y)),
        (_right(h, NODE), _left(y, NODE)),
    ):
        board.arrow(start, end, colour=BLUE)
    for place, name, value in zip((w, x), leaves, values):
        board.box(place, f"{name} = {value:g}", GREY, LEAF)
    for number, (place, name, value) in enumerate(zip((h, q, y), nodes, values[2:]), start=1):
        board.box(place, f"{name}= {value:g}", BLUE, NODE)
        board.text((place[0], place[1] - 0.38), f"node {number}", size=9, color=INKS[BLUE])


def _walked(board: Board, places: list[Place], steps: list[tuple[float, list[float]]]) -> None:
    """Draw the same nodes with their gradients, and where each gradient goes."""
    w, x, h, q, y = places
    (dy, (y_to_q, y_to_h)), (dq, (q_to_h,)), (dh, (dw, dx)) = steps
    meet = (h[0] + 0.9, h[1])
    for points in (
        (_left(y, NODE), (meet[0] + 0.13, meet[1])),
        (_top(y), _right(q, NODE)),
        (_left(q, NODE), (meet[0], q[1]), (meet[0], meet[1] + 0.13)),
        (meet, _right(h, NODE)),
        (_left(h, NODE), _right(w, LEAF)),
        (_left(h, NODE), _right(x, LEAF)),
    ):
        board.arrow(*points, colour=VERMILION)
    board.plus(meet, VERMILION)
    for place, words in ((w, f"dw = dh x\n= {dw:g}"), (x, f"dx = dh w\n= {dx:g}")):
        board.box(place, words, GREY, LEAF)
    named = ((y, f"dy = {dy:g}"), (q, f"dq = {dq:g}"), (h, f"dh = {y_to_h:g} + {q_to_h:g}\n= {dh:g}"))
    for order, (place, words) in zip(("first", "second", "third"), named):
        board.box(place, words, VERMILION, NODE)
        board.text((place[0], place[1] - 0.38), order, size=9, color=INKS[VERMILION])
    labels = (
        ((3.75, 1.15), f"{y_to_h:g}"),
        ((4.75, 1.85), f"{y_to_q:g}"),
        ((2.48, 1.8), f"dq 2h = {q_to_h:g}"),
    )
    for at, words in labels:
        board.text(at, words, size=9, color=INKS[VERMILION])


def _left(at: Place, size: Place) -> Place:
    return at[0] - size[0] / 2, at[1]


def _right(at: Place, size: Place) -> Place:
    return at[0] + size[0] / 2, at[1]


def _top(at: Place) -> Place:
    return at[0], at[1] + NODE[1] / 2


# ---- a GPT ----


def shapes() -> dict[str, str]:
    """Return the shape of what each module of the small preset puts out, in letters."""
    config, B, found = GPTConfig.preset("nano"), 12, {}
    T, C, V = config.block_size, config.n_embd, config.vocab_size
    letters = {B: "B", T: "T", C: "C", 3 * C: "3C", 4 * C: "4C", V: "V"}
    model, ids = GPT(config, rng=mg.Generator(0)), np.zeros((B, T), np.int64)

    def noted_as(name: str) -> Callable[[Any, Any, Any], None]:
        def note(module: Any, inputs: Any, y: Any) -> None:
            y = y[0] if isinstance(y, tuple) else y
            found[name] = "(" + ", ".join(letters[n] for n in y.shape) + ")"

        return note

    for name, module in model.named_modules():
        module.register_forward_hook(noted_as(name))
    model(ids, ids)
    return found


def gpt_drawing() -> Figure:
    """Draw the model on the left, one of its blocks on the right."""
    board, shape = Board(6.7, "A GPT, and one of its blocks"), shapes()
    rows = (
        ("tokens", 5.95, None, "(B, T)"),
        ("wte[ids] + wpe", 5.2, BLUE, shape["drop"]),
        ("n_layer blocks", 4.3, GREEN, shape["h.3"]),
        ("ln_f", 3.5, ORANGE, shape["ln_f"]),
        ("logits = x wteᵀ", 2.7, BLUE, shape[""]),
        ("cross_entropy", 1.9, VERMILION, "( )"),
        ("loss", 1.15, None, ""),
    )
    for shift in (0.12, 0.06):
        board.box((1.0 + shift, 4.3 + shift), "", GREEN, (1.5, 0.36))
    _flow(board, 1.0, 1.5, rows)
    board.text((0.42, 1.1), "targets\n(B, T)", size=9, color=GREY)
    board.arrow((0.42, 1.32), (0.42, 1.72))

    board.frame((2.3, 0.7), (3.18, 5.35))
    for near, far in (((1.87, 4.58), (2.3, 6.0)), ((1.75, 4.14), (2.3, 0.75))):
        board.axes.plot(*zip(near, far), color=GREEN, linewidth=1, linestyle=":")
    _block(board, shape)
    board.text(
        (2.8, 0.38), "B batch    T time    C channels    V vocabulary    D = C / H", size=9, color=GREY
    )
    board.text((2.8, 0.17), "(dropout is left out)", size=9, color=GREY)
    return board.figure


def _block(board: Board, shape: dict[str, str]) -> None:
    """Draw the residual stream as a line, and what attention and the MLP add to it."""
    stream, x, width = 2.65, 4.25, 1.85
    attention = (
        ("ln_1", 5.35, ORANGE, shape["h.0.ln_1"]),
        ("attn.c_attn", 4.73, BLUE, shape["h.0.attn.c_attn"]),
        ("H heads, causal:\nsoftmax(q kᵀ / √D) v", 4.01, GREEN, "(B, T, C)"),
        ("attn.c_proj", 3.29, BLUE, ""),
    )
    mlp = (
        ("ln_2", 2.77, ORANGE, shape["h.0.ln_2"]),
        ("mlp.c_fc", 2.17, BLUE, shape["h.0.mlp.c_fc"]),
        ("mlp.gelu", 1.57, GREEN, shape["h.0.mlp.gelu"]),
        ("mlp.c_proj", 0.97, BLUE, ""),
    )
    board.text((stream + 0.08, 5.85), f"{shape['h.0']}, the residual stream", size=9, ha="left", color=GREY)
    board.arrow((stream, 6.2), (stream, 0.5))
    for rows in (attention, mlp):
        board.arrow((stream, rows[0][1]), (x - width / 2, rows[0][1]))
        _flow(board, x, width, rows)
        board.arrow((x - width / 2, rows[-1][1]), (stream + 0.13, rows[-1][1]))
        board.plus((stream, rows[-1][1]))


def _flow(board: Board, x: float, width: float, rows: Sequence[tuple[str, float, str | None, str]]) -> None:
    """Draw boxes (or words alone) from top to bottom, and beside each arrow the shape that passes."""
    half = [0.18 + 0.07 * words.count("\n") if colour else 0.1 for words, _, colour, _ in rows]
    for k, (words, y, colour, made) in enumerate(rows):
        if colour:
            board.box((x, y), words, colour, (width, 2 * half[k]))
        else:
            board.text((x, y), words)
        if k + 1 < len(rows):
            end = rows[k + 1][1] + half[k + 1] + 0.12 * rows[k + 1][0].endswith("blocks")
            board.arrow((x, y - half[k]), (x, end))
            board.text((x + 0.08, (y - half[k] + end) / 2 + 0.02), made, size=9, ha="left", color=GREY)


# ---- layer norm ----


def norm_terms() -> dict[str, np.ndarray]:
    """Return xhat, and the terms whose sum, times rstd, is the gradient of layer norm's input."""
    x = mg.tensor([0.9, -1.2, 0.4, 1.6, -0.6, -1.1], dtype="float64", requires_grad=True)
    g = np.array([1.7, 0.4, -0.4, 1.9, 1.1, -0.2])
    y = nn.LayerNorm(6).double()(x)  # its weight is 1 and its bias 0
    y.backward(g)
    xhat, rstd = y.array, 1 / np.sqrt(x.array.var() + 1e-5)
    terms = {"xhat": xhat, "g": g, "mean": np.full(6, -g.mean()), "along": -xhat * (g * xhat).mean()}
    return {**terms, "sum": x.grad.array / rstd}


def layer_norm_drawing() -> Figure:
    """Draw the terms as bars, one below the other, like a sum on paper."""
    board, terms = Board(5.4, "Layer norm: the three terms of its gradient"), norm_terms()
    rows = (
        ("xhat", "x̂", "x, normalised", "0.55", 4.3),
        ("g", "g", "gradient of x̂", BLUE, 3.35),
        ("mean", "− mean(g)", "takes out its mean", ORANGE, 2.6),
        ("along", "− x̂ mean(g x̂)", "takes out what follows x̂", GREEN, 1.85),
        ("sum", "= dx / rstd", "gradient of x, scaled", VERMILION, 1.0),
    )
    for x, words in ((2.9, "in each of six channels"), (4.4, "sum"), (5.12, "dot x̂")):
        board.text((x, 4.85), words, size=9, color=GREY)
    for name, words, meaning, colour, y in rows:
        axes = board.panel((1.8, y - 0.37), (2.2, 0.74), ylim=(-1.95, 1.95), xticks=[], yticks=[])
        axes.bar(range(6), terms[name], color=colour, width=0.7)
        axes.axhline(0, color="0.3", linewidth=0.8)
        axes.spines[:].set_visible(False)
        board.text((1.7, y + 0.1), words, ha="right", size=11)
        board.text((1.7, y - 0.13), meaning, ha="right", size=9, color=GREY)
        for x, value in ((4.4, terms[name].sum()), (5.12, terms[name] @ terms["xhat"])):
            board.text((x, y), f"{round(value, 1) + 0.0:.1f}".replace("-", "−"), size=11)
    for y, colour in ((3.84, "0.85"), (1.43, "0.4")):
        board.axes.plot((0.15, WIDTH - 0.15), (y, y), color=colour, linewidth=1)
    why = (
        "x̂ does not change when x is shifted or stretched. So dx can hold no shift\n"
        "(its sum is 0) and nothing of x̂ (their dot product is 0)."
    )
    board.text((0.15, 0.33), why, ha="left", size=9)
    return board.figure


# ---- attention ----

TOKENS, BLOCK = 12, 4  # the product's blocks are larger


def exponentials() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return q, k and E = e^S of one causal head, zero above the diagonal."""
    q, k = mg.Generator(3).normal(0.0, 1.0, (2, TOKENS, 4), dtype=np.float64)
    return q, k, np.tril(np.exp(q @ k.T / np.sqrt(4)))


def attention_drawing() -> Figure:
    """Draw the causal matrix of exponentials, cut into blocks of queries."""
    board = Board(5.9, "Causal attention, a block of queries at a time")
    (_, _, e), corner, side = exponentials(), (0.5, 1.6), 3.6
    axes = board.panel(corner, (side, side), xlim=(0, TOKENS), ylim=(TOKENS, 0))
    axes.axis("off")
    axes.imshow(np.where(e > 0, np.sqrt(e), np.nan), cmap="Blues", extent=(0, TOKENS, TOKENS, 0), vmin=0)
    board.text((corner[0] + side / 2, corner[1] + side + 0.14), "keys →", size=9, color=GREY)
    board.text((corner[0] - 0.15, corner[1] + side / 2), "← queries", size=9, color=GREY, rotation=90)
    axes.text(8, 2, "never computed", size=9, color=GREY, ha="center", va="center")
    blocks = [(start, start + BLOCK) for start in range(0, TOKENS, BLOCK)]
    for name, colour, (start, stop) in zip(("first", "second", "last"), (VERMILION, BLUE, GREEN), blocks):
        for i, j in zip(*np.triu_indices(BLOCK, 1)):
            axes.text(start + j + 0.5, start + i + 0.5, "0", size=9, color=GREY, ha="center", va="center")
        edge = (start + 0.05, stop - 0.05)
        axes.plot(
            (0, stop, stop, 0, 0), (edge[0], *edge, edge[1], edge[0]), color=colour, lw=2, clip_on=False
        )
        y = corner[1] + side * (1 - (start + stop) / (2 * TOKENS))
        words = f"{name} block\nqueries {start} to {stop - 1}\nkeys 0 to {stop - 1}"
        board.text((corner[0] + side + 0.12, y), words, size=9, color=INKS[colour], ha="left")
    computed = sum(BLOCK * stop for _, stop in blocks)
    lines = (
        "Colour: E = exp(q kᵀ / √D), darker if larger. 0: removed by the causal mask.",
        "y = r (E v), r = 1 / (row sum of E): the softmax r E is never formed.",
        f"Of {TOKENS**2} scores, {computed} are computed; in a long text, little more than half.",
        "Backward goes from the last block to the first: the last one meets every key,",
        "so its dk and dv begin the sums to which the other blocks add theirs.",
    )
    for k, line in enumerate(lines):
        board.text((0.2, 1.26 - 0.25 * k), line, size=9, ha="left")
    return board.figure


DRAWINGS = {
    "tape": tape_drawing,
    "gpt": gpt_drawing,
    "layer_norm": layer_norm_drawing,
    "attention_blocks": attention_drawing,
}


def main(arguments: list[str]) -> int:
    """Draw all into a folder, as small as they stay sharp."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    gallery = Path(__file__).parent / "gallery"
    parser.add_argument("folder", type=Path, nargs="?", default=gallery, help="examples/gallery by default")
    folder = parser.parse_args(arguments).folder
    for name, draw in DRAWINGS.items():
        with tempfile.TemporaryDirectory() as draft, rc_context(STYLE):
            draw().savefig(Path(draft) / "draft.png", dpi=200)
            shrink(Path(draft) / "draft.png", folder / f"{name}.png", width=1120)
        print(f"picture: {(folder / name).as_posix()}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
