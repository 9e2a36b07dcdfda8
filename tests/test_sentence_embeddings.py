"""all-MiniLM-L6-v2 in our encoder layers, against PyTorch: each sentence, alone, in a batch, with any padding."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import minigrad
from tests.support.chapter import run
from tests.test_examples import command

LONG = "The committee, which had met in secret for three weeks, published a report of ninety pages on the matter. "
TEXTS = ["", "yes", "Ünïcödé 漢字 🙂", LONG, LONG * 40, "The cat sleeps."]


@pytest.fixture(scope="module")
def example():
    return run("sentence_embeddings")[0]


@pytest.fixture(scope="module")
def theirs(example):
    """The same folder in PyTorch, by transformers: the mean over the mask, made one long."""
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bert = transformers.BertModel.from_pretrained(example["FOLDER"]).eval()

    def embed(ids, mask):
        with torch.no_grad():
            x = bert(torch.tensor(ids), torch.tensor(mask)).last_hidden_state
        weights = torch.tensor(mask)[:, :, None]
        return torch.nn.functional.normalize((x * weights).sum(1) / weights.sum(1)).numpy()

    return embed


def test_sentences_of_different_lengths_are_pytorchs(example, theirs):
    for texts in (example["SENTENCES"], TEXTS):
        ids, mask = example["tokenise"](texts)
        assert len(set(mask.sum(1))) > 2
        ours = example["embed"](texts)
        assert_allclose(ours, theirs(ids, mask), atol=1e-5)
        assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    assert ids.shape == (len(TEXTS), 512)  # the longest is cut


def test_only_what_the_mask_leaves_is_read(example, theirs):
    """What stands in the padding changes nothing; what the mask leaves out is left out wherever it stands."""
    ids, mask = example["tokenise"](example["SENTENCES"])
    rng = np.random.default_rng(0)
    noise = np.where(mask, ids, rng.integers(1000, 30_000, ids.shape))
    holes = mask * (rng.random(mask.shape) < 0.7)
    holes[:, 0] = 1
    with minigrad.no_grad():
        plain, noisy, some = (
            example["model"](i, m).array for i, m in ((ids, mask), (noise, mask), (ids, holes))
        )
    assert_allclose(noisy, plain, atol=1e-6)
    assert_allclose(some, theirs(ids, holes), atol=1e-5)
    assert np.abs(some - plain).max() > 0.01


def test_the_printed_similarities_are_pytorchs(example, theirs):
    rows = theirs(*example["tokenise"](example["SENTENCES"]))
    assert_allclose(example["similarity"], rows @ rows.T, atol=1e-5)
    questions = theirs(*example["tokenise"](example["QUESTIONS"]))
    assert_allclose(example["answers"], questions @ rows.T, atol=1e-5)


def test_every_weight_is_used_and_none_is_left_as_it_was_drawn(example):
    from gpt.pretrained.folder import read_safetensors

    given = read_safetensors(example["FOLDER"] / "model.safetensors")
    total = sum(
        a.size for name, a in given.items() if not name.startswith("pooler") and "position_ids" not in name
    )
    assert sum(p.numel() for p in example["model"].parameters()) == total
    assert not any(module.training for module in example["model"].modules())


def test_without_the_packages_the_example_says_in_one_line_what_to_install(example, tmp_path):
    found = command("sentence_embeddings", without=("tokenizers",), cwd=tmp_path)
    first, line = found.stderr.splitlines()
    assert first == "loading all-MiniLM-L6-v2 ..."
    assert line.startswith("sentence_embeddings: ") and "tokenizers" in line
    assert line.endswith("pip install -e '.[examples,models]'")
    assert found.returncode == 1
