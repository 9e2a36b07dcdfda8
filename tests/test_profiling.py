"""The profiler counts each operation, forward and backward, in every thread, and leaves evaluation apart."""

import re

import numpy as np

import minigrad as mg
import nn
from minigrad.parallel import Way, Workers
from minigrad.random import Generator


def test_calls_seconds_and_bytes_of_each_operation_are_counted():
    layer, x = nn.Linear(3, 4), np.ones((5, 3), np.float32)
    with mg.profile() as watch:
        for _ in range(2):
            layer(mg.tensor(x)).tanh().sum().backward()
    assert {name: row["calls"] for name, row in watch.rows.items()} == {"linear": 2, "tanh": 2, "sum": 2}
    linear = watch.rows["linear"]
    assert linear["forward"] > 0 and linear["backward"] > 0
    assert linear["bytes"] == 2 * 4 * (5 * 4 + 5 * 3 + 4 * 3 + 4)  # y, and the gradients of x, weight, bias
    assert 0 < watch.seconds() <= watch.wall


def test_what_runs_without_gradients_has_rows_of_its_own():
    layer = nn.Linear(3, 4)
    with mg.profile() as watch, mg.no_grad():
        layer(mg.ones(5, 3))
    assert list(watch.rows) == ["linear, no grad"] and watch.rows["linear, no grad"]["backward"] == 0


def test_worker_threads_count_too():
    layer, x = nn.Linear(3, 4), np.ones((6, 3), np.float32)
    workers = Workers(Way(2, 1), Generator(0), lambda x: layer(mg.tensor(x)).sum(), layer.parameters())
    with mg.profile() as watch:
        workers.accumulate([x])
    workers.close()
    assert watch.rows["linear"]["calls"] == 2


def test_the_table_has_the_slowest_first_and_the_clock_below():
    with mg.profile() as watch:
        x = mg.randn(300, 300)
        (x @ x).tanh()
    head, _, *rows, clock = str(watch).splitlines()
    assert head.split()[0] == "operation" and "MiB out" in head
    totals = [float(row.split()[-4]) for row in rows]  # forward ms
    assert totals == sorted(totals, reverse=True) and len(rows) == 2
    assert re.match(r"\d+ ms in operations, all threads together; \d+ ms on the clock", clock)
