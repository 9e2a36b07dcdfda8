"""Random correct graphs, on which a checker must stay silent: kinks, ties, edges of a domain, mixed scales, dropout.

`python -m tests.faults` counts the false alarms on them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import nn.functional as F
from minigrad.functions import concatenate, maximum, minimum, where
from minigrad.tensor import Tensor
from nn.functional.layer_norm import layer_norm
from nn.functional.softmax import log_softmax, softmax

NEAR_KINKS = (0.0, 1e-13, -1e-10, 1e-8, -1e-6, 1e-4, -1e-3)

UNARY: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.tanh(),
    lambda x: x.sigmoid(),
    lambda x: (x * 0.5).exp(),
    lambda x: x * x,
    lambda x: (x * x + 0.1).sqrt(),
    lambda x: (x * x + 1.0).log(),
    lambda x: -x * 0.7,
    lambda x: 1.0 / (x * x + 1.0),
    lambda x: F.gelu(x, approximate="tanh"),
    lambda x: F.gelu(x),
    lambda x: softmax(x),
    lambda x: log_softmax(x, axis=0),
    lambda x: layer_norm(x, eps=0.1),
    lambda x: x.cumsum(0),
    lambda x: x - x.mean(0, keepdims=True),
    lambda x: x * x.sum(1, keepdims=True),
    lambda x: x.logsumexp(1, keepdims=True) + x,
    lambda x: x[::-1],
    lambda x: x[np.array([0, 0, 1])[: x.shape[0]]],
    lambda x: x.tril(),
    lambda x: x.relu(),
    lambda x: abs(x),
    lambda x: x.clip(-0.8, 0.8),
    lambda x: x + x.amax(1, keepdim=True),
    lambda x: x - x.amin(0, keepdim=True),
    lambda x: where(x.array > 0, x * 2.0, x * 0.1),
    lambda x: x.prod(1, keepdims=True) + x,
    lambda x: x.astype(np.float64).tanh().astype(x.dtype),
)
EDGED: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.log(),
    lambda x: x.sqrt() * 0.1,
    lambda x: 0.01 / x,
    lambda x: x**-0.5 * 0.1,
)
BINARY: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (y * y + 0.5),
    lambda x, y: x @ y.T @ x * 0.3,
    lambda x, y: maximum(x, y),
    lambda x, y: minimum(x, y * 0.5),
    lambda x, y: concatenate([x[:1], y[1:]]),
    lambda x, y: x + y[0],
    lambda x, y: x * y[:, :1],
)


def random_graph(number: int, seed: int) -> tuple[Callable[..., Tensor], list[np.ndarray]]:
    """Return graph `number`, a function of one to three matrices, and inputs drawn from `seed`.

    Every third input has elements at, or very near to, 0, and every fourth has ties. Every fourth
    graph is float32. Every fifth first takes a logarithm, root or quotient of elements from 0.001
    to 3000, the smallest of them nearer to the edge of its domain than a first step of differences.
    In every seventh, elements of inputs and outputs have sizes of their own, from 1e-6 to 1e6. Every
    ninth has a dropout, and must be checked with `seal=graph.seal`.
    """
    rng = np.random.default_rng([number, 7])
    leaves, shape = int(rng.integers(1, 4)), (int(rng.integers(2, 4)), int(rng.integers(2, 5)))
    steps: list[tuple[Any, int, list[int], bool]] = []
    seal = number % 9 == 5
    for size in range(leaves, leaves + int(rng.integers(3, 9))):
        recent = [int(size - 1 - rng.integers(0, min(size, 3))) for _ in range(2)]
        binary = rng.random() < 0.4 or size < 2 * leaves - 1
        steps.append((BINARY if binary else UNARY, int(rng.integers(0, 1 << 30)), recent, binary))

    def graph(*xs: Tensor) -> Tensor:
        values: list[Any] = [x * (1 / scale) for x, scale in zip(xs, scales)] if scales else list(xs)
        if number % 5 == 4:
            values[0] = EDGED[number // 5 % len(EDGED)](values[0])
        for functions, pick, (a, b), binary in steps:
            fn = functions[pick % len(functions)]
            values.append(fn(values[a], values[b]) if binary else fn(values[a]))
        out = F.dropout(values[-1], 0.3) if seal else values[-1]
        return out * _scale(number, leaves, out.shape, out.dtype) if scales else out

    graph.__name__, graph.seal = f"graph_{number}", seal  # type: ignore[attr-defined]
    inputs = _inputs(number, seed, leaves, shape)
    scales = [_scale(number, n, shape, x.dtype) for n, x in enumerate(inputs)] if number % 7 == 3 else []
    return graph, [x * scale for x, scale in zip(inputs, scales)] if scales else inputs


def _scale(number: int, n: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return the size of each element of array `n` of a graph, a power of 2 from 1e-6 to 1e6."""
    return np.exp2(np.random.default_rng([number, n, 13]).integers(-20, 21, shape)).astype(dtype)


def _inputs(number: int, seed: int, leaves: int, shape: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng([number, seed, 11])
    inputs: list[np.ndarray] = []
    for _ in range(leaves):
        x = rng.standard_normal(shape)
        if rng.random() < 1 / 3:
            x.flat[rng.integers(0, x.size, 2)] = rng.choice(NEAR_KINKS, 2)
        if rng.random() < 1 / 4:
            x[0, 0] = x[-1, -1]
        if number % 5 == 4 and not inputs:
            x = 10 ** rng.uniform(-2.9, 3.5, shape)
        inputs.append(x.astype(np.float32 if number % 4 == 3 else np.float64))
    return inputs
