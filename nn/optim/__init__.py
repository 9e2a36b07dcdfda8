"""Optimisers and the learning-rate schedule."""

from nn.optim.adam import Adam, AdamW
from nn.optim.optimizer import Optimizer
from nn.optim.schedule import warmup_cosine
from nn.optim.sgd import SGD
from nn.utils import clip_grad_norm_
