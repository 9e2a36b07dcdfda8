"""The post-norm encoder: a classifier whose attention runs across the batch, and the fix.

Look for: a well-known classifier, as published, lets each sequence read the others in its batch, because
`nn.MultiheadAttention` expects time before batch. One argument mends it. Then: what the position table
does while it is all zeros, an input longer than it, and the decoder layer that belongs to the encoder.

Expected
        input (32, 100) -> output (32, 10), 739,594 parameters
        published: -0.116 -0.075 -0.129 -0.256 0.203 ...
        fixed:     -0.176 -0.126 -0.186 -0.172 0.240 ...
        published: attention weights (100, 32, 32); sequence 0 changes, and 7 of 7 others move, by up to 0.05
        fixed: attention weights (32, 100, 100); sequence 0 changes, and 0 of 7 others move, by up to 0.00
        the block equals nn.TransformerEncoderLayer: True
        read backwards, positions zero: changed by more than 1e-4? False
        read backwards, positions drawn: changed by more than 1e-4? True
        position rows with a gradient: 20 of 100, for sequences of 20 tokens
        TransformerModel: expected at most 100 tokens; got 101; crop the input or make a longer position table
        decoder's last token changed: places [5] move
        encoder's input changed: places [0, 1, 2, 3, 4, 5] move
"""

# %% [markdown]
# # The post-norm encoder
#
# The transformer of 2017 puts a residual connection round each of its two sublayers and normalises the sum:
#
#     output = layer_norm(x + sublayer(x))
#
# (The text that this chapter follows says that input and output are normalised *before* they are added.
# The formula, its code and the 2017 paper say after: *post-norm*. GPT-2 moved the norm: *pre-norm*.)
#
# The published block has attention with 8 heads, then a ReLU network. It is given here line by line; only
# `batch_first` is new.

# %%
import numpy as np
from pictures import heat_map, save, subplots

import minigrad
import nn
from minigrad.errors import value_error


class ResidualBlock(nn.Module):
    """Attention, then a feed-forward network, each as layer_norm(x + sublayer(x))."""

    def __init__(self, input_dim: int, hidden_dim: int, batch_first: bool = False) -> None:
        self.attention = nn.MultiheadAttention(input_dim, num_heads=8, batch_first=batch_first)
        self.norm1 = nn.LayerNorm(input_dim)
        self.feedforward = nn.Sequential(
            nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, input_dim)
        )
        self.norm2 = nn.LayerNorm(input_dim)

    def forward(self, x: minigrad.Tensor) -> minigrad.Tensor:
        """Transform x, whose axes mean what `batch_first` says."""
        attended, _ = self.attention(x, x, x)
        x = self.norm1(x + attended)
        return self.norm2(x + self.feedforward(x))


class TransformerModel(nn.Module):
    """Token and position embeddings, the blocks, the mean over time, a linear classifier."""

    def __init__(
        self, input_dim: int, hidden_dim: int, output_dim: int, num_layers: int, batch_first: bool = False
    ) -> None:
        self.embedding = nn.Embedding(input_dim, hidden_dim)
        self.positional_encoding = nn.Parameter(np.zeros((1, 100, hidden_dim), np.float32))
        self.encoder_layers = nn.ModuleList(
            [ResidualBlock(hidden_dim, hidden_dim, batch_first) for _ in range(num_layers)]
        )
        self.output_projection = nn.Linear(hidden_dim, output_dim)

    def encode(self, ids: minigrad.Tensor) -> minigrad.Tensor:
        """Map ids (B, T) to (B, T, hidden_dim)."""
        T, longest = ids.shape[1], self.positional_encoding.shape[1]
        if T > longest:
            hint = "crop the input or make a longer position table"
            raise value_error("TransformerModel", f"at most {longest} tokens", T, hint)
        x = self.embedding(ids) + self.positional_encoding[:, :T, :]
        for layer in self.encoder_layers:
            x = layer(x)
        return x

    def forward(self, ids: minigrad.Tensor) -> minigrad.Tensor:
        """Map ids (B, T) to logits (B, output_dim)."""
        return self.output_projection(self.encode(ids).mean(dim=1))


# %% [markdown]
# ## As published
#
# A vocabulary of 1000, width 128, 10 classes, 6 layers, and a batch of 32 sequences of 100 tokens. With
# the seed, these are also the numbers that PyTorch prints for the published code.


# %%
def build(batch_first: bool) -> TransformerModel:
    """Return the published model; the same seed gives both variants the same weights."""
    minigrad.manual_seed(0)
    return TransformerModel(1000, 128, 10, 6, batch_first)


published, fixed = build(batch_first=False), build(batch_first=True)
input_seq = minigrad.randint(0, 1000, (32, 100))
with minigrad.no_grad():
    output = published(input_seq)
    output_fixed = fixed(input_seq)
parameters = sum(p.numel() for p in published.parameters())
print(f"input {tuple(input_seq.shape)} -> output {tuple(output.shape)}, {parameters:,} parameters")
print("published:", " ".join(f"{value:.3f}" for value in output.array[0, :5]), "...")
print("fixed:    ", " ".join(f"{value:.3f}" for value in output_fixed.array[0, :5]), "...")

# %% [markdown]
# ## What is wrong with it
#
# Attention's scores say between what and what it looks. For 32 sequences of 100 tokens there should be a
# square of 100 x 100 for each sequence. There are 100 squares of 32 x 32: `nn.MultiheadAttention` took
# axis 0, the batch, for time. Each token looks at the tokens *at its own place in the other sequences*,
# and never at its neighbours. Nothing complains, since both axes are only lengths.
#
# The test that finds it: change one sequence, and watch the outputs of the others.


# %%
def attention_shape(model: TransformerModel) -> tuple[int, ...]:
    """Return the shape of the first block's attention weights."""
    with minigrad.no_grad():
        x = model.embedding(input_seq)
        return tuple(model.encoder_layers[0].attention(x, x, x)[1].shape)


def influence(model: TransformerModel, ids: minigrad.Tensor) -> np.ndarray:
    """Return (B, B): how far output j moves (its largest change) when all tokens of sequence i change."""
    with minigrad.no_grad():
        before = model(ids).array
        moved = np.zeros((len(ids), len(ids)))
        for i in range(len(ids)):
            changed = ids.clone()
            changed[i] = (changed[i] + 1) % 1000
            moved[i] = np.abs(model(changed).array - before).max(axis=1)
    return moved


few = input_seq[:8, :20]
moved, moved_fixed = influence(published, few), influence(fixed, few)
for name, model, table in (("published", published, moved), ("fixed", fixed, moved_fixed)):
    count, furthest = np.count_nonzero(table[0, 1:] > 1e-5), table[0, 1:].max()
    print(
        f"{name}: attention weights {attention_shape(model)}; sequence 0 changes, and "
        f"{count} of 7 others move, by up to {furthest:.2f}"
    )

# %% [markdown]
# Row i of the picture: sequence i was changed. Only the diagonal may move.

# %%
figure, axes = subplots(1, 2, title="Change one sequence: whose output moves?", size=(9.5, 4.2))
lowest, highest = 1e-3, moved_fixed.max()
for ax, table, name in zip(axes, (moved, moved_fixed), ("as published", "batch_first=True")):
    shown = np.maximum(table, lowest)
    bar = heat_map(ax, shown, title=name, cmap="cividis", norm="log", clim=(lowest, highest), aspect="equal")
    ax.set(xlabel="output of sequence", ylabel="changed sequence", xticks=range(8), yticks=range(8))
    for (i, j), value in np.ndenumerate(table):
        colour = "black" if value > 0.02 else "white"
        ax.text(j, i, f"{value:.2f}"[1:] if value > 1e-5 else "0", ha="center", va="center", color=colour)
figure.colorbar(bar, ax=axes, label="largest change of a logit")
save(figure, "post_norm_encoder.png")

# %% [markdown]
# ## It is PyTorch's layer
#
# With the fix the block is `nn.TransformerEncoderLayer`, which is post-norm with ReLU by default. The same
# weights under its names give the same result.

# %%
layer = nn.TransformerEncoderLayer(128, nhead=8, dim_feedforward=128, dropout=0.0, batch_first=True)
block = fixed.encoder_layers[0]
new_names = {"attention": "self_attn", "feedforward.0": "linear1", "feedforward.2": "linear2"}
state = {}
for name, array in block.state_dict().items():
    for old, new in new_names.items():
        name = name.replace(old, new)
    state[name] = array
layer.load_state_dict(state)
x = minigrad.randn(2, 5, 128)
same_layer = np.allclose(block(x).array, layer(x).array, atol=1e-5)
print(f"the block equals nn.TransformerEncoderLayer: {same_layer}")

# %% [markdown]
# ## Positions
#
# The published table of positions starts as zeros. Until it has learned, a sequence read backwards is the
# same to the model: attention is a weighted sum, and so is the mean at the end. It does learn, since its
# gradient is not zero. And it has 100 rows: a longer input has no position to stand on.


# %%
def order_matters(model: TransformerModel) -> float:
    """Return the largest change of an output when the tokens are read backwards."""
    with minigrad.no_grad():
        return np.abs(model(few).array - model(few.flip(1)).array).max()


print(f"read backwards, positions zero: changed by more than 1e-4? {order_matters(fixed) > 1e-4}")
minigrad.manual_seed(1)
nn.init.normal_(fixed.positional_encoding, std=0.5)
print(f"read backwards, positions drawn: changed by more than 1e-4? {order_matters(fixed) > 1e-4}")

labels = np.arange(8) % 10
nn.CrossEntropyLoss()(fixed(few), labels).backward()
used_rows = int((fixed.positional_encoding.grad[0].abs().sum(1) > 0).sum())
print(f"position rows with a gradient: {used_rows} of 100, for sequences of {few.shape[1]} tokens")
try:
    fixed(minigrad.randint(0, 1000, (1, 101)))
except ValueError as error:
    too_long = str(error)
    print(too_long)

# %% [markdown]
# ## The decoder layer
#
# "A residual connection is added around each of the sub-layers in the encoder and decoder." A decoder
# layer has three: attention to its own past, attention to what the encoder made of the input, and the
# feed-forward network:
#
#     x = norm1(x + attend(x, past only));   x = norm2(x + attend(x, memory));   x = norm3(x + mlp(x))
#
# Change the decoder's last token: nothing before it may move. Change a token of the encoder: everything may.

# %%
minigrad.manual_seed(2)
decoder = nn.TransformerDecoderLayer(128, nhead=8, dim_feedforward=128, dropout=0.0, batch_first=True)
with minigrad.no_grad():
    memory, changed_memory = fixed.encode(few), fixed.encode((few + 1) % 1000)
target = minigrad.randn(8, 6, 128)
changed_target = target.clone()
changed_target[:, -1] += 1.0


def places_moved(tgt: minigrad.Tensor, mem: minigrad.Tensor) -> list[int]:
    """Return the places of the decoder's output that differ from those for (target, memory)."""
    with minigrad.no_grad():
        change = (
            decoder(tgt, mem, tgt_is_causal=True).array - decoder(target, memory, tgt_is_causal=True).array
        )
    return np.flatnonzero(np.abs(change).max(axis=(0, 2)) > 1e-5).tolist()


print(f"decoder's last token changed: places {places_moved(changed_target, memory)} move")
print(f"encoder's input changed: places {places_moved(target, changed_memory)} move")

# %% [markdown]
# ## Try next
#
# - Keep the default `batch_first=False` and hand the blocks `x.swapaxes(0, 1)`: the other way to mend it.
# - Classify a batch of one with the published model: what can attention still do?
# - `norm_first=True` in `nn.TransformerEncoderLayer`, and the gradients of `residual_connections.py`.
