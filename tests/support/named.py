"""One row per use of a name of PyTorch's: an expression that runs in both libraries, and the Tensors in it.

A row is "name(x, dim=1) | x23 y3 | dtypes", where a letter says how the numbers of a Tensor are drawn (DRAWN),
the digits are its lengths, and dtypes are of f (float32), d (float64), i (int64), b (bool); fd where left out.
"""

import re
from dataclasses import dataclass

import numpy as np
import torch

import minigrad
from minigrad import Tensor

DTYPES = {"f": np.float32, "d": np.float64, "i": np.int64, "b": np.bool_}


def _mixed(rng, shape, dtype):
    """Numbers of any sign; whole ones are few, so that some are equal."""
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    return rng.integers(-3, 4, shape) if dtype == np.int64 else rng.standard_normal(shape)


DRAWN = {
    "x": _mixed,
    "y": _mixed,
    "z": _mixed,
    "n": lambda rng, shape, dtype: rng.choice([-3, -2, -1, 1, 2, 3], shape).astype(dtype),  # to divide by
    "e": lambda rng, shape, dtype: (
        rng.integers(-2, 3, shape).astype(dtype) / (2 if dtype != np.int64 else 1)
    ),  # equals
    "p": lambda rng, shape, dtype: rng.uniform(0.5, 2.0, shape),
    "u": lambda rng, shape, dtype: rng.uniform(-0.9, 0.9, shape),
    "s": lambda rng, shape, dtype: (lambda a: a @ a.swapaxes(-1, -2) + np.eye(shape[-1]))(
        rng.standard_normal(shape)
    ),
    "i": lambda rng, shape, dtype: rng.integers(0, 2, shape),
    "j": lambda rng, shape, dtype: rng.permutation(int(np.prod(shape))).reshape(shape),  # no place twice
    "m": lambda rng, shape, dtype: rng.random(shape) < 0.5,
}
FIXED = "ijm"  # letters whose dtype is their own


class Names(dict):
    """What an expression may name: its Tensors, `torch` for the library, and every function of that."""

    def __missing__(self, name):
        return getattr(self["torch"], name)


@dataclass(frozen=True)
class Use:
    """A parsed row."""

    code: str
    tensors: tuple
    dtypes: str

    @classmethod
    def of(cls, row):
        code, tensors, dtypes = (part.strip() for part in (row + " | " * (2 - row.count("|"))).split("|"))
        return cls(code, tuple(tensors.split()), dtypes or "fd")

    @property
    def method(self):
        """The same as a call of a method, or None."""
        found = re.fullmatch(r"(\w+)\(([xepusn])(?:, (.*))?\)(.*)", self.code)
        if found is None or not hasattr(torch.Tensor, found[1]) or f"{found[2]}," in (found[4] or ""):
            return None
        return f"{found[2]}.{found[1]}({found[3] or ''}){found[4]}"

    def draw(self, dtype):
        """{letter: array}."""
        rng = np.random.default_rng(len(self.code))
        return {
            t[0]: np.asarray(DRAWN[t[0]](rng, tuple(map(int, t[1:])), DTYPES[dtype])).astype(
                {"i": np.int64, "j": np.int64, "m": np.bool_}.get(t[0], DTYPES[dtype])
            )
            for t in self.tensors
        }


def run(library, code, arrays, grad):
    """(the results as [(dtype, shape, array)], the gradients {letter: array}) in that library."""
    make = torch.from_numpy if library is torch else minigrad.from_numpy
    tensors = {letter: make(array.copy()) for letter, array in arrays.items()}
    floats = [x for x in tensors.values() if "float" in str(x.dtype)]
    for x in floats if grad else ():
        x.requires_grad_()
    result = eval(code, {}, Names(tensors | {"torch": library}))
    found = flat(result)
    loss = 0
    for k, out in enumerate(found):
        if grad and getattr(out, "requires_grad", False):
            weights = np.random.default_rng(k).standard_normal(tuple(out.shape)).astype(str(out.dtype)[6:])
            loss = loss + (out * make(np.asarray(weights))).sum()
    if getattr(loss, "requires_grad", False):
        loss.backward()
    grads = {
        letter: None if x.grad is None else np.asarray(x.grad.detach().numpy())
        for letter, x in tensors.items()
        if grad and x in floats_of(floats)
    }
    return [described(x) for x in found], grads


class floats_of(list):
    """A list that looks for the object itself."""

    def __contains__(self, x):
        return any(x is each for each in self)


def flat(result):
    """The Tensors and numbers of a result, of tuples and lists too."""
    if isinstance(result, (tuple, list)) and not hasattr(result, "numel"):
        return [x for each in result for x in flat(each)]
    return [result]


def described(x):
    """(dtype, shape, values), of a Tensor or a number."""
    if isinstance(x, (torch.Tensor, Tensor)):
        array = x.detach().numpy()
        return str(x.dtype), tuple(x.shape), array
    return type(x).__name__, (), np.asarray(x) if not isinstance(x, str) else x
