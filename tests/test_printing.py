"""What is printed is what PyTorch prints, letter for letter: arrays, what made them, modules."""

import math

import hypothesis.extra.numpy as drawn
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings

import minigrad as mg
import nn
import nn.functional as F
from minigrad import functions
from minigrad.tensor import Tensor
from minigrad.torch_names import grad_fn, printing
from minigrad.torch_names.printing import show_tensor

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")
EDGES = [
    0.0,
    -0.0,
    math.nan,
    math.inf,
    -math.inf,
    1.0,
    -2.0,
    0.5,
    1e3,
    1.001e3,
    1e8,
    1e8 + 8,
    1e-4,
    9.99e-5,
    5e-324,
]


@pytest.fixture(autouse=True)
def _options_as_before():
    yield
    torch.set_printoptions(profile="default")
    printing.set_printoptions(profile="default")


@st.composite
def arrays(draw):
    """An array of any dtype and shape, of whole or broken numbers of any size, sometimes with nan, inf and edges."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(
        drawn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
        | st.just((1100,))
        | st.just((40, 30))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind != "f":
        return rng.integers(0, 2 ** draw(st.integers(1, 62)), shape).astype(dtype)
    least, most = sorted(draw(st.tuples(*[st.integers(-12, 12) | st.integers(-300, 300)] * 2)))
    values = rng.normal(size=shape) * 10.0 ** rng.integers(least, most, shape, endpoint=True)
    values = np.round(values) if draw(st.booleans()) else values
    chosen = rng.random(shape) < draw(st.sampled_from([0.0, 0.1, 1.0]))
    with np.errstate(over="ignore"):
        return np.where(chosen, rng.choice(EDGES, size=shape), values).astype(dtype)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.integers(0, 9),
        "threshold": st.sampled_from([0, 5, 30, 1000, math.inf]),
        "edgeitems": st.integers(0, 4),
        "linewidth": st.integers(1, 130),
        "profile": st.sampled_from(["default", "short", "full"]),
        "sci_mode": st.sampled_from([None, True, False]),
    },
)


@settings(max_examples=300)
@given(arrays(), OPTIONS, st.booleans())
@example(np.zeros((0, 3), np.int64), {}, False)
@example(np.float32(2.5).reshape(()), {"threshold": 0, "edgeitems": 0}, True)
@example(np.arange(1001), {}, False)
@example(np.array([1.5, 1500.0]), {}, False)  # the limits of the scientific form
@example(np.array([1.5, 1500.1]), {}, False)
@example(np.array([1e8 - 0.5, 1e8]), {}, False)
@example(np.array([1e8 + 0.5]), {}, False)
@example(np.array([1e-4, 2e-4]), {}, False)
@example(np.array([1e-45, 1.0], np.float32), {}, False)
def test_an_array_prints_as_in_pytorch(array, options, requires_grad):
    for library in (torch, printing):
        library.set_printoptions(profile="default")
        library.set_printoptions(**options)
    tensor, kept = torch.tensor(array), {}
    if requires_grad and array.dtype.kind == "f":
        tensor.requires_grad_()
        assert show_tensor(array, requires_grad=True) == repr(tensor)
        tensor, kept = tensor.clone(), {"requires_grad": True, "grad_fn": "CloneBackward0"}
    assert show_tensor(array, **kept) == repr(tensor)


def test_the_notes_of_a_long_line_begin_a_new_one():
    for length in range(60, 82):
        array = np.full(length // 4, 0.5, np.float64).round(0)
        assert show_tensor(array, requires_grad=True) == repr(torch.tensor(array, requires_grad=True))


@given(st.lists(OPTIONS, max_size=4))
def test_options_follow_one_another_as_in_pytorch(calls):
    for library in (torch, printing):
        library.set_printoptions(profile="default")
        for options in calls:
            library.set_printoptions(**options)
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    with printing.printoptions(precision=1):
        assert show_tensor(np.float64(0.25).reshape(1)) != ""
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()


def test_an_unknown_profile_is_refused():
    before = printing.get_printoptions()
    with pytest.raises(ValueError, match="expected 'default' or 'short' or 'full'; got 'long'"):
        printing.set_printoptions(precision=2, profile="long")
    assert printing.get_printoptions() == before


# --- what made it ---

# Found from the node alone. x (3, 4), square (3, 3), v (4,), b (2, 3, 4), q (2, 2, 3, 4) want gradients; m is a mask.
PLAIN = """
x + 1; 1 + x; x + x; x - x; x * 2; 2 * x; x * x; x / 2; x / x; 2 / x; -x; x ** 2; abs(x) ** x; 2 ** x; abs(x)
x.exp(); abs(x).log(); abs(x).sqrt(); x.tanh(); x.sin(); x.cos(); x.erf(); x.sigmoid(); x.relu(); lib.sign(x)
x.sum(); x.sum(0); x.sum((0, 1), True); x.mean(); x.mean(-1); x.max(); x.min(); x.logsumexp(0); x.cumsum(0)
lib.maximum(x, x); lib.minimum(x, x); lib.where(m, x, x); x.clip(0); x.clip(0, 1); x.double()
x.reshape(4, 3); x.view(-1); x.transpose(0, 1); x.swapaxes(0, 1); b.mT; b.permute(2, 0, 1); x.broadcast_to((2, 3, 4))
lib.concatenate([x, x])
x[0]; x[0, 1]; x[0:2]; x[:, 0]; x[:]; x[...]; x[None]; x[:, None]; x[[0, 1]]; x[m]; x[0:2, 1]; x[:, -1:]; b[:, -1, :]
b[:, :, :]; b[:2, :]; b[:2]; b[0, :]; b[..., 0, :]; b[:, :2, :]; b[:, None, 0]; b[0, None]; b[0:1, 0]; b[0, 0:1]
b[:, :1, None]; b[None, 0]; b[..., :]; b[()]; b[:, [1]]; b[0, [0, 1]]; b[...,  1:2]; b[0:1, ...]; x[True]
x @ x.mT; x @ v; v @ v; v @ x.mT; b @ b.mT; b @ x.mT; b @ v; q @ q.mT; q @ x.mT; x @ b.mT; v @ b.mT; q @ b.mT
lib.einsum("ij,kj->ik", x, x); lib.einsum("bij,bkj->bik", b, b)
F.linear(x, x); F.linear(b, x); F.linear(v, x); F.linear(q, x); F.linear(x, x, w); F.linear(b, x, w); F.linear(v, x, w)
F.gelu(x); F.gelu(x, approximate="tanh"); nn.Softmax(-1)(x); F.dropout(x, 0.5)
F.embedding(ids, x); F.batch_norm(x, None, None, training=True); nn.LayerNorm(4)(x); F.cross_entropy(x, ids)
F.scaled_dot_product_attention(q, q, q); F.scaled_dot_product_attention(b, b, b)
"""

# Ours made of several operations, named where `label` was called.
COMPOSED = """
lib.einsum("ij->ji", x); lib.einsum("ij->", x); lib.einsum("i,j->ij", v, v); lib.einsum("ij,ij->", x, x)
lib.einsum("ij,ij->ij", x, x); lib.einsum("bij->jb", b); lib.einsum("ij,jk->ki", x.mT, x)
x - 1; 1 - x; x.var(); x.std(0); x.prod(); x.prod(0); v.sum(0); v.mean(0); x.clone(); x.masked_fill(m, 0.)
x.flatten(); b.flatten(1); x.mT.reshape(-1); x.permute(1, 0); x.T; x.mT; x.unsqueeze(0); x.unsqueeze(0).squeeze(0)
x.unsqueeze(0).squeeze(); x.expand(2, 3, 4); x.split(1)[0]; x.split([1, 2])[1]; x.tril(); x.triu(); lib.stack([x, x])
x.gather(0, lib_ids); F.mse_loss(x, x); F.mse_loss(x, x, reduction="sum"); F.cross_entropy(x, ids)
F.cross_entropy(x, ids, reduction="none"); F.cross_entropy(x, ids, label_smoothing=0.1)
nn.BatchNorm1d(4).eval()(x); F.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
F.scaled_dot_product_attention(q, q, q, None, 0.5); F.scaled_dot_product_attention(q, q, q, None, 0.0)
F.pad(x, (1, 1)); F.pad(b, (1, 1), mode="reflect"); F.pad(b, (1, 2), mode="replicate"); F.pad(b, (1, 1), mode="circular")
F.pad(q, (1, 1, 1, 1), "reflect"); F.pad(q, (1, 1, 1, 1), mode="replicate")
F.l1_loss(x, x); F.l1_loss(x, x, reduction="none"); F.l1_loss(x, x, reduction="sum"); F.smooth_l1_loss(x, x)
F.kl_div(x, abs(x), reduction="batchmean"); F.kl_div(x, abs(x), reduction="sum"); F.cross_entropy(x, x); F.cross_entropy(x, x, reduction="sum")
F.cross_entropy(b, ids3); F.cross_entropy(b, ids3, reduction="none"); F.cross_entropy(q, ids4, reduction="none")
x.max(0).values; x.min(1).values; lib.max(x, x); x.narrow(0, 0, 1); x.chunk(2)[0]
F.unfold(q, 2); F.adaptive_avg_pool2d(q, 1); F.adaptive_avg_pool2d(q, (1, 1)); F.adaptive_avg_pool2d(q, 2)
lib.rsub(x, 1); x.sum(-1); x.mean((0, 1)); x.squeeze(0); x.unsqueeze(0).squeeze(-3); lib.square(x); lib.log1p(abs(x))
"""


def lines(text):
    return [each.strip() for line in text.strip().splitlines() for each in line.split(";")]


def names(lib, layers, tensor, constant):
    """What the expressions may name: the same numbers under either library."""
    rng = np.random.default_rng(5)
    made = {}
    for name, shape in {"x": (3, 4), "v": (4,), "b": (2, 3, 4), "q": (2, 2, 3, 4), "w": (3,)}.items():
        made[name] = tensor(rng.standard_normal(shape).astype(np.float32))
    made["m"], made["ids"] = constant(rng.random((3, 4)) < 0.5), constant(np.array([0, 1, 2]))
    made["ids3"], made["ids4"] = constant(np.zeros((2, 4), np.int64)), constant(np.zeros((2, 3, 4), np.int64))
    made["lib_ids"] = constant(np.zeros((1, 4), np.int64))
    return made | {"lib": lib, "nn": layers, "F": layers.functional}


def ours():
    return names(mg, nn, lambda a: mg.tensor(a, requires_grad=True) * 1.0, lambda a: a)


def theirs():
    return names(torch, torch.nn, lambda a: torch.tensor(a, requires_grad=True) * 1.0, torch.tensor)


@pytest.fixture
def labelled(monkeypatch):
    owners = Tensor, functions, mg, F
    for owner in owners:
        for name in grad_fn.COMPOSED:
            if hasattr(owner, name):
                monkeypatch.setattr(owner, name, getattr(owner, name))  # to be put back
    grad_fn.label(*owners)


@pytest.mark.parametrize("written", lines(PLAIN))
def test_what_made_a_tensor_has_pytorchs_name(written):
    assert repr_of_maker(written, ours()) == type(eval(written, theirs()).grad_fn).__name__


@pytest.mark.parametrize("written", [*lines(COMPOSED), *lines(PLAIN)])
def test_what_several_operations_made_has_the_name_of_the_call(written, labelled):
    assert repr_of_maker(written, ours()) == type(eval(written, theirs()).grad_fn).__name__


def repr_of_maker(written, given):
    return grad_fn.grad_fn(eval(written, given)).name()


def test_labels_leave_one_object_one_and_the_arguments_names_alone(labelled):
    assert functions.tril is Tensor.tril
    again = Tensor.tril
    grad_fn.label(Tensor)
    assert Tensor.tril is again and again.__doc__
    x = mg.tensor(np.ones((2, 3), np.float32), requires_grad=True) * 2.0
    F.dropout(x, 0.0)
    assert grad_fn.grad_fn(x).name() == "MulBackward0"


def test_a_name_survives_the_walk_back():
    x = mg.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    loss = (F.linear(x, x, x[:, 0]) ** 2).sum()
    loss.backward()
    assert grad_fn.grad_fn(loss).name() == "SumBackward0" and grad_fn.grad_fn(loss).next_functions == ()


AFTER = {  # what decided is freed: the shape decides, and what is most common
    "2 ** x": "PowBackward1", "b.permute(2, 0, 1)": "TransposeBackward0", "x[:, None]": "SelectBackward0",
    "x @ x.mT": "MmBackward0", "x @ v": "SqueezeBackward4", "v @ v": "DotBackward0", "b @ v": "MmBackward0",
    "q @ q.mT": "UnsafeViewBackward0", "F.linear(x, x)": "AddmmBackward0", "F.linear(b, x)": "ViewBackward0",
    "x.mT": "TransposeBackward0", "x.sum(0)": "SumBackward1", "x.sum()": "SumBackward0",
}  # fmt: skip


@pytest.mark.parametrize("written", AFTER)
def test_after_the_walk_the_most_common_name_is_printed(written):
    y = eval(written, ours())
    (y.sum() if y.ndim else y * 1.0).backward()
    assert grad_fn.grad_fn(y).name() == AFTER[written]


def test_the_graph_can_be_followed_back_to_the_leaves():
    x = mg.tensor(np.ones(3, np.float32), requires_grad=True)
    y = x.exp() * np.ones(3, np.float32)
    maker = grad_fn.grad_fn(y)
    assert repr(maker).startswith("<MulBackward0 object at 0x") and grad_fn.grad_fn(x) is None
    (exp, first), nothing = maker.next_functions
    assert (exp.name(), first, nothing) == ("ExpBackward0", 0, (None, 0)) and exp == grad_fn.GradFn(
        y._node.parents[0]
    )
    ((leaf, _),) = exp.next_functions
    assert leaf.name() == "torch::autograd::AccumulateGrad" and repr(leaf).startswith(
        "<AccumulateGrad object"
    )
    assert len({exp, grad_fn.GradFn(y._node.parents[0])}) == 1


# --- modules ---

MODULES = """
nn.Linear(3, 4); nn.Linear(3, 4, bias=False); nn.Embedding(10, 3); nn.Embedding(10, 3, padding_idx=-1); nn.Identity(3)
nn.LayerNorm(4); nn.LayerNorm((3, 4), eps=1e-3, bias=False); nn.LayerNorm(4, elementwise_affine=False)
nn.Dropout(); nn.Dropout(0.2); nn.GELU(); nn.GELU(approximate="tanh"); nn.ReLU(); nn.Tanh(); nn.Sigmoid(); nn.Softmax(1)
nn.BatchNorm1d(3); nn.BatchNorm1d(3, 1e-4, None, False); nn.BatchNorm1d(3, track_running_stats=False)
nn.MSELoss(); nn.CrossEntropyLoss(); nn.MultiheadAttention(4, 2); nn.MultiheadAttention(4, 2, bias=False)
nn.TransformerEncoderLayer(4, 2, 8); nn.TransformerEncoderLayer(4, 2, 8, activation="gelu", norm_first=True)
nn.TransformerEncoderLayer(4, 2, 8, activation=nn.GELU()); nn.TransformerDecoderLayer(4, 2, 8)
nn.Sequential(); nn.ModuleList(); nn.Sequential(nn.ReLU(), nn.ReLU(), nn.Sequential(nn.ReLU(), nn.Linear(2, 3)))
nn.ModuleList([nn.Dropout(0.1), nn.Dropout(0.1), nn.Dropout(0.1), nn.ReLU(), nn.Dropout(0.1)])
nn.ModuleList([nn.ModuleList([nn.ReLU(), nn.Tanh()]) for _ in range(2)])
nn.ModuleList([nn.Sequential(nn.ReLU(), nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU()), nn.Linear(1, 1)])
"""


@pytest.mark.parametrize("written", lines(MODULES))
def test_a_module_prints_as_in_pytorch(written):
    assert repr(eval(written, {"nn": nn})) == repr(eval(written, {"nn": torch.nn}))


@pytest.mark.parametrize("shown", ["", "size=3", "size=3\nand more", "first\n\nthird"])
def test_a_users_module_prints_as_in_pytorch(shown):
    def model(library):
        class Inner(library.Module):
            def extra_repr(self):
                return shown

        class Net(library.Module):
            def __init__(self):
                super().__init__()
                self.first = library.Linear(2, 3)
                self.blocks = library.ModuleList([Inner() for _ in range(2)])
                self.scale = 3

            def extra_repr(self):
                return shown

        return repr(library.Sequential(Net(), Inner()))

    assert model(nn) == model(torch.nn)
