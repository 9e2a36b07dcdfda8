"""grad, value_and_grad, jacobian, hessian, hvp, jvp, vjp: functions of arrays."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given

import minigrad as mg
from minigrad.tensor import wrap
from minigrad.testing import arrays_for
from nn.functional.softmax import softmax

RNG = np.random.default_rng(17)
A, X, V = RNG.standard_normal((3, 3)), RNG.standard_normal(3), RNG.standard_normal(3)


def quartic(x):
    return ((x @ A) * x.tanh()).sum() * x.sum()


def curve(x):
    return (x @ A).tanh() * x


def quartic_torch(x):
    return ((x @ torch.tensor(A)) * x.tanh()).sum() * x.sum()


def curve_torch(x):
    return (x @ torch.tensor(A)).tanh() * x


def close(a, b):
    assert np.allclose(np.asarray(a), np.asarray(b), rtol=1e-11, atol=1e-12)


def test_first_and_second_derivatives_agree_with_torch():
    x, v = torch.tensor(X), torch.tensor(V)
    close(mg.grad(quartic)(X), torch.autograd.functional.jacobian(quartic_torch, x))
    close(mg.jacobian(curve)(X), torch.autograd.functional.jacobian(curve_torch, x))
    close(mg.hessian(quartic)(X), torch.autograd.functional.hessian(quartic_torch, x))
    close(mg.hvp(quartic)(X, V), torch.autograd.functional.hvp(quartic_torch, x, v)[1])
    close(mg.jvp(curve)(X, V)[1], torch.autograd.functional.jvp(curve_torch, x, v)[1])
    pull, given = mg.vjp(curve)(X)[1], V.copy()
    for _ in range(2):  # a second time too, and what it was given stays
        close(pull(given), torch.autograd.functional.vjp(curve_torch, x, v)[1])
    assert np.array_equal(given, V)


@given(arrays_for("bc", "bc"))
def test_pushing_forward_and_pulling_back_agree(inputs):
    x, v = inputs
    y, pushed = mg.jvp(softmax)(x, v)
    again, pull = mg.vjp(softmax)(x)
    dout = np.cos(np.arange(y.size)).reshape(y.shape)
    assert np.array_equal(y, again)
    assert (dout * pushed).sum() == pytest.approx((pull(dout) * v).sum(), abs=1e-12)


@pytest.mark.parametrize(("times", "expected"), [(1, 32.0), (2, 48.0), (3, 48.0), (4, 24.0), (5, 0.0)])
def test_grad_of_grad_goes_to_any_order(times, expected):
    fn = lambda x: x**4  # noqa: E731
    for _ in range(times):
        fn = mg.grad(fn)
    assert fn(2.0) == expected


def test_argnum_chooses_the_argument_and_a_tuple_gives_a_tuple():
    fn = lambda x, y: (x * y * y).sum()  # noqa: E731
    close(mg.grad(fn, 1)(X, V), 2 * X * V)
    dx, dy = mg.grad(fn, (0, 1))(X, V)
    close(dx, V * V)
    close(dy, 2 * X * V)
    close(mg.jvp(fn, (0, 1))(X, V, (V, X))[1], (V * V * V + 2 * X * V * X).sum())


def test_value_and_grad_returns_both():
    value, gradient = mg.value_and_grad(quartic)(X)
    assert isinstance(gradient, np.ndarray) and float(value) == pytest.approx(quartic(wrap(X)).item())


def test_keyword_arguments_and_argnum_are_passed_on_by_every_transform():
    fn = lambda _, x, *, scale=1.0: (x * x * scale).sum()  # noqa: E731
    for transform, wanted in ((mg.grad, 6 * X), (mg.jacobian, 6 * X), (mg.hessian, 6 * np.eye(3))):
        close(transform(fn, 1)(V, X, scale=3.0), wanted)
    close(mg.value_and_grad(fn, 1)(V, X, scale=3.0)[1], 6 * X)
    close(mg.vjp(fn, 1)(V, X, scale=3.0)[1](2.0), 12 * X)
    close(mg.jvp(fn, 1)(V, X, V, scale=3.0)[1], 6 * X @ V)
    close(mg.hvp(fn, 1)(V, X, V, scale=3.0), 6 * V)


def test_a_derivative_inside_another_sees_the_outer_variable():
    """d/dx of x * d/dy(x y) at any y is 2x; without care the outer dependence is lost."""
    assert mg.grad(lambda x: x * mg.grad(lambda y: x * y)(3.0))(2.0) == 4.0
    assert mg.grad(lambda x: x * mg.grad(lambda y: x * y)(x))(3.0) == 6.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("used", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_an_argument_that_is_ignored_has_a_zero_of_its_dtype_and_leaves_the_others_alone(used, dtype):
    xs, vs = ([RNG.standard_normal(n).astype(dtype) for n in (2, 3, 4)] for _ in "xv")

    def f(*given):
        squares = [(x * x).sum() * (i + 1.0) for i, x in enumerate(given) if i in used]
        return sum(squares, wrap(np.ones((), dtype)))

    twice = [2 * (i + 1) * (i in used) for i in range(3)]
    gradient, argnum = [n * x for n, x in zip(twice, xs)], (0, 1, 2)
    both = [
        mg.grad(f, argnum)(*xs),
        mg.vjp(f, argnum)(*xs)[1](np.ones((), dtype)),
        [mg.grad(f, i)(*xs) for i in argnum],
    ]
    for found in both:
        same(found, gradient)
    same(mg.hvp(f, argnum)(*xs, tuple(vs)), [n * v for n, v in zip(twice, vs)])
    same(
        [mg.hessian(f, i)(*xs) for i in argnum], [n * np.eye(len(x), dtype=dtype) for n, x in zip(twice, xs)]
    )
    same([mg.jvp(f, argnum)(*xs, tuple(vs))[1]], [np.asarray(sum(map(np.dot, gradient, vs)), dtype)])


def same(found, wanted):
    """Equal, and of one dtype and shape."""
    for a, b in zip(found, wanted, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_what_is_computed_from_no_argument_has_zero_derivatives():
    assert np.array_equal(mg.jvp(lambda x: wrap(V))(X, V)[1], np.zeros(3))
    assert np.array_equal(mg.hvp(lambda x: (x * 2.0).sum())(X, V), np.zeros(3))
    assert np.array_equal(mg.hessian(lambda x: (x * 2.0).sum())(X), np.zeros((3, 3)))


def test_derivatives_of_empty_arrays_have_their_shapes():
    empty, square = np.zeros((0, 2)), lambda x: (x * x).sum()
    assert mg.grad(square)(empty).shape == (0, 2)
    assert mg.jacobian(lambda x: x * 2.0)(empty).shape == (0, 2, 0, 2)
    assert mg.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert mg.jacobian(square)(empty).shape == (0, 2)
    assert mg.hessian(square)(empty).shape == (0, 2, 0, 2)
    assert mg.hvp(square)(empty, empty).shape == mg.jvp(lambda x: x * x)(empty, empty)[1].shape == (0, 2)
    inner = mg.grad(lambda x: mg.jacobian(lambda y: y[:0] * x[:0])(x).sum() + x.sum())
    assert np.array_equal(inner(X), np.ones(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept_whatever_that_of_a_cotangent_or_a_tangent(dtype):
    fn, x, other = (
        quartic_of(dtype),
        X.astype(dtype),
        V.astype(np.float64 if dtype == np.float32 else np.float32),
    )
    squares = lambda x: x * x  # noqa: E731
    found = {
        "grad": mg.grad(fn)(x),
        "vjp": mg.vjp(squares)(x)[1](other),
        "jvp": mg.jvp(squares)(x, other)[1],
        "hvp": mg.hvp(fn)(x, other),
        "jacobian": mg.jacobian(squares)(x),
        "hessian": mg.hessian(fn)(x),
        "grad of a jacobian": mg.grad(lambda x: mg.jacobian(squares)(x).sum())(x),
        "grad of a vjp": mg.grad(lambda x: mg.vjp(squares)(x)[1](other).sum())(x),
    }
    assert {name: result.dtype for name, result in found.items()} == dict.fromkeys(found, dtype)
    close(found["grad of a jacobian"], np.full(3, 2.0))


def test_a_tensor_is_an_array_unless_it_wants_a_gradient_itself():
    constant, variable = mg.from_numpy(X), mg.from_numpy(X).requires_grad_()
    for transform in (mg.grad, mg.hessian, lambda fn: lambda x: mg.hvp(fn)(x, V)):
        found, plain = transform(quartic)(constant), transform(quartic)(X)
        assert type(found) is np.ndarray and np.array_equal(found, plain)
        found = transform(quartic)(variable)
        assert found.requires_grad and np.array_equal(found.detach(), plain)
    mg.grad(quartic)(variable).sum().backward()
    close(variable.grad, mg.hessian(quartic)(X).sum(0))


def test_integers_become_float64():
    for x in (3, np.int32(3), np.array(3)):
        found = mg.grad(lambda x: x * x * 0.1)(x)
        assert found.dtype == np.float64 and found == pytest.approx(0.6, rel=1e-15)


def quartic_of(dtype):
    return lambda x: ((x @ A.astype(dtype)) * x).sum()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.grad(curve)(X), r"expected a function that returns one element; got shape \(3,\)"),
        (lambda: mg.grad(lambda x: 3.0)(X), "expected a function that returns a Tensor; got float"),
        (lambda: mg.grad(quartic, 2)(X), "expected argnum within the 1 arguments; got 2$"),
        (lambda: mg.grad(quartic, -1)(X), "expected argnum within the 1 arguments; got -1$"),
        (lambda: mg.grad(quartic)(X > 0), "expected a float argument; got bool"),
        (lambda: mg.hvp(quartic)(X, np.ones(4)), r"expected shape \(3,\); got \(4,\)"),
        (lambda: mg.vjp(curve)(X)[1](np.ones(4)), r"expected a cotangent \(3,\); got \(4,\)"),
        (lambda: mg.grad(quartic)("text"), "expected a float argument; got <U4"),
        (lambda: mg.grad(quartic)(X + 1j), "expected a float argument; got complex128"),
        (lambda: mg.jvp(curve, (0,))(X, V), r"tangent: expected a tuple of 1, one for each argnum; got arr"),
        (
            lambda: mg.hvp(lambda x: x * x)(X, V),
            r"hvp: expected a function that returns one element; got shape",
        ),
        (
            lambda: mg.grad(lambda x: math.exp(x) * x)(2.0),
            r"got a Tensor under grad; write x.exp\(\), or x.item\(\)",
        ),
        (lambda: mg.hvp(quartic)(X), "within the 0 arguments; got 0; after them comes the tangent"),
        (lambda: mg.jacobian(curve, (0,))(X), r"jacobian: expected argnum as one integer; got \(0,\)"),
        (lambda: mg.hessian(quartic, (0,))(X), r"jacobian: expected argnum as one integer; got \(0,\)"),
    ],
)
def test_mistakes_say_what_was_expected(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


TRANSFORMS = [mg.grad, mg.value_and_grad, mg.vjp, mg.jvp, mg.hvp, mg.jacobian, mg.hessian]


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("argnum", ["x", None, 1.0, [0]])
def test_every_transform_refuses_an_argnum_that_is_no_integer(transform, argnum):
    with pytest.raises(TypeError, match="expected argnum as an integer, or a tuple of them; got"):
        transform(quartic, argnum)(X, V)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_transform_refuses_what_is_no_function(transform):
    with pytest.raises(TypeError, match="expected a function; got None"):
        transform(None)(X, V)


def test_a_number_from_a_tensor_is_constant_where_it_is_asked_for():
    assert mg.grad(lambda x: x * x.item())(3.0) == 3.0
    assert float(mg.tensor(2.0, requires_grad=True)) == 2.0  # a loss to print, say
    with pytest.raises(TypeError, match="float: expected a constant; got a Tensor under grad"):
        mg.grad(lambda x: x * float(x * 2.0))(3.0)
    assert mg.grad(lambda x: x * float(mg.tensor(2.0)))(3.0) == 2.0
