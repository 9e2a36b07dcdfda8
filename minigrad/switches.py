"""What a thread's operations do besides computing: whether they record, what they keep, who is told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Protocol


class Monitor(Protocol):
    """Who is told of every operation of a thread (a profile, a trace, the search for a NaN); see `watched_by`.

    It stands in for the call: it makes it, and returns what it returns.
    """

    def forward(self, fn: Callable[..., Any], arrays: list[Any], constants: dict[str, Any]) -> Any:
        """Return fn(*arrays, **constants), which is (out, vjp)."""

    def backward(self, node: Any, dout: Any) -> Any:
        """Return node.vjp(dout), the gradients of the node's parents."""


class Noted(SimpleNamespace):
    """A `vjp` with what a monitor noted when its operation ran, for when it is pulled."""

    def __call__(self, dout: Any) -> Any:
        """Pull."""
        return self.vjp(dout)


class _State(threading.local):
    """The switches of the current thread; a new thread starts with these."""

    recording = True  # do operations record nodes?
    keep_inputs = False  # do nodes keep what replay needs (higher.py)?
    transforming = False  # does the function of a transform run (transforms.py)?
    monitor: Monitor | None = None


state = _State()


@contextmanager
def _switch(name: str, value: object) -> Iterator[None]:
    before = getattr(state, name)
    setattr(state, name, value)
    try:
        yield
    finally:
        setattr(state, name, before)


def no_grad(orig_func: Callable[..., Any] | None = None) -> Any:
    """Inside `with no_grad():`, in this thread, operations record nothing. Also a decorator, with or without ()."""
    switch = _switch("recording", False)
    return switch if orig_func is None else switch(orig_func)


def enable_grad(orig_func: Callable[..., Any] | None = None) -> Any:
    """Inside, operations record again, also within `no_grad()`. Also a decorator, with or without ()."""
    switch = _switch("recording", True)
    return switch if orig_func is None else switch(orig_func)


def keep_inputs() -> Any:
    """Inside, nodes keep their operation and inputs, so that a walk can be differentiated."""
    return _switch("keep_inputs", True)


def transforming() -> Any:
    """Inside, a transform inside the running function returns Tensors, and float(x) is refused."""
    return _switch("transforming", True)


def watched_by(monitor: Monitor | None) -> Any:
    """Inside, `monitor` is told of every operation of this thread, forward and backward."""
    return _switch("monitor", monitor)
