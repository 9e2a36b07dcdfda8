"""The names that lessons use: each gives PyTorch's values, dtypes, shapes and gradients, as a function and as a method."""

import re

import numpy as np
import pytest
import torch

from minigrad import from_numpy
from nn.torch_names.faces import face
from tests.support.named import Names, Use, described, flat, run
from tests.support.named_limits import BEYOND, FURTHER
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


@pytest.mark.parametrize("row", [*ROWS, *FURTHER])
@pytest.mark.filterwarnings(
    r"ignore:torch\.\w+ is deprecated in favor of", "ignore:The reduce argument of torch.scatter"
)
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
                assert mine.dtype == their.dtype and mine.shape == their.shape
                close = 10 * TOLERANCE[their.dtype]
                np.testing.assert_allclose(mine, their, close, close, err_msg=f"gradient of {letter}")
        plain, _ = run(OURS, use.code, arrays, False)
        assert_same(plain, theirs)


MADE_OF = {  # what a name is made of says what is wrong with its arguments
    "addmm": "broadcast_to", "cat": "concatenate", "dot": "matmul", "expand_as": "expand", "fliplr": "flip",
    "logspace": "linspace", "matrix_power": "inv", "max": "argmax", "mm": "matmul", "new_zeros": "zeros",
    "norm": "linalg.norm|sum", "scatter_add": "getitem", "select": "getitem", "unflatten": "reshape",
    "vector_norm": "norm",
}  # fmt: skip


@pytest.mark.parametrize("row", [*REFUSED, *BEYOND])
def test_what_pytorch_refuses_is_refused_by_name(row):
    use = Use.of(row)
    name = re.match(r"(?:\w+\.)*(\w+)\(", use.code)[1]
    line = rf"^({name}|{MADE_OF.get(name, name)}): .*expected .+; got "
    for dtype in use.dtypes:
        arrays = use.draw(dtype)
        for library, match in ((torch, None), (OURS, line)):
            with pytest.raises((ValueError, TypeError, IndexError, RuntimeError), match=match):
                run(library, use.code, arrays, False)


# --- edges: every row again, with Tensors of other layouts, dtypes and sizes ---


def transposed(make, letter, x):
    """The same numbers, not side by side in memory."""
    if x.ndim < 2:
        return make(np.repeat(x, 2))[::2]
    return make(np.ascontiguousarray(x.T)).permute(*range(x.ndim)[::-1])


def of_int32(make, letter, x):
    return make((np.abs(x) * 3 + (letter in "np")).astype(np.int32) if letter not in "ijmus" else x.copy())


def single(make, letter, x):
    """One number without an axis."""
    return make(np.array(x.reshape(-1)[0] * (letter not in "ij")))


def no_rows(make, letter, x):
    return make(x[:0].copy())


def no_columns(make, letter, x):
    return make(x[..., :0].copy())


def with_nan(make, letter, x):
    x = x.copy()
    if x.dtype.kind == "f" and x.size > 2:
        x.reshape(-1)[1:3] = np.nan, np.inf
    return make(x)


KNOWN = {  # what differs, and why that is left so
    transposed: {
        "x.view": "NumPy copies where PyTorch refuses to",
        "take_along_dim(x, i)": "PyTorch stumbles over its own view",
        "kron": "PyTorch stumbles over its own view",
    },
    of_int32: {
        "addcmul": "value=0.5 of integers is 0 in PyTorch",
        "addmm": "beta=0.5 of integers is 0 in PyTorch",
        "einsum": "PyTorch's sums of int32 alone are int64",
    },
    single: {
        "max(x, dim=0, keepdim=True)": "(1,) in place of ()",
        "x.H": "needs two axes here",
        "index_add": "needs an axis here",
        "index_copy": "needs an axis here",
        "torch.linalg.norm(x, ord=1)": "a number is a vector here",
    },
    no_rows: {
        "logsumexp": "a maximum of nothing",
        "bincount": "float32 with weights, PyTorch's int64",
        "torch.linalg.norm": "a maximum of nothing",
    },
    with_nan: {
        "sign": "NaN has no sign; PyTorch's is 0",
        "mode": "which of several is chosen depends on PyTorch's order",
        "quantile(x, torch": "an interpolation with an infinity",
        "unique(e.detach(), dim=0)": "the order of rows with NaN",
        "searchsorted": "where NaN is put",
        "bucketize": "where NaN is put",
        "torch.linalg": "LAPACK is not told what NaN does",
    },
}
KNOWN[no_columns] = KNOWN[no_rows] | {"unique(e.detach(), dim=0)": "PyTorch refuses rows of no columns"}


def results(library, use, change):
    """What the row gives, or None where it raises."""
    make = torch.from_numpy if library is torch else from_numpy
    tensors = {letter: change(make, letter, x) for letter, x in use.draw("f").items()}
    try:
        with np.errstate(all="ignore"):
            return [described(x) for x in flat(eval(use.code, {}, Names(tensors | {"torch": library})))]
    except (ValueError, TypeError, IndexError, RuntimeError, ArithmeticError, np.linalg.LinAlgError):
        return None


def differ(ours, theirs):
    if ours is None or theirs is None:
        return ours is not theirs
    if [x[:2] for x in ours] != [x[:2] for x in theirs]:
        return True
    pairs = [(a[2], b[2]) for a, b in zip(ours, theirs)]
    return not all(
        a == b if isinstance(a, str) else np.allclose(a, b, 1e-5, 1e-5, equal_nan=True) for a, b in pairs
    )


@pytest.mark.parametrize("change", KNOWN, ids=lambda change: change.__name__)
@pytest.mark.filterwarnings("ignore")  # of PyTorch, and of NumPy for what is empty or NaN
def test_edges_are_pytorchs(change):
    wrong = []
    for row in ROWS:
        use = Use.of(row)
        if use.tensors and not use.code.startswith(tuple(KNOWN[change])):
            if differ(results(OURS, use, change), results(torch, use, change)):
                wrong.append(row)
    assert wrong == []
