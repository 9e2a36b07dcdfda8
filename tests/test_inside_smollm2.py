"""What the example about SmolLM2 shows is what the model computes."""

import numpy as np
from numpy.testing import assert_allclose

from minigrad import no_grad, tensor
from tests.support.chapter import run


def values():
    return run("inside_smollm2")[0]


def test_the_attention_that_is_drawn_is_the_attention_that_the_block_computes():
    v = values()
    for place in {v["PREVIOUS"][0], v["MOVER"][0], v["REPEAT"][0]}:
        block, x = v["model"].layers[place], tensor(v["streams"][place - 1])[None]
        with no_grad():
            heads = block.self_attn.v_proj(block.input_layernorm(x)).array.reshape(v["T"], 3, -1)
            mixed = v["attention"][place] @ np.repeat(heads.swapaxes(0, 1), 3, axis=0)  # (9, T, D)
            x = x + block.self_attn.o_proj(tensor(mixed.swapaxes(0, 1).reshape(1, v["T"], -1)))
            y = x + block.mlp(block.post_attention_layernorm(x))
        expected = v["streams"][place]
        assert_allclose(y.array[0], expected, rtol=0, atol=1e-5 * abs(expected).max())
    assert_allclose(v["weights"].sum(axis=-1), 1, atol=1e-5)
    assert v["weights"].shape == (30, 9, v["T"], v["T"]) and not np.triu(v["weights"], 1).any()


def test_the_last_guess_is_the_models_own():
    v = values()
    assert_allclose(v["lens"][30][-1], v["softmax"](v["logits"]), atol=1e-6)
    assert v["tokenizer"].decode([v["best"]]) == " Mary"
    assert len(v["model"].embed_tokens._forward_hooks) == len(v["model"].layers[0]._forward_hooks) == 0


def test_the_blame_is_the_slope_of_the_preference():
    v = values()
    gradient, embedded = v["leaves"][0].grad.array, v["leaves"][0].array
    step = 0.02 * gradient / np.linalg.norm(gradient)

    def preference(x):
        hook = v["model"].embed_tokens.register_forward_hook(lambda layer, inputs, output: tensor(x))
        with no_grad():
            scores = v["model"](v["ids"])[0].array[0, -1]
        hook.remove()
        return scores[v["mary"]] - scores[v["john"]]

    slope = (preference(embedded + step) - preference(embedded - step)) / 0.04
    assert_allclose(slope, np.linalg.norm(gradient), rtol=0.02)
    assert_allclose(v["blame"], np.linalg.norm(gradient[0], axis=-1), rtol=1e-6)
