"""Hypothesis profiles, and a state that every test leaves as it found it.

`python -m pytest` gives the same result every time: with the profile "ci", the default, here as in `.ci/run`,
each test draws its cases from its own name and source. A test that fails for one reader in a hundred teaches him
nothing about his change, and one that is found again from a database on his disk cannot be repeated elsewhere.
What other cases may hold is looked for on purpose, by a command of its own, which takes an hour or two and
draws anew each time; what it finds, it prints as a case to copy into a test:

    HYPOTHESIS_PROFILE=deep python -m pytest tests/test_ops.py
"""

import os
import signal

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported, so before it

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from minigrad import random, switches

torch.set_num_threads(1)  # as BLAS above: the arrays here are tiny, and threads would wait for one another

# A script's background job ignores interrupts, and so would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
COMMON = {"deadline": None, "database": None, "suppress_health_check": SLOW}
settings.register_profile("ci", max_examples=20, derandomize=True, **COMMON)
settings.register_profile("deep", max_examples=500, derandomize=False, print_blob=True, **COMMON)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or "ci"
settings.load_profile(PROFILE)
if PROFILE == "ci":
    # Hypothesis also draws the numbers that stand in the loaded source: then a test's cases would depend on
    # which other tests run, and on every constant that anyone edits.
    pytest.MonkeyPatch().setattr(providers, "_get_local_constants", providers.Constants)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Run the whole suite on all cores (up to 8), a named part of it in this process."""
    whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    return min(os.cpu_count() or 1, 8) if whole else 0


@pytest.fixture(autouse=True)
def _sealed_state():
    """Put the default generator and this thread's switches back after each test."""
    generator, before = random.default_generator(), dict(vars(switches.state))
    state = generator.state()
    yield
    generator.set_state(state)
    vars(switches.state).clear()
    vars(switches.state).update(before)
