"""What the command lines share, called as functions: exit codes, numbers that begin with a minus, tables."""

import argparse
import sys

import pytest

from minigrad.console.commands import Parser, answer, natural, nearest
from minigrad.console.tables import short, table


def parser(run=lambda options: 0, **settings):
    """A parser of `prog do [--x X] [--on] [rest ...]`, whose command is `run`."""
    made = Parser(prog="prog")
    made.add_argument("command")
    made.add_argument("--x")
    made.add_argument("--on", action="store_true")
    made.add_argument("rest", nargs="*")
    made.set_defaults(run=run, **settings)
    return made


@pytest.mark.parametrize("number", ["-1", "-1e-3", "-.5", "-inf", "-nan", "2", "-3x"])
def test_a_number_that_begins_with_a_minus_is_the_value_of_the_flag_before_it(number):
    assert parser().parse_args(["do", "--x", number, "--on"]).x == number
    found = parser().parse_args(["--x", number, "do"])
    assert (found.x, found.command, found.on) == (number, "do", False)


def test_what_stands_behind_two_dashes_is_left_as_it_is():
    assert parser().parse_args(["do", "--", "--x", "-1"]).rest == ["--x", "-1"]
    found = parser().parse_args(["--x", "-1", "do", "--", "--x", "-1"])
    assert (found.x, found.rest) == ("-1", ["--x", "-1"])


def test_a_flag_without_a_value_takes_none():
    found = parser().parse_args(["--on", "--x", "-1", "do"])
    assert (found.on, found.x) == (True, "-1")


def test_a_mistake_in_the_flags_is_one_line_and_code_2(capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["do", "--y"])
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", "prog: unrecognized arguments: --y; see prog --help\n")


FLAGS = "--learning_rate --lr_decay_iters --max_iters --eval_iters --batch_size --n_layer --top_k --max_new_tokens --help -h"
MEANT = {  # what people write: what they mean
    "--max-iters": "--max_iters", "--MaxIters": "--max_iters", "-max_iters": "--max_iters", "--max_iter": "--max_iters",
    "--lr": "--learning_rate", "--learning-rate": "--learning_rate", "--learn": "--learning_rate", "--iters": "--max_iters",
    "--topk": "--top_k", "--bs": "--batch_size", "--batchsize": "--batch_size", "--n_layers": "--n_layer",
    "--layers": "--n_layer", "--tokens": "--max_new_tokens", "--itres": None, "--max_itres": "--max_iters", "help": "--help",
    "--vocab_size": None, "--colour": None, "-": None, "5": None,
}  # fmt: skip


@pytest.mark.parametrize("written", MEANT)
def test_the_flag_that_is_meant_is_named(written):
    assert nearest(written, FLAGS.split()) == MEANT[written]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("do --maxx 3", "do: unrecognized arguments: --maxx 3; did you mean --max_n? see prog do --help"),
        ("do --max-n=3 x --m", "do: unrecognized arguments: --max-n=3 x --m; did you mean --max_n? see prog do --help"),
        ("do --zz --max-n 1 --kinds a", "do: unrecognized arguments: --zz --max-n 1 --kinds a; did you mean --max_n, --kind?"),
        ("do --zz", "do: unrecognized arguments: --zz; see prog do --help"),
        ("do --kind blu", "do: argument --kind: expected blue, red; got 'blu'; did you mean blue? see prog do --help"),
        ("dou", ": argument do|undo: expected do, undo; got 'dou'; did you mean do? see prog --help"),
        ("help", ": argument do|undo: expected do, undo; got 'help'; did you mean --help? see prog --help"),
        ("--max_n 3 do", ": expected a command first; got --max_n; see prog --help"),
        ("", ": the following arguments are required: do|undo; see prog --help"),
    ],
)  # fmt: skip
def test_a_near_miss_gets_what_was_meant_and_the_help_of_its_own_command(capsys, given, said):
    above = Parser(prog="prog")
    commands = above.add_subparsers(dest="command", required=True, metavar="do|undo")
    do = commands.add_parser("do", allow_abbrev=False)
    do.add_argument("--max_n")
    do.add_argument("--kind", choices=("blue", "red"))
    commands.add_parser("undo")
    with pytest.raises(SystemExit) as stop:
        above.parse_args(given.split())
    shown = capsys.readouterr().err
    assert (
        stop.value.code == 2
        and shown.startswith(("prog " + said).replace(" :", ":"))
        and shown.count("\n") == 1
    )
    assert above.parse_args(["do", "--max_n", "3"]).max_n == "3"


def test_natural_numbers_are_those_from_0():
    assert [natural(text) for text in ("0", " 7 ", "12")] == [0, 7, 12]
    for text in ("-1", "1.5", "x", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number of 0 or more; got "):
            natural(text)


ANSWERS = {  # what the command raises: the exit code, and what stands on stderr
    "a mistake": (KeyError("two\n  lines"), 2, "prog do: 'two\\n lines'\n"),
    "its own name": (KeyError("do"), 2, "prog do: 'do'\n"),
    "its own name twice": (OSError("do: do: no"), 2, "prog do: do: no\n"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "\nstopped\n"),
    "no memory": (MemoryError(), 2, "prog do: out of memory; take a machine with more memory\n"),
    "too much": (MemoryError("9 GiB\nwanted"), 2, "prog do: 9 GiB wanted; take a machine with more memory\n"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_command_raises_is_one_line_on_stderr_and_its_code(name, capsys):
    error, code, line = ANSWERS[name]

    def run(options):
        raise error

    assert answer(parser(run), ["do"], (KeyError, OSError)) == code
    assert capsys.readouterr() == ("", line)


def test_a_command_may_say_what_takes_less_memory(capsys):
    def run(options):
        raise MemoryError

    assert answer(parser(run, smaller="lower --x"), ["do"], ()) == 2
    assert capsys.readouterr().err == "prog do: out of memory; lower --x\n"


def test_what_a_command_returns_is_its_code_and_what_is_no_mistake_of_the_user_is_raised(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["prog", "do", "--x", "5"])
    assert answer(parser(lambda options: int(options.x)), None, ()) == 5
    assert answer(parser(lambda options: int(options.x)), ["do", "--x", "6"], ()) == 6
    with pytest.raises(ValueError):
        answer(parser(lambda options: int("x")), ["do"], (KeyError,))


def test_a_table_has_its_first_columns_to_the_left_and_the_others_to_the_right():
    head, rows = ("name", "n", "of"), [("a", 1, "bcd"), ("efghij", 23, "k")]
    assert table(head, rows).splitlines() == [
        "name     n   of",
        "------  --  ---",
        "a        1  bcd",
        "efghij  23    k",
    ]
    assert table(head, rows, left=2).splitlines()[2] == "a       1   bcd"
    assert table(head, rows, markdown=True, left=2).splitlines() == [
        "| name   | n  |  of |",
        "| ------ | -- | --: |",
        "| a      | 1  | bcd |",
        "| efghij | 23 |   k |",
    ]


def test_numbers_are_shown_in_three_digits():
    numbers = [float("nan"), 0, 1, 1.23456, -45.678, 0.001, 0.00099, 9999, 10000, -123456]
    texts = ["-", "0", "1", "1.23", "-45.7", "0.001", "9.9e-04", "1e+04", "1.0e+04", "-1.2e+05"]
    assert [short(x) for x in numbers] == texts
