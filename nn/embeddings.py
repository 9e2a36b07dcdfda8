"""An embedding made of a table that is there already."""

from typing import Any

import numpy as np

from minigrad.errors import check_shape, check_type, value_error
from minigrad.tensor import Tensor


def from_pretrained(
    kind: Any,
    embeddings: Tensor,
    freeze: bool = True,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """Return an Embedding of that table, whose memory it shares; freeze=False lets it learn on.

    Shapes    embeddings (V, C)
    Source    `torch.nn.Embedding.from_pretrained`
    """
    check_type("Embedding.from_pretrained", embeddings, Tensor | np.ndarray, "embeddings (V, C)")
    if embeddings.ndim != 2:
        raise value_error("Embedding.from_pretrained", "embeddings (V, C)", tuple(embeddings.shape))
    rest = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)
    return kind(*embeddings.shape, *rest)


def check_table(num_embeddings: int, embedding_dim: int, padding_idx: int | None, weight: Any) -> int | None:
    """Return padding_idx counted from the start.

    Raises    ValueError for a row that the table has not, or a weight of another shape.
    """
    shape = check_shape("Embedding", (num_embeddings, embedding_dim))
    if weight is not None and tuple(weight.shape) != shape:
        raise value_error("Embedding", f"_weight {shape}", tuple(weight.shape))
    if padding_idx is None:
        return None
    if not -num_embeddings <= padding_idx < num_embeddings:
        raise value_error("Embedding", f"padding_idx within {num_embeddings} rows", padding_idx)
    return padding_idx % num_embeddings


def drawn_table(rng: Any, shape: tuple[int, int], padding_idx: int | None, dtype: Any) -> Any:
    """Return a table from N(0, 1), the row padding_idx being zeros."""
    table = rng.normal(0.0, 1.0, shape, dtype=dtype or np.float32)
    if padding_idx is not None:
        table[padding_idx] = 0.0
    return table
