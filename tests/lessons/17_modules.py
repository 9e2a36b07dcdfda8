"""Modules: how they print, what they hold, and how they are walked, shared, frozen and hooked."""

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, width, use_shortcut=True):
        super().__init__()
        self.use_shortcut = use_shortcut
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in range(3)])
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        for layer in self.layers:
            out = layer(x)
            x = x + out if self.use_shortcut and x.shape == out.shape else out
        return x * self.scale


class Zoo(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4, padding_idx=0)
        self.norms = nn.ModuleDict({"layer": nn.LayerNorm(4, eps=1e-6), "batch": nn.BatchNorm1d(4)})
        self.gains = nn.ParameterList([nn.Parameter(torch.tensor([float(i)])) for i in range(2)])
        self.residual = Residual(4)
        self.out = nn.Linear(4, 10, bias=False)
        self.out.weight = self.embedding.weight
        self.register_buffer("offset", torch.arange(3))

    def forward(self, ids):
        x = self.embedding(ids)
        x = self.norms["layer"](x) * self.gains[1]
        return self.out(self.residual(x))


torch.manual_seed(123)
zoo = Zoo()
print(zoo)
print(nn.Linear(2, 3, bias=False), nn.Dropout(), nn.LayerNorm((2, 3)), nn.RMSNorm(4), nn.CrossEntropyLoss())
print(nn.Sequential(), nn.ModuleList(), nn.Softmax(dim=-1), nn.MultiheadAttention(4, 2), nn.Tanh())
for name, p in zoo.named_parameters():
    print(f"{name:32s}{str(tuple(p.shape)):12s}{p.numel():4d}")
print(len(list(zoo.parameters())), [name for name, _ in zoo.named_buffers()], list(zoo.norms.keys()))
print(zoo.embedding.weight is zoo.out.weight, zoo.embedding.weight[:2], zoo.gains[0])
print("norms.layer" in dict(zoo.named_modules()), zoo.get_submodule("residual.layers.1"))
print(isinstance(zoo.residual.layers[0][1], nn.GELU), len(zoo.residual.layers), zoo.residual.layers[-1])
print([k for k in zoo.state_dict() if k.startswith("norms")], zoo.state_dict()["offset"])

ids = torch.tensor([[1, 2, 0], [3, 1, 9]])
out = zoo(ids)
print(out.shape, out.mean())
out.logsumexp(-1).mean().backward()
for name, p in zoo.named_parameters():
    print(name, None if p.grad is None else f"{p.grad.abs().mean().item():.6f}")
zoo.zero_grad()
print({name: p.grad for name, p in zoo.named_parameters() if name.startswith("gains")})

seen = []
handle = zoo.residual.register_forward_hook(lambda module, args, output: seen.append(output.shape))
zoo(ids)
handle.remove()
zoo(ids)
print(seen)
handle = zoo.out.weight.register_hook(lambda grad: grad * 0)
zoo(ids).sum().backward()
print(zoo.out.weight.grad.abs().sum(), zoo.residual.scale.grad.abs() > 0)
handle.remove()

zoo.requires_grad_(False)
zoo.out.weight.requires_grad = True
print([name for name, p in zoo.named_parameters() if p.requires_grad])
zoo.double()
print(zoo.residual.scale.dtype, zoo.offset.dtype, next(zoo.parameters()).dtype)
zoo.float().eval()
print(zoo.training, zoo.norms["batch"].training, zoo.train().training)
zoo.residual.layers.append(nn.Linear(4, 4))
zoo.residual.layers[0] = nn.Identity()
print(zoo.residual)
net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
net.add_module("last", nn.Linear(2, 1))
print(net, net[:2], len(net))
net.apply(lambda m: nn.init.ones_(m.weight) if isinstance(m, nn.Linear) else None)
print(net[0].weight, list(net.children())[1])
for p in net.parameters():
    nn.init.normal_(p, mean=0.0, std=0.02)
print(net.last.weight, net.last.bias)
