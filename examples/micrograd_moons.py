"""micrograd on arrays: the expression of its README, and its two-moons classifier.

Look for: the four digits that the scalar engine prints, and a boundary that bends between the moons. The
net is micrograd's too, but each node of its graph holds an array of 100 x 16 numbers instead of one.

Expected
        g = 24.7041
        dg/da = 138.8338
        dg/db = 645.5773
        move a by h: g moves by 138.83 h
        337 parameters, 100 points
        step  0: loss 1.016, accuracy 56%
        step 99: loss 0.015, accuracy 100%
"""

# %% [markdown]
# # micrograd, on arrays
#
# Andrej Karpathy's micrograd differentiates expressions of single numbers in a hundred lines. The engine
# here works alike: each result remembers its inputs and how to send a gradient back to them. This is the
# example of micrograd's README, with 0-d arrays for its values, and its three results.

# %%
import numpy as np
from pictures import BLUE, ORANGE, save, subplots

import minigrad
import nn

a = minigrad.tensor(-4.0, dtype=np.float64, requires_grad=True)
b = minigrad.tensor(2.0, dtype=np.float64, requires_grad=True)
c = a + b
d = a * b + b**3
c += c + 1
c += 1 + c + (-a)
d += d * 2 + (b + a).relu()
d += 3 * d + (b - a).relu()
e = c - d
f = e**2
g = f / 2.0
g += 10.0 / f
g.backward()
print(f"g = {g.item():.4f}")
print(f"dg/da = {a.grad:.4f}")
print(f"dg/db = {b.grad:.4f}")

# %% [markdown]
# `dg/da` is a promise about a small step: move a by h, and g moves by 138.83 h.

# %%
h = 1e-6


def expression(a: float, b: float) -> float:
    """Return g, written out."""
    c, d = a + b, a * b + b**3
    c = 2 * c + 1
    c = 1 + 2 * c - a
    d = 3 * d + max(b + a, 0)
    d = 4 * d + max(b - a, 0)
    return (c - d) ** 2 / 2 + 10 / (c - d) ** 2


for name, moved in (("a", expression(-4 + h, 2)), ("b", expression(-4, 2 + h))):
    print(f"move {name} by h: g moves by {(moved - expression(-4, 2)) / h:.2f} h")

# %% [markdown]
# ## Two moons
#
# Two half circles, one pushed into the other, and some noise: no straight line separates them.


# %%
def make_moons(n: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return n points (n, 2) and their classes, +1 for the upper moon and -1 for the lower."""
    angle = np.linspace(0, np.pi, n // 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.concatenate([upper, lower]) + minigrad.normal(0.0, noise, (n, 2), dtype=np.float64).array
    return points, np.repeat([1.0, -1.0], n // 2)


minigrad.manual_seed(1337)
points, classes = make_moons(100, noise=0.1)
model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)).double()
for layer in model[::2]:
    nn.init.uniform_(layer.weight, -1.0, 1.0)  # as in micrograd
    nn.init.zeros_(layer.bias)
print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(points)} points")

# %% [markdown]
# The loss is micrograd's: a hinge that asks for a score of at least 1 on the right side, plus a small
# price on large weights, minimised by plain gradient descent with a falling rate:
#
#     loss = mean relu(1 - class * score) + 1e-4 sum w^2,   w = w - lr dw,   lr = 1 - 0.9 step / 100

# %%
optimizer = nn.optim.SGD(model.parameters(), lr=1.0)
losses, accuracies = [], []
for step in range(100):
    scores = model(minigrad.as_tensor(points)).squeeze(1)  # (100,)
    hinge = (1 - scores * classes).relu().mean()
    loss = hinge + 1e-4 * sum((p * p).sum() for p in model.parameters())
    optimizer.zero_grad()
    loss.backward()
    optimizer.param_groups[0]["lr"] = 1.0 - 0.9 * step / 100
    optimizer.step()
    losses.append(loss.item())
    accuracies.append(float(((scores.array > 0) == (classes > 0)).mean()))
    if step in (0, 1, 10, 99):
        print(f"step {step:2}: loss {losses[-1]:.3f}, accuracy {accuracies[-1]:.0%}")

# %%
x = np.linspace(points[:, 0].min() - 0.5, points[:, 0].max() + 0.5, 150)
y = np.linspace(points[:, 1].min() - 0.5, points[:, 1].max() + 0.5, 150)
grid = np.stack(np.meshgrid(x, y), axis=-1)  # (150, 150, 2)
with minigrad.no_grad():
    landscape = model(minigrad.as_tensor(grid)).array[..., 0]

figure, (left, right) = subplots(1, 2, title="Two moons, separated by 337 parameters", size=(11, 4.4))
limit = int(np.abs(landscape).max()) + 1
levels = np.arange(-limit, limit + 1)
filled = left.contourf(x, y, landscape, levels=levels, cmap="RdBu_r")
left.contour(x, y, landscape, levels=[0.0], colors="black", linewidths=2)
for kind, colour, marker in ((1.0, ORANGE, "o"), (-1.0, BLUE, "s")):
    chosen = points[classes == kind]
    left.scatter(*chosen.T, color=colour, marker=marker, edgecolor="white", label=f"class {kind:+.0f}")
left.set(title="Score, and where it is 0 (black line)", xlabel="x", ylabel="y")
left.legend()
figure.colorbar(filled, ax=left, label="score")
right.plot(losses, color=BLUE, label="loss")
right.plot(1 - np.array(accuracies), color=ORANGE, linestyle="--", label="share of wrong points")
right.set(title="Training", xlabel="step", ylabel="loss, share of wrong points", ylim=(0, None))
right.legend()
save(figure, "micrograd_moons.png")

# %% [markdown]
# ## Try next
#
# - Take the ReLUs out of the net: how many points stay on the wrong side of a straight line?
# - `noise=0.3`: what do 337 parameters do with points that cannot be separated? What with 1e-2 for 1e-4?
# - Replace the hinge by `nn.functional.cross_entropy` on two outputs, and the line by its probability 1/2.
