"""Every argument of every public layer and function of `nn` matters, and as PyTorch's: outputs, gradients, buffers.

The table is support/settings.py. Each value is given to both libraries: they agree, and what they give is not what
they give without it. So an argument that is accepted and forgotten is found, in whichever file it gets lost.
"""

import inspect
import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import minigrad
import nn
from minigrad.tensor import wrap
from tests.support import foreign
from tests.support.settings import FUNCTIONS, LAYERS, UTILITIES, Apart, Idle, Made, Packed, Refused, With
from tests.test_layers import TORCH

WEIGHTS = ("weight", "pos_weight")  # of losses: PyTorch's get no gradient, nor do running statistics
ALONE = {  # names that PyTorch has not: where they are compared
    **dict.fromkeys(("attend", "causal_attention", "rotary"), "tests/support/rows.py"),
    "attend_to_cache": "tests/test_gpt.py",
    "attend_with_cache": "tests/test_llama.py",
    "Block": "PreNormBlock",
    **dict.fromkeys(("Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"), "hold others"),
}  # fmt: skip
OTHERWISE = {  # what differs from PyTorch's, and why
    ("cosine_similarity", "eps"): {"d x1", "d x2"},  # PyTorch's gradient takes no notice of the limit
    ("utils.rnn.unpad_sequence", ""): {
        "padded_sequences afterwards"
    },  # which PyTorch's transposes where it stands
}
ELSEWHERE = {"device", "dtype", "rng", "cache"}  # of all layers: below; the cache of a GPT: tests/test_gpt.py


OURS = SimpleNamespace(
    nn=nn,
    F=nn.functional,
    seed=minigrad.manual_seed,
    leaf=lambda a: wrap(a.copy(), requires_grad=True),
    constant=lambda a: wrap(a.copy()),
)
THEIRS = SimpleNamespace(
    nn=TORCH,
    F=torch.nn.functional,
    seed=torch.manual_seed,
    leaf=lambda a: torch.tensor(a, requires_grad=True),
    constant=torch.tensor,
)
TORCH.Parameter, TORCH.utils = torch.nn.Parameter, torch.nn.utils


def noise(name, shape):
    """Numbers that depend on a name alone."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)


class Call:
    """One call of one library: what goes in, each array once, and {name: array} of what comes out."""

    def __init__(self, side, given, constants):
        self.side, self.constants, self.leaves, self.seen = side, constants, {}, {}
        self.inputs = {name: self.input(name, value) for name, value in given.items()}

    def input(self, name, value):
        """Floats as Tensors with a gradient, which may be written to; the same array as the same Tensor."""
        if isinstance(value, Packed):
            pack = self.side.nn.utils.rnn.pack_padded_sequence
            return pack(self.input(name, value.array), value.lengths, enforce_sorted=False)
        if isinstance(value, tuple) and any(isinstance(each, np.ndarray) for each in value):
            return tuple(self.input(f"{name}.{i}", each) for i, each in enumerate(value))
        if not isinstance(value, np.ndarray):
            return value
        if id(value) not in self.seen:
            is_leaf = value.dtype.kind == "f" and name not in self.constants
            made = (self.side.leaf if is_leaf else self.side.constant)(value)
            if is_leaf:
                self.leaves[name] = made
            self.seen[id(value)] = made * 1.0 if is_leaf else made
        return self.seen[id(value)]

    def of(self, fn):
        """What `fn` makes of the inputs: the first by place, since PyTorch's names of it vary."""
        first, *rest = self.inputs
        return fn(self.inputs[first], **{name: self.inputs[name] for name in rest})

    def results(self, outputs, module=None):
        """Everything that can be seen of a call, after a walk back."""
        found = {f"output {i}": y for i, y in enumerate(flat(outputs))}
        moving = [(name, y) for name, y in found.items() if y.requires_grad]
        total = sum((y * self.side.constant(noise(name, y.shape))).sum() for name, y in moving)
        if moving:
            total.backward()
        found |= {
            f"{name} afterwards": x
            for name, x in self.inputs.items()
            if "float" in str(getattr(x, "dtype", ""))
        }
        found |= {f"d {name}": x.grad for name, x in self.leaves.items()}
        if module is not None:
            found |= {f"d {name}": p.grad for name, p in module.named_parameters()}
            state = module.state_dict()
            found |= {name: b for name, b in module.named_buffers() if name in state}
        return {name: None if y is None else np.array(y.detach()) for name, y in found.items()}


def flat(outputs):
    if isinstance(outputs, (tuple, list)):
        return [y for each in outputs for y in flat(each)]
    return [] if outputs is None else [outputs]


def function(side, name, given):
    """The results of a function of `nn.functional`."""
    losses = WEIGHTS if "target" in given else ()
    call = Call(side, given, (*losses, "running_mean", "running_var"))
    side.seed(5)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return call.results(call.of(attribute(side.nn if name in UTILITIES else side.F, name)))


def layer(side, name, given):
    """The results of a layer in training, whose first weights are moved, so that no bias is 0 and no gain 1."""
    accepted = forward_names(name)
    call = Call(side, {k: v for k, v in given.items() if k in accepted}, ())
    side.seed(5)
    options = {k: made(side, v) for k, v in given.items() if k not in accepted}
    module = attribute(side.nn, name)(**options).double()
    state = {k: np.array(v) for k, v in module.state_dict().items()}
    state = {k: a + abs(noise(k, a.shape)) if a.dtype.kind == "f" else a for k, a in state.items()}
    module.load_state_dict({k: side.constant(v) for k, v in state.items()})
    return call.results(call.of(module), module)


def made(side, value):
    """A setting of a constructor as one library takes it."""
    if isinstance(value, Made):
        return value.make(side.nn)
    return side.constant(value) if isinstance(value, np.ndarray) else value


def attribute(thing, path):
    for name in path.split("."):
        thing = getattr(thing, name)
    return thing


def forward_names(name):
    found = attribute(nn, name.partition(".")[0]).forward
    return list(inspect.signature(found).parameters)[1:]


def outcome(run, side, name, given):
    """The results, or None if the call is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return run(side, name, given)
        except (ValueError, RuntimeError, TypeError, AssertionError, IndexError):
            return None


def difference(a, b):
    """What differs between two results, by name."""
    if a is None or b is None or a.keys() != b.keys():
        return [] if a is b is None else ["what there is"]
    single = any(x is not None and x.dtype == np.float32 for x in a.values())
    return [name for name in a if not alike(a[name], b[name], 1e-6 if single else 1e-10)]


def alike(a, b, tolerance):
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and a.dtype == b.dtype and np.allclose(a, b, tolerance, tolerance)


def variants(given, changes):
    """(argument, with it, in PyTorch's words, without it) of every value."""
    for name, value in given.items():
        if isinstance(value, np.ndarray):
            moved = value * 0.5 + 0.1 if value.dtype.kind == "f" else value[::-1].copy()
            yield name, {name: moved}, {name: moved}, {}
    for name, values in changes.items():
        for value in values:
            if isinstance(value, Apart):
                yield name, value.ours, value.theirs, {k: v for k, v in value.ours.items() if k != name}
            else:
                others = value.others if isinstance(value, With) else {}
                new = {**others, name: value.value if isinstance(value, With) else value}
                yield name, new, new, others


CASES = [(function, name, *entry) for name, entry in (FUNCTIONS | UTILITIES).items()]
CASES += [(layer, name, *LAYERS[name]) for name in LAYERS]
every_case = pytest.mark.parametrize("run, name, given, changes", CASES, ids=[case[1] for case in CASES])


@every_case
def test_every_argument_changes_the_result_as_pytorchs_does(run, name, given, changes):
    base = outcome(run, OURS, name, given)
    expected = OTHERWISE.get((name, ""), set())
    assert base is not None and set(difference(base, outcome(run, THEIRS, name, given))) <= expected
    for argument, ours, theirs, others in variants(given, changes):
        value = ours[argument]
        if isinstance(value, Refused):
            with pytest.raises(NotImplementedError, match=argument):
                run(OURS, name, given | {argument: value.value})
            continue
        if isinstance(value, Idle):
            assert difference(run(OURS, name, given | {argument: value.value}), base) == []
            continue
        found = outcome(run, OURS, name, given | ours)
        without = outcome(run, OURS, name, given | others) if others else base
        differing = set(difference(found, outcome(run, THEIRS, name, given | theirs)))
        assert differing <= OTHERWISE.get((name, argument), expected), (argument, value)
        assert difference(found, without) != [], f"{argument}={value!r} changes nothing"


def test_every_argument_of_every_public_layer_and_function_has_a_value():
    layers = {k: v for k, v in vars(nn).items() if isinstance(v, type) and issubclass(v, nn.Module)}
    functions = {k: v for k, v in vars(nn.functional).items() if inspect.isfunction(v)}
    missing = [name for name in (*layers, *functions) if name not in (*LAYERS, *FUNCTIONS, *ALONE)]
    missing += [
        name
        for name in nn.utils.rnn.__all__
        if f"utils.rnn.{name}" not in UTILITIES and name != "PackedSequence"
    ]
    for name, (given, changes) in (LAYERS | FUNCTIONS | UTILITIES).items():
        thing = attribute(nn.functional if name in FUNCTIONS else nn, name)
        known = set(parameters(thing)) | (set(forward_names(name)) if name in LAYERS else set())
        moved = {k for k, v in given.items() if isinstance(v, np.ndarray)} | changes.keys()
        missing += [f"{name}: {argument}" for argument in sorted(known - moved - ELSEWHERE)]
    assert missing == []


def parameters(thing):
    """The arguments of a function or a constructor; of those that pass some on, the parent's too."""
    named = inspect.signature(thing).parameters
    found = [p.name for p in named.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    passes_on = inspect.isclass(thing) and len(found) < len(named) and thing.__mro__[1] is not nn.Module
    return found + (parameters(thing.__mro__[1]) if passes_on else [])


# --- what all layers take ---


def those_with(argument):
    """[(name, its constructor's settings)] of every layer that takes the argument."""
    names = [name for name in LAYERS if argument in parameters(attribute(nn, name))]
    assert len(names) > 10
    each = [(name, LAYERS[name][0], forward_names(name)) for name in names]
    return [
        (name, {k: made(OURS, v) for k, v in given.items() if k not in forward})
        for name, given, forward in each
    ]


def state_of(module):
    return {name: np.array(t) for name, t in module.state_dict().items()}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")  # what PyTorch says of its own speed
def test_dtype_gives_pytorchs_first_numbers_in_that_dtype_but_for_the_last_bit():
    for name, options in those_with("dtype"):
        if not hasattr(torch.nn, name.partition(".")[0]):
            continue
        OURS.seed(5), THEIRS.seed(5)
        found = state_of(getattr(nn, name)(**options, dtype=np.float64))
        for key, value in getattr(torch.nn, name)(**options, dtype=torch.float64).state_dict().items():
            assert found[key].dtype == value.numpy().dtype, f"{name} {key}"
            np.testing.assert_allclose(found[key], value.numpy(), rtol=1e-15, err_msg=f"{name} {key}")


def test_rng_draws_what_the_default_would_and_leaves_that_alone():
    for name, options in those_with("rng"):
        OURS.seed(5)
        wanted = state_of(getattr(nn, name)(**options))
        OURS.seed(6)
        found = state_of(getattr(nn, name)(**options, rng=minigrad.Generator(5)))
        assert difference(found, wanted) == [], name
        assert minigrad.random.default_generator().state()["pos"] == minigrad.Generator(6).state()["pos"], (
            name
        )


def test_device_puts_all_of_a_layer_there(monkeypatch):
    cupy = foreign.install(monkeypatch)
    for name, options in those_with("device"):
        OURS.seed(5)
        here = getattr(nn, name)(**options, device="cpu")
        OURS.seed(5)
        there = getattr(nn, name)(**options, device="cuda")
        for (key, a), b in zip(here._named_tensors(), dict(there._named_tensors()).values(), strict=True):
            assert isinstance(b.array, cupy.ndarray), f"{name} {key}"
            np.testing.assert_array_equal(b.array.get(), a.array)
