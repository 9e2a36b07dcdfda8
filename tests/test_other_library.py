"""What needs no gradient, on another array library than NumPy: the same values, and nothing goes through the host.

Runs on a stand-in for CuPy everywhere, and on CuPy itself where a GPU is.
"""

import importlib.util

import numpy as np
import pytest

import minigrad as mg
import nn
from nn import functional as F
from tests.support import foreign

RNG = np.random.default_rng(0)
FLOATS, INTEGERS = RNG.standard_normal((3, 4)).astype(np.float32), RNG.integers(0, 3, (3, 4))
MASK = FLOATS > 0


def written(f, i, m):
    f = f.clone()
    row = f[0]
    f += 1
    row *= 2
    f[f > 1] = 0
    f[0, 1] += 5
    f[:, i[0, :2]] = -1
    return f, row


def learned(f, i, m):
    w = f.clone().requires_grad_()
    y = w * 2
    y[0] = 3.0
    y += 1
    (y * y).sum().backward()
    w.grad *= 0.5
    w.data -= 0.1 * w.grad
    return w.grad, w.detach()


def stale(f, i, m):
    w, x = f.clone().requires_grad_(), f.clone()
    loss = (w * x).sum()
    x += 1
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        loss.backward()
    return x


def trained(f, i, m):
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3)).to(f.device)
    optimizer = nn.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        loss = F.cross_entropy(model(f), i[:, 0])
        optimizer.zero_grad()
        loss.backward()
        nn.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
    return losses


STORIES = {
    "comparisons": lambda f, i, m: (f > 0, i == 1, f <= f.mean(), i != f),
    "promotion": lambda f, i, m: (i * f, i * 2 - 1, i / 2, 2 - f, m + i),
    "indexing": lambda f, i, m: (f[m], f[i[0, :3]], f[1], f[:, i[0]], f[..., None]),
    "places": lambda f, i, m: (f.argmax(1), f.argmin(), *f.max(1), *f.min(0, keepdim=True)),
    "questions": lambda f, i, m: (m.any(), m.all(0), ~m, m & (f < 1), i ^ 1),
    "sums": lambda f, i, m: (m.sum(), i.sum(0), i.cumsum(1), i.prod(), f.var(1)),
    "choices": lambda f, i, m: (f.gather(1, i), f.tril(), f.masked_fill(m, 7.0)),
    "other dtypes": lambda f, i, m: (f.long(), i.float(), m.int(), f.double(), f.clone()),
    "like": lambda f, i, m: (mg.zeros_like(f), mg.ones_like(i), mg.full_like(f, 2.5)),
    "sigmoid": lambda f, i, m: (f * 30).sigmoid(),
    "written": written,
    "learned": learned,
    "stale": stale,
    "trained": trained,
}


def arrays(found):
    """Every array in what a story returns, on the host."""
    parts = found if isinstance(found, (tuple, list)) else (found,)
    return [part.array if isinstance(part.array, np.ndarray) else part.array.get() for part in parts]


@pytest.mark.parametrize("library", ["stand-in", *(["cupy"] if importlib.util.find_spec("cupy") else [])])
@pytest.mark.parametrize("name", STORIES)
def test_the_engine_says_the_same_on_another_array_library(name, library):
    expected = arrays(STORIES[name](*(mg.tensor(a) for a in (FLOATS, INTEGERS, MASK))))
    with pytest.MonkeyPatch.context() as patch:
        if library == "stand-in":
            foreign.install(patch)
        inputs = [mg.tensor(a, device="cuda") for a in (FLOATS, INTEGERS, MASK)]
        found = STORIES[name](*inputs)
        assert all(x.device.type == "cuda" for x in inputs)
        for a, b in zip(arrays(found), expected, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
