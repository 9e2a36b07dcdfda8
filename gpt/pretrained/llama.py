"""Llama's weights: the names and settings of its files, known here alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpt.config import LlamaConfig
from gpt.pretrained import folder
from minigrad.errors import value_error

CONFIG = LlamaConfig
ROOT = "model"  # what stands before the names
HEAD = "lm_head.weight"
NEEDED = ("embed_tokens.weight", "layers.0.self_attn.q_proj.weight", "layers.0.mlp.gate_proj.weight")
DEFAULTS = {  # transformers' own, for what a config.json leaves out
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": None, "max_position_embeddings": 2048, "head_dim": None,
    "initializer_range": 0.02, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
    "rope_theta": 10000.0, "partial_rotary_factor": 1.0, "rope_scaling": None, "rope_parameters": None,
}  # fmt: skip
FIELDS = {  # of LlamaConfig, by their names in config.json
    "vocab_size": "vocab_size", "max_position_embeddings": "block_size", "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head", "num_key_value_heads": "n_kv_head", "hidden_size": "n_embd",
    "intermediate_size": "n_hidden", "rms_norm_eps": "norm_eps", "initializer_range": "init_std",
    "tie_word_embeddings": "tied",
}  # fmt: skip
HAVE = {  # what a Llama here is: the values that can be obeyed
    "hidden_act": ("silu", "swish"), "attention_bias": (False, None), "mlp_bias": (False, None),
    "attention_dropout": (0.0, None), **folder.HAVE,
}  # fmt: skip


def read_config(
    settings: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray], changes: Mapping[str, Any]
) -> LlamaConfig:
    """Return the configuration that a config.json says; `changes` come last.

    Raises    ValueError, in one line, without one, and for settings that a Llama here does not have.
    """
    if settings is None:
        expected = "a config.json beside the weights of a Llama, which do not say n_head and rope_theta"
        raise value_error("from_pretrained", expected, "none")
    said = _said({**DEFAULTS, **settings})
    if HEAD in arrays and not np.array_equal(arrays[HEAD], arrays[NEEDED[0]]):
        said["tied"] = False  # whatever the settings say: transformers does the same
    config = LlamaConfig(**{**said, **changes})
    (vocab_size, n_embd), n_hidden = arrays[NEEDED[0]].shape, len(arrays[NEEDED[-1]])
    n_layer = len({name.split(".")[1] for name in arrays if name.startswith("layers.")})
    found = {"vocab_size": vocab_size, "n_embd": n_embd, "n_hidden": n_hidden, "n_layer": n_layer}
    return folder.with_sizes(config, found)


def _said(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of LlamaConfig that Llama's settings say.

    Raises    ValueError for settings that change numbers and that a Llama here does not have.
    """
    where, sizes = "from_pretrained", ("hidden_size", "num_attention_heads", "head_dim")
    for name in sizes:
        if type(settings[name]) is not int and not (name == "head_dim" and settings[name] is None):
            raise value_error(where, f"a whole number for {name}", repr(settings[name]))
    width, heads, each = (settings[name] for name in sizes)
    folder.check(settings, HAVE)
    if each is not None and each * heads != width:
        raise value_error(where, "head_dim of hidden_size / num_attention_heads", each)
    if settings["num_key_value_heads"] is None:
        settings["num_key_value_heads"] = heads
    places = ("rope_scaling", "rope_parameters")  # where transformers before 5 writes it, and where 5 does
    for name in places:
        if not isinstance(settings[name], Mapping | None):
            raise value_error(where, f"an object, or null, for {name}", repr(settings[name]))
    older, newer = (settings[name] or {} for name in places)
    if older and newer and older != newer:
        expected = "one of rope_scaling and rope_parameters, or both alike"
        raise value_error(where, expected, f"{older} and {newer}")
    rope = {name: settings[name] for name in ("rope_theta", "partial_rotary_factor")} | (older or newer)
    form = rope.get("rope_type", rope.get("type", "default"))
    if form != "default" or any(isinstance(value, Mapping) for value in rope.values()):
        expected = "rotary positions alike in all layers, not rescaled (rope_type default)"
        raise value_error(where, expected, repr(form if form != "default" else rope))
    folder.check(rope, {"partial_rotary_factor": (1, None)})
    return {ours: settings[theirs] for theirs, ours in FIELDS.items()} | {"rope_theta": rope["rope_theta"]}


def read_arrays(
    settings: Mapping[str, Any] | None, arrays: dict[str, np.ndarray], config: LlamaConfig
) -> dict[str, np.ndarray]:
    """Return the arrays under our names, which are theirs."""
    if config.tied:
        arrays.pop(HEAD, None)
    return arrays


def write_config(config: LlamaConfig) -> dict[str, Any]:
    """Return Llama's settings of a configuration, rope_theta in both places where transformers has looked for it."""
    said = {theirs: getattr(config, ours) for theirs, ours in FIELDS.items()}
    rope = {
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }
    fixed = {name: HAVE[name][0] for name in HAVE if name not in folder.HAVE}
    ends = {"head_dim": config.n_embd // config.n_head, "bos_token_id": None, "eos_token_id": None}
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **said, **fixed, **rope, **ends}


def write_arrays(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays under Llama's names."""
    return {name if name == HEAD else f"{ROOT}.{name}": array for name, array in state.items()}
