"""torch.distributed: there is one process, which is what these answer."""

from typing import Any, NoReturn

from nn.module import Module

HINT = "run the script without torchrun: one process computes; minigrad.parallel splits a batch over cores"


def is_available() -> bool:
    """Return False."""
    return False


is_initialized = is_torchelastic_launched = is_available


def get_rank(group: Any = None) -> int:
    """Return 0, of the one process."""
    return 0


def get_world_size(group: Any = None) -> int:
    """Return 1."""
    return 1


def barrier(*args: Any, **options: Any) -> None:
    """Wait for nobody."""


def init_process_group(*args: Any, **options: Any) -> NoReturn:
    """Refuse.

    Raises    RuntimeError
    """
    raise RuntimeError(f"torch.distributed.init_process_group: expected one process; got several; {HINT}")


def destroy_process_group(group: Any = None) -> None:
    """Do nothing: there is none."""


class DataParallel(Module):
    """A model on many GPUs; with none it calls the model, which is its `module`, as PyTorch's does then."""

    device_ids: list[Any]

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        self.module = module
        self.device_ids = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*inputs, **kwargs)


class DistributedSampler:
    """A name that scripts import; it needs `init_process_group`, which refuses."""

    def __init__(self, dataset: Any, *args: Any, **options: Any) -> None:
        init_process_group()


class DistributedDataParallel(Module):
    """A name that scripts import; it needs `init_process_group`, which refuses."""

    def __init__(self, module: Module, *args: Any, **options: Any) -> None:
        init_process_group()
