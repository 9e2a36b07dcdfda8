"""A classifier of points in the plane: log-probabilities, accuracy, early stopping, a learning curve."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(21)
n = 60
angle = torch.linspace(0, 2 * torch.pi, n)
rings = [torch.stack([r * torch.cos(angle), r * torch.sin(angle)], dim=1) for r in (1.0, 2.0, 3.0)]
X = torch.cat(rings) + 0.2 * torch.randn(3 * n, 2)
y = torch.arange(3).repeat_interleave(n)
order = torch.randperm(len(X))
X, y = X[order], y[order]
X_train, y_train, X_test, y_test = X[:120], y[:120], X[120:], y[120:]
print(X_train.shape, y_train.dtype, torch.bincount(y_train), y_train.unique())


class Classifier(nn.Module):
    def __init__(self, hidden=20, classes=3):
        super(Classifier, self).__init__()  # noqa: UP008  as older lessons have it
        self.fc1 = nn.Linear(2, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, classes)
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.dropout(F.relu(self.fc2(x)))
        return F.log_softmax(self.fc3(x), dim=1)


model = Classifier()
print(model)
for m in model.modules():
    if isinstance(m, nn.Linear):
        nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)
criterion = nn.NLLLoss()
optimizer = optim.Adam(model.parameters(), lr=0.01)
best, best_state, history = float("inf"), None, []
for epoch in range(60):
    model.train()
    permutation = torch.randperm(X_train.size(0))
    for i in range(0, X_train.size(0), 40):
        indices = permutation[i : i + 40]
        optimizer.zero_grad()
        loss = criterion(model(X_train[indices]), y_train[indices])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        output = model(X_test)
        test_loss = criterion(output, y_test).item()
        pred = output.max(1, keepdim=True)[1]
        correct = pred.eq(y_test.view_as(pred)).sum().item()
    history.append(test_loss)
    if test_loss < best:
        best, best_state = test_loss, copy.deepcopy(model.state_dict())
    if epoch % 15 == 0:
        print(f"epoch {epoch:3d} loss {loss.item():.4f} test {test_loss:.4f} right {correct}/{len(y_test)}")

model.load_state_dict(best_state)
with torch.no_grad():
    probabilities, predicted = torch.exp(model(X_test)).max(dim=1)
print(predicted[:10], y_test[:10], probabilities[:5])
confusion = torch.zeros(3, 3, dtype=torch.int64)
for t, p in zip(y_test, predicted):
    confusion[t.long(), p.long()] += 1
print(confusion, confusion.diag().sum().item() / confusion.sum().item())
print(f"Accuracy: {100 * (predicted == y_test).sum().item() / len(y_test):.1f}%", best == min(history))
per_class = {c: ((predicted == c) & (y_test == c)).sum().item() for c in range(3)}
print(per_class, torch.tensor(history).argmin() < 60)
flat = nn.utils.parameters_to_vector(model.parameters())
print(flat.shape, sum(p.numel() for p in model.parameters() if p.requires_grad))
