"""Graphs: random ones against a recursive engine, and what a walk promises about memory, state and errors."""

import gc
import itertools
import pickle
import threading
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

import minigrad as mg
import nn
import nn.functional as F
from minigrad import Tensor, enable_grad, no_grad, switches, tape
from minigrad.higher import pullback
from minigrad.tensor import apply, wrap

pytestmark = pytest.mark.filterwarnings("error")


def rand(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def leaf(*shape, seed=0):
    return wrap(rand(*shape, seed=seed), requires_grad=True)


# --- random graphs ---


class Plain:
    """A value of the engine every tutorial writes: parents, a recursive sort, gradients by hand."""

    def __init__(self, value, parents=(), pull=None):
        self.value, self.parents, self.pull, self.grad = value, parents, pull, None
        self.spent, self.version = False, 0
        self.seen = [p.version for p in parents]

    def sorted(self, done=None):
        """Every value this was computed from, parents first; constants have no place here."""
        done = {} if done is None else done
        if self not in done:
            for parent in self.parents:
                parent.sorted(done)
            done[self] = None
        return done

    def broken(self):
        """Was a part of the graph walked and freed, or a leaf overwritten since?"""
        old = [v for v in self.sorted() if v.parents]
        return any(v.spent or v.seen != [p.version for p in v.parents] for v in old)

    def backward(self, dout, retain):
        grads, order = {self: dout}, list(self.sorted())
        for v in reversed(order):
            for parent, grad in zip(v.parents, v.pull(grads[v]) if v.parents else ()):
                grads[parent] = grads.get(parent, 0.0) + fit(grad, parent.value.shape)
            v.spent = v.spent or not retain
        for v in order:
            if not v.parents:
                v.grad = grads[v] + (0.0 if v.grad is None else v.grad)


def fit(grad, shape):
    """Sum over whatever was broadcast."""
    while grad.ndim > len(shape):
        grad = grad.sum(0)
    for axis, n in enumerate(shape):
        if n == 1 and grad.shape[axis] != 1:
            grad = grad.sum(axis, keepdims=True)
    return grad


ONE = {  # name: (on Tensors, on arrays, pull)
    "tanh": (lambda t: t.tanh(), np.tanh, lambda x: lambda d: (d * (1 - np.tanh(x) ** 2),)),
    "half": (lambda t: t * 0.5, lambda x: x * 0.5, lambda x: lambda d: (d * 0.5,)),
    "transpose": (lambda t: t.transpose(), np.transpose, lambda x: lambda d: (d.transpose(),)),
    "keep": (lambda t: t.reshape(t.shape), lambda x: x, lambda x: lambda d: (d,)),
    "sum": (lambda t: t.sum(), lambda x: np.asarray(x.sum()), lambda x: lambda d: (d + np.zeros_like(x),)),
}


def pull_normed(a, b):
    s = b * b + 1
    return lambda d: (d / s, -d * a * 2 * b / s**2)


TWO = {
    "add": (lambda a, b: a + b, np.add, lambda a, b: lambda d: (d, d)),
    "subtract": (lambda a, b: a - b, np.subtract, lambda a, b: lambda d: (d, -d)),
    "multiply": (lambda a, b: a * b, np.multiply, lambda a, b: lambda d: (d * b, d * a)),
    "normed": (lambda a, b: a / (b * b + 1.0), lambda a, b: a / (b * b + 1), pull_normed),
}


class RandomGraphs(RuleBasedStateMachine):
    """The same random graph in both engines; after every walk all leaves hold the same gradients."""

    values, leaves = Bundle("values"), Bundle("leaves")

    def __init__(self):
        super().__init__()
        self.seed, self.made = 0, []
        self.all = [self.new_leaf(shape) for shape in [(), (3,), (3, 1), (3, 3)]]

    def fresh(self, shape):
        self.seed += 1
        return rand(*shape, seed=self.seed)

    def new_leaf(self, shape):
        pair = wrap(self.fresh(shape), requires_grad=True), Plain(None)
        pair[1].value = pair[0].array.copy()
        return pair

    @initialize(target=leaves)
    def make_leaves(self):
        return multiple(*self.all)

    @initialize(target=values)
    def start(self):
        a, b, c, d = self.all
        h = self.two_inputs(self.two_inputs(a, b, "normed"), self.two_inputs(c, d, "multiply"), "add")
        return multiple(h, self.a_diamond(h, "keep", "add"))

    @rule(target=values, pair=st.one_of(values, leaves), name=st.sampled_from(sorted(ONE)))
    def one_input(self, pair, name):
        (x, plain), (ours, theirs, pull) = pair, ONE[name]
        return self.keep(ours(x), Plain(theirs(plain.value), (plain,), pull(plain.value)))

    @rule(
        target=values,
        left=st.one_of(values, leaves),
        right=st.one_of(values, leaves),
        name=st.sampled_from(sorted(TWO)),
    )
    def two_inputs(self, left, right, name):
        (a, plain_a), (b, plain_b), (ours, theirs, pull) = left, right, TWO[name]
        value = np.asarray(theirs(plain_a.value, plain_b.value))
        return self.keep(ours(a, b), Plain(value, (plain_a, plain_b), pull(plain_a.value, plain_b.value)))

    def keep(self, *pair):
        self.made.append(pair)
        return pair

    @rule(
        target=values,
        pair=st.one_of(values, leaves),
        name=st.sampled_from(sorted(ONE)),
        join=st.sampled_from(sorted(TWO)),
    )
    def a_diamond(self, pair, name, join):
        return self.two_inputs(self.one_input(pair, name), pair, join)

    @rule(pair=values)
    def nothing_is_recorded_under_no_grad(self, pair):
        with no_grad():
            assert not (pair[0] * 2.0).requires_grad
            with enable_grad():
                assert (pair[0] * 2.0).requires_grad

    @rule(pair=leaves)
    def forget_a_gradient(self, pair):
        pair[0].grad = pair[1].grad = None

    @rule(target=values, pair=leaves)
    def overwrite_a_leaf(self, pair):
        with no_grad():
            tensor = pair[0]
            tensor -= self.fresh(tensor.shape)
        pair[1].value = tensor.array.copy()
        pair[1].version += 1
        return self.start()

    @rule(pair=values, retain=st.sampled_from([True, True, False]))
    def walk(self, pair, retain):
        (y, plain), seed = pair, self.fresh(pair[0].shape)
        if plain.broken():
            with pytest.raises(RuntimeError, match="already walked and freed|was overwritten"):
                y.backward(seed, retain_graph=True)
        else:
            y.backward(seed, retain_graph=retain)
            plain.backward(seed, retain)
        self.compare()

    def teardown(self):
        """Walk the newest graphs in any case: hypothesis leaves some rules out of some runs."""
        for i, pair in enumerate(self.made[:-4:-1]):
            self.walk(pair, retain=i == 0)

    def compare(self):
        for tensor, plain in self.all:
            assert (tensor.grad is None) == (plain.grad is None)
            if plain.grad is not None:
                np.testing.assert_allclose(tensor.grad, plain.grad, rtol=1e-10, atol=1e-10)
        grads = [tensor.grad for tensor, _ in self.all if tensor.grad is not None]
        assert not any(np.shares_memory(a, b) for i, a in enumerate(grads) for b in grads[:i])


TestRandomGraphs = RandomGraphs.TestCase
TestRandomGraphs.settings = settings(max_examples=3 * settings.default.max_examples, stateful_step_count=25)


# --- size ---


def test_a_hundred_thousand_operations_in_a_row():
    x = leaf(2)
    y = x
    for _ in range(50_000):
        y = (y + 1e-3) * 1.0
    y.backward(np.array([2.0, -3.0]))
    assert x.grad.tolist() == [2.0, -3.0]


def test_a_long_graph_is_dropped_without_a_walk(new_nodes):
    x = leaf(2)
    y = x
    with switches.keep_inputs():
        for _ in range(50_000):
            y = y * 1.0
    del y
    assert new_nodes() == 1


class Count:
    """A monitor that counts what is computed, and walked nodes."""

    def __init__(self):
        self.computed = self.walked = 0

    def forward(self, fn, arrays, constants):
        self.computed += 1
        return fn(*arrays, **constants)

    def backward(self, node, dout):
        self.walked += 1
        return node.vjp(dout)


def test_sixty_diamonds_are_sixty_steps():
    x, count = leaf(), Count()
    y = x
    for _ in range(60):
        y = y + y
    with switches.watched_by(count):
        y.backward()
    assert count.walked == 60
    assert x.grad == 2.0**60


def test_sixty_diamonds_are_sixty_steps_for_pullback_too():
    x, count = leaf(), Count()
    with switches.keep_inputs():
        y = x
        for _ in range(60):
            y = y + y
    with switches.watched_by(count):
        (dx,) = pullback(y, [x])
    assert dx.item() == 2.0**60 and 60 <= count.computed <= 3 * 60


# --- memory ---


def live_nodes():
    return sum(type(o) is tape.Node for o in gc.get_objects())


@pytest.fixture
def new_nodes():
    """Switch the collector off; give a function that counts the Nodes made since that are still alive."""
    gc.collect()
    gc.disable()
    before = live_nodes()
    yield lambda: live_nodes() - before
    gc.enable()


def parameters():
    shapes = {"table": (7, 4), "norm": (4,), "qkv": (12, 4), "up": (8, 4), "down": (4, 8)}
    return {name: leaf(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}


def tiny_loss(p, ids):
    x = F.embedding(ids[:, :-1], p["table"])
    h = F.layer_norm(x, p["norm"].shape, p["norm"])
    x = x + F.causal_attention(F.linear(h, p["qkv"]), n_head=2)
    x = x + F.linear(F.gelu(F.linear(x, p["up"]), approximate="tanh"), p["down"])
    return F.cross_entropy(F.linear(F.dropout(x, 0.1), p["table"]).reshape(-1, 7), ids[:, 1:].reshape(-1))


def train(p, steps):
    ids = np.random.default_rng(0).integers(0, 7, (3, 6))
    for _ in range(steps):
        loss = tiny_loss(p, ids)
        loss.backward()
        with no_grad():
            for weight in p.values():
                weight -= 0.01 * weight.grad
                weight.grad = None


def test_training_frees_every_graph_without_the_collector(new_nodes):
    p = parameters()
    train(p, 20)
    tracemalloc.start()
    try:
        train(p, 200)  # in which Python fills caches of its own
        before, nodes = tracemalloc.get_traced_memory()[0], new_nodes()
        train(p, 200)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert nodes == new_nodes() == len(p)
    assert after - before < 50 * 200  # the smallest array takes more than 100 bytes


def test_graphs_that_are_never_walked_are_freed_without_the_collector(new_nodes):
    p, ids = parameters(), np.zeros((2, 5), int)
    for walk in (
        lambda y: None,
        lambda y: y.backward(retain_graph=True),
        lambda y: pullback(y, list(p.values())),
    ):
        with switches.keep_inputs():
            y = tiny_loss(p, ids)
            grads = walk(y)
        assert new_nodes() > len(p)
        del y, grads
        assert new_nodes() == len(p)


def test_a_failed_operation_leaves_nothing_behind(new_nodes):
    x = leaf(2)
    for _ in range(3):
        with pytest.raises(ValueError):
            x * 2.0 + np.ones(3)
    assert new_nodes() == 1


# --- walks ---


def test_a_second_walk_raises_and_changes_nothing():
    x = leaf(3)
    y = (x * x).sum()
    y.backward()
    before = x.grad.clone()
    with pytest.raises(RuntimeError, match="already walked and freed; pass retain_graph=True"):
        y.backward()
    np.testing.assert_array_equal(x.grad, before)


@pytest.mark.parametrize("walk", [tape.backward, tape.gradients])
def test_a_walk_frees_the_graph_unless_it_is_told_not_to(walk):
    y = leaf(2) * 2.0
    for _ in range(2):
        walk(y._node, np.ones(2), retain_graph=True)
    walk(y._node, np.ones(2))
    with pytest.raises(RuntimeError, match="already walked and freed"):
        walk(y._node, np.ones(2))


def test_a_graph_that_shares_a_freed_part_raises():
    x = leaf(3)
    h = x.tanh()
    h.sum().backward()
    with pytest.raises(RuntimeError, match="already walked"):
        (h * 2.0).sum().backward()


def test_a_retained_graph_gives_twice_the_gradient():
    p, ids = parameters(), np.arange(10).reshape(2, 5) % 7
    y = tiny_loss(p, ids)
    y.backward(retain_graph=True)
    once = {name: w.grad.clone() for name, w in p.items()}
    y.backward()
    for name, w in p.items():
        np.testing.assert_array_equal(w.grad, once[name] + once[name])


def test_micro_batches_accumulate_to_the_whole_batch():
    def loss(p, x, target):
        return F.cross_entropy(F.linear(F.linear(x, p["up"]).tanh(), p["down"]), target, reduction="sum")

    x, target = rand(12, 4), np.random.default_rng(1).integers(0, 4, 12)
    whole, parts = parameters(), parameters()
    loss(whole, x, target).backward()
    for i in range(0, 12, 5):
        loss(parts, x[i : i + 5], target[i : i + 5]).backward()
    for name in ("up", "down"):
        np.testing.assert_allclose(parts[name].grad, whole[name].grad, rtol=1e-12, atol=1e-14)


ALIASING = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a + a": lambda a, b: a + a + b,
    "reshaped": lambda a, b: a.reshape(3, 2).reshape(2, 3) + b.T.T,
    "joined and cut": lambda a, b: sum(tuple((a + b).split(1)), wrap(np.zeros(()))),
    "b used later": lambda a, b: (a + b) + b,
}


@pytest.mark.parametrize("name", ALIASING)
def test_no_two_leaves_share_a_gradient_array_nor_with_the_seed(name):
    a, b = leaf(2, 3), leaf(2, 3, seed=1)
    y = ALIASING[name](a, b)
    seed = rand(*y.shape, seed=2)
    kept = seed.copy()
    y.backward(seed)
    assert not np.shares_memory(a.grad, b.grad)
    assert not np.shares_memory(a.grad, seed) and not np.shares_memory(b.grad, seed)
    before = b.grad.clone()
    a.grad += 1.0
    np.testing.assert_array_equal(b.grad, before)
    np.testing.assert_array_equal(seed, kept)


def test_a_walk_from_a_leaf_gives_it_the_seed():
    x = leaf(2)
    seed = np.array([3.0, 4.0])
    x.backward(seed)
    assert x.grad.tolist() == [3.0, 4.0] and x.grad is not seed


def test_what_a_hook_returns_takes_the_dtype_of_the_gradient_and_is_nobody_elses_memory():
    makers = (lambda x: x, lambda x: x * 1.0)  # a leaf, and what was computed
    for make, dtype in itertools.product(makers, (np.float64, np.float32)):
        leaf_ = mg.ones(2, requires_grad=True)
        x, given = make(leaf_), np.array([2.0, 3.0], dtype)
        x.register_hook(lambda grad, given=given: given)
        (x * 1.0).sum().backward()
        assert leaf_.grad.dtype == mg.float32 and leaf_.grad.tolist() == [2.0, 3.0]
        leaf_.grad.fill_(7.0)
        assert given.tolist() == [2.0, 3.0]


def test_what_a_hook_writes_to_and_what_was_kept_is_nobody_elses_gradient():
    x, w, seed = mg.ones(2, requires_grad=True), mg.ones(2, requires_grad=True), mg.ones(2)
    y = x * 1.0
    y.register_hook(lambda grad: [grad.zero_()] and None)
    for _ in range(2):  # the second changes nothing
        y.retain_grad()
        w.retain_grad()
    (y + w).backward(seed)
    y.grad += 5.0
    assert (y.grad.tolist(), x.grad.tolist()) == ([6.0, 6.0], [1.0, 1.0])
    assert w.grad.tolist() == seed.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_a_gradient_is_an_array_that_can_be_written_to(shape):
    for walks in (1, 2):
        x = leaf(*shape)
        for _ in range(walks):
            (x * x).sum().backward()
        before = x.grad.array
        x.grad.mul_(0.5)
        assert x.grad.array is before and isinstance(before, np.ndarray)
        np.testing.assert_allclose(before, walks * x.array)


def test_only_leaves_below_the_root_get_a_gradient():
    a, b, c = leaf(2), leaf(2), wrap(rand(2))
    (a * c).sum().backward()
    assert a.grad is not None and b.grad is None and c.grad is None


# --- the switch ---


def test_no_grad_holds_in_its_own_thread_only():
    x, recorded, inside = leaf(2), [], threading.Event()

    def other():
        inside.wait(10)
        recorded.append((x * 2.0).requires_grad)

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad():
        inside.set()
        thread.join(10)
        assert not (x * 2.0).requires_grad
    assert recorded == [True]
    assert (x * 2.0).requires_grad


def test_no_grad_ends_with_its_block_even_by_an_error():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert switches.state.recording


def test_no_grad_is_a_decorator():
    @no_grad()
    def double(x):
        return x * 2.0

    x = leaf(2)
    assert not double(x).requires_grad and not double(x).requires_grad
    assert switches.state.recording


# --- overwriting ---


def test_a_parameter_overwritten_after_the_forward_pass_raises():
    zeros = mg.zeros(3, dtype="float64")
    for overwrite in (
        overwrite_in_place,
        overwrite_by_assignment,
        overwrite_and_say_so,
        nn.init.ones_,
        lambda w: nn.utils.vector_to_parameters(zeros, [w]),
        no_grad()(lambda w: w.copy_(zeros)),
        no_grad()(lambda w: w.__setitem__(0, 2.0)),
    ):
        w, x = leaf(3), leaf(3, seed=1)
        y = (w * x).sum()
        overwrite(w)
        with pytest.raises(RuntimeError, match=r"an input of multiply, of shape \(3,\), was overwritten"):
            y.backward()
        assert w.grad is None and x.grad is None
        (w * x).sum().backward()
        np.testing.assert_array_equal(x.grad, w.array)


def overwrite_in_place(w):
    with no_grad():
        w -= 1.0


def overwrite_by_assignment(w):
    w.data = w.array * 2.0


def overwrite_and_say_so(w):
    w.array[...] = 0.5
    w.mark_overwritten()


def test_a_leaf_updated_in_place_stays_the_same_leaf():
    w = leaf(3)
    array, start = w.array, w.array.copy()
    with no_grad():
        w -= np.ones(3)
        w += 0.5
        w *= 2.0
        w /= 4.0
    assert w.array is array and w.is_leaf and w.requires_grad
    np.testing.assert_allclose(w.array, (start - 0.5) / 2)


def test_an_update_of_a_leaf_outside_no_grad_raises():
    w = leaf(3)
    before = w.array.copy()
    with pytest.raises(RuntimeError, match="expected `with no_grad\\(\\):` around a write into a leaf"):
        w -= 1.0
    np.testing.assert_array_equal(w.array, before)


def test_adding_to_a_computed_tensor_in_place_is_seen_by_all_its_names():
    x = leaf(3)
    y = x * 2.0
    z = y
    y += 1.0
    y *= y
    z.sum().backward()
    assert z is y
    np.testing.assert_allclose(x.grad, 4 * (2 * x.array + 1))


MADE = {  # it saves nothing, its inputs, its result
    "times a number": lambda x: x * 2.0,
    "times itself": lambda x: x * x,
    "exp": lambda x: x.exp(),
}


@pytest.mark.parametrize("make", MADE)
def test_what_only_its_own_operation_holds_may_be_written_to(make):
    x = leaf(3)
    y = MADE[make](x)
    y += 1.0
    y[0] = 5.0
    y.sum().backward()
    t = torch.tensor(x.array, requires_grad=True)
    MADE[make](t)[1:].sum().backward()
    np.testing.assert_allclose(x.grad, t.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize(
    "held", [lambda y: y.reshape(3, 1), lambda y: y.detach(), lambda y: y * y, lambda y: y[1:]]
)
def test_writing_in_place_into_what_a_view_or_an_operation_holds_is_refused(held, make):
    y = MADE[make](leaf(3))
    other = held(y)
    before = y.tolist(), other.tolist()
    for write in (lambda: y.__iadd__(1.0), lambda: y.__setitem__(0, 1.0), lambda: y[1:].__imul__(2.0)):
        with pytest.raises(RuntimeError, match="expected memory that only this Tensor holds.*write x = x"):
            write()
    assert (y.tolist(), other.tolist()) == before


def test_writing_into_what_a_graph_saved_makes_it_refuse_the_walk():
    w, x = leaf(3), mg.ones(3, dtype="float64")
    loss = (w * x).sum()
    view = x[1:]
    view += 1.0
    assert x.tolist() == [1.0, 2.0, 2.0]
    with pytest.raises(
        RuntimeError, match=r"an array \(3,\) that multiply needs for its gradient was modified"
    ):
        loss.backward()
    unneeded = (w + x).sum()
    x *= 2.0
    unneeded.backward()
    assert w.grad.tolist() == [1.0, 1.0, 1.0]


def test_a_shape_that_grows_does_not_fit_in_place():
    w = leaf(3)
    with no_grad(), pytest.raises(ValueError):
        w += np.ones((2, 3))


# --- errors ---


def broken(x, *, grads):
    """An operation whose vjp answers whatever it is told."""

    def vjp(dout):
        if isinstance(grads, Exception):
            raise grads
        return grads

    return x * 1.0, vjp


def test_a_walk_that_fails_midway_deposits_nothing():
    a, b = leaf(2), leaf(2)
    early = a * b
    y = (apply(broken, early, grads=ZeroDivisionError("boom")) + b * 3.0).sum()
    with pytest.raises(ZeroDivisionError, match="boom"):
        y.backward()
    assert a.grad is None and b.grad is None


def test_a_vjp_of_the_wrong_shape_is_named():
    y = apply(broken, leaf(2), grads=(np.ones(3),))
    with pytest.raises(
        ValueError, match=r"broken returned a gradient \(3,\) for an input \(2,\); this is a bug"
    ):
        y.sum().backward()


def test_an_input_that_the_output_ignores_gets_no_gradient():
    x = leaf(2)
    apply(broken, x, grads=(None,)).sum().backward()
    assert x.grad is None


def test_backward_refuses_what_it_cannot_mean():
    x = leaf(2)
    with pytest.raises(RuntimeError, match=r"expected a single element; got shape \(2,\); reduce it with"):
        (x * 2.0).backward()
    with pytest.raises(ValueError, match=r"backward: expected gradient \(2,\); got \(3,\)"):
        (x * 2.0).backward(np.ones(3))
    with pytest.raises(RuntimeError, match="expected a Tensor with a history; got one that was not computed"):
        wrap(rand(2)).sum().backward()
    for more in ({"create_graph": True}, {"inputs": [x]}):
        with pytest.raises(ValueError, match="backward: expected create_graph=False and inputs=None"):
            (x * 2.0).sum().backward(**more)
    with no_grad():
        y = (x * 2.0).sum()
    with pytest.raises(RuntimeError, match=r"or under no_grad\(\)"):
        y.backward()
    assert x.grad is None


def test_a_gradient_of_the_wrong_shape_is_not_stored():
    x = leaf(2)
    with pytest.raises(
        ValueError, match=r"Tensor.grad: expected float64 \(2,\), or None; got float64 \(3,\)"
    ):
        x.grad = np.ones(3)
    with pytest.raises(RuntimeError, match="expected a Tensor that requires a gradient"):
        wrap(rand(2)).grad = np.ones(2)
    with pytest.raises(ValueError, match=r"Tensor.data: expected float64 \(2,\); got float32 \(2,\)"):
        x.data = np.ones(2, np.float32)


def test_detach_and_requires_grad_cut_and_start_a_graph():
    x = leaf(2)
    y = x.tanh()
    assert not y.detach().requires_grad and np.shares_memory(y.detach().array, y.array)
    with pytest.raises(RuntimeError, match="expected a leaf; write x.detach"):
        y.requires_grad_(False)
    z = y.detach().requires_grad_()
    (z * 2.0).sum().backward()
    assert z.grad.tolist() == [2.0, 2.0] and x.grad is None
    before, graph = z.grad.tolist(), (z * 3.0).sum()
    assert z.requires_grad_().grad.tolist() == before  # asked for again, it stays the leaf that it is
    graph.backward()
    assert z.grad.tolist() == [5.0, 5.0]
    assert not x.requires_grad_(False).requires_grad


def test_a_list_beside_a_float64_tensor_takes_its_dtype():
    x = mg.tensor([1.0, 2.0], dtype="float64")
    assert mg.concatenate([x, [3.0]]).tolist() == [1.0, 2.0, 3.0]
    assert mg.matmul(x, [3.0, 4.0]).item() == 11.0


def test_masked_fill_takes_arrays_and_lists():
    mask = np.array([True, False, True])
    for x in (np.ones(3, np.float32), [1.0, 1.0, 1.0], mg.ones(3)):
        assert mg.masked_fill(x, mask, 0.5).tolist() == [0.5, 1.0, 0.5]


@pytest.mark.parametrize("x", [np.ones(2, np.float16), np.ones(2) + 1j, np.array(["a", "b"])])
def test_an_operand_that_is_no_number_of_ours_is_refused(x):
    with pytest.raises(TypeError, match="operand: expected (an array of floats|numbers of a dtype)"):
        mg.ones(2) + x


@pytest.mark.parametrize("name", ["exp", "sum", "__add__", "reshape", "tril"])
def test_a_method_can_be_pickled(name):
    method = getattr(Tensor, name)
    assert pickle.loads(pickle.dumps(method)) is method
