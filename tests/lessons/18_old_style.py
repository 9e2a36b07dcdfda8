"""As older lessons have it: typed constructors, Variable, a Function of one's own, and steps by hand."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable

print(torch.Tensor([1, 2, 3]), torch.FloatTensor([[1, 2], [3, 4]]), torch.LongTensor([5, 6]))
print(
    torch.Tensor(2, 3).zero_(), torch.Tensor(2, 3).size(), torch.ByteTensor([0, 1]), torch.DoubleTensor([1])
)
print(torch.Tensor([1]).type(), torch.LongTensor([1]).type(), torch.Tensor([1.7]).type(torch.LongTensor))
print(
    torch.Tensor([0.5]).double(),
    torch.tensor([1]).float(),
    torch.tensor([2.5]).long(),
    torch.tensor([1]).byte(),
)

x_data = Variable(torch.Tensor([[1.0], [2.0], [3.0]]))
y_data = Variable(torch.Tensor([[2.0], [4.0], [6.0]]))
w = Variable(torch.Tensor([1.0]), requires_grad=True)


def forward(x):
    return x * w


print("predict (before training)", 4, forward(torch.Tensor([4]))[0].item())
for epoch in range(3):
    for x_val, y_val in zip(x_data, y_data):
        loss = (forward(x_val) - y_val).pow(2).sum()
        loss.backward()
        print("\tgrad:", x_val.item(), y_val.item(), w.grad[0].item())
        w.data = w.data - 0.01 * w.grad.data
        w.grad.data.zero_()
    print("progress:", epoch, loss.data.item(), loss.data.numpy())
print("predict (after training)", 4, forward(4).data[0])


class Model(torch.nn.Module):
    def __init__(self):
        super(Model, self).__init__()  # noqa: UP008
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x):
        return F.sigmoid(self.linear(x))


torch.manual_seed(1)
model = Model()
criterion = torch.nn.BCELoss(reduction="mean")
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
hours, passed = torch.Tensor([[1.0], [2.0], [3.0], [4.0]]), torch.Tensor([[0.0], [0.0], [1.0], [1.0]])
for _ in range(40):
    loss = criterion(model(hours), passed)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"Epoch 40 | loss: {loss.item():.4f}", model(torch.Tensor([[7.0]])).item() > 0.5)
print(model(hours).data.numpy().round(2).tolist(), (model(hours) > 0.5).view(-1))


class LegendrePolynomial3(torch.autograd.Function):
    """A function and its derivative, both written out."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 0.5 * (5 * x**3 - 3 * x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * x**2 - 1)


t = torch.tensor([0.5, -1.0], requires_grad=True)
p3 = LegendrePolynomial3.apply
p3(t).sum().backward()
print(p3(t).detach(), t.grad)

# Two layers and ReLU, backwards by hand.
N, D_in, H, D_out = 8, 10, 6, 2
x, y = torch.randn(N, D_in), torch.randn(N, D_out)
w1, w2 = torch.randn(D_in, H), torch.randn(H, D_out)
for step in range(61):
    h = x.mm(w1)
    h_relu = h.clamp(min=0)
    y_pred = h_relu.mm(w2)
    loss = (y_pred - y).pow(2).sum().item()
    if step % 20 == 0:
        print(step, f"{loss:.4f}")
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.t().mm(grad_y_pred)
    grad_h = grad_y_pred.mm(w2.t())
    grad_h[h < 0] = 0
    w1 -= 1e-3 * x.t().mm(grad_h)
    w2 -= 1e-3 * grad_w2

np_data = np.arange(6).reshape((2, 3))
torch_data = torch.from_numpy(np_data)
print("numpy:", np_data.tolist(), "torch:", torch_data, "back:", torch_data.numpy().tolist())
print(np.abs([-1, -2]).tolist(), torch.abs(torch.FloatTensor([-1, -2])), torch.sin(torch.FloatTensor([0, 1])))
np_data += 1
print(torch_data, np.shares_memory(torch_data.numpy(), np_data), np.sum(torch_data.numpy()))
x = Variable(torch.linspace(-1, 1, 5), requires_grad=True)
(x * x).mean().backward()
print(x.grad, x.data, x.data.numpy(), nn.Softmax(dim=0)(x).data, x.size()[0], list(x.size()), x.dim())
