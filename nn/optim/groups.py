"""Which parameters decay."""

from minigrad.errors import check_type
from nn.module import Module


def decay_groups(model: Module, weight_decay: float) -> list[dict]:
    """Split what learns for the optimiser: matrices decay, biases and norm gains (one axis) do not."""
    check_type("decay_groups", model, Module, "a module")
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [(n, p) for n, p in named if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [(n, p) for n, p in named if p.ndim < 2], "weight_decay": 0.0},
    ]
