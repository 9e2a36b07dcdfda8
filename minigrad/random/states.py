"""PyTorch's functions about the default generator: `torch.seed`, `get_rng_state`, `fork_rng` and their like."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minigrad import random


def seed() -> int:
    """Seed the default generator by the operating system's own random numbers; return the seed."""
    return random.default_generator().seed()


def initial_seed() -> int:
    """Return the seed from which the default generator started."""
    return random.default_generator().initial_seed()


def get_rng_state() -> np.ndarray:
    """Return where the default generator is, as PyTorch's 5056 bytes."""
    return random.default_generator().get_state()


def set_rng_state(new_state: ArrayLike) -> None:
    """Continue from what `get_rng_state`, or PyTorch's, returned."""
    random.default_generator().set_state(new_state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **_kept: Any) -> Iterator[None]:
    """Afterwards the default generator goes on as if nothing had been drawn inside; `devices` have none of ours."""
    generator = random.default_generator()
    before = generator.state()
    try:
        yield
    finally:
        if enabled:
            generator.set_state(before)
