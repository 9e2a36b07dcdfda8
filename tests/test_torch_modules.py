"""What PyTorch's modules beside its operations and layers answer: the same lines under both, with the same results.

A line that PyTorch refuses is refused here. What a module cannot show on one machine, a GPU, is tested elsewhere.
"""

import warnings

import numpy as np
import pytest
import torch

import minigrad as mg
from minigrad.random import default_generator
from nn.torch_names.faces import face

OURS = face("torch")
BOTH = (torch, OURS)


@pytest.fixture(autouse=True)
def generator_as_before():
    before = default_generator().state()
    yield
    default_generator().set_state(before)


def shown(value):
    """Whatever a line returns, as lists and names that both libraries share."""
    if isinstance(value, (torch.Tensor, mg.Tensor)):
        return str(value.dtype), tuple(value.shape), bool(value.requires_grad), rounded(value.tolist())
    if isinstance(value, dict):
        return {str(key): shown(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(each) for each in value]
    return rounded(value) if isinstance(value, float) else value


def rounded(value):
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def told(line, library):
    """What the line returns, or that it is refused."""
    library.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return shown(line(library))
        except Exception as error:
            return "refused", bool(str(error))


P23 = [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]
LINES = {
    "distributions": {
        "a sample": lambda t: t.distributions.Categorical(t.tensor(P23)).sample(),
        "samples": lambda t: t.distributions.Categorical(t.tensor(P23)).sample((4, 2)),
        "samples of logits": lambda t: t.distributions.Categorical(logits=t.tensor(P23)).sample((3,)),
        "no samples": lambda t: t.distributions.Categorical(t.tensor(P23)).sample((0,)),
        "a sample of one row": lambda t: t.distributions.Categorical(t.tensor(P23[0])).sample(),
        "log_prob": lambda t: t.distributions.Categorical(t.tensor(P23)).log_prob(t.tensor([2, 0])),
        "log_prob of many": lambda t: t.distributions.Categorical(t.tensor(P23)).log_prob(t.tensor([[2, 0], [1, 1], [0, 2]])),
        "log_prob of one for all": lambda t: t.distributions.Categorical(t.tensor(P23[0])).log_prob(t.tensor([2, 0, 1])),
        "log_prob of chance 0": lambda t: t.distributions.Categorical(t.tensor([0.0, 1.0])).log_prob(t.tensor([0, 1])),
        "log_prob of logits": lambda t: t.distributions.Categorical(logits=t.tensor(P23) * 9).log_prob(t.tensor(1)),
        "probs": lambda t: (lambda d: (d.probs, d.logits))(t.distributions.Categorical(t.tensor(P23) * 4)),
        "probs of logits": lambda t: (lambda d: (d.probs, d.logits))(t.distributions.Categorical(logits=t.tensor(P23) * 4)),
        "entropy": lambda t: t.distributions.Categorical(t.tensor([P23, P23[::-1]])).entropy(),
        "entropy of impossible logits": lambda t: t.distributions.Categorical(logits=t.tensor([0.0, -float("inf")])).entropy(),
        "both": lambda t: t.distributions.Categorical(t.tensor(P23), t.tensor(P23)),
        "neither": lambda t: t.distributions.Categorical(),
        "learned chances": lambda t: learned(t, lambda p: t.distributions.Categorical(p).log_prob(t.tensor([2, 0])).sum()),
        "learned logits": lambda t: learned(t, lambda p: t.distributions.Categorical(logits=p).entropy().sum()),
        "normal": lambda t: t.distributions.Normal(1.0, t.tensor([0.5, 2.0])).sample((3,)),
        "one normal": lambda t: t.distributions.Normal(t.tensor([[1.0]]), t.tensor([0.5, 2.0])).sample(),
        "normal log_prob": lambda t: t.distributions.Normal(1.0, t.tensor([0.5, 2.0])).log_prob(t.tensor([[3.0], [0.1]])),
        "normal entropy": lambda t: t.distributions.Normal(t.tensor([1.0, 2.0]), 0.5).entropy(),
        "rsample": lambda t: learned(t, lambda p: (t.distributions.Normal(p, p).rsample((2,)) ** 2).sum()),
        "a sample has no history": lambda t: t.distributions.Normal(t.ones(2, requires_grad=True), 1.0).sample(),
        "learned normal": lambda t: learned(t, lambda p: (t.distributions.Normal(p, p * 2).log_prob(t.tensor(0.3)) + t.distributions.Normal(p, p).entropy()).sum()),
    },
    "autograd": {
        "grad": lambda t: t.autograd.grad(*cubes(t)),
        "grad of a list": lambda t: t.autograd.grad([cubes(t)[0]], [t.ones(2, requires_grad=True)], allow_unused=True),
        "grad with a seed": lambda t: (lambda x: t.autograd.grad(x**3, x, t.tensor([1.0, 2.0])))(t.ones(2, requires_grad=True)),
        "grad with seeds": lambda t: (lambda x: t.autograd.grad([x**3, x * 2], [x], [t.tensor([1.0, 2.0]), t.ones(2)]))(t.ones(2, requires_grad=True)),
        "too few seeds": lambda t: (lambda x: t.autograd.grad([x**3, x * 2], [x], [t.tensor([1.0, 2.0])]))(t.ones(2, requires_grad=True)),
        "a seed of another shape": lambda t: (lambda x: t.autograd.grad(x**3, x, t.ones(3)))(t.ones(2, requires_grad=True)),
        "a vector of one element": lambda t: (lambda x: t.autograd.grad(x**3, x))(t.ones(1, requires_grad=True)),
        "grad twice": lambda t: twice(t, lambda y, x: t.autograd.grad(y, x)),
        "grad twice, retained": lambda t: twice(t, lambda y, x: t.autograd.grad(y, x, retain_graph=True)),
        "grad twice of an inner": lambda t: twice(t, lambda y, x: t.autograd.grad(y, x), inner=True),
        "grad twice of an inner, retained": lambda t: twice(t, lambda y, x: t.autograd.grad(y, x, retain_graph=True), inner=True),
        "grad of what is unused": lambda t: t.autograd.grad(cubes(t)[0], t.ones(1, requires_grad=True)),
        "grad of a constant": lambda t: t.autograd.grad(t.ones(1), t.ones(1, requires_grad=True)),
        "backward": lambda t: (lambda y, x: (t.autograd.backward(y), x.grad))(*cubes(t)),
        "backward of two": lambda t: (lambda x: (t.autograd.backward([x.sum(), (x * x).sum()]), x.grad))(t.ones(2, requires_grad=True)),
        "backward with seeds": lambda t: (lambda x: (t.autograd.backward([x, x * x], [t.ones(2), t.tensor([1.0, 3.0])]), x.grad))(t.ones(2, requires_grad=True)),
        "backward with too few seeds": lambda t: (lambda x: t.autograd.backward([x, x * x], [t.ones(2)]))(t.ones(2, requires_grad=True)),
        "backward twice": lambda t: twice(t, lambda y, x: t.autograd.backward(y)),
        "backward twice, retained": lambda t: twice(t, lambda y, x: t.autograd.backward(y, retain_graph=True)),
        "Variable": lambda t: [t.autograd.Variable(t.ones(2)), t.autograd.Variable(t.ones(2), requires_grad=True), t.autograd.Variable(t.ones(2), True)],
        "gradcheck": lambda t: [t.autograd.gradcheck(lambda x: x**2, (x := t.ones(2, dtype=t.float64, requires_grad=True),)), t.autograd.gradcheck(t.exp, x)],
        "gradcheck of a wrong gradient": lambda t: t.autograd.gradcheck(wrong(t), t.ones(2, dtype=t.float64, requires_grad=True), raise_exception=False),
        "gradcheck with a wide tolerance": lambda t: t.autograd.gradcheck(wrong(t), t.ones(2, dtype=t.float64, requires_grad=True), rtol=1.0, raise_exception=False),
        "gradcheck that raises": lambda t: t.autograd.gradcheck(wrong(t), t.ones(2, dtype=t.float64, requires_grad=True)),
        "two gradients for one": lambda t: function(t, lambda x: x * 2, lambda d: (d, d)),
        "a list for a tuple": lambda t: function(t, lambda x: x * 2, lambda d: d * 3),
        "not a Tensor": lambda t: function(t, lambda x: 1.0, lambda d: d),
        "no backward": lambda t: function(t, lambda x: x * 2, None),
        "nothing to differentiate": lambda t: type("F", (t.autograd.Function,), {"forward": staticmethod(lambda ctx, x: x * 2)}).apply(t.ones(2)),
        "no gradient": lambda t: function(t, lambda x: x * 2, lambda d: None),
        "jacobian": lambda t: t.autograd.functional.jacobian(lambda x: x**2, t.tensor([1.0, 2.0])),
        "jacobian of a list": lambda t: t.autograd.functional.jacobian(lambda x, y: x * y, (t.tensor([1.0, 2.0]), t.tensor([3.0, 4.0]))),
        "hessian": lambda t: t.autograd.functional.hessian(lambda x: (x**3).sum(), t.tensor([1.0, 2.0])),
        "hessian of several": lambda t: t.autograd.functional.hessian(lambda x, y: (x**2 * y).sum(), (t.tensor([1.0, 2.0]), t.tensor([3.0, 4.0]))),
        "vjp": lambda t: t.autograd.functional.vjp(lambda x: x**2, t.tensor([1.0, 2.0]), t.tensor([1.0, 0.5])),
        "vjp of one element": lambda t: t.autograd.functional.vjp(lambda x: (x**2).sum(), t.tensor([1.0, 2.0])),
        "vjp of two": lambda t: t.autograd.functional.vjp(lambda x, y: x * y, (t.tensor([1.0, 2.0]), t.ones(2)), t.tensor([1.0, 0.5])),
        "vjp without v": lambda t: t.autograd.functional.vjp(lambda x: x**2, t.tensor([1.0, 2.0])),
        "jvp": lambda t: t.autograd.functional.jvp(lambda x: x**2, t.tensor([1.0, 2.0]), t.tensor([1.0, 0.5])),
        "jvp of two": lambda t: t.autograd.functional.jvp(lambda x, y: x * y, (t.tensor([1.0, 2.0]), t.ones(2)), (t.tensor([1.0, 0.5]), t.ones(2))),
        "set_detect_anomaly": lambda t: [t.autograd.set_detect_anomaly(False) is None, t.autograd.set_detect_anomaly(False).__enter__()],
    },
    "checkpoint and jit": {
        "checkpoint": lambda t: t.utils.checkpoint.checkpoint(lambda x, y=1: x * y, t.ones(2), y=3, use_reentrant=False),
        "checkpoint with settings": lambda t: t.utils.checkpoint.checkpoint(lambda x: x, t.ones(2), use_reentrant=False, preserve_rng_state=False, debug=False),
        "is_scripting": lambda t: (t.jit.is_scripting(), t.jit.is_tracing()),
    },
    "the machine": {
        "cuda": lambda t: [t.cuda.is_available(), t.cuda.device_count(), t.cuda.is_initialized(), t.cuda.memory_allocated(), t.cuda.memory_reserved(),
                           t.cuda.max_memory_allocated(), t.cuda.max_memory_reserved(), t.cuda.synchronize() if t.cuda.is_available() else None, t.cuda.empty_cache()],
        "cuda's device": lambda t: t.cuda.current_device(),
        "cuda's name": lambda t: t.cuda.get_device_name(),
        "cuda's seed": lambda t: (t.cuda.manual_seed_all(3), t.cuda.manual_seed(4), t.rand(2)),
        "set_device": lambda t: t.cuda.set_device("cuda:0"),
        "capability": lambda t: t.cuda.get_device_capability(0),
        "accelerator": lambda t: [t.accelerator.is_available(), t.accelerator.current_accelerator(), t.accelerator.device_count()],
        "switches": lambda t: [getattr(getattr(t.backends, library), name) for library, name in (("cudnn", "deterministic"), ("cudnn", "benchmark"), ("cudnn", "allow_tf32"), ("cudnn", "enabled"))],
        "tf32": lambda t: [t.backends.cuda.matmul.allow_tf32, t.backends.cuda.matmul.allow_fp16_reduced_precision_reduction],
        "distributed": lambda t: [t.distributed.is_initialized(), t.distributed.is_torchelastic_launched()],
        "DataParallel": lambda t: (lambda m: [m.device_ids, m(t.ones(1, 2)), list(m.state_dict())])(t.nn.DataParallel(t.nn.Linear(2, 2))),
        "threads": lambda t: t.set_num_threads(t.get_num_threads()),
        "no threads": lambda t: t.set_num_threads(0),
        "default dtype": lambda t: (str(t.get_default_dtype()), t.set_default_dtype(t.float32)),
        "a default that is none": lambda t: t.set_default_dtype(t.int64),
        "precision": lambda t: [(t.set_float32_matmul_precision(word), t.get_float32_matmul_precision())[1] for word in ("high", "medium", "highest")],
        "fork_rng": lambda t: [forked(t), forked(t, enabled=False)],
        "rng state": lambda t: (lambda s: (t.rand(3), t.set_rng_state(s), t.rand(3)))(t.get_rng_state()),
        "seed": lambda t: (lambda s: [s == t.initial_seed(), s > 0])(t.seed()),
        "autocast": lambda t: [t.is_autocast_enabled(), t.is_autocast_enabled("cpu")],
        "autocast of a type": lambda t: [entered(t.autocast("cpu", dtype=t.float32)), entered(t.amp.autocast("cuda"))],
        "cuda.amp": lambda t: [entered(t.cuda.amp.autocast()), entered(t.cuda.amp.autocast(enabled=False))],
        "a scaler": lambda t: (lambda s: [s.is_enabled(), s.get_scale(), s.state_dict(), s.update(), s.load_state_dict({}), s.scale(t.ones(2))])(t.amp.GradScaler("cuda", enabled=False)),
        "a scaler's step": lambda t: (lambda p: (lambda o: t.amp.GradScaler("cpu", enabled=False).step(o, lambda: 5.0))(t.optim.SGD([p], lr=0.1)))(t.nn.Parameter(t.ones(2))),
        "finfo": lambda t: [getattr(t.finfo(), key) for key in ("bits", "eps", "max", "min", "tiny", "resolution")],
        "finfo of integers": lambda t: t.finfo(t.int64),
        "iinfo of floats": lambda t: t.iinfo(t.float32),
        "iinfo": lambda t: [t.iinfo(t.int16).min, t.iinfo(t.uint8).max, t.iinfo(t.int32).bits],
        "inference_mode": lambda t: [recording(t, t.inference_mode()), recording(t, t.inference_mode(False)), recording(t, t.inference_mode(True))],
        "is_inference_mode_enabled": lambda t: [t.is_inference_mode_enabled(), during(t.inference_mode(), t.is_inference_mode_enabled)],
        "set_grad_enabled": lambda t: [recording(t, t.set_grad_enabled(False)), recording(t, t.set_grad_enabled(True)), t.is_grad_enabled()],
    },
    "testing": {
        **{
            f"assert_close {name}": lambda t, a=a, b=b, more=more: t.testing.assert_close(convert(t, a), convert(t, b), **more)
            for name, (a, b, more) in {
                "numbers": (1.0, 1.0 + 1e-8, {}),
                "other numbers": (1.0, 1.1, {}),
                "a list": ([np.ones(2), np.ones(3)], [np.ones(2), np.ones(3)], {}),
                "a list that differs": ([np.ones(2), np.ones(3)], [np.ones(2), np.zeros(3)], {}),
                "lists of two lengths": ([np.ones(2)], [np.ones(2), np.ones(2)], {}),
                "a dict": ({"a": np.ones(2)}, {"a": np.ones(2)}, {}),
                "a dict that differs": ({"a": np.ones(2)}, {"a": np.zeros(2)}, {}),
                "a dict of another key": ({"a": np.ones(2)}, {"b": np.ones(2)}, {}),
                "a list with a wide tolerance": ([np.ones(2)], [np.ones(2) + 0.1], {"rtol": 0.2, "atol": 0.0}),
                "a list of NaNs": ([np.array([np.nan])], [np.array([np.nan])], {"equal_nan": True}),
                "a list of two dtypes": ([np.ones(2)], [np.ones(2, np.float32)], {"check_dtype": False}),
                "NaN": (np.array([np.nan]), np.array([np.nan]), {}),
                "NaN as equal": (np.array([np.nan]), np.array([np.nan]), {"equal_nan": True}),
                "dtypes": (np.ones(2), np.ones(2, np.float32), {}),
                "dtypes that do not matter": (np.ones(2), np.ones(2, np.float32), {"check_dtype": False}),
                "of two dtypes, near": (np.ones(2), np.ones(2, np.float32) + np.float32(1e-6), {"check_dtype": False}),
                "shapes": (np.ones(2), np.ones((2, 1)), {}),
                "shapes that broadcast": (np.ones(2), np.ones((1, 2)), {}),
                "an absolute tolerance": (np.ones(2), np.ones(2) + 0.1, {"rtol": 0.0, "atol": 0.11}),
                "a smaller absolute tolerance": (np.ones(2), np.ones(2) + 0.1, {"rtol": 0.0, "atol": 0.09}),
                "a relative tolerance": (np.full(2, 10.0), np.full(2, 11.0), {"rtol": 0.1, "atol": 0.0}),
                "a smaller relative tolerance": (np.full(2, 10.0), np.full(2, 11.0), {"rtol": 0.09, "atol": 0.0}),
                "integers": (np.arange(3), np.arange(3), {}),
                "integers that differ": (np.arange(3), np.array([0, 1, 3]), {}),
                "booleans": (np.array([True]), np.array([False]), {}),
                "float32 at its line": (np.zeros(1, np.float32), np.full(1, 1e-5, np.float32) * np.float32(0.999), {}),
                "float32 beyond its line": (np.zeros(1, np.float32), np.full(1, 1.02e-5, np.float32), {}),
                "float64 beyond its line": (np.zeros(1), np.full(1, 1.02e-7), {}),
            }.items()
        },
    },
}  # fmt: skip


def learned(t, loss):
    """A loss of chances, and its gradient."""
    p = t.tensor(P23, requires_grad=True)
    y = loss(p)
    y.backward()
    return y, p.grad


def cubes(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    return (x**3).sum(), x


def twice(t, walk, inner=False):
    """Walk back over one graph two times."""
    x = t.tensor([1.0, 2.0], requires_grad=True)
    z = x * x
    y = (z * x).sum()
    walk(y, z if inner else x)
    return walk(y, z if inner else x), x.grad


def wrong(t):
    """An operation whose gradient is not its derivative."""

    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

        @staticmethod
        def backward(ctx, dout):
            return dout * 3.0

    return Wrong.apply


def function(t, forward, backward):
    """What an operation of one's own makes of ones, and the gradient of that."""
    ways = {"forward": staticmethod(lambda ctx, x: forward(x))}
    ways |= {} if backward is None else {"backward": staticmethod(lambda ctx, d: backward(d))}
    x = t.ones(2, requires_grad=True)
    y = type("Own", (t.autograd.Function,), ways).apply(x) * 1.0
    y.sum().backward()
    return y, x.grad


def forked(t, **options):
    with t.random.fork_rng(**options):
        t.rand(2)
    return t.rand(2)


def entered(context):
    with context:
        return True


def during(context, ask):
    with context:
        return ask()


def recording(t, context):
    return during(context, t.is_grad_enabled)


def convert(t, value):
    """Arrays, also in lists and dicts, as Tensors of the library."""
    if isinstance(value, np.ndarray):
        return t.from_numpy(value.copy())
    if isinstance(value, list):
        return [convert(t, each) for each in value]
    return {key: convert(t, each) for key, each in value.items()} if isinstance(value, dict) else value


REFUSED = {  # what PyTorch does and minigrad cannot, by a word of the error
    "create_graph=False": [
        lambda t: t.autograd.functional.jacobian(t.exp, t.ones(2), create_graph=True),
        lambda t: t.autograd.functional.hessian(t.sum, t.ones(2), create_graph=True),
        lambda t: t.autograd.functional.vjp(t.exp, t.ones(2), t.ones(2), create_graph=True),
        lambda t: t.autograd.functional.jvp(t.exp, t.ones(2), t.ones(2), create_graph=True),
    ],
    "expected one process": [
        lambda t: t.nn.parallel.DistributedDataParallel(t.nn.Linear(1, 1)),
        lambda t: t.utils.data.distributed.DistributedSampler([1]),
    ],
    "probs or logits; got none": [lambda t: t.distributions.Categorical()],
    "probs or logits; got both": [lambda t: t.distributions.Categorical(t.ones(2), t.ones(2))],
    "minigrad has none": [
        lambda t: t.jit.save(None, "x"), lambda t: t.jit.load("x"), lambda t: t.onnx.export(None, None, "x"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("word", REFUSED)
def test_what_is_refused_says_so(word):
    for line in REFUSED[word]:
        with pytest.raises((ValueError, RuntimeError, NotImplementedError), match=word):
            line(OURS)


@pytest.mark.parametrize("theme", LINES)
def test_every_line_gives_what_it_gives_in_pytorch(theme):
    for name, line in LINES[theme].items():
        if (
            "cuda" not in name or not OURS.cuda.is_available()
        ):  # CuPy may see a GPU, PyTorch's build for the CPU none
            theirs, ours = (told(line, library) for library in BOTH)
            assert ours == theirs, name
