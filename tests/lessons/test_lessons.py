"""Lessons written for PyTorch print under minigrad what they print under PyTorch."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lessons import run, seeds, texts

LESSONS = {path.stem: path for path in sorted(Path(__file__).parent.glob("[0-9]*.py"))}
DOCUMENTS = seeds.documents()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """{side: {script: what it printed and how it ended}}, each side in one process."""
    room = tmp_path_factory.mktemp("lessons")
    for name in DOCUMENTS:
        (room / f"{name}.py").write_text(seeds.script(name), encoding="utf-8")
    paths = [*LESSONS.values(), *(room / f"{name}.py" for name in DOCUMENTS)]
    processes = {}
    for side in run.SIDES:
        command = [sys.executable, "-m", "tests.lessons.side", side.lower(), room / f"{side}.json", *paths]
        processes[side] = subprocess.Popen(command, cwd=run.ROOT, stderr=subprocess.PIPE, text=True)
    for side, process in processes.items():
        errors = process.communicate()[1]
        assert process.returncode == 0, f"{side}: {errors[-2000:]}"
    answers = {side: json.loads((room / f"{side}.json").read_text()) for side in processes}
    return {side: {Path(p).stem: value for p, value in answer.items()} for side, answer in answers.items()}


def assert_same(outcomes, name, digits):
    """Both sides end well and print the same."""
    theirs, ours = (outcomes[side][name] for side in run.SIDES)
    assert theirs["failure"] is None and theirs["printed"]
    found = texts.first_difference(theirs["printed"], ours["printed"], digits)
    assert found is None and ours["failure"] is None, f"{found}; {ours['failure']}"


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_prints_what_it_prints_under_pytorch(outcomes, name):
    assert_same(outcomes, name, digits=4)


@pytest.mark.skipif(not DOCUMENTS, reason=f"the seed documents are not in {seeds.FOLDER}")
@pytest.mark.parametrize("name", DOCUMENTS or ["none"])
def test_the_python_of_a_seed_document_runs_as_it_stands(outcomes, name):
    assert_same(outcomes, name, digits=4)


@pytest.mark.skipif(not DOCUMENTS, reason=f"the seed documents are not in {seeds.FOLDER}")
def test_at_least_eleven_pieces_are_found_and_only_fragments_stop(outcomes):
    found = [piece for path in DOCUMENTS.values() for piece in seeds.pieces(path.read_text())]
    stops = [line for name in DOCUMENTS for line in stopped(outcomes["PyTorch"][name]["printed"])]
    assert len(found) - len(stops) >= 11
    assert all("NameError" in line for line in stops), stops


def stopped(text):
    """Return the lines of the pieces that ended with an error."""
    return re.findall(r"^stops: .*", text, re.MULTILINE)


# --- the comparison itself ---

SAME = [
    ("a 1.0\n", "a 1.0"),
    ("tensor([1., 2.])", "tensor([1.0000, 2.0000])"),
    ("[1.,\n 2.]", "[1.0000, 2.0000]"),
    ("loss 0.0017", "loss 0.0018"),
    ("1.234567", "1.234600"),
    ("2.0000e-09", "2.0001e-09"),
    ("-0.0000 nan -inf", "0.0000 nan -inf"),
    ("[2., -1e-7,\n 3.2e-7]", "[2., 5e-7,\n 1.2e-6]"),
    ("torch 2.13.0+cpu", "torch 2.13.0+minigrad"),
    ("<Net object at 0x7f00aa>", "<Net object at 0x1200bb>"),
]
DIFFERENT = [
    ("a\nb\n[1.,\n 2.]\nc 5\nd", "a\nb\n[1.0000, 2.0000]\nc 6\nd", 5),
    ("a\nb", "a", 2),
    ("a", "a\nb", 2),
    ("tensor(3)", "tensor(3.)", 1),
    ("tensor(3)", "tensor(4)", 1),
    ("loss 0.0017", "loss 0.0019", 1),
    ("1.2345678", "1.234", 1),
    ("[2., 1.0e-7]\n[1.0e-7]", "[2., 2.0e-7]\n[2.0e-7]", 2),
    ("[2.,\n 1.0e-7]", "[2.,\n 3.1e-6]", 2),
    ("loss 2. lr 1.0e-7", "loss 2. lr 1.3e-7", 1),
    ("inf", "nan", 1),
    ("[ 1., 2.]", "[1., 2.]", 1),
    ("[1.,\n 2.]", "[1., 2.]", 1),
    ("<AddBackward0>", "<MulBackward0>", 1),
]


@pytest.mark.parametrize("theirs, ours", SAME)
def test_texts_whose_numbers_round_otherwise_are_the_same(theirs, ours):
    assert texts.first_difference(texts.clean(theirs), texts.clean(ours)) is None


@pytest.mark.parametrize("theirs, ours, line", DIFFERENT)
def test_the_first_line_that_differs_is_found(theirs, ours, line):
    assert texts.first_difference(theirs, ours).line == line
    assert texts.first_difference(theirs, ours, None).line <= line


# --- the command ---

SCRIPTS = {  # what it is: (the script, the exit code, what the command says)
    "the same": (
        "print(__name__, sys.argv, open('data.txt').read())",
        0,
        "the same 1 lines, letter for letter",
    ),
    "another line": ("print('both'); print('minigrad' in sys.modules)", 1, "line 2 differs:"),
    "an error": (
        "'minigrad' in sys.modules and missing",
        1,
        "minigrad did not finish: exit code 1: NameError: name",
    ),
    "an error on both": (
        "1 / 0",
        1,
        "PyTorch did not finish: exit code 1: ZeroDivisionError: division by zero",
    ),
    "no end": (
        "'minigrad' in sys.modules and time.sleep(60)",
        1,
        "minigrad did not finish: stopped after 9 s",
    ),
    "ignored": ("print('time', time.time())", 0, "the same 1 lines"),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_the_command_says_in_what_a_script_differs(tmp_path, capfd, case):
    body, code, said = SCRIPTS[case]
    (tmp_path / "data.txt").write_text("seen")
    script = tmp_path / "script.py"
    script.write_text(f"import sys, time\nopen('left.txt', 'w')\n{body}\n")
    command = ["--ignore", r"time \d+\.\d+", "--timeout", "9", str(script), "--flag", "value"]
    assert run.main(command) == code
    printed = capfd.readouterr().out
    assert said in printed and re.search(r"PyTorch \d+\.\d\d s, minigrad \d+\.\d\d s", printed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.txt", "script.py"]


def test_the_command_says_that_pytorch_is_missing(monkeypatch):
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install torch"):
        run.main([str(LESSONS["01_tensors"])])
    with pytest.raises(SystemExit, match="no such file"):
        run.main(["nowhere.py"])
