"""Is this gradient right, and if not, where and in which way?"""

import functools
from typing import Any

import numpy as np

from minigrad.checks import value_error
from minigrad.diagnosis import Evidence, Finding, diagnose
from minigrad.differences import private_generator
from minigrad.libraries import subject
from minigrad.prober import ASIDE, Prober, Sample, Slope
from minigrad.random import Generator
from minigrad.report import Report, Row, Worst, worst_entry
from minigrad.subjects import BadGradient, SecondOrder, Subject, TensorSubject

METHODS = ("richardson", "central", "complex")
LIMIT = 1500  # elements of an input that are examined one by one; of larger ones, a sample
OUTPUTS = 200  # of a function whose whole Jacobian is taken from its vjp, too


def gradcheck(
    fn: Any,
    inputs: Any,
    *,
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
    float array among the inputs is checked, all else is constant. Along a few random directions u,
    and along the gradient itself, vjp(dout) . u must be dout . dfn(x + t u)/dt with a random dout.
    On failure each element is differenced, and the pattern of the errors diagnosed.

    The numerical side is extrapolated (Richardson) over a ladder of steps, and a difference counts
    only beyond what that side may be wrong by. Where the vjp and the slope differ at a point that is
    not smooth (a kink of relu, a tie of max), it is noted and the check steps aside. float32 inputs
    are differenced in float64 where `fn` can run so, else above the noise floor it shows.

    order=2 checks the gradient of the gradient, by replay. method="complex" takes exact complex
    steps where every operation is complex-differentiable. seal=True (or the Generator that `fn` draws
    from) gives every evaluation the same random numbers: for dropout in training. dtype casts inputs
    and parameters first: a float32 model is best checked in "float64", and then as it is.

    Random    dout and u from NumPy's generator seeded with `seed`; nothing from the default generator
    Raises    GradientError (an AssertionError) with the report if a gradient is wrong, unless
              raise_error=False; ValueError for options or inputs that cannot be checked.
    """
    if method not in METHODS:
        raise value_error("gradcheck", f"method {', '.join(METHODS)}", repr(method))
    if order not in (1, 2):
        raise value_error("gradcheck", "order 1 or 2", order)
    examined = subject(fn, inputs, seal=seal, dtype=dtype, library=library, device=device)
    if order == 2 and not isinstance(examined, TensorSubject):
        raise value_error("gradcheck", "a function of Tensors for order=2", examined.library)
    name = getattr(fn, "__name__", type(fn).__name__)
    report = Check(examined, name, order, method, rtol, directions, seed).run()
    if raise_error and not report.ok:
        raise GradientError(str(report))
    return report


class GradientError(AssertionError):
    """A gradient is wrong; the message is the whole report."""


class Check:
    """One run of `gradcheck` over one subject."""

    def __init__(
        self,
        examined: Subject,
        name: str = "fn",
        order: int = 1,
        method: str = "richardson",
        rtol: float | None = None,
        directions: int = 3,
        seed: int = 0,
    ) -> None:
        self.subject, self.order, self.rng = examined, order, private_generator(seed)
        self.options = method, rtol, directions
        self.dtype = str(examined.arrays[0].dtype)
        self.report = Report(name, examined.library, self.dtype, order, method)

    def run(self) -> Report:
        """Check every array; return the report."""
        try:
            if self._rehearse():
                self._check_all()
        except BadGradient as error:
            self._refuse(error.kind, str(error))
        return self.report

    def _check_all(self) -> None:
        if self.order == 2:
            outputs = self.subject.forward(self.subject.arrays)
            cotangents = [np.asarray(self.rng.standard_normal(y.shape)) for y in outputs]
            self.subject = SecondOrder(self.subject, cotangents)  # type: ignore[arg-type]
        self.prober = Prober(self.subject, self.rng, *self.options)
        if self.prober.step_dtype == "float32":
            self.report.notes.append("runs in float32 only: differenced there, above its noise floor")
        sample = self.prober.sample(self.subject.arrays)
        self.report.examine = functools.partial(self._evidence, sample)
        for i in range(len(self.subject.arrays)):
            self._check(sample, i)

    # --- before anything is compared ---

    def _rehearse(self) -> bool:
        """Run forward twice: inputs must stay as they are, outputs must be the same and finite."""
        first = self._run_unchanged()
        if first is None:
            return False
        second = self.subject.forward(self.subject.arrays)
        for one, two in zip(first, second):
            if not np.array_equal(one, two, equal_nan=True):
                text = f"two runs at the same inputs differ by up to {abs(one - two).max():.3g}; "
                hint = "is dropout left on? call model.eval(), or pass seal=True to repeat its numbers"
                if self.subject.seal:
                    hint = "it draws from a generator other than the sealed one, or keeps state"
                return self._refuse("non-deterministic", text + hint)
        if not all(np.isfinite(y).all() for y in first):
            return self._refuse("non-finite", "the function itself gives NaN or inf at these inputs")
        if any(str(y.dtype) != self.dtype for y in first):
            self.report.notes.append(f"{self.dtype} goes in and {first[0].dtype} comes out")
        return True

    def _run_unchanged(self) -> list[np.ndarray] | None:
        """Return the outputs, or None if the function overwrites what it is given."""
        named = dict(zip(self.subject.names, self.subject.arrays))
        named |= {f"input {i}": x for i, x in enumerate(self.subject.inputs) if isinstance(x, np.ndarray)}
        watched = [*zip(self.subject.names, self.subject.arrays), *named.items()]
        before = [a.copy() for _, a in watched]
        outputs = [y.copy() for y in self.subject.forward(self.subject.arrays)]
        for (name, after), given in zip(watched, before):
            if not np.array_equal(given, after, equal_nan=True):
                self._refuse("mutation", "the function overwrites this input", name)
                return None
        return outputs

    def _refuse(self, kind: str, text: str, where: str = "") -> bool:
        self.report.findings.append(Finding(kind, text, where))
        return False

    # --- one array ---

    def _check(self, sample: Sample, i: int) -> None:
        """Compare at the sample; where that fails and is not smooth, aside of it; then explain."""
        slopes, kink = self.prober.probe(sample, i)
        wrong = [s for s in slopes if not s.ok]
        if kink:
            probes = [self.prober.probe(point, i) for point in self.prober.aside(sample)]
            smooth = [s for found, at_kink in probes if not at_kink for s in found]  # on both sides
            wrong = [s for s in smooth if not s.ok] if smooth else wrong
            slopes = smooth or slopes
            if not wrong:
                self.report.notes.append(
                    f"{self.subject.names[i]}: not differentiable at the sample, or too near to a kink; "
                    f"right {ASIDE[self.prober.step_dtype]:g} aside of it"
                )
        self._record(i, slopes, not wrong)
        if wrong:
            self._explain(sample, i, max(wrong, key=lambda s: s.excess))

    def _record(self, i: int, slopes: list[Slope], ok: bool) -> None:
        a, eps = self.subject.arrays[i], float(np.finfo(self.dtype).eps)
        floor = 0.1 * self.subject.largest if ok else 0.0  # what cancels is not compared with itself
        gaps = [(abs(s.claimed - s.measured), max(s.scale, floor)) for s in slopes]
        relative, gap = max((gap / scale if scale else gap, gap) for gap, scale in gaps)
        name = self.subject.names[i]
        self.report.rows.append(Row(name, a.shape, len(slopes), gap, relative, relative / eps, ok))

    def _explain(self, sample: Sample, i: int, worst: Slope) -> None:
        key, name = (worst.output, worst.cotangent), self.subject.names[i]
        evidence = self._evidence(sample, i, key)
        finding = diagnose(evidence)
        self.report.findings.append(Finding(finding.kind, finding.text, name))
        self.report.evidence[i] = evidence
        self.report.worst += Worst.of(name, evidence, self.dtype)
        if sample.outputs[worst.output].size <= OUTPUTS and evidence.x.shape == sample.arrays[i].shape:
            rows = self.prober.jacobian(sample, i, worst.output)
            self.report.jacobian.append(worst_entry(name, rows, evidence))

    def _evidence(self, sample: Sample, i: int, key: tuple[int, int] = (0, 0)) -> Evidence:
        """Measure the gradient and Jacobian of one array by elements (a sample of a large one)."""
        x, names, prober = sample.arrays[i], self.subject.names, self.prober
        picked: np.ndarray = np.arange(x.size)
        if x.size > LIMIT:
            picked = np.sort(self.rng.choice(x.size, LIMIT // 5, replace=False))
        columns, errors = prober.columns(sample, i, key[0], picked)
        dout = prober.cotangents[key]
        shape = x.shape if len(picked) == x.size else picked.shape

        def taken(a: np.ndarray) -> np.ndarray:
            return a.ravel()[picked].reshape(shape).astype(np.float64)

        other = (key[0], (key[1] + 1) % prober.directions)
        same_shape = [j for j, a in enumerate(sample.arrays) if j != i and a.shape == x.shape]
        aside, _ = prober.probe(next(prober.aside(sample)), i)
        return Evidence(
            x=taken(x),
            y=sample.outputs[key[0]].astype(np.float64),
            dout=dout,
            claimed=taken(sample.pulls[key][i]),
            measured=(dout.ravel() @ columns).reshape(shape),
            error=(abs(dout).ravel() @ errors).reshape(shape),
            jacobian=columns,
            others={names[j]: a for j, a in enumerate(sample.arrays) if j != i},
            siblings={names[j]: taken(sample.pulls[key][j]) for j in same_shape},
            elsewhere=[(s.claimed, s.measured) for s in aside if (s.output, s.cotangent) == key],
            other_cotangent=taken(sample.pulls[other][i]),
        )
