"""python -m gpt eval: measure the loss."""

import argparse
from collections.abc import Iterator

from gpt.commands.flags import add_source, open_source, path
from gpt.commands.threads import use_threads
from gpt.data import Batch, Corpus, Text
from gpt.language_model import LanguageModel
from gpt.train import mean_loss
from minigrad.errors import value_error
from minigrad.memory import reuse_memory

TIMED = 1024  # tokens of the batch that is timed with one thread and with all


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    command.set_defaults(run=run)
    add_source(command)
    command.add_argument("--data", type=path, help="text file in UTF-8 (default: the one it was trained on)")
    help = "the first nine tenths of the text, or the rest (default: val)"
    command.add_argument("--split", choices=("train", "val"), default="val", help=help)


def run(options: argparse.Namespace) -> int:
    """Measure the loss over a whole split."""
    reuse_memory()
    model, tokenizer, info = open_source(options)
    if options.data is None and not info:
        raise value_error("--init_from", "--data FILE, the text to measure the loss on", "none")
    text = Text.load(info["training"]["data"] if options.data is None else options.data)
    print(text, flush=True)
    if info and text.sha256 != info["sha256"]:  # said first: its characters may be unknown
        print(f"note: it was trained on another text, sha256 {info['sha256']}", flush=True)
    corpus = Corpus.of(text, tokenizer)
    corpus.check_length(model.config.block_size)
    inputs, targets = next(corpus.windows(options.split, model.config.block_size))
    few = max(1, TIMED // model.config.block_size)
    use_threads(lambda: model(inputs[:few], targets[:few]))
    print(f"{options.split} {whole_loss(model, corpus, options.split)}")
    return 0


def whole_loss(model: LanguageModel, corpus: Corpus, split: str) -> str:
    """Return the mean loss over a whole split, in words."""
    batches = corpus.windows(split, model.config.block_size)
    return corpus.describe(mean_loss(model, _shown(batches, len(corpus.splits[split]) - 1)), split)


def _shown(batches: Iterator[Batch], total: int) -> Iterator[Batch]:
    """Yield the batches, of so many targets together, behind a bar if they take more than two seconds."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        yield from batches
        return
    with tqdm(total=total, unit="token", unit_scale=True, desc="loss", delay=2, leave=False) as bar:
        for batch in batches:
            yield batch
            bar.update(batch[1].size)
