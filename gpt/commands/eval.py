"""python -m gpt eval: measure the loss."""

import argparse

from gpt import checkpoint
from gpt.commands.flags import add_checkpoint, path
from gpt.data import Corpus
from gpt.model import GPT
from gpt.train import mean_loss
from minigrad.memory import reuse_memory


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    command.set_defaults(run=run)
    add_checkpoint(command)
    command.add_argument("--data", type=path, help="text file in UTF-8 (default: the one it was trained on)")
    help = "the first nine tenths of the text, or the rest (default: val)"
    command.add_argument("--split", choices=("train", "val"), default="val", help=help)


def run(options: argparse.Namespace) -> int:
    """Measure the loss over a whole split."""
    reuse_memory()
    info, arrays = checkpoint.load(options.checkpoint)
    model, tokenizer = checkpoint.build_model(info, arrays)
    corpus = Corpus.load(info["training"]["data"] if options.data is None else options.data, tokenizer)
    corpus.check_length(model.config.block_size)
    print(corpus.text)
    if corpus.text.sha256 != info["sha256"]:
        print(f"note: it was trained on another text, sha256 {info['sha256']}")
    print(f"{options.split} {whole_loss(model, corpus, options.split)}")
    return 0


def whole_loss(model: GPT, corpus: Corpus, split: str) -> str:
    """Return the mean loss over a whole split, in words."""
    return corpus.describe(mean_loss(model, corpus.windows(split, model.config.block_size)), split)
