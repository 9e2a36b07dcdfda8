"""torch.finfo and torch.iinfo: the limits of a dtype."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from minigrad import dtypes
from minigrad.errors import type_error

BFLOAT16 = {
    "bits": 16,
    "eps": 2.0**-7,
    "max": (2 - 2.0**-7) * 2.0**127,
    "tiny": 2.0**-126,
    "resolution": 0.01,
}


class finfo(SimpleNamespace):
    """Of a float dtype (float32 unless given): bits, eps, min, max, tiny, smallest_normal, resolution, as numbers."""

    def __init__(self, type: Any = None) -> None:
        name = "float32" if type is None else _name(type)
        if name == "bfloat16":
            found: dict[str, Any] = BFLOAT16
        elif name.startswith("float"):
            limits = np.finfo(name)
            found = {key: float(getattr(limits, key)) for key in ("eps", "max", "tiny")}
            found |= {"bits": limits.bits, "resolution": float(f"1e-{limits.precision}")}
        else:
            raise type_error("finfo", "a float dtype", name, "iinfo is for integers")
        super().__init__(**found, min=-found["max"], smallest_normal=found["tiny"], dtype=name)

    def __repr__(self) -> str:
        keys = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{key}={getattr(self, key):g}' for key in keys)}, dtype={self.dtype})"


class iinfo(SimpleNamespace):
    """Of an integer dtype: bits, min, max."""

    def __init__(self, type: Any) -> None:
        name = _name(type)
        if not name.startswith(("int", "uint")):
            raise type_error("iinfo", "an integer dtype", name, "finfo is for floats")
        limits = np.iinfo(name)
        super().__init__(bits=limits.bits, min=int(limits.min), max=int(limits.max), dtype=name)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


def _name(given: Any) -> str:
    """Return the name of a dtype in any spelling."""
    name = str(given).removeprefix("torch.")
    return name if hasattr(dtypes, name) else np.dtype(given).name
