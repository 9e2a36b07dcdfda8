"""A module's state as a whole: saved, loaded, converted, frozen. Each function is a method of `Module`."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad.errors import InvalidValue, type_error, value_error
from minigrad.gpu.device import move
from minigrad.tensor import Tensor
from nn.foreign import array_beside

if TYPE_CHECKING:
    from nn.module import Module

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def state_dict(
    module: "Module", *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
) -> "OrderedDict[str, Tensor]":
    """Return {dotted name: Tensor} of every parameter and persistent buffer; a shared one under each name.

    The Tensors have no history and share the memory of the module, as in PyTorch: copy.deepcopy keeps a
    state for later. keep_vars=True returns the parameters themselves.
    """
    if args:
        raise type_error("state_dict", "destination=, prefix=, keep_vars= by name", args)
    state = OrderedDict() if destination is None else destination
    for place, part in module._walk():
        hidden = vars(part).get("_non_persistent_buffers_set", ())
        held = [(name, item) for name, item in part._items() if isinstance(item, Tensor)]
        for name, item in sorted(held, key=lambda each: isinstance(each[1], module._buffer_kind)):
            if name not in hidden:  # parameters first, as in PyTorch
                state[prefix + f"{place}.{name}".lstrip(".")] = item if keep_vars else item.detach()
    return state


class Keys(NamedTuple):
    """What `load_state_dict` found: the names that the state lacks, and those that the module lacks."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def load_state_dict(
    module: "Module", state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
) -> Keys:
    """Copy every value in (Tensors, arrays, PyTorch's tensors), in each parameter's own dtype.

    With strict=False names that either side lacks are passed over. With assign=True nothing is copied: each
    parameter takes the array that is given, with its dtype, drops its gradient, and shares that memory from then
    on. Returns both lists of names.

    Raises    ValueError with the whole list of what does not fit; then nothing was changed.
    """
    where = f"{type(module).__name__}.load_state_dict"
    if not isinstance(state_dict, Mapping):
        raise type_error(where, "a mapping of names to values", type(state_dict).__name__)
    mine = module.state_dict(keep_vars=True)
    missing = [name for name in mine if name not in state_dict]
    unexpected = [name for name in state_dict if name not in mine]
    wrong = [f"missing {name}" for name in missing] + [f"unexpected {name}" for name in unexpected]
    wrong, arrays = wrong if strict else [], {}
    for name, t in mine.items():
        if name in state_dict:
            try:
                arrays[name] = _fitting(t._data, state_dict[name], assign)
            except (ValueError, TypeError) as error:
                wrong.append(f"{name}: {error}")
    if wrong:
        raise InvalidValue(f"{where}: nothing was loaded: " + "; ".join(wrong).replace("\n", "\\n"))
    for name, array in arrays.items():
        t = mine[name]
        if assign:
            t._data = array
            if t._node is not None:
                t._node.grad = None
        else:
            t._data[...] = array
        t.mark_overwritten()
    return Keys(missing, unexpected)


def _fitting(held: Any, value: Any, assign: bool) -> Any:
    """Return a value for the place of an array: in its dtype, or, to be assigned, as it is.

    Raises    ValueError or TypeError for another shape, for what is no number, for fractions where whole
              numbers stand, for a dtype that nothing is computed in, and for a place that cannot be written to.
    """
    array = array_beside(held, value)
    if array.shape != held.shape:
        raise ValueError(f"expected {held.shape}, got {array.shape}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"expected real numbers, got {array.dtype}")
    if assign:
        if array.dtype not in FLOATS if held.dtype.kind == "f" else array.dtype.kind != held.dtype.kind:
            kind = "float32 or float64" if held.dtype.kind == "f" else held.dtype
            raise ValueError(f"expected {kind}, got {array.dtype}, which assign=True would not convert")
        return array
    if not getattr(held.flags, "writeable", True):
        raise ValueError("expected a place to write to, got an array that is read-only")
    with np.errstate(over="ignore", invalid="ignore"):  # too large for float32 is infinite, as in PyTorch
        cast = array.astype(held.dtype, copy=False)
    if held.dtype.kind != "f" and not (cast == array).all():
        raise ValueError(f"expected whole numbers that {held.dtype} holds, got others")
    return cast


def to(module: "Module", *where: Any, device: Any = None, dtype: Any = None, **options: Any) -> "Module":
    """Move all state to a device ("cpu", "cuda"), cast its floats to a dtype, in place; return the module.

    PyTorch's `non_blocking` and `memory_format` change no number and are accepted. Optimisers keep state of
    their own: make them afterwards.

    Raises    TypeError for a dtype other than float32 and float64.
    """
    if unknown := options.keys() - {"non_blocking", "memory_format"}:
        raise type_error("to", "device, dtype, non_blocking", ", ".join(sorted(unknown)))
    for each in where:
        if isinstance(each, Tensor):
            device, dtype = each.device, each.dtype
        elif isinstance(each, (str, int)) or isinstance(getattr(each, "type", None), str):
            device = device if isinstance(each, bool) else each
        elif each is not None:
            dtype = each
    library = None if device is None else _device(device)
    kind = None if dtype is None else _float_dtype(dtype)

    def change(a: Any) -> Any:
        a = a if library is None else move(a, library)
        return a.astype(kind) if kind is not None and a.dtype.kind == "f" and a.dtype != kind else a

    for t in {id(t): t for _, t in module._named_tensors()}.values():  # a shared one once
        before, t._data = t._data, change(t._data)
        if t._data is not before:
            t.mark_overwritten()
        if t._node is not None and t._node.grad is not None:
            t._node.grad = change(t._node.grad)
    return module


def _device(device: Any) -> str:
    """Return "cpu" or another name for `move`, of a string or a device object."""
    name = str(getattr(device, "type", device)).partition(":")[0]
    if name.startswith(("float", "int", "bool", "uint")):
        hint = f"a dtype goes without quotes: x.to(minigrad.{name}), or numpy.{name}"
        raise value_error("to", '"cpu" or "cuda"', repr(device), hint)
    return "cuda" if isinstance(device, int) else name


def _float_dtype(dtype: Any) -> np.dtype:
    """Return float32 or float64."""
    name = str(getattr(dtype, "__name__", dtype)).rpartition(".")[2]
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = None
    if kind is not None and kind in FLOATS:  # NumPy's float64 equals None
        return kind
    hint = (
        "half precision is not computed in here" if "16" in name and "float" in name else "ids stay integers"
    )
    raise type_error("to", "float32 or float64 for the numbers of a module", name, hint)


def cast(module: "Module", dst_type: Any) -> "Module":
    """Cast to float32 or float64 in place (PyTorch's method `type`); return the module."""
    return module.to(dtype=dst_type)


def compile(module: "Module", *args: Any, **options: Any) -> None:
    """Do nothing: PyTorch makes a module faster here, not different."""


def float(module: "Module") -> "Module":
    """Cast to float32 in place; return the module."""
    return module.to(np.float32)


def double(module: "Module") -> "Module":
    """Cast to float64 in place; return the module."""
    return module.to(np.float64)


def half(module: "Module") -> "Module":
    """Raise TypeError: nothing here is computed in half precision."""
    return module.to(np.float16)


def bfloat16(module: "Module") -> "Module":
    """Raise TypeError: NumPy has no bfloat16."""
    raise type_error("to", "float32 or float64 for the numbers of a module", "bfloat16", "NumPy has none")


def cpu(module: "Module") -> "Module":
    """Move all state into the memory of NumPy; return the module."""
    return module.to("cpu")


def cuda(module: "Module", device: Any = None) -> "Module":
    """Move all state to the GPU, with CuPy; return the module."""
    return module.to("cuda")


def requires_grad_(module: "Module", requires_grad: bool = True) -> "Module":
    """Freeze (False) or thaw every parameter; return the module."""
    for p in module.parameters():
        p.requires_grad_(requires_grad)
    return module


@contextmanager
def evaluating(module: "Module") -> "Iterator[Module]":
    """Inside, evaluation mode; afterwards each module is as it was."""
    before = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for m, mode in before:
            m.training = mode
