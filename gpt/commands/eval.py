"""python -m gpt eval: measure the loss."""

import argparse

from gpt.commands.flags import add_source, open_source, path
from gpt.commands.threads import use_threads
from gpt.data import Corpus, Text
from gpt.language_model import LanguageModel
from gpt.progress import doing, shown
from gpt.train import mean_loss
from minigrad.errors import value_error
from minigrad.memory import reuse_memory

LONGEST = 1024  # tokens of a window for a model of other people, which may read 8,192: as many as GPT-2


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    command.set_defaults(run=run)
    add_source(command)
    command.add_argument("--data", type=path, help="text file in UTF-8 (default: the one it was trained on)")
    help = "tokens that it reads at once (default: as in training; of another model at most 1024)"
    command.add_argument("--block_size", type=int, metavar="INTEGER", help=help)
    help = "the first nine tenths of the text, or the rest (default: val)"
    command.add_argument("--split", choices=("train", "val"), default="val", help=help)


def run(options: argparse.Namespace) -> int:
    """Measure the loss over a whole split."""
    reuse_memory()
    doing("loading the model and the text")
    model, tokenizer, info = open_source(options)
    if options.data is None and not info:
        raise value_error("--init_from", "--data FILE, the text to measure the loss on", "none")
    text = Text.load(info["training"]["data"] if options.data is None else options.data)
    print(text, flush=True)
    if info and text.sha256 != info["sha256"]:  # said first: its characters may be unknown
        print(f"note: it was trained on another text, sha256 {info['sha256']}", flush=True)
    corpus = Corpus.of(text, tokenizer)
    lengths, most = [len(ids) - 1 for ids in corpus.splits.values()], model.config.block_size
    size = info.get("block_size", most) if info else max(1, min(most, LONGEST, *lengths))
    size = size if options.block_size is None else options.block_size
    if not 0 < size <= most:
        raise value_error("--block_size", f"1 to {most:,}, the model's", size)
    corpus.check_length(size)
    use_threads(model, next(corpus.windows(options.split, size))[0].size)
    doing(f"measuring the loss over {len(corpus.splits[options.split]) - 1:,} {tokenizer.unit}s")
    print(f"{options.split} {whole_loss(model, corpus, options.split, size)}")
    return 0


def whole_loss(model: LanguageModel, corpus: Corpus, split: str, size: int, workers=None) -> str:
    """Return the mean loss over a whole split, in windows of `size` tokens, in words."""
    batches = shown(corpus.windows(split, size), len(corpus.splits[split]) - 1, "loss")
    return corpus.describe(mean_loss(model, batches, workers), split, size)
