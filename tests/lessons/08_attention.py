"""Self-attention, from an average over the past to several heads with masks and dropout."""

import math

import torch
import torch.nn as nn
from torch.nn import functional as F

torch.manual_seed(1337)
B, T, C = 2, 5, 4
x = torch.randn(B, T, C)
print(x.shape, x[0])

xbow = torch.zeros((B, T, C))
for b in range(B):
    for t in range(T):
        xbow[b, t] = torch.mean(x[b, : t + 1], 0)
wei = torch.tril(torch.ones(T, T))
wei = wei / wei.sum(1, keepdim=True)
print(wei)
print(torch.allclose(xbow, wei @ x, atol=1e-6))
tril = torch.tril(torch.ones(T, T))
wei = torch.zeros((T, T)).masked_fill(tril == 0, float("-inf"))
print(wei)
wei = F.softmax(wei, dim=-1)
print(torch.allclose(xbow, wei @ x, atol=1e-6))

head_size = 8
key, query = nn.Linear(C, head_size, bias=False), nn.Linear(C, head_size, bias=False)
value = nn.Linear(C, head_size, bias=False)
k, q, v = key(x), query(x), value(x)
wei = q @ k.transpose(-2, -1) * head_size**-0.5
print(wei.var(), wei[0])
wei = wei.masked_fill(tril == 0, float("-inf"))
wei = F.softmax(wei, dim=-1)
out = wei @ v
print(wei[0], out.shape)
fast = F.scaled_dot_product_attention(q, k, v, is_causal=True)
print("the same:", torch.allclose(out, fast, atol=1e-6))


class MultiHeadAttention(nn.Module):
    def __init__(self, d_in, d_out, context_length, dropout, num_heads, qkv_bias=False):
        super().__init__()
        assert d_out % num_heads == 0, "d_out must be divisible by num_heads"
        self.num_heads, self.head_dim = num_heads, d_out // num_heads
        self.qkv = nn.Linear(d_in, 3 * d_out, bias=qkv_bias)
        self.out_proj = nn.Linear(d_out, d_out)
        self.dropout = nn.Dropout(dropout)
        mask = torch.triu(torch.ones(context_length, context_length), diagonal=1)
        self.register_buffer("mask", mask)

    def forward(self, x):
        b, num_tokens, d_in = x.shape
        qkv = self.qkv(x).view(b, num_tokens, 3, self.num_heads, self.head_dim)
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4)
        scores = queries @ keys.transpose(2, 3)
        mask = self.mask.bool()[:num_tokens, :num_tokens]
        scores.masked_fill_(mask, -torch.inf)
        weights = torch.softmax(scores / math.sqrt(keys.shape[-1]), dim=-1)
        context = (self.dropout(weights) @ values).transpose(1, 2)
        context = context.contiguous().view(b, num_tokens, self.num_heads * self.head_dim)
        return self.out_proj(context)


torch.manual_seed(123)
mha = MultiHeadAttention(d_in=4, d_out=6, context_length=6, dropout=0.25, num_heads=2)
print(mha)
print(mha.mask, sum(p.numel() for p in mha.parameters()))
y = mha(x)
print(y.shape, y)
y.sum().backward()
print(mha.qkv.weight.grad.norm(), mha.out_proj.bias.grad)
mha.eval()
print(torch.equal(mha(x), mha(x)), mha(x)[1, 0])
print([name for name, _ in mha.named_buffers()], list(mha.state_dict()))

layer = nn.MultiheadAttention(embed_dim=4, num_heads=2, batch_first=True)
out, weights = layer(x, x, x)
print(out.shape, weights.shape, weights.sum(-1))
