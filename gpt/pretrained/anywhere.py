"""A model and its tokeniser, from wherever a user says they are."""

import os
from pathlib import Path

from gpt import checkpoint
from gpt.files import as_path
from gpt.folder import CHECKPOINT
from gpt.language_model import LanguageModel
from gpt.pretrained import from_pretrained, gguf
from gpt.pretrained.folder import is_run
from gpt.tokens import Tokenizer, load
from minigrad.errors import value_error


def open_model(name: str, memory: str = "float32") -> tuple[LanguageModel, Tokenizer]:
    """Return the model that `name` says, in evaluation mode, and its tokeniser.

    smollm2         SmolLM2-135M-Instruct, out of the package that carries it
    gguf:FILE       a file of llama.cpp's; with memory="small", its weights stay packed
    FOLDER          of Hugging Face's, or of a run of training
    FILE            .npz: a checkpoint of training; .safetensors: weights, the tokeniser beside them

    Raises    ValueError, OSError or ImportError, in one line, for what is not there or cannot be read.
    """
    as_path("model", name)
    if (file := gguf.find(name)) is not None:
        packed = gguf.load(file, memory)
        packed.eval()
        return _fitting(packed, gguf.tokenizer(file), name)
    if memory != "float32":
        raise value_error("--memory small", "smollm2 or gguf:FILE, whose weights are packed", name)
    path = Path(name)
    if not name or not os.path.exists(name):
        got = f"{name or 'nothing':.200}, which does not exist"
        hint = "or smollm2, or gguf:FILE; no other is brought by its name"
        raise value_error("model", "a folder of a model or a checkpoint", got, hint)
    if is_run(path):
        path = path / CHECKPOINT
    if path.suffix == ".npz":
        model, tokenizer = checkpoint.build_model(*checkpoint.load(path))
        model.eval()
        return model, tokenizer
    return _fitting(from_pretrained(path), load(path if path.is_dir() else path.parent), name)


def _fitting(model: LanguageModel, tokenizer: Tokenizer, name: str) -> tuple[LanguageModel, Tokenizer]:
    checkpoint.check_vocabulary(f"the model {name}", model.config, tokenizer)
    return model, tokenizer
