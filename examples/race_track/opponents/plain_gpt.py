"""One GPT for the libraries that follow NumPy's functions (HIPS autograd, MyGrad), and AdamW in NumPy.

Queries, keys and values have weights of their own, so that nobody has to differentiate a slice.
Constants are float32 scalars: a Python number would become a float64 array in MyGrad, and win.
"""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from race_track.cells import BETAS, EPS, GRAD_CLIP, LEARNING_RATE, WEIGHT_DECAY, Cell, initial_weights

f32 = np.float32


def weights_of(cell: Cell) -> dict[str, np.ndarray]:
    """Return the initial weights by name, as (in, out); c_attn in three: c_attn.0, c_attn.1, c_attn.2."""
    weights = {}
    for name, weight in initial_weights(cell):
        if "c_attn" in name:
            for i, part in enumerate(np.split(weight, 3)):
                weights[name.replace("weight", str(i))] = part.T.copy()
        else:
            weights[name] = weight if weight.ndim == 1 or name.startswith("w") else weight.T.copy()
    return weights


def make_loss(cell: Cell, xp: ModuleType, softmax: Callable, cross_entropy: Callable) -> Callable[..., Any]:
    """Return loss(weights by name, inputs, targets), computed with the functions of `xp`.

    `softmax(scores)` is along the last axis; `cross_entropy(logits (N, V), targets (N,))` a mean.
    """
    B, T, C, H = cell.batch_size, cell.block_size, cell.n_embd, cell.n_head
    rng = np.random.default_rng(2)
    future = np.triu(np.full((T, T), -1e9, f32), 1)
    scale, one, half = f32((C // H) ** -0.5), f32(1), f32(0.5)
    slope, cubic = f32(math.sqrt(2 / math.pi)), f32(0.044715)

    def drop(x):
        if not cell.dropout:
            return x
        keep = rng.random(x.shape, f32) >= cell.dropout
        return x * (keep * f32(1 / (1 - cell.dropout)))

    def norm(x, gain):
        x = x - xp.mean(x, axis=-1, keepdims=True)
        return x / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + f32(1e-5)) * gain

    def gelu(x):
        return half * x * (one + xp.tanh(slope * (x + cubic * (x * x * x))))

    def heads(x):
        return xp.transpose(xp.reshape(x, (B, T, H, C // H)), (0, 2, 1, 3))

    def attend(x, w, layer):
        q, k, v = (heads(xp.matmul(x, w[f"{layer}.attn.c_attn.{i}"])) for i in range(3))
        scores = xp.matmul(q, xp.transpose(k, (0, 1, 3, 2))) * scale + future
        y = xp.transpose(xp.matmul(drop(softmax(scores)), v), (0, 2, 1, 3))
        return xp.matmul(xp.reshape(y, (B * T, C)), w[f"{layer}.attn.c_proj.weight"])

    def loss(w, inputs, targets):
        h = drop(xp.reshape(w["wte.weight"][inputs] + w["wpe.weight"], (B * T, C)))
        for layer in (f"h.{i}" for i in range(cell.n_layer)):
            h = h + drop(attend(norm(h, w[f"{layer}.ln_1.weight"]), w, layer))
            inner = xp.matmul(norm(h, w[f"{layer}.ln_2.weight"]), w[f"{layer}.mlp.c_fc.weight"])
            h = h + drop(xp.matmul(gelu(inner), w[f"{layer}.mlp.c_proj.weight"]))
        logits = xp.matmul(norm(h, w["ln_f.weight"]), xp.transpose(w["wte.weight"]))
        return cross_entropy(logits, targets.reshape(-1))

    return loss


class PlainAdamW:
    """Clipping and AdamW, in place, on arrays by name."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights, self.count = weights, 0
        self.means, self.squares = ({n: np.zeros_like(w) for n, w in weights.items()} for _ in range(2))

    def step(self, grads: dict[str, np.ndarray]) -> None:
        """Make one update."""
        self.count += 1
        norm = math.sqrt(sum(float(np.vdot(g, g)) for g in grads.values()))
        clip = min(1.0, GRAD_CLIP / (norm + 1e-6))
        rate = LEARNING_RATE / (1 - BETAS[0] ** self.count)
        root = math.sqrt(1 - BETAS[1] ** self.count)
        for name, w in self.weights.items():
            g, mean, square = grads[name] * clip, self.means[name], self.squares[name]
            mean *= BETAS[0]
            mean += (1 - BETAS[0]) * g
            square *= BETAS[1]
            square += (1 - BETAS[1]) * (g * g)
            if w.ndim > 1:
                w *= 1 - LEARNING_RATE * WEIGHT_DECAY
            w -= rate * mean / (np.sqrt(square) / root + EPS)
