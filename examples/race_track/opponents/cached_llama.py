"""The Llama for inference in plain PyTorch, with a key/value cache, written as a careful user would."""

import numpy as np
import torch
from race_track.cells import NORM_EPS, PROMPT, ROPE_THETA, Cell
from torch import nn
from torch.nn import functional as F

ROOM = 1024  # positions in the buffers


class Block(nn.Module):
    """The weights of one block, under transformers' names."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        C, kept = cell.n_embd, cell.n_embd // cell.n_head * cell.n_kv_head
        self.input_layernorm, self.post_attention_layernorm = nn.RMSNorm(C, NORM_EPS), nn.RMSNorm(C, NORM_EPS)
        rows = {"q_proj": C, "k_proj": kept, "v_proj": kept, "o_proj": C}
        self.self_attn = nn.ModuleDict({name: nn.Linear(C, n, bias=False) for name, n in rows.items()})
        sizes = {
            "gate_proj": (C, cell.n_hidden),
            "up_proj": (C, cell.n_hidden),
            "down_proj": (cell.n_hidden, C),
        }
        self.mlp = nn.ModuleDict({name: nn.Linear(*size, bias=False) for name, size in sizes.items()})


class CachedLlama(nn.Module):
    """A Llama that reads a few tokens at a time; keys, values and angles stay in buffers made once."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(cell.vocab_size, cell.n_embd)
        self.layers = nn.ModuleList(Block(cell) for _ in range(cell.n_layer))
        self.norm = nn.RMSNorm(cell.n_embd, NORM_EPS)
        self.D, self.length, self.start = cell.n_embd // cell.n_head, 0, PROMPT if cell.job == "decode" else 0
        speeds = ROPE_THETA ** -(torch.arange(0, self.D, 2) / self.D)
        angles = torch.outer(torch.arange(ROOM), speeds).repeat(1, 2)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.caches = torch.empty(cell.n_layer, 2, 1, cell.n_kv_head, ROOM, self.D)

    def rewind(self) -> None:
        """Forget what was decoded after the prompt, or, for "prefill", all."""
        self.length = self.start

    @torch.inference_mode()
    def forward(self, ids: np.ndarray) -> np.ndarray:
        """Append ids (1, T) and return the logits (V,) after the last."""
        start, stop = self.length, self.length + ids.shape[1]
        self.length = stop
        x = self.embed_tokens(torch.from_numpy(ids))
        for block, cache in zip(self.layers, self.caches):
            x = x + self._attend(block.self_attn, block.input_layernorm(x), cache, start, stop)
            h, mlp = block.post_attention_layernorm(x), block.mlp
            x = x + mlp["down_proj"](F.silu(mlp["gate_proj"](h)) * mlp["up_proj"](h))
        return F.linear(self.norm(x[0, -1]), self.embed_tokens.weight).numpy()

    def _attend(self, own, x, cache, start, stop):
        q, k, v = (own[f"{n}_proj"](x).unflatten(-1, (-1, self.D)).transpose(1, 2) for n in "qkv")
        q, k = self._turn(q, start, stop), self._turn(k, start, stop)
        cache[0, :, :, start:stop], cache[1, :, :, start:stop] = k, v
        k, v = cache[:, :, :, :stop]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=x.shape[1] > 1, enable_gqa=True)
        return own["o_proj"](y.transpose(1, 2).flatten(2))

    def _turn(self, x, start, stop):
        a, b = x.chunk(2, -1)
        return x * self.cos[start:stop] + torch.cat((-b, a), -1) * self.sin[start:stop]
