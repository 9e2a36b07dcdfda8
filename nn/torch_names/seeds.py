"""torch.random: the common generator's seed and state."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.backend import to_numpy
from minigrad.methods import values_of
from minigrad.random import default_generator, manual_seed
from minigrad.tensor import Tensor, wrap

__all__ = ["manual_seed"]


def seed() -> int:
    """Seed from the operating system; return the seed."""
    return default_generator().seed()


def initial_seed() -> int:
    """Return the seed that the generator started from."""
    return default_generator().initial_seed()


def get_rng_state() -> Tensor:
    """Return where the generator is, PyTorch's 5056 bytes, for `set_rng_state`."""
    return wrap(default_generator().get_state())


def set_rng_state(new_state: Any) -> None:
    """Go on from what `get_rng_state` returned, here or in PyTorch."""
    default_generator().set_state(to_numpy(values_of(new_state)))


@contextmanager
def fork_rng(*args: Any, enabled: bool = True, **options: Any) -> Iterator[None]:
    """Inside, draws as ever; afterwards the generator is where it was."""
    before = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(before)
