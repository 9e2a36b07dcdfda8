"""Initialisers: each overwrites a Tensor in place and returns it. Names and numbers are PyTorch's."""

import math

import numpy as np

from minigrad import random
from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor


def _fill(tensor: Tensor, values: object) -> Tensor:
    """Write `values` into the tensor's own array; graphs that read the old ones become stale."""
    tensor._data[...] = namespace(tensor._data).asarray(values)
    tensor.mark_overwritten()
    return tensor


def _draw(generator: Generator | None) -> Generator:
    return random.default_generator() if generator is None else generator


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to `val`."""
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0."""
    return _fill(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1."""
    return _fill(tensor, 1.0)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw every element from the uniform distribution on [a, b)."""
    return _fill(tensor, _draw(generator).uniform(a, b, tensor._data.shape, dtype=tensor._data.dtype))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Draw every element from N(mean, std^2).

    Source    GPT-2 uses std = 0.02: its released code, model.py; nanoGPT, model.py, `_init_weights`
    """
    return _fill(tensor, _draw(generator).normal(mean, std, tensor._data.shape, dtype=tensor._data.dtype))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Draw every element from N(mean, std^2), what falls outside [a, b] again.

    Source    `torch.nn.init.trunc_normal_`
    """
    return _fill(
        tensor, _draw(generator).trunc_normal(mean, std, a, b, tensor._data.shape, dtype=tensor._data.dtype)
    )


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)).

    The variance is a compromise: 1 / fan_in would keep that of the activations from layer to layer,
    1 / fan_out that of the gradients on their way back.

    Source    Glorot and Bengio 2010, equation 16
    """
    bound = math.sqrt(3.0) * _xavier_std("xavier_uniform_", tensor, gain)
    return uniform_(tensor, -bound, bound, generator=generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out)); see `xavier_uniform_`.

    Source    Glorot and Bengio 2010, equation 12
    """
    return normal_(tensor, 0.0, _xavier_std("xavier_normal_", tensor, gain), generator=generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw from U(-b, b), b = gain sqrt(3 / fan): keeps the variance through layers of ReLUs.

    `mode` chooses the fan: "fan_in" keeps the activations, "fan_out" the gradients; `a` is the slope
    of a leaky ReLU at negative x.

    Source    He et al. 2015, arXiv:1502.01852, equations 10 and 14
    """
    bound = math.sqrt(3.0) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator=generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw from N(0, std^2), std = gain / sqrt(fan); see `kaiming_uniform_`.

    Source    He et al. 2015, arXiv:1502.01852, equations 10 and 14
    """
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator=generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Draw a matrix, of tensor.shape[0] rows, whose rows or columns (the fewer) are orthogonal, of length gain.

    It is Q of the QR factors of a normal draw, its columns turned so that R's diagonal is positive.

    Source    Saxe et al. 2014, arXiv:1312.6120; `torch.nn.init.orthogonal_`
    """
    _fans("orthogonal_", tensor)
    if not tensor.numel():
        return tensor
    rows, kind = tensor._data.shape[0], tensor._data.dtype
    drawn = _draw(generator).normal(0.0, 1.0, (rows, tensor.numel() // rows), dtype=kind)
    wide = rows < drawn.shape[1]
    q, r = np.linalg.qr(drawn.T if wide else drawn)
    q = q * np.sign(np.diag(r))
    return _fill(tensor, (q.T if wide else q).reshape(tensor._data.shape) * gain)


def eye_(tensor: Tensor) -> Tensor:
    """Set a matrix to ones on its diagonal and zeros beside it."""
    if tensor.ndim != 2:
        raise value_error("eye_", "a matrix", f"shape {tuple(tensor.shape)}")
    return _fill(tensor, np.eye(*tensor._data.shape))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which a layer's weights make up for what its nonlinearity takes away.

    Half the variance for ReLU, hence sqrt(2); `param` is the slope of a leaky ReLU, 0.01 if not given.

    Source    `torch.nn.init.calculate_gain`
    """
    slope = 0.01 if param is None else param
    gains = dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0)
    gains |= {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "leaky_relu": math.sqrt(2.0 / (1 + slope**2))}
    gains |= {"selu": 0.75}
    if nonlinearity not in gains:
        raise value_error("calculate_gain", f"one of {', '.join(gains)}", repr(nonlinearity))
    return gains[nonlinearity]


def _fans(where: str, tensor: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight (out, in, ...): how many inputs an output reads; the reverse."""
    if tensor.ndim < 2:
        raise value_error(where, "a weight of two axes or more", f"shape {tuple(tensor.shape)}")
    outputs, inputs, *field = tensor._data.shape
    return inputs * math.prod(field), outputs * math.prod(field)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    return _fans("_calculate_fan_in_and_fan_out", tensor)  # PyTorch's name, which public code reads


def _xavier_std(where: str, tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / float(sum(_fans(where, tensor))))


def _kaiming_std(where: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = dict(zip(("fan_in", "fan_out"), _fans(where, tensor)))
    if mode not in fans:
        raise value_error(where, '"fan_in" or "fan_out" for mode', repr(mode))
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode])
