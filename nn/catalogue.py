"""Every operation and layer with inputs to check it on, and the same thing in PyTorch.

Nothing here imports PyTorch: `against` is a function of the module, called where it is installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigrad as mg
import nn
import nn.functional as F
from minigrad.functions import absolute, erf, scatter_add
from nn.functional.scaled_dot_product import attend

IDS = 3  # ids are drawn below this number
DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "": lambda rng, shape: rng.standard_normal(shape),
    "+": lambda rng, shape: rng.uniform(0.5, 2.0, shape),
    "#": lambda rng, shape: rng.integers(0, IDS, shape),
    "?": lambda rng, shape: rng.random(shape) < 0.6,
}


@dataclass(frozen=True)
class Entry:
    """A function or layer, and how to draw its inputs.

    Each input is a word of letters, one for each axis, whose lengths are drawn from 1..4 ("4" is
    the length 4); before it "+" asks for positive numbers, "#" for ids below 3, "?" for booleans.
    """

    name: str
    fn: Callable[..., Any]
    inputs: tuple[str, ...]
    against: Callable[[Any], Callable[..., Any]] | None = None
    seal: bool = False  # does it draw random numbers?
    second: bool = True  # is the second derivative checked? Not where it is zero or slow
    shortest: int = 1  # of the drawn lengths

    def draw(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Return random inputs."""
        lengths = {
            c: int(rng.integers(self.shortest, 5)) for c in sorted({*"".join(self.inputs)}) if c.isalpha()
        }
        found = []
        for word in self.inputs:
            kind = word[:1] if word[:1] in "+#?" else ""
            shape = tuple(lengths.get(c) or int(c) for c in word[len(kind) :])
            found.append(DRAWS[kind](rng, shape))
        return found


def entries() -> list[Entry]:
    """Return the whole catalogue."""
    return [
        *_arithmetic(),
        *_elementwise(),
        *_reductions(),
        *_shapes(),
        *_networks(),
        *_attention(),
        *_layers(),
    ]


def _arithmetic() -> list[Entry]:
    two = ("bc", "c")
    return [
        Entry("add", lambda a, b: a + b, two, lambda torch: torch.add),
        Entry("subtract", lambda a, b: a - b, ("b1", "bc"), lambda torch: torch.sub),
        Entry("multiply", lambda a, b: a * b, two, lambda torch: torch.mul),
        Entry("divide", lambda a, b: a / b, ("bc", "+b1"), lambda torch: torch.div),
        Entry("negative", lambda a: -a, ("bc",), lambda torch: torch.neg),
        Entry("power", lambda a: a**3, ("bc",), lambda torch: lambda a: a**3),
        Entry("power of an array", lambda a, b: a**b, ("+bc", "c"), lambda torch: torch.pow),
        Entry("matmul", lambda a, b: a @ b, ("bij", "jk"), lambda torch: torch.matmul),
        Entry("matmul, batches", lambda a, b: a @ b, ("a1ij", "bjk"), lambda torch: torch.matmul),
        Entry("matmul, vectors", lambda a, b: a @ b, ("i", "i"), lambda torch: torch.matmul),
        Entry(
            "einsum",
            lambda a, b: mg.einsum("bi,ij->bj", a, b),
            ("bi", "ij"),
            lambda torch: lambda a, b: torch.einsum("bi,ij->bj", a, b),
        ),
    ]


def _elementwise() -> list[Entry]:
    return [
        *(_plain(name) for name in ("exp", "tanh", "sin", "cos", "sigmoid", "relu")),
        Entry("log", mg.log, ("+bc",), lambda torch: torch.log),
        Entry("sqrt", mg.sqrt, ("+bc",), lambda torch: torch.sqrt),
        Entry("abs", absolute, ("bc",), lambda torch: torch.abs),
        Entry("erf", erf, ("bc",), lambda torch: torch.erf),
        Entry(
            "gelu, tanh",
            lambda x: F.gelu(x, "tanh"),
            ("bc",),
            lambda torch: lambda x: _f(torch).gelu(x, approximate="tanh"),
        ),
        Entry("gelu, exact", F.gelu, ("bc",), lambda torch: _f(torch).gelu),
        Entry("maximum", mg.maximum, ("bc", "c"), lambda torch: torch.maximum),
        Entry("minimum", mg.minimum, ("bc", "c"), lambda torch: torch.minimum),
        Entry(
            "clip",
            lambda x: mg.clip(x, -0.5, 0.7),
            ("bc",),
            lambda torch: lambda x: torch.clamp(x, -0.5, 0.7),
        ),
        Entry("where", lambda m, a, b: mg.where(m, a, b), ("?bc", "bc", "c"), lambda torch: torch.where),
        Entry(
            "masked_fill",
            lambda m, x: x.masked_fill(m, -1.5),
            ("?bc", "bc"),
            lambda torch: lambda m, x: x.masked_fill(m, -1.5),
        ),
    ]


def _plain(name: str) -> Entry:
    """A function that has one name in both libraries."""
    return Entry(name, getattr(mg, name), ("bc",), lambda torch: getattr(torch, name))


def _reduction(ours: str, theirs: str) -> Entry:
    return Entry(
        ours,
        lambda x: getattr(x, ours)(axis=1, keepdims=True),
        ("bcd",),
        lambda torch: lambda x: getattr(torch, theirs)(x, dim=1, keepdim=True),
    )


def _reductions() -> list[Entry]:
    return [
        *(_reduction(name, name) for name in ("sum", "mean", "prod", "logsumexp")),
        *(_reduction(name, f"a{name}") for name in ("max", "min")),
        Entry("var", lambda x: x.var(1), ("bc",), lambda torch: lambda x: torch.var(x, 1), shortest=2),
        Entry("std", lambda x: x.std(1), ("bc",), lambda torch: lambda x: torch.std(x, 1), shortest=2),
        Entry("cumsum", lambda x: x.cumsum(1), ("bc",), lambda torch: lambda x: torch.cumsum(x, 1)),
        Entry("softmax", F.softmax, ("bc",), lambda torch: lambda x: torch.softmax(x, -1)),
        Entry("log_softmax", F.log_softmax, ("bc",), lambda torch: lambda x: torch.log_softmax(x, -1)),
    ]


def _shapes() -> list[Entry]:
    same = lambda fn: lambda torch: fn  # noqa: E731  (the same method in both libraries)
    reshape, permute = lambda x: x.reshape(-1), lambda x: x.permute(2, 0, 1)
    picked, repeated = lambda x: x[1:, ::2], lambda ids, x: x[ids]
    expand, squeeze = lambda x: x.expand(3, -1, 4), lambda x: x.squeeze(1)
    entries = [
        Entry("reshape", reshape, ("bcd",), same(reshape)),
        Entry("transpose", permute, ("bcd",), same(permute)),
        Entry("swapaxes", lambda x: x.swapaxes(0, 2), ("bcd",), same(lambda x: x.swapaxes(0, 2))),
        Entry("squeeze", squeeze, ("b1c",), same(squeeze)),
        Entry("broadcast_to", expand, ("b1",), same(expand)),
        Entry(
            "concatenate",
            lambda a, b: mg.concatenate([a, b], 1),
            ("bc", "bd"),
            lambda torch: lambda a, b: torch.cat([a, b], 1),
        ),
        Entry(
            "stack",
            lambda a, b: mg.stack([a, b], 1),
            ("bc", "bc"),
            lambda torch: lambda a, b: torch.stack([a, b], 1),
        ),
        Entry("split", lambda x: mg.split(x, 2, 1), ("bc",), lambda torch: lambda x: torch.split(x, 2, 1)),
        Entry("tril", mg.tril, ("bc",), lambda torch: torch.tril),
        Entry("triu", mg.triu, ("bc",), lambda torch: torch.triu),
        Entry("getitem", picked, ("bc",), same(picked), shortest=2),
        Entry("getitem, repeated", repeated, ("#n", "4c"), same(repeated)),
        Entry(
            "gather",
            lambda i, x: mg.gather(x, 0, i),
            ("#nc", "4c"),
            lambda torch: lambda i, x: torch.gather(x, 0, i),
        ),
        Entry("scatter_add", lambda i, x: scatter_add(x, index=i, shape=(IDS, x.shape[1])), ("#n", "nc")),
    ]
    return [Entry(e.name, e.fn, e.inputs, e.against, second=False, shortest=e.shortest) for e in entries]


def _networks() -> list[Entry]:
    return [
        Entry("linear", F.linear, ("bti", "oi", "o"), lambda torch: _f(torch).linear),
        Entry(
            "layer_norm",
            F.layer_norm,
            ("btc", "c", "c"),
            lambda torch: lambda x, w, b: _f(torch).layer_norm(x, w.shape, w, b),
            shortest=2,
        ),
        Entry(
            "batch_norm",
            lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
            ("bc", "c", "c"),
            lambda torch: lambda x, w, b: _f(torch).batch_norm(x, None, None, w, b, training=True),
            shortest=2,
        ),
        Entry("embedding", F.embedding, ("#bt", "4c"), lambda torch: _f(torch).embedding, second=False),
        Entry(
            "cross_entropy",
            lambda t, x: F.cross_entropy(x, t),
            ("#n", "n4"),
            lambda torch: lambda t, x: _f(torch).cross_entropy(x, t),
        ),
        Entry(
            "cross_entropy, smoothed",
            lambda t, x: F.cross_entropy(x, t, label_smoothing=0.1, reduction="none"),
            ("#n", "n4"),
            lambda torch: lambda t, x: _f(torch).cross_entropy(x, t, label_smoothing=0.1, reduction="none"),
        ),
        Entry("mse_loss", F.mse_loss, ("bc", "bc"), lambda torch: _f(torch).mse_loss),
        Entry(
            "dropout",
            lambda x: F.dropout(x, 0.3),
            ("bcd",),
            lambda torch: lambda x: _f(torch).dropout(x, 0.3),
            seal=True,
        ),
    ]


def _attention() -> list[Entry]:
    causal = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)  # noqa: E731
    masked = lambda m, q, k, v: F.scaled_dot_product_attention(q, k, v, m | ~m[..., :1])  # noqa: E731
    return [
        Entry("attend", attend, ("btd", "bsd", "bse"), lambda torch: _f(torch).scaled_dot_product_attention),
        Entry(
            "attention, causal",
            causal,
            ("btd", "btd", "btd"),
            lambda torch: lambda q, k, v: _f(torch).scaled_dot_product_attention(q, k, v, is_causal=True),
        ),
        Entry(
            "attention, masked",
            masked,
            ("?bts", "btd", "bsd", "bsd"),
            lambda torch: lambda m, q, k, v: _f(torch).scaled_dot_product_attention(q, k, v, m | ~m[..., :1]),
        ),
        Entry("causal_attention", lambda x: F.causal_attention(x, n_head=2), ("bt6",)),
    ]


def _layers() -> list[Entry]:
    """Layers of fixed widths; those of PyTorch are given the same parameters by name."""
    x, ids = ("bt4",), ("#bt",)
    return [
        Entry("Linear", nn.Linear(4, 3), x, lambda torch: torch.nn.Linear(4, 3)),
        Entry("Embedding", nn.Embedding(4, 3), ids, lambda torch: torch.nn.Embedding(4, 3), second=False),
        Entry("LayerNorm", nn.LayerNorm(4), x, lambda torch: torch.nn.LayerNorm(4)),
        Entry("BatchNorm1d", nn.BatchNorm1d(4), ("b4t",), lambda torch: torch.nn.BatchNorm1d(4), shortest=2),
        Entry("Dropout", nn.Dropout(0.4), x, lambda torch: torch.nn.Dropout(0.4), seal=True),
        Entry("GELU", nn.GELU(), x, lambda torch: torch.nn.GELU()),
        Entry("ReLU", nn.ReLU(), x, lambda torch: torch.nn.ReLU()),
        Entry("Tanh", nn.Tanh(), x, lambda torch: torch.nn.Tanh()),
        Entry("Sigmoid", nn.Sigmoid(), x, lambda torch: torch.nn.Sigmoid()),
        Entry("Softmax", nn.Softmax(-1), x, lambda torch: torch.nn.Softmax(-1)),
        Entry("MSELoss", nn.MSELoss(), ("bc", "bc"), lambda torch: torch.nn.MSELoss()),
        Entry(
            "CrossEntropyLoss",
            _Targets(nn.CrossEntropyLoss()),
            ("#n", "n4"),
            lambda torch: lambda t, x: torch.nn.CrossEntropyLoss()(x, t),
        ),
        Entry("MLP", nn.MLP(4), x),
        Entry("SelfAttentionHead", nn.SelfAttentionHead(4, 3, 8).eval(), x),
        Entry("CausalSelfAttention", nn.CausalSelfAttention(4, 2), x),
        Entry("PreNormBlock", nn.PreNormBlock(4, 2), x),
        *_torch_layers(),
    ]


def _torch_layers() -> list[Entry]:
    """Attention and transformer layers, in training, with their dropout."""
    three = ("tb4", "sb4", "sb4")
    sizes: dict[str, Any] = {"d_model": 4, "nhead": 2, "dim_feedforward": 6, "dropout": 0.2}
    encoder, decoder = nn.TransformerEncoderLayer, nn.TransformerDecoderLayer
    return [
        Entry(
            "MultiheadAttention",
            nn.MultiheadAttention(4, 2),
            three,
            lambda torch: torch.nn.MultiheadAttention(4, 2),
        ),
        Entry(
            "TransformerEncoderLayer",
            encoder(**sizes),
            ("tb4",),
            lambda torch: torch.nn.TransformerEncoderLayer(**sizes),
            seal=True,
        ),
        Entry(
            "TransformerEncoderLayer, pre-norm",
            encoder(**sizes, norm_first=True),
            ("tb4",),
            lambda torch: torch.nn.TransformerEncoderLayer(**sizes, norm_first=True),
            seal=True,
            second=False,
        ),
        Entry(
            "TransformerDecoderLayer",
            decoder(**sizes),
            ("tb4", "sb4"),
            lambda torch: torch.nn.TransformerDecoderLayer(**sizes),
            seal=True,
            second=False,
        ),
    ]


class _Targets(nn.Module):
    """A loss that takes its targets first, as the catalogue draws them."""

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss

    def forward(self, targets, logits):
        """Return the loss."""
        return self.loss(logits, targets)


def _f(torch: Any) -> Any:
    return torch.nn.functional
