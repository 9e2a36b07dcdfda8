"""torch.autograd's further names: own operations, derivatives of functions, gradients of gradients; torch.accelerator."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from nn.torch_names.faces import face

OURS = face("torch")
X = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)


def legendre(library):
    """P3 with its derivative written out, as PyTorch's tutorial has it."""

    class P3(library.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.save_for_backward(x)
            ctx.scale = scale
            assert ctx.needs_input_grad == (True, False)
            return scale * 0.5 * (5 * x**3 - 3 * x)

        @staticmethod
        def backward(ctx, dout):
            (x,) = ctx.saved_tensors
            return dout * ctx.scale * 1.5 * (5 * x**2 - 1), None

    return P3


def cube(library):
    """The newer form: forward without ctx."""

    class Cube(library.autograd.Function):
        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, dout):
            return 3 * ctx.saved_tensors[0] ** 2 * dout

    return Cube


@pytest.mark.parametrize(("make", "args"), [(legendre, (2.0,)), (cube, ())])
def test_an_operation_with_a_gradient_of_ones_own_gives_what_pytorchs_gives(make, args):
    both = []
    for library in (torch, OURS):
        x = library.tensor(X.tolist(), requires_grad=True)
        y = make(library).apply(x, *args)
        (y * x).sum().backward()
        both.append(
            (y.detach().numpy(), x.grad.numpy(), str(y.grad_fn).split()[0].rpartition(".")[2].strip("<>"))
        )
        assert not make(library).apply(x.detach().requires_grad_(), *args).is_leaf
        with library.no_grad():
            if make is cube:
                assert make(library).apply(x, *args).grad_fn is None
    np.testing.assert_allclose(both[1][0], both[0][0], 1e-6, 1e-6)
    np.testing.assert_allclose(both[1][1], both[0][1], 1e-6, 1e-6)
    assert both[0][2] == both[1][2]


def test_a_gradient_of_ones_own_of_another_shape_is_refused():
    class Wrong(OURS.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, dout):
            return dout.sum()

    x = OURS.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match=r"^Wrong.backward: expected a gradient \(3,\); got \(\)"):
        Wrong.apply(x).sum().backward()


FUNCTIONS = {
    "jacobian": lambda t, x, y: t.autograd.functional.jacobian(lambda a: (a**2) @ y, x),
    "jacobian of two": lambda t, x, y: t.autograd.functional.jacobian(lambda a, b: a @ b, (x, y)),
    "hessian": lambda t, x, y: t.autograd.functional.hessian(lambda a: (a**3).sum(), x),
    "hessian of two": lambda t, x, y: t.autograd.functional.hessian(lambda a, b: (a @ b).exp().sum(), (x, y)),
    "vjp": lambda t, x, y: t.autograd.functional.vjp(lambda a: a**3, x, x),
    "jvp": lambda t, x, y: t.autograd.functional.jvp(lambda a, b: a @ b, (x, y), (x, y)),
    "backward": lambda t, x, y: (
        x.requires_grad_(),
        t.autograd.backward([(x * 2).sum(), x @ y], [None, t.ones(3)]),
        x.grad,
    )[2],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_functions_are_pytorchs(name):
    def flat(x):
        return [each for part in x for each in flat(part)] if isinstance(x, tuple) else [x.detach().numpy()]

    theirs, ours = (
        flat(FUNCTIONS[name](t, t.tensor(X.tolist()), t.tensor([0.5, -1.0]))) for t in (torch, OURS)
    )
    assert len(ours) == len(theirs)
    for mine, their in zip(ours, theirs):
        assert mine.shape == their.shape and mine.dtype == their.dtype
        np.testing.assert_allclose(mine, their, 1e-5, 1e-6)


PENALTY = """
import torch
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = (x ** 3).sum()
g, = torch.autograd.grad(y, x, create_graph=True)
((g.norm() - 1) ** 2 + (g ** 2).sum()).backward()
print(x.grad)
"""


def test_a_script_that_differentiates_gradients_runs_as_it_is(tmp_path):
    path = tmp_path / "penalty.py"
    path.write_text(PENALTY)
    commands = ([sys.executable], [sys.executable, "-m", "minigrad", "run"])
    theirs, ours = (
        subprocess.run([*c, str(path)], capture_output=True, text=True, check=True) for c in commands
    )
    assert ours.stdout == theirs.stdout


def test_a_gradient_that_cannot_be_differentiated_says_how_to_record_it():
    x = OURS.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"with minigrad\.switches\.keep_inputs\(\)"):
        OURS.autograd.grad((x**3).sum(), x, create_graph=True)


def test_a_machine_without_a_gpu_has_no_accelerator():
    assert OURS.accelerator.is_available() is False and OURS.accelerator.current_accelerator() is None
    assert OURS.accelerator.device_count() == 0
