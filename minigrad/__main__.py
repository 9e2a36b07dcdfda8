"""The command line: python -m minigrad check, profile."""

import argparse
import importlib
import importlib.util
import inspect
import json
import math
import runpy
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from minigrad.backend import array_library
from minigrad.check.compare import compare
from minigrad.check.gradcheck import gradcheck
from minigrad.check.subjects import subject
from minigrad.console.commands import Parser, forget_the_reader, natural, one_line
from minigrad.console.tables import short, table
from minigrad.errors import value_error
from minigrad.watch.anomaly import LIBRARY
from minigrad.watch.profile import profile
from nn.catalogue import entries
from nn.checking import Result, check_entry
from nn.module import Module

PROGRAM = "python -m minigrad"
SAMPLES, DEEP = 3, 10
USERS_MISTAKES = (ValueError, TypeError, ImportError, AttributeError, OSError, MemoryError)
VALUES = ("normal", "positive")
LOW, HIGH = 0.5, 2.0  # of positive inputs
INSTALL = {"torch": "pip install torch", "jax": "pip install jax"}
ARGUMENTS = {"minigrad": "Tensors", "numpy": "NumPy arrays", "torch": "PyTorch tensors", "jax": "JAX arrays"}


def parser() -> Parser:
    """Return the parser of all subcommands; each sets `run`, a function of the parsed arguments."""
    top = Parser(prog=PROGRAM, description=__doc__)
    commands = top.add_subparsers(title="commands", required=True, metavar="command")
    _add_check(commands)
    _add_profile(commands)
    return top


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="are the gradients right? of every operation and layer, or of your own function",
        description="Without a function: check every operation and layer against numerical differences and, "
        "where PyTorch is installed, against PyTorch, in float64 and float32. Exit code 0 if all is right, 1 if "
        "not, 2 for a mistake in the call.",
    )
    check.add_argument(
        "function", nargs="?", help="your own: package.module:function, or :Module, or :instance"
    )
    check.add_argument("--shapes", help='its inputs: "4,8;8" is two arrays, (4, 8) and (8,)')
    check.add_argument(
        "--values", choices=VALUES, help=f"of the inputs: normal (the default), or positive, {LOW}..{HIGH}"
    )
    check.add_argument(
        "--against",
        help="another implementation: torch:torch.nn.functional.layer_norm, jax:..., or package.module:function",
    )
    check.add_argument("--only", metavar="TEXT", help="only what has TEXT in its name: --only attention")
    check.add_argument("--seed", type=natural, default=0, help="of the inputs and directions (default: 0)")
    check.add_argument("--deep", action="store_true", help=f"{DEEP} times the samples")
    check.add_argument(
        "--device", default="cpu", choices=("cpu", "cuda"), help="cuda needs CuPy; differences only"
    )
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    check.set_defaults(run=run_check)


def _add_profile(commands: Any) -> None:
    command = commands.add_parser(
        "profile",
        help="where does the time of a program go? by operation, forward and backward",
        description="Run a module as `python -m` would, and print the time and bytes of every operation.",
        usage=f"{PROGRAM} profile -- module [argument ...]",
    )
    command.add_argument("program", nargs=argparse.REMAINDER, help="gpt train --max_iters 20")
    command.set_defaults(run=run_profile)


def run_profile(arguments: argparse.Namespace) -> int:
    """Run a module under the profiler, print the table, and return the module's exit code."""
    program = [word for word in arguments.program if word != "--"]
    if not program or importlib.util.find_spec(program[0]) is None:
        raise ValueError(f"profile: expected the name of a module; got {' '.join(program) or 'nothing'}")
    sys.argv, code = program, 0
    with profile() as watch:
        try:
            runpy.run_module(program[0], run_name="__main__", alter_sys=True)
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    print(watch)
    return code


def run_check(arguments: argparse.Namespace) -> int:
    """Run the check that was asked for; return the exit code."""
    for flag in ("only",) if arguments.function else ("shapes", "values", "against"):
        if getattr(arguments, flag):
            without = (
                "without a function" if arguments.function else "with a function, package.module:function"
            )
            raise ValueError(f"--{flag} goes {without}; see {PROGRAM} check --help")
    if arguments.device == "cuda":
        array_library("cuda")
    if arguments.function:
        return _check_function(arguments)
    return _check_catalogue(arguments)


# --- the catalogue ---

HEAD = [
    "operation or layer",
    "shapes tried",
    "value, PyTorch",
    "gradient, differences",
    "gradient, PyTorch",
    "second order",
    "float32, ulp",
    "float32 and PyTorch, ulp",
    "verdict",
]


def _check_catalogue(arguments: argparse.Namespace) -> int:
    chosen = [e for e in entries() if (arguments.only or "").lower() in e.name.lower()]
    if not chosen:
        raise ValueError(f"--only: nothing in the catalogue has {arguments.only!r} in its name")
    torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    samples, start = SAMPLES * (DEEP if arguments.deep else 1), time.perf_counter()
    results = [
        check_entry(entry, samples, arguments.seed, torch, arguments.device)
        for entry in _progress(chosen, "checking")
    ]
    ok = all(r.ok for r in results)
    if arguments.json:
        rows = [{**_finite(asdict(r)), "ok": r.ok} for r in results]
        print(
            json.dumps(
                {
                    "ok": ok,
                    "seed": arguments.seed,
                    "torch": getattr(torch, "__version__", None),
                    "results": rows,
                },
                indent=1,
            )
        )
        return 0 if ok else 1
    print(table(HEAD, [_row(r) for r in results], markdown=arguments.markdown, left=2))
    for failure in (failure for r in results for failure in r.failures):
        print(f"\n{failure}")
    right, oracle = (
        sum(r.ok for r in results),
        f"PyTorch {torch.__version__}" if torch else "PyTorch is not installed",
    )
    seconds = f"{time.perf_counter() - start:.0f} s"
    print(
        f"\n{right} of {len(results)} right; {samples} samples each, seed {arguments.seed}; {oracle}; {seconds}"
    )
    return 0 if ok else 1


def _row(r: Result) -> list[str]:
    more = f" and {len(r.shapes) - 1} more" if len(r.shapes) > 1 else ""
    errors = [short(x) for x in (r.value, r.gradient, r.gradient_torch, r.second, r.ulp, r.ulp_torch)]
    return [r.name, r.shapes[0] + more, *errors, "right" if r.ok else "WRONG"]


def _finite(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts with None for what was not measured or is infinite: JSON has no NaN or inf."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in facts.items()}


# --- a user's function ---


def _check_function(arguments: argparse.Namespace) -> int:
    if not arguments.shapes:
        raise ValueError('check: expected --shapes, like "4,8;8" for arrays (4, 8) and (8,)')
    fn, _ = _find(arguments.function)
    reports: list[Any] = []
    for sample in range(DEEP if arguments.deep else 1):
        rng = np.random.default_rng([arguments.seed, sample])
        inputs = [_drawn(rng, shape, arguments.values) for shape in _shapes(arguments.shapes)]
        options = {"seed": arguments.seed + sample, "raise_error": False}
        _try(arguments.function, fn, inputs, None)
        each: list[Any] = [gradcheck(fn, inputs, dtype="float64", device=arguments.device, **options)]
        if arguments.against:
            twin, library = _find(arguments.against)
            twin = _with_shape(twin, inputs)
            _try(arguments.against, twin, inputs, library)
            each.append(compare(fn, twin, inputs, libraries=(None, library), **options))
        reports = each if not reports or not all(each) else reports
        if not all(each):
            break
    ok = all(reports)
    if arguments.json:
        findings = [asdict(finding) for r in reports for finding in r.findings]
        rows = [_finite(asdict(row)) for r in reports for row in r.rows]
        print(json.dumps({"ok": ok, "findings": findings, "rows": rows}, indent=1))
    else:
        print("\n\n".join(map(_markdown if arguments.markdown else str, reports)))
    return 0 if ok else 1


def _drawn(rng: np.random.Generator, shape: tuple[int, ...], values: str | None) -> np.ndarray:
    return rng.uniform(LOW, HIGH, shape) if values == "positive" else rng.standard_normal(shape)


def _markdown(report: Any) -> str:
    """Return the title of a report, its rows as a Markdown table, and its findings."""
    title, _, _ = str(report).partition("\n")
    head = ["array", "shape", "error", "relative", "ulp", "verdict"]
    rows = [
        (
            f"{r.name} {getattr(r, 'dtype', '')}",
            r.shape,
            *map(short, (r.absolute, r.relative, r.ulp)),
            "right" if r.ok else "WRONG",
        )
        for r in report.rows
    ]
    return "\n\n".join([title, table(head, rows, markdown=True), *map(str, report.findings)])


def _try(name: str, fn: Any, inputs: Sequence[np.ndarray], library: str | None) -> None:
    """Call a user's function once as the checks will; if it fails, say how it was called, and where it failed."""
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
        hint = f"--values positive draws from {LOW} to {HIGH}, for a logarithm or a root"
        raise value_error(name, "numbers from a call with the drawn inputs", "NaN", hint)


def _find(name: str) -> tuple[Any, str | None]:
    """Return (function, library or None) for "package.module:function" or "torch:torch.nn.functional.gelu"."""
    place, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*place.split("."), *attribute.split("."))):
        raise ValueError(f'expected "package.module:function"; got {name!r}')
    library = place if place in ("torch", "jax", "numpy", "minigrad") and "." in attribute else None
    if library:
        place, _, attribute = attribute.rpartition(".")
    sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(place)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        hint = f"; install it with: {INSTALL[missing]}" if missing in INSTALL else ""
        raise ModuleNotFoundError(f"{name}: {error}{hint}") from None
    finally:
        sys.path.remove("")
    for part in attribute.split("."):
        found = getattr(found, part)
    try:
        return (found() if inspect.isclass(found) and issubclass(found, Module) else found), library
    except TypeError as error:
        raise value_error(name, "a Module made without arguments, or an instance", error) from None


def _shapes(text: str) -> list[tuple[int, ...]]:
    """Return [(4, 8), (8,)] for "4,8;8"; an empty part is a single number."""
    try:
        return [tuple(natural(n) for n in part.split(",") if n.strip()) for part in text.split(";")]
    except argparse.ArgumentTypeError:
        raise ValueError(f'--shapes: expected lengths like "4,8;8"; got {text!r}') from None


def _with_shape(fn: Callable[..., Any], inputs: Sequence[np.ndarray]) -> Callable[..., Any]:
    """Return `fn`; torch's layer_norm, which wants the normalised shape before the weight, is given it."""
    if getattr(fn, "__name__", "") != "layer_norm" or not (fn.__module__ or "").startswith("torch"):
        return fn
    shape = inputs[1].shape if len(inputs) > 1 else inputs[0].shape[-1:]

    def layer_norm(x: Any, *rest: Any) -> Any:
        return fn(x, shape, *rest)

    return layer_norm


def _progress(items: Iterable[Any], title: str) -> Iterator[Any]:
    """Yield the items behind a progress bar, if tqdm is installed and someone is watching."""
    if sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
        items = importlib.import_module("tqdm").tqdm(items, desc=title, leave=False)
    yield from items


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; a user's mistake is one line on stderr and exit code 2."""
    arguments = parser().parse_args(sys.argv[1:] if argv is None else argv)
    try:
        return arguments.run(arguments)
    except BrokenPipeError:
        return forget_the_reader()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except USERS_MISTAKES as error:
        print(f"{PROGRAM}: {one_line(error)}", file=sys.stderr)
        return 2
    except Exception as error:  # of the user's own function: 1 would say that its gradient is wrong
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{line.filename}, line {line.lineno}"
        print(f"{PROGRAM}: {type(error).__name__}: {one_line(error)} ({where})", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
