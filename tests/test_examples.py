"""The examples run, print what they say, and draw; the numbers of the first three are right."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import minigrad
import nn
from tests.support.chapter import FOLDER, ROOT, chapters, expected, run, tree

NAMES = chapters.chapters()
GALLERY = (FOLDER / "README.md").read_text(encoding="utf-8")


def command(*arguments, without=(), cwd=None):
    """Run `python -m examples ...` in a process of its own, in which some packages are not installed."""
    code = (
        f"import sys, runpy; sys.modules.update(dict.fromkeys({without!r})); sys.argv[1:] = {arguments!r}; "
    )
    code += "runpy.run_module('examples', run_name='__main__', alter_sys=True)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )


# ---- every example ----


def test_the_examples_are_found():
    assert {"residual_connections", "vanishing_gradients", "dropout"} <= NAMES.keys()
    assert not NAMES.keys() & {"pictures", "chapters", "drawings", "race"}
    listed, others = command().stdout, ("python examples/drawings.py", "python examples/race.py")
    assert [name for name in (*NAMES, *others) if name not in listed] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_example_prints_what_its_docstring_says(name):
    printed = [line.strip() for line in run(name)[1].splitlines()]
    assert len(expected(name)) >= 3
    assert [line for line in expected(name) if line not in printed] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_example_draws_a_picture(name):
    _, printed, out = run(name)
    said = re.findall(r"^picture: out/(.*)$", printed, re.MULTILINE)
    assert f"{name}.png" in said
    assert sorted(said) == sorted(path.name for path in out.iterdir())
    for picture in said:
        with Image.open(out / picture) as image:
            assert image.format == "PNG"
            assert image.width >= 600
            assert np.asarray(image.convert("L")).std() > 5, f"{picture} is blank"


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_a_notebook_from_title_to_try_next(name):
    cells = re.split(r"^# %%", (FOLDER / f"{name}.py").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert cells[0].startswith(" [markdown]\n# # ")
    assert cells[-1].startswith(" [markdown]\n# ## Try next")
    for cell in cells:
        kind, _, text = cell.partition("\n")
        assert kind in ("", " [markdown]")
        if kind:
            assert all(line.startswith("#") for line in text.splitlines() if line)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_imports_only_the_product_and_numpy(name):
    imported = {
        (node.module if hasattr(node, "module") else alias.name).split(".")[0]
        for node in ast_imports(name)
        for alias in node.names
    }
    allowed = {"numpy", "minigrad", "nn", "gpt", "pictures"} | set(sys.stdlib_module_names)
    assert imported - allowed == set()


def ast_imports(name):
    return [node for node in tree(name).body if type(node).__name__ in ("Import", "ImportFrom")]


# ---- the command ----


def test_the_command_lists_every_example_with_one_line():
    lines = command(without=("matplotlib", "torch")).stdout.splitlines()
    for name, title in NAMES.items():
        assert any(line.split(None, 1) == [name, title] for line in lines)
        assert 10 < len(title) <= 110


def test_the_command_runs_one_example_without_torch(tmp_path):
    done = command("vanishing_gradients", without=("torch",), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == run("vanishing_gradients")[1]
    assert (tmp_path / "out" / "vanishing_gradients.png").exists()


def test_an_unknown_example_is_one_line():
    done = command("dropuot")
    assert done.returncode == 2
    assert re.fullmatch(
        r"examples: expected one of .*dropout.*; got dropuot; did you mean dropout\?\n", done.stderr
    )


def test_without_matplotlib_one_line_says_what_to_install():
    done = command("dropout", without=("matplotlib", "torch"))
    assert done.returncode == 1
    assert done.stderr == 'the examples draw with matplotlib; install it with: pip install -e ".[examples]"\n'


# ---- the gallery ----


@pytest.mark.parametrize("name", NAMES)
def test_the_gallery_shows_every_example(name):
    assert f"python -m examples {name}" in GALLERY
    assert f"](gallery/{name}.png)" in GALLERY


def test_the_gallerys_pictures_exist_and_are_small():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", GALLERY)
    assert len(pictures) >= len(NAMES)
    for picture in pictures:
        assert (FOLDER / picture).stat().st_size < 60_000
        with Image.open(FOLDER / picture) as image:
            image.verify()


def test_every_file_that_the_gallery_names_exists():
    links = re.findall(r"\]\(([^)#]+)", GALLERY)
    assert len(links) > 20
    assert [link for link in links if not (FOLDER / link).exists()] == []


# ---- residual connections ----


def test_without_skips_the_gradient_is_lost_and_with_pre_norm_it_is_not():
    values = run("residual_connections")[0]
    length = {kind: dict(zip(values["DEPTHS"], rows[0])) for kind, rows in values["medians"].items()}
    cosine = {kind: dict(zip(values["DEPTHS"], rows[1])) for kind, rows in values["medians"].items()}
    assert length["plain"][200] < 1e-9
    assert all(length[kind][200] > 0.01 for kind in length if kind != "plain")
    assert cosine["pre-norm"][200] > 0.2 > cosine["skip-2"][200] > cosine["skip-1"][200]
    assert cosine["skip-1, dropped"][12] < 0.5 * cosine["skip-1"][12]


def test_a_skip_that_starts_after_the_norm_sees_neither_size_nor_mean_of_its_input():
    values = run("residual_connections")[0]
    small, one, large = values["sizes"]["skip-1"]
    assert_allclose(one / large, 10, rtol=1e-3)
    assert_allclose(small / one, 50, rtol=0.03)  # eps is not small beside 0.02^2
    assert values["means_of_dx"]["skip-1"] < 1e-12 < 0.1 < values["means_of_dx"]["pre-norm"]


def test_the_residual_stack_is_pytorchs():
    dx, dy = run("residual_connections")[0]["send_back"]("skip-1", 1, 0)
    minigrad.manual_seed(0)
    x = torch.tensor(minigrad.randn(1, 16, 32, dtype=np.float64).numpy(), requires_grad=True)
    minigrad.randn(1, 16, 32, dtype=np.float64)
    block = nn.SkipOneBlock(32, 4).double()
    state = {name: torch.tensor(array.numpy()) for name, array in block.state_dict().items()}

    def linear(x, name):
        return torch.nn.functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    normed = torch.nn.functional.layer_norm(x, (32,))
    q, k, v = (t.reshape(1, 16, 4, 8).transpose(1, 2) for t in linear(normed, "attn.c_attn").split(32, -1))
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    y = normed + linear(mixed.transpose(1, 2).reshape(1, 16, 32), "attn.c_proj")
    y = torch.nn.functional.layer_norm(y, (32,))
    hidden = torch.nn.functional.gelu(linear(y, "mlp.c_fc"), approximate="tanh")
    (y + linear(hidden, "mlp.c_proj")).backward(torch.tensor(dy))
    assert_allclose(dx, x.grad, rtol=1e-9, atol=1e-12)


# ---- shortcuts and vanishing gradients ----

PUBLISHED = {
    "without": [
        0.00020173587836325169,
        0.0001201116101583466,
        0.0007152041653171182,
        0.001398873864673078,
        0.005049646366387606,
    ],
    "with": [
        0.22169792652130127,
        0.20694106817245483,
        0.32896995544433594,
        0.2665732502937317,
        1.3258541822433472,
    ],
}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_the_ten_gradient_means_are_the_published_ones(kind):
    means = run("vanishing_gradients")[0]["means"][kind]
    assert list(means) == [f"layers.{i}.0.weight" for i in range(5)]
    assert_allclose(list(means.values()), PUBLISHED[kind], rtol=2e-6)


def test_deep_networks_pass_a_gradient_back_only_with_shortcuts():
    lengths = run("vanishing_gradients")[0]["lengths"]
    assert lengths["without"][-1] < 1e-15
    assert lengths["with"][-1] > 1


# ---- dropout ----


def test_the_masks_are_pytorchs():
    torch.manual_seed(42)
    dropout, x = torch.nn.Dropout(0.3), torch.ones(1, 10)
    for y in run("dropout")[0]["passes"]:
        assert_array_equal(y, dropout(x)[0])


def test_dropout_keeps_the_mean_and_leaves_evaluation_alone():
    values = run("dropout")[0]
    assert_array_equal(values["evaluated"], np.ones(10))
    assert values["right_mean"] == 1
    assert_allclose(values["wrong_mean"], 0.7, rtol=1e-5)
    assert abs(values["in_training"] - 1) < 5 * np.sqrt(0.3 / 0.7 / 1e6)


def test_every_layer_and_pass_and_head_has_its_own_mask():
    values = run("dropout")[0]
    masks, heads = values["masks"], values["heads"]
    assert len(masks) == 6
    for several in (masks, heads):
        for i, mask in enumerate(several):
            assert all((mask != other).any() for other in several[:i])


def test_an_imitated_mask_is_not_the_mask_that_was_used():
    values = run("dropout")[0]
    assert abs(values["agreement"] - 0.58) < 5 * np.sqrt(0.58 * 0.42 / 1e6)
    assert values["not_zero"] < 0.6 < values["kept"]


def test_dropout_after_the_softmax_keeps_the_mean_of_the_weights_and_on_scores_does_not():
    weights, after, before = run("dropout")[0]["rows"].values()
    assert_allclose(after.mean(axis=0), weights[0], atol=5 * np.sqrt(0.3 / 0.7 / len(after)))
    assert before.mean(axis=0)[3] > 5 * weights[0, 3]
    assert (before > 0).all()


def test_a_causal_token_goes_blind_with_the_probability_that_all_its_weights_are_dropped():
    blind = run("dropout")[0]["blind"]
    chance = 0.3 ** np.arange(1, 9)
    assert (abs(blind[True] - chance) < 5 * np.sqrt(chance / 5000)).all()
    assert blind[False].max() < 0.002
