"""A batch split over threads gives the gradients of the whole batch, with dropout too; a rule says how many threads."""

import os
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import minigrad
import nn
from gpt import GPT, GPTConfig
from minigrad.parallel import Way, Workers, busy_cores, choice, choose_way
from minigrad.random import Generator
from nn.optim import AdamW, clip_grad_norm_

COUNTS = [1, 2, 3, 5]


def problem(dropout=0.0):
    """A small model in float64, its loss, and a batch of 7 rows."""
    rng = Generator(3)
    model = nn.Sequential(nn.Linear(4, 5, rng=rng), nn.Tanh(), nn.Dropout(dropout), nn.Linear(5, 2, rng=rng))
    model.double()
    batch = rng.randn(7, 4, dtype=np.float64), rng.randint(0, 2, (7,))
    return model, lambda x, y: nn.functional.cross_entropy(model(nn.Parameter(x).detach()), y), batch


@pytest.fixture
def made():
    """Make workers that are closed at the end."""
    every = []

    def make(count, model, loss_of, seed=1):
        every.append(Workers(Way(count, 1), seed, loss_of, model.parameters()))
        return every[-1]

    yield make
    for workers in every:
        workers.close()


def whole(model, loss_of, batch):
    """The loss and the gradients of a batch that nobody splits."""
    model.zero_grad()
    loss = loss_of(*batch)
    loss.backward()
    grads = [p.grad for p in model.parameters()]
    model.zero_grad()
    return loss.item(), grads


def assert_gradients(model, wanted):
    for p, grad in zip(model.parameters(), wanted, strict=True):
        np.testing.assert_allclose(p.grad, grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("count", COUNTS)
def test_shares_add_up_to_the_whole_batch(made, count):
    model, loss_of, (x, y) = problem()
    loss, wanted = whole(model, loss_of, (x, y))
    workers = made(count, model, loss_of)
    for _ in range(2):  # set, and not added to those of before
        assert workers.backward([(x, y)]) == pytest.approx(loss, rel=1e-14)
        assert_gradients(model, wanted)
    other, others = whole(model, loss_of, (3 * x[:4], 1 - y[:4]))
    assert workers.backward([(x, y), (3 * x[:4], 1 - y[:4])]) == pytest.approx((loss + other) / 2, rel=1e-14)
    assert_gradients(model, [(a + b) / 2 for a, b in zip(wanted, others)])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_fifty_steps_with_dropout_are_those_of_one_worker(made, count):
    """Any number of workers draws the same masks: the weights differ by rounding alone."""
    config = GPTConfig(block_size=6, vocab_size=9, n_layer=2, n_head=2, n_embd=8, dropout=0.3)
    ids = np.random.default_rng(0).integers(0, 9, (50, 2, 7, 7))
    ends = []
    for n in (1, count):
        model = GPT(config, rng=Generator(2)).double()
        optimizer, losses = AdamW(model.parameters(), lr=1e-3), []
        workers = made(n, model, model.loss)
        for step, pair in enumerate(ids):
            rows = [
                7,
                1 + step % 7,
            ]  # two batches, which no count divides; of some there are fewer rows than workers
            batches = [(x[:k, :-1], x[:k, 1:]) for x, k in zip(pair, rows)]
            losses.append(workers.backward(batches, step))
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        ends.append((losses, *model.state_dict().values()))
    for one, other in zip(*ends):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-12)


class Overwritten(nn.Dropout):
    """A Dropout whose note of its mask another thread overwrites at once."""

    def __setattr__(self, name, value):
        super().__setattr__(name, ~value if isinstance(value, np.ndarray) else value)


def test_dropout_uses_its_own_mask_whatever_another_thread_notes_meanwhile():
    x = minigrad.ones(4, 6)
    found, wanted = (kind(0.5, rng=Generator(1))(x) for kind in (Overwritten, nn.Dropout))
    np.testing.assert_array_equal(found, wanted)


def test_dropout_is_another_for_each_step_batch_and_seed_and_the_same_again(made):
    model, loss_of, batch = problem(dropout=0.5)
    workers = made(2, model, loss_of)
    losses = [workers.backward([batch], step) for step in (0, 1, 2, 0)]
    assert losses[0] == losses[3] and len(set(losses)) == 3
    assert workers.backward([batch, batch], 0) != pytest.approx(losses[0])
    assert made(2, model, loss_of, seed=2).backward([batch], 0) not in losses


@pytest.mark.parametrize("count", [1, 3])
def test_a_parameter_that_one_share_reaches_gets_its_gradient_and_one_that_none_reaches_gets_none(count):
    a, b, c = (nn.Parameter(np.ones(2)) for _ in "abc")

    def loss_of(x):
        first = minigrad.tensor((x[:, :1] > 0).astype(float))
        return (
            ((a * first + b * (1 - first) if len(x) > 1 else a if x[0, 0] > 0 else b) * minigrad.tensor(x))
            .sum(-1)
            .mean()
        )

    workers = Workers(Way(count, 1), 1, loss_of, [a, b, c])
    workers.backward([[np.array([[1.0, 2], [-3, 4]])]])
    np.testing.assert_array_equal([a.grad, b.grad], [[0.5, 1], [-1.5, 2]])
    assert c.grad is None
    workers.backward([[np.array([[5.0, 6]])]])
    np.testing.assert_array_equal(a.grad, [5, 6])
    assert b.grad is None is c.grad  # not those of the batch before
    workers.close()


def test_a_parameter_of_one_number_gets_an_array(made):
    w = nn.Parameter(np.array(2.0))
    workers = Workers(Way(2, 1), 1, lambda x: (w * minigrad.tensor(x)).mean(), [w])
    workers.backward([[np.array([1.0, 3.0])]])
    workers.close()
    assert type(w._node.grad) is np.ndarray and w.grad == 2


def test_other_draws_in_a_batch_are_refused_by_name(made):
    model, loss_of, batch = problem()
    workers = made(2, model, lambda x, y: loss_of(x, y) * minigrad.rand(1))
    with pytest.raises(
        RuntimeError, match="random: expected masks of dropout alone in a batch that workers share"
    ):
        workers.backward([batch])
    minigrad.rand(1)  # outside, they are as ever


@pytest.mark.parametrize("row", [0, 6])
def test_an_error_in_any_share_reaches_the_caller_and_the_next_batch_is_its_own(made, row):
    model, loss_of, (x, y) = problem()
    workers = made(2, model, loss_of)
    workers.backward([(x, y)])
    wrong = np.where(np.arange(7) == row, 9, y)  # a target that does not exist, in the first or second share
    with pytest.raises(ValueError, match=r"cross_entropy: expected ids in 0..1"):
        workers.backward([(x, y), (x, wrong)])
    assert all(p.grad is None for p in model.parameters())
    loss, wanted = whole(model, loss_of, (3 * x, 1 - y))
    assert workers.backward([(3 * x, 1 - y)]) == pytest.approx(loss, rel=1e-14)
    assert_gradients(model, wanted)


@pytest.mark.parametrize("who", ["caller", "thread"])
def test_an_interruption_leaves_no_gradient_behind_and_nobody_at_work(made, who):
    """Ctrl-C reaches the caller, in the first of two batches, while the other share is still at work."""
    model, loss_of, (x, y) = problem()
    caller, at_work, calls = threading.current_thread(), [], []

    def interrupted(x, y):
        calls.append(threading.current_thread())
        if who == ("caller" if threading.current_thread() is caller else "thread"):
            raise KeyboardInterrupt
        at_work.append(True)
        time.sleep(0.05)
        loss = loss_of(x, y)
        at_work.pop()
        return loss

    for p in model.parameters():
        p.grad = np.ones(p.shape)
    workers = made(2, model, interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.backward([(x, y), (x, y)])
    assert not at_work and len(set(calls)) == 2
    assert all(p.grad is None for p in model.parameters())
    who = "nobody"
    loss, wanted = whole(model, loss_of, (x, y))
    assert workers.backward([(x, y)]) == pytest.approx(loss, rel=1e-14)
    assert_gradients(model, wanted)


def test_an_interruption_between_two_parameters_leaves_none_with_a_gradient(made, monkeypatch):
    class Numpy:  # asked for each gradient, before it is set
        asked = 0

        @property
        def generic(self):
            self.asked += 1
            if self.asked == 3:
                raise KeyboardInterrupt
            return np.generic

    model, loss_of, batch = problem()
    workers = made(1, model, loss_of)
    workers.backward([batch])
    monkeypatch.setattr(sys.modules[Workers.__module__], "np", Numpy())
    with pytest.raises(KeyboardInterrupt):
        workers.backward([batch])
    assert all(p.grad is None for p in model.parameters())


def test_an_interruption_among_ranks_leaves_no_gradients_of_one_alone(made, monkeypatch):
    def interrupted(workers, loss):
        raise KeyboardInterrupt

    model, loss_of, batch = problem()
    monkeypatch.setattr(Workers, "over_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(2, model, loss_of).backward([batch])
    assert all(p.grad is None for p in model.parameters())


def test_closing_ends_the_threads(made):
    model, loss_of, batch = problem()
    before = set(threading.enumerate())
    workers = made(3, model, loss_of)
    workers.backward([batch])
    assert 1 <= len(set(threading.enumerate()) - before) <= 2  # one, if it was ready for the second share
    workers.close()
    assert set(threading.enumerate()) == before


# ---- the rule ----


def test_blas_takes_as_many_threads_as_it_is_told():
    def now(blas=True):
        return {pool["num_threads"] for pool in threadpool_info() if (pool["user_api"] == "blas") is blas}

    with threadpool_limits():  # puts back what was
        others = now(blas=False)
        for n in (2, 1):
            assert choice.set_blas_threads(n) is True and now() == {n} and now(blas=False) == others
        assert choice.cores() == len(os.sched_getaffinity(0))


def test_without_threadpoolctl_the_blas_threads_stay(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert choice.set_blas_threads(1) is False


@pytest.mark.parametrize("count, cores", [(6, 6), (None, 1)])
def test_where_the_system_does_not_say_which_cores_are_ours_all_are(count, cores, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert choice.cores() == cores


def test_a_way_says_what_it_is():
    said = {
        Way(1, 0): "whole batch, BLAS threads as the matrix library sees fit",
        Way(2, 0): "batch split over 2 threads, BLAS threads as the matrix library sees fit",
        Way(1, 1): "one thread",
        Way(1, 2): "whole batch, 2 BLAS threads each",
        Way(2, 1): "batch split over 2 threads, 1 BLAS thread each",
        Way(3, 2): "batch split over 3 threads, 2 BLAS threads each",
    }
    assert {way: str(way) for way in said} == said


@pytest.mark.parametrize(
    ("weights", "layers", "tokens", "busy"),
    [
        (27_000, 2, 64, 1),  # the race's tiny
        (804_000, 4, 12 * 64, 4),  # its cpu
        (10_700_000, 6, 8 * 256, 64),  # its small
        (804_000, 4, 1, 1),  # a token of the default model
        (134_500_000, 30, 1, 1),  # a token of SmolLM2
        (134_500_000, 30, 256, 32),  # a prompt
    ],
)
def test_small_work_keeps_one_core_busy_and_large_work_all(monkeypatch, weights, layers, tokens, busy):
    for cores in (1, 2, 64):
        monkeypatch.setattr(choice, "cores", lambda cores=cores: cores)
        assert busy_cores(weights, layers, tokens) == min(busy, cores)


def test_rows_are_split_before_products(monkeypatch):
    monkeypatch.setattr(choice, "cores", lambda: 8)
    assert choose_way(1, 12) == Way(1, 1) and choose_way(8, 12) == Way(8, 1)
    assert choose_way(2, 12) == choose_way(2, 2) == Way(2, 1) and choose_way(2, 1) == Way(1, 2)
    assert choose_way(8, 3) == Way(3, 2) and choose_way(8, 4) == Way(4, 2)


def test_a_number_that_is_wanted_overrules_up_to_cores_and_rows(monkeypatch):
    monkeypatch.setattr(choice, "cores", lambda: 8)
    assert choose_way(1, 12, 4) == Way(4, 1) and choose_way(8, 12, 2) == Way(2, 4)
    assert choose_way(8, 3, 9) == Way(3, 2) and choose_way(8, 12, 9) == choose_way(1, 12, 9) == Way(8, 1)
