"""Parameters and modules: plain objects whose attributes are walked in the order they were set."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numpy as np

from minigrad.backend import move, namespace, to_numpy
from minigrad.tensor import Tensor


class Parameter(Tensor):
    """A Tensor that wants a gradient and belongs to a module."""

    __slots__ = ()

    def __init__(self, data: Any) -> None:
        super().__init__(data, requires_grad=True)


class Buffer(Tensor):
    """State of a module that is saved like a parameter but has no gradient (a running mean, a mask)."""

    __slots__ = ()


class Hook:
    """What `register_forward_hook` returns; `remove()` takes the hook away."""

    def __init__(self, hooks: "list[Hook]", call: Callable) -> None:
        self._hooks, self.call = hooks, call
        hooks.append(self)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        if self in self._hooks:
            self._hooks.remove(self)


class Module:
    """Base of every layer. Set Parameters, Buffers, Modules, or lists of them as attributes; no more to do.

    `training` tells layers such as Dropout how to behave; `train()` and `eval()` switch it.
    """

    training = True
    _forward_hooks: "list[Hook] | tuple[()]" = ()

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

    def register_forward_hook(self, hook: Callable[["Module", tuple, Any], Any]) -> Hook:
        """Call hook(module, inputs, output) after every forward; what it returns, if not None, replaces the output."""
        return Hook(vars(self).setdefault("_forward_hooks", []), hook)

    def register_buffer(self, name: str, value: Any) -> None:
        """Set attribute `name` to a Buffer (PyTorch's spelling of `self.name = Buffer(value)`), or to None."""
        setattr(self, name, value if value is None or isinstance(value, Buffer) else Buffer(value))

    # --- the tree ---

    def _items(self) -> "Iterator[tuple[str, Tensor | Module]]":
        """Yield (name, Parameter, Buffer or Module) of this module; an item of a list is "list.index"."""
        for name, value in vars(self).items():
            items = enumerate(value) if isinstance(value, (list, tuple)) else [("", value)]
            for i, item in items:
                if isinstance(item, (Parameter, Buffer, Module)):
                    yield f"{name}.{i}".rstrip("."), item

    def named_children(self) -> "Iterator[tuple[str, Module]]":
        """Yield (name, module) of the modules directly below."""
        return ((name, item) for name, item in self._items() if isinstance(item, Module))

    def children(self) -> "Iterator[Module]":
        """Yield the modules directly below."""
        return (module for _, module in self.named_children())

    def _walk(self, prefix: str = "") -> "Iterator[tuple[str, Module]]":
        """Yield (dotted name, module) for this module and all below; a shared one under each of its names."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(f"{prefix}.{name}".lstrip("."))

    def named_modules(self) -> "Iterator[tuple[str, Module]]":
        """Yield ("", this module), then (dotted name, module) for every module below it, each once."""
        return _once(self._walk())

    def modules(self) -> "Iterator[Module]":
        """Yield this module, then every module below it."""
        return (module for _, module in self.named_modules())

    def apply(self, fn: "Callable[[Module], object]") -> "Module":
        """Call fn(module) on every module, the lowest first; return self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _named_tensors(self, *kinds: type) -> Iterator[tuple[str, Any]]:
        """Yield (dotted name, Parameter or Buffer); a shared one under each of its names."""
        for prefix, module in self._walk():
            for name, item in module._items():
                if isinstance(item, kinds):
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

    def zero_grad(self) -> None:
        """Drop every gradient (to None)."""
        for p in self.parameters():
            if p.requires_grad:
                p.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Freeze (False) or thaw every parameter; return self."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    # --- state ---

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return {dotted name: NumPy copy} of every parameter and buffer; a shared one under each name."""
        return {name: to_numpy(t.data).copy() for name, t in self._named_tensors(Parameter, Buffer)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy every array in (NumPy's, PyTorch's or Tensors), in each parameter's own dtype.

        Raises    ValueError with the whole list of what does not fit; then nothing was changed.
        """
        mine = dict(self._named_tensors(Parameter, Buffer))
        wrong = [f"missing {name}" for name in mine if name not in state]
        wrong += [f"unexpected {name}" for name in state if name not in mine]
        arrays = {name: _as_array(state[name], t) for name, t in mine.items() if name in state}
        wrong += [
            f"{name}: expected {mine[name].shape}, got {array.shape}"
            for name, array in arrays.items()
            if array.shape != mine[name].shape
        ]
        if wrong:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: nothing was loaded: " + "; ".join(wrong)
            )
        for name, t in mine.items():
            t.data[...] = arrays[name]
            t.mark_overwritten()

    def _convert(self, change: Callable[[Any], Any]) -> "Module":
        for _, t in _once(self._named_tensors(Parameter, Buffer)):
            t._data = change(t._data)
            t.mark_overwritten()
            if t.grad is not None:
                t.grad = change(t.grad)
        return self

    def to(self, where: Any) -> "Module":
        """Move all state to a device ("cpu", "cuda") or cast it to a float dtype, in place; return self.

        Optimisers keep state of their own: make them afterwards.
        """
        if isinstance(where, str):
            return self._convert(lambda a: move(a, where))
        return self._convert(lambda a: a.astype(np.dtype(where)))

    def float(self) -> "Module":
        """Cast to float32 in place; return self."""
        return self.to(np.float32)

    def double(self) -> "Module":
        """Cast to float64 in place; return self."""
        return self.to(np.float64)

    # --- modes ---

    def train(self, mode: bool = True) -> "Module":
        """Put this module and all below it in training (or evaluation) mode; return self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Put this module and all below it in evaluation mode; return self."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> "Iterator[Module]":
        """Inside, evaluation mode; afterwards each module is as it was."""
        before = [(m, m.training) for m in self.modules()]
        self.train(False)
        try:
            yield self
        finally:
            for module, mode in before:
                module.training = mode

    # --- how it prints ---

    def extra_repr(self) -> str:
        """Return what `repr` shows in brackets; layers show their sizes."""
        return ""

    def __repr__(self) -> str:
        shapes = [f"{name} {t.shape}" for name, t in self._items() if isinstance(t, Tensor)]
        total = sum(p.numel() for p in self.parameters())
        notes = [", ".join(shapes)] * bool(shapes) + [f"{total:,} parameters"] * bool(total)
        head = f"{type(self).__name__}({self.extra_repr()})" + ("  # " + "; ".join(notes) if notes else "")
        return "\n".join([head, *self._lines()])

    def _lines(self) -> Iterator[str]:
        """Yield a line for each child, indented, with those below it."""
        for name, child in self.named_children():
            yield f"  ({name}): " + repr(child).replace("\n", "\n  ")


def _once(named: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield (name, item) of each item the first time it appears."""
    seen: set[int] = set()
    for name, item in named:
        if id(item) not in seen:
            seen.add(id(item))
            yield name, item


def _as_array(value: Any, like: Tensor) -> Any:
    """Return a saved value as an array in the library of `like`."""
    return namespace(like.data).asarray(value.data if isinstance(value, Tensor) else value)


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

    def _lines(self) -> Iterator[str]:
        """Yield a line for each run of modules that look the same, say 12 blocks, and what one holds."""
        for shown, places in groupby(enumerate(map(repr, self._modules)), key=lambda item: item[1]):
            first, *rest = [i for i, _ in places]
            name = f"({first}-{rest[-1]}): {len(rest) + 1} x " if rest else f"({first}): "
            yield f"  {name}" + shown.replace("\n", "\n  ")


class Sequential(ModuleList):
    """Modules that feed one another: y = last(...(second(first(x))))."""

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
