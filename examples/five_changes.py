"""Five changes since GPT-2: what makes a Llama, each beside what it replaces, and both learning the same text.

Look for: RMSNorm leaves the mean where LayerNorm takes it out; the score of a learned position depends on where the
pair of tokens stands, a rotary one on how far apart they are; three heads of queries that read one head of keys
keep a third of the cache; SwiGLU's hidden channel is a product with a switch; no layer has a bias. With as many
parameters, the Llama learns the same text faster.

Expected
        LayerNorm: mean 0.00, root mean square 1.00
        RMSNorm: mean 0.89, root mean square 1.00
        rotary: the score is the same to 1e-12 wherever the pair stands? True
        kept for each token of SmolLM2-135M: 11,520 numbers, 34,560 without sharing
        down(silu(gate(x)) * up(x)) is nn.SwiGLU: True
        biases of a GPT block: 528 parameters; of a Llama block: 0
        GPT: 60,768 parameters, loss 2.14 at the end
        Llama: 60,816 parameters, loss 1.55 at the end
"""

# %% [markdown]
# # Five changes since GPT-2
#
# GPT-2 (2019) is `gpt/model.py` and `nn/block.py`. Llama (2023), and most of what came after, is `gpt/llama.py` and
# `nn/llama_block.py`: the same residual stream, the same causal attention, and five changes.

# %%
import unicodedata

import numpy as np
from pictures import BLUE, GREEN, ORANGE, SKY, heat_map, save, subplots

import minigrad
import nn
from gpt import GPT, GPTConfig, Llama, LlamaConfig
from gpt.data import Corpus
from gpt.progress import doing
from minigrad import Generator
from nn import functional as F

rng = np.random.default_rng(5)

# %% [markdown]
# ## 1. RMSNorm in place of LayerNorm
#
#     LayerNorm: (x - mean(x)) / sqrt(var(x) + eps) * weight + bias
#     RMSNorm:    x / sqrt(mean(x^2) + eps) * weight
#
# What matters is that rows have one size. The mean stays, and costs nothing.

# %%
x = minigrad.tensor(rng.standard_normal((1, 16)) + 2.0)
normed = {"LayerNorm": F.layer_norm(x, (16,)).array[0], "RMSNorm": F.rms_norm(x, (16,)).array[0]}
for name, row in normed.items():
    print(f"{name}: mean {row.mean() + 0.0:.2f}, root mean square {(row**2).mean() ** 0.5:.2f}")

# %% [markdown]
# ## 2. Positions that turn
#
#     learned: x = wte[token] + wpe[position], before the first block
#     rotary:  q, k = turned by position * theta^(-2i/D), in every attention
#
# The score of a query at t with a key at t - d: of a learned position (here a random table, as at first) it depends
# on t and d, of a rotary one on d alone. Fast pairs of channels see neighbours, slow ones the whole context.

# %%
D, distances, starts = 64, np.arange(128), (128, 200, 300)
query, key = rng.standard_normal((2, D))
key = query + 0.3 * key  # a pair that has something to say to each other
table = rng.standard_normal((512, D)) * 0.5
learned = {t: [(query + table[t]) @ (key + table[t - d]) / D for d in distances] for t in starts}


def turned(row: np.ndarray, position: int) -> np.ndarray:
    """Return one row as `F.rotary` turns it at its position."""
    return F.rotary(minigrad.tensor(row[None]), start=int(position)).array[0]


rotary = {t: [turned(query, t) @ turned(key, t - d) / D for d in distances] for t in starts}
equal = all(np.allclose(rotary[t], rotary[starts[0]], rtol=0, atol=1e-12) for t in starts)
print(f"rotary: the score is the same to 1e-12 wherever the pair stands? {equal}")

# %% [markdown]
# ## 3. Heads that share their keys and values
#
# While it writes, a model keeps the keys and values of every token. With a third of the heads for them, the cache is
# a third, too: `scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)`, and no head is copied.

# %%
smol = LlamaConfig()
head = smol.n_embd // smol.n_head
kept = {g: 2 * smol.n_layer * g * head for g in (smol.n_head, smol.n_kv_head, 1)}
print(f"kept for each token of SmolLM2-135M: {kept[3]:,} numbers, {kept[9]:,} without sharing")
served = np.arange(smol.n_head) // (
    smol.n_head // smol.n_kv_head
)  # which head of keys each head of queries reads

# %% [markdown]
# ## 4. SwiGLU in place of the MLP
#
#     MLP:    c_proj(gelu(c_fc(x)))
#     SwiGLU: down(silu(gate(x)) * up(x)),   silu(g) = g / (1 + e^-g)
#
# A hidden channel is a product: `up` is what is said, `gate` how much of it passes.

# %%
layer = nn.SwiGLU(8, 20, rng=Generator(0))
given = minigrad.tensor(rng.standard_normal((3, 8)).astype(np.float32))
by_hand = layer.down_proj(F.silu(layer.gate_proj(given)) * layer.up_proj(given))
print(f"down(silu(gate(x)) * up(x)) is nn.SwiGLU: {np.array_equal(by_hand.array, layer(given).array)}")
axis, ups = np.linspace(-4, 4, 81), (2, 1, 0, -1, -2)
gates = minigrad.tensor(axis)
products = {up: F.silu(gates).array * up for up in ups}
gelu = F.gelu(gates, approximate="tanh").array

# %% [markdown]
# ## 5. No biases
#
# The linear layers have none, the norms have none. Little is saved; nothing is lost.

# %%
C, G, H, HIDDEN = 48, 2, 4, 156  # so wide that a Llama has as many parameters as a GPT
blocks = {"GPT": nn.Block(C, H), "Llama": nn.LlamaBlock(C, H, G, HIDDEN)}
biases = {
    name: sum(p.numel() for n, p in block.named_parameters() if n.endswith("bias"))
    for name, block in blocks.items()
}
print(f"biases of a GPT block: {biases['GPT']:,} parameters; of a Llama block: {biases['Llama']}")

# %% [markdown]
# ## All five
#
# A GPT and a Llama with as many parameters, the same text in the same order, the same optimiser; the text comes
# with Python, as in `bigram_to_gpt`. The curves are means of twenty steps.

# %%
names = [unicodedata.ucd_3_2_0.name(chr(point), "") for point in range(0x20, 0x3400)]
names = [name for name in names if name]
text = "\n".join(names[i] for i in Generator(1337).randperm(len(names))).lower()
corpus = Corpus.from_text(text, "the names of Unicode 3.2")
train = corpus.splits["train"]
T, B, STEPS = 48, 8, 240
sizes = {"block_size": T, "vocab_size": len(corpus.tokenizer), "n_layer": 2, "n_head": H, "n_embd": C}
models = {
    "GPT": GPT(GPTConfig(**sizes, init_std=0.05), rng=Generator(3)),
    "Llama": Llama(
        LlamaConfig(**sizes, n_kv_head=G, n_hidden=HIDDEN, rope_theta=10000.0, init_std=0.05),
        rng=Generator(3),
    ),
}
losses: dict[str, list[float]] = {}
for name, model in models.items():
    doing(f"training {name}")
    draws, optimizer = np.random.default_rng(0), nn.optim.AdamW(model.parameters(), lr=3e-3)
    losses[name] = []
    for _ in range(STEPS):
        places = draws.integers(0, len(train) - T, (B, 1)) + np.arange(T)
        loss = model.loss(train[places], train[places + 1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[name].append(loss.item())
    end = np.mean(losses[name][-20:])
    print(f"{name}: {model.num_parameters(False):,} parameters, loss {end:.2f} at the end")

# %%
figure, axes = subplots(2, 3, title="Five changes since GPT-2", size=(13, 7.4))
ax = axes[0, 0]
ax.set(title="1. RMSNorm leaves the mean", xlabel="channel", ylabel="value")
ax.plot(x.array[0], "o", color="0.6", label="x")
for (name, row), color in zip(normed.items(), (BLUE, ORANGE)):
    ax.plot(row, "o-", color=color, label=name, linewidth=1)
    ax.axhline(row.mean(), color=color, linestyle=":")
ax.set(xticks=range(0, 16, 3), ylim=(-2, 5))
ax.legend(fontsize=8, loc="upper center", ncols=3)
ax = axes[0, 1]
ax.set(
    title="2. Rotary scores know distances alone",
    xlabel="distance between query and key",
    ylabel="score",
    ylim=(0.2, 1.4),
)
for t, color in zip(starts, ("0.7", "0.5", "0.3")):
    ax.plot(distances, learned[t], color=color, linewidth=0.8, label=f"learned, query at {t}")
for t, style in zip(starts, ("-", "--", ":")):
    ax.plot(distances, rotary[t], style, color=ORANGE, linewidth=2, label=f"rotary, query at {t}")
ax.legend(fontsize=7, ncols=2)
ax = axes[0, 2]
heat_map(
    ax,
    served == np.arange(smol.n_kv_head)[:, None],
    title="3. Nine heads of queries, three of keys",
    cmap="Blues",
)
ax.set(xlabel="head of queries", ylabel="head of keys and values")
ax.set_xticks(range(smol.n_head))
ax.set_yticks(range(smol.n_kv_head))
ax = axes[1, 0]
ax.set(title="4. SwiGLU: one curve, times up", xlabel="gate (GELU: its input)", ylabel="hidden channel")
for up, color in zip(ups, (BLUE, SKY, "0.7", "#EDC46B", ORANGE)):
    ax.plot(axis, products[up], color=color, label=f"silu(gate) * {up}")
ax.plot(axis, gelu, "--", color="black", label="GELU")
ax.legend(fontsize=8, loc="upper left")
ax = axes[1, 1]
ax.set(title="5. Biases in a block", ylabel="parameters")
ax.bar(list(biases), list(biases.values()), color=[BLUE, ORANGE])
for i, count in enumerate(biases.values()):
    ax.text(i, count, f"{count:,}", ha="center", va="bottom")
ax = axes[1, 2]
ax.set(title="All five, learning the same text", xlabel="step", ylabel="loss, nats per letter")
for (name, curve), color in zip(losses.items(), (BLUE, ORANGE)):
    ax.plot(
        np.arange(20, STEPS + 1, 20) - 10, np.reshape(curve, (-1, 20)).mean(1), "o-", color=color, label=name
    )
ax.axhline(np.log(sizes["vocab_size"]), color=GREEN, linestyle=":", label="knowing the alphabet alone")
ax.legend(fontsize=8, loc="upper right", bbox_to_anchor=(1, 0.92))
save(figure, "five_changes.png")

# %% [markdown]
# ## Try next
#
# - One change at a time: `nn.Block` with `nn.RMSNorm` for its norms. Which of the five does the learning?
# - `rope_theta=10.0`: positions turn so fast that distances beyond a few tokens look alike.
# - `n_kv_head=4` and `1`: what does sharing cost on this text?
