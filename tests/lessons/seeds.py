"""The Python in the documents that the project began with, cut out and joined into one script for each document.

A document's pieces follow one another as a reader would run them. Some are fragments: they take for granted what another
document defines (`CONTEXT`), or are taken out of a method and stop at the first name that nobody gave them. Some define a
class and leave it at that: `USE` then uses it. What each piece leaves in tensors and modules is printed.
"""

import ast
import re
import textwrap
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "seeds"
FENCED = re.compile(r"^```(?:python)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
CELL = re.compile(r"^In \[[^\]]*\]:\n(.*?)(?=^In \[|\Z)", re.DOTALL | re.MULTILINE)

START = """
import math
from types import SimpleNamespace
import torch
import torch.nn as nn
import torch.nn.functional as F
"""
CONTEXT = {
    "000": """
def LayerNorm(n, bias): return nn.LayerNorm(n, bias=bias)
def MLP(config): return nn.Sequential(nn.Linear(config.n_embd, 8), nn.GELU(), nn.Linear(8, config.n_embd))
def CausalSelfAttention(config): return nn.Linear(config.n_embd, config.n_embd)
config = SimpleNamespace(n_embd=4, bias=False)
""",
    "002": """
ModelConfig = DataConfig = SimpleNamespace
config, data_config = ModelConfig(n_embd=6, attn_dropout=0.2, resid_dropout=0.1), DataConfig(block_size=5)
self, d_k, attn_mask = SimpleNamespace(), 3, torch.tril(torch.ones(4, 4))
Q, K, V = torch.randn(3, 2, 4, 3)
self.attn_drop = nn.Dropout(0.5)
""",
}
USE = {
    "000": """
if isinstance(Block, type):
    block, x = Block(config), torch.randn(2, 3, 4, requires_grad=True)
    out = block(x)
    out.sum().backward()
    print(out, x.grad, block)
""",
    "002": """
head = SelfAttentionHead(config, data_config, 3)
out = head(torch.randn(2, 4, 6))
print(out, head.eval()(torch.randn(2, 4, 6)), head)
print(DebugDropout(0.4)(torch.ones(2, 6)), DebugDropout(0.4).eval()(torch.ones(3)))
""",
    "003": """
print(output.shape, output, model)
output.square().mean().backward()
print({name: p.grad.abs().mean().item() for name, p in model.named_parameters()})
""",
}
PIECE = """
torch.manual_seed({seed})
try:
    exec({source!r}, globals())
except Exception as error:
    print("stops:", type(error).__name__, error)
for _name, _value in sorted(globals().items()):
    if isinstance(_value, (torch.Tensor, nn.Module)):
        print(_name, _value)
"""


def documents():
    """Return {name: path} of the documents, none where the folder does not stand."""
    return {path.name[:3]: path for path in sorted(FOLDER.glob("*.txt"))}


def pieces(text):
    """Return the pieces of Python in a document: fenced blocks that can be read, or a notebook's cells."""
    fenced = [textwrap.dedent(block) for block in FENCED.findall(text)]
    cells = [_longest(cell) for cell in CELL.findall(text)]
    return [piece for piece in (*filter(_is_python, fenced), *cells) if ast.parse(piece).body]


def script(name):
    """Return one document as a script."""
    found = pieces(documents()[name].read_text(encoding="utf-8"))
    runs = [PIECE.format(seed=i, source=piece) for i, piece in enumerate(found)]
    return "".join([START, CONTEXT.get(name, ""), *runs, USE.get(name, "")])


def _is_python(text):
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _longest(cell):
    """Return a cell without what a notebook prints below it: the most of its lines that can be read."""
    lines = cell.splitlines(keepends=True)
    return next(text for n in range(len(lines), -1, -1) if _is_python(text := "".join(lines[:n])))
