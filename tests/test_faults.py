"""Planted faults must be found and named; correct random graphs must raise no alarm."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minigrad.check.gradcheck import gradcheck
from tests.faults import __main__ as command
from tests.faults import held_out
from tests.faults import rates as rating
from tests.faults.graphs import random_graph
from tests.faults.planted import faults
from tests.faults.rates import Rates, measure

FAULTS = {fault.name: fault for fault in faults()}
SEEDS = 20
BESIDE_KINKS = [
    (187, 15),
    (52, 5),
    (114, 16),
    (10, 5),
    (108, 0),
    (78, 2),
    (66, 17),
]  # 1e-10 of an element away


def test_there_are_enough_faults_of_enough_kinds():
    assert len(FAULTS) >= 40
    assert len({fault.kind for fault in FAULTS.values()}) >= 15


def test_the_readme_tells_of_as_many_as_there_are():
    text = (Path(command.__file__).parent / "README.md").read_text()
    planted, graphs = len(FAULTS) * command.SEEDS, command.GRAPHS * command.SEEDS
    full = Rates(planted=planted, found=planted, named=planted, graphs=graphs)
    counted = {(line.partition(":")[0], line.split()[-1]) for line in text.splitlines() if " of " in line}
    assert f"plants {len(FAULTS)} faults" in text
    assert {(line.partition(":")[0], line.split()[-1]) for line in str(full).splitlines()} <= counted
    assert (
        f"plants {len(held_out.HELD_OUT)} mistakes" in text
        and f"and {len(held_out.RIGHT)} right functions" in text
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_named(name):
    fault = FAULTS[name]
    seed = sum(name.encode()) % SEEDS
    report = gradcheck(fault.fn, fault.inputs(seed), seed=seed, library="minigrad", raise_error=False)
    assert set(report.kinds) == {fault.kind}, report


def test_two_hundred_correct_graphs_raise_no_alarm():
    """Each with one of the twenty seeds; `python -m tests.faults` runs each with all of them."""
    alarms, kinks, single = [], 0, 0
    for number in range(200):
        graph, inputs = random_graph(number, number % SEEDS)
        seed, seal = number % SEEDS, graph.seal
        report = gradcheck(graph, inputs, seed=seed, seal=seal, library="minigrad", raise_error=False)
        alarms += [] if report.ok else [f"graph {number}: {report}"]
        kinks += bool(report.notes)
        single += inputs[0].dtype == np.float32
    assert not alarms
    assert kinks >= 2 and single >= 40


@pytest.mark.parametrize(("number", "seed"), BESIDE_KINKS)
def test_kinks_and_scales_nearer_than_every_step_raise_no_alarm(number, seed):
    graph, inputs = random_graph(number, seed)
    assert gradcheck(graph, inputs, seed=seed, seal=graph.seal, library="minigrad").ok


def test_the_rates_count_what_is_missed():
    rates = Rates(planted=2, found=2, named=1, graphs=5, alarms=1)
    assert not rates.ok
    assert "found: 2 of 2" in str(rates) and "kind: 1 of 2" in str(rates) and "graphs: 1 of 5" in str(rates)
    for so_far in measure(2, [3], rates):
        if so_far.planted == 5:
            break
    assert rates.planted == 5 and rates.named == 4


def test_the_rates_are_printed_and_a_miss_fails(capsys, monkeypatch):
    monkeypatch.setattr(command, "GRAPHS", 5)
    monkeypatch.setattr(rating, "faults", lambda: faults()[:3])
    assert command.main(["--seeds", "1"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "8 checks, which take about 0 seconds\n"
    assert printed.out.splitlines() == [
        "planted faults found: 3 of 3",
        "planted faults named with the right kind: 3 of 3",
        "false alarms on correct random graphs: 0 of 5",
    ]
    monkeypatch.setattr(rating, "gradcheck", lambda *a, **b: SimpleNamespace(ok=True, kinds=[]))
    assert command.main(["--seeds", "1"]) == 1
