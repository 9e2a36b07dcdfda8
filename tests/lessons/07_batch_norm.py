"""Batch normalisation by hand: layers of our own in a list, running statistics, and its backward pass."""

import torch


class Linear:
    def __init__(self, fan_in, fan_out, bias=True):
        self.weight = torch.randn((fan_in, fan_out)) / fan_in**0.5
        self.bias = torch.zeros(fan_out) if bias else None

    def __call__(self, x):
        self.out = x @ self.weight
        if self.bias is not None:
            self.out += self.bias
        return self.out

    def parameters(self):
        return [self.weight] + ([] if self.bias is None else [self.bias])


class BatchNorm1d:
    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.gamma, self.beta = torch.ones(dim), torch.zeros(dim)
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    def __call__(self, x):
        if self.training:
            mean, var = x.mean(0, keepdim=True), x.var(0, keepdim=True, unbiased=True)
        else:
            mean, var = self.running_mean, self.running_var
        self.out = self.gamma * (x - mean) / torch.sqrt(var + self.eps) + self.beta
        if self.training:
            with torch.no_grad():
                self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
                self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        return self.out

    def parameters(self):
        return [self.gamma, self.beta]


class Tanh:
    def __call__(self, x):
        self.out = torch.tanh(x)
        return self.out

    def parameters(self):
        return []


torch.manual_seed(42)
layers = [Linear(4, 16, bias=False), BatchNorm1d(16), Tanh(), Linear(16, 16), BatchNorm1d(16), Tanh()]
layers += [Linear(16, 1)]
with torch.no_grad():
    layers[-1].weight *= 0.1
parameters = [p for layer in layers for p in layer.parameters()]
for p in parameters:
    p.requires_grad = True

inputs = torch.randn(64, 4)
targets = (inputs[:, :1] * inputs[:, 1:2]).sign()
for step in range(12):
    x = inputs
    for layer in layers:
        x = layer(x)
    for layer in layers:
        layer.out.retain_grad()
    loss = (x - targets).pow(2).mean()
    for p in parameters:
        p.grad = None
    loss.backward()
    for p in parameters:
        p.data -= 0.1 * p.grad
    if step % 10 == 0:
        print(step, f"{loss.item():.5f}")

for i, layer in enumerate(layers):
    t, g = layer.out, layer.out.grad
    print(f"{i} {type(layer).__name__:>11}: mean {t.mean():+.4f} std {t.std():.4f} grad {g.std():.3e}")
print([f"{(0.1 * p.grad.std() / p.data.std()).log10().item():.2f}" for p in parameters if p.ndim == 2])
print(layers[1].running_mean.shape, layers[1].running_var.mean())

# The backward pass of a normalised batch, derived on paper, beside autograd's.
hprebn = torch.randn(8, 3, requires_grad=True)
mean = hprebn.mean(0, keepdim=True)
diff = hprebn - mean
var_inv = ((diff**2).sum(0, keepdim=True) / 7 + 1e-5) ** -0.5
hpreact = diff * var_inv
dh = torch.randn(8, 3)
hpreact.backward(dh)
by_hand = var_inv / 8 * (8 * dh - dh.sum(0) - 8 / 7 * hpreact * (dh * hpreact).sum(0))
print(
    "close:",
    torch.allclose(by_hand, hprebn.grad, atol=1e-5),
    (by_hand - hprebn.grad).abs().max().item() < 1e-5,
)

for layer in layers:
    if isinstance(layer, BatchNorm1d):
        layer.training = False
x = inputs[:3]
for layer in layers:
    x = layer(x)
print(x)
