"""Saving and loading: a state dict, a checkpoint, and a training that goes on where it stopped."""

import os
import tempfile

import torch
from torch import nn, optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)

    def forward(self, x):
        return self.head(self.body(x))


torch.manual_seed(5)
model = Net()
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
print("Model's state_dict:")
for name in model.state_dict():
    print(name, "\t", model.state_dict()[name].size())
print("Optimizer's state_dict:")
for name in optimizer.state_dict():
    print(name, "\t", optimizer.state_dict()[name])

inputs, targets = torch.randn(8, 3), torch.randn(8, 2)


def train(model, optimizer, n):
    for _ in range(n):
        loss = nn.functional.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.steps += 1
    return loss.item()


print(f"{train(model, optimizer, 5):.6f}", model.steps)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.pt")
    torch.save(model.state_dict(), path)
    other = Net()
    print(other.load_state_dict(torch.load(path)))
    other.eval()
    print(torch.equal(model(inputs), other(inputs)), other.steps, other.training, model.training)

    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 5,
        "history": [0.5, 0.25],
        "config": {"name": "net", "bias": True, "sizes": (3, 4, 2), "note": None},
        "extra": torch.arange(3),
    }
    torch.save(checkpoint, os.path.join(folder, "checkpoint.pt"))
    again = torch.load(os.path.join(folder, "checkpoint.pt"), map_location="cpu", weights_only=True)
    print(again["epoch"], again["history"], again["config"], again["extra"], list(again))
    resumed = Net()
    resumed.load_state_dict(again["model"])
    resumed_optimizer = optim.SGD(resumed.parameters(), lr=0.5, momentum=0.1)
    resumed_optimizer.load_state_dict(again["optimizer"])
    print(resumed_optimizer.param_groups[0]["lr"], resumed_optimizer.param_groups[0]["momentum"])
print(train(model, optimizer, 5) == train(resumed, resumed_optimizer, 5), resumed.steps)

state = model.state_dict()
del state["head.bias"]
state["tail.bias"] = torch.zeros(2)
try:
    model.load_state_dict(state)
except RuntimeError as error:
    print("refused:", "head.bias" in str(error), "tail.bias" in str(error))
result = model.load_state_dict(state, strict=False)
print(result.missing_keys, result.unexpected_keys)
with torch.no_grad():
    model.head.weight.copy_(torch.ones(2, 4))
    model.head.bias[0] = 3.0
print(model.head.weight, model.head.bias[0].item(), model.head.weight.data.sum())
for p in model.body.parameters():
    p.requires_grad = False
print([name for name, p in model.named_parameters() if p.requires_grad])
print([type(m).__name__ for m in model.modules()], [name for name, _ in model.named_children()])
