"""Is a mutant noticed? The tests that run its line are run in a copy of the project that has it.

A copy on the disk, so that the commands that tests start meet the mutant, too. A process that has imported what
the product does not contain (PyTorch) forks one child for each mutant, which saves their start.
"""

import functools
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.coverage import function_of
from tests.mutants.mutations import Mutant

ROOT = Path(__file__).resolve().parents[2]
UNREADABLE, ENDLESS = "a file of tests that cannot be imported", "a run that does not end, or dies"
PATIENCE, SLOWER = 30.0, 5.0  # seconds, and times its usual ones: after that, a run does not end any more
SIGNATURES = (
    "test_arguments_stand_in_pytorchs_places_with_its_defaults"  # of all functions; it runs no line of them
)
MEMORY = 6 << 30  # bytes that a run may take
COPIED = (
    "minigrad",
    "nn",
    "gpt",
    "tests",
    "examples",
    "setup.cfg",
    "README.md",
    "CONTRIBUTING.md",
    ".git",
    ".ci",
)


@dataclass
class Verdict:
    """What the tests said of a mutant."""

    mutant: Mutant
    killers: list[str]  # the cases that failed; empty if none did
    tried: int  # the cases that were run
    seconds: float

    @property
    def noticed(self) -> bool:
        """Did any test fail, or not end?"""
        return bool(self.killers)


class Coverage:
    """What `coverage.record` wrote, of all files of tests together."""

    def __init__(self, parts: dict[str, dict[str, Any]]) -> None:
        self.seconds = {case: t for part in parts.values() for case, t in part["seconds"].items()}
        self.around = {file: part["around"] for file, part in parts.items()}
        self.failed = [case for part in parts.values() for case in part["failed"]]
        self.lines: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        for part in parts.values():
            for path, lines in part["lines"].items():
                for line, cases in lines.items():
                    self.lines[path][int(line)] += cases

    def of(self, mutant: Mutant) -> list[str]:
        """Return the cases that reach a mutant; of one that runs at import, all that enter its file."""
        lines = self.lines[mutant.path]
        found = {case for line in mutant.reach for case in lines.get(line, ())}
        if len(mutant.reach) > 1:  # a default, which is also read from the signature
            found |= {case for case in self.seconds if case.endswith(SIGNATURES)}
        entering = {case for cases in lines.values() for case in cases}
        return sorted(found or entering | {case for case in self.seconds if case.endswith(SIGNATURES)})

    def plan(self, mutant: Mutant, starters: list[str], budget: float) -> list[list[str]]:
        """Return the cases to run, in batches of one file: the quickest first, and within `budget` seconds.

        In a first round one case of every test has its turn, then the others; then the tests that start
        commands, whose lines nobody has counted.
        """
        by_test = defaultdict(list)
        for case in self.of(mutant):
            by_test[function_of(case)].append(case)
        queues = [sorted(cases, key=self.seconds.__getitem__) for cases in by_test.values()]
        rounds = [[q[k] for q in queues if k < len(q)] for k in range(max(map(len, queues), default=0))]
        batches, left, opened = [], budget, set()
        for cases in [*rounds[:1], sum(rounds[1:], []), starters]:
            by_file = defaultdict(list)
            for case in sorted(cases, key=self.seconds.__getitem__):
                by_file[case.partition("::")[0]].append(case)
            for file, here in sorted(by_file.items(), key=lambda item: self._cost(*item, opened)):
                taken: list[str] = []
                for case in here:
                    if self._cost(file, [*taken, case], opened) < left:
                        taken.append(case)
                if taken:
                    left -= self._cost(file, taken, opened)
                    opened.add(file)
                    batches.append(taken)
        return batches

    def _cost(self, file: str, cases: list[str], opened: set[str]) -> float:
        return sum(self.seconds[case] for case in cases) + (0.0 if file in opened else self.around[file])


class Workshop:
    """A copy of the project, in which one mutant after another is tried."""

    def __init__(self, root: Path) -> None:
        self.root, self.copy = root, Path(tempfile.mkdtemp(prefix="mutants-"))
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, self.copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (root / name).exists():
                shutil.copy(root / name, self.copy / name)

    def close(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self.copy, ignore_errors=True)

    def try_out(self, mutant: Mutant, batches: list[list[str]], usual: float, every: bool = False) -> Verdict:
        """Run the batches on a mutant until one fails, or `every` one."""
        target, start = self.copy / mutant.path, time.perf_counter()
        source = target.read_bytes()
        target.write_bytes(mutant.applied(source))
        report = self.copy / "report.json"
        report.write_text("[[], 0]")
        try:
            ended = self._in_a_child(batches, report, PATIENCE + SLOWER * usual, every)
            failed, tried = json.loads(report.read_text())
        finally:
            target.write_bytes(source)
        if isinstance(failed, str):
            raise RuntimeError(f"the tests could not be run:\n{failed}")
        if not ended:
            failed.append(ENDLESS)
        return Verdict(mutant, failed, tried, time.perf_counter() - start)

    def _in_a_child(self, batches: list[list[str]], report: Path, patience: float, every: bool) -> bool:
        """Run the batches in a forked child; return whether it came to its end."""
        child = os.fork()
        if not child:
            try:
                self._run(batches, report, every)
            except BaseException:  # not a test's: pytest keeps those
                report.write_text(json.dumps([traceback.format_exc(), 0]))
            finally:
                os._exit(0)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return False

    def _run(self, batches: list[list[str]], report: Path, every: bool) -> None:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        os.chdir(self.copy)
        os.environ |= {"PYTHONPATH": str(self.copy), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        sys.path[:] = [str(self.copy), *(p for p in sys.path if p not in ("", str(self.root)))]
        for name in [n for n in sys.modules if n.partition(".")[0] in COPIED]:
            del sys.modules[name]
        failed, tried = [], 0
        for batch in batches:
            plugin = _Failures()
            code = pytest.main(
                [*batch, "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:xdist", *["-x"][every:]],
                plugins=[plugin],
            )
            failed += plugin.failed or [UNREADABLE][: bool(code)]
            tried += plugin.tried
            report.write_text(json.dumps([failed, tried]))
            if failed and not every:
                return


class _Failures:
    """A plugin that notes which cases fail."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.tried = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note a failure, of the test itself or of what it needs."""
        self.tried += report.when == "call"
        if report.failed:
            self.failed.append(report.nodeid)


@functools.cache
def _workshop() -> Workshop:
    """Return this process's copy of the project; import what its children need, and the product does not contain."""
    import torch

    torch.set_num_threads(1)
    return Workshop(ROOT)


def try_one(job: tuple[Mutant, list[list[str]], float, bool]) -> Verdict:
    """Try a mutant in this process's copy."""
    return _workshop().try_out(*job)


def close(_: int) -> None:
    """Remove this process's copy; slowly, so that the next call goes to another process."""
    _workshop().close()
    time.sleep(0.2)


def deadly(verdicts: list[Verdict]) -> Counter[str]:
    """Return how many mutants each test noticed."""
    return Counter(test for v in verdicts for test in {function_of(case) for case in v.killers})
