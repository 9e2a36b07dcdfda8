"""Chat templates: how a model was taught to see a conversation."""

import json
from datetime import datetime
from typing import Any

from minigrad.errors import value_error


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
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ModuleNotFoundError:
        raise ImportError("a chat template needs Jinja; install it with: pip install jinja2") from None

    def refuse(message: str) -> None:
        raise TemplateError(message)

    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    sandbox.filters["tojson"] = _to_json
    sandbox.globals |= {"raise_exception": refuse, "strftime_now": datetime.now().strftime}
    copied = json.loads(json.dumps(messages))  # nothing but text, lists and dicts reaches the template
    try:
        return sandbox.from_string(template).render(messages=copied, **names)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        message = " ".join(str(error).split())
        raise value_error("chat", "messages that the model's template takes", message) from None


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    """Return a value as JSON; Jinja's own filter would escape it for HTML."""
    return json.dumps(value, **{"ensure_ascii": False, "indent": indent, **options})
