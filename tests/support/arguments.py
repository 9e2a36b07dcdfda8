"""Values for the arguments of PyTorch's functions, methods and classes, in range and out of it: test_signatures.py."""

import numpy as np

RNG = np.random.default_rng(0)
X = {
    "x23": RNG.uniform(0.1, 0.9, (2, 3)).astype(np.float32),
    "x": np.array(0.7, np.float32),
    "x131": RNG.uniform(0.1, 0.9, (1, 3, 1)).astype(np.float32),
}
OTHER = [RNG.uniform(0.1, 0.9, (2, 3)).astype(np.float32), np.ones(3, np.float32), np.ones(4, np.float32)]
IDS = [
    np.array(ids)
    for ids in (
        [[0, 1, 0], [1, 0, 1]],
        [[0, 1, 0]],
        [[0, 2, 0]],
        [[0, -1, 0]],
        [[0, 9, 0]],
        [0],
        [[False, True, False]],
        [[0.0, 1.0, 0.0]],
    )
]
DIMS = [0, 1, -1, -2, 2, 3, -3, -4, None]
BY_NAME = {
    "index": IDS,
    "mask": [X["x23"] > 0.5, np.ones(3, bool), np.ones(4, bool)],
    "condition": [X["x23"] > 0.5, np.ones(3, bool), np.ones(4, bool)],
    "size": [(2, 3), (0,), (2, -1), (3, 2), (-1,), (6,), (4, 2), (2, 2, 3), (-1, 2), (-1, -1)],
    "split_size": [1, 2, 5, [1, 1], [1, 3], 0, -1],
    "split_size_or_sections": [1, 2, 5, [1, 1], [1, 3], 0, -1],
    "diagonal": [0, 1, -1, 5],
    "correction": [0, 1, 2],
    **dict.fromkeys(("keepdim", "unbiased"), [True, False]),
    "gamma": [0.5, 2.0],
    "requires_grad": [True, False],
    **dict.fromkeys(("foreach", "maximize", "amsgrad", "centered", "nesterov"), [True, False]),
    "betas": [(0.8, 0.9), (1.0, 0.9), (-0.1, 0.9)],
    "nonlinearity": ["tanh", "relu", "bogus"],
    "mode": ["min", "max", "bogus"],
    "padding_mode": ["zeros", "reflect", "replicate", "circular", "bogus"],
    "activation": ["relu", "gelu", "bogus"],
    "total_iters": [3, 0, 1],
    **dict.fromkeys(("num_layers", "step_size", "T_max", "T_0", "T_mult"), [2, 1, 0, -1]),
    "tensors": [[X["x23"], OTHER[0]], [X["x23"], OTHER[1]], []],
    "equation": ["ij,ij->i"],
    "device": ["cpu"],
    "p": [0.5, 0.0, 1.0, -0.5, 1.5],
    "steps": [5, 1, 0, -1],
    "reduction": ["mean", "sum", "none", "bogus"],
    "approximate": ["none", "tanh", "bogus"],
    "n": [3, 0, -1],
    "m": [2, 0, -1],
    "high": [5, 0],
    "low": [0, 2],
    "std": [0.5, 0.0, -1.0],
    "num_samples": [1, 2, 9],
    "fill_value": [0.5, 2.0],
    "split_sizes": [[1, 1], [1, 3]],
    "dtype": [None],  # how each library names the others is tested with dtypes
    **dict.fromkeys(("layout", "memory_format", "pin_memory", "out", "names", "dimname", "generator"), []),
    **dict.fromkeys(("dim", "axis", "axis0", "axis1", "dim0", "dim1", "start_dim", "end_dim"), DIMS),
}
BY_NAME["shape"] = BY_NAME["dims"] = BY_NAME["size"]
BY_KIND = {
    "bool": [True, False],
    "int": [1, 0, 2, -1],
    "float": [0.5, 2.0, 0.0],
    "number": [0.5, 2, 0.0, -1],
    "Tensor": OTHER,
    "List[int]": [(0, 1), (0,), (0, -1), (0, 0), (0, 5), [1]],
    "str": ["mean", "bogus"],
}


# Values for the arguments of one name, where its kind does not say enough. "first": its first argument.
A, LOGITS = X["x23"], RNG.standard_normal((4, 3)).astype(np.float32)
PROBABILITIES = np.full((4, 3), 1 / 3, np.float32)
WEIGHT3, ONES3 = np.array([1.0, 2.0, 0.5], np.float32), np.ones(3, np.float32)
TARGETS = [np.array(ids) for ids in ([0, 2, 1, 1], [0, 2, -100, 1], [0, 3, 1, 1], [0, -1, 1, 1], [0, 1])]
REDUCTIONS = ["mean", "sum", "none", "bogus"]
QKV = [RNG.standard_normal((2, 4, 3)).astype(np.float32) for _ in "qkv"]

# Layers: the arguments of the constructor, those that are always given, and what the layer is called with.
IMAGES, SERIES = (RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 2, 5, 4), (2, 2, 5)))
STEPS, ROWS = (RNG.standard_normal(shape).astype(np.float32) for shape in ((4, 2, 3), (2, 3)))
WIDE = RNG.standard_normal((3, 2, 4)).astype(np.float32)
WINDOW = {"kernel_size": [2, 3, (2,), 0, 9], "stride": [1, 2, 0], "padding": [1, 0, 5, -1], "dilation": [2, 0],
          "ceil_mode": [False], "return_indices": [False], "count_include_pad": [True, False]}  # fmt: skip
CONVOLUTION = {
    "in_channels": [2, 3], "out_channels": [4, 2], "kernel_size": [3, (3,), 1, 9, 0], "stride": [1, 2, 0],
    "padding": [1, 2, "same", "valid", "bogus", -1], "dilation": [1, 2, 0], "groups": [1, 2, 3, 0],
}  # fmt: skip
TRANSPOSED = {name: values for name, values in CONVOLUTION.items() if name != "padding"} | {
    "padding": [1, 2, -1], "output_padding": [0, 1], "padding_mode": ["zeros", "reflect"],
}  # fmt: skip
LOSS = {"reduction": REDUCTIONS, "inputs": [A, OTHER[0]]}
RECURRENT = {"input_size": [3, 2], "hidden_size": [4, 0], "dropout": [0.0, 1.5]}
ENCODER = {"d_model": [4, 3], "nhead": [2, 1, 3], "dim_feedforward": [6, 1], "always": {"dropout": 0.0, "dim_feedforward": 6},
           "dropout": [0.0, 1.5], "layer_norm_eps": [1e-5, 0.5]}  # fmt: skip
LAYERS = {
    "nn.Linear": {"in_features": [3], "out_features": [2, 1], "inputs": [A]},
    "nn.Embedding": {"num_embeddings": [4], "embedding_dim": [2], "padding_idx": [0, -1, 4], "inputs": [IDS[2]]},
    "nn.LayerNorm": {"normalized_shape": [3, (2, 3), [3], 2], "eps": [1e-5, 0.5], "inputs": [A]},
    "nn.Dropout": {"p": [0.5, 0.0, 1.0, 1.5], "inputs": [A]},
    "nn.Softmax": {"dim": [-1, 0, 1, 2, -3], "inputs": [A]},
    "nn.GELU": {"approximate": ["none", "tanh", "bogus"], "inputs": [A]},
    "nn.BatchNorm1d": {"num_features": [3, 2], "eps": [1e-5, 0.5], "momentum": [0.1, 0.5], "inputs": [LOGITS]},
    "nn.CrossEntropyLoss": {
        "weight": [WEIGHT3], "ignore_index": [-100, 1], "reduction": REDUCTIONS, "label_smoothing": [0.0, 0.1],
        "inputs": [LOGITS, TARGETS[0]],
    },
    "nn.MultiheadAttention": {
        "embed_dim": [4, 3], "num_heads": [2, 1, 3], "dropout": [0.0], "kdim": [], "vdim": [],
        "batch_first": [False, True], "inputs": [RNG.standard_normal((2, 3, 4)).astype(np.float32)] * 3,
    },
    "nn.NLLLoss": {"weight": [WEIGHT3], "ignore_index": [-100, 1], "reduction": REDUCTIONS, "inputs": [LOGITS, TARGETS[0]]},
    **{f"nn.{name}Loss": LOSS for name in ("MSE", "L1", "SmoothL1", "Huber")},
    "nn.KLDivLoss": {**LOSS, "reduction": [*REDUCTIONS, "batchmean"]},
    **{f"nn.{name}Loss": {**LOSS, "weight": [A, ONES3[:2]], "pos_weight": [ONES3]} for name in ("BCE", "BCEWithLogits")},
    **{f"nn.{name}": {"inputs": [SERIES], **WINDOW} for name in ("MaxPool1d", "AvgPool1d")},
    **{f"nn.{name}": {"inputs": [IMAGES], "divisor_override": [], **WINDOW} for name in ("MaxPool2d", "AvgPool2d")},
    **{f"nn.AdaptiveAvgPool{n}d": {"output_size": [2, 1, 3], "inputs": [x]} for n, x in ((1, SERIES), (2, IMAGES))},
    **{f"nn.{kind}Pad{n}d": {"padding": [1, (1, 2) * n, 9, (1,)], "value": [0.5, 2], "inputs": [x]}
       for kind in ("Constant", "Zero", "Reflection", "Replication") for n, x in ((1, SERIES), (2, IMAGES))},
    **{f"nn.ConvTranspose{n}d": {**TRANSPOSED, "inputs": [x]} for n, x in ((1, SERIES), (2, IMAGES))},
    "nn.Dropout2d": {"p": [0.5, 0.0, 1.0, 1.5], "inputs": [IMAGES]},
    "nn.RMSNorm": {"normalized_shape": [3, (2, 3), [3], 2], "eps": [1e-5, 0.5], "inputs": [A]},
    "nn.Transformer": {
        **ENCODER, "inputs": [WIDE, WIDE], "d_model": [4, 3], "num_encoder_layers": [1, 2], "num_decoder_layers": [1, 0],
        "custom_encoder": [], "custom_decoder": [],
        "always": {"dropout": 0.0, "dim_feedforward": 6, "d_model": 4, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 1},
    },
    "nn.BatchNorm2d": {"num_features": [2, 3], "eps": [1e-5, 0.5], "momentum": [0.1, 0.5], "inputs": [IMAGES]},
    "nn.Conv1d": {"inputs": [SERIES], **CONVOLUTION},
    "nn.Conv2d": {"inputs": [IMAGES], **CONVOLUTION},
    **{f"nn.{name}": {"inputs": [LOGITS]} for name in ("Sigmoid", "Tanh", "LogSigmoid", "SiLU", "Mish", "ReLU6", "ReLU", "Identity")},
    **{f"nn.{name}": {"inputs": [LOGITS]} for name in ("ELU", "LeakyReLU", "Hardtanh", "Softplus")},
    "nn.LogSoftmax": {"dim": [-1, 0, 1, 2, -3], "inputs": [A]},
    "nn.Flatten": {"start_dim": DIMS, "end_dim": DIMS, "inputs": [WIDE]},
    "nn.Unflatten": {"dim": [1, -2, 0, 3, -4], "unflattened_size": [(2, 1), (1, -1), (2, 2)], "inputs": [WIDE]},
    **{f"nn.{name}": {**RECURRENT, "inputs": [STEPS], "proj_size": []} for name in ("RNN", "LSTM", "GRU")},
    **{f"nn.{name}": {**RECURRENT, "inputs": [ROWS]} for name in ("RNNCell", "LSTMCell", "GRUCell")},
    "nn.TransformerEncoderLayer": {**ENCODER, "inputs": [WIDE]},
    "nn.TransformerDecoderLayer": {**ENCODER, "inputs": [WIDE, WIDE]},
}  # fmt: skip


class Made:
    """An argument that is made anew for every call, by a function of the library: ours or PyTorch."""

    def __init__(self, make):
        self.make = make


def _parameters(torch):
    made = [torch.tensor(array.copy(), requires_grad=True) for array in (A, WEIGHT3)]
    (made[0].sum() * 3.0 + (made[1] * made[1]).sum()).backward()
    return made


PARAMETERS = Made(_parameters)
OPTIMISER = Made(lambda torch: torch.optim.SGD(_parameters(torch), lr=0.5, momentum=0.9))
NORMS = {
    "max_norm": [0.5, 100.0, -1.0, 0.0],
    "norm_type": [2.0, 1.0, float("inf"), 0.0],
    "error_if_nonfinite": [True],
}
OPTIMISERS = {
    **{f"optim.{name}": {"first": [PARAMETERS]} for name in ("SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "RMSprop")},
    **{f"lr_scheduler.{name}": {"first": [OPTIMISER], "max_lr": [0.5], "total_steps": [6], "milestones": [[1, 3], [2]]}
       for name in ("ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LinearLR", "MultiStepLR",
                    "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "StepLR")},
    **{f"lr_scheduler.{name}": {"first": [OPTIMISER], "lr_lambda": [lambda epoch: 0.9**epoch]} for name in ("LambdaLR", "MultiplicativeLR")},
    **{f"utils.{name}": {"first": [PARAMETERS], **NORMS} for name in ("clip_grad_norm", "clip_grad_norm_")},
    "utils.clip_grads_with_norm_": {"first": [PARAMETERS], "total_norm": [np.array(3.0, np.float32)], **NORMS},
    "utils.clip_grad_value_": {"first": [PARAMETERS], "clip_value": [0.5, -1.0]},
    "utils.get_total_norm": {"first": [[A, WEIGHT3], []], **NORMS},
    "utils.parameters_to_vector": {"first": [PARAMETERS, []]},
    "utils.vector_to_parameters": {"vec": [np.arange(9, dtype=np.float32), WEIGHT3], "parameters": [PARAMETERS]},
}  # fmt: skip

# Functions and methods, under the name that torch has for the function.
INTEGERS = np.array([[6, 1, 4], [0, 3, 2]])
SPD = np.array([[2.0, 0.5, 0.1], [0.5, 1.5, 0.3], [0.1, 0.3, 1.2]], np.float32)
TALL, SQUARE2 = A.T.copy(), np.ones((2, 2), np.float32)
BATCHES = [RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 2, 3), (2, 3, 2), (3, 3, 2))]
ROW = np.array([0, 1, 0])
SUM = {"beta": [1, 0, 0.5], "alpha": [1, 2, 0.5]}
PUT = {
    "first": [A],
    "dim": [0, 1, -1, 2, None],
    "index": [np.array([0, 1]), *IDS],
    "source": OTHER,
    "alpha": [1, 0.5],
}
NAMES = {
    "minigrad.addmm": {"first": [SQUARE2, ONES3[:2], A], "mat1": [A], "mat2": [TALL, A], **SUM},
    "minigrad.addmv": {"first": [ONES3[:2], X["x"], ONES3, X["x131"]], "mat": [A], "vec": [WEIGHT3, ONES3[:2]], **SUM},
    "minigrad.baddbmm": {"first": [BATCHES[0][:, :, :2].copy(), SQUARE2, ONES3[:2], A], "batch1": BATCHES[:1], "batch2": BATCHES[1:], **SUM},
    "minigrad.bmm": {"first": BATCHES[:1], "mat2": [*BATCHES[1:], TALL]},
    "minigrad.mm": {"first": [A], "mat2": [TALL, A, ONES3]},
    **{f"minigrad.{name}": {"first": [WEIGHT3, A], "tensor": [ONES3, OTHER[2], A], "other": [ONES3, OTHER[2], A], "vec2": [ONES3, A]}
       for name in ("dot", "vdot", "outer", "ger")},
    "minigrad.asarray": {"obj": [A, 2.5, [1, 2]], "dtype": [None], "device": ["cpu"], "copy": [True]},
    "minigrad.bincount": {"first": [ROW, IDS[0], -ROW, A], "weights": [WEIGHT3, ONES3[:2]], "minlength": [5, 0, -1]},
    **{f"minigrad.bitwise_{name}": {"first": [INTEGERS, INTEGERS > 2, A], "other": [INTEGERS.T.copy().reshape(2, 3), 3, INTEGERS > 1, 0.5]}
       for name in ("and", "or", "xor", "not")},
    **{f"minigrad.bitwise_{name}_shift": {"first": [INTEGERS, A], "other": [2, INTEGERS]} for name in ("left", "right")},
    **{f"minigrad.{name}": {"first": [SPD, A, WEIGHT3], "n": [2, 0, -1, 3]} for name in ("cholesky", "det", "inverse", "matrix_power")},
    "minigrad.combinations": {"first": [WEIGHT3, A], "r": [2, 1, 0, 4, -1]},
    "minigrad.cdist": {"x1": [A, ONES3], "x2": [OTHER[0], ONES3], "p": [2.0, 1.0, 0.0, float("inf"), -0.5], "compute_mode": []},
    **{f"minigrad.{name}": PUT for name in ("index_add", "index_copy")},
    "minigrad.index_fill": {**PUT, "value": [0.5, np.array(2.0, np.float32), ONES3]},
    "minigrad.index_select": PUT,
    "minigrad.index_put": {"first": [A], "indices": [(np.array([0, 1]),), (np.array([0, 9]),)], "values": [ONES3, A[:1], OTHER[2]],
                           "accumulate": [True, False]},
    "minigrad.logspace": {"start": [0.0, 2], "end": [1.0, -1], "base": [2.0, 10.0]},
    "minigrad.permute": {"first": [A], "dims": [(1, 0), (0, 1), (-1, 0), (0, 0), (0,), (0, 2), (0, 1, 2), (0, -3)]},
    "minigrad.take_along_dim": {"first": [A], "indices": [IDS[0][:, :1], IDS[0], IDS[4], ROW], "dim": [1, 0, -1, 2]},
    "minigrad.bucketize": {"first": [A], "boundaries": [np.array([0.2, 0.5, 0.6], np.float32), A]},
    "minigrad.searchsorted": {"sorted_sequence": [np.sort(A), np.sort(WEIGHT3)], "first": None, "side": ["left", "right", "bogus"], "self": [A, ONES3], "sorter": []},
    "minigrad.tensordot": {"a": [A], "b": [TALL, A], "dims": [1, 0, ([1], [0]), ([0], [1]), 3], "out": []},
    "minigrad.scalar_tensor": {"s": [2.5, 1]},
    "Tensor.unfold": {"dimension": [1, 0, -1, 2], "size": [2, 1, 0, 9], "step": [1, 2, 0]},
    "minigrad.unflatten": {"sizes": [(3, 1), (-1, 1), (2, 1), (2, 2)]},
    **{f"minigrad.conv{n}d": {"first": [x], "weight": [w, w[:, :1].copy()], "bias": [OTHER[2], ONES3], **CONVOLUTION}
       for n, x, w in ((1, SERIES, RNG.standard_normal((4, 2, 3)).astype(np.float32)), (2, IMAGES, RNG.standard_normal((4, 2, 3, 2)).astype(np.float32)))},
    **{f"functional.conv_transpose{n}d": {"first": [x], "weight": [w, w[:1].copy()], "bias": [OTHER[2], ONES3], **TRANSPOSED}
       for n, x, w in ((1, SERIES, RNG.standard_normal((2, 4, 3)).astype(np.float32)), (2, IMAGES, RNG.standard_normal((2, 4, 3, 2)).astype(np.float32)))},
    **{f"functional.adaptive_avg_pool{n}d": {"first": [x, A], "output_size": [2, 1, 3, (2,) * n]} for n, x in ((1, SERIES), (2, IMAGES))},
    "functional.dropout2d": {"first": [IMAGES, SERIES, A], "p": [0.5, 0.0, 1.0, 1.5]},
    "functional.rms_norm": {"first": [A], "normalized_shape": [(3,), (2, 3), [3], (2,), 3], "weight": [WEIGHT3, ONES3[:2]], "eps": [1e-5, 0.5]},
    "functional.unfold": {"first": [IMAGES], "kernel_size": [2, (2, 3), 9, 0], "dilation": [1, 2], "padding": [1, 0], "stride": [2, 1, 0]},
    "minigrad.histogram": {"first": [A], "bins": [4, 2], "range": [], "weight": []},  # a single number is on an edge of two
    **{f"functional.{name}{n}d": {"first": [x], "divisor_override": [], **WINDOW} for name in ("max_pool", "avg_pool") for n, x in ((1, SERIES), (2, IMAGES))},
    "functional.pad": {"first": [X["x23"][None]], "pad": [(1, 1), (0, 1), (-1, 0), (1,), (1, 1, 1, 0), (3, 0), (0, 0, 0, 0, 1, 1), (-3, -1), (1,) * 8],
                       "mode": ["constant", "reflect", "replicate", "circular", "bogus"], "value": [0.5, 2]},
    "functional.normalize": {"p": [2.0, 1.0, 0.0, float("inf"), 3], "dim": DIMS, "eps": [1e-12, 0.5]},
    "functional.hardtanh": {"min_val": [-1.0, 0.2, 2.0], "max_val": [0.5, -2.0]},
}  # fmt: skip
SPECIAL = {
    "functional.cross_entropy": {
        "first": [LOGITS], "target": [*TARGETS, PROBABILITIES], "weight": [WEIGHT3, ONES3[:2]],
        "ignore_index": [-100, 1, 7], "label_smoothing": [0.0, 0.1, 1.5], "reduction": REDUCTIONS,
    },
    "functional.nll_loss": {"first": [LOGITS], "target": TARGETS, "weight": [WEIGHT3], "ignore_index": [-100, 1]},
    "functional.embedding": {
        "first": IDS[:2] + IDS[3:], "weight": [LOGITS], "padding_idx": [0, -1, 3, 4, -5], "max_norm": [],
        "scale_grad_by_freq": [False],
    },
    "functional.layer_norm": {
        "first": [A], "normalized_shape": [(3,), (2, 3), [3], (2,), 3], "weight": [WEIGHT3, ONES3[:2]],
        "bias": [WEIGHT3, ONES3[:2]], "eps": [1e-5, 0.5],
    },
    "functional.linear": {"first": [A], "weight": [LOGITS, A, A.T.copy()], "bias": [np.ones(4, np.float32), ONES3]},
    "functional.dropout": {"first": [A], "p": [0.5, 0.0, 1.0, 1.5, -0.5]},
    "functional.batch_norm": {
        "first": [LOGITS], "running_mean": [ONES3], "running_var": [WEIGHT3], "weight": [WEIGHT3], "bias": [ONES3],
        "momentum": [0.1, 0.5],
    },
    "functional.scaled_dot_product_attention": {
        "first": QKV[:1], "key": [QKV[1], A], "value": [QKV[2], A], "dropout_p": [0.0],
        "attn_mask": [np.tril(np.ones((4, 4), bool)), np.zeros((4, 4), np.float32), np.ones((3, 3), bool)],
        "scale": [0.5, 2.0],
    },
    "functional.one_hot": {"first": [IDS[0]], "num_classes": [-1, 2, 5, 1]},
    "functional.mse_loss": {"first": [A], "target": OTHER, "weight": [A]},
    **LAYERS, **OPTIMISERS, **NAMES,
    "functional.gelu": {"first": [A], "approximate": ["none", "tanh", "bogus"]},
    "init.constant_": {"first": [A], "val": [0.5, 2]},
    "minigrad.linspace": {"start": [0.0, 2], "end": [1.0, -1]},
    "minigrad.normal": {"mean": [0.0, 0.5], "std": [1.0, 0.5, -1.0], "size": [(2, 3), (3,), (-1,)]},
    "Tensor.permute": {"first": [A], "dims": [(1, 0), (0, 1), (-1, 0), (0, 0), (0,), (0, 2), (0, 1, 2), (0, -3)]},
    "init.calculate_gain": {"first": ["relu", "tanh", "linear", "leaky_relu", "bogus"], "param": [0.3, None]},
}  # fmt: skip
