"""A language model of three layers, its parameters a plain list: embedding, tanh, logits."""

import random

import torch
import torch.nn.functional as F

text = "ada alan alonzo barbara edsger grace john katherine kurt linus margaret niklaus radia tim vint"
words = text.split()
random.seed(42)
random.shuffle(words)
stoi = {s: i + 1 for i, s in enumerate(sorted(set("".join(words))))}
stoi["."] = 0
itos = {i: s for s, i in stoi.items()}
block_size = 3


def build_dataset(words):
    X, Y = [], []
    for w in words:
        context = [0] * block_size
        for ch in w + ".":
            ix = stoi[ch]
            X.append(context)
            Y.append(ix)
            context = context[1:] + [ix]
    return torch.tensor(X), torch.tensor(Y)


Xtr, Ytr = build_dataset(words[:12])
Xdev, Ydev = build_dataset(words[12:])
print(Xtr.shape, Xtr.dtype, Ytr.shape, Ytr.dtype)
print(Xtr[:4])
for x, y in zip(Xtr[:4], Ytr[:4]):
    print("".join(itos[i.item()] for i in x), "--->", itos[y.item()])

g = torch.Generator().manual_seed(2147483647)
C = torch.randn((len(stoi), 4), generator=g)
W1 = torch.randn((12, 32), generator=g) * 0.2
b1 = torch.randn(32, generator=g) * 0.01
W2 = torch.randn((32, len(stoi)), generator=g) * 0.01
b2 = torch.zeros(len(stoi))
parameters = [C, W1, b1, W2, b2]
print(sum(p.nelement() for p in parameters))
for p in parameters:
    p.requires_grad = True

lossi = []
for i in range(200):
    ix = torch.randint(0, Xtr.shape[0], (16,), generator=g)
    emb = C[Xtr[ix]]
    h = torch.tanh(emb.view(-1, 12) @ W1 + b1)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Ytr[ix])
    for p in parameters:
        p.grad = None
    loss.backward()
    lr = 0.5 if i < 100 else 0.1
    for p in parameters:
        p.data += -lr * p.grad
    lossi.append(loss.log10().item())
    if i % 40 == 0:
        print(f"{i:4d}: {loss.item():.4f}")
print(torch.tensor(lossi).view(-1, 50).mean(1))
print(emb.shape, h.shape, (h.abs() > 0.97).float().mean().item())


@torch.no_grad()
def split_loss(split):
    x, y = {"train": (Xtr, Ytr), "val": (Xdev, Ydev)}[split]
    h = torch.tanh(C[x].view(x.shape[0], -1) @ W1 + b1)
    print(split, F.cross_entropy(h @ W2 + b2, y).item())


split_loss("train")
split_loss("val")
for _ in range(5):
    out, context = [], [0] * block_size
    while len(out) < 12:
        h = torch.tanh(C[torch.tensor([context])].view(1, -1) @ W1 + b1)
        ix = torch.multinomial(F.softmax(h @ W2 + b2, dim=1), num_samples=1, generator=g).item()
        context = context[1:] + [ix]
        out.append(itos[ix])
        if ix == 0:
            break
    print("".join(out))
