"""The checker on functions of JAX; `tests/test_subjects.py` runs this in a process of its own."""

import functools
import itertools
import random

import jax
import jax.numpy as jnp
import numpy as np
import torch

import minigrad as mg
import nn.functional as F
from minigrad.check.subjects import library_of, subject

RNG = np.random.default_rng(11)
X, W = RNG.standard_normal((2, 3)), RNG.standard_normal((2, 3))


@jax.custom_vjp
def doubled(x, w):
    """x * w, whose gradient for x is twice what it should be."""
    return x * w


doubled.defvjp(lambda x, w: (x * w, (x, w)), lambda kept, dout: (2 * dout * kept[1], dout * kept[0]))


@jax.custom_vjp
def by_numpy(x):
    """x * x, whose backward cannot be traced."""
    return x * x


by_numpy.defvjp(lambda x: (x * x, x), lambda x, dout: (jnp.array(2 * np.asarray(x) * np.asarray(dout)),))


class OfTorch(torch.autograd.Function):
    """The same, of PyTorch; its forward runs on JAX arrays as well."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.x, ctx.w = x, w
        return x * w

    @staticmethod
    def backward(ctx, dout):
        return 2 * dout * ctx.w, dout * ctx.x


def disguises(core):
    """Return functions that do nothing but call `core`, and do not look like it."""
    box = [core]
    wrapped = functools.wraps(mg.tanh)(lambda x, w: core(x, w))
    return core, wrapped, lambda x, w: core(x, w), functools.partial(lambda x, w: box[0](x, w))


def no_disguise_gets_a_verdict_from_the_wrong_library():
    given = (X, W), (jnp.array(X), jnp.array(W)), (torch.tensor(X), torch.tensor(W)), (mg.as_tensor(X), W)
    for core, library in ((doubled, "jax"), (OfTorch.apply, "torch")):
        for fn, inputs in itertools.product(disguises(core), given):
            try:
                found = subject(fn, inputs)
                found.call(found.arrays, True)
            except (TypeError, ValueError) as error:
                assert "pass library=" in f"{error} {getattr(error, '__notes__', '')}", error
            else:
                assert found.library == library
    try:
        mg.gradcheck(lambda x, w: doubled(x, w) if isinstance(x, jax.Array) else x * w, (X, W))
    except ValueError as error:
        assert "got other results from minigrad than from" in str(error)
    else:
        raise AssertionError("it was given a verdict")


def libraries_are_told_apart():
    for fn in (jax.nn.softmax, lambda x: jnp.tanh(x * 2)):
        assert library_of(fn, [X]) == "jax"
    assert library_of(lambda x: x * 2, [jnp.ones(3)]) == "jax"
    for fn in (
        lambda x: x.std(),
        lambda x: x.max(-1)[0],
        abs,
    ):  # JAX's own are other functions, or choose at 0
        assert library_of(fn, [np.array([[0.0, 1.0], [3.0, -1.0]])]) == "minigrad"
    assert mg.compare(lambda x: F.softmax(x, -1), jax.jit(lambda x: jax.nn.softmax(x)), X, dtypes="float64")


def every_leaf_is_checked_and_keys_are_constants():
    def fn(p, key, more):
        return {"y": jnp.tanh(more[0][0] @ p["w"]) * jax.random.normal(key, (2, 2))}, doubled(p["b"], p["b"])

    inputs = {"w": RNG.standard_normal((3, 2)), "b": X}, jax.random.key(0), ([W],)
    report = mg.gradcheck(fn, inputs, raise_error=False)
    expected = {"input 0['w']": True, "input 0['b']": False, "input 2[0][0]": True}
    assert {row.name: row.ok for row in report.rows} == expected
    assert mg.gradcheck(
        lambda key, x: x * jax.random.normal(key, x.shape), (jax.random.key(0), X.astype("f4"))
    )


def a_function_is_compiled_where_that_changes_nothing():
    calls = []

    def branch(factor):
        return lambda x: jax.lax.cond(
            x[0] > 0, lambda x: calls.append(0) or doubled(x, x), lambda x: factor * x, x
        )

    assert mg.gradcheck(branch(3.0), X[0], library="jax", raise_error=False).ok == (X[0, 0] <= 0)
    assert len(calls) < 20
    assert mg.gradcheck(by_numpy, X[0])
    drawn = mg.gradcheck(lambda x: jnp.sin(x) * random.random(), X, raise_error=False)
    assert drawn.kinds == ["non-deterministic"]


def a_branch_that_is_cut_off_is_called_so_wherever_it_is_cut():
    """In the open, in a tree, in what is compiled, looped over or chosen from; not where it changes nothing."""
    stop = lambda x: jax.lax.stop_gradient(x)  # noqa: E731  (found when it is called)

    def step(total, row):
        return total + stop(row) * row, total

    functions = (
        lambda x: x * stop(x.sum()),
        lambda x: x * stop({"a": x.max(), "b": [x.sum(1, keepdims=True)]})["b"][0],
        jax.jit(lambda x: x / stop(jnp.linalg.norm(x))),
        lambda x: jax.lax.scan(step, 0 * x[0], x)[0],
        lambda x: jax.lax.cond(x.sum() > 9, jnp.exp, lambda x: x * stop(x), x),
    )
    for n, fn in enumerate(functions):
        report = mg.gradcheck(fn, X, library="jax", raise_error=False)
        assert report.kinds == ["detached"] and "stop_gradient returns a value" in str(report), (
            n,
            str(report),
        )
    assert mg.gradcheck(
        lambda x: jnp.exp(x - stop(x.max())) / jnp.exp(x - stop(x.max())).sum(), X, library="jax"
    )
    assert jax.lax.stop_gradient.__module__.startswith("jax")  # as it was


if __name__ == "__main__":
    a_branch_that_is_cut_off_is_called_so_wherever_it_is_cut()
    no_disguise_gets_a_verdict_from_the_wrong_library()
    libraries_are_told_apart()
    every_leaf_is_checked_and_keys_are_constants()
    a_function_is_compiled_where_that_changes_nothing()
