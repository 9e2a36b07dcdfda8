"""Results of two parts under PyTorch's names: `x.max(dim)` is (values, indices)."""

from collections import namedtuple
from typing import Any


def returned(name: str, *fields: str) -> Any:
    """Return a named tuple that prints as torch.return_types does."""

    def show(self: Any) -> str:
        parts = ",\n".join(f"{field}={value!r}" for field, value in zip(fields, self))
        return f"torch.return_types.{name}(\n{parts})"

    base = namedtuple(name, fields)  # type: ignore[misc]
    return type(name, (base,), {"__slots__": (), "__repr__": show, "__module__": __name__})


Max, Min = returned("max", "values", "indices"), returned("min", "values", "indices")
