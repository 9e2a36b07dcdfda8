"""Methods of Tensors that write: into the elements, into the gradient, and into the history.

Who may write in place? A Tensor without a history, if what it takes has none either, or inside no_grad():
NumPy writes into the memory, everybody who looks at it sees the write, and a graph that saved it refuses
its walk (versions.py). A leaf that wants a gradient: only inside no_grad(). Where a history is involved,
the Tensor becomes the result of an operation, x = x + y for x += y; views and other Tensors of its memory
would not see that, so nobody else may hold it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minigrad.backend import namespace
from minigrad.dtypes import LEVELS
from minigrad.errors import type_error, value_error
from minigrad.methods.indexing import plain_index
from minigrad.methods.values import Values, values_of
from minigrad.switches import state
from minigrad.tape import Node
from minigrad.versions import is_shared, note_write

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def becoming(name: str, of: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method that gives x the values of `of(x, ...)`; it returns x."""

    def method(x: Any, *args: Any, **options: Any) -> Any:
        check_writable(name, x, *args)
        return become(name, x, of(x, *args, **options))

    method.__name__, method.__doc__ = (
        name,
        f"x = {name.strip('_')}(x, ...) in place, seen by all who share its memory; return x.",
    )
    return method


def check_writable(name: str, x: Any, *values: Any) -> None:
    """Raise RuntimeError where x must not become what it is to become of `values`; see the top of this file."""
    if not state.recording:
        return
    if x._node is not None and x._node.vjp is None:
        raise RuntimeError(
            f"{name}: expected `with no_grad():` around a write into a leaf that requires a gradient; "
            "to compute with it, write x = x + y"
        )
    if x._node is not None or any(getattr(value, "requires_grad", False) for value in values):
        if state.keep_inputs or is_shared(x):
            raise RuntimeError(
                f"{name}: expected memory that only this Tensor holds, since a gradient is recorded; a view, "
                "another Tensor or an earlier operation holds it too; write x = x + y, or y[i] = y[i] + z"
            )


def become(name: str, x: Any, result: Any) -> Any:
    """Give x the values of a Tensor of its shape, and its history; return x."""
    if result._data.shape != x._data.shape:
        hint = "only what is written may be broadcast"
        raise value_error(name, f"a result of x's shape {x._data.shape}", result._data.shape, hint)
    if LEVELS[result._data.dtype.kind] > LEVELS[x._data.dtype.kind]:
        hint = "write x = x + y, which makes a new Tensor"
        raise type_error(name, f"a result that {x._data.dtype} can hold", result._data.dtype, hint)
    if state.recording and (x._node is not None or result._node is not None):
        result = result if result._data.dtype == x._data.dtype else result.astype(x._data.dtype)
        x._data, x._node = result._data, result._node
    else:
        overwrite(x, ..., result._data)
    return x


def overwrite(x: Any, index: Any, values: Any) -> None:
    """Write into the memory of x; whoever saved it is told."""
    if x._data.size and any(n > 1 and not step for n, step in zip(x._data.shape, x._data.strides)):
        hint = "write x = x.clone() first"
        raise RuntimeError(
            f"in place: expected one place in memory for each element; got an expanded Tensor; {hint}"
        )
    x._data[index] = values
    note_write(x._data)
    x.mark_overwritten()


def without_ones(value: Any, x: Any, index: Any) -> Any:
    """Return `value` without leading axes of length 1 that x[index] has not: PyTorch puts tensor([4.]) into x[0, 0]."""
    shape = getattr(value, "shape", ())
    if not shape or shape[0] != 1:
        return value
    extra = len(shape) - x._data[index].ndim
    while extra > 0 and value.shape[0] == 1:
        value, extra = value[0], extra - 1
    return value


class InPlace(Values):
    """What writes. Here `x` is the Tensor, as in a function."""

    __slots__ = ()

    # --- elements ---

    __iadd__ = becoming("+=", lambda x, y: x + y)
    __isub__ = becoming("-=", lambda x, y: x - y)
    __imul__ = becoming("*=", lambda x, y: x * y)
    __itruediv__ = becoming("/=", lambda x, y: x / y)
    __ipow__ = becoming("**=", lambda x, y: x**y)
    __iand__ = becoming("&=", lambda x, y: x & y)
    __ior__ = becoming("|=", lambda x, y: x | y)

    def __setitem__(x: Any, index: Any, value: Any) -> None:
        check_writable("x[...] = y", x, value)
        index = plain_index(index, x._data)
        value = without_ones(value, x, index)
        if state.recording and (x._node is not None or getattr(value, "requires_grad", False)):
            value = (
                value
                if isinstance(value, Values)
                else x._wrap(namespace(x._data).asarray(value, x._data.dtype))
            )
            result = x._put(value.astype(x._data.dtype) if value.dtype != x.dtype else value, index=index)
            x._data, x._node = result._data, result._node
        else:
            overwrite(x, index, values_of(value))

    # --- the array as a whole ---

    @property
    def data(x: Any) -> "Tensor":
        """The same memory without the history. Assigning gives x that memory; older graphs become stale."""
        return x._wrap(x._data)

    @data.setter
    def data(x: Any, value: Any) -> None:
        value = namespace(x._data).asarray(values_of(value))
        if value.shape != x._data.shape or value.dtype != x._data.dtype:
            wanted, got = f"{x._data.dtype} {x._data.shape}", f"{value.dtype} {value.shape}"
            raise value_error("Tensor.data", wanted, got, "make a new Tensor for another shape or dtype")
        x._data = value
        x.mark_overwritten()

    def detach(x: Any) -> "Tensor":
        """The same array without its history."""
        return x._wrap(x._data)

    def detach_(x: Any) -> "Tensor":
        """Cut the history off; return x."""
        x._node = None
        return x

    # --- the gradient ---

    @property
    def grad(x: Any) -> "Tensor | None":
        """The gradient collected by `backward`: a Tensor over the engine's own array, or None. Leaves only."""
        return None if x._node is None or x._node.grad is None else x._wrap(x._node.grad)

    @grad.setter
    def grad(x: Any, value: Any) -> None:
        if value is None and x._node is None:
            return
        if x._node is None:
            raise RuntimeError(
                "Tensor.grad: expected a Tensor that requires a gradient; write x.requires_grad_()"
            )
        value = values_of(value)
        if value is not None:
            got = f"{getattr(value, 'dtype', type(value).__name__)} {getattr(value, 'shape', '')}"
            if not hasattr(value, "dtype") or value.shape != x._data.shape or value.dtype != x._data.dtype:
                raise value_error("Tensor.grad", f"{x._data.dtype} {x._data.shape}, or None", got)
        x._node.grad = value

    def requires_grad_(x: Any, requires_grad: bool = True) -> "Tensor":
        """Make a leaf collect a gradient (or stop it); return x.

        Raises    RuntimeError for what was computed, or holds no floats.
        """
        if not x.is_leaf and not requires_grad:
            raise RuntimeError("requires_grad_: expected a leaf; write x.detach() to cut a graph")
        if requires_grad and x._data.dtype.kind != "f":
            raise RuntimeError(f"requires_grad_: expected floats; got {x._data.dtype}; write x.float() first")
        if bool(requires_grad) != x.requires_grad:
            x._node = Node("leaf", x._data.shape) if requires_grad else None
        return x

    def register_hook(x: Any, hook: Callable[[Any], Any]) -> "RemovableHandle":
        """Call hook(gradient) when backward knows the gradient of x; what it returns, if not None, replaces it.

        Raises    RuntimeError if x does not want a gradient.
        """
        if x._node is None:
            raise RuntimeError("register_hook: expected a Tensor that requires a gradient")

        def call(grad: Any) -> Any:
            changed = hook(x._wrap(grad.copy()))
            if changed is None:
                return None
            changed = namespace(grad).asarray(values_of(changed), grad.dtype)
            if changed.shape != grad.shape:
                raise value_error("register_hook", f"a gradient {grad.shape}, or None", changed.shape)
            return changed.copy()

        return RemovableHandle(x._node, call)

    def retain_grad(x: Any) -> None:
        """Let backward fill `.grad` of a Tensor that is no leaf, too."""
        if x._node is None:
            raise RuntimeError("retain_grad: expected a Tensor that requires a gradient")
        node = x._node
        if node.vjp is not None and _Retained not in map(type, node.hooks):
            node.hooks += (_Retained(node),)


class _Retained:
    """The hook that keeps a gradient."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def __call__(self, grad: Any) -> None:
        before = self.node.grad
        self.node.grad = grad.copy() if before is None else before + grad


class RemovableHandle:
    """What `register_hook` returns; `remove()` takes the hook away."""

    def __init__(self, node: Node, hook: Callable[[Any], Any]) -> None:
        self._node, self._hook = node, hook
        in_order = sorted((*node.hooks, hook), key=lambda each: isinstance(each, _Retained))  # that one last
        node.hooks = tuple(in_order)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._node.hooks = tuple(hook for hook in self._node.hooks if hook is not self._hook)
