"""PyTorch's place for functions on the gradients and parameters of a model, and for sequences of several lengths."""

from nn.optim.optimizer import clip_grad_norm_
from nn.utils import rnn as rnn
from nn.utils.clipping import clip_grad_norm, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
]
