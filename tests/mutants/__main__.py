"""`python -m tests.mutants`: how many of some hundred mistakes, drawn from all that could be made, are noticed?"""

import argparse
import json
import multiprocessing
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"  # read when NumPy is imported, so before it

from tqdm import tqdm

from tests.mutants.coverage import record
from tests.mutants.mutations import Mutant, mutants
from tests.mutants.trial import Coverage, Verdict, close, deadly, try_one

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("minigrad", "nn", "gpt")
KNOWN = Path(__file__).with_name("known.txt")
STARTERS = (
    "test_cli.py",
    "test_check_cli.py",
    "test_examples",
    "test_runner.py",
    "test_module.py",
    "test_saving.py",
)
LEFT_OUT = (
    "test_structure.py",
    "test_readme.py",
    "test_race.py",
    "test_gpu_report.py",
)  # they read texts, or race


def main() -> int:
    """Draw, try, report; return 1 if fewer are noticed than wanted."""
    options = _options()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    coverage = Coverage(_coverage(out, options.jobs, options.again))
    for case in coverage.failed:
        print(f"left out, since it fails with nothing changed: {case}")
    every = [
        m for package in PACKAGES for m in _in(package) if any(fnmatchcase(m.path, p) for p in options.files)
    ]
    known = _known()
    equivalent = [m for m in every if any(fnmatchcase(m.change, pattern) for pattern in known)]
    left = [m for m in every if m not in set(equivalent)]
    drawn = random.Random(options.seed).sample(left, min(options.sample, len(left)))
    print(
        f"{len(every):,} mutants, {len(equivalent):,} known to change nothing; {len(drawn):,} drawn (seed {options.seed})"
    )
    verdicts = _try(sorted(drawn, key=str), coverage, options)
    _report(verdicts, out)
    share = sum(v.noticed for v in verdicts) / max(len(verdicts), 1)
    return int(share < options.wanted)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    add = parser.add_argument
    add("--sample", type=int, default=300, help="how many are drawn (default 300)")
    add("--seed", type=int, default=0, help="which are drawn")
    add("--files", nargs="+", default=["*"], help="of which files of the product, as 'nn/optim/*'")
    add("--seconds", type=float, default=60.0, help="of tests that a mutant must survive (default 60)")
    add(
        "--every",
        action="store_true",
        help="run on after the first failure, and count what each test notices",
    )
    add("--jobs", type=int, default=os.cpu_count(), help="processes (default: all cores)")
    add("--wanted", type=float, default=0.95, help="the share below which the command fails (default 0.95)")
    add("--again", action="store_true", help="find out anew which test runs which line")
    add("--out", default="out/mutants", help="where the coverage and the survivors are written")
    return parser.parse_args()


def _in(package: str) -> list[Mutant]:
    paths = sorted((ROOT / package).rglob("*.py"))
    return [m for path in paths for m in mutants(ROOT, str(path.relative_to(ROOT)))]


def _known() -> list[str]:
    """Return the changes that change nothing; a line of the file is a pattern, its reason stands above."""
    lines = KNOWN.read_text().splitlines()
    return [line.replace("[", "[[]") for line in lines if line.strip() and not line.startswith("#")]


def _coverage(out: Path, jobs: int, again: bool) -> dict[str, dict]:
    """Run every file of tests once under `coverage`, or read what the last run found."""
    files = [
        str(p.relative_to(ROOT))
        for p in sorted((ROOT / "tests").rglob("test_*.py"))
        if p.name not in LEFT_OUT
    ]
    parts = {file: out / f"{Path(file).stem}.json" for file in files}
    missing = [file for file in files if again or not parts[file].exists()]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        runs = [pool.submit(record, ROOT, file, PACKAGES, parts[file].resolve()) for file in missing]
        for run in tqdm(runs, "which test runs which line", disable=not runs, unit="file"):
            run.result()
    return {file: json.loads(path.read_text()) for file, path in parts.items()}


def _try(drawn: list[Mutant], coverage: Coverage, options: argparse.Namespace) -> list[Verdict]:
    """Run the tests on every mutant."""
    starters = [c for c in coverage.seconds if c.startswith(tuple(f"tests/{name}" for name in STARTERS))]
    plans = [coverage.plan(m, starters, options.seconds) for m in drawn]
    usual = [sum(coverage.seconds[case] for batch in plan for case in batch) for plan in plans]
    jobs = [(m, plan, t, options.every) for m, plan, t in zip(drawn, plans, usual)]
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        found = list(tqdm(pool.imap_unordered(try_one, jobs), "mutants", len(jobs)))
        pool.map(close, range(options.jobs), chunksize=1)
        pool.close()
        pool.join()
    return found


def _report(verdicts: list[Verdict], out: Path) -> None:
    """Print the rate and the survivors; write down what each test noticed."""
    survivors = [v for v in verdicts if not v.noticed]
    for v in survivors:
        tests = "no test runs it" if not v.tried else f"{v.tried} cases did not mind"
        print(f"{v.mutant}    ({tests})")
    lines = [f"{count:5} {test}" for test, count in deadly(verdicts).most_common()]
    (out / "killers.txt").write_text("\n".join(lines) + "\n")
    noticed, n = len(verdicts) - len(survivors), len(verdicts)
    print(f"mutants noticed: {noticed} of {n} ({noticed / max(n, 1):.1%})")


if __name__ == "__main__":
    sys.exit(main())
