"""PyTorch's own recurrent layers: shapes, states, gradients, and a model that spells a word."""

import torch
import torch.nn as nn

torch.manual_seed(777)
x = torch.randn(5, 2, 4)  # (time, batch, features)
for layer in (nn.RNN(4, 3), nn.GRU(4, 3, num_layers=2), nn.RNN(4, 3, nonlinearity="relu", bias=False)):
    out, h = layer(x)
    print(layer, out.shape, h.shape, torch.equal(out[-1], h[-1]))
    print(out[-1])
lstm = nn.LSTM(input_size=4, hidden_size=3, num_layers=2, batch_first=True)
out, (h, c) = lstm(x.transpose(0, 1))
print(lstm, out.shape, h.shape, c.shape)
print(out[0], c)
out.pow(2).sum().backward()
print([(name, f"{p.grad.norm():.4f}") for name, p in lstm.named_parameters()])
both = nn.LSTM(4, 3, bidirectional=True)
print(both(x)[0].shape, both(x)[1][0].shape, list(both.state_dict())[-2:], both(x)[0][0, 0])

cell, h = nn.GRUCell(4, 3), torch.zeros(2, 3)
for x_t in x:
    h = cell(x_t, h)
print(cell, h)
cell, state = nn.LSTMCell(4, 3), None
for x_t in x:
    state = cell(x_t, state)
print(cell, state[0].shape, state[1])
print(nn.RNNCell(4, 3)(x[0]).shape)

idx2char = ["h", "i", "e", "l", "o"]
x_data, y_data = [[0, 1, 0, 2, 3, 3]], [1, 0, 2, 3, 3, 4]  # hihell -> ihello
inputs, labels = torch.tensor(x_data), torch.tensor(y_data)


class Speller(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(5, 8)
        self.rnn = kind(input_size=8, hidden_size=8, batch_first=True)
        self.fc = nn.Linear(8, 5)

    def init_hidden(self):
        return torch.zeros(1, 1, 8)

    def forward(self, x):
        emb = self.embedding(x)
        hidden = self.init_hidden()
        out, _ = self.rnn(emb, (hidden, hidden) if isinstance(self.rnn, nn.LSTM) else hidden)
        return self.fc(out.view(-1, 8))


for kind in (nn.RNN, nn.GRU, nn.LSTM):
    model = Speller(kind)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for epoch in range(13):
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if epoch % 4 == 0:
            _, idx = outputs.max(1)
            print(f"epoch: {epoch}, loss: {loss.item():.3f}", "".join(idx2char[c] for c in idx.squeeze()))
print(model)
