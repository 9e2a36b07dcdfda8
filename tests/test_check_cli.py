"""python -m minigrad check."""

import importlib.util
import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from minigrad import __main__ as cli
from nn.check import catalogue, command
from nn.check.agreement import Result, check_entry
from nn.check.catalogue import Entry, entries
from tests.faults.planted import faults
from tests.support import foreign

MINE = """
import numpy as np
import nn

def norm(x, weight):
    centred = x - x.mean(-1, keepdims=True)
    return centred / ((centred * centred).mean(-1, keepdims=True) + 1e-5).sqrt() * weight

def wrong(x, weight):
    return x * weight, lambda dout: (dout * weight, (dout * x)[0])

def infinite(x):
    return x, lambda dout: (dout * np.inf,)

def log(x):
    return x.log()

def broken(x):
    raise RuntimeError("two\\nlines")

class Needy(nn.Linear):
    pass

class Layer(nn.Linear):
    def __init__(self):
        super().__init__(8, 3)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "my_functions.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_functions", None)


def run(capsys, *argv):
    code = cli.main(["check", *argv])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_every_name_in_the_catalogue_is_there_once_and_covers_the_layers():
    names = [entry.name for entry in entries()]
    assert len(names) == len(set(names)) >= 80
    layers = {
        "Linear",
        "Embedding",
        "LayerNorm",
        "BatchNorm1d",
        "MultiheadAttention",
        "TransformerDecoderLayer",
    }
    assert layers <= set(names)


def test_the_table_in_the_readme_has_a_line_for_each_entry():
    lines = (Path(catalogue.__file__).parent / "README.md").read_text().splitlines()
    names = [entry.name for entry in entries()]
    assert [line.split("|")[1].strip() for line in lines if line.endswith("right |")] == names
    assert f"{len(names)} of {len(names)} right; 3 samples each, seed 0" in "\n".join(lines)


def test_attention_alone_is_checked_and_the_table_is_printed(capsys):
    code, out, _ = run(capsys, "--only", "attention, c")
    assert code == 0 and "attention, causal" in out and "1 of 1 right; 3 samples each, seed 0" in out


def test_the_markdown_table_has_one_row_per_entry(capsys):
    code, out, _ = run(capsys, "--only", "einsum", "--markdown")
    head, rule, row, *_ = out.splitlines()
    assert code == 0 and head.count("|") == rule.count("|") == row.count("|") == 10
    assert "einsum" in row and "right" in row


def test_the_table_fits_100_columns_and_wide_adds_the_shapes():
    numbers = dict.fromkeys(("value", "gradient", "gradient_torch", "second", "ulp", "ulp_torch"), 1.23e-10)
    results = [Result(entry.name, ["(3, 4); (4,)"], **numbers) for entry in entries()]
    wide, narrow = (command._table(results, Namespace(wide=wide, markdown=False)) for wide in (True, False))
    assert max(map(len, narrow.splitlines())) <= 100
    assert wide.count("(3, 4); (4,)") == len(results) and "(3, 4)" not in narrow


def test_every_column_of_the_table_stands_under_its_name():
    columns = ("value", "gradient", "gradient_torch", "second", "ulp", "ulp_torch")
    result = Result("x", ["()"], **{name: i + 1.0 for i, name in enumerate(columns)})
    narrow = command._table([result], Namespace(wide=False, markdown=False)).splitlines()[2].split()
    wide = command._table([result], Namespace(wide=True, markdown=False)).splitlines()[2].split()
    assert narrow == ["x", "1", "3", "2", "4", "6", "5", "right"]
    assert wide == ["x", "()", "1", "2", "3", "4", "5", "6", "right"]


def test_pytorch_has_a_counterpart_of_every_entry():
    assert [entry.name for entry in entries() if entry.against is None] == []


def test_json_holds_the_errors_and_null_for_what_was_not_measured(capsys):
    code, out, _ = run(capsys, "--only", "gather", "--json", "--seed", "3")
    found = json.loads(out)
    (row,) = found["results"]
    assert code == 0 and found["ok"] and found["seed"] == 3
    assert row["gradient"] < 1e-9 and row["second"] is None and len(row["shapes"]) == 3


def test_deep_takes_ten_times_the_samples(capsys):
    _, out, _ = run(capsys, "--only", "reshape", "--deep", "--json")
    assert len(json.loads(out)["results"][0]["shapes"]) == 30


def test_a_wrong_operation_in_the_catalogue_fails_with_its_report(capsys, monkeypatch):
    fault = next(f for f in faults() if f.name == "gelu: factor 1.001")
    monkeypatch.setattr(command, "entries", lambda: [Entry("planted", fault.fn, None, ("bc",), second=False)])
    code, out, _ = run(capsys)
    assert "gradcheck: planted (minigrad, float64): WRONG" in out
    assert code == 1 and "WRONG" in out and "1.001 times what it should be" in out and "0 of 1 right" in out


def test_without_torch_the_differences_remain(capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    code, out, _ = run(capsys, "--only", "tanh")
    assert code == 0 and "PyTorch is not installed" in out


def test_a_users_function_is_checked_and_compared_with_torch(capsys, mine):
    against = "torch:torch.nn.functional.layer_norm"
    code, out, _ = run(capsys, "my_functions:norm", "--shapes", "4,8;8", "--against", against)
    assert (
        code == 0
        and "gradcheck: norm" in out
        and "compare: norm (minigrad) and layer_norm (torch): agree" in out
    )


def test_a_users_wrong_backward_gives_exit_code_1_and_its_diagnosis(capsys, mine):
    code, out, _ = run(capsys, "my_functions:wrong", "--shapes", "4,8;8")
    assert code == 1 and "input 1: missing sum" in out
    code, out, _ = run(capsys, "my_functions:wrong", "--shapes", "4,8;8", "--json")
    assert code == 1 and json.loads(out)["findings"][0]["kind"] == "missing sum"


def test_positive_inputs_are_drawn_for_what_takes_no_others(capsys, mine):
    code, out, _ = run(capsys, "my_functions:log", "--shapes", "9", "--values", "positive")
    assert code == 0 and "gradcheck: log" in out


def test_a_users_module_is_made_and_checked(capsys, mine):
    code, out, _ = run(capsys, "my_functions:Layer", "--shapes", "2,8")
    assert code == 0 and "weight" in out and "bias" in out


def test_a_users_table_is_in_markdown_too(capsys, mine):
    against = "torch:torch.nn.functional.layer_norm"
    flags = ["--shapes", "4,8;8", "--against", against, "--markdown"]
    code, out, _ = run(capsys, "my_functions:norm", *flags)
    tables = [[line for line in part.splitlines() if line] for part in out.split("\n\n")]
    assert code == 0 and [len(table) for table in tables] == [1, 4, 1, 8]
    assert all(line.count("|") == 7 for line in tables[1] + tables[3])
    code, out, _ = run(capsys, "my_functions:wrong", "--shapes", "4,8;8", "--markdown")
    assert code == 1 and "missing sum" in out.splitlines()[-1]


def test_the_json_of_a_user_function_is_json(capsys, mine):
    def refuse(constant):
        raise ValueError(constant)

    code, out, _ = run(capsys, "my_functions:infinite", "--shapes", "3", "--json")
    assert code == 1 and not json.loads(out, parse_constant=refuse)["ok"]


def test_without_torch_a_comparison_with_it_says_what_to_install(capsys, mine, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = run(capsys, "my_functions:norm", "--shapes", "4,8;8", "--against", "torch:torch.tanh")
    assert code == 2 and "install it with: pip install torch" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["my_functions:norm", "--shapes", "-1,2"], "expected lengths like \"4,8;8\"; got '-1,2'"),
        (["--seed", "-1"], "argument --seed: expected a whole number of 0 or more; got '-1'"),
        (
            ["math:sin", "--shapes", "3"],
            "math:sin: expected a function that takes Tensors (3,); got InvalidValue from a call with them: item:",
        ),
        (["my_functions:norm", "--shapes", "3"], "missing 1 required positional argument: 'weight'"),
        (["my_functions:broken", "--shapes", "3"], "RuntimeError from a call with them: two lines ("),
        (["my_functions:Needy", "--shapes", "3"], "expected a Module made without arguments, or an inst"),
        (["./my_functions.py:norm", "--shapes", "3"], 'expected "package.module:function"; got \'./my'),
        (["my_functions:log", "--shapes", "9"], "a call with the drawn inputs; got NaN; --values positive"),
        (["--values", "positive"], "--values goes with a function, package.module:function"),
        (["--shapes", "3"], "--shapes goes with a function, package.module:function"),
        (["my_functions:norm", "--shapes", "3", "--only", "x"], "--only goes without a function"),
        (["my_functions:norm"], 'expected --shapes, like "4,8;8"'),
        (["my_functions:norm", "--shapes", "4,x"], "expected lengths like \"4,8;8\"; got '4,x'"),
        (["my_functions:nothing", "--shapes", "4"], "has no attribute 'nothing'"),
        (["no_such_module:f", "--shapes", "4"], "No module named 'no_such_module'"),
        (["norm", "--shapes", "4"], "expected \"package.module:function\"; got 'norm'"),
        (
            ["my_functions:norm", "--shapes", "4,8;7"],
            "expected shapes that fit together; got (4, 8) and (7,)",
        ),
        (["--only", "nonsense"], "nothing in the catalogue has 'nonsense' in its name"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, mine, argv, message):
    try:
        code, out, err = run(capsys, *argv)
    except SystemExit as stop:  # argparse's way
        code, (out, err) = stop.code, capsys.readouterr()
    assert code == 2 and not out and message in err and err.count("\n") == 1


def test_a_profile_is_the_table_of_a_module_and_its_exit_code(capsys, tmp_path, monkeypatch):
    program = "import sys, minigrad\n(minigrad.ones(3) * 2).exp()\nsys.exit(len(sys.argv))"
    (tmp_path / "my_program.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    assert cli.main(["profile", "--", "my_program", "--flag"]) == 2
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["scale", "1"] in rows and ["exp", "1"] in rows
    assert cli.main(["profile", "--", "no_such_program"]) == 2
    assert capsys.readouterr().err == (
        "python -m minigrad profile: expected the name of a module; got no_such_program\n"
    )


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_cuda_without_cupy_says_what_to_install(capsys):
    code, _, err = run(capsys, "--device", "cuda")
    assert code == 2 and 'pip install -e ".[cuda]"' in err


def test_ctrl_c_ends_the_check_with_one_word(capsys, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "entries", interrupted)
    assert run(capsys) == (130, "", "\nstopped\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE; a closed pipe differs there")
def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "minigrad", "check", "--only", "negative"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert (process.wait(timeout=60), process.stderr.read()) == (0, "")
    process.stderr.close()


def test_the_command_runs_as_a_program():
    command = [sys.executable, "-m", "minigrad", "check", "--only", "negative"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "1 of 1 right" in done.stdout
    assert subprocess.run([*command[:3], "chek"], capture_output=True, timeout=60).returncode == 2


def test_modules_of_the_callers_folder_are_his_and_ours_are_ours(mine, tmp_path):
    (tmp_path / "nn.py").write_text("raise SystemExit('not this one')")
    command = [sys.executable, "-m", "minigrad", "check", "my_functions:norm", "--shapes", "4,8;8"]
    places = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=places)
    assert done.returncode == 0 and done.stdout.startswith("gradcheck: norm"), done.stderr


def test_an_error_of_the_users_own_names_its_line_and_is_code_2(capsys, mine, tmp_path):
    (tmp_path / "my_mistake.py").write_text("\ndef divide():\n    return 1 / 0\n\ndivide()\n")
    code, out, err = run(capsys, "my_mistake:divide", "--shapes", "3")
    assert (code, out) == (2, "")
    assert err.startswith("python -m minigrad: ZeroDivisionError: division by zero (")
    assert err.endswith("my_mistake.py, line 3)\n")


def test_without_a_command_the_usage_says_that_there_must_be_one(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    expected = (
        "python -m minigrad: the following arguments are required: command; see python -m minigrad --help\n"
    )
    assert stop.value.code == 2 and capsys.readouterr().err == expected
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert "usage: python -m minigrad [-h] command ..." in text
    assert all(f"\n    {name} " in text for name in ("check", "profile", "run"))


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_the_catalogue_is_right_on_another_device(entry, monkeypatch):
    foreign.install(monkeypatch)
    result = check_entry(entry, 1, 0, device="cuda")
    assert result.ok, result.failures
