"""torch.utils.tensorboard: a log of numbers that scripts write beside their training, as plain text."""

import warnings
from pathlib import Path
from typing import Any

DROPPED = set(
    "add_image add_images add_figure add_graph add_histogram add_embedding add_text add_hparams add_pr_curve "
    "add_video add_audio add_mesh".split()
)


class SummaryWriter:
    """Scalars as lines "name,step,value" in `log_dir`/scalars.csv, which any table program opens; TensorBoard does not.

    Images, histograms, graphs and the like are not kept, which a warning says, once for each kind.
    """

    def __init__(self, log_dir: Any = None, comment: str = "", **settings: Any) -> None:
        folder = Path(log_dir or "runs")
        folder.mkdir(parents=True, exist_ok=True)
        self.log_dir = str(log_dir or "runs")
        self._file = open(folder / "scalars.csv", "a", encoding="utf-8")

    def add_scalar(self, tag: str, scalar_value: Any, global_step: Any = None, **more: Any) -> None:
        """Write one line."""
        self._file.write(f"{tag},{'' if global_step is None else global_step},{float(scalar_value)!r}\n")

    def add_scalars(self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: Any = None) -> None:
        """Write a line for each, named main_tag/name."""
        for name, value in tag_scalar_dict.items():
            self.add_scalar(f"{main_tag}/{name}", value, global_step)

    def _drop(self, *args: Any, **options: Any) -> None:
        """Keep nothing."""

    def __getattr__(self, name: str) -> Any:
        if name not in DROPPED:
            raise AttributeError(f"SummaryWriter has no attribute {name!r}", name=name, obj=self)
        warnings.warn(f"SummaryWriter.{name}: keeps nothing; only add_scalar does", stacklevel=2)
        return self._drop

    def flush(self) -> None:
        """Bring what was written to the disk."""
        self._file.flush()

    def close(self) -> None:
        """End the log."""
        self._file.close()

    def __enter__(self) -> "SummaryWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
