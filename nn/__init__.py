"""Layers, losses, initialisers and optimisers under PyTorch's names."""

from nn import functional, init, optim, utils
from nn.attention import CausalSelfAttention, SelfAttentionHead
from nn.block import MLP, Block, PlainBlock, PreNormBlock, SkipOneBlock, SkipTwoBlock
from nn.layers import GELU, Dropout, Embedding, Identity, LayerNorm, Linear, ReLU, Sigmoid, Softmax, Tanh
from nn.module import Buffer, Module, ModuleList, Parameter, Sequential
from nn.optim import clip_grad_norm_, warmup_cosine
from nn.summary import summary
from nn.torch_layers.batch_norm import BatchNorm1d
from nn.torch_layers.encoder import TransformerDecoderLayer, TransformerEncoderLayer
from nn.torch_layers.losses import CrossEntropyLoss, MSELoss
from nn.torch_layers.multihead import MultiheadAttention
