"""The catalogue of what is checked: what it draws, and how the command takes its arguments and shows its results."""

import argparse
import math
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

import nn
from minigrad.check.gradcheck import gradcheck
from nn.check import agreement, catalogue, command
from nn.check.agreement import Result, check_entry
from nn.check.catalogue import Array, Entry, entries, entry

README = Path(catalogue.__file__).parent / "README.md"


def drawn(of, seed=0, samples=3):
    """The arrays that `check_entry` draws of an entry."""
    rng = np.random.default_rng([seed, *of.name.encode()])
    for _ in range(samples):
        ranges = [(c, *of.lengths.get(c, catalogue.LENGTHS)) for c in of.letters]
        lengths = {c: int(rng.integers(low, high + 1)) for c, low, high in ranges}
        inputs, constants = of.draw(rng, lengths)
        yield agreement._of_arrays(of.fn, inputs, constants)


def test_the_readme_shows_the_shapes_that_are_drawn():
    """Of the first sample of each; these are the ones for the seed 0."""
    lines = [line.split("|") for line in README.read_text().splitlines() if line.endswith("right |")]
    shown = {cells[1].strip(): cells[2].strip() for cells in lines}
    found = {
        e.name: "; ".join(str(a.shape) for a in arrays) + " and 2 more"
        for e in entries()
        for _, arrays in drawn(e, samples=1)
    }
    assert found == shown


# --- what is drawn ---

RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("draw", "low", "high", "values"),
    [
        (catalogue.normal, -5, 5, None),
        (catalogue.positive, 0.5, 2.0, None),
        (catalogue.inner, 0.1, 0.9, None),
        (catalogue.uniform, 0.0, 1.0, None),
        (catalogue.ids, 0, 2, {0, 1, 2}),
        (catalogue.mask, False, True, {False, True}),
    ],
)
def test_values_are_drawn_from_their_range(draw, low, high, values):
    a = draw(np.random.default_rng(0), (4000,))
    assert a.shape == (4000,) and a.min() >= low and a.max() <= high
    if values:
        assert {*a.tolist()} == values
    elif draw is not catalogue.normal:
        assert a.min() < low + 0.01 and a.max() > high - 0.01 * high


def test_masks_are_mostly_true_and_a_full_one_leaves_no_row_empty():
    rng = np.random.default_rng(0)
    assert 0.55 < catalogue.mask(rng, (4000,)).mean() < 0.65
    full = catalogue.full_mask(rng, (4000, 3))
    assert full[:, 0].all() and 0.7 < full[:, 1:].mean() < 0.8


def test_a_distribution_adds_up_to_one_along_the_last_axis():
    shares = catalogue.distribution(np.random.default_rng(0), (900, 5, 3))
    assert np.allclose(shares.sum(-1), 1) and 0.03 < shares.min() < 0.07 and shares.max() < 0.9


def test_letters_are_lengths_that_are_drawn_and_digits_are_lengths():
    lengths = {"b": 2, "c": 5}
    assert Array(catalogue.normal, "b3c1")(lengths, RNG).shape == (2, 3, 5, 1)
    assert Array(catalogue.ids, "")(lengths, RNG).shape == ()
    of = entry("f", None, None, "ba", None, "c4", "d", values=[catalogue.ids] * 4, index=Array(catalogue.ids, "n"), axis=1,
               shape=lambda n, rng: (n["a"], 7), lengths={"x": (1, 2)}, seal=True, second=False)  # fmt: skip
    assert of.letters == ["a", "b", "c", "d", "n", "x"] and of.seal and not of.second
    inputs, constants = of.draw(RNG, {"a": 2, "b": 3, "c": 1, "d": 4, "n": 6, "x": 1})
    assert [x if x is None else x.shape for x in inputs] == [(3, 2), None, (1, 4), (4,)]
    assert inputs[0].dtype == int and constants["axis"] == 1 and constants["shape"] == (2, 7)
    assert constants["index"].shape == (6,) and Entry("f", None, None, ()).second is True
    assert not Entry("f", None, None, ()).seal and catalogue.from_two("ab") == {"a": (2, 4), "b": (2, 4)}


def test_lengths_run_from_the_least_to_the_largest():
    def fn(x):
        return x * 2.0

    of = Entry("f", fn, None, ("bcd",), second=False, lengths={"d": (6, 7)})
    shapes = [arrays[0].shape for _, arrays in drawn(of, samples=60)]
    assert [{*axis} for axis in zip(*shapes)] == [{1, 2, 3, 4}, {1, 2, 3, 4}, {6, 7}]
    assert check_entry(of, 4, 5).shapes == [str(a[0].shape) for _, a in drawn(of, 5, 4)]


# --- what is measured ---


class Asked(Exception):
    """Raised to end a check early."""


def asked(monkeypatch, of, samples=2, torch=None, device="cpu", seed=7):
    """What `check_entry` asks of gradcheck and compare."""
    calls = []

    def differences(found, fn, arrays, column, options):
        calls.append((column, options))

    def against(found, fn, twin, arrays, options):
        calls.append(("torch", options))

    monkeypatch.setattr(agreement, "_against_differences", differences)
    monkeypatch.setattr(agreement, "_against_torch", against)
    check_entry(of, samples, seed, torch, device)
    return calls


@pytest.mark.parametrize("second", [False, True])
def test_the_first_sample_is_checked_in_float32_and_to_the_second_order_too(monkeypatch, second):
    of = entry("f", None, lambda torch: None, "b", second=second, seal=True)
    own = {"seal": True, "raise_error": False, "seed": 7}
    calls = asked(monkeypatch, of, torch=object())
    expected = [("gradient", {"dtype": "float64", "order": 1, "device": "cpu", **own})]
    first = [*expected, ("ulp", {"dtype": "float32", "order": 1, "device": "cpu", **own})]
    first += [("second", {"dtype": "float64", "order": 2, "device": "cpu", **own})] * second
    assert calls == [*first, ("torch", own), *expected, ("torch", own)]


def test_pytorch_is_asked_where_it_is_and_on_the_cpu(monkeypatch):
    of = entry("f", None, lambda torch: None, "b", second=False)
    assert "torch" not in [c for c, _ in asked(monkeypatch, of)]
    assert "torch" not in [c for c, _ in asked(monkeypatch, of, torch=object(), device="cuda")]
    assert "torch" not in [c for c, _ in asked(monkeypatch, entry("f", None, None, "b"), torch=object())]
    assert asked(monkeypatch, of, device="cuda")[0][1]["device"] == "cuda"


def test_the_largest_error_is_kept():
    result = Result("f")
    assert result.ok and all(
        math.isnan(getattr(result, c))
        for c in ("value", "gradient", "gradient_torch", "second", "ulp", "ulp_torch")
    )
    for error in (2.0, 3.0, 1.0, math.nan):
        result.note("second", error)
    assert result.second == 3.0 and math.isnan(result.ulp)
    result.failures.append("wrong")
    assert not result.ok


def test_each_error_stands_in_its_column(monkeypatch):
    rows = [
        Namespace(name="output 0", dtype="float64", relative=1.0, ulp=10.0),
        Namespace(name="gradient of x", dtype="float64", relative=2.0, ulp=20.0),
        Namespace(name="output 0", dtype="float32", relative=3.0, ulp=30.0),
        Namespace(name="gradient of x", dtype="float32", relative=4.0, ulp=40.0),
    ]
    report = Namespace(rows=rows, ok=True, unmatched=[])
    monkeypatch.setattr(agreement, "gradcheck", lambda fn, arrays, **options: report)
    monkeypatch.setattr(agreement, "compare", lambda fn, twin, arrays, **options: report)
    result = Result("f")
    agreement._against_torch(result, None, None, [], {})
    assert (result.value, result.gradient_torch, result.ulp_torch) == (1.0, 2.0, 40.0)
    for column in ("gradient", "ulp"):
        agreement._against_differences(result, None, [], column, {})
    assert (result.gradient, result.ulp) == (4.0, 40.0) and result.ok
    for flaw in ({"ok": False}, {"unmatched": ["only in a: b"]}):
        failed, bad = Result("f"), Namespace(rows=[], **{"ok": True, "unmatched": [], **flaw})
        monkeypatch.setattr(agreement, "compare", lambda fn, twin, arrays, bad=bad, **options: bad)
        agreement._against_torch(failed, None, None, [], {})
        assert not failed.ok and failed.failures[0].startswith("f: ")


def test_arrays_among_the_constants_are_inputs_of_the_check():
    def fn(x, y=None, *, index, axis):
        return x, y, index, axis

    index, x, y = np.arange(3), np.ones(2), np.ones(4)
    call, arrays = agreement._of_arrays(fn, [x, y], {"index": index, "axis": 1})
    assert arrays == [index, x, y] or all(a is b for a, b in zip(arrays, [index, x, y], strict=True))
    assert call(5, 6, 7) == (6, 7, 5, 1)
    plain, arrays = agreement._of_arrays(fn, [x], {})
    assert plain is fn and arrays == [x]


# --- the command ---


def options(*argv):
    parser = argparse.ArgumentParser()
    command.add_check(parser.add_subparsers())
    return parser.parse_args(["check", *argv])


def test_what_the_command_takes():
    given = {"function": None, "shapes": None, "values": None, "against": None, "library": None, "only": None}
    given |= {"seed": 0, "deep": False, "wide": False, "device": "cpu", "json": False, "markdown": False}
    assert vars(options()) == given | {"run": command.run_check}
    flags = ["--deep", "--wide", "--json", "--seed", "3", "--device", "cuda", "--only", "x"]
    changed = {"deep": True, "wide": True, "json": True, "seed": 3, "device": "cuda", "only": "x"}
    assert vars(options(*flags)) == given | changed | {"run": command.run_check}
    for bad in (["--json", "--markdown"], ["--device", "tpu"], ["--values", "any"], ["--library", "cupy"]):
        with pytest.raises(SystemExit):
            options(*bad)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [("4,8;8", [(4, 8), (8,)]), ("", [()]), ("3;;2", [(3,), (), (2,)]), ("3,", [(3,)]), ("0", [(0,)]), (" 3 , 4 ", [(3, 4)])],
)  # fmt: skip
def test_shapes_are_read(text, shapes):
    assert command._shapes(text) == shapes


def test_json_has_no_nan_and_no_infinity():
    facts = {"a": 1.0, "b": math.nan, "c": -math.inf, "d": "x", "e": 3, "f": None}
    assert command._finite(facts) == {"a": 1.0, "b": None, "c": None, "d": "x", "e": 3, "f": None}


def test_the_wide_table_counts_the_other_shapes():
    results = [Result("one", ["(3,)"]), Result("two", ["(3,)", "(4,)", "(5,)"])]
    wide = command._table(results, Namespace(wide=True, markdown=False)).splitlines()
    assert wide[2].split("  ")[:1] == ["one"] and " and " not in wide[2] and "(3,) and 2 more" in wide[3]
    results[1].failures.append("wrong")
    markdown = command._table(results, Namespace(wide=False, markdown=True)).splitlines()
    assert (
        markdown[3].startswith("| two ")
        and "(3,) and 2 more |" in markdown[3]
        and markdown[3].endswith("WRONG |")
    )
    assert (
        markdown[1].split("|")[1:4] == [" " + "-" * n + " " for n in (18, 15)] + [" " + "-" * 13 + ": "]
        or markdown[1].count(":") == 7
    )


def test_a_users_table_shows_noise_of_a_check_and_ulps_of_a_comparison():
    report = gradcheck(lambda x: x * 2.0, np.ones((2, 3)))
    lines = command._markdown(report).splitlines()
    assert lines[0] == "gradcheck: <lambda> (minigrad, float64): right"
    assert [c.strip() for c in lines[2].split("|")[1:-1]] == [
        "array",
        "shape",
        "error",
        "relative",
        "of the noise",
        "verdict",
    ]
    assert lines[4].startswith("| input 0 float64 |") and lines[4].rstrip(" |").endswith("right")


def test_layer_norm_of_pytorch_is_given_its_shape():
    def fn(*arguments):
        return arguments

    x, w = np.ones((2, 3, 4)), np.ones((3, 4))
    assert command._with_shape(fn, [x])(x) == (x, (4,)) or command._with_shape(fn, [x])("x") == ("x", (4,))
    assert command._with_shape(fn, [x, w])("x", "w", "b") == ("x", (3, 4), "w", "b")


@pytest.mark.parametrize(
    ("name", "found", "library"),
    [
        ("numpy:sin", np.sin, None),
        ("numpy:linalg.norm", np.linalg.norm, None),
        ("numpy:numpy.linalg.norm", np.linalg.norm, "numpy"),
        ("minigrad:nn.functional.gelu", nn.functional.gelu, "minigrad"),
    ],
)
def test_functions_are_found_by_name_with_their_library(name, found, library):
    if name == "numpy:linalg.norm":
        with pytest.raises(ModuleNotFoundError):
            command._find(name)
    else:
        assert command._find(name) == (found, library)
    fn, of = command._find("nn:ReLU")
    assert isinstance(fn, nn.ReLU) and of is None
