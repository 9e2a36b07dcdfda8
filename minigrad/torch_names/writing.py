"""What writes into a Tensor, beside add_, exp_ and all that is a function with an underscore (lookup.py)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad import versions
from minigrad.creation import as_tensor
from minigrad.errors import value_error
from minigrad.methods import values_of
from minigrad.methods.in_place import become, check_writable
from minigrad.random import fill
from minigrad.switches import state
from minigrad.tensor import Tensor
from minigrad.torch_names import choosing, shapes


def fill_(self: Tensor, value: Any) -> Tensor:
    """Write `value` into every element; return x."""
    return _filled("fill_", self, value)


def zero_(self: Tensor) -> Tensor:
    """Write 0 into every element; return x."""
    return _filled("zero_", self, 0)


def _filled(name: str, x: Tensor, value: Any) -> Tensor:
    check_writable(name, x, value)
    return become(name, x, x.masked_fill(np.True_, value))


def copy_(self: Tensor, src: Any, /, non_blocking: bool = False) -> Tensor:
    """Write the values of another, which is broadcast and cast; return x."""
    check_writable("copy_", self, src)
    return become("copy_", self, as_tensor(src).astype(self.dtype).expand(self.shape))


def set_(self: Tensor, source: Tensor) -> Tensor:
    """Take over the memory of another; return x."""
    self._data, self._node = source._data, source._node
    return self


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a value onto the diagonal of a matrix, again and again in a tall one if `wrap`; return x."""
    if self.ndim != 2:
        raise value_error("fill_diagonal_", "a matrix", tuple(self.shape))
    check_writable("fill_diagonal_", self)
    mask = np.zeros(self._data.shape, bool)
    np.fill_diagonal(mask, True, wrap)
    return become("fill_diagonal_", self, self.masked_fill(mask, fill_value))


def index_put_(self: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """x[indices] = values, or with `accumulate` x[indices] += values, repeats included; return x."""
    check_writable("index_put_", self, values)
    return become("index_put_", self, choosing.index_put(self, indices, values, accumulate))


def scatter_(
    self: Tensor, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """Write src[i][j] into x[i][index[i][j]] for dim = 1, and so on; return x."""
    check_writable("scatter_", self, src)
    return become("scatter_", self, choosing.scatter(self, dim, index, src, value=value, reduce=reduce))


# --- into another shape: the elements stay where they are ---


def _reshaping(name: str, of: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        if self._node is not None and self._node.vjp is None:
            check_writable(name, self)
        result = of(self, *args, **options)
        self._data, self._node = result._data, result._node
        return self

    method.__name__, method.__doc__ = name, f"Take the shape of x.{name[:-1]}(...); return x."
    return method


squeeze_, unsqueeze_ = _reshaping("squeeze_", Tensor.squeeze), _reshaping("unsqueeze_", Tensor.unsqueeze)
t_, transpose_ = _reshaping("t_", shapes.t), _reshaping("transpose_", Tensor.transpose)

# --- random numbers ---


def _filling(name: str) -> Callable[..., Tensor]:
    draw = getattr(fill, name)

    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        check_writable(name, self)
        if state.recording and self._node is not None:
            raise RuntimeError(f"{name}: expected a Tensor without a history; write x.detach().{name}(...)")
        names = {"from": "low", "to": "high", "a": "low", "b": "high"}
        if name == "uniform_":
            options = {names.get(key, key): value for key, value in options.items()}
        elif name == "random_":  # its bounds stand in their places alone
            args += tuple(options.pop(key) for key in ("from", "to") if key in options)
        draw(self._data, *map(values_of, args), **{key: values_of(value) for key, value in options.items()})
        versions.note_write(self._data)
        self.mark_overwritten()
        return self

    method.__name__, method.__doc__ = name, f"{draw.__doc__} Return x."
    return method


uniform_, normal_, log_normal_ = _filling("uniform_"), _filling("normal_"), _filling("log_normal_")
exponential_, cauchy_, geometric_ = _filling("exponential_"), _filling("cauchy_"), _filling("geometric_")
bernoulli_, random_ = _filling("bernoulli_"), _filling("random_")
