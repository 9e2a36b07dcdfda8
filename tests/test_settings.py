"""Every setting that files of other people may have: obeyed, refused, or shown to change no number."""

import dataclasses
import inspect
import json
import re
import warnings

import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import save_file as save_torch
from transformers import GenerationConfig, GPT2LMHeadModel, LlamaForCausalLM, masking_utils
from transformers.modeling_rope_utils import RopeParameters
from transformers.models.gpt2 import modeling_gpt2
from transformers.models.llama import modeling_llama

from gpt.pretrained import from_pretrained, gpt2, llama, read_safetensors
from tests.test_pretrained import changed, logits_of, their_llama, theirs

MODELS = {
    "gpt2": (lambda: theirs(torch.float32), GPT2LMHeadModel, gpt2, modeling_gpt2),
    "llama": (their_llama, LlamaForCausalLM, llama, modeling_llama),
}
OLDER = {  # of versions before, and those that transformers take out of what they are given before they keep it
    "torch_dtype", "name_or_path", "_name_or_path", "_commit_hash", "output_attentions", "attn_implementation",
    "experts_implementation", "num_labels", "per_layer_config", "rope_theta", "rope_scaling", "partial_rotary_factor",
    "rope_interleaved", "n_ctx", "is_causal", "is_decoder", "head_dim", "auto_map", "quantization_config",
    "original_max_position_embeddings", "gradient_checkpointing", "task_specific_params", "layer_types",
}  # fmt: skip
REFUSED = {  # by values that would change a number
    "is_causal": False, "per_layer_config": {"0": {"rms_norm_eps": 0.5, "layer_norm_epsilon": 0.5}},
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
}  # fmt: skip
REFUSED_OF = {
    "gpt2": {"n_inner": 16, "add_cross_attention": True},
    "llama": {
        "hidden_act": "gelu", "attention_bias": True, "mlp_bias": True, "attention_dropout": 0.1, "head_dim": 8,
        "partial_rotary_factor": 0.5, "rope_scaling": {"rope_type": "linear", "factor": 2.0, "rope_theta": 100.0},
    },
}  # fmt: skip
LAYERS = ["full_attention"] * 3
HARMLESS = {  # by other values than the usual ones
    "use_cache": False, "pad_token_id": 3, "bos_token_id": 4, "eos_token_id": [5, 6], "transformers_version": "4.1.0",
    "architectures": ["Other"], "output_hidden_states": True, "output_attentions": True, "return_dict": False,
    "dtype": "float64", "torch_dtype": "float64", "chunk_size_feed_forward": 2, "is_encoder_decoder": True,
    "id2label": {"0": "a"}, "label2id": {"a": 0}, "num_labels": 3, "problem_type": "regression", "name_or_path": "a",
    "_name_or_path": "a", "_commit_hash": "a", "attn_implementation": "eager", "_attn_implementation": "eager",
    "experts_implementation": "eager", "classifier_dropout": 0.5, "hidden_dropout": 0.5, "embd_dim": 9,
    "rope_interleaved": True, "n_ctx": 7, "is_decoder": False, "auto_map": {"AutoModelForCausalLM": "other.Model"},
    "original_max_position_embeddings": 4, "gradient_checkpointing": True, "task_specific_params": {}, "layer_types": LAYERS,
    "sliding_window": 2, "attention_chunk_size": 2, "num_heads": 7, "pretraining_tp": 2, "tie_last_hidden_states": True,
    "compile_config": None, "block_size": 3, "dropout": 0.9, "bias": False,
}  # fmt: skip
HARMLESS_OF = {
    "gpt2": {
        "rope_theta": 7.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0}, "partial_rotary_factor": 0.5, "head_dim": 8,
        "reorder_and_upcast_attn": True, "summary_type": "mean", "summary_use_proj": False, "summary_activation": "tanh",
        "summary_proj_to_labels": False, "summary_first_dropout": 0.9, "summary_last_dropout": 0.9,
    },
    "llama": {},
}  # fmt: skip
OBEYED = {  # beside those that become a field: tests/test_pretrained.py changes each of them
    "gpt2": {*gpt2.ALIASES, *gpt2.DROPOUTS, "scale_attn_weights", "scale_attn_by_inverse_layer_idx"},
    "llama": {"rope_theta", "rope_parameters"},
}


def known(name):
    """Every setting that the installed transformers, or those before it, may read of such a model."""
    _, kind, _, modeling = MODELS[name]
    found = (
        {f.name for f in dataclasses.fields(kind.config_class)} | OLDER | set(kind.config_class.attribute_map)
    )
    for source in map(inspect.getsource, (modeling, masking_utils)):
        found |= set(re.findall(r"\b(?:self\.)?config\.(\w+)", source))
        found |= set(re.findall(r'\(\s*(?:self\.)?config, "(\w+)"', source))
    found = {each for each in found if not callable(getattr(kind.config_class, each, None))}
    return found | set(GenerationConfig._get_default_generation_params())


@pytest.fixture(scope="module", params=MODELS)
def saved(request, tmp_path_factory):
    """(its model_type, the folder, its settings, its logits)."""
    model, path = MODELS[request.param][0](), tmp_path_factory.mktemp(request.param)
    model.save_pretrained(path)
    return request.param, path, json.loads((path / "config.json").read_text()), logits_of(model)


def test_no_setting_is_passed_over_without_a_reason(saved):
    """A new version of transformers brings a new setting: say here what it is, and what we do about it."""
    name, *_ = saved
    kinds = REFUSED | REFUSED_OF[name] | HARMLESS | HARMLESS_OF[name]
    said = {*kinds, *MODELS[name][2].FIELDS, *OBEYED[name]}
    assert known(name) - said - set(GenerationConfig._get_default_generation_params()) == set()


def test_what_would_change_a_number_is_refused(saved):
    name, path, settings, _ = saved
    for each, value in (REFUSED | REFUSED_OF[name]).items():
        (path / "config.json").write_text(json.dumps(settings | {each: value}))
        with pytest.raises(ValueError, match=r"^from_pretrained: expected ") as caught:
            from_pretrained(path)
        assert "\n" not in str(caught.value) and each.split("_")[0] in str(caught.value)
        usual = settings | {"is_causal": True, "per_layer_config": {}, "quantization_config": None}
        (path / "config.json").write_text(json.dumps(usual))
        from_pretrained(path)


def test_what_is_passed_over_changes_no_logit_here_or_in_transformers(saved):
    name, path, settings, wanted = saved
    harmless = HARMLESS | HARMLESS_OF[name]
    rope = {} if name == "gpt2" else settings["rope_parameters"]
    tries = [{each: value} for each, value in harmless.items()]
    tries += [{each: 1} for each in GenerationConfig._get_default_generation_params() if each not in harmless]
    others = RopeParameters.__annotations__.keys() - {"rope_type", "rope_theta", "partial_rotary_factor"}
    tries += [{"rope_parameters": {**rope, each: 2.0}} for each in sorted(others) if rope]
    assert len(tries) > 60
    for change in tries:
        (path / "config.json").write_text(json.dumps(settings | change))
        assert_allclose(logits_of(from_pretrained(path)), wanted, rtol=0, atol=1e-5, err_msg=str(change))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # rope_scaling is an old name
            model = MODELS[name][1].from_pretrained(path, dtype=torch.float32)
        model.config.return_dict = True
        found = logits_of(model)
        assert_allclose(found, wanted, rtol=0, atol=1e-5, err_msg=str(change))


def test_transformers_read_what_is_refused_as_another_model(saved):
    """Without a causal mask, the first logits see the last tokens."""
    name, path, settings, wanted = saved
    (path / "config.json").write_text(json.dumps(settings | {"is_causal": False}))
    found = logits_of(MODELS[name][1].from_pretrained(path, attn_implementation="eager"))
    assert abs(found - wanted).max() > 0.01


def test_of_two_names_of_one_setting_transformers_last_word_is_ours(tmp_path):
    theirs(torch.float32).save_pretrained(tmp_path)
    for first in ({"num_attention_heads": 4, "n_head": 2}, {"n_head": 2, "num_attention_heads": 4}):
        changed(tmp_path, n_head="absent")
        changed(tmp_path, **first)
        model = GPT2LMHeadModel.from_pretrained(tmp_path)
        assert_allclose(logits_of(from_pretrained(tmp_path)), logits_of(model), rtol=0, atol=1e-5)
        assert model.config.n_head == 4


def test_nanogpts_settings_beside_its_weights_are_obeyed(tmp_path):
    """Its model_args as a config.json: another name of the context, the exact GELU, matrices as (out, in)."""
    model = theirs(torch.float32, activation_function="gelu")
    model.save_pretrained(tmp_path)
    arrays = read_safetensors(tmp_path / "model.safetensors")
    turned = {n: a.T.copy() if n.endswith(gpt2.TRANSPOSED) else a for n, a in arrays.items()}
    save_torch({n: torch.from_numpy(a) for n, a in turned.items()}, tmp_path / "model.safetensors")
    args = {
        "n_layer": 3,
        "n_head": 2,
        "n_embd": 8,
        "block_size": 12,
        "bias": True,
        "vocab_size": 19,
        "dropout": 0.3,
    }
    (tmp_path / "config.json").write_text(json.dumps(args))
    found = from_pretrained(tmp_path)
    assert (found.config.dropout, found.config.block_size, found.config.activation) == (0.3, 12, "gelu")
    assert_allclose(logits_of(found), logits_of(model), rtol=0, atol=1e-5)
