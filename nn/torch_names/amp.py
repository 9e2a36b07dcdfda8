"""torch.amp: mixed precision, which is off here. What would change a number is refused."""

from contextlib import ContextDecorator
from typing import Any

from minigrad.errors import type_error
from minigrad.torch_names.device import device
from nn.torch_names import cuda

HALF = ("float16", "bfloat16")
HINT = "pass enabled=False, or dtype=torch.float32"


class autocast(ContextDecorator):
    """A context, or a decorator, that computes as everywhere: accepted where PyTorch would do the same.

    On the CPU, PyTorch's autocast computes in bfloat16 and changes the numbers, unless it is disabled or
    given another type than the two of 16 bits; without a GPU, its autocast for a GPU does nothing.

    Raises    TypeError where products would be of 16 bits.
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        kind = device(device_type).type
        computes = kind == "cpu" or (kind == "cuda" and cuda.is_available())
        wanted = {"cpu": "bfloat16"}.get(kind, "float16") if dtype is None else str(dtype).rpartition(".")[2]
        if enabled and computes and wanted in HALF:
            raise type_error(f'autocast("{kind}")', "float32 or float64", wanted, HINT)

    def __enter__(self) -> "autocast":
        return self

    def __exit__(self, *error: object) -> None:
        pass


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Return False."""
    return False


class GradScaler:
    """PyTorch's scaler of losses, switched off: the loss is not scaled, a step is the optimiser's step.

    What it guards against, gradients of 16 bits that vanish, does not happen in float32. Its arguments are
    accepted and have no effect, as PyTorch's have without a GPU.
    """

    def __init__(self, device: str = "cuda", *settings: Any, enabled: bool = True, **more: Any) -> None:
        pass

    def scale(self, outputs: Any) -> Any:
        """Return the loss, or the losses, as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Leave the gradients as they are."""

    def step(self, optimizer: Any, *args: Any, **options: Any) -> Any:
        """Return optimizer.step()."""
        return optimizer.step(*args, **options)

    def update(self, new_scale: float | None = None) -> None:
        """Do nothing."""

    def get_scale(self) -> float:
        """Return 1.0."""
        return 1.0

    def is_enabled(self) -> bool:
        """Return False."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return {}, as PyTorch's that is switched off."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing over."""
