"""A GPT in nanoGPT's terms: model, configuration, checkpoints. The command line is `python -m gpt`."""

from gpt.config import PRESETS, GPTConfig, LlamaConfig, TrainConfig
from gpt.llama import Llama
from gpt.model import GPT
from gpt.pretrained import from_pretrained, from_state_dict
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
