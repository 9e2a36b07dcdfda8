"""Parameters and modules: plain objects whose attributes are walked in the order they were set."""

from collections.abc import Iterable, Iterator
from typing import Any

from minigrad.operands import to_array
from minigrad.tensor import Tensor
from nn import containers, contents, inspection, state


class Parameter(Tensor):
    """A Tensor that wants a gradient and belongs to a module; it shares the memory of `data`."""

    __slots__ = ()

    def __init__(self, data: Any = (), requires_grad: bool = True) -> None:
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
    _parameter_kind, _buffer_kind = Parameter, Buffer
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

    def __setattr__(self, name: str, value: Any) -> None:
        held = vars(self).get(name)
        if isinstance(held, (Parameter, Buffer)) and not isinstance(value, (Parameter, Buffer, type(None))):
            value = contents.replacement(self, name, value)
        object.__setattr__(self, name, value)

    def _items(self) -> "Iterator[tuple[str, Tensor | Module]]":
        """Yield (name, Parameter, Buffer or Module) of this module; an item of a list is "list.index"."""
        for name, value in vars(self).items():
            items = enumerate(value) if isinstance(value, (list, tuple)) else [("", value)]
            for i, item in items:
                if isinstance(item, (Parameter, Buffer, Module)):
                    yield f"{name}.{i}".rstrip("."), item

    def _walk(self, prefix: str = "", without: Any = ()) -> "Iterator[tuple[str, Module]]":
        """Yield (dotted name, module) for this module and all below; a shared one under each of its names."""
        if self in without:
            return
        yield prefix, self
        for name, child in self._items():
            if isinstance(child, Module):
                yield from child._walk(f"{prefix}.{name}".lstrip("."), without)

    def _named_tensors(
        self, *kinds: type, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Yield (dotted name, Parameter or Buffer); a shared one under each of its names."""
        for place, module in self._walk(prefix) if recurse else [(prefix, self)]:
            for name, item in module._items():
                if isinstance(item, kinds or (Parameter, Buffer)):
                    yield f"{place}.{name}".lstrip("."), item

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, Parameter); one that is shared appears once, under its first name."""
        named = self._named_tensors(Parameter, prefix=prefix, recurse=recurse)
        return self._once(named) if remove_duplicate else named

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield every Parameter once; recurse=False: those of this module itself."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    @staticmethod
    def _once(named: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """Yield (name, item) of each item the first time it appears."""
        seen: set[int] = set()
        for name, item in named:
            if id(item) not in seen:
                seen.add(id(item))
                yield name, item

    # methods that are written elsewhere
    modules, named_modules = contents.modules, contents.named_modules
    children, named_children = contents.children, contents.named_children
    buffers, named_buffers = contents.buffers, contents.named_buffers
    get_parameter, get_buffer = contents.get_parameter, contents.get_buffer
    get_submodule, register_parameter = contents.get_submodule, contents.register_parameter
    register_module = add_module = contents.add_module
    register_buffer, apply, zero_grad = contents.register_buffer, contents.apply, contents.zero_grad
    train, eval, evaluating = contents.train, contents.eval, state.evaluating
    state_dict, load_state_dict, compile = state.state_dict, state.load_state_dict, state.compile
    to, type, float, double = state.to, state.cast, state.float, state.double
    cpu, cuda, half, bfloat16 = state.cpu, state.cuda, state.half, state.bfloat16
    register_forward_hook, requires_grad_ = inspection.register_forward_hook, state.requires_grad_
    __repr__ = inspection.show

    def extra_repr(self) -> str:
        """Return what `repr` shows in brackets; layers show their sizes."""
        return ""


class ModuleList(Module):
    """Modules in a row, by index: `len`, iteration, `append`. It has no forward of its own."""

    keeps_names = False  # of the modules in a slice

    def __init__(self, modules: "Iterable[Module] | None" = None) -> None:
        self.extend(modules or ())

    def __len__(self) -> int:
        return len(list(self._items()))

    def __iter__(self) -> "Iterator[Any]":
        return (module for _, module in self._items())

    __getitem__, __setitem__, __delitem__ = containers.get, containers.put, containers.remove
    append, extend, insert, pop = containers.append, containers.extend, containers.insert, containers.pop
    __add__, __iadd__ = containers.joined, containers.extend
