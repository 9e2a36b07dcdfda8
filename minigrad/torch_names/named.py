"""What gives Tensors the names that only lessons use: each is looked up when it is asked for."""

import importlib
from types import MethodType
from typing import Any


def _lookup() -> Any:
    # It is built on the engine, and this is below the engine.
    return importlib.import_module("minigrad.torch_names.lookup")


def _operator(name: str, reflected: bool = False) -> Any:
    """Return the method of an operator that the engine has no use for."""

    def method(x: Any, other: Any) -> Any:
        function = _lookup().find_function(name)
        return function(other, x) if reflected else function(x, other)

    return method


class Named:
    """Attributes by name, and the operators // and %."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked by libraries, often, to see what they have before them
            raise AttributeError(f"Tensor has no attribute {name!r}", name=name, obj=None)
        if hasattr(type(self), name):  # a property that failed with an error of this kind: it says so itself
            return object.__getattribute__(self, name)
        found = _lookup().find_method(name)
        return found.__get__(self) if isinstance(found, property) else MethodType(found, self)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *_lookup().method_names()})

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _operator("floor_divide", reflected=True)
    __mod__, __rmod__ = _operator("remainder"), _operator("remainder", reflected=True)
    __ifloordiv__, __imod__ = _operator("floor_divide_"), _operator("remainder_")
    __ixor__ = _operator("bitwise_xor_")
