"""PyTorch's signatures: read from Python, from its operators' schemas and from its docstrings."""

import inspect
import re
import typing
from collections import namedtuple

import torch

Argument = namedtuple("Argument", "name kind default keyword_only")
NONE = inspect.Parameter.empty


def by_inspection(fn):
    """The arguments of a function or class written in Python, without self."""
    makers = [fn.__init__, fn.__new__] if inspect.isclass(fn) else [fn]
    if inspect.isfunction(makers[0]):
        makers = typing.get_overloads(makers[0])[:1] or makers
    every = [inspect.signature(maker).parameters for maker in makers]
    named = [p for p in every if {"args", "kwargs"} - p.keys()] or every
    given = [p for p in named[0].values() if p.name not in ("self", "cls")]
    known = [p for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return [[Argument(p.name, "", p.default, p.kind is p.KEYWORD_ONLY) for p in known]]


def by_schema(name):
    """The arguments of each overload of an operator; of those on Tensors, if there are."""
    found = []
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{name}"):
        arguments = [
            Argument(
                a.name,
                re.sub(r"Optional\[(.*)\]", r"\1", str(a.type)),
                a.default_value if a.has_default_value() else NONE,
                a.kwarg_only,
            )
            for a in schema.arguments
        ]
        kinds = {a.kind for a in arguments}
        out = any(a.name == "out" for a in arguments)
        if not out and not (schema.overload_name and "name" in schema.overload_name.lower()):
            if not kinds & {"str", "List[str]", "List[bool]", "List[float]", "List[complex]", "Any", "t"}:
                if arguments and (arguments[0].name != "self" or arguments[0].kind == "Tensor"):
                    found.append(arguments)
    if name in ("linspace", "logspace", "normal"):  # of numbers, too
        return found
    on_tensors = [arguments for arguments in found if arguments and arguments[0].kind == "Tensor"]
    return on_tensors or found


def by_docstring(fn, name):
    """The arguments of each call in the docstring, name(a, b=1, *, c=2) -> Tensor."""
    found = []
    for text in re.findall(rf"^(?:\.\. function:: )?{name}\(([^()]*)\)\s*->", fn.__doc__ or "", re.M):
        arguments, keyword_only = [], False
        for part in re.split(r",\s*(?![^\[(]*[\])])", text):
            word, _, default = part.strip().partition("=")
            word, default = word.split(":")[0].strip(), default.strip(" '\"")
            if word == "*":
                keyword_only = True
            elif re.fullmatch(r"\w+", word):
                value = (
                    NONE
                    if not default
                    else {"None": None, "True": True, "False": False}.get(default, default)
                )
                arguments.append(Argument(word, "", _number(value), keyword_only))
        found.append(arguments)
    return found


def _number(value):
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
