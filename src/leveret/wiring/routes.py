"""`task_routes` as people write it, with dotted paths replaced by what they name."""

from importlib import import_module
from typing import Any

from leveret.errors import ImproperlyConfigured


def resolved_routes(routes: Any) -> Any:
    """A string, or a string in a list, is a dotted path to a router (function or instance), as in Celery."""
    if isinstance(routes, str):
        return _named(routes)
    if isinstance(routes, list | tuple):
        return [_named(rule) if isinstance(rule, str) else rule for rule in routes]
    return routes


def _named(path: str) -> Any:
    module, _, attribute = path.replace(":", ".").rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ImproperlyConfigured(f"task_routes names {path!r}, which cannot be imported: {error}") from error
    return found() if isinstance(found, type) else found
