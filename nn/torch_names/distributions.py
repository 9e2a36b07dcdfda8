"""torch.distributions: the two that lessons on decisions draw from."""

import math
from typing import Any

import numpy as np

from minigrad.creation import as_tensor, multinomial, normal
from minigrad.errors import value_error
from minigrad.functions import log
from minigrad.methods import values_of
from minigrad.tensor import Tensor, wrap
from nn.functional import log_softmax, softmax


class Categorical:
    """Numbers 0..K-1, with probabilities in proportion to `probs`, or to e to the power of `logits`.

    Shapes    probs, logits (..., K)
    Raises    ValueError unless one of them is given.
    """

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None) -> None:
        if (probs is None) == (logits is None):
            raise value_error("Categorical", "probs or logits", "both" if probs is not None else "none")
        if logits is None:
            self.probs = probs / probs.sum(-1, True)
            tiny = float(np.finfo(values_of(probs).dtype).eps)
            self.logits = log(self.probs.clip(tiny, 1 - tiny))  # as PyTorch: no logarithm of 0
        else:
            self.logits = log_softmax(logits, -1)
            self.probs = softmax(logits, -1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw numbers (*sample_shape, ...)."""
        *batch, classes = self.probs.shape
        rows, count = self.probs.detach().reshape(-1, classes), math.prod(sample_shape)
        drawn = multinomial(rows, count, True)
        return wrap(np.ascontiguousarray(values_of(drawn).T)).reshape((*sample_shape, *batch))

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the probability of each number."""
        ids = as_tensor(value).long()
        shape = np.broadcast_shapes(tuple(ids.shape), tuple(self.logits.shape[:-1]))
        return self.logits.expand(*shape, -1).gather(-1, ids.expand(*shape).unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """-sum p log p.

        Units     nats
        """
        return -(self.logits.clip(min=float(np.finfo(values_of(self.logits).dtype).min)) * self.probs).sum(-1)


class Normal:
    """The normal distribution about `loc`, of standard deviation `scale`."""

    def __init__(self, loc: Any, scale: Any, validate_args: Any = None) -> None:
        self.loc, self.scale = as_tensor(loc), as_tensor(scale)

    def _noise(self, sample_shape: Any) -> Tensor:
        shape = np.broadcast_shapes(tuple(self.loc.shape), tuple(self.scale.shape))
        return normal(0.0, 1.0, (*sample_shape, *shape))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw numbers without a history."""
        return (self.loc + self._noise(sample_shape) * self.scale).detach()

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw numbers whose gradient goes to loc and scale."""
        return self.loc + self._noise(sample_shape) * self.scale

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the density."""
        away = (as_tensor(value) - self.loc) ** 2 / (2 * self.scale**2)
        return -away - log(self.scale) - math.log(math.sqrt(2 * math.pi))

    def entropy(self) -> Tensor:
        """1/2 + log(scale sqrt(2 pi)).

        Units     nats
        """
        return log(self.scale) + 0.5 + 0.5 * math.log(2 * math.pi) + self.loc * 0.0
