"""The modules that answer `import torch`: a name is looked up, when it is first used, where minigrad has it."""

import importlib
import multiprocessing
from types import ModuleType, SimpleNamespace
from typing import Any

from minigrad.torch_names.lacking import attribute_error
from nn.torch_names.backends import SWITCHES
from nn.torch_names.settings import __version__

HERE, ARRAYS = "nn.torch_names.", "minigrad.torch_names"
STAND_INS = tuple(HERE + name for name in ("settings", "limits", "modes", "saving", "seeds", "amp"))
STAND_INS += ("minigrad.torch_names.device",)
CLASSES = {  # where PyTorch keeps its layers, which print(type(layer)) shows and some scripts import from
    "activation": "ELU GELU LeakyReLU LogSoftmax Mish MultiheadAttention ReLU Sigmoid SiLU Softmax Softplus Tanh",
    "batchnorm": "BatchNorm1d BatchNorm2d",
    "container": "ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "conv": "Conv1d Conv2d ConvTranspose1d ConvTranspose2d",
    "dropout": "Dropout Dropout2d",
    "flatten": "Flatten Unflatten",
    "linear": "Bilinear Identity Linear",
    "loss": "BCELoss BCEWithLogitsLoss CrossEntropyLoss KLDivLoss L1Loss MSELoss NLLLoss SmoothL1Loss",
    "module": "Module",
    "padding": "ConstantPad1d ConstantPad2d ReflectionPad1d ReflectionPad2d ReplicationPad1d ReplicationPad2d "
    "ZeroPad1d ZeroPad2d",
    "pooling": "AdaptiveAvgPool1d AdaptiveAvgPool2d AvgPool1d AvgPool2d MaxPool1d MaxPool2d",
    "normalization": "GroupNorm LayerNorm RMSNorm",
    "rnn": "GRU GRUCell LSTM LSTMCell RNN RNNCell",
    "sparse": "Embedding",
    "transformer": "Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer",
}
OPTIMISERS = {"adagrad": "Adagrad", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}

SOURCES: dict[str, tuple[str, ...]] = {  # PyTorch's module -> where its names are: in the first that has one
    "torch": (*STAND_INS, ARRAYS, "minigrad", "nn.functional"),
    "torch._dynamo": (),
    "torch.amp": (HERE + "amp",),
    "torch.accelerator": (HERE + "accelerator",),
    "torch.autograd": (HERE + "autograd", HERE + "custom", HERE + "modes", "minigrad"),
    "torch.autograd.function": (HERE + "custom",),
    "torch.autograd.functional": (HERE + "functional_derivatives",),
    "torch.backends": (),
    **{f"torch.backends.{name}": () for name in SWITCHES},
    "torch.cuda": (HERE + "cuda",),
    "torch.cuda.amp": (HERE + "cuda_amp",),
    "torch.distributed": (HERE + "distributed",),
    "torch.distributions": (HERE + "distributions",),
    **{f"torch.distributions.{name}": (HERE + "distributions",) for name in ("categorical", "normal")},
    "torch.functional": (ARRAYS, "minigrad"),
    "torch.jit": (HERE + "scripting",),
    "torch.linalg": (ARRAYS + ".linalg",),
    "torch.multiprocessing": (),
    "torch.nn": ("nn", HERE + "distributed"),
    "torch.nn.functional": ("nn.functional",),
    "torch.nn.init": ("nn.init",),
    "torch.nn.modules": ("nn",),
    **{f"torch.nn.modules.{name}": ("nn",) for name in CLASSES},
    "torch.nn.parallel": (HERE + "distributed",),
    "torch.nn.parameter": ("nn",),
    "torch.nn.utils": ("nn.utils",),
    "torch.nn.utils.rnn": ("nn.utils.rnn",),
    "torch.onnx": (HERE + "onnx",),
    "torch.optim": ("nn.optim",),
    "torch.optim.lr_scheduler": ("nn.optim.lr_scheduler",),
    "torch.optim.optimizer": ("nn.optim",),
    **{f"torch.optim.{name}": ("nn.optim",) for name in OPTIMISERS},
    "torch.random": (HERE + "seeds",),
    "torch.serialization": (HERE + "saving",),
    "torch.testing": (HERE + "testing",),
    "torch.types": ("minigrad",),
    "torch.utils": (),
    "torch.utils.checkpoint": (HERE + "checkpoint",),
    "torch.utils.data": (HERE + "data",),
    **{f"torch.utils.data.{name}": (HERE + "data",) for name in ("dataloader", "dataset", "sampler")},
    "torch.utils.data.distributed": (HERE + "distributed",),
    "torch.utils.tensorboard": (HERE + "tensorboard",),
    "torch.version": (),
    "minigrad": (*STAND_INS, ARRAYS, "nn.functional"),  # for `import minigrad as torch`, beside its own names
}
BOTH = {"conv1d", "conv2d", "cosine_similarity", "pairwise_distance"}  # in torch and in torch.nn.functional
ONLY = {  # of a module that has more than PyTorch's
    ("torch", "nn.functional"): BOTH,
    ("minigrad", "nn.functional"): BOTH,
    ("torch.nn", HERE + "distributed"): {"DataParallel"},
    ("torch.autograd", "minigrad"): {"detect_anomaly", "no_grad", "enable_grad"},
    ("torch.types", "minigrad"): {"Tensor", "Size", "device", "dtype", "Generator"},
}
SHOWN = {("nn.init", "_calculate_fan_in_and_fan_out")}  # one of PyTorch's private names that scripts use
HIDDEN = {("minigrad", "trace")}  # PyTorch's is a sum over a diagonal, minigrad's a picture
SET = {f"torch.backends.{name}": switches for name, switches in SWITCHES.items()}
SET["torch.version"] = {"__version__": __version__, "cuda": None, "hip": None, "debug": False}
SET["torch._dynamo"] = {"config": SimpleNamespace(), "reset": lambda: None}  # of torch.compile
SET["torch.multiprocessing"] = {name: getattr(multiprocessing, name) for name in multiprocessing.__all__}
SET["torch"] = {"__version__": __version__}
_faces: dict[str, "Face"] = {}


class Face(ModuleType):
    """A module under PyTorch's name. What a script sets in it (a switch, mostly) stays in it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"What minigrad has of {name}.")
        self.__path__: list[str] = []  # it has submodules, and no folder to find them in
        vars(self).update(SET.get(name, {}))

    def __getattr__(self, name: str) -> Any:
        value = vars(self)[name] = look_up(self.__name__, name)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *names(self.__name__)})


def face(name: str) -> Face:
    """Return the one module of that name."""
    if name not in _faces:
        _faces[name] = Face(name)
    return _faces[name]


def look_up(where: str, name: str) -> Any:
    """Return what PyTorch's module `where` calls `name`; where "minigrad", what stands in for torch's own names.

    Raises    AttributeError, in the words of `missing`, if minigrad has none.
    """
    if f"{_prefix(where)}.{name}" in SOURCES:
        return face(f"{_prefix(where)}.{name}")
    if name == "__all__":  # what `from torch.nn import *` asks for
        return sorted(names(where))
    for source in SOURCES[where]:
        if _is_offered(where, source, name):
            value = getattr(importlib.import_module(source), name, None)
            if _belongs(value, source):
                return value
    raise attribute_error(where, name, () if name.startswith("__") else names(_prefix(where)))


def names(where: str) -> set[str]:
    """Return the names that `look_up` finds."""
    found = {name[len(where) + 1 :].partition(".")[0] for name in SOURCES if name.startswith(f"{where}.")}
    for source in SOURCES[where]:
        module = importlib.import_module(source)
        offered = {name for name in dir(module) if _is_offered(where, source, name)}
        found |= {name for name in offered if _belongs(vars(module).get(name, ""), source)}
    return found


def _prefix(where: str) -> str:
    return "torch" if where == "minigrad" else where


def _is_offered(where: str, source: str, name: str) -> bool:
    if (source, name) in SHOWN:
        return True
    if name.startswith("_") or (source, name) in HIDDEN or (name.isupper() and ".torch_names." in source):
        return False
    return name in ONLY.get((where, source), (name,))


def _belongs(value: Any, source: str) -> bool:
    """Is it a name of that module's own, not one that its code reads from elsewhere?"""
    if value is None or isinstance(value, ModuleType):
        return False
    home = getattr(value, "__module__", None) if hasattr(value, "__qualname__") else None
    if not isinstance(home, str):  # a number, a dtype
        return True
    module = importlib.import_module(source)
    if hasattr(module, "__path__"):  # a package offers what it imports, a module what it defines
        return home.split(".")[0] in ("minigrad", "nn", "torch")
    return home in (source, "torch") or getattr(value, "__name__", "") in getattr(module, "__all__", ())
