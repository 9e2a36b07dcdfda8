"""Modules in a row, each fed with what the one before returns."""

from typing import Any

from nn.inspection import show_each
from nn.module import Module, ModuleList


class Sequential(ModuleList):
    """Modules that feed one another: y = last(...(second(first(x))))."""

    __repr__ = show_each

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def __getitem__(self, index: int | slice) -> Any:
        picked = self._modules[index]
        return Sequential(*picked) if isinstance(index, slice) else picked

    def forward(self, x: Any) -> Any:
        """Feed x through all modules in order."""
        for module in self._modules:
            x = module(x)
        return x
