"""The two floats of 16 bits: names that a script may write down, not types to compute in."""

from typing import Any, NoReturn

from minigrad.errors import type_error


class Half:
    """torch.float16 or torch.bfloat16 as a name: it can be compared, printed, put into a dict.

    Raises    TypeError where an array of it is asked for: NumPy looks for `dtype`, and so does `np.dtype`.
    """

    is_floating_point, is_complex, itemsize = True, False, 2

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    def refuse(self) -> NoReturn:
        """Raise the TypeError."""
        raise type_error("dtype", "float32 or float64", f"{self}", "minigrad computes in no float of 16 bits")

    @property
    def dtype(self) -> Any:
        """What NumPy asks for: refused."""
        self.refuse()


float16 = half = Half("float16")
bfloat16 = Half("bfloat16")
