"""A GPT in nanoGPT's terms: model, configuration, checkpoints. The command line is `python -m gpt`."""

from importlib import import_module
from typing import Any

from gpt.config import PRESETS, GPTConfig, LlamaConfig, TrainConfig
from gpt.llama import Llama
from gpt.model import GPT
from nn.optim.groups import decay_groups

__all__ = [
    "GPT",
    "PRESETS",
    "GPTConfig",
    "Llama",
    "LlamaConfig",
    "TrainConfig",
    "decay_groups",
    "from_pretrained",
    "from_state_dict",
]


def __getattr__(name: str) -> Any:
    """Import what reads files when it is first asked for: it takes as long as all the rest."""
    if name not in ("from_pretrained", "from_state_dict"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("gpt.pretrained"), name)
