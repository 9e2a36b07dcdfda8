"""nanoGPT's own model.py, with its own optimiser groups; only its exact GELU becomes GPT-2's."""

import importlib.util
from pathlib import Path
from types import ModuleType

import torch
from race_track.cells import BETAS, LEARNING_RATE, WEIGHT_DECAY, Cell, batches, prompt
from race_track.opponents import Entry
from race_track.opponents.pytorch import load_weights, training


def build(cell: Cell, path: str) -> Entry:
    """Return the entry of the model.py at `path`, a file or the folder of a clone."""
    source = _load(Path(path))
    model = source.GPT(source.GPTConfig(**cell.sizes()))
    for block in model.transformer.h:
        block.mlp.gelu = torch.nn.GELU(approximate="tanh")
    load_weights(model, cell, "transformer.")
    if cell.job == "train":
        optimizer = model.configure_optimizers(WEIGHT_DECAY, LEARNING_RATE, BETAS, "cpu")
        unit = training(batches(cell), model, model, optimizer)
    else:
        model.eval()
        ids = torch.from_numpy(prompt(cell))

        @torch.inference_mode()
        def unit() -> float:
            return model(ids)[0].max().item()  # it computes the last position's logits alone

    return Entry(unit, f"torch {torch.__version__}", str(torch.get_num_threads()))


def _load(path: Path) -> ModuleType:
    file = path / "model.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location("nanogpt_model", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
