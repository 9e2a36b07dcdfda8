"""Parameters and modules: plain objects whose attributes are walked in the order they were set."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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

    def __init__(self, hooks: list, hook: Callable) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


class Module:
    """Base of every layer. Set Parameters, Buffers, Modules, or lists of them as attributes; no more to do.

    `training` tells layers such as Dropout how to behave; `train()` and `eval()` switch it.
    """

    training = True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output; every module defines its own."""
        raise NotImplementedError(f"{type(self).__name__}: expected a method forward(self, ...)")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        output = self.forward(*inputs, **options)
        for hook in vars(self).get("_forward_hooks", ()):
            changed = hook(self, inputs, output)
            output = output if changed is None else changed
        return output

    def register_forward_hook(self, hook: Callable[["Module", tuple, Any], Any]) -> Hook:
        """Call hook(module, inputs, output) after every forward; what it returns, if not None, replaces the output."""
        hooks = vars(self).setdefault("_forward_hooks", [])
        hooks.append(hook)
        return Hook(hooks, hook)

    def register_buffer(self, name: str, value: Any) -> None:
        """Set attribute `name` to a Buffer (PyTorch's spelling of `self.name = Buffer(value)`)."""
        setattr(self, name, value if isinstance(value, Buffer) else Buffer(value))

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

    def named_modules(self, prefix: str = "") -> "Iterator[tuple[str, Module]]":
        """Yield ("", this module), then (dotted name, module) for every module below it."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}".lstrip("."))

    def modules(self) -> "Iterator[Module]":
        """Yield this module, then every module below it."""
        return (module for _, module in self.named_modules())

    def apply(self, fn: "Callable[[Module], object]") -> "Module":
        """Call fn(module) on every module, the lowest first; return self."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _named_tensors(self, kind: type) -> Iterator[tuple[str, Any]]:
        seen = set()
        for prefix, module in self.named_modules():
            for name, item in module._items():
                if isinstance(item, kind) and id(item) not in seen:
                    seen.add(id(item))
                    yield f"{prefix}.{name}".lstrip("."), item

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, Parameter); one that is shared appears once, under its first name."""
        return self._named_tensors(Parameter)

    def parameters(self) -> Iterator[Parameter]:
        """Yield every Parameter once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Yield (dotted name, Buffer)."""
        return self._named_tensors(Buffer)

    def zero_grad(self) -> None:
        """Drop every gradient (to None)."""
        for p in self.parameters():
            p.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> "Module":
        """Freeze (False) or thaw every parameter; return self."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    # --- state ---

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return {dotted name: NumPy copy} of every parameter and buffer."""
        return {name: to_numpy(t.data).copy() for name, t in self._named_tensors((Parameter, Buffer))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy every array in, in each parameter's own dtype.

        Raises    ValueError with the whole list of what does not fit; then nothing was changed.
        """
        mine = dict(self._named_tensors((Parameter, Buffer)))
        wrong = [f"missing {name}" for name in mine if name not in state]
        wrong += [f"unexpected {name}" for name in state if name not in mine]
        wrong += [
            f"{name}: expected {t.shape}, got {tuple(state[name].shape)}"
            for name, t in mine.items()
            if name in state and tuple(state[name].shape) != t.shape
        ]
        if wrong:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: nothing was loaded: " + "; ".join(wrong)
            )
        for name, t in mine.items():
            t.data[...] = namespace(t.data).asarray(state[name])
            t.mark_overwritten()

    def _convert(self, change: Callable[[Any], Any]) -> "Module":
        for _, t in self._named_tensors((Parameter, Buffer)):
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
        own = sum(t.numel() for _, t in self._items() if isinstance(t, Parameter))
        total = sum(p.numel() for p in self.parameters())
        head = f"{type(self).__name__}({self.extra_repr()})"
        lines = [head + (f"  # {total:,} parameters" if own or total else "")]
        for name, item in self._items():
            shown = f"{tuple(item.shape)}" if isinstance(item, Tensor) else repr(item).replace("\n", "\n  ")
            lines.append(f"  ({name}): {shown}")
        return "\n".join(lines)


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
        return type(self)(*picked) if isinstance(self, Sequential) and isinstance(index, slice) else picked


class Sequential(ModuleList):
    """Modules that feed one another: y = last(...(second(first(x))))."""

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        """Feed x through all modules in order."""
        for module in self._modules:
            x = module(x)
        return x
