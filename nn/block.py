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


class Block(Module):
    """Two layer norms, causal attention and an MLP: the parts of every block below, under nanoGPT's names.

    Shapes    x (B, T, C) -> (B, T, C)
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


class PreNormBlock(Block):
    """x + attn(ln_1(x)), then x + mlp(ln_2(x)): the residual stream itself is never normalised.

    The gradient of the output reaches the input unchanged along the stream, however many blocks
    follow one another.

    Source    nanoGPT, model.py, `Block`
    """

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Add what attention and the MLP have to say about x."""
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class PlainBlock(Block):
    """mlp(ln_2(attn(ln_1(x)))): no residual connection at all, for comparison."""

    def forward(self, x: Tensor) -> Tensor:
        """Feed x through attention and the MLP."""
        return self.mlp(self.ln_2(self.attn(self.ln_1(x))))


class SkipOneBlock(Block):
    """A residual connection around each of the two layers, from the normalised input.

        x = ln_1(x);   y = drop1(x) + attn(x);   y = ln_2(y);   z = drop1(y) + mlp(y)

    Unlike `PreNormBlock` it adds what the layer norm returns, so the stream is normalised again
    in every block, and its gradient with it.

    Random    in training: dropout1 for x, attn's masks, dropout1 for y, mlp's mask
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        dropout: float = 0.0,
        bias: bool = True,
        dropout1: float = 0.0,
        *,
        rng: Generator | None = None,
    ) -> None:
        super().__init__(n_embd, n_head, dropout, bias, rng=rng)
        self.dropout1 = Dropout(dropout1)  # on connections that skip one layer

    def forward(self, x: Tensor) -> Tensor:
        """Add each layer's output to its normalised input."""
        x = self.ln_1(x)
        y = self.dropout1(x) + self.attn(x)
        y = self.ln_2(y)
        return self.dropout1(y) + self.mlp(y)


class SkipTwoBlock(SkipOneBlock):
    """`SkipOneBlock` with one more connection, from the first normalised input past both layers.

        x = ln_1(x);   y = drop1(x) + attn(x);   y = ln_2(y);   z = drop2(x) + drop1(y) + mlp(y)

    Random    in training: dropout1 for x, attn's masks, dropout2 for x, dropout1 for y, mlp's mask
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        dropout: float = 0.0,
        bias: bool = True,
        dropout1: float = 0.0,
        dropout2: float = 0.0,
        *,
        rng: Generator | None = None,
    ) -> None:
        super().__init__(n_embd, n_head, dropout, bias, dropout1, rng=rng)
        self.dropout2 = Dropout(dropout2)  # on the connection that skips two

    def forward(self, x: Tensor) -> Tensor:
        """Add each layer's output to its normalised input, and the first input to the end."""
        x = self.ln_1(x)
        y = self.dropout1(x) + self.attn(x)
        y = self.ln_2(y)
        return self.dropout2(x) + self.dropout1(y) + self.mlp(y)
