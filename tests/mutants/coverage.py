"""Which test runs which line of the product, and how long it takes."""

import io
import itertools
import json
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

QUICKEST, SPREAD = 4, 8  # of the cases of one test that run a line: the quickest, and some of the others

Cases = dict[str, float]  # {the name of a case of a test: its seconds}


class Recorder:
    """A plugin that gives every test a context of its own in the coverage, and takes its time."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: Cases = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        """Run a test in its context."""
        self.coverage.switch_context(item.nodeid)
        start = _used()
        done = yield
        self.seconds[item.nodeid] = _used() - start
        return done

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note a test that fails with nothing changed: what it says of a mutant would mean nothing."""
        if report.failed:
            self.failed.append(report.nodeid)


def record(root: Path, file: str, packages: tuple[str, ...], out: Path) -> None:
    """Run one file of tests; write {seconds, cases by line of each file of the product} as JSON."""
    import coverage

    os.chdir(root)
    start = _used()
    measured = coverage.Coverage(data_file=None, source=[str(root / p) for p in packages])
    recorder = Recorder(measured)
    measured.start()
    with redirect_stdout(io.StringIO()):
        pytest.main(
            [file, "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-W", "ignore"], plugins=[recorder]
        )
    measured.stop()
    around = _used() - start - sum(recorder.seconds.values())
    for case in recorder.failed:
        recorder.seconds.pop(case, None)
    data, lines = measured.get_data(), {}
    for path in data.measured_files():
        name = str(Path(path).relative_to(root))
        by_line = data.contexts_by_lineno(path)
        lines[name] = {n: _chosen(found, recorder.seconds) for n, found in by_line.items()}
    seconds = {case: round(t, 4) for case, t in recorder.seconds.items()}
    out.write_text(
        json.dumps({"around": around, "seconds": seconds, "lines": lines, "failed": recorder.failed})
    )


def _chosen(cases: list[str], seconds: Cases) -> list[str]:
    """Return some cases of every test, among them the quickest."""
    chosen = []
    for _, same in itertools.groupby(sorted(c for c in cases if c in seconds), key=function_of):
        by_time = sorted(same, key=lambda case: (seconds[case], case))
        rest = by_time[QUICKEST:]
        chosen += by_time[:QUICKEST] + rest[:: max(1, -(-len(rest) // SPREAD))]
    return chosen


def _used() -> float:
    """Return the seconds of processor time that this process and its children took: other load does not count."""
    return sum(os.times()[:4])


def function_of(case: str) -> str:
    """Return the test that a case belongs to: its name without the parameters."""
    return case.partition("[")[0]
