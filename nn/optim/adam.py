"""Adam and AdamW."""

import math
from collections.abc import Iterable
from typing import Any

from minigrad.backend import namespace
from nn.optim.optimizer import Optimizer


class Adam(Optimizer):
    """Adam: steps of about lr for each element, whatever the size of its gradient.

        m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2
        p = p - lr m' / (sqrt(v') + eps),   m' = m / (1 - b1^t),   v' = v / (1 - b2^t)

    with g = grad + weight_decay p (AdamW decays p itself instead).

    Units     lr and weight_decay per step
    Source    Kingma and Ba 2015, arXiv:1412.6980, algorithm 1
    """

    slots = ("exp_avg", "exp_avg_sq")
    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)

    def _update(self, group: dict[str, Any], p: Any, grad: Any, step: int, *averages: Any) -> None:
        (m, v), (b1, b2), lr, decay = averages, group["betas"], group["lr"], group["weight_decay"]
        if decay and self.decoupled:
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

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
