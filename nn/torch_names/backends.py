"""torch.backends: switches of libraries. All but TF32 on a GPU hold what they are set to, and change no number."""

from types import SimpleNamespace
from typing import Any

from minigrad.gpu.device import allow_tf32
from nn.torch_names import cuda


class Products(SimpleNamespace):
    """torch.backends.cuda.matmul: where there is a GPU, `allow_tf32` is obeyed."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "allow_tf32" and cuda.is_available():
            allow_tf32(bool(value))


def _absent() -> bool:
    return False


def _ignored(enabled: bool = True) -> None:
    return None


SWITCHES: dict[str, dict[str, Any]] = {  # library -> what torch.backends.<library> holds, PyTorch's defaults
    "cuda": {
        "is_built": _absent,
        "matmul": Products(allow_tf32=False, allow_fp16_reduced_precision_reduction=True),
        **dict.fromkeys(("enable_flash_sdp", "enable_mem_efficient_sdp", "enable_math_sdp"), _ignored),
        **dict.fromkeys(("flash_sdp_enabled", "mem_efficient_sdp_enabled", "math_sdp_enabled"), _absent),
    },
    "cudnn": {
        "is_available": _absent,
        "version": _ignored,
        "enabled": True,
        "deterministic": False,
        "benchmark": False,
        "allow_tf32": True,
    },
    "mkl": {"is_available": _absent},
    "mps": {"is_available": _absent, "is_built": _absent},
}
