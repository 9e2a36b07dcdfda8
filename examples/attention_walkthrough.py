"""Attention, from (B, T) ids to a classifier, and three mistakes that run without an error.

Look for: scores whose variance is the width of the head, until they are divided by its root; a notebook's
attention that reads the future, forgets its keys and values, and yet returns the right shape; what layer
norm and batch norm each call "the same unit".

Expected
        (4, 8) ids below 14 -> (4, 8, 32) numbers
        head of  16: variance of the scores  16, scaled 1.0; largest of 8 weights 0.75, scaled 0.36
        head of 256: variance of the scores 251, scaled 1.0; largest of 8 weights 0.94, scaled 0.36
        out[0, -1, :4]: 0.0439 0.1407 -0.2505 0.2659
        nn's own attention gives the same: True
        as published: -0.2147 -0.2736 -0.2107 0.0940
        one projection: has a gradient: {'query': True, 'key': False, 'value': False}
        one projection: mean weight of a token on itself 0.49, with three 0.22
        softmax first: largest weight up to 1.26 times the smallest; last token moves [1, 2, 3, 4, 5, 6]
        softmax last: largest weight up to 5.25 times the smallest; last token moves []
        no scale: variance of the scores 16 for unit q and k, 1.9 as initialised
        all three mended: 0.0439 0.1407 -0.2505 0.2659, as above
        dropout: 70 of 320 zeroed, the others times 1.25
        first row: 0.226 -0.087 -0.000 -1.144 0.782 0.032 ...
        in evaluation the input itself: True
        batch norm: largest |mean| and std of the columns 0.0 and 1.0..1.0, of the rows 1.1 and 0.2..1.7
        layer norm: largest |mean| and std of the columns 1.5 and 0.4..0.8, of the rows 0.0 and 1.0..1.0
        row 0 in 15 batches: 15 values by batch norm, 1 in evaluation, 1 by layer norm
        a batch of one: layer norm -0.40, as before -0.40
        the frame: loss 2.86 nats per token, log V = 2.64, after 40 steps 0.09
"""

# %% [markdown]
# # Attention, step by step
#
# ## (B, T) to (B, T, C)
#
# "How to produce the input? Block size? Vocabulary size?" asks the notebook that this chapter follows. The
# input is a batch of B stretches of text, each of T tokens (the block size), each token a number below V
# (the vocabulary size). A table of V rows gives each token C channels, a table of T rows tells the places
# apart.

# %%
import numpy as np
from pictures import BLUE, CYCLE, ORANGE, heat_map, save, subplots

import minigrad
import nn
from minigrad import Tensor
from nn import functional as F

text = "the cat sat on the mat. the dog sat on the log. "
letters = sorted(set(text))
ids = np.array([letters.index(c) for c in text * 2])
B, T, C, V = 4, 8, 32, len(letters)
inputs = np.stack([ids[12 * b : 12 * b + T] for b in range(B)])
targets = np.stack([ids[12 * b + 1 : 12 * b + T + 1] for b in range(B)])  # each the token that comes next
minigrad.manual_seed(1337)
embedded = nn.Embedding(V, C)(inputs) + nn.Embedding(T, C)(np.arange(T))
print(f"{inputs.shape} ids below {V} -> {tuple(embedded.shape)} numbers")

# %% [markdown]
# ## Why divide by sqrt(k)?
#
# A score is a sum of k products. With independent q and k of variance 1 each product has variance 1, so
# the score has variance k: the wider the head, the larger the scores. Softmax of large scores is nearly
# one-hot, and its slope, p (1 - p), nearly zero: the head attends to one token and cannot learn to attend
# to another. Divided by sqrt(k) the variance is 1 whatever the width.

# %%
widths = [1, 4, 16, 64, 256, 1024]
minigrad.manual_seed(1337)
variance, variance_scaled, largest, largest_scaled = [], [], [], []
for k in widths:
    q, keys = minigrad.randn(200, T, k), minigrad.randn(200, T, k)
    scores = q @ keys.mT  # (200, T, T)
    for factor, variances, tops in ((1, variance, largest), (k**-0.5, variance_scaled, largest_scaled)):
        variances.append((scores * factor).array.var())
        tops.append(F.softmax(scores * factor, -1).array.max(axis=-1).mean())
for i in (2, 4):
    print(
        f"head of {widths[i]:3}: variance of the scores {variance[i]:3.0f}, scaled {variance_scaled[i]:.1f}; "
        f"largest of {T} weights {largest[i]:.2f}, scaled {largest_scaled[i]:.2f}"
    )

# %% [markdown]
# ## Self-attention, as it should be
#
# Query, key and value all come from one x: what a token looks for, what it offers, and what it passes on.
#
#     weights = softmax(q k^T / sqrt(k) + mask),   out = weights v,   mask -inf where a token would see ahead
#
# The sizes and the seed are the notebook's, so PyTorch draws the same x and weights.

# %%
minigrad.manual_seed(1337)
head_size = 16
x = minigrad.randn(B, T, C)
query = nn.Linear(C, head_size, bias=False)
key = nn.Linear(C, head_size, bias=False)
value = nn.Linear(C, head_size, bias=False)
ahead = ~np.tri(T, dtype=bool)  # True where a token would see a later one


def attend(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the output (B, T, head_size) and the weights (B, T, T)."""
    q, k, v = query(x), key(x), value(x)
    scores = q @ k.mT / head_size**0.5
    weights = F.softmax(scores.masked_fill(ahead, -np.inf), -1)
    return weights @ v, weights


out, weights = attend(x)
fused = F.scaled_dot_product_attention(query(x), key(x), value(x), is_causal=True)
print(f"out[0, -1, :4]: {' '.join(f'{number:.4f}' for number in out.array[0, -1, :4])}")
print(f"nn's own attention gives the same: {np.allclose(out.array, fused.array, atol=1e-6)}")

# %% [markdown]
# ## Three mistakes
#
# The notebook's cell was never run to its end (`NameError: name 'torch' is not defined`). With the import
# it runs, and returns a tensor of the right shape. But
#
# 1. `k = query(x)`, `v = query(x)`: key and value are made by the query's projection,
# 2. softmax comes *before* the mask, and once more after it,
# 3. nothing divides by sqrt(k), although the text above it explains why one should.
#
# Here is the cell with a switch for each mistake.


# %%
def notebook(x: Tensor, one_projection: bool = True, softmax_first: bool = True, unscaled: bool = True):
    """Return output and weights, with the mistakes that are switched on."""
    q = query(x)
    k, v = (query(x), query(x)) if one_projection else (key(x), value(x))
    sim = q @ k.mT
    sim = sim if unscaled else sim / head_size**0.5
    sim = F.softmax(sim, -1) if softmax_first else sim
    wei = F.softmax(sim.masked_fill(ahead, -np.inf), -1)
    return wei @ v, wei


mistakes = ("one_projection", "softmax_first", "unscaled")
only = {name: {other: other == name for other in mistakes} for name in mistakes}
published, _ = notebook(x)
print(f"as published: {' '.join(f'{number:.4f}' for number in published.array[0, -1, :4])}")

# %% [markdown]
# **One projection.** The scores q q^T are symmetric, and each token's largest tends to be with itself, as
# the product of a vector with itself is its squared length. `key` and `value` never learn: no gradient.

# %%
wrong_out, wrong = notebook(x, **only["one_projection"])
(wrong_out * minigrad.randn(B, T, head_size)).sum().backward()
learns = {
    name: layer.weight.grad is not None for name, layer in (("query", query), ("key", key), ("value", value))
}
print(f"one projection: has a gradient: {learns}")
own, own_wrong = (w.array[:, range(T), range(T)][:, 1:].mean() for w in (weights, wrong))
print(f"one projection: mean weight of a token on itself {own_wrong:.2f}, with three {own:.2f}")

# %% [markdown]
# **Softmax first.** Numbers that went through a softmax lie between 0 and 1, so the second softmax can make
# no weight more than e = 2.72 times another: the head cannot choose. And the first one divided by a sum
# over *all* tokens, the later ones included. Change the last token, and earlier outputs move: a leak, through
# which a trained model would read the answer.

# %%
changed = x.clone()
changed[:, -1] += 3.0


def places_moved(attention) -> list[int]:
    """Return the places before the last whose output moves when the last token changes."""
    change = np.abs(attention(changed)[0].array - attention(x)[0].array).max(axis=(0, 2))
    return [place for place in range(T - 1) if change[place] > 1e-5]


def largest_ratio(weights: Tensor) -> float:
    """Return how many times the smallest weight of a row is its largest, at most."""
    rows = [weights.array[b, t, : t + 1] for b in range(B) for t in range(T)]
    return max(row.max() / row.min() for row in rows)


leaks = {}
for name, attention in (
    ("softmax first", lambda x: notebook(x, **only["softmax_first"])),
    ("softmax last", attend),
):
    leaks[name] = places_moved(attention)
    ratio = largest_ratio(attention(x)[1])
    print(f"{name}: largest weight up to {ratio:.2f} times the smallest; last token moves {leaks[name]}")

# %% [markdown]
# **No scale.** "When Q and K have unit variance" the scores have variance 16 here. (`nn.Linear` as PyTorch
# initialises it makes q and k of variance 1/3 from x of variance 1, so untrained scores have only 16 / 9.)

# %%
q1, k1 = minigrad.randn(1000, T, head_size), minigrad.randn(1000, T, head_size)
unit, fresh = (q1 @ k1.mT).array.var(), (query(x) @ key(x).mT).array.var()
print(f"no scale: variance of the scores {unit:.0f} for unit q and k, {fresh:.1f} as initialised")
mended, _ = notebook(x, one_projection=False, softmax_first=False, unscaled=False)
print(f"all three mended: {' '.join(f'{number:.4f}' for number in mended.array[0, -1, :4])}, as above")

# %%
figure, axes = subplots(2, 3, title="Scaled attention, and what each mistake does to it", size=(12.5, 7.5))
(variances, saturation, right), wrongs = axes
for values, values_scaled, ax in (
    (variance, variance_scaled, variances),
    (largest, largest_scaled, saturation),
):
    ax.plot(widths, values, color=ORANGE, marker="o", linestyle="--", label="q k^T")
    ax.plot(widths, values_scaled, color=BLUE, marker="s", label="q k^T / sqrt(k)")
    ax.set(xscale="log", xlabel="width k of the head", xticks=widths, xticklabels=widths)
    ax.minorticks_off()
variances.set(title="Variance of the scores", ylabel="variance", yscale="log")
saturation.set(title=f"Largest of {T} weights", ylabel="weight, mean over queries", ylim=(0, 1.05))
variances.legend()
shown = {"as it should be": weights}
for name, title in zip(mistakes, ("one projection", "softmax first", "no scale")):
    shown[title] = notebook(x, **only[name])[1]
for ax, (title, w) in zip((right, *wrongs), shown.items()):
    bar = heat_map(ax, w.array[0], title=title, cmap="cividis", vmin=0, vmax=1, aspect="equal")
    ax.set(xlabel="token attended to", ylabel="token that asks", xticks=range(T), yticks=range(T))
figure.colorbar(bar, ax=axes[:, 2], label="weight (batch 0)")
save(figure, "attention_walkthrough.png")

# %% [markdown]
# ## Dropout
#
# In training each element is zeroed with probability p, and the others grow by 1 / (1 - p), so that the mean
# stays. In evaluation nothing happens. The notebook's p = 0.2 on (20, 16); a -0.000 is a negative number
# times zero:

# %%
minigrad.manual_seed(1337)
dropout, sample = nn.Dropout(p=0.2), minigrad.randn(20, 16)
dropped = dropout(sample)
kept = dropout.last_mask
growth = (dropped.array / sample.array)[kept].mean()
print(f"dropout: {(~kept).sum()} of {kept.size} zeroed, the others times {growth:.2f}")
print(f"first row: {' '.join(f'{number:.3f}' for number in dropped.array[0, :6])} ...")
print(f"in evaluation the input itself: {dropout.eval()(sample) is sample}")

# %% [markdown]
# ## Layer norm and batch norm
#
# Both subtract a mean and divide by a standard deviation. Batch norm takes them down each *column*: one
# channel, over the examples of the batch. Layer norm takes them along each *row*: one example, over its
# channels. So batch norm needs a batch, remembers running statistics for evaluation, and gives an example
# another result in another company. A token of a language model should not depend on its company.

# %%
minigrad.manual_seed(1337)
rows, columns = 24, 12
table = minigrad.randn(rows, columns) * np.linspace(0.5, 3, rows, dtype=np.float32)[:, None]
table += 2 * minigrad.randn(columns)  # loud and quiet examples, channels off centre
batch_norm, layer_norm = nn.BatchNorm1d(columns), nn.LayerNorm(columns)
by_batch, by_layer = batch_norm(table), layer_norm(table)
for name, y in (("batch norm", by_batch.array), ("layer norm", by_layer.array)):
    along = [
        f"{np.abs(y.mean(axis)).max():.1f} and {y.std(axis).min():.1f}..{y.std(axis).max():.1f}"
        for axis in (0, 1)
    ]
    print(f"{name}: largest |mean| and std of the columns {along[0]}, of the rows {along[1]}")

# %%
companies = [minigrad.randperm(rows - 1)[:5] + 1 for _ in range(15)]  # others that share a batch with row 0
groups = [table[[0, *others.tolist()]] for others in companies]
training = [batch_norm(group).array[0, 0] for group in groups]
batch_norm.eval()
evaluation = [batch_norm(group).array[0, 0] for group in groups]
by_row = [layer_norm(group).array[0, 0] for group in groups]
different = [len(set(np.round(values, 4))) for values in (training, evaluation, by_row)]
print("row 0 in 15 batches: {} values by batch norm, {} in evaluation, {} by layer norm".format(*different))
alone = table[:1]
print(f"a batch of one: layer norm {layer_norm(alone).array[0, 0]:.2f}, as before {by_row[0]:.2f}")
try:
    batch_norm.train()(alone)
except ValueError as error:
    alone_error = str(error)
    print(f"a batch of one: {alone_error}")

# %%
figure, axes = subplots(
    1, 4, title="The same tensor, normalised down its columns and along its rows", size=(15, 4.4)
)
pictures = {"x": table, "batch norm: each column alike": by_batch, "layer norm: each row alike": by_layer}
for ax, (title, y) in zip(axes, pictures.items()):
    bar = heat_map(ax, y.array, title=title, cmap="RdBu_r", vmin=-4, vmax=4)
    ax.set(xlabel="channel", ylabel="example")
figure.colorbar(bar, ax=axes[:3], label="value (ends of the scale: beyond ±4)")
lines = {"batch norm, training": training, "batch norm, evaluation": evaluation, "layer norm": by_row}
for (label, values), colour, style in zip(lines.items(), CYCLE, ("o-", "s--", "^:")):
    axes[3].plot(range(1, 16), values, style, color=colour, label=label)
axes[3].set(title="One example in 15 batches of 6", xlabel="batch", ylabel="its first channel")
axes[3].legend(fontsize=8)
save(figure, "attention_walkthrough_norms.png")

# %% [markdown]
# ## The whole frame
#
# Word embedding + position embedding; blocks of layer norm, attention and MLP; a layer norm; a classifier.


# %%
class Frame(nn.Module):
    """Ids to logits."""

    def __init__(self, n_layer: int = 2, n_head: int = 2) -> None:
        self.words, self.places = nn.Embedding(V, C), nn.Embedding(T, C)
        self.blocks = nn.Sequential(*[nn.PreNormBlock(C, n_head) for _ in range(n_layer)])
        self.norm, self.classifier = nn.LayerNorm(C), nn.Linear(C, V)

    def forward(self, ids: np.ndarray) -> Tensor:
        """Map ids (B, T) to logits (B, T, V)."""
        x = self.words(ids) + self.places(np.arange(ids.shape[1]))
        return self.classifier(self.norm(self.blocks(x)))


minigrad.manual_seed(1337)
model = Frame().double()
optimizer = nn.optim.AdamW(model.parameters(), lr=1e-2)
history = []
for _ in range(40):
    loss = F.cross_entropy(model(inputs).reshape(-1, V), targets.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
first, last = history[0], history[-1]
print(f"the frame: loss {first:.2f} nats per token, log V = {np.log(V):.2f}, after 40 steps {last:.2f}")

# %% [markdown]
# ## Try next
#
# - Train the frame with `notebook` as its attention: how low does the loss get by reading ahead?
# - `head_size = 256`: which of the three mistakes hurts most now?
# - `nn.BatchNorm1d` on (B, C, T) in place of the layer norms: how would you sample token by token?
