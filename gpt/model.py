"""The GPT of nanoGPT: pre-norm blocks, learned positions, a head tied to the token embedding."""

import math

import numpy as np

from gpt.config import GPTConfig, checked
from gpt.language_model import LanguageModel
from minigrad import random
from minigrad.errors import value_error
from minigrad.random import Generator
from minigrad.random.no_draws import NO_DRAWS
from minigrad.tensor import Tensor
from nn.block import Block
from nn.functional.cross_entropy import nll
from nn.functional.embedding import as_ids
from nn.functional.linear import linear
from nn.layers import Dropout, Embedding, LayerNorm, Linear
from nn.module import ModuleList


class GPT(LanguageModel):
    """A decoder-only transformer.

    Names are nanoGPT's without its "transformer." prefix: wte, wpe, h.0.ln_1, h.0.attn.c_attn,
    h.0.attn.c_proj, h.0.ln_2, h.0.mlp.c_fc, h.0.mlp.c_proj, ln_f. A tied head has no weight of its own:
    logits are products with the token embedding (Press and Wolf 2017, arXiv:1608.05859). Else: lm_head.

    Random    GPT-2's initialisation: embeddings from N(0, 0.02), linear weights from N(0, init_std)
              with init_std = 0.02, the projections back into the residual stream from
              N(0, init_std / sqrt(2 n_layer)), since 2 n_layer of them add up; biases 0.
    Source    Radford et al. 2019, section 2.3; nanoGPT, model.py
    """

    def __init__(self, config: GPTConfig, *, rng: Generator | None = None) -> None:
        self.config = checked(config, GPTConfig, rng)
        self.wte = Embedding(config.vocab_size, config.n_embd, rng=rng)
        self.wpe = Embedding(config.block_size, config.n_embd, rng=rng)
        self.drop = Dropout(config.dropout)
        sizes = config.n_embd, config.n_head, config.dropout, config.bias
        self.h = ModuleList(
            Block(*sizes, rng=rng, norm_eps=config.norm_eps, activation=config.activation)
            for _ in range(config.n_layer)
        )
        self.ln_f = LayerNorm(config.n_embd, config.norm_eps, bias=config.bias)
        self.lm_head = None if config.tied else Linear(config.n_embd, config.vocab_size, bias=False, rng=rng)
        if rng is not NO_DRAWS:
            self._initialise(random.default_generator() if rng is None else rng)

    def _initialise(self, rng: Generator) -> None:
        std = self.config.init_std
        residual = std / math.sqrt(2 * self.config.n_layer)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                p.array[...] = 0.0
            elif name in ("wte.weight", "wpe.weight"):
                p.array[...] = rng.normal(0.0, 0.02, p.shape)
            elif p.ndim >= 2:
                p.array[...] = rng.normal(0.0, residual if name.endswith("c_proj.weight") else std, p.shape)

    def forward(
        self, idx: np.ndarray, targets: np.ndarray | None = None, cache: list | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return (logits, loss).

        With targets: the logits of every position, and their mean loss. Without: the logits of the
        last position only, which is all that sampling reads, and None. A `cache` from `new_cache()`
        keeps keys and values between calls, so that each call computes the new tokens alone.

        Shapes    idx (B, T), targets (B, T) integers -> logits (B, T, V) or (B, 1, V)
        Units     loss in nats per token
        Raises    ValueError for more than block_size tokens or ids outside the vocabulary.
        """
        start = cache[0]["length"] if cache else 0
        idx = as_ids("GPT", idx, None, axes=2)  # on a GPU only when checked: to ask it is to wait
        T = idx.shape[1]
        if start + T > self.config.block_size:
            hint = "crop the context to the last block_size tokens"
            raise value_error("GPT", f"at most {self.config.block_size} tokens (block_size)", start + T, hint)
        x = self.drop(self.wte(idx) + self.wpe.weight[start : start + T])  # (B, T, C)
        for i, block in enumerate(self.h):
            x = block(x, cache[i] if cache else None)
        x = self.ln_f(x[:, -1:, :] if targets is None else x)
        logits = linear(x, self.wte.weight if self.lm_head is None else self.lm_head.weight)  # (B, T or 1, V)
        if targets is None:
            return logits, None
        rows, ids = logits.reshape(-1, self.config.vocab_size), as_ids("GPT", targets, logits).reshape(-1)
        return logits, nll(rows, targets=ids, ignore_index=-1, reduction="mean")

    def num_parameters(self, non_embedding: bool = True) -> int:
        """Count the parameters; nanoGPT leaves the position table out by default."""
        total = super().num_parameters()
        return total - self.wpe.weight.numel() if non_embedding else total
