"""What `gradcheck` prints and draws."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import nn
from minigrad.check.diagnosis import Finding
from minigrad.check.evidence import Grid
from minigrad.check.gradcheck import EXAMINED, gradcheck
from minigrad.check.report import Comparison, Report, Row, Worst, worst_entry
from nn.functional.linear import linear
from tests.faults.planting import damaged
from tests.support import evidence as made

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((3, 4)), RNG.standard_normal((2, 4)), RNG.standard_normal(2)


def squares(off):
    """x * x, whose gradient is changed in place by `off`."""

    def fn(x):
        def vjp(dout):
            dx = 2 * x * dout
            off(dx)
            return (dx,)

        return x * x, vjp

    return fn


def nothing(dx):
    """Leave a gradient as it is."""


# --- the table ---


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_errors_in_units_of_the_noise_are_small_where_all_is_right_and_large_where_it_is_not(dtype):
    """Also of gradients that cancel, and where rounding is large beside the gradient."""
    rights = [
        nn.TransformerEncoderLayer(4, 2, 6).eval(),
        lambda x: (x + 1e4) * 1e-3,
        lambda x: x.softmax(-1).sum(),
    ]
    for fn in rights:
        report = gradcheck(fn, RNG.standard_normal((2, 3, 4)), dtype=dtype)
        assert all(row.noise <= 10 for row in report.rows) and "of the noise" in str(report)
    (row,) = gradcheck(
        squares(lambda dx: np.multiply(dx, 1.01, out=dx)), X.astype(dtype), raise_error=False
    ).rows
    assert row.noise > 10


# --- the picture ---


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, instead of their files."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: figures.append(self))
    return figures


def panels(figure):
    """The axes of the maps: gradient, difference, gradient, ..."""
    return figure.axes


def shown(axes):
    """The values of a map, its range, and the colours of the values."""
    (image,) = axes.images
    return np.ma.getdata(image.get_array()), image.get_clim(), image.to_rgba(image.get_array())


def test_the_gradient_and_its_error_are_drawn_signed_each_to_its_own_scale(drawn):
    def off(dx):
        dx[1] -= 1e-3

    report = gradcheck(squares(off), X, raise_error=False)
    report.plot("")
    gradient, difference = panels(drawn[0])[:2]
    values, (low, high), _ = shown(gradient)
    assert_allclose(values, report.evidence[0].claimed)
    assert high == -low == abs(values).max()
    values, (low, high), colours = shown(difference)
    assert_allclose(values, np.where(np.arange(3) == 1, -1e-3, 0.0)[:, None] * np.ones(4), atol=1e-8)
    assert high == -low == abs(values).max()
    red, _, blue, _ = colours[1, 0]
    assert blue > 2 * red and np.ptp(colours[0, :, :3]) < 0.01  # negative; white where it is right


def test_right_gradients_of_every_size_are_drawn_white(drawn):
    for x in (X, 1e-6 * X, 1e6 * X, X.astype(np.float32), X * 0, X[:0], X[0, 0]):
        gradcheck(squares(nothing), x).plot("")
        gradient, difference = panels(drawn[-1])[:2]
        assert len(gradient.images) == (x.size > 0)
        assert not x.size or np.ptp(shown(difference)[2][..., :3]) < 0.1


def test_nan_is_black(drawn):
    def off(dx):
        dx[1, 2] = np.nan

    gradcheck(squares(off), X, raise_error=False).plot("")
    for axes in panels(drawn[0])[:2]:
        assert (shown(axes)[2][1, 2] == (0, 0, 0, 1)).all()


def test_a_picture_of_right_gradients_takes_two_runs_for_each_element_drawn(drawn):
    runs = []

    def fn(x):
        runs.append(x)
        return np.sin(x), lambda dout: (dout * np.cos(x),)

    for side, most in ((8, 64), (40, EXAMINED)):
        report = gradcheck(fn, RNG.standard_normal((side, side)))
        runs.clear()
        report.plot("")
        assert len(runs) <= 2 * most


def test_a_picture_is_written(tmp_path):
    path = tmp_path / "linear.png"
    wrong = damaged(linear, lambda g, *_: (g[0] * 1.5, *g[1:]))
    assert gradcheck(wrong, (X, W, B), raise_error=False).plot(path) == path
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_axes_of_a_heat_map_bear_the_names_of_the_arrays(drawn):
    gradcheck(linear, (X, W, B)).plot("")
    names = [(axes.get_ylabel(), axes.get_xlabel()) for axes in panels(drawn[0])[:6:2]]
    assert names == [("axis 0", "axis 1"), ("axis 0", "axis 1"), ("", "axis 0")]


def test_a_heat_map_of_a_large_input_is_numbered_by_its_indices(drawn):
    def off(dx):
        dx[17, 23] += 1.0

    gradcheck(squares(off), RNG.standard_normal((60, 60)), raise_error=False).plot("")
    axes = panels(drawn[0])[1]
    error = abs(shown(axes)[0])
    row, column = np.unravel_index(error.argmax(), error.shape)
    assert axes.get_ylabel() == f"axis 0 ({len(error)} of 60 indices)"
    numbers = [axis.get_major_formatter()(at, 0) for axis, at in ((axes.yaxis, row), (axes.xaxis, column))]
    assert numbers == ["17", "23"]


def test_titles_stay_inside_the_picture_and_apart_and_wrong_arrays_come_first(drawn):
    names = [f"a_rather_long_name_{i}" for i in range(20)]
    report = gradcheck(lambda *xs: sum(xs), [X[0]] * 20)
    report.fn = "a_long_name_" * 20
    for row, name in zip(report.rows, names):
        object.__setattr__(row, "name", name)
    object.__setattr__(report.rows[18], "ok", False)
    report.plot("")
    figure = drawn[0]
    figure.draw_without_rendering()
    assert panels(figure)[0].get_title().replace("\n", " ") == f"{names[18]} (4,): WRONG"
    assert figure.get_figwidth() < 16 and "16 of 20 arrays" in figure.get_suptitle().replace("\n", " ")
    texts = [figure._suptitle, *(axes.title for axes in figure.axes)]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height for box in boxes)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


# --- every word of it ---

ROWS = [
    Row("input 0", "float64", (2, 3), 0.25, 0.5, False, 9, 1e6),
    Row("a.weight", "float32", (), 0.0, 2.0**-20, True),
]
FINDING = Finding("factor", "twice too large", "input 0")
VERDICTS = [
    (Report("f", "numpy", "float64", 1), "gradcheck: f (numpy, float64): right"),
    (Report("f", "numpy", "float64", 2), "gradcheck: f (numpy, float64, second order): right"),
    (
        Report("f", "numpy", "float32", 1, rows=ROWS, findings=[FINDING, FINDING], notes=["one", "two", "one"],
               worst=[Worst("input 0", (1, 2), 1 / 3, -2.0, 7 / 3, 7 / 6, 3e15)], jacobian=["an entry", "an entry"]),
        """gradcheck: f (numpy, float32): WRONG

array      shape  comparisons  error  relative  of the noise  verdict
--------  ------  -----------  -----  --------  ------------  -------
input 0   (2, 3)            9   0.25       0.5       1.0e+06    WRONG
a.weight      ()            1      0   9.5e-07             -    right

worst elements   index         vjp  difference  error  relative      ulp
--------------  ------  ----------  ----------  -----  --------  -------
input 0         (1, 2)  0.33333333          -2   2.33      1.17  3.0e+15

largest errors of the Jacobian
  an entry

diagnosis
  input 0: factor: twice too large

notes
  one
  two""",
    ),
    (Comparison("f (numpy)", "g (torch)"), "compare: f (numpy) and g (torch): agree"),
    (
        Comparison("f (numpy)", "g (torch)", rows=ROWS, findings=[FINDING], unmatched=["only in f (numpy): b ()"]),
        """compare: f (numpy) and g (torch): DIFFER

array     dtype     shape  difference  relative      ulp  verdict
--------  -------  ------  ----------  --------  -------  -------
input 0   float64  (2, 3)        0.25       0.5  2.3e+15   DIFFER
a.weight  float32      ()           0   9.5e-07        8    agree

not matched
  only in f (numpy): b ()

diagnosis
  input 0: factor: twice too large""",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("verdict", "text"), VERDICTS)
def test_a_report_is_printed_so(verdict, text):
    assert str(verdict) == text
    assert bool(verdict) is verdict.ok is (not verdict.findings)
    assert verdict.kinds == ["factor"] * len(verdict.findings)


def test_a_report_is_empty_at_first_and_of_one_sample():
    report, comparison = Report("f", "numpy", "float64", 1), Comparison("f", "g")
    assert comparison.examples == 1 and report.evidence == {} and report.examine is report.sketch is None
    assert "evidence" not in repr(report) and "sketch" not in repr(report) and "examine" not in repr(report)


def test_the_worst_elements_are_listed_from_the_worst_with_their_errors():
    measured = [8.0, 0, 1, 1, 1, 1, 2, np.nan]
    claimed = [8.5, 3, 1, 2, 1 + 2.0**-30, np.nan, -np.inf, 9]
    grid = Grid((99,), (10 + np.arange(8),))
    found = Worst.of("x", made.told(measured, claimed, grid=grid), "float64")
    assert [(w.name, w.index) for w in found] == [("x", (i,)) for i in (16, 15, 11, 13, 10)]
    assert [w.claimed for w in found[2:]] == [3, 2, 8.5] and [w.measured for w in found[2:]] == [0, 1, 8]
    assert [w.absolute for w in found[2:]] == [3, 1, 0.5] and found[0].absolute == np.inf
    assert [w.relative for w in found[2:]] == [np.inf, 1, 1 / 16]
    assert [w.ulp for w in found[3:]] == [2.0**52, 2.0**48]
    assert Worst.of("x", made.told([1, 4], [1, 6]), "float32") == [
        Worst("x", (1,), 6.0, 4.0, 2.0, 0.5, 2.0**22)
    ]
    assert Worst.of("x", made.told([1, 4], [1, 4]), "float64") == []


def test_the_worst_entry_of_a_jacobian_is_named_by_its_output_and_its_element():
    right, claimed = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    claimed[1, 0, 2], claimed[0, 1, 1] = -1 / 3, 0.25
    grid = Grid((9,), (np.array([2, 5, 8]),))
    text = "output at (1, 0) by a at (8,): vjp -0.33333333, difference 0"
    assert worst_entry("a", made.linear(right, claimed, outputs=2, grid=grid)) == text
    claimed[0, 1, 1] = np.nan
    text = "output at (0, 1) by a at (1,): vjp nan, difference 0"
    assert worst_entry("a", made.linear(right, claimed, outputs=2)) == text
    right[...], claimed[...] = np.inf, np.inf
    claimed[0, 1, 2] = 1
    assert "(0, 0) by a at (0,): vjp inf, difference inf" in worst_entry(
        "a", made.linear(right, claimed, outputs=2)
    )


def test_a_wrong_gradient_of_no_output_is_reported():
    report = gradcheck((lambda x: x[:0], lambda d, x: np.ones_like(x)), np.ones(3), raise_error=False)
    assert not report and report.jacobian == ["there is no output that input 0 could change"]


# --- how it is laid out ---


def pictured(drawn, count=1, shape=(2, 3), wrong=(), dtype="float64", name="x", fn="f", **more):
    """The figure of so many arrays with these gradients, and the map and the differences of the first."""
    right = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    evidence = made.told(right, right * (1 + np.array(more.pop("off", 0.0))), **more)
    rows = [Row(f"{name}{i}", dtype, shape, 0.0, 0.0, i not in wrong) for i in range(count)]
    Report(fn, "numpy", dtype, 1, rows=rows, sketch=lambda i: evidence).plot("")
    return drawn[-1]


def inches(figure):
    """How far the maps are from the four edges, and from one another."""
    (width, height), p = figure.get_size_inches(), figure.subplotpars
    return (
        width,
        height,
        width * p.left,
        width * (1 - p.right),
        height * p.bottom,
        height * (1 - p.top),
        p.wspace,
        p.hspace,
    )


@pytest.mark.parametrize(
    ("count", "fn", "size"),
    [(1, "f", (7, 3.9)), (2, "f", (14, 3.9)), (3, "f", (14, 6.9)), (1, "f" * 60, (7, 4.1))],
)  # fmt: skip
def test_there_is_room_for_titles_and_labels(drawn, count, fn, size):
    figure = pictured(drawn, count, fn=fn)
    assert_allclose(inches(figure)[:2], size)
    lines = figure.get_suptitle().count("\n") + 1
    assert_allclose(inches(figure)[2:], (0.8, 0.6, 0.6, 0.7 + 0.2 * lines, 0.6, 0.6))
    assert_allclose(figure._suptitle.get_position()[1] * size[1], size[1] - 0.1)
    assert figure._suptitle.get_verticalalignment() == "top"
    assert [axes.axison for axes in panels(figure)] == [True] * 2 * count + [False] * 2 * (count == 3)


def test_the_title_says_what_is_drawn_and_wrong_arrays_are_among_it(drawn):
    figure = pictured(drawn, 17, wrong=(16,), name="array ")
    said = "f: gradients by the vjp, and how far they are from differences"
    assert figure.get_suptitle() == said + "; 16 of 17 arrays"
    assert len(panels(figure)) == 32 and figure.get_size_inches()[1] == pytest.approx(24.9)
    assert pictured(drawn, 2).get_suptitle() == said
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles[:4] == ["array 16 (2, 3): WRONG", "off by", "array 0 (2, 3): right", "off by"]
    long = panels(pictured(drawn, name="a name that is rather long for its map, "))[0].get_title()
    assert long == "a name that is rather long for its\nmap, 0 (2, 3): right"


@pytest.mark.parametrize(
    ("dtype", "off", "error", "top"),
    [("float64", 0.0, 0.0, 6e-5), ("float32", 0.0, 0.0, 6e-2), ("float64", 1e-3, 0.0, 6e-3), ("float64", 0.0, 1e-4, 3e-4)],
)  # fmt: skip
def test_a_difference_too_small_to_count_stays_white(drawn, dtype, off, error, top):
    axes = panels(pictured(drawn, dtype=dtype, off=off, error=np.full((2, 3), error)))
    assert shown(axes[0])[1] == pytest.approx((-6 * (1 + off), 6 * (1 + off))) and shown(axes[1])[
        1
    ] == pytest.approx((-top, top))


def test_a_map_is_a_matrix_with_a_scale_beside_it(drawn):
    figure = pictured(drawn, shape=(2, 2, 3))
    axes = panels(figure)[0]
    assert shown(axes)[0].shape == (4, 3) and axes.get_aspect() == "auto"
    (scale,) = axes.child_axes
    assert axes.title.get_fontsize() == 10
    figure.draw_without_rendering()
    box = scale.get_position().transformed(figure.transFigure + axes.transAxes.inverted())
    assert_allclose(box.bounds, (1.04, 0, 0.05, 1), atol=1e-6)
    assert {label.get_fontsize() for label in scale.get_yticklabels()} == {8}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("axis 0 by\naxis 1", "axis 2")
    assert shown(panels(pictured(drawn, shape=(3,)))[0])[0].shape == (1, 3)
    assert shown(panels(pictured(drawn, shape=()))[0])[0].shape == (1, 1)


def test_the_ticks_are_whole_numbers_and_few(drawn):
    axes = panels(pictured(drawn, shape=(30, 3)))[0]
    panels(drawn[-1])[0].figure.draw_without_rendering()
    rows = [t for t in axes.get_yticks() if 0 <= t <= 29]
    assert 3 <= len(rows) <= 7 and all(t == round(t) for t in axes.get_xticks())
    axes = panels(pictured(drawn, shape=(3,)))[0]
    assert not axes.get_yticks().size
    tick = axes.xaxis.get_major_formatter()
    assert [tick(place, 0) for place in (-1, -0.4, 0, 1.4, 2, 3)] == ["", "0", "0", "1", "2", ""]
    assert not panels(pictured(drawn, shape=()))[0].get_xticks().size


def test_zeros_and_nothing_are_drawn_too(drawn):
    assert shown(panels(pictured(drawn, off=-1.0))[0])[1] == (-1, 1)
    axes = panels(pictured(drawn, shape=(0, 3)))[0]
    assert [(t.get_text(), t.get_position(), t.get_ha(), t.get_va()) for t in axes.texts] == [
        ("empty", (0.5, 0.5), "center", "center")
    ]
    assert not axes.axison and not axes.images


def test_what_cannot_be_drawn_is_said():
    report = Report("f", "numpy", "float64", 1, findings=[FINDING])
    with pytest.raises(ValueError, match="expected gradients to draw; got none; input 0: factor: twice"):
        report.plot("")
