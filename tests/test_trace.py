"""The traced graph: its table, its text in Graphviz's language, its page as a browser shows it."""

import configparser
import hashlib
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
from minigrad.tensor import wrap
from minigrad.watch import page
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
    assert add.values.high == pytest.approx(float(block.output.array.max()))
    assert sum(add.values.histogram) == block.output.numel()
    assert all(v.gradient is not None for v in block.vertices)
    assert all(v.forward > 0 and v.backward > 0 for v in block.operations)
    assert "test_trace.py" in add.line and "trace(nn.PreNormBlock" in add.line


def test_saved_bytes_are_those_the_vjp_keeps_and_each_is_counted_once():
    x = wrap(np.ones((10, 10)), requires_grad=True)
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
    assert sum(found.histogram) == np.isfinite(values).sum()
    assert facts(graph.html())["vertices"][-1]["histograms"][0] == found.histogram


def facts(page):
    """What a page knows of the graph."""
    return json.loads(re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)[1])


# --- Graphviz's language ---


def test_the_dot_text_has_every_vertex_edge_and_module(block):
    text, vertices = block.dot(), block.vertices
    boxes = dict(re.findall(r'^  (\d+) \[id="v\1", label=<(.*)>\];$', text, re.MULTILINE))
    inside = [i for i, v in enumerate(vertices) if v.leaf == "parameter"]  # all of them are read once
    assert list(map(int, boxes)) == [i for i in range(len(vertices)) if i not in inside]
    for i, box in boxes.items():
        v = vertices[int(i)]
        assert f"<B>{v.name}</B>" in box and str(v.shape) in box
        assert all(f"{vertices[s].name} {vertices[s].shape}" in box for s in v.inputs if s in inside)
    edges = [(s, i) for i, v in enumerate(vertices) for s in v.inputs if s not in inside]
    assert sorted(edges) == sorted((int(s), int(i)) for s, i in re.findall(r"^  (\d+) -> (\d+)", text, re.M))
    assert re.findall(r'subgraph ".*" \{ label=<(.*)>;', text) == ["attn", "mlp"]
    assert text.count("{") == text.count("}")


def test_every_call_of_a_module_has_a_frame_of_its_own():
    class Twice(nn.Module):
        def __init__(self):
            self.layers = nn.ModuleList([nn.Sequential(nn.Linear(32, 32), nn.Tanh())])

        def forward(self, x):
            return self.layers[0](self.layers[0](x) * 2.0)

    text = trace(Twice())(X).dot()
    assert text.count("label=<layers.0>;") == 2
    assert text.count("<B>weight</B>") == 1  # read twice: a box of its own, outside


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


def test_without_graphviz_the_message_says_what_to_install(block, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="needs Graphviz: apt install graphviz"):
        block.save(tmp_path / "g.svg")


def test_a_graphviz_that_fails_says_so_and_the_page_does_without(block, tmp_path, monkeypatch):
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\ncat >/dev/null\necho 'no plugins' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(broken))
    with pytest.raises(RuntimeError, match="Graphviz failed: no plugins"):
        block.save(tmp_path / "g.png")
    assert "Viz.js" in block.html()


# --- the page, drawn by the installed Graphviz and by the one that comes with it ---


@pytest.fixture(params=[pytest.param("installed", marks=NO_GRAPHVIZ), "bundled"])
def html_of(request, monkeypatch):
    """A function that returns the page of a graph."""
    bundled = request.param == "bundled"
    if bundled:
        monkeypatch.setattr(shutil, "which", lambda name: None)

    def html_of(graph):
        page = graph.html()
        assert bool(facts(page)["dot"]) == bundled  # the page of a graph that Graphviz refuses is bundled
        return page

    return html_of


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


def test_the_page_is_well_formed_and_names_nothing_to_load(block, html_of):
    tags = Tags(html_of(block))
    assert not tags.open and not tags.loads


@NO_GRAPHVIZ
def test_with_graphviz_the_page_is_small_and_already_drawn(block):
    page = block.html()
    assert page.count('class="node box"') == len(block.operations) + 1  # parameters are in their readers
    assert len(page) < 100_000 and facts(page)["dot"] == ""


def test_without_graphviz_the_page_brings_it_along_as_published(block, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    page, folder = block.html(), Path(mg.__file__).parent / "watch"
    script = (folder / "viz-global.js").read_bytes()
    assert script.decode() in page and facts(page)["dot"] == block.dot()
    assert b"</script" not in script and b"<!--" not in script and b"\0" not in script and b"\r" not in script
    licence = (folder / "viz-global.LICENSE").read_text()
    assert hashlib.sha256(script).hexdigest() in licence and "Eclipse Public License - v 1.0" in licence


def test_what_the_page_is_made_of_is_installed_with_the_package():
    root = Path(mg.__file__).parents[1]
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    named = settings["options.package_data"]["minigrad.watch"].split()
    files = [path.name for path in (root / "minigrad" / "watch").iterdir() if path.is_file()]
    assert sorted(named) == sorted(name for name in files if not name.endswith((".py", ".md")))


def in_browser(text, probe, folder):
    """Return what a script says of the page, as a headless browser shows it."""
    page = folder / "page.html"
    probe = (
        f"<script>drawn.then(() => {{ document.title = JSON.stringify((() => {{ {probe} }})()); }});</script>"
    )
    page.write_text(text.replace("</body>", probe + "</body>"), encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    options += "--disable-component-update --disable-sync --virtual-time-budget=60000 "
    options += f"--user-data-dir={folder / 'profile'}"
    command = [CHROMIUM, *options.split(), "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]))


NO_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt install chromium")


@NO_BROWSER
def test_a_browser_shows_the_page_and_the_values_on_hover(block, html_of, tmp_path):
    probe = """
      const box = document.querySelector('.box[data-i="13"]');
      box.dispatchEvent(new MouseEvent("mousemove", {clientX: 300, clientY: 300, bubbles: true}));
      const card = document.getElementById("card"), on = s => document.querySelectorAll(s + ".on").length;
      const seen = {hidden: card.hidden, text: card.innerText, lit: [on(".edge"), on(".box"), on("tr")],
        boxes: document.querySelectorAll(".box").length, rows: document.querySelectorAll("tbody tr").length,
        bars: [box, card].map(e => e.querySelectorAll("path.values, path.gradient").length),
        loads: performance.getEntriesByType("resource").length,
        legend: document.getElementById("legend").innerText};
      box.dispatchEvent(new MouseEvent("mouseleave"));
      return {...seen, left: [card.hidden, on("")]};"""
    seen = in_browser(html_of(block), probe, tmp_path)
    assert seen["boxes"] == 11 and seen["rows"] == len(block.vertices) and seen["loads"] == 0
    assert not seen["hidden"] and seen["lit"] == [2, 1, 1] and seen["bars"] == [2, 2]
    assert seen["left"] == [True, 0]
    node = block.vertices[13]
    assert (
        "layer_norm" in seen["text"] and "(2, 16, 32) float32" in seen["text"] and "gradient" in seen["text"]
    )
    assert f"{node.saved:,}" in seen["text"] and f"{node.values.high:.4g}" in seen["text"]
    assert "test_trace.py" in seen["text"] and "normalisation" in seen["legend"]


EVIL = "</script><b>&amp;\"'\\{}\\"


@NO_BROWSER
def test_names_cannot_break_the_page(html_of, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            setattr(self, EVIL, nn.Sequential(nn.Linear(2, 2), nn.Tanh()))

        def forward(self, x):
            return getattr(self, EVIL)(x)

    Net.__name__ = "\x01\n" + EVIL
    graph = trace(Net())(np.ones((1, 2), np.float32))
    probe = """return {h1: document.querySelector("h1").textContent,
      bold: document.querySelectorAll("b").length,
      frame: document.querySelector(".cluster > text").textContent,
      box: [...document.querySelectorAll(".box")].at(-1).textContent,
      cells: [...document.querySelectorAll("tbody td:first-child")].map(td => td.textContent)};"""
    seen = in_browser(html_of(graph), probe, tmp_path)
    assert (
        seen["h1"] == Net.__name__
        and seen["bold"] == 0
        and seen["frame"] == EVIL
        and f"{EVIL}.1" in seen["box"]
    )
    assert f"{EVIL}.0.weight" in seen["cells"]


@pytest.mark.parametrize("name", [EVIL, "", "a\nb\0", "--> ]]> %s $1 <!--facts-->"])
def test_names_cannot_break_the_drawing(name, html_of):
    def fn(x):
        return x.exp()

    fn.__name__ = name
    graph = trace(fn)(np.ones(2))
    graph.vertices[0].name = graph.vertices[1].scope = name
    page = html_of(graph)
    assert facts(page)["name"] == name and facts(page)["vertices"][0]["facts"][0] == name
    assert not Tags(page).open and "<b>" not in page and "\0" not in page


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
  const rect = e => e.getBoundingClientRect();
  const inside = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
  const apart = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) < 1  // line boxes touch
    || Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) < 1;
  const boxes = [...document.querySelectorAll(".box")];
  const card = box => [...box.querySelectorAll("polygon")].map(rect).sort((a, b) => b.width - a.width)[0];
  const parts = box => [...box.querySelectorAll("text, path")].map(rect);
  const wide = boxes.filter(b => parts(b).some(t => !inside(t, card(b)))).length;
  const clash = boxes.filter(b => parts(b).some(
    (s, k, all) => all.slice(k + 1).some(t => !apart(s, t)))).length;
  const overlap = boxes.filter((a, k) => boxes.slice(k + 1).some(b => !apart(card(a), card(b)))).length;
  const frames = [...document.querySelectorAll(".cluster")];
  const edges = [...document.querySelectorAll(".edge")].map(e => {
    const ends = [...e.classList].filter(c => /^e\\d/.test(c)).map(c => "v" + c.slice(1));
    const [from, to] = ends.map(id => card(document.getElementById(id)));
    const path = e.querySelector("path"), screen = path.getScreenCTM();
    const places = [...Array(200).keys()].map(k => path.getTotalLength() * k / 199);
    const points = places.map(at => path.getPointAtLength(at).matrixTransform(screen));
    return {from, to, points};
  });
  const through = frames.map(frame => {
    const area = rect(frame.querySelector("path"));
    return edges.filter(e => !inside(e.from, area) && !inside(e.to, area)).filter(e => e.points.some(p =>
      p.x > area.left + 1 && p.x < area.right - 1 && p.y > area.top + 1 && p.y < area.bottom - 1)).length;
  });
  const up = edges.filter(e => e.from.bottom > e.to.top).length;
  const middles = boxes.map(b => (card(b).left + card(b).right) / 2);
  return {wide, clash, overlap, up, through, spread: Math.max(...middles) - Math.min(...middles),
    titles: frames.map(f => f.querySelector("text").textContent)};"""


@NO_BROWSER
@pytest.mark.parametrize(
    ("model", "titles"),
    [
        (nn.PreNormBlock(32, 4), ["attn", "mlp"]),
        (
            nn.Sequential(*(nn.TransformerEncoderLayer(32, 2, 64) for _ in range(3))),
            ["0", "self_attn", "1", "self_attn", "2", "self_attn"],
        ),
        (LongNames(), ["position_wise_feed_forward_network"]),
    ],
)
def test_texts_and_boxes_keep_apart_and_edges_run_downwards_around_the_frames_of_others(
    model, titles, html_of, tmp_path
):
    seen = in_browser(html_of(trace(model)(X)), LOOK, tmp_path)
    del seen["spread"]
    assert seen == {
        "wide": 0,
        "clash": 0,
        "overlap": 0,
        "up": 0,
        "through": [0] * len(titles),
        "titles": titles,
    }


@NO_BROWSER
def test_a_chain_is_drawn_as_a_straight_line(html_of, tmp_path):
    graph = trace(lambda x: x.exp().tanh().sum())(np.ones(3))
    assert in_browser(html_of(graph), LOOK, tmp_path)["spread"] < 1


@pytest.mark.parametrize("script", ["exit 0", "exit 3", None])
def test_a_dot_that_does_not_work_is_as_none(script, tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n" if script else "no program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    graph = mg.trace(nn.Linear(3, 2))(mg.ones(1, 3))
    assert "viz-global" in graph.html() or "Viz" in graph.html()
    with pytest.raises(RuntimeError, match="Graphviz failed"):
        graph.save(tmp_path / "x.svg")


def test_a_wide_graph_asks_for_haste_and_a_small_one_does_not():
    def wide(x):
        parts = [x * float(i + 1) for i in range(120)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    many, few = mg.trace(wide)(mg.ones(2)), mg.trace(nn.Linear(3, 2))(mg.ones(1, 3))
    assert page.HASTE in page.dot("many", many.vertices)
    assert page.HASTE not in page.dot("few", few.vertices)
