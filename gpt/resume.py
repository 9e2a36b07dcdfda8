"""What a checkpoint holds of a run: how it is written, and checked and read when the run goes on."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpt import checkpoint
from gpt.config import TrainConfig
from gpt.data import Corpus, Text
from gpt.files import as_path
from gpt.folder import CHECKPOINT
from gpt.memory import check_training
from gpt.start import check_device
from minigrad.errors import value_error
from minigrad.parallel import Way, world_size
from minigrad.random import Generator

if TYPE_CHECKING:  # a Run reads and writes itself with this file
    from gpt.run import Run


def contents(run: "Run") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the (info, arrays) of a run's checkpoint."""
    info = {
        "kind": type(run.model).__name__,
        "lora": run.config.lora,
        "model": asdict(run.model.config),
        "tokenizer": run.corpus.tokenizer.to_json(),
        "training": asdict(run.config),
        "sha256": run.corpus.text.sha256,
        "length": run.corpus.text.length,
        "way": list(run.way),
        "ranks": world_size(),
        "step": run.step,
        "block_size": run.block_size,
    }
    arrays = {
        "model": run.model.state_dict(),
        "optimizer": {"state": run.optimizer.state_dict()["state"]},
        "batch_rng": run.batch_rng.state(),
        "losses": run.losses,
        "evaluations": np.reshape(run.evaluations, (-1, 3)),
    }
    return info, arrays


def read(out: str, changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what makes the Run in the folder `out` again, its settings changed, and the state of its optimiser.

    (Files from before masks were keyed hold the states of their generators, and what kind of workers there was:
    both are passed over.) Errors as in `Run.resume`.
    """
    info, arrays = checkpoint.load(as_path("resume", out) / CHECKPOINT)
    model, tokenizer = checkpoint.build_model(info, arrays)
    _check_state(info, arrays, sum(p.requires_grad for p in model.parameters()))
    before = checkpoint.settings(TrainConfig, info["training"])
    config = replace(before, **changes, out=out)
    check_device(config.device)
    _check_changes(before, config, changes, len(arrays["losses"]))
    check_training(config, model.config, info.get("block_size", 0), world_size())
    text, batch_rng = Text.load(config.data), Generator()
    if text.sha256 != info["sha256"]:
        length = f"{info['length']:,} characters, " if isinstance(info.get("length"), int) else ""
        raise value_error("resume", f"the text of before, {length}sha256 {info['sha256']}", text)
    batch_rng.set_state(arrays["batch_rng"])
    same_sums = "workers" not in changes and info.get("ranks", 1) == world_size() and config.device == "cpu"
    new = [f"{name} {old!r} -> {x!r}" for name, x in changes.items() if (old := getattr(before, name)) != x]
    run = {
        "config": config,
        "corpus": Corpus.of(text, tokenizer),
        "model": model,
        "batch_rng": batch_rng,
        "losses": arrays["losses"].tolist(),
        "evaluations": [(int(step), train, val) for step, train, val in arrays["evaluations"].tolist()],
        "block_size": info.get("block_size", 0),
        "changed": ", ".join(new),
        "way": Way(*info["way"][:2]) if same_sums else Way(1, 0),
        "saved": len(arrays["losses"]),
    }
    return run, arrays.get("optimizer", {}).get("state", {})  # a file has no place for an empty one


def _check_changes(before: TrainConfig, config: TrainConfig, changes: dict[str, Any], made: int) -> None:
    """Raise ValueError for a setting that cannot be another once so many steps are made."""
    for name, usual in {"init_from": "", "lora": 0, "tokenizer": "characters"}.items():
        old, new = (getattr(each, name) or usual for each in (before, config))
        if old != new:
            raise value_error("resume", f"{name} as before, {old!r}", repr(new))
    if config.max_iters < made and "max_iters" in changes:
        raise value_error("resume", f"max_iters of {made} or more, the steps made", config.max_iters)


def _check_state(info: dict[str, Any], arrays: dict[str, Any], learning: int) -> None:
    """Raise ValueError, naming it, for what a checkpoint says of a run, of so many parameters that learn, and cannot be."""
    try:
        workers, blas_threads = info["way"][:2]
        losses, evaluations = arrays["losses"], arrays["evaluations"]
        state = arrays.get("optimizer", {}).get("state", {})
        made, evaluated = len(losses), evaluations[:, 0].tolist()
        right = {
            "way": all(type(n) is int and 0 <= n <= 2**12 for n in (workers - 1, blas_threads)),
            "batch_rng": isinstance(arrays["batch_rng"], dict),
            "losses": losses.ndim == 1 and losses.dtype == np.float64,
            "step": info.get("step", made) == made,
            "evaluations": (evaluations.shape[1:], evaluations.dtype) == ((3,), np.float64)
            and sorted({*evaluated} & {*range(made + 1)}) == evaluated,
            "sha256": isinstance(info["sha256"], str),
            "training": isinstance(info["training"], dict),
            "lora": info.get("lora", 0) == info["training"].get("lora", 0),
            "optimizer": {*state} == {str(i) for i in range(learning if made else 0)}
            and all(np.shape(entry["step"]) == () and entry["step"] == made for entry in state.values()),
        }
    except checkpoint.archive.DAMAGE as error:
        raise value_error("resume", "the state of a run", f"a checkpoint without ({error})") from None
    if wrong := [name for name, fits in right.items() if not fits]:
        raise value_error("resume", "the state of a run", f"another {wrong[0]}")
    checkpoint.check_finite({name: arrays.get(name, {}) for name in ("losses", "evaluations", "optimizer")})
