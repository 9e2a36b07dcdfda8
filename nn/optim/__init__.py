"""Optimisers and learning-rate schedules."""

from nn.optim import lr_scheduler
from nn.optim.adam import Adam, AdamW
from nn.optim.optimizer import Optimizer, clip_grad_norm_
from nn.optim.schedule import warmup_cosine
from nn.optim.sgd import SGD
from nn.optim.torch_extras import Adadelta, Adagrad, RMSprop
