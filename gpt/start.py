"""What a run starts with: a text, and a new model or one that has learnt before."""

from dataclasses import replace
from typing import Any

from gpt.config import GPTConfig, TrainConfig
from gpt.data import Corpus, Text
from gpt.language_model import LanguageModel
from gpt.memory import check_training
from gpt.model import GPT
from gpt.pretrained.anywhere import open_model
from gpt.tokens import Tokenizer, choose
from minigrad.errors import value_error
from minigrad.gpu.device import array_library
from minigrad.parallel import world_size
from minigrad.random import Generator
from nn import lora
from nn.module import Parameter


def beginning(config: TrainConfig, sizes: dict[str, Any]) -> dict[str, Any]:
    """Return what a new Run has beside its settings; errors as in `Run.new`."""
    check_device(config.device)
    if not config.init_from:  # what cannot work is refused before a long text is read
        if config.lora:
            raise value_error("--lora", "--init_from, a model that it freezes", "random weights")
        check_training(config, GPTConfig(vocab_size=1, **sizes), 0, world_size())
        choose(config.tokenizer or "characters", "a")
    text, rng = Text.load(config.data), Generator(config.seed)
    if config.init_from:
        model, tokenizer, block_size = _learnt(config, sizes)
        check_training(config, model.config, block_size, world_size())
    else:
        tokenizer = choose(config.tokenizer or "characters", text)
        size = GPTConfig(vocab_size=tokenizer.n_vocab, **sizes)
        check_training(config, size, 0, world_size())
        model, block_size = GPT(size, rng=rng), size.block_size
    if config.lora:
        lora.add(model, config.lora, rng=rng)
    model.train()
    corpus = Corpus.of(text, tokenizer)
    corpus.check_length(block_size)
    return {"corpus": corpus, "model": model, "batch_rng": rng, "block_size": block_size}


def check_device(device: str) -> None:
    """Raise ValueError or ImportError if these ranks, or this machine, cannot train there."""
    if device != "cpu" and world_size() > 1:
        raise value_error("--device", f"cpu for {world_size()} ranks, which add up in its memory", device)
    array_library(device)  # which says what is missing


def _learnt(config: TrainConfig, sizes: dict[str, Any]) -> tuple[LanguageModel, Tokenizer, int]:
    """Return the model that `config.init_from` says, its tokeniser, and how many tokens of a text it is to read at once."""
    if others := ["tokenizer"] * bool(config.tokenizer) + sorted({*sizes} - {"block_size"}):
        hint = "the model has its own; only --block_size may be smaller"
        raise value_error("--init_from", f"no --{others[0]}", "both", hint)
    model, tokenizer = open_model(config.init_from)
    lora.merge(model).requires_grad_()  # what an earlier run learnt beside the weights is now in them
    most = model.config.block_size
    block_size = sizes.get("block_size", min(256, most))
    if not 0 < block_size <= most:
        raise value_error("--block_size", f"1 to {most}, the model's", block_size)
    if isinstance(model, GPT):  # nanoGPT's `crop_block_size`; a Llama has no table of positions
        model.config = replace(model.config, block_size=block_size)
        model.wpe.weight = Parameter(model.wpe.weight.array[:block_size].copy())
    return model, tokenizer, block_size
