"""Layers, losses, initialisers and optimisers under PyTorch's names; README.md has the reading order."""
# ruff: noqa: I001 - in the order of reading

from nn.module import Buffer, Module, ModuleList, Parameter
from nn import functional
from nn.layers import Linear, Embedding, LayerNorm, Dropout, GELU
from nn.block import CausalSelfAttention, MLP, Block
from nn import init, optim, utils
from nn.optim.optimizer import clip_grad_norm_
from nn.optim import warmup_cosine

from nn.sequential import Sequential
from nn.inspection import summary
from nn.activations import Identity, ReLU, Sigmoid, Softmax, Tanh
from nn.study.head import SelfAttentionHead
from nn.study.blocks import PlainBlock, PreNormBlock, SkipOneBlock, SkipTwoBlock
from nn.torch_layers.losses import CrossEntropyLoss, MSELoss
from nn.torch_layers.batch_norm import BatchNorm1d
from nn.torch_layers.multihead import MultiheadAttention
from nn.torch_layers.encoder import TransformerDecoderLayer, TransformerEncoderLayer
