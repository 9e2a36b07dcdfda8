"""python -m gpt chat: talk with a model that was taught to answer."""

import argparse
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from gpt.commands.flags import MODELS, add_likely, add_memory, add_model, likely, on_device
from gpt.commands.threads import use_threads
from gpt.data import clean
from gpt.generate import end_tokens, generate
from gpt.language_model import LanguageModel
from gpt.pretrained.anywhere import open_model
from gpt.tokens import BPE, Tokenizer
from gpt.writing import decoded
from minigrad.console.commands import natural
from minigrad.errors import value_error

HELP = "/reset forgets what was said, /help shows this; Ctrl-C ends an answer, Ctrl-D (or /quit) the talk"


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    command.set_defaults(run=run, smaller="try --memory small")
    add = command.add_argument
    help = f"a model with a chat template: {MODELS} (default: smollm2)"
    add_model(command, "--model", "--init_from", "--checkpoint", default="smollm2", help=help)
    add_memory(command)
    add("--system", default=None, help="what the model is told first (default: what its template says)")
    help = "tokens of an answer at most (default: 512, or half the context)"
    add("--max_new_tokens", type=natural, help=help)
    add_likely(command, temperature=0.0, top_p=0.9, repetition_penalty=1.1)  # a small model wanders soon


def run(options: argparse.Namespace) -> int:
    """Answer each line until the input ends."""
    began = time.perf_counter()
    print(f"loading {options.model} ...", file=sys.stderr, flush=True)
    model, tokenizer = on_device(options, open_model, options.model, options.memory)
    given, usual = options.max_new_tokens, min(512, model.config.block_size // 2)
    most = usual if given is None else given
    talk = Talk(model, tokenizer, options.system, most, likely(options))
    use_threads(model, model.config.block_size)
    size, seconds = model.num_parameters(False), time.perf_counter() - began
    print(f"{size:,} parameters, loaded in {seconds:.1f} s\n{HELP}", file=sys.stderr, flush=True)
    for line in _lines():
        if line in ("/quit", "/exit"):
            break
        if line == "/reset":
            talk.reset()
            print("what was said is forgotten", file=sys.stderr)
        elif line.startswith("/"):
            print(f"no command {line}: {HELP}" if line != "/help" else HELP, file=sys.stderr)
        elif line:
            _show(talk.answer(clean(line)), talk)
    return 0


def _show(pieces: Generator[str, None, None], talk: "Talk") -> None:
    """Print an answer as it comes, and " ..." where Ctrl-C or --max_new_tokens ended it."""
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
        print(" ..." * talk.cut, end="")
    except KeyboardInterrupt:
        pieces.close()
        print(" ...", end="")
    print(flush=True)


def _lines() -> Iterator[str]:
    """Yield what is typed, or what is piped in, line by line."""
    someone = sys.stdin.isatty()
    if someone:
        with suppress(ImportError):  # with it, the arrow keys go back to earlier lines; Windows has none
            __import__("readline")
    while True:
        try:
            if someone:
                yield input("> ").strip()
            elif line := sys.stdin.readline():
                yield line.strip()
            else:
                return
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            if not someone:
                raise
            print("\nCtrl-D leaves")


class Talk:
    """A conversation, and the keys and values of what was computed of it.

    Each turn renders the whole conversation with the model's template, and computes what is not in the cache
    as it stands: usually the new message alone. When it is too long for the model, the oldest turns are left out.
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, system: str | None, most: int,
        likely: dict[str, Any],
    ) -> None:  # fmt: skip
        if not (isinstance(tokenizer, BPE) and tokenizer.chat_template):
            hint = "python -m gpt sample continues a text"
            raise value_error("chat", "a model with a chat template", "one without", hint)
        if not 0 < most < model.config.block_size:
            raise value_error("chat", f"--max_new_tokens in 1..{model.config.block_size - 1}", most)
        self.model, self.tokenizer, self.most, self.likely = model, tokenizer, most, likely
        self.first = [] if system is None else [{"role": "system", "content": system}]
        self.eos = tokenizer.ends
        self.reset()
        generate(model, np.zeros((1, 1), int), most, eos=self.eos, **likely)  # refuses what cannot be

    def reset(self) -> None:
        """Forget what was said."""
        self.turns: list[dict[str, str]] = []
        self._forget()

    def _forget(self) -> None:
        """Drop what was computed."""
        self._cache, self._known = self.model.new_cache(), np.empty(0, np.int64)

    def answer(self, text: str) -> Generator[str, None, None]:
        """Yield the answer as it is written; however it ends, what was yielded is part of the conversation."""
        self.turns.append({"role": "user", "content": text})
        ids, said = self._prompt(), ""
        drawn: list[int] = []
        kept = _common(ids[:-1], self._known)
        for part in self._cache:
            part["length"] = kept
        try:
            how = {"eos": self.eos, "cache": self._cache, "n_vocab": self.tokenizer.n_vocab, **self.likely}
            tokens = generate(self.model, ids[None], self.most, **how)
            for piece in decoded(_noted(tokens, drawn), self.tokenizer, self.eos):
                said += piece
                yield piece
            self.cut = len(drawn) == self.most and drawn[-1] not in end_tokens(self.eos)
            self._known = np.array([*ids, *drawn])[: self._cache[0]["length"]]
        except BaseException:  # a pass may have been cut short between two blocks
            self._forget()
            raise
        finally:
            self.turns.append({"role": "assistant", "content": said})

    def _prompt(self) -> np.ndarray:
        """Return the conversation as ids, without its oldest turns where it leaves no room for an answer."""
        room = self.model.config.block_size - self.most
        while len(ids := self.tokenizer.chat([*self.first, *self.turns])) > room and len(self.turns) > 1:
            del self.turns[:2]
        if len(ids) > room:
            self.turns.clear()
            raise value_error("chat", f"at most {room} tokens, and room for {self.most}", f"{len(ids)}")
        return ids.astype(np.int64)


def _noted(tokens: Iterator[np.ndarray], drawn: list[int]) -> Iterator[np.ndarray]:
    """Yield the tokens, and append each to `drawn`."""
    for new in tokens:
        drawn.append(int(new[0]))
        yield new


def _common(one: np.ndarray, other: np.ndarray) -> int:
    """Return how many tokens two texts share from the beginning."""
    n = min(len(one), len(other))
    differ = np.flatnonzero(one[:n] != other[:n])
    return int(differ[0]) if len(differ) else n
