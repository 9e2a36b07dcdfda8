"""Mistakes that people make in layers of all kinds: found, and mostly named; tricky right functions pass."""

import pytest

from tests.faults import held_out


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
