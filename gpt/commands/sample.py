"""python -m gpt sample: write text."""

import argparse

from gpt import checkpoint
from gpt.commands.flags import add_checkpoint
from gpt.data import clean
from gpt.generate import generate
from gpt.tokens import Decoder
from minigrad.console.commands import natural
from minigrad.errors import value_error
from minigrad.random import Generator


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    command.set_defaults(run=run)
    add_checkpoint(command)
    add = command.add_argument
    add("--prompt", default="", help="text to continue (default: a line break)")
    add("--max_new_tokens", type=int, default=500, help="tokens to write (default: 500)")
    help = "divides the logits: 0 takes the likeliest token, 1 draws as learnt (default: 0.8)"
    add("--temperature", type=float, default=0.8, help=help)
    add("--top_k", type=int, default=0, help="draw among the k likeliest tokens; 0 for all (default: 0)")
    help = "draw among the fewest tokens that together have this probability (default: 1.0, all)"
    add("--top_p", type=float, default=1.0, help=help)
    add("--seed", type=natural, default=1337, help="seed of the draws (default: 1337)")
    add("--num_samples", type=int, default=1, help="texts to write (default: 1)")


def run(options: argparse.Namespace) -> int:
    """Write the samples, each character as it is drawn."""
    model, tokenizer = checkpoint.build_model(*checkpoint.load(options.checkpoint))
    prompt, rng = clean(options.prompt), Generator(options.seed)
    start = tokenizer.prompt(prompt)
    if options.num_samples < 1:
        raise value_error("--num_samples", "1 or more", options.num_samples)
    for i in range(options.num_samples):
        likely = {"temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p}
        tokens = generate(model, start, options.max_new_tokens, **likely, rng=rng)
        print("-" * 15 + "\n" if i else "", end="")
        print(prompt, end="", flush=True)
        decoder = Decoder(tokenizer)
        for ids in tokens:
            print(decoder.push(ids), end="", flush=True)
        print(decoder.flush())
    return 0
