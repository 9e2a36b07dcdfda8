"""Modules: names, shared parts, state, modes, hooks, copies, how they print, and the table of layers."""

import copy
import functools
import pickle
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch

import minigrad
import nn
from minigrad.random.no_draws import NO_DRAWS
from minigrad.tensor import wrap
from nn import functional as F
from tests.support import foreign


def network(lib=nn):
    """Layers with parameters, buffers and neither."""
    return lib.Sequential(lib.Linear(3, 4), lib.Tanh(), lib.BatchNorm1d(4), lib.Linear(4, 2))


def tied(lib=nn):
    """Two names for one weight, and two for one layer."""

    class Tied(lib.Module):
        def __init__(self):
            super().__init__()
            self.wte = lib.Embedding(5, 4)
            self.layers = lib.ModuleList([lib.Linear(4, 4)])
            self.again = self.layers[0]
            self.head = lib.Linear(4, 5, bias=False)
            self.head.weight = self.wte.weight

        def forward(self, ids):
            return self.head(self.again(self.layers[0](self.wte(ids)).tanh()))

    return Tied()


def same_state(a, b):
    return all((value == b.state_dict()[name]).all() for name, value in a.state_dict().items())


# --- the tree ---


@pytest.mark.parametrize("make", [network, tied])
@pytest.mark.parametrize("walk", ["named_modules", "named_children", "named_parameters", "named_buffers"])
def test_every_walk_gives_pytorchs_names_in_its_order(make, walk):
    ours, theirs = make(nn), make(torch.nn)
    assert [name for name, _ in getattr(ours, walk)()] == [name for name, _ in getattr(theirs, walk)()]


def test_lists_of_layers_and_parameters_are_found():
    class Mine(nn.Module):
        def __init__(self):
            self.layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
            self.gains = (nn.Parameter(np.ones(2, np.float32)), 3.0)

    names = ["gains.0", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    assert [name for name, _ in Mine().named_parameters()] == names


def test_a_shared_parameter_counts_once_and_gets_both_gradients():
    model, theirs = tied(), tied(torch.nn)
    theirs.load_state_dict({name: torch.from_numpy(a.numpy()) for name, a in model.state_dict().items()})
    assert sum(p.numel() for p in model.parameters()) == 5 * 4 + 4 * 4 + 4
    ids, dy = np.array([1, 4, 1]), np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    model(ids).backward(dy)
    theirs(torch.from_numpy(ids)).backward(torch.from_numpy(dy))
    np.testing.assert_allclose(model.wte.weight.grad, theirs.wte.weight.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_apply_visits_the_lowest_first():
    seen = []
    network().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "Tanh", "BatchNorm1d", "Linear", "Sequential"]


@pytest.mark.parametrize("piece", [slice(1, None), slice(None, None, 2), slice(0, 0)])
def test_a_slice_of_a_sequence_keeps_names_and_one_of_a_list_counts_anew(piece):
    def story(lib):
        row = [lib.Linear(1, 1) for _ in range(3)]
        return [list(of[piece].state_dict()) for of in (lib.Sequential(*row), lib.ModuleList(row))]

    assert story(nn) == story(torch.nn)


def test_a_slice_of_a_list_is_a_list_and_of_a_sequence_a_sequence():
    blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(3)).append(nn.Linear(2, 5))
    assert len(blocks) == 4 and blocks[-1].out_features == 5 and list(blocks)[0] is blocks[0]
    assert type(blocks[1:]) is nn.ModuleList and blocks[1:][0] is blocks[1]
    model, x = network(), minigrad.randn(5, 3)
    assert (model[1:](model[:1](x)) == model(x)).all()


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="ModuleList: expected a method forward"):
        nn.ModuleList()(1)


# --- state ---


@pytest.mark.parametrize("make", [network, tied])
def test_the_state_has_pytorchs_keys_and_loads_on_both_sides(make):
    ours, theirs = make(nn), make(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict({name: torch.from_numpy(a.numpy()) for name, a in ours.state_dict().items()})
    assert all(
        (a.numpy() == theirs.state_dict()[name].numpy()).all() for name, a in ours.state_dict().items()
    )


def test_the_state_shares_the_memory_of_the_module_and_has_no_history():
    model = network()
    state = model.state_dict()
    kept = copy.deepcopy(state)
    state["0.weight"].numpy()[...] = 0
    assert not model[0].weight.detach().numpy().any() and kept["0.weight"].numpy().all()
    assert not any(t.requires_grad for t in state.values()) and model[0].weight.requires_grad


def test_state_loads_into_the_dtype_of_the_model_and_from_tensors():
    single, double = network(), network().double()
    double.load_state_dict(single.state_dict())
    assert double[0].weight.dtype == np.float64 and same_state(single, double)


def test_state_that_does_not_fit_is_listed_in_full_and_nothing_is_loaded():
    model = network()
    before, state = copy.deepcopy(model.state_dict()), {name: a + 1 for name, a in model.state_dict().items()}
    del state["0.bias"]
    state["3.weight"] = state["3.weight"].T
    state["4.scale"] = np.ones(2)
    with pytest.raises(ValueError) as caught:
        model.load_state_dict(state)
    assert str(caught.value) == (
        "Sequential.load_state_dict: nothing was loaded: missing 0.bias; unexpected 4.scale; "
        "3.weight: expected (2, 4), got (4, 2)"
    )
    assert all((before[name] == a).all() for name, a in model.state_dict().items())


@pytest.mark.parametrize("assign", [False, True])
def test_an_assigned_state_keeps_its_dtype_and_memory_as_in_pytorch(assign):
    found = []
    for lib, array in ((nn, wrap), (torch.nn, torch.from_numpy)):
        model = tied(lib)
        model.layers[0].bias.requires_grad_(False)
        (model.wte.weight.sum() * 2.0).backward()
        state = {
            name: array(np.full(t.shape, i, np.float64))
            for i, (name, t) in enumerate(model.state_dict().items())
        }
        model.load_state_dict(state, assign=assign)
        state["wte.weight"][0, 0] = 7.0
        state["head.weight"][0, 0] = 7.0
        bias, weight = model.layers[0].bias, model.wte.weight
        kinds = [str(p.dtype) for p in (bias, weight)], [p.requires_grad for p in (bias, weight)]
        found.append((*kinds, weight.grad is None, bias.tolist(), model.head.weight.tolist()))
    assert found[0] == found[1]


def test_an_assigned_state_that_is_tied_stays_tied_and_the_optimiser_goes_on_with_it():
    model = tied()
    optimizer = nn.optim.SGD(model.parameters(), lr=1.0)
    value = np.ones((5, 4), np.float32)
    model.load_state_dict({"wte.weight": value, "head.weight": value}, strict=False, assign=True)
    assert model.head.weight is model.wte.weight and model.wte.weight.array is value
    model.wte.weight.sum().backward()
    optimizer.step()
    assert not value.any()


def test_a_state_to_assign_must_be_of_numbers_that_are_computed_in():
    model = network()
    for name, value in (
        ("0.weight", np.ones((4, 3), np.float16)),
        ("0.bias", np.ones(4, int)),
        ("2.num_batches_tracked", np.ones(())),
    ):
        before = copy.deepcopy(model.state_dict())
        with pytest.raises(
            ValueError, match=rf"{name}: expected .*, got {value.dtype}, which assign=True would not"
        ):
            model.load_state_dict({**before, name: value}, assign=True)
        assert all(model.state_dict()[n].array is not a.array for n, a in before.items())
        model.load_state_dict({**before, name: value})
        assert (model.state_dict()[name].array == value).all()


def test_without_draws_a_model_costs_neither_numbers_nor_memory():
    before = minigrad.random.default_generator().get_state()
    model = nn.Sequential(
        nn.Linear(1 << 20, 1 << 20, rng=NO_DRAWS), nn.Embedding(1 << 20, 1 << 20, rng=NO_DRAWS)
    )
    assert all(
        p.array.nbytes >= 1 << 22 and p.dtype == np.float32 for p in model.parameters()
    )  # 8 TiB, if written to
    np.testing.assert_array_equal(minigrad.random.default_generator().get_state(), before)
    small, drawn = nn.Linear(3, 2, rng=NO_DRAWS), nn.Linear(3, 2)
    with pytest.raises(
        ValueError, match="weight: expected a place to write to, got an array that is read-only"
    ):
        small.load_state_dict(drawn.state_dict())
    small.load_state_dict(drawn.state_dict(), assign=True)
    assert same_state(small, drawn)


def test_loading_state_makes_older_graphs_stale():
    model = network()
    loss = model(minigrad.randn(4, 3)).sum()
    model.load_state_dict(model.state_dict())
    with pytest.raises(RuntimeError, match="overwritten after the forward pass"):
        loss.backward()


@pytest.mark.parametrize("change", [lambda m: m.double(), lambda m: m.to("cuda")])
def test_a_module_that_moves_or_is_cast_makes_older_graphs_stale(change, monkeypatch):
    foreign.install(monkeypatch)
    model = nn.Linear(3, 2)
    loss = model(minigrad.randn(4, 3)).sum()
    change(model)
    with pytest.raises(RuntimeError, match="overwritten after the forward pass"):
        loss.backward()


def test_double_converts_parameters_buffers_and_gradients():
    model = network()
    model(minigrad.randn(5, 3)).sum().backward()
    model.double()
    assert {a.dtype for a in model.state_dict().values()} == {minigrad.float64, minigrad.int64}
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float64)}
    x = minigrad.randn(5, 3, dtype=np.float64)
    assert model(x).dtype == np.float64 and model.float()(x.float()).dtype == np.float32


def test_a_buffer_is_saved_and_has_no_gradient():
    class Counter(nn.Module):
        def __init__(self):
            self.register_buffer("seen", np.zeros(2, np.float32))
            self.register_buffer("nothing", None)

    model = Counter()
    assert list(model.state_dict()) == ["seen"] and not list(model.parameters())
    assert model.nothing is None and not model.seen.requires_grad


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("make", [network, lambda: nn.TransformerEncoderLayer(3, 1, 5, dropout=0.0)])
def test_a_copy_is_equal_and_shares_nothing(make, copied):
    model, x = make(), minigrad.randn(5, 3)
    model(x).sum().backward()
    other = copied(model)
    assert same_state(model, other)
    for p, q in zip(model.parameters(), other.parameters()):
        assert not np.shares_memory(p.array, q.array) and not np.shares_memory(p.grad, q.grad)
        assert (p.grad == q.grad).all()
    model.zero_grad()
    (model(x) + other(x) * 2).sum().backward()  # both in one graph
    other_grad = [q.grad for q in other.parameters()]
    assert all(p.grad.shape == g.shape for p, g in zip(model.parameters(), other_grad))


def test_a_copy_keeps_shared_parameters_shared():
    other = copy.deepcopy(tied())
    assert other.head.weight is other.wte.weight and other.again is other.layers[0]


def test_a_tensor_with_a_history_refuses_a_copy():
    with pytest.raises(RuntimeError, match="copy x.detach()"):
        copy.deepcopy(network()(minigrad.randn(4, 3)))


# --- modes, gradients, hooks ---


def test_train_and_eval_reach_every_module_and_evaluating_restores_each():
    model = network()
    model[2].eval()
    with model.evaluating() as same:
        assert same is model and not any(m.training for m in model.modules())
    assert [m.training for m in model.modules()] == [True, True, True, False, True]
    with pytest.raises(KeyError), model.evaluating():
        raise KeyError
    assert model.training and not model.eval()[0].training


def test_frozen_parameters_get_no_gradient():
    model = network()
    model[0].requires_grad_(False)
    model(minigrad.randn(5, 3)).sum().backward()
    assert [p.grad is None for p in model.parameters()] == [True, True, False, False, False, False]
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    model.requires_grad_()
    assert all(p.requires_grad for p in model.parameters())


def test_a_hook_sees_each_forward_pass_until_it_is_removed():
    model, seen = network(), []
    first = model[1].register_forward_hook(lambda module, inputs, y: seen.append((module, inputs, y)))
    y = model[:2](minigrad.randn(4, 3))
    ((module, (x,), seen_y),) = seen
    assert module is model[1] and seen_y is y and (x.tanh() == y).all()
    first.remove()
    first.remove()
    model(minigrad.randn(4, 3))
    assert len(seen) == 1


def test_what_a_hook_returns_replaces_the_output_for_the_next_hook():
    layer, x = nn.Identity(), minigrad.ones(2)
    layer.register_forward_hook(lambda module, inputs, y: y + 1.0)
    layer.register_forward_hook(lambda module, inputs, y: y * 10.0)
    layer.register_forward_hook(lambda module, inputs, y: None)
    assert layer(x).tolist() == [20.0, 20.0]


def test_the_same_function_hooked_twice_is_removed_once_at_a_time():
    layer, seen = nn.Identity(), []
    hooks = [layer.register_forward_hook(lambda *_: seen.append(1))] + [None]
    hooks[1] = layer.register_forward_hook(hooks[0].call)
    hooks[0].remove()
    hooks[0].remove()
    layer(1)
    assert seen == [1]


def test_a_hook_may_remove_itself_while_others_wait():
    layer, seen = nn.Identity(), []
    once = layer.register_forward_hook(lambda *_: (seen.append("once"), once.remove())[1])
    layer.register_forward_hook(lambda *_: seen.append("always"))
    layer(1)
    layer(1)
    assert seen == ["once", "always", "always"]


# --- its table of layers; how it prints is in test_printing.py ---


def test_the_summary_lists_layers_outputs_and_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    assert nn.summary(model, minigrad.randn(5, 1, 3)) == (
        "layer            output     holds                     parameters\n"
        "----------------------------------------------------------------\n"
        "Sequential       (5, 1, 2)  -                                  -\n"
        "  0: Linear      (5, 1, 4)  weight (4, 3), bias (4,)          16\n"
        "  1: Sequential  (5, 1, 2)  -                                  -\n"
        "    0: ReLU      (5, 1, 4)  -                                  -\n"
        "    1: Linear    (5, 1, 2)  weight (2, 4), bias (2,)          10\n"
        "----------------------------------------------------------------\n"
        "total                                                         26"
    )
    attention, x = nn.MultiheadAttention(2, 1), minigrad.randn(4, 3, 2)
    assert "  (4, 3, 2), (3, 4, 4)  in_proj_weight (6, 2), in_proj_bias (6,)          18\n" in nn.summary(
        attention, x, x, x
    )


def test_the_summary_counts_a_shared_weight_once():
    head, rule, *lines, rule, total = nn.summary(tied(), np.array([[1, 2]])).split("\n")
    counts = [int(line.split()[-1]) for line in lines if not line.endswith("-")]
    assert counts == [5 * 4, 4 * 4 + 4] and int(total.split()[-1]) == sum(counts)


def test_the_summary_leaves_no_trace():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before, state = copy.deepcopy(model.state_dict()), minigrad.random.default_generator().state()
    nn.summary(model, minigrad.ones(5, 3))
    assert all((before[name] == a).all() for name, a in model.state_dict().items()) and model.training
    np.testing.assert_equal(minigrad.random.default_generator().state(), state)
    with pytest.raises(ValueError, match="linear: expected x"):
        nn.summary(model, minigrad.ones(5, 2))
    assert not any(vars(module)["_forward_hooks"] for module in model.modules())


def test_importing_the_layers_loads_nothing_but_numpy_and_the_standard_library():
    code = "import sys; import nn; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = {name for name in done.stdout.split() if not name.startswith("_")} - set(
        sys.stdlib_module_names
    )
    assert {"torch", "matplotlib", "tqdm"}.isdisjoint(foreign)
    assert foreign & {"numpy", "minigrad", "nn"} == {"numpy", "minigrad", "nn"}


def test_casting_goes_through_to_which_may_be_overridden():
    class Counted(nn.Linear):
        casts = 0

        def to(self, where):
            self.casts += 1
            return super().to(where)

    model = Counted(2, 3)
    assert model.double().float() is model and model.casts == 2


# --- names and places as in PyTorch: one function builds and asks both ---


def contents(lib, tensor):
    """A module with all that a module may hold."""

    class Holder(lib.Module):
        def __init__(self):
            super().__init__()
            self.layers = lib.ModuleDict(
                {"first": lib.Linear(2, 3), "second": lib.ModuleList([lib.Linear(3, 3)])}
            )
            self.row = lib.ParameterList([lib.Parameter(tensor([1.0, 2.0])), lib.Parameter(tensor([3.0]))])
            self.named = lib.ParameterDict({"gain": lib.Parameter(tensor([4.0]))})
            self.tied = self.layers["first"]
            self.outer = lib.Sequential(lib.BatchNorm1d(2))
            self.named_steps = lib.Sequential(OrderedDict(a=lib.Linear(3, 2), b=lib.Tanh()))
            self.register_buffer("seen", tensor([0.0, 1.0]))
            self.register_buffer("hidden", tensor([5.0]), persistent=False)
            self.register_parameter("extra", lib.Parameter(tensor([6.0])))
            self.register_parameter("nothing", None)
            self.add_module("last", lib.Linear(1, 1, bias=False))

    return Holder()


BOTH = [(nn, lambda x: wrap(np.float32(x))), (torch.nn, torch.tensor)]
QUESTIONS = {
    "state": lambda m: list(m.state_dict()),
    "state with a prefix": lambda m: list(m.state_dict(prefix="p.")),
    "state beside another": lambda m: [
        [list(found), found is given]
        for given in [OrderedDict(other=1)]
        for found in [m.state_dict(destination=given, prefix="p.")]
    ],
    "state that learns": lambda m: [
        name for name, p in m.state_dict(keep_vars=True).items() if p.requires_grad
    ],
    "state apart": lambda m: [name for name, p in m.state_dict().items() if p.requires_grad],
    "buffers here": lambda m: [
        [len(list(each.buffers(recurse=recurse))), [n for n, _ in each.named_buffers("p", recurse=recurse)]]
        for each in (m, m.outer)
        for recurse in (True, False)
    ],
    "modules but some": lambda m: [
        name for name, _ in m.named_modules({m.row, m.layers["second"], m.outer}, remove_duplicate=False)
    ],
    "modules twice": lambda m: [len(list(m.modules())), len(list(m.modules(remove_duplicate=False)))],
    "a buffer that is hidden and shown again": lambda m: [
        (m.register_buffer("hidden", m.seen, persistent=persistent), list(m.state_dict()))[1]
        for persistent in (True, False, True)
    ],
    "frozen": lambda m: [
        (m.requires_grad_(wish), {p.requires_grad for p in m.parameters()})[1] for wish in (False, True)
    ],
    "parameters": lambda m: [name for name, _ in m.named_parameters()],
    "own parameters": lambda m: [name for name, _ in m.named_parameters("p", recurse=False)],
    "every parameter": lambda m: [name for name, _ in m.named_parameters(remove_duplicate=False)],
    "counts": lambda m: (len(list(m.parameters())), len(list(m.parameters(recurse=False)))),
    "buffers": lambda m: [name for name, _ in m.named_buffers()],
    "modules": lambda m: [name for name, _ in m.named_modules(prefix="p")],
    "every module": lambda m: [name for name, _ in m.named_modules(remove_duplicate=False)],
    "children": lambda m: [name for name, _ in m.named_children()],
    "by name": lambda m: (
        tuple(m.get_parameter("layers.first.weight").shape),
        m.get_buffer("hidden").tolist(),
    ),
    "submodule": lambda m: m.get_submodule("named_steps.a").out_features,
    "dict": lambda m: (list(m.layers), list(m.layers.keys()), "first" in m.layers, len(m.layers)),
    "attributes": lambda m: (m.layers.first is m.layers["first"], m.named_steps.a is m.named_steps[0]),
    "rows": lambda m: (len(m.row), [p.tolist() for p in m.row], m.row[-1].tolist(), m.named["gain"].tolist()),
    "slices": lambda m: (len(m.named_steps[1:]), [n for n, _ in m.named_steps[1:].named_children()]),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_a_module_holds_is_found_under_pytorchs_names(question):
    ours, theirs = (QUESTIONS[question](contents(*each)) for each in BOTH)
    assert ours == theirs


def changed(lib, row):
    """A row after every change that a list of modules admits, and what was asked in between."""
    row.extend([lib.Linear(1, n) for n in (1, 2, 3)])
    row.insert(1, lib.Linear(1, 9))
    row[0] = lib.Linear(1, 7)
    del row[2]
    found = [row.pop(-1).out_features, row[-1].out_features, len(row)]
    row.append(lib.Linear(1, 5))
    more = row + type(row)(*([lib.Linear(1, 4)] if isinstance(row, lib.Sequential) else [[lib.Linear(1, 4)]]))
    return found, [m.out_features for m in row], [m.out_features for m in more], list(more.state_dict())


@pytest.mark.parametrize("kind", ["ModuleList", "Sequential"])
def test_a_row_of_modules_changes_as_pytorchs_does(kind):
    ours, theirs = (changed(lib, getattr(lib, kind)()) for lib, _ in BOTH)
    assert ours == theirs


def sizes(row):
    return [m.out_features for m in row]


def three(lib, kind):
    modules = [lib.Linear(1, n) for n in (1, 2, 3)]
    return getattr(lib, kind)(*modules) if kind == "Sequential" else getattr(lib, kind)(modules)


def deleted(row, index):
    del row[index]


PLACES = [*range(-4, 5), slice(None), slice(1, None), slice(-2, -1), slice(None, None, -2)]
ROW_CHANGES = {
    "get": lambda lib, row, i: row[i].out_features if isinstance(i, int) else sizes(row[i]),
    "set": lambda lib, row, i: isinstance(i, int) and row.__setitem__(i, lib.Linear(1, 9)),
    "delete": lambda lib, row, i: deleted(row, i),
    "insert": lambda lib, row, i: isinstance(i, int) and (row.insert(i, lib.Linear(1, 9)), None)[1],
    "pop": lambda lib, row, i: isinstance(i, int) and row.pop(i).out_features,
    "extend": lambda lib, row, i: row.extend([lib.Linear(1, 7), lib.Linear(1, 8)]) is row,
    "append": lambda lib, row, i: row.append(lib.Linear(1, 7)) is row,
}


@pytest.mark.parametrize("kind", ["ModuleList", "Sequential"])
@pytest.mark.parametrize("change", ROW_CHANGES)
def test_every_place_in_a_row_is_pytorchs(kind, change):
    for place in range(4) if change == "insert" else PLACES:  # PyTorch inserts at no other, or as "-1"
        told = []
        for lib, _ in BOTH:
            row = three(lib, kind)
            try:
                found = ROW_CHANGES[change](lib, row, place)
            except IndexError:
                found = "no such place"
            told.append([found, sizes(row), list(row.state_dict()), len(row)])
        if (
            change != "insert" or place in range(4) or kind == "ModuleList"
        ):  # PyTorch's Sequential refuses more
            assert told[0] == told[1], place


def test_the_last_of_a_row_is_taken_out_unless_another_is_named():
    row = three(nn, "ModuleList")
    assert row.pop() is not None and sizes(row) == [1, 2] and row.pop(0) is not None and sizes(row) == [2]


NAMED_CHANGES = {
    "set": lambda lib, d, t: d.__setitem__("b", t(2.0)),
    "set anew": lambda lib, d, t: d.__setitem__("a", t(2.0)),
    "delete": lambda lib, d, t: d.__delitem__("a"),
    "delete what is not there": lambda lib, d, t: d.__delitem__("z"),
    "pop": lambda lib, d, t: (
        len(list(d.pop("a").shape)) if hasattr(d["a"], "shape") else d.pop("a").out_features
    ),
    "pop what is not there": lambda lib, d, t: d.pop("z"),
    "clear": lambda lib, d, t: d.clear(),
    "update": lambda lib, d, t: d.update({"c": t(3.0), "a": t(4.0)}),
    "update by pairs": lambda lib, d, t: d.update([("c", t(3.0))]),
    "contains": lambda lib, d, t: ["a" in d, "z" in d],
    "get what is not there": lambda lib, d, t: d["z"],
    "views": lambda lib, d, t: [
        list(d),
        list(d.keys()),
        len(list(d.values())),
        [k for k, _ in d.items()],
        len(d),
    ],
}


def named_item(lib, tensor, kind, x):
    return lib.Linear(1, int(x)) if kind == "ModuleDict" else lib.Parameter(tensor([x]))


@pytest.mark.parametrize("kind", ["ModuleDict", "ParameterDict"])
@pytest.mark.parametrize("change", NAMED_CHANGES)
def test_what_is_held_by_name_changes_as_pytorchs(kind, change):
    told = []
    for lib, tensor in BOTH:
        make = functools.partial(named_item, lib, tensor, kind)
        held = getattr(lib, kind)({"a": make(1.0), "h": make(2.0)})
        try:
            found = NAMED_CHANGES[change](lib, held, make)
        except (KeyError, AttributeError):
            found = "no such name"
        told.append([found, list(held.keys()), [tuple(p.shape) for p in held.parameters()]])
    assert told[0] == told[1]


ASKED = {
    "a name with a dot": lambda lib, m, t: m.add_module("a.b", lib.Linear(1, 1)),
    "no name": lambda lib, m, t: m.register_buffer("", t([1.0])),
    "a name that is none": lambda lib, m, t: m.register_parameter(3, lib.Parameter(t([1.0]))),
    "a name that is taken": lambda lib, m, t: m.add_module("forward", lib.Linear(1, 1)),
    "a module's own name again": lambda lib, m, t: (m.add_module("last", lib.Linear(1, 1)), list(m.state_dict()))[1],
    "a buffer in place of a method": lambda lib, m, t: m.register_buffer("state_dict", t([1.0])),
    "a parameter that is none": lambda lib, m, t: m.register_parameter("new", t([1.0])),
    "a module that is none": lambda lib, m, t: m.add_module("new", t([1.0])),
    "None for a module": lambda lib, m, t: (m.add_module("new", None), len(list(m.modules())))[1],
    "None for a buffer": lambda lib, m, t: (m.register_buffer("new", None), list(m.state_dict()))[1],
    "no such module": lambda lib, m, t: m.get_submodule("layers.third"),
    "this module": lambda lib, m, t: m.get_submodule("") is m,
    "no such parameter": lambda lib, m, t: m.get_parameter("layers.first"),
    "a tied parameter": lambda lib, m, t: m.get_parameter("tied.weight") is m.layers["first"].weight,
    "no such buffer": lambda lib, m, t: m.get_buffer("extra"),
    "train": lambda lib, m, t: [(m.train(), m.outer[0].training), (m.eval(), m.outer[0].training), (m.train(False), m.outer[0].training)].__len__(),
    "no mode": lambda lib, m, t: m.train(1),
    "frozen": lambda lib, m, t: (m.requires_grad_(False), {p.requires_grad for p in m.parameters()})[1],
    "thawed": lambda lib, m, t: (m.requires_grad_(False), m.requires_grad_(), {p.requires_grad for p in m.parameters()})[2],
    "a state that is no mapping": lambda lib, m, t: m.load_state_dict([]),
    "more than fits": lambda lib, m, t: m.load_state_dict({**m.state_dict(), "new": t([1.0])}),
    "less than fits": lambda lib, m, t: m.load_state_dict({}),
    "memo": lambda lib, m, t: [name for name, _ in m.named_modules({m.layers})],
    "a row of parameters": lambda lib, m, t: [p.tolist() for p in m.row[1:]] + [m.row[0].tolist(), len(m.row.append(t([9.0]))), m.row[2].tolist()],
    "another parameter": lambda lib, m, t: (m.row.__setitem__(-1, lib.Parameter(t([8.0]))), [p.tolist() for p in m.row])[1],
    "no such place": lambda lib, m, t: m.row.__setitem__(2, lib.Parameter(t([8.0]))),
    "more parameters": lambda lib, m, t: [p.tolist() for p in m.row.extend([t([7.0])])],
    "printed": lambda lib, m, t: repr(m),
    "printed alike": lambda lib, m, t: repr(lib.ModuleList([lib.Linear(1, 1), lib.Linear(1, 1), lib.ReLU(), lib.Sequential(lib.ReLU(), lib.ReLU())])),
    "printed empty": lambda lib, m, t: repr(lib.Sequential()) + repr(lib.ModuleList()) + repr(lib.ModuleDict()),
}  # fmt: skip


@pytest.mark.parametrize("question", ASKED)
def test_what_is_asked_of_a_module_is_answered_or_refused_as_by_pytorchs(question):
    told = []
    for lib, tensor in BOTH:
        try:
            told.append(ASKED[question](lib, contents(lib, tensor), tensor))
        except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, IndexError):
            told.append("refused")
    assert told[0] == told[1]


def test_a_buffer_stays_one_when_it_is_assigned_and_a_parameter_is_not_lost():
    model = contents(*BOTH[0])
    model.seen = model.seen * 0.5 + 1.0
    assert model.state_dict()["seen"].tolist() == [1.0, 1.5]
    model.seen = model.seen * model.extra  # with its history
    model.seen.sum().backward()
    assert model.extra.grad.tolist() == [2.5] and isinstance(model.seen, nn.Buffer)
    with pytest.raises(
        TypeError, match=r"Holder.extra: expected a Parameter or None; got Tensor; write Parameter\("
    ):
        model.extra = wrap(np.ones(1, np.float32))
    model.extra = None
    assert "extra" not in dict(model.named_parameters())


def test_a_parameter_shares_the_memory_of_its_tensor_and_may_be_frozen():
    x = wrap(np.zeros(2, np.float32))
    p = nn.Parameter(x, requires_grad=False)
    x.numpy()[0] = 3.0
    assert p.tolist() == [3.0, 0.0] and not p.requires_grad and nn.Parameter(x).requires_grad


def test_loading_says_what_was_missing_and_what_was_not_expected():
    model, theirs = tied(), tied(torch.nn)
    assert str(model.load_state_dict(model.state_dict())) == "<All keys matched successfully>"
    found = model.load_state_dict({"wte.weight": np.ones((5, 4)), "more": np.ones(1)}, strict=False)
    wanted = theirs.load_state_dict({"wte.weight": torch.ones(5, 4), "more": torch.ones(1)}, strict=False)
    assert found == wanted and repr(found) == repr(wanted) and model.head.weight.mean().item() == 1
    with pytest.raises(ValueError, match="wte.weight: expected"):
        model.load_state_dict({"wte.weight": np.ones((2, 2))}, strict=False)


@pytest.mark.parametrize("change", [dict, lambda named: {n: p.detach().bfloat16() for n, p in named}])
def test_pytorchs_parameters_load_with_their_history_and_in_bfloat16(change):
    theirs = torch.nn.Linear(3, 2)
    ours, wanted = nn.Linear(3, 2), change(theirs.named_parameters())
    ours.load_state_dict(wanted)
    np.testing.assert_array_equal(ours.weight.detach().numpy(), wanted["weight"].detach().float().numpy())


def test_ids_of_pytorch_and_of_lists_are_read():
    ids, table = torch.tensor([[1, 0], [2, 2]]), nn.Embedding(3, 4)
    loss = lambda ids, targets: F.cross_entropy(table(ids).reshape(-1, 4), targets)  # noqa: E731
    wanted = loss(ids.numpy(), ids.numpy().reshape(-1)).item()
    assert loss(ids, ids.reshape(-1)).item() == wanted
    assert loss(ids.tolist(), ids.reshape(-1).tolist()).item() == wanted


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.to(np.float16), "to: expected float32 or float64 .* got float16; half precision"),
        (lambda m: m.to("cpu", dtype=minigrad.bfloat16), "to: expected float32 or float64 .* got bfloat16"),
        (lambda m: m.half(), "to: expected float32 or float64 .* got float16"),
        (lambda m: m.bfloat16(), "to: expected float32 or float64 .* got bfloat16"),
        (lambda m: m.to(np.int64), "to: expected float32 or float64 .* got int64; ids stay integers"),
        (lambda m: m.to(np.int16), "to: expected float32 or float64 .* got int16; ids stay integers"),
        (
            lambda m: m.to("float64"),
            r"to: .* got 'float64'; a dtype goes without quotes: x.to\(minigrad.float64\)",
        ),
        (lambda m: m.to("mps"), 'expected "cpu" or "cuda"; got \'mps\''),
        (lambda m: m.to(copy=True), "to: expected device, dtype, non_blocking; got copy"),
    ],
)
def test_what_a_module_cannot_become_is_refused_and_changes_nothing(change, message):
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises((TypeError, ValueError), match=message):
        change(model)
    assert all((before[name] == a).all() for name, a in model.state_dict().items())


def test_a_module_stays_where_it_is_told_to_stay():
    model = network()
    weight = model[0].weight
    for kept in (
        model.to("cpu"),
        model.cpu(),
        model.to(torch.device("cpu"), non_blocking=True),
        model.to(weight),
    ):
        assert kept is model and kept[0].weight is weight
    assert model.to("cpu", np.float64)[0].weight.dtype == np.float64
    assert model.type(np.float32)[0].weight.dtype == np.float32


def test_zeroed_gradients_are_none_or_zeros():
    model = network()
    for how, wanted in (({}, [None]), ({"set_to_none": False}, [0.0])):
        model(minigrad.randn(4, 3)).sum().backward()
        model.zero_grad(**how)
        grads = [p.grad for p in model.parameters()]
        assert [g if g is None else g.abs().sum().item() for g in grads] == wanted * 6
