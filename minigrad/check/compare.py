"""Do two implementations of one function agree: values, input gradients, parameter gradients?"""

import functools
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigrad.check.closeness import Closeness, Mix, Pair
from minigrad.check.contract import BadGradient
from minigrad.check.diagnosis import Finding, diagnose
from minigrad.check.differences import private_generator
from minigrad.check.evidence import Evidence, index_of
from minigrad.check.gradcheck import Check, GradientError
from minigrad.check.report import Comparison, Report, Row
from minigrad.check.subjects import Subject, check_one_tuple, subject
from minigrad.check.subjects.base import Arrays
from minigrad.check.values import explain_values
from minigrad.errors import value_error
from minigrad.random import Generator

RTOL = {"float64": 1e-10, "float32": 2e-5}  # of each element
ASIDE = 1e-3  # how far from a kink two gradients must agree, of the size of the inputs


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
    name, as in a state_dict, and those of `fn_a` are used in both; what does not match is listed. So are
    buffers, and what the call leaves in them is compared.
    The gradients are those of a random cotangent. Each element may differ by `rtol` of its own size
    (1e-10, and 2e-5 in float32), here or at samples nearby, and by ten times its own rounding error,
    which is measured: so a gradient that cancels to 0 in theory, through large numbers, is no false
    alarm, and no element hides behind a large one. Where they differ, both are checked against
    differences, which says who is right, and the pattern of the difference is diagnosed; a difference at
    a kink alone, where both are right, is noted. Elements that are NaN or inf in both are noted and left
    out.

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

    def _subjects(self, dtype: str, move: Any = None) -> tuple[Subject, Subject]:
        """Return both, with the same inputs and parameters, moved."""
        a, b = self._both(dtype)
        if len(a.slots) != len(b.slots):
            got = f"{len(a.slots)} and {len(b.slots)}"
            raise value_error("compare", "functions of equally many float inputs", got)
        a.arrays = [move(x) if move else x for x in a.arrays]
        b.arrays[: len(b.slots)] = [x.copy() for x in a.arrays[: len(a.slots)]]
        self._share_parameters(a, b)
        return a, b

    def _rerun(self, dtype: str, move: Any, mix: Mix) -> list[Pair]:
        """Return the outputs and gradients of both at moved inputs, for a mix of cotangents."""
        a, b = self._subjects(dtype, move)
        one, two = a.forward(a.arrays), b.forward(b.arrays)
        found = [*_outputs(one, two), *_buffers(a, b)]
        return [*found, *self._gradients(a, b, self._cotangents(one, mix)).values()]

    def _compare(self, dtype: str) -> None:
        a, b = self._subjects(dtype)
        rerun, eps = functools.partial(self._rerun, dtype), float(np.finfo(dtype).eps)
        self.close = Closeness(rerun, self.rtol[dtype], eps)
        one, two = self._rehearse(a, self.found.a), self._rehearse(b, self.found.b)
        if not (one and two):
            return
        if [y.shape for y in one] != [y.shape for y in two]:
            shapes = f"{[y.shape for y in one]} and {[y.shape for y in two]}"
            self._find("shape", f"the outputs have shapes {shapes}")
        elif wrong := [pair for pair in _outputs(one, two) if not self._row(dtype, pair)]:
            for pair in wrong:
                self._explain_value(b, pair)
            self.found.notes.append("the outputs differ, so gradients were not compared")
        else:
            for pair in _buffers(a, b):
                if not self._row(dtype, pair):
                    self._find("value", f"the call leaves another value; {self._example(pair)}", pair.name)
            self._compare_gradients(dtype, a, b, one)

    def _explain_value(self, b: Subject, pair: Pair) -> None:
        """Say which mistake makes two outputs differ, and show an element."""
        i = int(pair.name.split()[1])

        def again(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
            return b.forward([arrays[name] for name in b.names])[i]

        if np.isfinite(pair.gaps).all() and pair.gaps.any():
            inputs = dict(zip(b.names, b.arrays))
            mine, theirs = pair.mine.astype(np.float64), pair.theirs.astype(np.float64)
            kind, text = explain_values(mine, theirs, inputs, again)
            self._find(kind, f"{text} (if {self.found.b} is right); {self._example(pair)}", pair.name)

    def _example(self, pair: Pair) -> str:
        """Return both values of the element that is furthest off, for its size."""
        off = np.where(self.close.differ(pair), pair.gaps / np.where(pair.sizes, pair.sizes, 1.0), 0.0)
        at = index_of(off == off.max())
        return (
            f"at {at} {self.found.a} gives {pair.mine[at] + 0:.8g}, {self.found.b} {pair.theirs[at] + 0:.8g}"
        )

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
        b.buffers |= {n: x for n, x in a.buffers.items() if n in b.buffers and x.shape == b.buffers[n].shape}

    def _compare_gradients(self, dtype: str, a: Subject, b: Subject, outputs: list[np.ndarray]) -> None:
        cotangents = self._cotangents(outputs, {0: 1.0})
        try:
            pairs = self._gradients(a, b, cotangents)
        except BadGradient as error:
            return self._find(error.kind, str(error))
        for name, x in zip(a.names, a.arrays):
            pair = pairs.get(name)
            if pair and not self._row(dtype, pair) and np.isfinite(pair.gaps).all():
                self._explain(name, x, pair, outputs[0], cotangents[0])
        if not self.found.ok:
            self._who_is_right(dtype, pairs)

    def _cotangents(self, outputs: list[np.ndarray], mix: Mix) -> list[np.ndarray]:
        found = [np.zeros(y.shape) for y in outputs]
        for point, weight in mix.items():
            rng = private_generator(self.seed + point)
            found = [dy + weight * rng.standard_normal(dy.shape) for dy in found]
        return found

    def _gradients(self, a: Subject, b: Subject, cotangents: list[np.ndarray]) -> dict[str, Pair]:
        """Return the gradients of every input and parameter that both have, by name."""
        mine, theirs = (dict(zip(of.names, of.gradients(of.arrays, cotangents))) for of in (a, b))
        common = [n for n in mine if n in theirs and theirs[n].shape == mine[n].shape]
        return {n: Pair(f"gradient of {n}", mine[n], theirs[n]) for n in common}

    def _row(self, dtype: str, pair: Pair) -> bool:
        """Note the difference of two arrays; return whether it is small enough."""
        ok, gap = not self.close.differ(pair).any(), float(pair.gaps.max(initial=0.0))
        if not (np.isfinite(pair.mine).all() and np.isfinite(pair.theirs).all()):
            ok = self._not_finite(pair, ok)
        relative = self.close.relative[pair.name]
        self.found.rows.append(Row(pair.name, dtype, pair.mine.shape, gap, relative, ok))
        return ok

    def _not_finite(self, pair: Pair, ok: bool) -> bool:
        """Say where NaN or inf kept two arrays from being compared; return whether what is left agrees."""
        if np.isinf(pair.gaps).any():
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

    def _explain(self, name: str, x: np.ndarray, pair: Pair, y: np.ndarray, dout: np.ndarray) -> None:
        x, y, mine, theirs = (a.astype(np.float64) for a in (x, y, pair.mine, pair.theirs))
        found = diagnose(Evidence(x, y, dout, mine, theirs, error=np.zeros(x.shape)))
        self._find(found.kind, f"{found.text} (if {self.found.b} is right); {self._example(pair)}", name)

    def _find(self, kind: str, text: str, where: str = "") -> None:
        self.found.findings.append(Finding(kind, text, where))

    def _who_is_right(self, dtype: str, pairs: dict[str, Pair]) -> None:
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
                if self._only_at_kinks(name, pair, reports):
                    self.found.findings = [f for f in self.found.findings if f.where != name]
                    self.found.rows = [replace(r, ok=r.ok or r.name == pair.name) for r in self.found.rows]
                    text = "they differ at a kink, where each may choose, and agree elsewhere"
                    self.found.notes.append(f"{name}: {text}")

    def _only_at_kinks(self, name: str, pair: Pair, reports: list[Report]) -> bool:
        """Do both gradients differ only where the function has a kink, and nowhere aside of it?"""
        for report in reports:
            assert report.examine is not None  # it has been checked
            evidence = report.examine([row.name for row in report.rows].index(name))
            differ = evidence.placed(self.close.differ(pair)) > 0
            if not np.isfinite(pair.gaps).all() or differ[~np.asarray(evidence.kink, bool)].any():
                return False
        rng = private_generator(self.seed)
        aside = self.close.rerun(
            lambda x: (x + ASIDE * _size(x) * rng.uniform(-1, 1, x.shape)).astype(x.dtype), {0: 1.0}
        )
        (moved,) = [p for p in aside if p.name == pair.name]
        return bool((moved.gaps <= 0.1 * pair.gaps)[self.close.differ(pair)].all())


def _outputs(one: list[np.ndarray], two: list[np.ndarray]) -> list[Pair]:
    return [Pair(f"output {i}", y, z) for i, (y, z) in enumerate(zip(one, two))]


def _buffers(a: Subject, b: Subject) -> list[Pair]:
    """Return what their last calls left in the buffers that both have."""
    mine, theirs = a.buffers_after, b.buffers_after
    common = [n for n in mine if n in theirs and mine[n].shape == theirs[n].shape]
    return [Pair(f"buffer {n}", mine[n], theirs[n].astype(mine[n].dtype)) for n in common]


def _size(a: np.ndarray) -> float:
    """Return the size of the largest element; 1 if all are 0."""
    return float(abs(a).max(initial=0.0)) or 1.0
