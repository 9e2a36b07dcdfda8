"""A run of training written by hand in PyTorch, from the settings alone: nanoGPT's train.py and its random numbers.

Of ours it takes nothing but the masks of dropout, which PyTorch has not.
"""

import math
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from torch.nn import functional as F

from minigrad.random import Keyed
from tests.support.twin import Twin


class ByHand:
    """A run in float64: `train(steps)` makes its steps up to this many; `config` may be replaced in between.

    How many workers ours has is nothing to it.
    """

    def __init__(self, config, sizes):
        text = Path(config.data).read_text(encoding="utf-8")
        self.config, self.block_size, self.characters = config, sizes["block_size"], sorted(set(text))
        if config.tokenizer == "bytes":
            self.characters = [chr(i) for i in range(256)]  # the texts are ASCII
        ids = torch.tensor([self.characters.index(c) for c in text])
        cut = len(ids) * 9 // 10
        self.splits = {"train": ids[:cut], "val": ids[cut:]}
        torch.manual_seed(config.seed)
        self.twin = Twin(SimpleNamespace(vocab_size=len(self.characters), **sizes)).double()
        self.batch_state = torch.get_rng_state()  # batches go on where the weights ended
        self.optimizer = self.twin.optimizer(1.0, (0.5, 0.5), 0.0)  # settings of its own at every step
        self.losses, self.evaluations = [], []

    def train(self, steps):
        if not self.evaluations:
            self.evaluate()
        while len(self.losses) < steps:
            self.losses.append(self.step())
            if len(self.losses) % self.config.eval_interval == 0 or len(self.losses) == self.config.max_iters:
                self.evaluate()
        return self

    def step(self):
        c, self.optimizer.param_groups[0]["weight_decay"] = self.config, self.config.weight_decay
        for group in self.optimizer.param_groups:
            group["lr"], group["betas"] = self.rate(len(self.losses)), (c.beta1, c.beta2)
        torch.set_rng_state(self.batch_state)
        batches = [self.batch("train", torch.default_generator) for _ in range(c.gradient_accumulation_steps)]
        self.batch_state = torch.get_rng_state()
        total, self.twin = 0.0, self.twin.train()
        for number, (x, y) in enumerate(batches):
            with dropout_from(Keyed(c.seed).at(len(self.losses), number, 0, len(x), len(x))):
                loss = self.twin(x, y)[1] / len(batches)
            loss.backward()
            total += loss.item()
        if c.grad_clip:
            torch.nn.utils.clip_grad_norm_(self.twin.parameters(), c.grad_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total

    def rate(self, step):
        c = self.config
        last = c.learning_rate / 10 if c.min_lr is None else c.min_lr
        end = c.max_iters if c.lr_decay_iters is None else c.lr_decay_iters
        if step < c.warmup_iters:
            return c.learning_rate * (step + 1) / (c.warmup_iters + 1)
        done = 1.0 if step >= end else (step - c.warmup_iters) / (end - c.warmup_iters)
        return last + (c.learning_rate - last) * (1 + math.cos(math.pi * done)) / 2

    def batch(self, split, generator):
        ids, n = self.splits[split], self.block_size
        starts = torch.randint(len(ids) - n, (self.config.batch_size,), generator=generator)
        x, y = (torch.stack([ids[i + shift : i + shift + n] for i in starts]) for shift in (0, 1))
        return x, y

    @torch.no_grad()
    def evaluate(self):
        means, self.twin = [], self.twin.eval()
        for split in ("train", "val"):
            rng = torch.Generator().manual_seed(self.config.seed)
            losses = [self.twin(*self.batch(split, rng))[1].item() for _ in range(self.config.eval_iters)]
            means.append(sum(losses) / len(losses))
        self.evaluations.append((len(self.losses), *means))

    def sample(self, length):
        torch.manual_seed(self.config.seed)
        start = torch.tensor([[self.characters.index("\n")]])
        ids = self.twin.eval().generate(start, length, temperature=0.8)[0, 1:]
        text = "".join(self.characters[i] for i in ids)
        return text.encode("latin-1").decode("utf-8", "replace") if self.config.tokenizer == "bytes" else text


@contextmanager
def dropout_from(masks):
    """Inside, PyTorch's dropout keeps what `masks.keep_mask` keeps, in attention too."""

    def dropout(x, p=0.5, training=True, inplace=False):
        return x * torch.from_numpy(masks.keep_mask(p, tuple(x.shape))) / (1 - p) if training and p else x

    def attention(q, k, v, dropout_p, is_causal):
        future = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).triu(1)
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(future, -math.inf)
        return dropout(scores.softmax(-1), dropout_p) @ v

    with (
        mock.patch.object(F, "dropout", dropout),
        mock.patch.object(F, "scaled_dot_product_attention", attention),
    ):
        yield
