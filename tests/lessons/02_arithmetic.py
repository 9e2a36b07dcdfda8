"""Arithmetic: which type results, which shapes fit together, and what is reduced over what."""

import torch

a = torch.arange(6).view(2, 3)
b = torch.tensor([10.0, 20.0, 30.0])
print(a + b)
print(a * 2, (a * 2).dtype)
print(a / 2, a // 4, a % 4, -a)
print(a**2, 2**a, 1 - a)
print((a + True).dtype, (a + 1.5).dtype, (b.double() + b).dtype, (a.int() + a).dtype)
print(torch.tensor([1, 2], dtype=torch.uint8) + torch.tensor([1, 2], dtype=torch.int8))

column, row = torch.arange(3).unsqueeze(1), torch.arange(4).unsqueeze(0)
print(column * 10 + row)
print((column + row).shape, torch.broadcast_shapes((3, 1), (1, 4)))
try:
    torch.ones(2, 3) + torch.ones(2, 4)
except RuntimeError as error:
    print("does not fit:", type(error).__name__)

print(a > 2, (a == 3).sum(), (a > 2).float().mean())
print((a > 0) & (a < 4), ~(a > 2), (a > 4) | (a < 1))
print(torch.where(a > 2, a, -a))

x = torch.tensor([[3.0, 1.0, 2.0], [-1.0, 5.0, 0.0]])
print(x.sum(), x.sum(0), x.sum(dim=1, keepdim=True), x.mean(), x.mean(dim=0))
print(x.max(), x.min(), x.argmax(), x.argmax(dim=1), x.argmax(-1, keepdim=True))
values, indices = x.max(dim=1)
print(values, indices)
print(torch.max(x, dim=0))
print(x.std(), x.var(0), x.var(1, unbiased=False), x.prod(dim=1))
print(x.cumsum(dim=1), x.norm(), x.abs().sqrt(), x.pow(3))
print(torch.sort(x, dim=1))
print(torch.topk(x, 2))
print(x.sort(dim=1, descending=True)[1], torch.argsort(x[1]))
print((x > 0).any(), (x > -9).all(), (x > 0).any(dim=1), torch.allclose(x, x + 1e-9))

print(x @ x.T)
print(torch.matmul(x, torch.ones(3)), x.mm(torch.eye(3)), torch.dot(x[0], x[1]))
print(torch.einsum("ij,kj->ik", x, x))
batch = torch.arange(12.0).view(2, 2, 3)
print((batch @ batch.transpose(1, 2)).shape, (batch @ batch.transpose(-2, -1))[1])
print(torch.cat([x, x], dim=0).shape, torch.stack([x, x], dim=1).shape, torch.cat((x, x[:, :1]), 1))
print(x.chunk(3, dim=1)[2], x.split(2, dim=1)[1], x.clamp(0, 2), x.clamp(min=0.5))
print(torch.exp(x), torch.log(x.abs() + 1), torch.sigmoid(x), torch.tanh(x), torch.relu(x))
print(torch.outer(torch.arange(3), torch.arange(3)), torch.round(torch.tensor([0.5, 1.5, -2.7])))
