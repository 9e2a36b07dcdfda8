"""Where users of other NumPy differentiators were trapped: here the right gradient or a clear error comes out.

Each test names what goes wrong elsewhere (HIPS autograd, MyGrad), as their issue trackers record it.
"""

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.check.gradcheck import gradcheck
from minigrad.tensor import wrap


def leaf(*values):
    return wrap(np.array(values, np.float64), requires_grad=True)


def test_an_integer_argument_is_a_real_number():
    """Elsewhere grad(f)(3) fails, or truncates the gradient to an integer."""
    assert mg.grad(lambda x: x**3)(2) == 12.0
    gradient = mg.grad(lambda x: (x * 0.5).sum())(np.array([1, 2, 3]))
    assert gradient.dtype == np.float64 and np.array_equal(gradient, [0.5, 0.5, 0.5])


def test_an_integer_tensor_wants_no_gradient():
    for make in (
        lambda: mg.tensor([1, 2, 3], requires_grad=True),
        lambda: mg.tensor([True]).requires_grad_(),
    ):
        with pytest.raises(RuntimeError, match=r"expected floats; got (int64|bool); write x.float"):
            make()
    with pytest.raises(
        ValueError, match=r"expected at least one float32 or float64 array; got int64.*x.astype"
    ):
        gradcheck(lambda x: x * x, np.array([1, 2, 3]))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 2.0, 1.5])
def test_a_power_at_zero_has_its_limit_as_gradient(exponent):
    """Elsewhere x**2 at 0 gives NaN: y x**(y - 1) by way of log or division."""
    expected = 1.0 if exponent == 1 else 0.0
    assert mg.grad(lambda x: x**exponent)(0.0) == expected


def test_an_array_of_exponents_at_zero_gives_no_nan():
    dx, dy = mg.grad(lambda x, y: (x**y).sum(), (0, 1))(np.zeros(3), np.array([0.0, 1.0, 2.0]))
    assert np.array_equal(dx, [0.0, 1.0, 0.0]) and np.array_equal(dy, np.zeros(3))


def test_second_derivatives_of_a_square_at_zero():
    assert mg.grad(mg.grad(lambda x: x**2))(0.0) == 2.0
    assert mg.grad(mg.grad(lambda x: x * x))(0.0) == 2.0


def test_sorting_with_ties_passes_each_gradient_to_one_element():
    """Elsewhere a sort with ties can lose or double a gradient; here one sorts by indexing."""
    x = leaf(2.0, 1.0, 2.0, 1.0)
    weights = np.array([1.0, 10.0, 100.0, 1000.0])
    (x[np.argsort(x.array, kind="stable")] * weights).sum().backward()
    assert np.array_equal(x.grad, [100.0, 1.0, 1000.0, 10.0])


@pytest.mark.parametrize("reduce", [lambda x: x.max(), lambda x: x.min(), lambda x: x.max(axis=0)])
def test_ties_of_an_extreme_share_the_gradient(reduce):
    """Elsewhere each of k that tie gets the whole gradient, k times too much in all."""
    x = leaf(3.0, 3.0, 3.0)
    reduce(x).backward()
    assert np.allclose(x.grad, 1 / 3)


def test_ties_of_maximum_share_the_gradient_and_the_check_steps_aside():
    x, y = leaf(1.0, 2.0), leaf(1.0, 0.0)
    mg.maximum(x, y).sum().backward()
    assert np.array_equal(x.grad, [0.5, 1.0]) and np.array_equal(y.grad, [0.5, 0.0])
    assert gradcheck(mg.maximum, (x.array, y.array))


def test_assignment_to_elements_has_a_gradient():
    """Elsewhere it silently drops the gradient, or raises "'ArrayBox' does not support item assignment"."""
    x, v = leaf(1.0, 2.0, 3.0), leaf(7.0)
    with pytest.raises(RuntimeError, match="into a leaf that requires a gradient.*write x = x"):
        x[0] = 5.0
    y = x * 1.0
    y[0] = 5.0
    y[2:] = v * 2.0
    (y * y).sum().backward()
    assert np.array_equal(x.grad, [0.0, 4.0, 0.0]) and np.array_equal(v.grad, [56.0])


def test_in_place_arithmetic_on_a_leaf_is_refused_and_on_a_result_is_right():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="write x = x \\+ y"):
        x += 1.0
    y = x * 2.0
    z = y
    y *= 3.0
    (y + z).sum().backward()
    assert np.array_equal(x.grad, [12.0, 12.0])  # z is y, and so three times 2 x, too


def test_an_array_overwritten_after_the_forward_is_noticed():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    with mg.no_grad():
        x += 1.0
    with pytest.raises(RuntimeError, match="was overwritten after the forward pass"):
        y.backward()


def test_views_pass_their_gradients_to_the_base():
    """Elsewhere a gradient that arrives through a view is lost, or the base's is overwritten."""
    x = wrap(np.arange(6.0).reshape(2, 3), requires_grad=True)
    first, turned, flat = x[0], x.T, x.reshape(-1)
    (first.sum() * 2.0 + (turned * turned).sum() + flat[::2].sum()).backward()
    expected = 2.0 * x.array + np.array([[2.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    expected.reshape(-1)[::2] += 1.0
    assert np.array_equal(x.grad, expected)


def test_a_repeated_index_gathers_every_gradient():
    x = leaf(1.0, 2.0, 3.0)
    (x[[0, 0, 2, 0]] * np.array([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert np.array_equal(x.grad, [1011.0, 0.0, 100.0])


NUMPYS = [np.exp, np.mean, np.sum, np.sort, np.asarray, np.linalg.norm, lambda x: np.concatenate([x, x])]
NUMPYS += [lambda x: np.add(x, 1.0), lambda x: np.multiply(np.ones(2), x), lambda x: np.where(True, x, 0.0)]


@pytest.mark.parametrize("function", NUMPYS)
def test_numpy_functions_on_a_tensor_raise_instead_of_losing_the_graph(function):
    with pytest.raises(TypeError, match=r"shape \(2,\).*write minigrad.sin for numpy.sin.*x.detach\(\)"):
        function(leaf(1.0, 2.0))


@pytest.mark.parametrize("function", NUMPYS)
def test_numpy_functions_take_a_tensor_without_a_gradient_as_its_array(function):
    array = np.array([1.0, 2.0])
    result = function(wrap(array))
    assert not isinstance(result, Tensor) and np.array_equal(result, function(array))


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "sin", "cos", "erf", "sigmoid", "relu"])
def test_an_elementwise_function_is_also_a_method(name):
    x = leaf(0.5, 2.0)
    assert np.array_equal(getattr(x, name)().array, getattr(mg, name)(x).array)
    assert gradcheck(lambda x: getattr(x, name)(), x.array)


def test_an_array_on_the_left_of_a_tensor_keeps_the_graph():
    """Elsewhere `array * box` builds an object array of boxes."""
    x = leaf(1.0, 2.0)
    y = np.array([3.0, 4.0]) * x + np.float64(2.0) - np.array(1.0)
    assert isinstance(y, Tensor)
    y.sum().backward()
    assert np.array_equal(x.grad, [3.0, 4.0])
    total = np.zeros(2)
    total += x
    assert isinstance(total, Tensor) and total.requires_grad
    assert np.array_equal(np.array([1.0, 3.0]) == x, [True, False])
    assert np.array_equal(np.array([1.0, 3.0]) > x, [False, True])


def test_a_product_with_zeros_has_exact_gradients():
    """Elsewhere the product divides by x: NaN."""
    assert np.array_equal(mg.grad(lambda x: x.prod())(np.array([2.0, 0.0, 3.0])), [0.0, 6.0, 0.0])
    assert np.array_equal(mg.grad(lambda x: x.prod())(np.array([0.0, 0.0, 3.0])), [0.0, 0.0, 0.0])


def test_gradients_of_several_losses_add_up_over_micro_batches():
    """Elsewhere the gradient is cleared as soon as a tensor enters a new graph."""
    x = leaf(1.0, 2.0)
    (x * 2.0).sum().backward()
    (x * 3.0).sum().backward()
    assert np.array_equal(x.grad, [5.0, 5.0])


def test_a_branch_on_a_value_follows_the_branch_taken():
    fn = lambda x: x * x if x > 1.0 else x * 3.0  # noqa: E731
    assert mg.grad(fn)(2.0) == 4.0 and mg.grad(fn)(0.5) == 3.0


def test_the_safe_root_needs_its_mask_on_both_sides():
    """where(x > 0, sqrt(x), 0) at 0 is 0 times infinity in every library; the checker says so."""

    def unsafe(x):
        return mg.where(x.array > 0, x.sqrt(), 0.0)

    def safe(x):
        return mg.where(x.array > 0, mg.where(x.array > 0, x, 1.0).sqrt(), 0.0)

    with np.errstate(all="ignore"):
        assert np.isnan(mg.grad(lambda x: unsafe(x).sum())(np.array([0.0, 4.0]))[0])
    assert np.array_equal(mg.grad(lambda x: safe(x).sum())(np.array([0.0, 4.0])), [0.0, 0.25])


@pytest.mark.parametrize("pair", [lambda x: x.max(0), lambda x: [x, x], lambda x: (1.0, x.sum())])
@pytest.mark.parametrize(
    "use", [lambda x, y: x + y, lambda x, y: y * x, lambda x, y: x @ y, lambda x, y: x < y]
)
def test_a_pair_of_tensors_is_no_operand(pair, use):
    """As a list of numbers it would lose its history, and the indices of a maximum would count as values."""
    for x in (leaf(1.0, 2.0), leaf(1.0, 2.0).detach()):
        with pytest.raises(TypeError):
            use(x, pair(x))
