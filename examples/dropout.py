"""Dropout: fresh masks, the inverted scale, and where it belongs in attention.

Look for: every forward pass and every layer draws its own mask, and the scale that keeps the mean belongs
to training alone. In attention, dropout after the softmax keeps the mean of the weights; on the scores it
does not, nor does it drop anything. And a causal head's first token is blind whenever its only weight
is dropped. Lines that end in "(wrong)" are common mistakes, shown to be told apart.

Expected
        pass 1: 1.43 1.43 1.43 1.43 1.43 1.43 0.00 0.00 1.43 1.43   2 of 10 dropped
        pass 2: 1.43 1.43 0.00 0.00 1.43 1.43 1.43 0.00 1.43 1.43   3 of 10 dropped
        pass 3: 1.43 1.43 1.43 1.43 1.43 1.43 0.00 1.43 1.43 1.43   1 of 10 dropped
        eval:   1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00 1.00
        mean in training 1.00, in evaluation 1.00; scaled again 0.70 (wrong)
        kept by 3 layers in 2 passes: 0.69, 0.78, 0.69, 0.70, 0.68, 0.74
        last layer: kept 0.74; y != 0 says 0.40 (wrong)
        rand > p agrees with the mask that was used in 58% of places, as chance would (wrong)
        weights                   mean 0.86 0.12 0.02 0.00   zeros 0%
        dropped after softmax     mean 0.86 0.12 0.02 0.00   zeros 30%
        dropped on scores (wrong) mean 0.73 0.21 0.03 0.02   zeros 0%
        rows of zeros, decoder=True : 0.30 0.09 0.03 0.01 0.00 0.00 0.00 0.00
        rows of zeros, decoder=False: 0.00 0.00 0.00 0.00 0.00 0.00 0.00 0.00
"""

# %% [markdown]
# # What dropout does
#
#     training    y = x * keep / (1 - p),   each element of keep 1 with probability 1 - p, else 0
#     evaluation  y = x
#
# The mean of keep is 1 - p, so the mean of y is x. This is the *inverted* form, which PyTorch and `nn` use.
# Below, p = 0.3: what is kept becomes 1 / 0.7 = 1.43 times as large. A mask is drawn at every pass,
# and "30 %" is its probability, not its count.

# %%
import numpy as np
from pictures import BLACK, BLUE, MASK, ORANGE, heat_map, save, subplots

import minigrad
import nn
from minigrad import Tensor
from nn import functional as F

minigrad.manual_seed(42)
dropout = nn.Dropout(p=0.3)
x = minigrad.ones(1, 10)
passes = [dropout(x).numpy()[0] for _ in range(3)]
for i, y in enumerate(passes):
    print(f"pass {i + 1}: " + " ".join(f"{value:.2f}" for value in y) + f"   {(y == 0).sum()} of 10 dropped")
dropout.eval()
evaluated = dropout(x).numpy()[0]
print("eval:   " + " ".join(f"{value:.2f}" for value in evaluated))

# %% [markdown]
# ## A mistake: scaling once more at evaluation
#
# One reads that at evaluation "the outputs are scaled by 1 - p". That is the original dropout of 2012,
# which leaves training unscaled. Inverted dropout has done its scaling; do it again and 0.7 of the mean is left.

# %%
ones = minigrad.ones(1000, 1000)
in_training = dropout.train()(ones).numpy().mean()
dropout.eval()
right_mean = dropout(ones).numpy().mean()
wrong_mean = (dropout(ones) * (1 - dropout.p)).numpy().mean()
means = f"in training {in_training:.2f}, in evaluation {right_mean:.2f}; scaled again {wrong_mean:.2f}"
print(f"mean {means} (wrong)")

# %% [markdown]
# ## Which mask was it?
#
# `last_mask` of a Dropout is the mask of its last pass, and a forward hook collects it from all layers of a
# network. Two other ways are in use, and both mislead:
#
# - `y != 0` counts as dropped what was zero before: half of everything, after a ReLU.
# - A subclass that draws `rand_like(x) > p` applies the mask it shows, but not the one `Dropout` would have
#   drawn from the same seed: it uses up other random numbers, and from there on the run is another one.

# %%
mlp = nn.Sequential(*(nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Dropout(0.3)) for _ in range(3)))
masks = []


def remember(module: nn.Module, inputs: tuple, output: Tensor) -> None:
    """Keep the mask of a Dropout; called after each of its passes."""
    masks.append(module.last_mask)


for module in mlp.modules():
    if isinstance(module, nn.Dropout):
        module.register_forward_hook(remember)

batch = minigrad.randn(12, 24)
for _ in range(2):
    y = mlp(batch)
print("kept by 3 layers in 2 passes: " + ", ".join(f"{mask.mean():.2f}" for mask in masks))
kept, not_zero = masks[-1].mean(), (y.array != 0).mean()
print(f"last layer: kept {kept:.2f}; y != 0 says {not_zero:.2f} (wrong)")

minigrad.manual_seed(0)
used = F.dropout(ones, 0.3).numpy() != 0
minigrad.manual_seed(0)
imitated = minigrad.rand_like(ones) > 0.3
agreement = (used == imitated).float().mean().item()
print(f"rand > p agrees with the mask that was used in {agreement:.0%} of places, as chance would (wrong)")

# %% [markdown]
# ## In attention: after the softmax
#
# Dropped after the softmax, a weight is 0 and its token is not seen; over many masks the mean is the weight
# itself. Dropped before it, a *score* is 0, and e^0 = 1 is a weight like any other: nothing is dropped,
# the least likely token gains, and the mean over many masks is something else. Behind a causal mask it is
# worse still, since -inf * 0 is NaN.

# %%
scores = minigrad.tensor(np.tile(np.float32([3.0, 1.0, -1.0, -3.0]), (200_000, 1)))
rows = {
    "weights": F.softmax(scores, -1).numpy(),
    "dropped after softmax": F.dropout(F.softmax(scores, -1), 0.3).numpy(),
    "dropped on scores (wrong)": F.softmax(F.dropout(scores, 0.3), -1).numpy(),
}
for kind, row in rows.items():
    columns = " ".join(f"{mean:.2f}" for mean in row.mean(axis=0))
    print(f"{kind:25} mean {columns}   zeros {(row == 0).mean():.0%}")

# %% [markdown]
# ## The first row of zeros
#
# `nn.SelfAttentionHead` is one head, step by step, with a dropout on its weights and one on its output:
#
#     weights = attn_drop(softmax(q k^T / sqrt(head_size))),   y = resid_drop(weights v)
#
# As a decoder's it sees token t and what came before: t + 1 weights, 1 for the first token. All of them are
# dropped with probability p^(t + 1), so the first token is blind in 30 % of the passes. This is no bug, and
# a reason to keep attention dropout small. Without the causal mask (decoder=False) every token has all
# 8 weights, and a row of zeros is a rarity: 0.3^8.

# %%
minigrad.manual_seed(1)
head = nn.SelfAttentionHead(n_embd=16, head_size=16, block_size=8, attn_dropout=0.3, dropout=0.1)
tokens = minigrad.randn(5000, 8, 16)
blind = {}
for decoder in (True, False):
    blind[decoder] = (head.calc_weights(tokens, decoder).array == 0).all(axis=-1).mean(axis=0)
    print(f"rows of zeros, decoder={decoder!s:5}: " + " ".join(f"{share:.2f}" for share in blind[decoder]))

# %% [markdown]
# ## Heat maps
#
# Every layer of the MLP has its own mask, the second pass has another, and so has every head of
# `nn.MultiheadAttention`: the weights that it returns in training are those after dropout.

# %%
minigrad.manual_seed(2)
attention = nn.MultiheadAttention(16, num_heads=4, dropout=0.3, batch_first=True)
sentence = minigrad.randn(1, 12, 16)
_, dropped = attention(sentence, sentence, sentence, average_attn_weights=False, is_causal=True)
future = np.triu(np.ones((12, 12), bool), 1)
heads = np.where(future, 0.5, dropped.array[0] != 0)  # (heads, queries, keys)

figure, axes = subplots(
    2, 4, title="Dropped (orange) or kept (blue), p = 0.3; grey lies in the future", size=(10, 6)
)
names = ["MLP layer 1", "MLP layer 2", "MLP layer 3", "MLP layer 1, next pass"]
for axis, mask, name in zip(axes[0], masks, names):
    heat_map(axis, mask, title=name, cmap=MASK, vmin=0, vmax=1)
    axis.set(xlabel="unit", ylabel="example in the batch")
for i, (axis, mask) in enumerate(zip(axes[1], heads)):
    heat_map(axis, mask, title=f"attention head {i + 1}", cmap=MASK, vmin=0, vmax=1)
    axis.set(
        xlabel="token looked at", ylabel="token that looks", xticks=range(0, 12, 4), yticks=range(0, 12, 4)
    )
save(figure, "dropout.png")

# %%
figure, (left, right) = subplots(1, 2, title="Dropout in attention, p = 0.3", size=(9.5, 4))
for shift, (kind, row), colour in zip((-0.27, 0, 0.27), rows.items(), (BLACK, BLUE, ORANGE)):
    left.bar(np.arange(4) + shift, row.mean(axis=0), 0.25, color=colour, label=kind)
left.set(
    title="Scores 3, 1, -1, -3: the mean weight", xlabel="token looked at", ylabel="mean over 200 000 masks"
)
left.set(xticks=range(4))
right.plot(range(8), 0.3 ** np.arange(1, 9), color=BLACK, label="p^(t + 1)")
right.plot(range(8), blind[True], "o", color=ORANGE, label="causal mask")
right.plot(range(8), blind[False], "s", color=BLUE, label="no mask")
right.set(title="Tokens that see nothing", xlabel="token t", ylabel="share of passes")
left.legend()
right.legend()
save(figure, "dropout_attention.png")

# %% [markdown]
# ## Try next
#
# - `resid_drop` alone (attn_dropout=0): no row of zeros, and still noise enough?
# - Plot the mean of `F.dropout(weights, p).max(axis=-1)` against p: what does attention dropout do to it?
# - One seed, two masks: `minigrad.Generator(123, stream="torch-mkl").keep_mask(0.5, (6, 6))` and the same
#   without `stream` are what PyTorch drew from seed 123 on different processors; see `minigrad/random/`.
