"""The operations of a neural network: reference, derivation, forward and backward, one file each."""
# ruff: noqa: I001 - in the order of reading

from nn.functional.linear import linear
from nn.functional.embedding import embedding
from nn.functional.gelu import gelu
from nn.functional.layer_norm import layer_norm
from nn.functional.dropout import dropout
from nn.functional.attention import causal_attention
from nn.functional.cross_entropy import cross_entropy

from nn.functional.cached_attention import attend_to_cache
from nn.functional.scaled_dot_product import attend, scaled_dot_product_attention
from nn.functional.softmax import log_softmax, softmax
from nn.functional.mse_loss import mse_loss
from nn.functional.batch_norm import batch_norm
from minigrad.functions import relu, sigmoid, tanh
