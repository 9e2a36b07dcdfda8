"""Residual connections: where a skip starts decides what gradient the first block receives.

Look for: without skips nothing reaches the input of a deep stack. Skips of normalised inputs keep the
gradient's length, yet after 48 or 200 blocks it no longer resembles what was sent; nanoGPT's pre-norm
block, which adds to x itself, loses least. Dropout belongs on what the layers add, not on the skips.

Expected
        |dx| / |dy|                   1        3       12       48      200 blocks
          plain                    0.15     0.27    0.063  0.00025  4.6e-13
          skip-1                      1     0.99     0.86     0.48     0.25
          skip-2                      2        2        2      1.9     0.88
          skip-1, dropped           1.1      1.1      1.2      0.9    0.043
          skip-2, dropped           2.1        2      2.4      2.2        1
          pre-norm                    1      1.1      1.3      2.1      3.7
        cosine of dx and dy           1        3       12       48      200 blocks
          skip-1                   0.93     0.87     0.61     0.10    -0.04
          skip-2                   0.95     0.93     0.85     0.63     0.08
          skip-1, dropped          0.86     0.64     0.19     0.00    -0.03
          pre-norm                 0.97     0.91     0.74     0.52     0.29
          pre-norm, dropped        0.96     0.90     0.71     0.41     0.24
        skip-1: x of size 0.02, 1 and 10 gives |dx| / |dy| 52, 1, 0.1
        pre-norm: x of size 0.02, 1 and 10 gives |dx| / |dy| 12, 1, 1
        skip-1: the largest mean of dx over the channels of a token is 0.00
        pre-norm: the largest mean of dx over the channels of a token is 0.29
"""

# %% [markdown]
# # Residual connections
#
# A transformer block has two layers, attention and an MLP. The question is what else reaches the output:
#
#     plain       x = ln_1(x);  y = ln_2(attn(x));         z = mlp(y)
#     skip-1      x = ln_1(x);  y = ln_2(x + attn(x));     z = y + mlp(y)
#     skip-2      x = ln_1(x);  y = ln_2(x + attn(x));     z = x + y + mlp(y)
#     pre-norm    y = x + attn(ln_1(x));                   z = y + mlp(ln_2(y))
#
# The first three normalise and then add the normalised x: the skip starts *after* the layer norm. The last
# is nanoGPT's: the skip starts *before* it, and x itself is never normalised on its way through the stack.
#
# "Dropped" puts dropout on the skips of the first kind, 0.1 past one layer and 0.2 past two. nanoGPT drops
# what the layers add instead, never the skip. All of them are blocks of `nn`:

# %%
import numpy as np
from pictures import BLACK, BLUE, GREEN, ORANGE, save, subplots

import minigrad
import nn
from gpt.progress import doing

WIDTH, HEADS = 32, 4
BLOCKS = {
    "plain": lambda: nn.PlainBlock(WIDTH, HEADS),
    "skip-1": lambda: nn.SkipOneBlock(WIDTH, HEADS),
    "skip-2": lambda: nn.SkipTwoBlock(WIDTH, HEADS),
    "skip-1, dropped": lambda: nn.SkipOneBlock(WIDTH, HEADS, dropout1=0.1),
    "skip-2, dropped": lambda: nn.SkipTwoBlock(WIDTH, HEADS, dropout1=0.1, dropout2=0.2),
    "pre-norm": lambda: nn.PreNormBlock(WIDTH, HEADS),
    "pre-norm, dropped": lambda: nn.PreNormBlock(WIDTH, HEADS, dropout=0.1),
}

# %% [markdown]
# ## The experiment
#
# Stack N blocks as PyTorch initialises them, feed 16 random tokens, and send a random gradient dy back.
# Two numbers say what arrives at the input: its length |dx| / |dy|, and the cosine of dx and dy, which is
# near 1 if dx came along the skips as it was sent, and near 0 if the random weights of the layers have
# scrambled it (Balduzzi et al. 2017, "The shattered gradients problem", arXiv:1702.08591).

# %%
DEPTHS = [1, 3, 12, 48, 200]


def send_back(kind: str, depth: int, seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return dx and dy of a stack of `depth` blocks, for an input of standard deviation `scale`."""
    minigrad.manual_seed(seed)
    x = minigrad.tensor(scale * minigrad.randn(1, 16, WIDTH, dtype=np.float64), requires_grad=True)
    dy = minigrad.randn(1, 16, WIDTH, dtype=np.float64)
    y = x
    for _ in range(depth):
        y = BLOCKS[kind]().double()(y)
    y.backward(dy)
    return x.grad.numpy(), dy.numpy()


def length_and_cosine(dx: np.ndarray, dy: np.ndarray) -> tuple[float, float]:
    """Return |dx| / |dy| and the cosine of the angle between them."""
    length, sent = np.linalg.norm(dx), np.linalg.norm(dy)
    return length / sent, (dx * dy).sum() / (length * sent)


def median(kind: str, depth: int) -> np.ndarray:
    """Return the median length and cosine over three seeds."""
    return np.median([length_and_cosine(*send_back(kind, depth, seed)) for seed in range(3)], axis=0)


doing(f"sending gradients through up to {DEPTHS[-1]} blocks")
medians = {kind: np.transpose([median(kind, depth) for depth in DEPTHS]) for kind in BLOCKS}
for column, title, form in ((0, "|dx| / |dy|", "9.2g"), (1, "cosine of dx and dy", "9.2f")):
    print(f"{title:22}" + "".join(f"{depth:9}" for depth in DEPTHS) + " blocks")
    for kind, rows in medians.items():
        print(f"  {kind:20}" + "".join(format(value, form) for value in rows[column]))

# %% [markdown]
# ## Why
#
# - *Plain*: every layer shrinks the gradient and scrambles it; after 48 blocks next to nothing arrives.
# - *Skip-1*: the length hardly suffers, so a plot of norms alone would call it well. But the gradient has
#   gone through two layer norms per block, and after 48 blocks nothing of it is left as it was sent.
# - *Skip-2* has two paths past the last block, hence the 2, and a larger share of x in each sum, hence the
#   slower loss. It does not double in each block, since the next layer norm divides by what was added.
# - *Dropout on the skips* drops the signal itself: the path of one channel past both layers of 12 blocks
#   is whole with probability 0.9^24 = 8 %. Dropping what the layers add costs little.
# - *Pre-norm*: dx = dy + (what the layers say), for any number of blocks.
#
# Two properties of the skip that starts after the norm are exact, in one block as in 200. First, a layer
# norm does not see the size of x, so x ten times as large gets a tenth of the gradient; an embedding
# of GPT-2's size, 0.02, gets fifty times as much. Second, it sees neither the mean of x over the channels nor
# (up to its eps) a stretch along x: dx has no part in these two directions, so no loss can ever correct them.

# %%
sizes = {}
for kind in ("skip-1", "pre-norm"):
    sizes[kind] = [length_and_cosine(*send_back(kind, 1, 0, scale))[0] for scale in (0.02, 1.0, 10.0)]
    print(f"{kind}: x of size 0.02, 1 and 10 gives |dx| / |dy| " + ", ".join(f"{s:.2g}" for s in sizes[kind]))

means_of_dx = {kind: np.abs(send_back(kind, 12, 0)[0].mean(axis=-1)).max() for kind in sizes}
for kind, mean in means_of_dx.items():
    print(f"{kind}: the largest mean of dx over the channels of a token is {mean:.2f}")

# %%
figure, (left, right) = subplots(1, 2, title="The gradient that reaches the input", size=(9.5, 4.8))
looks = {"plain": (BLACK, "o"), "skip-1": (ORANGE, "s"), "skip-2": (GREEN, "^"), "pre-norm": (BLUE, "D")}
for kind, rows in medians.items():
    colour, marker = looks[kind.removesuffix(", dropped")]
    line = "--" if kind.endswith("dropped") else "-"
    for axes, values in zip((left, right), rows):
        axes.plot(DEPTHS, values, line, color=colour, marker=marker, markersize=5, label=kind)
left.set(title="How long it is", ylabel="|dx| / |dy|", yscale="log", ylim=(1e-5, 20))
right.set(title="How much of it came as it was sent", ylabel="cosine of dx and dy")
for axes in (left, right):
    axes.set(xscale="log", xticks=DEPTHS, xticklabels=DEPTHS, xlabel="blocks in the stack")
    axes.minorticks_off()
figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
save(figure, "residual_connections.png")

# %% [markdown]
# ## Try next
#
# - Give the blocks GPT-2's initialisation (std 0.02, and 0.02 / sqrt(2 N) for `c_proj.weight`): pre-norm then
#   passes dy on to a cosine of 1.00 at any depth.
# - `nn.TransformerEncoderLayer` normalises last, layer_norm(x + sublayer(x)): which curve does it follow?
# - Is it a matter of width? Set WIDTH to 128 and look at the cosine after 48 blocks.
