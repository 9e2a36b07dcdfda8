"""A function as arrays in, arrays out, and its own gradients: what the checks work on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from minigrad import random, switches, tape
from minigrad.backend import is_array, move, to_numpy
from minigrad.errors import type_error
from minigrad.higher import pullback
from minigrad.operands import FLOATS
from minigrad.random import Generator
from minigrad.tensor import Tensor

Arrays = list[np.ndarray]
SEAL = 20240229  # the seed that every evaluation of a sealed function starts from


class BadGradient(ValueError):
    """A backward that returned something that cannot be a gradient; `kind` says in which way."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Subject:
    """A function under examination.

    `arrays` are its float inputs, then its parameters, in the order of `names`; integers, masks and
    options among the inputs stay constants. `forward(arrays)` returns its float outputs;
    `pull(arrays, cotangents)` the gradient for each array, or None where it says it has none.
    `largest` is the largest gradient that the last pull met on its way, which sets its rounding error.
    """

    library = "numpy"
    largest = 0.0

    def __init__(
        self, fn: Any, inputs: Sequence[Any], seal: bool | Generator = False, dtype: Any = None
    ) -> None:
        self.fn, self.seal = fn, seal
        self.inputs = [to_array(x) for x in inputs]
        self.slots = [i for i, x in enumerate(self.inputs) if is_array(x) and x.dtype in FLOATS]
        self.parameters = self._own_parameters()
        self.names = [f"input {i}" for i in self.slots] + list(self.parameters)
        floats = [self.inputs[i] for i in self.slots]
        dtype = dtype or (floats[0].dtype if floats else None)  # a module is examined in that of its input
        self.arrays = [a.astype(dtype or a.dtype) for a in (*floats, *self.parameters.values())]
        self._state = seal.state() if isinstance(seal, Generator) else {}

    def _own_parameters(self) -> dict[str, np.ndarray]:
        return {}

    def split(self, arrays: Sequence[Any], wrap: Callable[[Any], Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return (arguments, parameters) of a call with these arrays, each wrapped."""
        arguments = list(self.inputs)
        for slot, array in zip(self.slots, arrays):
            arguments[slot] = wrap(array)
        named = zip(self.parameters, arrays[len(self.slots) :])
        return arguments, {name: wrap(array) for name, array in named}

    @contextmanager
    def sealed(self) -> Iterator[None]:
        """Inside, the function draws the same random numbers as in every other evaluation."""
        if isinstance(self.seal, Generator):
            self.seal.set_state(self._state)
        with random.using(Generator(SEAL)) if self.seal else nullcontext():
            yield

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs."""
        raise NotImplementedError

    def pull(self, arrays: Arrays, cotangents: Arrays, walks: int = 1) -> list[Any]:
        """Return the gradient for each array; with `walks=2` make sure that a second walk gives the same.

        Raises    BadGradient for a gradient of a wrong shape, dtype or number.
        """
        raise NotImplementedError


class TensorSubject(Subject):
    """A function of minigrad Tensors, or a Module (anything with `named_parameters`)."""

    library = "minigrad"

    def __init__(
        self,
        fn: Any,
        inputs: Sequence[Any],
        seal: bool | Generator = False,
        dtype: Any = None,
        device: str = "cpu",
    ) -> None:
        self.device = device
        super().__init__(fn, inputs, seal, dtype)

    def _named(self, kind: str) -> dict[str, Tensor]:
        return dict(getattr(self.fn, kind)()) if hasattr(self.fn, kind) else {}

    def _own_parameters(self) -> dict[str, np.ndarray]:
        trainable = {n: p for n, p in self._named("named_parameters").items() if p.requires_grad}
        return {name: np.array(to_numpy(p.data)) for name, p in trainable.items()}

    @contextmanager
    def _holding(self, parameters: dict[str, Any], dtype: Any) -> Iterator[None]:
        """Inside, the module's parameters are these arrays, and the rest of its state has their dtype."""
        tensors = {**self._named("named_parameters"), **self._named("named_buffers")}
        before = [(t, t._data) for t in tensors.values()]
        for name, t in tensors.items():
            t._data = parameters[name] if name in parameters else move(t._data, self.device).astype(dtype)
        try:
            yield
        finally:
            for t, data in before:
                t._data = data

    def call(self, arrays: Sequence[Any], requires_grad: bool) -> tuple[list[Tensor], list[Any]]:
        """Run the function; return its inputs as Tensors, and whatever it returns, flat."""
        arguments, parameters = self.split([move(a, self.device) for a in arrays], lambda a: a)
        xs = [_tensor(arguments[slot], requires_grad) for slot in self.slots]
        for slot, x in zip(self.slots, xs):
            arguments[slot] = x
        arguments = [move(a, self.device) if is_array(a) else a for a in arguments]
        dtype = arrays[0].dtype if len(arrays) else np.dtype(np.float64)
        with self._holding(parameters, dtype), self.sealed(), np.errstate(all="ignore"):
            return xs, flatten(self.fn(*arguments))

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the float outputs, without recording."""
        with switches.no_grad():
            return [to_numpy(y.data) for y in self._tensors(self.call(arrays, False)[1])]

    def _tensors(self, outputs: list[Any]) -> list[Tensor]:
        tensors = [y for y in outputs if isinstance(y, Tensor)]
        if not tensors:
            got = ", ".join(type(y).__name__ for y in outputs) or "None"
            hint = "an array has no history: compute with Tensor methods, or return (out, vjp)"
            if any(isinstance(y, (int, float)) for y in outputs):
                hint = "a plain number has no history: return the Tensor, without float() or item()"
            hint = hint if outputs else "is a return missing?"
            raise type_error("gradcheck", "a function that returns Tensors", got, hint)
        return tensors

    def leaves(self, xs: list[Tensor]) -> list[Any]:
        """Return the node of each array of a call: those of its inputs, then of the parameters."""
        named = self._named("named_parameters")
        return [x._node for x in xs] + [named[name]._node for name in self.parameters]

    def pull(self, arrays: Arrays, cotangents: Arrays, walks: int = 1) -> list[Any]:
        """Run forward and backward, watching what each vjp returns."""
        xs, outputs = self.call(arrays, True)
        sums: list[dict] = [{} for _ in range(walks)]
        self.largest = 0.0
        for y, dy in zip(self._tensors(outputs), cotangents, strict=True):
            if y._node is None or not dy.any():
                continue
            seed = move(dy.astype(y.dtype), self.device)
            self.largest = max(self.largest, float(abs(dy).max()))
            for walk in sums:
                watch = _Watch()
                with switches.watched_by(watch), np.errstate(all="ignore"):
                    grads = tape.gradients(y._node, seed.copy(), retain_graph=True)
                self.largest = max(self.largest, watch.largest)
                for node, grad in grads.items():
                    walk[node] = to_numpy(grad) if node not in walk else walk[node] + to_numpy(grad)
        results = [[walk.get(node) for node in self.leaves(xs)] for walk in sums]
        _same_walks(results)
        return results[0]


def _same_walks(walks: list[list[Any]]) -> None:
    """Raise BadGradient if the last walk gave other gradients than the first."""
    for first, last in zip(walks[0], walks[-1]):
        if first is not None and not np.array_equal(first, last, equal_nan=True):
            text = "a second walk over the same graph gives another gradient"
            raise BadGradient("second walk", text + ": a vjp overwrites what it saved, or draws numbers")


class _Watch:
    """A monitor of the tape that refuses what cannot be a gradient, naming the operation."""

    largest = 0.0

    def forward(self, fn: Any, arrays: Any, constants: Any) -> Any:
        return fn(*arrays, **constants)

    def backward(self, node: Any, dout: Any) -> Any:
        before = dout.copy()
        grads = node.vjp(dout)
        dtypes = () if node.name == "astype" else (dout.dtype,)
        check_gradients(node.name, grads, [p and p.shape for p in node.parents], dtypes)
        if not np.array_equal(to_numpy(before), to_numpy(dout), equal_nan=True):
            raise BadGradient("mutation", f"the vjp of {node.name} writes into the gradient it is given")
        for grad in grads:
            if grad is not None:
                self.largest = max(self.largest, float(abs(grad).max(initial=0.0)))
        return grads


def check_gradients(where: str, grads: Any, shapes: Sequence[Any], dtypes: Sequence[Any]) -> None:
    """Raise BadGradient unless there is one gradient (or None) per input, of its shape and dtype."""
    if not isinstance(grads, (tuple, list)):
        raise BadGradient("shape", f"{where}: expected a tuple of gradients; got {type(grads).__name__}")
    if len(grads) < _places(shapes) or _places(grads) > len(shapes):
        text = f"expected {len(shapes)} gradients, one (or None) for each input; got {len(grads)}"
        raise BadGradient("count", f"{where}: {text}")
    for i, (grad, shape) in enumerate(zip(grads, shapes)):
        if grad is None or shape is None:
            continue
        if not is_array(grad):
            text = f"{where}: the gradient for input {i} is {type(grad).__name__}, not an array"
            raise BadGradient("shape", text)
        if grad.shape != shape:
            raise BadGradient("shape", f"{where}: {_shape_flaw(i, grad.shape, shape)}")
        if dtypes and grad.dtype not in dtypes:
            text = f"{where}: the gradient for input {i} is {grad.dtype}, its cotangent {dtypes[0]}"
            raise BadGradient("dtype", text + "; is a NumPy scalar or a float64 constant in its vjp?")


def _places(values: Sequence[Any]) -> int:
    """Return how many of the values there are, without those at the end that are None."""
    return max((i + 1 for i, value in enumerate(values) if value is not None), default=0)


def _shape_flaw(i: int, got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say that a gradient has a wrong shape, and how it may have come by it."""
    text = f"the gradient for input {i} has shape {got}, the input {wanted}"
    if got[::-1] == wanted and len(wanted) > 1:
        return text + "; it is transposed"
    padded = (1,) * (len(got) - len(wanted)) + wanted
    if len(padded) == len(got) and all(n in (1, m) for n, m in zip(padded, got)):
        axes = tuple(i for i, (n, m) in enumerate(zip(padded, got)) if n != m or i < len(got) - len(wanted))
        return text + f"; the sum over the broadcast axes {axes} is missing"
    return text


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

    def forward(self, arrays: Arrays) -> Arrays:
        """Return all gradients, flat and side by side: one output."""
        grads = self.first.pull(arrays, self.cotangents)
        flat = [np.zeros(a.size, a.dtype) if g is None else g.ravel() for g, a in zip(grads, arrays)]
        return [np.concatenate(flat)]

    def pull(self, arrays: Arrays, cotangents: Arrays, walks: int = 1) -> list[Any]:
        """Differentiate the pullback of the function."""
        ends = np.cumsum([a.size for a in arrays])[:-1]
        pieces = [v.reshape(a.shape) for v, a in zip(np.split(cotangents[0], ends), arrays)]
        with switches.keep_inputs():
            xs, outputs = self.first.call(arrays, True)
            named = self.first._named("named_parameters")
            variables = [*xs, *[named[name] for name in self.first.parameters]]
            tensors = [y for y in self.first._tensors(outputs) if y.requires_grad]
            s = sum((y * dy.astype(y.dtype)).sum() for y, dy in zip(tensors, self.cotangents))
            arguments, parameters = self.first.split(arrays, lambda a: a)
            with self.first._holding(parameters, arrays[0].dtype), np.errstate(all="ignore"):
                grads = pullback(s, variables) if isinstance(s, Tensor) else [None] * len(variables)
                terms = [(g * v.astype(g.dtype)).sum() for g, v in zip(grads, pieces) if g is not None]
                total = sum(terms)
                if not isinstance(total, Tensor) or total._node is None:
                    return [None] * len(variables)
                seed = np.ones((), total.dtype)
                found = tape.gradients(total._node, seed, retain_graph=True)
        return [found[x._node] if x._node in found else None for x in variables]


class ArraySubject(Subject):
    """A NumPy function with a hand-written backward: fn(*arrays) -> (out, vjp), or (forward, backward).

    In a pair, backward(dout, *arrays) returns the gradients.
    """

    def _run(self, arrays: Arrays) -> tuple[Any, Callable[[Any], Any]]:
        arguments, _ = self.split(arrays, lambda a: a)
        with self.sealed(), np.errstate(all="ignore"):
            if isinstance(self.fn, tuple):
                forward, backward = self.fn
                return np.asarray(forward(*arguments)), lambda dout: backward(dout, *arguments)
            result = self.fn(*arguments)
            if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
                got, hint = type(result).__name__, "or pass the pair (forward, backward) as the function"
                raise type_error("gradcheck", "a NumPy function that returns (out, vjp)", got, hint)
            return np.asarray(result[0]), result[1]

    def forward(self, arrays: Arrays) -> Arrays:
        """Return the output."""
        return [self._run(arrays)[0]]

    def pull(self, arrays: Arrays, cotangents: Arrays, walks: int = 1) -> list[Any]:
        """Call the backward."""
        out, vjp = self._run(arrays)
        dout, name = cotangents[0].astype(out.dtype), getattr(self.fn, "__name__", "backward")
        given = [dout.copy() for _ in range(walks)]
        with np.errstate(all="ignore"):
            results = [vjp(each) for each in given]
        if not all(np.array_equal(each, dout, equal_nan=True) for each in given):
            raise BadGradient("mutation", f"{name}: the backward writes into the gradient it is given")
        results = [r if isinstance(r, (tuple, list)) else (r,) for r in results]
        for grads in results:
            shapes = [x.shape if i in self.slots else None for i, x in enumerate(self.inputs)]
            check_gradients(name, grads, shapes, (out.dtype, arrays[0].dtype))
        picked = [[grads[i] if i < len(grads) else None for i in self.slots] for grads in results]
        _same_walks(picked)
        return picked[0]


def flatten(value: Any) -> list[Any]:
    """Return the leaves of nested tuples, lists and dicts, without None."""
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in flatten(item)]
    if isinstance(value, dict):
        return flatten(list(value.values()))
    return [] if value is None else [value]


def to_array(x: Any) -> Any:
    """Return a Tensor of any library as a NumPy array; lists too; numbers and options as they are."""
    if isinstance(x, Tensor):
        return to_numpy(x.data)
    if hasattr(x, "detach"):
        return x.detach().cpu().numpy()
    if isinstance(x, list) or (hasattr(x, "__array__") and not is_array(x)):
        return np.asarray(x)
    return x


def _tensor(array: Any, requires_grad: bool) -> Tensor:
    """Return a Tensor of `array`, which for a complex step may be complex."""
    if array.dtype in FLOATS:
        return Tensor(array, requires_grad)
    x = Tensor.__new__(Tensor)
    x._data, x._node = array, None
    return x
