"""For tests of your own operations and layers: one assertion, one fixture, strategies for inputs.

    from minigrad.testing import arrays_for, assert_gradients, sealed_generator  # in conftest.py or the test

    @given(arrays_for("btc", "c", "c"))
    def test_my_norm_has_the_right_gradient(inputs):
        assert_gradients(my_norm, *inputs)

    def test_my_dropout_repeats_itself(sealed_generator):
        ...

Importing this module needs pytest and hypothesis: pip install -e ".[test]"
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad import random
from minigrad.check.gradcheck import gradcheck
from minigrad.errors import type_error, value_error
from minigrad.random import Generator

try:
    import pytest
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'minigrad.testing needs {error.name}; install it with: pip install -e ".[test]"'
    ) from None

VALUES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 2.0, shape),
    "unit": lambda rng, shape: rng.uniform(-0.9, 0.9, shape),
    "kinks": lambda rng, shape: np.where(rng.random(shape) < 0.3, 0.0, rng.standard_normal(shape)),
}


def assert_gradients(fn: Any, *inputs: Any, orders: tuple[int, ...] = (1,), **options: Any) -> None:
    """Fail, with the whole report, unless the gradients of `fn` at `inputs` are right; see `gradcheck`.

    Raises    GradientError (an AssertionError)
    """
    for order in orders:
        gradcheck(fn, inputs, order=order, **options)


@pytest.fixture
def sealed_generator() -> Iterator[Generator]:
    """The default generator of this test, seeded with 0; whatever is drawn, other tests do not notice."""
    with random.using(Generator(0)) as generator:
        yield generator


def arrays_for(
    *shapes: str, dtype: Any = np.float64, lengths: tuple[int, int] = (1, 5), values: str = "normal"
) -> st.SearchStrategy[tuple[np.ndarray, ...]]:
    """Return the strategy that draws a tuple of arrays whose axes are named by letters: "btc" and "c" share their last length.

    Only lengths and one seed are drawn, so that a failure shrinks to small shapes. `values` is
    "normal", "positive" (0.5..2), "unit" (within +-0.9) or "kinks" (normal, and 0 in three of ten).

    Shapes    one per string; "1" is an axis of length 1, "" a single number
    Raises    TypeError or ValueError for shapes that are no strings, or unknown values or lengths.
    """
    for shape in shapes:
        if not isinstance(shape, str):
            raise type_error("arrays_for", 'axes named by letters, like "btc"', f"{shape!r:.60}")
    if values not in VALUES:
        raise value_error("arrays_for", f"values among {', '.join(VALUES)}", repr(values))
    if not isinstance(lengths, tuple) or len(lengths) != 2 or not 0 <= lengths[0] <= lengths[1]:
        raise value_error("arrays_for", "lengths as a pair (least, most)", lengths)
    return _arrays(shapes, dtype, lengths, VALUES[values])


@st.composite
def _arrays(
    draw: Any, shapes: tuple[str, ...], dtype: Any, lengths: tuple[int, int], fill: Callable
) -> tuple[np.ndarray, ...]:
    """Draw the lengths and the seed; return the arrays."""
    letters = sorted({*"".join(shapes)} - {"1"})
    drawn = {letter: draw(st.integers(*lengths)) for letter in letters}
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shaped = [tuple(drawn.get(letter, 1) for letter in shape) for shape in shapes]
    return tuple(np.asarray(fill(rng, shape), dtype) for shape in shaped)
