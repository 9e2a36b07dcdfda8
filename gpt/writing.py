"""Text as a model writes it: token by token, up to an end or a stop string, no character cut in half."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from gpt.generate import end_tokens, generate
from gpt.language_model import LanguageModel
from gpt.tokens import Decoder, Tokenizer
from minigrad.errors import check_type, value_error


def write(
    model: LanguageModel,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    max_new_tokens: int,
    *,
    stop: Sequence[str] = (),
    **settings: Any,
) -> Iterator[str]:
    """Yield the text behind `ids` (1, T) as it is drawn, up to a stop string, which is not yielded, or the end.

    The end is one of the tokeniser's tokens for it, if it has any; `settings` are those of `gpt.generate.generate`. What
    may be the beginning of a stop string waits until it is known not to be.

    Raises    ValueError for an empty stop string, or settings that `generate` refuses.
    """
    if isinstance(stop, str) or "" in stop:
        raise value_error("write", "a list of stop strings, none of them empty", repr(stop))
    eos = settings.pop("eos", check_type("write", tokenizer, Tokenizer, "a tokeniser").ends)
    tokens = generate(model, ids, max_new_tokens, eos=eos, n_vocab=tokenizer.n_vocab, **settings)
    return _until(decoded(tokens, tokenizer, eos), stop)


def decoded(
    tokens: Iterable[np.ndarray], tokenizer: Tokenizer, eos: int | Collection[int] | None = None
) -> Iterator[str]:
    """Yield the text of one row's tokens, those of `eos` left out; of a character that is not whole, the replacement."""
    decoder, ends = Decoder(tokenizer), end_tokens(eos)
    for new in tokens:
        if new[0] not in ends and (text := decoder.push(new)):
            yield text
    if rest := decoder.flush():
        yield rest


def _until(pieces: Iterator[str], stop: Sequence[str]) -> Iterator[str]:
    """Yield the pieces up to the first stop string."""
    held = ""
    for piece in pieces:
        held += piece
        if found := [held.index(s) for s in stop if s in held]:
            if text := held[: min(found)]:
                yield text
            return
        waiting = max((n for s in stop for n in range(1, len(s)) if held.endswith(s[:n])), default=0)
        if text := held[: len(held) - waiting]:
            yield text
        held = held[len(held) - waiting :]
    if held:
        yield held
