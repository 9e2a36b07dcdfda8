"""GPT-2 in Hugging Face's transformers, with its own key/value cache."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the import: weights are made here, nothing is fetched

import numpy as np
import torch
import transformers
from race_track.cells import PROMPT, Cell
from race_track.opponents import Entry, greedy
from race_track.opponents.pytorch import load_weights

TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # its Conv1D keeps (in, out)


def build(cell: Cell) -> Entry:
    """Return the entry of GPT2LMHeadModel."""
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    load_weights(model, cell, "transformer.", TRANSPOSED)
    cache = transformers.DynamicCache()

    @torch.inference_mode()
    def forward(ids: np.ndarray) -> np.ndarray:
        out = model(torch.from_numpy(ids), past_key_values=cache, use_cache=True, logits_to_keep=1)
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
