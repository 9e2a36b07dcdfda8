"""The commands of python -m gpt with models from anywhere: text as it is written, threads, chats."""

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt.__main__ import main
from gpt.commands import eval as measure
from gpt.commands import flags as shared
from gpt.commands import sample, threads
from gpt.commands.chat import Talk
from gpt.config import GPTConfig
from gpt.generate import generate
from gpt.model import GPT
from gpt.pretrained import save_pretrained
from gpt.pretrained.anywhere import open_model
from gpt.tokens import BPE, Bytes
from gpt.writing import _until, decoded, write
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


@pytest.mark.parametrize("command", [sample, measure])
def test_memory_and_the_least_length_arrive_as_they_were_given(folder, model, monkeypatch, command):
    asked, told = [], []
    monkeypatch.setattr(shared, "open_model", lambda *given: (asked.append(given), (model, Ended()))[1])
    monkeypatch.setattr(sample, "write", lambda *_, **settings: told.append(settings) or iter(()))
    (folder / "text.txt").write_text("The quick brown fox jumps. " * 30)
    name = command.__name__.rpartition(".")[2]
    least = ["--min_new_tokens", "7"] if command is sample else ["--data", "text.txt"]
    assert main([name, "--init_from", "any", "--memory", "small", *least]) == 0
    assert main([name, "--init_from", "any", *least[2:]] + ["--data", "text.txt"] * (command is measure)) == 0
    assert asked == [("any", "small"), ("any", "float32")]
    assert [settings["min_new_tokens"] for settings in told] == [7, 7, 0, 0] * (command is sample)


def test_stop_strings_end_a_sample(folder, capsys):
    whole = sampled(capsys, "--init_from", "model")
    for stop in ([whole[7:9]], [whole[12], whole[5:8]]):
        flags = [f"--stop={s}" for s in stop]
        found = sampled(capsys, "--init_from", "model", *flags)
        cut = min(whole.index(s, 2) for s in stop)
        assert found == whole[:cut] + "\n"


@pytest.mark.parametrize(("flags", "size"), [([], 32), (["--block_size", "12"], 12)])
def test_a_model_of_other_people_is_measured_on_a_text(folder, model, capsys, flags, size):
    (folder / "text.txt").write_text("The quick brown fox jumps. " * 30)
    assert main(["eval", "--init_from", "model", "--data", "text.txt", *flags]) == 0
    ids = np.frombuffer(b"The quick brown fox jumps. " * 30, np.uint8).astype(int)[729:]
    parts = [(ids[i : i + size], ids[i + 1 : i + size + 1]) for i in range(0, len(ids) - 1, size)]
    losses = [model.loss(x[None, : len(y)], y[None]).item() * len(y) for x, y in parts]
    shown = capsys.readouterr().out.splitlines()
    assert f"in windows of {size} bytes: {sum(losses) / (len(ids) - 1):.4f} nats" in shown[1]
    for wrong in ("0", "33"):
        with pytest.raises(ValueError, match=f"--block_size: expected 1 to 32, the model's; got {wrong}"):
            main_raises(["eval", "--init_from", "model", "--data", "text.txt", "--block_size", wrong], capsys)
    with pytest.raises(ValueError, match="--data FILE"):
        main_raises(["eval", "--init_from", "model"], capsys)


def main_raises(arguments, capsys):
    """Raise ValueError with the one line of a command that fails."""
    assert main(arguments) == 2
    line = capsys.readouterr().err.removeprefix("loading the model and the text ...\n")
    assert line.count("\n") == 1
    raise ValueError(line)


# ---- threads ----


@pytest.mark.parametrize("command", ["sample", "eval"])
def test_a_command_that_computes_sets_its_threads_by_what_the_model_reads_at_a_time(
    folder, monkeypatch, command
):
    (folder / "text.txt").write_text("The quick brown fox jumps. " * 30)
    asked, told = [], []
    monkeypatch.setattr(threads, "busy_cores", lambda *work: asked.append(work) or 5)
    monkeypatch.setattr(threads, "set_blas_threads", told.append)
    flags = ["--data", "text.txt"] if command == "eval" else ["--max_new_tokens", "1"]
    assert main([command, "--init_from", "model", *flags]) == 0
    model = open_model("model")[0]
    tokens = {"sample": model.config.block_size, "eval": 64}[command]  # the most it reads; the windows
    assert asked == [(model.num_parameters(False), model.config.n_layer, tokens)] and told == [5]


# ---- chats ----

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}assistant: {% endif %}"
ROOM = GPTConfig(block_size=256, vocab_size=280, n_layer=2, n_head=2, n_embd=16)


@pytest.fixture(scope="module")
def speaker():
    """A tokeniser with a chat template, whose end the model draws now and then."""
    plain = BPE.train(["user: hello assistant: hello system: "], 280)
    return BPE(plain.definition, {"eos_token": "<|endoftext|>"}, TEMPLATE)


@pytest.fixture(scope="module")
def talker(speaker):
    model = GPT(replace(ROOM, vocab_size=len(speaker)), rng=Generator(4))
    rng = np.random.default_rng(0)
    model.load_state_dict(
        {n: a.numpy() + 0.4 * rng.standard_normal(a.shape) for n, a in model.state_dict().items()}
    )
    return model.double().eval()


@pytest.fixture
def chatting(talker, speaker, tmp_path, monkeypatch):
    """A function that types lines into `gpt chat` and returns (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    save_pretrained(talker, "talker")
    speaker.save("talker/tokenizer.json")

    def chat(capsys, lines, *flags):
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        status = main(["chat", "--model", "talker", "--max_new_tokens", "20", *flags])
        return status, *capsys.readouterr()

    return chat


def answered(model, tokenizer, lines, system=None, most=20, cut="", **settings):
    """What a model answers, computed anew at each turn, and `cut` behind what had no end."""
    messages, answers = [] if system is None else [{"role": "system", "content": system}], []
    settings = {
        "temperature": 0.0,
        "top_p": 0.9,
        "repetition_penalty": 1.1,
        "rng": Generator(1337),
        **settings,
    }
    for line in lines:
        messages.append({"role": "user", "content": line})
        ids = tokenizer.chat(messages).astype(int)[None]
        drawn = [*generate(model, ids, most, eos=tokenizer.ends, n_vocab=tokenizer.n_vocab, **settings)]
        said = "".join(decoded(drawn, tokenizer, tokenizer.ends))
        answers.append(said + cut * (drawn[-1][0] not in tokenizer.ends))
        messages.append({"role": "assistant", "content": said})
    return answers


def test_a_chat_answers_each_line_with_all_that_was_said_before(chatting, talker, speaker, capsys):
    status, shown, said = chatting(capsys, "hello\n  you there \n\nwho\n")
    wanted = answered(talker, speaker, ["hello", "you there", "who"], cut=" ...")
    assert (status, shown) == (0, "".join(f"{text}\n" for text in wanted))
    assert len({*wanted}) == 3 and wanted[1] != answered(talker, speaker, ["you there"], cut=" ...")[0]
    assert said.startswith("loading talker ...\n") and "parameters, loaded in" in said and "/help" in said


FLAGS = {
    "--system=be kind": {"system": "be kind"},
    "--max_new_tokens=3": {"most": 3},
    "--repetition_penalty=3": {"repetition_penalty": 3.0},
}
FLAGS |= {
    "--temperature=1.5": {"temperature": 1.5},
    "--temperature=1.5 --seed=3": {"temperature": 1.5, "rng": Generator(3)},
}
FLAGS |= {
    "--temperature=1.5 --top_k=2": {"temperature": 1.5, "top_k": 2},
    "--temperature=1.5 --top_p=0.1": {"temperature": 1.5, "top_p": 0.1},
}


@pytest.mark.parametrize("flags", FLAGS)
def test_each_flag_of_a_chat_changes_the_answer_as_by_hand(chatting, talker, speaker, capsys, flags):
    _, shown, _ = chatting(capsys, "hello\n", *([flags] if "system" in flags else flags.split()))
    [wanted] = answered(talker, speaker, ["hello"], cut=" ...", **FLAGS[flags])
    assert shown == f"{wanted}\n"
    base = {"temperature": 1.5} if "temperature" in flags and flags != "--temperature=1.5" else {}
    assert [wanted] != answered(talker, speaker, ["hello"], cut=" ...", **base)


def test_words_with_a_slash_are_for_the_program(chatting, talker, speaker, capsys):
    _, shown, said = chatting(capsys, "hello\n/reset\nwho\n/what\n/quit\nnever\n")
    wanted = [answered(talker, speaker, [line], cut=" ...")[0] for line in ("hello", "who")]
    assert shown == "".join(f"{text}\n" for text in wanted) and said.count("/reset forgets") == 2
    assert said.count("what was said is forgotten\n") == 1
    assert "no command /what: /reset forgets" in said


def test_only_what_is_new_is_computed(talker, speaker, monkeypatch):
    talk, forward, read = Talk(talker, speaker, None, 12, {"temperature": 0.0}), GPT.forward, []
    monkeypatch.setattr(
        GPT, "forward", lambda self, idx, *a: (read.append(idx.shape[1]), forward(self, idx, *a))[1]
    )
    first = "".join(talk.answer("hello"))
    whole = len(speaker.chat([{"role": "user", "content": "hello"}]))
    assert read[0] == whole and {*read[1:]} == {1}
    read.clear()
    second = "".join(talk.answer("who"))
    new = len(speaker.chat(talk.turns[:3])) - whole
    assert 0 < read[0] <= new + 2 and {*read[1:]} == {1}  # where it begins, pieces may be cut in another way
    monkeypatch.undo()
    wanted = answered(talker, speaker, ["hello", "who"], most=12, repetition_penalty=1.0)
    assert [first, second] == wanted


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_an_answer_that_is_interrupted_stays_as_far_as_it_came_and_the_talk_goes_on(
    talker, speaker, monkeypatch, steps
):
    talk, forward, made = Talk(talker, speaker, None, 12, {"temperature": 0.0}), GPT.forward, []

    def interrupted(self, *arguments):
        made.append(len(made))
        if len(made) == steps + 1:
            arguments[2][0]["length"] += 1  # the first block was computed, the second was not
            raise KeyboardInterrupt
        return forward(self, *arguments)

    monkeypatch.setattr(GPT, "forward", interrupted)
    said = []
    with pytest.raises(KeyboardInterrupt):
        said += talk.answer("hello")
    said = talk.turns[-1]["content"]
    assert [turn["role"] for turn in talk.turns] == ["user", "assistant"] and (steps > 0 or said == "")
    monkeypatch.undo()
    found = "".join(talk.answer("who"))
    ids = speaker.chat([*talk.turns[:2], {"role": "user", "content": "who"}]).astype(int)[None]
    assert found == "".join(write(talker, speaker, ids, 12, temperature=0.0))


def test_ctrl_c_ends_the_answer_and_not_the_talk(chatting, talker, speaker, capsys, monkeypatch):
    answer = Talk.answer

    def stopped(self, text):
        pieces = answer(self, text)
        if text != "stop":
            yield from pieces
            return
        yield next(pieces)
        raise KeyboardInterrupt

    monkeypatch.setattr(Talk, "answer", stopped)
    status, shown, _ = chatting(capsys, "stop\n/reset\nhello\n")
    whole = answered(talker, speaker, ["stop"])[0]
    first, second = shown.splitlines()
    assert status == 0 and first.endswith(" ...") and whole.startswith(first.removesuffix(" ..."))
    assert second == answered(talker, speaker, ["hello"], cut=" ...")[0]


def test_a_talk_that_is_too_long_forgets_its_oldest_turns(talker, speaker):
    short = GPT(replace(talker.config, block_size=96)).double().eval()
    state = {name: array.numpy() for name, array in talker.state_dict().items()}
    short.load_state_dict({**state, "wpe.weight": state["wpe.weight"][:96]})
    talk = Talk(short, speaker, "be", 20, {"temperature": 0.0})
    for i in range(9):
        found = "".join(talk.answer(f"hello {i}"))
        messages = [*talk.first, *talk.turns[:-1]]
        assert len(speaker.chat(messages)) <= 96 - 20
        ids = speaker.chat(messages).astype(int)[None]
        assert found == "".join(write(short, speaker, ids, 20, temperature=0.0))
    assert 2 <= len(talk.turns) < 18
    with pytest.raises(ValueError, match="chat: expected at most 76 tokens, and room for 20; got "):
        [*talk.answer("hello " * 100)]


def test_what_cannot_talk_gets_one_line(chatting, folder, capsys, monkeypatch):
    chatting(capsys, "")
    for flags, said in (
        (
            ["--model", "model"],
            "chat: expected a model with a chat template; got one without; python -m gpt sample",
        ),
        (["--model", "none"], "model: expected a folder of a model or a checkpoint; got none"),
        (["--model", "talker", "--max_new_tokens", "256"], "expected --max_new_tokens in 1..255; got 256"),
        (["--model", "talker", "--temperature", "-1"], "temperature of 0 or more"),
    ):
        assert main(["chat", *flags]) == 2
        assert said.removeprefix("chat: ") in capsys.readouterr().err.splitlines()[-1]
    monkeypatch.setitem(sys.modules, "jinja2", None)
    status, shown, said = chatting(capsys, "hello\n")
    assert (
        (status, shown) == (2, "")
        and "pip install" in said.splitlines()[-1]
        and "jinja2" in said.splitlines()[-1]
    )
