"""torch.onnx: importable, as scripts import it at their top and use it behind a flag."""

from typing import Any, NoReturn


def export(*args: Any, **options: Any) -> NoReturn:
    """Refuse.

    Raises    NotImplementedError
    """
    raise NotImplementedError("torch.onnx.export: minigrad has none; save model.state_dict()")
