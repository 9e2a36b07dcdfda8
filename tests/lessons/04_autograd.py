"""Autograd: a graph that is written down forwards and read backwards."""

import torch

a = torch.tensor(2.0, requires_grad=True)
b = torch.tensor([1.0, -3.0], requires_grad=True)
print(a, b, a.requires_grad, a.is_leaf, a.grad)
c = a * b + b**2
print(c)
d = c.relu().sum()
print(d, d.is_leaf)
d.backward()
print(a.grad, b.grad, b.grad.shape, b.grad.abs().mean().item())

# A second backward adds to the first; zero it, or take it away.
(a * 10).backward()
print(a.grad)
a.grad.zero_()
print(a.grad)
a.grad = None
print(a.grad is None)

# A neuron by hand and by autograd.
x, w = torch.tensor([0.5, -1.5, 2.0]), torch.tensor([0.3, 0.1, -0.4], requires_grad=True)
bias = torch.tensor(0.2, requires_grad=True)
o = torch.tanh(w @ x + bias)
o.backward()
slope = 1 - o.data**2
print(o, w.grad, torch.allclose(w.grad, slope * x), torch.allclose(bias.grad, slope))

# Gradient descent on a parabola.
p = torch.tensor([4.0, -2.0], requires_grad=True)
for step in range(5):
    loss = ((p - torch.tensor([1.0, 1.0])) ** 2).sum()
    loss.backward()
    with torch.no_grad():
        p -= 0.25 * p.grad
    p.grad.zero_()
    print(step, f"{loss.item():.4f}", p)

with torch.no_grad():
    print((p * 2).requires_grad, p.requires_grad)
print((p * 2).detach(), p.detach().requires_grad)
q = torch.ones(2)
q.requires_grad_(True)
print(q, (q * 3).sum())

# Inner values keep theirs if asked to.
inner = q * 4
inner.retain_grad()
(inner * inner).sum().backward(retain_graph=True)
print(inner.grad, q.grad)
(grad,) = torch.autograd.grad((q**3).sum(), q)
print(grad)
weights = torch.tensor([1.0, 10.0])
q.grad = None
(q * q).backward(weights)
print(q.grad)

tensors = [torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True)]
both = torch.cat(tensors).view(2, 2)
both.mean(dim=0).pow(2).sum().backward()
print(both, [t.grad for t in tensors])
print(both.exp(), both.mean(), both[0], both.T, both.unsqueeze(0), both @ both, -both, both / 3, both - 1)
