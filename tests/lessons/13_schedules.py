"""Optimisers, and learning rates that change while they run."""

import math

import torch
from torch import optim
from torch.optim import lr_scheduler

target = torch.tensor([1.0, -2.0, 0.5])


def run(make, steps=6, **options):
    w = torch.nn.Parameter(torch.zeros(3))
    optimizer = make([w], **options)
    for _ in range(steps):
        optimizer.zero_grad()
        ((w - target) ** 2 * torch.tensor([1.0, 0.1, 5.0])).sum().backward()
        optimizer.step()
    return w


for make, options in [
    (optim.SGD, {"lr": 0.05}),
    (optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (optim.SGD, {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.1}),
    (optim.Adam, {"lr": 0.1}),
    (optim.Adam, {"lr": 0.1, "betas": (0.8, 0.9), "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1, "weight_decay": 0.5}),
    (optim.RMSprop, {"lr": 0.05, "alpha": 0.9}),
    (optim.Adagrad, {"lr": 0.3}),
]:
    print(f"{make.__name__:8s}", run(make, **options))


def rates(make, steps=8):
    optimizer = optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, out = make(optimizer), []
    for _ in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [f"{lr:.4f}" for lr in out], f"{scheduler.get_last_lr()[0]:.4f}"


print(rates(lambda o: lr_scheduler.StepLR(o, step_size=3, gamma=0.1)))
print(rates(lambda o: lr_scheduler.MultiStepLR(o, milestones=[2, 5], gamma=0.5)))
print(rates(lambda o: lr_scheduler.ExponentialLR(o, gamma=0.9)))
print(rates(lambda o: lr_scheduler.LambdaLR(o, lr_lambda=lambda epoch: 1 / (1 + epoch))))
print(rates(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=6, eta_min=0.1)))
print(rates(lambda o: lr_scheduler.LinearLR(o, start_factor=0.25, total_iters=4)))
print(rates(lambda o: lr_scheduler.OneCycleLR(o, max_lr=2.0, total_steps=9)))


def warmup_then_cosine(o):
    warmup = lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=3)
    cosine = lr_scheduler.CosineAnnealingLR(o, T_max=5)
    return lr_scheduler.SequentialLR(o, schedulers=[warmup, cosine], milestones=[3])


print(rates(warmup_then_cosine))
plateau_optimizer = optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
plateau = lr_scheduler.ReduceLROnPlateau(plateau_optimizer, patience=1, factor=0.5)
for value in (3.0, 2.0, 2.0, 2.0, 2.0):
    plateau.step(value)
    print(plateau_optimizer.param_groups[0]["lr"], end=" ")
print()


# By hand, as a training loop often has it.
def get_lr(it, warmup=4, total=12, peak=1e-2, floor=1e-3):
    if it < warmup:
        return peak * (it + 1) / (warmup + 1)
    ratio = (it - warmup) / (total - warmup)
    return floor + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (peak - floor)


w = torch.nn.Parameter(torch.zeros(3))
optimizer = optim.AdamW([w], lr=1.0, weight_decay=0.01)
for it in range(12):
    for group in optimizer.param_groups:
        group["lr"] = get_lr(it)
    loss = ((w - target) ** 2).sum()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
print(loss, w, w.grad)
print(optimizer.param_groups[0]["lr"], len(optimizer.state_dict()["state"]), optimizer.state[w]["step"])
print(optimizer)
