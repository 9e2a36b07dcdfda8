"""PyTorch's names for what made a Tensor, `grad_fn=<MulBackward0>`, found when it prints: recording costs nothing.

A node has the name of our operation and its shape; what else decides (was there a bias? which index?) is read
from the variables that its vjp keeps. The walk back frees these: from then on the shape decides, and the most
common case. What one call makes of several of our operations (`var`, `mse_loss`) bears the last one's name until
`label` is called, which the runner does: every call of the functions in COMPOSED then names its result.
"""

import functools
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from minigrad.tape import Node

# --- one of our operations, one of PyTorch's ---

# A name that is missing here is written in capitals, `log_softmax` as LogSoftmaxBackward0: most are right so.
NAMES = {
    "multiply": "MulBackward0",
    "divide": "DivBackward0",
    "subtract": "SubBackward0",
    "negative": "NegBackward0",
    "shift": "AddBackward0",  # x + number
    "shift_down": "SubBackward0",  # x - number
    "subtract_from": "RsubBackward1",  # number - x
    "divide_into": "MulBackward0",  # number / x, the reciprocal times the number
    "put": "CopySlices",
    "scale": "MulBackward0",
    "divide_by": "DivBackward0",
    "power": "PowBackward0",
    "raise_to": "PowBackward1",
    "absolute": "AbsBackward0",
    "astype": "ToCopyBackward0",
    "clip": "ClampBackward1",
    "concatenate": "CatBackward0",
    "broadcast_to": "ExpandBackward0",
    "reshape": "ViewBackward0",
    "einsum": "ViewBackward0",  # of the matrix product that it becomes
    "log1p": "Log1PBackward0",
    "prod": "ProdBackward0",
    "layer_norm": "NativeLayerNormBackward0",
    "normalise_batch": "NativeBatchNormBackward0",
    "take_rows": "EmbeddingBackward0",
    "gelu_tanh": "GeluBackward0",
    "gelu_erf": "GeluBackward0",
    "times_sigmoid": "SiluBackward0",
    "scale_rows": "MulBackward0",
    "drop": "MulBackward0",  # PyTorch multiplies by a mask of 0 and 1 / (1 - p)
    "nll": "NllLossBackward0",  # with the log-softmax before it in one operation
    "causal_attention": "ViewBackward0",  # with the view that puts the heads side by side, nanoGPT's last step
    "convolve": "ConvolutionBackward0",
}

# Our name: a function of the node and the variables its vjp keeps (none after the walk).
Rule = Callable[[Node, dict[str, Any]], str]


def grad_fn_name(node: Node) -> str:
    """Return the name PyTorch prints for a node that is no leaf, "MulBackward0"."""
    name = _labels.get(node)
    if name is None and node.name in RULES:
        return RULES[node.name](node, _kept(node.vjp))
    return name or NAMES.get(node.name) or _in_capitals(node.name)


def _in_capitals(name: str) -> str:
    """Return "LogSoftmaxBackward0" for log_softmax."""
    return "".join(part.capitalize() for part in name.split("_")) + "Backward0"


def _kept(vjp: Any) -> dict[str, Any]:
    """Return the variables that a vjp closes over."""
    names = vjp.__code__.co_freevars if vjp.__closure__ else ()
    return {name: cell.cell_contents for name, cell in zip(names, vjp.__closure__ or ())}


def _reduction(of_all: str, along: str) -> Rule:
    """Return the rule of a reduction over all elements, or along an axis."""
    return lambda node, _: along if node.shape else of_all


def _transpose(node: Node, kept: dict[str, Any]) -> str:
    """Two axes exchanged, or any order."""
    moved = sum(i != axis for i, axis in enumerate(kept.get("inverse", (1, 0))))
    return "TransposeBackward0" if moved == 2 else "PermuteBackward0"


def _raise_to(node: Node, kept: dict[str, Any]) -> str:
    """A number to the power of x, or a Tensor."""
    return "PowBackward2" if kept and not np.ndim(kept["x"]) and node.shape else "PowBackward1"


def _matmul(node: Node, kept: dict[str, Any]) -> str:
    """PyTorch has a product of its own for every pair of axes up to two, and reshapes all others to those."""
    axes = len(kept["sa"]) if kept else len(node.shape), len(kept["sb"]) if kept else 2
    kinds = {(1, 1): "Dot", (0, 2): "Dot", (2, 2): "Mm", (2, 1): "Mv"}
    if axes in kinds:
        return f"{kinds[axes]}Backward0"
    return {(1, 2): "SqueezeBackward4", (2, 3): "CloneBackward0"}.get(axes, "UnsafeViewBackward0")


def _linear(node: Node, kept: dict[str, Any]) -> str:
    """Rows that are no matrix are made one before the product, and back."""
    axes, biased = len(node.shape), kept.get("biased", True)
    if axes == 2:
        return "AddmmBackward0" if biased else "MmBackward0"
    return "ViewBackward0" if biased else "SqueezeBackward4" if axes == 1 else "UnsafeViewBackward0"


def _attend(node: Node, kept: dict[str, Any]) -> str:
    """PyTorch's fused attention wants four axes; its plain one ends with a product."""
    is_fused = len(node.shape) == 4
    return "ScaledDotProductFlashAttentionForCpuBackward0" if is_fused else "UnsafeViewBackward0"


def _getitem(node: Node, kept: dict[str, Any]) -> str:
    """PyTorch takes one axis of the index at a time; the last step that is more than a whole `:` has the name."""
    if not kept:
        return "SelectBackward0"
    index, lengths = kept["index"], kept["shape"]
    if isinstance(index, slice):
        return "SliceBackward0"
    index = index if isinstance(index, tuple) else (index,)
    given = [i for i in index if i is not None and i is not Ellipsis]
    if any(np.ndim(i) or isinstance(i, (bool, np.bool_)) for i in given if not isinstance(i, slice)):
        return "IndexBackward0"
    name, axis = "AliasBackward0", 0
    for i in index:
        if i is None:
            name = "UnsqueezeBackward0"
            continue
        if not (i is Ellipsis or isinstance(i, slice)):
            name = "SelectBackward0"
        elif i is not Ellipsis and i.indices(lengths[axis]) != (0, lengths[axis], 1):
            name = "SliceBackward0"
        axis += len(lengths) - len(given) if i is Ellipsis else 1
    return name


RULES: dict[str, Rule] = {
    "sum": _reduction("SumBackward0", "SumBackward1"),
    "mean": _reduction("MeanBackward0", "MeanBackward1"),
    "max": _reduction("MaxBackward1", "MaxBackward0"),
    "min": _reduction("MinBackward1", "MinBackward0"),
    "transpose": _transpose,
    "raise_to": _raise_to,
    "matmul": _matmul,
    "linear": _linear,
    "attend": _attend,
    "getitem": _getitem,
}

# --- several of our operations, one of PyTorch's ---

_labels: WeakKeyDictionary[Node, str] = WeakKeyDictionary()


def label_as(node: Node, name: str) -> None:
    """Let a node print under this name."""
    _labels[node] = name


# The name, or a function of the call's arguments that returns it.
Label = str | Callable[..., str]


def _by_dim(of_all: str, along: str) -> Label:
    """Return the label of a reduction: is an axis among its arguments?"""

    def label(x: Any, dim: Any = None, *rest: Any, **options: Any) -> str:
        axis = options.get("axis") if dim is None else dim
        if hasattr(axis, "shape"):  # max(a, b) is the larger of each pair
            return of_all.replace("Backward1", "imumBackward0")
        return of_all if axis is None else along

    return label


def _by_operand(number: str, tensor: str) -> Label:
    """Return the label of an operator: is the other operand a number?"""
    return lambda x, other, **options: tensor if hasattr(other, "shape") else number


def _reshape(x: Any, *shape: Any, **options: Any) -> str:
    """What lies in memory in order needs no copy."""
    return "ViewBackward0" if x._data.flags.c_contiguous else "UnsafeViewBackward0"


def _split(x: Any, size: Any, *rest: Any, **options: Any) -> str:
    return "SplitBackward0" if isinstance(size, int) else "SplitWithSizesBackward0"


def _einsum(subscripts: str, *operands: Any) -> str:
    """A sum of products runs as batched matrix products; other than that it is a sum, a permutation, a product."""
    inputs, output = subscripts.replace(" ", "").split("->")
    is_summed = set(inputs) - {","} > set(output)
    if len(operands) == 1:
        return "SumBackward1" if is_summed else "PermuteBackward0"
    return "ViewBackward0" if is_summed else "MulBackward0"


def _cross_entropy(x: Any, target: Any, *rest: Any, **options: Any) -> str:
    """Ids; with smoothing a sum of two losses; probabilities; classes on axis 1 of many."""
    reduction = options.get("reduction", "mean")
    if getattr(target, "dtype", None) in (np.float32, np.float64):
        return "DivBackward1" if reduction == "mean" else "NegBackward0"
    if options.get("label_smoothing"):
        return "AddBackward0"
    if x.ndim < 3:
        return "NllLossBackward0"
    return "ViewBackward0" if reduction == "none" and x.ndim == 3 else "NllLoss2DBackward0"


def _pointwise_loss(none: str) -> Label:
    """Return the label of a loss that PyTorch too makes of its parts: those of each element are `none`."""
    names = {"none": none, "sum": "SumBackward0", "mean": "MeanBackward0", "batchmean": "DivBackward0"}
    return lambda *inputs, **options: names[options.get("reduction", "mean")]


def _attention(q: Any, *rest: Any, dropout_p: float = 0.0, **options: Any) -> str:
    plain = q.ndim != 4 or dropout_p or (len(rest) > 3 and rest[3])
    return "UnsafeViewBackward0" if plain else "ScaledDotProductFlashAttentionForCpuBackward0"


def _pad(x: Any, pad: Any, mode: str = "constant", *rest: Any) -> str:
    if mode == "constant":
        return "ConstantPadNdBackward0"
    kind = {"reflect": "ReflectionPad", "replicate": "ReplicationPad"}.get(mode)
    return "CopySlices" if kind is None else f"{kind}{len(pad) // 2}DBackward0"


# Functions and methods of these names, in whichever of our modules: what PyTorch's result is called.
COMPOSED: dict[str, Label] = {
    "__sub__": "SubBackward0",
    "__rsub__": _by_operand("RsubBackward1", "SubBackward0"),
    "__rpow__": _by_operand("PowBackward2", "PowBackward1"),
    "__rtruediv__": _by_operand("MulBackward0", "DivBackward0"),
    "sub": "SubBackward0",
    "rsub": _by_operand("RsubBackward1", "SubBackward0"),
    "square": "PowBackward0",
    "log1p": "Log1PBackward0",
    "sum": _by_dim("SumBackward0", "SumBackward1"),
    "mean": _by_dim("MeanBackward0", "MeanBackward1"),
    "max": _by_dim("MaxBackward1", "MaxBackward0"),
    "min": _by_dim("MinBackward1", "MinBackward0"),
    "median": _by_dim("MedianBackward0", "MedianBackward1"),
    "prod": _by_dim("ProdBackward0", "ProdBackward1"),
    "norm": "LinalgVectorNormBackward0",
    "vector_norm": "LinalgVectorNormBackward0",
    "clone": "CloneBackward0",
    "contiguous": "CloneBackward0",
    "reshape": _reshape,
    "flatten": _reshape,
    "view": "ViewBackward0",
    "unflatten": "ViewBackward0",
    "permute": "PermuteBackward0",
    "movedim": "PermuteBackward0",
    "transpose": "TransposeBackward0",
    "swapaxes": "TransposeBackward0",
    "t": "TBackward0",
    "squeeze": _by_dim("SqueezeBackward0", "SqueezeBackward1"),
    "expand_as": "ExpandBackward0",
    "repeat_interleave": "ViewBackward0",
    "narrow": "SliceBackward0",
    "split": _split,
    "chunk": "SplitBackward0",
    "einsum": _einsum,
    "outer": "MulBackward0",
    "inner": "ViewBackward0",
    "tensordot": "ViewBackward0",
    "take_along_dim": "GatherBackward0",
    "unfold": lambda *inputs, **options: "UnfoldBackward0" if len(inputs) > 3 else "Im2ColBackward0",
    "pad": _pad,
    "normalize": "DivBackward0",
    "cosine_similarity": "SumBackward1",
    "rms_norm": "MulBackward0",
    "pairwise_distance": "NormBackward1",
    "adaptive_avg_pool2d": lambda x, size: (
        "MeanBackward1" if size in (1, (1, 1)) else "AdaptiveAvgPool2DBackward0"
    ),
    "layer_norm": "NativeLayerNormBackward0",
    "batch_norm": "NativeBatchNormBackward0",
    "scaled_dot_product_attention": _attention,
    "cross_entropy": _cross_entropy,
    "mse_loss": "MseLossBackward0",
    "nll_loss": "NllLossBackward0",
    "l1_loss": _pointwise_loss("AbsBackward0"),
    "kl_div": _pointwise_loss("SubBackward0"),
    "smooth_l1_loss": "SmoothL1LossBackward0",
}
# Those that PyTorch calls as we do, in capitals.
ALIKE = """
    amax amin var std logsumexp cumprod masked_fill unsqueeze expand repeat flip roll diagonal unbind tril
    triu select stack gather scatter index_select index_add masked_select topk sort mm mv dot bmm addmm baddbmm lerp
    rsqrt reciprocal log2 log10 expm1 exp2 logaddexp trace remainder nan_to_num silu mish softplus elu leaky_relu
    huber_loss binary_cross_entropy binary_cross_entropy_with_logits
"""
COMPOSED |= {name: _in_capitals(name) for name in ALIKE.split()}


def label(*owners: Any) -> None:
    """Replace the functions of these classes and modules that COMPOSED lists: their results bear its names.

    What is one object in several places stays one. A second call changes nothing.
    """
    for owner in owners:
        for name in COMPOSED.keys() & set(dir(owner)):
            found = getattr(owner, name)
            if callable(found) and not hasattr(found, "labelled"):
                setattr(owner, name, _labelled(found, COMPOSED[name]))


@functools.cache
def _labelled(function: Callable[..., Any], shown: Label) -> Callable[..., Any]:
    """Return the function with its results labelled; one that is an argument handed back keeps its name."""

    @functools.wraps(function)
    def call(*inputs: Any, **options: Any) -> Any:
        result = function(*inputs, **options)
        given = [getattr(x, "_node", None) for x in inputs]
        for y in result if isinstance(result, (tuple, list)) else (result,):
            node = getattr(y, "_node", None)
            if node is not None and node.vjp is not None and node not in given:
                _labels[node] = shown if isinstance(shown, str) else shown(*inputs, **options)
        return result

    call.labelled = True  # type: ignore[attr-defined]
    return call


# --- what x.grad_fn returns ---


class GradFn:
    """A node as PyTorch shows it: `name()`, and `next_functions`, what made the operands."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def name(self) -> str:
        """PyTorch's name of the operation; of a leaf, the one that collects its gradient."""
        return "torch::autograd::AccumulateGrad" if self._node.vjp is None else grad_fn_name(self._node)

    @property
    def next_functions(self) -> "tuple[tuple[GradFn | None, int], ...]":
        """(GradFn, 0) for each operand, or (None, 0) for one without a gradient; () after the walk."""
        return tuple((None if parent is None else GradFn(parent), 0) for parent in self._node.parents)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GradFn) and other._node is self._node

    def __hash__(self) -> int:
        return hash(self._node)

    def __repr__(self) -> str:
        return f"<{self.name().rpartition(':')[2]} object at {id(self._node):#x}>"


def grad_fn(x: Any) -> GradFn | None:
    """Return what `x.grad_fn` is: None for a leaf or without a history."""
    return None if x._node is None or x._node.vjp is None else GradFn(x._node)
