"""What `gradcheck` prints and draws."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import nn
from minigrad.check.gradcheck import EXAMINED, gradcheck
from nn.functional.linear import linear
from tests.faults.planting import damaged

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
