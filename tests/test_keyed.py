"""Masks belong to a seed, a step, a batch, a place and a row, whoever draws them; and they are random."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad
from minigrad.random import Generator, Keyed, keyed, using
from nn.functional.dropout import keep_mask

SHAPES = [(7, 3, 5), (7, 2, 4, 4), (7, 1), (7,), (7, 100, 400), (7, 0)]  # the fifth: rows longer than a block
NO_ROWS = [(), (9,), (8, 2)]  # a first axis as long as a share would pass for its rows


def forward(masks, rows, p=0.3):
    """The masks of a forward pass over so many rows."""
    shapes = [(rows, *shape[1:]) for shape in SHAPES]
    return [masks.keep_mask(p, shape) for pair in zip(shapes, itertools.cycle(NO_ROWS)) for shape in pair]


@given(st.sets(st.integers(1, 6), max_size=4), st.randoms())
def test_who_has_some_rows_draws_the_masks_of_who_has_all(cuts, order):
    whole = forward(Keyed(5).at(3, 1, 0, 7, 7), 7)
    shares = list(itertools.pairwise([0, *sorted(cuts), 7]))
    order.shuffle(shares)  # one generator or several, in any order
    masks = Keyed(5)
    for first, end in shares:
        mine = forward(masks.at(3, 1, first, end - first, 7), end - first)
        for part, all_rows in zip(mine[::2], whole[::2]):
            np.testing.assert_array_equal(part, all_rows[first:end])
        for part, alike in zip(mine[1::2], whole[1::2]):
            np.testing.assert_array_equal(part, alike)


def test_the_words_of_a_batch_are_where_the_docstring_says():
    for seed, step, batch, row in ((5, 0, 0, 0), (5, 3, 2, 1), (6, 2**33, 1, 2)):
        bits = np.random.PCG64DXSM(seed)
        bits.advance(
            (keyed.STRIDE * (batch + keyed.MANY * step) + 2 * row) % 2**128
        )  # rows of 5 elements: 2 words
        kept = bits.random_raw(2).view(np.uint16)[:5] >= round(0.3 * 2**16)
        np.testing.assert_array_equal(Keyed(seed).at(step, batch, row, 1, 7).keep_mask(0.3, (1, 5))[0], kept)


def test_a_probability_of_0_or_1_draws_nothing_and_a_wrong_one_leaves_all_as_it_was():
    masks, other = Keyed(1).at(2, 0, 0, 4, 4), Keyed(1).at(2, 0, 0, 4, 4)
    assert masks.keep_mask(0, (4, 9)).all() and not masks.keep_mask(1.0, (4, 9)).any()
    for wrong in ((-0.1, (4, 9)), (0.1, (4, -9))):
        with pytest.raises(ValueError, match="keep_mask: expected"):
            masks.keep_mask(*wrong)
    np.testing.assert_array_equal(masks.keep_mask(0.5, (4, 9)), other.keep_mask(0.5, (4, 9)))


def test_dropout_asks_it_inside_using_whatever_the_order_in_memory():
    x = np.zeros((4, 3, 5), np.float32)
    with using(Keyed(1).at(0, 0, 0, 4, 4)):
        mask = keep_mask(x, 0.5)
    np.testing.assert_array_equal(mask, Keyed(1).at(0, 0, 0, 4, 4).keep_mask(0.5, (4, 3, 5)))
    with (
        using(Keyed(1)),
        pytest.raises(RuntimeError, match="^random: expected masks of dropout alone in a batch"),
    ):
        minigrad.randn(2)


def test_every_other_draw_of_a_generator_is_refused():
    offered = {name for name in dir(Generator) if not name.startswith("_")} - {"keep_mask", "manual_seed"}
    for name in offered:
        with pytest.raises(
            RuntimeError, match="got another draw; draw it before, and pass it with the batch"
        ):
            getattr(Keyed(1), name)(2)


# ---- are they random? ----

WIDE = (8, 5000)  # rows, and elements of each


def draws(count=6, p=0.3):
    """Float masks by key: (seed, step, batch, place, row) -> (5000,), for a few of each."""
    found = {}
    for seed, step, batch in itertools.product((0, 1), (0, 1, 2, 2**20), (0, 1)):
        masks = Keyed(seed).at(step, batch, 0, 8, 8)
        for place in range(count):
            for row, mask in enumerate(masks.keep_mask(p, WIDE)):
                found[seed, step, batch, place, row] = (mask - (1 - p)) / math.sqrt(p * (1 - p))
    return found


def test_masks_keep_what_they_should_and_no_two_are_alike_or_resemble_each_other():
    found = np.array(list(draws().values()))
    n = found.shape[1]
    assert abs(found.mean()) * math.sqrt(found.size) < 4
    together = np.abs(found @ found.T / n - np.eye(len(found)))
    pairs = len(found) * (len(found) - 1) / 2
    limit = math.sqrt(
        2 * math.log(2 * pairs) / n
    )  # what the largest of so many independent correlations is about
    assert np.abs(together[~np.eye(len(found), dtype=bool)]).max() < 1.15 * limit
    rms = math.sqrt((together[~np.eye(len(found), dtype=bool)] ** 2).mean())
    assert rms == pytest.approx(1 / math.sqrt(n), rel=0.01)
    assert np.abs(np.diag(together)).max() < 6 * 0.88 / math.sqrt(n)  # var of x^2 at p = 0.3 is 0.88^2


@pytest.mark.parametrize("shift", [1, 2, 4, 1024])
def test_neighbours_in_a_row_are_independent(shift):
    every = [x[:-shift] @ x[shift:] / math.sqrt(len(x) - shift) for x in draws(2).values()]
    assert abs(np.mean(every)) * math.sqrt(len(every)) < 4 and np.std(every) == pytest.approx(1, rel=0.2)


def test_words_of_steps_far_apart_share_no_bits():
    """The place where a generator of this kind is weak: words at distances with many factors of two."""
    steps = [0, *(2**k for k in range(0, 31, 3))]
    words = [(Keyed(0).at(step).keep_mask(0.5, 200_000)) for step in steps]
    for one, other in itertools.combinations(words, 2):
        assert abs((one ^ other).mean() - 0.5) < 5 * 0.5 / math.sqrt(200_000)


def test_no_two_batches_of_long_runs_come_near_each_other():
    """The places where they begin, in a stream of 2**128 words; a batch draws fewer than 2**40."""
    steps = [*range(40), *(2**k + d for k in range(6, 40) for d in (-1, 0, 1))]
    batches = [0, 1, 2, 64, 1023, keyed.MANY - 1]
    begins = {keyed.STRIDE * (b + keyed.MANY * s) % keyed.PERIOD for s in steps for b in batches}
    ordered = sorted(begins)
    assert len(begins) == len(set(steps)) * len(batches)
    assert min((b - a) % keyed.PERIOD for a, b in zip(ordered, [*ordered[1:], ordered[0]])) > 2**60
