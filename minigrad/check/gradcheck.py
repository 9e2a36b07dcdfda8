"""Is this gradient right, and if not, where and in which way?"""

import copy
import functools
import math
import random
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.check.contract import BadGradient
from minigrad.check.curves import ASIDE, Key, Sample
from minigrad.check.diagnosis import Finding, diagnose
from minigrad.check.differences import private_generator
from minigrad.check.directions import signs
from minigrad.check.evidence import TINY, Evidence, Grid, index_of
from minigrad.check.prober import Prober, Slope
from minigrad.check.report import Report, Row, Worst, worst_entry
from minigrad.check.subjects import SecondOrder, Subject, TensorSubject, subject
from minigrad.check.subjects.base import Arrays
from minigrad.errors import value_error
from minigrad.random import Generator, default_generator

Doubts = dict[int, Key]  # by output, where it is largest
METHODS = ("richardson", "central", "complex")
LIMIT = 500  # elements of an input that are examined one by one; of larger ones, a grid of EXAMINED
EXAMINED, LARGE = 200, 300_000  # an eighth of them of those from LARGE on
ENTRIES = 4_000_000  # of a Jacobian that is kept; of a larger one, only its sum over the outputs
RUNS, PATIENCE = 460, 0.02  # at the same inputs, but no longer than so many seconds: 1 % that differ are seen
DRAWN = 20_000  # such runs of a function that moves a generator, in 100 times as long
BLIND = 0.1  # of a gradient, that may not show for rounding, and yet it is right
OUTPUTS = 200  # of a function whose whole Jacobian is taken from its vjp, too


def gradcheck(
    fn: Any,
    inputs: Any,
    *more: Any,
    order: int = 1,
    method: str = "richardson",
    rtol: float | None = None,
    directions: int = 3,
    seal: bool | Generator = False,
    dtype: str | None = None,
    seed: int = 0,
    library: str | None = None,
    device: str = "cpu",
    raise_error: bool = True,
) -> Report:
    """Compare the gradients of `fn` with numerical derivatives at `inputs`; say what is wrong where.

    `fn` is a function of Tensors or a Module, whose parameters are checked too; or a NumPy function
    with a hand-written backward, fn(*arrays) -> (out, vjp); or a PyTorch or JAX function. Every
    float array in the inputs, nested or not, is checked, all else is constant. Along `directions` directions u (the
    gradient itself, and random ones), vjp(dout) . u must be dout . dfn(x + t u)/dt with a random dout.
    On failure each element is differenced, and the pattern of the errors diagnosed. Of an input above
    500 elements a grid of some 200 is, among them the worst, which are found by halving.

    Steps are those of each element, its own size and 1; elements that are small beside others get directions
    of their own, and outputs with small slopes larger cotangents. A direction raises a doubt if it is off by
    more than `rtol` of a typical element (1e-6; 3e-4 for float32 inputs) and than the numerical side, which is
    extrapolated over a ladder of steps, may be wrong by; then the elements settle it, each by its own noise.
    Where these are at a kink (of relu, a tie of max), both sides of it are compared, and that is noted; NaN is
    no slope, at a kink either. float32 inputs are differenced in float64 where `fn` can run so. `fn` runs up
    to 460 times at the inputs: if it differs, or draws from a common generator and shows it, it is not checked.

    order=2 checks the gradient of the gradient, by replay. method="complex" takes exact complex
    steps where every operation is complex-differentiable. seal=True (or the Generator that `fn` draws
    from) gives every evaluation the same random numbers: for dropout in training. dtype casts inputs
    and parameters first: a float32 model is best checked in "float64", then as it is. `library`: whose it is.

    Random    dout and u from NumPy's generator seeded with `seed`; nothing from the default generator
    Raises    GradientError (an AssertionError) with the report if a gradient is wrong, unless
              raise_error=False; ValueError or TypeError for what cannot be checked.
    """
    examined = subject(fn, inputs, seal=seal, dtype=dtype, library=library, device=device, more=more)
    report = Check(examined, order, method, rtol, directions, seed).run()
    if raise_error and not report.ok:
        raise GradientError(str(report))
    return report


class GradientError(AssertionError):
    """A gradient is wrong; the message is the whole report."""


@dataclass
class Check:
    """One run of `gradcheck` over one subject."""

    subject: Subject
    order: int = 1
    method: str = "richardson"
    rtol: float | None = None
    directions: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_options()
        self.plain = self.subject  # of the first order
        self.rng, self.dtype = private_generator(self.seed), str(self.subject.arrays[0].dtype)
        self.report = Report(self.subject.name, self.subject.library, self.dtype, self.order)

    def _check_options(self) -> None:
        """Raise ValueError for what cannot be an option, or not with this subject."""
        rtol, library = self.rtol, self.subject.library
        if self.method not in METHODS:
            raise value_error("gradcheck", f"method {', '.join(METHODS)}", repr(self.method))
        if self.order not in (1, 2):
            raise value_error("gradcheck", "order 1 or 2", self.order)
        if rtol is not None and not (isinstance(rtol, (int, float)) and 0 < rtol < math.inf):
            hint = "leave it out for 1e-6, or 3e-4 in float32"
            raise value_error("gradcheck", "rtol above 0", repr(rtol), hint)
        for name, value, least in (("directions", self.directions, 1), ("seed", self.seed, 0)):
            if not isinstance(value, (int, np.integer)) or value < least:
                raise value_error("gradcheck", f"{name}, a whole number from {least}", repr(value))
        if self.order == 2 and not isinstance(self.subject, TensorSubject):
            raise value_error("gradcheck", "a function of Tensors for order=2", library)
        if self.method == "complex" and (self.order == 2 or library not in ("minigrad", "numpy")):
            wanted = 'order=1 of a function of minigrad or NumPy for method="complex"'
            got = f"order={self.order} of a function of {library}"
            raise value_error("gradcheck", wanted, got, 'use method="richardson"')

    def run(self) -> Report:
        """Check every array; return the report."""
        try:
            outputs = self.rehearse()
            if not all(np.isfinite(y).all() for y in outputs):
                self._refuse("non-finite", "the function itself gives NaN or inf at these inputs")
            elif outputs:
                self._check_all(outputs)
        except BadGradient as error:
            self._refuse(error.kind, str(error))
        return self.report

    def _check_all(self, outputs: Arrays) -> None:
        if self.order == 2:
            cotangents = [np.asarray(self.rng.standard_normal(y.shape)) for y in outputs]
            self.subject = SecondOrder(self.subject, cotangents)  # type: ignore[arg-type]
        self.prober = Prober(self.subject, self.rng, self.method, self.rtol, self.directions)
        if self.prober.step_dtype == "float32":
            self.report.notes.append("runs in float32 only: differenced there, above its noise floor")
        sample = self.prober.sample(self.subject.arrays)
        self.report.examine = functools.partial(self._evidence, sample)
        self.report.sketch = functools.partial(self._sketch, sample)
        for i in range(len(self.subject.arrays)):
            self._check(sample, i)
        found, self.report.findings = self.report.findings, []
        if self._steady(RUNS if found else 1, 10 * PATIENCE):
            self.report.findings = found

    # --- before anything is compared ---

    def rehearse(self) -> Arrays:
        """Run forward many times; return the outputs, or none if inputs are overwritten or outputs differ."""
        named = [*zip(self.subject.names, self.subject.arrays)]
        inputs = zip(self.subject.places, self.subject.inputs)
        named += [(name, x) for name, x in inputs if isinstance(x, np.ndarray)]
        before, states = [x.copy() for _, x in named], generator_states()
        self.first = [y.copy() for y in self.subject.forward(self.subject.arrays)]
        for (name, after), given in zip(named, before):
            if not np.array_equal(given, after, equal_nan=True):
                return self._refuse("mutation", "the function overwrites this input", name)
        if not self.first:
            wanted, hint = "a function that returns float Tensors", "is a return missing?"
            raise value_error("gradcheck", wanted, "none", hint)
        draws = generator_states() != states
        if not self._steady(DRAWN if draws else RUNS, PATIENCE * (100 if draws else 1)):
            return []
        if draws:
            self.report.notes.append(
                "it draws random numbers, which never changed its output: is that meant?"
            )
        if any(str(y.dtype) != self.dtype for y in self.first):
            self.report.notes.append(f"{self.dtype} goes in and {self.first[0].dtype} comes out")
        return self.first

    def _steady(self, runs: int, seconds: float) -> bool:
        """Run forward again, as long as time permits, but twice at least; refuse outputs that differ."""
        started = time.process_time()
        for n in range(runs):
            if n > 1 and time.process_time() - started > seconds:
                break
            for one, two in zip(self.first, self.plain.forward(self.plain.arrays)):
                if not np.array_equal(one, two, equal_nan=True):
                    text = f"two runs at the same inputs differ by up to {abs(one - two).max():.3g}; "
                    hint = "is dropout left on? call model.eval(), or pass seal=True to repeat its numbers"
                    if self.subject.seal:
                        hint = "it draws from a generator other than the sealed one, or keeps state"
                    self._refuse("non-deterministic", text + hint)
                    return False
        return True

    def _refuse(self, kind: str, text: str, where: str = "") -> Arrays:
        self.report.findings.append(Finding(kind, text, where))
        return []

    # --- one array ---

    def _check(self, sample: Sample, i: int) -> None:
        self.prober.cancelled, notes = {}, [*self.report.notes]
        slopes, doubts, wrong = self._compared(sample, i, {})
        if wrong and self.prober.looks_inside(sample):
            first, self.report.notes = self.report.notes, notes
            again, _, still = self._compared(sample, i, doubts)
            unseen = self.prober.blind_to(again)
            if still or unseen < BLIND:
                slopes, wrong = again, still
            else:
                self.report.notes = first
            if not wrong:
                text = f"what is computed on the way rounds: less than {unseen:.0e} of it would not show"
                self.report.notes.append(f"{self.subject.names[i]}: {text}")
        self._record(i, slopes, not wrong)
        if wrong:
            self._explain(i, wrong[-1])
        elif self.order == 1 and not any(grads[i].any() for grads in sample.pulls.values()):
            self.report.notes.append(
                f"{self.subject.names[i]}: no output depends on it here: 0 is compared with 0"
            )

    def _compared(self, sample: Sample, i: int, doubts: Doubts) -> tuple[list[Slope], Doubts, list[Evidence]]:
        """Directions raise a doubt, elements settle it; where all is a kink, points on both sides of it do."""
        slopes, kink = self.prober.probe(sample, i)
        doubtful = doubts | {s.key[0]: s.key for s in sorted(slopes, key=lambda s: s.excess) if not s.ok}
        nan = [key for key, grads in sample.pulls.items() if np.isnan(grads[i]).any()]  # at a kink, too
        found = [self._evidence(sample, i, key, slopes) for key in nan[:1] or doubtful.values()]
        wrong = [e for e in found if e.proves]
        if found and not wrong and (kink or any(np.any(e.kink) for e in found)):
            wrong, slopes = self._aside(sample, i, found, slopes)
        elif found and not wrong:
            far = [(abs(s.claimed - s.measured), s.reach) for s in slopes if not s.near]
            wrong = [] if all(found[-1].outweighs(*gap) for gap in far) else found
        return slopes, doubtful, wrong

    def _aside(self, sample: Sample, i: int, found: list[Evidence], slopes: list[Slope]) -> Any:
        """Compare on both sides of a kink; return what is wrong, at the sample if it shows there, and the slopes."""
        probes = [(point, *self.prober.probe(point, i)) for point in self.prober.aside(sample)]
        smooth = [(point, s) for point, slopes, at_kink in probes if not at_kink for s in slopes]
        off = [(point, s) for point, s in smooth if not s.near]
        if smooth and not off:
            self._note_kink(sample, i)
            return [], [s for _, s in smooth]
        if not off or any(e.wrong.any() for e in found):
            return found, slopes
        point, worst = max(off, key=lambda pair: pair[1].excess)
        text = "the elements below are those of a point aside of the kink"
        self.report.notes.append(f"{self.subject.names[i]}: {text}")
        return [self._evidence(point, i, worst.key)], slopes

    def _note_kink(self, sample: Sample, i: int) -> None:
        reach, infinite = ASIDE[self.prober.step_dtype], np.isinf(sample.pulls[0, 0][i])
        text = "not differentiable at the sample, or too near to a kink"
        if infinite.any():
            text += f" (the vjp gives {sample.pulls[0, 0][i][infinite][0]} at {index_of(infinite)})"
        self.report.notes.append(f"{self.subject.names[i]}: {text}; right {reach:g} aside of it")

    def _record(self, i: int, slopes: list[Slope], ok: bool) -> None:
        floor = 0.1 * self.subject.largest if ok else 0.0  # what cancels is not compared with itself
        gaps = [(abs(s.claimed - s.measured), max(s.scale, floor)) for s in slopes]
        relative, gap = max((gap / scale if scale else gap, gap) for gap, scale in gaps)
        allowed = [max(s.error, self.prober.rtol * scale) for s, (_, scale) in zip(slopes, gaps)]
        noise = max(gap / of if of else gap for (gap, _), of in zip(gaps, allowed))
        name, shape = self.subject.names[i], self.subject.arrays[i].shape
        self.report.rows.append(Row(name, self.dtype, shape, gap, relative, ok, len(slopes), noise))

    def _explain(self, i: int, evidence: Evidence) -> None:
        name = self.subject.names[i]
        finding = diagnose(evidence)
        self.report.findings.append(Finding(finding.kind, finding.text, name))
        self.report.evidence[i] = evidence
        self.report.worst += Worst.of(name, evidence, self.dtype)
        if not evidence.examined.complete:
            self.report.notes.append(f"{name}: too large to examine whole; wrong in {evidence.extent()}")
        elif evidence.claimed_jacobian is not None:
            self.report.jacobian.append(worst_entry(name, evidence))

    def _evidence(
        self, sample: Sample, i: int, key: tuple[int, int] = (0, 0), slopes: list[Slope] | None = None
    ) -> Evidence:
        """Measure the gradient and Jacobian of one array by elements (a grid of those of a large one)."""
        x, prober, (o, c) = sample.arrays[i], self.prober, key
        y, dout, pulls = sample.outputs[o].astype(np.float64), prober.cotangents[key], sample.pulls[key]
        grid = self._grid(sample, i, key)
        shape, kept = [len(axis) for axis in grid.axes], y.size * grid.picked.size <= ENTRIES
        slopes = self.prober.probe(sample, i)[0] if slopes is None else slopes
        found = prober.elements(sample, i, key, grid.picked, kept)

        def taken(a: np.ndarray) -> np.ndarray:
            return grid.take(a).astype(np.float64)

        others = {name: j for j, name in enumerate(self.subject.names) if j != i}
        return Evidence(
            x=taken(x),
            y=y,
            dout=dout,
            claimed=found.claimed.reshape(shape),
            measured=found.measured.reshape(shape),
            error=found.error.reshape(shape),
            allowed=found.allowed.reshape(shape),
            grid=grid,
            kink=found.kink.reshape(shape),
            jacobian=found.columns if kept else None,
            claimed_jacobian=prober.jacobian(sample, i, o, grid.picked)
            if kept and y.size <= OUTPUTS
            else None,
            others={name: sample.arrays[j] for name, j in others.items()},
            siblings={name: taken(pulls[j]) for name, j in others.items() if pulls[j].shape == x.shape},
            slopes=_smooth(slopes, bool(found.kink.any()), key),
            elsewhere=_smooth(*prober.probe(prober.elsewhere(sample), i), key),
            other_cotangent=taken(sample.pulls[o, (c + 1) % prober.directions][i]),
            **self._held(sample, i, key, grid),
        )

    def _sketch(self, sample: Sample, i: int) -> Evidence:
        """Measure the gradient of one array by elements with one small step each way, as a picture needs it."""
        x, dout = sample.arrays[i], self.prober.cotangents[0, 0]
        grid = Grid.around(x.shape, [], EXAMINED, self.rng) if x.size > EXAMINED else Grid.whole(x.shape)
        typical = float(np.linalg.norm(x)) / max(1, x.size) ** 0.5 or 1.0
        steps = self.prober.eps ** (1 / 3) * np.maximum(abs(x), 0.01 * typical)
        measured, units = np.zeros(grid.picked.size), np.zeros(x.shape)
        for place, j in enumerate(grid.picked):
            units.flat[j] = h = float(steps.flat[j])
            ends = [[*sample.arrays[:i], x + way * units, *sample.arrays[i + 1 :]] for way in (1, -1)]
            ahead, behind = (
                self.subject.forward([a.astype(self.prober.step_dtype) for a in arrays])[0] for arrays in ends
            )
            measured[place] = float((dout * (ahead - behind)).sum()) / (2 * h)
            units.flat[j] = 0.0
        shape = [len(axis) for axis in grid.axes]
        claimed = grid.take(sample.pulls[0, 0][i]).astype(np.float64)
        measured = measured.reshape(shape)
        return Evidence(grid.take(x), sample.outputs[0], dout, claimed, measured, np.zeros(shape), grid=grid)

    def _grid(self, sample: Sample, i: int, key: tuple[int, int]) -> Grid:
        """Return the elements to examine: all, or of many the worst and some drawn at random."""
        x = sample.arrays[i]
        if x.size <= LIMIT:
            return Grid.whole(x.shape)
        budget = EXAMINED if x.size < LARGE else EXAMINED // 8
        return Grid.around(x.shape, self.prober.locate(sample, i, key), budget, self.rng)

    def _held(self, sample: Sample, i: int, key: tuple[int, int], grid: Grid) -> dict[str, Any]:
        """Measure once more with everything held fixed that the graph has no history of, if that differs."""
        prober = copy.copy(self.prober)
        base = [a.astype(prober.step_dtype) for a in sample.arrays]
        moved = list(base)
        moved[i] = (base[i] + ASIDE[prober.step_dtype] * signs(self.rng, base[i].shape)).astype(
            prober.step_dtype
        )
        recorded, again = self.subject.recorded(base), self.subject.recorded(moved)
        if recorded is None or again is None:
            return {}
        prober.subject = recorded
        pairs = zip(recorded.forward(moved), self.subject.forward(moved))
        if all(np.allclose(a, b, rtol=TINY, atol=TINY) for a, b in pairs):
            return {}
        columns, _, _ = prober.columns(sample, i, key[0], grid.picked, prober.cotangents[key].ravel())
        held = columns.reshape([len(axis) for axis in grid.axes])
        return {"held": held, "cuts": recorded.cuts(again)}


def generator_states() -> bytes:
    """Return where the generators are that all share: it changes if a function draws from one of them."""
    numpys = np.random.get_state(legacy=False)  # noqa: NPY002  (looked at, not drawn from)
    numbers = [*default_generator().state().values(), *numpys["state"].values(), numpys["has_gauss"]]
    torch = sys.modules.get("torch")
    numbers += [random.getstate()[1], torch.get_rng_state().numpy() if torch else 0]
    return b"".join(np.asarray(n).tobytes() for n in numbers)


def _smooth(slopes: list[Slope], kink: bool, key: tuple[int, int]) -> list[tuple[float, float, float]]:
    """Return the slopes of one output and cotangent; none if there is a kink."""
    chosen = [s for s in slopes if s.key == key and not kink and s.error < math.inf]
    return [(s.claimed, s.measured, s.error) for s in chosen]
