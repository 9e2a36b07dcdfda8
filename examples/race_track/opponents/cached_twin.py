"""The twin for inference, with a key/value cache, written as a careful PyTorch user would."""

import numpy as np
import torch
from race_track.cells import PROMPT, Cell
from torch.nn import functional as F

from tests.support.twin import Twin


class CachedTwin:
    """A twin that reads a few tokens at a time; keys and values stay in buffers made once.

    For "prefill", which reads its tokens once, it keeps nothing.
    """

    def __init__(self, twin: Twin, cell: Cell) -> None:
        self.twin, self.length = twin.eval(), 0
        shape = (2, cell.batch_size, cell.n_head, cell.block_size, cell.n_embd // cell.n_head)
        decode = cell.job == "decode"
        self.caches = [torch.empty(shape) if decode else None for _ in twin.h]  # keys and values

    def rewind(self) -> None:
        """Forget what was decoded after the prompt."""
        self.length = 0 if self.caches[0] is None else PROMPT

    @torch.inference_mode()
    def forward(self, ids: np.ndarray) -> np.ndarray:
        """Append ids (1, T) and return the logits (V,) after the last."""
        start, stop = self.length, self.length + ids.shape[1]
        self.length = stop
        x = self.twin.wte(torch.from_numpy(ids)) + self.twin.wpe(torch.arange(start, stop))
        for block, cache in zip(self.twin.h, self.caches):
            x = x + self._attend(block.attn, block.ln_1(x), cache, start, stop)
            x = x + block.mlp(block.ln_2(x))
        return F.linear(self.twin.ln_f(x[0, -1]), self.twin.wte.weight).numpy()

    def _attend(self, attention, x, cache, start, stop):
        B, T, C = x.shape
        q, k, v = attention.c_attn(x).view(B, T, 3, attention.n_head, -1).permute(2, 0, 3, 1, 4)
        if cache is not None:
            cache[0, :, :, start:stop], cache[1, :, :, start:stop] = k, v
            k, v = cache[:, :, :, :stop]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
        return attention.c_proj(y.transpose(1, 2).reshape(B, T, C))
