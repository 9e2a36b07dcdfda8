"""PyTorch's MultiheadAttention: self and cross, with any masks."""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.backend import namespace
from minigrad.errors import check_probability, check_shape, type_error, value_error
from minigrad.functions import split
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import functional as F
from nn.functional.arguments import refuse
from nn.init import xavier_uniform_
from nn.layers import Linear
from nn.module import Module, Parameter


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear` with the name that PyTorch prints for this one."""


class MultiheadAttention(Module):
    """Queries attend to keys and values in several heads, each with its own share of the channels.

        y = (head_1 | ... | head_H) Wo^T + bo,   head = softmax(q k^T / sqrt(D) + mask) v,   D = E / H

    Each head reads its D columns of q = query Wq^T + bq, and likewise of k and v; Wq, Wk and Wv are
    stacked in `in_proj_weight`. By default axis 0 is time and axis 1 the batch: pass batch_first=True
    for (B, T, E) input, or every sequence attends across the batch.

    In PyTorch a query that may attend to nothing gives NaN; here its heads are zeros, and so are
    its weights and gradients.

    Shapes    query (T, B, E), key and value (S, B, E) -> (T, B, E); with batch_first (B, T, E) and
              (B, S, E) -> (B, T, E); without a batch (T, E) and (S, E) -> (T, E)
    Random    at construction out_proj as `Linear`, then in_proj_weight (3E, E) by `xavier_uniform_`;
              biases 0. In training one mask (B, H, T, S) on the attention weights if dropout > 0.
    Raises    ValueError for shapes that do not fit or embed_dim not divisible by num_heads;
              TypeError for a mask that is neither boolean nor float.
    Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2; `torch.nn.MultiheadAttention`
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Generator | None = None,
    ) -> None:
        refuse("MultiheadAttention", "", add_bias_kv=add_bias_kv, add_zero_attn=add_zero_attn)
        embed_dim, num_heads = check_shape("MultiheadAttention", (embed_dim, num_heads))
        if {kdim, vdim} - {None, embed_dim}:
            expected = f"keys and values of the width {embed_dim} of the queries (kdim, vdim)"
            raise NotImplementedError(f"MultiheadAttention: expected {expected}; got {kdim} and {vdim}")
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            got = f"{embed_dim} and {num_heads}"
            raise value_error("MultiheadAttention", "embed_dim divisible by num_heads", got)
        self.embed_dim, self.num_heads, self.batch_first = embed_dim, num_heads, batch_first
        self.dropout = check_probability("MultiheadAttention", dropout)
        kind: Any = dtype or np.float32
        # Drawn first, named last, as in PyTorch.
        out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, dtype=kind, rng=rng)
        self.in_proj_weight = Parameter(np.empty((3 * embed_dim, embed_dim), kind))
        xavier_uniform_(self.in_proj_weight, generator=rng)
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, kind)) if bias else None
        self.out_proj = out_proj
        if out_proj.bias is not None:
            out_proj.bias = Parameter(np.zeros(embed_dim, kind))
        if device is not None:
            self.to(device)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return (y, weights), weights being None without need_weights, which is faster.

        The masks are boolean arrays in which True FORBIDS (the opposite of
        `scaled_dot_product_attention`, as in PyTorch), or floats that are added to the scores.
        is_causal forbids keys after the query, whether or not attn_mask says so too. The weights
        are those after dropout: in training their zeros show its mask.

        Shapes    key_padding_mask (B, S), or (S,) without a batch; attn_mask (T, S) or (B*H, T, S);
                  weights (B, T, S), averaged over the heads, or (B, H, T, S); no B without a batch
        """
        self._check_shapes(query, key, value)
        q, k, v = (self._heads(x) for x in self._project(query, key, value))  # (B, H, T or S, D)
        masks = self._masks(q, k, attn_mask, key_padding_mask, is_causal)
        mask, weights = _merge(masks, q.dtype), None
        if need_weights:
            scores = q * (1 / math.sqrt(q.shape[-1])) @ k.mT
            if mask is not None:
                scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == bool else scores + mask
            weights = F.dropout(F.softmax(scores, -1), self.dropout, self.training)
            y = weights @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, mask, self.dropout if self.training else 0.0)
        B, H, T, D = y.shape
        y = self.out_proj(y.permute(2, 0, 1, 3).reshape(T, B, H * D))  # time first also in memory, as PyTorch
        if weights is not None and average_attn_weights:
            weights = weights.mean(axis=1)
        if query.ndim == 2:
            return y.squeeze(1), None if weights is None else weights.squeeze(0)
        return y.swapaxes(0, 1) if self.batch_first else y, weights

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> Sequence[Tensor]:
        """Return q, k, v: one product for self-attention, three otherwise."""
        if query is key is value:
            return split(F.linear(query, self.in_proj_weight, self.in_proj_bias), self.embed_dim, axis=-1)
        weights = split(self.in_proj_weight, self.embed_dim)
        biases = [None] * 3 if self.in_proj_bias is None else split(self.in_proj_bias, self.embed_dim)
        return [F.linear(*each) for each in zip((query, key, value), weights, biases)]

    def _heads(self, x: Tensor) -> Tensor:
        """Return x, in whichever of the three layouts, as (B, H, T, D)."""
        x = x.unsqueeze(1) if x.ndim == 2 else x.swapaxes(0, 1) if self.batch_first else x
        T, B, E = x.shape
        return x.reshape(T, B, self.num_heads, E // self.num_heads).permute(1, 2, 0, 3)

    def _masks(self, q: Tensor, k: Tensor, attn_mask: Any, key_padding_mask: Any, is_causal: bool) -> list:
        """Return the masks that are given, all broadcastable to (B, H, T, S)."""
        xp, (B, H, T, _), S = namespace(q.array), q.shape, k.shape[-2]
        masks = []
        if attn_mask is not None:
            attn_mask = _check_mask("attn_mask", attn_mask, [(T, S), (B * H, T, S)])
            masks.append(attn_mask if attn_mask.ndim == 2 else attn_mask.reshape(B, H, T, S))
        if key_padding_mask is not None:
            shapes = [(B, S)] if B > 1 else [(B, S), (S,)]
            masks.append(_check_mask("key_padding_mask", key_padding_mask, shapes).reshape(B, 1, 1, S))
        if is_causal:
            masks.append(~xp.tri(T, S, dtype=bool))
        return masks

    def _check_shapes(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        batch = None if query.ndim == 2 else 0 if self.batch_first else 1
        fits = query.ndim in (2, 3) and query.ndim == key.ndim and key.shape == value.shape
        fits = fits and query.shape[-1] == key.shape[-1] == self.embed_dim
        if not fits or (batch is not None and query.shape[batch] != key.shape[batch]):
            E = self.embed_dim
            layout = f"(B, T, {E}) and (B, S, {E})" if self.batch_first else f"(T, B, {E}) and (S, B, {E})"
            got = " and ".join(str(tuple(x.shape)) for x in (query, key, value))
            raise value_error("MultiheadAttention", f"query and key, value {layout}", got)


def _check_mask(name: str, mask: Any, shapes: Sequence[tuple[int, ...]]) -> Any:
    """Return the mask, as a plain array unless it is learned."""
    mask = mask.array if isinstance(mask, Tensor) and not mask.requires_grad else mask
    if not hasattr(mask, "dtype") or mask.dtype.kind not in "bf":
        got = getattr(mask, "dtype", type(mask).__name__)
        raise type_error("MultiheadAttention", f"a boolean or float {name}", got, "True means: ignore")
    if mask.shape not in shapes:
        expected = f"{name} {' or '.join(map(str, shapes))}"
        raise value_error("MultiheadAttention", expected, tuple(mask.shape))
    return mask


def _merge(masks: list, dtype: Any) -> Any:
    """Return one mask: boolean (True: may attend) if all are boolean, else numbers to add to the scores."""
    if not masks:
        return None
    if all(mask.dtype == bool for mask in masks):
        return ~functools.reduce(operator.or_, masks)
    added = [namespace(m).where(m, -math.inf, 0.0) if m.dtype == bool else m for m in masks]
    return functools.reduce(operator.add, [m.astype(dtype) for m in added])
