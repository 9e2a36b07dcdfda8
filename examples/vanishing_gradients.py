"""Shortcut connections keep the gradient of the first layers alive.

Look for: the ten gradient means of a published PyTorch example (seed 123), number for number from NumPy
alone; then how much of the difference between the two networks the shortcuts explain, and how much is
only a larger error; then what 40 layers do.

Expected
        without shortcuts: output 0.0610
        layers.0.0.weight has gradient mean of 0.000201736
        layers.1.0.weight has gradient mean of 0.000120112
        layers.2.0.weight has gradient mean of 0.000715204
        layers.3.0.weight has gradient mean of 0.00139887
        layers.4.0.weight has gradient mean of 0.00504965
        with shortcuts: output 0.7669
        layers.0.0.weight has gradient mean of 0.221698
        layers.1.0.weight has gradient mean of 0.206941
        layers.2.0.weight has gradient mean of 0.32897
        layers.3.0.weight has gradient mean of 0.266573
        layers.4.0.weight has gradient mean of 1.32585
        first layer, with : without = 1099; last layer 263; what is left to the shortcuts: 4.2
        after  1 layers: 0.4 without, 1 with shortcuts
        after 40 layers: 3e-22 without, 5e+02 with shortcuts
"""

# %% [markdown]
# # Why a deep network needs shortcuts
#
# Backward multiplies one Jacobian per layer: for y = f_n(... f_1(x)),
#
#     dx = J_1^T J_2^T ... J_n^T dy.
#
# If each factor shrinks what passes through it, n of them shrink it exponentially. A shortcut makes a
# layer x + f(x), whose factor is 1 + J^T: what comes back has one path along which nothing shrinks.
#
# The network is five layers of three units, the last one with a single output, each followed by GELU in
# its tanh form. A layer has a shortcut where input and output have the same shape, so the last has none.

# %%
import numpy as np
from pictures import BLUE, ORANGE, save, subplots

import minigrad
import nn


class DeepNetwork(nn.Module):
    """Linear layers with GELU; with `use_shortcut`, x + layer(x) wherever the shapes allow it."""

    def __init__(self, layer_sizes: list[int], use_shortcut: bool) -> None:
        self.use_shortcut = use_shortcut
        pairs = zip(layer_sizes[:-1], layer_sizes[1:])
        self.layers = nn.ModuleList(
            [nn.Sequential(nn.Linear(n_in, n_out), nn.GELU(approximate="tanh")) for n_in, n_out in pairs]
        )

    def forward(self, x: minigrad.Tensor) -> minigrad.Tensor:
        """Map x (B, layer_sizes[0]) to (B, layer_sizes[-1])."""
        for layer in self.layers:
            y = layer(x)
            x = x + y if self.use_shortcut and x.shape == y.shape else y
        return x


def gradient_means(use_shortcut: bool) -> tuple[dict[str, float], float]:
    """Return the mean |gradient| of each weight matrix, and the output."""
    minigrad.manual_seed(123)
    model = DeepNetwork([3, 3, 3, 3, 3, 1], use_shortcut)
    output = model(minigrad.tensor([[1.0, 0.0, -1.0]]))
    nn.MSELoss()(output, minigrad.tensor([[0.0]])).backward()
    weights = {name: p for name, p in model.named_parameters() if name.endswith("weight")}
    return {name: p.grad.abs().mean().item() for name, p in weights.items()}, output.item()


# %% [markdown]
# The seed is PyTorch's seed: the same weights are drawn, so the means are the published ones.

# %%
means, outputs = {}, {}
for kind, use_shortcut in (("without", False), ("with", True)):
    means[kind], outputs[kind] = gradient_means(use_shortcut)
    print(f"{kind} shortcuts: output {outputs[kind]:.4f}")
    for name, mean in means[kind].items():
        print(f"{name} has gradient mean of {mean:.6g}")

# %% [markdown]
# ## How much of it is the shortcuts' work
#
# The first layer's mean is a thousand times larger with shortcuts. It is tempting to credit them with
# all of it. But the *last* layer's mean is larger too, by 263, and that layer has no shortcut. Every
# gradient carries the factor dloss/doutput = 2 (output - 0), and with shortcuts the untrained output
# happens to lie farther from its target; the last layer's input is larger as well. What a gradient loses
# on its way is the first layer's mean *relative to the last's*: 1/25 without, 1/6 with shortcuts.

# %%
first, *_, last = means["with"]
gain_first, gain_last = (means["with"][name] / means["without"][name] for name in (first, last))
print(
    f"first layer, with : without = {gain_first:.0f}; last layer {gain_last:.0f}; "
    f"what is left to the shortcuts: {gain_first / gain_last:.1f}"
)

# %% [markdown]
# ## Deeper
#
# Five layers are too few to see it. Send a random gradient dy back through up to 40 layers of 16 units
# and compare lengths, |dx| / |dy|, in the median of 20 networks. Without shortcuts a layer passes on less
# than a third, and after 40 layers nothing is left to learn from. With them the path never closes. It widens:
# x + f(x) grows from layer to layer and so does the gradient, by a sixth each time. That is why a
# transformer normalises what enters each f; see `residual_connections.py`.

# %%
depths = [1, 2, 5, 10, 20, 40]


def gradient_length(depth: int, use_shortcut: bool, seed: int) -> float:
    """Return |dx| / |dy| of a network of `depth` layers."""
    minigrad.manual_seed(seed)
    model = DeepNetwork([16] * (depth + 1), use_shortcut)
    x = minigrad.randn(1, 16, requires_grad=True)
    dy = minigrad.randn(1, 16)
    model(x).backward(dy)
    return float(np.linalg.norm(x.grad) / np.linalg.norm(dy))


lengths = {
    kind: [np.median([gradient_length(n, kind == "with", seed) for seed in range(20)]) for n in depths]
    for kind in ("without", "with")
}
for depth, without, with_shortcuts in zip(depths, lengths["without"], lengths["with"]):
    print(f"after {depth:2} layers: {without:.1g} without, {with_shortcuts:.1g} with shortcuts")

# %%
figure, (left, right) = subplots(1, 2, title="Shortcuts keep the way back open")
for kind, colour, marker in (("without", ORANGE, "o"), ("with", BLUE, "s")):
    left.plot(range(1, 6), means[kind].values(), color=colour, marker=marker, label=f"{kind} shortcuts")
    right.plot(depths, lengths[kind], color=colour, marker=marker, label=f"{kind} shortcuts")
left.set(title="Five layers, seed 123", yscale="log", xticks=range(1, 6))
left.set(xlabel="layer (1 is next to the input)", ylabel="mean |dloss/dweight|")
right.set(title="Deeper: a gradient sent back", xlabel="layers it went through", ylabel="|dx| / |dy|")
right.set(yscale="log")
left.legend()
save(figure, "vanishing_gradients.png")

# %% [markdown]
# ## Try next
#
# - `nn.ReLU()` or `nn.Tanh()` in place of GELU: which lets the most through per layer?
# - Call `nn.init.kaiming_normal_(layer[0].weight)` on each layer: a good scale helps 10 layers, and 40?
# - Put an `nn.LayerNorm(16)` before each `nn.Linear` of the deep networks with shortcuts.
