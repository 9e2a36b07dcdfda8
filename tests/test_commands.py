"""The commands of python -m gpt with models from anywhere: text as it is written, threads, chats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt.__main__ import main
from gpt.commands import threads
from gpt.config import GPTConfig
from gpt.generate import generate
from gpt.model import GPT
from gpt.pretrained import save_pretrained
from gpt.tokens import Bytes
from gpt.writing import _until, write
from minigrad import switches
from minigrad.parallel import Way
from minigrad.random import Generator

SMALL = GPTConfig(block_size=32, vocab_size=256, n_layer=1, n_head=2, n_embd=16)


class Ended(Bytes):
    """Bytes, of which one ends a text."""

    kind = "bytes that end"

    def __init__(self):
        super().__init__()
        self.eos = ord("e")


@pytest.fixture(scope="module")
def model():
    return GPT(SMALL, rng=Generator(3)).eval()


@pytest.fixture
def folder(model, tmp_path, monkeypatch):
    """A working folder with a model of Hugging Face's kind in model/, and its checkpoint in out/."""
    monkeypatch.chdir(tmp_path)
    save_pretrained(model, "model")
    Bytes().save("model/tokenizer.json")
    return tmp_path


# ---- text as it is written ----


@given(
    st.text("ab", max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.integers(1, 4)
)
def test_a_text_ends_before_the_first_stop_string_wherever_it_is_cut(text, stop, size):
    places = [text.index(s) for s in stop if s in text]
    cut = text[: min(places)] if places else text
    pieces = [*_until(iter([text[i : i + size] for i in range(0, len(text), size)]), stop)]
    # a stop string that is whole first wins, though another began before it
    first = next((i for i in range(0, len(text), size) if any(s in text[: i + size] for s in stop)), None)
    seen = text if first is None else text[: first + size]
    places = [seen.index(s) for s in stop if s in seen]
    assert "".join(pieces) == (seen[: min(places)] if places else text) and "" not in pieces
    assert size > 1 or cut == "".join(pieces) or len({*map(len, stop)}) > 1


def test_what_can_be_no_stop_string_is_written_at_once():
    given_out = _until(iter(["a", "b", "x", "a", "b", "c", "never"]), ["abc", "bcd"])
    assert [*given_out] == ["abx"]


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0.0}, {"repetition_penalty": 9.0}, {"min_new_tokens": 60}], ids=str
)
def test_what_is_written_is_what_is_generated_up_to_the_end(model, settings):
    start = np.array([[104, 105]])
    ids = [int(new[0]) for new in generate(model, start, 80, rng=Generator(2), eos=101, **settings)]
    text = "".join(write(model, Ended(), start, 80, rng=Generator(2), **settings))
    assert text == bytes(i for i in ids if i != 101).decode("utf-8", "replace") and len(text)
    whole = [int(new[0]) for new in generate(model, start, 80, rng=Generator(2), **settings)]
    plain = "".join(write(model, Bytes(), start, 80, rng=Generator(2), **settings))
    assert plain == bytes(whole).decode("utf-8", "replace")


# ---- models from anywhere ----


def sampled(capsys, *flags):
    assert main(["sample", "--max_new_tokens", "40", "--prompt", "ab", *flags]) == 0
    return capsys.readouterr().out


def test_a_folder_of_hugging_faces_writes_what_its_model_writes(folder, model, capsys):
    wanted = "".join(write(model, Bytes(), np.array([[97, 98]]), 40, temperature=0.8, rng=Generator(1337)))
    assert sampled(capsys, "--init_from", "model") == f"ab{wanted}\n"
    assert sampled(capsys, "--init_from", "model/model.safetensors") == f"ab{wanted}\n"


SETTINGS = {
    "--repetition_penalty=4": {"repetition_penalty": 4.0},
    "--min_new_tokens=3": {},  # these models have no end: see above
    "--temperature=0": {"temperature": 0.0},
}


@pytest.mark.parametrize("flag", SETTINGS)
def test_the_flags_of_sampling_arrive(folder, model, capsys, flag):
    settings = {"temperature": 0.8, "rng": Generator(1337), **SETTINGS[flag]}
    wanted = "".join(write(model, Bytes(), np.array([[97, 98]]), 40, **settings))
    assert sampled(capsys, "--init_from", "model", flag) == f"ab{wanted}\n"


def test_stop_strings_end_a_sample(folder, capsys):
    whole = sampled(capsys, "--init_from", "model")
    for stop in ([whole[7:9]], [whole[12], whole[5:8]]):
        flags = [f"--stop={s}" for s in stop]
        found = sampled(capsys, "--init_from", "model", *flags)
        cut = min(whole.index(s, 2) for s in stop)
        assert found == whole[:cut] + "\n"


def test_a_model_of_other_people_is_measured_on_a_text(folder, model, capsys):
    (folder / "text.txt").write_text("The quick brown fox jumps. " * 30)
    assert main(["eval", "--init_from", "model", "--data", "text.txt"]) == 0
    ids = np.frombuffer(b"The quick brown fox jumps. " * 30, np.uint8).astype(int)[729:]
    parts = [(ids[i : i + 32], ids[i + 1 : i + 33]) for i in range(0, len(ids) - 1, 32)]
    losses = [model.loss(x[None, : len(y)], y[None]).item() * len(y) for x, y in parts]
    shown = capsys.readouterr().out.splitlines()
    assert f"{sum(losses) / (len(ids) - 1):.4f} nats" in shown[1]
    with pytest.raises(ValueError, match="--data FILE"):
        main_raises(["eval", "--init_from", "model"], capsys)


def main_raises(arguments, capsys):
    """Raise ValueError with the one line of a command that fails."""
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    raise ValueError(line)


# ---- threads ----


def test_threads_are_timed_without_a_graph_and_the_fastest_stay(monkeypatch):
    tried = []

    def chosen(run, candidates, seconds):
        for way in candidates:
            run(way)
        tried.append((candidates, seconds))

    monkeypatch.setattr(threads, "fastest_way", chosen)
    recorded = []
    for count, wanted in ((1, [Way(1, 1)]), (6, [Way(1, 1), Way(1, 6)])):
        monkeypatch.setattr(threads, "cores", lambda count=count: count)
        threads.use_threads(lambda: recorded.append(switches.state.recording))
        assert tried[-1] == (wanted, 0.2)
    assert recorded == [False] * 3


@pytest.mark.parametrize("command", ["sample", "eval"])
def test_a_command_that_computes_chooses_its_threads(folder, monkeypatch, command):
    (folder / "text.txt").write_text("The quick brown fox jumps. " * 30)
    called = []
    monkeypatch.setattr(f"gpt.commands.{command}.use_threads", lambda step: called.append(step()))
    flags = ["--data", "text.txt"] if command == "eval" else ["--max_new_tokens", "1"]
    assert main([command, "--init_from", "model", *flags]) == 0
    assert len(called) == 1 and called[0][0].array.shape[-1] == 256
