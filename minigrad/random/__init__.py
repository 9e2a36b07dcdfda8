"""Random numbers: PyTorch's CPU stream, number for number, and a fast one; masks that belong to a place."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minigrad.random.generator import Generator
from minigrad.random.keyed import Keyed
from minigrad.random.stream import Stream

_common: dict[str, Generator] = {}  # one, made when first asked for: to import numpy.random takes a while
_thread = threading.local()


def default_generator(given: Generator | None = None) -> Generator:
    """Return the one that is given; else that of `using` in this thread, or else a common one."""
    found = given or getattr(_thread, "generator", None) or _common.get("one")
    return found or _common.setdefault("one", Generator())  # the same for threads that ask at once


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, as `torch.manual_seed`; return it."""
    return default_generator().manual_seed(seed)


@contextmanager
def using(generator: Stream) -> Iterator[Any]:
    """Inside, `generator` is the default of this thread; other threads keep theirs."""
    before = getattr(_thread, "generator", None)
    _thread.generator = generator
    try:
        yield generator
    finally:
        _thread.generator = before
