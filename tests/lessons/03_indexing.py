"""Indexing: reading, writing, and whose memory is written to."""

import torch

x = torch.arange(20).view(4, 5)
print(x[1], x[1, 2], x[-1, -1])
print(x[1:3, ::2])
print(x[:, 1], x[..., -1], x[:, None].shape, x[None].shape)
print(x[[0, 2]], x[[0, 2], [1, 3]])
rows = torch.tensor([3, 0, 3])
print(x[rows])
print(x[torch.arange(4), torch.tensor([0, 1, 2, 3])])
print(x[x % 7 == 0], x[x.sum(1) > 40])
print(torch.nonzero(x > 16), x.nonzero().shape)

# Reading rows of a table is all that an embedding does.
table = torch.linspace(0, 1, 8).view(4, 2)
ids = torch.tensor([[0, 3], [2, 2]])
print(table[ids].shape)
print(table[ids])
print(table.gather(1, torch.tensor([[0], [1], [1], [0]])))

# Writing: `b = x` is the same tensor, a slice is the same memory, an index list is a copy.
b = x
b += 100
print(x[0])
window = x[:2, :2]
window *= 0
print(x)
chosen = x[[2, 3]]
chosen[:] = -1
print(x[2], chosen[0])
x[3] = 7
x[:, 4] = torch.tensor([1, 2, 3, 4])
x[x == 7] = 0
x[0, 0] += 5
print(x)

scores = torch.tensor([[0.5, 2.0, 1.0], [3.0, 0.1, 0.2]])
best, _ = torch.topk(scores, 2)
scores[scores < best[:, [-1]]] = -float("inf")
print(scores, scores.softmax(dim=-1))
mask = torch.tril(torch.ones(4, 4))
print(mask)
print(torch.zeros(4, 4).masked_fill(mask == 0, float("-inf")))
print(torch.triu(torch.ones(3, 3, dtype=torch.bool), diagonal=1))

y = torch.zeros(3)
y.add_(2).mul_(3).sub_(1)
y[1:].zero_()
print(y, y.clone().uniform_(1, 1 + 1e-9))
z = torch.zeros(2, 3)
z.scatter_(1, torch.tensor([[2], [0]]), 1.0)
print(z, z.index_select(1, torch.tensor([0, 2])))
z.copy_(torch.arange(3))
print(z, z.expand(2, 3).shape, torch.zeros(1, 3).expand(4, -1).shape)
print(z.repeat(2, 2), z[0].repeat_interleave(2), z[0].roll(1), z[0].flip(0))
print(z.unsqueeze(0).shape, z.view(2, 1, 3).squeeze(1).shape, z.permute(1, 0).shape, z.flatten().shape)
print(torch.diag(torch.tensor([1, 2, 3])), torch.arange(9).view(3, 3).diagonal())
print([row.tolist() for row in z], [int(v) for v in z[0]], z[0, 2].item() in {2.0})
