"""Tensors: how they are made, what they hold, and how they look when printed."""

import math

import torch

print(torch.tensor([1, 2, 3]))
print(torch.tensor([1.0, 2.5, -3.0]))
print(torch.tensor([[True, False], [False, True]]))
print(torch.tensor(7), torch.tensor(2.5), torch.tensor(False))
print(torch.tensor([1, 2, 3], dtype=torch.float32))
print(torch.tensor([1.9, -1.9]).int(), torch.tensor([0.0, 2.0]).bool())

x = torch.arange(12)
print(x, x.dtype, x.shape, x.ndim, x.numel())
print(x.view(3, 4))
print(x.reshape(2, 2, 3).size(), x.reshape(2, 2, 3).size(-1), len(x.view(3, 4)))
print(torch.zeros(2, 3))
print(torch.ones(2, 3, dtype=torch.int64))
print(torch.full((2, 2), 0.125))
print(torch.eye(3))
print(torch.linspace(0, 1, 5))
print(torch.arange(0.0, 1.0, 0.25))
print(torch.zeros_like(x), torch.ones_like(x.float()), torch.empty(0))

# One tensor has one number of digits, one width, and for a wide range the scientific form.
print(torch.tensor([0.001, 1.0, 1000.0]))
print(torch.tensor([1e-6, 1.0, 123456.0]))
print(torch.tensor([1.0, 2.0, 1e9]))
print(torch.tensor([float("nan"), float("inf"), -1.0]))
print(torch.tensor([[1.5, math.pi], [-100.0, 0.0]], dtype=torch.float64))
print(torch.arange(30) * 1000)
print(torch.arange(2000.0))
print(torch.arange(24.0).view(2, 3, 4) / 7)

print("A number inside a string:", f"{torch.tensor(3.14159):.2f}", f"{torch.tensor([2.0]).item():5.1f}")
print("A tensor inside a string:", f"{torch.tensor([0.1, 0.2])}")
print(torch.tensor([[1, 2], [3, 4]]).tolist(), torch.tensor(0.1).item(), repr(torch.tensor([0.5])))
print(torch.Size([2, 3]), x.view(3, 4).shape[0], tuple(x.view(3, 4).shape))

# One storage, two views of it.
row = x.view(3, 4)[1]
row[0] = 99
print(x)
print(x.view(3, 4).t())
print(x.view(3, 4).T.is_contiguous(), x.view(3, 4).T.contiguous().view(-1)[:5])
array = x.numpy()
array[1] = -1
print(x[:3], type(array).__name__, torch.from_numpy(array)[-2:])
print(x.clone().fill_(5)[:2], x[:2])
