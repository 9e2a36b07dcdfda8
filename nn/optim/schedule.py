"""The learning rate, step by step."""

import math


def warmup_cosine(step: int, *, lr: float, min_lr: float, warmup_iters: int, lr_decay_iters: int) -> float:
    """Return the learning rate at `step`: a linear rise over warmup_iters, then half a cosine down to min_lr.

    Units     step counts from 0
    Source    nanoGPT, train.py, `get_lr`; Loshchilov and Hutter 2017, arXiv:1608.03983
    """
    if step < warmup_iters:
        return lr * (step + 1) / (warmup_iters + 1)
    if step > lr_decay_iters or lr_decay_iters <= warmup_iters:
        return min_lr
    progress = (step - warmup_iters) / (lr_decay_iters - warmup_iters)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * progress)) * (lr - min_lr)
