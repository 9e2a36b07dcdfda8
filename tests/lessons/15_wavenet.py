"""Convolutions over time, a tree of them, batch statistics, and modules that bend shapes."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(7)
x = torch.randn(2, 3, 8)
conv = nn.Conv1d(in_channels=3, out_channels=4, kernel_size=3, padding=1)
y = conv(x)
print(conv, y.shape, conv.weight.shape)
by_hand = sum(F.pad(x, (1, 1))[:, :, k : k + 8].transpose(1, 2) @ conv.weight[:, :, k].T for k in range(3))
print(torch.allclose(y, (by_hand + conv.bias).transpose(1, 2), atol=1e-5), y[0, 0])
print(nn.Conv1d(3, 2, 2, stride=2)(x).shape, nn.Conv1d(3, 2, 2, dilation=2, bias=False)(x).shape)
print(F.pad(torch.arange(3.0), (2, 1)), F.pad(torch.ones(2, 2), (0, 1, 1, 0), value=9.0))

norm = nn.BatchNorm1d(4)
z = norm(y)
print(norm, z.mean(dim=(0, 2)).abs().max() < 1e-6, z.std(dim=(0, 2), unbiased=False))
print(norm.running_mean, norm.running_var, norm.num_batches_tracked)
norm.eval()
print(norm(y)[0, :, 0])


class FlattenConsecutive(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.n = n

    def forward(self, x):
        B, T, C = x.shape
        x = x.reshape(B, T // self.n, C * self.n)
        return x.squeeze(1) if x.shape[1] == 1 else x

    def extra_repr(self):
        return f"n={self.n}"


class Swap(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x.transpose(1, 2)).transpose(1, 2) if x.ndim == 3 else self.module(x)


n_embd, n_hidden, vocab_size = 4, 12, 10
layers = [nn.Embedding(vocab_size, n_embd)]
for width in (n_embd, n_hidden, n_hidden):
    layers += [FlattenConsecutive(2), nn.Linear(width * 2, n_hidden, bias=False)]
    layers += [Swap(nn.BatchNorm1d(n_hidden)), nn.Tanh()]
model = nn.Sequential(*layers, nn.Linear(n_hidden, vocab_size))
print(model)
print(sum(p.nelement() for p in model.parameters()))

ids = torch.randint(0, vocab_size, (32, 8))
targets = (ids[:, 0] + ids[:, -1]) % vocab_size
out = ids[:4]
for layer in model:
    out = layer(out)
    print(f"{layer.__class__.__name__:20s}", tuple(out.shape))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
for step in range(60):
    loss = F.cross_entropy(model(ids), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(step, f"{loss.item():.4f}")
model.eval()
accuracy = (model(ids).argmax(dim=1) == targets).float().mean()
print(f"accuracy {accuracy:.3f}", [name for name, _ in model.named_buffers()][:3])

causal = nn.Sequential(nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(1, 1, 3, bias=False))
nn.init.constant_(causal[1].weight, 1.0)
print(causal(torch.arange(5.0).view(1, 1, 5)), nn.Flatten()(x).shape, nn.Identity()(x).shape)
print(F.avg_pool1d(torch.arange(6.0).view(1, 1, 6), 2), nn.MaxPool1d(2)(torch.arange(6.0).view(1, 1, 6)))
print(F.unfold(torch.arange(9.0).view(1, 1, 3, 3), 2).shape, x.unfold(2, 4, 2).shape)
