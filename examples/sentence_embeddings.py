"""Sentence embeddings: the post-norm encoder of 2017, with real weights, knows which sentences mean the same.

Look for: all-MiniLM-L6-v2, a BERT of six layers, is our `nn.TransformerEncoderLayer` six times over; a sentence
is the mean of its tokens. Sentences on one subject are near each other without a word in common; the mask keeps
the padding of a batch out of it; and the nearest sentence answers a question.

Expected
        all-MiniLM-L6-v2: 22,565,376 parameters in six layers
        9 sentences of 8 to 13 tokens -> (9, 384)
        The cat sleeps on the sofa.                     1.00  0.74 -0.05  0.00 -0.06 -0.04  0.11  0.01 -0.06
        Shares dropped as investors sold.              -0.06 -0.07  0.09  0.60  1.00  0.18 -0.05 -0.05  0.08
        alone or in the batch: the same to 1e-5? True
        padding not masked: cosine with itself 0.77 at worst
        Who is asleep?                  -> A kitten is napping on the couch. (0.25)
        Did prices go down?             -> Shares dropped as investors sold. (0.48)
        Who makes music with a bow?     -> She plays the violin in an orchestra. (0.34)
"""

# %% [markdown]
# # Sentence embeddings
#
# An encoder reads a whole sentence at once: each token may look at every other one, there is no causal mask. BERT
# (Devlin et al. 2018) is the encoder of 2017 with three tables in front, for the token, its place, and which of two
# sentences it belongs to (here always the first):
#
#     x = layer_norm(W[token] + P[place] + S[0]);    six times: post-norm attention, then a GELU network
#
# all-MiniLM-L6-v2 is such a model, 384 wide with 12 heads, that was trained on a thousand million pairs of sentences
# to bring the two of a pair together (Reimers and Gurevych 2019). Its weights, 90 MB, come in a package.

# %%
import numpy as np
from pictures import heat_map, save, subplots

import minigrad
import nn
from gpt.pretrained.folder import read_safetensors
from gpt.pretrained.packages import fetch
from gpt.progress import doing
from minigrad.random.no_draws import NO_DRAWS

doing("loading all-MiniLM-L6-v2")
FOLDER = fetch("minilm")
WIDTH, HEADS, LAYERS, HIDDEN, EPS = 384, 12, 6, 1536, 1e-12  # its config.json


class MiniLM(nn.Module):
    """BERT's embeddings and its encoder; a sentence is the mean of its tokens, made one long."""

    def __init__(self, vocab_size: int = 30522, block_size: int = 512) -> None:
        self.tokens = nn.Embedding(vocab_size, WIDTH, rng=NO_DRAWS)  # no random weights: the real ones come
        self.places = nn.Embedding(block_size, WIDTH, rng=NO_DRAWS)
        self.segments = nn.Embedding(2, WIDTH, rng=NO_DRAWS)
        self.norm = nn.LayerNorm(WIDTH, eps=EPS)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, 0.1, "gelu", EPS, True, rng=NO_DRAWS)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

    def forward(self, ids: np.ndarray, mask: np.ndarray) -> minigrad.Tensor:
        """Map ids (B, T), whose mask (B, T) is 1 for a token and 0 for padding, to sentences (B, WIDTH)."""
        x = self.norm(self.tokens(ids) + self.places.weight[: ids.shape[1]] + self.segments.weight[0])
        x = self.encoder(x, src_key_padding_mask=mask == 0)
        weights = minigrad.tensor(mask[:, :, None].astype(np.float32))
        mean = (x * weights).sum(1) / weights.sum(1)
        return mean / mean.square().sum(1, keepdim=True).sqrt()


# %% [markdown]
# ## The weights, by their names
#
# BERT says `attention.self.query` where PyTorch's layer keeps query, key and value in one matrix,
# `self_attn.in_proj_weight`; everything else is a renaming. `load_state_dict` refuses a name too many or too few.

# %%
NAMES = {
    "self_attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}


def renamed(theirs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return BERT's weights under our names."""
    tables = {
        "tokens": "word_embeddings",
        "places": "position_embeddings",
        "segments": "token_type_embeddings",
    }
    ours = {f"{name}.weight": theirs[f"embeddings.{bert}.weight"] for name, bert in tables.items()}
    for kind in ("weight", "bias"):
        ours[f"norm.{kind}"] = theirs[f"embeddings.LayerNorm.{kind}"]
        for i in range(LAYERS):
            here, there = f"encoder.layers.{i}", f"encoder.layer.{i}"
            parts = [theirs[f"{there}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            ours[f"{here}.self_attn.in_proj_{kind}"] = np.concatenate(parts)
            ours |= {
                f"{here}.{name}.{kind}": theirs[f"{there}.{bert}.{kind}"] for name, bert in NAMES.items()
            }
    return ours


model = MiniLM()
model.load_state_dict(renamed(read_safetensors(FOLDER / "model.safetensors")), assign=True)
model.eval()
print(f"all-MiniLM-L6-v2: {sum(p.numel() for p in model.parameters()):,} parameters in six layers")

# %% [markdown]
# ## Sentences as directions
#
# A batch needs sequences of one length, so the shorter ones are filled up with padding, and the mask says where.
# Each sentence becomes a point on a sphere in 384 dimensions; the product of two is the cosine between them: 1 for
# the same direction, 0 for nothing in common.


# %%
def tokenise(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of the sentences, filled up to the longest, and the mask; WordPiece, as BERT wants it."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    tokenizer.enable_padding()
    rows = tokenizer.encode_batch(texts)
    return np.array([row.ids for row in rows]), np.array([row.attention_mask for row in rows])


def embed(texts: list[str]) -> np.ndarray:
    """Return a sentence in each row, (len(texts), WIDTH)."""
    with minigrad.no_grad():
        return model(*tokenise(texts)).array


SENTENCES = [
    "The cat sleeps on the sofa.",
    "A kitten is napping on the couch.",
    "My dog chased a squirrel up the tree.",
    "The stock market fell sharply today.",
    "Shares dropped as investors sold.",
    "The central bank raised interest rates.",
    "She plays the violin in an orchestra.",
    "He is practising the piano for a concert.",
    "The band tuned their guitars before the show.",
]
ids, mask = tokenise(SENTENCES)
rows = embed(SENTENCES)
lengths = mask.sum(1)
print(f"{len(SENTENCES)} sentences of {lengths.min()} to {lengths.max()} tokens -> {rows.shape}")
similarity = rows @ rows.T
for sentence, row in zip(SENTENCES, similarity):
    print(f"{sentence:46}", " ".join(f"{value:5.2f}" for value in row.round(2) + 0.0))

# %% [markdown]
# The first two sentences have no noun and no verb in common, and are nearest to each other. So are the two on
# falling shares. Between the subjects, animals, money and music, there is next to nothing.
#
# ## What the mask is for
#
# A sentence must not depend on what else is in its batch. Alone, without any padding, it is the same to rounding;
# with padding that is not masked it is another one.

# %%
alone = np.concatenate([embed([sentence]) for sentence in SENTENCES])
print(f"alone or in the batch: the same to 1e-5? {np.abs(alone - rows).max() < 1e-5}")
with minigrad.no_grad():
    unmasked = model(ids, np.ones_like(mask)).array
print(f"padding not masked: cosine with itself {(unmasked * rows).sum(1).min():.2f} at worst")

# %% [markdown]
# ## The nearest sentence
#
# Search is one product: the sentences are embedded once, and a question asks which of them has its direction.

# %%
QUESTIONS = [
    "Who is asleep?",
    "Which animal ran after another?",
    "Did prices go down?",
    "Who makes music with a bow?",
]
answers = embed(QUESTIONS) @ rows.T
for question, row in zip(QUESTIONS, answers):
    print(f"{question:31} -> {SENTENCES[row.argmax()]} ({row.max():.2f})")

NUMBERED = [f"{sentence} {i}" for i, sentence in enumerate(SENTENCES, 1)]
figure, axes = subplots(1, 2, title="Which sentences mean the same?", size=(13, 5.4))
for ax, values, labels, title in (
    (axes[0], similarity, SENTENCES, "cosine between sentences"),
    (axes[1], answers, QUESTIONS, "cosine between questions and sentences"),
):
    shown = heat_map(ax, values, title=title, vmin=0, vmax=1, cmap="Blues")
    ax.set_yticks(range(len(labels)), labels if labels is QUESTIONS else NUMBERED)
    ax.set_xticks(range(len(SENTENCES)), range(1, len(SENTENCES) + 1))
    ax.set_xlabel("sentence")
    for i, j in np.ndindex(values.shape):
        ink = "white" if values[i, j] > 0.6 else "black"
        ax.text(j, i, f"{values[i, j].round(2) + 0.0:.2f}", ha="center", va="center", fontsize=8, color=ink)
figure.colorbar(shown, ax=axes, shrink=0.8)
save(figure, "sentence_embeddings.png")

# %% [markdown]
# ## Try next
#
# - Words of two meanings: "He sat on the river bank." and "She went to the bank for a loan."
# - The first token, [CLS], in place of the mean: how much of the picture is left?
# - Turn two words round: "The dog bit the man." and "The man bit the dog." How near are they, and why?
