"""The command that puts mistakes into the product: what it changes, and whether it sees a test that fails."""

import ast

import pytest

from tests.mutants.mutations import mutants
from tests.mutants.trial import Coverage, Workshop

SOURCE = '''"""A product."""

def clip(x: int, low: int = 0, *, high: int = 9) -> int:
    """Return x between two bounds; 3 < 4."""
    if x < low:
        return low
    return min(x, high, key=abs)


def total(values):
    values.sort()
    found = 0
    for value in values:
        if value is None or not value:
            continue
        found += value * 2.5
    return -found if found else values.copy()


def refuse(x):
    raise ValueError(f"{x + 1} is not {1 < 2}", x + 1)
'''
TESTS = """from minigrad.one import clip

def test_below(): assert clip(-1) == 0
def test_inside(): assert clip(3) == 3
"""


@pytest.fixture
def project(tmp_path):
    for name, text in {"minigrad/one.py": SOURCE, "tests/test_one.py": TESTS}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).with_name("__init__.py").write_text("")
    return tmp_path


def test_every_kind_of_slip_is_made_once_and_messages_and_hints_are_left_alone(project):
    changes = [(m.line, m.before, m.after) for m in mutants(project, "minigrad/one.py")]
    assert changes == [
        (3, "0", "1"),
        (3, "9", "10"),
        (5, "x < low", "(x <= low)"),
        (7, "min(x, high, key=abs)", "(min(x, high))"),
        (11, "values.sort()", "pass"),
        (12, "0", "1"),
        (14, "value is None", "(value is not None)"),
        (14, "value is None or not value", "(value is None and (not value))"),
        (14, "not value", "(value)"),
        (15, "continue", "break"),
        (16, "found += value * 2.5", "found -= value * 2.5"),
        (16, "value * 2.5", "(value / 2.5)"),
        (16, "2.5", "5.0"),
        (17, "-found", "(found)"),
        (17, "-found if found else values.copy()", "(-found if not found else values.copy())"),
        (17, "values.copy()", "values"),
    ]


def test_the_length_that_is_left_open_has_no_other_size(project):
    (project / "minigrad/one.py").write_text("y = x.reshape(-1, 3)[-1]")
    changes = [(m.before, m.after) for m in mutants(project, "minigrad/one.py")]
    assert changes == [("-1", "(1)"), ("3", "4"), ("-1", "(1)"), ("1", "2")]


def test_a_mutant_changes_its_place_and_nothing_else(project):
    source = (project / "minigrad/one.py").read_bytes()
    for mutant in mutants(project, "minigrad/one.py"):
        changed = mutant.applied(source)
        ast.parse(changed)
        assert (
            changed.replace(mutant.after.encode(), mutant.before.encode(), 1) != source or changed != source
        )
        assert changed[: mutant.start] == source[: mutant.start]
        assert changed.endswith(source[mutant.end :])


@pytest.mark.parametrize(
    "before, after, killers",
    [
        ("0", "1", ["tests/test_one.py::test_below"]),
        ("x < low", "(x <= low)", []),  # at the bound both ways give the bound
        ("continue", "break", []),  # no test runs it
    ],
)
def test_a_mutant_is_noticed_when_a_test_fails(project, before, after, killers):
    cases = [f"tests/test_one.py::{name}" for name in ("test_below", "test_inside")]
    mutant = next(m for m in mutants(project, "minigrad/one.py") if (m.before, m.after) == (before, after))
    workshop = Workshop(project)
    try:
        verdict = workshop.try_out(mutant, [cases], usual=1.0)
        assert (workshop.copy / mutant.path).read_text() == SOURCE
    finally:
        workshop.close()
    assert (verdict.killers, verdict.noticed, verdict.tried > 0) == (killers, bool(killers), True)


def test_a_run_that_does_not_end_is_noticed(project, monkeypatch):
    monkeypatch.setattr("tests.mutants.trial.PATIENCE", 2.0)
    (project / "minigrad/one.py").write_text(SOURCE + "\n\nwhile 1 < 1:\n    pass\n")
    mutant = next(m for m in mutants(project, "minigrad/one.py") if m.after == "(1 <= 1)")
    workshop = Workshop(project)
    try:
        assert workshop.try_out(mutant, [["tests/test_one.py::test_below"]], usual=0.0).noticed
    finally:
        workshop.close()


def test_a_default_is_met_by_all_who_run_its_function_and_a_constant_by_all_who_enter_its_file(project):
    (project / "minigrad/one.py").write_text(SOURCE.replace("def total", "MOST = 8\n\ndef total"))
    lines = {"3": ["a.py::imports"], "7": ["a.py::clips"], "10": ["a.py::imports"], "13": ["a.py::adds"]}
    part = {"around": 0.0, "failed": [], "lines": {"minigrad/one.py": lines}, "seconds": {}}
    coverage = Coverage({"a.py": part})
    met = {m.before: coverage.of(m) for m in mutants(project, "minigrad/one.py")}
    assert met["9"] == ["a.py::clips", "a.py::imports"] and met["values.sort()"] == ["a.py::adds"]
    assert met["8"] == ["a.py::adds", "a.py::clips", "a.py::imports"]


def test_the_quickest_case_of_every_test_comes_first_and_a_budget_is_kept(project):
    cases = {"a.py::f[0]": 3.0, "a.py::f[1]": 1.0, "a.py::g": 2.0, "b.py::h": 0.5}
    part = {"around": 0.0, "failed": [], "lines": {"minigrad/one.py": {"5": [*cases]}}}
    coverage = Coverage({"a.py": {**part, "seconds": cases}})
    coverage.around["b.py"] = 0.25
    mutant = next(m for m in mutants(project, "minigrad/one.py") if m.line == 5)
    assert coverage.plan(mutant, [], 99.0) == [["b.py::h"], ["a.py::f[1]", "a.py::g"], ["a.py::f[0]"]]
    assert coverage.plan(mutant, [], 2.0) == [["b.py::h"], ["a.py::f[1]"]]
