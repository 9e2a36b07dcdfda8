"""Run the catalogue, the planted faults and the random graphs through the workbench."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.checker import gradcheck
from minigrad.comparison import compare
from nn.workbench.catalogue import Entry
from nn.workbench.fault import Fault
from nn.workbench.faults import faults
from nn.workbench.graphs import random_graph

NOT_MEASURED = float("nan")


@dataclass
class Result:
    """The largest errors of one entry of the catalogue over all samples.

    Units     relative to the largest element, but for float32: units in the last place of it
    """

    name: str
    shapes: list[str] = field(default_factory=list)
    value: float = NOT_MEASURED  # against PyTorch, float64
    gradient: float = NOT_MEASURED  # against differences, float64
    gradient_torch: float = NOT_MEASURED  # against PyTorch, float64
    second: float = NOT_MEASURED  # the second derivative against differences, float64
    ulp: float = NOT_MEASURED  # the float32 gradient against differences
    ulp_torch: float = NOT_MEASURED  # float32 value and gradients against PyTorch
    failures: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Did nothing fail?"""
        return not self.failures

    def note(self, name: str, error: float) -> None:
        """Keep the larger error."""
        setattr(self, name, float(np.fmax(getattr(self, name), error)))


def check_entry(entry: Entry, samples: int, seed: int, torch: Any = None, device: str = "cpu") -> Result:
    """Check one entry on `samples` draws: against differences and, given the module, against PyTorch.

    float32 and the second derivative are checked on the first draw only: they take the same paths.
    """
    result = Result(entry.name)
    rng = np.random.default_rng([seed, *entry.name.encode()])
    options: dict[str, Any] = {"seal": entry.seal, "raise_error": False, "seed": seed}
    for sample in range(samples):
        inputs = entry.draw(rng)
        result.shapes.append("; ".join(str(x.shape) for x in inputs))
        _against_differences(result, entry, inputs, "gradient", dtype="float64", device=device, **options)
        if sample == 0:
            _against_differences(result, entry, inputs, "ulp", dtype="float32", device=device, **options)
            if entry.second:
                _against_differences(
                    result, entry, inputs, "second", order=2, dtype="float64", device=device, **options
                )
        if torch is not None and entry.against is not None and device == "cpu":
            _against_torch(result, entry, inputs, entry.against(torch), options)
    return result


def _against_differences(result: Result, entry: Entry, inputs: list, column: str, **options: Any) -> None:
    report = gradcheck(entry.fn, inputs, library="minigrad", **options)
    for row in report.rows:
        result.note(column, row.ulp if column == "ulp" else row.relative)
    if not report.ok:
        result.failures.append(str(report))


def _against_torch(result: Result, entry: Entry, inputs: list, twin: Any, options: dict) -> None:
    found = compare(entry.fn, twin, inputs, libraries=("minigrad", "torch"), **options)
    for row in found.rows:
        if row.dtype == "float32":
            result.note("ulp_torch", row.ulp)
        else:
            result.note("value" if row.name.startswith("output") else "gradient_torch", row.relative)
    if not found.ok or found.unmatched:
        result.failures.append(str(found))


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
    report = gradcheck(fault.fn, fault.inputs(seed), seed=seed, raise_error=False)
    rates.planted += 1
    rates.found += not report.ok
    rates.named += set(report.kinds) == {fault.kind}
    if set(report.kinds) != {fault.kind}:
        rates.missed.append(f"{fault.name}, seed {seed}: expected {fault.kind}; got {report.kinds}")


def _stay_silent(number: int, seed: int, rates: Rates) -> None:
    graph, inputs = random_graph(number, seed)
    report = gradcheck(graph, inputs, seed=seed, raise_error=False)
    rates.graphs += 1
    rates.alarms += not report.ok
    if not report.ok:
        rates.missed.append(f"graph {number}, seed {seed}: false alarm {report.kinds}")
