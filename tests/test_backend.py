"""What stands below the operations: sums of rows, blocks of rows, the error function, and memory."""

import math
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad import backend
from tests.support import foreign

ROOT = Path(__file__).parents[1]
SHAPES = [(3,), (1,), (2, 3), (2, 3, 4), (2, 1), (0, 3), (3, 0), (2, 0, 3)]


def numbers(shape, dtype=np.float64):
    return np.random.default_rng([7, *shape]).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_and_means_are_those_of_the_last_axis(shape):
    x = numbers(shape)
    np.testing.assert_allclose(backend.sum_rows(x), x.sum(-1), rtol=1e-12, atol=1e-12)
    means = x.sum(-1) / max(shape[-1], 1)  # of nothing 0, where NumPy's is NaN
    np.testing.assert_allclose(backend.mean_rows(x), means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(backend.dot_rows(x, x[::-1]), (x * x[::-1]).sum(-1), rtol=1e-12, atol=1e-12)
    if x.size:
        columns = x.reshape(-1, shape[-1]).sum(0)
        np.testing.assert_allclose(backend.sum_columns(x), columns, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", range(backend.FEW + 2))
@pytest.mark.parametrize("width", [0, 1, 5])
def test_a_product_with_rows_is_the_matrix_product_for_few_and_for_many(rows, width):
    x, w = numbers((rows, width)), numbers((3, width))
    for a, b in ((x, w), (x.T.copy().T, w.T.copy().T), (numbers((rows, 2 * width))[:, ::2], w[::-1])):
        np.testing.assert_allclose(backend.times_rows(a, b), a @ b.T, rtol=1e-12, atol=1e-12)


def test_a_product_of_few_rows_is_made_without_a_copy_of_the_matrix_and_elsewhere_by_the_library(monkeypatch):
    x, w = numbers((backend.FEW, 5)), numbers((3, 5))
    monkeypatch.setattr(np, "vecdot", lambda a, b: ("dot products", a is w, np.shares_memory(b, x)))
    assert backend.times_rows(x, w) == ("dot products", True, True)
    assert backend.times_rows(numbers((backend.FEW + 1, 5)), w).shape == (backend.FEW + 1, 3)
    cupy = foreign.install(monkeypatch)
    assert backend.times_rows(cupy.asarray(x), cupy.asarray(w)).shape == (backend.FEW, 3)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_finite_maximum_is_the_maximum_but_where_there_is_none(shape):
    x = numbers(shape)
    x[x < -1] = -np.inf
    for axis in range(-x.ndim, x.ndim):
        wanted = x.max(axis, keepdims=True, initial=-np.inf)
        wanted[wanted == -np.inf] = 0.0 if not shape[axis] else np.finfo(float).min
        np.testing.assert_array_equal(backend.finite_max(x, axis), wanted)
    np.testing.assert_array_equal(backend.finite_max(x), backend.finite_max(x, -1))
    assert backend.finite_max(np.array([1.0, np.inf])) == np.inf


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1000, 64), (3, 100_000), (0, 3), (3, 0)], ids=str)
def test_blocks_of_rows_fill_the_cache_and_are_all_of_them(shape, monkeypatch):
    x = np.zeros(shape, np.float32)
    blocks = [range(shape[0])[part] for part in backend.row_blocks(x)]
    assert [row for block in blocks for row in block] == list(range(shape[0]))
    for block in blocks:
        assert len(block) == 1 or x[block.start : block.stop].nbytes <= backend.CACHE_BYTES
    for block in blocks[:-1]:
        assert x[block.start : block.stop + 1].nbytes > backend.CACHE_BYTES  # one row more does not fit
    there = foreign.install(monkeypatch).asarray(x)
    assert [range(shape[0])[part] for part in backend.row_blocks(there)] == [range(shape[0])][: shape[0]]


@pytest.mark.parametrize("scipy", [True, False])
def test_the_error_function_is_that_of_the_c_library_with_and_without_scipy(scipy, monkeypatch):
    if not scipy:
        monkeypatch.setitem(sys.modules, "scipy.special", None)
    backend._erf.cache_clear()
    x = np.linspace(-3.0, 3.0, 24).reshape(2, 3, 4)
    wanted = np.array([math.erf(value) for value in x.flat]).reshape(x.shape)
    np.testing.assert_allclose(backend.erf(x), wanted, rtol=1e-15, atol=1e-16)
    assert backend.erf(x.astype(np.float32)).dtype == np.float32
    assert backend.erf(np.zeros((0, 2))).shape == (0, 2)
    backend._erf.cache_clear()


FAULTS = """
import resource, sys, threading
import numpy as np
from minigrad.memory import reuse_memory

def faults():
    def several():
        return [np.ones(1 << 21) for _ in range(4)]  # 16 MiB each
    several()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        several()
    found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

found = []
done = sys.argv[1] == "kept" and reuse_memory()
faults()
thread = threading.Thread(target=faults)
thread.start(), thread.join()
print(done, *found)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to keep memory")
def test_kept_memory_needs_hardly_a_page_fault_in_any_thread():
    words = {}
    for name in ("as usual", "kept"):
        done = subprocess.run([sys.executable, "-c", FAULTS, name], cwd=ROOT, capture_output=True, check=True)
        words[name] = done.stdout.decode().split()
    (asked, *few), (_, *many) = words["kept"], words["as usual"]
    assert asked == "True" and all(100 * int(a) < int(b) for a, b in zip(few, many)), words
