"""The graph of one call, to read and to look at: every operation with its shape, bytes, times, ranges."""

import inspect
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import switches, tape
from minigrad.backend import is_array, move, to_numpy
from minigrad.console.tables import short, table
from minigrad.dtypes import FLOATS
from minigrad.errors import check_callable, type_error, value_error
from minigrad.tensor import Tensor, wrap
from minigrad.watch.anomaly import user_line
from minigrad.watch.page import dot, drawn, page

BINS = 25
COTANGENT = [0, 20240229]  # seeds what the walk back starts from; inputs are often drawn from seed 0


@dataclass(frozen=True)
class Values:
    """What an array looks like: its range, mean, spread and histogram, over its finite elements."""

    low: float
    high: float
    mean: float
    std: float
    histogram: list[int]
    not_finite: int

    @classmethod
    @np.errstate(all="ignore")  # the spread of large numbers may overflow
    def of(cls, a: Any) -> "Values":
        """Look at an array."""
        a = np.asarray(to_numpy(a), np.float64)
        finite = a[np.isfinite(a)]
        if not finite.size:
            return cls(np.nan, np.nan, np.nan, np.nan, [0] * BINS, a.size)
        ends = float(finite.min()) + 0.0, float(finite.max()) + 0.0  # -0 + 0 is 0
        counts = [0] * BINS
        counts[BINS // 2] = finite.size  # one bar in the middle, if all are equal
        half = ends[1] / 2 - ends[0] / 2  # of a range that itself may overflow
        if half > 0:
            counts = np.histogram((finite / 2 - ends[0] / 2) / half, BINS, (0, 1))[0].tolist()
        return cls(*ends, float(finite.mean()), float(finite.std()), counts, a.size - finite.size)

    def __str__(self) -> str:
        return f"{short(self.low)}..{short(self.high)}" + (" *" if self.not_finite else "")


@dataclass
class Vertex:
    """An operation or a leaf (an input or parameter) of the graph."""

    name: str  # of the operation, the input, or the parameter
    scope: str  # the module that called it, as a dotted name
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
        """Return a page that needs nothing else: the picture, values on hover, and the table."""
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

        graph = trace(model)(x);   print(graph);   graph.save("model.html")

    The walk starts from the first output: from 1 if it is a single number, else from a cotangent of
    normal random numbers, the same at each call. `.grad` of the parameters stays as it was.

    Raises    TypeError if fn is no function, or returns no Tensor that depends on a float input or a
              parameter.
    """
    check_callable("trace", fn)

    def traced(*inputs: Any, **options: Any) -> Graph:
        arguments = [_argument(x) for x in inputs]
        leaves = _leaf_names(fn, arguments)
        modules = dict(fn.named_modules()) if hasattr(fn, "named_modules") else {}
        recorder = _Recorder(modules, [x.array for _, _, x in leaves.values()])
        with switches.enable_grad(), switches.watched_by(recorder):
            output = fn(*arguments, **options)
        roots = list(_outputs(output))
        name = getattr(fn, "__name__", type(fn).__name__)
        if not roots:
            hint = "inputs are float32 or float64; compute with Tensors"
            raise type_error("trace", "a Tensor that depends on a float input", type(output).__name__, hint)
        vertices = _vertices(_nodes(y._node for y in roots), leaves)
        _walk_back(roots[0], vertices, recorder)
        return Graph(name, list(vertices.values()), output)

    return traced


class _Recorder:
    """A monitor of the tape that times operations and looks at what they return."""

    def __init__(self, modules: dict[str, Any], leaves: list[Any]) -> None:
        self.names = {id(module): name for name, module in modules.items()}
        self.owned = {id(b): b for b in map(_buffer, leaves)}  # by the leaves, or saved by an earlier vjp

    def forward(self, fn: Callable[..., Any], arrays: list[Any], constants: dict[str, Any]) -> Any:
        """Run an operation; return its vjp with the record of what was seen."""
        start = time.perf_counter()
        out, vjp = fn(*arrays, **constants)
        seconds = time.perf_counter() - start
        found = Vertex(fn.__name__, self._scope(), out.shape, str(out.dtype), Values.of(out))
        found.forward, found.line, found.saved = seconds, user_line(), self._saved(vjp)
        return out, switches.Noted(vjp=vjp, vertex=found)

    def backward(self, node: tape.Node, dout: Any) -> Any:
        """Run a vjp; note its time, and the gradient it was given."""
        start = time.perf_counter()
        recorded: Any = node.vjp
        grads = recorded(dout)
        recorded.vertex.backward = time.perf_counter() - start
        recorded.vertex.gradient = Values.of(dout)
        return grads

    def _scope(self) -> str:
        """Return the name of the innermost module that is being called."""
        frame = sys._getframe(2)
        while frame is not None:
            owner = frame.f_locals.get("self")
            if id(owner) in self.names:
                return self.names[id(owner)]
            frame = frame.f_back  # type: ignore[assignment]
        return ""

    def _saved(self, vjp: Any) -> int:
        """Return the bytes of the buffers that the vjp names and no leaf or earlier vjp owns."""
        found = {id(b): b for b in map(_buffer, _named_by(vjp, set()))}
        fresh = {key: b for key, b in found.items() if key not in self.owned}
        self.owned |= fresh
        return sum(b.nbytes for b in fresh.values())


def _buffer(array: Any) -> Any:
    """Return the array that owns the memory, if a view of one is given."""
    return array.base if is_array(array.base) else array


def _named_by(value: Any, seen: set[int]) -> Iterable[Any]:
    """Yield the arrays that a function's closure, or a list in it, holds."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if is_array(value):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _named_by(item, seen)
    elif inspect.isfunction(value):
        for cell in value.__closure__ or ():
            yield from _named_by(cell.cell_contents, seen)


def _argument(x: Any) -> Any:
    """Return floats, of any library or in a list, as a Tensor that wants a gradient; all else as it is."""
    if isinstance(x, Tensor):
        return x if x.requires_grad else wrap(x.array, requires_grad=True)
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


def _leaf_names(fn: Any, arguments: list[Any]) -> dict[Any, tuple[str, str, Any]]:
    """Return {node: (kind, name, Tensor)} of the inputs and parameters."""
    try:
        called = list(inspect.signature(getattr(fn, "forward", fn)).parameters)
    except (TypeError, ValueError):
        called = []
    called += [f"input {i}" for i in range(len(called), len(arguments))]
    found = {x._node: ("input", n, x) for x, n in zip(arguments, called) if isinstance(x, Tensor)}
    for name, p in fn.named_parameters() if hasattr(fn, "named_parameters") else ():
        if not isinstance(p, Tensor):
            got = f"a module of {type(p).__module__.partition('.')[0]}"
            raise type_error("trace", "a function of Tensors, or a Module of minigrad", got)
        found[p._node] = ("parameter", name, p)
    return found


def _nodes(roots: Iterable[Any]) -> list[tape.Node]:
    """Return all nodes at or below the roots, oldest first."""
    found, stack = set(), list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += [parent for parent in node.parents if parent is not None]
    return sorted(found, key=lambda node: node.age)


def _vertices(nodes: list[tape.Node], names: dict[Any, tuple[str, str, Any]]) -> dict[tape.Node, Vertex]:
    """Return one vertex per node, with the places of its inputs."""
    place = {node: i for i, node in enumerate(nodes)}
    vertices = {}
    for node in nodes:
        if node.vjp is not None:
            recorded: Any = node.vjp
            vertex = recorded.vertex
            vertex.inputs = [place[p] for p in node.parents if p is not None]
        else:
            kind, name, tensor = names.get(node, ("input", "a leaf", None))
            scope, _, last = name.rpartition(".")
            values = Values.of(np.zeros(0) if tensor is None else tensor.array)
            dtype = "" if tensor is None else str(tensor.dtype)
            vertex = Vertex(last, scope, node.shape, dtype, values, leaf=kind)
        vertices[node] = vertex
    return vertices


def _walk_back(root: Any, vertices: dict[tape.Node, Vertex], recorder: _Recorder) -> None:
    random = np.random.default_rng(COTANGENT).standard_normal(root.shape)
    dout = np.asarray(random if root.numel() > 1 else np.ones(root.shape), root.dtype)
    with switches.watched_by(recorder):
        grads = tape.gradients(root._node, move(dout, root.device), retain_graph=True)
    for node, grad in grads.items():
        vertices[node].gradient = Values.of(grad)


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f} us"
