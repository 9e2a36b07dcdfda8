"""python -m gpt export: write a model as the folder that Hugging Face's transformers read."""

import argparse
import json
import os
import shlex
from pathlib import Path

from gpt.commands.flags import PROGRAM, add_source, open_source, path
from gpt.folder import CHECKPOINT
from gpt.pretrained import save_pretrained
from gpt.progress import doing
from gpt.tokens import BPE, Tokenizer
from minigrad.errors import value_error
from nn import lora


def add(command: argparse.ArgumentParser) -> None:
    """Add the flags."""
    command.set_defaults(run=run)
    add_source(command)
    command.add_argument("--to", type=path, required=True, metavar="FOLDER", help="folder to write")


def run(options: argparse.Namespace) -> int:
    """Write the folder: settings, weights, and the tokeniser in Hugging Face's form, if it has one, else in ours."""
    if os.path.lexists(Path(options.to) / CHECKPOINT):
        hint = "--init_from would no longer find it beside the model's config.json"
        raise value_error("--to", "another folder than that of a run of training", options.to, hint)
    model, tokenizer, _ = open_source(options)
    lora.merge(model)
    doing(f"writing {options.to}")
    save_pretrained(model, options.to, _files(tokenizer))
    if not isinstance(tokenizer, BPE):
        print(f"note: transformers have no tokeniser of {tokenizer.unit}s; it is in our own form")
    print(f"{model.num_parameters(False):,} parameters and the tokeniser: {options.to}")
    print(f"to sample   {PROGRAM} sample --init_from {shlex.quote(options.to)}")
    return 0


def _files(tokenizer: Tokenizer) -> dict[str, str]:
    """Return {name: text} of the files of a tokeniser."""
    if not isinstance(tokenizer, BPE):
        return {"tokenizer.json": tokenizer.to_json()}
    names = {"tokenizer_class": "PreTrainedTokenizerFast", **tokenizer.names}  # as in tokenizer.json
    if tokenizer.chat_template:
        names["chat_template"] = tokenizer.chat_template
    ids = {f"{key}_id": tokenizer.special.get(name) for key, name in tokenizer.names.items()}
    ends = ids | {"eos_token_id": [*tokenizer.ends] or None}
    files = {"tokenizer": tokenizer.definition, "tokenizer_config": names, "generation_config": ends}
    return {f"{name}.json": json.dumps(content) for name, content in files.items()}
