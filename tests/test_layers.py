"""Every layer against torch.nn, one row each: first weights, outputs, all gradients, state, dropout masks."""

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
import nn
from minigrad import no_grad
from minigrad.backend import to_numpy
from minigrad.tensor import wrap
from nn.check import twins
from tests.support import foreign, twin

# --- what the seed ideas are in PyTorch, for layers that torch.nn lacks ---


def gpt_settings(n_embd, n_head, dropout, bias, **others):
    return SimpleNamespace(n_embd=n_embd, n_head=n_head, dropout=dropout, bias=bias, **others)


class TorchBlock(torch.nn.Module):
    def __init__(self, n_embd, n_head, dropout=0.0, bias=True, dropout1=0.0, dropout2=0.0, **forms):
        super().__init__()
        config, eps = gpt_settings(n_embd, n_head, dropout, bias, **forms), forms.get("norm_eps", 1e-5)
        self.ln_1 = torch.nn.LayerNorm(n_embd, eps, bias=bias)
        self.attn = twin.Attention(config)
        self.ln_2 = torch.nn.LayerNorm(n_embd, eps, bias=bias)
        self.mlp = twin.MLP(config)
        self.dropout1, self.dropout2 = torch.nn.Dropout(dropout1), torch.nn.Dropout(dropout2)


class TorchPreNormBlock(TorchBlock):
    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class TorchPlainBlock(TorchBlock):
    def forward(self, x):
        return self.mlp(self.ln_2(self.attn(self.ln_1(x))))


class TorchSkipOneBlock(TorchBlock):
    def forward(self, x):
        x = self.ln_1(x)
        y = self.dropout1(x) + self.attn(x)
        y = self.ln_2(y)
        return self.dropout1(y) + self.mlp(y)


class TorchSkipTwoBlock(TorchBlock):
    def forward(self, x):
        x = self.ln_1(x)
        y = self.dropout1(x) + self.attn(x)
        y = self.ln_2(y)
        return self.dropout2(x) + self.dropout1(y) + self.mlp(y)


class TorchSelfAttentionHead(torch.nn.Module):
    def __init__(self, n_embd, head_size, block_size, attn_dropout=0.1, dropout=0.1):
        super().__init__()
        self.head_size = head_size
        self.Wq = torch.nn.Linear(n_embd, head_size, bias=False)
        self.Wk = torch.nn.Linear(n_embd, head_size, bias=False)
        self.Wv = torch.nn.Linear(n_embd, head_size, bias=False)
        self.register_buffer("tril", torch.tril(torch.ones(block_size, block_size)), persistent=False)
        self.attn_drop, self.resid_drop = torch.nn.Dropout(attn_dropout), torch.nn.Dropout(dropout)

    def calc_weights(self, x, decoder):
        q, k = self.Wq(x), self.Wk(x)
        scores = (q @ k.transpose(-2, -1)) * (self.head_size**-0.5)
        if decoder:
            T = x.size(1)
            scores = scores.masked_fill(self.tril[:T, :T] == 0, float("-inf"))
        return self.attn_drop(torch.softmax(scores, dim=-1))

    def forward(self, x, decoder=True):
        v = self.Wv(x)
        return self.resid_drop(self.calc_weights(x, decoder) @ v)


TORCH = SimpleNamespace(
    **{name: value for name, value in vars(torch.nn).items() if isinstance(value, type)},
    CausalSelfAttention=lambda n_embd, n_head, dropout=0.0, bias=True: twin.Attention(
        gpt_settings(n_embd, n_head, dropout, bias)
    ),
    MLP=lambda n_embd, dropout=0.0, bias=True, **forms: twin.MLP(
        gpt_settings(n_embd, 1, dropout, bias, **forms)
    ),
    PreNormBlock=TorchPreNormBlock,
    PlainBlock=TorchPlainBlock,
    SkipOneBlock=TorchSkipOneBlock,
    SkipTwoBlock=TorchSkipTwoBlock,
    SelfAttentionHead=TorchSelfAttentionHead,
    GroupedQueryAttention=lambda n_embd, n_head, n_kv_head, rope_theta=10000.0: twins.grouped_attention(
        torch, n_embd, n_head, n_kv_head, rope_theta
    ),
    SwiGLU=lambda n_embd, n_hidden: twins.swiglu(torch, n_embd, n_hidden),
    LlamaBlock=lambda n_embd, n_head, n_kv_head, n_hidden, rope_theta=10000.0, norm_eps=1e-5: (
        twins.llama_block(torch, n_embd, n_head, n_kv_head, n_hidden, theta=rope_theta, eps=norm_eps)
    ),
)


# --- the rows ---


@dataclass(frozen=True)
class Row:
    """One layer in one of its uses, built from `nn` or from torch.nn by the same lines."""

    name: str
    make: Callable  # library -> module
    inputs: tuple  # the shape of each input: lengths, or letters that hypothesis gives a length
    options: Callable = lambda n, rng: {}  # (lengths by letter, rng) -> keyword arguments: masks, switches
    call: Callable = lambda module, *inputs, **options: module(*inputs, **options)


def ids(high, *shape):
    """An option that draws integers below `high`."""
    return lambda n, rng: rng.integers(0, high, tuple(n.get(a, a) for a in shape))


def attend_to_itself(module, x, **options):
    return module(x, x, x, **options)


def attend_to_one(module, query, memory, **options):
    return module(query, memory, memory, **options)


def states(module, *inputs):
    """The output of a recurrent network and its last states, in one tuple."""
    y, last = module(*inputs)
    return (y, *last) if isinstance(last, tuple) else (y, last)


def forbid(rng, *shape):
    """A boolean mask that leaves every query its first key."""
    mask = rng.random(shape) < 0.4
    mask[..., 0] = False
    return mask


def padding(n, rng):
    return forbid(rng, n["b"], n["s"])


def causal(T):
    return np.triu(np.ones((T, T), bool), 1)


def numbers(lib, *values):
    """A tensor of the library."""
    return (wrap if lib is nn else torch.tensor)(np.float32(values))


E, H = 6, 2
TBE, SBE, BTE, BSE = ("t", "b", E), ("s", "b", E), ("b", "t", E), ("b", "s", E)

PLAIN = [
    Row("Identity", lambda lib: lib.Identity(), (("b", 3),)),
    Row("Linear", lambda lib: lib.Linear(3, 5), (("b", "t", 3),)),
    Row("Linear without bias", lambda lib: lib.Linear(3, 5, bias=False), (("b", 3),)),
    Row("Linear of a vector", lambda lib: lib.Linear(3, 5), ((3,),)),
    Row("LayerNorm", lambda lib: lib.LayerNorm(5), (("b", "t", 5),)),
    Row("LayerNorm over two axes", lambda lib: lib.LayerNorm((4, 5), eps=1e-3), (("b", 4, 5),)),
    Row("LayerNorm without bias", lambda lib: lib.LayerNorm(5, bias=False), (("b", 5),)),
    Row("LayerNorm alone", lambda lib: lib.LayerNorm(5, elementwise_affine=False), (("b", 5),)),
    Row("BatchNorm1d", lambda lib: lib.BatchNorm1d(4), (("b", 4),)),
    Row("BatchNorm1d of sequences", lambda lib: lib.BatchNorm1d(4, 1e-3, 0.3), (("b", 4, "t"),)),
    Row("BatchNorm1d averaging", lambda lib: lib.BatchNorm1d(4, momentum=None), (("b", 4),)),
    Row("BatchNorm1d alone", lambda lib: lib.BatchNorm1d(4, affine=False), (("b", 4, "t"),)),
    Row("BatchNorm1d untracked", lambda lib: lib.BatchNorm1d(4, track_running_stats=False), (("b", 4),)),
    Row("Dropout", lambda lib: lib.Dropout(0.3), (("b", "t", 5),)),
    Row("Dropout of all", lambda lib: lib.Dropout(1.0), (("b", 5),)),
    Row("Dropout of none", lambda lib: lib.Dropout(0.0), (("b", 5),)),
    Row("GELU", lambda lib: lib.GELU(), (("b", 5),)),
    Row("GELU tanh", lambda lib: lib.GELU(approximate="tanh"), (("b", 5),)),
    Row("ReLU", lambda lib: lib.ReLU(), (("b", 5),)),
    Row("Tanh", lambda lib: lib.Tanh(), (("b", 5),)),
    Row("Sigmoid", lambda lib: lib.Sigmoid(), (("b", 5),)),
    Row("Softmax", lambda lib: lib.Softmax(dim=1), (("b", "t", 5),)),
    Row("LogSoftmax", lambda lib: lib.LogSoftmax(0), (("b", "t", 5),)),
    *[
        Row(name, lambda lib, name=name: getattr(lib, name)(), (("b", 5),))
        for name in ("SiLU", "ReLU6", "LogSigmoid", "Softplus", "LeakyReLU", "ELU", "Hardtanh")
    ],
    Row(
        "activations in place",
        lambda lib: lib.Sequential(
            *(lib.Linear(4, 4), lib.ReLU(True), lib.Linear(4, 4), lib.SiLU(True), lib.LayerNorm(4)),
            *(lib.ELU(inplace=True), lib.Linear(4, 4), lib.LeakyReLU(0.2, True)),
        ),
        (("b", 4),),
    ),
    Row("Flatten", lambda lib: lib.Flatten(), (("b", 2, "t"),)),
    Row("Unflatten", lambda lib: lib.Unflatten(1, (2, -1)), (("b", 6, "t"),)),
    Row("BatchNorm2d", lambda lib: lib.BatchNorm2d(3), (("b", 3, "t", 2),)),
    Row("Conv1d", lambda lib: lib.Conv1d(4, 6, 3, 2, 1, 1, 2), (("b", 4, 7),)),
    Row("Conv1d of one", lambda lib: lib.Conv1d(2, 3, 3, padding="same", bias=False), ((2, 5),)),
    Row(
        "Conv1d that mirrors",
        lambda lib: lib.Conv1d(2, 3, 3, padding=2, padding_mode="reflect"),
        (("b", 2, 5),),
    ),
    Row("Conv2d", lambda lib: lib.Conv2d(2, 3, (3, 2), padding=(1, 0), dilation=2), (("b", 2, 6, 5),)),
    Row("MaxPool1d", lambda lib: lib.MaxPool1d(3, 2, 1), (("b", 2, 7),)),
    Row("MaxPool2d", lambda lib: lib.MaxPool2d(2), (("b", 2, 5, 4),)),
    Row("AdaptiveAvgPool1d", lambda lib: lib.AdaptiveAvgPool1d(3), (("b", 2, 7),)),
    Row("AdaptiveAvgPool2d", lambda lib: lib.AdaptiveAvgPool2d((3, None)), (("b", 2, 5, 4),)),
    Row("AdaptiveAvgPool2d to one", lambda lib: lib.AdaptiveAvgPool2d(1), ((2, 5, 4),)),
    Row("ConvTranspose1d", lambda lib: lib.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2, dilation=2), (("b", 4, 5),)),
    Row(
        "ConvTranspose2d",
        lambda lib: lib.ConvTranspose2d(2, 3, (3, 2), (2, 1), bias=False),
        (("b", 2, 3, 4),),
    ),
    Row("ConvTranspose2d of one", lambda lib: lib.ConvTranspose2d(2, 3, 4, 2, 1), ((2, 3, 4),)),
    Row("ConstantPad1d", lambda lib: lib.ConstantPad1d((2, -1), 0.5), (("b", 2, 5),)),
    Row("ConstantPad2d", lambda lib: lib.ConstantPad2d(1, 2.0), (("b", 2, 3, 4),)),
    Row("ZeroPad1d", lambda lib: lib.ZeroPad1d(2), (("b", 2, 5),)),
    Row("ZeroPad2d", lambda lib: lib.ZeroPad2d((1, 0, 2, -1)), (("b", 2, 3, 4),)),
    Row("ReflectionPad1d", lambda lib: lib.ReflectionPad1d(2), (("b", 2, 5),)),
    Row("ReflectionPad2d", lambda lib: lib.ReflectionPad2d((1, 2, 0, 1)), (("b", 2, 3, 4),)),
    Row("ReplicationPad1d", lambda lib: lib.ReplicationPad1d((1, 3)), (("b", 2, 5),)),
    Row("ReplicationPad2d", lambda lib: lib.ReplicationPad2d(2), (("b", 2, 3, 4),)),
    Row("Dropout2d", lambda lib: lib.Dropout2d(0.4), (("b", 3, 2, 4),)),
    Row("Mish", lambda lib: lib.Mish(), (("b", 5),)),
    Row("RMSNorm", lambda lib: lib.RMSNorm(5), (("b", "t", 5),)),
    Row("RMSNorm plain", lambda lib: lib.RMSNorm((2, 3), 1e-3, False), (("b", 2, 3),)),
    Row("AvgPool1d", lambda lib: lib.AvgPool1d(3, 2, 1, count_include_pad=False), (("b", 2, 7),)),
    Row("AvgPool2d", lambda lib: lib.AvgPool2d((2, 3), padding=1), (("b", 2, 5, 4),)),
    Row(
        "Embedding",
        lambda lib: lib.Embedding(7, 4),
        (),
        lambda n, rng: {"input": ids(7, "b", "t")(n, rng)},
        lambda module, input: module(input),
    ),
    Row(
        "Embedding with padding",
        lambda lib: lib.Embedding(7, 4, padding_idx=2),
        (),
        lambda n, rng: {"input": ids(7, "b", "t")(n, rng)},
        lambda module, input: module(input),
    ),
    Row(
        "CrossEntropyLoss",
        lambda lib: lib.CrossEntropyLoss(ignore_index=1, label_smoothing=0.1),
        (("b", 5),),
        lambda n, rng: {"target": np.append(rng.integers(0, 5, n["b"] - 1), 4)},
    ),
    Row(
        "CrossEntropyLoss of each token",
        lambda lib: lib.CrossEntropyLoss(reduction="none"),
        (("b", 5, "t"),),
        lambda n, rng: {"target": ids(5, "b", "t")(n, rng)},
    ),
    Row(
        "CrossEntropyLoss with weights",
        lambda lib: lib.CrossEntropyLoss(numbers(lib, 0.5, 2.0, 1.0), reduction="sum", label_smoothing=0.2),
        (("b", 3, "t"),),
        lambda n, rng: {"target": ids(3, "b", "t")(n, rng)},
    ),
    Row(
        "NLLLoss",
        lambda lib: lib.NLLLoss(numbers(lib, 0.5, 2.0, 1.0), ignore_index=1, reduction="none"),
        (("b", 3),),
        lambda n, rng: {"target": ids(3, "b")(n, rng)},
    ),
    *[
        Row(
            f"{name} {how}",
            lambda lib, name=name, how=how: getattr(lib, name)(reduction=how),
            (("b", 3), ("b", 3)),
        )
        for name in ("L1Loss", "SmoothL1Loss", "HuberLoss")
        for how in ("mean", "none")
    ],
    Row("KLDivLoss", lambda lib: lib.KLDivLoss(None, None, "batchmean", True), (("b", 3), ("b", 3))),
    Row(
        "BCELoss",
        lambda lib: lib.BCELoss(numbers(lib, 0.5, 2.0)),
        (("b", 2),),
        lambda n, rng: {"target": rng.random((n["b"], 2))},
        lambda module, x, target: module(x.sigmoid(), target),
    ),
    Row(
        "BCEWithLogitsLoss",
        lambda lib: lib.BCEWithLogitsLoss(pos_weight=numbers(lib, 0.5, 2.0)),
        (("b", 2),),
        lambda n, rng: {"target": rng.random((n["b"], 2))},
    ),
    Row("MSELoss", lambda lib: lib.MSELoss(), (("b", 3), ("b", 3))),
    Row("MSELoss summed", lambda lib: lib.MSELoss(reduction="sum"), (("b", 3), ("b", 3))),
    Row(
        "Sequential",
        lambda lib: lib.Sequential(
            lib.Linear(3, 8), lib.GELU("tanh"), lib.Dropout(0.4), lib.Sequential(lib.Linear(8, 2), lib.Tanh())
        ),
        (("b", 3),),
    ),
]

ATTENTION = [
    Row("MultiheadAttention", lambda lib: lib.MultiheadAttention(E, H), (TBE,), call=attend_to_itself),
    Row(
        "MultiheadAttention with dropout",
        lambda lib: lib.MultiheadAttention(E, H, dropout=0.3, batch_first=True),
        (BTE,),
        lambda n, rng: {"average_attn_weights": False},
        attend_to_itself,
    ),
    Row(
        "MultiheadAttention without weights",
        lambda lib: lib.MultiheadAttention(E, 3, dropout=0.3, bias=False),
        (TBE, SBE),
        lambda n, rng: {"need_weights": False, "key_padding_mask": padding(n, rng)},
        attend_to_one,
    ),
    Row(
        "MultiheadAttention to keys and values",
        lambda lib: lib.MultiheadAttention(E, H, batch_first=True),
        (BTE, BSE, BSE),
        lambda n, rng: {"attn_mask": forbid(rng, n["t"], n["s"])},
    ),
    Row(
        "MultiheadAttention under three masks",
        lambda lib: lib.MultiheadAttention(E, H, 0.2, batch_first=True),
        (BSE,),
        lambda n, rng: {
            "attn_mask": causal(n["s"]),
            "is_causal": True,
            "key_padding_mask": padding(n, rng),
            "need_weights": bool(rng.integers(2)),
        },
        attend_to_itself,
    ),
    Row(
        "MultiheadAttention under a mask for each head",
        lambda lib: lib.MultiheadAttention(E, H),
        (TBE, SBE),
        lambda n, rng: {
            "attn_mask": forbid(rng, n["b"] * H, n["t"], n["s"]),
            "key_padding_mask": padding(n, rng),
        },
        attend_to_one,
    ),
    Row(
        "MultiheadAttention under additive masks",
        lambda lib: lib.MultiheadAttention(E, H),
        (TBE, SBE),
        lambda n, rng: {
            "attn_mask": np.where(forbid(rng, n["t"], n["s"]), -math.inf, rng.standard_normal(n["s"])),
            "key_padding_mask": np.where(padding(n, rng), -math.inf, 0.5),
            "need_weights": bool(rng.integers(2)),
        },
        attend_to_one,
    ),
    Row(
        "MultiheadAttention under an additive causal mask",
        lambda lib: lib.MultiheadAttention(E, H, batch_first=True),
        (BTE,),
        lambda n, rng: {
            "attn_mask": np.where(causal(n["t"]), -math.inf, 0.0),
            "is_causal": True,
            "need_weights": bool(rng.integers(2)),
        },
        attend_to_itself,
    ),
    Row(
        "MultiheadAttention without a batch",
        lambda lib: lib.MultiheadAttention(E, H, 0.2, batch_first=True),
        (("t", E), ("s", E)),
        lambda n, rng: {
            "key_padding_mask": forbid(rng, n["s"]),
            "average_attn_weights": bool(rng.integers(2)),
            "need_weights": bool(rng.integers(2)),
        },
        attend_to_one,
    ),
    Row("CausalSelfAttention", lambda lib: lib.CausalSelfAttention(E, H, 0.3, True), (BTE,)),
    Row("CausalSelfAttention dropping all", lambda lib: lib.CausalSelfAttention(E, H, 1.0, True), (BTE,)),
    Row("GroupedQueryAttention", lambda lib: lib.GroupedQueryAttention(12, 6, 2, 100.0), (("b", "t", 12),)),
    Row(
        "GroupedQueryAttention of one head for all",
        lambda lib: lib.GroupedQueryAttention(8, 2, 1),
        (("b", "t", 8),),
    ),
    Row("GroupedQueryAttention of as many", lambda lib: lib.GroupedQueryAttention(8, 2, 2), (("b", "t", 8),)),
    Row("SelfAttentionHead", lambda lib: lib.SelfAttentionHead(E, 3, 4, 0.2, 0.3), (BTE,)),
    Row(
        "SelfAttentionHead of an encoder",
        lambda lib: lib.SelfAttentionHead(E, 3, 4),
        (BTE,),
        lambda n, rng: {"decoder": False},
    ),
    Row(
        "SelfAttentionHead's weights",
        lambda lib: lib.SelfAttentionHead(E, 3, 4),
        (BTE,),
        lambda n, rng: {"decoder": True},
        lambda module, x, decoder: module.calc_weights(x, decoder),
    ),
]

BLOCKS = [
    Row("MLP", lambda lib: lib.MLP(E, 0.2), (BTE,)),
    Row("SwiGLU", lambda lib: lib.SwiGLU(E, 5), (BTE,)),
    Row("LlamaBlock", lambda lib: lib.LlamaBlock(8, 4, 2, 5, 50.0, 0.1), (("b", "t", 8),)),
    Row("LlamaBlock as it comes", lambda lib: lib.LlamaBlock(8, 4, 1, 5), (("b", "t", 8),)),
    Row("PreNormBlock", lambda lib: lib.PreNormBlock(E, H, 0.2), (BTE,)),
    Row("PlainBlock", lambda lib: lib.PlainBlock(E, H, bias=False), (BTE,)),
    Row("SkipOneBlock", lambda lib: lib.SkipOneBlock(E, H, 0.2, dropout1=0.1), (BTE,)),
    Row("SkipTwoBlock", lambda lib: lib.SkipTwoBlock(E, H), (BTE,)),
    Row("SkipTwoBlock dropping", lambda lib: lib.SkipTwoBlock(E, H, 0.2, dropout1=0.1, dropout2=0.2), (BTE,)),
    Row("TransformerEncoderLayer", lambda lib: lib.TransformerEncoderLayer(E, H, 8), (TBE,)),
    Row(
        "TransformerEncoderLayer batch first",
        lambda lib: lib.TransformerEncoderLayer(E, H, 8, 0.3, "gelu", 1e-3, True),
        (BSE,),
        lambda n, rng: {"src_key_padding_mask": padding(n, rng), "src_mask": forbid(rng, n["s"], n["s"])},
    ),
    Row(
        "TransformerEncoderLayer pre-norm",
        lambda lib: lib.TransformerEncoderLayer(E, H, 8, batch_first=True, norm_first=True, bias=False),
        (BTE,),
        lambda n, rng: {"src_mask": causal(n["t"]), "is_causal": True},
    ),
    Row(
        "TransformerEncoderLayer without a batch",
        lambda lib: lib.TransformerEncoderLayer(E, H, 8),
        (("t", E),),
    ),
    Row("TransformerDecoderLayer", lambda lib: lib.TransformerDecoderLayer(E, H, 8), (TBE, SBE)),
    Row(
        "TransformerDecoderLayer batch first",
        lambda lib: lib.TransformerDecoderLayer(E, H, 8, 0.3, "gelu", 1e-3, True),
        (BTE, BSE),
        lambda n, rng: {
            "tgt_mask": causal(n["t"]),
            "tgt_is_causal": True,
            "memory_mask": forbid(rng, n["t"], n["s"]),
            "memory_key_padding_mask": padding(n, rng),
        },
    ),
    Row(
        "TransformerDecoderLayer pre-norm",
        lambda lib: lib.TransformerDecoderLayer(E, H, 8, norm_first=True, bias=False),
        (SBE, TBE),
        lambda n, rng: {"tgt_key_padding_mask": padding(n, rng)},
    ),
]

STACKS = [
    Row(
        "TransformerEncoder",
        lambda lib: lib.TransformerEncoder(lib.TransformerEncoderLayer(E, H, 8), 2, lib.LayerNorm(E), False),
        (SBE,),
        lambda n, rng: {"mask": causal(n["s"]), "src_key_padding_mask": padding(n, rng)},
    ),
    Row(
        "TransformerDecoder",
        lambda lib: lib.TransformerDecoder(lib.TransformerDecoderLayer(E, H, 8), 2),
        (TBE, SBE),
        lambda n, rng: {"tgt_mask": causal(n["t"])},
    ),
    Row(
        "Transformer",
        lambda lib: lib.Transformer(E, H, 1, 2, 8, activation="gelu"),
        (SBE, TBE),
        lambda n, rng: {"tgt_mask": causal(n["t"])},
    ),
]


def packed(module, x):
    """The states of sequences of several lengths: all outputs, and the last of each."""
    utils = (nn if isinstance(module, nn.Module) else torch.nn).utils.rnn
    lengths = [1 + 2 * i % x.shape[0] for i in range(x.shape[1])]
    output, last = module(utils.pack_padded_sequence(x, lengths, enforce_sorted=False))
    whole = utils.pad_packed_sequence(output, batch_first=True, padding_value=0.5, total_length=len(x) + 1)[0]
    return (whole, *(last if isinstance(last, tuple) else (last,)))


RECURRENT = [
    Row("LSTM, packed", lambda lib: lib.LSTM(3, 4, 2, bidirectional=True), (("t", "b", 3),), call=packed),
    Row("GRU, packed", lambda lib: lib.GRU(3, 4), (("t", "b", 3),), call=packed),
    Row(
        "RNN",
        lambda lib: lib.RNN(3, 4, 2, "relu", batch_first=True, dropout=0.3),
        (("b", "t", 3),),
        call=states,
    ),
    Row("RNN without a batch", lambda lib: lib.RNN(3, 4, bias=False), (("t", 3), (1, 4)), call=states),
    Row(
        "LSTM", lambda lib: lib.LSTM(3, 4, 2, dropout=0.3, bidirectional=True), (("t", "b", 3),), call=states
    ),
    Row(
        "LSTM going on",
        lambda lib: lib.LSTM(3, 4),
        (("t", "b", 3), (1, "b", 4), (1, "b", 4)),
        call=lambda module, x, h, c: states(module, x, (h, c)),
    ),
    Row("GRU", lambda lib: lib.GRU(3, 4, 2, True, True), (("b", "t", 3), (2, "b", 4)), call=states),
    Row("GRU both ways", lambda lib: lib.GRU(3, 2, bidirectional=True), (("t", "b", 3),), call=states),
    Row("RNNCell", lambda lib: lib.RNNCell(3, 4, nonlinearity="relu"), (("b", 3), ("b", 4))),
    Row("LSTMCell", lambda lib: lib.LSTMCell(3, 4), (("b", 3),)),
    Row("GRUCell", lambda lib: lib.GRUCell(3, 4, bias=False), (("b", 3), ("b", 4))),
]

ROWS = PLAIN + ATTENTION + BLOCKS + STACKS + RECURRENT
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
lengths = st.fixed_dictionaries({"b": st.integers(2, 4), "t": st.integers(1, 4), "s": st.integers(1, 4)})
seeds = st.integers(0, 2**32 - 1)


# --- running a row on both sides ---


def build(row, seed):
    """The layer and PyTorch's, each made right after its manual_seed(seed)."""
    minigrad.manual_seed(seed)
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "enable_nested_tensor is True"
        )  # what PyTorch says of its own speed
        return row.make(nn), row.make(TORCH)


def normal(rng, shape):
    """Normal numbers in float64 that float32 can hold."""
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


def randomise(ours, theirs, rng):
    """Give both the same random state, so that no bias is 0 and no gain 1."""
    state = {}
    for name, value in ours.state_dict().items():
        noise = normal(rng, value.shape) * 0.5
        state[name] = np.float32(abs(noise) + 0.5 if name.endswith("running_var") else value.numpy() + noise)
        if name.endswith("num_batches_tracked"):
            state[name] = np.array(3)
    ours.load_state_dict(state)
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})


def flat(outputs):
    """The outputs that are not None, as a list."""
    return [y for y in (outputs if isinstance(outputs, tuple) else (outputs,)) if y is not None]


def compare(row, n, seed, dtype, training):
    """{what: (ours, PyTorch's)} of one forward and backward pass with random weights and cotangents."""
    rng = np.random.default_rng(seed)
    ours, theirs = build(row, seed)
    ours, theirs = ours.to(np.dtype(dtype)).train(training), theirs.to(getattr(torch, dtype)).train(training)
    randomise(ours, theirs, rng)
    arrays = [normal(rng, [n.get(a, a) for a in shape]).astype(dtype) for shape in row.inputs]
    options = row.options(n, rng)
    xs = [wrap(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    doubles = [k for k, v in options.items() if isinstance(v, np.ndarray) and v.dtype == np.float64]
    floats = {k: v.astype(dtype) if k in doubles else v for k, v in options.items()}
    tensors = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in floats.items()}

    minigrad.manual_seed(seed + 1)
    torch.manual_seed(seed + 1)
    y, t = flat(row.call(ours, *xs, **floats)), flat(row.call(theirs, *ts, **tensors))
    assert [a.shape for a in y] == [tuple(a.shape) for a in t]
    pairs = {f"output {i}": (a.array, b.detach().numpy()) for i, (a, b) in enumerate(zip(y, t))}

    cotangents = [normal(rng, a.shape).astype(dtype) for a in y]
    if y[0].requires_grad:
        sum((a * wrap(c)).sum() for a, c in zip(y, cotangents)).backward()
        sum((b * torch.from_numpy(c)).sum() for b, c in zip(t, cotangents)).backward()
    pairs.update({f"d input {i}": (x.grad, b.grad.numpy()) for i, (x, b) in enumerate(zip(xs, ts))})
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    for name, p in ours.named_parameters():
        assert (p.grad is None) == (gradients[name] is None), name
        if p.grad is not None:
            pairs[f"d {name}"] = p.grad, gradients[name].numpy()
    for name, b in ours.named_buffers():
        if b.dtype == np.int64:
            assert b.item() == theirs.get_buffer(name).item()
        else:
            pairs[name] = b.array, theirs.get_buffer(name).numpy()
    return pairs


def assert_close(pairs, tolerance):
    for name, (a, b) in pairs.items():
        limit = tolerance * max(1.0, float(abs(b).max(initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=0, atol=limit, err_msg=name)


def largest(arrays):
    return max(float(abs(a).max(initial=0.0)) for a in arrays)


def assert_as_exact_as_pytorch(pairs, exact, tolerance):
    """Ours may miss the float64 results by 5 times what PyTorch's misses any of them by, and a little more.

    All are measured by the largest of them: a gradient that cancels to zero was computed from others.
    """
    truth = {name: b for name, (_, b) in exact.items()}
    rounding = tolerance * max(1.0, largest(truth.values()))
    miss = largest(b - truth[name] for name, (_, b) in pairs.items())
    assert miss < 1000 * rounding, "PyTorch's float32 and float64 have nothing to do with one another"
    for name, (a, _) in pairs.items():
        np.testing.assert_allclose(a, truth[name], rtol=0, atol=rounding + 5 * miss, err_msg=name)


@every_row
@given(n=lengths, seed=seeds, training=st.booleans())
def test_outputs_and_gradients_equal_pytorchs_and_are_as_exact_in_float32(row, n, seed, training):
    exact, pairs = (compare(row, n, seed, dtype, training) for dtype in ("float64", "float32"))
    assert {a.dtype for a, _ in exact.values()} == {np.dtype(np.float64)}
    assert {a.dtype for a, _ in pairs.values()} == {np.dtype(np.float32)}
    assert_close(exact, 1e-10)
    assert_as_exact_as_pytorch(pairs, exact, 3e-6)


@every_row
@given(seed=seeds)
def test_the_same_seed_gives_pytorchs_first_weights_bit_for_bit(row, seed):
    ours, theirs = build(row, seed)
    state = {name: t.numpy() for name, t in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)
    np.testing.assert_array_equal(minigrad.rand(3).array, torch.rand(3).numpy())  # as many draws, too


@pytest.mark.parametrize("row", PLAIN + RECURRENT, ids=lambda row: row.name.replace(" ", "-"))
def test_a_layer_prints_as_pytorchs_does(row):
    assert repr(row.make(nn)) == repr(row.make(torch.nn))


UNUSUAL = [
    lambda lib: lib.Conv1d(2, 4, 3, 2, 1, 2, 2, False, "circular"),
    lambda lib: lib.Conv1d(2, 4, 3, groups=2),
    lambda lib: lib.Conv2d(2, 4, 3, padding="same", dilation=2),
    lambda lib: lib.Conv2d(2, 4, (1, 2), padding=(0, 1), padding_mode="reflect"),
    lambda lib: lib.ConvTranspose1d(2, 4, 3, 2, 1, 1, 2, False, 2),
    lambda lib: lib.ConvTranspose2d(2, 4, 3, 2, output_padding=1),
    lambda lib: lib.MaxPool1d(3, 2, 1, 2),
    lambda lib: lib.MaxPool2d((2, 3), stride=(2, 1)),
    lambda lib: lib.AvgPool1d(3, 2, 1),
    lambda lib: lib.AvgPool2d(3, 2, 1),
    lambda lib: lib.BatchNorm1d(3, 0.5, None, False, False),
    lambda lib: lib.RMSNorm((2, 3), 0.5, False),
    lambda lib: lib.LayerNorm((2, 3), 0.5, False),
    lambda lib: lib.Embedding(4, 3, -1),
    lambda lib: lib.RNN(2, 3, 2, "relu", False, True, 0.5, True),
    lambda lib: lib.LSTM(2, 3, bidirectional=True),
    lambda lib: lib.GRU(2, 3, bias=False, batch_first=True),
    lambda lib: lib.RNNCell(2, 3, False, "relu"),
    lambda lib: lib.LSTMCell(2, 3, False),
    lambda lib: lib.GRUCell(2, 3),
    lambda lib: lib.Linear(2, 3, False),
    lambda lib: lib.Dropout(0.25, True),
    lambda lib: lib.Dropout2d(0.25, True),
    lambda lib: lib.Hardtanh(-2.0, 3.0, True),
    lambda lib: lib.Softplus(2.0, 3.0),
    lambda lib: lib.ELU(0.5),
    lambda lib: lib.Sequential(lib.ReLU(), lib.ReLU(), lib.ModuleList([lib.ReLU(), lib.ReLU()])),
]


def test_a_layer_of_unusual_settings_prints_as_pytorchs_does():
    shown = [[repr(make(lib)) for make in UNUSUAL] for lib in (nn, torch.nn)]
    assert shown[0] == shown[1]


@every_row
def test_state_moves_to_pytorch_and_back(row):
    ours, theirs = build(row, 1)
    randomise(ours, theirs, np.random.default_rng(1))
    fresh = row.make(nn)
    fresh.load_state_dict(theirs.state_dict())
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(fresh.state_dict()[name], value)


def train_one_step(row, n, seed, device, array):
    """Outputs, gradients and the state after a clipped step of SGD (AdamW would make much of rounding), as NumPy arrays."""
    rng = np.random.default_rng(seed)
    minigrad.manual_seed(seed)
    model = row.make(nn).double().to(device)
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1, momentum=0.9) if list(model.parameters()) else None
    xs = [wrap(array(normal(rng, [n.get(a, a) for a in s])), requires_grad=True) for s in row.inputs]
    options = {k: array(v) if isinstance(v, np.ndarray) else v for k, v in row.options(n, rng).items()}
    y = flat(row.call(model, *xs, **options))
    if y[0].requires_grad:
        sum((a * wrap(array(normal(rng, a.shape)))).sum() for a in y).backward()
    norm = nn.clip_grad_norm_(list(model.parameters()), 1.0)
    if optimizer:
        optimizer.step()
    assert all(a.device.type == device for a in (*y, *model.parameters(), *model.buffers()))
    found = [
        to_numpy(a)
        for a in (*(a.array for a in y), *(None if x.grad is None else x.grad.array for x in xs))
        if a is not None
    ]
    return [*found, float(norm), *(to_numpy(t._data) for t in model.state_dict().values())]


@every_row
@settings(
    max_examples=settings.default.max_examples // 4
)  # which functions are called varies less than numbers do
@given(n=lengths, seed=seeds)
def test_a_layer_trains_on_another_array_library(row, n, seed):
    with pytest.MonkeyPatch.context() as patch:
        cupy = foreign.install(patch)
        found = train_one_step(row, n, seed, "cuda", cupy.asarray)
    for a, b in zip(found, train_one_step(row, n, seed, "cpu", np.asarray), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_the_comparison_sees_one_part_in_a_thousand():
    exact, pairs = (compare(ROWS[1], {"b": 2, "t": 3}, 5, dtype, True) for dtype in ("float64", "float32"))
    assert_as_exact_as_pytorch(pairs, exact, 3e-6)
    a, b = pairs["d weight"]
    with pytest.raises(AssertionError, match="d weight"):
        assert_as_exact_as_pytorch({"d weight": (a * np.float32(1.001), b)}, exact, 3e-6)
    with pytest.raises(AssertionError, match="d weight"):
        assert_close({"d weight": (exact["d weight"][0] * (1 + 1e-9), exact["d weight"][1])}, 1e-10)


def test_every_public_layer_has_a_row():
    used = {type(m) for row in ROWS for m in row.make(nn).modules()}
    layers = {v for v in vars(nn).values() if isinstance(v, type) and issubclass(v, nn.Module)}
    containers = {nn.ModuleDict, nn.ParameterList, nn.ParameterDict}
    assert layers - used == {nn.Module, *containers}  # which have no forward of their own


# --- what rows cannot say ---


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_encoder_equals_pytorchs_fused_path_for_inference(norm_first, activation):
    row = Row(
        "", lambda lib: lib.TransformerEncoderLayer(8, 2, 16, 0.1, activation, 1e-5, True, norm_first), ()
    )
    ours, theirs = build(row, 3)
    randomise(ours, theirs, np.random.default_rng(3))
    ours, theirs = ours.double().eval(), theirs.double().eval()
    x = np.random.default_rng(4).standard_normal((3, 5, 8))
    padding = np.arange(5) >= np.array([5, 3, 1])[:, None]
    with torch.inference_mode(), no_grad():
        expected = theirs(torch.from_numpy(x), src_key_padding_mask=torch.from_numpy(padding)).numpy()
        y = ours(wrap(x), src_key_padding_mask=padding).array
    used = ~padding  # what stands at padded places is nobody's business
    np.testing.assert_allclose(y[used], expected[used], rtol=1e-10, atol=1e-10)


def test_dropout_masks_are_drawn_in_the_order_of_memory_as_in_pytorch():
    x = np.random.default_rng(0).standard_normal((4, 3, 5))
    for view in (
        lambda a: a.swapaxes(0, 1),
        lambda a: a.swapaxes(0, 1).swapaxes(1, 2),  # a cycle, which is not its own inverse
        lambda a: a.swapaxes(1, 2).swapaxes(0, 1),
        lambda a: a[:, ::2],
    ):
        minigrad.manual_seed(9)
        torch.manual_seed(9)
        ours = nn.Dropout(0.4)(wrap(view(x)))
        np.testing.assert_allclose(ours.array, torch.nn.Dropout(0.4)(view(torch.from_numpy(x))).numpy())


def test_dropout_shows_the_mask_it_used():
    layer, x = nn.Dropout(0.5), minigrad.ones(20, 30)
    y = layer(x)
    np.testing.assert_array_equal(layer.last_mask, y.array != 0)
    first = layer.last_mask
    assert (layer(x).array != 0).tolist() != first.tolist()
    layer.eval()
    assert layer(x) is x and layer.last_mask is None


def test_attention_weights_show_the_mask_of_dropout_and_sum_to_one_without():
    layer, x = nn.MultiheadAttention(8, 2, dropout=0.5), minigrad.randn(6, 3, 8)
    weights = layer(x, x, x, average_attn_weights=False)[1].array
    assert weights.shape == (3, 2, 6, 6) and 0.2 < (weights == 0).mean() < 0.8
    np.testing.assert_allclose(layer.eval()(x, x, x)[1].array.sum(-1), 1, rtol=1e-6)


@pytest.mark.parametrize("need_weights", [False, True])
def test_a_query_without_a_key_gives_zeros_and_no_gradient_where_pytorch_gives_nan(need_weights):
    layer = nn.MultiheadAttention(4, 2, batch_first=True).double()
    x = minigrad.randn(2, 3, 4, dtype=np.float64, requires_grad=True)
    nobody = np.array([[True] * 3, [False] * 3])
    y, weights = layer(x, x, x, key_padding_mask=nobody, need_weights=need_weights)
    np.testing.assert_array_equal(y.array[0], np.broadcast_to(layer.out_proj.bias.array, (3, 4)))
    assert need_weights == (weights is not None) and (weights is None or (weights.array[0] == 0).all())
    (y * minigrad.randn(2, 3, 4, dtype=np.float64)).sum().backward()
    assert (x.grad[0] == 0).all() and np.isfinite(x.grad).all() and (x.grad[1] != 0).any()


@pytest.mark.parametrize("need_weights", [False, True])
def test_a_learned_bias_on_the_scores_gets_pytorchs_gradient(need_weights):
    row = Row("", lambda lib: lib.MultiheadAttention(4, 2), ())
    ours, theirs = (m.double() for m in build(row, 1))
    rng = np.random.default_rng(1)
    x, bias, dy = rng.standard_normal((5, 2, 4)), rng.standard_normal((5, 5)), rng.standard_normal((5, 2, 4))
    a, b = wrap(bias, requires_grad=True), torch.tensor(bias, requires_grad=True)
    y = ours(*[wrap(x)] * 3, attn_mask=a, need_weights=need_weights)[0]
    t = theirs(*[torch.from_numpy(x)] * 3, attn_mask=b, need_weights=need_weights)[0]
    y.backward(dy)
    t.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_is_causal_alone_hides_the_future():
    layer = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    x, memory = minigrad.randn(2, 5, 8), minigrad.randn(2, 3, 8)
    changed = wrap(np.concatenate([x.array[:, :3], x.array[:, 3:] + 1], axis=1))
    before, after = (layer(v, memory, tgt_is_causal=True).array for v in (x, changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (layer(x, memory).array[:, :3] != layer(changed, memory).array[:, :3]).any()


def test_without_batch_first_attention_runs_across_the_batch():
    first = minigrad.randn(2, 5, 8)
    second = wrap(np.stack([first.array[0], first.array[1] + 1]))
    for batch_first in (False, True):
        layer = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        y, z = (layer(x, x, x)[0].array for x in (first, second))
        assert (y[0] == z[0]).all() == batch_first


def test_batch_norm_normalises_its_batch_and_then_by_what_it_remembers():
    layer, x = nn.BatchNorm1d(3), wrap(np.random.default_rng(0).standard_normal((50, 3)) * 4 + 7).float()
    y = layer(x).array
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, rtol=1e-4)
    before = copy.deepcopy(layer.state_dict())
    layer.eval()
    one = layer(x[:1])  # a batch of one is no problem any more
    np.testing.assert_array_equal(one.array, layer(x).array[:1])
    assert all((before[name] == value).all() for name, value in layer.state_dict().items())


def test_batch_norm_counts_batches():
    layer = nn.BatchNorm1d(2)
    for _ in range(3):
        layer(minigrad.randn(4, 2))
    assert layer.num_batches_tracked.item() == 3
    with pytest.raises(ValueError, match="two or more values"):
        layer(minigrad.randn(1, 2))
    assert layer.num_batches_tracked.item() == 3


def test_the_blocks_differ_only_in_their_skips():
    x = minigrad.randn(2, 4, E)
    blocks = []
    for make in (nn.PlainBlock, nn.SkipOneBlock, nn.SkipTwoBlock, nn.PreNormBlock):
        minigrad.manual_seed(1)
        blocks.append(make(E, H))
    plain, one, two, pre = (block(x).array for block in blocks)
    n = blocks[0].ln_1(x)
    np.testing.assert_allclose(two - one, n.array, rtol=1e-5, atol=1e-6)
    y = n + blocks[1].attn(n)
    np.testing.assert_allclose(one, (blocks[1].ln_2(y) + blocks[1].mlp(blocks[1].ln_2(y))).array, rtol=1e-6)
    assert not np.allclose(pre, one) and not np.allclose(plain, one)


def randn(*shape):
    return minigrad.randn(*shape)


ERRORS = [
    (lambda: nn.Linear(0, 3), "Linear: expected sizes that are integers >= 1"),
    (
        lambda: nn.Linear(3, 2)(randn(2, 4)),
        r"linear: expected x \(..., 3\) for weight \(2, 3\); got x \(2, 4\)",
    ),
    (lambda: nn.Embedding(5, 2, padding_idx=5), "Embedding: expected padding_idx within 5 rows; got 5"),
    (lambda: nn.Embedding(5, 2)(np.array([5])), "embedding: expected ids in 0..4; got 5..5"),
    (lambda: nn.LayerNorm(5)(randn(2, 4)), r"LayerNorm: expected x \(..., 5\); got x \(2, 4\)"),
    (lambda: nn.Dropout(1.5), "Dropout: expected 0 <= p <= 1; got 1.5"),
    (lambda: nn.GELU("sigmoid"), 'GELU: expected "none" or "tanh"'),
    (
        lambda: nn.BatchNorm1d(3)(randn(2, 4)),
        r"BatchNorm1d: expected x \(N, 3\) or \(N, 3, L\); got x \(2, 4\)",
    ),
    (lambda: nn.BatchNorm1d(3)(randn(1, 3)), r"batch_norm: .* in training; got x \(1, 3\); .*model.eval\(\)"),
    (lambda: nn.functional.batch_norm(randn(2, 3), None, None), "running_var outside training; got None"),
    (lambda: nn.functional.batch_norm(randn(2, 3), randn(1), randn(1)), r"expected running_mean \(3,\)"),
    (
        lambda: nn.functional.batch_norm(randn(2, 3), None, None, randn(1), training=True),
        r"expected weight \(3,\)",
    ),
    (lambda: nn.functional.batch_norm(randn(3), None, None, training=True), r"expected x \(N, C\)"),
    (lambda: nn.MultiheadAttention(6, 4), "expected embed_dim divisible by num_heads; got 6 and 4"),
    (lambda: nn.MultiheadAttention(6, 2, dropout=-1), "MultiheadAttention: expected 0 <= p <= 1"),
    (lambda: nn.MultiheadAttention(6, 2)(*[randn(3, 2, 5)] * 3), r"expected .*\(T, B, 6\) and \(S, B, 6\)"),
    (
        lambda: nn.MultiheadAttention(6, 2)(randn(3, 2, 6), *[randn(3, 1, 6)] * 2),
        r"got \(3, 2, 6\) and \(3, 1, 6\)",
    ),
    (
        lambda: nn.MultiheadAttention(6, 2)(*[randn(3, 2, 6)] * 3, attn_mask=np.ones((3, 2), bool)),
        r"expected attn_mask \(3, 3\) or \(4, 3, 3\); got \(3, 2\)",
    ),
    (
        lambda: nn.MultiheadAttention(6, 2)(*[randn(3, 2, 6)] * 3, key_padding_mask=np.ones((3, 2), bool)),
        r"expected key_padding_mask \(2, 3\); got \(3, 2\)",
    ),
    (
        lambda: nn.MultiheadAttention(6, 2)(*[randn(3, 2, 6)] * 3, attn_mask=np.ones((3, 3), int)),
        "expected a boolean or float attn_mask; got int64; True means: ignore",
    ),
    (
        lambda: nn.MultiheadAttention(6, 2, batch_first=True)(*[randn(3, 2, 5)] * 3),
        r"expected .*\(B, T, 6\) and \(B, S, 6\)",
    ),
    (lambda: nn.LSTM(3, 2)(randn(4, 2, 2)), r"LSTM: expected input \(T, B, 3\); got \(4, 2, 2\)"),
    (lambda: nn.GRU(3, 2, batch_first=True)(randn(4, 2, 2)), r"GRU: expected input \(B, T, 3\); got"),
    (
        lambda: nn.LSTM(3, 2)(randn(4, 2, 3), randn(1, 2, 2)),
        r"a state \(1, 2, 2\) and a state \(1, 2, 2\); got",
    ),
    (lambda: nn.functional.layer_norm(randn(2), ()), "layer_norm: expected an axis or more"),
    (lambda: nn.functional.layer_norm(randn(2), (3,)), r"layer_norm: expected input \(..., 3\); got \(2,\)"),
    (lambda: nn.Linear(3, -1), "integers >= 1; got"),
    (lambda: nn.RNN(3, 2, 0), "input_size, hidden_size and num_layers of 1 or more"),
    (lambda: nn.Transformer(4, 2, 0), "Transformer: expected a layer or more"),
    (lambda: nn.CausalSelfAttention(6, 4), "expected n_embd divisible by n_head; got 6 and 4"),
    (
        lambda: nn.SelfAttentionHead(6, 2, 4)(randn(1, 5, 6)),
        r"expected at most 4 tokens \(block_size\); got 5",
    ),
    (lambda: nn.TransformerEncoderLayer(6, 2, activation="silu"), 'expected "relu", "gelu" or a function'),
    (lambda: nn.CrossEntropyLoss(reduction="avg"), 'CrossEntropyLoss: expected "mean", "sum" or "none"'),
    (lambda: nn.CrossEntropyLoss(label_smoothing=2), "expected 0 <= label_smoothing <= 1; got 2"),
    (lambda: nn.MSELoss(reduction=None), 'MSELoss: expected "mean", "sum" or "none"'),
    (lambda: nn.MSELoss()(randn(2), randn(3)), r"mse_loss: expected shapes that broadcast; got input \(2,\)"),
]


@pytest.mark.parametrize("loss", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_losses_warn_where_they_broadcast_as_pytorchs_do(loss):
    for F, x in ((nn.functional, minigrad.ones(2, 1)), (torch.nn.functional, torch.ones(2, 1))):
        with pytest.warns(UserWarning, match="broadcast") as told:
            getattr(F, loss)(x, x.reshape(2))
        assert told[0].filename == __file__  # the line of the user's that is meant


@pytest.mark.parametrize("cause, message", ERRORS, ids=[message[:30] for _, message in ERRORS])
def test_a_mistake_is_told_in_one_line(cause, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        cause()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("p", [0.01, 0.04, 0.1, 0.42, 0.5, 0.76, 0.87, 0.99])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_scales_to_the_last_bit_as_pytorch_does(p, dtype):
    x = np.linspace(-3, 3, 101, dtype=dtype)
    minigrad.manual_seed(5)
    torch.manual_seed(5)
    ours = nn.functional.dropout(minigrad.tensor(x), p).numpy()
    np.testing.assert_array_equal(ours, torch.nn.functional.dropout(torch.from_numpy(x), p).numpy())
