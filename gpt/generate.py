"""Sampling from a language model, one token after another."""

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from minigrad import random
from minigrad.backend import namespace, to_numpy
from minigrad.creation import as_tensor
from minigrad.errors import value_error
from minigrad.random import Generator
from minigrad.switches import no_grad
from nn import functional as F
from nn.functional.embedding import as_ids

COLDEST = 1e-6  # below, quotients overflow float32, and any but the likeliest has probability 0 anyway

if TYPE_CHECKING:  # the model offers this module's `generate` as a method
    from gpt.language_model import LanguageModel


def generate(
    model: "LanguageModel",
    idx: np.ndarray,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    *,
    top_p: float | None = None,
    rng: Generator | None = None,
) -> Iterator[np.ndarray]:
    """Continue each row of `idx`, yielding one new token of every row at a time.

    The model reads the last block_size tokens. Up to there, keys and values are kept, and a token
    costs a forward pass over itself alone. From there on, each new token shifts the window, hence the
    learned position of everything in it, and nothing that was computed can be kept: a token costs a
    forward pass over block_size tokens, as it does in nanoGPT all along.

    Shapes    idx (B, T) integers, T >= 1 -> max_new_tokens times (B,)
    Random    one draw of `rng.multinomial` a token, from `rng` or the default generator; with the same
              weights and seed, the samples are PyTorch's. Nothing at temperature 0.
    Raises    ValueError for settings that `sample` refuses, no token to continue, or a negative count.
    Source    nanoGPT, model.py, `generate`
    """
    _check_settings(temperature, top_k, top_p)
    idx = as_ids("generate", idx, next(model.parameters()))
    if idx.ndim != 2 or idx.shape[1] < 1:
        raise value_error("generate", "idx (B, T) with at least one token a row", idx.shape)
    if max_new_tokens < 0:
        raise value_error("generate", "max_new_tokens of 0 or more", max_new_tokens)
    draw = partial(sample, temperature=temperature, top_k=top_k, top_p=top_p, rng=rng)
    return _stream(model, idx, max_new_tokens, draw)


def _stream(model, idx, max_new_tokens, draw):
    xp, block_size = namespace(idx), model.config.block_size
    window, fresh, cache = idx[:, -block_size:], idx[:, -block_size:], model.new_cache()
    for _ in range(max_new_tokens):
        with no_grad(), model.evaluating():  # not around the loop: it would hold for the caller, too
            logits, _ = model(window if cache is None else fresh, None, cache)
        new = draw(to_numpy(logits.array)[:, -1])
        yield new
        fresh = xp.asarray(new)[:, None]
        if window.shape[1] == block_size:
            cache = None
        window = xp.concatenate([window, fresh], axis=1)[:, -block_size:]


def sample(
    logits: np.ndarray,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    rng: Generator | None = None,
) -> np.ndarray:
    """Draw an id from each row of logits.

    `temperature` divides the logits: below 1 likely tokens gain, at 0 the likeliest is taken. `top_k`
    leaves the k likeliest (and their equals; None or 0: all). `top_p` leaves the fewest that together
    have probability p (None or 1: all).

    Shapes    logits (B, V) -> (B,) integers
    Random    one call of `rng.multinomial`, from `rng` or the default generator; none at temperature 0
    Raises    ValueError for a negative or NaN temperature or top_k, or top_p outside 0..1.
    Source    nanoGPT, model.py, `generate`; top_p: Holtzman et al. 2020, arXiv:1904.09751
    """
    _check_settings(temperature, top_k, top_p)
    if temperature < COLDEST:
        return logits.argmax(axis=-1)
    logits = logits / temperature
    if top_k:
        k = min(top_k, logits.shape[-1])
        least = np.partition(logits, -k)[:, -k, None]
        logits = np.where(logits < least, -np.inf, logits).astype(logits.dtype)
    probs = F.softmax(as_tensor(logits), -1).array
    if top_p is not None and top_p < 1:
        probs = np.where(_nucleus(probs, top_p), probs, 0.0).astype(probs.dtype)
    rng = random.default_generator() if rng is None else rng
    return rng.multinomial(probs, 1)[:, 0]


def _nucleus(probs: np.ndarray, top_p: float) -> np.ndarray:
    """Mark the likeliest ids up to the one with which their probabilities reach top_p."""
    order = np.argsort(-probs, axis=-1, kind="stable")
    ordered = np.take_along_axis(probs, order, axis=-1)
    before = np.cumsum(ordered, axis=-1) - ordered  # the probability of all that are likelier
    before[:, 0] = -math.inf  # the likeliest always stays
    marked = np.empty(probs.shape, bool)
    np.put_along_axis(marked, order, before < top_p, axis=-1)
    return marked


def _check_settings(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not 0 <= temperature < math.inf:
        raise value_error("generate", "temperature of 0 or more, finite", temperature)
    if top_k is not None and top_k < 0:
        raise value_error("generate", "top_k of 0 (all) or more", top_k)
    if top_p is not None and not 0 <= top_p <= 1:
        raise value_error("generate", "0 <= top_p <= 1", top_p)
