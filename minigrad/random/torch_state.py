"""The state of a stream as PyTorch stores it: the 5056 bytes of `torch.get_rng_state()`.

    bytes       what
    0-7         the seed
    8-11        words of this block that are left, and one
    12-15       1: seeded
    16-23       words of this block that are taken
    24-5015     the block, 624 words of 32 bits in 64 each
    5016-5039   three float64, of which the second is the spare normal
    5040-5055   1 if there is one; the rest is 0

MT19937 makes its words in blocks of 624. Just seeded, it has none left and, only then, none taken.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.errors import value_error

LAYOUT = np.dtype(
    [("seed", "<u8"), ("left", "<i4"), ("seeded", "<i4"), ("taken", "<u8"), ("block", "<u8", 624)]
    + [("floats", "<f8", 3), ("has_spare", "<i4"), ("unused", "u1", 12)]
)


def to_bytes(state: Mapping[str, Any]) -> np.ndarray:
    """Return PyTorch's bytes of a `Generator.state()` of stream "torch".

    Shapes    (5056,), uint8
    """
    record = np.zeros((), LAYOUT)
    taken, key = int(state["pos"]), state["key"]
    fresh = taken == 624 and int(key[0]) == state["seed"] % 2**32
    record["seed"], record["seeded"], record["block"] = state["seed"], 1, key
    record["left"], record["taken"] = 625 - taken, 0 if fresh else taken
    if not np.isnan(state["spare"]):
        record["floats"][1], record["has_spare"] = state["spare"], 1
    return np.frombuffer(record.tobytes(), np.uint8).copy()


def from_bytes(stored: np.ndarray) -> dict[str, Any]:
    """Return the `Generator.state()` of PyTorch's bytes.

    Raises    ValueError for anything else
    """
    if stored.dtype != np.uint8 or stored.shape != (LAYOUT.itemsize,):
        got = f"{stored.dtype} of shape {stored.shape}"
        raise value_error("set_state", f"{LAYOUT.itemsize} bytes, uint8, as get_state() returns", got)
    record = np.frombuffer(stored.tobytes(), LAYOUT)[0]
    if record["seeded"] != 1 or not 1 <= record["left"] <= 624 or (record["block"] >= 2**32).any():
        raise value_error("set_state", "the state of a seeded CPU generator", "other bytes")
    return {
        "key": record["block"].astype(np.uint32),
        "pos": 625 - int(record["left"]),
        "spare": float(record["floats"][1]) if record["has_spare"] else float("nan"),
        "seed": int(record["seed"]),
    }
