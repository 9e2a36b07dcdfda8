"""Stochastic gradient descent."""

from typing import Any

from minigrad.errors import value_error
from nn.optim.optimizer import Optimizer
from nn.optim.setup import flags


class SGD(Optimizer):
    """Stochastic gradient descent.

        b = momentum b + (1 - dampening) g;   p = p - lr b,   or p - lr (g + momentum b) with nesterov

    with g = grad + weight_decay p, and b = g at the first step. `options` are PyTorch's others; see
    `flags` (setup.py).

    Units     lr and weight_decay per step
    Source    `torch.optim.SGD`; Sutskever et al. 2013 for momentum
    """

    slots = {"momentum_buffer": "momentum"}
    saves_step = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise value_error("SGD", "momentum above 0 and no dampening for nesterov", (momentum, dampening))
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, settings | {"nesterov": nesterov} | flags("SGD", options, "capturable"))

    def _update(self, group: dict[str, Any], p: Any, grad: Any, step: int, averages: dict[str, Any]) -> None:
        g = grad + group["weight_decay"] * p if group["weight_decay"] else grad
        if group["momentum"]:
            b = averages["momentum_buffer"]
            b *= group["momentum"]
            b += g * (1.0 if step == 1 else 1.0 - group["dampening"])
            g = g + group["momentum"] * b if group["nesterov"] else b
        p -= group["lr"] * g
