"""A Dataset, a DataLoader, and a small network that learns a curve."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

torch.manual_seed(0)


class Curve(Dataset):
    def __init__(self, n):
        self.x = torch.linspace(-1, 1, n).unsqueeze(1)
        self.y = self.x.pow(2) + 0.1 * torch.randn(self.x.size())

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


dataset = Curve(100)
print(len(dataset), dataset[3])
train_set, test_set = random_split(dataset, [80, 20])
print(len(train_set), len(test_set), [test_set[i][0].item() for i in range(2)])
loader = DataLoader(train_set, batch_size=32, shuffle=True)
for x, y in loader:
    print(x.shape, y.shape, x[:2].flatten())
print(len(loader), len(DataLoader(train_set, batch_size=32, drop_last=True)))

net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
print(net)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
for epoch in range(10):
    running = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item() * x.size(0)
    print(f"epoch {epoch + 1:2d}: {running / len(train_set):.5f}")
with torch.no_grad():
    x, y = next(iter(DataLoader(test_set, batch_size=20)))
    print("test loss:", criterion(net(x), y))
for name, param in net.named_parameters():
    print(name, tuple(param.shape), param.requires_grad)
print(net[0].weight.flatten()[:4], net[-1].bias)

# What a loader gives follows from what an item is.
pairs = TensorDataset(torch.arange(6), torch.arange(6.0) / 2)
for i, (number, half) in enumerate(DataLoader(pairs, batch_size=4)):
    print(i, number, half)
records = [{"id": i, "name": f"n{i}", "value": i / 4} for i in range(3)]
print(next(iter(DataLoader(records, batch_size=3))))
print(list(DataLoader(range(5), batch_size=2)))


def collate(batch):
    longest = max(len(item) for item in batch)
    return torch.stack([torch.cat([item, torch.zeros(longest - len(item))]) for item in batch])


lines = [torch.ones(n) for n in (3, 1, 2)]
print(next(iter(DataLoader(lines, batch_size=3, collate_fn=collate))))
padded = nn.utils.rnn.pad_sequence(lines, batch_first=True)
print(padded, torch.equal(padded, collate(lines)))
order = torch.randperm(5)
print(order, [int(i) for i in DataLoader(range(5), shuffle=True, generator=torch.Generator().manual_seed(1))])
