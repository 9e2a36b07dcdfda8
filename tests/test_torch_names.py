"""The names that lessons use: each gives PyTorch's values, dtypes, shapes and gradients, as a function and as a method."""

import numpy as np
import pytest
import torch

from nn.torch_names.faces import face
from tests.support.named import Use, run
from tests.support.named_rows import REFUSED, ROWS

OURS = face("torch")
TOLERANCE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-11}


def assert_same(ours, theirs):
    assert [x[:2] for x in ours] == [x[:2] for x in theirs]
    for (*_, mine), (*_, their) in zip(ours, theirs):
        if isinstance(mine, str):
            assert mine == their
            continue
        close = TOLERANCE.get(their.dtype, 0)
        np.testing.assert_allclose(mine, their, close, close)


@pytest.mark.parametrize("row", ROWS)
def test_a_name_gives_what_pytorch_gives(row):
    use = Use.of(row)
    for dtype in use.dtypes:
        arrays = use.draw(dtype)
        grad = dtype in "fd"
        theirs, their_grads = run(torch, use.code, arrays, grad)
        for code in filter(None, (use.code, use.method)):
            ours, grads = run(OURS, code, arrays, grad)
            assert_same(ours, theirs)
            for letter, their in their_grads.items():
                mine = grads[letter]
                if their is None or mine is None:
                    assert (their is None or not their.any()) and (mine is None or not mine.any()), letter
                    continue
                close = 10 * TOLERANCE[their.dtype]
                np.testing.assert_allclose(mine, their, close, close, err_msg=f"gradient of {letter}")
        plain, _ = run(OURS, use.code, arrays, False)
        assert_same(plain, theirs)


@pytest.mark.parametrize("row", REFUSED)
def test_what_pytorch_refuses_is_refused(row):
    use = Use.of(row)
    for dtype in use.dtypes:
        arrays = use.draw(dtype)
        for library in (torch, OURS):
            with pytest.raises((ValueError, TypeError, IndexError, RuntimeError)):
                run(library, use.code, arrays, False)
