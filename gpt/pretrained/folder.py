"""Files of weights as Hugging Face writes them, with the package safetensors."""

from pathlib import Path

import numpy as np

from minigrad.errors import value_error


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Return {name: array} of a .safetensors file.

    Raises    ValueError for a foreign or damaged file, or a dtype that NumPy lacks;
              ModuleNotFoundError, with what to install, without the package safetensors.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ModuleNotFoundError:
        message = "read_safetensors: expected the package safetensors; got none; pip install safetensors"
        raise ModuleNotFoundError(message) from None
    try:
        return load_file(path)
    except (SafetensorError, TypeError, AttributeError, LookupError) as error:
        expected = "a whole .safetensors file, of dtypes that NumPy has"
        raise value_error("read_safetensors", expected, f"{path} ({error})") from None
