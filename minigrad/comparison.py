"""Do two implementations of one function agree: values, input gradients, parameter gradients?"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad.checker import Check, GradientError
from minigrad.checks import value_error
from minigrad.diagnosis import Evidence, Finding, diagnose
from minigrad.differences import private_generator
from minigrad.libraries import subject
from minigrad.random import Generator
from minigrad.subjects import BadGradient, Subject
from minigrad.tables import short, table

RTOL = {"float64": 1e-10, "float32": 2e-5}  # of the largest element


@dataclass(frozen=True)
class Agreement:
    """One output, or one gradient, of both: the largest difference, and that of the largest element."""

    dtype: str
    name: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    ok: bool

    @property
    def ulp(self) -> float:
        """The difference in units in the last place of the largest element."""
        return self.relative / float(np.finfo(self.dtype).eps)


@dataclass
class Comparison:
    """`bool(comparison)` is the verdict, `print(comparison)` the table."""

    a: str
    b: str
    rows: list[Agreement] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    examples: int = 0

    @property
    def ok(self) -> bool:
        """Do they agree in everything that was compared?"""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        parts = [f"compare: {self.a} and {self.b}: {'agree' if self.ok else 'DIFFER'}"]
        if self.rows:
            head = ["array", "dtype", "shape", "difference", "relative", "ulp", "verdict"]
            rows = [
                (
                    r.name,
                    r.dtype,
                    r.shape,
                    short(r.absolute),
                    short(r.relative),
                    short(r.ulp),
                    "agree" if r.ok else "DIFFER",
                )
                for r in self.rows
            ]
            parts.append(table(head, rows, left=2))
        lists: dict[str, list[Any]] = {
            "not matched": self.unmatched,
            "diagnosis": self.findings,
            "notes": self.notes,
        }
        for title, items in lists.items():
            if items:
                parts.append("\n".join([title, *(f"  {item}" for item in dict.fromkeys(map(str, items)))]))
        return "\n\n".join(parts)


def compare(
    fn_a: Any,
    fn_b: Any,
    inputs: Any,
    *,
    dtypes: Sequence[str] = ("float64", "float32"),
    rtol: dict[str, float] | None = None,
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
    element, or to a tenth of the largest gradient met on the way if all should cancel. Where they differ, both are checked against
    differences, which says who is right, and the pattern of the difference is diagnosed.

    `inputs` are arrays, or a hypothesis strategy that draws tuples of them (see
    `minigrad.testing.arrays_for`): then `examples` draws are compared, and a failure is reduced to
    the smallest inputs that show it. `libraries` names the library of a function where it is not
    plain from its code: "minigrad", "numpy", "torch" or "jax".

    Random    the cotangents, from NumPy's generator seeded with `seed`
    Raises    GradientError with the comparison if they differ, unless raise_error=False.
    """
    options: dict[str, Any] = {
        "dtypes": dtypes,
        "rtol": {**RTOL, **(rtol or {})},
        "seal": seal,
        "libraries": libraries,
        "seed": seed,
    }
    if type(inputs).__module__.partition(".")[0] == "hypothesis":
        found = _over_examples(fn_a, fn_b, inputs, examples, options)
    else:
        inputs = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
        found = _Comparer(fn_a, fn_b, inputs, **options).run()
    if raise_error and not found.ok:
        raise GradientError(str(found))
    return found


def _over_examples(fn_a: Any, fn_b: Any, strategy: Any, examples: int, options: dict) -> Comparison:
    """Compare on drawn inputs; return the smallest failure, or the worst row of each array."""
    hypothesis = sys.modules["hypothesis"]
    every: list[Comparison] = []

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.seed(options["seed"])
    @hypothesis.given(strategy)
    def one(drawn: Any) -> None:
        drawn = list(drawn) if isinstance(drawn, (tuple, list)) else [drawn]
        every.append(_Comparer(fn_a, fn_b, drawn, **options).run())
        assert every[-1].ok

    try:
        one()
    except AssertionError:
        return every[-1]  # hypothesis runs the smallest failure last
    worst: dict[tuple[str, str], Agreement] = {}
    for row in (row for found in every for row in found.rows):
        key = row.dtype, row.name
        if key not in worst or row.relative > worst[key].relative:
            worst[key] = row
    whole = Comparison(every[0].a, every[0].b, list(worst.values()), examples=len(every))
    whole.unmatched = every[0].unmatched
    whole.notes.append(f"the worst of {len(every)} drawn inputs, with the shape that gave it")
    return whole


class _Comparer:
    """One comparison on one set of inputs."""

    def __init__(
        self,
        fn_a: Any,
        fn_b: Any,
        inputs: list[Any],
        dtypes: Sequence[str],
        rtol: dict[str, float],
        seal: bool | Generator,
        libraries: tuple[str | None, str | None],
        seed: int,
    ) -> None:
        self.fns, self.inputs, self.dtypes, self.rtol = (fn_a, fn_b), inputs, dtypes, rtol
        self.seal, self.libraries, self.seed = seal, libraries, seed
        a, b = (self._subject(i, "float64") for i in (0, 1))
        self.found = Comparison(f"{_name(fn_a)} ({a.library})", f"{_name(fn_b)} ({b.library})", examples=1)

    def _subject(self, which: int, dtype: str) -> Subject:
        library = self.libraries[which]
        return subject(self.fns[which], self.inputs, seal=self.seal, dtype=dtype, library=library)

    def run(self) -> Comparison:
        """Compare in each dtype, up to the first that differs."""
        for dtype in self.dtypes:
            if self.found.ok:
                self._compare(dtype)
        return self.found

    def _compare(self, dtype: str) -> None:
        a, b = self._subject(0, dtype), self._subject(1, dtype)
        if len(a.slots) != len(b.slots):
            got = f"{len(a.slots)} and {len(b.slots)}"
            raise value_error("compare", "functions of equally many float inputs", got)
        self._share_parameters(a, b)
        one, two = a.forward(a.arrays), b.forward(b.arrays)
        if [y.shape for y in one] != [y.shape for y in two]:
            text = f"{[y.shape for y in one]} and {[y.shape for y in two]}"
            self.found.findings.append(Finding("shape", f"the outputs have shapes {text}"))
            return
        for i, (y, z) in enumerate(zip(one, two)):
            self._row(dtype, f"output {i}", y, z, abs(z).max(initial=0.0))
        if all(row.ok for row in self.found.rows):
            self._gradients(dtype, a, b, one)
        else:
            self.found.findings.append(Finding("value", "the outputs differ; gradients were not compared"))

    def _share_parameters(self, a: Subject, b: Subject) -> None:
        """Give b the values of a's parameters; list the names and shapes that do not match."""
        mine, theirs = a.parameters, b.parameters
        differ = [n for n in mine if n in theirs and mine[n].shape != theirs[n].shape]
        self.found.unmatched = [
            f"only in {self.found.a}: {n} {mine[n].shape}" for n in mine if n not in theirs
        ]
        self.found.unmatched += [
            f"only in {self.found.b}: {n} {theirs[n].shape}" for n in theirs if n not in mine
        ]
        self.found.unmatched += [f"{n}: {mine[n].shape} and {theirs[n].shape}" for n in differ]
        values = dict(zip(a.names, a.arrays))
        for i, name in enumerate(b.names):
            if name in theirs and name in mine and name not in differ:
                b.arrays[i] = values[name].copy()

    def _gradients(self, dtype: str, a: Subject, b: Subject, outputs: list[np.ndarray]) -> None:
        rng = private_generator(self.seed)
        cotangents = [rng.standard_normal(y.shape) for y in outputs]
        pulled = []
        for of in (a, b):
            try:
                pulled.append(of.pull(of.arrays, [c.copy() for c in cotangents]))
            except BadGradient as error:
                self.found.findings.append(Finding(error.kind, str(error), of.library))
                return
        given = [np.zeros_like(x) if g is None else g for x, g in zip(b.arrays, pulled[1])]
        largest = max(a.largest, b.largest, *(float(abs(g).max(initial=0.0)) for g in given))
        theirs = dict(zip(b.names, given))
        for name, x, mine in zip(a.names, a.arrays, pulled[0]):
            mine = np.zeros_like(x) if mine is None else mine
            if name not in theirs or theirs[name].shape != mine.shape:
                continue
            scale = max(float(abs(theirs[name]).max(initial=0.0)), 0.1 * largest)
            if not self._row(dtype, f"gradient of {name}", mine, theirs[name], scale):
                self._explain(name, x, mine, theirs[name], cotangents, outputs)
        if not self.found.ok:
            self._who_is_right(dtype)

    def _row(self, dtype: str, name: str, mine: np.ndarray, theirs: np.ndarray, scale: float) -> bool:
        with np.errstate(all="ignore"):
            gaps = np.where((mine == theirs) | (np.isnan(mine) & np.isnan(theirs)), 0.0, abs(mine - theirs))
        gap = float(gaps.max(initial=0.0))
        relative = gap / float(scale) if scale else gap
        ok = relative <= self.rtol[dtype]
        self.found.rows.append(Agreement(dtype, name, mine.shape, gap, relative, ok))
        return ok

    def _explain(
        self, name: str, x: np.ndarray, mine: np.ndarray, theirs: np.ndarray, cotangents: list, outputs: list
    ) -> None:
        y, dout = outputs[0].astype(np.float64), cotangents[0]
        pair = mine.astype(np.float64), theirs.astype(np.float64)
        found = diagnose(Evidence(x.astype(np.float64), y, dout, *pair, error=np.zeros(x.shape)))
        self.found.findings.append(Finding(found.kind, f"{found.text} (if {self.found.b} is right)", name))

    def _who_is_right(self, dtype: str) -> None:
        """Check both against differences."""
        for which, name in ((0, self.found.a), (1, self.found.b)):
            report = Check(self._subject(which, dtype), name, seed=self.seed).run()
            self.found.notes.append(f"against differences, {name} is {'right' if report.ok else 'WRONG'}")


def _name(fn: Any) -> str:
    fn = fn[0] if isinstance(fn, tuple) else fn
    return getattr(fn, "__name__", type(fn).__name__)
