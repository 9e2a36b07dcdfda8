"""Every operation and layer in use, declared once: a function, the same in PyTorch, how to draw its inputs.

`python -m minigrad check` tries each entry; the tests take the operations from here and add further
shapes, axes and masks (tests/support/rows.py). Most entries are one expression for both libraries, as
names, places and meanings of arguments are PyTorch's. Nothing here imports it: `against` is a function
of its module, called where that is installed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter, methodcaller
from typing import Any

import numpy as np

import minigrad as mg
import nn
import nn.functional as F
from minigrad.functions import scatter_add
from nn.check import twins
from nn.functional.scaled_dot_product import attend

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
LENGTHS = (1, 4)  # of an axis, the least and the largest
IDS = 3  # ids are drawn below this number


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw from a normal distribution."""
    return rng.standard_normal(shape)


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw from 0.5..2, for a logarithm or a root."""
    return rng.uniform(0.5, 2.0, shape)


def inner(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw probabilities that are neither 0 nor 1."""
    return rng.uniform(0.1, 0.9, shape)


def uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw from 0..1."""
    return rng.random(shape)


def distribution(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw probabilities that add up to 1 along the last axis."""
    drawn = rng.uniform(0.1, 1.0, shape)
    return drawn / drawn.sum(-1, keepdims=True)


def ids(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw class numbers or places."""
    return rng.integers(0, IDS, shape)


def mask(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw booleans, most of them True."""
    return rng.random(shape) < 0.6


def full_mask(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw a mask that leaves no row without a True."""
    drawn = mask(rng, shape)
    return drawn | ~drawn[..., :1]


@dataclass(frozen=True)
class Array:
    """An array to draw: by what, and its axes, each a length or a letter for one that is drawn: "bc4"."""

    values: Draw
    axes: str

    def __call__(self, lengths: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
        """Return it, given the lengths that the letters stand for."""
        return np.asarray(self.values(rng, tuple(int(c) if c.isdigit() else lengths[c] for c in self.axes)))


@dataclass(frozen=True)
class Entry:
    """A function or layer in one use, fn(*inputs, **constants)."""

    name: str
    fn: Callable[..., Any]  # on Tensors, as users call it
    against: Callable[[Any], Callable[..., Any]] | None  # of the module torch: the same there
    inputs: tuple[str | None, ...]  # the axes of each
    constants: Mapping[str, Any] = field(default_factory=dict)  # a callable is drawn, by (lengths, rng)
    values: Draw | Sequence[Draw] = normal  # of every input, or of each
    lengths: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # of letters that are not 1..4
    seal: bool = False  # does it draw random numbers?
    second: bool = True  # is the second derivative checked? Not where it is zero or slow

    @property
    def letters(self) -> list[str]:
        """The axes whose lengths are drawn."""
        axes = [c.axes for c in self.constants.values() if isinstance(c, Array)]
        return sorted(filter(str.isalpha, {*"".join([*axes, *filter(None, self.inputs)]), *self.lengths}))

    def draw(self, rng: np.random.Generator, lengths: Mapping[str, int]) -> tuple[list[Any], dict[str, Any]]:
        """Return random (inputs, constants) of these lengths."""
        constants = {n: c(lengths, rng) if callable(c) else c for n, c in self.constants.items()}
        values = self.values if isinstance(self.values, Sequence) else [self.values] * len(self.inputs)
        drawn = zip(values, self.inputs)
        return [None if axes is None else Array(by, axes)(lengths, rng) for by, axes in drawn], constants


def entry(
    name: str, fn: Any, against: Callable[[Any], Any] | None, *inputs: str | None, **options: Any
) -> Entry:
    """Return an entry; keywords that are no fields of it are constants of the call."""
    known = {n: options.pop(n) for n in ("values", "lengths", "seal", "second") if n in options}
    return Entry(name, fn, against, inputs, options, **known)


def alike(name: str, fn: Callable[..., Any], *inputs: str, **options: Any) -> Entry:
    """Return an entry of operators and methods that Tensors and PyTorch's tensors both have."""
    return entry(name, fn, lambda torch: fn, *inputs, **options)


def both(name: str, written: Callable[[Any], Any], *inputs: str, **options: Any) -> Entry:
    """Return an entry of functions that `minigrad` and `torch` both have."""
    return entry(name, written(mg), written, *inputs, **options)


def fused(name: str, written: Callable[[Any], Any], *inputs: str, **options: Any) -> Entry:
    """Return an entry of functions that `nn.functional` and `torch.nn.functional` both have."""
    return entry(name, written(F), lambda torch: written(torch.nn.functional), *inputs, **options)


def layer(name: str, written: Callable[[Any], Any], *inputs: str, **options: Any) -> Entry:
    """Return an entry of a layer that `nn` and `torch.nn` both have; it is given our parameters by name."""
    return entry(name, written(nn), lambda torch: written(torch.nn), *inputs, **options)


def from_two(letters: str) -> dict[str, tuple[int, int]]:
    """Return the lengths of axes that have two elements or more."""
    return dict.fromkeys(letters, (2, LENGTHS[1]))


def entries() -> list[Entry]:
    """Return the whole catalogue; its layers draw their parameters from the default generator."""
    return [*operations(), *_layers()]


def operations() -> list[Entry]:
    """Return the functions of the catalogue."""
    return [
        *_arithmetic(),
        *_elementwise(),
        *_reductions(),
        *_shapes(),
        *_networks(),
        *_attention(),
        *_losses(),
        *_windows(),
    ]


def _arithmetic() -> list[Entry]:
    return [
        alike("add", lambda a, b: a + b, "bc", "c"),
        alike("subtract", lambda a, b: a - b, "b1", "bc"),
        alike("multiply", lambda a, b: a * b, "bc", "c"),
        alike("divide", lambda a, b: a / b, "bc", "b1", values=(normal, positive)),
        alike("negative", lambda a: -a, "bc"),
        alike("power", lambda a, exponent: a**exponent, "bc", exponent=3),
        alike("power of an array", lambda a, b: a**b, "bc", "c", values=(positive, normal)),
        alike("matmul", lambda a, b: a @ b, "bij", "jk"),
        alike("matmul, batches", lambda a, b: a @ b, "a1ij", "bjk"),
        alike("matmul, vectors", lambda a, b: a @ b, "i", "i"),
        both(
            "einsum",
            lambda t: lambda *xs, subscripts: t.einsum(subscripts, *xs),
            *("bi", "ij"),
            subscripts="bi,ij->bj",
        ),
    ]


def _elementwise() -> list[Entry]:
    return [
        *[both(name, attrgetter(name), "bc") for name in ("exp", "tanh", "sin", "cos", "sigmoid", "relu")],
        *[both(name, attrgetter(name), "bc", values=positive) for name in ("log", "sqrt")],
        alike("abs", lambda x: x.abs(), "bc"),
        both("erf", lambda t: t.erf, "bc"),
        fused("gelu, tanh", lambda t: lambda x: t.gelu(x, approximate="tanh"), "bc"),
        fused("gelu, exact", lambda t: t.gelu, "bc"),
        *[
            fused(name, attrgetter(name), "bc")
            for name in ("silu", "logsigmoid", "elu", "leaky_relu", "hardtanh")
        ],
        fused("relu6", lambda t: t.relu6, "bc"),
        fused("mish", lambda t: t.mish, "bc"),
        fused("softplus", lambda t: t.softplus, "bc", beta=1.5, threshold=2.0),
        both("maximum", lambda t: t.maximum, "bc", "c"),
        both("minimum", lambda t: t.minimum, "bc", "c"),
        alike("clip", lambda x, low, high: x.clip(low, high), "bc", low=-0.5, high=0.7),
        both(
            "where",
            lambda t: lambda a, b, condition: t.where(condition, a, b),
            *("bc", "c"),
            condition=Array(mask, "bc"),
        ),
        alike("masked_fill", lambda x, mask: x.masked_fill(mask, -1.5), "bc", mask=Array(mask, "bc")),
    ]


def _reductions() -> list[Entry]:
    rows: dict[str, Any] = {"axis": 1, "keepdims": True}
    return [
        alike("sum", lambda x, **along: x.sum(**along), "bcd", **rows),
        alike("mean", lambda x, **along: x.mean(**along), "bcd", **rows),
        alike("prod", lambda x, **along: x.prod(**along), "bcd", **rows),
        alike("logsumexp", lambda x, **along: x.logsumexp(**along), "bcd", **rows),
        entry("max", lambda x, **along: x.max(**along), lambda torch: torch.amax, "bcd", **rows),
        entry("min", lambda x, **along: x.min(**along), lambda torch: torch.amin, "bcd", **rows),
        alike("var", lambda x, **along: x.var(**along), "bc", axis=1, lengths=from_two("bc")),
        alike("std", lambda x, **along: x.std(**along), "bc", axis=1, lengths=from_two("bc")),
        alike("cumsum", lambda x, axis: x.cumsum(axis), "bc", axis=1),
        fused("softmax", lambda t: t.softmax, "bc", dim=-1),
        fused("log_softmax", lambda t: t.log_softmax, "bc", dim=-1),
    ]


def _shapes() -> list[Entry]:
    index = (slice(1, None), slice(None, None, 2))
    found = [
        alike("reshape", lambda x, shape: x.reshape(shape), "bcd", shape=-1),
        alike("transpose", lambda x, axes: x.permute(axes), "bcd", axes=(2, 0, 1)),
        alike("swapaxes", lambda x: x.swapaxes(0, 2), "bcd"),
        alike("squeeze", lambda x: x.squeeze(1), "b1c"),
        alike("broadcast_to", lambda x: x.expand(3, -1, 4), "b1"),
        both("concatenate", lambda t: lambda *xs, axis: t.concatenate(xs, axis), "bc", "bd", axis=1),
        both("stack", lambda t: lambda *xs, axis: t.stack(xs, axis), "bc", "bc", axis=1),
        both("split", lambda t: lambda x: t.split(x, 2, 1), "bc"),
        both("tril", lambda t: t.tril, "bc"),
        both("triu", lambda t: t.triu, "bc"),
        alike("getitem", lambda x, index: x[index], "bc", index=index, lengths=from_two("bc")),
        alike("getitem, repeated", lambda x, index: x[index], "4c", index=Array(ids, "n")),
        alike("gather", lambda x, index: x.gather(0, index), "4c", index=Array(ids, "nc")),
        entry(
            "scatter_add",
            scatter_add,
            twins.scatter_add,
            "nc",
            index=Array(ids, "n"),
            shape=lambda n, rng: (IDS, n["c"]),
        ),
    ]
    return [replace(each, second=False) for each in found]


def _networks() -> list[Entry]:
    target = Array(ids, "n")
    smoothed: dict[str, Any] = {"label_smoothing": 0.1, "reduction": "none"}
    return [
        fused("linear", lambda t: t.linear, "bti", "oi", "o"),
        fused(
            "layer_norm",
            lambda t: lambda x, weight, bias: t.layer_norm(x, weight.shape, weight, bias),
            *("btc", "c", "c"),
            lengths=from_two("btc"),
        ),
        fused(
            "rms_norm", lambda t: lambda x, weight: t.rms_norm(x, weight.shape, weight, 1e-3), *("btc", "c")
        ),
        fused(
            "batch_norm",
            lambda t: lambda x, weight, bias: t.batch_norm(x, None, None, weight, bias, training=True),
            *("bc", "c", "c"),
            lengths=from_two("bc"),
        ),
        fused(
            "embedding",
            lambda t: lambda weight, ids, padding_idx=None: t.embedding(ids, weight, padding_idx),
            "4c",
            ids=Array(ids, "bt"),
            second=False,
        ),
        fused("cross_entropy", lambda t: t.cross_entropy, "n4", target=target),
        fused("cross_entropy, smoothed", lambda t: t.cross_entropy, "n4", target=target, **smoothed),
        fused("dropout", lambda t: lambda x: t.dropout(x, 0.3), "bcd", seal=True),
        fused("dropout2d", lambda t: lambda x: t.dropout2d(x, 0.3), "bcd4", seal=True),
    ]


def _attention() -> list[Entry]:
    attention = attrgetter("scaled_dot_product_attention")
    return [
        entry("attend", attend, lambda torch: attention(torch.nn.functional), "btd", "bsd", "bse"),
        fused("attention, causal", attention, "btd", "btd", "btd", is_causal=True),
        fused("attention, masked", attention, "btd", "bsd", "bsd", attn_mask=Array(full_mask, "bts")),
        fused("attention, grouped", attention, "b4td", "b2td", "b2te", is_causal=True, enable_gqa=True),
        entry("rotary", F.rotary, twins.rotary, "bt4", start=3),
        entry("causal_attention", F.causal_attention, twins.causal_attention, "bt6", n_head=2),
    ]


def _losses() -> list[Entry]:
    """Losses between numbers and numbers, and of classes that have weights."""
    target = Array(ids, "n")
    share, shares = Array(uniform, "bc"), Array(distribution, "n4")
    logits = "binary_cross_entropy_with_logits"
    return [
        *[
            fused(name, attrgetter(name), "bc", "bc")
            for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
        ],
        fused("kl_div", lambda t: t.kl_div, "bc", "bc", reduction="sum", values=(normal, positive)),
        fused("binary_cross_entropy", lambda t: t.binary_cross_entropy, "bc", "bc", values=inner),
        fused(logits, attrgetter(logits), "bc", target=share),
        fused("nll_loss", lambda t: t.nll_loss, "n4", target=target),
        fused("cross_entropy, shares", lambda t: t.cross_entropy, "n4", target=shares),
        fused("normalize", lambda t: t.normalize, "bc", dim=1, values=positive),
        fused("pairwise_distance", lambda t: t.pairwise_distance, "bc", "bc"),
        fused("cosine_similarity", lambda t: t.cosine_similarity, "bc", "bc", values=positive),
    ]


def _windows() -> list[Entry]:
    """What slides along an axis, or lengthens it."""
    wide: dict[str, Any] = {"lengths": {"l": (5, 8), "k": (1, 3)}}
    return [
        fused("pad", lambda t: lambda x: t.pad(x, (1, 2, -1, 3), value=0.5), "bcd", lengths=from_two("c")),
        fused("conv1d", lambda t: lambda *xs: t.conv1d(*xs, 2, 1), "n2l", "o2k", "o", **wide),
        fused("conv2d", lambda t: lambda *xs: t.conv2d(*xs, padding=1), "n1ll", "o12k", "o", **wide),
        fused(
            "conv_transpose1d", lambda t: lambda *xs: t.conv_transpose1d(*xs, 2, 1), "n2l", "2ok", "o", **wide
        ),
        fused(
            "conv_transpose2d", lambda t: lambda *xs: t.conv_transpose2d(*xs, 2), "n1ll", "1232", "2", **wide
        ),
        fused("unfold", lambda t: lambda x: t.unfold(x, 2, padding=1, stride=2), "b2l4", **wide),
        fused("adaptive_avg_pool1d", lambda t: lambda x: t.adaptive_avg_pool1d(x, 3), "bcl", **wide),
        fused("adaptive_avg_pool2d", lambda t: lambda x: t.adaptive_avg_pool2d(x, (2, 3)), "bcl4", **wide),
        fused("max_pool1d", lambda t: lambda x: t.max_pool1d(x, 3, 2, 1), "bcl", **wide),
        fused("max_pool2d", lambda t: lambda x: t.max_pool2d(x, 2), "bcl4", **wide),
        fused("avg_pool1d", lambda t: lambda x: t.avg_pool1d(x, 3, 2, 1), "bcl", **wide),
        fused("avg_pool2d", lambda t: lambda x: t.avg_pool2d(x, 2), "bcl4", **wide),
    ]


def _layers() -> list[Entry]:
    """Layers of fixed widths, in training, with their dropout."""
    sizes = 4, 2, 6, 0.2  # d_model, nhead, dim_feedforward, dropout
    slow: dict[str, Any] = {"seal": True, "second": False}
    return [
        layer("Linear", lambda nn: nn.Linear(4, 3), "bt4"),
        layer("Embedding", lambda nn: nn.Embedding(4, 3), "bt", values=ids, second=False),
        layer("LayerNorm", lambda nn: nn.LayerNorm(4), "bt4"),
        layer("BatchNorm1d", lambda nn: nn.BatchNorm1d(4), "b4t", lengths=from_two("bt")),
        layer("Dropout", lambda nn: nn.Dropout(0.4), "bt4", seal=True),
        *[
            layer(name, methodcaller(name), "bt4")
            for name in ("GELU", "ReLU", "Tanh", "Sigmoid", "SiLU", "ELU")
        ],
        layer("Conv1d", lambda nn: nn.Conv1d(4, 2, 2, padding=1), "b4t"),
        layer("Conv2d", lambda nn: nn.Conv2d(2, 3, 2, padding=1), "b2tt"),
        layer("Softmax", lambda nn: nn.Softmax(-1), "bt4"),
        layer("MSELoss", lambda nn: nn.MSELoss(), "bc", "bc"),
        layer("CrossEntropyLoss", lambda nn: nn.CrossEntropyLoss(), "n4", target=Array(ids, "n")),
        *_of_a_gpt(),
        layer("MultiheadAttention", lambda nn: nn.MultiheadAttention(4, 2), "tb4", "sb4", "sb4"),
        layer("TransformerEncoderLayer", lambda nn: nn.TransformerEncoderLayer(*sizes), "tb4", seal=True),
        layer(
            "TransformerEncoderLayer, pre-norm",
            lambda nn: nn.TransformerEncoderLayer(*sizes, norm_first=True),
            *("tb4",),
            **slow,
        ),
        layer("TransformerDecoderLayer", lambda nn: nn.TransformerDecoderLayer(*sizes), "tb4", "sb4", **slow),
    ]


def _of_a_gpt() -> list[Entry]:
    """The layers of a GPT and a Llama that `torch.nn` has not."""

    def own(name: str, twin: Callable[..., Any], *sizes: int) -> Entry:
        return entry(name, getattr(nn, name)(*sizes), lambda torch: twin(torch, *sizes), "bt4")

    head = nn.SelfAttentionHead(4, 3, 8).eval()
    return [
        own("MLP", twins.mlp, 4),
        entry("SelfAttentionHead", head, lambda torch: twins.head(torch, 4, 3), "bt4"),
        own("CausalSelfAttention", twins.attention, 4, 2),
        own("GroupedQueryAttention", twins.grouped_attention, 4, 2, 1),
        own("SwiGLU", twins.swiglu, 4, 3),
        own("LlamaBlock", twins.llama_block, 4, 2, 1, 3),
        own("PreNormBlock", twins.block, 4, 2),
    ]
