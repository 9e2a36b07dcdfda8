"""What a reader of "a GPT down to the last derivative" meets: the files that a training step enters, and what it needs of them.

`python -m tests.support.reader` prints them, their lines and the lines needed. A process of its own, because what
an earlier step left in a cache is not entered again.
"""

import ast
import sys
import threading
from pathlib import Path

import numpy as np

from gpt import GPT, GPTConfig
from nn import optim

ROOT = Path(__file__).parents[2]
PRODUCT = tuple(f"{ROOT / name}/" for name in ("minigrad", "nn", "gpt"))


def path():
    """Return {file: (its lines, the lines needed)} of one training step of a GPT with dropout.

    A line is needed if it stands in a function that the step enters, or at the head, with the docstring, of a
    class whose method it enters.
    """
    entered = _entered(_training_step())
    return {
        str(Path(file).relative_to(ROOT)): (
            len(Path(file).read_text().splitlines()),
            len(_needed(ast.parse(Path(file).read_text()), starts)),
        )
        for file, starts in sorted(entered.items())
    }


def _training_step():
    """A function that does one step: forward, backward, clipping, AdamW."""
    model = GPT(GPTConfig(n_layer=2, n_head=2, n_embd=32, block_size=16, vocab_size=65, dropout=0.1))
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    x = np.arange(64).reshape(4, 16) % 65

    def step():
        _, loss = model(x, x)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _entered(fn):
    """{file of the product: the first lines of the functions that a call of `fn` enters}."""
    entered = {}

    def watch(frame, event, arg):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PRODUCT):
            entered.setdefault(code.co_filename, set()).add(code.co_firstlineno)

    before = sys.getprofile()
    sys.setprofile(watch)
    threading.setprofile(watch)
    try:
        fn()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    return entered


def _needed(node, starts, owners=()):
    """The lines of the functions that begin at `starts`, and of the heads of their classes."""
    lines = set()
    for child in ast.iter_child_nodes(node):
        decorated = [d.lineno for d in getattr(child, "decorator_list", ())]
        if isinstance(child, ast.ClassDef):
            lines |= _needed(child, starts, (*owners, child))
            continue
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([child.lineno, *decorated])
            if {first, child.lineno} & starts:
                lines |= set(range(first, child.end_lineno + 1))
                for owner in owners:
                    docstring = owner.body[0]
                    head = docstring.end_lineno if isinstance(docstring, ast.Expr) else owner.lineno
                    lines |= set(range(owner.lineno, head + 1))
        lines |= _needed(child, starts, owners)
    return lines


def main():
    """Print the path."""
    found = path()
    print("\n".join(f"{lines:5} lines, {need:4} needed  {file}" for file, (lines, need) in found.items()))
    total, needed = (sum(each) for each in zip(*found.values()))
    print(f"{len(found)} files, {total} lines, {needed} needed, {needed / total:.1%}")


if __name__ == "__main__":
    main()
