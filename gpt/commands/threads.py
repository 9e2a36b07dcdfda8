"""How many threads the matrix products of a command use."""

from collections.abc import Callable
from typing import Any

from minigrad.parallel import Way, cores, fastest_way
from minigrad.switches import no_grad


def use_threads(step: Callable[[], Any]) -> None:
    """Time `step` with one BLAS thread and with all, and keep the faster; without threadpoolctl, leave it as it is.

    The library's own choice, all, waits for every thread at every product: where a core is taken by another
    program, a sample of a small model took 54 s in place of 3.
    """

    def run(way: Way) -> None:
        with no_grad():
            step()

    fastest_way(run, [Way(1, n) for n in sorted({1, cores()})], seconds=0.2)
