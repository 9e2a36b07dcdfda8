"""The whole transformer of 2017: an encoder, and a decoder that reads what it found."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.errors import value_error
from minigrad.tensor import Tensor, wrap
from nn import init
from nn.layers import LayerNorm
from nn.module import Module
from nn.torch_layers.encoder import (
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)


class Transformer(Module):
    """An encoder and a decoder, matrices drawn by `init.xavier_uniform_`.

    Shapes    src (S, B, E), tgt (T, B, E) -> (T, B, E); with batch_first (B, S, E), (B, T, E) -> (B, T, E)
    Source    Vaswani et al. 2017, arXiv:1706.03762; `torch.nn.Transformer`
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = "relu",
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        sizes = (d_model, nhead, dim_feedforward, dropout, activation)
        sizes += (layer_norm_eps, batch_first, norm_first)  # type: ignore[assignment]
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

        def stack(kind: Any, layer: Any, count: int) -> Module:
            if count < 1:
                raise value_error("Transformer", "a layer or more in encoder and decoder", count)
            first = layer(*sizes, bias=bias, dtype=dtype)
            return kind(first, count, LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))

        self.encoder, self.decoder = custom_encoder, custom_decoder
        if self.encoder is None:
            self.encoder = stack(TransformerEncoder, TransformerEncoderLayer, num_encoder_layers)
        if self.decoder is None:
            self.decoder = stack(TransformerDecoder, TransformerDecoderLayer, num_decoder_layers)
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)
        if device is not None:
            self.to(device)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Transform tgt in view of src; masks as in `MultiheadAttention`: True forbids."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """Return the mask (sz, sz) that forbids what comes later: -inf above the diagonal, to be added."""
        return wrap(np.triu(np.full((sz, sz), -np.inf, dtype or np.float32), 1))
