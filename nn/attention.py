"""Causal attention layers: all heads of a GPT in one, and a single head to learn from."""

import math

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import functional as F
from nn.functional.dropout import keep_mask
from nn.layers import Dropout, Linear
from nn.module import Module


class CausalSelfAttention(Module):
    """Multi-head self-attention in which a token sees itself and what came before.

    Dropout falls on the attention weights (`dropout`) and on the output (`resid_dropout`).

    Shapes    x (B, T, C) -> (B, T, C); C is a multiple of n_head
    Source    nanoGPT, model.py, whose names it bears
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        rng: Generator | None = None,
    ) -> None:
        if n_embd % n_head:
            raise value_error("CausalSelfAttention", "n_embd divisible by n_head", f"{n_embd} and {n_head}")
        self.n_head, self.dropout = n_head, dropout
        self.c_attn = Linear(n_embd, 3 * n_embd, bias, rng=rng)
        self.c_proj = Linear(n_embd, n_embd, bias, rng=rng)
        self.resid_dropout = Dropout(dropout)

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Attend within x (B, T, C); with a cache, also to the tokens of earlier calls."""
        B, T, _ = x.shape
        qkv = self.c_attn(x)  # (B, T, 3C)
        if cache is not None:
            return self.c_proj(self._attend_to_cache(qkv, cache))
        p = self.dropout if self.training else 0.0
        keep = keep_mask(x.data, p, shape=(B, self.n_head, T, T)) if p else None
        y = F.causal_attention(qkv, n_head=self.n_head, keep=keep, p=p)
        return self.resid_dropout(self.c_proj(y))

    def _attend_to_cache(self, qkv: Tensor, cache: dict) -> Tensor:
        """Append the new keys and values to the cache, and attend to all of it. For sampling: no gradient."""
        xp, (B, T, width) = namespace(qkv.data), qkv.shape
        H, D, start = self.n_head, width // 3 // self.n_head, cache["length"]
        q, k, v = qkv.data.reshape(B, T, 3, H, D).transpose(2, 0, 3, 1, 4)  # (B, H, T, D) each
        stop = cache["length"] = start + T
        if "k" not in cache or cache["k"].shape[2] < stop:  # double the room, so that appending stays cheap
            for name in ("k", "v"):
                room = xp.empty((B, H, 2 * stop, D), qkv.dtype)
                if start:
                    room[:, :, :start] = cache[name][:, :, :start]
                cache[name] = room
        cache["k"][:, :, start:stop], cache["v"][:, :, start:stop] = k, v
        keys, values = (Tensor(cache[name][:, :, :stop]) for name in ("k", "v"))
        mask = xp.tri(T, stop, start, dtype=bool) if start and T > 1 else None
        causal = not start  # the first call sees itself alone, as in training
        y = F.scaled_dot_product_attention(Tensor(q), keys, values, mask, is_causal=causal)  # (B, H, T, D)
        return y.swapaxes(1, 2).reshape(B, T, H * D)


class SelfAttentionHead(Module):
    """One attention head, step by step: every array between x and y is formed, as a textbook does.

        weights = softmax(q k^T / sqrt(head_size)),   y = resid_drop(attn_drop(weights) v)

    Dropout falls on the weights after the softmax. A token that sees only itself then gives a row of
    zeros whenever its one weight is dropped, as the first token's is with probability attn_dropout.

    Shapes    x (B, T, n_embd) -> (B, T, head_size); T is at most block_size
    Random    Wq, Wk, Wv as `Linear`; in training attn_drop's mask (B, T, T), then resid_drop's
    Raises    ValueError for more than block_size tokens.
    """

    def __init__(
        self,
        n_embd: int,
        head_size: int,
        block_size: int,
        attn_dropout: float = 0.1,
        dropout: float = 0.1,
        *,
        rng: Generator | None = None,
    ) -> None:
        self.head_size, self.block_size = head_size, block_size
        self.Wq = Linear(n_embd, head_size, bias=False, rng=rng)
        self.Wk = Linear(n_embd, head_size, bias=False, rng=rng)
        self.Wv = Linear(n_embd, head_size, bias=False, rng=rng)
        self.attn_drop = Dropout(attn_dropout)
        self.resid_drop = Dropout(dropout)

    def calc_weights(self, x: Tensor, decoder: bool = True) -> Tensor:
        """Return the weights (B, T, T) after dropout; a decoder's token sees no later one."""
        T = x.shape[-2]
        if T > self.block_size:
            raise value_error("SelfAttentionHead", f"at most {self.block_size} tokens (block_size)", T)
        q, k = self.Wq(x), self.Wk(x)  # (B, T, head_size)
        scores = q @ k.mT * self.head_size**-0.5  # (B, T, T)
        if decoder:
            past = namespace(x.data).tri(T, dtype=bool)
            scores = scores.masked_fill(~past, -math.inf)
        return self.attn_drop(F.softmax(scores, axis=-1))

    def forward(self, x: Tensor, decoder: bool = True) -> Tensor:
        """Mix the values of x (B, T, n_embd) by the weights."""
        v = self.Wv(x)  # (B, T, head_size)
        return self.resid_drop(self.calc_weights(x, decoder) @ v)
