"""The numbers of the later examples: against PyTorch, and against what the chapters claim."""

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import minigrad
import nn
from gpt.model import GPT
from tests.support.chapter import FOLDER, ROOT, run
from tests.support.twin import Twin

TORCHLESS = ("attention_walkthrough", "micrograd_moons", "one_step_by_hand", "post_norm_encoder")


def test_the_examples_run_without_torch(tmp_path):
    code = f"""
import sys
sys.modules["torch"] = None
sys.path[:0] = [{str(ROOT)!r}, {str(FOLDER)!r}]
from examples.chapters import run
for name in {TORCHLESS!r}:
    run(name)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in (tmp_path / "out").iterdir()} >= set(TORCHLESS)


# ---- the post-norm encoder ----


class ResidualBlock(torch.nn.Module):
    """The published block, and `batch_first`."""

    def __init__(self, input_dim, hidden_dim, batch_first):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(input_dim, num_heads=8, batch_first=batch_first)
        self.norm1 = torch.nn.LayerNorm(input_dim)
        self.feedforward = torch.nn.Sequential(
            torch.nn.Linear(input_dim, hidden_dim), torch.nn.ReLU(), torch.nn.Linear(hidden_dim, input_dim)
        )
        self.norm2 = torch.nn.LayerNorm(input_dim)

    def forward(self, x):
        att_out, _ = self.attention(x, x, x)
        x = self.norm1(x + att_out)
        return self.norm2(x + self.feedforward(x))


class TransformerModel(torch.nn.Module):
    """The published model, and `batch_first`."""

    def __init__(self, input_dim, hidden_dim, output_dim, num_layers, batch_first):
        super().__init__()
        self.embedding = torch.nn.Embedding(input_dim, hidden_dim)
        self.positional_encoding = torch.nn.Parameter(torch.zeros(1, 100, hidden_dim))
        self.encoder_layers = torch.nn.ModuleList(
            [ResidualBlock(hidden_dim, hidden_dim, batch_first) for _ in range(num_layers)]
        )
        self.output_projection = torch.nn.Linear(hidden_dim, output_dim)

    def forward(self, x):
        x = self.embedding(x)
        x = x + self.positional_encoding[:, : x.size(1), :]
        for layer in self.encoder_layers:
            x = layer(x)
        return self.output_projection(x.mean(dim=1))


@pytest.mark.parametrize("batch_first, name", [(False, "output"), (True, "output_fixed")])
def test_the_published_encoder_prints_pytorchs_numbers(batch_first, name):
    values = run("post_norm_encoder")[0]
    torch.manual_seed(0)
    model = TransformerModel(1000, 128, 10, 6, batch_first)
    ids = torch.randint(0, 1000, (32, 100))
    assert_array_equal(values["input_seq"], ids)
    assert_allclose(values[name].array, model(ids).detach(), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_encoders_output_and_every_gradient_equal_pytorchs(batch_first):
    ours = run("post_norm_encoder")[0]["TransformerModel"](50, 32, 4, 2, batch_first).double()
    rng = np.random.default_rng(7)
    ours.load_state_dict(
        {n: a.numpy() + 0.2 * rng.standard_normal(a.shape) for n, a in ours.state_dict().items()}
    )
    theirs = TransformerModel(50, 32, 4, 2, batch_first).double()
    theirs.load_state_dict({n: torch.tensor(a.numpy()) for n, a in ours.state_dict().items()})
    ids, cotangent = rng.integers(0, 50, (5, 9)), rng.standard_normal((5, 4))
    y, y_theirs = ours(ids), theirs(torch.tensor(ids))
    y.backward(cotangent)
    y_theirs.backward(torch.tensor(cotangent))
    assert_allclose(y.array, y_theirs.detach(), rtol=1e-10, atol=1e-10)
    grads = {name: p.grad for name, p in theirs.named_parameters()}
    for name, p in ours.named_parameters():
        assert_allclose(p.grad, grads[name], rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_decoder_layer_and_every_gradient_equal_pytorchs(batch_first):
    rng = np.random.default_rng(8)
    ours = nn.TransformerDecoderLayer(16, 8, 24, dropout=0.0, batch_first=batch_first).double()
    theirs = torch.nn.TransformerDecoderLayer(16, 8, 24, dropout=0.0, batch_first=batch_first).double()
    ours.load_state_dict(
        {n: a.numpy() + 0.2 * rng.standard_normal(a.shape) for n, a in ours.state_dict().items()}
    )
    theirs.load_state_dict({n: torch.tensor(a.numpy()) for n, a in ours.state_dict().items()})
    shapes = ((3, 4, 16), (3, 7, 16)) if batch_first else ((4, 3, 16), (7, 3, 16))
    arrays = [rng.standard_normal(shape) for shape in shapes]
    target, memory = (minigrad.tensor(a, requires_grad=True) for a in arrays)
    target_theirs, memory_theirs = (torch.tensor(a, requires_grad=True) for a in arrays)
    mask, cotangent = ~np.tri(4, dtype=bool), rng.standard_normal(shapes[0])
    y = ours(target, memory, tgt_is_causal=True)
    y_theirs = theirs(target_theirs, memory_theirs, tgt_mask=torch.tensor(mask))
    y.backward(cotangent)
    y_theirs.backward(torch.tensor(cotangent))
    assert_allclose(y.array, y_theirs.detach(), rtol=1e-10, atol=1e-10)
    assert_allclose(target.grad, target_theirs.grad, rtol=1e-10, atol=1e-10)
    assert_allclose(memory.grad, memory_theirs.grad, rtol=1e-10, atol=1e-10)
    grads = {name: p.grad for name, p in theirs.named_parameters()}
    for name, p in ours.named_parameters():
        assert_allclose(p.grad, grads[name], rtol=1e-10, atol=1e-10, err_msg=name)


def test_as_published_sequences_move_one_another_and_with_batch_first_none_does():
    values = run("post_norm_encoder")[0]
    others = ~np.eye(8, dtype=bool)
    assert values["moved"][others].min() > 0.01
    assert values["moved_fixed"][others].max() < 1e-6
    assert values["moved_fixed"].diagonal().min() > 0.1


def test_the_encoder_refuses_more_tokens_than_positions():
    values = run("post_norm_encoder")[0]
    assert values["too_long"].startswith("TransformerModel: expected at most 100 tokens; got 101; ")
    with pytest.raises(ValueError, match="at most 100 tokens; got 130"):
        values["published"](np.zeros((2, 130), int))
    values["published"](np.zeros((1, 100), int))


def test_the_block_of_the_example_is_the_encoder_layer():
    values = run("post_norm_encoder")[0]
    assert values["same_layer"]
    x = minigrad.tensor(np.random.default_rng(3).standard_normal((3, 6, 128)).astype(np.float32))
    assert_allclose(values["block"](x).array, values["layer"](x).array, rtol=1e-4, atol=1e-5)


# ---- the attention walkthrough ----


def documents_tensors():
    torch.manual_seed(1337)
    x = torch.randn(4, 8, 32)
    return x, *(torch.nn.Linear(32, 16, bias=False) for _ in range(3))


def test_the_attention_is_pytorchs():
    x, query, key, value = documents_tensors()
    out = torch.nn.functional.scaled_dot_product_attention(query(x), key(x), value(x), is_causal=True)
    values = run("attention_walkthrough")[0]
    assert_array_equal(values["x"].array, x)
    assert_allclose(values["out"].array, out.detach(), rtol=1e-4, atol=1e-6)
    assert_allclose(values["mended"].array, out.detach(), rtol=1e-4, atol=1e-6)


def test_the_published_cell_gives_pytorchs_wrong_result():
    x, query, _, _ = documents_tensors()
    q = k = v = query(x)
    sim = torch.softmax(torch.matmul(q, k.transpose(-1, -2)), dim=-1)
    wei = torch.softmax(sim.masked_fill(torch.tril(torch.ones(8, 8)) == 0, float("-inf")), dim=-1)
    values = run("attention_walkthrough")[0]
    assert_allclose(values["published"].array, torch.matmul(wei, v).detach(), rtol=1e-4, atol=1e-6)
    assert np.abs(values["published"].array - values["out"].array).max() > 0.5


def test_each_mistake_shows_what_the_chapter_says():
    values = run("attention_walkthrough")[0]
    assert values["learns"] == {"query": True, "key": False, "value": False}
    assert values["leaks"] == {"softmax first": [1, 2, 3, 4, 5, 6], "softmax last": []}
    loud = minigrad.tensor(100 * values["x"].array)
    _, flat = values["notebook"](loud, **values["only"]["softmax_first"])
    assert 2.5 < values["largest_ratio"](flat) < math.e * (1 + 1e-5)
    _, sharp = values["notebook"](loud, **values["only"]["unscaled"])
    assert sharp.array.max(axis=-1).mean() > 0.99


def test_the_variance_of_the_scores_is_the_width_unless_they_are_scaled():
    values = run("attention_walkthrough")[0]
    assert_allclose(values["variance"], values["widths"], rtol=0.05)
    assert_allclose(values["variance_scaled"], 1.0, rtol=0.05)
    assert values["largest"][-1] > 0.95
    assert max(values["largest_scaled"]) < 0.4


def test_the_dropout_of_the_walkthrough_is_pytorchs():
    torch.manual_seed(1337)
    sample = torch.randn(20, 16)
    assert_array_equal(run("attention_walkthrough")[0]["dropped"].array, torch.nn.Dropout(p=0.2)(sample))


def test_the_two_norms_are_pytorchs():
    values = run("attention_walkthrough")[0]
    table = torch.tensor(values["table"].array)
    assert_allclose(values["by_layer"].array, torch.nn.LayerNorm(12)(table).detach(), rtol=1e-4, atol=1e-6)
    batch_norm = torch.nn.BatchNorm1d(12)
    assert_allclose(values["by_batch"].array, batch_norm(table).detach(), rtol=1e-4, atol=1e-6)
    groups = [torch.tensor(group.array) for group in values["groups"]]
    assert_allclose(values["training"], [batch_norm(g)[0, 0].item() for g in groups], rtol=1e-4, atol=1e-6)
    batch_norm.eval()
    assert_allclose(values["evaluation"], [batch_norm(g)[0, 0].item() for g in groups], rtol=1e-4, atol=1e-6)
    assert values["alone_error"].startswith("batch_norm: expected two or more values per channel in training")


def test_the_frame_learns_its_batch():
    values = run("attention_walkthrough")[0]
    assert abs(values["first"] - math.log(values["V"])) < 0.5
    assert values["last"] < 0.3


# ---- micrograd ----


def test_the_three_numbers_of_micrograds_readme():
    values = run("micrograd_moons")[0]
    assert f"{values['g'].item():.4f}" == "24.7041"
    assert f"{values['a'].grad:.4f}" == "138.8338"
    assert f"{values['b'].grad:.4f}" == "645.5773"


def test_the_moons_are_half_circles():
    points, classes = run("micrograd_moons")[0]["make_moons"](40, noise=0.0)
    upper, lower = points[classes > 0], points[classes < 0]
    assert_allclose(np.linalg.norm(upper, axis=1), 1.0)
    assert_allclose(np.linalg.norm(lower - [1.0, 0.5], axis=1), 1.0)
    assert len(upper) == len(lower) == 20
    assert upper[:, 1].min() > -1e-12
    assert lower[:, 1].max() < 0.5 + 1e-12


def test_the_moons_are_learned_as_pytorch_learns_them():
    values = run("micrograd_moons")[0]
    torch.manual_seed(1337)
    torch.normal(0.0, 0.1, (100, 2), dtype=torch.float64)
    sizes = [(2, 16), (16, 16), (16, 1)]
    first, second, third = layers = [torch.nn.Linear(*size).double() for size in sizes]
    for layer in layers:
        torch.nn.init.uniform_(layer.weight, -1.0, 1.0)
        torch.nn.init.zeros_(layer.bias)
    parameters = [p for layer in layers for p in layer.parameters()]
    points, classes = torch.tensor(values["points"]), torch.tensor(values["classes"])
    losses = []
    for step in range(100):
        scores = third(second(first(points).relu()).relu()).squeeze(1)
        loss = (1 - scores * classes).relu().mean() + 1e-4 * sum((p * p).sum() for p in parameters)
        grads = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, grad in zip(parameters, grads):
                p -= (1.0 - 0.9 * step / 100) * grad
        losses.append(loss.item())
    assert_allclose(values["losses"], losses, rtol=1e-6)
    assert values["accuracies"][-1] == 1.0


# ---- from bigrams to a GPT ----


def test_the_counted_pairs_have_the_loss_of_counting_them_anew():
    values = run("bigram_to_gpt")[0]
    train, val, V = values["train"].tolist(), values["val"].tolist(), values["V"]
    pairs, firsts = Counter(zip(train, train[1:])), Counter(train[:-1])
    chances = [(pairs[i, j] + 1) / (firsts[i] + V) for i, j in zip(val, val[1:])]
    assert_allclose(values["losses"]["count pairs"], -sum(map(math.log, chances)) / len(chances), rtol=1e-12)


def test_the_net_that_counts_arrives_near_the_counts():
    values = run("bigram_to_gpt")[0]
    counted, learned = values["losses"]["count pairs"], values["losses"]["learn pairs"]
    assert counted - 0.01 < learned < counted + 0.05
    assert np.abs(values["learned"] - values["table"])[values["often"]].max() < 0.1


def test_each_idea_of_the_walk_lowers_the_loss():
    values = run("bigram_to_gpt")[0]
    assert values["three_agree"]
    ladder = ["mean of the past", "one head", "four heads", "one block", "three blocks: a GPT"]
    losses = [values["losses"][name] for name in ladder]
    assert all(better < worse - 0.02 for worse, better in zip(losses, losses[1:]))
    assert values["losses"]["three blocks: a GPT"] < values["losses"]["count pairs"] - 0.5


def test_the_validation_loss_is_the_mean_over_every_letter():
    values = run("bigram_to_gpt")[0]
    model, val, T = values["one_head"], values["val"], values["T"]
    total = 0.0
    for start in range(0, len(val) - 1, T):
        inputs, targets = val[start : start + T], val[start + 1 : start + 1 + T]
        logits = torch.tensor(model(inputs[None, : len(targets)]).array[0])
        total += torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="sum").item()
    assert_allclose(values["losses"]["one head"], total / (len(val) - 1), rtol=1e-9)


# ---- one step by hand ----


def test_the_step_by_hand_is_pytorchs():
    values = run("one_step_by_hand")[0]
    model = GPT(values["model"].config).double()
    model.load_state_dict(values["W"])
    twin = Twin(model.config).copy_from(model)
    optimizer = twin.optimizer(values["lr"], (values["beta1"], values["beta2"]), values["decay"])
    logits, loss = twin(torch.tensor(values["ids"][None]), torch.tensor(values["targets"][None]))
    loss.backward()
    assert_allclose(values["arrays"]["logits"], logits.detach()[0], rtol=1e-10, atol=1e-10)
    assert_allclose(values["loss"], loss.item(), rtol=1e-10)
    theirs = dict(twin.named_parameters())
    assert values["grads"].keys() == theirs.keys()
    for name, grad in values["grads"].items():
        assert_allclose(grad, theirs[name].grad, rtol=1e-9, atol=1e-12, err_msg=name)
    optimizer.step()
    for name, weight in values["updated"].items():
        assert_allclose(weight, theirs[name].detach(), rtol=1e-10, atol=1e-10, err_msg=name)


def test_the_step_by_hand_agrees_with_the_product_and_helps():
    values = run("one_step_by_hand")[0]
    assert values["same_arrays"]
    assert values["same_grads"]
    assert values["same_weights"]
    assert len(values["ours"]) == 22
    assert values["after"].item() < values["before"].item() - 0.1


def test_the_keys_biases_stay_where_they_were():
    values = run("one_step_by_hand")[0]
    name, C, lr = "h.0.attn.c_attn.bias", values["C"], values["lr"]
    moved = np.abs(values["updated"][name] - values["W"][name])
    assert_allclose(moved[C : 2 * C], 0.0, atol=1e-9)
    assert_allclose(np.delete(moved, range(C, 2 * C)), lr, rtol=1e-3)


def test_every_array_of_the_step_is_printed():
    values, printed, _ = run("one_step_by_hand")
    for name, array in values["arrays"].items():
        assert f"\n{name} {array.shape}   " in printed
    assert {f"d{name}" for name in values["ours"]} <= values["arrays"].keys() | {"dq", "dk", "dv"}
