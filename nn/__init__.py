"""Layers, losses, initialisers and optimisers under PyTorch's names."""

from nn import functional, init, optim, utils
from nn.attention import CausalSelfAttention, SelfAttentionHead
from nn.batch_norm import BatchNorm1d
from nn.encoder import TransformerDecoderLayer, TransformerEncoderLayer
from nn.layers import GELU, Dropout, Embedding, Identity, LayerNorm, Linear, ReLU, Sigmoid, Softmax, Tanh
from nn.losses import CrossEntropyLoss, MSELoss
from nn.module import Buffer, Module, ModuleList, Parameter, Sequential
from nn.multihead import MultiheadAttention
from nn.optim import clip_grad_norm_, warmup_cosine
from nn.summary import summary
from nn.transformer import MLP, Block, PlainBlock, PreNormBlock, SkipOneBlock, SkipTwoBlock
