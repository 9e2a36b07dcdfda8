"""Run the catalogue through the cross-check."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.check.compare import compare
from minigrad.check.gradcheck import gradcheck
from nn.catalogue import Entry

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
