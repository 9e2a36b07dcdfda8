"""JAX: the whole step as one compiled function, whose buffers are given back to it.

Activations are (B T, C) throughout: as (B, T, C), XLA's CPU code for the backward pass is slower.
"""

import os

import jax
import numpy as np
from jax import numpy as jnp
from race_track.cells import (
    BETAS,
    EPS,
    GRAD_CLIP,
    LEARNING_RATE,
    WEIGHT_DECAY,
    Cell,
    batches,
    initial_weights,
)
from race_track.opponents import Entry


def build(cell: Cell) -> Entry:
    """Return the entry of JAX."""
    jax.config.update("jax_platforms", "cpu")
    weights = {name: jnp.asarray(_in_out(name, weight)) for name, weight in initial_weights(cell)}
    zeros = {name: jnp.zeros_like(w) for name, w in weights.items()}
    state = [weights, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros((), jnp.int32)]
    step = jax.jit(_make_step(cell), donate_argnums=(0, 1, 2, 3))
    endless = ((x.astype(np.int32), y.astype(np.int32)) for x, y in batches(cell))
    key = jax.random.key(0)

    def unit() -> float:
        *updated, loss = jax.block_until_ready(step(*state, *next(endless), key))
        state[:] = updated
        return float(loss)

    return Entry(unit, f"jax {jax.__version__}", str(os.cpu_count()))


def _in_out(name: str, weight: np.ndarray) -> np.ndarray:
    return weight if weight.ndim == 1 or name.startswith("w") else weight.T


def _make_step(cell: Cell):
    loss_of = jax.value_and_grad(lambda w, x, y, key: _loss(cell, w, x, y, key))

    def step(weights, means, squares, count, x, y, key):
        loss, grads = loss_of(weights, x, y, jax.random.fold_in(key, count))
        norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in grads.values()))
        clip = jnp.minimum(1.0, GRAD_CLIP / (norm + 1e-6))
        count = count + 1
        correction = [1 - beta ** count.astype(jnp.float32) for beta in BETAS]
        for name, w in weights.items():
            g = clip * grads[name]
            means[name] = BETAS[0] * means[name] + (1 - BETAS[0]) * g
            squares[name] = BETAS[1] * squares[name] + (1 - BETAS[1]) * g * g
            if w.ndim > 1:
                w = w * (1 - LEARNING_RATE * WEIGHT_DECAY)
            scale = jnp.sqrt(squares[name] / correction[1]) + EPS
            weights[name] = w - LEARNING_RATE * (means[name] / correction[0]) / scale
        return weights, means, squares, count, loss

    return step


def _loss(cell: Cell, w, x, y, key):
    (B, T), C, H = x.shape, cell.n_embd, cell.n_head
    keys = iter(jax.random.split(key, 1 + 3 * cell.n_layer))
    past = jnp.tril(jnp.ones((T, T), bool))

    def drop(a):
        key = next(keys)
        if not cell.dropout:
            return a
        return jnp.where(jax.random.bernoulli(key, 1 - cell.dropout, a.shape), a / (1 - cell.dropout), 0.0)

    h = drop((w["wte.weight"][x] + w["wpe.weight"][:T]).reshape(B * T, C))
    for i in range(cell.n_layer):
        part = lambda name, i=i: w[f"h.{i}.{name}.weight"]  # noqa: E731
        qkv = (_norm(h, part("ln_1")) @ part("attn.c_attn")).reshape(B, T, 3, H, C // H)
        q, k, v = qkv.transpose(2, 0, 3, 1, 4)
        scores = jnp.where(past, q @ k.swapaxes(-1, -2) * (C // H) ** -0.5, -jnp.inf)
        mixed = drop(jax.nn.softmax(scores)) @ v
        h = h + drop(mixed.transpose(0, 2, 1, 3).reshape(B * T, C) @ part("attn.c_proj"))
        inner = jax.nn.gelu(_norm(h, part("ln_2")) @ part("mlp.c_fc"), approximate=True)
        h = h + drop(inner @ part("mlp.c_proj"))
    log_p = jax.nn.log_softmax(_norm(h, w["ln_f.weight"]) @ w["wte.weight"].T)
    return -jnp.take_along_axis(log_p, y.reshape(-1, 1), -1).mean()


def _norm(x, gain):
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * gain
