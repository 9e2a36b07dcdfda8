"""One row per use of an operation: the catalogue's, with the axes, masks, edges and empties that the tests add.

`tests/test_ops.py` runs every property over every row. An operation that takes constants has a row
for each way they change its path: axes, masks, indices, reductions.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import nn.functional as ours
from minigrad.tensor import Tensor, wrap
from nn.check.catalogue import (
    LENGTHS,
    Array,
    Entry,
    from_two,
    full_mask,
    ids,
    inner,
    mask,
    normal,
    operations,
    positive,
    uniform,
)
from nn.functional.activations import exponential_linear
from nn.functional.batch_norm import normalise_batch
from nn.functional.binary import log_losses
from nn.functional.convolution import convolve
from nn.functional.cross_entropy import nll
from nn.functional.dropout import drop
from nn.functional.embedding import take_rows
from nn.functional.gelu import gelu_tanh
from nn.functional.gelu_erf import gelu_erf
from nn.functional.layer_norm import layer_norm as layer_norm_op
from nn.functional.linear import linear
from nn.functional.pooling import largest_seen
from nn.functional.rms_norm import scale_rows
from nn.functional.silu import times_sigmoid
from nn.functional.softmax import log_softmax, softmax
from nn.functional.softplus import log_sigmoid, smooth_relu
from tests.support import raw as primitives

tensor = wrap(0.0).__tensor_namespace__()  # the module of the functions on Tensors
CATALOGUE = {entry.name: entry for entry in operations()}


@dataclass(frozen=True)
class Row(Entry):
    """An entry, and what the properties must know of it."""

    array: Callable | None = None  # the array function below it, with the same constants
    empty: str | None = None  # letters whose length may be 0; None: all
    flat: bool = False  # its gradient is zero everywhere
    partial: bool = False  # its gradient leaves out a part of the derivative, on purpose
    double_only: bool = False  # meant for float64, or too ill-conditioned for float32
    edges: tuple = (0.0, 1.0, -1.0, 30.0, -30.0)  # values at which its formula, or its path, may change
    own_edges: bool = False  # PyTorch decides otherwise there
    near: bool = False  # elsewhere than NumPy, backend.py sums in another order: equal but for rounding

    @property
    def torch(self):
        """The same in PyTorch, with the same constants."""
        return self.against(torch)

    @property
    def may_vanish(self):
        """The letters whose length may be 0."""
        return [c for c in self.letters if self.empty is None or c in self.empty]

    def case(self, lengths, seed):
        """Inputs and constants for these lengths, every number from `seed`."""
        return Case(self, *self.draw(np.random.default_rng(seed), lengths), lengths, seed)


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
        return np.random.default_rng([self.seed, 1, salt]).standard_normal(shape)


@st.composite
def cases(draw, row):
    """A case of the row; hypothesis draws, and shrinks, the lengths."""
    lengths = {c: draw(st.integers(*row.lengths.get(c, LENGTHS)), label=c) for c in row.letters}
    return row.case(lengths, draw(st.integers(0, 2**32 - 1), label="seed"))


def of(entry, name, *inputs, **changes):
    """A row of that entry of the catalogue, with other inputs, properties and constants."""
    found = CATALOGUE[entry]
    options = {field.name: getattr(found, field.name) for field in fields(found)}
    options["array"] = getattr(primitives, entry, None) or getattr(found.fn, "array", None)
    return _row(options | {"name": name, "inputs": inputs or found.inputs}, changes)


def own(name, fn, theirs, *inputs, **changes):
    """A row of an operation that is no entry of the catalogue; without `theirs`, PyTorch runs `fn` as it is."""
    options = {"name": name, "fn": fn, "inputs": inputs, "array": getattr(fn, "array", None)}
    return _row(options | {"against": lambda torch: theirs or fn}, changes)


def _row(options, changes):
    """A row; changes that are no fields are constants, in place of those that the entry has."""
    constants = {name: change for name, change in changes.items() if name not in Row.__dataclass_fields__}
    changes = {name: change for name, change in changes.items() if name not in constants}
    return Row(**options | changes | ({"constants": constants} if constants else {}))


# --- values ---


def far(rng, shape):
    """Scores of q and k near 80 sqrt(D)."""
    return 9.0 + 0.1 * rng.standard_normal(shape)


def apart(rng, shape):
    """Elements that all differ by 0.3 or more, with none at 0: no kink or tie is near."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size // 2 + 0.5) * 0.3).reshape(shape)


def between(rng, shape):
    """Elements that differ by 0.1 or more from those of `apart`, too."""
    return apart(rng, shape) + 0.1


def aside(rng, shape):
    """Elements whose differences from those of `apart` are no multiples of 0.1: no loss changes its form there."""
    return apart(rng, shape) + 0.13


def kept(rng, shape):
    """Which elements dropout keeps."""
    return rng.random(shape) < 0.7


# --- elementwise ---


def arithmetic(entry, name, **options):
    """An operator between two Tensors, alike or broadcast both ways."""
    shapes = {"": ("ab", "ab"), " broadcast": ("a1c", "bc"), " with 0-d": ("ab", "")}
    return [of(entry, name + how, *inputs, **options) for how, inputs in shapes.items()]


def with_number(name, array, fn, number, **options):
    """An operator between a Tensor and a Python number: the same expression in both libraries."""
    array = array and getattr(primitives, array)
    return own(f"{name} {{'number': {number}}}", fn, None, "ab", array=array, number=number, **options)


ELEMENTWISE = [
    *arithmetic("add", "add"),
    *arithmetic("subtract", "subtract"),
    *arithmetic("multiply", "multiply"),
    *arithmetic("divide", "divide"),
    *arithmetic("power of an array", "raise_to", array=primitives.raise_to),
    with_number("x + number", "shift", lambda x, number: x + number, 1.5),
    with_number("x * number", "scale", lambda x, number: x * number, -1.5),
    with_number("x / number", "divide_by", lambda x, number: x / number, 3),
    with_number("x - number", "shift_down", lambda x, number: x - number, 2),
    with_number("number + x", None, lambda x, number: number + x, 2),
    with_number("number - x", "subtract_from", lambda x, number: number - x, 2),
    with_number("number * x", None, lambda x, number: number * x, 2),
    with_number("number / x", "divide_into", lambda x, number: number / x, 2, values=positive),
    with_number("number ** x", None, lambda x, number: number**x, 2.5),
    *[
        of("power", f"power {{'exponent': {n}}}", exponent=n, values=positive, flat=n == 0)
        for n in (0.0, 1.0, 2.0, 3.0, 4.0, 0.5, 2.5, -1.0, -1.5)
    ],
    of("negative", "negative"),
    of("abs", "absolute", values=apart, array=primitives.absolute),
    own("sign", tensor.sign, torch.sign, "ab", values=apart, array=primitives.sign, flat=True),
    *[of(name, name) for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "sigmoid")],
    of("relu", "relu", values=apart),
    of("erf", "erf"),
    of("maximum", "maximum", "ab", "a1", values=(apart, between)),
    of("minimum", "minimum", "ab", "a1", values=(apart, between)),
    *[
        of("clip", f"clip {low} {high}", low=low, high=high, values=apart)
        for low, high in ((-0.6, 0.9), (-0.3, None), (None, 0.3))
    ],
    of("where", "where", "bc", "c"),
    of("where", "where, the condition the largest", "b", "1", condition=Array(mask, "3b")),
    of("masked_fill", "masked_fill", mask=Array(mask, "c"), lengths={"c": (2, 4)}, empty="b"),
    of("tril", "tril", "abc"),
    own("tril 1", lambda x: x.tril(1), None, "abc"),
    own("triu", lambda x: x.triu(-1), None, "abc"),
    own("clone", lambda x: x.clone(), None, "ab"),
]

# --- reductions ---


def reduction(name, axes, empty=None, **options):
    """A row per (axis, keepdims); PyTorch is told all axes where none is named."""
    theirs = CATALOGUE[name].against(torch)

    def on_axes(x, axis, **more):
        return theirs(x, axis=tuple(range(x.ndim)) if axis is None else axis, **more)

    options = {"against": lambda torch: on_axes} | options
    names = {(axis, kept): f"{name} {axis} {'kept' if kept else ''}" for axis, kept in axes}
    return [
        of(name, names[axis, kept], "abc", axis=axis, keepdims=kept, empty=empty and empty[axis], **options)
        for axis, kept in axes
    ]


AXES = [(None, False), (None, True), (0, False), (-2, True), (-1, False), ((0, 2), False), ((-1, 0), True)]
OTHERS = {None: "", 0: "bc", 1: "ac", -2: "ac", -1: "ab", (0, 2): "b", (-1, 0): "b"}  # axes that stay
NONE = dict.fromkeys(OTHERS, "")


def torch_prod(x, axis, keepdims):
    if isinstance(axis, int):
        return torch.prod(x, axis, keepdims)
    return torch.prod(x).reshape((1,) * x.ndim if keepdims else ())


REDUCTIONS = [
    *reduction("sum", AXES),
    *reduction("mean", AXES, OTHERS),
    *reduction("max", AXES, OTHERS, values=apart),
    *reduction("min", AXES, OTHERS, values=apart),
    *reduction("logsumexp", AXES, OTHERS),
    *reduction("var", AXES, NONE, correction=0, lengths=from_two("abc")),
    *reduction("std", [(None, False), (1, True)], NONE, lengths=from_two("abc"), values=apart),
    *reduction("prod", AXES[:4], values=positive, against=lambda torch: torch_prod),
    *[of("cumsum", f"cumsum {axis}", "abc", axis=axis) for axis in (0, 1, -1)],
    *[
        own(f"{name} {axis}", fn, theirs, "abc", axis=axis)
        for name, fn, theirs in (
            ("softmax", softmax, torch.softmax),
            ("log_softmax", log_softmax, torch.log_softmax),
        )
        for axis in (-1, 0, 1)
    ],
    *[of(name, f"{name} of PyTorch's places", "abc", dim=1) for name in ("softmax", "log_softmax")],
]

# --- products ---

PRODUCTS = [
    *[
        of("matmul", f"matmul {a} {b}", a, b)
        for a, b in [("a", "a"), ("ab", "b"), ("a", "ab"), ("ab", "bc"), ("nab", "nbc"), ("nab", "bc")]
        + [("ab", "nbc"), ("n1ab", "mbc"), ("a", "nab"), ("nab", "b"), ("mnab", "1nbc")]
    ],
    *[
        of("einsum", f"einsum {text}", *text.partition("->")[0].split(","), subscripts=text)
        for text in ["bi,ij->bj", "ij,ij->", "i,j->ij", "bhtd,bhsd->bhts", "ij->j", "ij->ji"]
        + ["i,ij,j->", "ij,k->i", "i->i"]
    ],
]

# --- shapes and indexing ---


def shape_row(name, fn, inputs="abc", theirs=None, **options):
    return own(name, fn, theirs, inputs, **options)


def index_row(name, index, theirs=None, **options):
    """x[index]; `index` is made from the lengths and an rng."""
    changes = {"against": lambda torch: theirs} if theirs else {}
    return of("getitem", f"x[{name}]", "abc", index=index, lengths={}, **changes, **options)


def put_in_torch(x, y, index):
    """x with y in place of x[index]."""
    out = x.clone()
    out[index] = y
    return out


def piecewise(x, sizes, axis):
    """split, and the pieces joined in another order."""
    pieces = x.split(sizes, axis) if isinstance(x, Tensor) else torch.split(x, sizes, axis)
    return (tensor.concatenate if isinstance(x, Tensor) else torch.concatenate)(pieces[::-1], axis)


def torch_scatter(x, index, shape):
    return torch.zeros(shape, dtype=x.dtype).index_put(index, x, accumulate=True)


SHAPES = [
    of("reshape", "reshape", "abc", shape=lambda n, rng: (n["c"], n["a"] * n["b"])),
    of("transpose", "permute", "abc", axes=(2, 0, -2)),
    own(
        "broadcast_to",
        lambda x, shape: x.broadcast_to(shape),
        None,
        "a1",
        array=primitives.broadcast_to,
        shape=lambda n, rng: (3, n["a"], 2),
    ),
    of("concatenate", "concatenate", "ab", "ac", "ad", axis=-1),
    of("concatenate", "concatenate rows", "ac", "bc", axis=0),
    own(
        "astype",
        lambda x, dtype: x.astype(np.float64),
        lambda x, dtype: x.double(),
        "ab",
        array=primitives.astype,
        dtype=np.dtype(np.float64),
        double_only=True,
    ),
    of("stack", "stack"),
    of("stack", "stack last", axis=-1),
    shape_row("flatten", lambda x: x.flatten(1), empty="a"),
    shape_row("flatten all", lambda x: x.flatten()),
    shape_row("transpose two axes", lambda x: x.transpose(0, 2)),
    shape_row("transpose", lambda x: x.transpose(), theirs=lambda x: x.permute(2, 1, 0)),
    shape_row("swapaxes", lambda x: x.swapaxes(-1, 0)),
    shape_row("T", lambda x: x.T, "ab"),
    shape_row("mT", lambda x: x.mT),
    shape_row("squeeze", lambda x: x.squeeze(), "a1b1"),
    of("squeeze", "squeeze an axis", "a1b1"),
    shape_row("unsqueeze", lambda x: x.unsqueeze(1)),
    shape_row("unsqueeze last", lambda x: x.unsqueeze(-1)),
    shape_row("expand", lambda x: x.expand(2, -1, 3), "a1"),
    shape_row("split", lambda x: piecewise(x, 2, -1), empty="ab"),
    shape_row("split by lengths", lambda x: piecewise(x, [1, 0, x.shape[1] - 1], 1), empty="ac"),
    shape_row("sum of the elements of iteration", lambda x: list(x)[-1] * list(x)[0], empty="bc"),
    index_row("0", 0, empty="bc"),
    index_row("1:, ::2", (slice(1, None), slice(None, None, 2))),
    index_row("::-1", slice(None, None, -1), lambda x, index: x.flip(0)),
    index_row("..., None, -1", (..., None, -1), empty="ab"),
    index_row("boolean", Array(kept, "abc")),
    index_row("boolean rows", lambda n, rng: np.arange(n["a"]) % 3 == 0),
    index_row("ids with repeats", lambda n, rng: rng.integers(0, n["a"], 6), empty="bc", near=True),
    index_row("negative ids", lambda n, rng: -1 - rng.integers(0, n["a"], (2, 3)), empty="bc", near=True),
    index_row(":, ids", lambda n, rng: (slice(None), rng.integers(0, n["b"], 5)), empty="ac", near=True),
    index_row(
        "ids, ids",
        lambda n, rng: (rng.integers(0, n["a"], 5), rng.integers(0, n["b"], 5)),
        empty="c",
        near=True,
    ),
    index_row("ids, 1:", lambda n, rng: (rng.integers(0, n["a"], 5), slice(1, None)), empty="bc", near=True),
    own(
        "gather",
        lambda x, index: x.gather(1, index),
        None,
        "abc",
        index=lambda n, rng: rng.integers(0, n["b"], (n["a"], 3, n["c"])),
        empty="ac",
        near=True,
    ),
    of(
        "scatter_add",
        "scatter_add",
        "na",
        against=lambda torch: torch_scatter,
        index=lambda n, rng: (rng.integers(0, 3, n["n"]),),
        shape=lambda n, rng: (3, n["a"]),
    ),
    *[
        own(
            f"x[{name}] = y",
            lambda x, y, index: Tensor._put(x, y, index=index),
            put_in_torch,
            "abc",
            value,
            array=primitives.put,
            index=index,
            lengths={"a": (2, 4)},
            empty="bc",
        )  # fmt: skip
        for name, value, index in (
            ("1", "bc", lambda n, rng: 1),
            ("1 to a row", "c", lambda n, rng: 1),
            (":, ids", "", lambda n, rng: (slice(None), rng.permutation(n["b"])[: (n["b"] + 1) // 2])),
            ("mask", "", lambda n, rng: rng.random((n["a"], n["b"], n["c"])) < 0.5),
        )
    ],
]

# --- attention ---


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


def attention(name, *inputs, empty="b", **options):
    """A row of `attend`."""
    inputs, options = inputs or ("bhtd", "bhsd", "bhse"), {"empty": empty, "near": True} | options
    return of("attend", f"attend {name}", *inputs, against=lambda torch: torch_attend, **options)


def causal(name, t=(1, 5), n_head=2, **options):
    """A row of `causal_attention`."""
    options |= {"lengths": {"x": (12, 12), "t": t, "b": (1, 2)}, "empty": "b", "near": True}
    against = lambda torch: torch_causal  # noqa: E731
    return of(
        "causal_attention", f"causal_attention {name}", "btx", against=against, n_head=n_head, **options
    )


def with_forbidden_rows(rng, shape):
    mask = full_mask(rng, shape)
    mask[1::2] = False
    return mask


def additive(rng, shape):
    return np.where(with_forbidden_rows(rng, shape), rng.standard_normal(shape), -np.inf)


def padding(n, rng):
    return np.arange(n["s"]) <= rng.integers(0, n["s"], (n["b"], 1, 1, 1))


BOOLEAN, FORBIDDEN, ADDITIVE = (Array(draw, "ts") for draw in (full_mask, with_forbidden_rows, additive))
DROPPED = {"keep": Array(kept, "bhts"), "p": 0.3}
FAR = {"values": (far, far, normal)}
LONG = {"t": (129, 130), "s": (129, 131), "b": (1, 1), "h": (1, 2), "d": (2, 2), "e": (2, 2)}

ATTENTION = [
    attention("", lengths={"s": (1, 5)}, empty="bts"),
    attention("without batch", "td", "sd", "se", empty="ts"),
    attention("causal of three axes", "htd", "hsd", "hse", is_causal=True, empty="hts"),
    attention("scaled", scale=0.3),
    attention("causal", is_causal=True, empty="bts"),
    attention("causal with dropout", is_causal=True, **DROPPED),
    attention("boolean mask", mask=BOOLEAN),
    attention("boolean mask with dropout", mask=BOOLEAN, **DROPPED),
    attention("forbidden rows", mask=FORBIDDEN),
    attention("padding mask", mask=padding),
    attention("additive mask", mask=ADDITIVE),
    attention("mask per key", mask=Array(normal, "b11s")),
    attention("large scores", **FAR),
    attention("large scores, causal", is_causal=True, **FAR),
    attention("large scores, forbidden rows", mask=FORBIDDEN, **FAR),
    attention("blocks", lengths=LONG),
    attention("blocks, causal", is_causal=True, lengths=LONG),
    attention("blocks, causal, few keys", is_causal=True, lengths=LONG | {"s": (60, 70)}),
    attention("blocks, causal, many keys", is_causal=True, lengths=LONG | {"t": (65, 70)}),
    attention("blocks, masked, with dropout", mask=BOOLEAN, lengths=LONG, **DROPPED),
    attention("blocks, causal, large scores", is_causal=True, lengths=LONG, **FAR),
    attention("blocks, additive mask", mask=ADDITIVE, lengths=LONG),
    attention("heads that share keys", "bghtd", "bg1sd", "bg1se", is_causal=True),
    attention("one head for all", "hbtd", "1sd", "1se", mask=BOOLEAN, empty="t"),
    own(
        "scaled_dot_product_attention with a learned mask",
        ours.scaled_dot_product_attention,
        torch_attend,
        *("btd", "bsd", "bse", "ts"),
        empty="b",
    ),
    causal(""),
    causal("one head", n_head=1),
    causal("with dropout", keep=Array(kept, "b2tt"), p=0.3),
    causal("blocks", t=(65, 66)),
]

# --- fused operations ---


def torch_layer_norm(x, weight=None, bias=None):
    y = F.layer_norm(x, x.shape[-1:], weight)  # the bias aside: without a weight it has no double backward
    return y if bias is None else y + bias


def torch_batch_norm(x, weight=None, bias=None, running_mean=None, running_var=None):
    y = F.batch_norm(x, running_mean, running_var, weight, training=running_mean is None)
    return y if bias is None else y + bias.reshape(-1, *[1] * (x.ndim - 2))


def layer_norm(name, *inputs, channels=(3, 5), **options):
    """A row of `layer_norm`."""
    options |= {"values": (apart, normal, normal)[: len(inputs)], "lengths": {"c": channels}}
    options |= {"empty": "ab", "near": True}
    return own(f"layer_norm {name}", layer_norm_op, torch_layer_norm, *inputs, **options)


def batch_norm(name, *inputs):
    """A row of `batch_norm` in training."""
    options = {"values": (apart, normal, normal)[: len(inputs)], "lengths": {"n": (3, 5)}, "empty": ""}
    return own(f"batch_norm {name}", normalise_batch, torch_batch_norm, *inputs, **options)


def targets(axes, ignore_index=None):
    """Class ids to draw; the first is never ignored."""

    def draw(n, rng):
        ids = rng.integers(0, n["v"], [n[c] for c in axes])
        if ignore_index is not None:
            ids.reshape(-1)[:1] = 0
            ids.reshape(-1)[1::2] = ignore_index
        return ids

    return draw


def loss(name, inputs="nv", **options):
    """A row of `cross_entropy`: of a layout of the logits, or an option."""
    target = targets(inputs.replace("v", ""), options.get("ignore_index"))
    options |= {"lengths": {"v": (3, 5)}, "empty": "n" if "reduction" in options else ""}
    return of("cross_entropy", f"cross_entropy {name}", inputs, target=target, **options)


def torch_nll(logits, targets, **options):
    return F.cross_entropy(logits, targets, reduction="none", **options)


def nll_row(name, **options):
    """A row of `nll`, the losses of the rows."""
    options |= {"targets": targets("n", options.get("ignore_index")), "lengths": {"v": (3, 5)}, "empty": "n"}
    return own(f"nll {name}", nll, torch_nll, "nv", **options)


def torch_take_rows(weight, ids, padding_idx=None):
    return F.embedding(ids, weight, padding_idx)


def embedding(name, padding_idx):
    """A row of `take_rows`."""
    options = {"lengths": {"v": (3, 5)}, "empty": "", "near": True}
    options |= {"ids": lambda n, rng: rng.integers(0, n["v"], (2, 3)), "padding_idx": padding_idx}
    return own(
        f"embedding {name}", take_rows, torch_take_rows, "vc", partial=padding_idx is not None, **options
    )


FUSED = [
    own("linear", linear, F.linear, "abi", "oi", "o", empty="ab", near=True),
    own("linear without bias", linear, F.linear, "ai", "oi", empty="a", near=True),
    own("linear of one row", linear, F.linear, "i", "oi", "o", empty="", near=True),
    of("linear", "linear of one feature", "abi", "i"),
    layer_norm("", "abc", "c", "c", channels=(2, 5)),
    layer_norm("plain", "abc"),
    layer_norm("without bias", "ac", "c", channels=(2, 5)),
    layer_norm("without weight", "ac", None, "c"),
    layer_norm("of one row", "c", "c", "c"),
    layer_norm("of one channel", "ac", channels=(1, 1), double_only=True, flat=True),
    batch_norm("", "nc", "c", "c"),
    batch_norm("plain", "nc"),
    batch_norm("with places", "nctu", "c", "c"),
    batch_norm("without bias", "nct", "c"),
    batch_norm("without weight", "nc", None, "c"),
    own(
        "batch_norm in evaluation",
        lambda x, weight, bias, running_mean, running_var: ours.batch_norm(
            x, wrap(running_mean), wrap(running_var), weight, bias
        ),
        torch_batch_norm,
        *("nct", "c", "c"),
        running_mean=Array(normal, "c"),
        running_var=Array(positive, "c"),
        empty="nt",
    ),
    own("times_sigmoid", times_sigmoid, F.silu, "abc"),
    own("gelu tanh", gelu_tanh, lambda x: F.gelu(x, approximate="tanh"), "abc"),
    own("gelu", gelu_erf, F.gelu, "abc"),
    of("gelu, tanh", "gelu of a number", "", array=None),
    own("drop", drop, lambda x, keep, p: x * keep / (1 - p), "abc", keep=Array(kept, "abc"), p=0.3),
    own("dropout in evaluation", lambda x: ours.dropout(x * 1.0, 0.5, False), lambda x: x * 1.0, "ab"),
    own("dropout of all", lambda x: ours.dropout(x, 1.0), lambda x: x * 0.0, "ab", flat=True),
    embedding("", None),
    embedding("with padding", 1),
    embedding("with the last row for padding", -1),
    of(
        "embedding",
        "embedding of PyTorch's places",
        ids=Array(ids, "bt"),
        padding_idx=-2,
        partial=True,
        empty="bt",
        near=True,
    ),
    nll_row(""),
    nll_row("ignoring", ignore_index=1),
    nll_row("smoothed", label_smoothing=0.2),
    loss("mean"),
    loss("sum", reduction="sum"),
    loss("none", reduction="none"),
    loss("one row", "v"),
    loss("with places", "nvt", reduction="none"),
    loss("with places, mean", "nvt", ignore_index=1, label_smoothing=0.1),
    loss("ignore_index", ignore_index=-100),
    loss("smoothed", label_smoothing=0.2),
    loss("smoothed, ignore_index", label_smoothing=0.2, ignore_index=2, reduction="sum"),
    *[
        of("mse_loss", f"mse_loss {how}", reduction=how, empty="" if how == "mean" else None)
        for how in ("mean", "sum", "none")
    ],
]

# --- activations, losses, windows ---


def torch_log_losses(x, target):
    return F.binary_cross_entropy(x, target, reduction="none")


def torch_pool(x, kernel, stride, padding, dilation):
    return F.max_pool2d(x, kernel, stride, padding, dilation)


def torch_convolve(x, weight, bias=None, *, stride, padding, dilation, groups):
    x = F.pad(x, [n for pair in reversed(padding) for n in pair])
    return (F.conv1d, F.conv2d)[x.ndim - 3](x, weight, bias, stride, 0, dilation, groups)


def convolution(name, *inputs, **how):
    """A row of `convolve`, of one group along one axis unless it says otherwise."""
    usual = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
    options = {"lengths": {"l": (5, 6), "k": (1, 2)}, "empty": "n", "near": True}
    return own(f"convolve {name}", convolve, torch_convolve, *inputs, **options, **usual | how)


def pool(name, **how):
    """A row of `largest_seen`."""
    usual = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
    options = {"lengths": {"l": (5, 6)}, "values": apart, "empty": "n"}
    return own(f"largest_seen {name}", largest_seen, torch_pool, "ncl5", **options, **usual | how)


def torch_rms_norm(x, weight=None, eps=None):
    return F.rms_norm(x, x.shape[-1:], weight, eps)


V4 = {"v": (3, 4)}
OTHERS_OF_PYTORCH = [
    own("log_sigmoid", log_sigmoid, F.logsigmoid, "ab"),
    own("scale_rows", scale_rows, torch_rms_norm, "abc", "c", near=True, eps=1e-3),
    own("scale_rows alone", scale_rows, torch_rms_norm, "abc", near=True, eps=0.5),
    of("rotary", "rotary"),
    of("rotary", "rotary of heads", "bht6", lengths={"t": (1, 5)}, theta=10.0),
    own("smooth_relu", smooth_relu, F.softplus, "ab"),
    own("smooth_relu, other threshold", smooth_relu, F.softplus, "ab", beta=2.0, threshold=1.0),
    own("exponential_linear", exponential_linear, F.elu, "ab", values=apart),
    own("exponential_linear, steeper", exponential_linear, F.elu, "ab", alpha=2.5, values=apart),
    *[
        of(name, f"{name} of numbers apart", values=apart)
        for name in ("silu", "logsigmoid", "elu", "leaky_relu", "hardtanh", "relu6")
    ],
    own(
        "log_losses",
        log_losses,
        torch_log_losses,
        *("ab", "ab"),
        values=(inner, uniform),
        edges=(0.0, 1.0, 1e-13, 0.5),
        own_edges=True,  # the gradient of its target stays finite
    ),
    *[of(name, name, values=(apart, aside)) for name in ("l1_loss", "smooth_l1_loss", "huber_loss")],
    *[
        of(name, f"{name} {how}", reduction=how)
        for name in ("smooth_l1_loss", "huber_loss", "l1_loss")
        for how in ("sum", "none")
    ],
    of("smooth_l1_loss", "smooth_l1_loss of another beta", beta=0.3, values=(apart, aside)),
    of("huber_loss", "huber_loss of another delta", delta=0.7, values=(apart, aside)),
    of("kl_div", "kl_div", reduction="batchmean", empty="c"),
    of("kl_div", "kl_div of logarithms", reduction="sum", log_target=True, values=normal),
    of("binary_cross_entropy", "binary_cross_entropy", reduction="sum", weight=Array(positive, "bc")),
    *[
        of(
            "binary_cross_entropy_with_logits",
            f"logits {name}",
            target=Array(uniform, "bc"),
            reduction="sum",
            **more,
        )
        for name, more in (
            ("", {}),
            ("weighted", {"weight": Array(positive, "c"), "pos_weight": Array(positive, "1")}),
        )
    ],
    *[
        of(
            "nll_loss",
            f"nll_loss {how}",
            target=targets("n", 2),
            ignore_index=2,
            reduction=how,
            empty="",
            lengths=V4,
        )
        for how in ("mean", "sum", "none")
    ],
    of(
        "nll_loss",
        "nll_loss with places",
        "nvt",
        target=targets("nt"),
        weight=Array(positive, "v"),
        lengths=V4,
        empty="",
    ),
    *[
        own(
            f"cross_entropy weighted {how} {smoothing}",
            ours.cross_entropy,
            F.cross_entropy,
            "nvt",
            target=targets("nt", 2),
            weight=Array(positive, "v"),
            ignore_index=2,
            reduction=how,
            label_smoothing=smoothing,
            lengths=V4,
            empty="",
        )
        for how in ("mean", "sum", "none")
        for smoothing in (0.0, 0.2)
    ],
    *[
        of(
            "cross_entropy, shares",
            f"cross_entropy of shares {how} {smoothing}",
            *("nvt", "nvt"),
            values=(normal, inner),
            weight=Array(positive, "v"),
            reduction=how,
            label_smoothing=smoothing,
            lengths=V4,
            empty="",
        )
        for how in ("mean", "none")
        for smoothing in (0.0, 0.2)
    ],
    of("normalize", "normalize by the third power", "abc", p=3.0, dim=0, values=apart, empty="bc"),
    of("cosine_similarity", "cosine_similarity broadcast", "abc", "a1c", dim=-1, empty=""),
    of("pad", "pad", "abc", lengths=from_two("b"), empty="a"),
    *[
        own(
            f"pad {mode}",
            lambda x, mode=mode: ours.pad(x, (2, 1), mode),
            lambda x, mode=mode: F.pad(x, (2, 1), mode),
            "abc",
            lengths={"c": (3, 4)},
            empty="",
            near=True,
        )
        for mode in ("reflect", "replicate", "circular")
    ],
    convolution("", "nil", "oik", "o"),
    convolution("strided", "nil", "oik", stride=(2,), padding=((2, 1),), dilation=(2,)),
    convolution("of groups", "n4l", "62k", "6", groups=2),
    convolution("of two axes", "nill", "oik2", "o", stride=(2, 1), padding=((1, 1), (0, 2)), dilation=(1, 2)),
    pool(""),
    pool("overlapping", kernel=(3, 2), stride=(1, 2), padding=(1, 1)),
    pool("with gaps", kernel=(2, 3), stride=(2, 1), dilation=(3, 2)),
    *[
        of(name, name, values=apart, empty="b")
        for name in ("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d")
    ],
    own(
        "avg_pool1d of what is there",
        lambda x: ours.avg_pool1d(x, 3, 2, 1, count_include_pad=False),
        lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False),
        "abl",
        lengths={"l": (3, 6)},
        empty="",
    ),
]

TABLE = [*ELEMENTWISE, *REDUCTIONS, *PRODUCTS, *SHAPES, *FUSED, *ATTENTION, *OTHERS_OF_PYTORCH]
