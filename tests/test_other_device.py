"""The engine on another array library: what works on the CPU works there, stays there, and has the same dtype."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.backend import to_numpy
from minigrad.tensor import wrap
from tests.support import foreign

FLOATS = np.linspace(-2.0, 3.0, 12).reshape(3, 4).astype(np.float32)
WHOLE = np.array([[3, -1, 2, 0], [5, 5, -4, 1], [0, 2, 2, 7]])


def written(x, write):
    """Return a copy of x, without its history, after a write into it."""
    y = x.detach().clone()
    write(y)
    return y


def kept(y, write):
    write(y)
    return y


USES = {
    "promotion": lambda x, i: (
        x + i,
        i * 2,
        i / 2,
        i + 1.5,
        x.double() * x,
        i == 2,
        i * (x > 0),
        x ** i.abs(),
    ),
    "lists beside a Tensor": lambda x, i: (x + [1, 2, 3, 4], x @ [1.0, 2.0, 3.0, 4.0], i * [0.5, 1, 2, 3]),
    "comparisons": lambda x, i: (x < i, x >= 0, i != i.T.mT if i.ndim == 2 else i, x > [0, 1, 2, 3], 2 < i),
    "bits": lambda x, i: (~i, i & 3, i | 1, i ^ i, (x > 0) & (i > 0), ~(x > 0), i << 1, i >> 1),
    "reductions": lambda x, i: (x.sum(), i.sum(0), x.mean(1, keepdim=True), x.var(), x.std(0), i.prod(1)),
    "extremes": lambda x, i: (x.max(), *x.max(1), *i.min(0), x.amax(0), i.amin((0, 1)), x.max(x * -1)),
    "places": lambda x, i: (x.argmax(), i.argmin(1), x.argmax(0, keepdim=True), x.argmax(axis=-1)),
    "questions": lambda x, i: (x.any(), (i > 0).all(1), i.any(0, keepdim=True), i.to(mg.uint8).all()),
    "parts": lambda x, i: (x[0], x[:, [0, 2]], x[i > 0], x[i[0].abs() % 3], *x.split(2, 1), x[..., None]),
    "gather": lambda x, i: (x.gather(1, i.abs() % 4), i.gather(0, (i > 0).long())),
    "triangles": lambda x, i: (x.tril(), i.triu(1), x.masked_fill(i > 0, 7.0), i.masked_fill(x > 0, 1)),
    "shapes": lambda x, i: (
        x.flatten(),
        x.T,
        i.mT,
        x.unsqueeze(1).expand(3, 2, 4),
        x.reshape(2, -1).squeeze(0),
    ),
    "dtypes": lambda x, i: (x.long(), i.float(), x.bool(), i.int(), i.to(mg.float64), x.clone(), i.clone()),
    "clips": lambda x, i: (
        x.clip(-1, 1),
        i.clip(0),
        i.clamp(max=2.5),
        x.relu(),
        abs(i),
        x.isnan(),
        x.isfinite(),
    ),
    "floats of integers": lambda x, i: (
        i.exp(),
        i.sigmoid(),
        i.logsumexp(0),
        i.tanh(),
        i.mean(dtype=mg.float32),
    ),
    "running sums": lambda x, i: (x.cumsum(1), i.cumsum(0)),
    "joins": lambda x, i: (mg.concatenate([x, i]), mg.stack([i, i > 0]), mg.where(i > 0, x, 0.0)),
    "written elements": lambda x, i: written(x, lambda y: y.__setitem__((0, slice(1, 3)), 9.0)),
    "written with a history": lambda x, i: kept(x * 2, lambda y: y.__setitem__(i > 2, x[0, 0])),
    "written by a mask": lambda x, i: written(x, lambda y: y.__setitem__(i > 0, 0.5)),
    "written rows": lambda x, i: written(x, lambda y: y.__setitem__(i[0].abs() % 3, x[0])),
    "added in place": lambda x, i: written(i, lambda y: (y.__iadd__(2), y.add_(i), y.mul_(i > 0))),
    "filled": lambda x, i: (written(x, lambda y: y.fill_(2.5)), written(i, lambda y: y[0].zero_())),
    "copied into": lambda x, i: written(x, lambda y: (y.copy_(i), y[1].copy_(x.detach()[0]))),
    "data": lambda x, i: written(x, lambda y: setattr(y, "data", x.detach() * 2)),
    "alike": lambda x, i: (
        mg.zeros_like(x),
        mg.ones_like(i),
        mg.full_like(i, 3),
        mg.tensor(x),
        mg.as_tensor(i),
    ),
    "a write seen through a view": lambda x, i: written(x, lambda y: y[0].add_(i[1])),
}


def outcome(use, library, device):
    """Return (dtype, array on the host) of each result, with gradients where x collects one."""
    results = []
    for wants in (False, True):
        x = wrap(library.asarray(FLOATS.copy()), requires_grad=wants)
        found = use(x, wrap(library.asarray(WHOLE.copy())))
        found = [y for y in (found if isinstance(found, tuple) else (found,))]
        assert [y.device.type for y in found] == [device] * len(found)
        results += [(y.dtype, to_numpy(y.array)) for y in found]
        losses = [y.sum() for y in found if y.requires_grad]
        if losses:
            sum(losses).backward()
            results.append((x.grad.dtype, to_numpy(x.grad.array)))
    return results


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_the_engine_computes_the_same_on_another_device(use, monkeypatch):
    cupy = foreign.install(monkeypatch)
    there, here = outcome(use, cupy, "cuda"), outcome(use, np, "cpu")
    assert len(there) == len(here)
    for (dtype, values), (other, expected) in zip(there, here):
        assert dtype == other
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_write_into_what_was_saved_is_noticed_on_every_device(monkeypatch, device):
    library = foreign.install(monkeypatch) if device == "cuda" else np
    x, w = wrap(library.asarray(FLOATS.copy())), wrap(library.asarray(FLOATS.copy()), requires_grad=True)
    y = (x * w).sum()
    x[0].add_(1.0)
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_memory_is_shared_on_every_device(monkeypatch, device):
    library = foreign.install(monkeypatch) if device == "cuda" else np
    array = library.asarray(FLOATS.copy())
    x = mg.as_tensor(array)
    x.data[0] = 5.0
    x.detach()[1] = 6.0
    assert x.array is array and (to_numpy(array)[:2] == [[5.0], [6.0]]).all()
    p = wrap(array, requires_grad=True)
    (p * 2.0).sum().backward()
    p.grad.zero_()
    assert (p.grad == 0).all() and not p._node.grad.any()
    p.grad = library.asarray(FLOATS.copy())
    assert p.grad.device.type == device


TRANSFORMS = {
    "grad": lambda x, v: mg.grad(scalar)(x),
    "a gradient of nothing": lambda x, v: mg.grad(lambda x: scalar(x.detach()))(x),
    "value_and_grad of two": lambda x, v: mg.value_and_grad(lambda x, v: scalar(x * v), (0, 1))(x, v)[1],
    "the gradient of a gradient": lambda x, v: mg.grad(lambda x: (mg.grad(scalar)(x) * v).sum())(x),
    "vjp": lambda x, v: mg.vjp(lambda x: x.tanh())(x)[1](v),
    "jvp": lambda x, v: mg.jvp(lambda x: x.tanh())(x, v),
    "hvp": lambda x, v: mg.hvp(scalar)(x, v),
    "jacobian": lambda x, v: mg.jacobian(lambda x: x.tanh() * x[0, 0])(x),
    "jacobian of nothing": lambda x, v: mg.jacobian(lambda x: x[:0])(x),
    "hessian": lambda x, v: mg.hessian(scalar)(x),
}


def scalar(x):
    return (x.exp() * x).sum()


@pytest.mark.parametrize("use", TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_compute_the_same_on_another_device(use, monkeypatch):
    cupy = foreign.install(monkeypatch)
    there, here = (
        use(*(library.asarray(a.copy()) for a in (FLOATS, FLOATS[::-1]))) for library in (cupy, np)
    )
    several = [(each if isinstance(each, tuple) else (each,)) for each in (there, here)]
    for a, b in zip(*several, strict=True):
        assert isinstance(a, cupy.ndarray)
        np.testing.assert_allclose(a.get(), b, rtol=1e-6)


def test_a_property_that_fails_says_its_own_error(monkeypatch):
    cupy = foreign.install(monkeypatch)
    monkeypatch.delattr(foreign.ForeignArray, "device")
    with pytest.raises(AttributeError, match="'ForeignArray' object has no attribute 'device'"):
        _ = wrap(cupy.asarray(FLOATS)).device
