"""What is said of a name that PyTorch has and minigrad has not."""

import difflib
from collections.abc import Iterable

OURS = {  # PyTorch's name -> what to do here
    "torch.autograd.profiler": "minigrad.profile shows the time of every operation",
    "torch.fx": "minigrad.trace shows every operation of a call",
    "torch.func": "minigrad has grad, vjp, jvp, jacobian, hessian, hvp of functions",
    "torch.profiler": "minigrad.profile shows the time of every operation",
    "torch.utils.bottleneck": "python -m minigrad profile shows the time of every operation",
    "torch.vmap": "operations take leading axes, as matmul does",
}
ALIKE = 0.8  # how like a name must be to be offered: cat for catt, not for cast


def missing(where: str, name: str, candidates: Iterable[str] = ()) -> str:
    """Return "torch.fft: minigrad has none", with our way or the nearest name of `candidates` where there is one.

    Example
        >>> missing("torch", "concatenat", ["cat", "concatenate"])
        'torch.concatenat: minigrad has none; did you mean torch.concatenate?'
    """
    full = f"{where}.{name}"
    line = f"{full}: minigrad has none"
    if full in OURS:
        return f"{line}; {OURS[full]}"
    public = [other for other in candidates if not other.startswith("_")]
    near = next((other for other in public if _folded(other) == _folded(name)), None)
    near = near or next(iter(difflib.get_close_matches(name, public, cutoff=ALIKE)), None)
    return f"{line}; did you mean {where}.{near}?" if near else line


def _folded(name: str) -> str:
    """Return a name as those write it who forgot where its capitals and underscores stand."""
    return name.lower().replace("_", "")


def attribute_error(where: str, name: str, candidates: Iterable[str] = ()) -> AttributeError:
    """Return the AttributeError with that line; Python itself then adds no guess of its own."""
    if name.startswith("__"):  # asked by libraries, often, and answered by nobody: no need to look for others
        return AttributeError(f"{where} has no attribute {name!r}", name=name, obj=None)
    return AttributeError(missing(where, name, candidates), name=name, obj=None)
