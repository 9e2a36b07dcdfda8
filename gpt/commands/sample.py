"""python -m gpt sample: write text."""

import argparse

from gpt.commands.flags import add_likely, add_source, likely, open_source
from gpt.commands.threads import use_threads
from gpt.data import clean
from gpt.writing import write
from minigrad.errors import value_error


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    command.set_defaults(run=run)
    add_source(command)
    add = command.add_argument
    add("--prompt", default="", help="text to continue (default: a line break, or what begins a text)")
    add("--max_new_tokens", type=int, default=500, help="tokens to write at most (default: 500)")
    add("--min_new_tokens", type=int, default=0, help="tokens before the model may end its text (default: 0)")
    help = "end before this text; may be given several times"
    add("--stop", action="append", default=[], metavar="TEXT", help=help)
    add_likely(command, temperature=0.8, top_p=1.0, repetition_penalty=1.0)
    add("--num_samples", type=int, default=1, help="texts to write (default: 1)")


def run(options: argparse.Namespace) -> int:
    """Write the samples, each character as it is drawn."""
    model, tokenizer, _ = open_source(options)
    prompt = clean(options.prompt)
    start = tokenizer.prompt(prompt)
    if options.num_samples < 1:
        raise value_error("--num_samples", "1 or more", options.num_samples)
    settings = {"min_new_tokens": options.min_new_tokens, "stop": options.stop, **likely(options)}
    write(model, tokenizer, start, options.max_new_tokens, **settings)  # refuses what cannot be
    use_threads(model, model.config.block_size)
    for i in range(options.num_samples):
        print("-" * 15 + "\n" if i else "", end="")
        print(prompt, end="", flush=True)
        for piece in write(model, tokenizer, start, options.max_new_tokens, **settings):
            print(piece, end="", flush=True)
        print()
    return 0
