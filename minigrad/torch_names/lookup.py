"""Where a name of PyTorch's that the engine has not is found: as a function of minigrad, as a method of Tensors.

A function whose first argument is called `input` is a method, too, and one of `self` is a method alone.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from minigrad import creation
from minigrad.methods.in_place import becoming, check_writable, overwrite
from minigrad.operands import NUMBERS
from minigrad.tensor import Tensor
from minigrad.torch_names.lacking import attribute_error

HERE = "minigrad.torch_names."
MODULES: tuple[str, ...] = (
    "arithmetic",
    "curves",
    "shapes",
    "choosing",
    "sorting",
    "reducing",
    "products",
    "making",
)
MODULES += ("describing", "writing", "constants")

# Methods of the engine that are functions in PyTorch, too.
FUNCTIONS = set(
    "abs absolute all amax amin any argmax argmin clip clone cumsum detach erf exp flatten gather log logsumexp "
    "masked_fill max mean min numel permute pow prod relu reshape sigmoid sin cos split sqrt squeeze std sum "
    "swapaxes tanh transpose tril triu unsqueeze var".split()
)
# Methods that are functions elsewhere.
METHODS = {name: f"functions.{name}" for name in ("matmul", "maximum", "minimum", "sign")}
METHODS |= {"bernoulli": "creation.bernoulli", "multinomial": "creation.multinomial"}
METHODS |= {"where": "torch_names.choosing.place_where"}
# Functions of an `input` that are no methods.
NO_METHODS = "atleast_1d atleast_2d bucketize combinations place_where poisson rsub std_mean var_mean".split()
# What has a form that writes: add_, mul_, ...
IN_PLACE = set(
    "abs absolute acos add addcdiv addcmul addmm asin atan baddbmm bitwise_and bitwise_or bitwise_xor ceil clamp "
    "clamp_max clamp_min clip copysign cos cosh cumprod cumsum div divide eq erf exp exp2 expm1 fill floor "
    "floor_divide fmod frac ge gt index_add index_copy index_fill le lerp log log10 log1p log2 logical_and "
    "logical_not logical_or logical_xor lt masked_fill mul multiply nan_to_num ne neg negative pow reciprocal "
    "remainder round rsqrt scatter scatter_add sigmoid sign sin sinh sqrt square sub subtract tan tanh tril triu "
    "true_divide trunc relu".split()
)


@functools.cache
def find_function(name: str) -> Any:
    """Return the function, dtype or number that PyTorch calls torch.name.

    Raises    AttributeError, with the nearest name, if minigrad has none.
    """
    found = _in_modules(name, lambda found: not _is_only_method(found))
    if found is None and name in FUNCTIONS:
        found = getattr(Tensor, name)
    if found is None and name.endswith("_") and name[:-1] in IN_PLACE:
        return find_method(name)
    if found is None:
        raise attribute_error("torch", name, function_names())
    return _as_function(name, found) if inspect.isfunction(found) else found


@functools.cache
def find_method(name: str) -> Any:
    """Return the method, or property, that PyTorch calls Tensor.name.

    Raises    AttributeError, with the nearest name, if minigrad has none.
    """
    found = _in_modules(name, _is_method)
    if found is not None:
        return found
    if name in METHODS:
        module, _, function = METHODS[name].rpartition(".")
        return getattr(importlib.import_module(f"minigrad.{module}"), function)
    if name.endswith("_") and name[:-1] in IN_PLACE:
        return becoming(name, getattr(Tensor, name[:-1], None) or find_method(name[:-1]))
    raise attribute_error("Tensor", name, [*method_names(), *dir(Tensor)])


def _in_modules(name: str, is_wanted: Callable[[Any], bool]) -> Any:
    """Return what one of the modules here defines, if it is wanted; else None."""
    for module in map(_module, () if name.startswith("_") else MODULES):
        if name in module.__all__ and is_wanted(getattr(module, name)):
            return getattr(module, name)
    return None


def _all(is_wanted: Callable[[Any], bool]) -> set[str]:
    return {name for each in map(_module, MODULES) for name in each.__all__ if is_wanted(getattr(each, name))}


@functools.cache
def _module(name: str) -> Any:
    module: Any = importlib.import_module(HERE + name)
    if not hasattr(module, "__all__"):
        module.__all__ = [key for key, x in vars(module).items() if key[0] != "_" and _is_own(key, x, module)]
    return module


def _is_own(key: str, x: Any, module: Any) -> bool:
    """Is it a function, or a property, that the module defines?"""
    return isinstance(x, property) or (key.islower() and getattr(x, "__module__", "") == module.__name__)


@functools.cache
def _takes(function: Any) -> str:
    """Return the name of the first argument."""
    return next(iter(inspect.signature(function).parameters), "") if inspect.isfunction(function) else ""


def _is_method(found: Any) -> bool:
    if isinstance(found, property):
        return True
    return _takes(found) in ("self", "input") and found.__name__ not in NO_METHODS


def _is_only_method(found: Any) -> bool:
    return isinstance(found, property) or _takes(found) == "self"


def _as_function(name: str, function: Any) -> Any:
    """Return the function with `input` as the first argument's name, which may be an array, and with `out`."""
    parameters = list(inspect.signature(function).parameters.values())
    first = parameters[0].name if parameters else ""
    if "out" in [p.name for p in parameters]:
        return function
    lists = first in ("tensors", "equation", "operands")

    @functools.wraps(function)
    def on_tensors(*args: Any, out: Any = None, **options: Any) -> Any:
        if first == "x" and "input" in options:
            args = (options.pop("input"), *args)
        if args and first in ("x", "input") and not isinstance(args[0], (Tensor, *NUMBERS)):
            args = (creation.as_tensor(args[0]), *args[1:])
        result = function(*args, **options)
        return result if out is None else written(name, out, result)

    if parameters and (first in ("x", "input") or lists):
        parameters[0] = parameters[0].replace(name="input") if first == "x" else parameters[0]
    on_tensors.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return on_tensors


def written(name: str, out: Any, result: Any) -> Any:
    """Write a result, or each of several, into `out`, which gets its shape if it is empty; return `out`."""
    if isinstance(result, tuple):
        return tuple(written(name, each, part) for each, part in zip(out, result, strict=True))
    check_writable(f"{name}(out=)", out, result)
    if out.shape == result.shape:
        overwrite(out, ..., result.detach().astype(out.dtype)._data)
    else:
        out._data = result.detach().astype(out.dtype)._data
    return out


@functools.cache
def function_names() -> set[str]:
    """Return every name that `find_function` finds, the forms that write aside."""
    return FUNCTIONS | _all(lambda found: not _is_only_method(found))


@functools.cache
def method_names() -> set[str]:
    """Return every name that `find_method` finds."""
    return _all(_is_method) | METHODS.keys()
