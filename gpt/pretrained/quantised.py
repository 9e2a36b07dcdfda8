"""Weights that stay as a file has them, a few bits each, and are unpacked whenever they are used.

llama.cpp's kinds of blocks: in Q4_1, 32 neighbours w = d q + m share two float16, d and m, and keep 4 bits each, q;
in Q8_0 they share d and keep 8 bits. So SmolLM2 takes 98 MB in place of 538, and each use costs the unpacking:
`python -m gpt.pretrained` measures both.
"""

from typing import Any, NamedTuple

import numpy as np

from minigrad.errors import value_error
from minigrad.tensor import Tensor, wrap
from nn.functional.embedding import as_ids, check_ids
from nn.layers import Embedding, Linear


class Kind(NamedTuple):
    """How numbers are packed: `block` of them into `size` bytes. `code` is its number in the file."""

    name: str
    code: int
    block: int
    size: int


def kind(code: int) -> Kind:
    """Return the kind of this number.

    Raises    ValueError if there is none; ModuleNotFoundError, with what to install, without the package gguf.
    """
    gguf = _package()
    try:
        known = gguf.GGMLQuantizationType(code)
    except ValueError:
        raise value_error("GGUF", "a kind of numbers that the package gguf knows", code) from None
    return Kind(known.name, code, *gguf.GGML_QUANT_SIZES[known])


def _package() -> Any:
    try:
        import gguf
    except ModuleNotFoundError:
        message = 'GGUF: expected the package gguf; got none; pip install -e ".[models]"'
        raise ModuleNotFoundError(message) from None
    return gguf


class Blocks(NamedTuple):
    """Numbers as they are packed. Shapes: bytes (..., columns / block * size), of numbers (..., columns)."""

    kind: Kind
    bytes: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the numbers."""
        *rows, size = self.bytes.shape
        return *rows, size // self.kind.size * self.kind.block

    def unpack(self) -> np.ndarray:
        """Return the numbers as float32.

        Raises    ValueError for a kind that the package gguf does not unpack.
        """
        if self.kind.name in UNPACK:
            return UNPACK[self.kind.name](self.bytes)
        gguf = _package()
        try:
            return gguf.quants.dequantize(self.bytes, gguf.GGMLQuantizationType(self.kind.code))
        except NotImplementedError as error:
            raise value_error("GGUF", "numbers that the package gguf unpacks", error) from None


def unpack_q4_1(packed: np.ndarray) -> np.ndarray:
    """Return w = d q + m. A block is d, m, then 16 bytes: q_i in the lower half of byte i, q_(i+16) in the upper.

    The same numbers as the package's, in every bit, in a third of its time.

    Shapes    packed (..., 20 N) bytes -> (..., 32 N)
    """
    blocks = packed.reshape(-1, 20)
    scales = blocks[:, :4].copy().view("<f2").astype(np.float32)  # (N, 2): d and m
    w = np.empty((len(blocks), 2, 16), np.float32)
    w[:, 0], w[:, 1] = blocks[:, 4:] & 15, blocks[:, 4:] >> 4
    w *= scales[:, :1, None]
    w += scales[:, 1:, None]
    return w.reshape(*packed.shape[:-1], -1)


def unpack_q8_0(packed: np.ndarray) -> np.ndarray:
    """Return w = d q. A block is d, then a byte for each q, with its sign. In half of the package's memory.

    Shapes    packed (..., 34 N) bytes -> (..., 32 N)
    """
    blocks = packed.reshape(-1, 34)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)  # (N, 1)
    return (blocks[:, 2:].view(np.int8) * scales).reshape(*packed.shape[:-1], -1)


UNPACK = {"F32": lambda packed: packed.view("<f4"), "Q4_1": unpack_q4_1, "Q8_0": unpack_q8_0}


class PackedLinear(Linear):
    """A Linear without bias whose weight is unpacked at every use, and never learns."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks, self.bias = blocks, None
        self.out_features, self.in_features = blocks.shape

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The weight, a new Tensor each time."""
        return wrap(self.blocks.unpack())


class PackedEmbedding(Embedding):
    """An Embedding of which the rows that are looked up are unpacked; a head that is tied to it reads `weight`."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks, self.padding_idx = blocks, None
        self.num_embeddings, self.embedding_dim = blocks.shape

    weight = PackedLinear.weight  # type: ignore[assignment]

    def forward(self, input: Any) -> Tensor:
        """Look up input (...)."""
        ids = as_ids("Embedding", input, wrap(self.blocks.bytes))
        check_ids("embedding", ids, self.num_embeddings)
        return wrap(self.blocks._replace(bytes=self.blocks.bytes[ids]).unpack())
