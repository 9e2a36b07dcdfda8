"""The graph of one call, to read and to look at: every operation with its shape, bytes, times, ranges."""

import functools
import inspect
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from minigrad import switches, tape, versions
from minigrad.backend import is_array
from minigrad.console.tables import table
from minigrad.dtypes import FLOATS
from minigrad.errors import check_callable, type_error, value_error
from minigrad.gpu.device import move
from minigrad.tensor import Tensor, wrap
from minigrad.watch.anomaly import user_line
from minigrad.watch.looks import Values, attention_maps
from minigrad.watch.page import dot, drawn, page

COTANGENT = [0, 20240229]  # seeds what the walk back starts from; inputs are often drawn from seed 0


class Call(NamedTuple):
    """A call of a module."""

    number: int  # in the order in which they began
    name: str  # dotted, as in `named_modules`
    kind: str  # the name of its class


@dataclass
class Vertex:
    """An operation or a leaf (an input or parameter) of the graph."""

    name: str  # of the operation, the input, or the parameter
    scope: str  # the module that called it, or whose it is, as a dotted name
    shape: tuple[int, ...]
    dtype: str
    values: Values
    inputs: list[int] = field(default_factory=list)  # positions of other vertices in Graph.vertices
    leaf: str = ""  # "input" or "parameter"; "" for an operation
    saved: int = 0  # bytes that its vjp keeps alive and no earlier one did
    forward: float = 0.0  # seconds
    backward: float = 0.0  # seconds
    gradient: Values | None = None
    line: str = ""  # of the caller outside this product
    calls: tuple[Call, ...] = ()  # of modules, around this one, the outermost first
    maps: Any = None  # who attends to whom: (heads, queries, keys), 0..1, of the batch's first row


@dataclass
class Graph:
    """What `trace` returns: `print(graph)` is a table, `graph.save("block.html")` a picture.

    Units     saved in bytes, forward and backward in seconds
    """

    name: str
    vertices: list[Vertex]
    output: Any

    @property
    def operations(self) -> list[Vertex]:
        """The operations, in the order they ran."""
        return [v for v in self.vertices if not v.leaf]

    def __str__(self) -> str:
        head = ["operation", "in", "shape", "dtype", "saved", "forward", "backward", "values", "gradient"]
        rows = [
            [v.name, v.scope, v.shape, v.dtype, f"{v.saved:,} B", _micro(v.forward), _micro(v.backward)]
            + [str(v.values), str(v.gradient or "-")]
            for v in self.operations
        ]
        total = sum(v.saved for v in self.operations)
        times = [_micro(sum(getattr(v, way) for v in self.operations)) for way in ("forward", "backward")]
        rows.append([f"{len(rows)} operations", "", "", "", f"{total:,} B", *times, "", ""])
        return table(head, rows, left=2)

    def dot(self) -> str:
        """Return the graph in Graphviz's language; calls of modules are framed."""
        return dot(self.name, self.vertices)

    def html(self) -> str:
        """Return a page that needs nothing else: the operations in their modules, which fold and unfold."""
        return page(self.name, self.vertices)

    def save(self, path: str | Path) -> Path:
        """Write the graph, by the path's ending, as .html, .dot, or through Graphviz as .svg or .png.

        Raises    ValueError for another ending; RuntimeError, with what to install, without Graphviz.
        """
        path = Path(path)
        if path.suffix not in (".html", ".dot", ".svg", ".png"):
            raise value_error("save", "a path ending in .html, .dot, .svg or .png", path.name)
        if path.suffix in (".svg", ".png"):
            path.write_bytes(drawn(self.dot(), path.suffix[1:]))
        else:
            path.write_text(self.html() if path.suffix == ".html" else self.dot() + "\n", encoding="utf-8")
        return path


def trace(fn: Callable[..., Any]) -> Callable[..., Graph]:
    """Return the function that calls `fn` with gradients, walks back once, and returns the Graph.

        graph = trace(model.loss)(ids, targets);   print(graph);   graph.save("step.html")

    The walk starts from the loss, the first output that is a single number, with 1; without one, from the
    first output, with a cotangent of normal random numbers, the same at each call. Modules are known by
    their names in `fn`, if it is a module or a method of one; others, that it calls, by their class.
    `.grad` of the parameters stays as it was.

    Raises    TypeError if fn is no function, or returns no Tensor that depends on a float input or a
              parameter.
    """
    check_callable("trace", fn)
    whole: Any = fn
    while isinstance(whole, functools.partial):
        whole = whole.func
    module, name = getattr(whole, "__self__", whole), getattr(whole, "__name__", type(whole).__name__)
    if _is_module(module) and module is not whole:
        name = f"{type(module).__name__}.{name}"

    def traced(*inputs: Any, **options: Any) -> Graph:
        arguments = [_argument(x) for x in inputs]
        options = {name: _argument(x) for name, x in options.items()}
        recorder = _Recorder(module, _named(fn, arguments, options), sys._getframe())
        with switches.enable_grad(), switches.watched_by(recorder):
            output = fn(*arguments, **options)
        roots = list(_outputs(output))
        if not roots:
            hint = "inputs are float32 or float64; compute with Tensors"
            raise type_error("trace", "a Tensor that depends on a float input", type(output).__name__, hint)
        vertices = _vertices(_nodes(y._node for y in roots), recorder)
        _walk_back(next((y for y in roots if y.numel() == 1), roots[0]), vertices, recorder)
        return Graph(name, list(vertices.values()), output)

    return traced


class _Recorder:
    """A monitor of the tape that times operations, looks at what they return, and notes who called them."""

    def __init__(self, module: Any, given: dict[str, Any], outside: FrameType) -> None:
        self.outside, self.calls = outside, dict[FrameType, int]()
        self.modules = dict[int, tuple[str, Any]]()  # the name of each, by its id
        self.owned = dict[int, Any]()  # buffers of leaves, or saved by an earlier vjp
        self.leaves = dict[Any, tuple[str, str, Any]]()  # {node: (kind, name, Tensor)}
        self.arrays = dict[int, list[Any]]()  # that each vertex read, by its id
        self.ids = dict[str, Any]()  # inputs that have no gradient
        self.before = dict[tape.Node, Any]()  # the gradients of what was computed before the trace
        for name, x in given.items():
            if isinstance(x, Tensor) and x.requires_grad:
                self._add_leaf("input", name, x)
            elif is_array(array := x.array if isinstance(x, Tensor) else x):
                self.ids[name] = array
        if _is_module(module):
            self._add_module(module, "")

    def _add_leaf(self, kind: str, name: str, x: Tensor) -> None:
        self.leaves.setdefault(x._node, (kind, name, x))
        buffer = _buffer(x.array)
        self.owned[id(buffer)] = buffer

    def _add_module(self, module: Any, prefix: str) -> None:
        for name, each in module.named_modules(prefix=prefix):
            self.modules.setdefault(id(each), (name, each))
        for name, p in module.named_parameters(prefix):
            if not isinstance(p, Tensor):
                got = f"a module of {type(p).__module__.partition('.')[0]}"
                raise type_error("trace", "a function of Tensors, or a Module of minigrad", got)
            if p.requires_grad:
                self._add_leaf("parameter", name, p)

    def forward(self, fn: Callable[..., Any], arrays: list[Any], constants: dict[str, Any]) -> Any:
        """Run an operation; return its vjp with the record of what was seen."""
        start = time.perf_counter()
        out, vjp = fn(*arrays, **constants)
        seconds = time.perf_counter() - start
        found = Vertex(fn.__name__, "", out.shape, str(out.dtype), Values.of(out), calls=self._calls())
        found.scope = found.calls[-1].name if found.calls else ""
        found.forward, found.line, found.saved = seconds, user_line(), self._saved(vjp)
        found.maps = attention_maps(fn.__name__, out, vjp)
        self.arrays[id(found)] = [*arrays, *constants.values()]
        return out, switches.Noted(vjp=vjp, vertex=found)

    def backward(self, node: tape.Node, dout: Any) -> Any:
        """Run a vjp; note its time, and the gradient it was given. What ran before the trace is not entered."""
        recorded: Any = node.vjp
        if not hasattr(recorded, "vertex"):
            self.before[node] = dout
            return [None] * len(node.parents)
        start = time.perf_counter()
        grads = recorded(dout)
        recorded.vertex.backward = time.perf_counter() - start
        recorded.vertex.gradient = Values.of(dout)
        return grads

    def _calls(self) -> tuple[Call, ...]:
        """Return the calls of modules that are running, the outermost first; a method of one is part of it."""
        frames: list[Any] = [sys._getframe(2)]
        while frames[-1].f_back not in (None, self.outside):
            frames.append(frames[-1].f_back)
        calls: list[Call] = []
        before = None
        for frame in reversed(frames):
            owner = frame.f_locals.get("self")
            if not _is_module(owner) or owner is before:
                continue
            before, kind = owner, type(owner).__name__
            if id(owner) not in self.modules:
                self._add_module(owner, f"{calls[-1].name}.{kind}" if calls else kind)
            number = self.calls.setdefault(frame, len(self.calls))
            calls.append(Call(number, self.modules[id(owner)][0], kind))
        return tuple(call for call in calls if call.name)

    def _saved(self, vjp: Any) -> int:
        """Return the bytes of the buffers that the vjp names and no leaf or earlier vjp owns."""
        found = {id(b): b for b in map(_buffer, versions.saved_arrays(vjp))}
        fresh = {key: b for key, b in found.items() if key not in self.owned}
        self.owned |= fresh
        return sum(b.nbytes for b in fresh.values())


def _buffer(array: Any) -> Any:
    """Return the array that owns the memory, if a view of one is given."""
    return array.base if is_array(array.base) else array


def _argument(x: Any) -> Any:
    """Return floats, of any library or in a list, as a Tensor that wants a gradient; all else as it is."""
    if isinstance(x, Tensor):
        wants = x.dtype in FLOATS and not x.requires_grad
        return wrap(x.array, requires_grad=True) if wants else x
    if hasattr(x, "detach"):  # PyTorch's
        x = x.detach().cpu()
    if isinstance(x, list) or (hasattr(x, "__array__") and not is_array(x)):
        x = np.asarray(x)
    return wrap(x, requires_grad=True) if is_array(x) and x.dtype in FLOATS else x


def _outputs(value: Any) -> Iterator[Tensor]:
    """Yield the Tensors with a history in a Tensor, tuple, list or dict."""
    if isinstance(value, Tensor) and value.requires_grad:
        yield value
    elif isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _outputs(item)


def _is_module(x: Any) -> bool:
    return hasattr(type(x), "named_modules")  # of the type, since an object may answer to every name


def _named(fn: Any, arguments: list[Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs by the names that fn gives them."""
    try:
        names = list(inspect.signature(getattr(fn, "forward", fn)).parameters)
    except (TypeError, ValueError):
        names = []
    names += [f"input {i}" for i in range(len(names), len(arguments))]
    return dict(zip(names, arguments)) | options


def _nodes(roots: Iterable[Any]) -> list[tape.Node]:
    """Return all nodes at or below the roots, the leaves first, then oldest first."""
    found, stack = set(), list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            if hasattr(node.vjp, "vertex"):
                stack += [parent for parent in node.parents if parent is not None]
    return sorted(found, key=lambda node: (hasattr(node.vjp, "vertex"), node.age))


def _vertices(nodes: list[Any], recorder: _Recorder) -> dict[Any, Vertex]:
    """Return one vertex per input without a gradient and per node, with the places of its inputs."""
    place = {key: i for i, key in enumerate([*recorder.ids, *nodes])}
    vertices: dict[Any, Vertex] = {name: _leaf("input", name, a) for name, a in recorder.ids.items()}
    for node in nodes:
        if not hasattr(node.vjp, "vertex"):  # of an array that is seen below, when an operation reads it
            kind, name, tensor = recorder.leaves.get(node, ("input", "a leaf", None))
            vertices[node] = _leaf(kind, name, np.zeros(node.shape) if tensor is None else tensor.array)
            continue
        vertices[node] = vertex = node.vjp.vertex
        arrays = recorder.arrays[id(vertex)]
        for parent, array in zip(node.parents, arrays):
            if parent is not None:
                vertex.inputs.append(place[parent])
                if vertices[parent].name == "a leaf":
                    vertices[parent] = _leaf("input", "a leaf", array)
        vertex.inputs += [place[n] for n, a in recorder.ids.items() if any(_same(a, x) for x in arrays)]
    return vertices


def _leaf(kind: str, name: str, array: Any) -> Vertex:
    scope, _, last = name.rpartition(".")
    return Vertex(last, scope, array.shape, str(array.dtype), Values.of(array), leaf=kind)


def _same(a: Any, x: Any) -> bool:
    """Is x the array a, or a copy of it in another shape?"""
    return is_array(x) and x.size == a.size > 1 and bool((x.reshape(-1) == a.reshape(-1)).all())


def _walk_back(root: Any, vertices: dict[tape.Node, Vertex], recorder: _Recorder) -> None:
    random = np.random.default_rng(COTANGENT).standard_normal(root.shape)
    dout = np.asarray(random if root.numel() > 1 else np.ones(root.shape), root.dtype)
    with switches.watched_by(recorder):
        grads = tape.gradients(root._node, move(dout, root.device), retain_graph=True)
    for node, grad in (grads | recorder.before).items():
        vertices[node].gradient = Values.of(grad)


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f} us"
