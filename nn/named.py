"""Modules and parameters by name, and parameters in a row: attributes of a module under names of one's choice."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from minigrad.tensor import Tensor
from nn.contents import unless_refused
from nn.module import Module, Parameter


class ModuleDict(Module):
    """Modules by name, which are its attributes too; a dict, iterated by name. No forward of its own."""

    def __init__(self, modules: "Mapping[str, Module] | Iterable[tuple[str, Module]] | None" = None) -> None:
        self.update(modules or {})

    def update(self, modules: "Mapping[str, Any] | Iterable[tuple[str, Any]]") -> None:
        """Add modules, or put them in the place of those of the same names."""
        with unless_refused(self):
            for name, module in dict(modules).items():
                self[name] = module

    def __setitem__(self, name: str, module: Any) -> None:
        self.add_module(name, module)

    def __getitem__(self, name: str) -> Any:
        return dict(self._items())[name]

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def __len__(self) -> int:
        return len(list(self._items()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def pop(self, name: str) -> Any:
        """Take one out and return it."""
        item = self[name]
        delattr(self, name)
        return item

    def clear(self) -> None:
        """Take all out."""
        for name in self.keys():
            delattr(self, name)

    def keys(self) -> list[str]:
        """Return the names."""
        return [name for name, _ in self._items()]

    def values(self) -> list[Any]:
        """Return what is held."""
        return [item for _, item in self._items()]

    def items(self) -> list[tuple[str, Any]]:
        """Return pairs of both."""
        return list(self._items())


class ParameterDict(ModuleDict):
    """Parameters by name; a plain Tensor becomes one."""

    def __init__(self, parameters: "Mapping[str, Any] | Iterable[tuple[str, Any]] | None" = None) -> None:
        self.update(parameters or {})

    def __setitem__(self, name: str, value: Any) -> None:
        self.register_parameter(name, _parameter(value))

    def extra_repr(self) -> str:
        """Show the dtype, in PyTorch's older words, and the shape of each."""
        kinds = {"float32": "torch.FloatTensor", "float64": "torch.DoubleTensor"}
        return "\n".join(_shown(name, p, kinds[p.array.dtype.name]) for name, p in self.items())


class ParameterList(Module):
    """Parameters in a row, by index; a plain Tensor becomes one."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self.extend(values or ())

    def append(self, value: Any) -> "ParameterList":
        """Add one at the end; return the row."""
        self.register_parameter(str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> "ParameterList":
        """Add some at the end; return the row."""
        with unless_refused(self):
            for value in list(values):
                self.append(value)
        return self

    __iadd__ = extend

    def __getitem__(self, index: Any) -> Any:
        picked = list(self)[index]
        return ParameterList(picked) if isinstance(index, slice) else picked

    def __setitem__(self, index: int, value: Any) -> None:
        self.register_parameter(str(range(len(self))[index]), _parameter(value))

    def __len__(self) -> int:
        return len(list(self._items()))

    def __iter__(self) -> Iterator[Any]:
        return (p for _, p in self._items())

    def extra_repr(self) -> str:
        """Show the dtype and the shape of each."""
        items: Any = self._items()
        return "\n".join(_shown(name, p, str(p.dtype)) for name, p in items)


def _parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _shown(name: str, p: Any, kind: str) -> str:
    """Return one line as PyTorch prints it, further in than those of modules."""
    return f"  ({name}): Parameter containing: [{kind} of size {'x'.join(map(str, p.array.shape))}]"
