"""A table of a model's layers, what comes out of each, and where its parameters are."""

from typing import Any

from minigrad.switches import no_grad
from minigrad.tensor import Tensor
from nn.module import Module, Parameter


def summary(model: Module, *inputs: Any) -> str:
    """Return a table of layers, output shapes and parameters from one forward pass.

    The pass runs in evaluation mode and records nothing, so the model, its statistics and the
    random numbers are afterwards as before. A layer counts the parameters it holds itself; one
    that is used twice is listed once, with its last output.

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
    seen: set[int] = set()
    rows = [("layer", "output", "parameters")]
    for name, module in modules:
        own = sum(p.numel() for _, p in module._items() if isinstance(p, Parameter) and id(p) not in seen)
        seen.update(id(p) for _, p in module._items())
        depth = name.count(".") + 1 if name else 0
        label = f"{name.rpartition('.')[2]}: {type(module).__name__}" if name else type(module).__name__
        rows.append(("  " * depth + label, shapes.get(id(module), "-"), f"{own:,}" if own else "-"))
    rows.append(("total", "", f"{sum(p.numel() for p in model.parameters()):,}"))
    return _table(rows)


def _shapes(output: Any) -> str:
    """Return the shape of a Tensor, or the shapes in a tuple of them."""
    if isinstance(output, (tuple, list)):
        return ", ".join(_shapes(y) for y in output)
    return str(output.shape) if isinstance(output, Tensor) else "-"


def _table(rows: list[tuple[str, str, str]]) -> str:
    """Return the rows with aligned columns, and rules below the head and above the last."""
    first, second, third = (max(len(row[i]) for row in rows) for i in range(3))
    lines = [f"{a:<{first}}  {b:<{second}}  {c:>{third}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
