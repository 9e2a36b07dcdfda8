"""What is refused leaves everything as it was: one bad value at each place of each state, and the state compared bit for bit."""

import copy
import math

import numpy as np
import pytest
import torch

import minigrad as mg
import nn
from gpt.config import GPTConfig
from gpt.model import GPT
from minigrad.random import Generator
from nn import optim
from nn.optim import lr_scheduler
from nn.optim.groups import decay_groups
from tests.test_optim import PLATEAUS, SCHEDULES, SETTINGS


def frozen(value):
    """A value as something that can be compared bit for bit."""
    if isinstance(value, mg.Tensor):
        return frozen(value._data)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return [(str(key), frozen(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [frozen(item) for item in value]
    return repr(value)


def assert_refused_whole(load, state_of, name):
    """Loading raises an error of one line, and nothing is another than before."""
    before = frozen(state_of())
    with pytest.raises((ValueError, TypeError)) as caught:
        load()
    assert "\n" not in str(caught.value) and str(caught.value), name
    assert frozen(state_of()) == before, name


# ---- modules ----

LAYERS = {
    "Linear": lambda: nn.Linear(3, 2), "Embedding": lambda: nn.Embedding(5, 4, padding_idx=1),
    "LayerNorm": lambda: nn.LayerNorm(4), "BatchNorm1d": lambda: nn.BatchNorm1d(4), "Conv2d": lambda: nn.Conv2d(2, 3, 2),
    "LSTM": lambda: nn.LSTM(3, 2), "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(4, 2, 8), "double": lambda: nn.Linear(3, 2).double(),
    "tied": lambda: GPT(GPTConfig(4, 5, 2, 2, 4)), "untied": lambda: GPT(GPTConfig(4, 5, 1, 2, 4, tied=False)),
}  # fmt: skip
BAD = {
    "another shape": lambda a: np.ones((*a.shape, 2)),
    "words": lambda a: np.full(a.shape, "1"),
    "objects": lambda a: np.full(a.shape, None),
    "complex numbers": lambda a: np.full(a.shape, 1j),
    "a date": lambda a: np.full(a.shape, np.datetime64("2026-11-26")),
    "nothing": lambda a: None,
    "a ragged list": lambda a: [[1.0], [1.0, 2.0]],
    "PyTorch's complex": lambda a: torch.full(a.shape, 1j),
}
NOT_WHOLE = {"a fraction": 0.5, "NaN": math.nan, "infinity": math.inf, "more than it holds": 1e30}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("assign", [True, False])
def test_a_module_with_one_bad_array_is_as_it_was(layer, strict, assign):
    model = LAYERS[layer]()
    good = {name: (t + 1).numpy().astype(t.dtype) for name, t in model.state_dict().items()}
    bad = dict(BAD)
    for name, value in good.items():
        if value.dtype.kind == "i":
            bad |= {k: lambda a, v=v: np.full(a.shape, v) for k, v in NOT_WHOLE.items()}
        for what, make in bad.items():
            state = {**good, name: make(value)}
            assert_refused_whole(
                lambda state=state: model.load_state_dict(state, strict=strict, assign=assign),
                model.state_dict, (name, what),
            )  # fmt: skip
    first = next(iter(good))
    if strict:
        less, more = {n: a for n, a in good.items() if n != first}, {**good, "more": good[first]}
        for state in (less, more, [good], None):
            assert_refused_whole(
                lambda state=state: model.load_state_dict(state, assign=assign), model.state_dict, ""
            )
    else:
        model.load_state_dict({first: good[first], "more": 0}, strict=False, assign=assign)
        assert frozen(model.state_dict()[first]) == frozen(good[first])
    model.load_state_dict(good, strict=strict, assign=assign)
    assert frozen(model.state_dict()) == frozen(good)


def test_a_parameter_that_cannot_be_written_to_is_found_before_those_ahead_of_it_change():
    model = LAYERS["Linear"]()
    model.bias.array.flags.writeable = False
    state = {name: t.numpy() + 1 for name, t in model.state_dict().items()}
    assert_refused_whole(lambda: model.load_state_dict(state), model.state_dict, "bias")


DTYPES = (
    int,
    np.int64,
    "int",
    bool,
    np.float16,
    mg.float16,
    mg.int64,
    mg.tensor([1]),
    mg.bfloat16,
    complex,
    "float32",
    1j,
)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_module_is_not_cast_to_what_loses_its_weights(dtype):
    model = LAYERS["BatchNorm1d"]()
    assert_refused_whole(lambda: model.to(dtype), model.state_dict, dtype)
    if not isinstance(dtype, (str, mg.Tensor)):
        assert_refused_whole(lambda: model.to(dtype=dtype), model.state_dict, dtype)
        assert_refused_whole(lambda: model.type(dtype), model.state_dict, dtype)
    for method in ("half", "bfloat16"):
        assert_refused_whole(getattr(model, method), model.state_dict, method)


def test_running_statistics_do_not_move_in_a_pass_that_is_refused():
    for wrong in (np.ones((3, 5)), np.ones((1, 4)), np.ones(4), np.full((3, 4), "1")):
        model = LAYERS["BatchNorm1d"]()
        with pytest.raises((ValueError, TypeError)):
            model(mg.tensor(wrong.astype(np.float32)) if wrong.dtype.kind == "f" else wrong)
        assert frozen(model.state_dict()) == frozen(LAYERS["BatchNorm1d"]().state_dict())
    model.weight = nn.Parameter(np.ones(5, np.float32))
    before = frozen(model.state_dict())
    with pytest.raises(ValueError):
        model(mg.randn(3, 4))
    assert frozen(model.state_dict()) == before


a, b = nn.Linear(2, 2), nn.Linear(2, 2)
CONTAINERS = {
    "ModuleList.extend": (lambda: nn.ModuleList([a]), lambda m: m.extend([b, 3])),
    "ModuleList +=": (lambda: nn.ModuleList([a]), lambda m: m.__iadd__([b, "layer"])),
    "ModuleList.insert": (lambda: nn.ModuleList([a, b]), lambda m: m.insert(0, 3)),
    "Sequential.insert": (lambda: nn.Sequential(a, b), lambda m: m.insert(1, "layer")),
    "Sequential.extend": (lambda: nn.Sequential(a), lambda m: m.extend([b, 3])),
    "ModuleDict.update": (lambda: nn.ModuleDict({"a": a}), lambda m: m.update({"b": b, "c": 3})),
    "ModuleDict.update, a name": (lambda: nn.ModuleDict({"a": a}), lambda m: m.update({"a": b, "c.d": b})),
    "ParameterList.extend": (lambda: nn.ParameterList([a.bias]), lambda m: m.extend([b.bias, 3])),
    "ParameterDict.update": (lambda: nn.ParameterDict({"a": a.bias}), lambda m: m.update({"a": b.bias, "c": 3})),
    "register_buffer": (lambda: nn.Linear(2, 2), lambda m: m.register_buffer("mask", object())),
    "register_parameter": (lambda: nn.Linear(2, 2), lambda m: m.register_parameter("scale", 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_that_refuses_one_holds_what_it_held(name):
    make, change = CONTAINERS[name]
    model = make()
    before = [(n, id(item)) for n, item in model._items()]
    with pytest.raises((TypeError, ValueError, KeyError)):
        change(model)
    assert [(n, id(item)) for n, item in model._items()] == before
    assert all(n in repr(model) for n, _ in before if not n.isalpha())


# ---- optimisers ----


def optimiser(name, settings):
    """Two groups of parameters of two dtypes, some steps old."""
    rng = np.random.default_rng(0)
    ps = [
        nn.Parameter(rng.standard_normal(s).astype(t))
        for s, t in (((3, 2), "f4"), ((4,), "f4"), ((2, 2), "f8"))
    ]
    made = getattr(optim, name)([{"params": ps[:2]}, {"params": ps[2:]}], **settings)
    for _ in range(3):
        for p in ps:
            p.grad = rng.standard_normal(p.shape).astype(p.dtype)
        made.step()
    return made


def everything_of(made):
    """Its state, its settings, its parameters."""
    return [made.state_dict(), made.defaults, [p for group in made.param_groups for p in group["params"]]]


def spoilt_states(good):
    """Copies of an optimiser's state with one bad value each, at each place."""
    for number, entry in good["state"].items():
        for slot, value in entry.items():
            bad = {
                k: make(value.numpy()) for k, make in BAD.items() if slot != "step" or k != "another shape"
            }
            if slot == "step":
                bad |= {str(v): v for v in (-1, 0.5, math.nan, math.inf, "x", [1, 2])}
            elif slot != "step":
                bad.pop("nothing")  # PyTorch's word for an average that is not kept
            for what, wrong in bad.items():
                state = copy.deepcopy(good)
                state["state"][number][slot] = wrong
                yield (number, slot, what), state
        for change in ("missing", "unknown", "no entry"):
            state = copy.deepcopy(good)
            if change == "missing":
                state["state"][number].pop(next(iter(entry)))
            elif change == "unknown":
                state["state"][number]["more"] = np.ones(1)
            else:
                state["state"][number] = 3
            yield (number, change), state
    for i, group in enumerate(good["param_groups"]):
        for setting, value in group.items():
            wrong = ["x", [1, 2, 3], object(), math.nan] + (
                [-1.0] if setting in ("lr", "weight_decay", "eps") else []
            )
            wrong += [(0.5, 1.0), (0.5, "x"), (0.5,)] if setting == "betas" else []
            for each in wrong if value is not None and setting != "params" else ():
                state = copy.deepcopy(good)
                state["param_groups"][i][setting] = each
                yield (i, setting, each), state
        state = copy.deepcopy(good)
        state["param_groups"][i]["params"] = [0]
        yield (i, "params"), {**state, "param_groups": state["param_groups"] + [{}]}
    yield "no groups", {"state": good["state"]}
    yield "no state", {"param_groups": good["param_groups"]}
    yield "a list", [good]
    yield "another parameter", {**good, "state": {**good["state"], 99: good["state"].get(0, {})}}


@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=[f"{n}{s}" for n, s in SETTINGS])
def test_an_optimiser_with_one_bad_value_is_as_it_was(name, settings):
    made, other = optimiser(name, settings), optimiser(name, settings)
    for p in (p for group in other.param_groups for p in group["params"]):
        p.grad = np.ones_like(p.array)
    other.step()
    good = other.state_dict()
    good["param_groups"][0]["lr"] = 0.7
    count = 0
    for what, state in spoilt_states(good):
        assert_refused_whole(
            lambda state=state: made.load_state_dict(state), lambda: everything_of(made), what
        )
        count += 1
    assert count > 40
    made.load_state_dict(good)
    assert frozen(made.state_dict()) == frozen(good)


@pytest.mark.parametrize(("held", "given"), [(None, True), (True, None), (True, False)])
def test_flags_that_change_no_number_may_be_none_on_either_side(held, given):
    made, other = optimiser("Adam", {"foreach": held}), optimiser("Adam", {"foreach": given})
    made.load_state_dict(other.state_dict())
    assert made.param_groups[0]["foreach"] is given


def test_an_optimiser_whose_parameter_changed_its_dtype_updates_none():
    made = optimiser("Adam", {})
    ps = [p for group in made.param_groups for p in group["params"]]
    ps[2]._data = ps[2]._data.astype(np.float32)  # the last one, of another group
    for p in ps:
        p.grad = np.ones_like(p.array)
    before = frozen(everything_of(made))
    with pytest.raises(
        RuntimeError, match=r"Adam.step: expected parameters of float64 in numpy; got float32"
    ):
        made.step()
    assert frozen(everything_of(made)) == before


def test_a_group_that_is_refused_is_not_added():
    model = GPT(GPTConfig(4, 5, 1, 2, 4))
    made = optim.AdamW(decay_groups(model, 0.1), lr=0.1)
    p = nn.Parameter(np.ones(2))
    for group in ({"params": [p, 3]}, {"params": [p], "lr": -1.0}, {"params": [p, model.wte.weight]}, 3):
        with pytest.raises((ValueError, TypeError)):
            made.add_param_group(group)
        assert len(made.param_groups) == 2 and len(made._buffers) == 2


# ---- schedules ----

EVERY = [*SCHEDULES, *(("ReduceLROnPlateau", settings) for settings in PLATEAUS)]


def state_of(scheduler):
    return [scheduler.state_dict(), [g["lr"] for g in scheduler.optimizer.param_groups]]


@pytest.mark.parametrize(("name", "settings"), EVERY, ids=[f"{n}-{i}" for i, (n, _) in enumerate(EVERY)])
def test_a_schedule_with_one_bad_value_is_as_it_was(name, settings):
    optimizer = optim.Adam(
        [{"params": [nn.Parameter(np.ones(1))]}, {"params": [nn.Parameter(np.ones(1))]}], lr=0.1
    )
    made = getattr(lr_scheduler, name)(optimizer, **settings)
    good, count = made.state_dict(), 0
    good["last_epoch"] = 2
    for key, value in good.items():
        numbers = isinstance(value, (int, float)) and not isinstance(value, bool)
        wrong = [[1.0, 2.0, 3.0], "x", {"a": 1}, None, math.nan] if numbers else []
        wrong += ["x", 3.0, [*value, *value, 1.0]] if isinstance(value, (list, tuple)) else []
        wrong += [3] if isinstance(value, str) else []
        for each in wrong:
            assert_refused_whole(
                lambda s={**good, key: each}: made.load_state_dict(s), lambda: state_of(made), (key, each)
            )
            count += 1
    for state in ({**good, "step": 3}, {**good, "get_lr": None}, [good], None):
        assert_refused_whole(lambda s=state: made.load_state_dict(s), lambda: state_of(made), state)
    assert count > 5
    made.load_state_dict(good)
    assert made.last_epoch == 2


def test_schedules_one_after_the_other_are_all_as_they_were():
    optimizer = optim.SGD([nn.Parameter(np.ones(1))], lr=0.1)
    parts = [lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.9)]
    made = lr_scheduler.SequentialLR(optimizer, parts, [2])
    good = copy.deepcopy(made.state_dict())
    good["last_epoch"] = good["_schedulers"][0]["last_epoch"] = 1
    for spoil in (
        lambda s: s["_schedulers"][1].update(gamma="x"), lambda s: s["_schedulers"].pop(),
        lambda s: s["_schedulers"].append({}), lambda s: s["_schedulers"].__setitem__(1, 3), lambda s: s.update(_milestones="x"),
    ):  # fmt: skip
        state = copy.deepcopy(good)
        spoil(state)
        assert_refused_whole(lambda s=state: made.load_state_dict(s), lambda: state_of(made), spoil)
    made.load_state_dict(good)
    assert frozen(made.state_dict()) == frozen(good)


def test_a_schedule_that_is_at_its_end_or_whose_function_fails_stays_where_it_is():
    optimizer = optim.SGD([nn.Parameter(np.ones(1))], lr=0.1, momentum=0.9)
    made = lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=3)
    for _ in range(3):
        optimizer.step()
        made.step()
    assert_refused_whole(made.step, lambda: state_of(made), "")
    plain = optim.SGD([nn.Parameter(np.ones(1))], lr=0.1)
    fails = lr_scheduler.LambdaLR(plain, lambda t: 1.0 if t < 1 else int("x"))
    assert_refused_whole(fails.step, lambda: state_of(fails), "")


# ---- random numbers ----


@pytest.mark.parametrize("stream", ["torch", "torch-mkl", "fast"])
def test_a_generator_with_one_bad_value_goes_on_where_it_was(stream):
    made = Generator(3, stream)
    made.normal(size=5)
    good = Generator(4, stream).state()
    for name in good:
        for wrong in ("x", None, -1.5, [1, 2], np.ones(7), 10**30, np.array("a")):
            if name != "spare" or str(wrong) != "-1.5":
                state = {**good, name: wrong}
                assert_refused_whole(lambda s=state: made.set_state(s), made.state, (name, wrong))
        assert_refused_whole(
            lambda n=name: made.set_state({k: v for k, v in good.items() if k != n}), made.state, name
        )
    for wrong in ({}, None, [1, 2], np.zeros(5056, np.uint8), np.zeros(3)):
        assert_refused_whole(lambda w=wrong: made.set_state(w), made.state, wrong)
    made.set_state(good)
    assert frozen(made.state()) == frozen(good)
