"""The traced graph: its table, its text in Graphviz's language, its page as a browser shows it."""

import base64
import configparser
import functools
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

import minigrad as mg
import nn
from gpt.config import GPTConfig
from gpt.model import GPT
from minigrad.tensor import wrap
from minigrad.watch import looks, page
from minigrad.watch.looks import Values
from minigrad.watch.trace import Graph, Vertex, trace
from nn import functional as F
from tests.test_structure import operations

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
X = np.random.default_rng(3).standard_normal((2, 16, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def block():
    return trace(nn.Block(32, 4))(X)


IDS = np.random.default_rng(4).integers(0, 11, (2, 9))


@pytest.fixture(scope="module")
def gpt():
    return GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=3, n_head=2, n_embd=4))


def test_the_table_has_one_row_per_operation_of_a_gpt_block(block):
    names = [v.name for v in block.operations]
    attention, mlp = (
        ["layer_norm", "linear", "causal_attention", "linear", "add"],
        ["layer_norm", "linear", "gelu_tanh", "linear", "add"],
    )
    assert names == attention + mlp
    assert [v.scope for v in block.operations][:4] == ["ln_1", "attn.c_attn", "attn", "attn.c_proj"]
    assert len(str(block).splitlines()) == 2 + len(names) + 1
    assert "(2, 16, 96)" in str(block) and "float32" in str(block)


TABLE = """\
operation     in         shape    dtype    saved  forward  backward   values  gradient
------------  --------  ------  -------  -------  -------  --------  -------  --------
linear        h.0.attn  (2, 4)  float32  1,234 B     2 us  2,500 us  -1.5..2    0..1 *
sum                         ()  float32    766 B     2 us      1 us  -1.5..2         -
2 operations                             2,000 B     4 us  2,501 us"""


def test_the_table_has_the_times_the_bytes_and_their_sums():
    seen, bars = Values(-1.5, 2.0, 0.25, 1.0, [1] * 25, 0), [1] * 25
    linear = Vertex("linear", "h.0.attn", (2, 4), "float32", seen, [0], saved=1234)
    linear.forward, linear.backward, linear.gradient = 1.5e-6, 2.5e-3, Values(0.0, 1.0, 0.5, 0.5, bars, 2)
    total = Vertex("sum", "", (), "float32", seen, [1], saved=766, forward=2e-6, backward=1e-6)
    leaf = Vertex("x", "", (2, 3), "float32", seen, leaf="input")
    assert str(Graph("net", [leaf, linear, total], None)) == TABLE
    assert (leaf.inputs, leaf.saved, leaf.forward, leaf.backward, leaf.calls) == ([], 0, 0.0, 0.0, ())
    assert (leaf.gradient, leaf.line, leaf.maps, total.leaf) == (None, "", None, "")


def test_a_vertex_knows_values_gradient_times_bytes_and_line(block):
    add = block.operations[-1]
    assert add.values.high == pytest.approx(float(block.output.array.max()))
    assert sum(add.values.histogram) == block.output.numel()
    assert all(v.gradient is not None for v in block.vertices)
    assert all(v.forward > 0 and v.backward > 0 for v in block.operations)
    assert "test_trace.py" in add.line and "trace(nn.Block" in add.line


def test_saved_bytes_are_those_the_vjp_keeps_and_each_is_counted_once():
    x = wrap(np.ones((10, 10)), requires_grad=True)
    graph = trace(lambda x: x.exp().exp())(x)
    assert [v.saved for v in graph.operations] == [800, 800]
    graph = trace(lambda x: (x + 1.0) * x)(x)
    assert [v.saved for v in graph.operations] == [0, 800]  # x is kept anyway
    graph = trace(lambda x: (y := x.exp()) * y)(x)
    assert [v.saved for v in graph.operations] == [800, 0]  # so is y


def test_tracing_leaves_the_gradients_of_the_parameters_alone():
    model = nn.Linear(32, 3)
    trace(model)(X)
    assert all(p.grad is None for p in model.parameters())


def test_the_walk_starts_with_one_from_the_first_single_number_or_else_from_normal_numbers():
    x = np.arange(3.0)
    outputs = trace(lambda x: {"y": x * 2.0, "all": [x.exp().sum((0,), True), x.sum()]})(x)
    sums = [v.gradient for v in outputs.vertices if v.name == "sum"]
    assert sums[0].mean == 1 and sums[0].std == 0
    assert [v.gradient.mean for v in outputs.vertices[:1]] == pytest.approx([np.exp(x).mean()])
    first, again = (trace(lambda x: (x * 2.0, x * 3.0))(np.zeros(10_000)) for _ in range(2))
    dout = first.operations[0].gradient
    assert abs(dout.mean) < 0.05 and abs(dout.std - 1) < 0.05 and len(first.operations) == 2
    assert again.operations[0].gradient == dout
    assert trace(lambda x: x * 2.0)(np.zeros(2)).operations[0].gradient.std > 0


def test_what_is_named_is_what_the_function_names():
    def fn(x, scale=2.0, *, shift):
        return (x * scale + shift).sum()

    assert [v.name for v in trace(fn)(np.ones(3), shift=[1.0, 2.0, 3.0]).vertices if v.leaf] == ["x", "shift"]
    assert trace(functools.partial(functools.partial(fn, scale=3.0), shift=1.0))(np.ones(3)).name == "fn"
    net = nn.Sequential(nn.Linear(3, 2))
    names = [f"{v.scope}.{v.name}" for v in trace(net)(torch.ones(1, 3)).vertices if v.leaf]
    assert sorted(names) == [".input", "0.bias", "0.weight"]


def test_the_edges_follow_the_data():
    graph = trace(lambda a, b: (a * b + a).sum())(np.ones(3), b=np.ones(3))
    names = [v.name for v in graph.vertices]
    assert names == ["a", "b", "multiply", "add", "sum"]
    assert [v.inputs for v in graph.vertices] == [[], [], [0, 1], [2, 0], [3]]


def test_a_function_without_a_graph_is_refused():
    with pytest.raises(TypeError, match="expected a Tensor that depends on a float input"):
        trace(lambda x: x.detach())(np.ones(3))


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="trace: expected a function; got None"):
        trace(None)
    with pytest.raises(TypeError, match="trace: expected a function; got the class Linear; make an instance"):
        trace(nn.Linear)
    with pytest.raises(TypeError, match="a Module of minigrad; got a module of torch"):
        trace(torch.nn.Linear(2, 3))(np.ones(2, np.float32))


@pytest.mark.parametrize("values", [[-1e308, 0.0, 1e308], [1.0, 1.0 + 2**-52], [0.0, 5e-324], [], [np.nan]])
def test_values_of_any_size_have_a_histogram(values):
    graph = trace(lambda x: x * 1.0)(values)
    found = graph.operations[0].values
    assert sum(found.histogram) == np.isfinite(values).sum()
    assert facts(graph.html())["vertices"][-1]["values"]["histogram"] == found.histogram


def test_equal_values_are_one_bar_in_the_middle_and_none_have_no_range():
    same = Values.of(np.full((2, 3), -0.0))
    assert looks.BINS % 2 and same.histogram == [0] * (looks.BINS // 2) + [6] + [0] * (looks.BINS // 2)
    assert (same.low, same.high, same.mean, same.std) == (0, 0, 0, 0) and str(same) == "0..0"
    none = Values.of(np.array([np.nan, np.inf]))
    assert np.isnan([none.low, none.high, none.mean, none.std]).all() and str(none) == "-..- *"
    assert (none.not_finite, none.histogram) == (2, [0] * looks.BINS)


def test_values_are_the_same_however_many_parts_they_are_looked_at_in(monkeypatch):
    x = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    x[1, 1], x[2, 2] = np.nan, np.inf
    whole, finite = Values.of(x), x[np.isfinite(x)].astype(float)
    assert (whole.low, whole.high, whole.not_finite) == (finite.min(), finite.max(), 2)
    assert (whole.mean, whole.std) == pytest.approx((finite.mean(), finite.std()))
    assert whole.histogram == np.histogram(finite, looks.BINS)[0].tolist()
    monkeypatch.setattr(looks, "PART", 4)
    parts = Values.of(x.T)
    assert parts.histogram == whole.histogram and parts.std == pytest.approx(whole.std)


# --- a training step: its loss, its gradients, its names ---


def test_a_step_is_the_same_from_the_model_and_from_its_loss_and_its_gradients_are_real(gpt):
    steps = [
        trace(gpt)(IDS[:, :-1], IDS[:, 1:]),
        trace(gpt.loss)(IDS[:, :-1], targets=mg.tensor(IDS[:, 1:])),
        trace(functools.partial(gpt.loss, targets=IDS[:, 1:]))(IDS[:, :-1]),
    ]
    assert [step.name for step in steps] == ["GPT", "GPT.loss", "GPT.loss"]
    seen = [
        [
            (v.name, v.scope, v.shape, v.inputs, v.calls, v.values, v.gradient)
            for v in step.vertices
            if v.scope
        ]
        for step in steps[:2]
    ]
    assert seen[0] == seen[1]
    gpt.loss(IDS[:, :-1], IDS[:, 1:]).backward()
    grads = {name: p.grad.numpy().copy() for name, p in gpt.named_parameters()}
    gpt.zero_grad()
    for step in steps:
        assert step.vertices[-1].name == "nll" and step.vertices[-1].gradient.mean == 1
        found = {f"{v.scope}.{v.name}": v.gradient for v in step.vertices if v.leaf == "parameter"}
        assert found == {name: Values.of(grad) for name, grad in grads.items()}
        assert [v.scope for v in step.operations if v.name == "gelu_tanh"] == [
            f"h.{i}.mlp.gelu" for i in range(3)
        ]


def test_inputs_without_a_gradient_are_joined_to_what_reads_them(gpt):
    graph = trace(gpt)(IDS[:, :-1], targets=IDS[:, 1:])
    assert [(v.name, v.gradient) for v in graph.vertices[:2]] == [("idx", None), ("targets", None)]
    assert [v.name for v in graph.operations if 0 in v.inputs] == ["take_rows"]
    assert [v.name for v in graph.operations if 1 in v.inputs] == ["nll"]


def test_modules_and_parameters_that_a_function_calls_are_named():
    first, scale = nn.Sequential(nn.Linear(32, 4), nn.Tanh()), mg.tensor([3.0], requires_grad=True)

    class Trainer:
        def __init__(self):
            self.net = nn.Linear(4, 1)

        def step(self, x, *others):
            return (self.net(first(x)) * scale * others[1]).sum()

    graph = trace(Trainer().step)(X, X, mg.ones(1))
    leaves = [f"{v.scope}.{v.name}" for v in graph.vertices if v.leaf]
    named = ["Linear.bias", "Linear.weight", "Sequential.0.bias", "Sequential.0.weight"]
    assert sorted(leaves) == [".a leaf", ".input 2", ".x", *named]
    assert [v.scope for v in graph.operations] == ["Sequential.0", "Sequential.1", "Linear", "", "", ""]
    assert next(v for v in graph.vertices if v.name == "a leaf").values.mean == 3


def test_what_was_computed_before_is_where_the_graph_begins():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    graph = trace(lambda y: (y * 2.0).sum())(y)
    assert [(v.name, v.gradient.mean) for v in graph.vertices] == [("y", 2), ("scale", 1), ("sum", 1)]
    graph = trace(lambda: (y * y).sum())()
    assert [v.name for v in graph.vertices] == ["a leaf", "multiply", "sum"] and x.grad is None


def probabilities(q, k, causal):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    e = np.exp(np.where(np.tri(*scores.shape[-2:]) if causal else True, scores, -np.inf))
    return e / e.sum(-1, keepdims=True)


def test_attention_maps_are_the_probabilities_of_each_head():
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 2, 3, 70, 4))
    packed = np.concatenate([q, k, k], axis=1).swapaxes(1, 2).reshape(2, 70, 36)
    mask = np.ones((2, 3, 70, 70), bool)
    kept = rng.random(mask.shape) < 0.5
    cases = {
        "causal_attention": (lambda x: F.causal_attention(x, n_head=3, keep=kept, p=0.5), (packed,), True),
        "attend": (lambda q, k: F.scaled_dot_product_attention(q, k, k, mask), (q, k), False),
        "softmax": (lambda q, k: (q @ k.mT / 2.0).softmax(-1), (q, k), False),
    }
    for name, (fn, inputs, causal) in cases.items():
        maps = next(v.maps for v in trace(fn)(*inputs).operations if v.name == name)
        expected = probabilities(q[0], k[0], causal)
        cells = np.split(np.arange(70), np.arange(1, 48) * 70 // 48)
        expected = np.array([[[p[np.ix_(r, c)].max() for c in cells] for r in cells] for p in expected])
        assert maps == pytest.approx(expected, abs=1e-6), name
    assert trace(lambda x: x.softmax(-1))(packed).operations[0].maps is None  # not of square matrices
    for shape, of_attention in (
        ((3, 3), False),
        ((4, 1, 1), False),
        ((5, 2, 2), True),
        ((2, 6, 4, 3, 3), True),
    ):
        maps = trace(lambda x: x.softmax(-1))(np.ones(shape)).operations[0].maps
        assert (maps is not None) == of_attention
    small = trace(lambda q, k: F.scaled_dot_product_attention(q, k, k))(q[0, 0, :3], k[0, 0, :5]).operations
    assert small[-1].maps == pytest.approx(probabilities(q[:1, 0, :3], k[0, 0, :5], False), abs=1e-6)


def facts(page):
    """What a page knows of the graph."""
    return json.loads(re.search(r"^const trace = (.*);$", page, re.MULTILINE)[1])


# --- Graphviz's language ---


def test_the_dot_text_has_every_vertex_edge_and_module(block):
    text, vertices = block.dot(), block.vertices
    boxes = dict(re.findall(r'^  (\d+) \[label="(.*)", color=".*"\];$', text, re.MULTILINE))
    inside = [i for i, v in enumerate(vertices) if v.leaf == "parameter"]  # all of them are read once
    assert sorted(map(int, boxes)) == [i for i in range(len(vertices)) if i not in inside]
    for i, box in boxes.items():
        v = vertices[int(i)]
        assert box.startswith(v.name + r"\n") and str(v.shape) in box
        assert all(f"{vertices[s].name} {vertices[s].shape}" in box for s in v.inputs if s in inside)
    edges = [(s, i) for i, v in enumerate(vertices) for s in v.inputs if s not in inside]
    assert sorted(edges) == sorted((int(s), int(i)) for s, i in re.findall(r"^  (\d+) -> (\d+)", text, re.M))
    frames = dict(re.findall(r'subgraph cluster_(\d+) \{ label="(.*)";', text))
    assert frames == {str(call.number): call.name for v in vertices for call in v.calls}
    assert text.count("{") == text.count("}")


def test_every_call_of_a_module_has_a_frame_of_its_own():
    class Twice(nn.Module):
        def __init__(self):
            self.layers = nn.ModuleList([nn.Sequential(nn.Linear(32, 32), nn.Tanh())])

        def forward(self, x):
            return self.layers[0](self.layers[0](x))  # one right after the other

    graph = trace(Twice())(X)
    text, calls = graph.dot(), {call for v in graph.vertices for call in v.calls}
    assert sorted(call.name for call in calls) == 2 * ["layers.0"] + 2 * ["layers.0.0"] + 2 * ["layers.0.1"]
    assert all(f"cluster_{call.number} {{" in text for call in calls)
    assert text.count("weight") == 1  # read twice: a box of its own, outside


def test_a_graph_is_saved_by_the_ending_of_the_path(block, tmp_path):
    assert block.save(tmp_path / "g.dot").read_text().startswith('digraph "Block" {')
    assert block.save(tmp_path / "g.html").read_text().startswith("<!doctype html>")
    with pytest.raises(ValueError, match=r"expected a path ending in .html, .dot, .svg or .png; got g.pdf"):
        block.save(tmp_path / "g.pdf")


NO_GRAPHVIZ = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


@NO_GRAPHVIZ
def test_graphviz_draws_svg_and_png(block, tmp_path):
    assert "<svg" in block.save(tmp_path / "g.svg").read_text()
    assert block.save(tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("", "needs Graphviz: apt install graphviz"),  # there is none
        ("#!/bin/sh\nexit 0\n", "Graphviz failed: no drawing"),
        ("#!/bin/sh\ncat >/dev/null\necho 'no plugins' >&2\nexit 1\n", "Graphviz failed: no plugins"),
        ("no program", "Graphviz failed"),
    ],
)
def test_a_graphviz_that_is_not_there_or_fails_says_so(script, message, block, tmp_path, monkeypatch):
    program = tmp_path / "dot"
    if script:
        program.write_text(script)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    with pytest.raises(RuntimeError, match=message):
        block.save(tmp_path / "g.svg")


def test_a_wide_graph_asks_for_haste_and_a_small_one_does_not(block):
    def wide(x):
        parts = [x * float(i + 1) for i in range(120)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    many = mg.trace(wide)(mg.ones(2))
    assert page.HASTE in page.dot("many", many.vertices)
    assert page.HASTE not in page.dot("few", block.vertices)


def test_haste_begins_above_so_many_boxes(monkeypatch):
    graph = trace(lambda x: x.exp().exp())(np.ones(2))
    for most, hasty in ((2, True), (3, False)):
        monkeypatch.setattr(page, "MANY", most)
        assert (page.HASTE in page.dot("net", graph.vertices)) == hasty


def test_every_operation_has_a_kind_and_every_kind_a_colour_of_its_own():
    assert {node.name for _, node in operations()} == page.KINDS.keys()
    assert len({*page.COLORS.values()}) == len(page.COLORS)
    assert {*page.KINDS.values()} == page.COLORS.keys() - {"other operation", "input", "parameter"}


# --- the page ---


class Tags(HTMLParser):
    """The tags of a page, with what they load."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_small_and_names_nothing_to_load(block):
    tags = Tags(block.html())
    assert not tags.open and not tags.loads and len(block.html()) < 40_000


def test_the_page_has_what_the_graph_knows(block):
    vertices = facts(block.html())["vertices"]
    for v, said in zip(block.vertices, vertices, strict=True):
        assert said["inputs"] == v.inputs and said["shape"] == list(v.shape) and said["line"] == v.line
        assert said["calls"] == [list(call) for call in v.calls]
        assert Values(**said["values"]) == v.values and Values(**said["gradient"]) == v.gradient
        if v.maps is not None:
            *shape, data = said["maps"]
            shares = np.frombuffer(base64.b64decode(data), np.uint8).reshape(shape) / 255
            assert shares**2 == pytest.approx(v.maps, abs=0.004)
    readers = [block.vertices[v["owner"]].name for v in vertices if v["kind"] == "parameter"]
    assert readers == ["layer_norm"] * 2 + ["linear"] * 4 + ["layer_norm"] * 2 + ["linear"] * 4


def test_what_the_page_is_made_of_is_installed_with_the_package():
    root = Path(mg.__file__).parents[1]
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    named = settings["options.package_data"]["minigrad.watch"].split()
    files = [path.name for path in (root / "minigrad" / "watch").iterdir() if path.is_file()]
    assert sorted(named) == sorted(name for name in files if not name.endswith((".py", ".md")))


EVIL = "</script><b>&amp;\"'\\{}\\"


@pytest.mark.parametrize("name", [EVIL, "", "a\nb\0", "--> ]]> %s $1 <!--facts-->"])
def test_names_cannot_break_the_page_or_the_drawing(name, tmp_path):
    def fn(x):
        return x.exp()

    fn.__name__ = name
    graph = trace(fn)(np.ones(2))
    graph.vertices[0].name = graph.vertices[1].scope = name
    page = graph.html()
    assert facts(page)["name"] == name and facts(page)["vertices"][0]["name"] == name
    assert not Tags(page).open and "<b>" not in page and "\0" not in page
    if shutil.which("dot"):
        graph.save(tmp_path / "g.svg")


# --- the page in a browser ---

NO_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt install chromium")


def in_browser(text, probe, folder):
    """Return what a script says of the page, as a headless browser shows it."""
    page = folder / "page.html"
    probe = f"<script>document.title = JSON.stringify((() => {{ {probe} }})());</script>"
    page.write_text(text.replace("</body>", probe + "</body>"), encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    options += "--disable-component-update --disable-sync --virtual-time-budget=60000 "
    options += f"--window-size=1100,900 --user-data-dir={folder / 'profile'}"
    command = [CHROMIUM, *options.split(), "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]))


# What a reader sees when everything is folded, when everything is unfolded, and when one module is folded again.
LOOK = """
  const rect = e => e.getBoundingClientRect(), near = (a, b) => Math.abs(a - b) < 1.5;
  const inside = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
  function state() {
    join();
    const all = [...document.querySelectorAll(".row")].filter(row => row.checkVisibility());
    const titles = all.filter(row => row.matches(".module[open] > summary"));
    const boxes = all.filter(row => !row.matches(".head") && !titles.includes(row));
    const overlap = boxes.filter((row, k) => k && rect(row).top < rect(boxes[k - 1]).bottom + 4).length;
    const wide = all.filter(row => [...row.children].some(cell => cell.checkVisibility() && !inside(rect(cell), rect(row)))).length;
    const home = rect(document.querySelector("main")), place = row => boxes.indexOf(row);
    const edges = [...document.querySelectorAll("path.edge")];
    const astray = edges.filter(edge => {
      const [from, to] = edge.ends.map(rect), length = edge.getTotalLength();
      const [start, end] = [0, length].map(at => edge.getPointAtLength(at));
      const [x, y] = [start.x + home.left, start.y + home.top], [u, v] = [end.x + home.left, end.y + home.top];
      const lane = home.left + edge.getPointAtLength(length / 2).x;
      const straight = near(y, from.bottom) && near(v, to.top) && x > Math.max(from.left, to.left);
      const around = near(x, from.left) && y > from.top && y < from.bottom && near(u, to.left) && v > to.top && v < to.bottom
        && lane < Math.min(...all.map(row => rect(row).left));
      return place(edge.ends[0]) >= place(edge.ends[1]) || !(place(edge.ends[1]) === place(edge.ends[0]) + 1 ? straight : around);
    }).length;
    const lanes = {};  // two sources never share a piece of a lane
    edges.forEach(edge => { const d = edge.getAttribute("d").match(/H([\\d.]+)V/); if (d) {
      const [from, to] = edge.ends.map(place); (lanes[d[1]] ||= []).push([from, to]); } });
    const shared = Object.values(lanes).flatMap(lane => lane.filter(([a, b]) =>
      lane.some(([c, d]) => a !== c && a < d && c < b))).length;
    const name = row => row.querySelector(".name").firstChild.textContent;
    return {overlap, wide, astray, shared, titles: titles.map(name), boxes: boxes.map(name),
      edges: edges.map(edge => edge.ends.map(place)), bottom: Math.max(...boxes.map(row => rect(row).bottom))};
  }
  const first = state();
  document.getElementById("fold").click(); const folded = state();
  document.getElementById("unfold").click(); const unfolded = state();
  const inner = [...document.querySelectorAll(".module .module")].at(-1) || document.querySelector(".module");
  if (inner) inner.open = false;
  return {first, folded, unfolded, one: state()};"""


def folded(graph, is_folded):
    """What the page shows of a graph with some calls folded: the names of its boxes, and its edges."""
    owners = page._owners(graph.vertices)
    sizes = {}
    for i, v in enumerate(graph.vertices):
        for call in v.calls if i not in owners else ():
            sizes[call] = sizes.get(call, 0) + 1
    names, place = [], {}
    for i, v in enumerate(graph.vertices):
        if i in owners:
            continue
        hidden = next((c for c in v.calls if sizes[c] > 1 and is_folded(c)), None)
        key = i if hidden is None else hidden
        if key not in place:
            place[key] = len(names)
            whole = f"{v.scope}.{v.name}".lstrip(".") if v.leaf else v.name
            names.append(whole if hidden is None else re.split(r"\.(?!\d)", hidden.name)[-1])
        place[i] = place[key]
    edges = {(place[s], place[i]) for i, v in enumerate(graph.vertices) for s in v.inputs if s not in owners}
    return names, sorted(edge for edge in edges if edge[0] != edge[1])


class LongNames(nn.Module):
    def __init__(self):
        self.position_wise_feed_forward_network_of_the_second_decoder_block = nn.Sequential(
            nn.Linear(32, 128), nn.GELU()
        )
        self.projection_of_the_feed_forward_network = nn.Linear(128, 32)
        self.relative_position_bias_of_every_attention_head = nn.Parameter(np.zeros((1, 16, 32), np.float32))

    def forward(self, hidden_states_before_the_attention_block):
        x = hidden_states_before_the_attention_block + self.relative_position_bias_of_every_attention_head
        hidden = self.position_wise_feed_forward_network_of_the_second_decoder_block(x)
        return x + self.projection_of_the_feed_forward_network(hidden)


def deep_gpt():
    """As deep as GPT-2."""
    model = GPT(GPTConfig(block_size=8, vocab_size=11, n_layer=12, n_head=2, n_embd=4))
    return trace(model.loss)(IDS[:, :-1], IDS[:, 1:])


@NO_BROWSER
@pytest.mark.parametrize(
    ("make", "opens"),
    [
        (lambda: trace(nn.Block(32, 4))(X), True),
        (deep_gpt, False),
        (lambda: trace(nn.Sequential(*(nn.TransformerEncoderLayer(32, 2, 64) for _ in range(2))))(X), False),
        (lambda: trace(LongNames())(X), True),
        (lambda: trace(lambda x: sum(x * float(i) for i in range(30)))(X), True),
    ],
    ids=["block", "GPT-2", "encoder", "long names", "wide"],
)
def test_the_page_folds_and_unfolds_and_shows_every_edge_apart_from_boxes(make, opens, tmp_path):
    graph = make()
    seen = in_browser(graph.html(), LOOK, tmp_path)
    last = [call for v in graph.operations for call in v.calls]
    assert seen["first"] == seen["unfolded" if opens else "folded"]
    for state in seen.values():
        assert [state[key] for key in ("overlap", "wide", "astray", "shared")] == [0, 0, 0, 0]
    for state, is_folded in (("folded", lambda call: True), ("unfolded", lambda call: False)):
        names, edges = folded(graph, is_folded)
        assert seen[state]["boxes"] == names and sorted(map(tuple, seen[state]["edges"])) == edges
    assert not seen["folded"]["titles"] and bool(seen["unfolded"]["titles"]) == bool(last)
    if last:
        assert len(seen["one"]["boxes"]) < len(seen["unfolded"]["boxes"])
    assert seen["first"]["bottom"] < 900 or not last  # it fits a screen


@NO_BROWSER
def test_a_browser_shows_numbers_maps_and_names_and_loads_nothing(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            setattr(self, EVIL, nn.Sequential(nn.CausalSelfAttention(32, 4), nn.Tanh()))

        def forward(self, x):
            return getattr(self, EVIL)(x)

    Net.__name__ = "\x01\n" + EVIL
    graph = trace(Net())(X)
    probe = """
      const row = [...document.querySelectorAll(".row")].find(row => row.textContent.includes("causal_attention"));
      row.parentElement.open = true;
      row.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
      const pixels = c => [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data].filter((_, k) => k % 4 == 3);
      const maps = [...document.querySelectorAll(".maps canvas")];
      return {h1: document.querySelector("h1").textContent, bold: document.querySelectorAll("b").length,
        names: [...document.querySelectorAll(".box .name")].map(e => [...e.childNodes].map(n => n.textContent)),
        module: document.querySelector(".module .name").textContent, text: row.parentElement.innerText,
        bars: row.querySelectorAll("path.values, path.gradient").length, lit: document.querySelectorAll("path.on").length,
        maps: maps.map(pixels), size: maps.map(c => [c.width, c.height]), loads: performance.getEntriesByType("resource").length,
        legend: [...document.querySelectorAll(".chip")].map(c => [c.textContent, c.firstChild.style.background]),
        colors: [...document.querySelectorAll(".row > i")].map(i => i.style.background)};"""
    seen = in_browser(graph.html(), probe, tmp_path)
    node = next(v for v in graph.operations if v.name == "causal_attention")
    assert seen["h1"] == Net.__name__ and seen["bold"] == seen["loads"] == 0 and EVIL in seen["module"]
    assert f"{node.values.high:.4g}" in seen["text"] and "test_trace.py" in seen["text"]
    assert seen["bars"] == 2 and seen["lit"] == 2 and seen["size"] == [[16, 16]] * 4
    assert np.reshape(seen["maps"], (4, 16, 16)) / 255 == pytest.approx(np.sqrt(node.maps), abs=0.01)
    own = [["weight"], ["bias"]]  # in the box of their reader
    assert seen["names"] == [
        *[["x"], ["linear", "c_attn", "weight (96, 32)", "bias (96,)"], *own, ["causal_attention"]],
        *[["linear", "c_proj", "weight (32, 32)", "bias (32,)"], *own, ["tanh", f"{EVIL}.1"]],
    ]
    kinds, colors = zip(*seen["legend"])
    assert {"product", "attention", "elementwise function", "input", "parameter", "module"} == {*kinds}
    assert len({*colors}) == len(kinds) and {*seen["colors"]} - {""} == {*colors}
