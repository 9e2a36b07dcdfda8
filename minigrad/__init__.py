"""minigrad: reverse-mode automatic differentiation of NumPy arrays, in PyTorch's terms."""

import importlib
from typing import Any

from minigrad import random
from minigrad.creation import (
    bernoulli,
    eye,
    full,
    linspace,
    multinomial,
    normal,
    ones,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
)
from minigrad.functions import (
    clip,
    concatenate,
    cos,
    einsum,
    erf,
    exp,
    gather,
    log,
    logsumexp,
    masked_fill,
    matmul,
    maximum,
    minimum,
    ones_like,
    prod,
    relu,
    sigmoid,
    sin,
    split,
    sqrt,
    stack,
    tanh,
    tril,
    triu,
    where,
    zeros_like,
)
from minigrad.random import Generator, manual_seed
from minigrad.switches import enable_grad, no_grad
from minigrad.tensor import Tensor

_WORKBENCH = {
    "gradcheck": "check.gradcheck",
    "compare": "check.compare",
    "detect_anomaly": "watch.anomaly",
    "profile": "watch.profile",
    "trace": "watch.trace",
    **dict.fromkeys(("grad", "value_and_grad", "jacobian", "hessian", "hvp", "jvp", "vjp"), "transforms"),
}


def __getattr__(name: str) -> Any:
    """Import the workbench when it is first asked for: training does without, and starts faster."""
    if name not in _WORKBENCH:
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
    return getattr(importlib.import_module(f"minigrad.{_WORKBENCH[name]}"), name)
