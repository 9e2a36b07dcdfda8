"""LoRA: what it computes, who learns, what merging leaves."""

import numpy as np
import pytest
import torch

import nn
from gpt.config import GPTConfig
from gpt.model import GPT
from minigrad import gradcheck, no_grad
from minigrad.random import Generator
from minigrad.tensor import wrap
from nn import lora
from tests.support import twin

SIZE = {"block_size": 8, "vocab_size": 11, "n_layer": 2, "n_head": 2, "n_embd": 8}
IDS = np.random.default_rng(0).integers(0, 11, (3, 9))


class PEFT(torch.nn.Module):
    """PEFT's formula, as its documentation has it."""

    def __init__(self, base, rank, alpha):
        super().__init__()
        self.base, self.scaling = base, alpha / rank
        self.lora_A = torch.nn.Parameter(torch.zeros(rank, base.in_features, dtype=torch.float64))
        self.lora_B = torch.nn.Parameter(torch.zeros(base.out_features, rank, dtype=torch.float64))

    def forward(self, x):
        return self.base(x) + x @ self.lora_A.T @ self.lora_B.T * self.scaling


def gpt(bias=True):
    return GPT(GPTConfig(**SIZE, bias=bias), rng=Generator(0)).double()


def trained(model, rng, rank=2, **options):
    """The model with a LoRA of which no part is zero."""
    lora.add(model, rank, rng=rng, **options)
    for p in lora.parameters(model):
        p.array[...] = rng.normal(0, 0.3, p.shape)
    return model


def logits(model):
    with no_grad():
        return model(IDS[:, :-1], IDS[:, 1:])[0].array


def adapt(theirs, mine):
    """Freeze PyTorch's model and put PEFT's formula where mine has a LoRA, with the same A and B."""
    theirs.requires_grad_(False)
    layers = {name: m for name, m in mine.named_modules() if isinstance(m, lora.LoRALinear)}
    for name, layer in layers.items():
        place, _, attribute = name.rpartition(".")
        parent = theirs.get_submodule(place)
        rank, alpha = len(layer.lora_A), layer.scale * len(layer.lora_A)
        theirs_layer = PEFT(getattr(parent, attribute), rank, alpha)
        setattr(parent, attribute, theirs_layer)
        for each in ("lora_A", "lora_B"):
            getattr(theirs_layer, each).data = torch.from_numpy(getattr(layer, each).array.copy())
    return theirs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("alpha, scale", [(None, 2), (1.0, 1 / 3), (12, 4)])
def test_steps_of_a_gpt_equal_those_of_pefts_formula_in_pytorch(bias, alpha, scale):
    mine = gpt(bias)
    theirs = twin.Twin(mine.config).copy_from(mine)
    trained(mine, Generator(1), 3, alpha=alpha)
    assert mine.h[0].attn.c_attn.scale == scale
    adapt(theirs, mine)
    ours = nn.optim.AdamW(lora.parameters(mine), lr=1e-2)
    optimizer = torch.optim.AdamW([p for p in theirs.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(5):
        loss = mine.loss(IDS[:, :-1], IDS[:, 1:])
        expected = theirs(torch.from_numpy(IDS[:, :-1]), torch.from_numpy(IDS[:, 1:]))[1]
        assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
        loss.backward()
        expected.backward()
        wanted = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
        found = {name: p.grad for name, p in mine.named_parameters() if p.grad is not None}
        assert found.keys() == wanted.keys() and len(found) == 2 * 8
        for name, grad in found.items():
            np.testing.assert_allclose(grad.array, wanted[name], rtol=1e-9, atol=1e-12)
        for each in (ours, optimizer):
            each.step()
            each.zero_grad()
    for name, p in theirs.named_parameters():
        np.testing.assert_allclose(mine.get_parameter(name).array, p.detach(), rtol=1e-9, atol=1e-12)


def test_the_first_output_is_the_models_own_in_every_bit_and_a_alone_is_drawn():
    model = gpt()
    before, state = logits(model), {name: p.array.copy() for name, p in model.named_parameters()}
    lora.add(model, 4, rng=Generator(3))
    np.testing.assert_array_equal(logits(model), before)
    for name, array in state.items():
        place, _, attribute = name.rpartition(".")
        found = model.get_submodule(place)
        found = found.base if isinstance(found, lora.LoRALinear) else found
        np.testing.assert_array_equal(getattr(found, attribute).array, array)
    A, B = model.h[1].mlp.c_proj.lora_A.array, model.h[1].mlp.c_proj.lora_B.array
    assert A.shape == (4, 32) and B.shape == (8, 4) and A.dtype == B.dtype == np.float64
    assert not B.any() and 0.8 / 32**0.5 < abs(A).max() <= 1 / 32**0.5 and abs(A.mean()) < 0.05
    same = lora.add(gpt(), 4, rng=Generator(3)).h[1].mlp.c_proj.lora_A.array
    np.testing.assert_array_equal(same, A)


def test_only_the_lora_gets_gradients_memory_and_changes():
    model = lora.add(gpt(), 2, rng=Generator(0))
    before = {name: p.array.copy() for name, p in model.named_parameters()}
    optimizer = nn.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(2):
        model.loss(IDS[:, :-1], IDS[:, 1:]).backward()
        optimizer.step()
    names = [name for name, p in model.named_parameters() if p.grad is not None]
    assert names == [name for name in before if "lora_" in name]
    assert {id(p) for p in lora.parameters(model)} == {id(model.get_parameter(name)) for name in names}
    assert sum(p.numel() for p in optimizer.state) == sum(p.numel() for p in lora.parameters(model))
    changed = [n for n, p in model.named_parameters() if not np.array_equal(p.array, before[n])]
    assert changed == names


@pytest.mark.parametrize("targets", [lora.GPT, ["c_attn"], ("c_fc", "c_proj")])
def test_merged_equals_unmerged(targets):
    model = trained(gpt(), Generator(4), targets=targets)
    plain, before = logits(gpt()), logits(model)
    assert abs(before - plain).max() > 1e-3
    state = lora.merged_state(model)
    np.testing.assert_array_equal(logits(model), before)  # goes on as it was
    other = gpt()
    other.load_state_dict(state)
    np.testing.assert_allclose(logits(other), before, rtol=0, atol=1e-12)
    assert lora.merge(model) is model and not lora.parameters(model)
    np.testing.assert_array_equal(logits(model), logits(other))
    assert list(model.state_dict()) == list(state) == list(gpt().state_dict())


@pytest.mark.parametrize("targets", [["c_fc"], "c_fc"])
def test_each_name_in_targets_is_obeyed_and_others_are_left(targets):
    model = lora.add(gpt(), 1, targets=targets)
    found = {name for name, m in model.named_modules() if isinstance(m, lora.LoRALinear)}
    assert found == {"h.0.mlp.c_fc", "h.1.mlp.c_fc"}
    assert "LoRALinear" in repr(model) and "rank=1, alpha=2" in repr(model)


def test_a_layer_in_a_row_can_have_one_too():
    row = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = wrap(np.ones((2, 3), np.float32))
    trained(row, Generator(0), targets=["0", "2"])
    before = row(x).array
    assert before.dtype == np.float32
    np.testing.assert_allclose(lora.merge(row)(x).array, before, rtol=1e-5)


def test_its_gradients_are_right():
    layer = trained(nn.Sequential(nn.Linear(5, 4)).double(), Generator(0), targets=["0"])[0]
    assert gradcheck(layer, np.random.default_rng(0).standard_normal((2, 3, 5)))


def test_a_state_with_a_lora_loads_into_a_model_with_one():
    model = trained(gpt(), Generator(4))
    other = lora.add(gpt(), 2, rng=Generator(9))
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(logits(other), logits(model))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rank": 0}, "a rank that is a whole number of 1 or more; got 0"),
        ({"rank": 2.0}, "a rank that is a whole number of 1 or more; got 2.0"),
        ({"rank": True}, "a rank that is a whole number of 1 or more; got True"),
        ({"rank": 1, "alpha": 0.0}, "alpha above 0, finite; got 0.0"),
        ({"rank": 1, "alpha": float("nan")}, "alpha above 0, finite; got nan"),
        ({"rank": 1, "alpha": "x"}, "alpha above 0, finite; got 'x'"),
        ({"rank": 1, "alpha": True}, "alpha above 0, finite; got True"),
        ({"rank": 10**9}, "a rank of at most 8, as h.0.attn.c_attn has no more; got 1000000000"),
        ({"rank": 9}, "a rank of at most 8, as h.0.attn.c_attn has no more; got 9"),
        ({"rank": 1, "targets": ["c_fc", "nope"]}, "a model with a Linear named nope; got none"),
        ({"rank": 1, "targets": "nope"}, "a model with a Linear named nope; got none"),
        ({"rank": 1, "targets": ["wte"]}, "a model with a Linear named wte; got none"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_changes(options, message):
    model = gpt()
    with pytest.raises(ValueError, match=f"^lora.add: expected {message}$"):
        lora.add(model, **options)
    assert not lora.parameters(model) and all(p.requires_grad for p in model.parameters())


def test_a_second_lora_is_refused():
    model = lora.add(gpt(), 1)
    with pytest.raises(ValueError, match="a model without a LoRA; got one that has it; merge it first"):
        lora.add(model, 1)
