"""Weights of other people's models: a GPT from their files."""

from pathlib import Path

from gpt.model import GPT
from gpt.pretrained.folder import read_safetensors
from gpt.pretrained.gpt2 import from_state_dict

__all__ = ["from_pretrained", "from_state_dict", "read_safetensors"]


def from_pretrained(path: str | Path, n_head: int | None = None) -> GPT:
    """Build a GPT from a .safetensors file, such as GPT-2's on Hugging Face; see `from_state_dict`."""
    return from_state_dict(read_safetensors(path), n_head)
