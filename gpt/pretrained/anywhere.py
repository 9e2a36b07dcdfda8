"""A model and its tokeniser, from wherever a user says they are."""

from pathlib import Path

from gpt import checkpoint
from gpt.language_model import LanguageModel
from gpt.pretrained import CHECKPOINT, from_pretrained
from gpt.pretrained.folder import CONFIG
from gpt.tokens import Tokenizer, load
from minigrad.errors import value_error


def open_model(name: str) -> tuple[LanguageModel, Tokenizer]:
    """Return the model that `name` says, in evaluation mode, and its tokeniser.

    FOLDER          of Hugging Face's, or of a run of training
    FILE            .npz: a checkpoint of training; .safetensors: weights, the tokeniser beside them

    Raises    ValueError, OSError or ImportError, in one line, for what is not there or cannot be read.
    """
    path = Path(name)
    if not path.exists():
        got = f"{name}, which does not exist"
        raise value_error("model", "a folder of a model or a checkpoint", got)
    if path.is_dir() and not (path / CONFIG).exists() and (path / CHECKPOINT).exists():
        path = path / CHECKPOINT
    if path.suffix == ".npz":
        model, tokenizer = checkpoint.build_model(*checkpoint.load(path))
        model.eval()
        return model, tokenizer
    return from_pretrained(path), load(path if path.is_dir() else path.parent)
