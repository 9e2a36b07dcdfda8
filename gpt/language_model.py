"""What every language model of ours can do, whatever computes its logits: lose, count its weights, speak."""

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np

from gpt.generate import end_tokens, generate
from minigrad.backend import to_numpy
from minigrad.errors import check_callable
from minigrad.tensor import Tensor, wrap
from nn.functional.embedding import as_ids
from nn.module import Module


class LanguageModel(Module):
    """A module with a `config` and a forward pass (idx, targets=None, cache=None) -> (logits, loss): see `GPT.forward`."""

    config: Any  # with vocab_size, block_size, n_layer, n_head, n_embd

    @classmethod
    def from_pretrained(cls, path: str | Path, **changes: Any) -> Self:
        """Return the model of a folder of Hugging Face's, a file, or "smollm2"; see `gpt.pretrained`."""
        return import_module("gpt.pretrained").from_pretrained(path, cls, **changes)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that `from_pretrained` reads, here and in transformers; see `gpt.pretrained`."""
        import_module("gpt.pretrained").save_pretrained(self, folder)

    def loss(self, idx: np.ndarray, targets: np.ndarray) -> Tensor:
        """Return the mean loss of predicting the targets, in nats per token; shapes as `forward`."""
        return self(idx, targets)[1]

    def new_cache(self) -> list[dict]:
        """Return an empty key/value cache for `forward`: one dict per block."""
        return [{"length": 0} for _ in range(self.config.n_layer)]

    def generate(
        self,
        idx: np.ndarray,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        *,
        callback: Callable[[np.ndarray], object] | None = None,
        **settings: Any,
    ) -> Any:
        """Return `idx` with what is sampled behind each row; `settings` are those of `gpt.generate.generate`.

        After each step, `callback` is given the new token of every row, (B,); if it returns what is true, it ends.

        Shapes    idx (B, T) -> (B, T + max_new_tokens), or shorter if all rows end; a Tensor for a Tensor;
                  a list of rows of different lengths -> a list of arrays, each up to the end of its row
        """
        if callback is not None:
            check_callable("generate, callback", callback)
        steps = []
        for new in generate(self, idx, max_new_tokens, temperature, top_k, **settings):
            steps.append(new[:, None])
            if callback is not None and callback(new):
                break
        if isinstance(idx, (list, tuple)) and len({len(row) for row in idx}) > 1:
            rows = [np.concatenate([row, *(new[i] for new in steps)]) for i, row in enumerate(idx)]
            ends = end_tokens(settings.get("eos"))
            return [row[: _end(row, len(given), ends)] for row, given in zip(rows, idx)]
        given = to_numpy(as_ids("generate", idx, next(self.parameters())))
        found = np.concatenate([given, *steps], axis=1)
        return wrap(found) if isinstance(idx, Tensor) else found

    def num_parameters(self, non_embedding: bool = True) -> int:
        """Count the parameters; a table of positions, if there is one, is left out by default, as nanoGPT does."""
        packed = (m.blocks.shape for m in self.modules() if hasattr(m, "blocks"))  # numbers of a few bits
        return sum(p.numel() for p in self.parameters()) + sum(map(math.prod, packed))


def _end(row: np.ndarray, start: int, ends: np.ndarray) -> int | None:
    """Return where a row ends: behind the first of `ends` from `start` on; None if there is none."""
    places = np.flatnonzero(np.isin(row[start:], ends))
    return start + int(places[0]) + 1 if len(places) else None
