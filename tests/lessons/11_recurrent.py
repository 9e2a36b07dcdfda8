"""Recurrent cells by hand: an RNN, a GRU and an LSTM that repeat a pattern of letters."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
text = "hello world, hello words; " * 4
vocab = sorted(set(text))
ids = torch.tensor([vocab.index(c) for c in text])
print(len(vocab), ids[:12])


class RNNCell(nn.Module):
    def __init__(self, n_in, n_hidden):
        super().__init__()
        self.xh_to_h = nn.Linear(n_in + n_hidden, n_hidden)

    def forward(self, xt, h):
        return F.tanh(self.xh_to_h(torch.cat([xt, h], dim=1)))


class GRUCell(nn.Module):
    def __init__(self, n_in, n_hidden):
        super().__init__()
        self.xh_to_z = nn.Linear(n_in + n_hidden, n_hidden)
        self.xh_to_r = nn.Linear(n_in + n_hidden, n_hidden)
        self.xh_to_hbar = nn.Linear(n_in + n_hidden, n_hidden)

    def forward(self, xt, h):
        xh = torch.cat([xt, h], dim=1)
        r, z = torch.sigmoid(self.xh_to_r(xh)), torch.sigmoid(self.xh_to_z(xh))
        hbar = torch.tanh(self.xh_to_hbar(torch.cat([xt, r * h], dim=1)))
        return (1 - z) * h + z * hbar


class LSTMCell(nn.Module):
    def __init__(self, n_in, n_hidden):
        super().__init__()
        self.gates = nn.Linear(n_in + n_hidden, 4 * n_hidden)

    def forward(self, xt, state):
        h, c = state
        i, f, g, o = self.gates(torch.cat((xt, h), 1)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Model(nn.Module):
    def __init__(self, cell_type, n_hidden=24):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, n_hidden))
        self.wte = nn.Embedding(len(vocab), 8)
        self.cell = {"rnn": RNNCell, "gru": GRUCell, "lstm": LSTMCell}[cell_type](8, n_hidden)
        self.lm_head = nn.Linear(n_hidden, len(vocab))

    def forward(self, idx, targets=None):
        b, t = idx.size()
        emb, h = self.wte(idx), self.start.expand((b, -1))
        state, hiddens = (h, h) if isinstance(self.cell, LSTMCell) else h, []
        for i in range(t):
            state = self.cell(emb[:, i, :], state)
            hiddens.append(state[0] if isinstance(state, tuple) else state)
        logits = self.lm_head(torch.stack(hiddens, 1))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))


for kind in ("rnn", "gru", "lstm"):
    model = Model(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(31):
        ix = torch.randint(0, len(ids) - 13, (6,))
        x = torch.stack([ids[i : i + 12] for i in ix])
        y = torch.stack([ids[i + 1 : i + 13] for i in ix])
        logits, loss = model(x, y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        if step % 10 == 0:
            print(kind, step, f"{loss.item():.4f}")
    print(sum(p.numel() for p in model.parameters()), model.start.grad.norm())
    with torch.no_grad():
        idx = ids[:1].view(1, 1)
        for _ in range(20):
            idx = torch.cat([idx, model(idx)[0][:, -1].argmax(dim=-1, keepdim=True)], dim=1)
    print("".join(vocab[i] for i in idx[0]))
print(model)
