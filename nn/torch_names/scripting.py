"""torch.jit: what would compile a function returns it as it is: the same numbers."""

from typing import Any, NoReturn


def script(obj: Any, **settings: Any) -> Any:
    """Return the function, class or model as it is."""
    return obj


ignore = unused = export = script_method = script


def trace(func: Any, example_inputs: Any = None, **settings: Any) -> Any:
    """Return the function or model as it is, which follows other branches for other inputs, as a trace would not."""
    return func


def is_scripting() -> bool:
    """Return False."""
    return False


is_tracing = is_scripting


def save(m: Any, f: Any, **settings: Any) -> NoReturn:
    """Refuse.

    Raises    NotImplementedError
    """
    raise NotImplementedError("torch.jit.save: minigrad has none; torch.save(model.state_dict(), path)")


def load(f: Any, map_location: Any = None, **settings: Any) -> NoReturn:
    """Refuse.

    Raises    NotImplementedError
    """
    raise NotImplementedError("torch.jit.load: minigrad has none; model.load_state_dict(torch.load(path))")
