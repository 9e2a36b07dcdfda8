"""python -m minigrad check: the gradients of the catalogue, or of a function of your own."""

import argparse
import importlib
import importlib.util
import inspect
import json
import math
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from minigrad.check.compare import compare
from minigrad.check.gradcheck import gradcheck
from minigrad.check.report import Report
from minigrad.check.subjects import subject
from minigrad.console.commands import natural
from minigrad.console.tables import short, table
from minigrad.errors import value_error
from minigrad.gpu.device import array_library
from minigrad.watch.anomaly import LIBRARY
from nn.check.agreement import Result, check_entry
from nn.check.catalogue import entries, normal, positive

SAMPLES, DEEP = 3, 10
VALUES = {"normal": normal, "positive": positive}
ARGUMENTS = {"minigrad": "Tensors", "numpy": "NumPy arrays", "torch": "PyTorch tensors", "jax": "JAX arrays"}


def add_check(commands: Any) -> None:
    """Add the command to the parsers of `python -m minigrad`."""
    check = commands.add_parser(
        "check",
        help="are the gradients right? of every operation and layer, or of your own function",
        description="Without a function: check every operation and layer against numerical differences and, "
        "where PyTorch is installed, against PyTorch, in float64 and float32. Exit code 0 if all is right, 1 "
        "if not, 2 for a mistake in the call.",
    )
    add = check.add_argument
    add("function", nargs="?", help="your own: package.module:function, or :Module, or :instance")
    add("--shapes", help='its inputs: "4,8;8" is two arrays, (4, 8) and (8,)')
    add("--values", choices=VALUES, help="of the inputs: normal (the default), or positive, 0.5..2")
    add("--against", help="another: torch:torch.nn.functional.layer_norm, jax:..., package.module:function")
    add("--library", choices=ARGUMENTS, help="whose function it is, where that cannot be told")
    add("--only", metavar="TEXT", help="only what has TEXT in its name: --only attention")
    add("--seed", type=natural, default=0, help="of the inputs and directions (default: 0)")
    add("--deep", action="store_true", help=f"{DEEP} times the samples")
    add("--wide", action="store_true", help="the shapes that were tried, too")
    add("--device", default="cpu", choices=("cpu", "cuda"), help="cuda needs CuPy; differences only")
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    check.set_defaults(run=run_check)


def run_check(arguments: argparse.Namespace) -> int:
    """Run the check that was asked for; return the exit code."""
    for flag in ("only",) if arguments.function else ("shapes", "values", "against", "library"):
        if getattr(arguments, flag):
            way = "without a function" if arguments.function else "with a function, package.module:function"
            raise ValueError(f"--{flag} goes {way}; see python -m minigrad check --help")
    if arguments.device == "cuda":
        array_library("cuda")
    return (_check_function if arguments.function else _check_catalogue)(arguments)


HEAD = ["operation or layer", "value, PyTorch", "gradient, differences", "gradient, PyTorch"]
HEAD += ["second order", "float32, ulp", "float32 and PyTorch, ulp", "verdict"]
NARROW = ["", "value", "gradient", "by diffs", "second", "f32", "f32 diffs", "verdict"]
KEY = """value, gradient: against PyTorch, by diffs: against numerical differences, second: the gradient of
the gradient, by differences; relative, in float64. f32, f32 diffs: the same in float32, in units in
the last place. --wide adds the shapes; nn/check/README.md says what each is relative to."""


def _check_catalogue(arguments: argparse.Namespace) -> int:
    chosen = [e for e in entries() if (arguments.only or "").lower() in e.name.lower()]
    if not chosen:
        raise ValueError(f"--only: nothing in the catalogue has {arguments.only!r} in its name")
    torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    samples, start = SAMPLES * (DEEP if arguments.deep else 1), time.perf_counter()
    seed, device = arguments.seed, arguments.device
    results = [check_entry(entry, samples, seed, torch, device) for entry in _progress(chosen)]
    right = sum(r.ok for r in results)
    ok, version = right == len(results), getattr(torch, "__version__", None)
    if arguments.json:
        rows = [{**_finite(asdict(r)), "ok": r.ok} for r in results]
        print(json.dumps({"ok": ok, "seed": seed, "torch": version, "results": rows}, indent=1))
        return 0 if ok else 1
    print(_table(results, arguments))
    for failure in (failure for r in results for failure in r.failures):
        print(f"\n{failure}")
    oracle = f"PyTorch {version}" if torch else "PyTorch is not installed"
    seconds = f"{time.perf_counter() - start:.0f} s"
    print(f"\n{right} of {len(results)} right; {samples} samples each, seed {seed}; {oracle}; {seconds}")
    return 0 if ok else 1


def _table(results: list[Result], arguments: argparse.Namespace) -> str:
    """Return the results as a table of at most 100 columns, or with all there is to say."""
    rows = []
    for r in results:
        ours, torchs = (r.gradient, r.ulp), (r.value, r.gradient_torch, r.ulp_torch)
        errors = [torchs[0], ours[0], torchs[1], r.second, ours[1], torchs[2]]
        rows.append([r.name, *map(short, errors), "right" if r.ok else "WRONG"])
    if not (arguments.wide or arguments.markdown):
        places = (0, 1, 3, 2, 4, 6, 5, 7)
        return f"{table(NARROW, [[row[i] for i in places] for row in rows])}\n\n{KEY}"
    for row, r in zip(rows, results):
        row.insert(1, r.shapes[0] + (f" and {len(r.shapes) - 1} more" if len(r.shapes) > 1 else ""))
    return table([HEAD[0], "shapes tried", *HEAD[1:]], rows, markdown=arguments.markdown, left=2)


def _finite(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts with None for what was not measured or is infinite: JSON has no NaN or inf."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in facts.items()}


def _progress(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items behind a progress bar, if tqdm is installed and someone is watching."""
    if sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
        items = importlib.import_module("tqdm").tqdm(items, desc="checking", leave=False)
    yield from items


def _check_function(arguments: argparse.Namespace) -> int:
    if not arguments.shapes:
        raise ValueError('expected --shapes, like "4,8;8" for arrays (4, 8) and (8,)')
    fn, _ = _find(arguments.function)
    every = [_reports(fn, arguments, sample) for sample in range(DEEP if arguments.deep else 1)]
    reports = next((each for each in every if not all(each)), every[0])
    if arguments.json:
        findings = [asdict(finding) for r in reports for finding in r.findings]
        rows = [_finite(asdict(row) | {"ulp": row.ulp}) for r in reports for row in r.rows]
        print(json.dumps({"ok": all(reports), "findings": findings, "rows": rows}, indent=1))
    else:
        print("\n\n".join(map(_markdown if arguments.markdown else str, reports)))
    return 0 if all(reports) else 1


def _reports(fn: Any, arguments: argparse.Namespace, sample: int) -> list[Any]:
    """Return what `gradcheck`, and `compare` where there is something to compare with, say of one sample."""
    rng, values = np.random.default_rng([arguments.seed, sample]), VALUES[arguments.values or "normal"]
    inputs = [values(rng, shape) for shape in _shapes(arguments.shapes)]
    options = {"seed": arguments.seed + sample, "raise_error": False}
    own = arguments.library
    _try(arguments.function, fn, inputs, own)
    reports: list[Any] = [
        gradcheck(fn, inputs, dtype="float64", library=own, device=arguments.device, **options)
    ]
    if arguments.against:
        twin, library = _find(arguments.against)
        if getattr(twin, "__name__", "") == "layer_norm" and (twin.__module__ or "").startswith("torch"):
            twin = _with_shape(twin, inputs)
        _try(arguments.against, twin, inputs, library)
        reports.append(compare(fn, twin, inputs, libraries=(own, library), **options))
    return reports


def _with_shape(fn: Any, inputs: Sequence[np.ndarray]) -> Any:
    """Return torch's layer_norm, which wants the normalised shape before the weight, with that shape."""
    shape = inputs[1].shape if len(inputs) > 1 else inputs[0].shape[-1:]

    def layer_norm(x: Any, *rest: Any) -> Any:
        return fn(x, shape, *rest)

    return layer_norm


def _markdown(report: Any) -> str:
    """Return the title of a report, its rows as a Markdown table, and its findings."""
    title, _, _ = str(report).partition("\n")
    measured = isinstance(report, Report)
    head = ["array", "shape", "error", "relative", "of the noise" if measured else "ulp", "verdict"]
    rows = []
    for r in report.rows:
        errors = map(short, (r.absolute, r.relative, r.noise if measured else r.ulp))
        rows.append([f"{r.name} {r.dtype}", r.shape, *errors, "right" if r.ok else "WRONG"])
    return "\n\n".join([title, table(head, rows, markdown=True), *map(str, report.findings)])


def _try(name: str, fn: Any, inputs: Sequence[np.ndarray], library: str | None) -> None:
    """Call a user's function once as the checks will; if it fails, say how it was called, and where."""
    examined = subject(fn, inputs, dtype="float64", library=library)
    try:
        outputs = examined.forward(examined.arrays)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        users = [f" ({f.filename}, line {f.lineno})" for f in frames if not f.filename.startswith(LIBRARY)]
        shapes = " and ".join(str(x.shape) for x in inputs)
        expected = f"a function that takes {ARGUMENTS[examined.library]} {shapes}"
        where = users[-1] if users else ""
        got = f"{type(error).__name__} from a call with them: {error}{where}"
        raise value_error(name, expected, got) from error
    if any(np.isnan(y).any() for y in outputs):
        hint = "--values positive draws from 0.5 to 2, for a logarithm or a root"
        raise value_error(name, "numbers from a call with the drawn inputs", "NaN", hint)


def _find(name: str) -> tuple[Any, str | None]:
    """Return (function, library or None) of "package.module:function" or "torch:torch.nn.functional.gelu"."""
    place, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*place.split("."), *attribute.split("."))):
        raise ValueError(f'expected "package.module:function"; got {name!r}')
    library = place if place in ARGUMENTS and "." in attribute else None
    if library:
        place, _, attribute = attribute.rpartition(".")
    sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(place)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        hint = f"; install it with: pip install {missing}" if missing in ARGUMENTS else ""
        raise ModuleNotFoundError(f"{name}: {error}{hint}") from None
    finally:
        sys.path.remove("")
    for part in attribute.split("."):
        found = getattr(found, part)
    try:
        return (found() if inspect.isclass(found) and hasattr(found, "named_parameters") else found), library
    except TypeError as error:
        raise value_error(name, "a Module made without arguments, or an instance", error) from None


def _shapes(text: str) -> list[tuple[int, ...]]:
    """Return [(4, 8), (8,)] for "4,8;8"; an empty part is a single number."""
    try:
        return [tuple(natural(n) for n in part.split(",") if n.strip()) for part in text.split(";")]
    except argparse.ArgumentTypeError:
        raise ValueError(f'--shapes: expected lengths like "4,8;8"; got {text!r}') from None
