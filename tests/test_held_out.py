"""Mistakes that people make in layers of all kinds: found, and mostly named; tricky right functions pass."""

from types import SimpleNamespace

import pytest

from tests.faults import blind, held_out


@pytest.mark.parametrize("entry", held_out.HELD_OUT, ids=lambda entry: entry[0])
def test_a_mistake_is_found(entry):
    report = held_out.examine(entry, seed=0)
    assert not report.ok and report.findings


@pytest.mark.parametrize("entry", held_out.RIGHT, ids=lambda entry: entry[0])
def test_a_tricky_right_function_raises_no_alarm(entry):
    report = held_out.examine(entry, seed=0)
    assert report.ok, str(report)


def test_most_of_them_are_named_as_a_person_would():
    named = sum(bool(entry[1] & set(held_out.examine(entry, seed=0).kinds)) for entry in held_out.HELD_OUT)
    assert named >= 0.85 * len(held_out.HELD_OUT)


@pytest.mark.parametrize("collection", [held_out, blind], ids=["held_out", "blind"])
def test_help_explains_and_examines_nothing(collection, capsys, monkeypatch):
    monkeypatch.setattr(collection, "examine", lambda entry, seed: pytest.fail("examined"))
    with pytest.raises(SystemExit) as stop:
        collection.main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    name = collection.__name__.split(".")[-1]
    assert f"usage: python -m tests.faults.{name} [-h] [--seeds SEEDS]" in shown
    assert collection.__doc__.partition("\n")[0][:40] in shown


@pytest.mark.parametrize("collection", [held_out, blind], ids=["held_out", "blind"])
def test_as_many_seeds_are_drawn_as_are_asked_for(collection, capsys, monkeypatch):
    asked = []
    report = SimpleNamespace(ok=False, kinds=("none",))
    monkeypatch.setattr(collection, "examine", lambda entry, seed: asked.append(seed) or report)
    for flags, seeds in ([], range(5)), (["--seeds", "2"], range(2)):
        asked.clear()
        collection.main(flags)
        assert sorted({*asked}) == [*seeds] and "found: " in capsys.readouterr().out
