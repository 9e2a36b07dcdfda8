"""How often planted faults are found and rightly named, and how often right graphs raise an alarm."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from minigrad.check.gradcheck import gradcheck
from tests.faults.graphs import random_graph
from tests.faults.planted import faults
from tests.faults.planting import Fault


@dataclass
class Rates:
    """How often planted faults are found and rightly named, and how often correct graphs raise an alarm."""

    planted: int = 0
    found: int = 0
    named: int = 0
    graphs: int = 0
    alarms: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Was everything found and named, without a false alarm?"""
        return self.named == self.planted and not self.alarms

    def __str__(self) -> str:
        return "\n".join(
            [
                f"planted faults found: {self.found} of {self.planted}",
                f"planted faults named with the right kind: {self.named} of {self.planted}",
                f"false alarms on correct random graphs: {self.alarms} of {self.graphs}",
                *self.missed,
            ]
        )


def measure(graphs: int, seeds: Iterable[int], rates: Rates) -> Iterator[Rates]:
    """Check every planted fault and `graphs` correct graphs with every seed; yield the rates so far."""
    planted = faults()
    for seed in seeds:
        for fault in planted:
            _plant(fault, seed, rates)
            yield rates
        for number in range(graphs):
            _stay_silent(number, seed, rates)
            yield rates


def _plant(fault: Fault, seed: int, rates: Rates) -> None:
    report = gradcheck(fault.fn, fault.inputs(seed), seed=seed, library="minigrad", raise_error=False)
    rates.planted += 1
    rates.found += not report.ok
    rates.named += set(report.kinds) == {fault.kind}
    if set(report.kinds) != {fault.kind}:
        rates.missed.append(f"{fault.name}, seed {seed}: expected {fault.kind}; got {report.kinds}")


def _stay_silent(number: int, seed: int, rates: Rates) -> None:
    graph, inputs = random_graph(number, seed)
    report = gradcheck(graph, inputs, seed=seed, seal=graph.seal, library="minigrad", raise_error=False)
    rates.graphs += 1
    rates.alarms += not report.ok
    if not report.ok:
        rates.missed.append(f"graph {number}, seed {seed}: false alarm {report.kinds}")
