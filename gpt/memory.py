"""Whether this machine can hold a model, and its training: asked before memory is taken."""

import math
import os
from typing import Any

from minigrad.errors import value_error

BLOCK = 2000  # numbers that would take the place of a block's Python objects, however narrow it is
SMALLER = "take a smaller --batch_size, --block_size, --n_embd or --n_layer"


def check_weights(where: str, size: Any) -> None:
    """Raise ValueError for a configuration with more weights than fit."""
    _check(where, _held(size), f"{size.weights:,} weights", "take a smaller n_layer or n_embd")


def check_training(config: Any, size: Any, block_size: int, ranks: int) -> None:
    """Raise ValueError if this training of a model of this size, on so many ranks, does not fit.

    Gradients and AdamW's two means are as many numbers as the weights that learn; those of a LoRA are few. Of each
    token, a block saves six rows of n_embd or more; then there are its logits, and the ids of all batches of a step.
    """
    tokens = config.batch_size * (block_size or size.block_size)
    ids = 4 * config.gradient_accumulation_steps * tokens
    saved = tokens // ranks * (6 * size.n_layer * size.n_embd + size.vocab_size)
    what = f"{size.weights:,} weights that learn, from {tokens:,} tokens at a time"
    _check("train", _held(size) + 3 * size.weights * (not config.lora) + saved + ids, what, SMALLER)


def _held(size: Any) -> int:
    """Return how many numbers a model holds."""
    return size.weights + BLOCK * size.n_layer


def _check(where: str, numbers: float, what: str, hint: str) -> None:
    have: float = math.inf
    try:
        have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        pass  # the system does not say
    if (need := 4 * numbers) > have:
        expected = f"what fits into this machine's {have / 1e9:,.1f} GB of memory"
        raise value_error(where, expected, f"{what}: at least {need / 1e9:,.1f} GB", hint)
