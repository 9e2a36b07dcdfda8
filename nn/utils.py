"""PyTorch's place for functions on the gradients of a model."""

from nn.optim.optimizer import clip_grad_norm_

__all__ = ["clip_grad_norm_"]
