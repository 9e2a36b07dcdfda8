"""The traced graph: table, DOT, page; and the detector of NaN and inf."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import minigrad as mg
import nn
from minigrad import Tensor
from minigrad.watch.anomaly import AnomalyError, detect_anomaly
from minigrad.watch.layout import HEIGHT, WIDTH, layout
from minigrad.watch.trace import trace

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
X = np.random.default_rng(3).standard_normal((2, 16, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def block():
    return trace(nn.PreNormBlock(32, 4))(X)


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


def test_a_vertex_knows_values_gradient_times_bytes_and_line(block):
    add = block.operations[-1]
    assert add.values.high == pytest.approx(float(block.output.data.max()))
    assert sum(add.values.histogram) == block.output.numel()
    assert all(v.gradient is not None for v in block.vertices)
    assert all(v.forward > 0 and v.backward > 0 for v in block.operations)
    assert "test_trace.py" in add.line and "trace(nn.PreNormBlock" in add.line


def test_saved_bytes_are_those_the_vjp_keeps_and_each_is_counted_once():
    x = Tensor(np.ones((10, 10)), requires_grad=True)
    graph = trace(lambda x: x.exp().exp())(x)
    assert [v.saved for v in graph.operations] == [800, 800]
    graph = trace(lambda x: (x + 1.0) * x)(x)
    assert [v.saved for v in graph.operations] == [0, 800]  # x is kept anyway


def test_tracing_leaves_the_gradients_of_the_parameters_alone():
    model = nn.Linear(32, 3)
    trace(model)(X)
    assert all(p.grad is None for p in model.parameters())


def test_the_edges_follow_the_data():
    graph = trace(lambda a, b: (a * b + a).sum())(np.ones(3), np.ones(3))
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
    assert sum(found.histogram) == np.isfinite(values).sum() and "<svg" in graph.html()


def test_the_dot_text_has_every_vertex_edge_and_module(block):
    text = block.dot()
    assert text.count("label=") == len(block.vertices) + text.count("subgraph")
    assert text.count("->") == sum(len(v.inputs) for v in block.vertices)
    assert 'subgraph "cluster_attn"' in text and text.count("{") == text.count("}")


def test_a_graph_is_saved_by_the_ending_of_the_path(block, tmp_path):
    assert block.save(tmp_path / "g.dot").read_text().startswith("digraph")
    assert block.save(tmp_path / "g.html").read_text().startswith("<!doctype html>")
    with pytest.raises(ValueError, match=r"expected a path ending in .html, .dot, .svg or .png; got g.pdf"):
        block.save(tmp_path / "g.pdf")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_svg_and_png(block, tmp_path):
    assert "<svg" in block.save(tmp_path / "g.svg").read_text()
    assert block.save(tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")


def test_without_graphviz_the_message_says_what_to_install(block, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="needs Graphviz: apt install graphviz"):
        block.save(tmp_path / "g.svg")


class Tags(HTMLParser):
    """The tags of a page, with what they load."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.boxes = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.loads += [value for name, value in attrs.items() if name in ("src", "href")]
        self.boxes += attrs.get("class") == "box"
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_loads_nothing(block):
    tags = Tags(re.sub(r"<(path|rect)([^>]*)/>", r"<\1\2></\1>", block.html()))
    assert not tags.open and not tags.loads
    assert (
        tags.boxes == len(block.operations) + 1
    )  # parameters read once are named in the box that reads them


def test_names_cannot_break_the_page():
    def fn(x):
        return x.exp()

    fn.__name__ = "</script><b>&"
    text = trace(fn)(np.ones(2)).html()
    assert "</script><b>" not in text and "&lt;/script&gt;&lt;b&gt;&amp;" in text


@pytest.mark.parametrize("layers", [1, 3])
def test_boxes_overlap_nowhere_and_edges_run_downwards(layers):
    model = nn.Sequential(*(nn.TransformerEncoderLayer(8, 2, 16) for _ in range(layers)))
    vertices = trace(model)(X[..., :8]).vertices
    drawing = layout([v.inputs for v in vertices])
    assert len(drawing.places) == len(vertices)
    for i, p in enumerate(drawing.places):
        assert 0 <= p.x - WIDTH / 2 and p.x + WIDTH / 2 <= drawing.width + 1e-6
        for q in drawing.places[:i]:
            assert abs(p.x - q.x) >= WIDTH or abs(p.y - q.y) >= HEIGHT
    for points in drawing.edges.values():
        assert all(a[1] < b[1] for a, b in zip(points, points[1:]))


def test_a_chain_is_drawn_as_a_straight_line():
    drawing = layout([[], [0], [1], [2, 0], [3], [4, 3]])
    assert np.ptp([p.x for p in drawing.places]) < 1e-3


def in_browser(text, probe, folder):
    """Return what the last expression of a script says of the page, as a headless browser shows it."""
    page = folder / "page.html"
    probe = f"<script>document.title = JSON.stringify((() => {{ {probe} }})());</script>"
    page.write_text(text.replace("</body>", probe + "</body>"))
    options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    options += f"--disable-component-update --disable-sync --user-data-dir={folder / 'profile'}"
    command = [CHROMIUM, *options.split(), "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", dom, re.S)[1]))


NO_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt install chromium")


@NO_BROWSER
def test_a_browser_shows_the_page_and_the_values_on_hover(block, tmp_path):
    probe = """
      const box = document.querySelector('.box[data-i="13"]');
      box.dispatchEvent(new MouseEvent("mousemove", {clientX: 300, clientY: 300, bubbles: true}));
      const card = document.getElementById("card");
      return {hidden: card.hidden, text: card.innerText, lit: document.querySelectorAll(".edge.on").length,
        boxes: document.querySelectorAll(".box").length};"""
    seen = in_browser(block.html(), probe, tmp_path)
    assert seen["boxes"] == 11 and seen["lit"] == 2 and not seen["hidden"]
    assert (
        "layer_norm" in seen["text"] and "(2, 16, 32) float32" in seen["text"] and "gradient" in seen["text"]
    )


class LongNames(nn.Module):
    def __init__(self):
        self.position_wise_feed_forward_network = nn.Sequential(nn.Linear(32, 128), nn.GELU())
        self.projection_of_the_feed_forward_network = nn.Linear(128, 32)
        self.relative_position_bias_of_every_attention_head = nn.Parameter(np.zeros((1, 16, 32), np.float32))

    def forward(self, hidden_states_before_the_attention_block):
        x = hidden_states_before_the_attention_block + self.relative_position_bias_of_every_attention_head
        hidden = self.position_wise_feed_forward_network(x)
        return x + self.projection_of_the_feed_forward_network(hidden)


LOOK = """
  const inside = (frame, x, y) => frame.isPointInFill(new DOMPoint(x, y));
  const boxes = [...document.querySelectorAll(".box")].map(g => {
    const [x, y] = g.getAttribute("transform").match(/-?[\\d.]+/g).map(Number);
    return {g, i: g.dataset.i, x: x + g.querySelector(".card").width.baseVal.value / 2, y: y + 46};
  });
  const wide = boxes.filter(({g}) => [...g.querySelectorAll("text")].some(t => {
    const text = t.getBBox(), card = g.querySelector(".card").getBBox();
    return text.x < 0 || text.x + text.width > card.width - 4;
  })).length;
  const clash = boxes.filter(({g}) => {
    const name = g.querySelector(".name").getBBox();
    return name.x + name.width > g.querySelector(".shape").getBBox().x;
  }).length;
  const frames = [...document.querySelectorAll(".frame")];
  const through = frames.map(frame => {
    const own = new Set(boxes.filter(b => inside(frame, b.x, b.y)).map(b => b.i));
    return [...document.querySelectorAll(".edge")].filter(e => !own.has(e.dataset.from) && !own.has(e.dataset.to))
      .filter(e => [...Array(200).keys()].some(k => {
        const p = e.getPointAtLength(e.getTotalLength() * k / 199);
        return inside(frame, p.x, p.y);
      })).length;
  });
  return {wide, clash, through, titles: frames.map(f => f.nextSibling.textContent)};"""


@NO_BROWSER
@pytest.mark.parametrize(
    ("model", "titles"),
    [
        (nn.PreNormBlock(32, 4), ["attn", "mlp"]),
        (nn.TransformerEncoderLayer(32, 2, 64), ["self_attn"]),
        (LongNames(), ["position_wise_\N{HORIZONTAL ELLIPSIS}"]),
    ],
)
def test_no_text_leaves_its_box_and_no_edge_runs_through_the_frame_of_others(model, titles, tmp_path):
    seen = in_browser(trace(model)(X).html(), LOOK, tmp_path)
    assert seen == {"wide": 0, "clash": 0, "through": [0] * len(titles), "titles": titles}


# --- NaN and inf ---


def test_the_first_nan_names_the_operation_its_inputs_and_the_users_line():
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = Tensor(np.array([2.0, -1.0]), requires_grad=True) * 2.0
        y.log().sum()  # here
    text = str(caught.value)
    assert text.startswith("forward of log: the first nan")
    assert "input 0: float64 (2,) in -2..4" in text
    assert "test_trace.py" in text and "y.log().sum()  # here" in text


def test_an_inf_in_the_backward_names_the_line_of_the_forward():
    x = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    with (
        pytest.raises(AnomalyError, match=r"backward of sqrt: the first inf(.|\n)*root = x.sqrt\(\)"),
        detect_anomaly(),
    ):
        root = x.sqrt()
        root.sum().backward()
    assert x.grad is None


def test_a_nan_in_a_hessian_names_the_users_line_too():
    def fn(x):
        return (x * x.sqrt()).sum()  # the slope of the slope is inf at 0

    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        mg.hessian(fn)(np.array([0.0, 1.0]))
    called = str(caught.value).splitlines()[-1]
    assert "test_trace.py" in called and "contextlib" not in called


def test_a_nan_in_the_data_is_told_from_one_that_was_made():
    layer = nn.Linear(2, 2)
    with pytest.raises(AnomalyError, match="it came in with an input"), detect_anomaly():
        layer(Tensor(np.array([[1.0, np.nan]], np.float32)))


def test_masks_of_minus_infinity_are_no_anomaly():
    attention = nn.MultiheadAttention(4, 2)
    x = Tensor(np.ones((3, 1, 4), np.float32), requires_grad=True)
    with mg.detect_anomaly():
        attention(x, x, x, is_causal=True)[0].sum().backward()
    assert np.isfinite(x.grad).all()


def test_the_detector_changes_no_number_and_is_gone_afterwards():
    model, x = nn.MLP(4), Tensor(np.ones((2, 4), np.float32))
    model(x).sum().backward()
    expected = {n: p.grad.copy() for n, p in model.named_parameters()}
    model.zero_grad()
    with detect_anomaly():
        model(x).sum().backward()
    assert all(np.array_equal(expected[n], p.grad) for n, p in model.named_parameters())
    assert mg.switches.state.monitor is None
