"""Parameters and modules: plain objects whose attributes are walked in the order they were set."""

from collections.abc import Callable, Iterator
from typing import Any

from minigrad.operands import to_array
from minigrad.tensor import Tensor
from nn import inspection, state


class Parameter(Tensor):
    """A Tensor that wants a gradient and belongs to a module; it shares the memory of `data`."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        self._data, self._node = to_array("Parameter", data), None
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """State of a module that is saved like a parameter but has no gradient (a running mean, a mask)."""

    __slots__ = ()

    def __init__(self, data: Any) -> None:
        self._data, self._node = to_array("Buffer", data), None


class Module:
    """Base of every layer. Set Parameters, Buffers, Modules, or lists of them as attributes; no more to do,
    no super().__init__() either. Dicts and lists of lists are not walked.

    `training` tells layers such as Dropout how to behave; `train()` and `eval()` switch it.
    """

    training = True
    _forward_hooks: "list[inspection.Hook] | tuple[()]" = ()

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output; every module defines its own."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method forward(self, ...)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output, then call the hooks."""
        output = self.forward(*inputs, **options)
        for hook in tuple(self._forward_hooks):  # a hook may remove itself
            changed = hook.call(self, inputs, output)
            output = output if changed is None else changed
        return output

    def register_buffer(self, name: str, value: Any) -> None:
        """Set attribute `name` to a Buffer (PyTorch's spelling of `self.name = Buffer(value)`) or None."""
        setattr(self, name, value if value is None or isinstance(value, Buffer) else Buffer(value))

    def _items(self) -> "Iterator[tuple[str, Tensor | Module]]":
        """Yield (name, Parameter, Buffer or Module) of this module; an item of a list is "list.index"."""
        for name, value in vars(self).items():
            items = enumerate(value) if isinstance(value, (list, tuple)) else [("", value)]
            for i, item in items:
                if isinstance(item, (Parameter, Buffer, Module)):
                    yield f"{name}.{i}".rstrip("."), item

    def _walk(self, prefix: str = "") -> "Iterator[tuple[str, Module]]":
        """Yield (dotted name, module) for this module and all below; a shared one under each of its names."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(f"{prefix}.{name}".lstrip("."))

    def _named_tensors(self, *kinds: type) -> Iterator[tuple[str, Any]]:
        """Yield (dotted name, Parameter or Buffer); a shared one under each of its names."""
        for prefix, module in self._walk():
            for name, item in module._items():
                if isinstance(item, kinds or (Parameter, Buffer)):
                    yield f"{prefix}.{name}".lstrip("."), item

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, Parameter); one that is shared appears once, under its first name."""
        return _once(self._named_tensors(Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """Yield every Parameter once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Yield (dotted name, Buffer)."""
        return _once(self._named_tensors(Buffer))

    def buffers(self) -> Iterator[Buffer]:
        """Yield every Buffer once."""
        return (b for _, b in self.named_buffers())

    def named_modules(self) -> "Iterator[tuple[str, Module]]":
        """Yield ("", this module), then (dotted name, module) for every module below it, each once."""
        return _once(self._walk())

    def modules(self) -> "Iterator[Module]":
        """Yield this module, then every module below it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> "Iterator[tuple[str, Module]]":
        """Yield (name, module) of the modules directly below."""
        return ((name, item) for name, item in self._items() if isinstance(item, Module))

    def children(self) -> "Iterator[Module]":
        """Yield the modules directly below."""
        return (module for _, module in self.named_children())

    def zero_grad(self) -> None:
        """Drop every gradient (to None)."""
        for p in self.parameters():
            if p.requires_grad:
                p.grad = None

    def apply(self, fn: "Callable[[Module], object]") -> "Module":
        """Call fn(module) on every module, the lowest first; return self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> "Module":
        """Put this module and all below it in training (or evaluation) mode; return self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Put this module and all below it in evaluation mode; return self."""
        return self.train(False)

    # methods that are written elsewhere
    state_dict, load_state_dict = state.state_dict, state.load_state_dict
    to, float, double, requires_grad_ = state.to, state.to_float, state.to_double, state.requires_grad_
    evaluating = state.evaluating
    register_forward_hook, __repr__ = inspection.register_forward_hook, inspection.show

    def extra_repr(self) -> str:
        """Return what `repr` shows in brackets; layers show their sizes."""
        return ""


def _once(named: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield (name, item) of each item the first time it appears."""
    seen: set[int] = set()
    for name, item in named:
        if id(item) not in seen:
            seen.add(id(item))
            yield name, item


class ModuleList(Module):
    """Modules in a row, by index: `len`, iteration, `append`. It has no forward of its own."""

    def __init__(self, modules: "list[Module] | tuple[Module, ...] | Any" = ()) -> None:
        self._modules = list(modules)

    def _items(self) -> "Iterator[tuple[str, Tensor | Module]]":
        return ((str(i), module) for i, module in enumerate(self._modules))

    def append(self, module: Module) -> "ModuleList":
        """Add a module at the end; return self."""
        self._modules.append(module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> "Iterator[Any]":
        return iter(self._modules)

    def __getitem__(self, index: int | slice) -> Any:
        picked = self._modules[index]
        return ModuleList(picked) if isinstance(index, slice) else picked
