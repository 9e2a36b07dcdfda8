"""GPT-2 and the Llama in Hugging Face's transformers, with its own key/value cache."""

import inspect
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the import: weights are made here, nothing is fetched

import numpy as np
import torch
import transformers
from race_track.cells import NORM_EPS, PROMPT, ROPE_THETA, Cell
from race_track.opponents import Entry, greedy
from race_track.opponents.pytorch import load_weights

TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # its Conv1D keeps (in, out)


def build(cell: Cell) -> Entry:
    """Return the entry of GPT2LMHeadModel or LlamaForCausalLM."""
    if cell.n_kv_head:
        model = transformers.LlamaForCausalLM(_llama_config(cell)).eval()
        load_weights(model, cell, "model.")
    else:
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
        load_weights(model, cell, "transformer.", TRANSPOSED)
    cache = transformers.DynamicCache()
    kept = (
        "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    )  # its older name

    @torch.inference_mode()
    def forward(ids: np.ndarray) -> np.ndarray:
        out = model(torch.from_numpy(ids), **{kept: cache}, use_cache=True, logits_to_keep=1)
        return out.logits[0, -1].numpy()

    def rewind() -> None:
        nonlocal cache
        decoded = cache.get_seq_length() - PROMPT
        if cell.job == "prefill":
            cache = transformers.DynamicCache()
        elif decoded:
            cache.crop(-decoded)

    return Entry(
        greedy(cell, forward, rewind),
        f"transformers {transformers.__version__}",
        str(torch.get_num_threads()),
    )


def _llama_config(cell: Cell) -> transformers.LlamaConfig:
    return transformers.LlamaConfig(
        vocab_size=cell.vocab_size,
        hidden_size=cell.n_embd,
        intermediate_size=cell.n_hidden,
        num_hidden_layers=cell.n_layer,
        num_attention_heads=cell.n_head,
        num_key_value_heads=cell.n_kv_head,
        max_position_embeddings=cell.block_size,
        rms_norm_eps=NORM_EPS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        tie_word_embeddings=True,
    )
