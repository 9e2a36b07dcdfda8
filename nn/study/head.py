"""One attention head, every array of it formed."""

import math

from minigrad.backend import namespace
from minigrad.errors import value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import functional as F
from nn.layers import Dropout, Linear
from nn.module import Module


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
        self.Wq, self.Wk, self.Wv = (Linear(n_embd, head_size, bias=False, rng=rng) for _ in range(3))
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
            past = namespace(x.array).tri(T, dtype=bool)
            scores = scores.masked_fill(~past, -math.inf)
        return self.attn_drop(F.softmax(scores, axis=-1))

    def forward(self, x: Tensor, decoder: bool = True) -> Tensor:
        """Mix the values of x (B, T, n_embd) by the weights."""
        v = self.Wv(x)  # (B, T, head_size)
        return self.resid_drop(self.calc_weights(x, decoder) @ v)
