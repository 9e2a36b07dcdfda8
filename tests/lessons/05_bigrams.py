"""A table of counts that writes names: bigrams, counted, then learnt by one linear layer."""

import torch
import torch.nn.functional as F

words = "ada alan alonzo barbara edsger grace john katherine kurt linus margaret niklaus radia".split()
chars = sorted(set("".join(words)))
stoi = {s: i + 1 for i, s in enumerate(chars)}
stoi["."] = 0
itos = {i: s for s, i in stoi.items()}
size = len(stoi)

N = torch.zeros((size, size), dtype=torch.int32)
for w in words:
    chs = ["."] + list(w) + ["."]
    for ch1, ch2 in zip(chs, chs[1:]):
        N[stoi[ch1], stoi[ch2]] += 1
print(N[:6, :6])
print(N[0], N.sum(), N.dtype)
print(N[0, 1].item(), N.max(), (N == 0).float().mean())

p = N[0].float()
p = p / p.sum()
print(p)
g = torch.Generator().manual_seed(2147483647)
print(torch.rand(3, generator=g))
print(torch.multinomial(p, num_samples=12, replacement=True, generator=g))

P = (N + 1).float()
P /= P.sum(1, keepdim=True)
print(P.shape, P[0].sum(), P.sum(1)[:3])

g = torch.Generator().manual_seed(2147483647)
for _ in range(6):
    out, ix = [], 0
    while True:
        ix = torch.multinomial(P[ix], num_samples=1, replacement=True, generator=g).item()
        out.append(itos[ix])
        if ix == 0:
            break
    print("".join(out))

log_likelihood, n = 0.0, 0
for w in words[:3]:
    chs = ["."] + list(w) + ["."]
    for ch1, ch2 in zip(chs, chs[1:]):
        prob = P[stoi[ch1], stoi[ch2]]
        log_likelihood += torch.log(prob)
        n += 1
        print(f"{ch1}{ch2}: {prob:.4f} {torch.log(prob):.4f}")
print(f"{log_likelihood=}")
print(f"nll={-log_likelihood / n}")

# The same as a layer: one-hot rows times a matrix of logits.
xs, ys = [], []
for w in words:
    chs = ["."] + list(w) + ["."]
    for ch1, ch2 in zip(chs, chs[1:]):
        xs.append(stoi[ch1])
        ys.append(stoi[ch2])
xs, ys = torch.tensor(xs), torch.tensor(ys)
print("number of examples:", xs.nelement())
xenc = F.one_hot(xs, num_classes=size)
print(xenc.shape, xenc.dtype, xenc[0])
W = torch.randn((size, size), generator=g, requires_grad=True)
for k in range(20):
    logits = xenc.float() @ W
    counts = logits.exp()
    probs = counts / counts.sum(1, keepdim=True)
    loss = -probs[torch.arange(len(ys)), ys].log().mean() + 0.01 * (W**2).mean()
    W.grad = None
    loss.backward()
    W.data += -10 * W.grad
    if k % 5 == 0:
        print(k, loss.item())
print(loss, W.grad.shape)
