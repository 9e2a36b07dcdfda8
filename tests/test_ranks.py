"""Several processes that MPI joins train as one does, and end as one does, whatever happens to one of them."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from gpt import checkpoint
from gpt.config import TrainConfig
from gpt.folder import claimed
from gpt.run import Run
from minigrad.parallel.ranks import become, mpiexec
from tests.support.in_ranks import CASES, fifty_steps

ROOT = Path(__file__).parents[1]
SIZES = ["--block_size=8", "--n_layer=1", "--n_head=2", "--n_embd=8", "--dropout=0.1", "--batch_size=3"]
QUICK = [*SIZES, "--eval_iters=1", "--sample_interval=0", "--data=text.txt"]
ENDLESS = [*QUICK, "--max_iters=1000000", "--lr_decay_iters=1000", "--eval_interval=20"]
GPT = ["-m", "gpt"]

pytestmark = pytest.mark.skipif(
    not find_spec("mpi4py"), reason="mpi4py is not here: pip install mpi4py mpich"
)


def start(ranks, *arguments, **options):
    """Start python with these arguments in so many ranks; 0 for a process alone. Without pictures, which take long."""
    Path("without").mkdir(exist_ok=True)
    Path("without/matplotlib.py").write_text("raise ModuleNotFoundError")
    path = os.pathsep.join([str(ROOT), "without"])
    environment = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    streams["env"] = environment | options.get("env", {})
    return subprocess.Popen([*(mpiexec(ranks) if ranks else ()), sys.executable, *arguments], **streams)


def ended(process):
    """Wait for the end; return its exit code, and what it said on standard error but for progress."""
    _, said = process.communicate(timeout=100)
    return process.returncode, [x for x in said.splitlines() if x and "step/s" not in x and "step]" not in x]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a text, to work in."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 20, encoding="utf-8")
    return tmp_path


# ---- the same numbers ----


@pytest.fixture(scope="module")
def alone():
    """The losses and the weights of each case in one process."""
    return {name: fifty_steps(*case) for name, case in CASES.items()}


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_ranks_learn_what_one_process_learns_and_stay_equal_bit_for_bit(here, alone, ranks):
    code, said = ended(start(ranks, "-m", "tests.support.in_ranks", "found.json"))
    assert code == 0, said
    every = json.loads(Path("found.json").read_text())
    assert every.pop("reached") == [[0.5, 1], [-1.5, 2], None]
    assert every.pop("begun") == [0.0, [[0.0] * 3] * 2]
    for name, found in every.items():
        losses, weights = alone[name]
        np.testing.assert_allclose(found["losses"], losses, rtol=1e-12, atol=0, err_msg=name)
        np.testing.assert_allclose(found["weights"], weights, rtol=0, atol=1e-12, err_msg=name)
        assert len(found["hashes"]) == ranks and len(set(found["hashes"])) == 1, name


@pytest.mark.parametrize(
    ("parts", "whole", "exact"),  # ranks, and up to which step; to rounding, or bit for bit
    [([(2, 4), (3, 8), (1, 12)], [(0, 12)], False), ([(2, 4), (2, 12)], [(2, 12)], True)],
)
def test_any_number_of_ranks_goes_on_from_any_checkpoint(here, parts, whole, exact):
    for out, runs in (("parts", parts), ("whole", whole)):
        for ranks, last in runs:
            go_on = [] if Path(out).exists() else [*QUICK, "--lr_decay_iters=12", "--warmup_iters=2"]
            begin = ["train", "--out", out, f"--max_iters={last}", *(go_on or ["--resume"])]
            assert ended(start(ranks, *GPT, *begin))[0] == 0
    found, wanted = (checkpoint.load(f"{out}/checkpoint.npz")[1] for out in ("parts", "whole"))
    rtol = 0 if exact else 1e-5
    np.testing.assert_allclose(found["losses"], wanted["losses"], rtol=rtol)
    np.testing.assert_allclose(found["evaluations"][-1], wanted["evaluations"][-1], rtol=rtol)
    for name, values in wanted["model"].items():
        np.testing.assert_allclose(found["model"][name], values, rtol=0, atol=0 if exact else 1e-4)


# ---- the same end ----

FAULTY = """
import os, signal, sys
from gpt import train as training
from gpt.__main__ import main
from minigrad.parallel import rank, together

def fault(run):
    if run.step == 25 and rank() == 1:
        {fault}
    return advance(run)

advance, training.advance = training.advance, fault
sys.exit(together(main))
"""
FAULTS = {  # what happens in rank 1: the exit code of all, and what is said
    "raise ZeroDivisionError('in one rank')": (1, "ZeroDivisionError: in one rank"),
    "raise ValueError('a mistake')": (2, "python -m gpt train: a mistake"),
    "sys.exit(5)": (5, "rank 1 ends, and all with it; it said at last:"),
    "sys.exit(0)": (1, "rank 1 ends, and all with it; it said at last:"),
    "sys.exit('no more')": (1, "stopped at once: no more; the checkpoint is whole"),
    "os._exit(7)": (7, ""),
    "os.kill(os.getpid(), signal.SIGKILL)": (9, ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_ends_one_rank_ends_all_with_its_words_and_the_last_checkpoint_whole(here, fault):
    began = time.monotonic()
    code, said = ended(start(2, "-c", FAULTY.replace("{fault}", fault), "train", *ENDLESS))
    assert time.monotonic() - began < 60  # not for ever
    wanted, words = FAULTS[fault]
    assert code == wanted and [line for line in [*said, ""] if line.startswith(words)], said
    info, arrays = checkpoint.load("out/checkpoint.npz")
    assert info["step"] == len(arrays["losses"]) == 20


def test_rank_0_that_fails_has_the_last_word(here):
    """MPI's own words of it would follow, and be taken for the cause."""
    fault = FAULTY.replace("rank() == 1", "rank() == 0").replace("{fault}", "raise ValueError('a mistake')")
    code, said = ended(start(2, "-c", fault, "train", *ENDLESS))
    assert code == 2 and said[-1].startswith("python -m gpt train: a mistake"), said


BEFORE = """
import os, sys, tempfile
from gpt.__main__ import main
from minigrad.parallel import ranks

ranks.START = 1
if os.environ["PMI_RANK"] == "1":
    {fault}
sys.exit(ranks.together(main))
"""


@pytest.mark.parametrize("fault", ["sys.exit('not here')", "tempfile.TemporaryFile = None", "os.abort()"])
def test_a_rank_that_ends_before_all_have_begun_ends_all(here, fault):
    """As where a package is missing on one of the machines, or a folder for what it says."""
    code, said = ended(start(2, "-c", BEFORE.replace("{fault}", fault), "train", *ENDLESS))
    assert code != 0 and ("not here" in said) == ("not here" in fault), said
    assert not Path("out/checkpoint.npz").exists()


ENDS = {
    "None": (0, []),
    "sys.exit()": (0, []),
    "sys.exit(4)": (4, []),
    "sys.exit('no more')": (1, ["no more"]),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_of_all_is_that_of_one_program_however_long_rank_0_takes(here, end):
    program = """
import sys, time
from minigrad.parallel import ranks

def main():
    time.sleep(0 if ranks.rank() else 0.4)
    return {end}

ranks.PATIENCE = 60 if {patient} else 0.1
sys.exit(ranks.together(main))
"""
    patient = str("exit" in end)  # who leaves while others go on ends them
    assert ended(start(2, "-c", program.replace("{end}", end).replace("{patient}", patient))) == ENDS[end]


def test_ranks_of_machines_with_few_and_many_cores_take_as_many_threads(here):
    """With others the norm that clips would be rounded otherwise, and their weights would drift apart."""
    told = """
import json
from minigrad.parallel import choice, ranks
choice.available = lambda: {*range(3)} if os.environ["PMI_RANK"] == "0" else {*range(3, 8)}
found = ranks.world().gather(choice.cores())
if ranks.rank() == 0:
    print(json.dumps(found))
"""
    assert json.loads(start(2, "-c", "import os" + told).communicate(timeout=100)[0]) == [3, 3]


def test_a_signal_to_one_rank_stops_all_after_the_step(here):
    code, said = ended(
        start(2, "-c", FAULTY.replace("{fault}", "os.kill(os.getpid(), signal.SIGTERM)"), "train", *ENDLESS)
    )
    assert code == 143 and said[-2].startswith("stopped after step 26; the checkpoint is whole"), said
    assert checkpoint.load("out/checkpoint.npz", arrays=False)[0]["step"] == 26


def interrupted(how):
    """Start two ranks at a terminal, do `how(process, terminal)` after step 20; return the exit code, what was shown."""
    terminal, theirs = pty.openpty()
    options = {name: theirs for name in ("stdin", "stdout", "stderr")}
    process = start(
        2, *GPT, "train", *ENDLESS, start_new_session=True, preexec_fn=lambda: os.login_tty(0), **options
    )
    os.close(theirs)
    shown = b""
    while piece := read(terminal):
        before, shown = shown, shown + piece
        if b"step     20" in shown and b"step     20" not in before:
            how(process, terminal)
    os.close(terminal)
    return process.wait(100), shown.decode()


def read(terminal):
    """What a terminal shows next; nothing when the last process has left it."""
    try:
        return os.read(terminal, 10_000)
    except OSError:
        return b""


INTERRUPTIONS = {
    "Ctrl-C": (lambda process, terminal: os.write(terminal, b"\x03"), 130),
    "SIGTERM": (lambda process, terminal: process.send_signal(signal.SIGTERM), 143),
}


@pytest.mark.parametrize("name", INTERRUPTIONS)
def test_an_interruption_stops_all_after_the_same_step(here, name):
    how, wanted = INTERRUPTIONS[name]
    code, shown = interrupted(how)
    assert code == wanted, shown
    step = checkpoint.load("out/checkpoint.npz", arrays=False)[0]["step"]
    assert step >= 20 and f"stopped after step {step:,}; the checkpoint is whole: out/checkpoint.npz" in shown
    assert shown.count("stopped after") == 1 and "Traceback" not in shown


ACCIDENTS = {
    "its terminal closes": (lambda process: process.send_signal(signal.SIGHUP), [-1]),
    "it is killed": (lambda process: process.kill(), [-9]),
    "nobody reads": (lambda process: process.stdout.close(), [-13, 255]),
}


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_mpiexec_takes_its_ranks_with_it_and_the_last_checkpoint_is_whole(here, accident):
    how, codes = ACCIDENTS[accident]
    process = start(2, *GPT, "train", *ENDLESS, stderr=subprocess.DEVNULL)
    while not process.stdout.readline().startswith("step     20"):
        assert process.poll() is None
    with process.stdout:
        how(process)
        assert process.wait(100) in codes
    info, arrays = checkpoint.load("out/checkpoint.npz")
    assert info["step"] == len(arrays["losses"]) and info["step"] % 20 == 0
    for again in reversed(range(1000)):
        try:
            with claimed("out"):  # when rank 0 is gone
                break
        except ValueError:
            assert again
            time.sleep(0.01)


# ---- refused ----


@pytest.mark.parametrize(
    ("ranks", "arguments", "line"),
    [
        (2, ["train", "--max-iters", "3"], "python -m gpt train: unrecognized arguments: --max-iters"),
        (2, ["train", "--data", "nowhere"], "python -m gpt train: data: "),
        (2, ["sample"], "python -m gpt: expected mpiexec to start 2 processes that train; got sample"),
        (
            2,
            ["train", "--ranks", "3"],
            "python -m gpt train: --ranks: expected 2, as mpiexec has started; got 3",
        ),
    ],
)
def test_a_mistake_of_all_ranks_is_one_line(here, ranks, arguments, line):
    code, said = ended(start(ranks, *GPT, *arguments))
    assert code == 2 and [x for x in said if not x.endswith(" ...")][0].startswith(line), said
    assert len([x for x in said if not x.endswith(" ...")]) == 1, said


@pytest.mark.parametrize(
    ("told", "missing", "line"),
    [
        (
            {"PMI_SIZE": "2"},
            True,
            "mpiexec: 2 processes need MPI (No module named 'mpi4py'); pip install -e '.[mpi]'",
        ),
        ({"OMPI_COMM_WORLD_SIZE": "3", "PMI_SIZE": "1"}, False, "mpiexec: expected that of mpi4py's MPI ("),
        ({"SLURM_STEP_NUM_TASKS": "4"}, False, "mpiexec: expected that of mpi4py's MPI ("),
    ],
)
def test_processes_that_cannot_find_each_other_are_refused(here, told, missing, line):
    """They would train alone, and write the same files."""
    if missing:
        Path("without").mkdir()
        Path("without/mpi4py.py").write_text("raise ModuleNotFoundError(\"No module named 'mpi4py'\")")
    code, said = ended(start(0, *GPT, "train", *QUICK, env=told))
    assert code == 2 and len(said) == 1 and said[0].startswith(line), said
    assert not Path("out").exists()


@pytest.mark.parametrize("other", [["--seed=7"], ["--max_iters=30"], ["--n_embd=16"], ["--data=other.txt"]])
def test_ranks_that_would_learn_different_things_are_refused(here, other):
    Path("other.txt").write_text(Path("text.txt").read_text() + "Again.\n", encoding="utf-8")
    same = [sys.executable, *GPT, "train", *QUICK, "--max_iters=2"]
    code, said = ended(start(1, *same[1:], ":", "-n", "1", *same, *other))
    line = "python -m gpt train: ranks: expected settings, text and checkpoint of rank 0 in all; got others in [1]"
    assert code == 2 and said[-1] == line, said


def test_a_program_whose_failure_would_leave_the_others_waiting_is_refused(here):
    program = "from gpt.__main__ import main; import sys; sys.exit(main())"
    code, said = ended(start(2, "-c", program, "train", *QUICK))
    line = "train: ranks: expected a program that runs in parallel.together(main); got one that does not"
    assert code == 2 and [x for x in said if not x.endswith(" ...")] == [f"python -m gpt {line}"] * 2


def test_ranks_are_started_by_a_flag(here):
    out = start(0, *GPT, "train", *QUICK, "--max_iters=1", "--ranks", "2").communicate(timeout=100)[0]
    assert "cores: 2 ranks" in out and "validation loss" in out


def test_without_mpiexec_the_flag_says_what_to_install(here, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(here / "python"))
    monkeypatch.setenv("PATH", str(here))
    with pytest.raises(
        ImportError, match=r"--ranks needs mpiexec; install it with: pip install -e '.\[mpi\]'"
    ):
        mpiexec(2)


def test_ranks_on_gpus_are_refused_before_what_a_gpu_needs_is_missed(monkeypatch):
    """MPI adds up what lies in the memory of processors."""
    monkeypatch.setattr("gpt.start.world_size", lambda: 2)
    with pytest.raises(ValueError, match="--device: expected cpu for 2 ranks, .*; got cuda"):
        Run.new(TrainConfig("text.txt", device="cuda"))


def test_a_profilers_clock_does_not_end_mpiexec(monkeypatch):
    """It would go on in the program that this one becomes, which does not know its signal."""
    left = []
    monkeypatch.setattr(os, "execv", lambda *_: left.append(signal.getitimer(signal.ITIMER_REAL)))
    signal.setitimer(signal.ITIMER_REAL, 1000.0, 1000.0)
    try:
        become(2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert left == [(0.0, 0.0)]
