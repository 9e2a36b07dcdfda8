"""Whatever ends a run, or is in its way: what was saved is whole, what is lost is said, and it goes on bit for bit.

Everything here happens to processes of `python -m gpt`.
"""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpt import checkpoint
from gpt.__main__ import main
from gpt.commands.train import _say_how_to_go_on
from gpt.config import TrainConfig
from gpt.folder import claimed
from gpt.run import Run
from gpt.tokens import Bytes
from gpt.train import train
from minigrad.parallel import Way

ROOT = Path(__file__).parent.parent
SIZES = {"block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8, "dropout": 0.1}
TINY = [f"--{name}={value}" for name, value in SIZES.items()] + ["--batch_size=2", "--eval_iters=1"]
ENDLESS = ["--resume", "--max_iters", "1000000", "--eval_interval", "20"]

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has other signals")


def prepared(folder):
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 20, encoding="utf-8")
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        run = Run.new(
            TrainConfig("text.txt", max_iters=3, lr_decay_iters=1000, batch_size=2, eval_iters=1), **SIZES
        )
        run.spread(Way(1, 1))
        with run:
            train(run)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder with text.txt and, in out/, a run of three steps in one thread: one that goes on."""
    return prepared(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def here(alone, tmp_path, monkeypatch):
    """A copy of that folder, to work in."""
    shutil.copytree(alone, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def uninterrupted(alone):
    """The losses that the run has if nothing happens to it, as far as they are asked for."""
    with contextlib.chdir(alone):
        run, losses = Run.resume("out"), []
    from gpt.train import advance

    def until(step):
        while run.step < step:
            advance(run)
        losses[:] = run.losses
        return losses[:step]

    return until


def start(*arguments, module="gpt", pictures=False, **options):
    """Start python -m gpt in the working folder; without pictures, as if matplotlib were not there, which is quick."""
    Path("without").mkdir(exist_ok=True)
    Path("without/matplotlib.py").write_text("raise ModuleNotFoundError")
    path = os.pathsep.join([str(ROOT), *([] if pictures else ["without"])])
    environment = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    streams["env"] = environment | options.get("env", {})
    return subprocess.Popen([sys.executable, "-m", module, *arguments], **streams)


def until_it_steps(process):
    """Wait for a step after the ones it began with; its evaluation is a line."""
    for line in process.stdout:
        if line.startswith("step ") and not line.startswith("step      0"):
            return process
    raise AssertionError(process.stderr.read())


def ended(process):
    """Wait for the end; return its exit code and what it said on standard error, the progress bar aside."""
    out, said = process.communicate(timeout=100)
    assert "Traceback" not in said + (out or ""), said
    return process.returncode, [
        line for line in said.splitlines() if line and "step/s" not in line and "step]" not in line
    ]


def driven(*arguments):
    return ended(start(*arguments, module="tests.accidents.driver"))


def assert_goes_on(uninterrupted, least=3):
    """The checkpoint is whole, nothing is left beside it, and what follows equals the run without the accident."""
    assert not [name for name in os.listdir("out") if name.endswith(".unfinished")]
    run = Run.resume("out")
    assert run.step >= least
    assert run.losses == uninterrupted(run.step)
    return run.step


# ---- killed ----


@pytest.mark.parametrize("moment", [0.0, 0.013])
def test_a_run_that_is_killed_goes_on_from_its_last_checkpoint(here, uninterrupted, moment):
    process = until_it_steps(start("train", *ENDLESS))
    time.sleep(moment)
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL
    for left in Path("out").glob("*.unfinished"):
        left.unlink()  # the next run would
    step = assert_goes_on(uninterrupted, 20)
    Path("out", "checkpoint.npz.1-a.unfinished").touch()
    assert ended(start("train", "--resume", "--max_iters", str(step + 2)))[0] == 0  # nobody holds the folder
    assert assert_goes_on(uninterrupted) == step + 2


@pytest.mark.parametrize(
    "place", ["nn.archive.write:2", "numpy.lib.format.write_array:40", "os.fsync:4", "os.replace:3"]
)
def test_a_run_that_is_killed_while_it_saves_has_the_checkpoint_before(here, uninterrupted, place):
    assert driven(place, "SIGKILL", "train", *ENDLESS)[0] == -signal.SIGKILL
    for left in Path("out").glob("*.unfinished"):
        left.unlink()
    assert assert_goes_on(uninterrupted) in (3, 20)


def test_who_begins_anew_keeps_the_earlier_checkpoint_at_every_moment(here):
    earlier = Path("out/checkpoint.npz").read_bytes()
    new = ["train", "--data", "text.txt", "--max_iters", "2", *TINY]
    for place in ("nn.archive.write:1", "os.link:1", "os.replace:1"):
        assert driven(place, "SIGKILL", *new)[0] == -signal.SIGKILL
        assert Path("out/checkpoint.npz").read_bytes() == earlier
    assert driven("gpt.run.save_losses", "SIGKILL", *new)[0] == -signal.SIGKILL  # the new one is there
    assert checkpoint.load("out/checkpoint.npz")[0]["step"] == 0
    assert driven("os.nice", "SIGKILL", *new)[0] == 0
    kept = sorted(Path("out").glob("checkpoint-before-*.npz"))
    assert [path.read_bytes() == earlier for path in kept] in (
        [True],
        [True, True],
    )  # of step 0, none is kept


# ---- asked to end ----


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_saves_the_last_step_and_leaves(here, uninterrupted, name, code):
    process = until_it_steps(start("train", *ENDLESS))
    process.send_signal(getattr(signal, name))
    if name != "SIGINT":
        process.send_signal(getattr(signal, name))  # only Ctrl-C means at once when it comes again
    returned, said = ended(process)
    assert returned == code
    step = assert_goes_on(uninterrupted, 20)
    assert said[-2] == f"stopped after step {step:,}; the checkpoint is whole: out/checkpoint.npz"
    assert said[-1] == "to go on: python -m gpt train --resume --out out"
    assert not Path("out/.lock").exists()


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
@pytest.mark.parametrize("place", ["gpt.commands.train.whole_loss", "gpt.commands.train.doing:2"])
def test_a_signal_after_the_last_step_says_what_is_saved(here, uninterrupted, place, name, code):
    returned, said = driven(place, name, "train", "--resume", "--max_iters", "5")
    assert returned == code
    assert said[-2:] == [
        "stopped at once; the checkpoint is whole: out/checkpoint.npz",
        "all steps are made; to sample: python -m gpt sample --checkpoint out/checkpoint.npz",
    ]
    assert assert_goes_on(uninterrupted) == 5 and not Path("out/.lock").exists()


PLACES = {"sample": "gpt.commands.sample.write:2", "eval": "gpt.commands.eval.mean_loss"}
PLACES |= {"export": "os.fsync", "chat": "gpt.commands.chat.open_model"}


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
@pytest.mark.parametrize("command", PLACES)
def test_a_signal_ends_the_other_commands_with_its_code_and_a_word(here, command, name, code):
    more = {"export": ["--to", "there/new"], "chat": ["--model", "out"]}.get(command, [])
    returned, said = driven(PLACES[command], f"{name}+{name}" if name != "SIGINT" else name, command, *more)
    assert (returned, [line for line in said if not line.endswith(" ...")]) == (
        code,
        ["stopped"],
    )
    assert not Path("there").exists()


@pytest.mark.parametrize("module", ["gpt", "minigrad", "examples"])
def test_ctrl_c_while_a_command_is_imported_ends_it_without_a_traceback(here, module):
    Path("without").mkdir(exist_ok=True)
    Path("without/numpy.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nsignal.pause()"
    )
    environment = {"env": {"PYTHONPATH": os.pathsep.join([str(ROOT), "without"])}}
    arguments = ["bigram_to_gpt"] if module == "examples" else ["check"]
    code, said = ended(start(*arguments, module=module, **environment))
    assert (code, said) == ((130, ["stopped"]) if module == "examples" else (-signal.SIGINT, []))


def test_what_nohup_ignores_stays_ignored(here):
    hangup = until_it_steps(
        start("train", *ENDLESS, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    )
    hangup.send_signal(signal.SIGHUP)
    until_it_steps(hangup)
    hangup.terminate()
    assert ended(hangup)[0] == 143


def test_ctrl_c_in_the_first_evaluation_leaves_an_earlier_checkpoint_and_says_what_there_is(here):
    earlier = Path("out/checkpoint.npz").read_bytes()
    new = ["train", "--data", "text.txt", *TINY, "--eval_iters", "1000000"]
    code, said = driven("gpt.train.mean_loss", "SIGINT", *new)
    assert (code, Path("out/checkpoint.npz").read_bytes()) == (130, earlier)
    there = "nothing of this run was saved; out/checkpoint.npz is an earlier run's, as it was"
    assert said[-2] == f"stopped after step 0; {there}" and said[-1] == "to start again: the same command"
    Path("out/checkpoint.npz").unlink()
    code, said = driven("gpt.train.mean_loss", "SIGINT", *new)
    assert code == 130 and said[-2] == "stopped after step 0; the checkpoint is whole: out/checkpoint.npz"
    assert Run.resume("out").step == 0


def test_a_second_ctrl_c_says_what_is_lost(here, uninterrupted):
    code, said = driven("gpt.train.training_step:5", "SIGINT+SIGINT", "train", *ENDLESS)
    assert code == 130
    there = "the checkpoint is whole: out/checkpoint.npz (of step 3; the 4 since are lost)"
    assert said[-2] == f"stopped at once; {there}"
    assert assert_goes_on(uninterrupted) == 3


# ---- output that goes nowhere, pictures that cannot be ----


def closed(number):
    return lambda: os.close(number)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
@pytest.mark.parametrize(
    "case", ["head", "2>/dev/full", ">/dev/full", "2>&-", "a bad MPLBACKEND", "loss.png"]
)
def test_what_cannot_be_shown_is_a_note_and_the_result_is_there(here, case):
    arguments, options = ["train", "--resume", "--max_iters", "8"], {}
    with open("/dev/full", "w") as full:
        if case.endswith("/dev/full"):
            options = {"stderr" if case[0] == "2" else "stdout": full}
        if case == "2>&-":
            options = {"preexec_fn": closed(2)}
        if case == "a bad MPLBACKEND":
            options = {"env": {"MPLBACKEND": "nonsense"}}
        if case == "loss.png":
            Path("out/loss.png").unlink()
            Path("out/loss.png").mkdir()
        process = start(*arguments, pictures=case in ("a bad MPLBACKEND", "loss.png"), **options)
        if case == "head":
            process.stdout.readline()
            process.stdout.close()
            with process.stderr:
                said = process.stderr.read()
        else:
            out, said = process.communicate(timeout=100)
            said = (out or "") + (said or "")
    assert process.wait(100) == 0, said
    assert "Traceback" not in said and "Error" not in said
    assert ("note: " in said) == (case != "2>&-"), said
    assert "to sample   python -m gpt sample" in said  # on the other stream, where standard output is lost
    assert Run.resume("out").step == 8


UNWRITTEN = "standard output cannot be written to ({}); what it took is all there is"
LAST = {"sample": "", "eval": "loading the model and the text ..."}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", LAST)
def test_a_result_that_cannot_be_written_is_one_line_and_one_beside_what_cannot_be_said_is_whole(
    here, command, unbuffered
):
    environment = {"env": {"PYTHONUNBUFFERED": unbuffered}}
    result, _ = start(command, **environment).communicate(timeout=100)
    assert result
    with open("/dev/full", "w") as full:
        code, said = ended(start(command, stdout=full, **environment))
        assert code == 2 and said == [
            *filter(None, [LAST[command]]),
            f"python -m gpt {command}: {UNWRITTEN.format('No space left on device')}",
        ]
        process = start(command, stderr=full, **environment)
        assert process.communicate(timeout=100)[0] == result and process.returncode == 0
    code, said = ended(start(command, preexec_fn=closed(1), **environment))
    assert code == 2 and said[-1] == f"python -m gpt {command}: {UNWRITTEN.format('Bad file descriptor')}"
    reading, writing = os.pipe()
    os.close(reading)  # who hears what goes wrong is gone, not who waits for the result
    process = start(command, stderr=writing, **environment)
    assert process.communicate(timeout=100)[0] == result and process.returncode == 0
    os.close(writing)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
@pytest.mark.parametrize("stream", ["stdout", "stderr", "closed"])
def test_what_is_exported_is_whole_whoever_hears_of_it(here, stream):
    with open("/dev/full", "w") as full:
        options = {stream: full} if stream != "closed" else {"preexec_fn": closed(1)}
        process = start("export", "--to", "there", **options)
        out, said = process.communicate(timeout=100)
    assert process.returncode == 0 and sorted(os.listdir("there")) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    lines = [
        line for line in (out if stream == "stderr" else said).splitlines() if line != "writing there ..."
    ]
    assert lines[-2].endswith("parameters and the tokeniser: there")
    assert stream == "stderr" or lines[0].startswith("note: standard output cannot be written to (")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
def test_help_that_cannot_be_written_is_one_line(here):
    for command in ("train", "sample"):
        with open("/dev/full", "w") as full:
            code, said = ended(start(command, "--help", stdout=full))
        assert (code, said) == (
            2,
            [f"python -m gpt {command} --help: {UNWRITTEN.format('No space left on device')}"],
        )


# ---- the machine ----


def test_a_full_disk_says_what_is_lost_and_leaves_the_checkpoint_before(here, uninterrupted):
    code, said = driven("nn.archive.write:2", "full", "train", *ENDLESS)
    assert code == 3
    assert said[-2].startswith(
        "stopped after step 40: checkpoint: expected a place to write to; got out/checkpoint.npz (File too large); "
        "the checkpoint is whole: out/checkpoint.npz (of step 20; the 20 since are lost)"
    )
    assert said[-1] == "to go on: python -m gpt train --resume --out out"
    assert assert_goes_on(uninterrupted) == 20


def test_a_small_disk_that_is_full(here, uninterrupted):
    Path("disk").mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "none", "disk"], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("only root mounts a disk, and not everywhere")
    try:
        shutil.copytree("out", "disk/out")
        room = os.statvfs("disk").f_bavail * os.statvfs("disk").f_frsize
        Path("disk/filler").write_bytes(bytes(room - 8192))
        code, said = ended(start("train", *ENDLESS, "--out", "disk/out"))
        assert code == 3 and "(No space left on device); the checkpoint is whole" in said[-2], said
        Path("disk/filler").unlink()
        assert Run.resume("disk/out").losses == uninterrupted(3)
        assert sorted(os.listdir("disk/out")) == ["checkpoint.npz", "loss.csv", "loss.png"]
    finally:
        subprocess.run(["umount", "-l", "disk"], check=True)


def test_a_folder_that_is_removed_while_training_is_made_again(here, uninterrupted):
    process = until_it_steps(start("train", *ENDLESS))
    shutil.rmtree("out")
    until_it_steps(process)
    until_it_steps(process)
    second = start("train", *ENDLESS)
    code, said = ended(second)  # the new folder is claimed, too
    assert code == 2 and f"in use by process {process.pid} on " in said[-1]
    process.terminate()
    assert ended(process)[0] == 143
    assert_goes_on(uninterrupted, 60)


def test_two_runs_into_one_folder_are_one_run_and_one_line(here, uninterrupted):
    first = until_it_steps(start("train", *ENDLESS))
    for arguments in (ENDLESS, ["--data", "text.txt", *TINY]):
        code, said = ended(start("train", *arguments))
        assert code == 2 and len(said) == 1
        assert re.match(
            rf"python -m gpt train: out: expected a folder of one run at a time; got out, in use by process {first.pid} "
            r"on \S+, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; wait for it, or pass another --out",
            said[0],
        )
    assert ended(start("sample", "--max_new_tokens", "3"))[0] == 0  # who reads need not wait
    first.terminate()
    assert ended(first)[0] == 143
    assert_goes_on(uninterrupted, 20)


KILLED = """
import os, signal, sys
from gpt.folder import claimed

ready, tell = os.pipe()
with claimed("."):
    if not os.fork():
        os.write(tell, b".")
        sys.stdin.read()  # lives on
        os._exit(0)
    os.read(ready, 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_outlives_the_run_which_forked_it_holds_no_claim(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdin=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.wait(60) == -signal.SIGKILL
    with claimed(str(tmp_path)):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
    assert not (tmp_path / ".lock").exists()
    process.stdin.close()


def test_without_locks_a_file_says_who_writes_and_what_to_do_if_that_is_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr("gpt.folder.fcntl", None)
    said = rf"in use by process {os.getpid()} .* if that is no more, delete .*lock"
    with claimed(str(tmp_path)), monkeypatch.context() as patch:
        patch.setattr("gpt.folder._claims", {})  # as another process sees it
        with pytest.raises(ValueError, match=said), claimed(str(tmp_path)):
            pass
    assert not (tmp_path / ".lock").exists()


def test_what_is_not_ours_stays_in_a_folder_that_is_claimed(tmp_path):
    (tmp_path / "a.1-a.unfinished").mkdir()
    for name in (
        "novel.unfinished",
        "a.npz.1-x.unfinished",
        "1-a.unfinished",
        "checkpoint.npz.12-3f.unfinished",
    ):
        (tmp_path / name).touch()
    there = {*os.listdir(tmp_path)}
    with claimed(str(tmp_path)):
        assert there - {*os.listdir(tmp_path)} == {"checkpoint.npz.12-3f.unfinished"}


@pytest.mark.parametrize("kind", ["text", "link", "no link", "folder", "pipe"])
def test_a_lock_that_is_not_ours_is_refused_in_one_line_and_stays(tmp_path, kind):
    place, precious = tmp_path / "out" / ".lock", tmp_path / "precious"
    place.parent.mkdir()
    precious.write_text("process of law")
    {
        "text": lambda: place.write_text("mine"),
        "link": lambda: place.symlink_to(precious),
        "no link": lambda: place.symlink_to("nowhere"),
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
    }[kind]()
    before = os.lstat(place)
    with pytest.raises(
        ValueError, match=r"^out: expected a folder without another's .*/\.lock, which no run"
    ):
        with claimed(str(place.parent)):
            pass
    assert os.lstat(place)[:7] == before[:7] and precious.read_text() == "process of law"


@pytest.mark.parametrize("where", ["out", "save_pretrained"])
def test_a_disk_that_is_full_at_the_start_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, where):
    def full(*_):
        raise OSError(28, "No space left on device")

    open_before = len(os.listdir("/dev/fd"))
    with monkeypatch.context() as patch:
        patch.setattr("gpt.folder.os.write", full)
        said = rf"^{where}: expected a folder to write to; got .*new \(No space left on device\)$"
        with pytest.raises(OSError, match=said), claimed(str(tmp_path / "new"), where):
            pass
    assert os.listdir(tmp_path) == [] and len(os.listdir("/dev/fd")) == open_before
    monkeypatch.setattr("nn.archive.os.fsync", full)
    with pytest.raises(OSError, match=r"^tokenizer: expected a place to write to; got .*new \(No space"):
        Bytes().save(tmp_path / "new")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "command", ["train --data text.txt --out", "train --data text.txt --init_from", "sample --init_from", "chat --model",
                "export --init_from out/checkpoint.npz --to", "train --resume --out", "train --data text.txt --tokenizer"],
)  # fmt: skip
def test_a_name_longer_than_a_name_may_be_is_one_short_line(here, capsys, command):
    assert main([*command.split(), "x" * 3000]) == 2
    *_, said = capsys.readouterr().err.splitlines()
    assert (
        said.startswith(f"python -m gpt {command.split()[0]}: ") and "Errno" not in said and len(said) < 600
    )


@pytest.mark.parametrize("link", [True, False])
def test_a_checkpoint_is_written_through_a_link_and_a_folder_is_no_checkpoint(here, capsys, link):
    run, place = Run.resume("out", max_iters=4), Path("out/checkpoint.npz")
    place.rename("elsewhere.npz")
    place.symlink_to("../elsewhere.npz") if link else place.mkdir()
    if link:
        train(run)
        assert place.is_symlink() and checkpoint.load("elsewhere.npz")[0]["step"] == 4
    assert _say_how_to_go_on(run, "stopped", 3) == 3
    assert ("the checkpoint is whole" in capsys.readouterr().err) == link
