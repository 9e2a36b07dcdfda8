"""Layers, losses, initialisers and optimisers under PyTorch's names."""

from nn import functional, init, optim, utils
from nn.activations import Identity, ReLU, Sigmoid, Softmax, Tanh
from nn.block import MLP, Block, CausalSelfAttention, PreNormBlock
from nn.layers import GELU, Dropout, Embedding, LayerNorm, Linear
from nn.module import Buffer, Module, ModuleList, Parameter, Sequential
from nn.optim import warmup_cosine
from nn.study.blocks import PlainBlock, SkipOneBlock, SkipTwoBlock
from nn.study.head import SelfAttentionHead
from nn.summary import summary
from nn.torch_layers.batch_norm import BatchNorm1d
from nn.torch_layers.encoder import TransformerDecoderLayer, TransformerEncoderLayer
from nn.torch_layers.losses import CrossEntropyLoss, MSELoss
from nn.torch_layers.multihead import MultiheadAttention
from nn.utils import clip_grad_norm_
