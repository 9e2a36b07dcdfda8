"""Weights of other people's models, and ours for them: folders of Hugging Face's, files of nanoGPT's, checkpoints."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gpt import checkpoint
from gpt.config import GPTConfig, LlamaConfig
from gpt.files import as_path
from gpt.folder import CHECKPOINT
from gpt.language_model import LanguageModel
from gpt.llama import Llama
from gpt.model import GPT
from gpt.pretrained import folder, gguf, gpt2, llama
from gpt.pretrained.folder import read_safetensors
from gpt.pretrained.quantised import PackedEmbedding, PackedLinear
from minigrad.backend import to_numpy
from minigrad.errors import type_error, value_error
from minigrad.random.no_draws import NO_DRAWS
from nn import lora
from nn.foreign import array_beside

__all__ = ["from_pretrained", "from_state_dict", "read_safetensors", "save_pretrained"]

# by Hugging Face's model_type: the model, and the names, layouts and settings of its files
KINDS: dict[str, tuple[Any, ModuleType]] = {"gpt2": (GPT, gpt2), "llama": (Llama, llama)}
WRAPPERS = ("_orig_mod", "module")  # what torch.compile and DistributedDataParallel put into names
HERE = np.empty(0)


def from_pretrained(
    path: str | Path, kind: type[LanguageModel] = LanguageModel, *, memory: str = "float32", **changes: Any
) -> Any:
    """Return the model in a folder of Hugging Face's, one file or a checkpoint, or "smollm2", in evaluation mode.

    A file is .safetensors, or GGUF (FILE.gguf, gguf:FILE), whose weights may stay packed, memory="small".

    `changes` are fields of its configuration that shall be others: dropout, say. A file alone does not say n_head:
    it is known for GPT-2's widths, and has to be given for others. No numbers are drawn, and the weights are those
    of the file, in float32 (float64 if they are): loading takes little more time and memory than reading.

    Raises    ValueError, in one line, for a damaged or foreign file, another model than `kind`, or settings that it
              does not have; OSError if a file cannot be read; ModuleNotFoundError without safetensors.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise value_error("from_pretrained", "the path of a model, or smollm2", repr(path))
    if (file := gguf.find(path)) is not None:
        _check_kind(kind, Llama, str(file))
        return gguf.load(file, memory, **_known(LlamaConfig, changes))
    if str(memory) != "float32":
        raise value_error("from_pretrained", f"a GGUF file for memory={str(memory)[:60]!r}", path)
    path = Path(path)
    if folder.is_run(path):
        path = path / CHECKPOINT
    if path.suffix != ".npz":
        return _build(kind, *folder.read(path), changes, str(path))
    info, arrays = checkpoint.load(path)
    if changes and isinstance(info.get("model"), dict):
        _, config = checkpoint.MODELS.get(str(info.get("kind")), (GPT, GPTConfig))
        info["model"] = {**info["model"], **_known(config, changes)}
    model, _ = checkpoint.build_model(info, arrays)
    _check_kind(kind, type(model), str(path))
    return model.eval()


def from_state_dict(state: Mapping[str, Any], n_head: int | None = None, **changes: Any) -> GPT:
    """Build a GPT from arrays under the names of nanoGPT or of GPT-2 (OpenAI, Hugging Face), in evaluation mode.

    All sizes are read off the shapes, but the number of heads: it is known for GPT-2's widths and has
    to be given for others. GPT-2's files hold weights as (in, out), and are transposed; weights as (out, in)
    are taken for nanoGPT's, with its exact GELU. `changes` are other fields of the configuration.

    Shapes    state {name: array or CPU torch.Tensor}
    Raises    ValueError for names or shapes that do not make a GPT, or heads that are not known.
    """
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise type_error("from_state_dict", "arrays by their names", f"{state!r:.60}")
    found = {
        name: np.array(array_beside(HERE, value))  # a copy: the model will write to it
        for name, value in state.items()
        if not name.endswith(folder.BUFFERS)
    }
    return _build(GPT, None, found, changes if n_head is None else {"n_head": n_head, **changes}, "the state")


def save_pretrained(
    model: LanguageModel, path: str | Path, tokenizer: Mapping[str, str] | None = None
) -> None:
    """Write a folder that `from_pretrained` reads, here and in transformers: config.json and model.safetensors.

    GPT-2's form always has biases: for a model without, zeros are written, which give the same logits. A LoRA
    is added to the weights that are written. The files of a tokeniser, {name: text}, replace those of another.

    Raises    OSError, in one line, if it cannot be written; ValueError for weights that stay packed, or if another
              process writes there; then the folder is as it was.
    """
    if not isinstance(model, (GPT, Llama)):
        raise type_error("save_pretrained", "a GPT or a Llama", f"{model!r:.60}")
    if any(isinstance(module, (PackedEmbedding, PackedLinear)) for module in model.modules()):
        raise value_error("save_pretrained", 'a model with memory="float32"', "weights that stay packed")
    _, names = next(each for each in KINDS.values() if isinstance(model, each[0]))
    state = {name: to_numpy(array) for name, array in lora.merged_state(model).items()}
    settings = {**names.write_config(model.config), "dtype": next(iter(state.values())).dtype.name}
    folder.write(as_path("save_pretrained", path), settings, names.write_arrays(state), tokenizer or {})


def _build(
    kind: type[LanguageModel],
    settings: Mapping[str, Any] | None,
    found: dict[str, np.ndarray],
    changes: Mapping[str, Any],
    place: str,
) -> Any:
    """Return the model of these settings and arrays; all is checked before it is made."""
    made, names = _find_kind(settings, found, place)
    _check_kind(kind, made, place)
    arrays = _floats(_plain(found, names.ROOT, place), place)
    if names.NEEDED[0] not in arrays and names.HEAD in arrays:  # one array of two names is saved under either
        arrays[names.NEEDED[0]] = arrays.pop(names.HEAD)
    if missing := [name for name in names.NEEDED if getattr(arrays.get(name), "ndim", 0) != 2]:
        got = f"no matrix named {', '.join(missing)} in {place}"
        raise value_error("from_pretrained", f"the weights of a {made.__name__}", got)
    own = names.HEAD in arrays and not np.array_equal(arrays[names.HEAD], arrays[names.NEEDED[0]])
    if own and changes.get("tied"):
        raise value_error("from_pretrained", f"tied=False, for the head of its own in {place}", "tied=True")
    config = names.read_config(settings, arrays, _known(names.CONFIG, changes))
    model = made(config, rng=NO_DRAWS)
    model.load_state_dict(names.read_arrays(settings, arrays, config), assign=True)
    return model.eval()


def _find_kind(settings: Mapping | None, arrays: Mapping, place: str) -> tuple[Any, ModuleType]:
    """Return what KINDS has of the model that the settings name, or else of the one that has such arrays."""
    found = (settings or {}).get("model_type")
    if found is None:
        signs = {names.NEEDED[-1]: model_type for model_type, (_, names) in KINDS.items()}
        found = next((signs[sign] for sign in signs for name in arrays if name.endswith(sign)), None)
    if found not in list(KINDS):
        got = f"one of type {found!r} in {place}" if found else f"arrays of neither in {place}"
        hint = "read_safetensors(path) has its arrays"
        raise value_error("from_pretrained", f"a model of type {' or '.join(KINDS)}", got, hint)
    return KINDS[found]


def _check_kind(kind: type[LanguageModel], made: type[LanguageModel], place: str) -> None:
    """Raise ValueError unless the one is the other, or any will do."""
    if not issubclass(made, kind):
        hint = f"{made.__name__}.from_pretrained reads it"
        where, got = f"{kind.__name__}.from_pretrained", f"a {made.__name__} in {place}"
        raise value_error(where, f"a {kind.__name__}", got, hint)


def _known(config: Any, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the changes, if all are fields of the configuration.

    Raises    TypeError for others.
    """
    names = [f.name for f in fields(config)]
    if unknown := [name for name in changes if name not in names]:
        raise type_error("from_pretrained", f"settings among {', '.join(names)}", ", ".join(unknown))
    return changes


def _plain(found: dict[str, np.ndarray], root: str, place: str) -> dict[str, np.ndarray]:
    """Return the arrays under their names without what wrappers, and the model that holds the head, put before them;
    the mapping is emptied, so that each array is let go when it is done with.

    Raises    ValueError if two names become one.
    """
    plain: dict[str, np.ndarray] = {}
    for name in list(found):
        array = found.pop(name)
        parts = [part for part in name.split(".") if part not in WRAPPERS]
        while parts[:1] == [root]:
            del parts[0]
        if plain.setdefault(".".join(parts), array) is not array:
            raise value_error("from_pretrained", "each array once", f"{'.'.join(parts)} twice in {place}")
    return plain


def _floats(arrays: dict[str, np.ndarray], place: str) -> dict[str, np.ndarray]:
    """Return the arrays in float64 if one of them is, else in float32.

    Raises    ValueError for integers, which quantised weights are, and for numbers that are not finite.
    """
    kind = np.float64 if any(a.dtype == np.float64 for a in arrays.values()) else np.float32
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            got = f"{array.dtype} in {place}"
            raise value_error("from_pretrained", f"numbers with a point for {name}", got)
        arrays[name] = array = array.astype(kind, copy=False)
        with np.errstate(all="ignore"):  # one pass and no other array, unless a sum is not finite
            if not np.isfinite(array.sum()) and not np.isfinite(array).all():
                raise value_error("from_pretrained", f"finite numbers for {name}", f"others in {place}")
    return arrays
