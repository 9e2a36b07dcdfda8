"""From counting pairs of letters to a GPT: one idea at a time, each with its loss.

Look for: a net that learns what counting gives, and no more; three ways to write the mean of the past, which
agree; and how the loss falls with what a token may do: ask the past one question, ask it four, think
about the answers, do so three times.

Expected
        count pairs: loss 2.42 nats per letter
        learn pairs: loss 2.43, 1,444 parameters
        loop, matrix and softmax give the same mean of the past: True
        mean of the past: loss 2.77, 2,982 parameters
        one head: loss 2.40, 6,054 parameters
        four heads: loss 2.17, 7,206 parameters
        one block: loss 1.88, 15,686 parameters
        three blocks: a GPT: loss 1.81, 41,158 parameters
"""

# %% [markdown]
# # From bigrams to a GPT
#
# A language model gives a probability to each letter that may come next. Its loss is the mean of -log of
# the probability that it gave to the letter that did come, in nats per letter: 0 for a prophet, log 38 =
# 3.64 for one who knows only that there are 38 letters.
#
# The text must be the same for every reader, so it comes with Python: the names of the characters of
# Unicode 3.2, which do not change. One name a line, in random order, nine tenths to learn from.

# %%
import unicodedata

import numpy as np
from pictures import BLACK, CYCLE, heat_map, save, subplots

import minigrad
import nn
from gpt.data import Corpus
from gpt.progress import doing
from minigrad import Generator, Tensor, no_grad
from nn import functional as F

names = [unicodedata.ucd_3_2_0.name(chr(point), "") for point in range(0x20, 0x3400)]
names = [name for name in names if name]
shuffled = [names[i] for i in Generator(1337).randperm(len(names))]
corpus = Corpus.from_text("\n".join(shuffled).lower(), "the names of Unicode 3.2")
vocabulary, V = corpus.tokenizer, len(corpus.tokenizer)
print(f"{corpus.text.length:,} letters, {V} different; for example {', '.join(shuffled[:2]).lower()}")

# %% [markdown]
# ## Counting
#
# How often does j follow i? Divide each row of the table by its sum, and the first model is ready. (One
# is added to every count, so that no pair is impossible.)

# %%
train, val = corpus.splits["train"], corpus.splits["val"]
counts = np.ones((V, V))
np.add.at(counts, (train[:-1], train[1:]), 1)
table = counts / counts.sum(axis=1, keepdims=True)
losses = {"know only the alphabet": float(np.log(V))}
losses["count pairs"] = float(-np.log(table[val[:-1], val[1:]]).mean())
print(f"count pairs: loss {losses['count pairs']:.2f} nats per letter")


def write(next_chances, length: int = 60) -> str:
    """Return letters drawn one after another; next_chances(ids) are the probabilities of the next."""
    rng, ids = Generator(0), [0]
    for _ in range(length):
        ids.append(int(rng.multinomial(next_chances(ids), 1)[0]))
    return vocabulary.decode(ids[1:]).replace("\n", " / ")


print("  it writes: " + write(lambda ids: table[ids[-1]]))

# %% [markdown]
# ## A net that counts
#
# The same table as parameters: row i holds the logits of what follows i. Nothing is counted; the gradient
# of the cross-entropy, probabilities minus truth, moves each row until it predicts what was seen. The
# minimum of the loss *is* the table of counts, so learning can at best arrive where counting stands.
#
# Every model from here on is a module that maps ids (B, T) to logits (B, T, V), trained by `learn`.

# %%
T, C, STEPS = 16, 32, 300  # context in letters, channels, steps of training


class BigramNet(nn.Module):
    """Logits of the next letter from the letter itself."""

    def __init__(self) -> None:
        self.table = nn.Embedding(V, V)

    def forward(self, ids: np.ndarray) -> Tensor:
        """Map ids (B, T) to logits (B, T, V)."""
        return self.table(ids)


def loss_of(model: nn.Module, inputs: np.ndarray, targets: np.ndarray) -> Tensor:
    """Return the mean loss over all tokens."""
    return F.cross_entropy(model(inputs).reshape(-1, V), targets.reshape(-1))


def evaluate(model: nn.Module) -> float:
    """Return the loss over the validation text, in windows of T letters."""
    with no_grad():
        parts = [(loss_of(model, x, y).item(), y.size) for x, y in corpus.windows("val", T)]
    return sum(loss * n for loss, n in parts) / sum(n for _, n in parts)


def learn(name: str, model: nn.Module, lr: float = 1e-2, steps: int = STEPS) -> nn.Module:
    """Train with AdamW on batches of 32 stretches, note the losses and return the model."""
    doing(f"training {name}")
    model, rng = model.double(), Generator(1337)
    optimizer = nn.optim.AdamW(model.parameters(), lr=lr)
    curve = []
    for step in range(steps):
        loss = loss_of(model, *corpus.batch("train", 32, T, rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = nn.warmup_cosine(
            step, lr=lr, min_lr=lr / 10, warmup_iters=20, lr_decay_iters=steps
        )
        optimizer.step()
        curve.append(loss.item())
    curves[name], losses[name] = curve, evaluate(model)
    print(f"{name}: loss {losses[name]:.2f}, {sum(p.numel() for p in model.parameters()):,} parameters")
    return model


curves = {}
minigrad.manual_seed(1337)
bigram = learn("learn pairs", BigramNet(), lr=0.2)
with no_grad():
    learned = F.softmax(bigram.table.weight, -1).array
often = counts.sum(axis=1) > 1000
print(
    f"  furthest from the counts, in the rows of common letters: {np.abs(learned - table)[often].max():.2f}"
)

# %% [markdown]
# ## The mean of the past, three ways
#
# One letter back is little. The simplest summary of all that came before is its mean. As a loop it is
# slow; as a product with a matrix of 1/1, 1/2 1/2, 1/3 1/3 1/3 it is one call; and the matrix is the
# softmax of zeros with minus infinity above the diagonal. The third way looks roundabout, but its zeros are
# *scores*, and scores can be computed from the letters. That will be attention.

# %%
x = minigrad.randn(4, T, C, dtype=np.float64)
by_loop = np.stack([x.array[:, : t + 1].mean(axis=1) for t in range(T)], axis=1)
past = np.tri(T, dtype=bool)
by_matrix = minigrad.as_tensor(past / past.sum(axis=1, keepdims=True)) @ x
by_softmax = F.softmax(minigrad.zeros(T, T, dtype=np.float64).masked_fill(~past, -np.inf), -1) @ x
three_agree = np.allclose(by_loop, by_matrix.array) and np.allclose(by_loop, by_softmax.array)
print(f"loop, matrix and softmax give the same mean of the past: {three_agree}")


class Mean(nn.Module):
    """The mean of this token and all before it."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, T, C) to the same shape."""
        past = np.tri(x.shape[1], dtype=bool)
        return minigrad.as_tensor((past / past.sum(axis=1, keepdims=True)).astype(x.dtype)) @ x


class Frame(nn.Module):
    """Letter and position embeddings, something in between, and logits: the frame of all models below."""

    def __init__(self, between: nn.Module) -> None:
        self.letters, self.positions = nn.Embedding(V, C), nn.Embedding(T, C)
        self.between, self.head = between, nn.Linear(C, V)

    def forward(self, ids: np.ndarray) -> Tensor:
        """Map ids (B, T) to logits (B, T, V)."""
        return self.head(self.between(self.letters(ids) + self.positions(np.arange(ids.shape[1]))))


minigrad.manual_seed(1337)
learn("mean of the past", Frame(Mean()))

# %% [markdown]
# It is worse than the pairs! A mean forgets which letter was the last. What is needed is a *weighted* mean
# whose weights each token chooses.
#
# ## Attention
#
# Each token sends out a query and a key; the score of a pair is their product, and softmax turns the scores
# of the past into weights: `nn.SelfAttentionHead` in one head, `nn.CausalSelfAttention` in four, each with a
# quarter of the channels and a question of its own.

# %%
minigrad.manual_seed(1337)
one_head = learn("one head", Frame(nn.SelfAttentionHead(C, C, T, attn_dropout=0.0, dropout=0.0)))
four_heads = learn("four heads", Frame(nn.CausalSelfAttention(C, n_head=4)))

# %% [markdown]
# ## The block
#
# Attention gathers; then each token needs time to think about what it gathered: an MLP. Residual
# connections and layer norms let such blocks be stacked. Three of them, and this is a GPT.

# %%
one_block = learn("one block", Frame(nn.PreNormBlock(C, n_head=4)))
gpt = Frame(nn.Sequential(*(nn.PreNormBlock(C, n_head=4) for _ in range(3)), nn.LayerNorm(C)))
learn("three blocks: a GPT", gpt)


def chances(ids: list[int]) -> np.ndarray:
    """Return the GPT's probabilities of the next letter."""
    with no_grad():
        return F.softmax(gpt(np.array([ids[-T:]]))[0, -1], -1).array


print("  it writes: " + write(chances))

# %%
figure, (left, middle, right) = subplots(1, 3, title="From counting pairs to a GPT", size=(16, 5))
plain = [i for i, letter in enumerate(vocabulary.characters) if not letter.isdigit()]
ticks = [{"\n": "↵", " ": "␣"}.get(vocabulary.characters[i], vocabulary.characters[i]) for i in plain]
bar = heat_map(left, table[np.ix_(plain, plain)], title="Counted pairs", cmap="cividis", aspect="equal")
left.set(xlabel="next letter", ylabel="letter", xticks=range(len(plain)), yticks=range(len(plain)))
left.set_xticklabels(ticks, fontsize=7)
left.set_yticklabels(ticks, fontsize=7)
figure.colorbar(bar, ax=left, label="probability")
styles = ["-", "--", "-.", ":", "-", "--"]
for (name, curve), colour, style in zip(curves.items(), CYCLE, styles):
    middle.plot(np.convolve(curve, np.ones(20) / 20, "valid"), style, color=colour, label=name)
middle.set(title="Training, mean of 20 steps", xlabel="step", ylabel="loss, nats per letter", ylim=(0, 4))
middle.legend(loc="lower left")
bars = right.barh(
    list(losses), list(losses.values()), color=[BLACK, BLACK, *CYCLE[: len(curves)]], height=0.6
)
right.bar_label(bars, fmt="%.2f", padding=3)
right.invert_yaxis()
right.set(title="On text not seen in training", xlabel="loss, nats per letter", xlim=(0, 4.3))
save(figure, "bigram_to_gpt.png")

# %% [markdown]
# ## Try next
#
# - T = 32 and STEPS = 3000: the GPT keeps learning; what do the pairs do?
# - Take the positions out of `Frame`: which models notice?
# - `corpus = Corpus.load("your.txt")`: your own text, and `python -m gpt` for the real thing.
