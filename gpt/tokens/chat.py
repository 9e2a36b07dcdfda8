"""Chat templates: how a model was taught to see a conversation."""

import json
from datetime import datetime
from typing import Any

from minigrad.errors import value_error

ERRORS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)


def render(template: str, messages: list[dict[str, str]], **names: Any) -> str:
    """Return a conversation as the one text that the model continues.

    The template comes with the model, from strangers: it runs in Jinja's sandbox, without attributes of Python's
    objects and without changing what it is given.

    Raises    ValueError for a template with a mistake, or messages that it refuses; ImportError, with what to
              install, without Jinja.
    Source    transformers, utils/chat_template_utils.py: the same settings, filters and functions
    """
    try:
        from jinja2 import TemplateError
        from jinja2.ext import Extension, loopcontrols
        from jinja2.nodes import Scope
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ModuleNotFoundError:
        raise ImportError('chat: expected the package jinja2; got none; pip install -e ".[models]"') from None

    def refuse(message: str) -> None:
        raise TemplateError(message)

    class Generation(Extension):  # {% generation %}: what is learnt from, which is rendered as it stands
        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            return Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    added = [loopcontrols, Generation]
    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=added)
    sandbox.filters["tojson"] = _to_json
    sandbox.globals |= {"raise_exception": refuse, "strftime_now": datetime.now().strftime}
    try:
        copied = json.loads(json.dumps(messages))  # nothing but text, lists and dicts reaches the template
        absent = {"tools": None, "documents": None}
        return sandbox.from_string(template).render(messages=copied, **{**absent, **names})
    except ERRORS + (TemplateError,) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise value_error("chat", "messages that the model's template takes", message) from None


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Return a value as JSON; Jinja's own filter would escape it for HTML."""
    options: Any = {"indent": indent, "separators": separators, "sort_keys": sort_keys}
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)
