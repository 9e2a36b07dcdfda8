"""How large a GPT is, in parameters and operations, and how to shorten its context. `GPT` has these as methods."""

from typing import Any

from gpt.config import GPTConfig
from minigrad.errors import value_error
from nn.module import Parameter


def num_parameters(model: Any, non_embedding: bool = True) -> int:
    """Count the parameters; nanoGPT leaves the position table out by default."""
    total = sum(p.numel() for p in model.parameters())
    return total - model.wpe.weight.numel() if non_embedding else total


def flops_per_token(model: Any) -> int:
    """Count the floating-point operations of one training step, per token.

    Six per parameter (two for the product, twice that for its two gradients), and in attention
    12 C T per block: two products over T keys, of two operations, three times.

    Source    Chowdhery et al. 2022 (PaLM), arXiv:2204.02311, appendix B
    """
    c = model.config
    return 6 * num_parameters(model) + 12 * c.n_layer * c.n_embd * c.block_size


def estimate_mfu(model: Any, tokens_per_second: float, peak_flops: float) -> float:
    """Return the share of the machine's peak (operations per second) that training uses."""
    return flops_per_token(model) * tokens_per_second / peak_flops


def crop_block_size(model: Any, block_size: int) -> None:
    """Shorten the context, dropping the positions beyond it."""
    if not 1 <= block_size <= model.config.block_size:
        raise value_error("crop_block_size", f"1..{model.config.block_size}", block_size)
    model.config = GPTConfig(**{**vars(model.config), "block_size": block_size})
    model.wpe.num_embeddings = block_size
    model.wpe.weight = Parameter(model.wpe.weight.data[:block_size].copy())
