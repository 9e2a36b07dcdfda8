"""The drawings: their numbers are right, their words legible and apart, their files small and as committed."""

import itertools
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch
from matplotlib.path import Path
from matplotlib.text import Annotation, Text
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import minigrad
from nn import functional as F
from tests.support.chapter import FOLDER, ROOT

drawings, pictures = import_module("drawings"), import_module("pictures")
NAMES = list(drawings.DRAWINGS)


@pytest.fixture(scope="module", params=NAMES)
def drawn(request):
    """A drawing, its words with their boxes in pixels, and what draws them."""
    figure = drawings.DRAWINGS[request.param]()
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    words = [t for t in figure.findobj(Text) if t.get_text() and not isinstance(t, Annotation) and t.axes]
    return figure, {t: t.get_window_extent(renderer) for t in words}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two folders of drawings, made one after the other."""
    folders = [tmp_path_factory.mktemp("drawings") for _ in range(2)]
    for folder in folders:
        assert drawings.main([str(folder)]) == 0
    return folders


# ---- files ----


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_is_the_same_each_time_and_the_gallery_has_it(written, name):
    first, second, kept = (f / f"{name}.png" for f in (*written, FOLDER / "gallery"))
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image, Image.open(kept) as gallery:
        assert image.width == gallery.width == 1120
        assert 900 < image.height < 1400
        assert image.size == gallery.size
        gap = np.abs(np.asarray(image.convert("L"), float) - np.asarray(gallery.convert("L"), float))
    assert gap.mean() < 0.5, "python examples/drawings.py renews the gallery"
    assert kept.stat().st_size < 150_000


def test_without_matplotlib_one_line_says_what_to_install(tmp_path):
    code = f"import sys, runpy; sys.modules['matplotlib'] = None; sys.path[:0] = [{str(FOLDER)!r}, {str(ROOT)!r}]; "
    code += f"sys.argv = ['drawings.py', 'here']; runpy.run_path({str(FOLDER / 'drawings.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == 'the examples draw with matplotlib; install it with: pip install -e ".[examples]"\n'
    assert list(tmp_path.iterdir()) == []


# ---- legibility ----


def test_no_two_words_overlap_and_none_leaves_the_page(drawn):
    figure, places = drawn
    assert len(places) > 10
    for text, place in places.items():
        assert place.x0 >= 0 and place.y0 >= 0, text
        assert place.x1 <= figure.bbox.x1 and place.y1 <= figure.bbox.y1, text
    for (a, one), (b, other) in itertools.combinations(places.items(), 2):
        assert not one.overlaps(other), f"{a} and {b}"


def test_words_fit_their_boxes_and_no_line_crosses_them(drawn):
    figure, places = drawn
    boxes = [p.get_window_extent() for p in figure.findobj(FancyBboxPatch) if p.get_facecolor()[3]]
    arrows = [a.arrow_patch for a in figure.findobj(Annotation) if a.arrow_patch]
    strokes = [
        Path(corners)
        for line in (*arrows, *(line for axes in figure.axes for line in axes.lines))
        for corners in line.get_transform().transform_path(line.get_path()).to_polygons(closed_only=False)
    ]
    assert len(strokes) >= 3
    for text, place in places.items():
        centre = (place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2
        box = next((b for b in reversed(boxes) if b.contains(*centre)), None)  # the topmost
        if box:
            assert box.contains(place.x0, place.y0) and box.contains(place.x1, place.y1), text
        else:
            assert not any(stroke.intersects_bbox(place, filled=False) for stroke in strokes), text


def test_letters_are_large_and_dark_enough_at_half_a_page(drawn):
    figure, places = drawn
    assert figure.get_figwidth() == pictures.WIDTH
    tints = [to_rgb("white"), *map(to_rgb, pictures.TINTS.values())]
    for text in places:
        assert text.get_size() * 450 / pictures.WIDTH / 72 >= 10, text
        if text.get_text() != "+":
            behind = tints if to_rgb(text.get_color()) == to_rgb("black") else tints[:1]
            assert min(contrast(to_rgb(text.get_color()), tint) for tint in behind) >= 4.5, text


def contrast(one, other):
    """The ratio of luminances, as WCAG 2 defines it."""
    parts = np.array([one, other])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)


# ---- numbers ----


def words_of(name):
    figure = drawings.DRAWINGS[name]()
    return [t.get_text() for t in figure.findobj(Text)]


def test_the_walk_is_newest_first_and_its_sums_are_the_gradients():
    values, steps = drawings.walk()
    assert values == [3.0, 2.0, 6.0, 36.0, 42.0]
    (dy, (y_to_q, y_to_h)), (dq, (q_to_h,)), (dh, leaves) = steps
    assert (dy, y_to_q, y_to_h, dq, q_to_h) == (1, 1, 1, 1, 2 * 6)
    assert dh == y_to_h + q_to_h
    w, x = (torch.tensor(value, requires_grad=True) for value in values[:2])
    h = w * x
    (h**2 + h).backward()
    assert leaves == [w.grad.item(), x.grad.item()]
    assert {"dh = 1 + 12\n= 13", "dw = dh x\n= 26", "dx = dh w\n= 39"} <= set(words_of("tape"))


def test_the_shapes_are_those_that_pass_through_the_model():
    found = drawings.shapes()
    assert found[""] == "(B, T, V)"
    assert found["h.0.attn.c_attn"] == "(B, T, 3C)"
    assert found["h.3.mlp.c_fc"] == found["h.3.mlp.gelu"] == "(B, T, 4C)"
    assert {found[name] for name in ("wte", "drop", "h.0", "h.3", "ln_f", "h.0.mlp.c_proj")} == {"(B, T, C)"}
    assert words_of("gpt").count("(B, T, C)") == 6


def test_layer_norms_terms_add_up_and_each_takes_one_thing_out():
    t = drawings.norm_terms()
    assert_allclose(t["g"] + t["mean"] + t["along"], t["sum"], atol=1e-14)
    assert_allclose([t["mean"].sum(), t["mean"] @ t["xhat"]], [-t["g"].sum(), 0], atol=1e-14)
    assert_allclose(
        [t["along"].sum(), t["along"] @ t["xhat"]], [0, -t["g"] @ t["xhat"]], rtol=1e-4, atol=1e-14
    )
    assert_allclose([t["sum"].sum(), t["sum"] @ t["xhat"]], 0, atol=1e-3)  # eps leaves 5e-5


def test_the_blocks_hold_all_that_attention_reads():
    q, k, e = drawings.exponentials()
    v = np.random.default_rng(0).standard_normal(q.shape)
    expected = F.scaled_dot_product_attention(*map(minigrad.tensor, (q, k, v)), is_causal=True)
    y = np.zeros_like(v)
    for start in range(0, drawings.TOKENS, drawings.BLOCK):
        stop = start + drawings.BLOCK
        y[start:stop] = e[start:stop, :stop] @ v[:stop] / e[start:stop, :stop].sum(axis=1, keepdims=True)
        assert_array_equal(e[start:stop, stop:], 0)
    assert_allclose(y, expected.array, rtol=1e-10)
    assert any("Of 144 scores, 96 are computed" in words for words in words_of("attention_blocks"))
