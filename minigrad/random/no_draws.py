"""A generator that draws nothing: for models whose weights come from a file a moment later."""

import numpy as np
from numpy.typing import DTypeLike

from minigrad.random.generator import Generator
from minigrad.random.stream import Size


class NoDraws(Generator):
    """Returns zeros of any size that cost neither time nor memory, and cannot be written to.

    A model that is made with it gets its numbers from `load_state_dict(state, assign=True)`.
    """

    def __init__(self) -> None:
        """There is no stream, hence no seed."""

    def uniform(
        self, low: float = 0.0, high: float = 1.0, size: Size = (), dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Return zeros of that size."""
        return np.broadcast_to(np.zeros((), dtype), size)

    def normal(
        self, mean: float = 0.0, std: float = 1.0, size: Size = (), dtype: DTypeLike = np.float32,
        *, side_by_side: bool = True,
    ) -> np.ndarray:  # fmt: skip
        """Return zeros of that size."""
        return np.broadcast_to(np.zeros((), dtype), size)


NO_DRAWS = NoDraws()
