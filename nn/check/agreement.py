"""How well an entry of the catalogue agrees with numerical differences, and with PyTorch."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.check.compare import compare
from minigrad.check.gradcheck import gradcheck
from nn.check.catalogue import LENGTHS, Entry

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

    def note(self, column: str, error: float) -> None:
        """Keep the larger error."""
        setattr(self, column, float(np.fmax(getattr(self, column), error)))


def check_entry(entry: Entry, samples: int, seed: int, torch: Any = None, device: str = "cpu") -> Result:
    """Check one entry on `samples` draws: against differences and, given the module, against PyTorch.

    float32 and the second derivative are checked on the first draw only: they take the same paths.
    """
    found, rng = Result(entry.name), np.random.default_rng([seed, *entry.name.encode()])
    options: dict[str, Any] = {"seal": entry.seal, "raise_error": False, "seed": seed}
    for sample in range(samples):
        ranges = [(c, *entry.lengths.get(c, LENGTHS)) for c in entry.letters]
        inputs, constants = entry.draw(rng, {c: int(rng.integers(low, high + 1)) for c, low, high in ranges})
        fn, arrays = _of_arrays(entry.fn, inputs, constants)
        found.shapes.append("; ".join(str(x.shape) for x in arrays))
        columns = [("gradient", "float64", 1), ("ulp", "float32", 1), ("second", "float64", 2)]
        for column, dtype, order in columns[: 1 if sample else 3 if entry.second else 2]:
            how: dict[str, Any] = {"dtype": dtype, "order": order, "device": device, **options}
            _against_differences(found, fn, arrays, column, how)
        if torch is not None and entry.against is not None and device == "cpu":
            _against_torch(found, fn, _of_arrays(entry.against(torch), inputs, constants)[0], arrays, options)
    return found


def _of_arrays(fn: Any, inputs: list[Any], constants: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return `fn` as a function of arrays alone, and these: those among its constants, then its inputs."""
    drawn = {name: c for name, c in constants.items() if isinstance(c, np.ndarray)}

    def call(*arrays: Any) -> Any:
        return fn(*arrays[len(drawn) :], **constants | dict(zip(drawn, arrays)))

    return call if constants else fn, [*drawn.values(), *inputs]


def _against_differences(found: Result, fn: Any, arrays: list, column: str, options: dict) -> None:
    report = gradcheck(fn, arrays, library="minigrad", **options)
    for row in report.rows:
        found.note(column, row.ulp if column == "ulp" else row.relative)
    if not report.ok:
        report.fn = found.name
        found.failures.append(str(report))


def _against_torch(found: Result, fn: Any, twin: Any, arrays: list, options: dict) -> None:
    report = compare(fn, twin, arrays, libraries=("minigrad", "torch"), **options)
    for row in report.rows:
        if row.dtype == "float32":
            found.note("ulp_torch", row.ulp)
        else:
            found.note("value" if row.name.startswith("output") else "gradient_torch", row.relative)
    if not report.ok or report.unmatched:
        found.failures.append(f"{found.name}: {report}")
