"""What was computed from what, and the walk back over it. Knows arrays and nodes, not Tensors.

For y = f(x), a loss L and any array x on the way, call dL/dx the gradient of x, and write it dx. The
chain rule says dx = dy * df/dx, a row vector times the Jacobian matrix of f, and dx has x's shape. No
operation ever forms that matrix: each comes with a function that, given dy, returns the product. It is
called the vector-Jacobian product, `vjp`, of the operation; the dy that it is given is its cotangent,
`dout` in the code, or dy where the output is y.

So a Node holds the vjp and the nodes of the inputs, and the walk starts with the cotangent of the
result, 1 for a loss, and hands every node's gradient to its vjp, and what that returns to the parents.
Where two gradients meet at one node, they are added: L changes along both ways.
"""

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import versions
from minigrad.switches import state


class Node:
    """One recorded operation. Without a vjp it is a leaf, which collects a gradient."""

    __slots__ = (
        "__weakref__",
        "age",
        "grad",
        "hooks",
        "name",
        "overwritten",
        "parents",
        "replay",
        "shape",
        "vjp",
    )

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        parents: Sequence["Node | None"] = (),  # None for an input without a gradient
        vjp: Any = None,  # dout -> the gradient of each parent, or None
        replay: Any = None,  # (operation, inputs, constants), kept for derivatives of derivatives
    ) -> None:
        self.age = next(versions.ages)  # an operation's inputs are older than its output
        self.name, self.shape, self.parents, self.vjp, self.replay = name, shape, parents, vjp, replay
        self.grad: Any = None
        self.hooks: tuple[Any, ...] = ()  # array -> another gradient, or None to keep it: `register_hook`
        self.overwritten = -1  # the age at which a leaf's array was last overwritten

    def overwrite(self) -> None:
        """Note that the array of this leaf changed: graphs recorded before now are stale."""
        self.overwritten = versions.last_write = next(versions.ages)

    def hooked(self, grad: Any) -> Any:
        """Show a gradient, now that it is complete, to the hooks; return what they make of it."""
        for hook in self.hooks:
            changed = hook(grad)
            grad = grad if changed is None else changed
        return grad


def backward(root: Node, seed: Any, *, retain_graph: bool = False) -> None:
    """Add seed * d(root)/d(leaf) to the gradient of every leaf below `root`.

    Nothing is added if the walk fails on the way.
    """
    for leaf, grad in gradients(root, seed, retain_graph=retain_graph).items():
        grad = leaf.hooked(grad) if leaf.hooks else grad
        if leaf.grad is None:
            leaf.grad = np.asarray(grad) if isinstance(grad, np.generic) else grad
        else:
            leaf.grad += grad


def gradients(root: Node, seed: Any, *, retain_graph: bool = False) -> dict[Node, Any]:
    """Return {leaf: seed * d(root)/d(leaf)}, every array new and shared with nothing.

    Newest first is a topological order, because inputs are older than outputs; so a heap on age
    replaces the recursion and the sort, and each node is walked once, however many paths lead to it.

    Whose array is a gradient? One that an operation made for this walk is ours, and may be written to.
    One that it only handed on, `dout` itself or a view of it, may be another node's too, and is only
    read. So the first gradient of a node is kept as it came, the second is added to whichever of the two
    is ours, or else makes a new array; from then on the sum is ours, and all others are added in place.

    Raises    RuntimeError if the graph was already walked and freed, or a leaf was overwritten
              after the operation that read it.
    """
    grads = {root: seed}  # of each node that was reached and not yet walked: at the end, of the leaves
    ours: set[Node] = set()  # the nodes among them whose array we may write to
    heap = [] if root.vjp is None else [(-root.age, root)]  # heapq pops the smallest: the newest
    while heap:
        node = heapq.heappop(heap)[1]
        dout = node.hooked(grads.pop(node)) if node.hooks else grads.pop(node)
        for parent, grad in zip(node.parents, _pull(node, dout)):  # optional inputs may be left out
            if parent is None or grad is None:  # a constant, or an input the output ignores
                continue
            if grad.shape != parent.shape:
                raise ValueError(
                    f"backward: {node.name} returned a gradient {grad.shape} for an input "
                    f"{parent.shape}; this is a bug in its vjp"
                )
            is_new = grad is not dout and grad.base is None  # made for this walk: rule 3 of `op` (tensor.py)
            if parent not in grads:
                grads[parent] = grad
                if is_new:
                    ours.add(parent)
                if parent.vjp is not None:
                    heapq.heappush(heap, (-parent.age, parent))
            elif parent in ours:
                grads[parent] += grad
            else:
                if is_new:
                    grad += grads[parent]
                else:
                    grad = grad + grads[parent]
                grads[parent] = grad
                ours.add(parent)
        if not retain_graph:
            node.parents, node.vjp, node.replay = (), _spent, None
    return {leaf: grad if leaf in ours else grad.copy() for leaf, grad in grads.items()}


def _pull(node: Node, dout: Any) -> Sequence[Any]:
    """Return the gradients of the node's inputs."""
    if node.age < versions.last_write:
        refuse_stale(node)
    return node.vjp(dout) if state.monitor is None else state.monitor.backward(node, dout)


def refuse_stale(node: Node) -> None:
    """Raise RuntimeError if an input of the operation, or what it saved, was overwritten after it ran."""
    for parent in node.parents:
        if parent is not None and parent.overwritten > node.age:
            raise RuntimeError(
                f"backward: an input of {node.name}, of shape {parent.shape}, was overwritten after the "
                "forward pass; run the forward again before backward"
            )
    for array in versions.saved_arrays(node.vjp):
        if versions.was_written(array, node.age):
            raise RuntimeError(
                f"backward: an array {array.shape} that {node.name} needs for its gradient was modified by an "
                "in-place operation after the forward pass; write x = x + y in place of x += y, or x.clone()"
            )


def _spent(dout: Any) -> Any:
    raise RuntimeError(
        "backward: this graph was already walked and freed; "
        "pass retain_graph=True to the first call to walk it again"
    )
