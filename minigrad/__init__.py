"""minigrad: reverse-mode automatic differentiation of NumPy arrays, in PyTorch's terms."""

# ruff: noqa: E402 - Ctrl-C is seen to before NumPy is imported

import builtins as _builtins
import importlib as _importlib
import signal as _signal
import sys as _sys
from types import ModuleType as _ModuleType

if _sys.argv[:1] == ["-m"] and _sys.orig_argv[-len(_sys.argv)] in ("minigrad", "gpt"):  # python -m: a command
    # while it is imported, Ctrl-C ends it at once
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from minigrad import random
from minigrad.creation import (
    arange,
    as_tensor,
    bernoulli,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    multinomial,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from minigrad.dtypes import Size, bfloat16, dtype, float16, float32, float64, int8, int16, int32, int64, uint8
from minigrad.dtypes import bool_ as bool
from minigrad.functions import (
    absolute,
    cos,
    erf,
    exp,
    gather,
    log,
    logsumexp,
    masked_fill,
    maximum,
    minimum,
    prod,
    relu,
    sigmoid,
    sign,
    sin,
    split,
    sqrt,
    tanh,
    tril,
    triu,
)
from minigrad.random import Generator, manual_seed
from minigrad.switches import enable_grad, no_grad
from minigrad.tensor import Tensor

_LATER = {
    "gradcheck": "check.gradcheck",
    "compare": "check.compare",
    "detect_anomaly": "watch.anomaly",
    "profile": "watch.profile",
    "trace": "watch.trace",
    **dict.fromkeys(("result_type", "promote_types", "can_cast"), "torch_names.kinds"),
    **dict.fromkeys(("grad", "value_and_grad", "jacobian", "hessian", "hvp", "jvp", "vjp"), "transforms"),
}


def as_torch(on: _builtins.bool = True) -> None:
    """From here on `import torch` is minigrad, in this process; as_torch(False) ends that. See nn/torch_names."""
    _importlib.import_module("nn.torch_names.importing").as_torch(on)


def __getattr__(name: str) -> object:
    """Import what training does without when it is first asked for, so that training starts faster."""
    if name == "__version__":  # whose PyTorch's names and numbers are
        return _importlib.import_module("nn.torch_names.settings").__version__
    if name not in _LATER:  # a name that stands in for PyTorch's, or the error that says which there is
        return _importlib.import_module("nn.torch_names.faces").look_up("minigrad", name)
    return getattr(_importlib.import_module(f"minigrad.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    here = {name for name, found in globals().items() if name == "random" or type(found) is not _ModuleType}
    return sorted(here | _LATER.keys() | set(dir(_importlib.import_module("minigrad.torch_names"))))
