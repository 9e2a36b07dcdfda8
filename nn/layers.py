"""The plain layers: constructors, and a short forward each."""

import math
from typing import Any

import numpy as np

from minigrad import random
from minigrad.errors import check_probability, check_shape, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn import functional as F
from nn.embeddings import check_table, drawn_table, from_pretrained
from nn.functional.arguments import applied, refuse
from nn.functional.dropout import drop, keep_mask
from nn.functional.embedding import as_ids, take_rows
from nn.functional.gelu import gelu_tanh
from nn.functional.gelu_erf import gelu_erf
from nn.functional.layer_norm import layer_norm
from nn.functional.linear import linear
from nn.module import Module, Parameter


class Linear(Module):
    """y = x W^T + b.

    Shapes    x (..., in_features) -> y (..., out_features); weight (out_features, in_features)
    Random    weight, then bias, uniform in +-1/sqrt(in_features), as PyTorch
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None,
        *, rng: Generator | None = None,
    ) -> None:  # fmt: skip
        self.in_features, self.out_features = check_shape("Linear", (in_features, out_features), 1)
        rng, dtype = rng or random.default_generator(), dtype or np.float32
        bound = 1 / math.sqrt(in_features)
        self.weight = Parameter(rng.uniform(-bound, bound, (out_features, in_features), dtype))
        self.bias = Parameter(rng.uniform(-bound, bound, (out_features,), dtype)) if bias else None
        if device is not None:
            self.to(device)

    def forward(self, input: Tensor) -> Tensor:
        """Map input (..., in_features) to (..., out_features)."""
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Show the sizes."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class Embedding(Module):
    """A row of the table for each id; the row `padding_idx` starts as zeros and never learns.

    Shapes    ids (...) integers -> (..., embedding_dim); weight (num_embeddings, embedding_dim)
    Random    weight from N(0, 1), as PyTorch
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Tensor | None = None,
        _freeze: bool = False, device: Any = None, dtype: Any = None, *, rng: Generator | None = None,
    ) -> None:  # fmt: skip
        refused = {"max_norm": max_norm, "scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse}
        refuse("Embedding", "it changes what is learned", **refused)
        self.padding_idx = check_table(num_embeddings, embedding_dim, padding_idx, _weight)
        shape = self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        if _weight is None:
            _weight = drawn_table(rng or random.default_generator(), shape, self.padding_idx, dtype)
        self.weight = Parameter(_weight, not _freeze)
        if device is not None:
            self.to(device)

    from_pretrained = classmethod(from_pretrained)

    def forward(self, input: Any) -> Tensor:
        """Look up input (...)."""
        ids = as_ids("embedding", input, self.weight, self.num_embeddings)
        return take_rows(self.weight, ids=ids, padding_idx=self.padding_idx)

    def extra_repr(self) -> str:
        """Show the sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class LayerNorm(Module):
    """Normalise over the last axes, then scale by `weight` and shift by `bias`.

    Shapes    x (..., *normalized_shape) -> the same
    Source    Ba, Kiros and Hinton 2016, arXiv:1607.06450
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        shape = check_shape("LayerNorm", (normalized_shape,))
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(np.ones(shape, dtype or np.float32)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, dtype or np.float32)) if elementwise_affine and bias else None
        if device is not None:
            self.to(device)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise input (..., *normalized_shape)."""
        shape = self.normalized_shape
        if input.array.shape[-len(shape) :] != shape:
            raise value_error("LayerNorm", f"x (..., {', '.join(map(str, shape))})", f"x {input.array.shape}")
        if len(shape) == 1:
            return layer_norm(input, self.weight, self.bias, eps=self.eps)
        return F.layer_norm(input, shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the shape and what is learned."""
        affine, bias = self.weight is not None, self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}, bias={bias}"


class Dropout(Module):
    """Zero each element with probability `p` while training, scaling the rest by 1 / (1 - p).

    `last_mask` is the boolean mask of the last forward pass in training (True: kept), or None: look
    at it to see which elements were dropped.

    Shapes    x any -> the same
    Random    one mask of x's shape at every forward pass in training
    Source    Srivastava et al. 2014, JMLR 15:1929-1958
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: Generator | None = None) -> None:
        self.p, self.inplace, self.rng = check_probability("Dropout", p), inplace, rng
        self.last_mask: Any = None

    def forward(self, input: Tensor) -> Tensor:
        """Drop elements of x in training; return x itself otherwise."""
        self.last_mask = None
        if not self.training or self.p == 0:
            return input
        self.last_mask = keep = keep_mask(input.array, self.p, self.rng)
        y = drop(input, keep=keep, p=self.p)  # not last_mask, which may be another thread's by now
        return applied("dropout", lambda x: y, input, inplace=True) if self.inplace else y

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"p={self.p}, inplace={self.inplace}"


class GELU(Module):
    """x times the chance that a standard normal is below x; approximate="tanh" is GPT-2's form.

    Shapes    x any -> the same
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise value_error("GELU", '"none" or "tanh" for approximate', repr(approximate))
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to each element."""
        return gelu_tanh(input) if self.approximate == "tanh" else gelu_erf(input)

    def extra_repr(self) -> str:
        """Show the form."""
        return f"approximate={self.approximate!r}"
