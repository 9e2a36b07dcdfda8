"""A batch split over threads or processes gives the gradients of the whole batch."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import minigrad
import nn
from minigrad.parallel import Way, Workers, choice, fastest_way, ways
from minigrad.random import Generator
from nn.optim import AdamW

ROOT = Path(__file__).parents[1]
KINDS = ["thread", "process"]
WAYS = [Way(n, 1, kind) for n in (1, 2, 3) for kind in KINDS]


def problem(dropout=0.0):
    """A small model in float64, its loss, and a batch of 7 rows."""
    rng = Generator(3)
    model = nn.Sequential(nn.Linear(4, 5, rng=rng), nn.Tanh(), nn.Dropout(dropout), nn.Linear(5, 2, rng=rng))
    model.double()
    batch = rng.randn(7, 4, dtype=np.float64), rng.randint(0, 2, (7,))
    return model, lambda x, y: nn.functional.cross_entropy(model(nn.Parameter(x).detach()), y), batch


def made(way, model, loss_of):
    return Workers(way, Generator(1, "fast"), loss_of, model.parameters())


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_shares_add_up_to_the_whole_batch(way):
    model, loss_of, batch = problem()
    whole = loss_of(*batch)
    whole.backward(0.25)
    wanted = [p.grad for p in model.parameters()]
    model.zero_grad()
    workers = made(way, model, loss_of)
    assert workers.accumulate(batch, 0.25) == pytest.approx(whole.item(), rel=1e-14)
    for p, grad in zip(model.parameters(), wanted):
        np.testing.assert_allclose(p.grad, grad, rtol=1e-12, atol=1e-15)
    workers.accumulate(batch, 0.25)
    for p, grad in zip(model.parameters(), wanted):
        np.testing.assert_allclose(p.grad, 2 * grad, rtol=1e-12, atol=1e-15)
    workers.close()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_workers_read_the_weights_that_the_optimiser_wrote(way):
    finals = []
    for used in (Way(1, 1), way):
        model, loss_of, batch = problem()
        optimizer = AdamW(model.parameters(), lr=0.1)
        workers = made(used, model, loss_of)
        for _ in range(5):
            optimizer.zero_grad()
            workers.accumulate(batch)
            optimizer.step()
        finals.append(model.state_dict())
        workers.close()
    for name, array in finals[0].items():
        np.testing.assert_allclose(finals[1][name], array, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_row_needs_one_worker(kind):
    model, loss_of, (x, y) = problem()
    workers = made(Way(3, 1, kind), model, loss_of)
    assert workers.accumulate((x[:1], y[:1])) == pytest.approx(loss_of(x[:1], y[:1]).item())
    workers.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_that_one_share_reaches_gets_its_gradient_and_one_that_none_reaches_gets_none(kind):
    a, b, c = (nn.Parameter(np.ones(2)) for _ in "abc")

    def loss_of(x):
        return ((a if x[0, 0] > 0 else b) * minigrad.tensor(x)).sum(-1).mean()

    workers = Workers(Way(2, 1, kind), Generator(1), loss_of, [a, b, c])
    for batch, first, second in (
        ([[1, 2], [-3, 4]], [0.5, 1], [-1.5, 2]),
        ([[5, 6], [-7, 8]], [3, 4], [-5, 6]),
    ):
        workers.accumulate([np.array(batch, float)])
        np.testing.assert_array_equal([a.grad, b.grad], [first, second])
        assert c.grad is None
    workers.close()


@pytest.mark.parametrize("kind", KINDS)
def test_states_repeat_the_dropout_of_every_worker(kind):
    model, loss_of, batch = problem(dropout=0.5)
    workers = made(Way(2, 1, kind), model, loss_of)
    workers.accumulate(batch)
    states = workers.states()
    first, second = workers.accumulate(batch), workers.accumulate(batch)
    workers.set_states(states)
    assert [workers.accumulate(batch), workers.accumulate(batch)] == [first, second]
    assert first != second
    workers.close()


def test_threads_and_processes_draw_the_same_masks():
    losses = []
    for kind in KINDS:
        model, loss_of, batch = problem(dropout=0.5)
        workers = made(Way(2, 1, kind), model, loss_of)
        losses.append([workers.accumulate(batch) for _ in range(3)])
        workers.close()
    assert losses[0] == losses[1]


@pytest.mark.parametrize("row", [0, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_in_any_share_reaches_the_caller_and_it_goes_on(kind, row):
    model, loss_of, (x, y) = problem()
    workers = made(Way(2, 1, kind), model, loss_of)
    wrong = np.where(np.arange(7) == row, 9, y)  # a target that does not exist, in the first or second share
    with pytest.raises(ValueError, match="cross_entropy: expected ids in 0..1"):
        workers.accumulate((x, wrong))
    for batch in ((x, y), (3 * x, 1 - y)):  # an answer to the batch before would be another
        model.zero_grad()
        whole = loss_of(*batch)
        whole.backward()
        wanted = [p.grad for p in model.parameters()]
        model.zero_grad()
        assert workers.accumulate(batch) == pytest.approx(whole.item(), rel=1e-14)
        for p, grad in zip(model.parameters(), wanted):
            np.testing.assert_allclose(p.grad, grad, rtol=1e-12, atol=1e-15)
    workers.close()


def test_closing_ends_the_processes():
    model, loss_of, _ = problem()
    before = multiprocessing.active_children()
    workers = made(Way(3, 1, "process"), model, loss_of)
    assert len(multiprocessing.active_children()) == len(before) + 2
    workers.close()
    assert multiprocessing.active_children() == before


def test_workers_made_one_after_another_can_be_closed_in_that_order():
    model, loss_of, batch = problem()
    before = multiprocessing.active_children()
    # each process of the second holds a copy of the first's pipes, which then seem open for ever
    several = [made(Way(n, 1, "process"), model, loss_of) for n in (3, 2)]
    for workers in several:
        workers.accumulate(batch)
    for workers in several:
        workers.close()
    assert multiprocessing.active_children() == before


def test_a_process_that_died_is_reported():
    model, loss_of, batch = problem()
    workers = made(Way(2, 1, "process"), model, loss_of)
    workers._others[0]._process.kill()
    with pytest.raises(ChildProcessError, match="expected a worker process; got its end"):
        workers.accumulate(batch)


def test_an_interrupt_is_the_callers_and_leaves_processes_at_work():
    model, loss_of, batch = problem()
    workers = made(Way(2, 1, "process"), model, loss_of)
    first = workers.accumulate(batch)  # so that it serves
    os.kill(workers._others[0]._process.pid, signal.SIGINT)
    assert workers.accumulate(batch) == first
    workers.close()


def test_blas_takes_as_many_threads_as_it_is_told():
    def now():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits():  # puts back what was
        for n in (2, 1):
            assert choice.set_blas_threads(n) and now() == {n}
        assert choice.cores() == len(os.sched_getaffinity(0))


def test_ways_use_every_core_or_one():
    assert ways(1) == [Way(1, 1)]
    for way in ways(6)[:-1]:
        assert way.workers * way.blas_threads == 6
    assert ways(6)[-1] == Way(1, 1)
    assert Way(2, 3, "process") in ways(6)


def test_the_fastest_way_wins(monkeypatch):
    clock, set_to = [0.0], []
    monkeypatch.setattr(choice.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(choice, "set_blas_threads", lambda n: set_to.append(n) or True)
    costs, warm = {Way(2, 1): 0.3, Way(1, 2): 0.1, Way(1, 1): 0.2}, set()

    def run(way):
        clock[0] += costs[way] if way in warm else 60.0  # the first step, which is not counted
        warm.add(way)

    best, medians = fastest_way(run, list(costs))
    assert best == Way(1, 2) and set_to[-1] == 2
    assert medians == pytest.approx(costs)
    costs[Way(2, 1, "process")] = 0.098  # not faster by enough for the memory it takes
    assert fastest_way(run, list(costs))[0] == Way(1, 2)
    costs[Way(2, 1, "process")] = 0.094
    assert fastest_way(run, list(costs))[0] == Way(2, 1, "process")


def test_without_threadpoolctl_only_one_thread_is_tried(monkeypatch):
    monkeypatch.setattr(choice, "set_blas_threads", lambda n: False)
    assert fastest_way(pytest.fail, ways(4)) == (Way(1, 0), {})


ORPHAN = """
import os, signal, threading, time
import numpy as np
from minigrad import random, tensor
from minigrad.parallel import Way, Workers

x = tensor([1.0], requires_grad=True)

def loss(rows):
    time.sleep(0.5)
    return (x * tensor(rows)).sum()

workers = Workers(Way(2, 1, "process"), random.Generator(0), loss, [x])
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGKILL)).start()
workers.accumulate([np.ones(2, np.float32)])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="worker processes are forked")
def test_a_worker_whose_caller_was_killed_ends_without_a_word():
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == ""
