"""Recording gradients or not, in PyTorch's further spellings of no_grad and enable_grad."""

from contextlib import ContextDecorator
from typing import Any

from minigrad.switches import no_grad, state


class set_grad_enabled(ContextDecorator):
    """set_grad_enabled(False) stops recording at once; in a `with`, or as a decorator, until its end."""

    def __init__(self, mode: bool) -> None:
        self.mode, self.before = bool(mode), state.recording
        state.recording = self.mode

    def __call__(self, fn: Any) -> Any:
        """Return the function that records, or not, while it runs."""
        state.recording = self.before
        return super().__call__(fn)

    def _recreate_cm(self) -> "set_grad_enabled":
        return type(self)(self.mode)

    def __enter__(self) -> None:
        state.recording = self.mode

    def __exit__(self, *error: object) -> None:
        state.recording = self.before


def is_grad_enabled() -> bool:
    """Return whether operations of this thread record what backward needs."""
    return state.recording


def inference_mode(mode: Any = True) -> Any:
    """no_grad() under another name; a bare `@torch.inference_mode` too. inference_mode(False) changes nothing."""
    if callable(mode):
        return no_grad()(mode)
    return no_grad() if mode else _Same()


class _Same(ContextDecorator):
    """A context in which all is as outside."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


def is_inference_mode_enabled() -> bool:
    """Return whether nothing is recorded."""
    return not state.recording
