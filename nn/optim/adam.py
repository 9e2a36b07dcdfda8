"""Adam and AdamW."""

import math
from typing import Any

from minigrad.backend import namespace
from nn.optim.optimizer import Optimizer
from nn.optim.setup import flags


class Adam(Optimizer):
    """Adam: steps of about lr for each element, whatever the size of its gradient.

        m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2
        p = p - lr m' / (sqrt(v') + eps),   m' = m / (1 - b1^t),   v' = v / (1 - b2^t)

    with g = grad + weight_decay p (AdamW decays p itself instead). With amsgrad, v' is made of the
    largest v so far. `options` are PyTorch's others; see `flags` (setup.py).

    Units     lr and weight_decay per step
    Source    Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; Reddi et al. 2018, arXiv:1904.09237
    """

    slots, gpu = {"exp_avg": "", "exp_avg_sq": "", "max_exp_avg_sq": "amsgrad"}, "adam"

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, decoupled_weight_decay: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        settings |= {"amsgrad": amsgrad, **flags(type(self).__name__, options)}
        super().__init__(params, settings | {"decoupled_weight_decay": decoupled_weight_decay})

    def _update(self, group: dict[str, Any], p: Any, grad: Any, step: int, averages: dict[str, Any]) -> None:
        (m, v, *largest), lr, decay = averages.values(), group["lr"], group["weight_decay"]
        b1, b2 = group["betas"]
        if decay and group["decoupled_weight_decay"]:
            p *= 1.0 - lr * decay
        elif decay:
            grad = grad + decay * p

        xp, t = namespace(p), grad - m  # t: one array for every intermediate
        t *= 1.0 - b1
        m += t  # m = b1 m + (1 - b1) g, as m + (1 - b1) (g - m)
        xp.multiply(grad, grad, out=t)
        t -= v
        t *= 1.0 - b2
        v += t  # v = b2 v + (1 - b2) g^2
        if group["amsgrad"]:
            v = xp.maximum(*largest, v, out=largest[0])

        root = math.sqrt(1.0 - b2**step)  # sqrt(v') = sqrt(v) / root: goes into eps and lr, a pass less
        xp.sqrt(v, out=t)
        t += group["eps"] * root
        xp.divide(m, t, out=t)
        t *= lr * root / (1.0 - b1**step)
        p -= t  # p = p - lr m' / (sqrt(v') + eps)


class AdamW(Adam):
    """Adam with decoupled weight decay: p is first scaled by 1 - lr weight_decay.

    Source    Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.01, amsgrad: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True, **options
        )
