"""Sequences of several lengths in one Tensor: filled up to the longest, or packed step by step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad.backend import namespace, to_numpy
from minigrad.errors import value_error
from minigrad.functions import concatenate, stack
from minigrad.methods import values_of
from minigrad.tensor import Tensor, wrap
from nn.functional.vectors import pad

__all__ = [
    "PackedSequence",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpad_sequence",
]


class PackedSequence(NamedTuple):
    """The first step of all sequences, then the second of those that have one, ...: the longest come first.

    `sorted_indices` says which sequence stands where, `unsorted_indices` where each of them went; None if they came
    in that order.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Any = None
    unsorted_indices: Any = None


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Fill sequences (L, ...) up to the longest, T.

    Shapes    -> (T, B, ...), or (B, T, ...) with batch_first
    Raises    ValueError for none, or another side than "right" and "left".
    Source    `torch.nn.utils.rnn.pad_sequence`
    """
    sequences = list(sequences)
    if not sequences:
        raise value_error("pad_sequence", "one sequence or more", "none")
    if padding_side not in ("right", "left"):
        raise value_error("pad_sequence", '"right" or "left" for padding_side', repr(padding_side))
    longest = max(len(s) for s in sequences)
    rows = []
    for s in sequences:
        missing = longest - len(s)
        sides = (0, missing) if padding_side == "right" else (missing, 0)
        rows.append(pad(s, [*[0, 0] * (s.ndim - 1), *sides], value=padding_value))
    return stack([row.to(sequences[0].dtype) for row in rows], 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """Return the sequences that `pad_sequence` was given.

    Raises    ValueError for another number of lengths.
    """
    x = padded_sequences if batch_first else padded_sequences.swapaxes(0, 1)
    counts = [int(n) for n in values_of(lengths)]
    if len(counts) != len(x):
        raise value_error("unpad_sequence", f"{len(x)} lengths", counts)
    return [x[i, :n] for i, n in enumerate(counts)]


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences that were filled up.

    Shapes    input (T, B, ...), or (B, T, ...) with batch_first; lengths (B,) -> data (sum of lengths, ...)
    Raises    RuntimeError for lengths that do not fall, unless enforce_sorted=False; ValueError for one below 1
              or another number of them.
    Source    `torch.nn.utils.rnn.pack_padded_sequence`
    """
    where, x = "pack_padded_sequence", input.swapaxes(0, 1) if batch_first else input
    counts = np.asarray([int(n) for n in values_of(lengths)])
    if len(counts) != x.shape[1] or counts.min(initial=1) < 1:
        raise value_error(where, f"{x.shape[1]} lengths of 1 or more", counts.tolist())
    order = None
    if not enforce_sorted:
        order = np.argsort(-counts, kind="stable")
        there = wrap(namespace(x._data).asarray(order))
        counts, x = counts[order], x[:, there]
    elif (np.diff(counts) > 0).any():
        hint = "pass enforce_sorted=False"
        raise RuntimeError(f"{where}: expected lengths that do not rise; got {counts.tolist()}; {hint}")
    sizes = [int((counts > t).sum()) for t in range(counts.max())]
    data = concatenate([x[t, :size] for t, size in enumerate(sizes)], 0)
    batch_sizes = wrap(np.asarray(sizes))
    if order is None:
        return PackedSequence(data, batch_sizes)
    return PackedSequence(data, batch_sizes, there, wrap(namespace(x._data).asarray(np.argsort(order))))


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L, ...)."""
    lengths = [len(s) for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (the sequences filled up to the longest, or to `total_length`; their lengths): what was packed.

    Raises    ValueError for a total_length below the longest.
    Source    `torch.nn.utils.rnn.pad_packed_sequence`
    """
    sizes = values_of(sequence.batch_sizes).tolist()
    longest = len(sizes) if total_length is None else total_length
    if longest < len(sizes):
        raise value_error("pad_packed_sequence", f"total_length of {len(sizes)} or more", longest)
    starts = np.cumsum([0, *sizes])
    steps = [sequence.data[a:b] for a, b in zip(starts, starts[1:])]
    fill = [0, 0] * (sequence.data.ndim - 1)
    rows = [pad(step, [*fill, 0, sizes[0] - len(step)], value=padding_value) for step in steps]
    x = pad(stack(rows, 0), [*fill, 0, 0, 0, longest - len(sizes)], value=padding_value)
    lengths = np.asarray([sum(size > i for size in sizes) for i in range(sizes[0])])
    x, back = x.swapaxes(0, 1) if batch_first else x, sequence.unsorted_indices
    if back is not None:
        x, lengths = x.index_select(0 if batch_first else 1, back), lengths[to_numpy(back._data)]
    return x, wrap(lengths)
