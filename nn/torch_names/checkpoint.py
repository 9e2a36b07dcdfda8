"""torch.utils.checkpoint: a call whose intermediate arrays PyTorch would compute a second time, to save memory."""

from typing import Any


def checkpoint(function: Any, *args: Any, use_reentrant: bool | None = None, **options: Any) -> Any:
    """torch.utils.checkpoint: return function(*args), whose intermediate arrays are kept, not computed again."""
    for setting in ("context_fn", "determinism_check", "debug", "preserve_rng_state", "early_stop"):
        options.pop(setting, None)
    return function(*args, **options)
