"""What is raced: the cells, and what every opponent is given, so that all compute the same."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

LEARNING_RATE, BETAS, EPS, WEIGHT_DECAY, GRAD_CLIP = 1e-3, (0.9, 0.99), 1e-8, 0.1, 1.0
PROMPT, CONTINUATION = 256, 64  # tokens read before decoding, and decoded before it starts again there

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Cell:
    """One job and the model that does it; its fields have the names of `gpt.GPTConfig` and `gpt.LlamaConfig`.

    A unit of the job is what is timed: "train", a whole training step; "prefill", the logits of the
    last of PROMPT tokens; "decode", one more token, with a key/value cache.
    """

    name: str
    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    batch_size: int
    vocab_size: int = 65
    dropout: float = 0.0
    bias: bool = False
    job: str = "train"
    n_kv_head: int = 0  # a Llama's; 0: a GPT
    n_hidden: int = 0

    def __str__(self) -> str:
        sizes = f"{self.n_layer} layers, {self.n_head} heads, width {self.n_embd}, context {self.block_size}"
        return f"{sizes}, batch {self.batch_size}, vocabulary {self.vocab_size}, dropout {self.dropout:g}"

    def sizes(self) -> dict[str, float]:
        """Return the fields that make a GPTConfig, ours or nanoGPT's, or a LlamaConfig."""
        own = ("n_kv_head", "n_hidden") if self.n_kv_head else ("dropout", "bias")
        names = ("block_size", "vocab_size", "n_layer", "n_head", "n_embd", *own)
        return {name: getattr(self, name) for name in names}

    @property
    def unit(self) -> str:
        """What is timed, in words."""
        return {"train": "step", "prefill": "prefill", "decode": "token"}[self.job]


def _training_cells() -> Iterator[Cell]:
    sizes = {"tiny": (2, 2, 32, 16, 4), "cpu": (4, 4, 128, 64, 12), "small": (6, 6, 384, 256, 8)}
    for name, size in sizes.items():
        yield Cell(name, *size)
        yield Cell(f"{name}-dropout", *size, dropout=0.2)


GPT2 = {"n_layer": 12, "n_head": 12, "n_embd": 768, "block_size": 1024, "vocab_size": 50257, "bias": True}
SMOLLM2 = {"n_layer": 30, "n_head": 9, "n_embd": 576, "block_size": 8192, "vocab_size": 49152}
ROPE_THETA, NORM_EPS = 1e5, 1e-5  # SmolLM2's, and LlamaConfig's as it comes
SMOLLM2 |= {"n_kv_head": 3, "n_hidden": 1536}
CELLS = {
    cell.name: cell
    for cell in (
        *_training_cells(),
        Cell("gpt2-prefill", **GPT2, batch_size=1, job="prefill"),
        Cell("gpt2-decode", **GPT2, batch_size=1, job="decode"),
        Cell("smollm2-prefill", **SMOLLM2, batch_size=1, job="prefill"),
        Cell("smollm2-decode", **SMOLLM2, batch_size=1, job="decode"),
    )
}


def parameter_shapes(cell: Cell) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield (name, shape) of every parameter, in nanoGPT's names without "transformer.", or transformers' of a Llama."""
    if cell.n_kv_head:
        yield from _shapes_of_a_llama(cell)
        return

    def layer(name: str, *shape: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}.weight", shape
        if cell.bias:
            yield f"{name}.bias", shape[:1]

    C = cell.n_embd
    yield "wte.weight", (cell.vocab_size, C)
    yield "wpe.weight", (cell.block_size, C)
    for i in range(cell.n_layer):
        yield from layer(f"h.{i}.ln_1", C)
        yield from layer(f"h.{i}.attn.c_attn", 3 * C, C)
        yield from layer(f"h.{i}.attn.c_proj", C, C)
        yield from layer(f"h.{i}.ln_2", C)
        yield from layer(f"h.{i}.mlp.c_fc", 4 * C, C)
        yield from layer(f"h.{i}.mlp.c_proj", C, 4 * C)
    yield from layer("ln_f", C)


def _shapes_of_a_llama(cell: Cell) -> Iterator[tuple[str, tuple[int, ...]]]:
    C, hidden = cell.n_embd, cell.n_hidden
    kept = C // cell.n_head * cell.n_kv_head
    yield "embed_tokens.weight", (cell.vocab_size, C)
    for i in range(cell.n_layer):
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"layers.{i}.{name}.weight", (C,)
        for name, rows in (("q", C), ("k", kept), ("v", kept), ("o", C)):
            yield f"layers.{i}.self_attn.{name}_proj.weight", (rows, C)
        for name in ("gate", "up"):
            yield f"layers.{i}.mlp.{name}_proj.weight", (hidden, C)
        yield f"layers.{i}.mlp.down_proj.weight", (C, hidden)
    yield "norm.weight", (C,)


def initial_weights(cell: Cell) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, float32 array): GPT-2's initialisation, the same numbers for every opponent.

    One at a time, so that no opponent's peak memory holds a second model.
    """
    rng = np.random.default_rng(0)
    for name, shape in parameter_shapes(cell):
        if name.endswith("bias"):
            yield name, np.zeros(shape, np.float32)
        elif len(shape) == 1:
            yield name, np.ones(shape, np.float32)
        else:
            residual = name.endswith("c_proj.weight")
            weight = rng.standard_normal(shape, np.float32)
            weight *= 0.02 / math.sqrt(2 * cell.n_layer) if residual else 0.02
            yield name, weight


def batches(cell: Cell) -> Iterator[Batch]:
    """Yield (inputs, targets), integers (B, T): four random batches, again and again."""
    shape = (4, cell.batch_size, cell.block_size + 1)
    ids = np.random.default_rng(1).integers(0, cell.vocab_size, shape)
    return itertools.cycle([(b[:, :-1].copy(), b[:, 1:].copy()) for b in ids])


def prompt(cell: Cell) -> np.ndarray:
    """Return the ids (1, PROMPT) that prefill reads and decoding continues."""
    return np.random.default_rng(1).integers(0, cell.vocab_size, (1, PROMPT))
