"""torch.testing: the check that lessons end with."""

from typing import Any

import numpy as np

from minigrad.backend import to_numpy
from minigrad.methods import values_of

TOLERANCES = {"float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}  # (rtol, atol), PyTorch's


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_dtype: bool = True,
    msg: Any = None,
    **options: Any,
) -> None:
    """Raise AssertionError unless |actual - expected| <= atol + rtol |expected| and shapes and dtypes are equal.

    The tolerances of a type are PyTorch's; two types take the larger. Lists and dicts are compared item by item.
    """
    if isinstance(actual, (list, tuple, dict)):
        keys = list(actual) if isinstance(actual, dict) else range(len(actual))
        if type(actual) is not type(expected) or len(actual) != len(expected):
            raise AssertionError(
                msg or f"assert_close: expected {type(expected).__name__} of {len(expected)}"
            )
        settings = dict(rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype, msg=msg)
        for key in keys:
            assert_close(actual[key], expected[key], **settings)
        return
    a, b = (np.asarray(to_numpy(x) if hasattr(x, "shape") else x) for x in map(values_of, (actual, expected)))
    if a.shape != b.shape or (check_dtype and a.dtype != b.dtype):
        raise AssertionError(msg or f"assert_close: expected {b.dtype} {b.shape}; got {a.dtype} {a.shape}")
    pairs = [TOLERANCES.get(str(x.dtype), (0.0, 0.0)) for x in (a, b)]
    rtol = max(pair[0] for pair in pairs) if rtol is None else rtol
    atol = max(pair[1] for pair in pairs) if atol is None else atol
    far = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if far.any():
        worst = np.abs(np.subtract(a, b, dtype=np.float64))[far].max()
        text = (
            f"Tensor-likes are not close!\n\nMismatched elements: {far.sum()} / {far.size}; largest {worst}"
        )
        raise AssertionError(msg or text)
