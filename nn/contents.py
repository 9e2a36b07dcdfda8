"""What a module holds: to look through it, add to it, and change all of it. Each function is a method of `Module`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from minigrad.errors import type_error, value_error
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from nn.module import Buffer, Module, Parameter

Named = Iterator[tuple[str, Any]]


# --- to look through it ---


def named_buffers(
    module: "Module", prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
) -> "Iterator[tuple[str, Buffer]]":
    """Yield (dotted name, Buffer)."""
    named = module._named_tensors(module._buffer_kind, prefix=prefix, recurse=recurse)
    return module._once(named) if remove_duplicate else named


def buffers(module: "Module", recurse: bool = True) -> "Iterator[Buffer]":
    """Yield every Buffer once."""
    return (b for _, b in module.named_buffers(recurse=recurse))


def named_modules(
    module: "Module", memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
) -> "Iterator[tuple[str, Module]]":
    """Yield ("", this module), then (dotted name, module) for every module below it, each once.

    PyTorch's `memo` is a set of modules to leave out, with all below them.
    """
    named = module._walk(prefix, memo or ())
    return module._once(named) if remove_duplicate else named


def modules(module: "Module", remove_duplicate: bool = True) -> "Iterator[Module]":
    """Yield this module, then every module below it."""
    return (m for _, m in module.named_modules(remove_duplicate=remove_duplicate))


def named_children(module: "Module") -> "Iterator[tuple[str, Module]]":
    """Yield (name, module) of the modules directly below, each once."""
    return module._once(item for item in module._items() if not isinstance(item[1], Tensor))


def children(module: "Module") -> "Iterator[Module]":
    """Yield the modules directly below."""
    return (m for _, m in module.named_children())


def get_submodule(module: "Module", target: str) -> "Module":
    """Return the module of that dotted name; "" is this one."""
    found = dict(module._walk())
    if target not in found:
        raise AttributeError(f"{type(module).__name__}: expected a module of that name; got {target!r}")
    return found[target]


def get_parameter(module: "Module", target: str) -> "Parameter":
    """Return the Parameter of that dotted name."""
    return _named(module, "parameter", target, module.named_parameters(remove_duplicate=False))


def get_buffer(module: "Module", target: str) -> "Buffer":
    """Return the Buffer of that dotted name."""
    return _named(module, "buffer", target, module.named_buffers(remove_duplicate=False))


def _named(module: "Module", kind: str, target: str, named: Named) -> Any:
    found = dict(named)
    if target not in found:
        raise AttributeError(f"{type(module).__name__}: expected a {kind} of that name; got {target!r}")
    return found[target]


# --- to add to it ---


def register_buffer(module: "Module", name: str, tensor: Any, persistent: bool = True) -> None:
    """Set attribute `name` to a Buffer of the tensor, whose memory it shares, or to None.

    With persistent=False it is not part of `state_dict`.
    """
    _check_name(module, name)
    kind = module._buffer_kind
    setattr(module, name, tensor if tensor is None or isinstance(tensor, kind) else kind(tensor))
    hidden = vars(module).setdefault("_non_persistent_buffers_set", set())
    (hidden.discard if persistent else hidden.add)(name)


def register_parameter(module: "Module", name: str, param: Any) -> None:
    """Set attribute `name` to a Parameter, or to None.

    Raises    TypeError for anything else.
    """
    _check_name(module, name)
    if param is not None and not isinstance(param, module._parameter_kind):
        raise type_error("register_parameter", "a Parameter or None", type(param).__name__)
    setattr(module, name, param)


def add_module(self: "Module", name: str, module: Any) -> None:
    """Set attribute `name` to a module, or to None.

    Raises    TypeError for anything else.
    """
    _check_name(self, name)
    if module is not None and not hasattr(module, "_walk"):
        raise type_error("add_module", "a Module or None", type(module).__name__)
    setattr(self, name, module)


def _check_name(module: "Module", name: Any) -> None:
    """Raise unless this is a name for something new in the module."""
    where = type(module).__name__
    if not isinstance(name, str):
        raise type_error(where, "a string for the name", type(name).__name__)
    if not name or "." in name:
        raise KeyError(f"{where}: expected a name that is not empty and has no dot; got {name!r}")
    if hasattr(module, name) and not hasattr(getattr(module, name), "_walk") and name not in vars(module):
        got = f"{name!r}, which is {getattr(module, name)}"
        raise KeyError(f"{where}: expected a name that is free; got {got}")


@contextmanager
def unless_refused(module: "Module") -> Iterator[None]:
    """Inside, add, replace and take out; if any of it is refused, the module holds what it held before."""
    before = dict(vars(module))
    try:
        yield
    except BaseException:
        vars(module).clear()
        vars(module).update(before)
        raise


def replacement(module: "Module", name: str, value: Any) -> Any:
    """Return what takes the place of a Parameter or Buffer for which something else was assigned.

    A Buffer goes on as one, with the value and its history.

    Raises    TypeError for a Parameter, which would silently stop to learn.
    """
    where = f"{type(module).__name__}.{name}"
    if isinstance(vars(module)[name], module._parameter_kind):
        hint = "write Parameter(value); to write into it: with no_grad(): p[...] = value"
        raise type_error(where, "a Parameter or None", type(value).__name__, hint)
    if not isinstance(value, Tensor):
        return value if not hasattr(value, "dtype") else module._buffer_kind(value)
    buffer = module._buffer_kind.__new__(module._buffer_kind)
    buffer._data, buffer._node = value._data, value._node
    return buffer


# --- to change all of it ---


def zero_grad(module: "Module", set_to_none: bool = True) -> None:
    """Drop every gradient (to None), or, with set_to_none=False, fill it with zeros."""
    for p in module.parameters():
        if p._node is not None and p._node.grad is not None:
            p._node.grad = None if set_to_none else p._node.grad * 0.0


def apply(module: "Module", fn: "Callable[[Module], object]") -> "Module":
    """Call fn(module) on every module, the lowest first; return the module."""
    for child in module.children():
        child.apply(fn)
    fn(module)
    return module


def train(module: "Module", mode: bool = True) -> "Module":
    """Put the module and all below it in training (or evaluation) mode; return it."""
    if not isinstance(mode, bool):
        raise value_error("train", "True or False", repr(mode))
    for m in module.modules():
        m.training = mode
    return module


def eval(module: "Module") -> "Module":
    """Put the module and all below it in evaluation mode; return it."""
    return module.train(False)
