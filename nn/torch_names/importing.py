"""Who answers `import torch`: from `as_torch` on, minigrad does, installed PyTorch or not."""

import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from types import ModuleType
from typing import Any

import numpy as np

import minigrad
import nn
from minigrad import functions
from minigrad.errors import InvalidType, InvalidValue
from minigrad.random import Generator
from minigrad.tensor import Tensor
from minigrad.torch_names import grad_fn
from minigrad.torch_names.device import device
from minigrad.torch_names.lacking import missing
from nn.torch_names.faces import CLASSES, OPTIMISERS, SOURCES, Face, face, names
from nn.torch_names.settings import __version__


class _Finder(MetaPathFinder, Loader):
    """Finds torch and what is below it, before anybody else is asked."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """Return where a module of torch is from.

        Raises    ModuleNotFoundError, in the words of `missing`, for one that minigrad has not.
        """
        if name.partition(".")[0] != "torch":
            return None
        if name in SOURCES:
            return ModuleSpec(name, self, origin="minigrad", is_package=True)
        where, _, last = name.rpartition(".")
        # Without its name: with it, `from torch import fft` would go on to an error of Python's own words.
        raise ModuleNotFoundError(missing(where, last, names(where)))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the face of that name."""
        return face(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: it is made."""

    def find_distributions(self, context: Any = None) -> Iterable[Distribution]:
        """Answer importlib.metadata.version("torch"), with which notebooks begin."""
        name = getattr(context or DistributionFinder.Context(), "name", None)
        return [_Distribution()] if name == "torch" else []


class _Distribution(Distribution):
    """What is said of torch as an installed package: its name and version."""

    def read_text(self, filename: str) -> str | None:
        """Return the one file that there is."""
        text = f"Metadata-Version: 2.1\nName: torch\nVersion: {__version__}\n"
        return text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        """Return the path as it is."""
        return path


_finder = _Finder()
_homes: dict[type, tuple[str, str]] = {}  # class -> its own module and name, while it bears PyTorch's


def as_torch(on: bool = True) -> None:
    """From here on, `import torch` and all below it is minigrad, in this process; as_torch(False) ends that.

    For a notebook: one call before the lesson's first cell. A second call does nothing. Classes that
    lessons print bear PyTorch's names meanwhile: <class 'torch.Tensor'>.

    Raises    RuntimeError if PyTorch itself was imported before.
    """
    if not on:
        _undo()
    elif _finder not in sys.meta_path:
        found = sys.modules.get("torch")
        if found is not None and not isinstance(found, Face):
            hint = "call it before, in a fresh process"
            raise RuntimeError(f"as_torch: expected no torch yet; got PyTorch, imported already; {hint}")
        sys.meta_path.insert(0, _finder)
        grad_fn.label(Tensor, functions, minigrad, nn.functional)
        np.seterr(divide="ignore", over="ignore", invalid="ignore")  # PyTorch says nothing of log(0) or 1/0
        for cls, home in _classes():
            _rename(cls, home, cls.__name__)
        _rename(InvalidValue, "builtins", "RuntimeError")  # scripts print type(error).__name__
        _rename(InvalidType, "builtins", "TypeError")


def _rename(cls: type, module: str, name: str) -> None:
    _homes.setdefault(cls, (cls.__module__, cls.__name__))
    cls.__module__, cls.__name__, cls.__qualname__ = module, name, name


def _undo() -> None:
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name in [name for name, module in sys.modules.items() if isinstance(module, Face)]:
        del sys.modules[name]
    for cls, (module, name) in list(_homes.items()):
        _rename(cls, module, name)
    _homes.clear()


def _classes() -> Iterable[tuple[type, str]]:
    """Yield (class of ours, the module where PyTorch has it)."""
    yield from ((Tensor, "torch"), (device, "torch"), (nn.Parameter, "torch.nn.parameter"))
    yield Generator, "torch._C"
    for package, files, home in (
        ("nn", CLASSES, "torch.nn.modules"),
        ("nn.optim", OPTIMISERS, "torch.optim"),
    ):
        for file, classes in files.items():
            for name in classes.split():
                cls = getattr(sys.modules[package], name, None)
                if isinstance(cls, type):
                    yield cls, f"{home}.{file}"
