"""A Llama's block: what `nn.block` is for a GPT, five changes later; each says what it changes.

1. RMSNorm in place of LayerNorm: no mean is taken out, nothing is shifted.
2. Positions turn queries and keys (`F.rotary`), where GPT-2 adds a learned vector to the token's.
3. Several heads of queries share one head of keys and values: a smaller cache, fewer weights.
4. SwiGLU in place of the MLP: one linear layer says how much of another passes.
5. No biases anywhere, and no dropout.
"""

from minigrad.errors import check_shape, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import functional as F
from nn.layers import Linear
from nn.module import Module
from nn.torch_layers.normalization import RMSNorm


class GroupedQueryAttention(Module):
    """Causal self-attention whose heads of keys and values each serve n_head / n_kv_head heads of queries.

    Positions enter here, and nowhere else: queries and keys are turned by their positions' angles, so that
    their products know how far apart two tokens are.

    Shapes    x (B, T, C) -> (B, T, C); heads of C / n_head channels, an even number
    Source    Ainslie et al. 2023, arXiv:2305.13245; transformers, `LlamaAttention`, whose names it bears
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        n_kv_head: int,
        rope_theta: float = 10000.0,
        *,
        rng: Generator | None = None,
    ) -> None:
        n_embd, n_head, n_kv_head = check_shape("GroupedQueryAttention", (n_embd, n_head, n_kv_head), 1)
        if n_embd % (2 * n_head) or n_head % n_kv_head:
            expected = "n_embd divisible by 2 n_head, and n_head by n_kv_head"
            raise value_error("GroupedQueryAttention", expected, f"{n_embd}, {n_head} and {n_kv_head}")
        self.head_dim, self.rope_theta = n_embd // n_head, rope_theta
        self.q_proj = Linear(n_embd, n_embd, bias=False, rng=rng)
        self.k_proj = Linear(n_embd, n_kv_head * self.head_dim, bias=False, rng=rng)
        self.v_proj = Linear(n_embd, n_kv_head * self.head_dim, bias=False, rng=rng)
        self.o_proj = Linear(n_embd, n_embd, bias=False, rng=rng)

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Attend within x (B, T, C); with a cache, also to the tokens of earlier calls."""
        B, T, C = x.shape
        start = cache["length"] if cache is not None else 0
        q, k, v = (
            project(x).reshape(B, T, -1, self.head_dim).swapaxes(1, 2)  # (B, heads, T, D)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = (F.rotary(heads, start=start, theta=self.rope_theta) for heads in (q, k))
        if cache is None:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            y = F.attend_with_cache(q, k, v, cache)
        return self.o_proj(y.swapaxes(1, 2).reshape(B, T, C))


class SwiGLU(Module):
    """down(silu(gate(x)) * up(x)): each hidden channel is a product, of which one factor is a soft switch.

    Three matrices where an MLP has two; two thirds of its width make them equal in weights.

    Shapes    x (..., C) -> (..., C)
    Source    Shazeer 2020, arXiv:2002.05202; transformers, `LlamaMLP`, whose names it bears
    """

    def __init__(self, n_embd: int, n_hidden: int, *, rng: Generator | None = None) -> None:
        self.gate_proj = Linear(n_embd, n_hidden, bias=False, rng=rng)
        self.up_proj = Linear(n_embd, n_hidden, bias=False, rng=rng)
        self.down_proj = Linear(n_hidden, n_embd, bias=False, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each position alone."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaBlock(Module):
    """x + attention of the normalised x, then x + SwiGLU of the normalised x: the shape of GPT-2's block.

    Shapes    x (B, T, C) -> (B, T, C)
    Source    transformers, `LlamaDecoderLayer`, whose names it bears
    """

    def __init__(
        self, n_embd: int, n_head: int, n_kv_head: int, n_hidden: int,
        rope_theta: float = 10000.0, norm_eps: float = 1e-5, *, rng: Generator | None = None,
    ) -> None:  # fmt: skip
        self.input_layernorm = RMSNorm(n_embd, norm_eps)
        self.self_attn = GroupedQueryAttention(n_embd, n_head, n_kv_head, rope_theta, rng=rng)
        self.post_attention_layernorm = RMSNorm(n_embd, norm_eps)
        self.mlp = SwiGLU(n_embd, n_hidden, rng=rng)

    def forward(self, x: Tensor, cache: dict | None = None) -> Tensor:
        """Add what attention and the SwiGLU have to say about x."""
        x = x + self.self_attn(self.input_layernorm(x), cache)
        return x + self.mlp(self.post_attention_layernorm(x))
