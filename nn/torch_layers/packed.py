"""Recurrent layers on sequences of several lengths, packed: a step is computed for those that have it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.functions import concatenate
from minigrad.methods import values_of
from minigrad.tensor import Tensor
from nn.utils.rnn import PackedSequence

States = tuple[Tensor, ...]  # of one layer in one direction, each (B, H)


def run_packed(
    x: Tensor, sizes: list[int], state: States, step: Callable[[Tensor, States], States], backwards: bool
) -> tuple[Tensor, States]:
    """Return (the states at every step, packed as x is; the last state of each sequence).

    Forwards, the shorter sequences drop out one after another and leave their last state; backwards, they join in,
    at their own last step, with their first state.

    Shapes    x (sum of sizes, G), state (B, H) -> (sum of sizes, H), (B, H)
    """
    starts, found, ended = np.cumsum([0, *sizes]).tolist(), [], []
    now = tuple(s[: sizes[-1]] for s in state) if backwards else state
    steps = list(enumerate(sizes))
    for t, size in reversed(steps) if backwards else steps:
        running = len(now[0])
        if size < running:
            ended.append(tuple(s[size:] for s in now))
            now = tuple(s[:size] for s in now)
        elif size > running:
            now = tuple(concatenate([s, first[running:size]], 0) for s, first in zip(now, state))
        now = step(x[starts[t] : starts[t + 1]], now)
        found.append(now[0])
    last = tuple(concatenate([s[k] for s in (now, *reversed(ended))], 0) for k in range(len(now)))
    return concatenate(found[::-1] if backwards else found, 0), last


def in_order(states: Any, indices: Any) -> Any:
    """Return states (layers, B, H), a Tensor or a tuple of them, in another order of sequences."""
    if indices is None or states is None:
        return states
    if isinstance(states, (tuple, list)):
        return tuple(in_order(s, indices) for s in states)
    return states.index_select(1, indices)


def forward_packed(network: Any, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
    """Run every layer of a recurrent network: what its `forward` does with a PackedSequence."""
    sizes = values_of(packed.batch_sizes).tolist()
    y, states = network._layers(packed.data, in_order(hx, packed.sorted_indices), sizes)
    return packed._replace(data=y), in_order(states, packed.unsorted_indices)
