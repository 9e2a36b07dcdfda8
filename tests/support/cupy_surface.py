"""What CuPy has of NumPy's names, and with which arguments: the list that tests/support/foreign.py obeys.

    python -m tests.support.cupy_surface > tests/support/cupy_surface.txt

Needs CuPy's wheel, and no GPU. Each line: a name, and its parameters as CuPy writes them, "=" behind those that may be
left out, or "ufunc", or nothing where Python cannot tell; a method of arrays begins with "ndarray.". The first line
has the versions.
"""

import functools
import inspect
from pathlib import Path

import numpy as np

LIST = Path(__file__).with_suffix(".txt")


@functools.cache
def surface():
    """{name: its parameters, with "=" where they may be left out; None where the list does not say}."""
    found = {}
    for line in LIST.read_text().splitlines()[1:]:
        name, says, parameters = line.partition("(")
        found[name.removesuffix(" ufunc")] = parameters[:-1].split(", ") if says else None
        if name.endswith(" ufunc"):
            found[name.removesuffix(" ufunc")] = ["a", "b=", "out=", "dtype=", "casting="]
    return found


def refuse(name, args, options):
    """Raise what CuPy would for a name that it has not, or arguments that the function of that name does not take.

    A method takes what the function of its name takes.
    """
    parameters = surface().get(name)
    if name.startswith("ndarray.") and parameters is None:
        parameters = surface().get(name.removeprefix("ndarray."))
    if name not in surface():
        raise AttributeError(f"cupy has no {name}")
    if parameters is None or any(p.startswith("*") for p in parameters) or name == "ndarray.reshape":
        return  # a method takes the lengths one by one, too
    names = [p.removesuffix("=") for p in parameters]
    if len(args) > len(names) or not options.keys() <= {*names}:
        got = f"{len(args)} arguments and {', '.join(sorted(options))}"
        raise TypeError(f"cupy.{name} takes ({', '.join(parameters)}); got {got}")
    if name in ("tri", "eye") and any(isinstance(n, int) and n < 0 for n in args[:2]):
        raise ValueError(f"cupy.{name}: negative dimensions are not allowed")


def lines():
    """The list, of the CuPy that is installed."""
    import cupy

    yield f"# CuPy {cupy.__version__}, NumPy {np.__version__}; python -m tests.support.cupy_surface"
    for name in sorted(set(dir(cupy)) & set(dir(np))):
        found = getattr(cupy, name)
        if callable(found) and not name.startswith("_") and not isinstance(getattr(np, name), type):
            yield name + written(found)
    for name in sorted(set(dir(cupy.ndarray)) & set(dir(np.ndarray))):
        if not name.startswith("__"):
            found = getattr(cupy.ndarray, name)
            yield f"ndarray.{name}{written(found) if callable(found) else ''}"


def written(function):
    """The parameters of a function, as the list has them."""
    if type(function).__name__ == "ufunc":
        return " ufunc"
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    each = [stars.get(p.kind, "") + p.name + "=" * (p.default is not p.empty) for p in parameters]
    return f"({', '.join(each)})"


if __name__ == "__main__":
    print("\n".join(lines()))
