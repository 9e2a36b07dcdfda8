"""Whose function it is, what goes into it, and that nothing on its way is left out."""

import functools
import importlib.util
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

import minigrad as mg
import nn
import nn.functional as F
from minigrad.check.compare import compare
from minigrad.check.gradcheck import gradcheck
from minigrad.check.subjects import library_of, subject
from minigrad.tensor import Tensor, lift, wrap
from nn.functional.softmax import softmax

RNG = np.random.default_rng(11)
X, W = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))
JAX = importlib.util.find_spec("jax") is not None


# --- whose it is ---


class Doubled(torch.autograd.Function):
    """x * w, whose gradient for x is twice what it should be."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx, dout):
        x, w = ctx.saved_tensors
        return 2 * dout * w, dout * x


class Worn(torch.autograd.Function):
    """x * w, whose second backward is wrong: values and one gradient are those of a right function."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.x, ctx.w, ctx.walks = x, w, 0
        return x * w

    @staticmethod
    def backward(ctx, dout):
        ctx.walks += 1
        return dout * ctx.w * ctx.walks, dout * ctx.x


@lift
def ours(x, w):
    return x * w, lambda dout: (2 * dout * w, dout * x)


def by_hand(x, w):
    return x * w, lambda dout: (2 * dout * w, dout * x)


class Shifted(nn.Module):
    def forward(self, x):
        return x + 1.0


def tanh_by_hand(x):
    t = np.tanh(x)
    return t, lambda dout: (dout * (1 - t * t),)


ELSEWHERE = types.ModuleType("elsewhere")
exec("def through_a_global(x, w):\n    return core(x, w)", vars(ELSEWHERE))


def disguises(core):
    """Return functions that do nothing but call `core`, and do not look like it."""
    ELSEWHERE.core = core
    box, table = [core], {"core": core}

    class Own:
        def __call__(self, x, w):
            return core(x, w)

        def method(self, x, w):
            return core(x, w)

        @classmethod
        def of_class(cls, x, w):
            return core(x, w)

    def helper(x, w):
        return (lambda *both: core(*both))(x, w)

    def plain(x, w):
        return core(x, w)

    wrapped = [functools.wraps(other)(lambda x, w: core(x, w)) for other in (mg.tanh, torch.tanh, F.softmax)]
    wrapped.append(functools.wraps(torch.nn.functional.softmax)(lambda x, w: core(x, w)))
    hidden = [lambda x, w: box[0](x, w), lambda x, w: table["core"](x, w), ELSEWHERE.through_a_global]
    hidden.append(lambda x, w: vars(ELSEWHERE)["core"](x, w))
    nested = [plain, helper, functools.partial(plain), lambda x, w: next(map(core, [x], [w]))]
    return [core, functools.partial(core), *nested, Own(), Own().method, Own.of_class, *wrapped, *hidden]


def given(kind):
    """Return X and W as tensors of one library, or of two."""
    make = {"numpy": np.copy, "minigrad": wrap, "torch": torch.tensor}
    kinds = kind.split("+")
    return make[kinds[0]](X.copy()), make[kinds[-1]](W.copy())


@pytest.mark.parametrize("kind", ["numpy", "torch", "minigrad", "torch+minigrad"])
@pytest.mark.parametrize(
    ("core", "library"),
    [(Doubled.apply, "torch"), (Worn.apply, "torch"), (ours, "minigrad"), (by_hand, "numpy")],
)
def test_no_disguise_gets_a_verdict_from_the_wrong_library(core, library, kind):
    """It is told rightly, or refused with what to pass."""
    for fn in disguises(core):
        try:
            found = subject(fn, given(kind))
            found.forward(found.arrays)
            assert found.library == library
        except ValueError as error:
            assert "pass library=" in str(error)
        except (
            TypeError
        ) as error:  # of the check itself, where the inputs say one library and the function another
            assert "pass library=" in error.__notes__[0]


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, w: Doubled.apply(x, w) if isinstance(x, torch.Tensor) else x * w,
        lambda x, w: Doubled.apply(x, w) if hasattr(x, "grad_fn") else x * w,
        lambda x, w: ours(x, w) if isinstance(x, Tensor) else x * w,
        lambda x, w: ours(x, w) if not torch.is_tensor(x) else x * w,
        lambda x, w: x.detach() * w if torch.is_tensor(x) else x * w,
        lambda x, w: Doubled.apply(x, w),
    ],
)
def test_a_function_that_is_another_in_each_library_is_refused(fn):
    expected = 'got other results from minigrad than from torch; pass library="torch" if torch computes its'
    with pytest.raises(ValueError, match=expected):
        gradcheck(fn, (X, W))
    verdicts = {
        library: gradcheck(fn, (X, W), library=library, raise_error=False).ok
        for library in ("minigrad", "torch")
    }
    assert sum(verdicts.values()) == 1


@pytest.mark.parametrize(
    ("fn", "library"),
    [
        (softmax, "minigrad"),
        (nn.Linear(4, 4), "minigrad"),
        (Shifted(), "minigrad"),
        (lambda x: x * 2.0, "minigrad"),
        (lambda x: x.tanh(), "minigrad"),
        (lambda x: x * np.random.default_rng().random(), "minigrad"),  # the check says that it is random
        (tanh_by_hand, "numpy"),
        (lambda x: ((x, 2 * x), lambda dout: dout[0] + 2 * dout[1]), "numpy"),
        ((np.sin, lambda dout, x: dout * np.cos(x)), "numpy"),
        (torch.tanh, "torch"),
        (torch.nn.Tanh(), "torch"),
        (torch.nn.functional.layer_norm, "torch"),
        (functools.partial(torch.nn.functional.softmax, dim=-1), "torch"),
        (lambda x: torch.relu(x), "torch"),
        (lambda x: torch.as_tensor(x).sin(), "torch"),
        (lambda x: torch.nn.functional.softmax(x * 2.0, -1), "torch"),  # calls methods that ours have, too
        (lambda x: x.matmul(torch.ones(4, 2, dtype=torch.float64)), "torch"),
        (lambda x: x.sin() if isinstance(x, torch.Tensor) else [].missing, "torch"),
    ],
)
def test_libraries_are_told_apart_by_what_a_function_is_and_does(fn, library):
    assert library_of(fn, [X]) == library


def test_a_numpy_function_is_told_whatever_it_is_given():
    wrong = lambda x: (x * x, lambda dout: (3 * x * dout,))  # noqa: E731
    for x in (X, torch.tensor(X), wrap(X)):
        report = gradcheck(wrong, x, raise_error=False)
        assert report.library == "numpy" and report.kinds == ["factor"]


def test_an_error_of_the_users_decides_nothing():
    def broken(x):
        raise KeyError("the user's own")

    with pytest.raises(KeyError, match="the user's own") as caught:
        gradcheck(broken, X)
    assert "pass library=" in caught.value.__notes__[0]

    def beside_torch(x):
        ones = torch.ones(x.shape).numpy()  # float32, with which float64 makes no product
        return x @ ones.T

    with pytest.raises(ValueError, match=r"got code of torch, run on minigrad Tensors \(InvalidType: matmul"):
        gradcheck(beside_torch, X)
    assert gradcheck(beside_torch, X.astype(np.float32), library="minigrad")


class Foreign:
    __module__ = "jaxlib._jax"


def test_what_no_known_library_made_is_refused():
    with pytest.raises(ValueError, match="got code of jax and torch"):
        library_of(lambda x, y: x + y, [torch.ones(2), Foreign()])
    autograd = pytest.importorskip("autograd", reason="autograd is not installed")
    doubled = autograd.extend.primitive(lambda x: x * 2.0)
    with pytest.raises(ValueError, match="got code of autograd, run on minigrad Tensors.*; pass library="):
        gradcheck(lambda x: doubled(x), X)


def test_the_trial_run_leaves_inputs_generators_and_profilers_as_they_were():
    def careless(x, ids):
        ids[...] = 0
        x.array[...] = 0.0
        return x + mg.rand(3, 4).numpy().astype(np.float64)

    ids, x, heard = np.arange(3), X.copy(), []
    mg.manual_seed(1)
    expected = mg.rand(3).numpy()
    mg.manual_seed(1)
    hear = lambda *event: heard.append(event)  # noqa: E731
    sys.setprofile(hear)
    library_of(careless, [x, ids])
    after = sys.getprofile()
    sys.setprofile(None)
    assert after is hear and np.array_equal(ids, np.arange(3)) and np.array_equal(x, X)
    assert np.array_equal(mg.rand(3).numpy(), expected)


def test_neither_torch_nor_jax_is_imported_for_others():
    code = (
        "import sys, numpy as np, minigrad as mg\n"
        "assert mg.compare(mg.tanh, lambda x: x.tanh(), np.ones(3))\n"
        "assert mg.gradcheck(mg.tanh, np.ones(3))\n"
        "assert not {'torch', 'jax', 'hypothesis', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- what goes in and comes out ---


def nested(library, wrong):
    """Return a function of ({"w": a, "b": (b, 2)}, x, [y]), whose gradients for b and y are `wrong` times the right ones."""
    scaled = {
        "minigrad": lambda t: lift(lambda a: (a * 1.0, lambda d: (d * wrong,)))(t),
        "torch": lambda t: t * wrong + (t * (1 - wrong)).detach(),
    }

    def fn(p, x, more):
        scale = scaled[library]
        return {"out": (p["w"] * x + scale(p["b"][0]), [None, scale(more[0]) * p["b"][1]])}

    def of_arrays(p, x, more):
        (b, two), (y,) = p["b"], more

        def vjp(dout):
            d, (_, e) = dout["out"]
            return {"w": d * x, "b": (wrong * d, None)}, d * p["w"], [wrong * two * e]

        return {"out": (p["w"] * x + b, [None, y * two])}, vjp

    return of_arrays if library == "numpy" else fn


LEAVES = ["input 0['w']", "input 0['b'][0]", "input 1", "input 2[0]"]


@pytest.mark.parametrize("library", ["minigrad", "numpy", "torch"])
def test_every_leaf_of_nested_inputs_is_checked_by_its_name(library):
    a, b, x, y = RNG.standard_normal((4, 2, 3))
    inputs = {"w": a, "b": (b, 2)}, x, [y]
    report = gradcheck(nested(library, 1), inputs, library=library)
    assert [row.name for row in report.rows] == LEAVES
    report = gradcheck(nested(library, 3), inputs, library=library, raise_error=False)
    assert [row.name for row in report.rows if not row.ok] == ["input 0['b'][0]", "input 2[0]"]
    found = compare(
        nested("minigrad", 1), nested(library, 3), inputs, libraries=("minigrad", library), raise_error=False
    )
    assert {f.where for f in found.findings if f.where.startswith("input")} == {
        "input 0['b'][0]",
        "input 2[0]",
    }
    assert compare(nested("minigrad", 1), nested(library, 1), inputs, libraries=("minigrad", library))


def test_a_gradient_that_is_not_like_its_nested_input_is_named():
    def fn(p):
        return p["a"] * p["b"], lambda dout: ({"a": dout * p["b"], "c": dout * p["a"]},)

    report = gradcheck(fn, {"a": X, "b": W}, raise_error=False)
    assert report.kinds == [
        "shape"
    ] and "expected gradients for input 0['a'], input 0['b']; got one for input 0['c']" in str(report)


def test_a_numpy_vjp_of_several_outputs_is_under_contract():
    def fn(x):
        def vjp(dout):
            dout[1][...] *= 2
            return dout[0] + dout[1]

        return (x * 1.0, x * 2.0), vjp

    assert gradcheck(fn, X, raise_error=False).kinds == ["mutation"]


@pytest.mark.parametrize(
    ("fn", "inputs", "message"),
    [
        (lambda x, y: x * y, (X.astype(np.float16), X), 'input 0: expected float32 or float64 numbers; got float16; convert'),
        (torch.tanh, torch.ones(2, dtype=torch.bfloat16), "got bfloat16; convert it first"),
        (lambda x, y: x * y, (X, {"z": X + 1j}), r"input 1\['z'\]: expected .*; got complex128; convert it first"),
        (torch.tanh, np.arange(3), "expected at least one float32 or float64 array; got int64"),
        (lambda x: (np.sin(x), np.cos(x)), X, r"got ndarray, ndarray; .* or, of NumPy, \(out, vjp\), where out may be a tuple"),
        (lambda x: "text", X, "expected a function that returns Tensors; got str"),
        (lambda x: torch.tanh(x).sum().item() if torch.is_tensor(x) else 1.0, torch.tensor(X), "a plain number has no history"),
        (lambda x: torch.tanh(x).missing, X, "run on PyTorch tensors .*'Tensor' object has no attribute 'missing'.*pass library="),
        (lambda x: torch.tanh(x).argmax(-1), torch.tensor(X), "of integers or booleans alone"),
        (lambda x: (x * x, wrap(X)), torch.tensor(X), "some of minigrad; a gradient goes through one library alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_says_what_to_pass(fn, inputs, message):
    with pytest.raises((TypeError, ValueError), match=message):
        gradcheck(fn, inputs)


@pytest.mark.parametrize(
    "check", [lambda *x: compare(mg.tanh, torch.tanh, *x), lambda *x: gradcheck(mg.add, *x)]
)
def test_inputs_side_by_side_are_refused(check):
    with pytest.raises(TypeError, match=r"inputs: expected one tuple of them, \(x, y\); got 2 side by side"):
        check(X, X)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_a_scripted_function_is_pytorchs_and_a_scripted_module_is_refused():
    scripted = torch.jit.script(scriptable)
    assert gradcheck(scripted, X).library == gradcheck(lambda x: scripted(x), X).library == "torch"
    with pytest.raises(TypeError, match="expected the module as it was before torch.jit.script"):
        gradcheck(torch.jit.script(torch.nn.Linear(4, 2)), X)


def scriptable(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x) * 2


def test_random_numbers_that_are_others_in_float64_raise_no_alarm():
    x = X.astype(np.float32)
    assert gradcheck(lambda x: x * torch.randn_like(x), x, seal=True)


# --- hooks ---


def hooked(part):
    """Return a torch module and its input, where the gradient of `part` goes through a hook that doubles it."""
    layer, x = torch.nn.Linear(4, 2).double(), torch.tensor(X, requires_grad=True)
    if part == "a module":
        layer.register_full_backward_hook(lambda module, grads, _: (2 * grads[0],))
    elif part == "accumulated":
        layer.weight.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", 2 * p.grad))
    elif part == "an output":
        layer.register_forward_hook(lambda module, args, out: out.register_hook(lambda g: 2 * g) and None)
    else:
        {"weight": layer.weight, "input 0": x}[part].register_hook(lambda g: 2 * g)
    return layer, x


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("weight", ["weight"]),
        ("input 0", ["input 0"]),
        ("accumulated", ["weight"]),
        ("a module", ["input 0"]),
        ("an output", ["input 0", "weight", "bias"]),
    ],
)
def test_a_hook_of_pytorch_that_changes_a_gradient_is_not_bypassed(part, wrong):
    layer, x = hooked(part)
    report = gradcheck(layer, x, raise_error=False)
    assert [row.name for row in report.rows if not row.ok] == wrong and set(report.kinds) == {"factor"}
    assert layer.weight.grad is None and x.grad is None


def test_a_parametrized_weight_is_checked_through_its_parametrization():
    class Wrong(torch.nn.Module):
        def forward(self, w):
            return w + (w * w).detach()

    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 2))
    assert gradcheck(layer, X, dtype="float64")
    torch.nn.utils.parametrize.register_parametrization(layer, "bias", Wrong())
    report = gradcheck(layer, X, dtype="float64", raise_error=False)
    assert [row.name for row in report.rows if not row.ok] == ["parametrizations.bias.original"]


@pytest.mark.parametrize("part", ["weight", "input 0"])
def test_a_hook_of_minigrad_that_changes_a_gradient_is_not_bypassed(part):
    layer, x = nn.Linear(4, 2), Tensor(X.tolist()).double().requires_grad_()
    {"weight": layer.weight, "input 0": x}[part].register_hook(lambda g: 2 * g)
    report = gradcheck(layer, x, dtype="float64", raise_error=False)
    assert [row.name for row in report.rows if not row.ok] == [part] and report.kinds == ["factor"]


# --- JAX ---


@pytest.mark.skipif(not JAX, reason="JAX is not installed")
def test_functions_of_jax():
    """In a process of its own: JAX warns of every fork that other tests make after it."""
    command = [sys.executable, "-m", "tests.support.jax_subjects"]
    subprocess.run(command, check=True, timeout=300)


def test_what_a_numpy_function_keeps_for_its_last_call_alone_is_found():
    room = np.zeros((2, 3))

    def square(x):
        room[...] = x
        return x * x, lambda d: 2 * room * d

    report = mg.gradcheck(square, np.arange(1.0, 7.0).reshape(2, 3), raise_error=False)
    assert report.kinds == ["second walk"]
