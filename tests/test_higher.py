"""pullback: gradients of gradients, beyond what the table of operations covers."""

import itertools

import numpy as np
import pytest
import torch

import nn.functional as F
from minigrad import no_grad, switches
from minigrad.higher import pullback
from minigrad.tensor import wrap
from nn.functional.layer_norm import layer_norm
from nn.functional.softmax import softmax

pytestmark = pytest.mark.filterwarnings("error")


def leaf(*shape, seed=0):
    return wrap(np.random.default_rng([seed, *shape]).standard_normal(shape), requires_grad=True)


def test_the_third_derivative_of_gelu_equals_pytorch():
    x = leaf(4)
    tx = torch.tensor(x.array, requires_grad=True)
    with switches.keep_inputs():
        y = F.gelu(x, approximate="tanh").sum()
    ty = torch.nn.functional.gelu(tx, approximate="tanh").sum()
    for _ in range(3):
        (g,) = pullback(y, [x])
        (tg,) = torch.autograd.grad(ty, tx, create_graph=True)
        np.testing.assert_allclose(g.array, tg.detach().numpy(), rtol=1e-12, atol=1e-14)
        with switches.keep_inputs():
            y, ty = (g * g).sum(), (tg * tg).sum()


def test_one_tensor_in_three_places_gets_each_share_once():
    x, weight = leaf(1, 4, 3), leaf(3, 3, seed=1)
    tx, tweight = (torch.tensor(a.array, requires_grad=True) for a in (x, weight))
    with switches.keep_inputs():
        h = F.linear(x, weight)
        y = (F.attend(x, x, h, is_causal=True) ** 2).sum()
        first = pullback(y, [x, weight])
        second = pullback((first[0] ** 2).sum() + (first[1] ** 3).sum(), [x, weight])
    th = tx @ tweight.T
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        ty = (torch.nn.functional.scaled_dot_product_attention(tx, tx, th, is_causal=True) ** 2).sum()
    tfirst = torch.autograd.grad(ty, [tx, tweight], create_graph=True)
    tsecond = torch.autograd.grad((tfirst[0] ** 2).sum() + (tfirst[1] ** 3).sum(), [tx, tweight])
    for ours, theirs in zip([*first, *second], [*tfirst, *tsecond]):
        np.testing.assert_allclose(ours.array, theirs.detach().numpy(), rtol=1e-10, atol=1e-11)


def test_a_tensor_between_counts_for_the_one_it_was_computed_from():
    x = leaf(3)
    with switches.keep_inputs():
        h = x * x
        y = (h * x).sum()
    dx, dh = pullback(y, [x, h])
    np.testing.assert_allclose(dx.array, 3 * x.array**2)
    np.testing.assert_allclose(dh.array, x.array)


def test_whatever_else_is_wanted_each_gets_its_whole_gradient():
    a, b = leaf(), leaf(seed=1)
    with switches.keep_inputs():
        c = a * b
        d = c * a
        y = d * c  # a^3 b^2
    x, z = a.item(), b.item()
    slopes = {a: 3 * x**2 * z**2, b: 2 * x**3 * z, c: 2 * x**2 * z, d: x * z, y: 1.0}
    for wanted in itertools.permutations(slopes, 2):
        np.testing.assert_allclose([g.item() for g in pullback(y, wanted)], [slopes[w] for w in wanted])


def test_pullback_equals_backward_and_leaves_the_graph_and_grad_alone():
    x, weight, bias = leaf(2, 3), leaf(3, seed=1), leaf(3, seed=2)
    with switches.keep_inputs():
        y = softmax(layer_norm(x, weight, bias))
    dy = np.random.default_rng(5).standard_normal(y.shape)
    grads = pullback(y, [x, weight, bias], dy)
    assert x.grad is None
    y.backward(dy)
    for g, leaf_ in zip(grads, (x, weight, bias)):
        np.testing.assert_allclose(g.array, leaf_.grad, rtol=1e-11, atol=1e-13)


def test_a_second_derivative_reaches_leaves_through_backward():
    x = leaf(3)
    with switches.keep_inputs():
        (dx,) = pullback((x**3).sum(), [x])
    (dx * dx).sum().backward()  # d(9 x^4)/dx
    np.testing.assert_allclose(x.grad, 36 * x.array**3)


def test_a_product_with_the_hessian_under_no_grad():
    x, v = leaf(3), np.array([1.0, -2.0, 0.5])
    with switches.keep_inputs():
        y = (x.exp() * x[::-1]).sum()
    with no_grad():
        (dx,) = pullback(y, [x])
        (product,) = pullback(dx, [x], v)
    hessian = torch.autograd.functional.hessian(lambda t: (t.exp() * t.flip(0)).sum(), torch.tensor(x.array))
    np.testing.assert_allclose(product.array, hessian.numpy() @ v, rtol=1e-12)


def test_what_y_ignores_has_no_gradient():
    x, other = leaf(2), leaf(2, seed=1)
    with switches.keep_inputs():
        y = (x * 2.0).sum()
    dx, nothing, constant = pullback(y, [x, other, wrap(np.ones(2))])
    assert dx.array.tolist() == [2.0, 2.0] and nothing is None and constant is None


def test_where_nothing_can_have_a_gradient_none_has_one():
    x = leaf(2)
    with switches.keep_inputs():
        y = (x * 2.0).sum()
    assert pullback(y, []) == [] and pullback(y, [wrap(np.ones(2))]) == [None]


def test_the_walk_ends_at_what_is_wanted():
    x = leaf(2)
    h = x * 3.0  # recorded without its inputs: it could not be replayed
    with switches.keep_inputs():
        y = (h * h).sum()
    np.testing.assert_array_equal(pullback(y, [h])[0].array, 2 * h.array)


def test_a_leaf_made_on_the_way_is_passed_by():
    x = leaf(2)
    with switches.keep_inputs():
        h = x * 3.0
        y = (h * leaf(2, seed=1)).sum()
    np.testing.assert_allclose(pullback(y, [x])[0].array, 3 * leaf(2, seed=1).array)


def test_pullback_refuses_what_it_cannot_replay():
    x = leaf(2)
    with pytest.raises(RuntimeError, match="scale was recorded outside keep_inputs"):
        pullback(x * 2.0, [x], np.ones(2))
    with pytest.raises(RuntimeError, match="y was not computed from a Tensor that requires a gradient"):
        pullback(wrap(np.ones(())), [x])
    with switches.keep_inputs():
        y = x * 2.0
    with pytest.raises(RuntimeError, match=r"expected a single element; got shape \(2,\); pass dy"):
        pullback(y, [x])
    with pytest.raises(ValueError, match=r"pullback: expected dy \(2,\); got \(3,\)"):
        pullback(y, [x], np.ones(3))
    with no_grad():
        x += 1.0
    with pytest.raises(RuntimeError, match="an input of scale.*was overwritten"):
        pullback(y, [x], np.ones(2))


def test_a_walked_graph_is_not_replayed():
    x = leaf(2)
    with switches.keep_inputs():
        y = (x * 2.0).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="already walked and freed"):
        pullback(y, [x])
