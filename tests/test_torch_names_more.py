"""Names that write, draw, or are missing; second derivatives of the functions that only lessons use."""

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad.check.gradcheck import gradcheck
from minigrad.torch_names import lookup
from nn.torch_names.faces import face
from tests.support.named_rows import rows

OURS = face("torch")
X = np.random.default_rng(0).uniform(0.2, 0.8, (3, 4)).astype(np.float32)
Y = np.random.default_rng(1).uniform(0.2, 0.8, (3, 4)).astype(np.float32)

WRITING = rows("""
    x.add_(y)
    x.add_(y, alpha=2)
    x.sub_(1)
    x.mul_(y)
    x.div_(y)
    x.pow_(2)
    x.neg_()
    x.exp_()
    x.log_()
    x.sqrt_()
    x.abs_()
    x.sin_()
    torch.sin_(x)
    x.tanh_()
    x.sigmoid_()
    x.relu_()
    x.round_()
    x.floor_()
    x.reciprocal_()
    x.clamp_(0.4, 0.6)
    x.clamp_(min=0.5)
    x.zero_()
    x.fill_(7)
    x.fill_(y[0, 0])
    x.copy_(y)
    x.copy_(y[0])
    x.copy_(torch.arange(4))
    x.masked_fill_(x > 0.5, 0)
    x.tril_()
    x.triu_(1)
    x.lerp_(y, 0.3)
    x.addcmul_(y, y, value=0.5)
    x.addcdiv_(y, y, value=0.5)
    x.index_fill_(0, torch.tensor([0, 2]), 7)
    x.index_add_(0, torch.tensor([0, 0]), y[:2])
    x.index_copy_(1, torch.tensor([3, 1]), y[:, :2])
    x.index_put_((torch.tensor([0, 2]),), y[:2])
    x.index_put_((torch.tensor([0, 0]),), y[:2], accumulate=True)
    x.scatter_(1, torch.tensor([[0], [1], [3]]), 7.0)
    x.scatter_(0, torch.tensor([[0, 1, 2, 0]]), y)
    x.scatter_add_(1, torch.tensor([[0, 0], [1, 1], [3, 2]]), y)
    x.fill_diagonal_(0)
    torch.ones(9, 2).fill_diagonal_(0)
    torch.ones(9, 2).fill_diagonal_(0, True)
    torch.ones(9, 2).fill_diagonal_(3.0, wrap=True)
    x.scatter_(1, torch.tensor([[0], [1], [3]]), value=7.0)
    x.set_(y[1:])
    x.cumsum_(1)
    x.eq_(y)
    x.remainder_(0.3)
    x.nan_to_num_()
    x[0].zero_()
    x[:, 1].fill_(2)
    x.t().mul_(2)
    x.diagonal().zero_()
    x.view(-1).add_(1)
    x.chunk(2, dim=1)[0].zero_()
    x.unbind()[1].zero_()
    x.select(0, 1).fill_(3)
    x.narrow(1, 1, 2).fill_(3)
    x.unflatten(1, (2, 2))[0].zero_()
    x.flip(0).zero_()
    x.repeat(1, 1).zero_()
    x.roll(1).zero_()
    x.contiguous().zero_()
    x.t().contiguous().zero_()
    x.unsqueeze_(0)
    x.squeeze_()
    x.t_()
    x.transpose_(0, 1)
""")


@pytest.mark.parametrize("code", WRITING)
def test_what_writes_is_seen_through_all_who_share_the_memory_as_in_pytorch(code):
    both = []
    for library, make in ((torch, torch.from_numpy), (OURS, mg.from_numpy)):
        x, y = make(X.copy()), make(Y.copy())
        shared = x.detach()
        result = eval(code, {"torch": library, "x": x, "y": y})
        both.append([np.asarray(each) for each in (result, x, shared)])
    for their, mine in zip(*both):
        assert mine.shape == their.shape
        np.testing.assert_allclose(mine, their, 1e-6, 1e-6)


@pytest.mark.parametrize(
    "name", ["add_", "exp_", "zero_", "uniform_", "masked_fill_", "clamp_", "unsqueeze_"]
)
def test_a_leaf_that_wants_a_gradient_is_written_to_under_no_grad_alone(name):
    args = {"add_": (1,), "masked_fill_": (mg.ones(2, 2) > 0, 1.0), "clamp_": (0, 1), "unsqueeze_": (0,)}
    x = mg.ones(2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match=rf"^{name}: expected `with no_grad\(\):`"):
        getattr(x, name)(*args.get(name, ()))
    with mg.no_grad():
        assert getattr(x, name)(*args.get(name, ())) is x


def test_an_operation_in_place_passes_its_gradient_on():
    both = []
    for library in (torch, OURS):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3
        y.mul_(x).add_(1).exp_()
        y.sum().backward()
        both.append(x.grad.numpy())
    np.testing.assert_allclose(both[1], both[0], 1e-6)


def test_an_integer_takes_no_floats_in_place():
    with pytest.raises(TypeError, match="int64 can hold"):
        mg.tensor([1, 2]).div_(2)
    assert mg.tensor([1, 2]).mul_(2).tolist() == [2, 4]


FILLS = rows("""
    x.uniform_()
    x.uniform_(-1, 1)
    x.uniform_(a, to=3.0)
    x.normal_()
    x.normal_(mean=1, std=2)
    x.exponential_()
    x.log_normal_()
    x.cauchy_()
    x.geometric_(0.3)
    x.bernoulli_(0.3)
    x.bernoulli_(p)
    x.random_(10)
    x.random_(3, 10)
    x.random_(3, to=10)
    x.random_(**{"from": 3, "to": 10})
    x.uniform_(**{"from": -1.0, "to": 2.0})
    x.t().normal_()
    torch.normal(p, 1.5)
    torch.normal(0.0, p)
    torch.normal(p, p)
    torch.normal(1.0, 2.0, (3, 2))
    torch.normal(mean=p, std=p)
    torch.poisson(p * 20)
    torch.bernoulli(p)
    p.bernoulli()
    p.multinomial(2)
""")


@pytest.mark.parametrize("code", FILLS)
@pytest.mark.parametrize("shape", [(3, 4), (40, 50)])
def test_what_is_drawn_is_what_pytorch_draws(code, shape):
    p = np.random.default_rng(2).uniform(0.1, 0.9, shape).astype(np.float32)
    drawn = []
    for library, make in ((torch, torch.from_numpy), (OURS, mg.from_numpy)):
        library.manual_seed(5)
        x = library.zeros(*shape)
        out = eval(code, {"torch": library, "x": x, "p": make(p), "a": -2.0})
        drawn.append((np.asarray(out), library.rand(3).numpy()))
    np.testing.assert_allclose(drawn[1][0], drawn[0][0], 2e-6, 1e-6)
    np.testing.assert_array_equal(drawn[1][1], drawn[0][1])


MODEL = mg.tensor([1, 2])
MAKERS = {  # each with the dtype that it has unless told
    "logspace": (lambda **o: mg.logspace(0, 1, 3, **o), mg.float32),
    "range": (lambda **o: mg.range(0, 3, **o), mg.float32),
    "normal": (lambda **o: mg.normal(0.0, 1.0, (2,), **o), mg.float32),
    "rand": (lambda **o: OURS.rand(2, **o), mg.float32),
    "scalar_tensor": (lambda **o: mg.scalar_tensor(3, **o), mg.float32),
    "asarray": (lambda **o: mg.asarray(np.ones(2), **o), mg.float64),
    "new_zeros": (lambda **o: MODEL.new_zeros(2, **o), mg.int64),
    "new_zeros, size": (lambda **o: MODEL.new_zeros(size=(2, 3), **o), mg.int64),
    "new_empty": (lambda **o: MODEL.new_empty(2, **o), mg.int64),
    "new_empty, size": (lambda **o: MODEL.new_empty(size=(2, 3), **o), mg.int64),
    "new_ones": (lambda **o: MODEL.new_ones(2, **o), mg.int64),
    "new_ones, size": (lambda **o: MODEL.new_ones(size=(2, 3), **o), mg.int64),
    "new_full": (lambda **o: MODEL.new_full((2,), 3, **o), mg.int64),
    "new_tensor": (lambda **o: MODEL.new_tensor([1, 2], **o), mg.int64),
}


def test_what_is_made_has_the_dtype_the_device_and_the_wish_for_a_gradient_that_are_asked_for():
    shapes = {"logspace": (3,), "range": (4,), "scalar_tensor": ()}
    for name, (make, kind) in MAKERS.items():
        made = make()
        assert made.dtype == kind and not made.requires_grad, name
        assert made.shape == ((2, 3) if "size" in name else shapes.get(name, (2,))), name
        assert make(dtype=mg.float64).dtype == mg.float64 and make(device="cpu").shape == made.shape, name
        with pytest.raises(ValueError, match="nowhere"):
            make(device="nowhere")
        assert name == "range" or make(dtype=mg.float64, requires_grad=True).requires_grad, name


def test_a_generator_that_is_given_is_drawn_from():
    p, draws = (
        mg.full((3, 4), 2.0),
        {
            "normal": lambda g: mg.normal(0.0, 1.0, (3,), generator=g),
            "normal of Tensors": lambda g: mg.normal(p, p, generator=g),
            "poisson": lambda g: mg.poisson(p, g),
            "rand": lambda g: OURS.rand(5, generator=g),
            "bernoulli": lambda g: mg.bernoulli(p / 4, generator=g),
            "multinomial": lambda g: p.multinomial(2, generator=g),
            "uniform_": lambda g: mg.zeros(5).uniform_(generator=g),
        },
    )
    for name, draw in draws.items():
        one, same, other = (draw(mg.Generator(seed)).tolist() for seed in (1, 1, 2))
        assert one == same != other, name
    with pytest.raises(ValueError, match="^normal: expected a size, or Tensors; got "):
        mg.normal(1.0, 2.0)
    for start, end, step in ((0, 1, 0), (0, -1, 1), (0, 1, -1), (0, -0.1, 1)):
        with pytest.raises(ValueError, match="^range: expected a step that leads from start to end; got "):
            mg.range(start, end, step)
    assert mg.range(0, 0).tolist() == [0.0] and mg.range(1, 2, 0.5).tolist() == [1.0, 1.5, 2.0]


def test_out_receives_the_result():
    x = mg.ones(2, 3)
    out = mg.zeros(2, 2)
    seen = out.detach()
    assert mg.matmul(x, x.T, out=out) is out and seen.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert mg.mul(x, 2, out=mg.empty(0)).tolist() == [[2.0] * 3] * 2
    assert mg.cat([x, x], out=mg.empty(0)).shape == (4, 3)
    values, indices = mg.topk(mg.tensor([1.0, 3.0]), 1, out=(mg.zeros(1), mg.tensor([0])))
    assert values.item() == 3 and indices.item() == 1
    OURS.manual_seed(1)
    assert OURS.rand(2, 2, out=out) is out and seen[0, 0].item() == pytest.approx(0.7576316)
    with pytest.raises(RuntimeError, match="no_grad"):
        mg.add(x, 1, out=mg.zeros(2, 3, requires_grad=True))


def test_arrays_and_numpys_keywords_are_welcome():
    assert mg.sum(X, axis=1, keepdims=True).shape == (3, 1)
    assert mg.topk(X, 2).values.shape == (3, 2) and mg.log1p(X).shape == (3, 4)
    assert mg.eq(X, Y).dtype == mg.bool and mg.linalg.svdvals(X).shape == (3,)


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda: mg.fft, "minigrad.fft: minigrad has none"),
        (lambda: OURS.concatenat, "torch.concatenat: minigrad has none; did you mean torch.concatenate?"),
        (lambda: mg.ones(2).to_sparse, "Tensor.to_sparse: minigrad has none"),
        (
            lambda: mg.ones(2).unsqueze(0),
            "Tensor.unsqueze: minigrad has none; did you mean Tensor.unsqueeze?",
        ),
        (lambda: mg.ones(2).argmax_, "Tensor.argmax_: minigrad has none; did you mean Tensor.argmax?"),
    ],
)
def test_a_missing_name_says_so_in_one_line(ask, line):
    with pytest.raises(AttributeError) as error:
        ask()
    assert str(error.value) == line


def test_names_of_libraries_fail_at_once():
    x = mg.ones(2)
    assert not hasattr(x, "__cuda_array_interface__") and not hasattr(x, "_repr_html_")


def test_every_name_that_is_listed_is_found_and_described():
    for name in lookup.function_names():
        found = lookup.find_function(name)
        assert isinstance(found, (float, str)) or found.__doc__, name
    for name in lookup.method_names():
        assert lookup.find_method(name).__doc__, name
    assert {"topk", "add", "trace", "new_zeros", "H"} <= set(dir(mg.ones(2)))
    assert {"topk", "add", "pi", "long"} <= set(dir(mg))


def test_functions_in_place_are_all_there():
    for stem in lookup.IN_PLACE - {"fill"}:
        assert hasattr(torch.Tensor, f"{stem}_"), stem
        assert callable(getattr(mg.ones(2, 2), f"{stem}_"))


SECOND = {
    **{
        name: getattr(mg, name) for name in "log1p expm1 exp2 log2 log10 tan asin acos atan sinh cosh".split()
    },
    "atan2": lambda x: mg.atan2(x, x * x + 1),
    "remainder": lambda x: mg.remainder(x * x, x + 0.05),
    "norm": lambda x: mg.norm(x * x, dim=1),
    "inverse": lambda x: mg.inverse(x @ x.T + 1 * mg.eye(3, dtype=mg.float64)),
    "det": lambda x: mg.det(x @ x.T + mg.eye(3, dtype=mg.float64)),
    "solve": lambda x: mg.linalg.solve(x @ x.T + mg.eye(3, dtype=mg.float64), x),
    "cholesky": lambda x: mg.linalg.cholesky(x @ x.T + mg.eye(3, dtype=mg.float64)),
    "diagonal": lambda x: mg.diagonal(x * x, 1) ** 2,
    "sort": lambda x: mg.sort(x * x, descending=True).values ** 2,
}


@pytest.mark.parametrize("name", SECOND)
def test_derivatives_of_derivatives_are_right(name):
    report = gradcheck(SECOND[name], [X.astype(np.float64)], order=2, library="minigrad", raise_error=False)
    assert report.ok, str(report)


def test_what_has_no_gradient_says_so():
    x = mg.ones(2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="svd: expected a Tensor without a gradient"):
        mg.linalg.svd(x)
    with pytest.raises(RuntimeError, match="floor_divide: it has no derivative"):
        (x // 2).sum().backward()


def test_of_equals_the_place_is_the_one_that_a_stable_order_gives():
    x = np.random.default_rng(0).integers(0, 3, 99)
    order = np.argsort(x, kind="stable")
    assert [mg.kthvalue(mg.tensor(x), k).indices.item() for k in (1, 20, 99)] == order[[0, 19, 98]].tolist()
    assert mg.median(mg.tensor(x), 0).indices.item() == order[49]


def test_small_singular_values_count_as_none_below_rcond():
    a = np.diag([1.0, 0.5, 1e-3]).astype(np.float32)
    ranks = [mg.linalg.lstsq(mg.tensor(a), mg.ones(3, 1), rcond).rank.item() for rcond in (None, 0.1, 0.6)]
    assert ranks == [3, 2, 1]


def test_divmod_is_pythons():
    quotient, rest = divmod(mg.tensor([7, -7]), 3)
    assert quotient.tolist() == [2, -3] and rest.tolist() == [1, 2]
