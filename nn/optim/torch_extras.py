"""Optimisers that lessons use beside SGD and Adam, with PyTorch's names and numbers."""

from typing import Any

from minigrad.backend import namespace
from minigrad.errors import value_error
from nn.optim.optimizer import Optimizer
from nn.optim.setup import flags


class RMSprop(Optimizer):
    """Steps of lr times the gradient over its own running size.

        v = alpha v + (1 - alpha) g^2;   p = p - lr g / (sqrt(v) + eps)

    with g = grad + weight_decay p. With momentum, b = momentum b + g / (sqrt(v) + eps) and p = p - lr b;
    centered takes the square of g's running mean from v.

    Source    Hinton 2012, Neural networks for machine learning, lecture 6e; Graves 2013, arXiv:1308.0850
    """

    slots = {"square_avg": "", "momentum_buffer": "momentum", "grad_avg": "centered"}

    def __init__(
        self, params: Any, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        settings = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered}
        given = {"capturable": capturable, "foreach": foreach, "maximize": maximize}
        options = flags("RMSprop", given | {"differentiable": differentiable}, "fused")
        super().__init__(params, settings | {"weight_decay": weight_decay} | options)

    def _update(self, group: dict[str, Any], p: Any, grad: Any, step: int, averages: dict[str, Any]) -> None:
        alpha, v = group["alpha"], averages["square_avg"]
        g = grad + group["weight_decay"] * p if group["weight_decay"] else grad
        v *= alpha
        v += (1 - alpha) * g * g
        size = v
        if group["centered"]:
            mean = averages["grad_avg"]
            mean += (1 - alpha) * (g - mean)
            size = v - mean * mean
        g = g / (namespace(p).sqrt(size) + group["eps"])
        if group["momentum"]:
            b = averages["momentum_buffer"]
            b *= group["momentum"]
            b += g
            g = b
        p -= group["lr"] * g


class Adagrad(Optimizer):
    """Steps that shrink with all the gradients so far: s = s + g^2;   p = p - lr' g / (sqrt(s) + eps).

    Here g = grad + weight_decay p and lr' = lr / (1 + (t - 1) lr_decay).

    Source    Duchi, Hazan and Singer 2011, Journal of Machine Learning Research 12
    """

    slots = {"sum": ""}

    def __init__(
        self, params: Any, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, **options: Any,
    ) -> None:  # fmt: skip
        settings = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        settings["initial_accumulator_value"] = initial_accumulator_value
        super().__init__(params, settings | flags("Adagrad", {"foreach": foreach, **options}, "capturable"))

    def _update(self, group: dict[str, Any], p: Any, grad: Any, step: int, averages: dict[str, Any]) -> None:
        s = averages["sum"]
        g = grad + group["weight_decay"] * p if group["weight_decay"] else grad
        if step == 1:
            s += group["initial_accumulator_value"]
        s += g * g
        p -= group["lr"] / (1 + (step - 1) * group["lr_decay"]) * g / (namespace(p).sqrt(s) + group["eps"])


class Adadelta(Optimizer):
    """Steps in proportion to the running size of the steps before, over that of the gradients.

        v = rho v + (1 - rho) g^2;   d = g sqrt(u + eps) / sqrt(v + eps);   u = rho u + (1 - rho) d^2
        p = p - lr d

    with g = grad + weight_decay p.

    Source    Zeiler 2012, arXiv:1212.5701
    """

    slots = {"square_avg": "", "acc_delta": ""}

    def __init__(
        self, params: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, **options: Any,
    ) -> None:  # fmt: skip
        if not 0 <= rho <= 1:
            raise value_error("Adadelta", "rho in 0..1", rho)
        settings = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings | flags("Adadelta", {"foreach": foreach, **options}, "fused"))

    def _update(self, group: dict[str, Any], p: Any, grad: Any, step: int, averages: dict[str, Any]) -> None:
        xp, rho, eps = namespace(p), group["rho"], group["eps"]
        v, u = averages["square_avg"], averages["acc_delta"]
        g = grad + group["weight_decay"] * p if group["weight_decay"] else grad
        v *= rho
        v += (1 - rho) * g * g
        d = xp.sqrt(u + eps) / xp.sqrt(v + eps) * g
        u *= rho
        u += (1 - rho) * d * d
        p -= group["lr"] * d
