"""A batch split over threads or processes gives the gradients of the whole batch."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
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


def test_who_works_alone_draws_from_the_generator_itself():
    model, loss_of, batch = problem(dropout=0.5)
    used, same = Generator(1, "fast"), Generator(1, "fast")
    workers = Workers(Way(1, 1), used, loss_of, model.parameters())
    with minigrad.random.using(same):
        assert workers.accumulate(batch) == loss_of(*batch).item()
    assert str(used.state()) == str(same.state()) != str(Generator(1, "fast").state())


@pytest.mark.parametrize("way", [Way(2, 1), Way(1, 1, "process")], ids=str)
def test_parameters_move_to_shared_memory_for_processes_alone(way):
    model, loss_of, _ = problem()
    before = [p.array for p in model.parameters()]
    workers = made(way, model, loss_of)
    assert all(p.array is array for p, array in zip(model.parameters(), before, strict=True))
    workers.close()


@pytest.mark.parametrize("kind", KINDS)
def test_states_of_another_number_of_workers_are_refused(kind):
    model, loss_of, _ = problem()
    workers = made(Way(2, 1, kind), model, loss_of)
    for states in (workers.states()[:1], workers.states() * 2):
        with pytest.raises(ValueError):
            workers.set_states(states)
    workers.close()


def test_closing_ends_the_threads():
    model, loss_of, batch = problem()
    before = set(threading.enumerate())
    workers = made(Way(3, 1), model, loss_of)
    workers.accumulate(batch)
    assert len(set(threading.enumerate()) - before) == 2
    workers.close()
    assert set(threading.enumerate()) == before


def test_that_python_warns_of_forks_beside_threads_is_no_matter_here(monkeypatch):
    fork = os.fork

    def warned():  # as Python 3.12 does, where another thread is at work
        warnings.warn("This process is multi-threaded", DeprecationWarning, stacklevel=2)
        return fork()

    monkeypatch.setattr(os, "fork", warned)
    model, loss_of, batch = problem()
    workers = made(Way(2, 1, "process"), model, loss_of)  # a warning would be an error
    assert workers.accumulate(batch) > 0
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
    def now(blas=True):
        return {pool["num_threads"] for pool in threadpool_info() if (pool["user_api"] == "blas") is blas}

    with threadpool_limits():  # puts back what was
        others = now(blas=False)
        for n in (2, 1):
            assert choice.set_blas_threads(n) is True and now() == {n} and now(blas=False) == others
        assert choice.cores() == len(os.sched_getaffinity(0))


def test_ways_use_every_core_or_one(monkeypatch):
    assert ways(1) == [Way(1, 1)]
    assert ways(2) == [*(Way(2, 1, kind) for kind in KINDS), Way(1, 2), Way(1, 1)]
    split = [Way(w, 6 // w, kind) for w in (6, 3, 2) for kind in KINDS]
    assert ways(6) == [*split, Way(1, 6), Way(1, 1)]
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert ways(6) == [*split[::2], Way(1, 6), Way(1, 1)]


def test_a_way_says_what_it_is():
    said = {
        Way(1, 0): "as the matrix library sees fit",
        Way(1, 1): "one thread",
        Way(1, 2): "whole batch, 2 BLAS threads each",
        Way(2, 1): "batch split over 2 threads, 1 BLAS thread each",
        Way(3, 2, "process"): "batch split over 3 processes, 2 BLAS threads each",
    }
    assert {way: str(way) for way in said} == said


@pytest.mark.parametrize("count, cores", [(6, 6), (None, 1)])
def test_where_the_system_does_not_say_which_cores_are_ours_all_are(count, cores, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert choice.cores() == cores


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


@pytest.mark.parametrize(
    "cost, seconds, steps", [(1.0, None, 3), (0.25, 3.0, 7), (2**-5, 3.0, 10), (1.0, 5, 5)]
)
def test_a_way_is_timed_for_its_seconds_or_seven_steps_and_a_tenth(monkeypatch, cost, seconds, steps):
    clock, runs = [0.0], []
    monkeypatch.setattr(choice.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(choice, "set_blas_threads", lambda n: True)

    def run(way):
        clock[0] += cost
        runs.append(way)

    fastest_way(run, [Way(1, 2), Way(1, 1)], *[] if seconds is None else [seconds])  # 3 is the default
    assert [runs.count(way) for way in (Way(1, 2), Way(1, 1))] == [1 + steps] * 2


@pytest.mark.parametrize(
    "steps, runs_each", [(math.inf, 11), (2000, 11), (200, 10), (100, 5), (60, 3), (40, 2), (39, 0), (1, 0)]
)
def test_the_trying_takes_a_tenth_of_the_steps_at_most(monkeypatch, steps, runs_each):
    clock, runs, set_to = [0.0], [], []
    monkeypatch.setattr(choice.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(choice, "set_blas_threads", lambda n: set_to.append(n) or True)

    def run(way):
        clock[0] += 2**-5
        runs.append(way)

    best, medians = fastest_way(run, [Way(1, 2), Way(1, 1)], steps=steps)
    assert [runs.count(way) for way in (Way(1, 2), Way(1, 1))] == [runs_each] * 2 and len(runs) <= steps / 10
    assert (best, set_to[-1]) == (Way(1, 2), 2) and len(medians) == 2 * (runs_each > 0)


def test_one_way_alone_needs_no_try(monkeypatch):
    set_to = []
    monkeypatch.setattr(choice, "set_blas_threads", lambda n: set_to.append(n) or True)
    assert fastest_way(pytest.fail, [Way(1, 3)]) == (Way(1, 3), {}) and set_to == [3]


def test_every_way_is_timed_with_its_own_blas_threads(monkeypatch):
    now, seen = [0], set()
    monkeypatch.setattr(choice, "set_blas_threads", lambda n: now.__setitem__(0, n) or True)
    ways = [Way(1, n) for n in (2, 3, 1)]
    fastest_way(lambda way: seen.add((way.blas_threads, now[0])), ways, 1e-9)
    assert seen == {(n, n) for n in (1, 2, 3)}


def test_without_threadpoolctl_the_blas_threads_stay(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert choice.set_blas_threads(1) is False


def test_without_threadpoolctl_only_one_thread_is_tried(monkeypatch):
    monkeypatch.setattr(choice, "set_blas_threads", lambda n: False)
    assert fastest_way(pytest.fail, ways(4)) == (Way(1, 0), {})


UNCLOSED = """
from minigrad import random, tensor
from minigrad.parallel import Way, Workers

x = tensor([1.0], requires_grad=True)
Workers(Way(2, 1, "process"), random.Generator(0), lambda rows: (x * tensor(rows)).sum(), [x])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="worker processes are forked")
def test_a_program_that_closes_nothing_ends_all_the_same():
    subprocess.run([sys.executable, "-c", UNCLOSED], cwd=ROOT, timeout=20, check=True)


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
