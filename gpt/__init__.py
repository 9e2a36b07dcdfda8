"""A GPT in nanoGPT's terms: model, configuration, checkpoints. The command line is `python -m gpt`."""

from gpt.config import PRESETS, GPTConfig, TrainConfig
from gpt.model import GPT, decay_groups
from gpt.pretrained import from_pretrained, from_state_dict

__all__ = [
    "GPT",
    "PRESETS",
    "GPTConfig",
    "TrainConfig",
    "decay_groups",
    "from_pretrained",
    "from_state_dict",
]
