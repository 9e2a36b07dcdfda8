"""GPT-2's weights and nanoGPT's: the names, layouts and settings of their files, known here alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpt.config import PRESETS, GPTConfig
from gpt.pretrained import folder
from minigrad.errors import value_error

CONFIG = GPTConfig
ROOT = "transformer"  # what stands before the names
HEAD = "lm_head.weight"
NEEDED = ("wte.weight", "wpe.weight", "h.0.attn.c_attn.weight")
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # (in, out) in GPT-2's files
ALIASES = {
    "hidden_size": "n_embd", "max_position_embeddings": "n_positions", "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}  # fmt: skip
DEFAULTS = {  # transformers' own, for what a config.json leaves out
    "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": None,
    "activation_function": "gelu_new", "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1,
    "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "tie_word_embeddings": True,
}  # fmt: skip
SCALES = {"scale_attn_weights": (True, False), "scale_attn_by_inverse_layer_idx": (False, True)}
HAVE = {"add_cross_attention": (False, None), **SCALES, **folder.HAVE}  # the values that can be obeyed
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
FIELDS = {  # of GPTConfig, by their names in config.json
    "vocab_size": "vocab_size", "n_positions": "block_size", "n_embd": "n_embd", "n_layer": "n_layer",
    "n_head": "n_head", "activation_function": "activation", "layer_norm_epsilon": "norm_eps",
    "initializer_range": "init_std", "tie_word_embeddings": "tied",
}  # fmt: skip
END = 50256  # GPT-2's <|endoftext|>


def known_heads(n_embd: int) -> int:
    """Return the number of heads that the GPT-2 of this width has."""
    known = {size["n_embd"]: size["n_head"] for name, size in PRESETS.items() if name.startswith("gpt2")}
    if n_embd not in known:
        raise value_error("from_state_dict", "n_head for a width that no GPT-2 has", f"width {n_embd} alone")
    return known[n_embd]


def read_config(
    settings: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray], changes: Mapping[str, Any]
) -> GPTConfig:
    """Return the configuration that a config.json says, or, without one, that the arrays show; `changes` come last.

    Without one, GPT-2's layout means GPT-2's activation, and nanoGPT's layout means nanoGPT's, the exact GELU.

    Raises    ValueError, in one line, for settings that a GPT here does not have.
    """
    n_layer = len({name.split(".")[1] for name in arrays if name.startswith("h.")})
    (vocab_size, n_embd), block_size = arrays["wte.weight"].shape, len(arrays["wpe.weight"])
    found = {"block_size": block_size, "vocab_size": vocab_size, "n_layer": n_layer, "n_embd": n_embd}
    if settings is None:
        form = "gelu_new" if _is_transposed(arrays) else "gelu"
        heads = changes["n_head"] if "n_head" in changes else known_heads(n_embd)
        said = {**found, "n_head": heads, "activation": form, "tied": True}
    else:
        if "block_size" in settings and "model_type" not in settings:  # nanoGPT's model_args
            dropouts = dict.fromkeys(DROPOUTS, settings.get("dropout", 0.0))
            own = {"activation_function": "gelu", "n_positions": settings["block_size"], **dropouts}
            settings = {**own, **settings}
        said = _said(settings, changes)
    if HEAD in arrays and not np.array_equal(arrays[HEAD], arrays["wte.weight"]):
        said["tied"] = False  # whatever the settings say: transformers does the same
    config = GPTConfig(**{**said, "bias": "ln_f.bias" in arrays, **changes})
    return folder.with_sizes(config, found)


def _said(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of GPTConfig that GPT-2's settings say.

    Raises    ValueError for settings that change numbers and that a GPT here does not have.
    """
    said = {**DEFAULTS, **settings}
    said |= {theirs: said[alias] for alias, theirs in ALIASES.items() if alias in said}
    folder.check(said, HAVE)
    if said["n_inner"] not in (None, 4 * said["n_embd"] if isinstance(said["n_embd"], int) else None):
        raise value_error("from_pretrained", "n_inner of 4 n_embd, or null", repr(said["n_inner"]))
    rates = [said[name] for name in DROPOUTS]
    if "dropout" not in changes and any(r != rates[0] or r is False for r in rates):
        got, hint = f"{', '.join(DROPOUTS)} {rates}", "say which: from_pretrained(path, dropout=...)"
        raise value_error("from_pretrained", "one dropout for all", got, hint)
    return {ours: said[theirs] for theirs, ours in FIELDS.items()} | {"dropout": said["resid_pdrop"]}


def read_arrays(
    settings: Mapping[str, Any] | None, arrays: dict[str, np.ndarray], config: GPTConfig
) -> dict[str, np.ndarray]:
    """Return the arrays under our names and in our layouts, emptying the mapping, so that both are never held.

    Attention here is scaled by 1 / sqrt(head's width); settings that scale it otherwise are met by scaling queries.
    """
    transposed, own = _is_transposed(arrays), {}
    if config.tied:
        arrays.pop(HEAD, None)
    for name in list(arrays):
        array = arrays.pop(name)
        own[name] = np.ascontiguousarray(array.T) if transposed and name.endswith(TRANSPOSED) else array
    said = settings or {}
    scale = 1.0 if said.get("scale_attn_weights", True) else (config.n_embd / config.n_head) ** 0.5
    for i in range(config.n_layer):
        factor = scale / (i + 1) if said.get("scale_attn_by_inverse_layer_idx") else scale
        for name in (f"h.{i}.attn.c_attn.weight", f"h.{i}.attn.c_attn.bias"):
            if factor != 1 and name in own:
                own[name][: config.n_embd] *= factor
    return own


def _is_transposed(arrays: Mapping[str, np.ndarray]) -> bool:
    """Are the matrices stored as (in, out), as GPT-2's are?"""
    n_embd = arrays["wte.weight"].shape[1]
    return arrays["h.0.attn.c_attn.weight"].shape == (n_embd, 3 * n_embd)


def write_config(config: GPTConfig) -> dict[str, Any]:
    """Return GPT-2's settings of a configuration."""
    said = {theirs: getattr(config, ours) for theirs, ours in FIELDS.items()}
    end = END if config.vocab_size > END else None
    said |= dict.fromkeys(DROPOUTS, config.dropout) | {"bos_token_id": end, "eos_token_id": end}
    return {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", **said}


def write_arrays(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays under GPT-2's names and in its layout, with biases of zeros where a model has none."""
    theirs = {}
    for name, array in state.items():
        theirs[name] = array.T if name.endswith(TRANSPOSED) else array
        bias = name.replace(".weight", ".bias")
        if bias not in state and not name.startswith(("wte", "wpe", "lm_head")):
            theirs[bias] = np.zeros(len(array), array.dtype)
    return {name if name.startswith("lm_head") else f"{ROOT}.{name}": array for name, array in theirs.items()}
