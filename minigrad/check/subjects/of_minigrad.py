"""A function of minigrad Tensors, its recorded graph, and its gradient as a function."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad import switches, tape
from minigrad.backend import is_array, to_numpy
from minigrad.check.contract import Contract
from minigrad.check.rounding import Roundings
from minigrad.check.subjects.base import Arrays, Recording, Subject, flatten, to_array
from minigrad.dtypes import FLOATS
from minigrad.gpu.device import move
from minigrad.higher import pullback
from minigrad.tape import Node
from minigrad.tensor import Tensor, apply, wrap


class TensorSubject(Subject):
    """A function of minigrad Tensors, or a Module (anything with `named_parameters`)."""

    library, takes, returns = "minigrad", "minigrad Tensors", "Tensors"
    numbers = ("float", "complex")  # for a complex step

    def _named(self, kind: str) -> dict[str, Tensor]:
        return dict(getattr(self.fn, kind)()) if hasattr(self.fn, kind) else {}

    def _own_parameters(self) -> dict[str, np.ndarray]:
        trainable = {n: p for n, p in self._named("named_parameters").items() if p.requires_grad}
        return {name: np.array(to_numpy(p.array)) for name, p in trainable.items()}

    def _own_buffers(self) -> dict[str, np.ndarray]:
        return {name: np.array(to_numpy(b.array)) for name, b in self._named("named_buffers").items()}

    @contextmanager
    def holding(self, parameters: dict[str, Any], dtype: Any) -> Iterator[None]:
        """Inside, the module's parameters are these arrays, and the rest of its state has their dtype."""
        tensors = {**self._named("named_parameters"), **self._named("named_buffers")}
        before = [(t, t._data) for t in tensors.values()]
        for name, t in tensors.items():
            state = self.buffers.get(name, t._data)
            t._data = parameters[name] if name in parameters else move(state, self.device).astype(dtype)
        try:
            yield
        finally:
            for t, data in before:
                t._data = data

    def call(self, arrays: Sequence[Any], requires_grad: bool) -> tuple[list[Tensor], list[Any]]:
        """Run the function; return its inputs as Tensors, then its parameters, and its float outputs."""
        moved = [move(a, self.device) for a in arrays]
        xs = [_tensor(a, requires_grad) for a in moved[: len(self.slots)]]
        for x, given in zip(xs, [self.given[i] for i in self.slots]):
            if isinstance(given, Tensor) and given.requires_grad and given.is_leaf and x._node is not None:
                x._node.hooks = given._node.hooks  # type: ignore[union-attr]
        arguments, parameters = self.split([*xs, *moved[len(xs) :]], lambda a: move(a, self.device))
        dtype = arrays[0].dtype if len(arrays) else np.dtype(np.float64)
        with self.holding(parameters, dtype), self.sealed(), self.explained(), np.errstate(all="ignore"):
            outputs = self.floats(flatten(self.fn(*arguments)))
            self.buffers_after = {n: to_numpy(b.array) for n, b in self._named("named_buffers").items()}
        named = self._named("named_parameters")
        return [*xs, *(named[name] for name in self.parameters)], outputs

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs, without recording."""
        with switches.no_grad():
            return [to_numpy(y.array) for y in self.call(arrays, False)[1]]

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Run forward and backward, every vjp under its contract."""
        contract, self.largest = Contract(), 0.0
        sums: dict[Node | None, Any] = {}
        with switches.watched_by(contract), np.errstate(all="ignore"):
            variables, outputs = self.call(arrays, True)
            for y, dy in zip(outputs, cotangents, strict=True):
                if y._node is None or not dy.any():
                    continue
                self.largest = max(self.largest, float(abs(dy).max()))
                seed = move(dy.astype(y.dtype), self.device)
                for node, grad in tape.gradients(y._node, seed, retain_graph=True).items():
                    sums[node] = to_numpy(grad) if node not in sums else sums[node] + to_numpy(grad)
        self.largest = max(self.largest, contract.largest)
        return [x._node.hooked(sums[x._node]) if x._node in sums else None for x in variables]

    def roundings(self, arrays: Arrays, cotangents: Arrays) -> float:
        """Return what the rounding of every operation does to the sum of the outputs times these."""
        monitor = Roundings()
        with switches.watched_by(monitor), np.errstate(all="ignore"):
            for y, dy in zip(self.call(arrays, True)[1], cotangents, strict=True):
                if y._node is not None and dy.any():
                    tape.gradients(y._node, move(dy.astype(y.dtype), self.device), retain_graph=True)
        return math.sqrt(monitor.squares)

    def recorded(self, arrays: Arrays) -> "Recorded | None":
        """Return the function that the graph at these arrays computes; None where it writes in place, or is
        made of an operation of the user's own, which cannot be run again.
        """
        try:
            return Recorded(self, arrays)
        except RuntimeError:  # the function has run before: what can be run again cannot be written in place
            return None


class Recorded(Recording):
    """The function that one recorded graph computes."""

    def __init__(self, subject: TensorSubject, arrays: Arrays) -> None:
        self.subject = subject
        with switches.enable_grad(), switches.keep_inputs():
            variables, self.outputs = subject.call(arrays, True)
        self.leaves = [x._node for x in variables]
        self.nodes = sorted(_below([y._node for y in self.outputs]), key=lambda node: node.age)
        if any(node.replay is None for node in self.nodes):
            raise RuntimeError("an operation that cannot be run again")
        self.kept = [(f"{node.name} reads", _loose(node)) for node in self.nodes]

    def forward(self, arrays: Arrays) -> Arrays:
        """Run the recorded operations again, from other arrays."""
        arrays = [move(a, self.subject.device) for a in arrays]
        values = {leaf: wrap(a) for leaf, a in zip(self.leaves, arrays)}

        def value(x: Any) -> Any:
            return values.get(x._node, x) if isinstance(x, Tensor) else x

        _, parameters = self.subject.split(arrays)
        with switches.no_grad(), self.subject.holding(parameters, arrays[0].dtype), np.errstate(all="ignore"):
            for node in self.nodes:
                fn, inputs, constants = node.replay
                values[node] = apply(fn, *map(value, inputs), **constants)
            return [to_numpy(value(y).array) for y in self.outputs]


def _below(roots: list[Node | None]) -> set[Node]:
    """Return every operation that the roots were computed from."""
    found: set[Node] = set()
    while new := {node for node in roots if node is not None and node.vjp is not None} - found:
        found |= new
        roots = [parent for node in new for parent in node.parents]
    return found


def _loose(node: Node) -> Arrays:
    """Return the inputs of an operation that have no history."""
    loose = [x for x in node.replay[1] if x is not None and getattr(x, "_node", None) is None]
    arrays = [to_array(x) for x in loose]
    return [to_numpy(a) if is_array(a) else np.asarray(a) for a in arrays]


class SecondOrder(Subject):
    """The gradient of a function as a function: its forward by the vjps, its gradients by replay."""

    library = "minigrad"

    def __init__(self, first: TensorSubject, cotangents: Arrays) -> None:
        self.first, self.cotangents = first, cotangents
        self.names, self.arrays, self.parameters = first.names, first.arrays, {}
        self.inputs, self.seal = first.inputs, first.seal

    @property
    def largest(self) -> float:  # type: ignore[override]
        """That of the first order."""
        return self.first.largest

    inner = largest  # the outputs are gradients

    def forward(self, arrays: Arrays) -> Arrays:
        """Return all gradients, flat and side by side: one output."""
        return [np.concatenate([g.ravel() for g in self.first.gradients(arrays, self.cotangents)])]

    def pull(self, arrays: Arrays, cotangents: Arrays) -> list[Any]:
        """Differentiate the pullback of the function."""
        ends = np.cumsum([a.size for a in arrays])[:-1]
        pieces = [v.reshape(a.shape) for v, a in zip(np.split(cotangents[0], ends), arrays)]
        _, parameters = self.first.split([move(a, self.first.device) for a in arrays])
        with switches.keep_inputs(), np.errstate(all="ignore"):
            variables, outputs = self.first.call(arrays, True)
            with self.first.holding(parameters, arrays[0].dtype):
                pairs = zip(outputs, self.cotangents)
                terms = [self._dot(y, dy) for y, dy in pairs if y.requires_grad]
                grads = pullback(sum(terms), variables) if terms else []
                terms = [self._dot(g, v) for g, v in zip(grads, pieces) if g is not None]
                total: Any = sum(terms)
                if not terms or total._node is None:
                    return [None] * len(variables)
                seed = move(np.ones((), total.dtype), self.first.device)
                found = tape.gradients(total._node, seed, retain_graph=True)
        return [to_numpy(found[x._node]) if x._node in found else None for x in variables]

    def _dot(self, y: Tensor, dy: np.ndarray) -> Tensor:
        """Return the sum of y * dy, where y lives."""
        return (y * move(dy.astype(y.dtype), self.first.device)).sum()


def _tensor(array: Any, requires_grad: bool) -> Tensor:
    """Return a Tensor of `array`, which for a complex step may be complex."""
    if array.dtype in FLOATS:
        return wrap(array, requires_grad)
    x = Tensor.__new__(Tensor)
    x._data, x._node = array, None
    return x
