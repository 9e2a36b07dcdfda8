"""Losses and activations, as modules and as functions, with their gradients."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
logits = torch.randn(4, 3, requires_grad=True)
target = torch.tensor([2, 0, 1, 1])

print(F.cross_entropy(logits, target))
print(nn.CrossEntropyLoss()(logits, target) == F.nll_loss(F.log_softmax(logits, dim=1), target))
print(F.cross_entropy(logits, target, reduction="none"), F.cross_entropy(logits, target, reduction="sum"))
print(F.cross_entropy(logits, target, torch.tensor([1.0, 2.0, 0.5])))
print(F.cross_entropy(logits, target, label_smoothing=0.1), F.cross_entropy(logits, target, ignore_index=1))
print(F.cross_entropy(logits, torch.softmax(torch.ones(4, 3), dim=1)))
print(nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]))(logits, target))
probs = torch.softmax(logits, dim=1)
print(probs, probs.sum(dim=1), -torch.log(probs[range(4), target]).mean())
F.cross_entropy(logits, target).backward()
print(logits.grad, torch.allclose(logits.grad, (probs - F.one_hot(target, 3)).detach() / 4))

prediction, wanted = torch.tensor([0.2, -1.5, 3.0]), torch.tensor([0.0, 1.0, 2.5])
for loss in (nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(), nn.MSELoss(reduction="sum")):
    p = prediction.clone().requires_grad_()
    value = loss(p, wanted)
    value.backward()
    print(loss, value, p.grad)
yes = torch.tensor([0.0, 1.0, 1.0])
print(nn.BCEWithLogitsLoss()(prediction, yes), nn.BCELoss()(torch.sigmoid(prediction), yes))
print(F.binary_cross_entropy_with_logits(prediction, yes, reduction="none"))
print(F.binary_cross_entropy_with_logits(prediction, yes, pos_weight=torch.tensor([3.0])))
a, b = F.log_softmax(torch.randn(2, 3), dim=-1), F.softmax(torch.randn(2, 3), dim=-1)
print(nn.KLDivLoss(reduction="batchmean")(a, b), F.kl_div(a, b, reduction="sum"))
print(nn.NLLLoss()(a, torch.tensor([0, 2])), F.mse_loss(a, b), F.l1_loss(a, b))
print(F.cosine_similarity(a, b), F.normalize(b, dim=1), F.pairwise_distance(a, b))

x = torch.linspace(-3, 3, 7)
for f in (nn.ReLU(), nn.LeakyReLU(0.1), nn.ELU(), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU()):
    print(f, f(x))
for f in (nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Hardtanh(), nn.ReLU6(), nn.Mish(), nn.Softmax(dim=0)):
    print(f, f(x))
print(F.softplus(x), F.silu(x), F.logsigmoid(x), F.gelu(x), F.leaky_relu(x, 0.2), F.elu(x))
print(torch.logsumexp(x, dim=0), F.log_softmax(x, dim=0)[-1], torch.erf(x[:2]), torch.log1p(x[3:]))

steep = torch.tensor([-20.0, 0.0, 20.0], requires_grad=True)
torch.sigmoid(steep).log().sum().backward()
print(torch.sigmoid(steep), steep.grad)
print(nn.LayerNorm(4)(torch.full((1, 4), 12345.678)))
