"""Weights of other people's GPTs: the names and layouts of nanoGPT's and GPT-2's files, known here alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpt.config import PRESETS, GPTConfig
from gpt.model import GPT
from minigrad.errors import value_error
from minigrad.random import Generator
from nn.foreign import array_beside

HERE = np.empty(0)
PREFIXES = ("_orig_mod.", "module.", "transformer.")  # of torch.compile, DistributedDataParallel, nanoGPT
MASKS = (".attn.bias", ".attn.masked_bias")  # causal masks, which old files hold beside the weights
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # (in, out) in GPT-2's files


def from_state_dict(state: Mapping[str, Any], n_head: int | None = None) -> GPT:
    """Build a GPT from arrays under the names of nanoGPT or of GPT-2 (OpenAI, Hugging Face).

    All sizes are read off the shapes, but the number of heads: it is known for GPT-2's widths and has
    to be given for others. GPT-2's files hold weights as (in, out), and are transposed.

    Shapes    state {name: array or CPU torch.Tensor}
    Raises    ValueError for names or shapes that do not make a GPT, heads that are not known, or a
              head that is not tied to the token embedding.
    """
    arrays = {_plain_name(name): array_beside(HERE, value) for name, value in state.items()}
    arrays = {name: a for name, a in arrays.items() if not name.endswith(MASKS)}
    needed = ("wte.weight", "wpe.weight", "h.0.attn.c_attn.weight")
    if missing := [name for name in needed if name not in arrays]:
        raise value_error("from_state_dict", "the weights of a GPT", f"none named {', '.join(missing)}")
    (vocab_size, n_embd), block_size = arrays["wte.weight"].shape, len(arrays["wpe.weight"])
    head = arrays.pop("lm_head.weight", None)
    if head is not None and not np.array_equal(head, arrays["wte.weight"]):
        raise value_error("from_state_dict", "lm_head.weight equal to wte.weight", "a head that is not tied")
    if arrays["h.0.attn.c_attn.weight"].shape == (n_embd, 3 * n_embd):
        arrays = {name: a.T if name.endswith(TRANSPOSED) else a for name, a in arrays.items()}
    n_layer = 1 + max(int(name.split(".")[1]) for name in arrays if name.startswith("h."))
    heads = _heads(n_embd) if n_head is None else n_head
    config = GPTConfig(block_size, vocab_size, n_layer, heads, n_embd, bias="ln_f.bias" in arrays)
    model = GPT(config, rng=Generator(0, stream="fast"))
    if arrays["wte.weight"].dtype == np.float64:
        model.double()
    model.load_state_dict(arrays)
    return model


def _plain_name(name: str) -> str:
    """Return a parameter's name without what compilers, wrappers and nanoGPT put before it."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _heads(n_embd: int) -> int:
    """Return the number of heads that the GPT-2 of this width has."""
    known = {size["n_embd"]: size["n_head"] for name, size in PRESETS.items() if name.startswith("gpt2")}
    if n_embd not in known:
        raise value_error("from_state_dict", "n_head for a width that no GPT-2 has", f"width {n_embd} alone")
    return known[n_embd]
