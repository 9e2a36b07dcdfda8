"""A model's folder as Hugging Face writes it: config.json, and model.safetensors, in one piece or in shards."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from filecmp import cmp
from pathlib import Path
from typing import Any

import numpy as np

from gpt.files import check_file, read_small
from gpt.folder import CHECKPOINT, claimed
from minigrad.errors import value_error

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
UNFINISHED = ".unfinished-model-"  # how the folder is called in which `write` works, and eight letters
OVERRULE = (INDEX, "adapter_config.json")  # what would have transformers read other weights
TOKENIZER = (  # what would have a reader take another tokeniser than the one that is written
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "encoder.json", "vocab.bpe", "vocab.txt", "tokenizer.model", "generation_config.json", "chat_template.jinja",
    "chat_template.json", "additional_chat_templates",
)  # fmt: skip
BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")  # old files hold what is computed
HAVE: dict[str, tuple[Any, ...]] = {  # what no model here can have otherwise, and transformers would obey
    "is_causal": (True,), "per_layer_config": (None, {}), "quantization_config": (None,),
}  # fmt: skip
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
CONVERT = (
    "no pickle is read here, since it can run any code; convert it where PyTorch is installed: python -c "
    "\"import torch, safetensors.torch as s; w = torch.load({0!r}, map_location='cpu', weights_only=True); "
    "s.save_file({{n: t.clone().contiguous() for n, t in w.get('model', w).items()}}, {1!r})\""
)
INSTALL = 'expected the package safetensors; got none; pip install -e ".[models]"'


def read(path: Path) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    """Return (settings, weights) of a folder or a .safetensors file, its settings being in the folder of the file.

    The settings are None where there are none.

    Raises    ValueError, in one line, for a damaged or foreign file, or a folder in which `write` was broken off;
              OSError if one cannot be read.
    """
    folder = path if path.is_dir() else path.parent
    if not os.path.lexists(folder / CONFIG) and (broken := [*folder.glob(f"{UNFINISHED}*/{CONFIG}")]):
        hint = f"save it again; the files before are in {broken[0].parent}, called .before"
        raise value_error("from_pretrained", "a whole model", f"{folder}, where a save was broken off", hint)
    files = _files(path)
    settings = _json(folder / CONFIG) if os.path.lexists(folder / CONFIG) else None
    arrays: dict[str, np.ndarray] = {}
    for file in files:
        part = read_safetensors(file)
        if twice := sorted(arrays.keys() & part.keys()):
            raise value_error("from_pretrained", "each array in one shard", f"{twice[0]} in two of {folder}")
        arrays |= part
    return settings, arrays


def check(settings: Mapping[str, Any], have: Mapping[str, tuple[Any, ...]]) -> None:
    """Raise ValueError if the settings of a config.json have another value than those that can be obeyed."""
    for name, values in have.items():
        found = settings.get(name, values[0])
        if not any(found == each and isinstance(found, bool) == isinstance(each, bool) for each in values):
            raise value_error("from_pretrained", f"{name} {values[0]}", f"{settings[name]!r:.60}")


def with_sizes(config: Any, found: Mapping[str, int]) -> Any:
    """Return the configuration; raise ValueError if the arrays that were found have other sizes than it says."""
    for name, value in found.items():
        if (said := getattr(config, name)) != value:
            raise value_error("from_pretrained", f"weights of {name} {said}", f"{name} {value}")
    return config


def is_run(path: Path) -> bool:
    """Is this the folder of a run of training?

    Raises    ValueError if it is one of Hugging Face's, too: which of the two is meant?
    """
    found = os.path.exists(path / CHECKPOINT)
    if found and (others := theirs(path)):
        hint = f"name the file that is meant: {path / CHECKPOINT} or {path / WEIGHTS}"
        got = f"{path}, with {CHECKPOINT} and {others[0]}"
        raise value_error("model", "a folder of one model", got, hint)
    return found


def theirs(path: Path) -> list[str]:
    """Return which files of a model of Hugging Face's the folder has."""
    return [name for name in (CONFIG, WEIGHTS, INDEX) if os.path.lexists(path / name)]


def _files(path: Path) -> list[Path]:
    """Return the files of weights that a path names.

    Raises    ValueError for a folder without, and for files of pickle, saying how to convert them.
    """
    where, expected = "from_pretrained", f"a .safetensors file, or a folder with {WEIGHTS}"
    if not os.path.exists(path):
        got, hint = f"{path!s:.200}, which does not exist", "or smollm2, or gguf:FILE"
        raise FileNotFoundError(*value_error(where, expected, got, hint).args)
    if path.is_dir():
        if os.path.lexists(path / WEIGHTS):
            check_file(where, path / WEIGHTS)
            return [path / WEIGHTS]
        if os.path.lexists(path / INDEX):
            return _shards(path)
        pickles = [each for each in sorted(path.iterdir()) if each.suffix in PICKLES]
        if not pickles:
            raise value_error(where, expected, f"{path}, with {_contents(path)}")
        path = pickles[0]
    if path.suffix in PICKLES:
        hint = CONVERT.format(str(path), str(path.with_name(WEIGHTS)))
        raise value_error(where, expected, f"{path}, which PyTorch writes with pickle", hint)
    if not path.is_file():
        raise value_error(where, expected, f"{path}, which is neither a file nor a folder")
    return [path]


def _shards(folder: Path) -> list[Path]:
    """Return the files that the index names, each in the folder and there."""
    names = _json(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise value_error("from_pretrained", "a weight_map of names to files", f"{folder / INDEX} without")
    files = sorted(set(names.values()))
    for name in files:
        if Path(name).name != name or not (folder / name).is_file():
            raise value_error("from_pretrained", f"the shards that {INDEX} names", f"{folder} without {name}")
    return [folder / name for name in files]


def _contents(folder: Path) -> str:
    """Return what is in a folder, in a few words."""
    names = sorted(each.name for each in folder.iterdir())
    return (", ".join(names[:5]) or "nothing") + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _json(path: Path) -> dict[str, Any]:
    """Return the object that a file of JSON holds."""
    raw = read_small("from_pretrained", path)
    try:
        found = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise value_error("from_pretrained", "a file of JSON", f"{path} ({error})") from None
    if not isinstance(found, dict):
        raise value_error("from_pretrained", "an object of JSON", f"{type(found).__name__} in {path}")
    return found


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Return {name: array} of a .safetensors file, without BUFFERS; float16 and bfloat16 become float32.

    Raises    ValueError for a foreign or damaged file, or a dtype that NumPy lacks; OSError if it cannot be
              read; ModuleNotFoundError, with what to install, without the package safetensors.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"read_safetensors: {INSTALL}") from None
    check_file("read_safetensors", path)
    arrays, place = {}, 0
    try:
        with safe_open(path, framework="np", backend="pread") as file:  # not mapped: it may be cut meanwhile
            for name in file.offset_keys():  # side by side in the file, in this order: safe_open made sure
                part = file.get_slice(name)
                kind, shape = part.get_dtype(), tuple(part.get_shape())
                if not name.endswith(BUFFERS):
                    bfloat16 = kind == "BF16"
                    array = _bfloat16(path, place, shape) if bfloat16 else file.get_tensor(name)
                    arrays[name] = array.astype(np.float32) if kind == "F16" else array
                place += int(np.prod(shape, dtype=object)) * _bits(kind) // 8
    except (SafetensorError, TypeError, AttributeError, LookupError, ValueError) as error:
        expected = "a whole .safetensors file, of dtypes that NumPy has"
        raise value_error("read_safetensors", expected, f"{path} ({error})") from None
    return arrays


def _bits(kind: str) -> int:
    """Return the bits of a number of safetensors' dtype: 8 of "F8_E4M3", 16 of "BF16"."""
    found = re.search(r"\d+", kind)
    return int(found.group()) if found else 8  # BOOL


def _bfloat16(path: str | Path, place: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers of bfloat16 as float32, of which they are the upper half.

    `place` counts bytes from the end of the header, whose length stands in the first 8.
    """
    with open(path, "rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        file.seek(start + place)
        upper = np.fromfile(file, "<u2", int(np.prod(shape)))
    return (upper.astype(np.uint32) << 16).view(np.float32).reshape(shape)


def write(folder: Path, settings: Any, arrays: Mapping[str, np.ndarray], words: Mapping[str, str]) -> None:
    """Write a folder that transformers reads: config.json, model.safetensors, and `words`, a tokeniser's {name: text}.

    All is on the disk before an old file is touched; then config.json goes first and comes last. Whatever interrupts
    it, the folder is the old one, the new one, or one that `read` refuses; the next to write tidies up.

    Raises    OSError, in one line, if it cannot be written; ValueError if another process writes into it;
              ModuleNotFoundError as `read_safetensors`.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"save_pretrained: {INSTALL}") from None
    texts = {**words, CONFIG: json.dumps(settings, indent=2, allow_nan=False) + "\n"}
    with claimed(str(folder), "save_pretrained"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            left = [*folder.glob(UNFINISHED + "?" * 8)]
            new = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder))
            try:
                plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
                save_file(plain, new / WEIGHTS, metadata={"format": "pt"})
                for name, text in texts.items():
                    (new / name).write_text(text, encoding="utf-8")
                _replace(folder, new, [WEIGHTS, *texts], OVERRULE + TOKENIZER * bool(words))
            finally:
                if os.path.lexists(folder / CONFIG) or not [*new.glob("*.before")]:
                    shutil.rmtree(new, ignore_errors=True)  # else the old files are in there
            for each in left:
                shutil.rmtree(each, ignore_errors=True)
        except (OSError, SafetensorError) as error:
            why = getattr(error, "strerror", None) or error
            raise OSError(f"save_pretrained: expected a folder to write to; got {folder} ({why})") from None


def _replace(folder: Path, new: Path, names: list[str], others: tuple[str, ...]) -> None:
    """Put the new files in the place of the old ones and of others, or, if that goes wrong, all back."""
    for name in names:
        os.chmod(new / name, 0o666 & ~_umask())
        with open(new / name, "rb+") as file:
            os.fsync(file.fileno())
    old = [name for name in dict.fromkeys((CONFIG, *names, *others)) if os.path.lexists(folder / name)]
    same = [n for n in names[1:] if (folder / n).is_file() and cmp(folder / n, new / n, shallow=False)]
    if same == names[1:] and {*old} <= {*names}:
        os.replace(new / WEIGHTS, folder / WEIGHTS)  # from one moment to the next
        return
    try:
        for name in old:
            os.replace(folder / name, new / f"{name}.before")
        for name in names:
            os.replace(new / name, folder / name)
    except BaseException:
        for name in names[::-1]:
            if not (new / name).exists():
                os.replace(folder / name, new / name)
        for name in old[::-1]:
            if os.path.lexists(new / f"{name}.before"):
                os.replace(new / f"{name}.before", folder / name)
        raise


def _umask() -> int:
    """Return which permissions new files do not get; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
