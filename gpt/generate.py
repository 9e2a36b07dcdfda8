"""Sampling from a language model, one token after another."""

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad import random
from minigrad.backend import to_numpy
from minigrad.creation import as_tensor
from minigrad.errors import type_error, value_error
from minigrad.operands import to_array
from minigrad.random import Generator
from minigrad.switches import no_grad
from nn import functional as F
from nn.functional.embedding import as_ids, check_ids

WEAKEST = 1e-20  # of repetition_penalty
COLDEST = 1e-6  # below, quotients overflow float32, and any but the likeliest has probability 0 anyway

if TYPE_CHECKING:  # the model offers this module's `generate` as a method
    from gpt.language_model import LanguageModel


def generate(
    model: "LanguageModel",
    idx: Any,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    *,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    eos: int | Collection[int] | None = None,
    min_new_tokens: int = 0,
    rng: Generator | Sequence[Generator] | None = None,
    cache: list[dict] | None = None,
    n_vocab: int | None = None,
) -> Iterator[np.ndarray]:
    """Continue each row of `idx`, yielding one new token of every row at a time.

    The model reads the last block_size tokens. Up to there, keys and values are kept, and a token
    costs a forward pass over itself alone. From there on, each new token shifts the window, hence the
    position of everything in it, and nothing that was computed can be kept: a token costs a
    forward pass over block_size tokens, as it does in nanoGPT all along.

    A row ends with a token of `eos`, of which none comes among its first min_new_tokens, and yields the first
    of them from then on; when all rows have ended, so does the iteration. Rows of different lengths are read
    side by side, the longer ones still from their prompt while the shorter are continued: every row keeps the
    positions it has alone; nothing is padded or masked. `cache`, from `new_cache()`, may hold the first tokens of
    `idx` from an earlier call; in the end it has as many of each row, up to block_size, all but the last of the
    longest. It is not read for a longer `idx`. Of a table with more rows, those from `n_vocab` on are never drawn.

    Shapes    idx (B, T) integers, or a list of B rows; T >= 1 -> at most max_new_tokens times (B,)
    Random    one draw of `rng.multinomial` a token, from `rng` or the default generator; with the same
              weights and seed, the samples are PyTorch's. Nothing at temperature 0. A list has a generator
              for each row, which then draws as it would alone.
    Raises    ValueError for settings that `sample` or `penalise` refuse, no token to continue, negative counts.
    Source    nanoGPT, model.py, `generate`; rows of different lengths: Llama's generation.py
    """
    rows, ends = _rows(idx, model), end_tokens(eos)
    draw = _Draw(temperature, top_k, top_p, repetition_penalty, ends, min_new_tokens, rng, n_vocab)
    draw.check(rows, max_new_tokens, model.config, cache)
    return _stream(model, rows, max_new_tokens, draw, model.new_cache() if cache is None else cache)


def end_tokens(eos: int | Collection[int] | None) -> np.ndarray:
    """Return one token, several or none, as an array.

    Raises    ValueError for what are no whole numbers.
    """
    several: list[Any] = [*eos] if isinstance(eos, Iterable) and getattr(eos, "ndim", True) else [eos]
    if eos is not None and not all(map(is_whole, several)):
        raise value_error("generate", "eos to be whole numbers", f"{eos!r:.60}")
    ids = [] if eos is None else [int(each) for each in several]
    return np.array(ids) if ids else np.empty(0, np.int64)  # whatever their size: `check_ids` says it


def is_whole(number: object) -> bool:
    """Is it a whole number, of Python's or NumPy's, and no truth value?"""
    whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
    return whole or isinstance(number, np.ndarray) and number.ndim == 0 and number.dtype.kind in "iu"


class _Draw(NamedTuple):
    """How the next token is drawn."""

    temperature: float
    top_k: int | None
    top_p: float | None
    penalty: float
    ends: np.ndarray
    least: int  # new tokens before one of `ends`
    rng: Any  # one generator, a list of one for each row, or None
    n_vocab: int | None  # the ids from here on are no tokens

    def check(self, rows: list[np.ndarray], most: int, config: Any, cache: list[dict] | None) -> None:
        """Raise ValueError, naming it, for a setting that cannot be, or that these rows and this cache do not fit."""
        _check_settings(self.temperature, self.top_k, self.top_p)
        _check_penalty(self.penalty)
        there = config.vocab_size
        n_vocab = there if self.n_vocab is None else self.n_vocab
        if not (is_whole(n_vocab) and 0 < n_vocab <= there):
            raise value_error("generate", f"n_vocab in 1..{there}, the model's", f"{n_vocab!r:.60}")
        for name, count in (("max_new_tokens", most), ("min_new_tokens", self.least)):
            if not is_whole(count) or count < 0:
                raise value_error("generate", f"{name} of 0 or more", f"{count!r:.60}")
        check_ids("generate, eos", self.ends, n_vocab)
        if self.least and len({*self.ends.tolist()}) == n_vocab:
            raise value_error("generate", "a token that is not of eos, for min_new_tokens", "all of them")
        for rng in self.rng if isinstance(self.rng, Sequence) else [self.rng]:
            if rng is not None and not isinstance(rng, Generator):
                raise value_error("generate", "rng a Generator, a list of them, or None", f"{rng!r:.60}")
        if isinstance(self.rng, Sequence) and len(self.rng) != len(rows):
            raise value_error("generate", f"a generator for each of {len(rows)} rows", len(self.rng))
        if cache is not None:
            _check_cache(cache, rows, config)

    def __call__(self, logits: np.ndarray, seen: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Return a token for each row, which has `count` new ones so far; below 0, its own generator rests."""
        if self.penalty != 1:
            logits = penalise(logits, seen, self.penalty)
        if len(self.ends) and (early := count < self.least).any():
            logits = logits.copy()
            logits[np.ix_(early, self.ends)] = -np.inf
        if self.n_vocab is not None and self.n_vocab < logits.shape[1]:
            logits = logits.copy()
            logits[:, self.n_vocab :] = -np.inf
        if not isinstance(self.rng, Sequence):
            return sample(logits, *self[:3], rng=self.rng)
        new = np.zeros(len(logits), np.int64)
        for i in map(int, np.flatnonzero(count >= 0)):
            new[i : i + 1] = sample(logits[i : i + 1], *self[:3], rng=self.rng[i])
        return new


def _check_cache(cache: Any, rows: list[np.ndarray], config: Any) -> None:
    """Raise ValueError for a cache that is not such a model's, or not of the first tokens of these rows."""
    wanted = len(rows), getattr(config, "n_kv_head", config.n_head), config.n_embd // config.n_head
    try:
        lengths = [int(each["length"]) for each in cache]
        held = {each[n].shape[:2] + each[n].shape[3:] for each in cache if each["length"] for n in "kv"}
    except (AttributeError, LookupError, TypeError, ValueError):
        lengths, held = [], {f"{cache!r:.60}"}
    if not lengths or lengths != lengths[:1] * config.n_layer or held - {wanted}:
        expected = f"a cache from new_cache(), {config.n_layer} layers of (rows, heads, width) {wanted}"
        raise value_error("generate", expected, f"{len(lengths)} of {', '.join(map(str, held))}")
    if lengths[0] >= min(map(len, rows)):
        raise value_error("generate", "a cache of the first tokens of idx", f"{lengths[0]} tokens")


def _rows(idx: Any, model: "LanguageModel") -> list[np.ndarray]:
    """Return the prompts, each an array of its own length.

    Raises    ValueError if there is none, or one without a token.
    """
    if not hasattr(model, "new_cache"):
        raise type_error("generate", "a language model", f"{model!r:.60}")
    weight = next(model.parameters())
    rows = (
        [*idx] if isinstance(idx, (list, tuple)) else np.atleast_1d(to_numpy(as_ids("generate", idx, weight)))
    )
    shapes = [tuple(np.shape(row)) for row in rows] if len(rows) else []
    if not shapes or any(len(shape) != 1 or shape[0] < 1 for shape in shapes):
        expected = "idx (B, T) with at least one token a row, or a list of such rows"
        raise value_error("generate", expected, np.shape(idx) if isinstance(rows, np.ndarray) else shapes)
    rows = [as_ids("generate", row, weight) for row in rows]
    for row in rows:
        check_ids("generate", row, model.config.vocab_size)
    return [to_numpy(row) for row in rows]


def _stream(model, rows, max_new_tokens, draw, cache):
    lengths, block_size, every = np.array([*map(len, rows)]), model.config.block_size, np.arange(len(rows))
    shortest, longest = int(lengths.min()), int(lengths.max())
    given = np.stack([np.pad(row, (0, longest - len(row))) for row in rows])
    window = given[:, :shortest][:, -block_size:]
    cache = cache if shortest <= block_size else None  # the window begins behind what it holds
    fresh, ended = window[:, cache[0]["length"] if cache else 0 :], np.zeros(len(rows), bool)
    recent: deque = deque(maxlen=longest - shortest + 1)  # the tokens at the last positions
    seen = np.zeros((len(rows), model.config.vocab_size), bool)
    seen[every[:, None], given[:, :shortest]] = True
    for position in range(shortest, longest + max_new_tokens):
        with no_grad(), model.evaluating():  # not around the loop: it would hold for the caller, too
            logits, _ = model(window if cache is None else fresh, None, cache)
        new = draw(to_numpy(logits.array)[:, -1], seen, np.where(ended, -1, position - lengths))
        if ended.any():
            new = np.where(ended, draw.ends[0], new)
        if position < longest:  # some row still reads its prompt
            new = np.where(position < lengths, given[:, position], new)
        ended |= (position >= lengths) & np.isin(new, draw.ends)
        seen[every, new] = True
        recent.append(new)
        if position >= longest:
            yield (now := np.array([recent[length - shortest][i] for i, length in enumerate(lengths)]))
            if len(draw.ends) and np.isin(now, draw.ends).all():
                return
        fresh = new[:, None]
        if window.shape[1] == block_size:
            cache = None
        window = np.concatenate([window, fresh], axis=1)[:, -block_size:]


def penalise(logits: np.ndarray, seen: np.ndarray, penalty: float) -> np.ndarray:
    """Return logits in which the tokens seen so far are less likely (penalty above 1) or more (below).

    Where seen, l / penalty if l > 0, else l * penalty.

    Shapes    logits and seen (B, V)
    Raises    ValueError for a penalty that is not from WEAKEST to 1 / WEAKEST.
    Source    Keskar et al. 2019, arXiv:1909.05858 (CTRL), section 4.1
    """
    _check_penalty(penalty)
    return np.where(seen, np.where(logits < 0, logits * penalty, logits / penalty), logits)


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
    logits = to_array("sample", logits)
    if logits.ndim != 2:
        raise value_error("sample", "logits (B, V)", logits.shape)
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
    if not (_is_number(temperature) and 0 <= temperature < math.inf):
        raise value_error("generate", "temperature of 0 or more, finite", f"{temperature!r:.60}")
    if top_k is not None and not (is_whole(top_k) and top_k >= 0):
        raise value_error("generate", "top_k of 0 (all) or more", f"{top_k!r:.60}")
    if top_p is not None and not (_is_number(top_p) and 0 <= top_p <= 1):
        raise value_error("generate", "0 <= top_p <= 1", f"{top_p!r:.60}")


def _check_penalty(penalty: float) -> None:
    if not (_is_number(penalty) and WEAKEST <= penalty <= 1 / WEAKEST):  # beyond, quotients overflow float32
        expected = f"repetition_penalty from {WEAKEST} to {1 / WEAKEST:g}"
        raise value_error("generate", expected, f"{penalty!r:.60}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
