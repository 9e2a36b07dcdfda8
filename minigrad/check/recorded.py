"""A function as its graph has it: whatever reached the graph without a history stays as it was."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from minigrad import switches
from minigrad.backend import to_numpy
from minigrad.check.libraries import TorchSubject
from minigrad.check.subjects import Arrays, Subject, TensorSubject, flatten
from minigrad.tape import Node
from minigrad.tensor import Tensor, apply


class Recorded(Subject):
    """The function that one recorded graph computes; its `forward` alone.

    A detached value is a constant of it. So if the vjp of a function agrees with the slopes of its
    recording, but not with its own, then a branch was cut off, and nothing else is wrong.
    """

    library = "minigrad"

    def __init__(self, subject: TensorSubject, arrays: Arrays) -> None:
        self.subject = subject
        with switches.enable_grad(), switches.keep_inputs():
            xs, outputs = subject.call(arrays, True)
        self.leaves, self.tensors = subject.leaves(xs), [y for y in outputs if isinstance(y, Tensor)]
        self.nodes = sorted(_below([y._node for y in self.tensors]), key=lambda node: node.age)

    def forward(self, arrays: Arrays) -> Arrays:
        """Run the recorded operations again, from other arrays."""
        values = {leaf: Tensor(a) for leaf, a in zip(self.leaves, arrays)}

        def value(x: Any) -> Any:
            return values.get(x._node, x) if isinstance(x, Tensor) else x

        _, parameters = self.subject.split(arrays, lambda a: a)
        with (
            switches.no_grad(),
            self.subject._holding(parameters, arrays[0].dtype),
            np.errstate(all="ignore"),
        ):
            for node in self.nodes:
                fn, inputs, constants = node.replay
                values[node] = apply(fn, *map(value, inputs), **constants)
            return [to_numpy(value(y).data) for y in self.tensors]

    def cuts(self, other: Any) -> list[str]:
        """Say which operations read another value without a history than in the other recording."""
        pairs = zip(self.nodes, other.nodes, strict=True) if len(self.nodes) == len(other.nodes) else ()
        return _once(f"{a.name} reads" for a, b in pairs if _differ(list(_loose(a)), list(_loose(b))))


class RecordedTorch(Subject):
    """The same of a PyTorch function: whatever a call returned without a history stays as it was."""

    library = "torch"

    def __init__(self, subject: TorchSubject, arrays: Arrays) -> None:
        self.subject = subject
        self.kept: list[tuple[str, Any]] = []  # (what returned it, value)
        self._run(arrays, [])

    def forward(self, arrays: Arrays) -> Arrays:
        """Run the function again, from other arrays, with the values that were kept."""
        return self._run(arrays, [value for _, value in self.kept])

    def cuts(self, other: Any) -> list[str]:
        """Say which calls returned another value without a history than in the other recording."""
        pairs = zip(self.kept, other.kept)
        return _once(f"{a} returns" for (a, x), (_, y) in pairs if _differ([x.numpy()], [y.numpy()]))

    def _run(self, arrays: Arrays, values: list[Any]) -> Arrays:
        torch: Any = self.subject.torch
        kept, values = self.kept, list(values)
        recording = not values

        class Hold(torch.overrides.TorchFunctionMode):
            def __torch_function__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
                out = function(*args, **(kwargs or {}))
                ends = torch.is_tensor(out) and out.is_floating_point() and not out.requires_grad
                if not ends or not any(torch.is_tensor(a) and a.requires_grad for a in flatten(args)):
                    return out
                if recording:
                    owner = function.__self__ if function.__name__ == "__get__" else function  # a property
                    kept.append((owner.__name__, out.detach().clone()))
                return out if recording or not values else values.pop(0).clone()

        with Hold():
            outputs = self.subject._call(arrays, True)[1]
        return [y.detach().numpy() for y in outputs]


def record(subject: Subject, arrays: Arrays) -> Recorded | RecordedTorch | None:
    """Return a recording of the function at these arrays; None if its library keeps no graph to look at."""
    if isinstance(subject, TensorSubject):
        return Recorded(subject, arrays)
    return RecordedTorch(subject, arrays) if isinstance(subject, TorchSubject) else None


def _below(roots: list[Node | None]) -> set[Node]:
    """Return every operation that the roots were computed from."""
    found: set[Node] = set()
    waiting = [node for node in roots if node is not None and node.vjp is not None]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [p for p in node.parents if p is not None and p.vjp is not None]
    return found


def _loose(node: Node) -> Iterator[np.ndarray]:
    """Yield the inputs of an operation that have no history."""
    for x in node.replay[1]:
        if x is not None and not (isinstance(x, Tensor) and x._node is not None):
            yield np.asarray(to_numpy(x.data) if isinstance(x, Tensor) else x)


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _differ(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return len(ours) != len(theirs) or not all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, theirs)
    )
