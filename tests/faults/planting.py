"""How a fault is planted: an operation or layer with damage done to the gradients it returns."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import nn
from minigrad.tensor import Tensor, lift
from nn.check.catalogue import normal, positive
from nn.functional.gelu import gelu_tanh
from nn.functional.layer_norm import layer_norm
from nn.functional.linear import linear
from nn.functional.softmax import softmax

Shape = tuple[int, ...]
Grads = tuple[Any, ...]
Damage = Callable[[Grads, Any, tuple[Any, ...], Any], Grads]  # (gradients, dout, inputs, out) -> gradients


@dataclass(frozen=True)
class Fault:
    """A function with a wrong gradient, and the kind of mistake that `gradcheck` must call it."""

    name: str
    fn: Callable[..., Any]
    shapes: tuple[Shape, ...]
    positive: bool = False  # are the inputs drawn from 0.5..2, or from a normal distribution?
    kind: str = ""

    def inputs(self, seed: int) -> list[np.ndarray]:
        """Return random inputs."""
        rng = np.random.default_rng([seed, 1])
        return [(positive if self.positive else normal)(rng, shape) for shape in self.shapes]


def fault(
    name: str, fn: Any, damage: Damage, *shapes: Shape, positive: bool = False, **constants: Any
) -> Fault:
    """Return the fault of an operation, called with these constants, whose gradients suffer the damage."""
    return Fault(name, functools.partial(damaged(fn, damage), **constants), shapes, positive)


def whole(name: str, fn: Callable[..., Any], *shapes: Shape) -> Fault:
    """Return the fault of a function that is wrong as it stands."""
    return Fault(name, fn, shapes)


def damaged(fn: Callable[..., Any], damage: Damage) -> Callable[..., Tensor]:
    """Return the operation with `damage` done to the gradients that its vjp returns."""
    array = getattr(fn, "array", fn)

    def wrong(*arrays, **constants):
        out, vjp = array(*arrays, **constants)
        return out, lambda dout: damage(vjp(dout), dout, arrays, out)

    wrong.__name__ = array.__name__
    return lift(wrong)


def first(change: Callable[..., Any]) -> Damage:
    """Return the damage that replaces the first gradient by change(gradient, dout, inputs, out)."""
    return lambda g, dout, xs, out: (change(g[0], dout, xs, out), *g[1:])


def second(change: Callable[..., Any]) -> Damage:
    """Return the damage that replaces the second gradient."""
    return lambda g, dout, xs, out: (g[0], change(g[1], dout, xs, out), *g[2:])


def third(change: Callable[..., Any]) -> Damage:
    """Return the damage that replaces the third gradient."""
    return lambda g, dout, xs, out: (*g[:2], change(g[2], dout, xs, out))


def negated(g, *_):
    """The opposite sign."""
    return -g


def turned(g, *_):
    """Transposed."""
    return g.T.copy()


def widened(g, *_):
    """In float64, whatever the input's dtype is."""
    return g.astype(np.float64)


def passed(g, dout, *_):
    """The gradient of the output, as it comes."""
    return dout.copy()


def last_row(g, dout, *_):
    """That of the last row alone."""
    return dout[-1]


def normalised(x, axis=-1):
    """Return (x - mean) * rstd, and rstd."""
    centred = x - x.mean(axis=axis, keepdims=True)
    rstd = 1 / np.sqrt((centred * centred).mean(axis=axis, keepdims=True) + 1e-5)
    return centred * rstd, rstd


def layer_norm_without(term: str) -> Damage:
    """Return the damage that leaves out one of the three terms of dx = rstd (g - mean(g) - xhat mean(g xhat))."""

    def damage(g, dout, xs, out):
        xhat, rstd = normalised(xs[0])
        dx = dout * xs[1]
        terms = {
            "direct": dx,
            "mean": -dx.mean(-1, keepdims=True),
            "along": -xhat * (dx * xhat).mean(-1, keepdims=True),
        }
        return (rstd * sum(value for name, value in terms.items() if name != term), *g[1:])

    return damage


def batch_norm_without(term: str) -> Damage:
    """Return the same damage to a batch norm."""

    def damage(g, dout, xs, out):
        xhat, rstd = normalised(xs[0], 0)
        lost = {"mean": dout.mean(0), "along": xhat * (dout * xhat).mean(0)}[term]
        return (g[0] + rstd * xs[1] * lost, *g[1:])

    return damage


def attention_without_sum(g, dout, xs, out):
    """Damage `attend`: dS = P * dP, where dS = P * (dP - sum(P * dP)) belongs."""
    q, k, _ = xs
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    p = np.exp(scores - scores.max(-1, keepdims=True))
    lost = p / p.sum(-1, keepdims=True) * (dout * out).sum(-1, keepdims=True) / np.sqrt(q.shape[-1])
    return g[0] + lost @ k, g[1] + lost.swapaxes(-1, -2) @ q, g[2]


def overwriting(x):
    """softmax whose vjp works in place on what it saved."""
    p, vjp = softmax.array(x)

    def wrong(dout):
        (dx,) = vjp(dout)
        p[...] = dx
        return (dx,)

    return p.copy(), wrong


def writing_to_dout(x):
    """sin, whose vjp overwrites the gradient it is given."""

    def vjp(dout):
        dout *= np.cos(x)
        return (dout.copy(),)

    return np.sin(x), vjp


def exp_in_place(x):
    """exp, which overwrites its input."""
    np.exp(x, out=x)
    out = x.copy()
    return out, lambda dout: (dout * out,)


def square_by_division(x):
    """x^2 with the derivative 2 y / x, which is 0 / 0 at 0."""
    out = x * x
    return out, lambda dout: (dout * 2.0 * out / x,)


def blocked_product(q, k):
    """q k^T, whose second gradient keeps the last block of queries only: `=` where `+=` belongs."""

    def vjp(dout):
        dk = np.empty(k.shape, k.dtype)
        for start in range(0, len(q), 2):
            dk[...] = dout[start : start + 2].T @ q[start : start + 2]
        return dout @ k, dk

    return q @ k.T, vjp


def scatter_without_sum(x, *, index):
    """x[index], whose vjp assigns where it should add."""

    def vjp(dout):
        dx = np.zeros(x.shape, x.dtype)
        dx[index] = dout
        return (dx,)

    return x[index], vjp


def residual(x):
    """x + tanh(x), whose backward forgets x."""
    t = np.tanh(x)
    return x + t, lambda dout: (dout * (1 - t * t),)


def leaky_relu(x):
    """A slope of 0.1 below zero, whose backward is that of relu."""
    return np.where(x > 0, x, 0.1 * x), lambda dout: (dout * (x > 0),)


class WrongNorm(nn.LayerNorm):
    """LayerNorm whose weight learns from the last row only."""

    def forward(self, x):
        """Return the output."""
        bad = damaged(layer_norm, second(lambda g, d, xs, out: (d * normalised(xs[0])[0])[-1, -1]))
        return bad(x, self.weight, self.bias)


class WrongMLP(nn.MLP):
    """An MLP with a GELU 0.1 % too steep."""

    def forward(self, x):
        """Return the output."""
        bad = damaged(gelu_tanh, first(lambda g, d, xs, out: g * 1.001))
        return bad(self.c_fc(x))


class WrongHead(nn.Linear):
    """A linear layer that averages its bias gradient over the batch."""

    def forward(self, x):
        """Return the output."""
        bad = damaged(linear, third(lambda g, d, xs, out: g / len(d)))
        return bad(x, self.weight, self.bias)


class DetachedEmbedding(nn.Module):
    """Positions that are added as plain numbers, so that they never learn."""

    def __init__(self):
        self.positions = nn.Parameter(np.random.default_rng(5).standard_normal((3, 4)))

    def forward(self, x):
        """Return the output."""
        return x * (self.positions.array * 0.5 + 1.0) + self.positions.detach()
