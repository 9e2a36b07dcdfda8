"""The example of the five changes: what it says holds, by PyTorch where PyTorch has it."""

import numpy as np
import torch
from numpy.testing import assert_allclose

from tests.support.chapter import run


def test_the_norms_are_pytorchs():
    values = run("five_changes")[0]
    x = torch.from_numpy(values["x"].array)
    assert_allclose(values["normed"]["LayerNorm"], torch.nn.functional.layer_norm(x, (16,))[0], rtol=1e-10)
    assert_allclose(values["normed"]["RMSNorm"], torch.nn.functional.rms_norm(x, (16,))[0], rtol=1e-10)
    assert abs(values["normed"]["LayerNorm"].mean()) < 1e-12 < 0.5 < values["normed"]["RMSNorm"].mean()


def test_a_rotary_score_knows_the_distance_and_a_learned_one_the_places():
    values = run("five_changes")[0]
    first, *others = (np.array(values["rotary"][t]) for t in values["starts"])
    for other in others:
        assert_allclose(other, first, rtol=0, atol=1e-12)
    assert_allclose(first[0], values["query"] @ values["key"] / values["D"], rtol=1e-12)
    places = [values["learned"][t] for t in values["starts"]]
    assert np.abs(np.subtract(places[0], places[1])).max() > 0.05 and np.ptp(first) > 0.2


def test_heads_are_shared_as_pytorch_shares_them():
    values, (H, G) = run("five_changes")[0], (9, 3)
    rng = np.random.default_rng(0)
    q, k = (
        torch.from_numpy(rng.standard_normal((1, H, 1, 4))),
        torch.from_numpy(rng.standard_normal((1, G, 5, 4))),
    )
    shared = torch.nn.functional.scaled_dot_product_attention(q, k, k, enable_gqa=True)
    apart = k[:, values["served"]]
    alone = torch.nn.functional.scaled_dot_product_attention(q, apart, apart)
    assert_allclose(shared, alone, rtol=1e-12)


def test_both_models_learn_and_the_llama_faster():
    values = run("five_changes")[0]
    gpt, llama = (values["models"][name].num_parameters(False) for name in ("GPT", "Llama"))
    assert abs(llama / gpt - 1) < 0.01
    ends = {name: np.mean(curve[-20:]) for name, curve in values["losses"].items()}
    assert ends["Llama"] < ends["GPT"] - 0.3 and ends["GPT"] < 2.5
    assert_allclose(
        [curve[0] for curve in values["losses"].values()], np.log(values["sizes"]["vocab_size"]), rtol=0.05
    )
