"""Transformer blocks, by the way they arrange residual connections and normalisation."""

from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn.attention import CausalSelfAttention
from nn.layers import GELU, Dropout, LayerNorm, Linear
from nn.module import Module


class MLP(Module):
    """Two linear layers, four times wider between them, with a tanh-GELU.

    Shapes    x (..., C) -> (..., C)
    Source    nanoGPT, model.py
    """

    def __init__(
        self, n_embd: int, dropout: float = 0.0, bias: bool = True, *, rng: Generator | None = None
    ) -> None:
        self.c_fc = Linear(n_embd, 4 * n_embd, bias, rng=rng)
        self.gelu = GELU(approximate="tanh")
        self.c_proj = Linear(4 * n_embd, n_embd, bias, rng=rng)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))


class PreNormBlock(Module):
    """x + attn(ln_1(x)), then x + mlp(ln_2(x)): the residual stream itself is never normalised.

    Shapes    x (B, T, C) -> (B, T, C)
    Source    nanoGPT, model.py, `Block`
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
        self.ln_1 = LayerNorm(n_embd, bias=bias)
        self.attn = CausalSelfAttention(n_embd, n_head, dropout, bias, rng=rng)
        self.ln_2 = LayerNorm(n_embd, bias=bias)
        self.mlp = MLP(n_embd, dropout, bias, rng=rng)

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Add what attention and the MLP have to say about x."""
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))
