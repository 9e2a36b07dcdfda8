"""What was computed from what, and the walk back over it. Knows arrays and nodes, not Tensors."""

import heapq
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

_ages = itertools.count()
_last_overwrite = -1  # the age at which any leaf was last overwritten: younger operations need no check


class _State(threading.local):
    """Switches of the current thread; a new thread starts with these."""

    recording = True  # do operations record nodes?
    keep_inputs = False  # do nodes keep what replay needs (higher.py)?
    transforming = False  # does the function of a transform run (transforms.py)?
    monitor: Any = None  # told of every operation, forward and backward (profile, trace, anomalies)


state = _State()


@contextmanager
def _switch(name: str, value: object) -> Iterator[None]:
    before = getattr(state, name)
    setattr(state, name, value)
    try:
        yield
    finally:
        setattr(state, name, before)


def no_grad() -> Any:
    """Inside `with no_grad():`, in this thread, operations record nothing. Also a decorator."""
    return _switch("recording", False)


def enable_grad() -> Any:
    """Inside, operations record again, also within `no_grad()`. Also a decorator."""
    return _switch("recording", True)


def keep_inputs() -> Any:
    """Inside, nodes keep their operation and inputs, so that a walk can be differentiated."""
    return _switch("keep_inputs", True)


def transforming() -> Any:
    """Inside, a transform inside the running function returns Tensors, and float(x) is refused."""
    return _switch("transforming", True)


def watched_by(monitor: Any) -> Any:
    """Inside, `monitor.forward(...)` and `monitor.backward(...)` hear of every operation."""
    return _switch("monitor", monitor)


def is_recording() -> bool:
    """Do operations of this thread record nodes at present?"""
    return state.recording


class Node:
    """One recorded operation. Without a vjp it is a leaf, which collects a gradient."""

    __slots__ = ("__weakref__", "age", "grad", "name", "overwritten", "parents", "replay", "shape", "vjp")

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        parents: Sequence["Node | None"] = (),
        vjp: Any = None,
        replay: Any = None,
    ) -> None:
        self.age = next(_ages)  # an operation's inputs are older than its output
        self.name, self.shape, self.parents, self.vjp, self.replay = name, shape, parents, vjp, replay
        self.grad: Any = None
        self.overwritten = -1  # the age at which a leaf's array was last overwritten

    def overwrite(self) -> None:
        """Note that the array of this leaf changed: graphs recorded before now are stale."""
        global _last_overwrite
        self.overwritten = _last_overwrite = next(_ages)


def backward(root: Node, seed: Any, *, retain_graph: bool = False) -> None:
    """Add seed * d(root)/d(leaf) to the gradient of every leaf below `root`.

    Nothing is added if the walk fails on the way.
    """
    for leaf, dout in gradients(root, seed, retain_graph=retain_graph).items():
        if leaf.grad is None:
            leaf.grad = np.asarray(dout) if isinstance(dout, np.generic) else dout
        else:
            leaf.grad += dout


def gradients(root: Node, seed: Any, *, retain_graph: bool = False) -> dict[Node, Any]:
    """Return {leaf: seed * d(root)/d(leaf)}, every array new and shared with nothing.

    Newest first is a topological order, because inputs are older than outputs; so a heap on age
    replaces the recursion and the sort, and each node is walked once, however many paths lead to
    it. A gradient is kept, not copied, when it arrives alone; a second one makes a sum that
    belongs to the walk, and the rest are added to it in place.

    Raises    RuntimeError if the graph was already walked and freed, or a leaf was overwritten
              after the operation that read it.
    """
    leaves: dict[Node, tuple[Any, bool]] = {}
    sums = {root: (seed, False)}  # node -> (gradient so far, is the array ours alone?)
    heap = [(-root.age, root)]
    while heap:
        node = heapq.heappop(heap)[1]
        dout, ours = sums.pop(node)
        if node.vjp is None:  # the root itself is a leaf
            leaves[node] = dout, ours
            continue
        if node.age < _last_overwrite:
            refuse_stale(node)
        grads = node.vjp(dout) if state.monitor is None else state.monitor.backward(node, dout)
        for parent, grad in zip(node.parents, grads):  # optional inputs may be left out
            if parent is None or grad is None:  # a constant, or an input the output ignores
                continue
            if grad.shape != parent.shape:
                raise ValueError(
                    f"backward: {node.name} returned a gradient {grad.shape} for an input "
                    f"{parent.shape}; this is a bug in its vjp"
                )
            fresh = grad is not dout and grad.base is None
            known = leaves if parent.vjp is None else sums
            if parent not in known:
                known[parent] = grad, fresh
                if known is sums:
                    heapq.heappush(heap, (-parent.age, parent))
                continue
            total, ours = known[parent]
            if ours:
                total += grad
            elif fresh:
                grad += total
                total = grad
            else:
                total = total + grad
            known[parent] = total, True
        if not retain_graph:
            node.parents, node.vjp, node.replay = (), _spent, None
    # two leaves must never share one array
    return {leaf: grad if ours else grad.copy() for leaf, (grad, ours) in leaves.items()}


def refuse_stale(node: Node) -> None:
    """Raise RuntimeError if an input of the operation was overwritten after it ran."""
    for parent in node.parents:
        if parent is not None and parent.overwritten > node.age:
            raise RuntimeError(
                f"backward: an input of {node.name}, of shape {parent.shape}, was overwritten after the "
                "forward pass; run the forward again before backward"
            )


def _spent(dout: Any) -> Any:
    raise RuntimeError(
        "backward: this graph was already walked and freed; "
        "pass retain_graph=True to the first call to walk it again"
    )
