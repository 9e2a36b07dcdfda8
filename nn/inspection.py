"""Looking at a module: hooks on its outputs, how it prints, and a table of its layers."""

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from minigrad.switches import no_grad
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from nn.module import Module


class Hook:
    """What `register_forward_hook` returns; `remove()` takes the hook away."""

    def __init__(self, hooks: "list[Hook]", call: Callable) -> None:
        self._hooks, self.call = hooks, call
        hooks.append(self)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        if self in self._hooks:
            self._hooks.remove(self)


def register_forward_hook(module: "Module", hook: "Callable[[Module, tuple, Any], Any]") -> Hook:
    """Call hook(module, inputs, output) after every forward; what it returns, if not None, is the output."""
    return Hook(vars(module).setdefault("_forward_hooks", []), hook)


def show(module: "Module") -> str:
    """Return what `repr` prints, in PyTorch's form: the module with its settings, those below it indented.

    List items that follow one another and look the same share an entry: "(0-2): 3 x Dropout(p=0.1, ...)".
    """
    entries = []
    children = [(name, repr(child)) for name, child in module.named_children()]
    for (_, shown), run in groupby(children, key=lambda item: (item[0].isdigit() or item[0], item[1])):
        first, *rest = [name for name, _ in run]
        entries.append((f"{first}-{rest[-1]}", f"{len(rest) + 1} x {shown}") if rest else (first, shown))
    return _show(module, entries)


def show_each(module: "Module") -> str:
    """Return what `show` does with an entry for every item, as PyTorch's `Sequential` has it."""
    return _show(module, [(name, repr(child)) for name, child in module.named_children()])


def _show(module: "Module", entries: list[tuple[str, str]]) -> str:
    """Return the module with its settings, and (name, text) of those below it, in its brackets."""
    inside = settings = module.extra_repr()
    if entries or "\n" in settings:
        lines = settings.split("\n") if settings else []
        lines += [f"({name}): {_moved_in(shown)}" for name, shown in entries]
        inside = "".join(f"\n  {line}" for line in lines) + "\n"
    return f"{type(module).__name__}({inside})"


def _moved_in(shown: str) -> str:
    """Return the text with all lines but the first, and but empty ones, two columns further right."""
    first, *rest = shown.split("\n")
    return "\n".join([first, *("  " + line if line.strip() else "" for line in rest)])


def settings(module: "Module", *names: str) -> str:
    """Return "name=value, ..." of these attributes, for `extra_repr`."""
    return ", ".join(f"{name}={getattr(module, name)!r}" for name in names)


def summary(model: "Module", *inputs: Any) -> str:
    """Return a table of layers, output shapes, weights and parameters from one forward pass.

    The pass runs in evaluation mode and records nothing, so the model, its statistics and the
    random numbers are afterwards as before. A layer lists the shapes of what it holds itself, buffers
    too, and counts its parameters; one that is used twice is listed once, with its last output.

    Units     parameters: numbers that are learned
    Example   print(nn.summary(model, x))
    """
    shapes: dict[int, str] = {}
    modules = list(model.named_modules())
    hooks = [m.register_forward_hook(lambda m, _, y: shapes.update({id(m): _shapes(y)})) for _, m in modules]
    try:
        with model.evaluating(), no_grad():
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    uncounted = {id(p): p.numel() for p in model.parameters()}
    rows = [("layer", "output", "holds", "parameters")]
    for name, module in modules:
        own = sum(uncounted.pop(id(p), 0) for _, p in module._items())
        depth = name.count(".") + 1 if name else 0
        label = f"{name.rpartition('.')[2]}: {type(module).__name__}" if name else type(module).__name__
        holds = ", ".join(f"{name} {tuple(t.shape)}" for name, t in module._items() if isinstance(t, Tensor))
        row = ("  " * depth + label, shapes.get(id(module), "-"), holds or "-", f"{own:,}" if own else "-")
        rows.append(row)
    rows.append(("total", "", "", f"{sum(p.numel() for p in model.parameters()):,}"))
    return _table(rows)


def _shapes(output: Any) -> str:
    """Return the shape of a Tensor, or the shapes in a tuple of them."""
    if isinstance(output, (tuple, list)):
        return ", ".join(_shapes(y) for y in output)
    return str(tuple(output.shape)) if isinstance(output, Tensor) else "-"


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    """Return the rows with aligned columns, and rules below the head and above the last."""
    first, second, third, fourth = (max(len(row[i]) for row in rows) for i in range(4))
    lines = [f"{a:<{first}}  {b:<{second}}  {c:<{third}}  {d:>{fourth}}" for a, b, c, d in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
