"""The order that PyTorch's CPU gives to equal values, in topk, sort and multinomial."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minigrad.random import Generator
from minigrad.random.ties import RADIX, sort_order, topk_order


def killer(n):
    """Musser's sequence of n numbers, on which a median of three is always a poor pivot."""
    half, x = n // 2, np.zeros(n, int)
    for i in range(1, half + 1):
        if i % 2:
            x[i - 1], x[i] = i, half + i
        x[half + i - 1] = 2 * i
    return x


SHAPES = {
    "random": lambda n, m, rng: rng.integers(0, m + 1, n),
    "rising": lambda n, m, rng: np.arange(n) * m // n,
    "falling": lambda n, m, rng: np.arange(n)[::-1] * m // n,
    "up and down": lambda n, m, rng: np.abs(np.arange(n) - n // 2) * m // n,
    "mostly zero": lambda n, m, rng: rng.integers(0, m + 1, n) * (rng.random(n) < 0.1),
    "hard to halve": lambda n, m, rng: killer(n) // 2,
    "nearly distinct": lambda n, m, rng: rng.permutation(n) // (1 + (rng.permutation(n) < 3)),
}


@st.composite
def rows(draw):
    """A row of some dtype, with ties and perhaps NaN."""
    n = draw(st.integers(1, 40) | st.integers(1, 600) | st.integers(600, 5000))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.sampled_from(sorted(SHAPES)))
    x = SHAPES[shape](n, draw(st.sampled_from((1, 2, 10, 100, n))), rng)
    x = x.astype(draw(st.sampled_from(("float32", "float64", "int64", "int32", "uint8", "int8"))))
    if x.dtype.kind == "f" and draw(st.booleans()):
        x[rng.random(n) < 0.1] = np.nan
    return x


@given(row=rows(), at=st.floats(0, 1), largest=st.booleans(), ordered=st.booleans())
def test_topk_is_pytorchs(row, at, largest, ordered):
    n = row.size
    for k in {0, 1, n, int(at * n), n // 64, min(n, n // 64 + 1)}:
        theirs = torch.topk(torch.from_numpy(row), k, largest=largest, sorted=ordered).indices
        ours = topk_order(row, k, largest, ordered)
        assert ours.dtype == np.int64
        np.testing.assert_array_equal(ours, theirs)


@given(row=rows(), descending=st.booleans(), stable=st.booleans())
def test_sort_is_pytorchs(row, descending, stable):
    theirs = torch.sort(torch.from_numpy(row), descending=descending, stable=stable).indices
    np.testing.assert_array_equal(sort_order(row, descending, stable), theirs)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_that_divide_badly_go_over_to_a_heap_where_pytorchs_do(shape, descending):
    for n in range(60, 1000, 37):
        x = np.asarray(SHAPES[shape](n, n, np.random.default_rng(n)))
        theirs = torch.sort(torch.from_numpy(x), descending=descending).indices
        np.testing.assert_array_equal(sort_order(x, descending), theirs)
        for k in (n // 3, n // 2, n - 1):
            theirs = torch.topk(torch.from_numpy(x), k, largest=descending, sorted=False).indices
            np.testing.assert_array_equal(topk_order(x, k, descending, False), theirs)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
@pytest.mark.parametrize("n", [RADIX - 1, RADIX])
@pytest.mark.parametrize("rows", [(), (2,)])
def test_long_rows_of_whole_numbers_are_sorted_by_their_digits(dtype, n, rows):
    x = np.random.default_rng(0).integers(0, 100, (*rows, n)).astype(dtype)
    for descending in (False, True):
        theirs = torch.sort(torch.from_numpy(x), descending=descending).indices
        np.testing.assert_array_equal(sort_order(x, descending), theirs)


def test_rows_are_ordered_one_by_one():
    x = np.random.default_rng(0).integers(0, 5, (3, 4, 70)).astype(np.float32)
    np.testing.assert_array_equal(topk_order(x, 20), torch.topk(torch.from_numpy(x), 20).indices)
    np.testing.assert_array_equal(sort_order(x), torch.sort(torch.from_numpy(x)).indices)
    assert topk_order(x, 0).shape == (3, 4, 0) and sort_order(x[:0]).shape == (0, 4, 70)
    assert sort_order(x[..., :0]).shape == topk_order(x[..., :0], 0).shape == (3, 4, 0)


# ---- where multinomial meets them ----


def test_equal_quotients_are_drawn_in_pytorchs_order():
    assert Generator(32993).multinomial(np.ones(64, np.float32), 64)[44:48].tolist() == [11, 46, 32, 20]


@given(
    seed=st.integers(0, 2**64 - 1),
    n=st.integers(1, 100) | st.integers(1, 5000),
    at=st.floats(0, 1),
    weights=st.sampled_from(("equal", "few", "zeros", "any")),
    dtype=st.sampled_from(("float32", "float64")),
)
def test_multinomial_without_replacement_is_pytorchs(seed, n, at, weights, dtype):
    rng = np.random.default_rng(seed)
    p = {
        "equal": np.ones(n),
        "few": rng.integers(1, 4, n),
        "zeros": rng.integers(0, 2, n),
        "any": rng.random(n),
    }[weights].astype(dtype)
    p[0] = 1
    k = max(1, int(at * np.count_nonzero(p)))
    g, t = Generator(seed), torch.Generator().manual_seed(seed)
    theirs = torch.multinomial(torch.from_numpy(p), k, generator=t)
    np.testing.assert_array_equal(g.multinomial(p, k), theirs)
    np.testing.assert_array_equal(g.get_state(), t.get_state())
