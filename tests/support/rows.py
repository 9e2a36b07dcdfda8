"""One row per operation: how to draw its inputs, and what it must equal.

`tests/test_ops.py` runs every property over every row. An operation that takes constants has a row
for each way they change its path: axes, masks, indices, reductions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import nn.functional as ours
from minigrad import primitives
from minigrad.tensor import Tensor
from nn.functional.batch_norm import normalise_batch
from nn.functional.cross_entropy import nll
from nn.functional.dropout import drop
from nn.functional.embedding import take_rows
from nn.functional.gelu import gelu_erf, gelu_tanh
from nn.functional.scaled_dot_product import attend

NONE = lambda n, rng: {}  # noqa: E731
tensor = Tensor(0.0).__tensor_namespace__()  # the module of the functions on Tensors


@dataclass(frozen=True)
class Row:
    """One operation in one of its uses."""

    name: str
    fn: Callable  # on Tensors, as users call it: fn(*inputs, **constants)
    inputs: tuple[str | None, ...]  # the shape of each input, one letter an axis ("1": of length 1)
    torch: Callable  # the same in PyTorch, with the same constants
    array: Callable | None = None  # the array function below it, with the same constants
    constants: Callable = NONE  # (lengths by letter, rng) -> keyword arguments
    values: str | tuple[str, ...] = "normal"  # for each input, or for all: a key of VALUES
    lengths: dict[str, tuple[int, int]] = field(default_factory=dict)  # of letters that are not 1..4
    empty: str | None = None  # letters whose length may be 0; None: all
    flat: bool = False  # its gradient is zero everywhere
    partial: bool = False  # its gradient leaves out a part of the derivative, on purpose
    double_only: bool = False  # meant for float64, or too ill-conditioned for float32
    near: bool = False  # elsewhere than NumPy, backend.py sums in another order: equal but for rounding

    @property
    def letters(self):
        return sorted({*"".join(filter(None, self.inputs)), *self.lengths} - {"1"})

    @property
    def may_vanish(self):
        """The letters whose length may be 0."""
        return [c for c in self.letters if self.empty is None or c in self.empty]

    def case(self, lengths, seed):
        """Inputs and constants for these lengths, every number from `seed`."""
        rng = np.random.default_rng(seed)
        kinds = [self.values] * len(self.inputs) if isinstance(self.values, str) else self.values
        shapes = [s if s is None else tuple(1 if c == "1" else lengths[c] for c in s) for s in self.inputs]
        inputs = [None if s is None else np.asarray(VALUES[kind](rng, s)) for s, kind in zip(shapes, kinds)]
        if self.values == "apart":
            inputs = draw_apart(rng, shapes)
        return Case(self, inputs, self.constants(lengths, rng), lengths, seed)


@dataclass(frozen=True)
class Case:
    """A row with numbers."""

    row: Row
    inputs: list
    constants: dict
    lengths: dict
    seed: int

    def __repr__(self):
        return f"row({self.row.name!r}).case({self.lengths}, seed={self.seed})"

    def direction(self, shape, salt=0):
        """Random numbers of `shape`: a cotangent, or a direction to move in."""
        return np.random.default_rng([self.seed, salt]).standard_normal(shape)


def draw_apart(rng, shapes):
    """Arrays whose elements all differ by 0.3 or more, with none at 0: no kink or tie is near."""
    sizes = [0 if s is None else int(np.prod(s)) for s in shapes]
    every = (rng.permutation(sum(sizes)) - sum(sizes) // 2 + 0.5) * 0.3
    parts = np.split(every, np.cumsum(sizes)[:-1])
    return [None if s is None else part.reshape(s) for s, part in zip(shapes, parts)]


VALUES = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "positive": lambda rng, shape: 0.5 + rng.random(shape) * 1.5,
    "far": lambda rng, shape: 9.0 + 0.1 * rng.standard_normal(shape),  # scores of q and k near 80 sqrt(D)
    "apart": lambda rng, shape: draw_apart(rng, [shape])[0],
}


@st.composite
def cases(draw, row):
    """A case of the row; hypothesis draws, and shrinks, the lengths."""
    lengths = {c: draw(st.integers(*row.lengths.get(c, (1, 4))), label=c) for c in row.letters}
    return row.case(lengths, draw(st.integers(0, 2**32 - 1), label="seed"))


# --- elementwise ---


def elementwise(name, torch_fn, values="normal", fn=None, **options):
    array = getattr(primitives, name)
    return Row(name, fn or getattr(tensor, name), ("ab",), torch_fn, array, values=values, **options)


def with_number(name, array, fn, values="normal", flat=False, **constants):
    """An operator between a Tensor and a Python number: the same expression in both libraries."""
    array = array and getattr(primitives, array)
    return Row(f"{name} {constants}", fn, ("ab",), fn, array, lambda n, rng: constants, values, flat=flat)


def arithmetic(name, fn, values="normal"):
    """An operator between two Tensors, alike or broadcast both ways."""
    array = getattr(primitives, name)
    shapes = {"": ("ab", "ab"), " broadcast": ("a1c", "bc"), " with 0-d": ("ab", "")}
    return [Row(name + how, fn, inputs, fn, array, values=values) for how, inputs in shapes.items()]


def either(name, our_fn, torch_fn, values):
    """A function of two Tensors, broadcast."""
    return Row(name, our_fn, ("ab", "a1"), torch_fn, getattr(primitives, name), values=values)


ELEMENTWISE = [
    *arithmetic("add", lambda a, b: a + b),
    *arithmetic("subtract", lambda a, b: a - b),
    *arithmetic("multiply", lambda a, b: a * b),
    *arithmetic("divide", lambda a, b: a / b, ("normal", "positive")),
    *arithmetic("raise_to", lambda a, b: a**b, ("positive", "normal")),
    with_number("x + number", "shift", lambda x, number: x + number, number=1.5),
    with_number("x * number", "scale", lambda x, number: x * number, number=-1.5),
    with_number("x / number", "divide_by", lambda x, number: x / number, number=3),
    with_number("x - number", None, lambda x, number: x - number, number=2),
    with_number("number + x", None, lambda x, number: number + x, number=2),
    with_number("number - x", None, lambda x, number: number - x, number=2),
    with_number("number * x", None, lambda x, number: number * x, number=2),
    with_number("number / x", None, lambda x, number: number / x, "positive", number=2),
    with_number("number ** x", None, lambda x, number: number**x, number=2.5),
    *[
        with_number("power", "power", lambda x, exponent: x**exponent, "positive", exponent=n, flat=n == 0)
        for n in (0.0, 1.0, 2.0, 3.0, 4.0, 0.5, 2.5, -1.0, -1.5)
    ],
    elementwise("negative", torch.neg, fn=lambda x: -x),
    elementwise("absolute", torch.abs, "apart"),
    elementwise("sign", torch.sign, "apart", flat=True),
    elementwise("exp", torch.exp),
    elementwise("log", torch.log, "positive"),
    elementwise("sqrt", torch.sqrt, "positive"),
    elementwise("tanh", torch.tanh),
    elementwise("sin", torch.sin),
    elementwise("cos", torch.cos),
    elementwise("sigmoid", torch.sigmoid),
    elementwise("relu", torch.relu, "apart"),
    elementwise("erf", torch.erf),
    either("maximum", tensor.maximum, torch.maximum, "apart"),
    either("minimum", tensor.minimum, torch.minimum, "apart"),
    *[
        Row(
            f"clip {low} {high}",
            lambda x, low, high: x.clip(low, high),
            ("ab",),
            lambda x, low, high: torch.clip(x, low, high),
            primitives.clip,
            lambda n, rng, low=low, high=high: {"low": low, "high": high},
            "apart",
        )
        for low, high in ((-0.6, 0.9), (-0.3, None), (None, 0.3))
    ],
    Row(
        "where",
        lambda a, b, condition: tensor.where(condition, a, b),
        ("ab", "b"),
        lambda a, b, condition: torch.where(condition, a, b),
        primitives.where,
        lambda n, rng: {"condition": rng.random((n["a"], n["b"])) < 0.5},
    ),
    Row(
        "where, the condition the largest",
        lambda a, b, condition: tensor.where(condition, a, b),
        ("b", "1"),
        lambda a, b, condition: torch.where(condition, a, b),
        primitives.where,
        lambda n, rng: {"condition": rng.random((3, n["b"])) < 0.5},
    ),
    Row(
        "masked_fill",
        lambda x, mask: x.masked_fill(mask, -2.0),
        ("ab",),
        lambda x, mask: x.masked_fill(mask, -2.0),
        constants=lambda n, rng: {"mask": rng.random(n["b"]) < 0.5},
        lengths={"b": (2, 4)},
        empty="a",
    ),
    Row("tril", lambda x: x.tril(), ("abc",), torch.tril),
    Row("tril 1", lambda x: x.tril(1), ("abc",), lambda x: x.tril(1)),
    Row("triu", lambda x: x.triu(-1), ("abc",), lambda x: x.triu(-1)),
    Row("clone", lambda x: x.clone(), ("ab",), torch.clone),
]

# --- reductions ---


def dims(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis


def reduction(name, torch_fn, axes, values="normal", empty=None, fn=None, array=True, **options):
    """A row per (axis, keepdims)."""
    fn = fn or (lambda x, axis, keepdims: getattr(x, name)(axis=axis, keepdims=keepdims))
    return [
        Row(
            f"{name} {axis} {'kept' if keepdims else ''}",
            fn,
            ("abc",),
            lambda x, axis, keepdims: torch_fn(x, dims(x, axis), keepdims),
            getattr(primitives, name) if array else None,
            lambda n, rng, axis=axis, keepdims=keepdims: {"axis": axis, "keepdims": keepdims},
            values,
            empty=empty if empty is None else empty[axis],
            **options,
        )
        for axis, keepdims in axes
    ]


AXES = [(None, False), (None, True), (0, False), (-2, True), (-1, False), ((0, 2), False), ((-1, 0), True)]
OTHERS = {None: "", 0: "bc", 1: "ac", -2: "ac", -1: "ab", (0, 2): "b", (-1, 0): "b"}  # axes that stay


def torch_prod(x, axis, keepdims):
    if isinstance(axis, int):
        return torch.prod(x, axis, keepdims)
    return torch.prod(x).reshape((1,) * x.ndim if keepdims else ())


REDUCTIONS = [
    *reduction("sum", torch.sum, AXES),
    *reduction("mean", torch.mean, AXES, empty=OTHERS),
    *reduction("max", torch.amax, AXES, "apart", OTHERS),
    *reduction("min", torch.amin, AXES, "apart", OTHERS),
    *reduction("logsumexp", torch.logsumexp, AXES, empty=OTHERS),
    *reduction(
        "var",
        lambda x, axis, keepdims: torch.var(x, axis, correction=0, keepdim=keepdims),
        AXES,
        empty=dict.fromkeys(OTHERS, ""),
        fn=lambda x, axis, keepdims: x.var(axis, keepdims, correction=0),
        array=False,
        lengths={"a": (2, 4), "b": (2, 4), "c": (2, 4)},
    ),
    *reduction(
        "std",
        lambda x, axis, keepdims: torch.std(x, axis, keepdim=keepdims),
        [(None, False), (1, True)],
        "apart",
        empty=dict.fromkeys(OTHERS, ""),
        array=False,
        lengths={"a": (2, 4), "b": (2, 4), "c": (2, 4)},
    ),
    *reduction(
        "prod", torch_prod, [(None, False), (None, True), (0, False), (-2, True)], "positive", array=False
    ),
    *[
        Row(
            f"cumsum {axis}",
            lambda x, axis: x.cumsum(axis),
            ("abc",),
            lambda x, axis: torch.cumsum(x, axis),
            primitives.cumsum,
            lambda n, rng, axis=axis: {"axis": axis},
        )
        for axis in (0, 1, -1)
    ],
]

# --- products ---

PRODUCTS = [
    *[
        Row(f"matmul {a} {b}", lambda a, b: a @ b, (a, b), torch.matmul, primitives.matmul)
        for a, b in [("a", "a"), ("ab", "b"), ("a", "ab"), ("ab", "bc"), ("nab", "nbc"), ("nab", "bc")]
        + [("ab", "nbc"), ("n1ab", "mbc"), ("a", "nab"), ("nab", "b"), ("mnab", "1nbc")]
    ],
    *[
        Row(
            f"einsum {subscripts}",
            lambda *operands, subscripts: tensor.einsum(subscripts, *operands),
            tuple(subscripts.partition("->")[0].split(",")),
            lambda *operands, subscripts: torch.einsum(subscripts, *operands),
            primitives.einsum,
            lambda n, rng, subscripts=subscripts: {"subscripts": subscripts},
        )
        for subscripts in ["bi,ij->bj", "ij,ij->", "i,j->ij", "bhtd,bhsd->bhts", "ij->j", "ij->ji"]
        + ["i,ij,j->", "ij,k->i", "i->i"]
    ],
]

# --- shapes and indexing ---


def shape_row(name, fn, inputs="abc", torch_fn=None, **options):
    return Row(name, fn, (inputs,), torch_fn or fn, **options)


def index_row(name, index, torch_fn=None, inputs="abc", **options):
    """x[index]; `index` is made from the lengths and an rng."""
    torch_fn = torch_fn or (lambda x, index: x[index])
    draw = lambda n, rng: {"index": index(n, rng)}  # noqa: E731
    return Row(
        f"x[{name}]", lambda x, index: x[index], (inputs,), torch_fn, primitives.getitem, draw, **options
    )


def piecewise(x, sizes, axis):
    """split, and the pieces joined in another order."""
    pieces = x.split(sizes, axis) if isinstance(x, Tensor) else torch.split(x, sizes, axis)
    return (tensor.concatenate if isinstance(x, Tensor) else torch.concatenate)(pieces[::-1], axis)


def torch_scatter(x, index, shape):
    return torch.zeros(shape, dtype=x.dtype).index_put(index, x, accumulate=True)


SHAPES = [
    Row(
        "reshape",
        lambda x, shape: x.reshape(shape),
        ("abc",),
        lambda x, shape: x.reshape(shape),
        primitives.reshape,
        lambda n, rng: {"shape": (n["c"], n["a"] * n["b"])},
    ),
    Row(
        "permute",
        lambda x, axes: x.permute(axes),
        ("abc",),
        lambda x, axes: x.permute(axes),
        primitives.transpose,
        lambda n, rng: {"axes": (2, 0, -2)},
    ),
    Row(
        "broadcast_to",
        lambda x, shape: x.broadcast_to(shape),
        ("a1",),
        lambda x, shape: x.broadcast_to(shape),
        primitives.broadcast_to,
        lambda n, rng: {"shape": (3, n["a"], 2)},
    ),
    Row(
        "concatenate",
        lambda *tensors, axis: tensor.concatenate(tensors, axis),
        ("ab", "ac", "ad"),
        lambda *tensors, axis: torch.concatenate(tensors, axis),
        primitives.concatenate,
        lambda n, rng: {"axis": -1},
    ),
    Row(
        "concatenate rows",
        lambda a, b, axis: tensor.concatenate([a, b], axis),
        ("ac", "bc"),
        lambda a, b, axis: torch.concatenate([a, b], axis),
        primitives.concatenate,
        lambda n, rng: {"axis": 0},
    ),
    Row(
        "astype",
        lambda x, dtype: x.astype(np.float64),
        ("ab",),
        lambda x, dtype: x.double(),
        primitives.astype,
        lambda n, rng: {"dtype": np.dtype(np.float64)},
        double_only=True,
    ),
    Row("stack", lambda a, b: tensor.stack([a, b], 1), ("ab", "ab"), lambda a, b: torch.stack([a, b], 1)),
    Row(
        "stack last",
        lambda a, b: tensor.stack([a, b], -1),
        ("ab", "ab"),
        lambda a, b: torch.stack([a, b], -1),
    ),
    shape_row("flatten", lambda x: x.flatten(1), empty="a"),
    shape_row("flatten all", lambda x: x.flatten()),
    shape_row("transpose two axes", lambda x: x.transpose(0, 2)),
    shape_row("transpose", lambda x: x.transpose(), torch_fn=lambda x: x.permute(2, 1, 0)),
    shape_row("swapaxes", lambda x: x.swapaxes(-1, 0)),
    shape_row("T", lambda x: x.T, "ab"),
    shape_row("mT", lambda x: x.mT),
    shape_row("squeeze", lambda x: x.squeeze(), "a1b1"),
    shape_row("squeeze an axis", lambda x: x.squeeze(1), "a1b1"),
    shape_row("unsqueeze", lambda x: x.unsqueeze(1)),
    shape_row("unsqueeze last", lambda x: x.unsqueeze(-1)),
    shape_row("expand", lambda x: x.expand(2, -1, 3), "a1"),
    shape_row("split", lambda x: piecewise(x, 2, -1), empty="ab"),
    shape_row("split by lengths", lambda x: piecewise(x, [1, 0, x.shape[1] - 1], 1), empty="ac"),
    shape_row("sum of the elements of iteration", lambda x: list(x)[-1] * list(x)[0], empty="bc"),
    index_row("0", lambda n, rng: 0, empty="bc"),
    index_row("1:, ::2", lambda n, rng: (slice(1, None), slice(None, None, 2))),
    index_row("::-1", lambda n, rng: slice(None, None, -1), lambda x, index: x.flip(0)),
    index_row("..., None, -1", lambda n, rng: (..., None, -1), empty="ab"),
    index_row("boolean", lambda n, rng: rng.random((n["a"], n["b"], n["c"])) < 0.7),
    index_row("boolean rows", lambda n, rng: np.arange(n["a"]) % 3 == 0),
    index_row("ids with repeats", lambda n, rng: rng.integers(0, n["a"], 6), empty="bc"),
    index_row("negative ids", lambda n, rng: -1 - rng.integers(0, n["a"], (2, 3)), empty="bc"),
    index_row(":, ids", lambda n, rng: (slice(None), rng.integers(0, n["b"], 5)), empty="ac"),
    index_row("ids, ids", lambda n, rng: (rng.integers(0, n["a"], 5), rng.integers(0, n["b"], 5)), empty="c"),
    index_row("ids, 1:", lambda n, rng: (rng.integers(0, n["a"], 5), slice(1, None)), empty="bc"),
    Row(
        "gather",
        lambda x, index: x.gather(1, index),
        ("abc",),
        lambda x, index: torch.gather(x, 1, index),
        constants=lambda n, rng: {"index": rng.integers(0, n["b"], (n["a"], 3, n["c"]))},
        empty="ac",
    ),
    Row(
        "scatter_add",
        tensor.scatter_add,
        ("na",),
        torch_scatter,
        primitives.scatter_add,
        lambda n, rng: {"index": (rng.integers(0, 3, n["n"]),), "shape": (3, n["a"])},
    ),
]

# --- fused operations ---


def keep(shape, n, rng):
    return rng.random([n[c] for c in shape]) < 0.7


def torch_attend(q, k, v, mask=None, is_causal=False, scale=None, keep=None, p=0.0):
    """PyTorch's attention by its plain formula, which it can differentiate twice."""
    if keep is None:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return F.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal, scale=scale)
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return torch.softmax(scores, -1) * keep / (1 - p) @ v


def torch_causal(qkv, n_head, keep=None, p=0.0):
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = (x.reshape(B, T, n_head, C // n_head).transpose(1, 2) for x in qkv.split(C, -1))
    return torch_attend(q, k, v, is_causal=True, keep=keep, p=p).transpose(1, 2).reshape(B, T, C)


def attention(name, constants=NONE, inputs=("bhtd", "bhsd", "bhse"), **options):
    options = {"empty": "b", "near": True} | options
    return Row(f"attend {name}", attend, inputs, torch_attend, attend.array, constants, **options)


def boolean_mask(n, rng):
    mask = rng.random((n["t"], n["s"])) < 0.6
    mask[:, 0] = True
    return mask


def with_forbidden_rows(n, rng):
    mask = boolean_mask(n, rng)
    mask[1::2] = False
    return mask


def additive_mask(n, rng):
    return np.where(with_forbidden_rows(n, rng), rng.standard_normal((n["t"], n["s"])), -np.inf)


def dropped(n, rng):
    return {"keep": keep("bhts", n, rng), "p": 0.3}


LONG = {"t": (129, 130), "s": (129, 131), "b": (1, 1), "h": (1, 2), "d": (2, 2), "e": (2, 2)}

ATTENTION = [
    attention("", lengths={"s": (1, 5)}, empty="bts"),
    attention("without batch", inputs=("td", "sd", "se"), empty="ts"),
    attention("scaled", lambda n, rng: {"scale": 0.3}),
    attention("causal", lambda n, rng: {"is_causal": True}, empty="bts"),
    attention("causal with dropout", lambda n, rng: {"is_causal": True} | dropped(n, rng)),
    attention("boolean mask", lambda n, rng: {"mask": boolean_mask(n, rng)}),
    attention(
        "boolean mask with dropout",
        lambda n, rng: {"mask": boolean_mask(n, rng)} | dropped(n, rng),
    ),
    attention("forbidden rows", lambda n, rng: {"mask": with_forbidden_rows(n, rng)}),
    attention(
        "padding mask",
        lambda n, rng: {"mask": np.arange(n["s"]) <= rng.integers(0, n["s"], (n["b"], 1, 1, 1))},
    ),
    attention("additive mask", lambda n, rng: {"mask": additive_mask(n, rng)}),
    attention("mask per key", lambda n, rng: {"mask": rng.standard_normal((n["b"], 1, 1, n["s"]))}),
    attention("large scores", values=("far", "far", "normal")),
    attention("large scores, causal", lambda n, rng: {"is_causal": True}, values=("far", "far", "normal")),
    attention(
        "large scores, forbidden rows",
        lambda n, rng: {"mask": with_forbidden_rows(n, rng)},
        values=("far", "far", "normal"),
    ),
    attention("blocks", lengths=LONG),
    attention("blocks, causal", lambda n, rng: {"is_causal": True}, lengths=LONG),
    attention("blocks, causal, few keys", lambda n, rng: {"is_causal": True}, lengths=LONG | {"s": (60, 70)}),
    attention(
        "blocks, causal, many keys", lambda n, rng: {"is_causal": True}, lengths=LONG | {"t": (65, 70)}
    ),
    attention(
        "blocks, masked, with dropout",
        lambda n, rng: {"mask": boolean_mask(n, rng)} | dropped(n, rng),
        lengths=LONG,
    ),
    attention(
        "blocks, causal, large scores",
        lambda n, rng: {"is_causal": True},
        lengths=LONG,
        values=("far", "far", "normal"),
    ),
    attention("blocks, additive mask", lambda n, rng: {"mask": additive_mask(n, rng)}, lengths=LONG),
    Row(
        "scaled_dot_product_attention with a learned mask",
        ours.scaled_dot_product_attention,
        ("btd", "bsd", "bse", "ts"),
        torch_attend,
        empty="b",
    ),
    *[
        Row(
            f"causal_attention {name}",
            ours.causal_attention,
            ("btx",),
            torch_causal,
            ours.causal_attention.array,
            constants,
            lengths={"x": (12, 12), "t": t, "b": (1, 2)},
            empty="b",
            near=True,
        )
        for name, t, constants in [
            ("", (1, 5), lambda n, rng: {"n_head": 2}),
            ("one head", (1, 5), lambda n, rng: {"n_head": 1}),
            (
                "with dropout",
                (1, 5),
                lambda n, rng: {"n_head": 2, "keep": keep("b2tt", n | {"2": 2}, rng), "p": 0.3},
            ),
            ("blocks", (65, 66), lambda n, rng: {"n_head": 2}),
        ]
    ],
]


def targets(n, rng, shape="n", ignore_index=None):
    """Class ids; the first is never ignored."""
    ids = rng.integers(0, n["v"], [n[c] for c in shape])
    if ignore_index is not None:
        ids.reshape(-1)[:1] = 0
        ids.reshape(-1)[1::2] = ignore_index
    return ids


def loss_rows():
    """cross_entropy: layouts of the input, and every option."""
    rows = [
        ("mean", ("nv",), "n", {}),
        ("sum", ("nv",), "n", {"reduction": "sum"}),
        ("none", ("nv",), "n", {"reduction": "none"}),
        ("one row", ("v",), "", {}),
        ("with places", ("nvt",), "nt", {"reduction": "none"}),
        ("with places, mean", ("nvt",), "nt", {"ignore_index": 1, "label_smoothing": 0.1}),
        ("ignore_index", ("nv",), "n", {"ignore_index": -100}),
        ("smoothed", ("nv",), "n", {"label_smoothing": 0.2}),
        (
            "smoothed, ignore_index",
            ("nv",),
            "n",
            {"label_smoothing": 0.2, "ignore_index": 2, "reduction": "sum"},
        ),
    ]
    return [
        Row(
            f"cross_entropy {name}",
            ours.cross_entropy,
            inputs,
            F.cross_entropy,
            constants=lambda n, rng, shape=shape, options=options: (
                {"target": targets(n, rng, shape, options.get("ignore_index"))} | options
            ),
            lengths={"v": (3, 5)},
            empty="n" if options.get("reduction") else "",
        )
        for name, inputs, shape, options in rows
    ]


def torch_layer_norm(x, weight=None, bias=None):
    y = F.layer_norm(x, x.shape[-1:], weight)  # the bias aside: without a weight it has no double backward
    return y if bias is None else y + bias


def torch_batch_norm(x, weight=None, bias=None, running_mean=None, running_var=None):
    y = F.batch_norm(x, running_mean, running_var, weight, training=running_mean is None)
    return y if bias is None else y + bias.reshape(-1, *[1] * (x.ndim - 2))


def torch_nll(logits, targets, **options):
    return F.cross_entropy(logits, targets, reduction="none", **options)


def embedding_row(name, padding_idx):
    return Row(
        f"embedding {name}",
        lambda weight, ids, padding_idx: ours.embedding(ids, weight, padding_idx),
        ("vc",),
        lambda weight, ids, padding_idx: F.embedding(ids, weight, padding_idx),
        take_rows.array,
        lambda n, rng: {"ids": rng.integers(0, n["v"], (2, 3)), "padding_idx": padding_idx},
        lengths={"v": (3, 5)},
        empty="",
        near=True,
        partial=padding_idx is not None,
    )


FUSED = [
    Row("linear", ours.linear, ("abi", "oi", "o"), F.linear, ours.linear.array, empty="ab"),
    Row("linear without bias", ours.linear, ("ai", "oi"), F.linear, ours.linear.array, empty="a"),
    Row("linear of one row", ours.linear, ("i", "oi", "o"), F.linear, ours.linear.array, empty=""),
    *[
        Row(
            f"layer_norm {name}",
            ours.layer_norm,
            inputs,
            torch_layer_norm,
            ours.layer_norm.array,
            values=("apart", "normal", "normal")[: len(inputs)],
            lengths={"c": channels},
            empty="ab",
            near=True,
            double_only=channels == (1, 1),
            flat=name == "of one channel",
        )
        for name, inputs, channels in [
            ("", ("abc", "c", "c"), (2, 5)),
            ("plain", ("abc",), (3, 5)),
            ("without bias", ("ac", "c"), (2, 5)),
            ("without weight", ("ac", None, "c"), (3, 5)),
            ("of one row", ("c", "c", "c"), (3, 5)),
            ("of one channel", ("ac",), (1, 1)),
        ]
    ],
    *[
        Row(
            f"batch_norm {name}",
            normalise_batch,
            inputs,
            torch_batch_norm,
            normalise_batch.array,
            values=("apart", "normal", "normal")[: len(inputs)],
            lengths={"n": (3, 5)},
            empty="",
        )
        for name, inputs in [
            ("", ("nc", "c", "c")),
            ("plain", ("nc",)),
            ("with places", ("nctu", "c", "c")),
            ("without bias", ("nct", "c")),
            ("without weight", ("nc", None, "c")),
        ]
    ],
    Row(
        "batch_norm in evaluation",
        lambda x, weight, bias, running_mean, running_var: ours.batch_norm(
            x, Tensor(running_mean), Tensor(running_var), weight, bias
        ),
        ("nct", "c", "c"),
        torch_batch_norm,
        constants=lambda n, rng: {
            "running_mean": rng.standard_normal(n["c"]),
            "running_var": 0.5 + rng.random(n["c"]),
        },
        empty="nt",
    ),
    *[
        Row(
            f"{fn.__name__} {axis}",
            fn,
            ("abc",),
            lambda x, axis, f=torch_fn: f(x, axis),
            fn.array,
            lambda n, rng, axis=axis: {"axis": axis},
        )
        for fn, torch_fn in [(ours.softmax, torch.softmax), (ours.log_softmax, torch.log_softmax)]
        for axis in (-1, 0, 1)
    ],
    Row("gelu tanh", gelu_tanh, ("abc",), lambda x: F.gelu(x, approximate="tanh"), gelu_tanh.array),
    Row("gelu", gelu_erf, ("abc",), F.gelu, gelu_erf.array),
    Row("gelu of a number", lambda x: ours.gelu(x, "tanh"), ("",), lambda x: F.gelu(x, approximate="tanh")),
    Row(
        "drop",
        drop,
        ("abc",),
        lambda x, keep, p: x * keep / (1 - p),
        drop.array,
        lambda n, rng: {"keep": keep("abc", n, rng), "p": 0.3},
    ),
    Row("dropout in evaluation", lambda x: ours.dropout(x * 1.0, 0.5, False), ("ab",), lambda x: x * 1.0),
    Row("dropout of all", lambda x: ours.dropout(x, 1.0), ("ab",), lambda x: x * 0.0, flat=True),
    embedding_row("", None),
    embedding_row("with padding", 1),
    *[
        Row(
            f"nll {name}",
            nll,
            ("nv",),
            torch_nll,
            nll.array,
            lambda n, rng, options=options: (
                {"targets": targets(n, rng, "n", options.get("ignore_index"))} | options
            ),
            lengths={"v": (3, 5)},
            empty="n",
        )
        for name, options in [
            ("", {}),
            ("ignoring", {"ignore_index": 1}),
            ("smoothed", {"label_smoothing": 0.2}),
        ]
    ],
    *loss_rows(),
    *[
        Row(
            f"mse_loss {reduction}",
            ours.mse_loss,
            ("ab", "ab"),
            F.mse_loss,
            constants=lambda n, rng, reduction=reduction: {"reduction": reduction},
            empty="ab" if reduction != "mean" else "",
        )
        for reduction in ("mean", "sum", "none")
    ],
]

TABLE = [*ELEMENTWISE, *REDUCTIONS, *PRODUCTS, *SHAPES, *FUSED, *ATTENTION]
