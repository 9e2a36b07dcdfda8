"""One training step by hand: a tiny GPT forward, backward and updated, every array printed.

Look for: the gradient that starts as "probabilities minus truth" at the logits, the plus signs at
which two gradients meet, and a first AdamW step that moves every weight by the same amount. At the end
each array is compared with the product's autograd, and the weights with its `GPT` and `AdamW`.

Expected
        logits (5, 3)   nf wte^T: the head is tied to the embedding
        loss 1.4274   mean of -log chance[t, target of t]
        dlogits (5, 3)   (chance - truth) / T: log and softmax together
        [[-0.1810  0.0127  0.1683]
        22 intermediate arrays and their gradients agree with autograd to 10 digits: True
        16 gradients of weights agree with loss.backward() to 10 digits: True
        16 updated weights agree with AdamW to 10 digits: True
        loss before 1.4274, after 1.2301 nats per token
"""

# %% [markdown]
# # One training step by hand
# A GPT small enough for paper: one block, two heads, four channels, three letters. It reads "banan" and
# shall say "anana". All weights are drawn, then rounded to one decimal, so that you can copy them.

# %%
import math

import numpy as np
from pictures import heat_map, save, subplots

from gpt import GPT, GPTConfig, decay_groups
from minigrad import Generator, split, zeros
from nn import functional as F
from nn.optim import AdamW

text, letters = "banana", "abn"
ids, targets = (np.array([letters.index(c) for c in part]) for part in (text[:-1], text[1:]))
T, C, H, V = 5, 4, 2, 3  # tokens, channels, heads, vocabulary
D = C // H

model = GPT(GPTConfig(block_size=T, vocab_size=V, n_layer=1, n_head=H, n_embd=C)).double()
rng = Generator(118)
for p in model.parameters():
    p.array[...] = rng.normal(0.0, 0.7, p.shape, dtype=np.float64).round(1)
W = {name: p.numpy().copy() for name, p in model.state_dict().items()}  # all that is taken from the product

arrays = {}


def show(name, array, formula):
    """Print an array under its name, keep it for the checks, and return it."""
    arrays[name] = array
    print(f"{name} {array.shape}   {formula}")
    four_digits = {"float": lambda x: f"{round(x, 4) + 0.0:7.4f}"}  # + 0.0 turns -0.0 into 0.0
    print(np.array2string(array, max_line_width=140, formatter=four_digits))
    return array


# %% [markdown]
# ## Forward
# Each line is one arrow of the model's diagram. `xhat` is x with mean 0 and variance 1 in each row; a
# layer norm then scales it by a gain g and shifts it by a bias b.


# %%
def normalise(x):
    """Return xhat and 1 / standard deviation, row by row."""
    rstd = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return (x - x.mean(axis=-1, keepdims=True)) * rstd, rstd


def softmax(scores):
    """Return the probabilities along the last axis."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def heads(x):
    """Cut (T, C) into heads (H, T, D)."""
    return x.reshape(T, H, D).swapaxes(0, 1)


def joined(x):
    """Put heads (H, T, D) side by side again, (T, C)."""
    return x.swapaxes(0, 1).reshape(T, C)


def linear(name, x):
    """Return x W^T + b with the weights of that name."""
    return x @ W[f"{name}.weight"].T + W[f"{name}.bias"]


def scale_and_shift(name, xhat):
    """Return xhat g + b with the gain and bias of that name."""
    return xhat * W[f"{name}.weight"] + W[f"{name}.bias"]


print(f"--- forward: {text[:-1]!r} -> {text[1:]!r}, loss in nats per token ---")
x0 = show("x0", W["wte.weight"][ids] + W["wpe.weight"], "token embedding + position embedding")

xhat1, rstd1 = normalise(x0)
show("xhat1", xhat1, "x0 normalised")
n1 = show("n1", scale_and_shift("h.0.ln_1", xhat1), "xhat1 g1 + b1")
qkv = show("qkv", linear("h.0.attn.c_attn", n1), "n1 Wa^T + ba")
q, k, v = (show(n, heads(x), f"{n} of each head") for n, x in zip("qkv", np.split(qkv, 3, axis=1)))
scores = show("scores", q @ k.swapaxes(1, 2) / math.sqrt(D), "q k^T / sqrt(D)")
past = np.tri(T, dtype=bool)
weights = show("weights", softmax(np.where(past, scores, -np.inf)), "softmax over the past")
mixed = show("mixed", joined(weights @ v), "weights v, heads side by side")
attended = show("attended", linear("h.0.attn.c_proj", mixed), "mixed Wo^T + bo")
x1 = show("x1", x0 + attended, "x0 + attended: the first residual connection")

xhat2, rstd2 = normalise(x1)
show("xhat2", xhat2, "x1 normalised")
n2 = show("n2", scale_and_shift("h.0.ln_2", xhat2), "xhat2 g2 + b2")
wide = show("wide", linear("h.0.mlp.c_fc", n2), "n2 Wf^T + bf, four times as wide")
bend = np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
active = show("active", wide * (1 + bend) / 2, "GELU: wide (1 + tanh u) / 2, u = c (wide + 0.044715 wide^3)")
thought = show("thought", linear("h.0.mlp.c_proj", active), "active Wm^T + bm")
x2 = show("x2", x1 + thought, "x1 + thought: the second residual connection")

fhat, rstdf = normalise(x2)
show("fhat", fhat, "x2 normalised")
nf = show("nf", scale_and_shift("ln_f", fhat), "fhat gf + bf")
logits = show("logits", nf @ W["wte.weight"].T, "nf wte^T: the head is tied to the embedding")
chance = show("chance", softmax(logits), "softmax: the probability of each letter to come next")
loss = -np.log(chance[np.arange(T), targets]).mean()
print(f"loss {loss:.4f}   mean of -log chance[t, target of t]")

# %% [markdown]
# ## Backward
# The same lines from the last to the first. Write `dx` for d loss / dx. Four rules do it all:
# a product y = x W^T gives dx = dy W and dW = dy^T x; a sum hands its gradient to both sides; what was
# used twice adds up; a softmax gives dscores = p (dp - sum dp p).

# %%
grads = {}


def linear_backward(name, dy, x):
    """Note the gradients of weight and bias in y = x W^T + b; return that of x."""
    grads[f"{name}.weight"], grads[f"{name}.bias"] = dy.T @ x, dy.sum(axis=0)
    return dy @ W[f"{name}.weight"]


def norm_backward(name, dn, xhat, rstd):
    """Note the gradients of gain and bias in n = xhat g + b; return those of xhat and of x."""
    grads[f"{name}.weight"], grads[f"{name}.bias"] = (dn * xhat).sum(axis=0), dn.sum(axis=0)
    g = dn * W[f"{name}.weight"]
    along = (g * xhat).mean(axis=-1, keepdims=True)
    return g, rstd * (g - g.mean(axis=-1, keepdims=True) - xhat * along)


print("--- backward: d loss / d array ---")
dchance = np.zeros((T, V))
dchance[np.arange(T), targets] = -1 / (T * chance[np.arange(T), targets])
show("dchance", dchance, "-1 / (T chance) at the targets")
dlogits = show("dlogits", (chance - np.eye(V)[targets]) / T, "(chance - truth) / T: log and softmax together")
dnf = show("dnf", dlogits @ W["wte.weight"], "dlogits wte")
grads["wte.weight"] = dlogits.T @ nf  # the table as head; as embedding it gets more at the end

dfhat, dx2 = norm_backward("ln_f", dnf, fhat, rstdf)
show("dfhat", dfhat, "dnf gf")
show("dx2", dx2, "rstd (dfhat - mean dfhat - fhat mean(dfhat fhat))")
dthought = show("dthought", dx2, "a sum hands its gradient to both sides")
dactive = show("dactive", linear_backward("h.0.mlp.c_proj", dthought, active), "dthought Wm")
du = wide * (1 - bend**2) / 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * wide**2)
dwide = show("dwide", dactive * ((1 + bend) / 2 + du), "dactive times the slope of GELU")
dn2 = show("dn2", linear_backward("h.0.mlp.c_fc", dwide, n2), "dwide Wf")
dxhat2, from_mlp = norm_backward("h.0.ln_2", dn2, xhat2, rstd2)
show("dxhat2", dxhat2, "dn2 g2")
dx1 = show("dx1", dx2 + from_mlp, "round the MLP + through it: the residual connection at work")

dattended = show("dattended", dx1, "a sum hands its gradient to both sides")
dmixed = show("dmixed", linear_backward("h.0.attn.c_proj", dattended, mixed), "dattended Wo")
dweights = show("dweights", heads(dmixed) @ v.swapaxes(1, 2), "dmixed v^T, head by head")
dv = show("dv", weights.swapaxes(1, 2) @ heads(dmixed), "weights^T dmixed")
dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
show("dscores", dscores, "weights (dweights - sum dweights weights); 0 where masked")
dq = show("dq", dscores @ k / math.sqrt(D), "dscores k / sqrt(D)")
dk = show("dk", dscores.swapaxes(1, 2) @ q / math.sqrt(D), "dscores^T q / sqrt(D)")
dqkv = show("dqkv", np.concatenate([joined(dq), joined(dk), joined(dv)], axis=1), "side by side again")
dn1 = show("dn1", linear_backward("h.0.attn.c_attn", dqkv, n1), "dqkv Wa")
dxhat1, from_attention = norm_backward("h.0.ln_1", dn1, xhat1, rstd1)
show("dxhat1", dxhat1, "dn1 g1")
dx0 = show("dx0", dx1 + from_attention, "round the attention + through it")

np.add.at(grads["wte.weight"], ids, dx0)  # "a" and "n" were read twice: both gradients count
grads["wpe.weight"] = dx0
for name, grad in grads.items():
    show(f"d {name}", grad, "gradient of the weight")

# %% [markdown]
# ## AdamW's first step
# m and v start at 0; after the correction for that, m' = g and v' = g^2, so the step is
# lr g / (|g| + eps): **every weight moves by lr**, however small its gradient. Matrices also decay.
# One group stays where it was, the keys' biases `c_attn.bias[4:8]`: adding the same number to all scores
# of a query changes no softmax, so their gradient is 0, and the eps keeps 0 / 0 from happening.

# %%
lr, beta1, beta2, eps, decay = 0.01, 0.9, 0.95, 1e-8, 0.1
updated = {}
for name, g in grads.items():
    m, v2 = (1 - beta1) * g, (1 - beta2) * g**2
    step = lr * (m / (1 - beta1)) / (np.sqrt(v2 / (1 - beta2)) + eps)
    kept = W[name] * (1 - lr * decay) if W[name].ndim == 2 else W[name]
    updated[name] = show(f"new {name}", kept - step, "w (1 - lr decay) - lr m' / (sqrt v' + eps)")

# %% [markdown]
# ## Does the product agree?
# The same lines in Tensor arithmetic. To each array a *probe* is added: a zero, whose gradient is that
# of the array it is added to.

# %%
ours, probes, w = {}, {}, dict(model.named_parameters())


def watch(name, x):
    """Add a probe to x, and keep both."""
    probes[name] = zeros(x.shape, dtype=x.dtype, requires_grad=True)
    ours[name] = x + probes[name]
    return ours[name]


def map_by(name, x):
    """Return x W^T + b."""
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def norm_by(name, n, xhat_name, x):
    """Return the layer norm of x, its two steps watched."""
    xhat = watch(xhat_name, F.layer_norm(x, x.shape[-1:]))
    return watch(n, xhat * w[f"{name}.weight"] + w[f"{name}.bias"])


x = stream = watch("x0", F.embedding(ids, w["wte.weight"]) + w["wpe.weight"])
x = watch("qkv", map_by("h.0.attn.c_attn", norm_by("h.0.ln_1", "n1", "xhat1", x)))
q, k, v = (watch(n, part.reshape(T, H, D).swapaxes(0, 1)) for n, part in zip("qkv", split(x, C, axis=1)))
x = watch("scores", q @ k.mT / math.sqrt(D))
x = watch("weights", F.softmax(x.masked_fill(~past, -math.inf), dim=-1))
x = watch("mixed", (x @ v).swapaxes(0, 1).reshape(T, C))
x = stream = watch("x1", stream + watch("attended", map_by("h.0.attn.c_proj", x)))
x = watch("wide", map_by("h.0.mlp.c_fc", norm_by("h.0.ln_2", "n2", "xhat2", x)))
x = watch("thought", map_by("h.0.mlp.c_proj", watch("active", F.gelu(x, approximate="tanh"))))
x = norm_by("ln_f", "nf", "fhat", watch("x2", stream + x))
x = watch("chance", F.softmax(watch("logits", x @ w["wte.weight"].mT), dim=-1))
(-x[np.arange(T), targets].log().mean()).backward()


def agree(pairs):
    """Are all pairs of arrays equal to 10 digits?"""
    return all(np.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in pairs)


same_arrays = agree([(arrays[n], t.array) for n, t in ours.items()])
same_arrays &= agree([(arrays[f"d{n}"], p.grad) for n, p in probes.items()])
print(f"{len(ours)} intermediate arrays and their gradients agree with autograd to 10 digits: {same_arrays}")

model.zero_grad()
optimizer = AdamW(decay_groups(model, decay), lr=lr, betas=(beta1, beta2), eps=eps)
_, before = model(ids[None], targets[None])
before.backward()
same_grads = agree([(grads[n], p.grad) for n, p in model.named_parameters()])
print(f"{len(grads)} gradients of weights agree with loss.backward() to 10 digits: {same_grads}")
optimizer.step()
same_weights = agree([(updated[n], p.array) for n, p in model.named_parameters()])
print(f"{len(updated)} updated weights agree with AdamW to 10 digits: {same_weights}")
_, after = model(ids[None], targets[None])
print(f"loss before {before.item():.4f}, after {after.item():.4f} nats per token")

# %% [markdown]
# ## Picture
# Read the upper row from left to right, the lower from right to left. The model says "n" whatever it has
# read: right after "a", wrong after "b" and "n". Those rows are dark at `dlogits`, and their blame
# travels back, through attention also to earlier tokens.

# %%
shown = ["x0", "n1", "qkv", "mixed", "x1", "n2", "active", "x2", "nf", "logits"]
title = "One training step: arrays forward, gradients back (red above 0, blue below)"
figure, axes = subplots(2, len(shown), title=title, size=(15, 4.8))
for row, prefix in enumerate(["", "d"]):
    for ax, name in zip(axes[row], shown):
        array = arrays[prefix + name]
        limit = np.abs(array).max()
        heat_map(ax, array, title=f"{prefix}{name}\n±{limit:.2g}", cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set(xticks=[], yticks=range(T), yticklabels=list(text[:-1]))
    axes[row, -1].set(xticks=range(V), xticklabels=list(letters))
axes[0, 0].set_ylabel("value\none row per token")
axes[1, 0].set_ylabel("d loss / d value\nnats per unit")
save(figure, "one_step_by_hand.png")

# %% [markdown]
# ## Try next
#
# - Take a second step: m and v no longer start at 0, and a weight whose gradient changed its sign moves less.
# - Let `past` be all True: which zeros vanish from the gradients, and why does the loss mean nothing now?
# - Leave out the line with `np.add.at`: the head alone then teaches the table of embeddings.
