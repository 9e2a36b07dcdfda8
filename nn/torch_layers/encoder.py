"""PyTorch's encoder and decoder layers: the transformer of 2017, normalised after or before."""

import copy
from collections.abc import Callable
from typing import Any

from minigrad.errors import value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import functional as F
from nn.layers import Dropout, LayerNorm, Linear
from nn.module import Module, ModuleList
from nn.torch_layers.multihead import MultiheadAttention

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": Tensor.relu, "gelu": F.gelu}


class _Layer(Module):
    """What both have: attentions, a two-layer network, and a residual connection around each."""

    attentions: tuple[str, ...]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Generator | None = None,
    ) -> None:
        place: dict[str, Any] = {"dtype": dtype, "rng": rng}
        for name in self.attentions:
            attention = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place)
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        numbers = range(1, len(self.attentions) + 2)  # of the residual connections
        for i in numbers:
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))
        for i in numbers:
            setattr(self, f"dropout{i}", Dropout(dropout))
        if not callable(activation) and activation not in ACTIVATIONS:
            raise value_error("activation", '"relu", "gelu" or a function', repr(activation))
        self.activation = activation if callable(activation) else ACTIVATIONS[activation]
        if device is not None:
            self.to(device)

    def _add(self, i: int, x: Tensor, layer: Callable[[Tensor], Tensor]) -> Tensor:
        """Return x plus the layer's output, with norm and dropout number i."""
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        return x + dropout(layer(norm(x))) if self.norm_first else norm(x + dropout(layer(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a two-layer network at each position, each with a residual connection.

        post-norm (the default)   x = norm1(x + attend(x));   x = norm2(x + feed_forward(x))
        norm_first=True           x = x + attend(norm1(x));   x = x + feed_forward(norm2(x))

    Post-norm is the published form; it normalises the residual stream itself, so gradients shrink
    from layer to layer and training needs a warm-up. Pre-norm leaves the stream alone.

    Shapes    src (T, B, E), or (B, T, E) with batch_first, or (T, E) -> the same
    Random    self_attn, linear1, linear2 at construction; in training, in this order, the attention
              weights, dropout1, dropout (inside the feed-forward network), dropout2. With
              batch_first, dropout1 is drawn in the order (T, B, E), as in PyTorch.
    Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.1; Xiong et al. 2020, arXiv:2002.04745,
              for pre-norm; `torch.nn.TransformerEncoderLayer`
    """

    attentions = ("self_attn",)
    self_attn: MultiheadAttention

    def forward(
        self, src: Tensor, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """Transform src; masks as in `MultiheadAttention`: True forbids."""
        masks = {"attn_mask": src_mask, "key_padding_mask": src_key_padding_mask, "is_causal": is_causal}
        x = self._add(1, src, lambda x: self.self_attn(x, x, x, need_weights=False, **masks)[0])
        return self._add(2, x, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's output, then a two-layer network, each with a residual.

        post-norm (the default)   x = norm1(x + attend(x));   x = norm2(x + attend_to(memory, x));
                                  x = norm3(x + feed_forward(x))
        norm_first=True           x = x + attend(norm1(x));   x = x + attend_to(memory, norm2(x));
                                  x = x + feed_forward(norm3(x))

    Nothing is causal by itself: pass tgt_is_causal=True or a tgt_mask.

    Shapes    tgt (T, B, E), memory (S, B, E) -> (T, B, E); with batch_first (B, T, E), (B, S, E)
    Random    self_attn, multihead_attn, linear1, linear2 at construction; in training, in this
              order, self_attn's weights, dropout1, multihead_attn's weights, dropout2, dropout,
              dropout3
    Source    as `TransformerEncoderLayer`; `torch.nn.TransformerDecoderLayer`
    """

    attentions = ("self_attn", "multihead_attn")
    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Transform tgt in view of memory; masks as in `MultiheadAttention`: True forbids."""
        own = {"attn_mask": tgt_mask, "key_padding_mask": tgt_key_padding_mask, "is_causal": tgt_is_causal}
        cross = {"attn_mask": memory_mask, "key_padding_mask": memory_key_padding_mask}
        cross["is_causal"] = memory_is_causal
        x = self._add(1, tgt, lambda x: self.self_attn(x, x, x, need_weights=False, **own)[0])
        attend = self.multihead_attn
        x = self._add(2, x, lambda x: attend(x, memory, memory, need_weights=False, **cross)[0])
        return self._add(3, x, self._feed_forward)


class _Stack(Module):
    """Copies of one layer, one after another, and a last norm, if there is one."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm


class TransformerEncoder(_Stack):
    """Copies of an encoder layer, with its very numbers, one after another.

    PyTorch's enable_nested_tensor and mask_check change no number and are accepted.

    Shapes    src (T, B, E), or (B, T, E) with batch_first -> the same
    Source    `torch.nn.TransformerEncoder`
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(
        self, src: Tensor, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Tensor:
        """Transform src; masks as in `MultiheadAttention`: True forbids."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(_Stack):
    """Copies of a decoder layer, with its very numbers, one after another.

    Shapes    tgt (T, B, E), memory (S, B, E) -> (T, B, E); with batch_first (B, T, E), (B, S, E)
    Source    `torch.nn.TransformerDecoder`
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Transform tgt in view of memory; masks as in `MultiheadAttention`: True forbids."""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)
