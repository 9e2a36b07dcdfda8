"""Do two implementations of one function agree: values, input gradients, parameter gradients?"""

import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.check.contract import BadGradient
from minigrad.check.diagnosis import Finding, diagnose
from minigrad.check.differences import private_generator
from minigrad.check.evidence import Evidence, index_of
from minigrad.check.gradcheck import Check, GradientError
from minigrad.check.report import Comparison, Report, Row
from minigrad.check.subjects import Subject, check_one_tuple, subject
from minigrad.check.subjects.base import Arrays
from minigrad.errors import value_error
from minigrad.random import Generator

RTOL = {"float64": 1e-10, "float32": 2e-5}  # of the largest element
NEARBY = 16  # points at which rounding is measured: at one of them it may happen to be nothing
MARGIN = 4.0  # how much larger than measured there it may be


def compare(
    fn_a: Any,
    fn_b: Any,
    inputs: Any,
    *more: Any,
    dtypes: Sequence[str] = ("float64", "float32"),
    rtol: dict[str, float] | float | None = None,
    seal: bool | Generator = False,
    libraries: tuple[str | None, str | None] = (None, None),
    examples: int = 20,
    seed: int = 0,
    raise_error: bool = True,
) -> Comparison:
    """Run both on the same inputs and parameters, in each dtype; list the differences.

    Each may be whatever `gradcheck` takes: a minigrad function or Module, a NumPy function with a
    hand-written backward, a PyTorch function or module, a JAX function. Parameters are matched by
    name, as in a state_dict, and those of `fn_a` are used in both; what does not match is listed.
    The gradients are those of a random cotangent, and their differences relative to the largest
    element, or to a tenth of the largest gradient met on the way if all should cancel. In float32 a
    difference counts only beyond what rounding explains: as many units in the last place as set both
    apart in float64, where they must agree. So a gradient that cancels to 0 in theory, through large
    numbers, is no false alarm. Where they differ, both are checked against differences, which says
    who is right, and the pattern of the difference is diagnosed; a difference at a kink alone, where
    both are right, is noted. Elements that are NaN or inf in both are noted and left out.

    `inputs` are arrays, or a hypothesis strategy that draws tuples of them (see
    `minigrad.testing.arrays_for`): then `examples` draws are compared, and a failure is reduced to
    the smallest inputs that show it. `libraries` names those of both, see `minigrad.check.subjects`.

    Random    the cotangents, from NumPy's generator seeded with `seed`
    Raises    GradientError with the comparison if they differ, unless raise_error=False; TypeError or
              ValueError for functions, inputs or options that cannot be compared.
    """
    names, tolerances = _options(dtypes, rtol, libraries, more)
    on = functools.partial(_Comparer, (fn_a, fn_b), names, tolerances, seal, libraries, seed)
    drawn = type(inputs).__module__.partition(".")[0] == "hypothesis"
    found = _over_examples(on, inputs, examples, seed) if drawn else on(inputs).run()
    if raise_error and not found.ok:
        raise GradientError(str(found))
    return found


def _options(dtypes: Any, rtol: Any, libraries: Any, more: Any) -> tuple[list[str], dict[str, float]]:
    """Return the names of the dtypes, and the tolerance of each; raise ValueError for no option."""
    check_one_tuple(more)
    names = [np.dtype(d).name for d in ([dtypes] if isinstance(dtypes, str) else dtypes)]
    if not names or not {*names} <= {*RTOL}:
        raise value_error("compare", "dtypes among float64 and float32", dtypes)
    if not isinstance(libraries, (tuple, list)) or len(libraries) != 2:
        raise value_error("compare", "libraries as a pair, with None for one that is plain", libraries)
    return names, RTOL | (rtol or {}) if isinstance(rtol, dict | None) else dict.fromkeys(RTOL, rtol)


def _over_examples(on: Callable[[Any], "_Comparer"], strategy: Any, examples: int, seed: int) -> Comparison:
    """Compare on drawn inputs; return the smallest failure, or the worst row of each array."""
    hypothesis = sys.modules["hypothesis"]
    every: list[Comparison] = []
    options = {"deadline": None, "database": None, "suppress_health_check": list(hypothesis.HealthCheck)}

    @hypothesis.settings(max_examples=examples, **options)
    @hypothesis.seed(seed)
    @hypothesis.given(strategy)
    def one(drawn: Any) -> None:
        every.append(on(drawn).run())
        assert every[-1].ok

    try:
        one()
    except AssertionError:
        return every[-1]  # hypothesis runs the smallest failure last
    worst: dict[tuple[str, str], Row] = {}
    for row in (row for found in every for row in found.rows):
        worst[row.dtype, row.name] = max(worst.get((row.dtype, row.name), row), row, key=lambda r: r.relative)
    notes = [f"the worst of {len(every)} drawn inputs, with the shape that gave it"]
    notes += [note for found in every for note in found.notes]
    return replace(every[0], rows=list(worst.values()), examples=len(every), notes=notes)


@dataclass
class _Comparer:
    """One comparison on one set of inputs."""

    fns: tuple[Any, Any]
    dtypes: list[str]
    rtol: dict[str, float]
    seal: bool | Generator
    libraries: tuple[str | None, str | None]
    seed: int
    inputs: Any

    def __post_init__(self) -> None:
        a, b = self._both("float64")
        self.libraries = a.library, b.library
        self.found = Comparison(f"{a.name} ({a.library})", f"{b.name} ({b.library})")

    def _both(self, dtype: str) -> list[Subject]:
        pairs = zip(self.fns, self.libraries)
        return [subject(fn, self.inputs, seal=self.seal, dtype=dtype, library=of) for fn, of in pairs]

    def run(self) -> Comparison:
        """Compare in each dtype, up to the first that differs."""
        for dtype in self.dtypes:
            if self.found.ok:
                self._compare(dtype)
        return self.found

    def _subjects(self, dtype: str, factor: float = 1.0) -> tuple[Subject, Subject]:
        """Return both, with the same inputs and parameters, times a factor."""
        a, b = self._both(dtype)
        if len(a.slots) != len(b.slots):
            got = f"{len(a.slots)} and {len(b.slots)}"
            raise value_error("compare", "functions of equally many float inputs", got)
        for each in (a, b):
            each.arrays = [x * x.dtype.type(factor) for x in each.arrays]
        self._share_parameters(a, b)
        return a, b

    def _compare(self, dtype: str) -> None:
        a, b = self._subjects(dtype)
        one, two = self._rehearse(a, self.found.a), self._rehearse(b, self.found.b)
        if not (one and two):
            return
        if [y.shape for y in one] != [y.shape for y in two]:
            shapes = f"{[y.shape for y in one]} and {[y.shape for y in two]}"
            self._find("shape", f"the outputs have shapes {shapes}")
        elif not all([self._row(dtype, pair) for pair in _outputs(one, two)]):
            if self.found.ok:
                self._find("value", "the outputs differ; gradients were not compared")
        else:
            self._compare_gradients(dtype, a, b, one)

    def _rehearse(self, each: Subject, name: str) -> Arrays:
        """Return the outputs; none, and a finding, if it overwrites inputs or gives others when run again."""
        check = Check(each)
        outputs = check.rehearse()
        for found in check.report.findings:
            self._find(found.kind, found.text, f"{name} {found.where}".strip())
        return outputs

    def _share_parameters(self, a: Subject, b: Subject) -> None:
        """Give b the values of a's parameters; list the names and shapes that do not match."""
        mine, theirs = ({name: x.shape for name, x in of.parameters.items()} for of in (a, b))
        self.found.unmatched = [f"only in {self.found.a}: {n} {mine[n]}" for n in mine if n not in theirs]
        self.found.unmatched += [f"only in {self.found.b}: {n} {theirs[n]}" for n in theirs if n not in mine]
        both = [n for n in mine if n in theirs]
        self.found.unmatched += [f"{n}: {mine[n]} and {theirs[n]}" for n in both if mine[n] != theirs[n]]
        for name in both:
            if mine[name] == theirs[name]:
                b.arrays[b.names.index(name)] = a.arrays[a.names.index(name)].copy()

    def _compare_gradients(self, dtype: str, a: Subject, b: Subject, outputs: list[np.ndarray]) -> None:
        cotangents = self._cotangents(outputs)
        try:
            pairs = self._gradients(a, b, cotangents)
        except BadGradient as error:
            return self._find(error.kind, str(error))
        for name, x in zip(a.names, a.arrays):
            pair = pairs.get(name)
            if pair and not self._row(dtype, pair) and math.isfinite(pair.gap):
                self._explain(name, x, pair, outputs[0], cotangents[0])
        if not self.found.ok:
            self._who_is_right(dtype, pairs)

    def _cotangents(self, outputs: list[np.ndarray], point: int = 0) -> list[np.ndarray]:
        rng = private_generator(self.seed + point)
        return [rng.standard_normal(y.shape) for y in outputs]

    def _gradients(self, a: Subject, b: Subject, cotangents: list[np.ndarray]) -> dict[str, "_Pair"]:
        """Return the gradients of every input and parameter that both have, by name."""
        mine, theirs = (dict(zip(of.names, of.gradients(of.arrays, cotangents))) for of in (a, b))
        largest = max([x for x in (a.largest, b.largest) if math.isfinite(x)], default=0.0)
        largest = max(largest, *map(_size, theirs.values()))
        common = [n for n in mine if n in theirs and theirs[n].shape == mine[n].shape]
        scales = {n: max(_size(theirs[n]), 0.1 * largest) for n in common}
        return {n: _Pair(f"gradient of {n}", mine[n], theirs[n], scales[n]) for n in common}

    @functools.cached_property
    def _rounding(self) -> dict[str, float]:
        """Return {name of an array: how far rounding sets both apart in float64, of their scale}.

        It is the most that is met at some points. Where both do not agree in float64, or cannot run in
        it, rounding explains nothing.
        """
        most: dict[str, float] = {}
        for k in range(1, NEARBY + 1):
            try:
                a, b = self._subjects("float64", 1 + k / 1000)
                one, two = a.forward(a.arrays), b.forward(b.arrays)
                gradients = self._gradients(a, b, self._cotangents(one, k)).values()
            except (TypeError, ValueError, RuntimeError):
                return {}
            for pair in [*_outputs(one, two), *gradients]:
                most[pair.name] = max(most.get(pair.name, 0.0), pair.relative)
        return {name: relative for name, relative in most.items() if relative <= self.rtol["float64"]}

    def _row(self, dtype: str, pair: "_Pair") -> bool:
        """Note the difference of two arrays; return whether it is small enough."""
        ok = pair.relative <= self.rtol[dtype]
        if not ok and dtype == "float32" and math.isfinite(pair.gap):
            units = float(np.finfo(np.float32).eps) / float(np.finfo(np.float64).eps)
            ok = pair.relative <= MARGIN * units * self._rounding.get(pair.name, 0.0)
        if not (np.isfinite(pair.mine).all() and np.isfinite(pair.theirs).all()):
            ok = self._not_finite(pair, ok)
        self.found.rows.append(Row(pair.name, dtype, pair.mine.shape, pair.gap, pair.relative, ok))
        return ok

    def _not_finite(self, pair: "_Pair", ok: bool) -> bool:
        """Say where NaN or inf kept two arrays from being compared; return whether what is left agrees."""
        if pair.gap == math.inf:
            at, (a, b) = index_of(pair.gaps == math.inf), (self.found.a, self.found.b)
            text = f"{a} gives {pair.mine[at]} at {at}, where {b} gives {pair.theirs[at]}"
        elif not np.isfinite(pair.mine).any():
            text = "NaN or inf everywhere, in both: there is nothing to compare"
        else:
            text = "NaN or inf in both at the same places; the other elements were compared"
            self.found.notes.append(f"{pair.name}: non-finite: {text}")
            return ok
        self._find("non-finite", text, pair.name)
        return False

    def _explain(self, name: str, x: np.ndarray, pair: "_Pair", y: np.ndarray, dout: np.ndarray) -> None:
        x, y, mine, theirs = (a.astype(np.float64) for a in (x, y, pair.mine, pair.theirs))
        found = diagnose(Evidence(x, y, dout, mine, theirs, error=np.zeros(x.shape)))
        self._find(found.kind, f"{found.text} (if {self.found.b} is right)", name)

    def _find(self, kind: str, text: str, where: str = "") -> None:
        self.found.findings.append(Finding(kind, text, where))

    def _who_is_right(self, dtype: str, pairs: dict[str, "_Pair"]) -> None:
        """Check both against differences; if both are right, a difference at a kink is none."""
        reports = []
        for each, name in zip(self._subjects(dtype), (self.found.a, self.found.b)):
            report = Check(each, seed=self.seed).run()
            verdict = "is right" if report.ok else "is WRONG"
            if "non-finite" in report.kinds:
                verdict = "cannot be checked: it gives NaN or inf"
            self.found.notes.append(f"against differences, {name} {verdict}")
            reports.append(report)
        if all(reports):
            for name in {finding.where for finding in self.found.findings} & {*pairs}:
                pair = pairs[name]
                if all(_only_at_kinks(report, name, pair, self.rtol[dtype]) for report in reports):
                    self.found.findings = [f for f in self.found.findings if f.where != name]
                    self.found.rows = [replace(r, ok=r.ok or r.name == pair.name) for r in self.found.rows]
                    text = "they differ at a kink, where each may choose, and agree elsewhere"
                    self.found.notes.append(f"{name}: {text}")


@dataclass(frozen=True)
class _Pair:
    """One array as both have it, and the size that its difference is relative to."""

    name: str
    mine: np.ndarray
    theirs: np.ndarray
    scale: float

    @functools.cached_property
    def gaps(self) -> np.ndarray:
        """The differences; inf where only one side is NaN or inf."""
        same = (self.mine == self.theirs) | (np.isnan(self.mine) & np.isnan(self.theirs))
        with np.errstate(all="ignore"):
            return np.where(same, 0.0, np.nan_to_num(abs(self.mine - self.theirs), nan=np.inf, posinf=np.inf))

    @property
    def gap(self) -> float:
        """The largest difference."""
        return float(self.gaps.max(initial=0.0))

    @property
    def relative(self) -> float:
        """The largest difference, of the scale."""
        return self.gap / self.scale if self.scale else self.gap


def _only_at_kinks(report: Report, name: str, pair: _Pair, rtol: float) -> bool:
    """Do both gradients differ only where the function has a kink?"""
    assert report.examine is not None  # it has been checked
    evidence = report.examine([row.name for row in report.rows].index(name))
    differ = evidence.placed(pair.gaps) > rtol * pair.scale
    return math.isfinite(pair.gap) and not differ[~np.asarray(evidence.kink, bool)].any()


def _outputs(one: list[np.ndarray], two: list[np.ndarray]) -> list[_Pair]:
    return [_Pair(f"output {i}", y, z, _size(z)) for i, (y, z) in enumerate(zip(one, two))]


def _size(a: np.ndarray) -> float:
    """Return the size of the largest finite element."""
    return float(abs(a[np.isfinite(a)]).max(initial=0.0))
