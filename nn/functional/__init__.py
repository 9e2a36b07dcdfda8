"""The operations of a neural network, one file each: reference, derivation, forward and backward.

What stands here has PyTorch's names, places and defaults of arguments; the operations below have arrays by place
and constants by name.
"""
# ruff: noqa: I001 - in the order of reading

from nn.functional.attention import causal_attention
from nn.functional.cached_attention import attend_to_cache, attend_with_cache
from nn.functional.torch_signatures import (
    linear,
    embedding,
    gelu,
    layer_norm,
    dropout,
    dropout2d,
    cross_entropy,
)
from nn.functional.torch_signatures import softmax, log_softmax, softmin, relu, sigmoid, tanh
from nn.functional.scaled_dot_product import attend, scaled_dot_product_attention
from nn.functional.batch_norm import batch_norm
from nn.functional.rms_norm import rms_norm
from nn.functional.rotary import rotary

from nn.functional.losses import mse_loss, l1_loss, smooth_l1_loss, huber_loss, kl_div
from nn.functional.losses import binary_cross_entropy, binary_cross_entropy_with_logits
from nn.functional.classes import nll_loss
from nn.functional.activations import silu, mish, leaky_relu, elu, hardtanh, relu6
from nn.functional.softplus import softplus, logsigmoid
from nn.functional.vectors import normalize, cosine_similarity, pairwise_distance, one_hot, pad
from nn.functional.convolution import conv1d, conv2d
from nn.functional.pooling import max_pool1d, max_pool2d, avg_pool1d, avg_pool2d
from nn.functional.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d
from nn.functional.transposed import conv_transpose1d, conv_transpose2d, unfold
