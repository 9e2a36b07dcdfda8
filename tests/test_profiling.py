"""The profiler counts each operation, forward and backward, in every thread, and tells steps from the rest."""

import json
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from gpt.run import Run
from minigrad.__main__ import main
from minigrad.parallel import Way, Workers
from minigrad.watch.flame import REST, STEP, parts, sampled
from minigrad.watch.profile import Profile

ROOT = Path(mg.__file__).parents[1]


def test_calls_seconds_and_bytes_of_each_operation_are_counted():
    layer, x = nn.Linear(3, 4), np.ones((5, 3), np.float32)
    with mg.profile() as watch:
        for _ in range(2):
            layer(mg.tensor(x)).tanh().sum().backward()
    assert {name: row["calls"] for name, row in watch.rows.items()} == {"linear": 2, "tanh": 2, "sum": 2}
    linear = watch.rows["linear"]
    assert linear["forward"] > 0 and linear["backward"] > 0
    assert linear["bytes"] == 2 * 4 * (5 * 4 + 5 * 3 + 4 * 3 + 4)  # y, and the gradients of x, weight, bias
    assert 0 < watch.seconds() <= watch.wall


def test_what_is_not_walked_back_is_of_the_rest():
    layer = nn.Linear(3, 4)
    with mg.profile() as watch:
        for x in (layer(mg.ones(5, 3)), layer(mg.ones(2, 3)), layer(mg.ones(2, 3)).tanh()):
            with mg.no_grad():
                layer(mg.ones(5, 3))
            if x.shape[0] == 2:
                x.sum().backward()
    calls = {"linear": 2, "tanh": 1, "sum": 2}
    assert {name: row["calls"] for name, row in watch.rows.items()} == calls
    assert {name: (row["calls"], row["backward"]) for name, row in watch.rest.items()} == {"linear": (4, 0)}
    assert watch.rest["linear"]["bytes"] == 4 * 4 * 5 * 4
    assert "not walked back" in str(watch)


def test_worker_threads_count_too():
    layer, x = nn.Linear(3, 4), np.ones((6, 3), np.float32)
    workers = Workers(Way(2, 1), 0, lambda x: layer(mg.tensor(x)).sum(), layer.parameters())
    with mg.profile() as watch:
        workers.backward([[x]])
    workers.close()
    assert watch.rows["linear"]["calls"] == 2 and not watch.rest


def test_the_table_has_the_slowest_first_and_the_clock_below():
    with mg.profile() as watch:
        x = mg.randn(300, 300).requires_grad_()
        (x @ x).tanh().sum().backward()
    head, _, *rows, empty, clock = str(watch).splitlines()
    assert head.split()[:3] == ["the", "training", "steps"] and "MiB out" in head and not empty
    totals = [float(row.split()[-4]) + float(row.split()[-3]) for row in rows]  # forward ms, backward ms
    assert totals == pytest.approx(sorted(totals, reverse=True), abs=0.2) and len(rows) == 3
    assert re.match(
        r"[\d.,]+ ms in operations of steps, all threads together; [\d.,]+ ms on the clock", clock
    )


OPERATIONS = """\
the training steps  calls  forward ms  backward ms  share  MiB out
------------------  -----  ----------  -----------  -----  -------
matmul                  3       250.0        500.0  75.0%      3.0
add                    12       125.0        125.0  25.0%      0.5

not walked back  calls  forward ms  backward ms   share  MiB out
---------------  -----  ----------  -----------  ------  -------
exp                  1       500.0          0.0  100.0%      0.0"""
PROGRAM = """\
the training steps         calls  forward ms  backward ms  share  MiB out
-------------------------  -----  ----------  -----------  -----  -------
Python between operations            1,500.0          0.0  60.0%      0.0
matmul                         3       250.0        500.0  30.0%      3.0
add                           12       125.0        125.0  10.0%      0.5

the rest of the program       ms  share
-----------------------  -------  -----
all else                 1,500.0  75.0%
checkpoint                 500.0  25.0%

1,000.0 ms in operations of steps, all threads together; 4,000.0 ms on the clock"""


def test_the_tables_letter_for_letter():
    watch, matmul, add = Profile(), {"calls": 3, "bytes": 3 * 2**20}, {"calls": 12, "bytes": 2**19}
    watch._add(watch.rows, "add", **add, forward=0.125, backward=0.125)
    watch._add(watch.rows, "matmul", **matmul, forward=0.125)
    watch._add(watch.rows, "matmul", forward=0.125, backward=0.5)
    watch._add(watch.rest, "exp", calls=1, forward=0.5)
    assert str(watch) == OPERATIONS and watch.seconds() == 1
    watch.stacks, watch.wall = {("advance",): 2.5, ("save",): 0.5, ("x",): 1.5}, 4.0
    assert str(watch) == PROGRAM
    watch.stacks = {("advance",): 0.5}  # less than the operations took, as the looks are few
    assert "Python between operations                0.0          0.0   0.0%" in str(watch)
    empty = Profile()
    empty.rows["add"] = {"calls": 1, "forward": 0.0, "backward": 0.0, "bytes": 0}
    assert str(Profile()) == "" and "0.0%" in str(empty)


def test_a_graph_walked_twice_ran_forward_once_and_what_is_no_operation_is_python():
    with mg.profile() as watch:
        y = mg.ones(3).requires_grad_().exp().sum()
        y.backward(retain_graph=True)
        y.backward()
    assert {name: row["calls"] for name, row in watch.rows.items()} == {"exp": 1, "sum": 1} and not watch.rest
    watch.stacks = {("advance",): 0.1 + watch.seconds()}
    assert re.search(r"Python between operations +100\.0 ", str(watch))


def test_without_training_the_operations_are_listed_all_the_same():
    with mg.profile() as watch:
        mg.ones(3).exp()
    watch.stacks = {("main",): 1.0}
    assert re.search(
        r"not walked back.*\n.*\nexp +1 .*\n\nthe rest of the program.*\n.*\nall else", str(watch)
    )


def test_what_a_program_does_is_told_apart_by_the_functions_that_run():
    loop = ("__main__.main", "gpt.train.train")
    stacks = {
        (*loop, "gpt.train.advance", "nn.optim.optimizer.Optimizer.step"): 1.0,
        (*loop, "gpt.train.advance", "gpt.run.Run.batch", "gpt.data.Corpus.batch"): 2.0,
        (*loop, "gpt.train.advance", "Workers.backward", "nn.block.MLP.forward"): 4.0,
        (*loop, "gpt.train.advance", "gpt.train.training_step", "minigrad.tape.backward"): 8.0,
        (*loop, "gpt.train.advance", "nn.optim.clipping.clip_grad_norm_"): 16.0,
        (*loop, "gpt.train.evaluate", "gpt.run.Run.batch"): 32.0,
        (*loop, "gpt.run.Run.save"): 64.0,
        ("__main__.main", "gpt.generate.generate", "_find_and_load", "x"): 128.0,
        ("__main__.<module>", "importlib._find_and_load", "nn.<module>"): 256.0,
        loop: 512.0,
        (): 1024.0,
    }
    step, rest = parts(stacks)
    assert step == {"optimiser": 1, "data": 2, "": 12, "clipping": 16}
    assert rest == {"evaluation": 32, "checkpoint": 64, "sampling": 128, "import": 256, "all else": 1536}
    watch = Profile()
    watch.stacks = stacks
    assert re.search(r"Python between operations +12,000.0 .* 38.7%", str(watch))
    assert re.search(r"all else +1,536,000.0  76.2%", str(watch))


def test_the_names_by_which_parts_are_told_apart_are_those_of_functions():
    named = {
        name for path in ROOT.glob("[mng]*/**/*.py") for name in re.findall(r"def (\w+)\(", path.read_text())
    }
    assert {*STEP, *REST} - named == {"_find_and_load", "estimate_loss"}  # Python's and nanoGPT's


def test_a_program_is_seen_as_it_runs_until_the_end_and_no_longer(monkeypatch):
    before = signal.getsignal(signal.SIGALRM)

    def busy(seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    def both():
        busy(0.03)
        time.sleep(0.03)  # goes on after each look

    began = time.perf_counter()
    with sampled() as stacks:
        both()
    took = time.perf_counter() - began
    assert 0.03 < sum(stacks.values()) < took
    assert all(any(name.endswith(".both") for name in names) for names in stacks if "sleep" in str(names))
    assert any(names[-1].endswith("busy") and names[-2].endswith("both") for names in stacks)
    assert signal.getsignal(signal.SIGALRM) == before and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    monkeypatch.delattr(signal, "setitimer")  # as on Windows
    with sampled() as stacks:
        busy(0.005)
    assert stacks == {}


def test_the_help_of_the_command_says_what_to_write(capsys):
    with pytest.raises(SystemExit):
        main(["profile", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith(
        "usage: python -m minigrad profile [--html FILE] -- module [argument ...] Run a module"
    )
    assert "--html FILE draw a flame picture" in text and "gpt train --max_iters 20" in text


@pytest.mark.parametrize(
    ("last", "status"),
    [("", 0), ("raise SystemExit", 0), ("raise SystemExit(3)", 3), ("raise SystemExit('no')", 1)],
)
def test_the_command_ends_as_the_program_ends(tmp_path, capsys, monkeypatch, last, status):
    program = "import sys, __main__\nif __name__ == '__main__':\n    mark = 1\n    print(sys.argv[1:], __main__.mark)\n"
    (tmp_path / "a_program_of_ours.py").write_text(program + last)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", sys.argv)
    assert main(["profile", "--", "a_program_of_ours", "a", "--b"]) == status
    assert capsys.readouterr().out.startswith("['a', '--b'] 1\n") and not [*tmp_path.glob("*.html")]


@pytest.mark.parametrize(
    ("program", "got"), [([], "nothing"), (["no_program_of_ours", "a"], "no_program_of_ours a")]
)
def test_a_program_that_is_not_there_gets_one_line(capsys, program, got):
    assert main(["profile", "--", *program]) == 2
    assert capsys.readouterr().err.strip().endswith(f"expected the name of a module; got {got}")


def test_the_command_profiles_training_and_draws_its_flame(tmp_path, capsys, monkeypatch):
    data = tmp_path / "text.txt"
    data.write_text("to be or not to be, that is the question. " * 20)
    settings = f"--data {data} --out {tmp_path / 'out'} --max_iters 3 --eval_iters 1 --n_layer 1 --n_embd 8 --n_head 1"
    program = f"gpt train {settings} --block_size 8 --workers 1"
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.delitem(sys.modules, "gpt.__main__", raising=False)  # or runpy warns
    monkeypatch.setattr(Run.sample, "__defaults__", (8,))  # characters, for speed
    monkeypatch.setattr("gpt.train.save_loss_curve", lambda *_: None)
    assert main(["profile", "--html", str(tmp_path / "flame.html"), "--", *program.split()]) == 0
    steps, rest, _ = capsys.readouterr().out.partition("the training steps")[2].split("\n\n")
    rows = {line.split()[0]: line.split()[1] for line in steps.splitlines()[2:]}
    assert rows["nll"] == "3" and rows["linear"] == "15" and "softmax" not in rows
    assert "the rest of the program" in rest and "evaluation" in rest
    page = (tmp_path / "flame.html").read_text()
    stacks = json.loads(re.search(r"const facts = (.*), main", page)[1])["stacks"]
    trained = [names for names, _ in stacks if "gpt.train.train" in names]
    assert trained and {names[0] for names in trained} == {"__main__.<module>"} and "src=" not in page
