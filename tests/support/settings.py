"""One call of every public layer and function of `nn`, and for each argument a value that changes what it gives.

An entry is (what is always given, {argument: [values]}). A value is put in the place of the one given, or of the
default. `With` gives other arguments along with it; `Apart` gives PyTorch others, where the two say it otherwise;
`Refused` is what raises NotImplementedError here; `Idle` says why a value changes nothing. An array of floats that
is always given needs no values: the sweep moves it by itself. In an entry of a layer, what its `forward` knows goes
there, and all else to the constructor.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

RNG = np.random.default_rng(31)


@dataclass(frozen=True)
class With:
    """A value, and what is given along with it; without the value, that is given alone."""

    value: Any
    others: dict


@dataclass(frozen=True)
class Apart:
    """What says the same here and in PyTorch."""

    ours: dict
    theirs: dict


@dataclass(frozen=True)
class Refused:
    """A value that PyTorch takes and minigrad refuses."""

    value: Any


@dataclass(frozen=True)
class Idle:
    """Why an argument changes no number, and a value that is accepted."""

    why: str
    value: Any


@dataclass(frozen=True)
class Made:
    """A value that each library makes for itself."""

    make: Any  # the module `nn` of a library -> the value


@dataclass(frozen=True)
class Packed:
    """An array (T, B, C) of sequences of these lengths, packed by each library."""

    array: Any
    lengths: list


def draw(*shape):
    return RNG.standard_normal(shape)


X, SERIES, IMAGES = draw(2, 3), draw(2, 2, 7), draw(2, 2, 6, 5)
LOGITS, CLASSES = (
    draw(3, 4, 2, 3),
    np.array([[[0, 1, 2], [3, 1, 0]], [[2, 2, 1], [0, 3, 1]], [[1, 0, 3], [2, 1, 1]]]),
)
SHARES, WEIGHT4, POSITIVE = np.abs(draw(3, 4, 2, 3)), np.array([0.5, 2.0, 1.0, 3.0]), np.abs(draw(2, 3)) + 0.3
IN, PROBABILITIES = draw(2, 3) * 3, RNG.uniform(0.1, 0.9, (2, 3))
SPEED = "PyTorch's way to be faster, not different"

# --- what several share ---

OLD = {"size_average": [False], "reduce": [False]}  # PyTorch's arguments of the past
LOSS = {**OLD, "reduction": ["sum", "none"]}
INPLACE = {"inplace": [True]}
POOL = {"kernel_size": [3], "stride": [1], "padding": [1]}
MAX_POOL = {**POOL, "dilation": [2], "ceil_mode": [Refused(True)], "return_indices": [Refused(True)]}
AVG_POOL = {**POOL, "ceil_mode": [Refused(True)], "count_include_pad": [With(False, {"padding": 1})]}
DIVISOR = {"divisor_override": [Refused(3)]}
TABLE = {"max_norm": [Refused(1.0)], "norm_type": [Idle("of max_norm", 1.0)], "scale_grad_by_freq": [Refused(True)],
         "sparse": [Refused(True)]}  # fmt: skip
AXIS = {"dim": [1, None], "axis": [Apart({"dim": None, "axis": 0}, {"dim": 0})], "_stacklevel": [Idle("where a warning points", 2)],
        "dtype": [Apart({"dtype": np.float32}, {"dtype": torch.float32})]}  # fmt: skip


def convolved(weight, **more):
    """The arguments of a convolution whose groups need another weight."""
    return {"stride": [2], "padding": [1], "dilation": [2], "groups": [With(2, {"weight": weight})], **more}


W1, W2 = draw(4, 2, 3), draw(4, 2, 3, 2)
T1, T2 = draw(2, 4, 3), draw(2, 4, 3, 2)
BIAS4, HEADS, PAST = draw(4), draw(2, 2, 4, 3), np.tri(4, dtype=bool)
LONG, BAND = (
    draw(1, 70, 2),
    np.abs(np.subtract.outer(np.arange(70), np.arange(70))) < 9,
)  # more than a block of queries

FUNCTIONS = {
    "linear": ({"input": X, "weight": draw(4, 3), "bias": BIAS4}, {"bias": [None]}),
    "embedding": ({"input": np.array([[0, 1], [3, 1]]), "weight": draw(4, 3)}, {"padding_idx": [1, -3], **TABLE}),
    "gelu": ({"input": X}, {"approximate": ["tanh"]}),
    "layer_norm": (
        {"input": draw(2, 3, 3), "normalized_shape": (3,), "weight": draw(3), "bias": draw(3)},
        {"normalized_shape": [With((3, 3), {"weight": None, "bias": None})], "eps": [0.5]},
    ),
    "rms_norm": (
        {"input": draw(2, 3, 3), "normalized_shape": (3,), "weight": draw(3)},
        {"normalized_shape": [With((3, 3), {"weight": None})], "eps": [0.5]},
    ),
    "dropout": ({"input": X}, {"p": [0.2, 1.0], "training": [False], **INPLACE}),
    "dropout2d": ({"input": IMAGES}, {"p": [0.2, 1.0], "training": [False], **INPLACE}),
    "cross_entropy": (
        {"input": LOGITS, "target": CLASSES},
        {"target": [SHARES], "weight": [WEIGHT4, With(WEIGHT4, {"target": SHARES})], "ignore_index": [1], **LOSS,
         "label_smoothing": [0.2, With(0.2, {"weight": WEIGHT4}), With(0.2, {"target": SHARES})]},
    ),
    "nll_loss": ({"input": LOGITS, "target": CLASSES}, {"weight": [WEIGHT4], "ignore_index": [1], **LOSS}),
    **{name: ({"input": X, "dim": 0}, AXIS) for name in ("softmax", "log_softmax", "softmin")},
    **{name: ({"input": IN}, INPLACE) for name in ("relu", "silu", "mish", "relu6")},
    **{name: ({"input": IN}, {}) for name in ("sigmoid", "tanh", "logsigmoid")},
    "leaky_relu": ({"input": IN}, {"negative_slope": [0.3], **INPLACE}),
    "elu": ({"input": IN}, {"alpha": [2.0], **INPLACE}),
    "hardtanh": ({"input": IN}, {"min_val": [-0.3], "max_val": [0.2], **INPLACE}),
    "softplus": ({"input": IN}, {"beta": [2.0], "threshold": [0.3]}),
    "scaled_dot_product_attention": (
        {"query": HEADS, "key": draw(2, 2, 4, 3), "value": draw(2, 2, 4, 3)},
        {
            "attn_mask": [PAST, draw(4, 4), With(BAND, {"query": LONG, "key": LONG + 0.1, "value": LONG - 0.1})],
            "dropout_p": [0.4, 1.0, With(0.4, {"attn_mask": draw(4, 4)})],
            "is_causal": [True, With(True, {"query": LONG, "key": LONG + 0.1, "value": LONG - 0.1})],
            "scale": [0.3, With(0.3, {"attn_mask": draw(4, 4)}), With(0.3, {"is_causal": True})],
            "enable_gqa": [With(True, {"key": draw(2, 1, 4, 3), "value": draw(2, 1, 4, 3)})],
        },
    ),
    "batch_norm": (
        {"input": draw(5, 3), "running_mean": draw(3), "running_var": POSITIVE[0], "weight": draw(3), "bias": draw(3)},
        {"training": [True], "momentum": [With(0.4, {"training": True})], "eps": [0.5, With(0.5, {"training": True})]},
    ),
    **{name: ({"input": X, "target": IN}, {**LOSS, "weight": [POSITIVE]}) for name in ("mse_loss", "l1_loss")},
    "smooth_l1_loss": ({"input": X, "target": IN}, {**LOSS, "beta": [0.3]}),
    "huber_loss": ({"input": X, "target": IN}, {"reduction": ["sum", "none"], "delta": [0.3], "weight": [POSITIVE]}),
    "kl_div": ({"input": X, "target": POSITIVE}, {**LOSS, "reduction": ["sum", "none", "batchmean"], "log_target": [True]}),
    "binary_cross_entropy": ({"input": PROBABILITIES, "target": PROBABILITIES[::-1].copy()}, {**LOSS, "weight": [POSITIVE]}),
    "binary_cross_entropy_with_logits": (
        {"input": X, "target": PROBABILITIES}, {**LOSS, "weight": [POSITIVE], "pos_weight": [POSITIVE]},
    ),
    "normalize": ({"input": X}, {"p": [1.0, 3.0], "dim": [0], "eps": [2.0], "out": [Refused(X)]}),
    "cosine_similarity": ({"x1": X, "x2": IN}, {"dim": [0], "eps": [9.0]}),
    "pairwise_distance": ({"x1": X, "x2": IN}, {"p": [1.0], "eps": [0.5], "keepdim": [True]}),
    "one_hot": ({"tensor": np.array([0, 2, 1])}, {"num_classes": [5]}),
    "pad": ({"input": draw(1, 2, 4), "pad": (1, 2)}, {"pad": [(0, 1)], "mode": ["reflect", "replicate", "circular"], "value": [2.0]}),
    "conv1d": ({"input": SERIES, "weight": W1, "bias": BIAS4}, convolved(W1[:, :1].copy())),
    "conv2d": ({"input": IMAGES, "weight": W2, "bias": BIAS4}, convolved(W2[:, :1].copy())),
    "conv_transpose1d": (
        {"input": SERIES, "weight": T1, "bias": BIAS4},
        convolved(T1[:, :2].copy(), output_padding=[With(1, {"stride": 2})]),
    ),
    "conv_transpose2d": (
        {"input": IMAGES, "weight": T2, "bias": BIAS4},
        convolved(T2[:, :2].copy(), output_padding=[With((1, 0), {"stride": 2})]),
    ),
    "unfold": ({"input": IMAGES, "kernel_size": 2}, {"kernel_size": [(2, 3)], "dilation": [2], "padding": [1], "stride": [2]}),
    "max_pool1d": ({"input": SERIES, "kernel_size": 2}, MAX_POOL),
    "max_pool2d": ({"input": IMAGES, "kernel_size": 2}, MAX_POOL),
    "avg_pool1d": ({"input": SERIES, "kernel_size": 2}, AVG_POOL),
    "avg_pool2d": ({"input": IMAGES, "kernel_size": 2}, AVG_POOL | DIVISOR),
    "adaptive_avg_pool1d": ({"input": SERIES, "output_size": 3}, {"output_size": [2]}),
    "adaptive_avg_pool2d": ({"input": IMAGES, "output_size": 3}, {"output_size": [(2, None)]}),
}  # fmt: skip

STEPS, STATE = draw(4, 2, 3), draw(1, 2, 4)
SEQUENCES, PACKED = (draw(2, 3), draw(4, 3), draw(1, 3)), Packed(draw(4, 3, 2), [2, 4, 1])
SORTED = tuple(sorted(SEQUENCES, key=lambda s: -len(s)))
UTILITIES = {
    "utils.rnn.pad_sequence": (
        {"sequences": SEQUENCES},
        {"sequences": [SEQUENCES[::-1]], "batch_first": [True], "padding_value": [2.0], "padding_side": ["left"]},
    ),
    "utils.rnn.unpad_sequence": (
        {"padded_sequences": STEPS, "lengths": torch.tensor([3, 2])},
        {"lengths": [torch.tensor([1, 4])], "batch_first": [With(True, {"padded_sequences": draw(2, 4, 3)})]},
    ),
    "utils.rnn.pack_padded_sequence": (
        {"input": STEPS, "lengths": [3, 2]},
        {"lengths": [[4, 1]], "batch_first": [With(True, {"input": draw(2, 4, 3)})],
         "enforce_sorted": [False, With(False, {"lengths": [2, 3]})]},
    ),
    "utils.rnn.pack_sequence": ({"sequences": SORTED}, {"sequences": [SORTED[:2]], "enforce_sorted": [With(False, {"sequences": SEQUENCES})]}),
    "utils.rnn.pad_packed_sequence": (
        {"sequence": PACKED},
        {"sequence": [Packed(PACKED.array, [3, 3, 4])], "batch_first": [True], "padding_value": [2.0],
         "total_length": [6, With(6, {"batch_first": True})]},
    ),
}  # fmt: skip

# --- layers ---

PAIR = {"input": X, "target": IN}
NORM = {"eps": [0.5], "elementwise_affine": [False]}
CONV = {"in_channels": [With(1, {"input": SERIES[:, :1]})], "out_channels": [2], "kernel_size": [2], "stride": [2],
        "padding": [1], "dilation": [2], "groups": [2], "bias": [False]}  # fmt: skip
MODES = {"padding_mode": [With(mode, {"padding": 1}) for mode in ("reflect", "replicate", "circular")]}
SPREAD = {
    "output_padding": [With(1, {"stride": 2})],
    "padding_mode": [Idle("PyTorch has no other either", "zeros")],
}
BATCH_NORM = {
    "eps": [0.5],
    "momentum": [0.4, None],
    "affine": [False],
    "track_running_stats": [False],
    "bias": [False],
}
RECURRENT = {"input_size": [With(2, {"input": STEPS[..., :2].copy()})], "hidden_size": [5], "num_layers": [2],
             "bias": [False], "batch_first": [True], "dropout": [With(0.5, {"num_layers": 2})], "bidirectional": [True]}  # fmt: skip
CELL = {"input_size": [With(2, {"input": X[:, :2].copy()})], "hidden_size": [5], "bias": [False]}
SIZES, PACKED_STEPS = {"input_size": 3, "hidden_size": 4}, {"input": Packed(STEPS, [2, 4])}

T, S = draw(4, 2, 6), draw(3, 2, 6)
CAUSAL, ACROSS = ~np.tri(4, dtype=bool), ~np.tri(4, 3, dtype=bool)
BAND4, BAND43 = np.eye(4, k=-1, dtype=bool), np.eye(4, 3, k=-1, dtype=bool)
PADDED4, PADDED3 = np.arange(4) >= np.array([[4], [2]]), np.arange(3) >= np.array([[2], [3]])


def hint(name, mask_name, mask):
    """is_causal says it all here; in PyTorch it is a hint beside the mask that says so."""
    return [Apart({name: True}, {name: True, mask_name: mask})]


LAYER = {"d_model": 6, "nhead": 2, "dim_feedforward": 5}
LAYERS_OF = {"nhead": [3], "dim_feedforward": [7], "dropout": [0.5], "activation": ["gelu"], "layer_norm_eps": [0.5],
             "batch_first": [True], "norm_first": [True], "bias": [False]}  # fmt: skip
SOURCE = {"src_mask": [BAND4], "src_key_padding_mask": [PADDED4]}
TARGET = {
    "tgt_mask": [BAND4], "memory_mask": [BAND43], "tgt_key_padding_mask": [PADDED4], "memory_key_padding_mask": [PADDED3],
    "tgt_is_causal": hint("tgt_is_causal", "tgt_mask", CAUSAL),
    "memory_is_causal": hint("memory_is_causal", "memory_mask", ACROSS),
}  # fmt: skip
ENCODER = Made(lambda lib: lib.TransformerEncoderLayer(6, 2, 5))
DECODER = Made(lambda lib: lib.TransformerDecoderLayer(6, 2, 5))
NORMED = Made(lambda lib: lib.LayerNorm(6))
BLOCK = {"n_embd": 6, "n_head": 2, "x": draw(2, 4, 6)}
WIDTH = {"n_embd": [With(4, {"x": BLOCK["x"][..., :4].copy()})]}
ATTENTION = {**WIDTH, "n_head": [3], "dropout": [0.5], "bias": [False]}
BLOCKS = {**ATTENTION, "norm_eps": [0.5], "activation": ["relu", "silu"]}

WIDE = draw(2, 4, 16)

LAYERS = {
    "Identity": ({"input": X}, {}),
    "Linear": ({"in_features": 3, "out_features": 2, "input": X},
               {"in_features": [With(2, {"input": X[:, :2].copy()})], "out_features": [4], "bias": [False]}),
    "Embedding": ({"num_embeddings": 4, "embedding_dim": 3, "input": np.array([[0, 1], [3, 1]])},
                  {"num_embeddings": [5], "embedding_dim": [2], "padding_idx": [1, -3], **TABLE, "_freeze": [True],
                   "_weight": [Made(lambda lib: lib.Parameter(lib.Embedding(4, 3).weight[:, :] * 2.0))]}),
    "Embedding.from_pretrained": (
        {"embeddings": Made(lambda lib: lib.Embedding(4, 3).weight.detach()), "input": np.array([[0, 1], [3, 1]])},
        {"freeze": [False], "padding_idx": [With(1, {"freeze": False})], **TABLE,
         "embeddings": [Made(lambda lib: lib.Embedding(4, 2).weight.detach())]}),
    "LayerNorm": ({"normalized_shape": 3, "input": draw(2, 3, 3)}, {"normalized_shape": [(3, 3)], **NORM, "bias": [False]}),
    "RMSNorm": ({"normalized_shape": 3, "input": draw(2, 3, 3)}, {"normalized_shape": [(3, 3)], **NORM}),
    "BatchNorm1d": ({"num_features": 2, "input": SERIES}, {"num_features": [With(3, {"input": draw(5, 3)})], **BATCH_NORM}),
    "BatchNorm2d": ({"num_features": 2, "input": IMAGES}, {"num_features": [With(3, {"input": draw(5, 3, 2, 2)})], **BATCH_NORM}),
    "Dropout": ({"input": X}, {"p": [0.2, 1.0], **INPLACE}),
    "Dropout2d": ({"input": IMAGES}, {"p": [0.2, 1.0], **INPLACE}),
    "GELU": ({"input": X}, {"approximate": ["tanh"]}),
    **{name: ({"input": IN}, INPLACE) for name in ("ReLU", "SiLU", "Mish", "ReLU6")},
    **{name: ({"input": IN}, {}) for name in ("Tanh", "Sigmoid", "LogSigmoid")},
    "LeakyReLU": ({"input": IN}, {"negative_slope": [0.3], **INPLACE}),
    "ELU": ({"input": IN}, {"alpha": [2.0], **INPLACE}),
    "Hardtanh": ({"input": IN}, {"min_val": [-0.3], "max_val": [0.2], **INPLACE}),
    "Softplus": ({"input": IN}, {"beta": [2.0], "threshold": [0.3]}),
    "Softmax": ({"input": X, "dim": 0}, {"dim": [1, None]}),
    "LogSoftmax": ({"input": X, "dim": 0}, {"dim": [1, None]}),
    "Flatten": ({"input": IMAGES}, {"start_dim": [0, 2], "end_dim": [2]}),
    "Unflatten": ({"input": draw(4, 6), "dim": 1, "unflattened_size": (2, 3)},
                  {"dim": [With(0, {"input": draw(6, 4)})], "unflattened_size": [(3, -1)]}),
    "Conv1d": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3, "input": SERIES}, {**CONV, **MODES}),
    "Conv2d": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3, "input": IMAGES},
               {**CONV, **MODES, "in_channels": [With(1, {"input": IMAGES[:, :1].copy()})]}),
    "ConvTranspose1d": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3, "input": SERIES}, {**CONV, **SPREAD}),
    "ConvTranspose2d": ({"in_channels": 2, "out_channels": 4, "kernel_size": 3, "input": IMAGES},
                        {**CONV, **SPREAD, "in_channels": [With(1, {"input": IMAGES[:, :1].copy()})]}),
    "MaxPool1d": ({"kernel_size": 2, "input": SERIES}, MAX_POOL),
    "MaxPool2d": ({"kernel_size": 2, "input": IMAGES}, MAX_POOL),
    "AvgPool1d": ({"kernel_size": 2, "input": SERIES}, AVG_POOL),
    "AvgPool2d": ({"kernel_size": 2, "input": IMAGES}, AVG_POOL | DIVISOR),
    "AdaptiveAvgPool1d": ({"output_size": 3, "input": SERIES}, {"output_size": [2]}),
    "AdaptiveAvgPool2d": ({"output_size": 3, "input": IMAGES}, {"output_size": [(2, None)]}),
    **{f"{kind}Pad1d": ({"padding": 2, "input": SERIES}, {"padding": [(0, 1)]}) for kind in ("Zero", "Reflection", "Replication")},
    **{f"{kind}Pad2d": ({"padding": 2, "input": IMAGES}, {"padding": [(0, 1, 2, 0)]}) for kind in ("Zero", "Reflection", "Replication")},
    "ConstantPad1d": ({"padding": 2, "value": 0.5, "input": SERIES}, {"padding": [(0, 1)], "value": [2.0]}),
    "ConstantPad2d": ({"padding": 2, "value": 0.5, "input": IMAGES}, {"padding": [(0, 1, 2, 0)], "value": [2.0]}),
    "CrossEntropyLoss": ({"input": LOGITS, "target": CLASSES},
                         {"weight": [WEIGHT4], "ignore_index": [1], **LOSS, "label_smoothing": [0.2]}),
    "NLLLoss": ({"input": LOGITS, "target": CLASSES}, {"weight": [WEIGHT4], "ignore_index": [1], **LOSS}),
    **{name: (PAIR, LOSS) for name in ("MSELoss", "L1Loss")},
    "SmoothL1Loss": (PAIR, {**LOSS, "beta": [0.3]}),
    "HuberLoss": (PAIR, {"reduction": ["sum", "none"], "delta": [0.3]}),
    "KLDivLoss": ({"input": X, "target": POSITIVE}, {**LOSS, "reduction": ["sum", "none", "batchmean"], "log_target": [True]}),
    "BCELoss": ({"input": PROBABILITIES, "target": PROBABILITIES[::-1].copy()}, {**LOSS, "weight": [POSITIVE]}),
    "BCEWithLogitsLoss": ({"input": X, "target": PROBABILITIES}, {**LOSS, "weight": [POSITIVE], "pos_weight": [POSITIVE]}),
    "RNN": ({**SIZES, "input": STEPS}, {**RECURRENT, "nonlinearity": ["relu"], "hx": [STATE, With(STATE, PACKED_STEPS)]}),
    "LSTM": ({**SIZES, "input": STEPS}, {**RECURRENT, "proj_size": [Refused(2)], "hx": [(STATE, STATE[:, ::-1].copy()), With((STATE, STATE * 2.0), PACKED_STEPS)]}),
    "GRU": ({**SIZES, "input": STEPS}, {**RECURRENT, "proj_size": [Refused(2)], "hx": [STATE, With(STATE, PACKED_STEPS)]}),
    "RNNCell": ({**SIZES, "input": X}, {**CELL, "nonlinearity": ["relu"], "hx": [STATE[0]]}),
    "LSTMCell": ({**SIZES, "input": X}, {**CELL, "hx": [(STATE[0], STATE[0, ::-1].copy())]}),
    "GRUCell": ({**SIZES, "input": X}, {**CELL, "hx": [STATE[0]]}),
    "MultiheadAttention": (
        {"embed_dim": 6, "num_heads": 2, "query": T, "key": T, "value": T},
        {
            "embed_dim": [With(4, dict.fromkeys(("query", "key", "value"), T[..., :4].copy()))],
            "num_heads": [3], "dropout": [0.5, 1.0], "bias": [False], "add_bias_kv": [Refused(True)],
            "add_zero_attn": [Refused(True)], "kdim": [Refused(3)], "vdim": [Refused(3)], "batch_first": [True],
            "key": [With(S, {"value": S})], "key_padding_mask": [PADDED4, PADDED4 * -0.7], "need_weights": [False],
            "attn_mask": [BAND4, BAND4 * -0.7, With(BAND4, {"need_weights": False})],
            "average_attn_weights": [False],
            "is_causal": [*hint("is_causal", "attn_mask", CAUSAL),
                          Apart({"is_causal": True, "need_weights": False}, {"attn_mask": CAUSAL, "need_weights": False})],
        },
    ),
    "TransformerEncoderLayer": (
        {**LAYER, "src": T},
        {"d_model": [With(4, {"src": T[..., :4].copy()})], **LAYERS_OF, **SOURCE, "is_causal": hint("is_causal", "src_mask", CAUSAL)},
    ),
    "TransformerDecoderLayer": (
        {**LAYER, "tgt": T, "memory": S},
        {"d_model": [With(4, {"tgt": T[..., :4].copy(), "memory": S[..., :4].copy()})], **LAYERS_OF, **TARGET,
         "batch_first": [With(True, {"memory": T})]},
    ),
    "TransformerEncoder": (
        {"encoder_layer": ENCODER, "num_layers": 2, "src": T},
        {"encoder_layer": [Made(lambda lib: lib.TransformerEncoderLayer(6, 3, 5))], "num_layers": [1], "norm": [NORMED],
         "enable_nested_tensor": [Idle(SPEED, False)], "mask_check": [Idle(SPEED, False)], "mask": [BAND4],
         "src_key_padding_mask": [PADDED4], "is_causal": hint("is_causal", "mask", CAUSAL)},
    ),
    "TransformerDecoder": (
        {"decoder_layer": DECODER, "num_layers": 2, "tgt": T, "memory": S},
        {"decoder_layer": [Made(lambda lib: lib.TransformerDecoderLayer(6, 3, 5))], "num_layers": [1], "norm": [NORMED], **TARGET},
    ),
    "Transformer": (
        {**LAYER, "num_encoder_layers": 1, "num_decoder_layers": 1, "src": S, "tgt": T},
        {"d_model": [With(4, {"src": S[..., :4].copy(), "tgt": T[..., :4].copy()})], "num_encoder_layers": [2],
         "num_decoder_layers": [2], **LAYERS_OF, "batch_first": [With(True, {"src": T})],
         "custom_encoder": [Made(lambda lib: lib.TransformerEncoder(lib.TransformerEncoderLayer(6, 3, 5), 1))],
         "custom_decoder": [Made(lambda lib: lib.TransformerDecoder(lib.TransformerDecoderLayer(6, 3, 5), 1))],
         "src_mask": [BAND4[:3, :3].copy()], "src_key_padding_mask": [PADDED3],
         "src_is_causal": hint("src_is_causal", "src_mask", ~np.tri(3, dtype=bool)), **TARGET},
    ),
    "CausalSelfAttention": (BLOCK, ATTENTION),
    "MLP": ({"n_embd": 6, "x": X.repeat(2, 1)}, {"n_embd": [With(3, {"x": X})], "dropout": [0.5], "bias": [False],
                                                   "activation": ["gelu", "relu"]}),
    "PreNormBlock": (BLOCK, BLOCKS),
    "PlainBlock": (BLOCK, BLOCKS),
    "SkipOneBlock": (BLOCK, {**BLOCKS, "dropout1": [0.5]}),
    "SkipTwoBlock": (BLOCK, {**BLOCKS, "dropout1": [0.5], "dropout2": [0.5]}),
    "GroupedQueryAttention": ({"n_embd": 12, "n_head": 2, "n_kv_head": 1, "x": WIDE[..., :12].copy()},
                              {"n_embd": [With(8, {"x": WIDE[..., :8].copy()})], "n_head": [3], "n_kv_head": [2], "rope_theta": [9.0]}),
    "SwiGLU": ({"n_embd": 6, "n_hidden": 5, "x": X.repeat(2, 1)}, {"n_embd": [With(3, {"x": X})], "n_hidden": [4]}),
    "LlamaBlock": ({"n_embd": 12, "n_head": 2, "n_kv_head": 1, "n_hidden": 5, "x": WIDE[..., :12].copy()},
                   {"n_embd": [With(8, {"x": WIDE[..., :8].copy()})], "n_head": [3], "n_kv_head": [2], "n_hidden": [4],
                    "rope_theta": [9.0], "norm_eps": [0.5]}),
    "SelfAttentionHead": ({"n_embd": 6, "head_size": 3, "block_size": 4, "x": BLOCK["x"]},
                          {**WIDTH, "head_size": [2], "block_size": [3], "attn_dropout": [0.5], "dropout": [0.5], "decoder": [False]}),
}  # fmt: skip
