"""torch.cuda.amp: the older place and arguments of what is now torch.amp."""

from typing import Any

from nn.torch_names import amp


class autocast(amp.autocast):
    """`torch.amp.autocast` for a GPU."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`torch.amp.GradScaler` for a GPU."""

    def __init__(self, *settings: Any, enabled: bool = True, **more: Any) -> None:
        super().__init__("cuda", *settings, enabled=enabled, **more)
