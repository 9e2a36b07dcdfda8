"""Hypothesis profiles, and a state that every test leaves as it found it."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported, so before it

import pytest
import torch
from hypothesis import HealthCheck, settings

from minigrad import random, switches

torch.set_num_threads(1)  # as BLAS above: the arrays here are tiny, and threads would wait for one another

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", max_examples=8, deadline=None, suppress_health_check=SLOW)
settings.register_profile("ci", max_examples=20, deadline=None, suppress_health_check=SLOW, derandomize=True)
settings.register_profile("deep", max_examples=500, deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def _sealed_state():
    """Put the default generator and this thread's switches back after each test."""
    generator, before = random.default_generator(), dict(vars(switches.state))
    state = generator.state()
    yield
    generator.set_state(state)
    vars(switches.state).clear()
    vars(switches.state).update(before)
