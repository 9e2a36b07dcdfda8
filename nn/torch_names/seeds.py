"""torch.random: the common generator's seed and state."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.random import default_generator, manual_seed

__all__ = ["manual_seed"]


def seed() -> int:
    """Seed from the operating system; return the seed."""
    chosen = int.from_bytes(os.urandom(6), "little")
    manual_seed(chosen)
    return chosen


def initial_seed() -> int:
    """Return the seed that the generator started from."""
    return default_generator().initial_seed()


def get_rng_state() -> dict[str, Any]:
    """Return where the generator is, for `set_rng_state`; torch.save takes it."""
    return default_generator().state()


def set_rng_state(new_state: dict[str, Any]) -> None:
    """Go on from what `get_rng_state` returned."""
    default_generator().set_state(new_state)


@contextmanager
def fork_rng(*args: Any, enabled: bool = True, **options: Any) -> Iterator[None]:
    """Inside, draws as ever; afterwards the generator is where it was."""
    before = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(before)
