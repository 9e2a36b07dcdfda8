"""A GPT's block: causal attention and an MLP, each added to the residual stream."""

from minigrad.errors import check_shape, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import activations
from nn import functional as F
from nn.functional.dropout import keep_mask
from nn.layers import Dropout, LayerNorm, Linear
from nn.module import Module


class CausalSelfAttention(Module):
    """Multi-head self-attention in which a token sees itself and what came before.

    Dropout falls on the attention weights (`dropout`) and on the output (`resid_dropout`).

    Shapes    x (B, T, C) -> (B, T, C); C is a multiple of n_head
    Source    nanoGPT, model.py, whose names it bears
    """

    def __init__(
        self, n_embd: int, n_head: int, dropout: float = 0, bias: bool = True, *, rng: Generator | None = None
    ) -> None:
        n_embd, n_head = check_shape("CausalSelfAttention", (n_embd, n_head), 1)
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
            return self.c_proj(F.attend_to_cache(qkv, cache, self.n_head))
        p = self.dropout if self.training else 0.0
        keep = keep_mask(x.array, p, shape=(B, self.n_head, T, T)) if p else None
        y = F.causal_attention(qkv, n_head=self.n_head, keep=keep, p=p)
        return self.resid_dropout(self.c_proj(y))


class MLP(Module):
    """Two linear layers, four times wider between them, with a tanh-GELU or another of `nn.activations`.

    Shapes    x (..., C) -> (..., C)
    Source    nanoGPT, model.py
    """

    def __init__(
        self, n_embd: int, dropout: float = 0.0, bias: bool = True,
        *, rng: Generator | None = None, activation: str = "gelu_new",
    ) -> None:  # fmt: skip
        self.c_fc = Linear(n_embd, 4 * n_embd, bias, rng=rng)
        self.gelu = activations.activation(activation)
        self.c_proj = Linear(4 * n_embd, n_embd, bias, rng=rng)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))


class Block(Module):
    """x + attn(ln_1(x)), then x + mlp(ln_2(x)): each layer reads a normalised x; the stream itself never is,
    and carries the gradient of the output back unchanged. `nn.study.blocks` has its rivals, of the same parts.

    Shapes    x (B, T, C) -> (B, T, C)
    Source    nanoGPT, model.py, `Block`
    """

    def __init__(
        self, n_embd: int, n_head: int, dropout: float = 0, bias: bool = True,
        *, rng: Generator | None = None, norm_eps: float = 1e-5, activation: str = "gelu_new",
    ) -> None:  # fmt: skip
        self.ln_1 = LayerNorm(n_embd, norm_eps, bias=bias)
        self.attn = CausalSelfAttention(n_embd, n_head, dropout, bias, rng=rng)
        self.ln_2 = LayerNorm(n_embd, norm_eps, bias=bias)
        self.mlp = MLP(n_embd, dropout, bias, rng=rng, activation=activation)

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Add what attention and the MLP have to say about x."""
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))
