"""The report of a GPU: what of it can be tested without one."""

import importlib
import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tests.support import foreign
from tests.support.chapter import FOLDER, ROOT


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("gpu_report")


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_cupy_one_line_says_what_to_install():
    command = [sys.executable, str(FOLDER / "gpu_report.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    install = 'pip install -e ".[cuda]" (for CUDA 13 ".[cuda13]")'
    assert done.stderr == f'device: "cuda" needs CuPy; install it with: {install}\n'


def test_steps_on_another_device_are_held_against_those_of_the_cpu(report, monkeypatch):
    foreign.install(monkeypatch)
    assert max(report.furthest(2)) < 1e-13
    step = report.our_step
    monkeypatch.setattr(report, "our_step", lambda c, b, device, dtype: spoiled(step, c, b, device, dtype))
    assert min(report.furthest(2)) > 1e-6


def spoiled(step, config, batch, device, dtype):
    model, make = step(config, batch, device, dtype)
    if device == "cuda":
        model.wte.weight.array[0] += 1.0
    return model, make


def test_a_step_learns_and_its_median_is_taken(report):
    model, step = report.our_step(report.LITTLE, 3, "cpu")
    assert model.wte.weight.dtype == np.float32
    losses = [step() for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    waits = []
    assert report.milliseconds(lambda: 0.0, lambda: waits.append(1), 3) >= 0.0 and len(waits) == 5


def test_what_one_side_cannot_do_is_said_and_the_other_is_measured(report, monkeypatch, capsys):
    def fails(*what):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(report, "SIZES", {"little": (report.LITTLE, 3)})
    monkeypatch.setattr(report, "described", lambda device: "a stand-in")
    monkeypatch.setattr(report, "furthest", lambda: (0.0, 1e-16))
    monkeypatch.setattr(report, "torch_cost", fails)
    monkeypatch.setattr(report, "our_cost", lambda config, batch, tf32: (10.0, 2**20))
    assert report.report() == 1
    printed = capsys.readouterr().out
    assert printed.count("RuntimeError: out of memory") == 2
    assert printed.count("10.0 ms      30,000 tokens/s        1 MiB\n") == 2
    monkeypatch.setattr(report, "torch_cost", lambda config, batch, tf32: (20.0, 2**21))
    assert report.report() == 0
    assert capsys.readouterr().out.count("   0.50 of its time, 0.50 of its memory") == 2
