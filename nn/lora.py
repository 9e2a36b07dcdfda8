"""LoRA: fine-tuning in which every large weight stays as it is, and a small update of it is learnt beside."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigrad import random
from minigrad.errors import check_type, value_error
from minigrad.random import Generator
from minigrad.tensor import Tensor
from nn.functional.linear import linear
from nn.layers import Linear
from nn.module import Module, Parameter

GPT = ("c_attn", "c_proj", "c_fc")
LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LoRALinear(Module):
    """y = base(x) + alpha / r (x A^T) B^T: a Linear that is frozen, and an update of rank r that learns.

    Fine-tuning adds some D to a weight W (O, I). If few directions matter, D is near a product B A, with B (O, r)
    and A (r, I): r (O + I) numbers in place of O I, and as few for the optimiser. With s = alpha / r:

        y  = x W^T + s h B^T            h = x A^T, (..., r)
        dB = s dy^T h                   dA = s (dy B)^T x                   dx = dy W + s (dy B) A

    B starts at zero, so that the first y is the base's, and A does not, or else no gradient would ever
    reach either. W + s B A is one weight again (`merge`). Dividing alpha by r keeps the size of the update, and
    so the learning rate that suits, when another r is tried.

    Shapes    x (..., I) -> (..., O)
    Random    A uniform in +-1/sqrt(I), as a Linear's weight
    Source    Hu et al. 2021, arXiv:2106.09685, section 4.1
    """

    def __init__(self, base: Linear, rank: int, alpha: float, *, rng: Generator | None = None) -> None:
        base.requires_grad_(False)
        self.base: Any = base
        self.scale = alpha / rank
        bound, dtype = 1 / math.sqrt(base.in_features), base.weight.dtype
        rng = rng or random.default_generator()
        self.lora_A = Parameter(rng.uniform(-bound, bound, (rank, base.in_features), dtype))
        self.lora_B = Parameter(np.zeros((base.out_features, rank), dtype))

    def forward(self, input: Tensor) -> Tensor:
        """Map input (..., in_features) to (..., out_features)."""
        return self.base(input) + linear(linear(input, self.lora_A), self.lora_B) * self.scale

    def extra_repr(self) -> str:
        """Show the rank and alpha."""
        rank = len(self.lora_A)
        return f"rank={rank}, alpha={self.scale * rank:g}"

    def update(self) -> Any:
        """Return s B A, which `merge` adds to the weight, (O, I)."""
        return self.scale * (self.lora_B.array @ self.lora_A.array)


def add(
    model: Module, rank: int, alpha: float | None = None, targets: Iterable[str] | None = None,
    *, rng: Generator | None = None,
) -> Module:  # fmt: skip
    """Freeze the model, and put a LoRALinear in the place of each Linear with one of the names; return the model.

    alpha is twice the rank by default, and the names are those of GPT and LLAMA that the model has. Make the
    optimiser of `parameters(model)` afterwards.

    Raises    ValueError for a rank that is no whole number of 1 or more, or larger than a matrix, an alpha not
              above 0, a name that no Linear has, or a model with a LoRA; then nothing was changed.
    """
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise value_error("lora.add", "a rank that is a whole number of 1 or more", repr(rank))
    alpha = 2 * rank if alpha is None else alpha
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < math.inf:
        raise value_error("lora.add", "alpha above 0, finite", repr(alpha))
    if _places(model):
        raise value_error("lora.add", "a model without a LoRA", "one that has it", "merge it first")
    names = {targets} if isinstance(targets, str) else {*(GPT + LLAMA if targets is None else targets)}
    linear_layers = {name: m for name, m in model.named_modules() if isinstance(m, Linear)}
    found = {name: m for name, m in linear_layers.items() if name.rpartition(".")[2] in names}
    absent = names - {name.rpartition(".")[2] for name in found}
    if not found or targets is not None and absent:
        raise value_error("lora.add", f"a model with a Linear named {', '.join(sorted(absent))}", "none")
    for name, layer in found.items():
        if rank > (least := min(layer.in_features, layer.out_features)):
            raise value_error("lora.add", f"a rank of at most {least}, as {name} has no more", rank)
    model.requires_grad_(False)
    for name, layer in found.items():
        _put(model, name, LoRALinear(layer, rank, alpha, rng=rng))
    return model


def parameters(model: Module) -> list[Parameter]:
    """Return what learns: A and B of each layer."""
    return [p for layer in _places(model).values() for p in (layer.lora_A, layer.lora_B)]


def merge(model: Module) -> Module:
    """Add each update to its weight, and put the Linear back; return the model, as frozen as it is.

    Raises    ValueError for weights that are packed, and cannot take it; then nothing was changed.
    """
    layers = _mergeable(model)
    for name, layer in layers.items():
        layer.base.weight._data += layer.update()
        layer.base.weight.mark_overwritten()
        _put(model, name, layer.base)
    return model


def merged_state(model: Module) -> dict[str, Any]:
    """Return {name: array} as `merge` would leave them, for a file; the model keeps its LoRA and goes on learning.

    Raises    as `merge`.
    """
    layers, merged = _mergeable(model), {}
    for name, value in model.state_dict().items():
        place, _, attribute = name.rpartition(".")
        layer = layers.get(place.removesuffix(".base"))
        if layer is None:
            merged[name] = value.array
        elif place.endswith(".base"):
            update = layer.update() if attribute == "weight" else 0
            merged[f"{place.removesuffix('.base')}.{attribute}"] = value.array + update
    return merged


def _places(model: Module) -> dict[str, LoRALinear]:
    """Return the LoRALinears by name."""
    every = check_type("lora", model, Module, "a model").named_modules()
    return {name: module for name, module in every if isinstance(module, LoRALinear)}


def _mergeable(model: Module) -> dict[str, LoRALinear]:
    """Return the LoRALinears by name, once all their weights can be written to."""
    layers = _places(model)
    if packed := [name for name, layer in layers.items() if "weight" not in vars(layer.base)]:
        raise value_error("lora.merge", f"a weight in {packed[0]} that can be written to", "a packed one")
    return layers


def _put(model: Module, name: str, module: Module) -> None:
    """Put a module in the place of the one with this dotted name."""
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)
