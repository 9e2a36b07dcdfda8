"""Gradients that can be differentiated again, by replaying each operation on Tensors.

The vjps of training work on arrays and leave no history. Under `keep_inputs()` a node also
keeps its operation and inputs, so that `pullback` can run it once more, on Tensors: a primitive as
it is written, a fused operation as its reference defines it. No operation needs anything new.
"""

import heapq
from collections.abc import Sequence
from typing import Any

from minigrad.errors import value_error
from minigrad.functions import ones_like
from minigrad.operands import as_operand
from minigrad.switches import enable_grad, keep_inputs
from minigrad.tape import Node, refuse_stale
from minigrad.tensor import Tensor, wrap


@enable_grad()
@keep_inputs()
def pullback(y: Tensor, xs: Sequence[Tensor], dy: Any = None) -> list[Tensor | None]:
    """Return dy * d(y)/d(x) for each x, as Tensors with a history of their own; None where y ignores x.

    For f = (x**3).sum(), computed under `keep_inputs()`, `pullback(f, [x])` is [3 x**2], and pulling
    that back in turn gives 6 x. The graph is left as it was; `.grad` is not touched.

    Shapes    dy, a Tensor or array, as y; may be left out for a single element (1)
    Raises    ValueError for a dy of another shape; RuntimeError if y has no graph, or if an operation
              on the way was recorded outside `keep_inputs()`, was walked and freed, or read a leaf
              that was overwritten since.
    """
    if y._node is None:
        raise RuntimeError("pullback: y was not computed from a Tensor that requires a gradient")
    if dy is None:
        if y.numel() != 1:
            raise RuntimeError(f"pullback: expected a single element; got shape {y.array.shape}; pass dy")
        dy = ones_like(y.detach())
    dy = dy if isinstance(dy, Tensor) else wrap(as_operand(dy, y))
    if dy.shape != y.shape:
        raise value_error("pullback", f"dy {y.array.shape}", dy.shape)
    return _walk(y._node, [x._node for x in xs], dy)


def _walk(root: Node, wanted: list[Node | None], dy: Tensor) -> list[Tensor | None]:
    """The loop of `tape.gradients`, on Tensors: newest first, until nothing wanted can lie below."""
    oldest = min((node.age for node in wanted if node is not None), default=root.age)
    sums, heap = {root: dy}, [(-root.age, root)]
    while heap and -heap[0][0] > oldest:  # an ancestor is older, so what is older leads to nothing wanted
        node = heapq.heappop(heap)[1]
        if node.vjp is None:
            continue
        for parent, grad in zip(node.parents, _replay(node, sums[node])):
            if parent is None or grad is None:
                continue
            if parent in sums:
                sums[parent] = sums[parent] + grad
            else:
                sums[parent] = grad
                heapq.heappush(heap, (-parent.age, parent))
    return [None if node is None else sums.get(node) for node in wanted]


def _replay(node: Node, dout: Tensor) -> Sequence[Tensor | None]:
    """Return the vjp of one operation, computed on Tensors, so that it has a history."""
    refuse_stale(node)
    if node.replay is None:
        raise RuntimeError(
            f"pullback: {node.name} was recorded outside keep_inputs() or already walked and freed; "
            "run the forward again inside `with minigrad.switches.keep_inputs():`"
        )
    fn, inputs, constants = node.replay
    inputs = [x if x is None or isinstance(x, Tensor) else wrap(as_operand(x)) for x in inputs]
    if not hasattr(fn, "reference"):
        return fn(*inputs, **constants)[1](dout)

    # Clones, so that an input that is given twice, or that another was computed from, is two.
    clones = [x if x is None else x.clone() for x in inputs]
    y = fn.reference(*clones, **constants)
    return _walk(y._node, [None if x is None else x._node for x in clones], dout)
