"""Layers, losses, initialisers and optimisers under PyTorch's names; README.md has the reading order."""
# ruff: noqa: I001 - in the order of reading

from nn.module import Buffer, Module, ModuleList, Parameter
from nn import functional
from nn.layers import Linear, Embedding, LayerNorm, Dropout, GELU
from nn.block import CausalSelfAttention, MLP, Block
from nn import init, lora, optim, utils
from nn.optim.optimizer import clip_grad_norm_
from nn.optim import warmup_cosine

from nn.sequential import Sequential
from nn.inspection import summary
from nn.named import ModuleDict, ParameterDict, ParameterList
from nn.activations import Identity, ReLU, Sigmoid, Softmax, Tanh, SiLU, Mish, ReLU6, LogSigmoid, LogSoftmax
from nn.activations import Softplus, LeakyReLU, ELU, Hardtanh, Flatten, Unflatten
from nn.study.head import SelfAttentionHead
from nn.study.blocks import PlainBlock, PreNormBlock, SkipOneBlock, SkipTwoBlock
from nn.torch_layers.losses import CrossEntropyLoss, MSELoss, L1Loss, NLLLoss, SmoothL1Loss, HuberLoss
from nn.torch_layers.losses import KLDivLoss, BCELoss, BCEWithLogitsLoss
from nn.torch_layers.batch_norm import BatchNorm1d, BatchNorm2d
from nn.torch_layers.convolution import Conv1d, Conv2d, MaxPool1d, MaxPool2d, AvgPool1d, AvgPool2d
from nn.torch_layers.convolution import AdaptiveAvgPool1d, AdaptiveAvgPool2d
from nn.torch_layers.transposed import ConvTranspose1d, ConvTranspose2d
from nn.torch_layers.padding import ConstantPad1d, ConstantPad2d, ZeroPad1d, ZeroPad2d
from nn.torch_layers.padding import ReflectionPad1d, ReflectionPad2d, ReplicationPad1d, ReplicationPad2d
from nn.torch_layers.dropout import Dropout2d
from nn.torch_layers.normalization import RMSNorm
from nn.llama_block import GroupedQueryAttention, SwiGLU, LlamaBlock
from nn.torch_layers.multihead import MultiheadAttention
from nn.torch_layers.encoder import TransformerDecoderLayer, TransformerEncoderLayer
from nn.torch_layers.encoder import TransformerDecoder, TransformerEncoder
from nn.torch_layers.transformer import Transformer
from nn.torch_layers.recurrent import RNN, LSTM, GRU, RNNCell, LSTMCell, GRUCell
