"""The GPT of `gpt/model.py` in PyTorch, parameter for parameter: oracle of tests, opponent of the race."""

import math

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.n_head, self.dropout = config.n_head, config.dropout
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (a.view(B, T, self.n_head, -1).transpose(1, 2) for a in self.c_attn(x).split(C, dim=2))
        p = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).reshape(B, T, C)))


def setting(config, name, default):
    """A setting that the race's cells, unlike a GPTConfig, may not have."""
    return getattr(config, name, default)


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.activation = setting(config, "activation", "gelu_new")
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        x = self.c_fc(x)
        x = F.gelu(x, approximate="tanh") if self.activation == "gelu_new" else getattr(F, self.activation)(x)
        return self.dropout(self.c_proj(x))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        eps = setting(config, "norm_eps", 1e-5)
        self.ln_1 = nn.LayerNorm(config.n_embd, eps, bias=config.bias)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Twin(nn.Module):
    """`Twin(config)` for a GPTConfig; `copy_from(model)` takes a GPT's weights and dtype."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, setting(config, "norm_eps", 1e-5), bias=config.bias)
        if not setting(config, "tied", True):
            self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        linear = setting(config, "init_std", 0.02)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.ndim >= 2:
                std = 0.02 if name in ("wte.weight", "wpe.weight") else linear
                nn.init.normal_(p, 0.0, std / math.sqrt(2 * config.n_layer) if "c_proj" in name else std)

    def copy_from(self, model):
        state = {name: torch.from_numpy(array.numpy()) for name, array in model.state_dict().items()}
        self.to(state["wte.weight"].dtype).load_state_dict(state)
        return self

    def forward(self, idx, targets=None):
        x = self.drop(self.wte(idx) + self.wpe(torch.arange(idx.shape[1])))
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), (self.lm_head if hasattr(self, "lm_head") else self.wte).weight)
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)

    def optimizer(self, lr, betas, weight_decay, **options):
        matrices = [p for p in self.parameters() if p.ndim >= 2]
        others = [p for p in self.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=lr, betas=betas, **options)

    @torch.no_grad()
    def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None, top_p=None):
        """As nanoGPT: everything anew for each token; top_p as Hugging Face's TopPLogitsWarper."""
        for _ in range(max_new_tokens):
            logits = self(idx[:, -self.config.block_size :])[0][:, -1] / temperature
            if top_k is not None:
                least = torch.topk(logits, min(top_k, logits.shape[-1]))[0][:, [-1]]
                logits[logits < least] = -math.inf
            if top_p is not None:
                ascending, order = torch.sort(logits)
                unlikely = F.softmax(ascending, -1).cumsum(-1) <= 1 - top_p
                unlikely[:, -1:] = False
                logits = logits.masked_fill(unlikely.scatter(1, order, unlikely), -math.inf)
            idx = torch.cat((idx, torch.multinomial(F.softmax(logits, -1), 1)), dim=1)
        return idx
