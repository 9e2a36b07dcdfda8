"""The Llama: a GPT after five changes, which `nn/llama_block.py` lists. What is left of `gpt/model.py` is this."""

import numpy as np

from gpt.config import LlamaConfig, checked
from gpt.language_model import LanguageModel
from minigrad import random
from minigrad.errors import value_error
from minigrad.random import Generator
from minigrad.random.no_draws import NO_DRAWS
from minigrad.tensor import Tensor
from nn.functional.cross_entropy import nll
from nn.functional.embedding import as_ids
from nn.functional.linear import linear
from nn.layers import Embedding, Linear
from nn.llama_block import LlamaBlock
from nn.module import ModuleList
from nn.torch_layers.normalization import RMSNorm


class Llama(LanguageModel):
    """A decoder-only transformer with RMSNorm, rotary positions, grouped queries and SwiGLU.

    Names are transformers' without its "model." prefix: embed_tokens, layers.0.input_layernorm,
    layers.0.self_attn.q_proj (k_proj, v_proj, o_proj), layers.0.post_attention_layernorm,
    layers.0.mlp.gate_proj (up_proj, down_proj), norm, and lm_head, which a tied model has not.

    Random    all matrices from N(0, init_std); the norms' weights are 1
    Source    Touvron et al. 2023, arXiv:2302.13971; transformers, `LlamaForCausalLM`
    """

    def __init__(self, config: LlamaConfig, *, rng: Generator | None = None) -> None:
        self.config = checked(config, LlamaConfig, rng)
        self.embed_tokens = Embedding(config.vocab_size, config.n_embd, rng=rng)
        sizes = config.n_embd, config.n_head, config.n_kv_head, config.n_hidden, config.rope_theta
        eps = config.norm_eps
        self.layers = ModuleList(LlamaBlock(*sizes, norm_eps=eps, rng=rng) for _ in range(config.n_layer))
        self.norm = RMSNorm(config.n_embd, config.norm_eps)
        self.lm_head = None if config.tied else Linear(config.n_embd, config.vocab_size, bias=False, rng=rng)
        if rng is NO_DRAWS:
            return
        rng = random.default_generator() if rng is None else rng
        for p in self.parameters():
            if p.ndim >= 2:
                p.array[...] = rng.normal(0.0, config.init_std, p.shape)

    def forward(
        self, idx: np.ndarray, targets: np.ndarray | None = None, cache: list | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return (logits, loss), as `GPT.forward`.

        Shapes    idx (B, T), targets (B, T) integers -> logits (B, T, V) or (B, 1, V)
        Units     loss in nats per token
        Raises    ValueError for more than block_size tokens or ids outside the vocabulary.
        """
        idx = as_ids("Llama", idx, None, axes=2)  # not yet on a GPU, as in `GPT.forward`
        stop = (cache[0]["length"] if cache else 0) + idx.shape[1]
        if stop > self.config.block_size:
            hint = "crop the context to the last block_size tokens"
            raise value_error("Llama", f"at most {self.config.block_size} tokens (block_size)", stop, hint)
        x = self.embed_tokens(idx)  # (B, T, C): no positions yet
        for i, block in enumerate(self.layers):
            x = block(x, cache[i] if cache else None)
        x = self.norm(x[:, -1:, :] if targets is None else x)
        logits = linear(x, (self.lm_head or self.embed_tokens).weight)  # (B, T or 1, V)
        if targets is None:
            return logits, None
        rows, ids = logits.reshape(-1, self.config.vocab_size), as_ids("Llama", targets, logits).reshape(-1)
        return logits, nll(rows, targets=ids, ignore_index=-1, reduction="mean")
