"""The race: the command runs, opponents agree, and what it writes can be read."""

import importlib
import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, str(ROOT / "examples" / "race.py")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("race")
    arguments = (
        "--only",
        "tiny",
        "--opponents",
        "eager",
        "--seconds",
        "0.1",
        "--markdown",
        "--json",
        "race.json",
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def race_track():
    """The modules of the race, which are importable from examples/ only."""
    sys.path.insert(0, str(ROOT / "examples"))
    yield importlib.import_module("race_track.turns")
    sys.path.remove(str(ROOT / "examples"))


def test_ten_losses_agree_with_pytorch_and_fall(finished):
    folder, _ = finished
    (cell,) = json.loads((folder / "race.json").read_text())["cells"]
    ours, theirs = (cell["opponents"][key]["values"] for key in ("ours", "eager"))
    assert len(ours) == 10
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert ours[-1] < ours[0] - 0.1


def test_the_json_holds_times_memory_threads_and_the_machine(finished):
    folder, _ = finished
    content = json.loads((folder / "race.json").read_text())
    assert {"processor", "Python", "NumPy"} <= content["machine"].keys()
    (cell,) = content["cells"]
    assert cell["opponents"].keys() == {"ours", "eager", "floor"}
    assert not cell["failures"]
    for entrant in cell["opponents"].values():
        assert 0 < entrant["p10_ms"] <= entrant["median_ms"] <= entrant["p90_ms"]
        assert entrant["count"] >= 3
        assert 5 < entrant["peak_mib"] < 5000
        assert entrant["threads"]
    assert cell["opponents"]["eager"]["ratio_to_pytorch"] == 1


def test_every_markdown_table_has_rows_of_one_width(finished):
    _, printed = finished
    tables = [block.splitlines() for block in printed.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3  # the cell, its losses, the summary
    for lines in tables:
        assert len(lines) >= 3
        assert len({line.count("|") for line in lines}) == 1


def test_the_bar_chart_is_written(finished):
    folder, _ = finished
    assert (folder / "out" / "race.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--only", "huge"),
        ("--opponents", "fortran"),
        ("--opponents", "nanogpt"),
        ("--nanogpt", "nowhere/model.py"),
        ("--seconds", "-1"),
        ("--json", "nowhere/race.json"),
        ("--profile", "--only", "gpt2-decode"),
    ],
    ids=["cell", "opponent", "no path", "path", "seconds", "file", "profile"],
)
def test_a_mistake_gets_one_line(race_track, capsys, arguments):
    assert importlib.import_module("race").main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("race: --")
    assert "expected" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("values", [[1.0, 2.0003], [1.0, math.nan]])
def test_an_opponent_that_computes_something_else_stops_the_race(race_track, values):
    cell = importlib.import_module("race_track.cells").CELLS["tiny"]
    result = race_track.Result(cell)
    result.entrants["ours"] = race_track.Entrant("minigrad", "", "", 0.0, [1.0, 2.0])
    result.entrants["eager"] = race_track.Entrant("PyTorch eager", "", "", 0.0, values)
    with pytest.raises(race_track.Disagreement, match="within 0.0001 of ours"):
        race_track.check_agreement(result)


def test_quotients_are_medians_over_rounds_so_that_drift_cancels(race_track):
    cell = importlib.import_module("race_track.cells").CELLS["tiny"]
    result = race_track.Result(cell)
    for key, factor in (("ours", 2.0), ("eager", 4.0)):
        turns = [[factor * slow] * 3 for slow in (1.0, 10.0, 100.0)]
        result.entrants[key] = race_track.Entrant(key, "", "", 0.0, [], turns)
    assert result.ratio("ours", "eager") == 0.5
    assert math.isnan(result.ratio("ours", "jax"))


def test_our_time_in_units_of_the_matrix_products_comes_first_then_in_units_of_pytorchs(race_track):
    cells = importlib.import_module("race_track.cells").CELLS
    standings = importlib.import_module("race_track.standings")
    result = race_track.Result(cells["cpu"])
    for key, seconds in (("ours", 0.03), ("eager", 0.04), ("floor", 0.02)):
        result.entrants[key] = race_track.Entrant(key, "", "", 0.0, [], [[seconds] * 3], 100.0)
    summary, cell = standings.summary_table([result]), standings.cell_table(result)
    assert summary.split("\n")[0].split("  ")[0].strip() == "ms"
    assert summary.split("\n")[0].index("ours / floor") < summary.split("\n")[0].index("ours / PyTorch eager")
    assert summary.split("\n")[-1].split() == "cpu, a step 1.50 0.75 30 40 20 100 1.00".split()
    rows = {line.split()[0]: line.split()[1:4] for line in cell.split("\n") if line.split()}
    assert rows["ours"] == ["1.50", "0.75", "30"]
    assert rows["eager"] == ["2.00", "1.00", "40"]
    assert standings.as_json(result)["opponents"]["ours"]["ratio_to_floor"] == 1.5


def test_every_cell_has_a_floor(race_track):
    cells = importlib.import_module("race_track.cells").CELLS
    opponents = importlib.import_module("race_track.opponents").OPPONENTS
    assert all(opponents["floor"].takes_part(cell) for cell in cells.values())
    assert [name for name in cells if name.startswith("smollm2")] == ["smollm2-prefill", "smollm2-decode"]


def test_the_matrix_products_of_a_step_are_six_operations_per_weight_and_token(race_track):
    cells = importlib.import_module("race_track.cells")
    floor = importlib.import_module("race_track.opponents.floor")
    cell = cells.CELLS["cpu"]
    weights = sum(
        math.prod(s) for name, s in cells.parameter_shapes(cell) if len(s) == 2 and name != "wpe.weight"
    )
    tokens = cell.batch_size * cell.block_size
    attention = 6 * cell.n_layer * cell.n_embd * cell.block_size  # half of the usual 12: causality
    assert floor.flops(cell) == (6 * weights + attention) * tokens


@pytest.mark.parametrize("job", ["prefill", "decode"])
def test_all_who_can_be_a_llama_compute_the_same(race_track, job):
    cells = importlib.import_module("race_track.cells")
    cell = cells.Cell("small", 2, 4, 32, 512, 1, vocab_size=31, job=job, n_kv_head=2, n_hidden=48)
    opponents = importlib.import_module("race_track.opponents").OPPONENTS
    able = [each for each in opponents.values() if each.takes_part(cell)]
    assert [each.module for each in able] == ["ours", "pytorch", "hugging_face", "floor"]
    units = [
        importlib.import_module(f"race_track.opponents.{each.module}").build(cell).unit for each in able[:3]
    ]
    for _ in range(4):
        ours, *others = (unit() for unit in units)
        np.testing.assert_allclose(others, ours, rtol=0, atol=1e-5)
    assert not opponents["nanogpt"].takes_part(cell, asked=True)


def test_the_matrix_products_of_a_llamas_token_are_two_operations_per_weight_and_its_attentions(race_track):
    cells = importlib.import_module("race_track.cells")
    floor = importlib.import_module("race_track.opponents.floor")
    cell = cells.CELLS["smollm2-decode"]
    weights = sum(math.prod(shape) for _, shape in cells.parameter_shapes(cell) if len(shape) == 2)
    assert weights == 134_479_872
    assert floor.flops(cell) == 2 * weights + 4 * cell.n_layer * cell.n_embd * cells.PROMPT


# ---- several processes ----


@pytest.mark.skipif(not find_spec("mpi4py"), reason="mpi4py is not here: pip install -e '.[mpi]'")
def test_sides_of_two_processes_compute_what_one_computes(race_track):
    cell, progress = importlib.import_module("race_track.cells").CELLS["tiny"], race_track.Progress(0.1)
    result = race_track.race(cell, ["ours", "ranks", "ddp"], {}, 0.1, progress)  # which compares the losses
    assert result.entrants.keys() == {"ours", "ranks", "ddp"}, result.failures
    one, two = (result.entrants[key].peak_mib for key in ("ours", "ranks"))
    assert two > 1.5 * one  # of both processes together


@pytest.fixture(scope="module")
def paper(race_track):
    """The predictions of examples/many_machines.py."""
    return importlib.import_module("many_machines")


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_a_ring_sends_the_bytes_that_the_paper_says(paper, n):
    """Each rank passes on one part of n at a time: n - 1 times until every part is summed somewhere, n - 1 to spread it."""
    parts = [[10.0**rank] * n for rank in range(n)]
    sent = 0
    for turn in range(2 * (n - 1)):
        moves = [((rank - turn) % n, parts[rank][(rank - turn) % n]) for rank in range(n)]
        for rank, (part, value) in enumerate(moves):
            right = parts[(rank + 1) % n]
            right[part] = value + (right[part] if turn < n - 1 else 0)
        sent += 1
    assert all(each == [sum(10.0**rank for rank in range(n))] * n for each in parts)
    assert paper.all_reduce_seconds(n, 1e6, 1e6) == pytest.approx(sent / n)


def test_the_paper_knows_gpt2_and_where_hiding_pays(paper):
    assert paper.gradient_bytes(paper.BIG) == 4 * (124_439_808 + 2)
    slow, fast = paper.where_it_pays(1e9, 1e-9), paper.where_it_pays(1e13, 1e-12)
    assert slow.count("none") == 3
    assert fast == "2 ranks at 1 Gbit/s, 4 ranks at 10 Gbit/s, 32 ranks at 100 Gbit/s"
