"""Modules in a row, each fed with what the one before returns."""

from collections.abc import Mapping
from typing import Any

from nn.inspection import show_each
from nn.module import Module, ModuleList


class Sequential(ModuleList):
    """Modules that feed one another: y = last(...(second(first(x)))).

    Sequential(a, b), or Sequential(OrderedDict(first=a, second=b)), which are then its attributes.
    """

    __repr__ = show_each
    keeps_names = True

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def forward(self, input: Any) -> Any:
        """Feed x through all modules in order."""
        for module in self:
            input = module(input)
        return input
