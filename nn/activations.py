"""Layers without parameters: functions of each element, and along one axis; and of shapes."""

from collections.abc import Callable
from functools import partial
from typing import Any

from minigrad.errors import value_error
from minigrad.tensor import Tensor
from nn import functional as F
from nn.inspection import settings
from nn.layers import GELU
from nn.module import Module


class Identity(Module):
    """y = x, whatever it was constructed with."""

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Return x."""
        return input


class _OfEachElement(Module):
    """A function of each element, and its settings by name."""

    function: Callable[..., Tensor]
    names: tuple[str, ...] = ()

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return type(self).function(input, *(getattr(self, name) for name in self.names))

    def extra_repr(self) -> str:
        """Show the settings."""
        return settings(self, *self.names)


class Tanh(_OfEachElement):
    """The hyperbolic tangent."""

    function = staticmethod(Tensor.tanh)


class Sigmoid(_OfEachElement):
    """1 / (1 + e^-x)."""

    function = staticmethod(Tensor.sigmoid)


class LogSigmoid(_OfEachElement):
    """log(1 / (1 + e^-x))."""

    function = staticmethod(F.logsigmoid)


class Softplus(_OfEachElement):
    """log(1 + e^(beta x)) / beta, and x itself where beta x is above the threshold."""

    function, names = staticmethod(F.softplus), ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold


class _MayBeInPlace(_OfEachElement):
    """What takes PyTorch's `inplace`: the input itself becomes the output."""

    names: tuple[str, ...] = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Show the settings, and `inplace` only where it is so."""
        return settings(self, *self.names[:-1], *["inplace"] * self.inplace)


class ReLU(_MayBeInPlace):
    """max(x, 0)."""

    function = staticmethod(F.relu)


class SiLU(_MayBeInPlace):
    """x times its sigmoid."""

    function = staticmethod(F.silu)


class Mish(_MayBeInPlace):
    """x tanh(log(1 + e^x))."""

    function = staticmethod(F.mish)


class ReLU6(_MayBeInPlace):
    """x limited to 0..6."""

    function = staticmethod(F.relu6)


class LeakyReLU(_MayBeInPlace):
    """x where it is positive, else negative_slope times x."""

    function, names = staticmethod(F.leaky_relu), ("negative_slope", "inplace")

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope, self.inplace = negative_slope, inplace


class ELU(_MayBeInPlace):
    """x where it is positive, else alpha (e^x - 1)."""

    function, names = staticmethod(F.elu), ("alpha", "inplace")

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha, self.inplace = alpha, inplace


class Hardtanh(_MayBeInPlace):
    """x limited to min_val..max_val."""

    function, names = staticmethod(F.hardtanh), ("min_val", "max_val", "inplace")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        if not min_val < max_val:
            raise value_error("Hardtanh", "min_val < max_val", (min_val, max_val))
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace


class Softmax(Module):
    """Probabilities along `dim`; without it, along the axis that `nn.functional.softmax` chooses.

    Shapes    x any -> the same
    """

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Turn scores into probabilities."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Show the axis."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithm of `Softmax`."""

    def forward(self, input: Tensor) -> Tensor:
        """Turn scores into log-probabilities."""
        return F.log_softmax(input, self.dim)


class Flatten(Module):
    """Axes start_dim..end_dim as one: by default all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Reshape x."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Show the axes."""
        return settings(self, "start_dim", "end_dim")


class Unflatten(Module):
    """Axis `dim` as several, of the sizes given; one of them may be -1."""

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """Reshape x."""
        dim = range(input.ndim)[self.dim]
        return input.reshape(*input.shape[:dim], *self.unflattened_size, *input.shape[dim + 1 :])

    def extra_repr(self) -> str:
        """Show the axis and its sizes."""
        return settings(self, "dim", "unflattened_size")


ACTIVATIONS: dict[str, Callable[[], Module]] = {  # by Hugging Face's names
    "gelu_new": partial(GELU, "tanh"),  # GPT-2's
    "gelu_pytorch_tanh": partial(GELU, "tanh"),
    "gelu_fast": partial(GELU, "tanh"),
    "gelu": GELU,
    "relu": ReLU,
    "silu": SiLU,
    "swish": SiLU,
    "mish": Mish,
    "relu6": ReLU6,
    "leaky_relu": LeakyReLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "linear": Identity,
}


def activation(name: str) -> Module:
    """Return the activation that a model's settings name.

    Raises    ValueError for another name.
    Source    transformers, activations.py, `ACT2FN`
    """
    if name not in ACTIVATIONS:
        raise value_error("activation", f"one of {', '.join(ACTIVATIONS)}", repr(name))
    return ACTIVATIONS[name]()
