"""What only PyTorch's lessons need of the engine: names, how Tensors print, and the names of what made them."""

import importlib


def __getattr__(name: str) -> object:
    """Return what lookup.py finds: these modules stand above the engine, and this file below it."""
    return importlib.import_module("minigrad.torch_names.lookup").find_function(name)


def __dir__() -> list[str]:
    return sorted(importlib.import_module("minigrad.torch_names.lookup").function_names())
